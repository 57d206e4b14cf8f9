import { isParty, isSamePerson, missingNames, namesIn, thaw } from '../authority/approval.ts';
import type { Frozen } from '../authority/approval.ts';
import { decisionOf, parseId } from '../core/ids.ts';
import type { DecisionId } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { mayApprove, namesFor } from '../exchange/approver.ts';
import type { Approver } from '../exchange/approver.ts';
import type { Denials } from '../exchange/denials.ts';
import { statusOf, tellApproval } from '../exchange/tell-approval.ts';
import type { ShownStatus } from '../exchange/tell-approval.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { ApprovalRow, ApprovalStatus, ApprovalVote } from '../store/approval-rows.ts';
import type { StoreReads, StoreWrites } from '../store/store.ts';
import { domainMeant, withinReach } from './access.ts';
import type { Admin, Authorize, Judge } from './access.ts';
import type { AdminPorts } from './ports.ts';
import type { Listing } from './records.ts';

/** A person, and the domain whose issuer knows them: the only one whose requests they can decide on. */
export interface KnownApprover { readonly view: DomainView; readonly approver: Approver }

/** Who calls: an admin, a person who may approve, or both. */
export interface ApprovalCaller { readonly admin: Admin | undefined; readonly known: KnownApprover | undefined }

export interface Denied { readonly refusal: Refusal; readonly decisionId?: DecisionId }
export interface ApprovalFilter { readonly domain: string | undefined; readonly workload: string | undefined; readonly status: ShownStatus | undefined; readonly limit: number; readonly after: string | undefined }

export interface ApprovalAdminDeps extends Pick<AdminPorts, 'clock'> {
  readonly store: Pick<StoreReads, 'approval' | 'approvals' | 'leaseStanding'> & Pick<StoreWrites, 'answerApproval'>;
  readonly snapshot: Pick<Snapshot, 'domain' | 'domainById' | 'blockedBy'>;
  readonly judge: Judge;
  readonly authorize: Authorize;
  readonly denials: Pick<Denials, 'record'>;
}

/** Somebody else may answer at the same moment; then it is looked at anew. */
const TRIES = 5;
/** A person's listing decides on each item. */
const MOST_DECIDED = 100;
/** Of rows, for one page of an admin's listing, which decides on nothing. */
const PAGES = 10;

