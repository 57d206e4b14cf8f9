import { createHash, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import type { JWK } from 'jose';
import { createSigningKey, signTexts } from '../support/foreign-issuer.ts';
import type { Claims, SigningKey } from '../support/foreign-issuer.ts';

/** Makes DPoP proofs (RFC 9449 section 4.2), right ones and whatever else a test wants. */
export interface Prover {
  readonly jkt: string;
  readonly key: SigningKey;
  /** A claim or header member set to undefined is left out. */
  prove(claims: Claims & { readonly htu: string }, header?: Claims, key?: SigningKey): string;
}

export const createProver = async (): Promise<Prover> => {
  const key = await createSigningKey('ES256');
  const jwk = bare(key.publicJwk);
  return {
    key,
    jkt: await calculateJwkThumbprint(jwk, 'sha256'),
    prove: (claims, header = {}, signing = key) =>
      signTexts(JSON.stringify({ typ: 'dpop+jwt', alg: 'ES256', jwk, ...header }), JSON.stringify({ jti: randomUUID(), htm: 'POST', iat: Math.floor(Date.now() / 1000), ...claims }), signing),
  };
};

/** The public members of an EC key alone. */
export const bare = ({ kty, crv, x, y }: JWK): JWK => ({ kty, crv, x, y } as JWK);

/** `ath`, RFC 9449 section 4.2. */
export const hashOf = (token: string): string => createHash('sha256').update(token).digest('base64url');
