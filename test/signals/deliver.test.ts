import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { MINUTE } from '../../src/core/duration.ts';
import type { KeyRing } from '../../src/keys/key-ring.ts';
import type { KeyEncryption } from '../../src/keys/kek.ts';
import { createDeliver } from '../../src/signals/deliver.ts';
import type { Push, Pushed, PushRequest } from '../../src/signals/push.ts';
import { authorizationContext } from '../../src/signals/secret.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { makeEncryption, makeRing, START } from '../keys/make-ring.ts';
import { createOutbox, makeStream, streamId } from './outbox.ts';
import type { Outbox } from './outbox.ts';

const [A, B] = [streamId('a'), streamId('b')];
let ring: KeyRing;
beforeAll(async () => { ({ ring } = await makeRing([{ purpose: 'set' }])); });

let outbox: Outbox;
let now: number;
let sent: { readonly url: string; readonly n: number; readonly authorization: string | undefined; readonly allowLoopbackHttp: boolean }[];
let answer: (request: PushRequest) => Pushed | Promise<Pushed>;
let told: string[];
let encryption: KeyEncryption;
beforeEach(() => {
  outbox = createOutbox(makeStream({ id: A, endpointUrl: 'https://a.example/' }), makeStream({ id: B, endpointUrl: 'https://b.example/' }));
  now = START;
  sent = [];
  told = [];
  answer = () => ({ kind: 'delivered' });
  encryption = makeEncryption();
});

const start = (stage: 'development' | 'production' = 'production') => {
  const push: Push = (request) => {
    sent.push({ url: request.url, n: Number(String(decodeJwt(request.set).jti).split('-')[1]), authorization: request.authorization, allowLoopbackHttp: request.allowLoopbackHttp });
    return Promise.resolve(answer(request));
  };
  const deliver = createDeliver({
    clock: { now: () => now }, random: { bytes: (count) => new Uint8Array(count) }, store: outbox.store, push, encryption, allowAddresses: [], log: silentLog,
    viewOf: () => ({ domain: { issuer: 'https://sts.acme.example/dev', name: 'dev', stage }, ring }) as never,
    metrics: {
      queue: () => undefined, heldUp: () => undefined, gone: () => undefined, lost: () => undefined,
      delivered: (stream, count) => { told.push(`delivered ${stream.id} ${count}`); }, failure: (_stream, reason) => { told.push(`failure ${reason}`); }, paused: (_stream, reason) => { told.push(`paused ${reason}`); },
    },
  });
  const turn = async (fence = 1): Promise<void> => {
    deliver.begin(outbox.all(), { name: 'signals', fence, now });
    await deliver.settled();
  };
  return { deliver, turn };
};
const of = (url: string): number[] => sent.filter((each) => each.url === url).map(({ n }) => n);

describe('events', () => {
  test('leave in their order, each once, and however many there are', async () => {
    outbox.add(A, 120);
    outbox.add(B, 1);
    const { turn } = start();
    await turn();
    await turn();
    expect(of('https://a.example/')).toEqual(Array.from({ length: 120 }, (_, index) => index + 1));
    expect(of('https://b.example/')).toEqual([1]);
    expect(outbox.streams.get(A)?.pending).toBe(0);
    expect(told.reduce((sum, line) => sum + Number(line.split(' ')[2]), 0)).toBe(121);
  });

  test('wait behind one that fails, while other streams go on', async () => {
    outbox.add(A, 3);
    outbox.add(B, 2);
    answer = ({ url, set }) => (url.includes('a.example') && String(decodeJwt(set).jti).endsWith('-2') ? { kind: 'failed', reason: 'http_500' } : { kind: 'delivered' });
    const { turn } = start();
    await turn();
    await turn();
    expect(of('https://a.example/')).toEqual([1, 2]);
    expect(of('https://b.example/')).toEqual([1, 2]);
    answer = () => ({ kind: 'delivered' });
    now += 5 * MINUTE;
    await turn();
    expect(of('https://a.example/')).toEqual([1, 2, 2, 3]);
  });

  test('are tried again after longer and longer, up to a limit, and after a success at once', async () => {
    outbox.add(A, 1);
    answer = () => ({ kind: 'failed', reason: 'unreachable' });
    const { turn } = start();
    const pauses: number[] = [];
    for (let tries = 0, last = now; sent.length < 12; tries += 1) {
      const before = sent.length;
      await turn();
      if (sent.length > before) {
        pauses.push(now - last);
        last = now;
      }
      now += 500;
    }
    // Without chance half of 1 s, 2 s, 4 s, ... 5 minutes.
    expect(pauses.slice(1)).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 150_000, 150_000]);
    answer = () => ({ kind: 'delivered' });
    now += 150_000;
    await turn();
    outbox.add(A, 1);
    await turn();
    expect(sent.slice(-2).map(({ n }) => n)).toEqual([1, 2]);
    expect(told.filter((line) => line === 'failure unreachable')).toHaveLength(12);
  });

  test('of a receiver that hangs hold up no other, and one delivery of a stream is under way at a time', async () => {
    outbox.add(A, 1);
    outbox.add(B, 1);
    let release: (pushed: Pushed) => void = () => undefined;
    answer = ({ url }) => (url.includes('a.example') ? new Promise((resolve) => { release = resolve; }) : { kind: 'delivered' });
    const { deliver } = start();
    for (let turns = 0; turns < 3; turns += 1) {
      outbox.add(B, 1);
      deliver.begin(outbox.all(), { name: 'signals', fence: 1, now });
      while (outbox.streams.get(B)?.pending !== 0) await new Promise((resolve) => { setImmediate(resolve); });
    }
    expect(of('https://a.example/')).toEqual([1]);
    expect(of('https://b.example/')).toEqual([1, 2, 3, 4]);
    release({ kind: 'failed', reason: 'timed_out' });
    await deliver.settled();
    expect(outbox.streams.get(A)?.pending).toBe(1);
  });

  test('are not marked by a process that lost the job, so another sends them', async () => {
    outbox.add(A, 2);
    answer = () => { outbox.loseFence(); return { kind: 'delivered' }; };
    await start().turn(1);
    expect(outbox.streams.get(A)?.pending).toBe(2);
    expect(told).toEqual([]);
  });
});

