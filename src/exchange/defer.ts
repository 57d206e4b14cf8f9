import { freeze, namesIn } from '../authority/approval.ts';
import type { Frozen, Needs } from '../authority/approval.ts';
import { pairJson } from '../authority/narrow.ts';
import { joinHop } from '../authority/session.ts';
import { parsePersonUrn } from '../attestation/person.ts';
import { seconds } from '../core/clock.ts';
import type { Clock } from '../core/clock.ts';
import { HOUR, SECOND } from '../core/duration.ts';
import { decisionOf, newId } from '../core/ids.ts';
import type { ApprovalId, DecisionId } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import type { Random } from '../core/random.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { StoreWrites } from '../store/store.ts';
import type { DpopBinding } from '../tokens/proof.ts';
import type { Aim } from './aim.ts';
import type { Caller } from './caller.ts';
import type { Decided } from './decide.ts';
import { DEFERRAL, INTERVAL_SECONDS, newDeferralCode } from './deferral-code.ts';
import { openHop } from './hop.ts';
import { describeIssuance } from './issuance.ts';
import { refuseOutcome } from './outcome.ts';
import type { ExchangeRequest } from './request.ts';
import type { JoinStored } from './stored-session.ts';

/** What the caller gets instead of a credential (standards.md G3). */
export interface Deferral { readonly code: string | undefined; readonly approval: ApprovalId; readonly expiresIn: number; readonly interval: number }

export interface DeferInput {
  readonly request: ExchangeRequest;
  readonly view: DomainView;
  readonly caller: Caller;
  readonly binding: DpopBinding | undefined;
  readonly aim: Aim;
  readonly decided: Decided;
  readonly lifetime: number;
  readonly asked: JsonObject;
  readonly evidence: JsonObject;
  readonly requestId: string;
  readonly registryVersion: number;
}
export type Defer = (input: DeferInput) => Promise<Result<{ readonly deferral: Deferral; readonly decisionId: DecisionId }, Refusal>>;
export interface DeferDeps { readonly clock: Clock; readonly random: Random; readonly store: Pick<StoreWrites, 'issue'>; readonly join: JoinStored; readonly notifies: (view: DomainView) => boolean; readonly domain: (name: string) => DomainView | undefined }

/** An agent that asks and asks must not make people stop reading (docs/approvals.md). */
const BOUNDS = { waiting: 10, inSession: 20, recent: 60 } as const;
const RECENT = HOUR;
const SHORTEST = 5 * SECOND;

/**
 * Puts a whole request off until people agree. All it was decided from is frozen; its evidence is used up now, by the lease of the
 * deferral code, so that nobody asks twice with it. Nothing is granted: who had no hop waits in one that holds nothing.
 */
