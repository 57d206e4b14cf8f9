import { subjectOf } from '../authority/chain.ts';
import { endOf, joinHop } from '../authority/session.ts';
import { seconds } from '../core/clock.ts';
import type { Clock } from '../core/clock.ts';
import { SECOND } from '../core/duration.ts';
import { decisionOf, newId } from '../core/ids.ts';
import type { DecisionId } from '../core/ids.ts';
import type { Random } from '../core/random.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { IssuedCredential } from '../credentials/provider.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { CeilingPair, Detail } from '../store/rows.ts';
import type { StoreWrites } from '../store/store.ts';
import type { DpopBinding } from '../tokens/proof.ts';
import { aim } from './aim.ts';
import { checkCallerBinding, checkTargetTerms } from './binding.ts';
import { NOBODY_ASKED } from './agree.ts';
import type { Agree } from './agree.ts';
import type { Approved, Asking, Authenticate } from './caller.ts';
import type { Defer, Deferral } from './defer.ts';
import { loginClaims, openHop } from './hop.ts';
import { decideAim, frameQuestions } from './decide.ts';
import type { Denials } from './denials.ts';
import { describeIssuance } from './issuance.ts';
import type { Mint } from './mint.ts';
import { refuseOutcome, tellCrossing } from './outcome.ts';
import type { ExchangeRequest } from './request.ts';
import type { Resume } from './resume.ts';
import { createSpent } from './spent.ts';
import type { JoinStored } from './stored-session.ts';
import { openTrail } from './trail.ts';

/** What the caller gets (RFC 8693 section 2.2.1). */
export interface Grant {
  readonly credential: IssuedCredential;
  readonly expiresIn: number;
  /** Space-separated; undefined when the credential has none. */
  readonly scope: string | undefined;
  /** The ceiling of a session token. */
  readonly ceiling: readonly CeilingPair[] | undefined;
  /** The details of a resource token. */
  readonly details?: readonly Detail[] | undefined;
  readonly decisionId: DecisionId;
}

/** A refusal and the id under which an admin can ask why; `deferral`: it is no more than a "not yet". */
export interface Denied { readonly refusal: Refusal; readonly decisionId: DecisionId; readonly deferral?: Deferral }

export interface ExchangeInput {
  readonly request: ExchangeRequest;
  readonly view: DomainView;
  /** Verified proof of possession, if the request carried one; consumed with the lease. */
  readonly binding: DpopBinding | undefined;
  readonly requestId: string;
  /** A request that was put off and that people agreed to: it is taken up as it was. */
  readonly approved?: Approved;
}

export interface ExchangeDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly snapshot: Pick<Snapshot, 'blockedBy' | 'version'>;
  readonly authenticate: Authenticate;
  readonly join: JoinStored;
  readonly resume: Resume;
  readonly agree: Agree;
  readonly defer: Defer;
  /** Rate limit by workload, after its evidence verified. */
  admit(workloadId: string): Refusal | undefined;
  readonly mint: Mint;
  sealHandle(lease: string, handle: string): { readonly sealed: string; readonly kekId: string };
  readonly store: Pick<StoreWrites, 'issue'>;
  readonly denials: Denials;
}
export type Exchange = (input: ExchangeInput) => Promise<Result<Grant, Denied>>;

/**
 * The one path (design section 2): evidence -> attributes -> workload -> session + hop -> decision -> credential ->
 * lease + audit. Every issuance takes it and no other; docs/exchange.md tells the same steps.
 */
