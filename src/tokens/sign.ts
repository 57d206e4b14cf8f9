import { sign } from 'node:crypto';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { KeyAlgorithm, SigningKey } from '../keys/signing-key.ts';
import type { KeyPurpose } from '../store/rows.ts';
import { lintClaims } from './claims.ts';
import type { TokenClaims } from './claims.ts';

export interface SignedToken { readonly token: string; readonly kid: string }

/** `typ` follows from the key's purpose, so that nothing signed for one use has the form of another (RFC 8725 section 3.11). */
export const TYPE_OF: Readonly<Record<KeyPurpose, string>> = {
  access: 'at+jwt', aws: 'JWT', set: 'secevent+jwt', status: 'statuslist+jwt', checkpoint: 'mayfly-checkpoint+jwt',
};

/** Lints and signs a resource or session token (RFC 9068 section 2) with the domain's current key. */
export const signToken = (claims: TokenClaims, ring: Pick<KeyRing, 'current'>, algorithm: KeyAlgorithm = 'ES256'): Result<SignedToken, Refusal> =>
  signAs('access', lintClaims(claims), ring, algorithm);

/** Signs a payload that its own module has checked with the domain's current key for that purpose. */
export const signAs = (purpose: KeyPurpose, payload: object, ring: Pick<KeyRing, 'current'>, algorithm: KeyAlgorithm = 'ES256'): Result<SignedToken, Refusal> => {
  const key = ring.current(purpose, algorithm);
  return key === undefined ? err(refusal('domain_not_ready', `no current ${algorithm} key for ${purpose}`)) : ok({ token: signCompact(payload, key), kid: key.kid });
};

/** A compact JWS (RFC 7515 section 7.1). Synchronous: for ES256 the way through the thread pool costs more than the signature. */
export const signCompact = (payload: object, key: SigningKey): string => {
  const header = JSON.stringify({ alg: key.algorithm, typ: TYPE_OF[key.purpose], kid: key.kid });
  const input = `${encode(header)}.${encode(JSON.stringify(payload))}`;
  // ieee-p1363: JWS wants r and s side by side, not DER (RFC 7518 section 3.4); without effect on RSA.
  const signature = sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
};

const encode = (text: string): string => Buffer.from(text).toString('base64url');
