import ipaddr from 'ipaddr.js';
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

/** What counts as one address: of IPv6 the /64, since whoever has one address there has them all (RFC 6177 section 2). */
export const limitKeyOf = (address: string | undefined): string => {
  if (address === undefined || !ipaddr.isValid(address)) return 'unknown';
  const parsed = ipaddr.process(address);
  return parsed.kind() === 'ipv4' ? parsed.toString() : parsed.toByteArray().slice(0, 8).join('.');
};