export const createExchange = (deps: ExchangeDeps, spent = createSpent()): Exchange => async ({ request, view, binding, requestId, approved }) => {
  const trail = openTrail(view.domain.id, request, binding !== undefined);
  const deny = async (refused: Refusal): Promise<Result<Grant, Denied>> => err({ refusal: refused, decisionId: await deps.denials.record(refused, trail.context()) });

  // evidence -> attributes -> workload -> session
  const learnt: Asking['learnt'] = (workload, evidence) => { trail.learn(workload, evidence); };
  const authenticated = approved === undefined ? await deps.authenticate({ request, view, binding, snapshotVersion: deps.snapshot.version, learnt }) : await deps.resume(approved, view, learnt);
  if (!authenticated.ok) return deny(authenticated.error);
  const caller = authenticated.value;
  trail.recognise(caller);
  const denyTarget = (refused: Refusal): ReturnType<typeof deny> => deny(caller.crossing === undefined ? refused : tellCrossing(refused));
  const limited = deps.admit(caller.workload.id);
  if (limited !== undefined) return deny(limited);

  // proof of possession where the caller owes one, and the target
  const unproven = checkCallerBinding(caller, binding);
  if (unproven !== undefined) return deny(unproven);
  const now = deps.clock.now();
  const aimed = aim(request, caller, view, now);
  if (!aimed.ok) return denyTarget(aimed.error);
  const terms = deps.mint.terms(aimed.value);

  // authority taken back: asked here to refuse early, asked again by the commit
  const blocked = deps.snapshot.blockedBy(caller.path, caller.beganVersion);
  if (blocked !== undefined) return deny(refusal(blocked.effect, `${blocked.target} is ${blocked.effect}`));

  // decision: what the caller's token holds first, which can only shrink what is asked, then the policies, for everybody it rests on
  const frames = frameQuestions(view, caller, { bound: binding !== undefined, time: now, lifetime: terms.lifetime, actor: request.requestedActor });
  if (!frames.ok) return deny(frames.error);
  const decided = decideAim(view, frames.value, aimed.value, caller.ceiling);
  if (!decided.ok) return denyTarget(decided.error);
  const { pairs, policies, denied } = decided.value;
  const unfit = checkTargetTerms(aimed.value, terms, { binding, tokenType: request.requestedTokenType, actor: request.requestedActor });
  if (unfit !== undefined) return deny(unfit);

  // approval: what policies grant only on people's word is issued once they agreed, and put off until then
  const agreed = decided.value.approval === undefined && caller.redeems === undefined ? ok(NOBODY_ASKED) : await deps.agree({ caller, decided: decided.value, view, binding });
  if (!agreed.ok && agreed.error.code === 'approval_required' && request.deferrable === true) {
    const deferred = await deps.defer({
      request, view, caller, binding, aim: aimed.value, decided: decided.value, lifetime: terms.lifetime, asked: trail.asked, evidence: caller.evidence, requestId, registryVersion: deps.snapshot.version,
    });
    if (!deferred.ok) return deny(deferred.error);
    spent.add(caller.replayKey);
    return err({ refusal: refusal('approval_pending', agreed.error.detail), ...deferred.value });
  }
  if (!agreed.ok) return deny(agreed.error);

  for (let stored = terms.callsTarget; ; stored = true) {
    // session: its row, which nobody reads until a target is to be called or the commit finds that it ends sooner
    const joined = stored ? await deps.join(caller) : authenticated;
    if (!joined.ok) return deny(joined.error);
    const { session, hops } = joined.value;

    // hop: the caller's own, or a new one whose ceiling is exactly what was decided
    const hop = caller.hop ?? joinHop(openHop(joined.value, binding?.jkt ?? null, pairs, now, view), hops ?? []);
    const endsAt = Math.min(endOf(hop, session, caller.freshness), agreed.value.until);
    const expiresAt = Math.min(now + terms.lifetime * SECOND, endsAt);
    if (expiresAt < now + SECOND) return deny(refusal('lifetime_exhausted', 'the session or hop ends within a second'));

    // credential: a provider may have to call its target, which nobody shall make it do over and over with evidence that is used up
    if (spent.has(caller.replayKey)) return deny(refuseOutcome('replayed'));
    const leaseId = newId('lease', deps.clock, deps.random);
    const { sub, act } = subjectOf(session, caller.chain);
    const { authTime, acr } = loginClaims(caller);
    const issued = await deps.mint.issue({
      leaseId, sessionId: session.id, hopId: hop.id, domain: view.domain, workload: caller.workload, binding, handsOnTo: request.requestedActor, chain: caller.chain,
      subject: { sub, act, authTime, acr, model: session.model, principal: session.principal, depth: hop.depth },
      attributes: caller.evidence.attributes, issuedAt: now, expiresAt, hopExpiresAt: endsAt,
    }, aimed.value, pairs);
    if (!issued.ok) return deny(issued.error);

    // lease + audit, durable before anything leaves
    const outcome = await deps.store.issue(describeIssuance({
      caller: joined.value, hop, view, aim: aimed.value, pairs, leaseId, issued: issued.value, issuedAt: now, binding, requestId, handsOnTo: request.requestedActor, words: agreed.value.words,
      sealedHandle: issued.value.handle === undefined ? undefined : deps.sealHandle(leaseId, issued.value.handle),
      decision: {
        asked: trail.asked, denied, evidence: caller.evidence, registry_version: deps.snapshot.version,
        policies: policies.map(({ name, version }) => ({ name, version })), bound: binding !== undefined,
        ...(agreed.value.approvals.length === 0 ? {} : { approvals: agreed.value.approvals }),
      },
    }));
    if (outcome === 'ended' && hops === undefined) continue; // nothing was written: once more, with what is left of the session
    if (outcome === 'committed' || outcome === 'replayed') spent.add(caller.replayKey);
    if (outcome !== 'committed') return deny(refuseOutcome(outcome === 'proof_replayed' && binding === undefined ? 'replayed' : outcome));

    const { scopes: granted = [], details } = pairs[0] ?? {};
    return ok({
      credential: issued.value,
      expiresIn: seconds(issued.value.expiresAt) - seconds(now),
      scope: aimed.value.kind === 'resource' && granted.length > 0 ? granted.join(' ') : undefined,
      ceiling: aimed.value.kind === 'session' ? pairs : undefined,
      ...(aimed.value.kind === 'resource' && details !== undefined ? { details } : {}),
      decisionId: decisionOf(leaseId),
    });
  }
};
