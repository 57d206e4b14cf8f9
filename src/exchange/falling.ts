import { parseId } from '../core/ids.ts';
import type { DomainId, LeaseId } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import type { Target } from '../store/rows.ts';
import type { LeaseStanding, StoreReads } from '../store/store.ts';
import { HANDOVER_TOKEN } from './session-token.ts';

/** For lease kinds whose target keeps honouring them: what to say of it; undefined for all others. */
export type HonouredNote = (leaseKind: string) => string | undefined;

/** Where to look for what rests on a target. */
export interface Search { readonly target: Target; readonly filter: Parameters<StoreReads['leases']>[0] }

/** `more`: there are others that nobody looked at, and they fall too. */
export interface Falling { readonly standings: readonly LeaseStanding[]; readonly more: boolean }

/** What became of active leases, as answers tell it. Those their target still honours are told with their end. */
export interface Fallen {
  /** Leases that were active and are not any more. */
  readonly leases: number;
  readonly more: boolean;
  readonly endsByItself: readonly { readonly lease: LeaseId; readonly audience: string; readonly until: number; readonly note: string }[];
}

const PAGE = 1000;
/** Looking them up comes before the revocation, and the revocation must not wait: 1,000 take some 150 ms. */
const MOST = 2 * PAGE;
/** Looking and finding nothing takes time as well. */
const MOST_SEARCHES = 200;
/** Leases of one workload among which hand-overs are looked for: some 20 ms. */
const MOST_LOOKED_AT = 10_000;

export const restsOn = ({ hop, lease }: LeaseStanding, target: Target): boolean =>
  hop.path.includes(target) || target === `lease:${lease.id}` || (lease.kid !== null && target === `key:${lease.kid}`);

/** Active leases that rest on a target, newest first, looked up before the commit that revokes it, which is the moment they fall. Many targets have no more room than one. */
export const findFalling = async (store: Pick<StoreReads, 'leases'>, searches: readonly Search[], now: number): Promise<Falling> => {
  const found = new Map<LeaseId, LeaseStanding>();
  let room = MOST;
  const search = async ({ target, filter }: Search): Promise<boolean> => {
    let after: string | undefined;
    do {
      if (room === 0) return false;
      const page = await store.leases({ ...filter, activeAt: now }, { limit: Math.min(PAGE, room), after });
      room -= page.items.length;
      for (const standing of page.items) if (standing.revokedBy === undefined && restsOn(standing, target)) found.set(standing.lease.id, standing);
      after = page.next;
    } while (after !== undefined);
    return true;
  };
  let complete = searches.length <= MOST_SEARCHES;
  for (const each of searches.slice(0, MOST_SEARCHES)) complete = (await search(each)) && complete;
  return { standings: [...found.values()], more: !complete };
};

/** An entry that others rest on; of workloads their leases are found by it, of all others among those of the domain. */
export interface Fallible { readonly target: Target; readonly domainId: DomainId }

/**
 * The same of workloads, issuers and domains. Whom a workload handed on to has leases of its own: they are found in the sessions in which it
 * handed on, by the newest leases it had. What rests on a template is found in the sessions its instances live in.
 */
export const findFallingWith = async (store: Pick<StoreReads, 'leases' | 'sessionsWith' | 'instances'>, targets: readonly Fallible[], now: number): Promise<Falling> => {
  const own: Search[] = [];
  const below: Search[] = [];
  let complete = true;
  for (const { target, domainId } of targets) {
    const workloadId = target.startsWith('workload:') ? parseId('workload', target.slice('workload:'.length)) : undefined;
    own.push({ target, filter: workloadId === undefined ? { domainId } : { domainId, workloadId } });
    if (workloadId === undefined || own.length + below.length >= MOST_SEARCHES) continue;
    const { sessions, more } = await store.sessionsWith(workloadId, HANDOVER_TOKEN, MOST_LOOKED_AT, now);
    const places = await store.instances({ domainId, templateId: workloadId, liveAt: now }, MOST_SEARCHES);
    below.push(...[...new Set([...sessions, ...places.map(({ instance }) => instance.sessionId)])].map((sessionId) => ({ target, filter: { sessionId } })));
    complete &&= !more && places.length < MOST_SEARCHES;
  }
  const falling = await findFalling(store, [...own, ...below], now);
  return { ...falling, more: falling.more || !complete };
};

export const tellFallen = ({ standings, more }: Falling, honouredNote: HonouredNote): Fallen => ({
  leases: standings.length,
  more,
  endsByItself: standings.flatMap(({ lease }) => {
    const note = honouredNote(lease.kind);
    return note === undefined ? [] : [{ lease: lease.id, audience: lease.audience, until: lease.expiresAt, note }];
  }),
});

/** What a revocation could not take back at its target, for the audit log: which lease, where, and when it ends there (design section 3, invariant 9). */
export const honouredEntries = (falling: Falling, honouredNote: HonouredNote): JsonObject => {
  const honoured = tellFallen(falling, honouredNote).endsByItself.map(({ lease, audience, until }) => ({ lease, audience, until }));
  return { ...(honoured.length === 0 ? {} : { honoured }), ...(falling.more ? { more: true } : {}) };
};
