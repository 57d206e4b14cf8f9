import { pairJson } from '../authority/narrow.ts';
import { freshnessOf, isStale } from '../authority/session.ts';
import { decisionOf } from '../core/ids.ts';
import type { HopId, LeaseId } from '../core/ids.ts';
import { isObject } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import { counts } from '../revocation/revocations.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { BudgetRow, HopRow, LeaseRow, RevocationRow, Target } from '../store/rows.ts';
import type { HopUse, SessionEnd, SessionStanding, SessionUses } from '../store/store.ts';

/** All that is told of one session; each part was read by itself. */
export interface SessionFile extends SessionStanding {
  readonly view: DomainView | undefined;
  readonly hops: readonly HopRow[];
  readonly budgets: readonly BudgetRow[];
  readonly end: SessionEnd | undefined;
  readonly uses: SessionUses;
  /** Whatever was revoked or suspended of what any of its hops rests on. */
  readonly revocations: readonly RevocationRow[];
}

/** Hops of one answer, oldest first, so that every parent is there before its children. */
export const MOST_HOPS = 1000;
export const MOST_USES = 1000;

export const iso = (at: number): string => new Date(at).toISOString();

/** The state of a session as every listing shows it: what is for good comes before what may pass. */
export const sessionStatus = ({ session, revokedBy, suspendedBy }: SessionStanding, view: DomainView | undefined, now: number): 'active' | 'suspended' | 'ended' | 'revoked' => {
  // What was ended is revoked as well; which of the two it was is told.
  if (session.endedAt !== null) return 'ended';
  if (revokedBy !== undefined) return 'revoked';
  if (session.expiresAt <= now) return 'ended';
  return suspendedBy !== undefined || (view !== undefined && isStale(session, view.domain.limits, now)) ? 'suspended' : 'active';
};

/** The chain of a session, hop by hop, and why it is what it is (design section 5 and 7). */
export const showSessionFile = (file: SessionFile, now: number): JsonObject => {
  const { session, hops, budgets, uses, view } = file;
  const because = whyOf(file, now);
  const freshness = view === undefined ? undefined : freshnessOf(session, view.domain.limits);
  return {
    ...(because === undefined ? {} : { because }), ...(freshness === undefined ? {} : { fresh_until: iso(freshness.at + freshness.within) }),
    ...(budgets.length === 0 ? {} : { budgets: Object.fromEntries(budgets.map(({ kind, most, used }) => [kind, { most, used }])) }),
    hops: hops.slice(0, MOST_HOPS).map((hop) => showHop(hop, file, now)), ...(hops.length > MOST_HOPS ? { more_hops: true } : {}), ...(uses.more ? { more_uses: true } : {}),
  };
};

const showHop = (hop: HopRow, file: SessionFile, now: number): JsonObject => {
  const workload = file.view?.workloadById(hop.workloadId);
  const opening = file.uses.opened.find(({ hopId }) => hopId === hop.id);
  const blocking = blockingRow(hop.path, file);
  const over = hop.expiresAt <= now;
  const because = blocking !== undefined ? showRow(blocking) : over ? { reason: OVER, at: iso(hop.expiresAt) } : undefined;
  const status = blocking?.effect ?? (over ? 'ended' : sessionStatus(file, file.view, now));
  return {
    id: hop.id, parent: hop.parentId, actor: hop.actor, workload: workload?.name ?? hop.workloadId, owner: opening?.owner ?? workload?.owner ?? null, depth: hop.depth, status, ...(because === undefined ? {} : { because }),
    bound_to: hop.jkt, created_at: iso(hop.createdAt), expires_at: iso(hop.expiresAt), ceiling: hop.ceiling.map(pairJson),
    decision: opening === undefined ? null : decisionOf(opening.id), policies: opening === undefined ? [] : policiesOf(opening), used: usesOf(hop.id, file.uses.uses),
  };
};

/** Of the decision that opened the hop; each later use was decided anew, and has its own. */
const policiesOf = ({ decision }: LeaseRow): readonly string[] =>
  (Array.isArray(decision['policies']) ? decision['policies'] as readonly unknown[] : []).flatMap((policy) => (isObject(policy) ? [`${String(policy['name'])}@${String(policy['version'])}`] : []));

const usesOf = (id: HopId, uses: readonly HopUse[]): readonly JsonObject[] =>
  uses.filter(({ hopId }) => hopId === id).map(({ kind, audience, scope, count, first, last }) => ({ kind, audience, scope, count, first_at: iso(issuedAt(first)), last_at: iso(issuedAt(last)), last_decision: decisionOf(last) }));

/** Ids begin with the time they were made (core/ids.ts). */
const issuedAt = (lease: LeaseId): number => Number.parseInt(lease.slice(4, 16), 16);

/** Why a session is not active: who did it and for which reason, or which time was over. */
const whyOf = (file: SessionFile, now: number): JsonObject | undefined => {
  const { session, end, view, revokedBy, suspendedBy } = file;
  const status = sessionStatus(file, view, now);
  if (status === 'active') return undefined;
  if (status === 'ended') return end === undefined ? { reason: OVER, at: iso(session.expiresAt) } : { reason: end.reason, by: end.by, at: iso(end.at) };
  const target = status === 'revoked' ? revokedBy : suspendedBy;
  const row = target === undefined ? undefined : blockingRow([target], file);
  if (row !== undefined) return showRow(row);
  const freshness = view === undefined ? undefined : freshnessOf(session, view.domain.limits);
  return { reason: session.model === 'delegated' ? STALE_LOGIN : STALE_EVIDENCE, ...(freshness === undefined ? {} : { at: iso(freshness.at + freshness.within) }) };
};

const OVER = 'its time was over';
const STALE_LOGIN = 'the login is too old: a fresh one of the same person is needed';
const STALE_EVIDENCE = 'its evidence is too old: the workload has to show fresh evidence';

/** The row that took it back, the earliest first; a revocation is for good and comes before a suspension. */
const blockingRow = (path: readonly Target[], { revocations, session }: SessionFile): RevocationRow | undefined => {
  const counting = revocations.filter((row) => path.includes(row.target) && counts(row, session.beganVersion));
  return counting.find(({ effect }) => effect === 'revoked') ?? counting[0];
};

const showRow = ({ effect, target, reason, by, at }: RevocationRow): JsonObject => ({ effect, target, reason, by, at: iso(at) });