describe('a receiver that refuses', () => {
  test('an event five times in a row gets nothing more until it is enabled, and a word that it is paused', async () => {
    outbox.add(A, 2);
    answer = ({ set }) => ('https://e.example/x' in (decodeJwt(set)['events'] as object) ? { kind: 'refused', error: 'invalid_audience' } : { kind: 'delivered' });
    const { turn } = start();
    for (let turns = 0; turns < 20; turns += 1) {
      await turn();
      now += 5 * MINUTE;
    }
    expect(of('https://a.example/')).toEqual([1, 1, 1, 1, 1, 3]);
    expect(told.filter((line) => line.startsWith('paused'))).toEqual(['paused the receiver refuses an event: invalid_audience']);
    expect(outbox.streams.get(A)).toMatchObject({ status: 'paused', pending: 2, overflowed: false });
    answer = () => ({ kind: 'delivered' });
    outbox.put(A, { status: 'enabled', notice: null, version: 3 });
    await turn();
    expect(of('https://a.example/').slice(-2)).toEqual([1, 2]);
    expect(outbox.streams.get(A)?.pending).toBe(0);
  });

  test('now and then is asked again: what fails otherwise in between starts the count anew', async () => {
    outbox.add(A, 1);
    let turns = 0;
    answer = () => ((turns += 1) % 5 === 0 ? { kind: 'failed', reason: 'http_500' } : { kind: 'refused', error: 'other' });
    const { turn } = start();
    for (let each = 0; each < 20; each += 1) {
      await turn();
      now += 5 * MINUTE;
    }
    expect(outbox.streams.get(A)?.status).toBe('enabled');
    expect(sent).toHaveLength(20);
  });
});

describe('what a stream says', () => {
  test('a stream paused by its receiver, one disabled, one that is polled: nothing leaves', async () => {
    outbox.add(A, 1);
    outbox.add(B, 1);
    const { turn } = start();
    for (const change of [{ status: 'paused' }, { status: 'disabled' }, { method: 'poll' }] as const) {
      outbox.put(A, { status: 'enabled', method: 'push', ...change });
      outbox.put(B, { status: 'paused' });
      await turn();
    }
    expect(sent).toEqual([]);
  });

  test('a configuration that changed while events leave holds for the next of them', async () => {
    outbox.add(A, 3);
    answer = () => {
      if (sent.length === 1) outbox.put(A, { endpointUrl: 'https://new.example/', version: 2 });
      return { kind: 'delivered' };
    };
    await start().turn();
    expect(sent.map(({ url, n }) => [url, n])).toEqual([['https://a.example/', 1], ['https://new.example/', 2], ['https://new.example/', 3]]);
  });

  test('a stream that was deleted while events leave gets no more', async () => {
    outbox.add(A, 3);
    answer = () => { outbox.streams.delete(A); return { kind: 'delivered' }; };
    await start().turn();
    expect(sent).toHaveLength(1);
  });

  test('its authorization is sent as it was given, and to the endpoint it was given with alone', async () => {
    const { sealed, kekId } = encryption.seal(Buffer.from('Bearer s3cret'), authorizationContext({ id: A, endpointUrl: 'https://a.example/' }));
    outbox.put(A, { authorization: sealed, authorizationKekId: kekId });
    outbox.add(A, 1);
    const { turn } = start();
    await turn();
    expect(sent).toEqual([expect.objectContaining({ authorization: 'Bearer s3cret' })]);
    // As somebody with the database at hand would have it.
    outbox.put(A, { endpointUrl: 'https://thief.example/', version: 2 });
    outbox.add(A, 1);
    await turn();
    expect(sent).toHaveLength(1);
    expect(outbox.streams.get(A)?.pending).toBe(1);
  });

  test.each([{ stage: 'development', loopback: true }, { stage: 'production', loopback: false }] as const)('plain http to loopback is for development: $stage', async ({ stage, loopback }) => {
    outbox.add(A, 1);
    await start(stage).turn();
    expect(sent).toEqual([expect.objectContaining({ allowLoopbackHttp: loopback })]);
  });
});

test('a transmitter that stops finishes the event under way, marks it, and sends no more', async () => {
  outbox.add(A, 5);
  const { deliver } = start();
  let stopping: Promise<void> | undefined;
  answer = () => { stopping ??= deliver.stop(); return { kind: 'delivered' }; };
  deliver.begin(outbox.all(), { name: 'signals', fence: 1, now });
  await deliver.settled();
  await stopping;
  expect(sent).toHaveLength(1);
  expect(outbox.streams.get(A)?.pending).toBe(4);
});
