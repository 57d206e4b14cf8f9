import { HOUR, SECOND } from '../core/duration.ts';
import type { AuthorityLimits } from './entries.ts';
import type { DomainEntry } from './schemas.ts';

/** A domain's limits of authority: what its entry says, in milliseconds, and defaults for the rest. */
export const authorityLimits = (written: DomainEntry['limits']): AuthorityLimits => {
  const { depth = MOST_DEPTH, session_age: age = {}, fresh_within: fresh = {} } = written ?? {};
  return Object.freeze({
    depth,
    sessionAge: Object.freeze({
      delegated: span(age.delegated, 12 * HOUR), bounded: span(age.bounded, 12 * HOUR), autonomous: span(age.autonomous, 24 * HOUR),
    }),
    freshness: Object.freeze({ delegated: span(fresh.delegated, 12 * HOUR), autonomous: span(fresh.autonomous, HOUR) }),
  });
};

/** RFC 8693 sets no limit; beyond five actors nobody can say any more who acts for whom (standards.md C4). */
const MOST_DEPTH = 5;

const span = (written: number | undefined, otherwise: number): number => (written === undefined ? otherwise : written * SECOND);
