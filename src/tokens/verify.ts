import { compactVerify, errors, jwtVerify } from 'jose';
import type { LeaseId, SpiffeId } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal, RefusalCode } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { KeyRing, VerifyingKey } from '../keys/key-ring.ts';
import type { KeyPurpose } from '../store/rows.ts';
import { findClaimsProblem, isSessionToken } from './claims.ts';
import type { TokenClaims } from './claims.ts';
import { readCompact, readObject } from './compact.ts';
import { TYPE_OF } from './sign.ts';

/** Which of our tokens is acceptable: a session token (something to exchange), one for exactly this audience, or any (a token to introspect or revoke). */
export type Expected = { readonly kind: 'session' } | { readonly kind: 'audience'; readonly audience: string } | { readonly kind: 'any' };

/** A token of ours that verified. */
export interface OwnToken {
  readonly kind: 'session' | 'resource';
  readonly jti: LeaseId;
  readonly clientId: SpiffeId;
  readonly audience: string;
  /** Thumbprint of the key it is bound to. */
  readonly jkt: string | undefined;
  readonly kid: string;
  readonly claims: TokenClaims;
}

/** The domain a token must come from, and the time. */
export interface VerifyContext {
  readonly issuer: string;
  readonly ring: Pick<KeyRing, 'verifying'>;
  /** Milliseconds. */
  readonly now: number;
}

/** Nothing of ours comes near this; `authorization_details` are capped when requested. */
export const MAX_TOKEN_LENGTH = 16_384;

/**
 * Verifies a token of this domain presented back (RFC 9068 section 4, RFC 8725 section 3). Says nothing about revocation
 * or possession: the caller looks at the lease and, if `claims.cnf` is there, demands a proof.
 */
export const verifyToken = async (token: string, expected: Expected, context: VerifyContext): Promise<Result<OwnToken, Refusal>> => {
  const key = selectKey(token, 'access', context);
  if (!key.ok) return key;
  const verified = await verifyJwt(token, key.value, context);
  if (!verified.ok) return verified;
  const claims = verified.value;
  // INVARIANT: exp without tolerance. Only iat may be ahead, by as much as our own nodes' clocks differ.
  if (claims.iat > context.now / 1000 + MAX_NODE_SKEW_SECONDS) return refuse('token_malformed', 'iat lies in the future');
  const kind = isSessionToken(claims) ? 'session' : 'resource';
  if (expected.kind === 'session' && kind !== 'session') return refuse('token_not_exchangeable', 'a resource token cannot be exchanged');
  if (expected.kind === 'audience' && claims.aud !== expected.audience) return refuse('token_audience_wrong', `aud is not ${expected.audience}`);
  return ok({ kind, jti: claims.jti, clientId: claims.client_id, audience: claims.aud, jkt: claims.cnf?.jkt, kid: key.value.kid, claims });
};

/** Verifies something of ours that is not a token (a checkpoint, a status list): form, `typ` and signature by a key of that purpose. */
export const verifySigned = async (jws: string, purpose: Exclude<KeyPurpose, 'access' | 'aws'>, context: Omit<VerifyContext, 'issuer'>): Promise<Result<Readonly<Record<string, unknown>>, Refusal>> => {
  const key = selectKey(jws, purpose, context);
  if (!key.ok) return key;
  try {
    const { payload } = await compactVerify(jws, key.value.publicKey, { algorithms: [key.value.algorithm] });
    const read = readObject(payload);
    return read === undefined ? refuse('token_malformed', 'payload is not a JSON object') : ok(read);
  } catch (error) {
    return translate(error);
  }
};

const MAX_NODE_SKEW_SECONDS = 5;
const HEADER_MEMBERS: ReadonlySet<string> = new Set(['alg', 'typ', 'kid']);

const refuse = (code: RefusalCode, detail: string): { readonly ok: false; readonly error: Refusal } => err(refusal(code, detail));

/** The key is chosen by purpose from this domain's ring; the header can only name one of these (RFC 8725 section 3.1, 3.10). */
const selectKey = (text: string, purpose: KeyPurpose, context: Omit<VerifyContext, 'issuer'>): Result<VerifyingKey, Refusal> => {
  const read = readCompact(text, MAX_TOKEN_LENGTH);
  if (typeof read === 'string') return refuse('token_malformed', read);
  const { alg, typ, kid } = read.header;
  const foreign = Object.keys(read.header).find((name) => !HEADER_MEMBERS.has(name));
  if (foreign !== undefined) return refuse('token_malformed', 'header has a member that we never write');
  if (typ !== TYPE_OF[purpose]) return refuse('token_typ_wrong', `typ is not ${TYPE_OF[purpose]}`);
  const key = typeof kid === 'string' ? context.ring.verifying(kid, purpose, context.now) : undefined;
  if (key === 'revoked') return refuse('revoked', 'signed by a revoked key');
  if (key === undefined) return refuse('token_signature_invalid', `no ${purpose} key of this domain has this kid`);
  return alg === key.algorithm ? ok(key) : refuse('token_signature_invalid', 'alg is not the key\'s');
};

const verifyJwt = async (token: string, key: VerifyingKey, context: VerifyContext): Promise<Result<TokenClaims, Refusal>> => {
  try {
    const { payload } = await jwtVerify(token, key.publicKey, {
      algorithms: [key.algorithm], typ: TYPE_OF.access, issuer: context.issuer, requiredClaims: ['exp', 'iat', 'aud'], currentDate: new Date(context.now), clockTolerance: 0,
    });
    if (typeof payload.aud !== 'string') return refuse('token_audience_wrong', 'aud is not one value');
    const problem = findClaimsProblem(payload);
    return problem === undefined ? ok(payload as unknown as TokenClaims) : refuse('token_malformed', problem);
  } catch (error) {
    return translate(error);
  }
};

const CODE_OF_CLAIM: ReadonlyMap<string, RefusalCode> = new Map([['iss', 'token_issuer_wrong'], ['typ', 'token_typ_wrong']]);

/** jose can only throw. Whatever is not its verdict on the token is a fault and goes on. */
const translate = (error: unknown): { readonly ok: false; readonly error: Refusal } => {
  if (error instanceof errors.JWTExpired) return refuse('token_expired', 'exp has passed');
  if (error instanceof errors.JWTClaimValidationFailed) return refuse((error.reason === 'missing' ? undefined : CODE_OF_CLAIM.get(error.claim)) ?? 'token_malformed', `${error.claim}: ${error.reason}`);
  if (error instanceof errors.JWSSignatureVerificationFailed) return refuse('token_signature_invalid', 'signature does not verify');
  if (error instanceof errors.JOSEError) return refuse('token_malformed', error.code);
  throw error;
};