export const createDefer = (deps: DeferDeps): Defer => async (input) => {
  const { view, binding, decided: { approval: needs, policies, denied } } = input;
  if (needs === undefined) throw new Error('a request that needs nobody is not put off');
  if (binding === undefined) return err(refusal('dpop_required', 'a deferral code is bound to a key'));
  const joined = await deps.join(input.caller);
  if (!joined.ok) return joined;
  const caller = joined.value;
  const now = deps.clock.now();
  const hop = caller.hop ?? joinHop(openHop(caller, binding.jkt, [], now, view), caller.hops ?? []);
  const expiresAt = Math.min(now + needs.ttl, hop.expiresAt, caller.session.expiresAt);
  if (expiresAt < now + SHORTEST) return err(refusal('lifetime_exhausted', 'the session or hop ends before anybody could agree'));

  const id = newId('approval', deps.clock, deps.random);
  const leaseId = newId('lease', deps.clock, deps.random);
  const code = newDeferralCode(deps.random);
  const { text, hash } = freeze(describe(id, input, caller, needs, binding, { now, expiresAt, domain: deps.domain }));
  const issuance = describeIssuance({
    caller, hop, view, aim: input.aim, pairs: [], leaseId, issuedAt: now, binding, requestId: input.requestId, handsOnTo: undefined, sealedHandle: undefined,
    issued: { kind: DEFERRAL, issuedTokenType: 'urn:ietf:params:oauth:token-type:deferral-code', tokenType: 'N_A', credential: code, kid: undefined, expiresAt, handle: undefined },
    decision: {
      asked: input.asked, denied, evidence: input.evidence, registry_version: input.registryVersion, policies: policies.map(({ name, version }) => ({ name, version })), bound: true,
      approval: { id, hash, names: namesIn(needs.things), needs: needs.things.map(({ audience, scope, detail, names }) => ({ audience, scope, ...(detail === undefined ? {} : { detail }), names })) },
    },
  });
  // Nothing is used of a budget before something is issued.
  const { charge: _, ...uncharged } = issuance;
  const outcome = await deps.store.issue({
    ...uncharged,
    audit: {
      ...issuance.audit, action: 'approval.asked',
      body: {
        approval: id, hash, names: namesIn(needs.things), lease: leaseId, session: caller.session.id, hop: hop.id, workload: caller.workload.spiffeId, owner: caller.workload.owner, principal: caller.session.principal,
        granted: input.decided.pairs.map(pairJson), key: binding.jkt, expires: expiresAt, request: input.requestId,
      },
    },
    approval: {
      kind: 'ask', bounds: { ...BOUNDS, since: now - RECENT },
      row: {
        id, domainId: view.domain.id, sessionId: caller.session.id, hopId: hop.id, workloadId: caller.workload.id, leaseId, codeHash: issuance.lease.credentialHash, jkt: binding.jkt, frozen: text, hash,
        names: namesIn(needs.things), status: 'pending', revision: 1, votes: [], closedBy: null, reason: null, askedAt: now, expiresAt, decidedAt: null, redeemedAt: null, redeemedLease: null,
        noticeAt: deps.notifies(view) ? now : null, noticeAttempts: 0,
      },
    },
  });
  if (outcome !== 'committed') return err(refuseOutcome(outcome));
  return ok({ deferral: { code, approval: id, expiresIn: seconds(expiresAt) - seconds(now), interval: INTERVAL_SECONDS }, decisionId: decisionOf(leaseId) });
};

const describe = (approval: ApprovalId, { request, view, aim, decided, lifetime, registryVersion }: DeferInput, caller: Caller, needs: Needs, binding: DpopBinding, { now, expiresAt, domain }: { readonly now: number; readonly expiresAt: number; readonly domain: DeferDeps['domain'] }): Frozen => {
  const { session, hop, parent, person, login } = caller;
  const { purpose } = session.facts;
  return {
    approval, domain: view.domain.id, session: session.id,
    place: hop !== undefined ? { kind: 'hop' } : parent === undefined ? { kind: 'first' } : { kind: 'below', parent: parent.hop.id, handover: parent.handover },
    workload: caller.workload.id, actor: caller.workload.spiffeId, issuer: caller.issuerId, key: binding.jkt, chain: caller.chain, crossing: caller.crossing ?? null,
    person: person === undefined ? null : { urn: person.urn, issuer: person.issuer, groups: person.groups }, login: login === undefined ? null : { person: login.person, authTime: login.authTime },
    parties: [...new Set([session.holder, session.principal, ...(person === undefined ? [] : [person.urn])])].flatMap((urn) => partyOf(domain, urn)),
    evidence: caller.evidence, shownAt: now, showedEvidence: caller.showedEvidence, opensTask: caller.opensTask,
    model: session.model, principal: session.principal, startedAt: session.startedAt, freshAt: caller.freshness?.at ?? null, purpose: typeof purpose === 'string' ? purpose : null,
    held: caller.ceiling ?? null, path: caller.path,
    asked: {
      target: request.target ?? null, scopes: request.scopes, ceiling: request.ceiling ?? null, details: request.details ?? null, tokenType: request.requestedTokenType ?? null, handOnTo: request.requestedActor ?? null, clientId: request.clientId ?? null,
    },
    forHop: aim.kind === 'session' && request.requestedActor === undefined, lifetime,
    granted: decided.pairs, needs: needs.things, byPrincipal: needs.byPrincipal, policies: decided.policies.map(({ name, version }) => ({ name, version })), registryVersion,
    askedAt: now, expiresAt,
  };
};

/**
 * A person known by their issuer's name for them, so that another entry of the same issuer, here or in the domain that the chain
 * came from, does not make them another. Owners are contacts and no persons.
 */
const partyOf = (domain: DeferDeps['domain'], urn: string): Frozen['parties'] => {
  const person = parsePersonUrn(urn);
  return person === undefined ? [] : [{ person: urn, iss: domain(person.domain)?.issuer(person.issuer)?.issuer ?? null, sub: person.subject }];
};
