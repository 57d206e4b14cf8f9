import { beforeEach, describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE, SECOND } from '../../src/core/duration.ts';
import { createWatch } from '../../src/signals/watch.ts';
import { START } from '../keys/make-ring.ts';
import { createOutbox, makeStream, streamId } from './outbox.ts';
import type { Outbox } from './outbox.ts';

const [A, B] = [streamId('a'), streamId('b')];
let outbox: Outbox;
let now: number;
let workload: { id: string; expires: number; instanceOf?: { id: string } } | undefined;
let revoked: string | undefined;
let shown: Map<string, readonly [number, number]>;
let paused: string[];
let held: Map<string, boolean>;
let loaded: boolean;
beforeEach(() => {
  outbox = createOutbox(makeStream({ id: A }), makeStream({ id: B }));
  now = START;
  workload = { id: 'wkl_1', expires: Number.MAX_SAFE_INTEGER, instanceOf: { id: 'wkl_template' } };
  revoked = undefined;
  shown = new Map();
  paused = [];
  held = new Map();
  loaded = true;
});
const start = () => createWatch({
  clock: { now: () => now }, store: outbox.store, viewOf: () => (loaded ? { workloadById: () => workload } as never : undefined),
  snapshot: { version: 1, revokedBy: (path) => path.find((target) => target === revoked) },
  metrics: {
    queue: (stream, waiting, oldest) => { shown.set(stream.id, [waiting, oldest]); }, gone: ({ id }) => { shown.delete(id); }, paused: ({ id }, reason) => { paused.push(`${id} ${reason}`); },
    heldUp: ({ id }, now) => { held.set(id, now); }, delivered: () => undefined, failure: () => undefined, lost: () => undefined,
  },
});
const fence = () => ({ name: 'signals', fence: 1, now });

describe('a stream whose oldest event waits', () => {
  const look = async (at: number) => { now = at; await start().look(outbox.all(), fence()); };
  test('72 hours is paused, keeps no more, and says so; one just below is not', async () => {
    outbox.add(A, 2);
    outbox.add(B, 1, START + SECOND);
    await look(START + 72 * HOUR);
    expect(paused).toEqual([]);
    await look(START + 72 * HOUR + 1);
    expect(paused).toEqual([`${A} an event waits longer than 72 hours`]);
    expect(outbox.streams.get(A)).toMatchObject({ status: 'paused', overflowed: true, notice: 3 });
    expect(outbox.streams.get(B)).toMatchObject({ status: 'enabled', overflowed: false });
    await look(START + 73 * HOUR);
    expect(paused).toEqual([`${A} an event waits longer than 72 hours`, `${B} an event waits longer than 72 hours`]);
  });

  test('because its receiver paused it is held to the same', async () => {
    outbox.add(A, 1);
    outbox.put(A, { status: 'paused' });
    await look(START + 72 * HOUR + 1);
    expect(outbox.streams.get(A)).toMatchObject({ status: 'paused', overflowed: true });
  });

  test('has as long again once its receiver enabled it', async () => {
    outbox.add(A, 1);
    outbox.put(A, { changedAt: START + 72 * HOUR });
    await look(START + 100 * HOUR);
    expect(paused).toEqual([]);
    await look(START + 144 * HOUR + 1);
    expect(paused).toHaveLength(1);
  });

  test('is shown with how many wait and how long', async () => {
    outbox.add(A, 3);
    await look(START + MINUTE);
    expect(shown).toEqual(new Map([[A, [3, 60]], [B, [0, 0]]]));
  });
});

test('streams are looked at now and then, and one that is gone is shown no more', async () => {
  const watch = start();
  await watch.look(outbox.all(), fence());
  outbox.add(A, 1);
  now += 4999;
  await watch.look(outbox.all(), fence());
  expect(shown.get(A)).toEqual([0, 0]);
  outbox.streams.delete(B);
  now += 1;
  await watch.look(outbox.all(), fence());
  expect(shown).toEqual(new Map([[A, [1, 5]]]));
  watch.forget();
  expect(shown.size).toBe(0);
});

test('a stream whose domain is not loaded is shown to be held up, until it is', async () => {
  for (const now of [true, false, true]) {
    loaded = now;
    await start().look(outbox.all(), fence());
    expect([...held]).toEqual([[A, !now], [B, !now]]);
  }
});

describe('a receiver', () => {
  const known = async (): Promise<readonly string[]> => (await start().known(outbox.all(), fence())).map(({ id }) => id);
  test('that is registered is served, the twin of the rest', async () => { expect(await known()).toEqual([A, B]); });

  test.each<{ readonly name: string; readonly happen: () => void }>([
    { name: 'that was removed', happen: () => { workload = undefined; } },
    { name: 'that expired', happen: () => { workload = { id: 'wkl_1', expires: START }; } },
    { name: 'that was revoked', happen: () => { revoked = 'workload:wkl_1'; } },
    { name: 'whose template was revoked', happen: () => { revoked = 'workload:wkl_template'; } },
  ])('$name is told nothing more, and its streams wait', async ({ happen }) => {
    happen();
    expect(await known()).toEqual([]);
    expect(outbox.all().map(({ status, overflowed }) => [status, overflowed])).toEqual([['paused', false], ['paused', false]]);
    expect(paused).toHaveLength(2);
    expect(await known()).toEqual([]);
    expect(paused).toHaveLength(2);
  });

  test('of a domain that is not loaded waits, and is not paused for it', async () => {
    loaded = false;
    expect(await known()).toEqual([]);
    expect(paused).toEqual([]);
  });

  test('whose whole domain was revoked is told so', async () => {
    revoked = `domain:${makeStream().domainId}`;
    expect(await known()).toEqual([A, B]);
    expect(paused).toEqual([]);
  });
});
