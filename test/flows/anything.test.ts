import { randomBytes } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { request } from 'undici';
import { GRANT, JWT_TYPE } from '../support/mayfly.ts';
import { startPostgres } from '../support/postgres.ts';
import { API, PLAIN_TEXT, startLab } from './lab.ts';
import type { Lab } from './lab.ts';

const ENDPOINTS = ['dev/token', 'dev/introspect', 'dev/revoke'] as const;
const FORM = { 'content-type': 'application/x-www-form-urlencoded' };

/** Whatever is sent, the answer is a plain one: no fault, nothing cached, no text but ours. */
const postTo = async (url: string, path: string, headers: Record<string, string | string[]>, body: Uint8Array | string): Promise<number> => {
  const response = await request(`${url}/${path}`, { method: 'POST', headers, body });
  const text = await response.body.text();
  if (response.statusCode >= 500) throw new Error(`${response.statusCode} ${text}`);
  if (response.statusCode >= 400) {
    const answer = JSON.parse(text) as Record<string, unknown>;
    expect(Object.keys(answer).filter((name) => !['error', 'error_description', 'decision_id'].includes(name))).toEqual([]);
    expect(String(answer['error_description'])).toMatch(PLAIN_TEXT);
    expect(response.headers['cache-control']).toBe('no-store');
  }
  return response.statusCode;
};

/** Names and values that mean something here, and ones that mean nothing. */
const name = fc.oneof(fc.constantFrom('grant_type', 'subject_token', 'subject_token_type', 'audience', 'resource', 'scope', 'client_id', 'requested_token_type', 'authorization_details', 'actor_token', 'token', '__proto__', 'constructor', 'toString', 'a[b]', 'hasOwnProperty'), fc.string({ unit: 'binary', maxLength: 20 }));
const value = fc.oneof(
  fc.constantFrom(GRANT, JWT_TYPE, API, '', ' ', '\u0000', '\ud800', '__proto__', '[]', '[{}]', '[null]', '{"type":"urn:mayfly:ceiling"}', '[{"type":"urn:mayfly:ceiling","audience":"x"}]', '[{"type":"urn:mayfly:ceiling","audience":"\\ud800","scopes":["\\u0000"]}]', 'a.b.c', 'eyJhbGciOiJSUzI1NiJ9.e30.AA', `${'['.repeat(5000)}`),
  fc.string({ unit: 'binary', maxLength: 200 }), fc.json(),
);

