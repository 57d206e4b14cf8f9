import { expect, test } from '@jest/globals';
import { createStops } from '../../src/boot/stops.ts';

test('what was opened is let go of in the opposite order, one after the other, once', async () => {
  const stops = createStops();
  const log: string[] = [];
  for (const name of ['store', 'node', 'listener']) {
    stops.push(async () => {
      log.push(`${name} stops`);
      await Promise.resolve();
      log.push(`${name} stopped`);
    });
  }
  await stops.run();
  await stops.run();
  expect(log).toEqual(['listener stops', 'listener stopped', 'node stops', 'node stopped', 'store stops', 'store stopped']);
});

test('what fails to stop is told, after all else was let go of', async () => {
  const stops = createStops();
  const log: string[] = [];
  stops.push(() => { log.push('store'); return Promise.resolve(); });
  stops.push(() => Promise.reject(new Error('the node')));
  stops.push(() => Promise.reject(new Error('a listener')));
  await expect(stops.run()).rejects.toThrow('a listener');
  expect(log).toEqual(['store']);
  await stops.run();
  expect(log).toEqual(['store']);
});
