import { expect, test } from '@jest/globals';
import { systemRandom } from '../../src/core/random.ts';
import { backoff } from '../../src/signals/backoff.ts';
import { FIRST_RETRY, LONGEST_RETRY } from '../../src/signals/limits.ts';

const least = { bytes: (count: number) => new Uint8Array(count) };
const most = { bytes: (count: number) => new Uint8Array(count).fill(255) };

test.each([1, 2, 3, 8, 9, 10, 1000])('after %d failures waits between half and all of the doubled time, and never longer than the cap', (failures) => {
  const whole = Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** (failures - 1));
  expect(backoff(failures, least)).toBe(whole / 2);
  expect(backoff(failures, most)).toBeGreaterThan(whole * 0.99);
  expect(backoff(failures, most)).toBeLessThanOrEqual(whole);
});

test('does not send everybody back at one moment', () => {
  expect(new Set(Array.from({ length: 50 }, () => backoff(5, systemRandom))).size).toBeGreaterThan(40);
});
