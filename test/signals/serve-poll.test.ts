import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { SECOND } from '../../src/core/duration.ts';
import { refusal } from '../../src/core/refusal.ts';
import { err, ok } from '../../src/core/result.ts';
import type { KeyRing } from '../../src/keys/key-ring.ts';
import { createPoll } from '../../src/signals/serve-poll.ts';
import type { Poll } from '../../src/signals/serve-poll.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { makeRing, START } from '../keys/make-ring.ts';
import { createOutbox, makeStream, streamId } from './outbox.ts';
import type { Outbox } from './outbox.ts';

const ID = streamId('a');
let ring: KeyRing;
beforeAll(async () => { ({ ring } = await makeRing([{ purpose: 'set' }])); });

let outbox: Outbox;
let now: number;
let poll: Poll;
let onWait: () => void;
let waits: number;
beforeEach(() => {
  outbox = createOutbox(makeStream({ id: ID, method: 'poll', endpointUrl: null }));
  now = START;
  waits = 0;
  onWait = () => undefined;
  poll = createPoll({
    clock: { now: () => now }, store: outbox.store, log: silentLog, metrics: { delivered: () => undefined, failure: () => undefined },
    manage: { find: async (_receiver, id) => { const stream = typeof id === 'string' ? await outbox.store.stream(id as typeof ID) : undefined; return stream === undefined ? err(refusal('not_found', '')) : ok(stream); } },
    wait: (milliseconds) => {
      now += milliseconds;
      waits += 1;
      onWait();
      return new Promise((resolve) => { setImmediate(resolve); });
    },
  });
});
const receiver = (): never => ({ view: { domain: { issuer: 'https://sts.acme.example/dev' }, ring }, workload: {} }) as never;
const ask = async (body: object = {}, gone: () => boolean = () => false): Promise<readonly string[]> => {
  const polled = await poll.poll(receiver(), ID, body, gone);
  if (!polled.ok) throw new Error(polled.error.code);
  return Object.keys(polled.value.sets);
};

describe('a poll that finds nothing', () => {
  test('waits until there is something', async () => {
    onWait = () => { if (waits === 4) outbox.add(ID, 2); };
    expect(await ask()).toEqual([`${ID}-1`, `${ID}-2`]);
    expect(waits).toBe(4);
  });

  test('waits no longer than a proxy would', async () => {
    expect(await ask()).toEqual([]);
    expect(now - START).toBeGreaterThanOrEqual(25 * SECOND);
    expect(now - START).toBeLessThan(30 * SECOND);
  });

  test.each<{ readonly name: string; readonly happen: () => void }>([
    { name: 'the server ends', happen: () => { poll.end(); } },
    { name: 'its stream is deleted', happen: () => { outbox.streams.delete(ID); } },
  ])('is answered when $name', async ({ happen }) => {
    onWait = happen;
    expect(await ask()).toEqual([]);
    expect(waits).toBe(1);
  });

  test('ends with whoever asked', async () => {
    expect(await ask({}, () => true)).toEqual([]);
    expect(waits).toBe(1);
  });

  test('does not wait when told so, nor while the server ends', async () => {
    expect(await ask({ returnImmediately: true })).toEqual([]);
    poll.end();
    expect(await ask()).toEqual([]);
    expect(waits).toBe(0);
  });

  test('does not wait when as many do as may, each of another stream', async () => {
    const others = Array.from({ length: 64 }, (_, index) => `str_${index.toString(16).padStart(32, '0')}` as typeof ID);
    for (const id of others) outbox.streams.set(id, makeStream({ id, method: 'poll', endpointUrl: null }));
    let over = false;
    const waiting = others.map((id) => poll.poll(receiver(), id, {}, () => over));
    while (waits < others.length) await new Promise((resolve) => { setImmediate(resolve); });
    // Those that wait go on waiting, so what this one asks is all there is to see of it.
    let looked = 0;
    const store = outbox.store.stream;
    outbox.store.stream = (id) => { if (id === ID) looked += 1; return store(id); };
    expect(await ask()).toEqual([]);
    expect(looked).toBe(2);
    over = true;
    await Promise.all(waiting);
  });
});

describe('a stream that is not enabled', () => {
  test('hands out nothing while its receiver has paused it, and nothing once it is disabled', async () => {
    outbox.add(ID, 1);
    for (const status of ['paused', 'disabled'] as const) {
      outbox.put(ID, { status });
      expect(await ask({ returnImmediately: true })).toEqual([]);
    }
    outbox.put(ID, { status: 'enabled' });
    expect(await ask({ returnImmediately: true })).toEqual([`${ID}-1`]);
  });

  test('hands out the word that it was paused, once it is acknowledged no more, and the rest when it is enabled', async () => {
    outbox.add(ID, 1);
    await outbox.store.pauseStream({ id: ID, version: 1 }, 'too many', true, { name: 'signals', fence: 1, now });
    expect(await ask({ returnImmediately: true })).toEqual([`${ID}-2`]);
    expect(await ask({ returnImmediately: true, ack: [`${ID}-2`] })).toEqual([]);
    outbox.put(ID, { status: 'enabled' });
    expect(await ask({ returnImmediately: true })).toEqual([`${ID}-1`]);
  });
});

test('nothing is handed out unsigned', async () => {
  outbox.add(ID, 1);
  const { ring: bare } = await makeRing([{}]);
  const polled = await poll.poll({ view: { domain: { issuer: 'https://sts' }, ring: bare }, workload: {} } as never, ID, { returnImmediately: true }, () => false);
  expect(polled).toMatchObject({ ok: false, error: { code: 'domain_not_ready' } });
});
