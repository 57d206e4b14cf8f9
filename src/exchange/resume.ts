import { freshnessOf, isStale, joinSession } from '../authority/session.ts';
import type { Clock } from '../core/clock.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { StoreReads } from '../store/store.ts';
import type { Approved, Asking, Caller } from './caller.ts';
import type { ExchangeRequest } from './request.ts';

export type Resume = (approved: Approved, view: DomainView, learnt: Asking['learnt']) => Promise<Result<Caller, Refusal>>;
export interface ResumeDeps { readonly clock: Clock; readonly store: Pick<StoreReads, 'session' | 'leaseStanding'> }

/**
 * The caller of a request that was put off, come back: what it showed then, in its session as it is now. Nothing of what it showed
 * is fresher for having waited; session, hops and the code itself are looked at anew.
 */
export const createResume = ({ clock, store }: ResumeDeps): Resume => async (approved, view, learnt) => {
  const { row, frozen } = approved;
  const now = clock.now();
  const workload = view.workloadById(frozen.workload);
  learnt(workload, frozen.evidence);
  if (workload === undefined) return err(refusal('workload_unknown', `${frozen.actor} is no longer registered`));
  if (workload.expires <= now) return err(refusal('workload_expired', `the registration of ${workload.name} has expired`));
  const [code, running] = await Promise.all([store.leaseStanding(row.leaseId), store.session(frozen.session)]);
  if (code === undefined || running === undefined || code.session.id !== frozen.session || code.lease.workloadId !== frozen.workload) return err(refusal('approval_damaged', `${row.id} has no lease or session of its own`));
  const revokedBy = code.revokedBy ?? running.revokedBy;
  const suspendedBy = code.suspendedBy ?? running.suspendedBy;
  if (revokedBy === `lease:${row.leaseId}`) return err(refusal('approval_cancelled', 'the deferral code was revoked'));
  // What was ended is revoked as well; which of the two it was is told.
  if (running.session.endedAt !== null) return err(refusal('session_ended', 'the session was ended'));
  if (revokedBy !== undefined) return err(refusal('revoked', `${revokedBy} is revoked`));
  if (code.ended) return err(refusal('session_ended', 'the session or hop is over'));
  if (suspendedBy !== undefined) return err(refusal('suspended', `${suspendedBy} is suspended`));
  if (isStale(running.session, view.domain.limits, now)) return err(refusal('suspended', 'what the session rests on was shown too long ago'));

  const { place, person, login } = frozen;
  const above = place.kind === 'below' ? running.hops.find(({ id }) => id === place.parent) : undefined;
  if (place.kind === 'below' && above === undefined) return err(refusal('approval_damaged', `${row.id} waits below a hop that is not there`));
  const freshness = freshnessOf(running.session, view.domain.limits);
  return ok({
    workload, evidence: frozen.evidence, issuerId: frozen.issuer, session: joinSession(running.session, workload), beganVersion: running.session.beganVersion, hops: running.hops,
    hop: place.kind === 'hop' ? code.hop : undefined, parent: place.kind === 'below' && above !== undefined ? { hop: above, handover: place.handover } : undefined,
    ceiling: frozen.held ?? undefined, chain: frozen.chain, crossing: frozen.crossing ?? undefined, person: person ?? undefined, login: login ?? undefined, freshness: freshness && { ...freshness, shown: false },
    showedEvidence: frozen.showedEvidence, opensTask: frozen.opensTask, path: [...frozen.path, `lease:${row.leaseId}`], replayKey: null, replayUntil: null, proofs: [], jkt: frozen.key, redeems: approved,
  });
};

/** The request as it was asked. The tokens that came with it are used up and not kept. */
export const requestOf = ({ asked }: Approved['frozen']): ExchangeRequest => ({
  subjectToken: '', subjectKind: 'evidence', actorToken: undefined, clientId: asked.clientId ?? undefined, requestedActor: asked.handOnTo ?? undefined, session: undefined, purpose: undefined,
  target: asked.target ?? undefined, scopes: asked.scopes, requestedTokenType: asked.tokenType ?? undefined, ceiling: asked.ceiling ?? undefined, details: asked.details ?? undefined,
});
