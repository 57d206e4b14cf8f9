import { sessionPath } from '../authority/session.ts';
import type { DomainId, HopId, LeaseId, SessionId, SpiffeId, WorkloadId } from '../core/ids.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { CascadeSource } from '../store/cascades.ts';
import type { HopRow, SessionRow, Target } from '../store/rows.ts';
import type { Occurrence } from '../store/signals.ts';
import type { SessionStanding, StoreReads } from '../store/store.ts';
import { subOf } from './draft.ts';
import type { Fall, Suspended } from './draft.ts';
import { LONGEST_SESSION } from './limits.ts';

export interface ReachDeps {
  readonly store: Pick<StoreReads, 'session' | 'sessions' | 'leaseStanding' | 'hop' | 'hopsOf' | 'sessionsJoined' | 'crossings' | 'hopFalls' | 'sourcePage'>;
  viewOf(domainId: DomainId): Pick<DomainView, 'workloadById'> | undefined;
  /** Kinds of leases that are tokens of ours; and those that stand for what is taken up with them, here or in another domain. */
  readonly tokenKinds: ReadonlySet<string>;
  readonly handingOn: ReadonlySet<string>;
}

/** What one page of looking found; `next`: where to go on, empty at the end. */
export interface Reached { readonly falls: readonly Fall[]; readonly next: string }

/** Rows looked at in one page: the database is asked often rather than long. */
const PAGE = 100;
const LEASES_PAGE = 1000;

/**
 * What a revocation reaches, page by page: a position in it outlives the process. Sessions that fell before, under another
 * revocation or by their end, were told of then.
 */
