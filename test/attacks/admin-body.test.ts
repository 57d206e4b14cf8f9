import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { startForeignIssuer } from '../support/foreign-issuer.ts';
import type { ForeignIssuer } from '../support/foreign-issuer.ts';
import { freePort } from '../../demo/free-port.ts';
import { read, startMayfly } from '../support/mayfly.ts';
import type { Answer, Mayfly } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { until } from '../flows/lab.ts';

const IN_FLIGHT = 2;
const MIB = 1024 * 1024;
const EXPECT = 'Expect: 100-continue\r\n';
const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n';

let mayfly: Mayfly;
let staff: ForeignIssuer;
let port: number;
const sockets: Socket[] = [];
beforeAll(async () => {
  staff = await startForeignIssuer();
  port = await freePort();
  mayfly = await startMayfly({ overrides: { admin: { listen: `127.0.0.1:${port}` }, limits: { per_address: 100_000, per_workload: 100_000, in_flight: IN_FLIGHT } } });
  await mayfly.apply({
    issuers: [{ domain: 'system', name: 'staff', kind: 'oidc', proves: 'admins', issuer: staff.issuer, jwks: staff.jwks(), owner: OWNER, expires: FAR }],
    policies: [{ domain: 'system', name: 'staff-administers', cedar: 'permit(principal, action in Action::"admin", resource);', owner: OWNER, expires: FAR, accept: [{ rule: 'permit-open', reason: 'a test', until: FAR }] }],
  });
});
afterEach(() => { for (const socket of sockets.splice(0)) socket.destroy(); });
afterAll(async () => {
  await mayfly.close();
  await staff.close();
});

const login = (claims: object = {}): string => `Bearer ${staff.mint({ sub: 'ada', aud: `${mayfly.url}/system/admin`, ...claims })}`;
const send = async (authorization: string | undefined, body: string, type = 'application/json'): Promise<Answer> =>
  read(await request(`http://127.0.0.1:${port}/admin/v1/apply`, { method: 'POST', headers: { ...(authorization === undefined ? {} : { authorization }), 'content-type': type }, body }));
const list = async (): Promise<number> => (await read(await request(`http://127.0.0.1:${port}/admin/v1/domains`, { headers: { authorization: login() } }))).status;

/** Begins a body and does not end it; `heard`: with {@link EXPECT}, the server has the request before it; `status`: what is answered meanwhile. */
const begin = (authorization: string | undefined, expecting = ''): { readonly heard: Promise<void>; readonly status: Promise<string>; readonly end: () => void } => {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  const heard = Promise.withResolvers<undefined>();
  const status = new Promise<string>((resolve, reject) => {
    let said = '';
    socket.once('error', reject);
    socket.on('data', (data) => {
      said += String(data);
      if (said.startsWith(CONTINUE)) heard.resolve(undefined);
      const line = /^(?:HTTP\/1\.1 100 Continue\r\n\r\n)?(HTTP\/1\.1 (?!100)[^\r]*)\r\n/.exec(said)?.[1];
      if (line !== undefined) resolve(line);
    });
  });
  const credential = authorization === undefined ? '' : `Authorization: ${authorization}\r\n`;
  socket.write(`POST /admin/v1/apply HTTP/1.1\r\nHost: mayfly\r\n${credential}${expecting}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n{"manifest":{},"dry_\r\n`);
  return { heard: heard.promise, status, end: () => { socket.write('a\r\nrun":true}\r\n0\r\n\r\n'); } };
};

const STRANGERS = [
  { who: 'nobody', authorization: () => undefined },
  { who: 'somebody with rubbish', authorization: () => 'Bearer x' },
  { who: 'an admin of yesterday', authorization: () => login({ iat: 1_000_000_000, exp: 1_000_000_300 }) },
  { who: 'an admin of something else', authorization: () => login({ aud: 'https://wiki.acme.example' }) },
];
/** What an admin is told of it: the status a body has that was read. */
const BODIES = [
  { name: 'a body that is no JSON', body: '{', status: 400 },
  { name: 'four megabytes that are no JSON', body: '['.repeat(4 * MIB), status: 400 },
  { name: 'more than anybody may send', body: `${' '.repeat(33 * MIB)}{}`, status: 413 },
  { name: 'a charset that does not exist', body: '{}', type: 'application/json; charset=nonsense', status: 400 },
  { name: 'a manifest as large as over the socket', body: `{"manifest":{},"dry_run":true${' '.repeat(31 * MIB)}}`, status: 200 },
];

describe('the admin listener', () => {
  describe.each(STRANGERS)('tells $who who he is not', ({ authorization }) => {
    test.each(BODIES)('before it reads $name', async ({ body, type }) => {
      const { status, body: { code } } = await send(authorization(), body, type);
      expect([status, code]).toEqual([401, 'admin_unauthenticated']);
    });
  });

  test.each(BODIES)('answers an admin who sends $name with $status', async ({ body, type, status }) => {
    expect((await send(login(), body, type)).status).toBe(status);
  });

  test.each(STRANGERS)('answers $who at once whose body never ends, and keeps no place for him', async ({ authorization }) => {
    const begun = Array.from({ length: 3 * IN_FLIGHT }, () => begin(authorization()));
    const answers = await Promise.all(begun.map(({ status }) => status));
    // Those that found no place are told that; none waits.
    expect(answers.filter((answer) => !/^HTTP\/1\.1 (?:401|503) /.test(answer))).toEqual([]);
    expect(answers).toContain('HTTP/1.1 401 Unauthorized');
    await until(async () => (await list()) === 200);
    expect(await Promise.all(Array.from({ length: IN_FLIGHT }, list))).toEqual(Array.from({ length: IN_FLIGHT }, () => 200));
  });

  test('keeps a place for each admin whose body still comes, and no more than there are', async () => {
    const begun = Array.from({ length: IN_FLIGHT }, () => begin(login(), EXPECT));
    await Promise.all(begun.map(({ heard }) => heard));
    expect(await list()).toBe(503);
    expect((await send(undefined, '{')).status).toBe(503);
    for (const { end } of begun) end();
    expect(await Promise.all(begun.map(({ status }) => status))).toEqual(begun.map(() => 'HTTP/1.1 200 OK'));
    await until(async () => (await list()) === 200);
  });
});

test('over the socket bodies are read as ever: whoever opened it is an admin', async () => {
  const socketPath = mayfly.server.adminSocket.slice('unix://'.length);
  const post = (body: string): Promise<string> => new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    sockets.push(socket);
    socket.once('error', reject);
    socket.once('data', (data) => { resolve(String(data).split('\r\n', 1)[0] ?? ''); });
    socket.write(`POST /admin/v1/apply HTTP/1.1\r\nHost: mayfly\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
  });
  expect(await post('{')).toBe('HTTP/1.1 400 Bad Request');
  expect(await post(`{"manifest":{},"dry_run":true${' '.repeat(31 * MIB)}}`)).toBe('HTTP/1.1 200 OK');
});
