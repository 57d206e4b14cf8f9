import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Response } from 'express';
import { request } from 'undici';
import { systemClock } from '../../src/core/clock.ts';
import { systemRandom } from '../../src/core/random.ts';
import { createApp } from '../../src/http/app.ts';
import type { AppDeps } from '../../src/http/app.ts';
import { handler } from '../../src/http/route.ts';
import type { Route } from '../../src/http/route.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

const route = (path: string, handle: Route['handle'], more: Partial<Omit<Route, 'caller' | 'identify'>> = {}): Route => ({ method: 'get', path, caller: 'anyone', limit: 'address', name: 'test', body: 'none', handle, ...more });

let server: Server | undefined;
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => { if (server === undefined) resolve(undefined); else server.close(resolve); });
  server = undefined;
});

const start = async (routes: readonly Route[], more: Partial<AppDeps> = {}) => {
  const lines: string[] = [];
  const seen: string[] = [];
  const app = createApp(routes, {
    clock: systemClock, random: systemRandom, log: createLog('info', { write: (line) => { lines.push(line); } }), metrics: createMetrics(), trustedProxies: [], inFlight: 100, jsonLimit: 1000,
    limitByAddress: (key) => { seen.push(key); return undefined; }, ...more,
  });
  server = createServer(app);
  const listening = server;
  await new Promise<void>((resolve) => { listening.listen(0, '127.0.0.1', resolve); });
  const { port } = listening.address() as AddressInfo;
  const call = async (method: 'GET' | 'HEAD' | 'POST', path: string, headers: Record<string, string> = {}, body?: string | Buffer) => {
    const answer = await request(`http://127.0.0.1:${port}${path}`, { method, headers, ...(body === undefined ? {} : { body }) });
    return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
  };
  return { call, port, lines, seen };
};
const hello = route('/hello/:name', (_request, response) => { response.json({ hello: true }); });

describe('an application', () => {
  test('answers what is in its table, with an id of its own for each request', async () => {
    const { call } = await start([hello]);
    const [one, two] = [await call('GET', '/hello/x', { 'x-request-id': 'mine' }), await call('HEAD', '/hello/x')];
    expect([one.status, two.status, two.text]).toEqual([200, 200, '']);
    expect(one.headers['x-request-id']).toMatch(/^req_[0-9a-f]{32}$/);
    expect(two.headers['x-request-id']).not.toBe(one.headers['x-request-id']);
    expect(one.headers['x-powered-by']).toBeUndefined();
  });

  test.each([
    { name: 'an unknown path', method: 'GET' as const, path: '/nowhere', status: 404 },
    { name: 'another method', method: 'POST' as const, path: '/hello/x', status: 405 },
    { name: 'a path that is no UTF-8', method: 'GET' as const, path: '/hello/%E0%A4%A', status: 400 },
    { name: 'other letters', method: 'GET' as const, path: '/HELLO/x', status: 404 },
  ])('refuses $name with $status and no inner matter', async ({ method, path, status }) => {
    const { call } = await start([hello]);
    const answer = await call(method, path);
    expect(answer.status).toBe(status);
    expect(answer.text).not.toMatch(/node_modules|\bat \w|Error:/);
    if (status === 405) expect(answer.headers['allow']).toBe('GET');
    expect(answer.headers['x-request-id']).toBeDefined();
  });

  test('tells a fault in the log alone', async () => {
    const { call, lines } = await start([route('/fault', handler(() => { throw new Error('the inner matter'); }))]);
    const answer = await call('GET', '/fault');
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('inner matter');
    expect(lines.join('')).toContain('the inner matter');
    expect(JSON.parse(answer.text)).toMatchObject({ error: 'server_error', request_id: answer.headers['x-request-id'] });
  });

  test.each([
    { name: 'too large', body: `{"a":"${'x'.repeat(2000)}"}`, type: 'application/json', status: 413 },
    { name: 'no JSON', body: '{', type: 'application/json', status: 400 },
    { name: 'in an unknown charset', body: '{}', type: 'application/json; charset=nonsense', status: 400 },
    { name: 'packed', body: gzipSync('{}'), type: 'application/json', encoding: 'gzip', status: 400 },
  ])('refuses a body that is $name', async ({ body, type, encoding = 'identity', status }) => {
    const { call } = await start([route('/body', (_request, response) => { response.json({}); }, { method: 'post', body: 'json' })]);
    expect((await call('POST', '/body', { 'content-type': type, 'content-encoding': encoding }, body)).status).toBe(status);
    expect((await call('POST', '/body', { 'content-type': 'application/json' }, '{}')).status).toBe(200);
  });

  test('says how long to wait when an address asks too often', async () => {
    const { call } = await start([hello], { limitByAddress: () => 7 });
    expect(await call('GET', '/hello/x')).toMatchObject({ status: 429, headers: { 'retry-after': '7' } });
  });
});

