import { sameSecret, sha256url } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { LeaseStanding, StoreReads } from '../store/store.ts';
import type { TokenClaims } from '../tokens/claims.ts';
import type { OwnToken } from '../tokens/verify.ts';
import { isActive, judgeLease } from './standing.ts';

/** RFC 7662 section 2.2; anything that is not plainly active is `{ active: false }` and nothing else. */
export type Introspection = { readonly active: false } | ({ readonly active: true } & TokenClaims & { readonly token_type: 'Bearer' | 'DPoP' });
const INACTIVE: Introspection = { active: false };

export interface IntrospectDeps {
  readonly clock: Clock;
  /** Verifies a token of ours for an audience; undefined: for any. */
  verify(token: string, view: DomainView, audience: string | undefined): Promise<Result<OwnToken, Refusal>>;
  readonly store: Pick<StoreReads, 'leaseStanding'>;
}

/** The lease is that of these very bytes: what else our key may have signed, by a twin of its signature or in a thief's hands, was not issued. */
export const isIssued = (standing: LeaseStanding | undefined, token: string): standing is LeaseStanding =>
  standing !== undefined && sameSecret(standing.lease.credentialHash, sha256url(token));

export const createIntrospect = (deps: IntrospectDeps) => {
  /** The caller: a workload with a live token for this endpoint of the domain. */
  const authenticate = async (credential: string, view: DomainView, audience: string): Promise<Result<{ readonly token: OwnToken; readonly workload: string }, Refusal>> => {
    const token = await deps.verify(credential, view, audience);
    if (!token.ok) return token;
    const standing = await deps.store.leaseStanding(token.value.jti);
    if (!isIssued(standing, credential)) return err(refusal('token_unknown', 'no lease of the caller\'s token'));
    if (!isActive(standing, deps.clock.now(), view.domain.limits)) return err(refusal('revoked', 'the caller\'s token is not active'));
    const workload = view.workloadById(standing.lease.workloadId);
    return workload === undefined ? err(refusal('workload_unknown', 'the calling workload is no longer registered')) : ok({ token: token.value, workload: workload.name });
  };

  const introspect = async (token: string, view: DomainView, workload: string): Promise<Introspection> => {
    const verified = await deps.verify(token, view, undefined);
    if (!verified.ok) return INACTIVE;
    const resource = view.resource(verified.value.audience);
    if (resource === undefined || resource.expires <= deps.clock.now() || !resource.servedBy.includes(workload)) return INACTIVE;
    const standing = await deps.store.leaseStanding(verified.value.jti);
    if (!isIssued(standing, token) || standing.lease.resourceId === null || judgeLease(standing, view, deps.clock.now()) !== 'valid') return INACTIVE;
    return { active: true, ...verified.value.claims, token_type: verified.value.jkt === undefined ? 'Bearer' : 'DPoP' };
  };

  return { authenticate, introspect };
};
export type Introspect = ReturnType<typeof createIntrospect>;