export const createReach = (deps: ReachDeps) => {
  const { store } = deps;

  const toldOf = (session: SessionRow, hops: readonly HopRow[]) => ({ session, sub: subOf(session, hops) });

  /**
   * Sessions of other domains that go on from these, and from those: they rest on what their first actors brought along from here.
   * One in which nobody was left is over as a whole.
   */
  const fallsElsewhere = async (from: readonly SessionId[], occurrence: Occurrence): Promise<readonly Fall[]> => {
    const falls: Fall[] = [];
    const seen = new Set(from);
    for (let ids = from; ids.length > 0; ) {
      ids = (await store.crossings(ids)).filter((id) => !seen.has(id));
      for (const id of ids) seen.add(id);
      const went = wereAlive((await Promise.all(ids.map(standing))).flat(), occurrence);
      const hops = (await store.hopsOf(went.map(({ session }) => session.id))).filter(({ expiresAt }) => expiresAt > occurrence.revocation.at);
      const under = await store.hopFalls(hops.map(({ id }) => id));
      for (const { session } of went) {
        const own = hops.filter(({ sessionId }) => sessionId === session.id);
        const fallen = own.filter(({ id }) => under.get(id) === occurrence.seq);
        const told = toldOf(session, own);
        if (fallen.length === 0) continue;
        if (own.every(({ id }) => under.get(id) !== undefined)) falls.push({ kind: 'session', ...told });
        else falls.push(...[...new Set(fallen.map(({ actor }) => actor as SpiffeId))].map((actor): Fall => ({ kind: 'actor', actor, ...told })));
      }
    }
    return falls;
  };

  /** What of these sessions rests on the target, here and in other domains: all of one, or some of its actors. */
  const fallsOf = async (standings: readonly Standing[], occurrence: Occurrence): Promise<readonly Fall[]> => {
    const { revocation: { target, at } } = occurrence;
    const began = wereAlive(standings, occurrence);
    const elsewhere = await fallsElsewhere(standings.map(({ session }) => session.id), occurrence);
    const hops = Map.groupBy(await store.hopsOf(began.map(({ session }) => session.id)), ({ sessionId }) => sessionId);
    return [...began.flatMap(({ session, revokedBy }): readonly Fall[] => {
      const own = hops.get(session.id) ?? [];
      if (sessionPath(session).includes(target)) return revokedBy === target ? [{ kind: 'session', ...toldOf(session, own) }] : [];
      if (revokedBy !== undefined) return [];
      return actorsOn(own, target, at).map((actor) => ({ kind: 'actor', actor, ...toldOf(session, own) }));
    }), ...elsewhere];
  };

  const standing = async (id: SessionId): Promise<readonly SessionStanding[]> => {
    const found = await store.session(id);
    return found === undefined ? [] : [found];
  };

  const bySession = async (id: SessionId, occurrence: Occurrence): Promise<Reached> => ({ falls: await fallsOf(await standing(id), occurrence), next: '' });

  const byHop = async (id: HopId, occurrence: Occurrence): Promise<Reached> => {
    const hop = await store.hop(id);
    return hop === undefined ? { falls: [], next: '' } : bySession(hop.sessionId, occurrence);
  };

  const byLease = async (id: LeaseId, occurrence: Occurrence): Promise<Reached> => {
    const found = await store.leaseStanding(id);
    if (found === undefined) return { falls: [], next: '' };
    const { lease, session, hop } = found;
    if (deps.handingOn.has(lease.kind)) return bySession(session.id, occurrence);
    if (lease.expiresAt <= occurrence.revocation.at || found.revokedBy !== occurrence.revocation.target) return { falls: [], next: '' };
    const told = toldOf(session, await store.hopsOf([session.id]));
    return { falls: [{ kind: deps.tokenKinds.has(lease.kind) ? 'token' : 'credential', lease, actor: hop.actor as SpiffeId, ...told }], next: '' };
  };

  /** Sessions of a domain, or of one holder in it, the newest first: those that are too old to live end the search. */
  const bySessions = async (holder: SessionRow['holder'] | undefined, occurrence: Occurrence, position: string): Promise<Reached> => {
    const { domainId, at } = occurrence.revocation;
    const page = await store.sessions({ domainId, ...(holder === undefined ? {} : { holder }) }, { limit: PAGE, after: position === '' ? undefined : position });
    const oldest = page.items.at(-1)?.session.startedAt ?? 0;
    return { falls: await fallsOf(page.items, occurrence), next: oldest < at - LONGEST_SESSION ? '' : page.next ?? '' };
  };

  /** Sessions of others in which a workload acts. */
  const byJoined = async (workload: WorkloadId, occurrence: Occurrence, position: string): Promise<Reached> => {
    const { sessions, next } = await store.sessionsJoined(workload, occurrence.revocation.at - LONGEST_SESSION, LEASES_PAGE, position === '' ? undefined : position);
    const standings = (await Promise.all(sessions.map(standing))).flat();
    return { falls: await fallsOf(standings, occurrence), next: next ?? '' };
  };

  /** Sessions of a source that were not over, page by page. */
  const bySource = async (source: CascadeSource, occurrence: Occurrence, position: string): Promise<Reached> => {
    const [, time, id] = /^(\d+)\/(.+)$/.exec(position) ?? [];
    const { sessions, next } = await store.sourcePage(source, occurrence.revocation.at, PAGE, time === undefined || id === undefined ? undefined : { at: Number(time), id });
    return { falls: await fallsOf((await Promise.all(sessions.map(standing))).flat(), occurrence), next: next === undefined ? '' : `${next.at}/${next.id}` };
  };

  /** Sessions in which instances of a template live. */
  const byInstances = (template: WorkloadId, occurrence: Occurrence, position: string): Promise<Reached> =>
    bySource({ kind: 'instances', by: 'template_id', value: template, since: occurrence.revocation.at }, occurrence, position);

  /** A person's own sessions, and tasks they are accountable for: of all of them they are the principal, whatever became of the workload. */
  const byPrincipal = (person: string, occurrence: Occurrence, position: string): Promise<Reached> =>
    bySource({ kind: 'sessions', by: 'person', value: person, since: occurrence.revocation.at - LONGEST_SESSION }, occurrence, position);

  /** One search after the other; which, and where in it, is the position. */
  const inTurn = async (searches: readonly ((position: string) => Promise<Reached>)[], position: string): Promise<Reached> => {
    const [, step = '0', within = ''] = /^(\d{1,6}):(.*)$/.exec(position) ?? [];
    const at = Number(step);
    const search = searches[at];
    if (search === undefined) return { falls: [], next: '' };
    const reached = await search(within);
    if (reached.next !== '') return { ...reached, next: `${at}:${reached.next}` };
    return { ...reached, next: at + 1 < searches.length ? `${at + 1}:` : '' };
  };

  const suspendedOf = async ({ revocation: { target, domainId } }: Occurrence): Promise<Suspended | undefined> => {
    const [kind, id] = split(target);
    if (kind === 'person') return { what: 'person', sub: id };
    if (kind === 'workload') {
      const workload = deps.viewOf(domainId)?.workloadById(id as WorkloadId);
      return workload && { what: 'workload', sub: workload.spiffeId };
    }
    const hop = kind === 'hop' ? await store.hop(id as HopId) : undefined;
    const found = kind === 'session' ? await store.session(id as SessionId) : hop && await store.session(hop.sessionId);
    if (found === undefined) return undefined;
    const told = toldOf(found.session, await store.hopsOf([found.session.id]));
    return hop === undefined ? { what: 'session', ...told } : { what: 'actor', actor: hop.actor as SpiffeId, ...told };
  };

  return async (occurrence: Occurrence, position: string): Promise<Reached> => {
    const { revocation } = occurrence;
    if (revocation.effect === 'suspended') {
      const of = await suspendedOf(occurrence);
      return { falls: of === undefined ? [] : [{ kind: occurrence.kind === 'made' ? 'suspended' : 'lifted', domainId: revocation.domainId, of }], next: '' };
    }
    // Lifting a revocation revives nothing, so there is nothing to tell.
    if (occurrence.kind === 'lifted') return { falls: [], next: '' };
    const [kind, id] = split(revocation.target);
    switch (kind) {
      case 'session': return bySession(id as SessionId, occurrence);
      case 'hop': return byHop(id as HopId, occurrence);
      case 'lease': return byLease(id as LeaseId, occurrence);
      case 'workload': return inTurn([(within) => bySessions(id as WorkloadId, occurrence, within), (within) => byJoined(id as WorkloadId, occurrence, within), (within) => byInstances(id as WorkloadId, occurrence, within)], position);
      case 'person': return byPrincipal(id, occurrence, position);
      case 'issuer': case 'domain': return bySessions(undefined, occurrence, position);
      // A signing key is nobody's session: it leaves the key set, which is what verifiers look at.
      default: return { falls: [], next: '' };
    }
  };
};
export type Reach = ReturnType<typeof createReach>;

type Standing = Pick<SessionStanding, 'session' | 'revokedBy'>;

const wereAlive = (standings: readonly Standing[], { seq, revocation: { at } }: Occurrence): readonly Standing[] =>
  standings.filter(({ session }) => session.beganVersion < seq && session.expiresAt > at && (session.endedAt === null || session.endedAt >= at));

/** Actors whose place in a session rests on the target, each once. */
const actorsOn = (hops: readonly HopRow[], target: Target, at: number): readonly SpiffeId[] =>
  [...new Set(hops.filter((hop) => hop.path.includes(target) && hop.expiresAt > at).map((hop) => hop.actor as SpiffeId))];

const split = (target: Target): readonly [string, string] => {
  const colon = target.indexOf(':');
  return [target.slice(0, colon), target.slice(colon + 1)];
};
