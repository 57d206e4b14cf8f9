import type { JWK, JSONWebKeySet } from 'jose';
import { isObject } from '../core/json.ts';

/**
 * The keys of a JWK set (RFC 7517 section 5) that may verify signatures: public, of a known type and curve, of sane size, and
 * of an `alg` that fits the type. The rest is left out (section 5: unknown keys are ignored), other members are not carried
 * along. Undefined when `raw` is no JWK set; an empty set is the caller's to judge.
 */
export const readKeySet = (raw: unknown): JSONWebKeySet | undefined => {
  if (!isObject(raw) || !Array.isArray(raw['keys']) || raw['keys'].length > MAX_KEYS) return undefined;
  const members: readonly unknown[] = raw['keys'];
  return { keys: members.flatMap((member) => (isObject(member) && isUsable(member) ? [publicPart(member)] : [])) };
};

const MAX_KEYS = 100;
/** Members of private and symmetric keys (RFC 7518 section 6). A published private key is everybody's: such a key is dropped, not trimmed. */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];
const PUBLIC_MEMBERS = ['kty', 'kid', 'use', 'key_ops', 'alg', 'n', 'e', 'crv', 'x', 'y'];

/** `alg` to the key type, and curve, it needs (RFC 7518 section 3.1, RFC 9864). */
const TYPE_FOR: ReadonlyMap<string, { readonly kty: string; readonly crv?: string }> = new Map([
  ['RS256', { kty: 'RSA' }], ['RS384', { kty: 'RSA' }], ['RS512', { kty: 'RSA' }],
  ['PS256', { kty: 'RSA' }], ['PS384', { kty: 'RSA' }], ['PS512', { kty: 'RSA' }],
  ['ES256', { kty: 'EC', crv: 'P-256' }], ['ES384', { kty: 'EC', crv: 'P-384' }], ['ES512', { kty: 'EC', crv: 'P-521' }],
  ['EdDSA', { kty: 'OKP', crv: 'Ed25519' }], ['Ed25519', { kty: 'OKP', crv: 'Ed25519' }],
]);

const isUsable = (jwk: Record<string, unknown>): boolean => {
  if (SECRET_MEMBERS.some((name) => name in jwk)) return false;
  if (jwk['kid'] !== undefined && typeof jwk['kid'] !== 'string') return false;
  if (jwk['use'] !== undefined && jwk['use'] !== 'sig') return false;
  return fitsAlgorithm(jwk) && isSound(jwk);
};

/** Without `alg` any algorithm of the type will do: the issuer entry's allow-list bounds it. */
const fitsAlgorithm = ({ alg, kty, crv }: Record<string, unknown>): boolean => {
  if (alg === undefined) return true;
  const needed = typeof alg === 'string' ? TYPE_FOR.get(alg) : undefined;
  return needed !== undefined && needed.kty === kty && (needed.crv === undefined || needed.crv === crv);
};

const isSound = ({ kty, crv, n, e, x, y }: Record<string, unknown>): boolean => {
  // RFC 7518 section 3.3 asks for 2048 bits; the upper bounds keep one verification from costing seconds.
  if (kty === 'RSA') return isBytes(n, 256, 1024) && isBytes(e, 1, 4);
  if (kty === 'EC') return ['P-256', 'P-384', 'P-521'].includes(String(crv)) && isBytes(x, 1, 66) && isBytes(y, 1, 66);
  return kty === 'OKP' && crv === 'Ed25519' && isBytes(x, 32, 32);
};

const isBytes = (value: unknown, least: number, most: number): boolean => {
  if (typeof value !== 'string' || !/^[A-Za-z0-9_-]+$/.test(value)) return false;
  const size = Math.floor((value.length * 3) / 4);
  return size >= least && size <= most;
};

const publicPart = (jwk: Record<string, unknown>): JWK => Object.fromEntries(PUBLIC_MEMBERS.flatMap((name) => (jwk[name] === undefined ? [] : [[name, jwk[name]]])));
