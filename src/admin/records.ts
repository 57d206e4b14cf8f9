import { pairJson } from '../authority/narrow.ts';
import { decisionOf, parseId, parseSessionId } from '../core/ids.ts';
import type { DomainId, IssuerId, SessionId, WorkloadId } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { RevocationRow, Target } from '../store/rows.ts';
import type { LeaseStanding, SessionStanding, StoreReads } from '../store/store.ts';
import { domainMeant, withinReach } from './access.ts';
import type { Admin, Authorize } from './access.ts';
import type { AdminPorts } from './ports.ts';
import { iso, MOST_HOPS, MOST_USES, sessionStatus, showSessionFile } from './session-record.ts';

export interface RecordFilter {
  readonly domain: string | undefined;
  readonly workload: string | undefined;
  readonly session: string | undefined;
  readonly active: boolean;
  readonly limit: number;
  readonly after: string | undefined;
}

export interface RecordAdminDeps extends Pick<AdminPorts, 'clock'> {
  readonly store: Pick<StoreReads, 'leases' | 'leaseStanding' | 'session' | 'sessions' | 'sessionStandings' | 'sessionEnd' | 'sessionUses' | 'revocationsOf'>;
  readonly snapshot: Pick<Snapshot, 'domain' | 'domainById'>;
  readonly authorize: Authorize;
}
export interface Listing { readonly items: readonly JsonObject[]; readonly next: string | undefined }

