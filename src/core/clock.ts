/** Time is an argument. Milliseconds since the epoch inside; JWT claims use {@link seconds}. */
export interface Clock {
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** NumericDate (RFC 7519 section 2) of a millisecond time, rounded down. */
export const seconds = (milliseconds: number): number => Math.floor(milliseconds / 1000);
