import { describe, expect, test } from '@jest/globals';
import { createLog } from '../../src/telemetry/log.ts';

const logged = (object: object): Record<string, unknown> => {
  const lines: string[] = [];
  createLog('info', { write: (line) => { lines.push(line); } }).info(object, 'said');
  return JSON.parse(lines[0] ?? '') as Record<string, unknown>;
};

describe('a log line', () => {
  test('is one JSON object with level, time, service and message', () => {
    expect(logged({ request: 'req_1', status: 200 })).toEqual({ level: 'info', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/), service: 'mayfly', request: 'req_1', status: 200, msg: 'said' });
  });

  test.each<{ name: string; object: (secret: string) => object }>([
    { name: 'at the top', object: (secret) => ({ access_token: secret }) },
    { name: 'in a member', object: (secret) => ({ body: { subject_token: secret } }) },
    { name: 'deep in a member', object: (secret) => ({ a: { b: { c: { d: { sealed: secret } } } } }) },
    { name: 'in a list', object: (secret) => ({ headers: [{ authorization: secret }] }) },
    { name: 'carried by an error', object: (secret) => ({ err: Object.assign(new Error('broken'), { request: { headers: { Authorization: secret } } }) }) },
    { name: 'in an object under the name of a secret', object: (secret) => ({ credential: { inner: secret } }) },
  ])('shows no secret $name', ({ object }) => {
    expect(JSON.stringify(logged(object('s3cr3t')))).not.toContain('s3cr3t');
    expect(JSON.stringify(logged(object('s3cr3t')))).toContain('[redacted]');
  });

  test('shows the same under another name', () => {
    expect(logged({ body: { decision: 's3cr3t' } })['body']).toEqual({ decision: 's3cr3t' });
  });

  test('tells type, message, stack and members of an error', () => {
    const { err } = logged({ err: Object.assign(new TypeError('broken'), { code: 'E_X' }) }) as { err: Record<string, unknown> };
    expect(err).toMatchObject({ type: 'TypeError', message: 'broken', code: 'E_X', stack: expect.stringContaining('TypeError: broken') });
  });

  test('tells the causes of an error', () => {
    const { err } = logged({ err: new Error('outer', { cause: new Error('inner') }) }) as { err: Record<string, unknown> };
    expect(err['message']).toBe('outer: inner');
  });

  test('ends at objects that hold themselves', () => {
    const round: Record<string, unknown> = { name: 'round' };
    round['self'] = round;
    expect(logged({ round })['round']).toMatchObject({ name: 'round' });
  });
});
