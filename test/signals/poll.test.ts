import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { DecisionId } from '../../src/core/ids.ts';
import { refusal } from '../../src/core/refusal.ts';
import type { RefusalCode } from '../../src/core/refusal.ts';
import { err, ok } from '../../src/core/result.ts';
import { createGuardedFetch } from '../../src/outbound/fetch.ts';
import type { GuardedFetch } from '../../src/outbound/fetch.ts';
import { createPoll } from '../../src/signals/poll.ts';
import type { PollDeps, Polled } from '../../src/signals/poll.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { startTransmitter } from '../support/foreign-transmitter.ts';
import type { ForeignTransmitter, PollMode } from '../support/foreign-transmitter.ts';
import { makeSignalling, viewNamed } from './world.ts';

let tx: ForeignTransmitter;
let fetch: GuardedFetch;
beforeAll(() => { fetch = createGuardedFetch(); });
afterAll(async () => { await fetch.close(); });
beforeEach(async () => { tx = await startTransmitter(); });
afterEach(async () => { await tx.close(); });

/** A poller whose tokens are texts that say what becomes of them: `ok`, a refusal's code, or `down`. */
const makePoll = (more: Partial<PollDeps> = {}) => {
  const seen: (readonly [token: string, jti: string | undefined])[] = [];
  const poll = createPoll({
    fetch, timeoutMs: 20_000, secretOf: () => Promise.resolve('Bearer agreed'),
    receive: (token, _issuer, _view, jti) => {
      seen.push([token, jti]);
      if (token === 'down') return Promise.reject(new StoreUnavailable('down'));
      return Promise.resolve(token === 'ok' ? ok({ jti: jti ?? '', event: 'session-revoked', outcome: 'ended' }) : err({ refusal: refusal(token === '' ? 'set_malformed' : token as RefusalCode, 'as told'), decisionId: 'dec_1' as DecisionId }));
    },
    ...more,
  });
  return { poll, seen };
};
const polled = (more: object = {}, development = true): Polled => ({ issuer: makeSignalling({ poll: { endpoint: tx.pollUrl, every: 10_000 }, authorized: true, ...more }), endpoint: tx.pollUrl, view: viewNamed('dev'), development });

