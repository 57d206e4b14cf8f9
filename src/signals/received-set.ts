import type { JWTPayload } from 'jose';
import { openEnvelope } from '../attestation/envelope.ts';
import type { Envelope } from '../attestation/envelope.ts';
import { verifySignature } from '../attestation/verify-signature.ts';
import type { KeyLookup } from '../attestation/verify-signature.ts';
import type { Clock } from '../core/clock.ts';
import { seconds } from '../core/clock.ts';
import { DAY, SECOND } from '../core/duration.ts';
import { isObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Issuer, Signals } from '../registry/entries.ts';
import type { SetRefusalCode } from './receive-errors.ts';

/** A trusted issuer whose transmitter is registered. */
export type SignallingIssuer = Issuer & { readonly signals: Signals };

/** A security event token (RFC 8417) as it was signed: one event about one subject. What they mean is still to be read. */
export interface ReceivedSet {
  readonly jti: string;
  /** Milliseconds. */
  readonly issuedAt: number;
  /** When the event happened, if the token says so beside the event (`toe`); milliseconds. */
  readonly happenedAt: number | undefined;
  readonly txn: string | undefined;
  readonly subject: Readonly<Record<string, unknown>>;
  readonly event: { readonly uri: string; readonly payload: Readonly<Record<string, unknown>> };
}

/** `verified`: the signature held, so that nobody but the transmitter can have made it. */
export interface SetRefused { readonly refusal: Refusal; readonly verified: boolean }
export type VerifySet = (token: string, issuer: SignallingIssuer) => Promise<Result<ReceivedSet, SetRefused>>;

/** Transmitters keep what they could not deliver for days; what is older says nothing new. */
export const SET_AGE = 30 * DAY;
/** Tolerated difference between the transmitter's clock and ours, seconds. */
const CLOCK_SKEW = 60;

/** Port: the keys of this issuer's transmitter, fetched or pinned; never those of any other. */
export type TransmitterKeys = (issuer: SignallingIssuer) => Promise<Result<KeyLookup, Refusal>>;

/**
 * RFC 8417, RFC 8935 section 2, SSF 1.0 section 4.1. Whose it is was settled by whom it was sent for; nothing in the token chooses
 * a key or a URL, and no key is fetched for a token of another `iss`.
 */
export const createVerifySet = ({ clock, keys }: { readonly clock: Clock; readonly keys: TransmitterKeys }): VerifySet => async (token, issuer) => {
  const opened = openEnvelope(token);
  if (!opened.ok) return unverified(opened.error);
  const envelope = opened.value;
  const refused = checkHeader(envelope, issuer.signals) ?? checkIssuer(envelope.claims, issuer.signals);
  if (refused !== undefined) return unverified(refused);
  const found = await keys(issuer);
  if (!found.ok) return unverified(found.error);
  const wrong = await verifySignature(envelope, issuer.signals.algorithms, found.value);
  if (wrong !== undefined) return unverified(wrong);
  const read = readClaims(envelope.claims, issuer.signals, clock.now());
  return read.ok ? read : err({ refusal: read.error, verified: true });
};

/** Form and signature are checked as those of evidence are; what a transmitter is told has names of its own. */
const NAMES: ReadonlyMap<string, SetRefusalCode> = new Map([
  ['evidence_too_large', 'set_too_large'], ['evidence_malformed', 'set_malformed'], ['evidence_header_not_allowed', 'set_header_not_allowed'], ['evidence_alg_not_allowed', 'set_alg_not_allowed'],
  ['evidence_key_unknown', 'set_key_unknown'], ['evidence_signature_invalid', 'set_signature_invalid'], ['issuer_keys_unavailable', 'set_keys_unavailable'],
]);

const unverified = (refused: Refusal): Result<never, SetRefused> => err({ refusal: { ...refused, code: refused.code.startsWith('set_') ? refused.code : NAMES.get(refused.code) ?? 'set_malformed' }, verified: false });

const checkHeader = ({ header }: Envelope, { algorithms, jwks }: Signals): Refusal | undefined => {
  // Explicit typing (RFC 8725 section 3.11): an access token, an ID token or a logout token of the same signer is no event.
  if (!/^(?:application\/)?secevent\+jwt$/i.test(header.typ ?? '')) return refusal('set_typ_wrong', 'typ is not secevent+jwt');
  if (!algorithms.includes(header.alg)) return refusal('set_alg_not_allowed', `alg ${header.alg}, allowed are ${algorithms.join(', ')}`);
  return header.kid === undefined && jwks === undefined ? refusal('set_key_unknown', 'the header names no kid') : undefined;
};

const checkIssuer = ({ iss }: JWTPayload, { transmitter }: Signals): Refusal | undefined => {
  if (iss === undefined) return refusal('set_claim_missing', 'iss is required');
  return iss === transmitter ? undefined : refusal('set_issuer_wrong', 'iss is not that of the registered transmitter');
};

const readClaims = (claims: JWTPayload, { audience }: Signals, now: number): Result<ReceivedSet, Refusal> => {
  const { aud, iat, jti, events, sub_id: subject, toe, txn } = claims as JWTPayload & Record<string, unknown>;
  const absent = ['aud', 'iat', 'jti', 'events', 'sub_id'].find((name) => !Object.hasOwn(claims, name));
  if (absent !== undefined) return invalid('set_claim_missing', `${absent} is required`);
  const only: unknown = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud;
  if (only !== audience) return invalid('set_audience_wrong', `aud must be exactly ${audience}`);
  // SSF 1.0 section 4.1: they belong to tokens that open something, and who mistakes this one for such must find neither.
  const foreign = ['sub', 'exp'].find((name) => Object.hasOwn(claims, name));
  if (foreign !== undefined) return invalid('set_claim_invalid', `${foreign} has no place in a security event`);
  if (typeof jti !== 'string' || !JTI.test(jti)) return invalid('set_claim_invalid', 'jti is not a text of at most 256 printable characters');
  if (!isDate(iat)) return invalid('set_claim_invalid', 'iat is not a NumericDate');
  if (iat - CLOCK_SKEW > seconds(now)) return invalid('set_time_wrong', `iat is ${iat - seconds(now)} s ahead`);
  if (iat * SECOND + SET_AGE <= now) return invalid('set_time_wrong', 'iat is more than 30 days back');
  if (toe !== undefined && !isDate(toe)) return invalid('set_claim_invalid', 'toe is not a NumericDate');
  if (!isObject(subject)) return invalid('set_claim_invalid', 'sub_id is not an object');
  if (!isObject(events)) return invalid('set_claim_invalid', 'events is not an object');
  const [uri, ...others] = Object.keys(events);
  const payload = uri === undefined ? undefined : events[uri];
  if (uri === undefined || others.length > 0) return invalid('set_events_wrong', `${others.length + (uri === undefined ? 0 : 1)} events where exactly one is expected`);
  if (!isObject(payload)) return invalid('set_claim_invalid', 'the event is not an object');
  return ok({
    jti, issuedAt: iat * SECOND, happenedAt: toe === undefined ? undefined : toe * SECOND, txn: typeof txn === 'string' ? txn.slice(0, 256) : undefined, subject, event: { uri, payload },
  });
};

const invalid = (code: SetRefusalCode, detail: string): Result<never, Refusal> => err(refusal(code, detail));

/** It is shown on terminals, and part of the reason of a revocation. */
const JTI = /^[!-~]{1,256}$/;
const END_OF_9999 = 253_402_300_799;
const isDate = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value <= END_OF_9999;
