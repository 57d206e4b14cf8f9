import { afterEach, expect, test } from '@jest/globals';
import { startJob } from '../../src/jobs/run.ts';
import type { Job, Loop } from '../../src/jobs/run.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

/** The job's one row, on a clock that stands still: what a holder has, it has until it lets go. */
const makeStore = () => {
  let held: string | undefined;
  return {
    takeJob: (_name: string, holder: string) => {
      held ??= holder;
      return Promise.resolve(held === holder ? { fence: 1 } : undefined);
    },
    releaseJob: (_name: string, holder: string) => {
      if (held === holder) held = undefined;
      return Promise.resolve();
    },
  };
};

const loops: Loop[] = [];
afterEach(async () => { await Promise.all(loops.splice(0).map((loop) => loop.stop())); });

/** One node's part in the job, and a promise that each kind of turn happened once more. */
const startNode = (store: ReturnType<typeof makeStore>, holder: string, work: () => Promise<void>) => {
  const waiting: { readonly turns: 'asked' | 'ran'; readonly resolve: () => void }[] = [];
  const happened = (turns: 'asked' | 'ran'): void => { for (const each of waiting.splice(0)) if (each.turns === turns) each.resolve(); else waiting.push(each); };
  const job: Job = { name: 'any', every: 1, lease: 60_000, run: () => { happened('ran'); return work(); } };
  const asking = { ...store, takeJob: (name: string, by: string) => { happened('asked'); return store.takeJob(name, by); } };
  const loop: Loop = startJob(job, { clock: { now: () => 0 }, holder, store: asking, log: silentLog, metrics: createMetrics() });
  loops.push(loop);
  return { loop, next: (turns: 'asked' | 'ran') => new Promise<void>((resolve) => { waiting.push({ turns, resolve }); }) };
};

test('a node that can do the job keeps it', async () => {
  const store = makeStore();
  let others = 0;
  const a = startNode(store, 'a', () => Promise.resolve());
  await a.next('ran');
  const b = startNode(store, 'b', () => { others += 1; return Promise.resolve(); });
  for (let asked = 0; asked < 5; asked += 1) await b.next('asked');
  expect(others).toBe(0);
  await a.loop.stop();
  await b.next('ran');
});

test('a node that cannot lets it go, and another does it', async () => {
  const store = makeStore();
  const a = startNode(store, 'a', () => Promise.reject(new Error('no such key-encryption key here')));
  await a.next('ran');
  const b = startNode(store, 'b', () => Promise.resolve());
  await b.next('ran');
});
