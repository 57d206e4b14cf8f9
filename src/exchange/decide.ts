import { isForeign, isOwn } from '../authority/chain.ts';
import { secondsSince } from '../core/clock.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { uniteNeeds } from '../authority/approval.ts';
import type { Need, Needs } from '../authority/approval.ts';
import type { ApprovalDemand, PolicyCitation, Question } from '../policy/decision.ts';
import { uniteDemands } from '../policy/approval.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { CeilingPair } from '../store/rows.ts';
import { withinCeiling } from './aim.ts';
import type { Aim, Ask } from './aim.ts';
import type { Caller } from './caller.ts';
import { addCitations } from './citations.ts';
import { decideDetails } from './decide-details.ts';
import { parseEvidenceFacts } from './facts.ts';

/** What was permitted of one ask, and by which policy versions. */
export interface Verdict {
  readonly granted: readonly string[];
  readonly denied: readonly string[];
  readonly policies: readonly PolicyCitation[];
  /** What of it is granted only on somebody's word. */
  readonly approval: Needs | undefined;
}

/** One question of an exchange without its resource and scope. */
export type QuestionFrame = Omit<Question, 'resource' | 'scope'>;

/** What of a caller its questions are made from. */
export interface Framing extends Pick<Caller, 'workload' | 'evidence' | 'chain' | 'person' | 'freshness' | 'opensTask'> {
  readonly session: Pick<Caller['session'], 'model' | 'principal' | 'startedAt' | 'facts'>;
}

/** Whose question it is, and which: for whoever asks why it was refused. */
export const whoIsAsked = ({ person, workload, action }: Pick<QuestionFrame, 'person' | 'workload' | 'action'>): { readonly principal: string; readonly action: string } =>
  ({ principal: person?.urn ?? workload.spiffeId, action });

/**
 * Whose authority an exchange rests on, asked anew each time and each of them alone: all must permit. The person first (may
 * they hand this on?), then every actor of the chain in order: whether it may have this itself, on its own authority (`issue`)
 * or another's (`act`), and, if it handed on or is about to, whether it may (`delegate`).
 */
export const frameQuestions = (view: DomainView, caller: Framing, request: QuestionFrame['request']): Result<readonly QuestionFrame[], Refusal> => {
  const { session, chain, freshness } = caller;
  const plain = request.actor === undefined ? request : { ...request, actor: undefined };
  const common = {
    domain: view.domain,
    chain: chain.map(({ sub }) => sub),
    passed: chain.filter(isForeign),
    session: {
      model: session.model,
      principal: session.principal,
      ageSeconds: secondsSince(session.startedAt, request.time),
      depth: chain.length - 1,
      freshSeconds: freshness === undefined ? undefined : secondsSince(freshness.at, request.time),
      purpose: typeof session.facts['purpose'] === 'string' ? session.facts['purpose'] : undefined,
    },
  };
  const frames: QuestionFrame[] = [];
  if (caller.person !== undefined) frames.push({ ...common, action: 'delegate', workload: caller.workload, person: caller.person, evidence: undefined, request: plain });
  const first = chain.findIndex(isOwn);
  for (const [at, link] of chain.entries()) {
    // Decided about where it was recognised; here it is the crossing that is decided, by who goes on with it.
    if (!isOwn(link)) continue;
    const last = at === chain.length - 1;
    const workload = last ? caller.workload : view.workloadById(link.workloadId);
    if (workload === undefined || workload.expires <= request.time) return err(refusal('workload_unknown', `${link.sub} in the chain is no longer registered`));
    const evidence = last ? caller.evidence : parseEvidenceFacts(link.evidence);
    const ask = (action: QuestionFrame['action'], asked = plain): void => { frames.push({ ...common, workload, evidence, action, request: asked }); };
    if (at === first && first > 0) ask('cross');
    ask(session.model === 'delegated' || at > 0 ? 'act' : 'issue');
    if (!last) ask('delegate');
    else if (request.actor !== undefined) ask('delegate', request);
    if (last && caller.opensTask) ask('open');
  }
  return ok(frames);
};

const saysNo = (frame: QuestionFrame): string => {
  const { principal, action } = whoIsAsked(frame);
  return `${principal} may not ${action}`;
};

/**
 * Decides one ask: each requested scope, or `issue` on the resource itself when none is asked. A caller that nothing is
 * permitted at the target gets what it would get for a target that does not exist (design section 5, Targets and scopes).
 */