export const createRecordAdmin = (deps: RecordAdminDeps) => {
  const issuerName = (view: DomainView | undefined, id: IssuerId): string => view?.issuerById(id)?.name ?? id;

  const leaseStatus = ({ lease, revokedBy, suspendedBy, ended }: LeaseStanding, now: number): string =>
    (revokedBy !== undefined ? 'revoked' : ended || lease.expiresAt <= now ? 'ended' : suspendedBy !== undefined ? 'suspended' : 'active');

  const showLease = (standing: LeaseStanding, now: number): JsonObject => {
    const { lease, session, hop, revokedBy, suspendedBy } = standing;
    const view = deps.snapshot.domainById(lease.domainId);
    return {
      id: lease.id, kind: lease.kind, status: leaseStatus(standing, now),
      domain: view?.domain.name ?? lease.domainId, workload: view?.workloadById(lease.workloadId)?.name ?? lease.workloadId, spiffe_id: hop.actor,
      issuer: issuerName(view, lease.issuerId), owner: lease.owner, principal: session.principal, audience: lease.audience, scope: lease.scope,
      issued_at: iso(lease.issuedAt), expires_at: iso(lease.expiresAt), session: lease.sessionId, hop: lease.hopId, decision: decisionOf(lease.id),
      ...blocked(revokedBy, suspendedBy), ...(lease.kid === null ? {} : { key: lease.kid }), ...(lease.jkt === null ? {} : { bound_to: lease.jkt }),
      ...(lease.ceiling.length === 0 ? {} : { ceiling: lease.ceiling.map(pairJson) }), ...(lease.details === undefined ? {} : { details: lease.details }),
    };
  };

  /** A session that came over from another domain of this installation falls with the one it came from, and waits with it: its hops rest on that one as well. */
  const withOrigins = async <Standing extends SessionStanding>(standings: readonly Standing[]): Promise<readonly Standing[]> => {
    const wanted = new Set(standings.flatMap((standing) => (standing.revokedBy === undefined ? originOf(standing) ?? [] : [])));
    if (wanted.size === 0) return standings;
    const origins = new Map((await withOrigins(await deps.store.sessionStandings([...wanted]))).map((origin) => [origin.session.id, origin]));
    return standings.map((standing) => {
      const from = originOf(standing);
      const origin = from === undefined ? undefined : origins.get(from);
      return origin === undefined ? standing : { ...standing, revokedBy: standing.revokedBy ?? origin.revokedBy, suspendedBy: standing.suspendedBy ?? origin.suspendedBy };
    });
  };

  /** Why something was taken back in a domain beyond an admin's reach is told there. */
  const toldTo = (admin: Admin, row: RevocationRow): RevocationRow =>
    (withinReach(admin, deps.snapshot.domainById(row.domainId)) === undefined && domainMeant(admin) !== undefined ? { ...row, reason: 'why is told there', by: 'another trust domain' } : row);

  const showSession = (standing: SessionStanding, now: number): JsonObject => {
    const { session, revokedBy, suspendedBy } = standing;
    const view = deps.snapshot.domainById(session.domainId);
    return {
      id: session.id, status: sessionStatus(standing, view, now), domain: view?.domain.name ?? session.domainId,
      ...(session.model === 'delegated' ? { person: session.holder } : { workload: view?.workloadById(session.holder as WorkloadId)?.name ?? session.holder }), issuer: issuerName(view, session.issuerId), model: session.model, principal: session.principal,
      ...(typeof session.facts['purpose'] === 'string' ? { purpose: session.facts['purpose'] } : {}), ...(session.freshAt === null ? {} : { fresh_at: iso(session.freshAt) }),
      anchor: session.anchor, started_at: iso(session.startedAt), expires_at: iso(session.expiresAt), ...(session.endedAt === null ? {} : { ended_at: iso(session.endedAt) }), ...blocked(revokedBy, suspendedBy),
    };
  };

  /** The store's filter from names. A name of nothing is refused: "nothing found" would say that nothing was issued. */
  const storeFilter = (filter: RecordFilter, view: DomainView | undefined) => {
    const workload = filter.workload === undefined ? undefined : view?.workloadByName(filter.workload)?.id ?? parseId('workload', filter.workload);
    if (filter.workload !== undefined && workload === undefined) return err(refusal('not_found', view === undefined ? `no workload ${filter.workload}; a name needs its domain` : `no workload ${filter.workload} in ${view.domain.name}; one that has ended is found by its id`));
    const session = filter.session === undefined ? undefined : parseSessionId(filter.session);
    if (filter.session !== undefined && session === undefined) return err(refusal('not_found', `no session ${filter.session}`));
    return ok({
      ...(view === undefined ? {} : { domainId: view.domain.id }), ...(workload === undefined ? {} : { workloadId: workload }), ...(session === undefined ? {} : { sessionId: session }),
      ...(filter.active ? { activeAt: deps.clock.now() } : {}),
    });
  };

  /** The domain that is listed; undefined: all of them. */
  const listed = async ({ domain }: RecordFilter, admin: Admin): Promise<Result<DomainView | undefined, Refusal>> => {
    const view = domain === undefined ? domainMeant(admin) : deps.snapshot.domain(domain);
    const permitted = await deps.authorize(admin, 'list', view);
    if (!permitted.ok) return permitted;
    return domain !== undefined && view === undefined ? err(refusal('not_found', `no domain ${domain}`)) : ok(view);
  };

  /** Whether something found in a domain may be shown; what lies beyond an admin's reach does not exist. */
  const showable = async (domainId: DomainId | undefined, admin: Admin, missing: string): Promise<Result<undefined, Refusal>> => {
    const view = withinReach(admin, domainId === undefined ? undefined : deps.snapshot.domainById(domainId));
    const permitted = await deps.authorize(admin, 'show', view ?? domainMeant(admin));
    if (!permitted.ok) return permitted;
    return domainId === undefined || (view === undefined && domainMeant(admin) !== undefined) ? err(refusal('not_found', missing)) : ok(undefined);
  };

  return {
    async leases(filter: RecordFilter, admin: Admin): Promise<Result<Listing, Refusal>> {
      const view = await listed(filter, admin);
      if (!view.ok) return view;
      const where = storeFilter(filter, view.value);
      if (!where.ok) return where;
      const now = deps.clock.now();
      const page = await deps.store.leases(where.value, { limit: filter.limit, after: filter.after });
      return ok({ items: page.items.map((standing) => showLease(standing, now)), next: page.next });
    },
    async lease(raw: string, admin: Admin): Promise<Result<JsonObject, Refusal>> {
      const id = parseId('lease', raw);
      const standing = id === undefined ? undefined : await deps.store.leaseStanding(id);
      const shown = await showable(standing?.lease.domainId, admin, `no lease ${raw}`);
      if (!shown.ok) return shown;
      return standing === undefined ? err(refusal('not_found', `no lease ${raw}`)) : ok({ ...showLease(standing, deps.clock.now()), hash: standing.lease.credentialHash, facts: standing.lease.decision });
    },
    async sessions(filter: RecordFilter, admin: Admin): Promise<Result<Listing, Refusal>> {
      const view = await listed(filter, admin);
      if (!view.ok) return view;
      const where = storeFilter({ ...filter, session: undefined, active: false }, view.value);
      if (!where.ok) return where;
      const now = deps.clock.now();
      const { workloadId: holder, ...rest } = where.value;
      const page = await deps.store.sessions({ ...rest, ...(holder === undefined ? {} : { holder }) }, { limit: filter.limit, after: filter.after });
      return ok({ items: (await withOrigins(page.items)).map((standing) => showSession(standing, now)), next: page.next });
    },
    async session(raw: string, admin: Admin): Promise<Result<JsonObject, Refusal>> {
      const id = parseSessionId(raw);
      const own = id === undefined ? undefined : await deps.store.session(id);
      const shown = await showable(own?.session.domainId, admin, `no session ${raw}`);
      if (!shown.ok) return shown;
      if (own === undefined) return err(refusal('not_found', `no session ${raw}`));
      const [found = own] = await withOrigins([own]);
      const now = deps.clock.now();
      const { id: sessionId, domainId } = found.session;
      const targets = [...new Set([...found.hops.slice(0, MOST_HOPS).flatMap(({ path }) => path), ...[found.revokedBy, found.suspendedBy].filter((target) => target !== undefined)])];
      const [end, uses, revocations, leases] = await Promise.all([
        deps.store.sessionEnd(sessionId), deps.store.sessionUses(sessionId, MOST_USES), deps.store.revocationsOf(targets), deps.store.leases({ sessionId }, { limit: 100, after: undefined }),
      ]);
      const file = { ...found, view: deps.snapshot.domainById(domainId), end, uses, revocations: revocations.map((row) => toldTo(admin, row)) };
      return ok({ ...showSession(found, now), ...showSessionFile(file, now), leases: leases.items.map((standing) => showLease(standing, now)) });
    },
  };
};
export type RecordAdmin = ReturnType<typeof createRecordAdmin>;

/** The session it came from, where that is one of this installation: what another one says of itself names nothing here. */
const originOf = ({ session: { facts } }: SessionStanding): SessionId | undefined =>
  (Object.hasOwn(facts, 'charged') && typeof facts['session'] === 'string' ? parseSessionId(facts['session']) : undefined);

const blocked = (revokedBy: Target | undefined, suspendedBy: Target | undefined): JsonObject =>
  ({ ...(revokedBy === undefined ? {} : { revoked_by: revokedBy }), ...(suspendedBy === undefined ? {} : { suspended_by: suspendedBy }) });
