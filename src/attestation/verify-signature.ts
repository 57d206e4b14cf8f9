import { compactVerify, errors } from 'jose';
import type { CompactVerifyGetKey } from 'jose';
import { RefusalError, refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import type { Result } from '../core/result.ts';
import type { Issuer } from '../registry/entries.ts';
import type { Envelope } from './envelope.ts';

/** Finds the key a header names among one issuer's own. Throws jose's errors, or a RefusalError when its keys cannot be had. */
export type KeyLookup = CompactVerifyGetKey;

/** Port: the keys of one issuer entry, fetched or pinned; never those of any other entry. */
export type IssuerKeys = (issuer: Issuer) => Promise<Result<KeyLookup, Refusal>>;

/** Verifies the signature with keys of this issuer only; undefined when it holds. */
export const verifySignature = async (envelope: Envelope, algorithms: readonly string[], keys: KeyLookup): Promise<Refusal | undefined> => {
  try {
    await verifyBytes(envelope, algorithms, keys);
    return undefined;
  } catch (error) {
    if (error instanceof errors.JWKSMultipleMatchingKeys) return await tryEach(envelope, algorithms, error);
    return refusalOf(error);
  }
};

const verifyBytes = async (envelope: Envelope, algorithms: readonly string[], key: KeyLookup): Promise<void> => {
  const { payload } = await compactVerify(envelope.token, key, { algorithms: [...algorithms] });
  // INVARIANT: the claims used are the bytes verified.
  if (Buffer.compare(payload, envelope.payload) !== 0) throw new Error('verified payload differs from the parsed one');
};

/** Several keys fit, as during a rotation of keys without names. Bounded by the size of the issuer's own set. */
const tryEach = async (envelope: Envelope, algorithms: readonly string[], candidates: errors.JWKSMultipleMatchingKeys): Promise<Refusal | undefined> => {
  for await (const key of candidates) {
    const refused = await verifySignature(envelope, algorithms, () => key);
    if (refused === undefined) return undefined;
  }
  return refusal('evidence_signature_invalid', 'the signature holds under none of the keys that fit');
};

/** jose can only throw. What it did not throw is a fault, and stays one. */
const refusalOf = (error: unknown): Refusal => {
  if (error instanceof RefusalError) return error.refusal;
  if (error instanceof errors.JWSSignatureVerificationFailed) return refusal('evidence_signature_invalid', 'the signature does not hold');
  if (error instanceof errors.JWKSNoMatchingKey) return refusal('evidence_key_unknown', 'the issuer has no key of this kid and alg');
  if (error instanceof errors.JWSInvalid) return refusal('evidence_malformed', 'not a compact JWS');
  // A key of the issuer's that cannot be used: too short, of another type, not public, no point of its curve.
  if (error instanceof TypeError || error instanceof errors.JOSEError || (error instanceof DOMException && error.name === 'DataError')) return refusal('evidence_key_unknown', 'the key that kid names cannot be used with this alg');
  throw error;
};
