import type { JWTPayload } from 'jose';
import { seconds } from '../core/clock.ts';
import { isObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { PreparedIssuer } from './prepare.ts';

/** Tolerated difference between the platform's clock and ours, seconds (evidence.md A0.6). */
export const CLOCK_SKEW = 30;

/** The registered claims every evidence needs, of the right types and within bounds. Times are NumericDates. */
export interface CheckedClaims { readonly subject: string; readonly issuedAt: number; readonly expiresAt: number; readonly jti: string | undefined; readonly boundTo: string | undefined }

/** Steps 5 and 6 of evidence.md A0, on verified claims (RFC 7519 section 4.1, RFC 8725 sections 3.8 and 3.9). `now` is in milliseconds. */
export const checkClaims = (claims: JWTPayload, { entry, profile }: PreparedIssuer, now: number): Result<CheckedClaims, Refusal> => {
  if (claims.iss !== entry.issuer) return err(refusal('evidence_issuer_unknown', 'verified iss is not that of the entry'));
  const refused = checkAudience(claims.aud, entry.audience) ?? checkTimes(claims, profile.maxLifetime, seconds(now)) ?? checkPresence(claims, profile.requiredClaims);
  if (refused !== undefined) return err(refused);
  const { sub, iat, exp, jti } = claims;
  if (sub === undefined || iat === undefined || exp === undefined) return err(refusal('evidence_claim_missing', 'sub, iat and exp are required'));
  if (typeof sub !== 'string' || sub === '') return err(refusal('evidence_claim_invalid', 'sub is not a string'));
  if (jti !== undefined && (typeof jti !== 'string' || jti === '')) return err(refusal('evidence_claim_invalid', 'jti is not a string'));
  if (jti === undefined && profile.replayKey === 'jti') return err(refusal('evidence_claim_missing', 'jti is required'));
  // Nothing ever drops act or may_act: evidence that was delegated already would become somebody's own (design section 3, invariant 3).
  const delegated = ['act', 'may_act'].find((name) => Object.hasOwn(claims, name));
  if (delegated !== undefined) return err(refusal('evidence_claim_invalid', `${delegated}: evidence speaks for the workload itself, never through another`));
  const boundTo = readBinding(claims['cnf']);
  if (boundTo === null) return err(refusal('evidence_claim_invalid', 'cnf binds the token in a way that cannot be checked here'));
  return ok({ subject: sub, issuedAt: iat, expiresAt: exp, jti, boundTo });
};

/** The key the platform bound its token to (RFC 9449 section 6.1); null for any other confirmation, which must not be passed over (RFC 7800 section 3.1). */
export const readBinding = (cnf: unknown): string | undefined | null => {
  if (cnf === undefined) return undefined;
  if (!isObject(cnf) || Object.keys(cnf).length !== 1) return null;
  return typeof cnf['jkt'] === 'string' && /^[A-Za-z0-9_-]{43}$/.test(cnf['jkt']) ? cnf['jkt'] : null;
};

/** Exactly one value, ours: a token that is good elsewhere too can be presented here by whoever received it there. */
const checkAudience = (aud: unknown, ours: string): Refusal | undefined => {
  if (aud === undefined) return refusal('evidence_claim_missing', 'aud is required');
  const only: unknown = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud;
  return only === ours ? undefined : refusal('evidence_audience_wrong', `aud must be exactly ${ours}`);
};

export const checkTimes = ({ iat, exp, nbf }: JWTPayload, maxLifetime: number, now: number): Refusal | undefined => {
  if (exp === undefined) return refusal('evidence_claim_missing', 'exp is required');
  if (iat === undefined) return refusal('evidence_claim_missing', 'iat is required');
  if (!isDate(exp)) return refusal('evidence_claim_invalid', 'exp is not a NumericDate');
  if (!isDate(iat)) return refusal('evidence_claim_invalid', 'iat is not a NumericDate');
  if (nbf !== undefined && !isDate(nbf)) return refusal('evidence_claim_invalid', 'nbf is not a NumericDate');
  if (exp + CLOCK_SKEW <= now) return refusal('evidence_expired', `expired ${now - exp} s ago`);
  if (nbf !== undefined && nbf - CLOCK_SKEW > now) return refusal('evidence_not_yet_valid', `nbf is ${nbf - now} s ahead`);
  if (exp <= iat) return refusal('evidence_claim_invalid', 'exp is not after iat');
  if (exp - iat > maxLifetime) return refusal('evidence_lifetime_too_long', `lives ${exp - iat} s, allowed are ${maxLifetime}`);
  if (iat - CLOCK_SKEW > now) return refusal('evidence_not_yet_valid', `iat is ${iat - now} s ahead`);
  return undefined;
};

const END_OF_9999 = 253_402_300_799;
const isDate = (value: unknown): boolean => typeof value === 'number' && value >= 0 && value <= END_OF_9999;

export const checkPresence = (claims: JWTPayload, required: readonly string[]): Refusal | undefined => {
  const absent = ['sub', ...required].find((name) => !Object.hasOwn(claims, name));
  return absent === undefined ? undefined : refusal('evidence_claim_missing', `${absent} is required`);
};
