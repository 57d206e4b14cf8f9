import { isStale } from '../authority/session.ts';
import type { AuthorityLimits } from '../registry/entries.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { HopRow, LeaseRow, SessionRow, Target } from '../store/rows.ts';
import type { LeaseStanding } from '../store/store.ts';
import type { Status } from '../tokens/status-list.ts';

/** Of a lease, what it depends on whether it still counts. */
export interface Judged {
  readonly lease: Pick<LeaseRow, 'expiresAt' | 'audience' | 'resourceId'>;
  readonly session: Pick<SessionRow, 'model' | 'freshAt'>;
  readonly revokedBy: Target | undefined;
  readonly suspendedBy: Target | undefined;
  /** Session or hop is over. */
  readonly ended: boolean;
}

/**
 * What became of a lease. INVARIANT: the one judgement, so that introspection (which has what is revoked from the database), status
 * lists (which have it from the snapshot) and whoever takes our tokens as credentials cannot contradict each other.
 */
export const standingOf = ({ lease, session, revokedBy, suspendedBy, ended }: Omit<Judged, 'lease'> & { readonly lease: Pick<LeaseRow, 'expiresAt'> }, now: number, limits: AuthorityLimits): Status => {
  if (revokedBy !== undefined || ended || lease.expiresAt <= now) return 'invalid';
  return suspendedBy !== undefined || isStale(session, limits, now) ? 'suspended' : 'valid';
};

/** The same for whom the token is about its resource: with that one's registration it ends, and one registered anew under its audience is another. */
export const judgeLease = (judged: Judged, view: Pick<DomainView, 'domain' | 'resource'>, now: number): Status =>
  (resourceStands(judged.lease, view, now) ? standingOf(judged, now, view.domain.limits) : 'invalid');

/** Active is judged in the database, so that a revocation holds on every node from its commit on (design section 3, invariant 9). */
export const isActive = (standing: LeaseStanding, now: number, limits: AuthorityLimits): boolean => standingOf(standing, now, limits) === 'valid';

/** Everything whose revocation ends a lease. */
export const targetsOf = (lease: Pick<LeaseRow, 'id' | 'kid'>, hop: Pick<HopRow, 'path'>): readonly Target[] =>
  [...hop.path, `lease:${lease.id}`, ...(lease.kid === null ? [] : [`key:${lease.kid}` as const])];

/** A session token is for no resource. */
const resourceStands = ({ audience, resourceId }: Judged['lease'], view: Pick<DomainView, 'resource'>, now: number): boolean => {
  if (resourceId === null) return true;
  const resource = view.resource(audience);
  return resource !== undefined && resource.id === resourceId && resource.expires > now;
};
