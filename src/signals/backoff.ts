import type { Random } from '../core/random.ts';
import { FIRST_RETRY, LONGEST_RETRY } from './limits.ts';

/** How long to wait after so many failures in a row: doubling up to a cap, and a random half of it, so that receivers that came down together are not asked together. */
export const backoff = (failures: number, random: Random): number => {
  const most = Math.min(LONGEST_RETRY, FIRST_RETRY * 2 ** Math.min(failures - 1, 20));
  const [a = 0, b = 0] = random.bytes(2);
  return most / 2 + (most / 2) * ((a * 256 + b) / 65_536);
};
