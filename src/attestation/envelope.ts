import type { JWSHeaderParameters, JWTPayload } from 'jose';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { parseUnambiguousObject } from './unambiguous-json.ts';

/** Caps of evidence.md A0: the largest platform tokens are under 4 KiB. */
export const MAX_TOKEN_LENGTH = 16 * 1024;
export const MAX_HEADER_LENGTH = 4 * 1024;

/** Asymmetric JWS algorithms an issuer entry may allow. Not here: `none`, HMAC, and everything unknown (RFC 8725 section 3.1). */
export const EVIDENCE_ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'Ed25519', 'EdDSA'] as const;

/** A token taken apart and parsed once, with nothing verified yet. */
export interface Envelope {
  readonly token: string;
  readonly header: JWSHeaderParameters & { readonly alg: string };
  /** Unverified until the signature over {@link signedLength} characters of the token is. */
  readonly claims: JWTPayload;
  /** The bytes `claims` was parsed from. */
  readonly payload: Uint8Array;
  /** Length of `header.payload`, the signing input (RFC 7515 section 5.2). */
  readonly signedLength: number;
}

/** As it came, or taken apart already: nothing is parsed twice. */
export type Presented = string | Envelope;

/** Steps 1 and 2 of evidence.md A0 as far as they do not depend on the issuer: size, form, header. */
export const openEnvelope = (token: string): Result<Envelope, Refusal> => {
  if (token.length > MAX_TOKEN_LENGTH) return err(refusal('evidence_too_large', `token of more than ${MAX_TOKEN_LENGTH} characters`));
  const segments = token.split('.', 6);
  const [header, payload, signature] = segments;
  if (segments.length === 5) return malformed('an encrypted token (JWE) is not accepted');
  if (segments.length !== 3 || header === undefined || payload === undefined || signature === undefined) return malformed('not three segments of a compact JWS');
  if (header.length > MAX_HEADER_LENGTH) return err(refusal('evidence_too_large', `header of more than ${MAX_HEADER_LENGTH} characters`));

  const headerBytes = decode(header);
  const bytes = decode(payload);
  if (headerBytes === undefined || bytes === undefined || decode(signature) === undefined) return malformed('a segment is empty or not canonical base64url');
  const members = parseUnambiguousObject(headerBytes);
  if (!members.ok) return malformed(`header: ${members.error}`);
  const checked = checkHeader(members.value);
  if (!checked.ok) return checked;

  const claims = parseUnambiguousObject(bytes);
  if (!claims.ok) return malformed(`payload: ${claims.error}`);
  return ok({ token, header: checked.value, claims: claims.value, payload: bytes, signedLength: header.length + 1 + payload.length });
};

/**
 * The bytes of base64url without padding, if this is how they are written (RFC 4648 sections 3.3 and 3.5). Decoders skip
 * characters they do not know and ignore unused bits, so only what encodes back to itself has one spelling.
 */
const decode = (segment: string): Buffer | undefined => {
  const bytes = Buffer.from(segment, 'base64url');
  return segment !== '' && bytes.toString('base64url') === segment ? bytes : undefined;
};

/**
 * Refused by their presence: keys or pointers to keys that the sender chose (RFC 8725 section 3.10), extensions that change what
 * is signed (RFC 7515 section 4.1.11, RFC 7797), encryption and nesting. `x5t` is only a thumbprint, and GitHub sends it.
 */
const REFUSED_MEMBERS = ['crit', 'b64', 'jku', 'jwk', 'x5u', 'x5c', 'enc', 'zip', 'cty'] as const;
const ALGORITHMS: ReadonlySet<unknown> = new Set(EVIDENCE_ALGORITHMS);

const checkHeader = (header: Record<string, unknown>): Result<Envelope['header'], Refusal> => {
  const refused = REFUSED_MEMBERS.find((name) => Object.hasOwn(header, name));
  if (refused !== undefined) return err(refusal('evidence_header_not_allowed', `header member ${refused}`));
  const { alg, kid, typ } = header;
  if (typeof alg !== 'string' || !ALGORITHMS.has(alg)) return err(refusal('evidence_alg_not_allowed', 'alg is not an asymmetric signature algorithm'));
  if (kid !== undefined && (typeof kid !== 'string' || kid === '')) return malformed('kid is not a string');
  if (typ !== undefined && typeof typ !== 'string') return malformed('typ is not a string');
  return ok({ ...header, alg });
};

const malformed = (detail: string): { readonly ok: false; readonly error: Refusal } => err(refusal('evidence_malformed', detail));
