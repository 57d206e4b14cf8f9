import { refusal } from '../core/refusal.ts';
import type { Refusal, RefusalCode } from '../core/refusal.ts';
import type { IssuanceOutcome } from '../store/store.ts';

/** What the commit said no to. The credential made meanwhile is dropped: nobody has seen it. */
export const refuseOutcome = (outcome: Exclude<IssuanceOutcome, 'committed'>): Refusal => {
  switch (outcome) {
    case 'replayed': return refusal('evidence_replayed', 'this evidence was used before');
    case 'proof_replayed': return refusal('dpop_replayed', 'this proof was used before');
    case 'revoked': return refusal('revoked', 'revoked before the commit');
    case 'suspended': return refusal('suspended', 'suspended, or shown too long ago, before the commit');
    case 'exhausted': return refusal('budget_exhausted', 'a budget of the task has no room left');
    case 'crowded': return refusal('approvals_crowded', 'too many requests of this workload or session wait for people already', 60);
    case 'unredeemable': return refusal('approval_redeemed', 'the approval was redeemed, cancelled or over before the commit');
    case 'full': return refusal('instances_exhausted', 'the template has as many live instances as it may');
    case 'ended': return refusal('session_ended', 'the session or hop ended before the commit, or ends before the credential would');
  }
};

/** A chain that may not go on here is told so, and the same whether what it asked for exists or not (standards.md A1: invalid_request). */
export const tellCrossing = (refused: Refusal): Refusal => (TARGETS.has(refused.code) ? refusal('crossing_denied', refused.detail) : refused);
const TARGETS: ReadonlySet<RefusalCode> = new Set(['target_unknown', 'target_expired', 'target_denied']);
