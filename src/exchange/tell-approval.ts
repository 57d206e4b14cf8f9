import { missingNames } from '../authority/approval.ts';
import type { Frozen } from '../authority/approval.ts';
import { isOwn } from '../authority/chain.ts';
import { pairJson } from '../authority/narrow.ts';
import type { JsonObject } from '../core/json.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { ApprovalRow, ApprovalStatus } from '../store/approval-rows.ts';
import type { ChainLink, Target } from '../store/rows.ts';

/** As people are told: `cancelled` is in no row. */
export type ShownStatus = ApprovalStatus | 'cancelled';

/**
 * What is still open when its time is over is over, whether or not the job has said so yet. What is still open when its code, or
 * anything it rests on, was taken back is cancelled: nobody can redeem it. `frozen`: undefined where the text is not that of the row.
 */
export const statusOf = (row: ApprovalRow, frozen: Frozen | undefined, snapshot: Pick<Snapshot, 'blockedBy'>, now: number): ShownStatus => {
  const { status, leaseId, sessionId, hopId, expiresAt } = row;
  if (status !== 'pending' && status !== 'approved') return status;
  if (expiresAt <= now) return 'expired';
  const path: readonly Target[] = [`lease:${leaseId}`, `session:${sessionId}`, `hop:${hopId}`, ...(frozen?.path ?? [])];
  return snapshot.blockedBy(path, frozen?.registryVersion ?? 0)?.effect === 'revoked' ? 'cancelled' : status;
};

/**
 * What people are told of a request before they agree to it. All of it is the registry's word, or was proven: the one text that
 * somebody else chose, what the task was opened for, stands under a name that says so.
 */
export const tellApproval = (view: DomainView, row: ApprovalRow, frozen: Frozen, status: ShownStatus): JsonObject => {
  const workload = view.workloadById(frozen.workload);
  return {
    id: row.id, status, domain: view.domain.name, stage: view.domain.stage, asked_at: iso(frozen.askedAt), expires_at: iso(frozen.expiresAt),
    approval_names: row.names, waits_for: status === 'pending' ? missingNames(row.names, row.votes) : [],
    who: { workload: workload?.name ?? frozen.workload, spiffe_id: frozen.actor, kind: workload?.workloadKind ?? null, owner: workload?.owner ?? null, model: frozen.model },
    on_behalf_of: frozen.person?.urn ?? null, principal: frozen.principal,
    what: {
      gets: frozen.asked.handOnTo !== null ? 'a session token handed on' : frozen.forHop ? 'a session token' : 'a credential', ...(frozen.asked.handOnTo === null ? {} : { handed_on_to: frozen.asked.handOnTo }),
      grants: frozen.granted.map((pair) => ({ ...pairJson(pair), owner: view.resource(pair.audience)?.owner ?? null })),
      on_approval: frozen.needs.map(({ audience, scope, detail, names }) => ({ audience, scope, ...(detail === undefined ? {} : { detail }), names })),
      lifetime_seconds: frozen.lifetime, bound_to: frozen.key,
    },
    why: frozen.purpose === null ? null : { told_by_opener: frozen.purpose },
    chain: frozen.chain.map((link) => tellLink(view, link)),
    policies: frozen.policies.map(({ name, version }) => `${name}@${version}`), session: frozen.session, hash: row.hash,
  };
};

const tellLink = (view: DomainView, link: ChainLink): JsonObject => {
  if (!isOwn(link)) return { spiffe_id: link.sub, domain: link.iss, stage: link.stage };
  const workload = view.workloadById(link.workloadId);
  return { spiffe_id: link.sub, workload: workload?.name ?? link.workloadId, owner: workload?.owner ?? null, evidence: link.evidence ?? null };
};

const iso = (at: number): string => new Date(at).toISOString();