export const createApprovalAdmin = (deps: ApprovalAdminDeps) => {
  const show = (view: DomainView | undefined, row: ApprovalRow, now: number): JsonObject => {
    const frozen = thaw(row);
    const status = statusOf(row, frozen.ok ? frozen.value : undefined, deps.snapshot, now);
    const answered = { approved_by: row.votes.map(({ name, person, at }) => ({ name, person, at: iso(at) })), ...(row.closedBy === null ? {} : { closed_by: row.closedBy }), ...(row.reason === null ? {} : { reason: row.reason }) };
    const became = { lease: row.leaseId, decision: decisionOf(row.leaseId), ...(row.redeemedLease === null ? {} : { redeemed_lease: row.redeemedLease, redeemed_at: iso(row.redeemedAt ?? 0) }) };
    // Of a text that is not the one that was asked nothing is shown as if it were.
    if (!frozen.ok || view === undefined) return { id: row.id, status, approval_names: row.names, ...(frozen.ok ? {} : { damaged: frozen.error.detail }), ...answered, ...became };
    return { ...tellApproval(view, row, frozen.value, status), ...answered, ...became };
  };

  /** Whether an admin sees approvals as an admin: asked without writing down a "no" of somebody who may see them as a person. */
  const listsAll = async ({ admin, known }: ApprovalCaller, view: DomainView | undefined): Promise<Result<boolean, Refusal>> => {
    if (admin !== undefined && deps.judge(admin, 'list', view) === undefined) return ok(true);
    if (known !== undefined && known.view.domain.name !== SYSTEM_DOMAIN && (view === undefined || view.domain.id === known.view.domain.id)) return ok(false);
    if (admin === undefined) return ok(false);
    const permitted = await deps.authorize(admin, 'list', view);
    return permitted.ok ? ok(true) : permitted;
  };

  const concerns = ({ view, approver }: KnownApprover, row: ApprovalRow, now: number): boolean => {
    if (row.domainId !== view.domain.id || view.policyProblems.length > 0) return false;
    const frozen = thaw(row);
    return row.votes.some((vote) => isSamePerson(vote, approver)) || (frozen.ok && namesFor(view, frozen.value, approver, now).length > 0);
  };

  /** Whoever is not shown a request learns by no other call that there is one (design section 3, invariant 11). */
  const sees = ({ admin, known }: ApprovalCaller, view: DomainView, row: ApprovalRow, now: number): boolean =>
    (admin !== undefined && withinReach(admin, view) !== undefined && deps.judge(admin, 'show', view) === undefined) || (known !== undefined && concerns(known, row, now));

  const missing = async ({ admin }: ApprovalCaller, id: string): Promise<Denied> => {
    if (admin !== undefined) {
      const permitted = await deps.authorize(admin, 'show', domainMeant(admin));
      if (!permitted.ok) return { refusal: permitted.error };
    }
    return { refusal: refusal('not_found', `no approval ${id}`) };
  };

  const find = async (raw: string): Promise<ApprovalRow | undefined> => {
    const id = parseId('approval', raw);
    return id === undefined ? undefined : deps.store.approval(id);
  };

  const denied = async (refused: Refusal, row: ApprovalRow, { approver }: KnownApprover, verb: Verb): Promise<Denied> => ({
    refusal: refused,
    decisionId: await deps.denials.record(refused, { domainId: row.domainId, workloadId: null, verified: true, admin: { by: approver.person, verb }, facts: { approval: row.id, by: approver.person, groups: approver.groups, verb } }),
  });

  /** Why a person's word counts for nothing here, whatever they say. */
  const refuse = async (row: ApprovalRow, { view, approver }: KnownApprover, now: number): Promise<Result<Frozen, Refusal>> => {
    if (row.domainId !== view.domain.id) return err(refusal('approver_denied', `${approver.person} is known in ${view.domain.name}, and the request is of another domain`));
    if (view.problems.length > 0) return err(refusal('domain_not_ready', view.problems.join('; ')));
    const frozen = thaw(row);
    if (!frozen.ok) return frozen;
    if (!frozen.value.byPrincipal && isParty(approver, frozen.value)) return err(refusal('approver_excluded', `${approver.person} is the person acted for, or accountable for the session`));
    const names = namesFor(view, frozen.value, approver, now);
    if (names.length === 0) return err(mayApprove(view, frozen.value, approver, namesIn(frozen.value.needs)[0] ?? '', now) ?? refusal('approver_denied', 'nothing to approve'));
    const status = statusOf(row, frozen.value, deps.snapshot, now);
    // What it was cancelled by is told below, by the database.
    if (status !== 'pending' && status !== 'approved' && status !== 'cancelled') return err(refusal('approval_closed', `it is ${status}${row.closedBy === null ? '' : ` by ${row.closedBy}`}`));
    const code = await deps.store.leaseStanding(row.leaseId);
    if (code === undefined || code.ended || code.revokedBy !== undefined) return err(refusal('approval_closed', `its session is over, or ${code?.revokedBy ?? 'its code'} is revoked`));
    return frozen;
  };

  const decide = async (verb: Verb, raw: string, reason: string | null, caller: ApprovalCaller): Promise<Result<JsonObject, Denied>> => {
    for (let left = TRIES; left > 0; left -= 1) {
      const row = await find(raw);
      const home = row === undefined ? undefined : deps.snapshot.domainById(row.domainId);
      if (row === undefined || home === undefined) return err(await missing(caller, raw));
      const { known } = caller;
      if (known === undefined) return err({ refusal: refusal('approver_missing', 'no token says which person you are') });
      const at = deps.clock.now();
      const isSeen = sees(caller, home, row, at);
      // The log of a domain is not for the people of another one to write to.
      if (!isSeen && row.domainId !== known.view.domain.id) return err(await missing(caller, raw));
      const allowed = await refuse(row, known, at);
      if (!allowed.ok) {
        const why = await denied(allowed.error, row, known, verb);
        return err(isSeen ? why : await missing(caller, raw));
      }
      if (!isSeen) return err(await missing(caller, raw));
      const { view, approver } = known;
      const names = namesFor(view, allowed.value, approver, at);
      const by = { approval: row.id, hash: row.hash, by: approver.person, workload: allowed.value.actor, session: row.sessionId };
      const settled = verb === 'deny'
        ? { status: 'denied' as const, votes: row.votes, closedBy: approver.person, reason, audit: { at, action: 'approval.denied', domainId: row.domainId, body: { ...by, reason } } }
        : agree(row, approver, names, at, reason, by);
      if (settled === undefined) return ok(show(view, row, at));
      if (await deps.store.answerApproval({ id: row.id, revision: row.revision, at, ...settled })) return ok(show(view, { ...row, ...settled, decidedAt: at }, at));
    }
    return err({ refusal: refusal('conflict', 'others answer the same request; look at it again') });
  };

  return {
    async list(filter: ApprovalFilter, caller: ApprovalCaller): Promise<Result<Listing, Denied>> {
      const { admin, known } = caller;
      const named = filter.domain === undefined ? undefined : deps.snapshot.domain(filter.domain);
      const all = await listsAll(caller, filter.domain === undefined && admin !== undefined ? domainMeant(admin) : named);
      if (!all.ok) return err({ refusal: all.error });
      if (filter.domain !== undefined && (named === undefined || (!all.value && named.domain.id !== known?.view.domain.id))) return err({ refusal: refusal('not_found', `no domain ${filter.domain}`) });
      const view = all.value ? named ?? (admin === undefined ? undefined : domainMeant(admin)) : known?.view;
      const workloadId = filter.workload === undefined ? undefined : view?.workloadByName(filter.workload)?.id ?? parseId('workload', filter.workload);
      if (filter.workload !== undefined && workloadId === undefined) return err({ refusal: refusal('not_found', `no workload ${filter.workload}; a name needs its domain`) });
      const now = deps.clock.now();
      const where = { now, ...(view === undefined ? {} : { domainId: view.domain.id }), ...(workloadId === undefined ? {} : { workloadId }), ...(filter.status === undefined ? {} : { status: filter.status === 'cancelled' ? 'open' as const : filter.status }) };
      const limit = all.value ? filter.limit : Math.min(filter.limit, MOST_DECIDED);
      const items: JsonObject[] = [];
      let next = filter.after;
      // Whom one concerns, and whether it is cancelled, is in no row: what does not belong to the listing is passed by, as far as is looked.
      for (let pages = all.value ? PAGES : 1; pages > 0; pages -= 1) {
        const page = await deps.store.approvals(where, { limit: limit - items.length, after: next });
        const seen = all.value || known === undefined ? page.items : page.items.filter((row) => concerns(known, row, now));
        items.push(...seen.map((row) => show(deps.snapshot.domainById(row.domainId), row, now)).filter(({ status }) => filter.status === undefined || status === filter.status));
        next = page.next;
        if (next === undefined || items.length >= limit) break;
      }
      return ok({ items, next });
    },

    async show(raw: string, caller: ApprovalCaller): Promise<Result<JsonObject, Denied>> {
      const row = await find(raw);
      const view = row === undefined ? undefined : deps.snapshot.domainById(row.domainId);
      const now = deps.clock.now();
      if (row === undefined || view === undefined || !sees(caller, view, row, now)) return err(await missing(caller, raw));
      return ok(show(view, row, now));
    },

    approve: (raw: string, reason: string | null, caller: ApprovalCaller) => decide('approve', raw, reason, caller),
    deny: (raw: string, reason: string, caller: ApprovalCaller) => decide('deny', raw, reason, caller),
  };
};
export type ApprovalAdmin = ReturnType<typeof createApprovalAdmin>;

type Verb = 'approve' | 'deny';

/** A person's word for every name they may say it under and nobody has; undefined: nothing is missing from them. */
const agree = (row: ApprovalRow, { person, issuer, issuerId, iss, sub, groups }: Approver, names: readonly string[], at: number, reason: string | null, by: JsonObject) => {
  const added = missingNames(names, row.votes).map((name): ApprovalVote => ({ name, person, issuer, issuerId, iss, sub, groups, at }));
  if (added.length === 0) return undefined;
  const votes = [...row.votes, ...added];
  const status: ApprovalStatus = missingNames(row.names, votes).length === 0 ? 'approved' : 'pending';
  return { status, votes, closedBy: null, reason, audit: { at, action: 'approval.approved', domainId: row.domainId, body: { ...by, names: added.map(({ name }) => name), complete: status === 'approved', reason } } };
};

const iso = (at: number): string => new Date(at).toISOString();
