import type { RequestListener } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createGuardedFetch } from '../../src/outbound/fetch.ts';
import type { GuardedFetch } from '../../src/outbound/fetch.ts';
import { createPush } from '../../src/signals/push.ts';
import type { PushRequest } from '../../src/signals/push.ts';
import { listen } from '../support/listen.ts';
import type { Listening } from '../support/listen.ts';

let send: GuardedFetch;
let receiver: Listening;
let handle: RequestListener;
const heard: { method?: string | undefined; headers?: object; body: string }[] = [];
beforeAll(async () => {
  send = createGuardedFetch();
  receiver = await listen((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      heard.push({ method: request.method, headers: request.headers, body: Buffer.concat(chunks).toString() });
      handle(request, response);
    });
  });
});
afterAll(async () => {
  await send.close();
  await receiver.close();
});

const push = (change: Partial<PushRequest> = {}) => createPush(send)({ url: `http://127.0.0.1:${receiver.port}/events`, set: 'a.b.c', authorization: undefined, allowAddresses: [], allowLoopbackHttp: true, timeoutMs: 5000, ...change });
const answering = (status: number, body?: unknown, headers: Record<string, string> = {}): RequestListener => (_request, response) => { response.writeHead(status, headers).end(body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)); };

test('a push is one POST of the SET, as RFC 8935 section 2.1 has it', async () => {
  handle = answering(202);
  expect(await push({ authorization: 'Bearer s3cret' })).toEqual({ kind: 'delivered' });
  expect(heard.at(-1)).toMatchObject({ method: 'POST', body: 'a.b.c', headers: { 'content-type': 'application/secevent+jwt', accept: 'application/json', authorization: 'Bearer s3cret' } });
  await push();
  expect(heard.at(-1)?.headers).not.toHaveProperty('authorization');
});

describe('only 202 delivers', () => {
  test.each([
    { name: '200', handle: answering(200), pushed: { kind: 'failed', reason: 'http_200' } },
    { name: '204', handle: answering(204), pushed: { kind: 'failed', reason: 'http_204' } },
    { name: '201 with a SET in it', handle: answering(201, 'a.b.c'), pushed: { kind: 'failed', reason: 'http_201' } },
    { name: '302 to a place that would take it', handle: answering(302, undefined, { location: '/other' }), pushed: { kind: 'failed', reason: 'redirected' } },
    { name: '401', handle: answering(401, { err: 'authentication_failed' }), pushed: { kind: 'failed', reason: 'http_401' } },
    { name: '429', handle: answering(429), pushed: { kind: 'failed', reason: 'http_429' } },
    { name: '503', handle: answering(503), pushed: { kind: 'failed', reason: 'http_503' } },
    { name: '400 without an error', handle: answering(400), pushed: { kind: 'failed', reason: 'http_400' } },
    { name: '400 with what is no JSON', handle: answering(400, '<html>'), pushed: { kind: 'failed', reason: 'http_400' } },
    { name: '400 with an error that is no text', handle: answering(400, { err: 7 }), pushed: { kind: 'failed', reason: 'http_400' } },
    { name: '400 with an error of RFC 8935', handle: answering(400, { err: 'invalid_audience', description: 'not us' }), pushed: { kind: 'refused', error: 'invalid_audience' } },
    { name: '400 with an error nobody defined', handle: answering(400, { err: 'metric{x="y"}', description: 'x'.repeat(1000) }), pushed: { kind: 'refused', error: 'other' } },
    { name: 'more than an error body may have', handle: answering(202, 'x'.repeat(20_000)), pushed: { kind: 'failed', reason: 'too_large' } },
    { name: 'a connection cut', handle: ((_request, response) => { response.destroy(); }), pushed: { kind: 'failed', reason: 'unreachable' } },
  ])('$name', async ({ handle: given, pushed }) => {
    handle = given;
    expect(await push()).toEqual(pushed);
  });

  test('a receiver that hangs is cut', async () => {
    handle = () => undefined;
    expect(await push({ timeoutMs: 50 })).toEqual({ kind: 'failed', reason: 'timed_out' });
  });
});

describe('nothing is sent', () => {
  test.each([
    { name: 'by plain http outside development', change: { allowLoopbackHttp: false }, reason: 'url_not_https' },
    { name: 'by https to this host', change: { url: 'https://127.0.0.1:1/' }, reason: 'address_not_public' },
    { name: 'to a private address', change: { url: 'https://10.0.0.1/' }, reason: 'address_not_public' },
    { name: 'to a metadata service', change: { url: 'https://169.254.169.254/latest' }, reason: 'address_metadata' },
    { name: 'to a metadata service although somebody allowed it', change: { url: 'https://169.254.169.254/latest', allowAddresses: ['169.254.0.0/16'] }, reason: 'address_metadata' },
  ])('$name', async ({ change, reason }) => { expect(await push(change)).toEqual({ kind: 'failed', reason }); });
});
