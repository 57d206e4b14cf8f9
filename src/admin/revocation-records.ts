import type { JsonObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { CascadeReads, CascadeStanding, RevocationStanding } from '../store/cascades.ts';
import { domainMeant, withinReach } from './access.ts';
import type { Admin, Authorize } from './access.ts';

export interface RevocationRecordDeps {
  readonly store: Pick<CascadeReads, 'revocation' | 'revocations'>;
  readonly snapshot: Pick<Snapshot, 'domain' | 'domainById'>;
  readonly authorize: Authorize;
}

export interface RevocationFilter { readonly domain: string | undefined; /** `<kind>:<id>`. */ readonly target: string | undefined; readonly limit: number; readonly after: string | undefined }

/** Revocations as they were made, with what was carried out of them. */
export const createRevocationRecords = (deps: RevocationRecordDeps) => {
  const show = ({ revocation, cascade }: RevocationStanding): JsonObject => ({
    id: revocation.seq, target: revocation.target, domain: deps.snapshot.domainById(revocation.domainId)?.domain.name ?? revocation.domainId,
    status: revocation.enabledSeq === null ? revocation.effect : 'lifted', at: iso(revocation.at), by: revocation.by, reason: revocation.reason,
    ...(revocation.enabledAt === null ? {} : { lifted_at: iso(revocation.enabledAt), lifted_by: revocation.enabledBy }),
    ...(cascade === undefined ? {} : { carried_out: showCascade(cascade) }),
  });

  return {
    async list({ domain, target, limit, after }: RevocationFilter, admin: Admin): Promise<Result<JsonObject, Refusal>> {
      const view = domain === undefined ? domainMeant(admin) : deps.snapshot.domain(domain);
      const permitted = await deps.authorize(admin, 'list', view);
      if (!permitted.ok) return permitted;
      if (domain !== undefined && view === undefined) return err(refusal('not_found', `no domain ${domain}`));
      const page = await deps.store.revocations({ ...(view === undefined ? {} : { domainId: view.domain.id }), ...(target === undefined ? {} : { target }) }, { limit, after });
      return ok({ items: page.items.map(show), ...(page.next === undefined ? {} : { next: page.next }) });
    },

    async show(raw: string, admin: Admin): Promise<Result<JsonObject, Refusal>> {
      const found = /^\d{1,15}$/.test(raw) ? await deps.store.revocation(Number(raw)) : undefined;
      const view = withinReach(admin, found === undefined ? undefined : deps.snapshot.domainById(found.revocation.domainId));
      const permitted = await deps.authorize(admin, 'show', view ?? domainMeant(admin));
      if (!permitted.ok) return permitted;
      if (found === undefined || (view === undefined && domainMeant(admin) !== undefined)) return err(refusal('not_found', `no revocation ${raw}`));
      return ok(show(found));
    },
  };
};
export type RevocationRecords = ReturnType<typeof createRevocationRecords>;

const iso = (at: number): string => new Date(at).toISOString();

/** What followed a revocation so far: how many fell, and what their targets do about it. */
const showCascade = ({ cascade, unwalked, unreached }: CascadeStanding): JsonObject => ({
  status: cascade.due === null ? 'done' : cascade.progress.walked === true ? 'waiting' : 'under_way',
  sessions: cascade.sessions, leases: cascade.leases, taken_back: cascade.takenBack, ends_by_itself: cascade.honoured,
  ...(cascade.honouredUntil === null ? {} : { ends_by_itself_until: iso(cascade.honouredUntil) }),
  ...(unwalked === 0 ? {} : { sessions_left: unwalked }), ...(unreached === 0 ? {} : { unreached }),
  ...(cascade.doneAt === null ? {} : { done_at: iso(cascade.doneAt) }),
});