/** What refusals and leases remember goes into a database, and each has its own mind about texts. */
describe.each(['sqlite', 'postgresql'])('no request makes a fault, on %s', (engine) => {
  let lab: Lab;
  let stop: (() => Promise<void>) | undefined;
  beforeAll(async () => {
    if (engine === 'sqlite') {
      lab = await startLab();
      return;
    }
    const postgres = await startPostgres();
    stop = () => postgres.stop();
    const folder = mkdtempSync(join(tmpdir(), 'mayfly-kek-'));
    writeFileSync(join(folder, 'kek'), randomBytes(32).toString('base64'), { mode: 0o600 });
    lab = await startLab({ overrides: { database_url: (await postgres.freshDatabase()).url, kek: { file: join(folder, 'kek') } } });
  });
  afterAll(async () => {
    await lab.close();
    await stop?.();
  });
  const post = (path: string, headers: Record<string, string | string[]>, body: Uint8Array | string): Promise<number> => postTo(lab.mayfly.url, path, headers, body);

  test('of any bytes', async () => {
    await fc.assert(fc.asyncProperty(fc.constantFrom(...ENDPOINTS), fc.uint8Array({ maxLength: 2000 }), async (path, bytes) => { await post(path, FORM, Buffer.from(bytes)); }), { numRuns: 150 });
  });

  test('of any parameters', async () => {
    await fc.assert(fc.asyncProperty(fc.constantFrom(...ENDPOINTS), fc.array(fc.tuple(name, value), { maxLength: 12 }), async (path, pairs) => { await post(path, FORM, new URLSearchParams(pairs).toString()); }), { numRuns: 200 });
  });

  test('of any parameters beside verified evidence', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(name.filter((each) => !['grant_type', 'subject_token', 'subject_token_type'].includes(each)), value), { maxLength: 6 }), async (pairs) => {
      await post('dev/token', FORM, new URLSearchParams([['grant_type', GRANT], ['subject_token', lab.job()], ['subject_token_type', JWT_TYPE], ...pairs]).toString());
    }), { numRuns: 150 });
  });

  test('of any claims under a good signature', async () => {
    const claim = fc.constantFrom('iss', 'sub', 'aud', 'exp', 'iat', 'nbf', 'jti', 'act', 'cnf', 'repository_id', 'repository_owner_id', 'ref', 'event_name', 'run_id', 'run_attempt', 'actor', '__proto__', 'sha');
    const anything = fc.oneof(fc.jsonValue({ maxDepth: 3 }), fc.constantFrom('\u0000', '\ud800', -1, 1e300, 0.5, '', null, [], {}));
    await fc.assert(fc.asyncProperty(fc.dictionary(claim, anything, { maxKeys: 4, noNullPrototype: true }), async (claims) => {
      await post('dev/token', FORM, new URLSearchParams({ grant_type: GRANT, subject_token: lab.job(claims), subject_token_type: JWT_TYPE, audience: API }).toString());
    }), { numRuns: 150 });
  });

  test.each([{ name: 'NUL', text: 'a\u0000b' }, { name: 'half a character', text: 'a\ud800b' }, { name: 'line ends', text: 'a\r\nb\u2028' }])('of $name in a claim, and nobody who comes at the same time suffers', async ({ text }) => {
    const answers = await Promise.all(Array.from({ length: 6 }, (_, at) => lab.exchange({ subject_token: lab.job(at % 2 === 0 ? {} : { actor: text, sha: text }) })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200]);
    // Of another workload: what came before may have used up the deployer's rows of this minute.
    const denied = await lab.exchange({ subject_token: lab.job({ actor: text, repository_id: '901' }), audience: 'https://nowhere.example' });
    await lab.mayfly.restart();
    expect(await lab.mayfly.reason(denied)).toBe('target_unknown');
  });

  test('of any Authorization or DPoP header', async () => {
    const printable = fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).filter((code) => code !== 0x7f).map((code) => String.fromCharCode(code)), maxLength: 200 });
    await fc.assert(fc.asyncProperty(fc.constantFrom(...ENDPOINTS), printable, fc.constantFrom('authorization', 'dpop'), async (path, text, header) => {
      await post(path, { ...FORM, [header]: text.trim() === '' ? 'x' : text.trim() }, 'token=x');
    }), { numRuns: 150 });
  });

  test.each([
    { name: 'utf-16', type: 'application/x-www-form-urlencoded; charset=utf-16' }, { name: 'utf-7', type: 'application/x-www-form-urlencoded; charset=utf-7' },
    { name: 'nonsense', type: 'application/x-www-form-urlencoded; charset="' }, { name: 'a boundary', type: 'multipart/form-data; boundary=x' },
  ])('of a body in $name', async ({ type }) => { expect(await post('dev/token', { 'content-type': type }, 'grant_type=x')).toBe(400); });

  test.each(['gzip', 'br', 'deflate', 'nonsense'])('of a body that says it is %s and is not', async (encoding) => {
    expect(await post('dev/token', { ...FORM, 'content-encoding': encoding }, 'grant_type=x')).toBe(400);
  });

  test('of a compressed body that would grow beyond the cap', async () => {
    expect(await post('dev/token', { ...FORM, 'content-encoding': 'gzip' }, gzipSync(Buffer.alloc(10 * 1024 * 1024, 'a')))).toBe(400);
  });

  test.each([
    { name: 'two lengths', text: 'POST /dev/token HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc' },
    { name: 'a length and chunks', text: 'POST /dev/token HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n' },
    { name: 'no host', text: 'POST /dev/token HTTP/1.1\r\nContent-Length: 0\r\n\r\n' },
    { name: 'no HTTP', text: 'hello\r\n\r\n' },
  ])('of a request with $name', async ({ text }) => {
    const { port } = new URL(lab.mayfly.url);
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(port), '127.0.0.1', () => socket.write(text));
      let received = '';
      socket.on('data', (chunk) => { received += chunk.toString(); });
      socket.on('close', () => { resolve(received); });
      socket.on('error', reject);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 4\d\d /);
  });

  test('and afterwards the server serves', async () => {
    expect((await lab.exchange({ subject_token: lab.job() })).status).toBe(200);
  });
});