describe('a poll', () => {
  test('fetches until nothing is left, and acknowledges each token with the request after its effect', async () => {
    tx.offer({ a: 'ok', b: 'ok', c: 'ok' });
    const { poll, seen } = makePoll();
    expect(await poll(polled(), 2)).toEqual(ok({ taken: 3, refused: 0 }));
    expect(seen).toEqual([['ok', 'a'], ['ok', 'b'], ['ok', 'c']]);
    expect(tx.polls.map(({ body }) => body)).toEqual([
      { maxEvents: 2, returnImmediately: true }, { maxEvents: 2, returnImmediately: true, ack: ['a', 'b'] }, { maxEvents: 2, returnImmediately: true, ack: ['c'] },
    ]);
    expect(tx.queue.size).toBe(0);
  });

  test('tells what was refused and why, by name, and goes on with the rest', async () => {
    tx.offer({ a: 'ok', bad: 'set_audience_wrong', none: 7, ['__proto__']: 'set_issuer_wrong', z: 'ok' });
    expect(await makePoll().poll(polled(), 50)).toEqual(ok({ taken: 2, refused: 3 }));
    expect(tx.polls.at(-1)?.body['ack']).toEqual(['a', 'z']);
    expect([...tx.errors].map(([jti, error]) => [jti, (error as { err: string }).err])).toEqual([['bad', 'invalid_audience'], ['none', 'invalid_request'], ['__proto__', 'invalid_issuer']]);
    expect(tx.queue.size).toBe(0);
  });

  test('stops at what only a later try can settle, having told of what came before, and neither gives it up nor takes it', async () => {
    tx.offer({ a: 'ok', b: 'set_keys_unavailable', c: 'ok' });
    const { poll, seen } = makePoll();
    expect(await poll(polled(), 50)).toMatchObject({ ok: false, error: { why: expect.stringContaining('set_keys_unavailable') } });
    expect(seen).toHaveLength(2);
    expect(tx.polls.map(({ body }) => body)).toEqual([{ maxEvents: 50, returnImmediately: true }, { maxEvents: 0, returnImmediately: true, ack: ['a'] }]);
    expect([...tx.queue.keys()]).toEqual(['b', 'c']);
  });

  test('acknowledges nothing whose effect the database did not confirm', async () => {
    tx.offer({ a: 'ok', b: 'down' });
    await expect(makePoll().poll(polled(), 50)).rejects.toThrow(StoreUnavailable);
    expect([...tx.queue.keys()]).toEqual(['a', 'b']);
  });

  test('asks ten times a turn at most, and leaves nothing that was taken unacknowledged', async () => {
    tx.offer(Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`t${n}`, 'ok'])));
    expect(await makePoll().poll(polled(), 1)).toEqual(ok({ taken: 9, refused: 0 }));
    expect(tx.polls).toHaveLength(10);
    expect(tx.polls.at(-1)?.body).toMatchObject({ maxEvents: 0, ack: ['t8'] });
    expect(tx.queue.size).toBe(21);
  });

  test('takes what it is given though it is more than it asked for', async () => {
    tx.offer({ a: 'ok', b: 'ok', c: 'ok' });
    tx.answer('too-many');
    expect(await makePoll().poll(polled(), 1)).toEqual(ok({ taken: 3, refused: 0 }));
  });

  test.each<{ readonly mode: PollMode; readonly why: string; readonly tooLarge?: boolean }>([
    { mode: 'hang', why: 'timed_out' }, { mode: 'huge', why: 'too_large', tooLarge: true }, { mode: 'not-json', why: 'no poll response' }, { mode: 'array', why: 'no poll response' },
    { mode: 'error', why: 'http 500' }, { mode: 'forbidden', why: 'http 403' }, { mode: 'redirect', why: 'redirected' },
  ])('of a transmitter that answers $mode fails and takes nothing; once it answers, all is fetched', async ({ mode, why, tooLarge = false }) => {
    tx.offer({ a: 'ok' });
    tx.answer(mode);
    const { poll, seen } = makePoll(mode === 'hang' ? { timeoutMs: 300 } : {});
    expect(await poll(polled(), 50)).toEqual(err({ why: expect.stringContaining(why), tooLarge }));
    expect(seen).toEqual([]);
    tx.answer('normal');
    expect(await poll(polled(), 50)).toEqual(ok({ taken: 1, refused: 0 }));
  });

  test('carries the secret of its issuer, and is not made without one', async () => {
    const asked: string[] = [];
    const secretOf = (domain: string, issuer: string): Promise<string> => { asked.push(`${domain}/${issuer}`); return Promise.resolve('Bearer agreed'); };
    await makePoll({ secretOf }).poll(polled(), 1);
    expect([asked, tx.polls.map(({ authorization }) => authorization)]).toEqual([['dev/corp'], ['Bearer agreed']]);
    expect(await makePoll({ secretOf: () => Promise.resolve(undefined) }).poll(polled(), 1)).toMatchObject({ ok: false, error: { why: 'no secret is configured for dev/corp' } });
    expect(tx.polls).toHaveLength(1);
    await makePoll({ secretOf }).poll(polled({ authorized: false }), 1);
    expect(tx.polls.at(-1)?.authorization).toBeUndefined();
  });

  test('goes through the guarded fetch: plain http only in development, private addresses only where they are allowed', async () => {
    expect(await makePoll().poll(polled({}, false), 1)).toMatchObject({ ok: false, error: { why: expect.stringContaining('url_not_https') } });
    expect(await makePoll().poll({ ...polled(), endpoint: 'https://127.0.0.1:9/poll' }, 1)).toMatchObject({ ok: false, error: { why: expect.stringContaining('address_not_public') } });
    expect(await makePoll().poll({ ...polled(), endpoint: 'https://169.254.169.254/poll' }, 1)).toMatchObject({ ok: false, error: { why: expect.stringContaining('address_metadata') } });
    expect(tx.polls).toEqual([]);
  });
});
