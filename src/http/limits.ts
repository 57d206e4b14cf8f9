import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';
import { SECOND } from '../core/duration.ts';

/**
 * At most `perSecond` on average for each key, with bursts of twice that (generic cell rate algorithm: one number a key,
 * no timers). Bounded: the least recently seen key is forgotten first.
 */
export const createRateLimit = (clock: Clock, perSecond: number, keys = 50_000) => {
  const interval = SECOND / perSecond;
  const burst = 2 * perSecond * interval;
  const arrivals = new LRUCache<string, number>({ max: keys });
  /** Undefined when admitted, else seconds to wait. */
  return (key: string): number | undefined => {
    const now = clock.now();
    const due = Math.max(arrivals.get(key) ?? now, now);
    if (due - now > burst - interval) return Math.max(1, Math.ceil((due - now - burst + interval) / SECOND));
    arrivals.set(key, due + interval);
    return undefined;
  };
};
export type RateLimit = ReturnType<typeof createRateLimit>;