describe('a route that asks who calls', () => {
  const asked: string[] = [];
  const guarded = (identify: (response: Response) => Promise<boolean>): Route => ({
    method: 'post', path: '/guarded', caller: 'admin', limit: 'address', name: 'guarded', body: 'json',
    identify: (incoming, response) => {
      asked.push(`${incoming.method} ${String(incoming.body)}`);
      return identify(response);
    },
    handle: (incoming, response) => { response.json(incoming.body); },
  });
  const stranger = guarded((response) => {
    response.status(401).json({});
    return Promise.resolve(false);
  });
  const json = { 'content-type': 'application/json' };
  beforeEach(() => { asked.length = 0; });

  test('does so before the body is read, and reads it for whom it knows alone', async () => {
    const { call } = await start([stranger]);
    expect((await call('POST', '/guarded', json, '{')).status).toBe(401);
    expect((await call('POST', '/guarded', json, `"${'x'.repeat(2000)}"`)).status).toBe(401);
    expect(asked).toEqual(['POST undefined', 'POST undefined']);
  });

  test('reads the body of whom it knows', async () => {
    const { call } = await start([guarded(() => Promise.resolve(true))]);
    expect(await call('POST', '/guarded', json, '{"a":1}')).toMatchObject({ status: 200, text: '{"a":1}' });
    expect((await call('POST', '/guarded', json, '{')).status).toBe(400);
    expect((await call('POST', '/guarded', json, `"${'x'.repeat(2000)}"`)).status).toBe(413);
  });

  test('asks nothing of an address that asks too often', async () => {
    const { call } = await start([stranger], { limitByAddress: () => 7 });
    expect((await call('POST', '/guarded', json, '{')).status).toBe(429);
    expect(asked).toEqual([]);
  });

  test('lets nobody in when it cannot be told who calls', async () => {
    const { call, lines } = await start([guarded(() => Promise.reject(new Error('the inner matter')))]);
    const answer = await call('POST', '/guarded', json, '{"a":1}');
    expect([answer.status, answer.text.includes('inner matter'), lines.join('').includes('inner matter')]).toEqual([500, false, true]);
  });

  test('keeps a place while it asks, though the caller went away, and does not go on then', async () => {
    const [begun, gone, known] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>(), Promise.withResolvers<boolean>()];
    let handled = 0;
    const slow = guarded((response) => {
      response.once('close', () => { gone.resolve(undefined); });
      begun.resolve(undefined);
      return known.promise;
    });
    const { call, port } = await start([{ ...slow, handle: () => { handled += 1; } }, hello], { inFlight: 1 });
    const socket = connect(port, '127.0.0.1');
    socket.write('POST /guarded HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}');
    await begun.promise;
    socket.destroy();
    await gone.promise;
    expect((await call('GET', '/hello/x')).status).toBe(503);
    known.resolve(true);
    await known.promise;
    expect((await call('GET', '/hello/x')).status).toBe(200);
    expect(handled).toBe(0);
  });
});

describe('the address that counts', () => {
  const FORGED = { 'x-forwarded-for': '203.0.113.9' };
  test('is the peer\'s where no proxy is trusted, whatever it says', async () => {
    const { call, seen } = await start([hello]);
    await call('GET', '/hello/x', FORGED);
    expect(seen).toEqual(['127.0.0.1']);
  });

  test('is what a trusted proxy added last, not what its caller wrote before', async () => {
    const { call, seen } = await start([hello], { trustedProxies: ['127.0.0.0/8'] });
    await call('GET', '/hello/x', FORGED);
    await call('GET', '/hello/x', { 'x-forwarded-for': '198.51.100.1, 203.0.113.9' });
    expect(seen).toEqual(['203.0.113.9', '203.0.113.9']);
  });

  test('is the peer\'s where other proxies are trusted', async () => {
    const { call, seen } = await start([hello], { trustedProxies: ['10.0.0.0/8'] });
    await call('GET', '/hello/x', FORGED);
    expect(seen).toEqual(['127.0.0.1']);
  });
});

describe('requests in flight', () => {
  const gated = () => {
    const began: (() => void)[] = [];
    let open = (): void => undefined;
    const gate = new Promise<void>((resolve) => { open = resolve; });
    const begun = new Promise<void>((resolve) => { began.push(resolve); });
    let handled = (): void => undefined;
    const done = new Promise<void>((resolve) => { handled = resolve; });
    const slow = route('/slow', handler(async (_request, response) => {
      began.forEach((tell) => { tell(); });
      await gate;
      response.json({});
      handled();
    }));
    return { slow, begun, open: () => { open(); }, done };
  };

  test('are bounded: one more is told to wait', async () => {
    const { slow, begun, open } = gated();
    const { call } = await start([slow, hello], { inFlight: 1 });
    const first = call('GET', '/slow');
    await begun;
    expect(await call('GET', '/hello/x')).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    open();
    expect((await first).status).toBe(200);
    expect((await call('GET', '/hello/x')).status).toBe(200);
  });

  test('keep their place while their work goes on, though the caller went away', async () => {
    const { slow, begun, open, done } = gated();
    const gone = Promise.withResolvers<undefined>();
    const watched: Route = { ...slow, handle: (incoming, response, next) => {
      response.once('close', () => { gone.resolve(undefined); });
      return slow.handle(incoming, response, next);
    } };
    const { call, port } = await start([watched, hello], { inFlight: 1 });
    const socket = connect(port, '127.0.0.1');
    socket.write('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
    await begun;
    socket.destroy();
    await gone.promise;
    expect((await call('GET', '/hello/x')).status).toBe(503);
    open();
    await done;
    expect((await call('GET', '/hello/x')).status).toBe(200);
  });
});
