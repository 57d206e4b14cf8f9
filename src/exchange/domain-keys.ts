import { errors } from 'jose';
import type { IssuerKeys } from '../attestation/verify-signature.ts';
import type { Clock } from '../core/clock.ts';
import { ok } from '../core/result.ts';
import type { DomainView } from '../snapshot/domain-view.ts';

export interface DomainKeysDeps {
  readonly clock: Clock;
  readonly domainByIssuer: (iss: string) => DomainView | undefined;
  /** Everybody else's keys, fetched or pinned. */
  readonly others: IssuerKeys;
}

/**
 * Keys of another domain of this installation come from the registry in memory and never by a fetch of our own URL: a revoked key
 * is refused from its commit on, and whoever could answer in our place is not asked.
 */
export const createDomainKeys = ({ clock, domainByIssuer, others }: DomainKeysDeps): IssuerKeys => async (issuer) => {
  const view = issuer.proves === 'domains' ? domainByIssuer(issuer.issuer) : undefined;
  if (view === undefined) return others(issuer);
  return ok((header) => {
    const key = header?.kid === undefined ? undefined : view.ring.verifying(header.kid, 'access', clock.now());
    if (key === undefined || key === 'revoked') throw new errors.JWKSNoMatchingKey();
    return key.publicKey;
  });
};
