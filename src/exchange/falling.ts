import type { JsonObject } from '../core/json.ts';
import type { LeaseRow, Target } from '../store/rows.ts';
import type { LeaseStanding, StoreReads } from '../store/store.ts';

/** For lease kinds whose target keeps honouring them: what to say of it; undefined for all others. */
export type HonouredNote = (leaseKind: string) => string | undefined;

const PAGE = 1000;
/** Looking them up comes before the revocation, and the revocation must not wait: 1,000 take some 150 ms. */
const MOST = 2 * PAGE;

/** `more`: there are others that nobody looked at, and they fall too. */
export interface Falling { readonly standings: readonly LeaseStanding[]; readonly more: boolean }

/** Active leases that rest on a target, newest first, looked up before the commit that revokes it, which is the moment they fall. */
export const findFalling = async (store: Pick<StoreReads, 'leases'>, filter: Parameters<StoreReads['leases']>[0], target: Target, now: number): Promise<Falling> => {
  const standings: LeaseStanding[] = [];
  let after: string | undefined;
  for (let looked = 0; looked < MOST; looked += PAGE) {
    const page = await store.leases({ ...filter, activeAt: now }, { limit: PAGE, after });
    standings.push(...page.items.filter((standing) => standing.revokedBy === undefined && [...standing.hop.path, `lease:${standing.lease.id}`].includes(target)));
    after = page.next;
    if (after === undefined) break;
  }
  return { standings, more: after !== undefined };
};

/** What a revocation could not take back at its target, for the audit log: which lease, where, and when it ends there (design section 3, invariant 9). */
export const honouredEntries = (leases: readonly Pick<LeaseRow, 'id' | 'kind' | 'audience' | 'expiresAt'>[], honouredNote: HonouredNote): JsonObject => {
  const honoured = leases.filter(({ kind }) => honouredNote(kind) !== undefined).map(({ id, audience, expiresAt }) => ({ lease: id, audience, until: expiresAt }));
  return honoured.length === 0 ? {} : { honoured };
};
