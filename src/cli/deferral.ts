import * as oauth from 'oauth4webapi';
import { z } from 'zod';

/** A request that waits for a person (Deferred Token Response): its code buys what was asked for, once, with the key it was asked with. A secret. */
export interface Deferral { readonly code: string; readonly approval: string | undefined; readonly expiresIn: number; readonly interval: number }

/** What a poll says while nothing is decided: not yet; too often; or nothing, because nobody answers now. `interval` in seconds, where it is told. */
export interface NotYet { readonly kind: 'pending' | 'slow_down' | 'unanswered'; readonly interval: number | undefined }

/** A year, in seconds: what goes beyond is no time that a person would wait. */
const LONGEST = 366 * 24 * 3600;
const interval = z.number().positive().max(3600);
const deferralSchema = z.looseObject({ deferral_code: z.string().min(1), approval_id: z.string().optional(), expires_in: z.number().nonnegative().max(LONGEST), interval: interval.default(5) });
const pollSchema = z.looseObject({ interval: interval.optional() });

/** The deferral an answer of the token endpoint is, if it is one. */
export const deferralIn = (fault: unknown): Deferral | undefined => {
  if (!(fault instanceof oauth.ResponseBodyError) || fault.error !== 'authorization_pending') return undefined;
  const read = deferralSchema.safeParse(fault.cause);
  return read.success ? { code: read.data.deferral_code, approval: read.data.approval_id, expiresIn: read.data.expires_in, interval: read.data.interval } : undefined;
};

/** Why a poll is to be made again later; undefined where its answer is the last one. What was not answered may have been decided since (RFC 8628 section 3.5). */
export const notYetIn = (fault: unknown): NotYet | undefined => {
  if (fault instanceof oauth.ResponseBodyError) {
    if (fault.status === 429) return { kind: 'unanswered', interval: undefined };
    if (fault.error !== 'authorization_pending' && fault.error !== 'slow_down') return undefined;
    const read = pollSchema.safeParse(fault.cause);
    return { kind: fault.error === 'slow_down' ? 'slow_down' : 'pending', interval: read.success ? read.data.interval : undefined };
  }
  if (fault instanceof oauth.OperationProcessingError || fault instanceof oauth.UnsupportedOperationError) {
    return fault.cause instanceof Response && fault.cause.status >= 500 ? { kind: 'unanswered', interval: undefined } : undefined;
  }
  return fault instanceof oauth.WWWAuthenticateChallengeError ? undefined : { kind: 'unanswered', interval: undefined };
};
