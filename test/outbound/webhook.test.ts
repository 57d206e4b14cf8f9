import { createSecretKey } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { err, ok } from '../../src/core/result.ts';
import type { GuardedFetch, OutboundRequest } from '../../src/outbound/fetch.ts';
import { createPostWebhook, parseWebhookSecret, signWebhook } from '../../src/outbound/webhook.ts';

/** The vector in the libraries of Standard Webhooks 1.0. */
const VECTOR = { secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestamp: 1614265330, body: '{"test": 2432232314}', signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=' };

const keyOf = (secret: string) => parseWebhookSecret(secret) ?? createSecretKey(Buffer.alloc(32));

test('signs as everybody else does', () => {
  expect(signWebhook(keyOf(VECTOR.secret), VECTOR.id, VECTOR.timestamp, VECTOR.body)).toBe(VECTOR.signature);
  expect(signWebhook(keyOf(VECTOR.secret), VECTOR.id, VECTOR.timestamp + 1, VECTOR.body)).not.toBe(VECTOR.signature);
});

describe('a secret', () => {
  test.each([
    { name: 'in the form of Standard Webhooks', secret: VECTOR.secret },
    { name: 'with a line end', secret: `${VECTOR.secret}\n` },
    { name: 'of 64 bytes', secret: `whsec_${Buffer.from(Array.from({ length: 64 }, (_, at) => at)).toString('base64')}` },
  ])('$name is taken', ({ secret }) => {
    expect(parseWebhookSecret(secret)?.type).toBe('secret');
  });

  test.each([
    { name: 'without its mark', secret: VECTOR.secret.slice('whsec_'.length) },
    { name: 'of 23 bytes', secret: `whsec_${Buffer.from(Array.from({ length: 23 }, (_, at) => at)).toString('base64')}` },
    { name: 'of 65 bytes', secret: `whsec_${Buffer.from(Array.from({ length: 65 }, (_, at) => at)).toString('base64')}` },
    { name: 'that repeats itself', secret: `whsec_${Buffer.alloc(32, 1).toString('base64')}` },
    { name: 'of nothing', secret: 'whsec_' },
    { name: 'of words', secret: 'whsec_correct horse battery staple' },
  ])('$name is none', ({ secret }) => {
    expect(parseWebhookSecret(secret)).toBeUndefined();
  });
});

describe('a message', () => {
  const calls: { readonly url: string; readonly request: OutboundRequest }[] = [];
  const fetching = (status: number | undefined): GuardedFetch => Object.assign(
    (url: string, request: OutboundRequest) => {
      calls.push({ url, request });
      return Promise.resolve(status === undefined ? err({ reason: 'unreachable' as const, detail: 'unreachable: x' }) : ok({ status, headers: {}, body: Buffer.from('') }));
    },
    { close: () => Promise.resolve() },
  );
  const target = { url: 'https://hooks.acme.example/mayfly', key: keyOf(VECTOR.secret), allowAddresses: ['10.0.0.0/8'] };
  const post = (status: number | undefined) => createPostWebhook({ clock: { now: () => VECTOR.timestamp * 1000 + 999 }, fetch: fetching(status) })(target, { id: VECTOR.id, contentType: 'application/cloudevents+json', body: VECTOR.body }, false);

  test('goes out through the guarded fetch, signed, with its id and time', async () => {
    expect(await post(204)).toEqual(ok(204));
    expect(calls.at(-1)).toMatchObject({
      url: target.url,
      request: { method: 'POST', body: VECTOR.body, allowAddresses: ['10.0.0.0/8'], allowLoopbackHttp: false, headers: { 'content-type': 'application/cloudevents+json', 'webhook-id': VECTOR.id, 'webhook-timestamp': '1614265330', 'webhook-signature': VECTOR.signature } },
    });
  });

  test.each([{ status: 199 }, { status: 404 }, { status: 410 }, { status: 500 }, { status: undefined }])('is not delivered by an answer of $status', async ({ status }) => {
    expect(await post(status)).toMatchObject({ ok: false });
  });

  test('is delivered by any 2xx', async () => {
    for (const status of [200, 202, 299]) expect(await post(status)).toEqual(ok(status));
  });
});
