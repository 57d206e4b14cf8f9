/** Time is an argument. Milliseconds since the epoch inside; JWT claims use {@link seconds}. */
export interface Clock {
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** NumericDate (RFC 7519 section 2) of a millisecond time, rounded down. */
export const seconds = (milliseconds: number): number => Math.floor(milliseconds / 1000);

/** Whole seconds between two times in milliseconds; 0 where the first is later. */
export const secondsSince = (then: number, now: number): number => Math.max(0, Math.floor((now - then) / 1000));
