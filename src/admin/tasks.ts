import { principalOf } from '../exchange/caller-evidence.ts';
import { sessionId, sessionPath } from '../authority/session.ts';
import type { NewSession } from '../authority/session.ts';
import { newId, parseId, parseSessionId } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import type { Random } from '../core/random.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Workload } from '../registry/entries.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { BudgetKind, BudgetRow } from '../store/rows.ts';
import type { StoreReads, StoreWrites } from '../store/store.ts';
import { domainMeant, nameOf, withinReach } from './access.ts';
import type { Admin, Authorize } from './access.ts';
import type { AdminPorts } from './ports.ts';
import { SESSION_KEPT } from './revocable.ts';

export interface TaskRequest {
  readonly domain: string;
  /** Name or id of an autonomous workload. */
  readonly workload: string;
  readonly purpose: string;
  /** Milliseconds; undefined: as long as the domain lets a task live. */
  readonly deadline: number | undefined;
  readonly budgets: Readonly<Partial<Record<BudgetKind, number>>>;
}

export interface Opened { readonly session: string; readonly domain: string; readonly workload: string; readonly principal: string; readonly purpose: string; readonly expires_at: string; readonly budgets: Readonly<Partial<Record<BudgetKind, number>>> }

export interface TaskAdminDeps extends Pick<AdminPorts, 'clock'> {
  readonly random: Random;
  readonly store: Pick<StoreWrites, 'open' | 'endSession'> & Pick<StoreReads, 'session'>;
  readonly snapshot: Pick<Snapshot, 'domain' | 'domainById' | 'refresh'>;
  readonly authorize: Authorize;
}

/** Tasks of autonomous workloads, and the end of any session before its time. */
export const createTaskAdmin = (deps: TaskAdminDeps) => {
  const describe = (view: DomainView, workload: Workload, request: TaskRequest): Result<{ readonly session: NewSession; readonly budgets: readonly BudgetRow[] }, Refusal> => {
    const { domain } = view;
    const startedAt = deps.clock.now();
    const longest = Math.min(startedAt + domain.limits.sessionAge.autonomous, workload.expires);
    if (request.deadline !== undefined && (request.deadline <= startedAt || request.deadline > longest)) return err(refusal('parameter_invalid', `deadline must lie between now and ${new Date(longest).toISOString()}: limits.session_age.autonomous of the domain and the workload's expires bound it`));
    const issuer = view.issuer(workload.match.issuer);
    if (issuer === undefined) return err(refusal('conflict', `issuer ${workload.match.issuer} of ${workload.name} is no longer registered`));
    // Nobody chose this: an id that could be guessed would let a task be opened before its admin does.
    const anchor = `task.${newId('request', deps.clock, deps.random)}`;
    const id = sessionId(domain.id, issuer.id, workload.id, anchor);
    const session: NewSession = {
      id, domainId: domain.id, issuerId: issuer.id, holder: workload.id, model: 'autonomous', principal: principalOf(view, workload), anchor, facts: { purpose: request.purpose },
      startedAt, expiresAt: request.deadline ?? longest, endedAt: null, freshAt: startedAt,
    };
    return ok({ session, budgets: Object.entries(request.budgets).map(([kind, most]) => ({ sessionId: id, kind: kind as BudgetKind, most, used: 0 })) });
  };

  return {
    async open(request: TaskRequest, admin: Admin): Promise<Result<Opened, Refusal>> {
      const view = deps.snapshot.domain(request.domain);
      const permitted = await deps.authorize(admin, 'open', view);
      if (!permitted.ok) return permitted;
      const id = parseId('workload', request.workload);
      const workload = id === undefined ? view?.workloadByName(request.workload) : view?.workloadById(id);
      if (view === undefined || workload === undefined) return err(refusal('not_found', `no workload ${request.workload} in ${request.domain}`));
      if (workload.template !== undefined || workload.instanceOf !== undefined) return err(refusal('parameter_invalid', `${workload.name} is ${workload.template === undefined ? 'an instance of a template' : 'a template'}: tasks are for registered workloads`));
      if (workload.authority !== 'autonomous') return err(refusal('parameter_invalid', `${workload.name} is ${workload.authority}: tasks are for autonomous workloads`));
      if (workload.expires <= deps.clock.now()) return err(refusal('workload_expired', `the registration of ${workload.name} has expired`));
      const made = describe(view, workload, request);
      if (!made.ok) return made;
      const { session, budgets } = made.value;
      const by = nameOf(admin);
      const outcome = await deps.store.open({
        session, path: sessionPath(session), budgets,
        audit: { at: session.startedAt, action: 'session.opened', domainId: view.domain.id, body: { session: session.id, workload: workload.spiffeId, principal: session.principal, purpose: request.purpose, by, expires: session.expiresAt, budgets: { ...request.budgets } } },
      });
      if (outcome === 'revoked') return err(refusal('revoked', `${workload.name}, its issuer, its principal or its domain is revoked`));
      if (outcome === 'exists') return err(refusal('conflict', 'a task of this id is there already'));
      return ok({ session: session.id, domain: view.domain.name, workload: workload.name, principal: session.principal, purpose: request.purpose, expires_at: new Date(session.expiresAt).toISOString(), budgets: request.budgets });
    },

    /** Over for good: nothing that rests on it is issued or active any more. */
    async end(raw: string, reason: string, admin: Admin): Promise<Result<JsonObject, Refusal>> {
      const id = parseSessionId(raw);
      const found = id === undefined ? undefined : await deps.store.session(id);
      const view = withinReach(admin, found === undefined ? undefined : deps.snapshot.domainById(found.session.domainId));
      const permitted = await deps.authorize(admin, 'end', view ?? domainMeant(admin));
      if (!permitted.ok) return permitted;
      if (id === undefined || found === undefined || view === undefined) return err(refusal('not_found', `no session ${raw}`));
      const at = deps.clock.now();
      const by = nameOf(admin);
      const end = { at, by, reason, domainId: view.domain.id, purgeAfter: found.session.expiresAt + SESSION_KEPT };
      const ended = await deps.store.endSession(id, end, { at, action: 'session.ended', domainId: view.domain.id, body: { session: id, by, reason } });
      await deps.snapshot.refresh();
      return ok({ session: id, ended, at: new Date(at).toISOString() });
    },
  };
};
export type TaskAdmin = ReturnType<typeof createTaskAdmin>;
