import { base64url, sha256url } from '../core/bytes.ts';
import type { Random } from '../core/random.ts';

/** Lease kind of a deferral code: a credential that buys one request's outcome, with its key, once. */
export const DEFERRAL = 'deferral';
/** RFC 7009 `token_type_hint` of one (standards.md G3). */
export const DEFERRAL_TYPE = 'urn:ietf:params:oauth:token-type:deferral-code';
/** Seconds between two polls (standards.md H3). */
export const INTERVAL_SECONDS = 5;

/** 256 bits behind a mark by which logs and scanners know it. */
export const newDeferralCode = (random: Random): string => `mfd_${base64url(random.bytes(32))}`;

/** The form in which a code is kept and found; undefined for what is none. */
export const hashOfCode = (raw: string): string | undefined => (/^mfd_[A-Za-z0-9_-]{43}$/.test(raw) ? sha256url(raw) : undefined);
