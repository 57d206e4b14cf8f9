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
    { name: 'under a name in other letters', object: (secret) => ({ err: Object.assign(new Error('broken'), { headers: { AUTHORIZATION: secret, 'Set-Cookie': secret, SecretAccessKey: secret } }) }) },
    { name: 'in a list of header names and values', object: (secret) => ({ err: Object.assign(new Error('broken'), { headers: ['accept', '*/*', 'Authorization', secret] }) }) },
    { name: 'in the password of a URL', object: (secret) => ({ err: new Error(`connect postgresql://mayfly:${secret}@db.example:5432/x failed`) }) },
    { name: 'in the password of a URL object', object: (secret) => ({ url: new URL(`https://mayfly:${secret}@db.example/`) }) },
    { name: 'behind an authorization scheme in a message', object: (secret) => ({ err: new Error(`sent Authorization: Bearer ${secret}.abcdefgh to it`) }) },
    { name: 'in a cause\'s message', object: (secret) => ({ err: new Error('outer', { cause: new Error(`invalid DPoP ${secret}abcdefgh`) }) }) },
    { name: 'in an object under the name of a secret', object: (secret) => ({ credential: { inner: secret } }) },
  ])('shows no secret $name', ({ object }) => {
    expect(JSON.stringify(logged(object('s3cr3t')))).not.toContain('s3cr3t');
    expect(JSON.stringify(logged(object('s3cr3t')))).toContain('[redacted]');
  });

  test('shows no part of a compact JWS, whatever member or message it is in', () => {
    const token = `${Buffer.from('{"alg":"ES256"}').toString('base64url')}.${Buffer.from('{"sub":"x"}').toString('base64url')}.c2lnbmF0dXJl`;
    const line = JSON.stringify(logged({ detail: `bad token ${token}!`, other: [token], err: new Error(token, { cause: new Error(`inner ${token}`) }) }));
    for (const part of token.split('.')) expect(line).not.toContain(part);
    expect(logged({ checkpoint: token })['checkpoint']).toBe(token);
  });

  test('shows how long bytes are, not which', () => {
    expect(logged({ key: Buffer.from('s3cr3t') })['key']).toBe('[6 bytes]');
  });

  test('leaves other text alone', () => {
    const harmless = { detail: 'https://api.example/path: bearer of good news, basic needs', at: new Date(0), list: ['accept', 'x'] };
    expect(logged(harmless)).toMatchObject({ ...harmless, at: '1970-01-01T00:00:00.000Z' });
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
