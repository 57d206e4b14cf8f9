import { DAY, HOUR, MINUTE, SECOND } from '../core/duration.ts';

/** Events that may wait in one stream, and how long the oldest may. Beyond either the stream is paused. */
export const MOST_WAITING = 1_000_000;
export const LONGEST_WAIT = 72 * HOUR;

export const STREAMS_PER_WORKLOAD = 10;
/** Each is held against every event, in every turn that has one. */
export const EXCLUDED_PER_STREAM = 1000;

/** An exclusion takes effect this late: who got hold of a receiver's token must not silence what is about to happen (SSF 1.0, malicious subject removal). */
export const REMOVAL_GRACE = HOUR;

/** Seconds between two verifications of a stream. */
export const VERIFICATION_INTERVAL = 30;

/** One push, everything together. */
export const PUSH_TIMEOUT = 10 * SECOND;
export const FIRST_RETRY = SECOND;
export const LONGEST_RETRY = 5 * MINUTE;
/** A receiver that answers so often in a row that it refuses an event is not asked again until its stream is enabled anew. */
export const MOST_REFUSALS = 5;

/** Sets in one answer to a poll, unless fewer are asked for. */
export const MOST_POLLED = 100;
/** How long a poll waits for an event; proxies commonly cut after 60 s. */
export const LONGEST_POLL = 25 * SECOND;
export const POLL_LOOK = SECOND / 2;
/** Polls that wait at once in one process; more are answered with what there is. */
export const MOST_POLLING = 64;

/** No session lives longer (registry/schemas.ts): what is older cannot be reached by a revocation any more. */
export const LONGEST_SESSION = 30 * DAY;
