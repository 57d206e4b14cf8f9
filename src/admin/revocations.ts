import { DAY } from '../core/duration.ts';
import { parseId, parseSessionId } from '../core/ids.ts';
import type { DomainId, IssuerId, WorkloadId } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { findFalling, honouredEntries, tellFallen } from '../exchange/falling.ts';
import type { Fallen, Falling, HonouredNote } from '../exchange/falling.ts';
import { othersRestOn, revocationOfLease } from '../exchange/revoke-token.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { LeaseStanding, NewRevocation, StoreReads } from '../store/store.ts';
import { domainMeant, nameOf, withinReach } from './access.ts';
import type { Admin, Authorize } from './access.ts';
import type { AdminPorts } from './ports.ts';

export const REVOCABLE = ['lease', 'session', 'workload', 'issuer', 'domain'] as const;
export type Revocable = (typeof REVOCABLE)[number];
/** What is only blocked while it is revoked; leases and sessions end for good (design section 7). */
export const ENABLABLE = ['workload', 'issuer', 'domain'] as const satisfies readonly Revocable[];
export type Enablable = (typeof ENABLABLE)[number];

/** What is to be revoked: an id, or a name within a domain for what has one. */
export interface RevocationRequest { readonly kind: Revocable; readonly id: string; readonly domain: string | undefined; readonly reason: string }

/** What is to be let in again, named the same way. */
export interface EnableRequest extends Pick<RevocationRequest, 'id' | 'domain'> { readonly kind: Enablable }

/** What became of it. Active leases fall with the commit. */
export interface Revoked {
  readonly revoked: string;
  readonly at: number;
  readonly fallen: Fallen;
}

export interface RevocationAdminDeps extends AdminPorts {
  readonly store: Pick<StoreReads, 'leaseStanding' | 'session' | 'leases'>;
  readonly snapshot: Pick<Snapshot, 'domain' | 'domains' | 'domainById' | 'revokedBy' | 'version' | 'refresh'>;
  readonly authorize: Authorize;
  readonly honouredNote: HonouredNote;
}

interface Found { readonly view: DomainView; readonly revocation: NewRevocation; readonly filter: Parameters<StoreReads['leases']>[0] | undefined; readonly only: LeaseStanding | undefined }

/** Sessions are named by evidence that may outlive them; their revocation is kept as long as their rows. */
export const SESSION_KEPT = 90 * DAY;

