import { covers, isParty, isSameGrant, thaw } from '../authority/approval.ts';
import type { Needs } from '../authority/approval.ts';
import type { Clock } from '../core/clock.ts';
import type { JsonObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { StoreReads, Word } from '../store/store.ts';
import type { DpopBinding } from '../tokens/proof.ts';
import { judgeVotes } from './approver.ts';
import type { ApproverSnapshot } from './approver.ts';
import type { Approved, Caller } from './caller.ts';
import type { Decided } from './decide.ts';
import { rulesAt } from './rules.ts';

/** People agreed, or nobody has to: until when what is issued on it may last, on which approvals, and on whose words. */
export interface Agreement { readonly until: number; readonly approvals: readonly JsonObject[]; readonly words: readonly Word[] }
export type Agree = (asked: { readonly caller: Caller; readonly decided: Decided; readonly view: DomainView; readonly binding: DpopBinding | undefined }) => Promise<Result<Agreement, Refusal>>;

/** Nearly every exchange: no permit asks for anybody's word. */
export const NOBODY_ASKED: Agreement = { until: Number.POSITIVE_INFINITY, approvals: [], words: [] };

export interface AgreeDeps { readonly clock: Clock; readonly snapshot: ApproverSnapshot; readonly store: Pick<StoreReads, 'standingApprovals'> }

/**
 * Whether people agreed to what is about to be issued. Of an approval that is redeemed now: exactly to this, and those who did may
 * still do so. Else an approval of a session token stands for its hop, with the key it was asked with, until it is over.
 */
export const createAgree = ({ clock, snapshot, store }: AgreeDeps): Agree => {
  const counts = ({ row, frozen }: Approved, needs: Needs | undefined, view: DomainView): Result<readonly Word[], Refusal> => {
    const byParty = needs?.byPrincipal === false && row.votes.some((vote) => isParty(vote, frozen));
    return byParty ? err(refusal('approval_changed', 'the policies of now do not take the word of the principal')) : judgeVotes(view, snapshot, frozen, row.votes, clock.now());
  };

  const redeem = (approved: Approved, { pairs, approval }: Decided, view: DomainView): Result<Agreement, Refusal> => {
    const { row, frozen } = approved;
    if (!isSameGrant(pairs, frozen, rulesAt(view))) return err(refusal('approval_changed', 'the decision made anew does not give what was agreed to'));
    if (approval !== undefined && !covers(frozen.needs, approval.things)) return err(refusal('approval_changed', 'the policies of now ask for more than was agreed to'));
    const words = counts(approved, approval, view);
    return words.ok ? ok({ until: row.expiresAt, approvals: [citeApproval(approved)], words: words.value }) : words;
  };

  const find = async (hopId: NonNullable<Caller['hop']>['id'], binding: DpopBinding, needs: Needs, view: DomainView): Promise<readonly Standing[]> =>
    (await store.standingApprovals(hopId, clock.now())).flatMap((row) => {
      const frozen = thaw(row);
      // What is damaged counts for nothing; whoever depends on it is told to ask.
      if (!frozen.ok || !frozen.value.forHop || frozen.value.key !== binding.jkt || frozen.value.domain !== view.domain.id) return [];
      const approved = { row, frozen: frozen.value };
      const words = counts(approved, needs, view);
      return words.ok ? [{ ...approved, words: words.value }] : [];
    });

  return async ({ caller, decided, view, binding }) => {
    const { approval } = decided;
    if (caller.redeems !== undefined) return redeem(caller.redeems, decided, view);
    if (approval === undefined) return ok(NOBODY_ASKED);
    const standing = caller.hop === undefined || binding === undefined ? [] : await find(caller.hop.id, binding, approval, view);
    // The one that lasts longest first: of what several cover, the shortest of these is the end.
    const used = new Set<Standing>();
    for (const need of approval.things) {
      const covering = standing.filter(({ frozen }) => covers(frozen.needs, [need])).toSorted((a, b) => b.row.expiresAt - a.row.expiresAt)[0];
      if (covering === undefined) return err(refusal('approval_required', `${need.audience}${need.scope === null && need.detail === undefined ? '' : `#${need.scope ?? need.detail?.type ?? ''}`} needs the word of ${need.names.join(' and ')}`));
      used.add(covering);
    }
    return ok({ until: Math.min(...[...used].map(({ row }) => row.expiresAt)), approvals: [...used].map(citeApproval), words: [...used].flatMap(({ words }) => words) });
  };
};

interface Standing extends Approved { readonly words: readonly Word[] }

const citeApproval = ({ row, frozen }: Approved): JsonObject => ({ id: row.id, hash: row.hash, asked_at: frozen.askedAt, by: row.votes.map(({ name, person, at }) => ({ name, person, at })) });
