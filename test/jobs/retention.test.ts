import { expect, test } from '@jest/globals';
import { MINUTE } from '../../src/core/duration.ts';
import { retentionJob } from '../../src/jobs/retention.ts';
import { StoreUnavailable } from '../../src/store/store.ts';

/** A store with so many batches to purge; the clock goes on by a second with each. */
const start = (batches: number, failsAt = Number.POSITIVE_INFINITY) => {
  const calls: unknown[] = [];
  let now = 1_000_000;
  const job = retentionJob({
    clock: { now: () => now },
    store: { purge: (...args) => {
      calls.push(args);
      now += 1000;
      return calls.length >= failsAt ? Promise.reject(new StoreUnavailable('down')) : Promise.resolve({ deleted: 500, more: calls.length < batches });
    } },
  });
  return { job, calls };
};

test('what is past its time goes in short batches, each by the time it is and under the job\'s fence', async () => {
  const { job, calls } = start(3);
  await job.run(7);
  expect(calls).toEqual([0, 1, 2].map((batch) => [1_000_000 + batch * 1000, 500, { name: 'retention', fence: 7 }]));
});

test('it stops as soon as nothing is left', async () => {
  const { job, calls } = start(1);
  await job.run(1);
  expect(calls).toHaveLength(1);
});

test('it leaves to the next run what twenty batches did not do, so that exchanges never queue behind it', async () => {
  const { job, calls } = start(1000);
  await job.run(1);
  expect(calls).toHaveLength(20);
});

test('a database that does not answer ends the run', async () => {
  const { job, calls } = start(1000, 2);
  await expect(job.run(1)).rejects.toThrow(StoreUnavailable);
  expect(calls).toHaveLength(2);
});

test('its holder keeps it longer than the time between two runs, or it would pass from node to node', () => {
  const { job } = start(1);
  expect([job.name, job.every, job.lease > job.every]).toEqual(['retention', MINUTE, true]);
});
