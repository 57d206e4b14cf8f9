import { DAY, HOUR } from '../core/duration.ts';
import type { DomainId, HopId, IssuerId, LeaseId, SessionId } from '../core/ids.ts';
import { othersRestOn } from '../exchange/revoke-token.ts';
import { authorityLimits } from '../registry/limits.ts';
import { domainSchema } from '../registry/schemas.ts';
import type { CascadeReads, CascadeSource } from '../store/cascades.ts';
import type { CascadeRow } from '../store/rows.ts';
import type { StoreReads } from '../store/store.ts';

/** Longest a credential lives (registry/schemas.ts, lifetime): what was issued before is over. */
export const LONGEST_LEASE = 12 * HOUR;
/** Longest any domain can let a session live (registry/schemas.ts, limits). */
const LONGEST_SESSION = 30 * DAY;

/** Where what rests on a target is to be looked for: at one lease, in one session, or in sessions that are to be found first. */
export type Scope =
  | { readonly kind: 'lease'; readonly id: LeaseId }
  | { readonly kind: 'session'; readonly id: SessionId }
  | { readonly kind: 'sources'; readonly sources: readonly CascadeSource[] }
  | { readonly kind: 'nothing' };

export type ScopeReads = Pick<CascadeReads, 'sessionOfHop' | 'crossings'> & Pick<StoreReads, 'leaseStanding' | 'entryHistory'>;

export const scopeOf = async (store: ScopeReads, row: Pick<CascadeRow, 'target' | 'domainId' | 'at'>): Promise<Scope> => {
  const at = row.target.indexOf(':');
  const [kind, id] = [row.target.slice(0, at), row.target.slice(at + 1)];
  if (kind === 'session') return { kind, id: id as SessionId };
  if (kind === 'hop') {
    const session = await store.sessionOfHop(id as HopId);
    return session === undefined ? { kind: 'nothing' } : { kind: 'session', id: session };
  }
  if (kind === 'lease') {
    const standing = await store.leaseStanding(id as LeaseId);
    if (standing === undefined) return { kind: 'nothing' };
    const { lease, session } = standing;
    // It may be the one with which the chain went on elsewhere.
    return othersRestOn(lease) || (await store.crossings([session.id])).length > 0 ? { kind: 'session', id: session.id } : { kind, id: lease.id };
  }
  return { kind: 'sources', sources: sourcesOf(kind, id, row, row.at - await longestSession(store, row.domainId)) };
};

/** A session keeps the end it was given, whatever became of the limit since. */
const longestSession = async (store: ScopeReads, domain: DomainId): Promise<number> => {
  const ages = (await store.entryHistory(domain)).map(({ body }) => {
    const limits = domainSchema.shape.limits.safeParse(body['limits']);
    return limits.success ? Math.max(...Object.values(authorityLimits(limits.data).sessionAge)) : LONGEST_SESSION;
  });
  return ages.length === 0 ? LONGEST_SESSION : Math.max(...ages);
};

const sourcesOf = (kind: string, id: string, { domainId, at }: Pick<CascadeRow, 'domainId' | 'at'>, since: number): readonly CascadeSource[] => {
  switch (kind) {
    // In every session that rests on a person they are its principal.
    case 'person': return [{ kind: 'sessions', by: 'person', value: id, since }];
    // Its own sessions, and those of others in which it acts: whoever acts has a lease. Of a template those of its instances, which end with them.
    case 'workload': return [
      { kind: 'sessions', by: 'holder', value: id, since }, { kind: 'leases', by: 'workload_id', value: id, since }, { kind: 'instances', by: 'template_id', value: id, since: at },
    ];
    case 'issuer': return [{ kind: 'sessions', by: 'domain_id', value: domainId, since, issuer: id as IssuerId }];
    case 'domain': return [{ kind: 'sessions', by: 'domain_id', value: id, since }];
    case 'key': return [{ kind: 'leases', by: 'domain_id', value: domainId, since: at - LONGEST_LEASE, kid: id }];
    default: return [];
  }
};
