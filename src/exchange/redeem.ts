import { LRUCache } from 'lru-cache';
import { thaw } from '../authority/approval.ts';
import { seconds } from '../core/clock.ts';
import type { Clock } from '../core/clock.ts';
import { SECOND } from '../core/duration.ts';
import { decisionOf } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { ApprovalRow } from '../store/approval-rows.ts';
import type { StoreReads } from '../store/store.ts';
import { hashOfCode, INTERVAL_SECONDS } from './deferral-code.ts';
import type { Denials } from './denials.ts';
import type { Denied, Exchange, ExchangeInput, Grant } from './exchange.ts';
import type { DeferredRequest } from './request.ts';
import { requestOf } from './resume.ts';

export interface RedeemDeps {
  readonly clock: Clock;
  readonly store: Pick<StoreReads, 'approvalByCode' | 'leaseStanding'>;
  readonly denials: Denials;
  admit(workloadId: string): Refusal | undefined;
  readonly exchange: Exchange;
}
export type Redeem = (input: Omit<ExchangeInput, 'request' | 'approved'> & { readonly request: DeferredRequest }) => Promise<Result<Grant, Denied>>;

/**
 * A poll with a deferral code (standards.md G3). Nobody agreed yet: wait. Somebody said no, or the time is over: that. Agreed: the
 * request takes the one path of every exchange, as it was frozen.
 */
export const createRedeem = (deps: RedeemDeps, polls: Polls = createPolls()): Redeem => async ({ request, view, binding, requestId }) => {
  const deny = async (refused: Refusal, row?: ApprovalRow): Promise<Result<never, Denied>> => err({
    refusal: refused,
    decisionId: await deps.denials.record(refused, { domainId: view.domain.id, workloadId: row?.workloadId ?? null, verified: row !== undefined, facts: { endpoint: 'deferred', ...(row === undefined ? {} : { approval: row.id }) } }),
  });
  if (binding === undefined) return deny(refusal('dpop_required', 'a deferral code is bound to a key'));
  const hash = hashOfCode(request.code);
  const row = hash === undefined ? undefined : await deps.store.approvalByCode(hash);
  if (row === undefined || row.domainId !== view.domain.id) return deny(refusal('deferral_unknown', 'no request of this trust domain has this code'));
  const limited = deps.admit(row.workloadId);
  if (limited !== undefined) return deny(limited, row);
  if (row.jkt !== binding.jkt) return deny(refusal('deferral_key_mismatch', 'the proof is by another key than the one the request was deferred with'), row);
  const thawed = thaw(row);
  if (!thawed.ok) return deny(thawed.error, row);
  const frozen = thawed.value;
  if (frozen.key !== row.jkt || frozen.domain !== row.domainId || frozen.workload !== row.workloadId || frozen.expiresAt !== row.expiresAt) return deny(refusal('approval_damaged', `the row of ${row.id} is not of what was frozen`), row);
  if (request.clientId !== undefined && request.clientId !== frozen.actor) return deny(refusal('deferral_unknown', 'client_id is not the workload the request is of'), row);

  const now = deps.clock.now();
  if (row.status === 'redeemed') return deny(refusal('approval_redeemed', `${row.id} was redeemed by ${row.redeemedLease ?? 'nobody'}`), row);
  if (row.status === 'denied') return deny(refusal('approval_denied', `${row.id} was denied by ${row.closedBy ?? 'nobody'}`), row);
  if (row.status === 'expired' || row.expiresAt <= now) return deny(refusal('approval_expired', `${row.id} is over since ${new Date(row.expiresAt).toISOString()}`), row);
  if (row.status === 'approved') return deps.exchange({ request: requestOf(frozen), view, binding, requestId, approved: { row, frozen } });

  // A "not yet" needs no row of its own: polls are many. What ended meanwhile is told at once, nobody has to wait for it.
  const standing = await deps.store.leaseStanding(row.leaseId);
  if (standing?.revokedBy === `lease:${row.leaseId}`) return deny(refusal('approval_cancelled', 'the deferral code was revoked'), row);
  if (standing === undefined || standing.revokedBy !== undefined || standing.ended) return deny(refusal('revoked', `${standing?.revokedBy ?? 'its session'} is over or revoked`), row);
  const interval = polls.next(row.id, now);
  const waiting = interval.tooFast ? refusal('approval_too_fast', `polled within ${interval.seconds} s`) : refusal('approval_pending', `${row.id} waits for ${row.names.join(' and ')}`);
  return err({ refusal: waiting, decisionId: decisionOf(row.leaseId), deferral: { code: undefined, approval: row.id, expiresIn: seconds(row.expiresAt) - seconds(now), interval: interval.seconds } });
};

/** How often somebody polls for one request. Each process counts for itself. */
export interface Polls { next(id: string, now: number): { readonly tooFast: boolean; readonly seconds: number } }

/** Each poll that comes too early makes the interval 5 seconds longer (RFC 8628 section 3.5). */
export const createPolls = (max = 10_000): Polls => {
  const known = new LRUCache<string, { readonly at: number; readonly seconds: number }>({ max });
  return {
    next(id, now) {
      const last = known.get(id);
      const interval = last?.seconds ?? INTERVAL_SECONDS;
      const tooFast = last !== undefined && now - last.at < interval * SECOND;
      const following = tooFast ? Math.min(interval + STEP_SECONDS, LONGEST_SECONDS) : interval;
      known.set(id, { at: now, seconds: following });
      return { tooFast, seconds: following };
    },
  };
};

const STEP_SECONDS = 5;
const LONGEST_SECONDS = 120;
