import { calculateJwkThumbprint, compactVerify, EmbeddedJWK, errors } from 'jose';
import type { JWK } from 'jose';
import { sameSecret, sha256url } from '../core/bytes.ts';
import { MINUTE, SECOND } from '../core/duration.ts';
import { isObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal, RefusalCode } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { readCompact } from './compact.ts';
import type { CompactJws } from './compact.ts';
import { findJwkProblem, PROOF_ALGORITHMS } from './dpop-key.ts';
import { normaliseHttpUri } from './http-uri.ts';
import type { Nonces } from './nonce.ts';
import type { DpopBinding } from './proof.ts';

/** What a proof is checked against. */
export interface DpopRequest {
  /** Every value of the `DPoP` header as received (`headersDistinct`, not the joined one). */
  readonly headers: readonly string[];
  readonly method: string;
  /** The endpoint's URL from configuration, never from `Host` or forwarded headers. */
  readonly url: string;
  /** The access token sent in `Authorization` beside the proof, and the key it is bound to. */
  readonly presented?: { readonly token: string; readonly jkt: string };
}

/** Undefined `nonces`: none is demanded, and `iat` alone says how old a proof is. */
export interface DpopContext { readonly now: number; readonly nonces: Pick<Nonces, 'check'> | undefined }

/** All checks of RFC 9449 section 4.3 but the one-time use, which the commit consumes; the first that fails names the refusal. */
export const checkDpop = async (request: DpopRequest, context: DpopContext): Promise<Result<DpopBinding, Refusal>> => {
  const [proof, ...more] = request.headers;
  if (proof === undefined) return refuse('dpop_required', 'no DPoP header');
  // Header lists are joined with commas, which no compact JWS contains.
  if (more.length > 0 || proof.includes(',')) return refuse('dpop_repeated', 'more than one DPoP header');
  const read = readCompact(proof, MAX_PROOF_LENGTH);
  if (typeof read === 'string') return refuse('dpop_malformed', read);
  const jwk = await verifyProof(proof, read);
  if (!jwk.ok) return jwk;
  const claims = readClaims(read.payload);
  if (claims === undefined) return refuse('dpop_claim_missing', 'jti, htm, htu or iat is missing or has the wrong type');
  if (claims.htm !== request.method) return refuse('dpop_htm_mismatch', `htm is not ${request.method}`);
  const uri = normaliseHttpUri(request.url);
  if (uri === undefined) throw new Error('the configured endpoint URL is not an http URL');
  if (normaliseHttpUri(claims.htu) !== uri) return refuse('dpop_htu_mismatch', `htu is not ${uri}`);
  const until = checkAge(claims, context);
  if (!until.ok) return until;
  const jkt = await calculateJwkThumbprint(jwk.value, 'sha256');
  const mismatch = request.presented === undefined ? undefined : checkPresented(request.presented, claims.ath, jkt);
  if (mismatch !== undefined) return err(mismatch);
  return ok({ jkt, replayKey: `dpop:${sha256url(JSON.stringify([jkt, claims.jti, uri]))}`, replayUntil: until.value + CLOCK_MARGIN });
};

/** Seconds a proof's `iat` may be off when no nonce tells its age. */
export const DPOP_IAT_WINDOW = 60;
const MAX_PROOF_LENGTH = 8192;
const MAX_JTI_LENGTH = 256;
/** A used proof is remembered a little longer than it is accepted: another node's clock may be behind. */
const CLOCK_MARGIN = MINUTE;

interface ProofClaims { readonly jti: string; readonly htm: string; readonly htu: string; readonly iat: number; readonly nonce: string | undefined; readonly ath: string | undefined }

const refuse = (code: RefusalCode, detail: string): { readonly ok: false; readonly error: Refusal } => err(refusal(code, detail));

const verifyProof = async (proof: string, { header }: CompactJws): Promise<Result<JWK, Refusal>> => {
  const { typ, alg, jwk } = header;
  if (typeof typ !== 'string' || !PROOF_TYPES.has(typ.toLowerCase())) return refuse('dpop_typ_wrong', 'typ is not dpop+jwt');
  if (typeof alg !== 'string' || !PROOF_ALGORITHMS.includes(alg)) return refuse('dpop_alg_not_allowed', 'alg is not one of those in the metadata');
  if ('crit' in header || 'b64' in header) return refuse('dpop_malformed', 'header has crit or b64');
  const problem = findJwkProblem(jwk, alg);
  if (problem !== undefined) return refuse('dpop_key_invalid', problem);
  const key = await EmbeddedJWK({ ...header, alg }).catch(() => undefined);
  if (key === undefined || !isObject(jwk)) return refuse('dpop_key_invalid', 'jwk is no usable public key');
  try {
    await compactVerify(proof, key, { algorithms: [alg] });
    return ok(jwk as JWK);
  } catch (error) {
    if (error instanceof errors.JWSSignatureVerificationFailed) return refuse('dpop_signature_invalid', 'signature does not verify');
    if (error instanceof errors.JOSEError) return refuse('dpop_malformed', error.code);
    throw error;
  }
};

/** RFC 7515 section 4.1.9: case-insensitive, `application/` may be left out. */
const PROOF_TYPES: ReadonlySet<string> = new Set(['dpop+jwt', 'application/dpop+jwt']);

const isOptionalText = (value: unknown): value is string | undefined => value === undefined || typeof value === 'string';

const readClaims = (payload: Readonly<Record<string, unknown>>): ProofClaims | undefined => {
  const { jti, htm, htu, iat, nonce, ath } = payload;
  if (typeof jti !== 'string' || jti === '' || jti.length > MAX_JTI_LENGTH) return undefined;
  if (typeof htm !== 'string' || typeof htu !== 'string' || typeof iat !== 'number' || !Number.isFinite(iat)) return undefined;
  return isOptionalText(nonce) && isOptionalText(ath) ? { jti, htm, htu, iat, nonce, ath } : undefined;
};

/** When the proof becomes too old, in milliseconds. With a nonce our clock alone counts (RFC 9449 sections 4.3 and 11.1), so `iat` is not looked at. */
const checkAge = (claims: ProofClaims, { now, nonces }: DpopContext): Result<number, Refusal> => {
  if (nonces === undefined) {
    if (Math.abs(now / SECOND - claims.iat) > DPOP_IAT_WINDOW) return refuse('dpop_iat_outside_window', `iat is more than ${DPOP_IAT_WINDOW} s off`);
    return ok((Math.ceil(claims.iat) + DPOP_IAT_WINDOW) * SECOND);
  }
  if (claims.nonce === undefined) return refuse('dpop_nonce_missing', 'no nonce');
  const until = nonces.check(claims.nonce);
  return until === undefined ? refuse('dpop_nonce_stale', 'nonce is not one of ours for this endpoint, or too old') : ok(until);
};

const checkPresented = (presented: { readonly token: string; readonly jkt: string }, ath: string | undefined, jkt: string): Refusal | undefined => {
  if (ath === undefined || !sameSecret(ath, sha256url(presented.token))) return refusal('dpop_ath_mismatch', 'ath is not the hash of the presented token');
  return jkt === presented.jkt ? undefined : refusal('token_binding_mismatch', 'the proof is by another key than the token is bound to');
};
