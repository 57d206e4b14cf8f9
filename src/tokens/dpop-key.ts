import { isObject } from '../core/json.ts';

/** What a proof may be signed with, as `dpop_signing_alg_values_supported` says (RFC 9449 section 5.1). `EdDSA` is what older clients call Ed25519 (RFC 9864). */
export const PROOF_ALGORITHMS: readonly string[] = ['ES256', 'ES384', 'PS256', 'RS256', 'Ed25519', 'EdDSA'];

/** Why a proof's `jwk` header cannot be the public key of this algorithm, or undefined. Cheap checks before any arithmetic is done with it. */
export const findJwkProblem = (jwk: unknown, alg: string): string | undefined => {
  if (!isObject(jwk)) return 'jwk is missing';
  // RFC 9449 section 4.3 check 7: a client that sends its private key has no key any more.
  if (PRIVATE_MEMBERS.some((name) => name in jwk)) return 'jwk holds private members';
  const shape = SHAPES.get(alg);
  if (shape === undefined || jwk['kty'] !== shape.kty || jwk['crv'] !== shape.crv) return `jwk is not a key for ${alg}`;
  const lengths = Object.entries(shape.members).map(([name, allows]) => ({ name, holds: allows(decode(jwk[name])) }));
  const wrong = lengths.find(({ holds }) => !holds);
  if (wrong !== undefined) return `jwk member ${wrong.name} has a wrong length or form`;
  return shape.kty === 'RSA' && jwk['e'] !== 'AQAB' ? 'jwk has an unusual public exponent' : undefined;
};

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'] as const;

interface Shape { readonly kty: string; readonly crv: string | undefined; readonly members: Readonly<Record<string, (bytes: Buffer) => boolean>> }
const exactly = (count: number) => (bytes: Buffer): boolean => bytes.length === count;
const ec = (crv: string, size: number): Shape => ({ kty: 'EC', crv, members: { x: exactly(size), y: exactly(size) } });
/** A modulus of k whole bytes: no leading zeros, which would give one key several thumbprints, and never 2047 bits. */
const hasTopBit = (bytes: Buffer): boolean => (bytes[0] ?? 0) >= 0x80;
/** 2048 to 4096 bits: smaller is weak, larger (or a large exponent) makes one request expensive. */
const rsa: Shape = { kty: 'RSA', crv: undefined, members: { n: (bytes) => bytes.length >= 256 && bytes.length <= 512 && hasTopBit(bytes) } };
const ed25519: Shape = { kty: 'OKP', crv: 'Ed25519', members: { x: exactly(32) } };

const SHAPES: ReadonlyMap<string, Shape> = new Map([
  ['ES256', ec('P-256', 32)], ['ES384', ec('P-384', 48)], ['PS256', rsa], ['RS256', rsa], ['Ed25519', ed25519], ['EdDSA', ed25519],
]);

/** Bytes of a canonical base64url value, none for anything else: one key must have one thumbprint. */
const decode = (value: unknown): Buffer => {
  const bytes = Buffer.from(typeof value === 'string' ? value : '', 'base64url');
  return bytes.toString('base64url') === value ? bytes : Buffer.alloc(0);
};