export const createRevocationAdmin = (deps: RevocationAdminDeps) => {
  const notFound = (request: { readonly kind: string; readonly id: string }): Result<never, Refusal> => err(refusal('not_found', `no ${request.kind} ${request.id}`));

  const domainOf = (idOrName: string): DomainView | undefined => deps.snapshot.domainById(idOrName as DomainId) ?? deps.snapshot.domain(idOrName);

  const findNamed = (kind: 'workload' | 'issuer', request: Pick<RevocationRequest, 'id' | 'domain'>, admin: Admin): { readonly view: DomainView; readonly id: string } | undefined => {
    const views = request.domain === undefined ? deps.snapshot.domains() : [deps.snapshot.domain(request.domain)];
    for (const view of views.map((each) => withinReach(admin, each))) {
      // By id before by name: a name may look like another's id. By name only in a domain that was named or is the only one meant.
      const entry = kind === 'workload' ? view?.workloadById(request.id as WorkloadId) : view?.issuerById(request.id as IssuerId);
      const byName = request.domain === undefined && domainMeant(admin) === undefined ? undefined : kind === 'workload' ? view?.workloadByName(request.id) : view?.issuer(request.id);
      const found = entry ?? byName;
      if (view !== undefined && found !== undefined) return { view, id: found.id };
    }
    return undefined;
  };

  const findBlocked = ({ kind, id, domain }: EnableRequest, admin: Admin): { readonly view: DomainView; readonly id: string } | undefined => {
    if (kind !== 'domain') return findNamed(kind, { id, domain }, admin);
    const view = domainOf(id);
    return view === undefined ? undefined : { view, id: view.domain.id };
  };

  /** Where a "no" is decided for what was not found: in the domain that was named, else in that which the admin means. */
  const domainAsked = (request: { readonly domain: string | undefined }, admin: Admin): DomainView | undefined =>
    (request.domain === undefined ? domainMeant(admin) : deps.snapshot.domain(request.domain));

  const find = async (request: RevocationRequest, admin: Admin): Promise<Result<Found, Refusal>> => {
    const { kind, reason } = request;
    if (kind === 'lease') {
      const id = parseId('lease', request.id);
      const standing = id === undefined ? undefined : await deps.store.leaseStanding(id);
      const view = withinReach(admin, standing === undefined ? undefined : deps.snapshot.domainById(standing.lease.domainId));
      if (standing === undefined || view === undefined) return notFound(request);
      return ok({ view, revocation: revocationOfLease(standing, reason), filter: othersRestOn(standing.lease) ? { sessionId: standing.lease.sessionId } : undefined, only: standing });
    }
    if (kind === 'session') {
      const id = parseSessionId(request.id);
      const found = id === undefined ? undefined : await deps.store.session(id);
      const view = withinReach(admin, found === undefined ? undefined : deps.snapshot.domainById(found.session.domainId));
      if (found === undefined || view === undefined || id === undefined) return notFound(request);
      return ok({ view, revocation: { target: `session:${id}`, domainId: view.domain.id, reason, purgeAfter: found.session.expiresAt + SESSION_KEPT }, filter: { sessionId: id }, only: undefined });
    }
    if (kind === 'domain') {
      const view = withinReach(admin, domainOf(request.id));
      if (view === undefined) return notFound(request);
      // Nothing is issued there, and nobody but the socket could undo it.
      if (view.domain.name === SYSTEM_DOMAIN) return err(refusal('parameter_invalid', 'the system domain cannot be revoked: it would lock every admin out; revoke the issuer that proves them'));
      return ok({ view, revocation: { target: `domain:${view.domain.id}`, domainId: view.domain.id, reason, purgeAfter: null }, filter: { domainId: view.domain.id }, only: undefined });
    }
    const named = findNamed(kind, request, admin);
    if (named === undefined) return notFound(request);
    const { view } = named;
    const filter = kind === 'workload' ? { domainId: view.domain.id, workloadId: named.id as WorkloadId } : { domainId: view.domain.id };
    return ok({ view, revocation: { target: `${kind}:${named.id}`, domainId: view.domain.id, reason, purgeAfter: null }, filter, only: undefined });
  };

  /** Those that fall with it: of a lease that is no session token, itself alone. */
  const fallingOf = async ({ filter, only, revocation }: Found, now: number): Promise<Falling> => {
    if (filter !== undefined) return findFalling(deps.store, [{ target: revocation.target, filter }], now);
    return { standings: only === undefined || only.revokedBy !== undefined || only.lease.expiresAt <= now ? [] : [only], more: false };
  };

  return {
    async revoke(request: RevocationRequest, admin: Admin): Promise<Result<Revoked, Refusal>> {
      const found = await find(request, admin);
      const permitted = await deps.authorize(admin, 'revoke', found.ok ? found.value.view : domainAsked(request, admin));
      if (!permitted.ok) return permitted;
      if (!found.ok) return found;
      const { view, revocation } = found.value;
      const at = deps.clock.now();
      const by = nameOf(admin);
      // Counted before the commit, which is the moment they fell: what joined them in between fell too and is not in the figure.
      const falling = await fallingOf(found.value, at);
      const body = { target: revocation.target, by, reason: request.reason, ...honouredEntries(falling, deps.honouredNote) };
      await deps.change({ at, by, revocations: [revocation], audit: [{ at, action: 'revocation.made', domainId: view.domain.id, body }] });
      return ok({ revoked: revocation.target, at, fallen: tellFallen(falling, deps.honouredNote) });
    },

    /** Blocks no longer; what ended stays ended (design section 7). A domain is let in again by the installation's admins alone: its own are shut out with it. */
    async enable(request: EnableRequest, admin: Admin): Promise<Result<{ readonly enabled: string }, Refusal>> {
      // Another node may have revoked it a moment ago.
      await deps.snapshot.refresh();
      const named = findBlocked(request, admin);
      const permitted = await deps.authorize(admin, 'enable', request.kind === 'domain' ? undefined : named?.view ?? domainAsked(request, admin));
      if (!permitted.ok) return permitted;
      if (named === undefined) return notFound(request);
      const target = `${request.kind}:${named.id}` as const;
      if (deps.snapshot.revokedBy([target], deps.snapshot.version) === undefined) return err(refusal('parameter_invalid', `${request.kind} ${request.id} is not revoked`));
      const at = deps.clock.now();
      const by = nameOf(admin);
      await deps.change({ at, by, enable: [target], audit: [{ at, action: 'revocation.lifted', domainId: named.view.domain.id, body: { target, by } }] });
      return ok({ enabled: target });
    },
  };
};
export type RevocationAdmin = ReturnType<typeof createRevocationAdmin>;
