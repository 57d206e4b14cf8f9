import type { JWK } from 'jose';
import type { KeyRing, PublishedKey } from '../keys/key-ring.ts';

/** The domain's JWKS document (RFC 7517 section 5): every published key of every purpose, public members only. */
export const buildJwks = (ring: Pick<KeyRing, 'published'>, now: number): { readonly keys: readonly JWK[] } => ({ keys: ring.published(now).map(publicKey) });

/** Member by member: whatever else a row may come to hold does not leave. */
const publicKey = ({ kid, algorithm, publicJwk }: PublishedKey): JWK => {
  const members = algorithm === 'ES256' ? ['kty', 'crv', 'x', 'y'] : ['kty', 'n', 'e'];
  return { ...Object.fromEntries(members.map((name) => [name, publicJwk[name]])), kid, alg: algorithm, use: 'sig' };
};