export const decideAsk = (view: DomainView, frames: readonly QuestionFrame[], ask: Ask): Result<Verdict, Refusal> => {
  const policies: PolicyCitation[] = [];
  const errors: string[] = [];
  let refused: QuestionFrame | undefined;
  const demands = new Map<string | undefined, ApprovalDemand>();
  const permits = (scope: string | undefined): boolean => {
    const asked: ApprovalDemand[] = [];
    for (const frame of frames) {
      const answer = view.engine.decide({ ...frame, resource: ask.resource, scope });
      addCitations(policies, answer);
      errors.push(...answer.errors);
      if (answer.approval !== undefined) asked.push(answer.approval);
      else if (!answer.allow) {
        refused ??= frame;
        return false;
      }
    }
    const demand = uniteDemands(asked);
    if (demand !== undefined) demands.set(scope, demand);
    return frames.length > 0;
  };
  const anythingPermitted = (): boolean => permits(undefined) || ask.resource.scopes.some((scope) => permits(scope));
  const fail = (code: 'scope_unknown' | 'scope_denied' | 'target_denied', detail: string): Result<Verdict, Refusal> => {
    if (errors.length > 0) return err(refusal('policy_error', errors.join('; ')));
    return err(refusal(code, refused === undefined ? detail : `${detail}: ${saysNo(refused)}`));
  };

  if (ask.scopes.length === 0) {
    return permits(undefined) ? ok({ granted: [], denied: [], policies, approval: needsOf(ask, [undefined], demands) }) : fail('target_denied', `not permitted on ${ask.resource.audience}`);
  }
  const unknown = ask.scopes.filter((scope) => !ask.resource.scopes.includes(scope));
  if (unknown.length > 0) {
    return anythingPermitted() ? fail('scope_unknown', `not registered at ${ask.resource.audience}: ${unknown.join(' ')}`) : fail('target_denied', `no policy permits anything at ${ask.resource.audience}`);
  }
  const granted = ask.scopes.filter((scope) => permits(scope));
  // One scope whose policy errs fails them all: left out in silence, the error would alert nobody (design section 6).
  if (granted.length > 0 && errors.length === 0) return ok({ granted, denied: ask.scopes.filter((scope) => !granted.includes(scope)), policies, approval: needsOf(ask, granted, demands) });
  return anythingPermitted() ? fail('scope_denied', `no asked scope is permitted at ${ask.resource.audience}`) : fail('target_denied', `no policy permits anything at ${ask.resource.audience}`);
};

/** Of what is granted: what needs people. Empty of demands in nearly every exchange. */
const needsOf = ({ resource }: Ask, granted: readonly (string | undefined)[], demands: ReadonlyMap<string | undefined, ApprovalDemand>): Needs | undefined => {
  if (demands.size === 0) return undefined;
  const asked = granted.flatMap((scope): (readonly [Need, ApprovalDemand])[] => {
    const demand = demands.get(scope);
    return demand === undefined ? [] : [[{ audience: resource.audience, scope: scope ?? null, names: demand.names }, demand]];
  });
  const demand = uniteDemands(asked.map(([, each]) => each));
  return demand && { things: asked.map(([need]) => need), ttl: demand.ttl, byPrincipal: demand.byPrincipal };
};

/** The whole decision: one pair per audience, the policies that made it, and what was left out, as `<audience>#<scope or type of details>`. */
export interface Decided {
  readonly pairs: readonly CeilingPair[];
  readonly policies: readonly PolicyCitation[];
  readonly approval: Needs | undefined;
  readonly denied: readonly string[];
}

/**
 * Decides every pair asked for, each within what the caller's token holds. A ceiling that was asked for is granted whole or
 * narrowed, never partly refused in silence: a pair of which nothing is left fails the request. One that is only renewed
 * goes on with what is left of it.
 */
export const decideAim = (view: DomainView, frames: readonly QuestionFrame[], aimed: Aim, held: readonly CeilingPair[] | undefined): Result<Decided, Refusal> => {
  const pairs: CeilingPair[] = [];
  const policies: PolicyCitation[] = [];
  const denied: string[] = [];
  let first: Refusal | undefined;
  let approval: Needs | undefined;
  for (const ask of aimed.kind === 'resource' ? [aimed.ask] : aimed.asks) {
    const within = held === undefined ? ok(ask) : withinCeiling(ask, held);
    const verdict = within.ok ? decideAsk(view, frames, within.value) : within;
    if (!verdict.ok && !(aimed.kind === 'session' && aimed.renews && verdict.error.code !== 'policy_error')) return verdict;
    if (!verdict.ok) {
      first ??= verdict.error;
      denied.push(...(ask.scopes.length === 0 ? [ask.resource.audience] : ask.scopes.map((scope) => `${ask.resource.audience}#${scope}`)));
      continue;
    }
    const { audience } = ask.resource;
    const details = decideDetails(view, frames, ask, held, aimed.kind === 'session' && aimed.renews);
    if (!details.ok) return details;
    pairs.push({ audience, scopes: verdict.value.granted, ...(details.value.granted.length === 0 ? {} : { details: details.value.granted }) });
    addCitations(policies, verdict.value);
    approval = uniteNeeds(uniteNeeds(approval, verdict.value.approval), details.value.approval);
    addCitations(policies, details.value);
    denied.push(...details.value.denied);
    const left = new Set(verdict.value.granted);
    denied.push(...ask.scopes.filter((scope) => !left.has(scope)).map((scope) => `${audience}#${scope}`));
  }
  return pairs.length === 0 && first !== undefined ? err(first) : ok({ pairs, policies, denied, approval });
};
