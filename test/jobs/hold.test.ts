import { beforeEach, expect, test } from '@jest/globals';
import { createHold } from '../../src/jobs/hold.ts';
import type { Hold } from '../../src/jobs/hold.ts';
import { silentLog } from '../../src/telemetry/log.ts';

let now: number;
let row: { holder: string; until: number; fence: number };
let asked: string[];
beforeEach(() => {
  now = 1000;
  row = { holder: '', until: 0, fence: 0 };
  asked = [];
});

const store = {
  takeJob: (_name: string, holder: string, until: number, at: number) => {
    asked.push(holder);
    if (row.holder !== holder && row.until > at) return Promise.resolve(undefined);
    row = { holder, until, fence: row.holder === holder && row.until > at ? row.fence : row.fence + 1 };
    return Promise.resolve({ fence: row.fence });
  },
  releaseJob: (_name: string, holder: string) => {
    if (row.holder === holder) row = { ...row, until: 0 };
    return Promise.resolve();
  },
};
const hold = (holder: string): Hold => createHold({ name: 'signals', lease: 1000, holder, clock: { now: () => now }, store, log: silentLog });

test('a job is asked for once, and again when half of its time is gone, under the same fence', async () => {
  const a = hold('a');
  const fences: unknown[] = [];
  for (let turn = 0; turn < 10; turn += 1, now += 100) fences.push(await a.fence());
  expect(new Set(fences)).toEqual(new Set([1]));
  expect(asked).toHaveLength(2);
});

test('another gets it when its holder is silent for all of its time, and the holder learns so', async () => {
  const [a, b] = [hold('a'), hold('b')];
  expect(await a.fence()).toBe(1);
  now += 600;
  expect(await b.fence()).toBeUndefined();
  now += 400;
  expect(await b.fence()).toBe(2);
  expect(await a.fence()).toBeUndefined();
});

test('another gets it at once when it is let go', async () => {
  const [a, b] = [hold('a'), hold('b')];
  await a.fence();
  await a.release();
  expect(await b.fence()).toBe(2);
  // Whoever does not have it lets nothing go.
  await a.release();
  expect(await a.fence()).toBeUndefined();
});

test('a store that cannot take the word leaves it to run out', async () => {
  const a = createHold({ name: 'signals', lease: 1000, holder: 'a', clock: { now: () => now }, store: { ...store, releaseJob: () => Promise.reject(new Error('down')) }, log: silentLog });
  await a.fence();
  await expect(a.release()).resolves.toBeUndefined();
});
