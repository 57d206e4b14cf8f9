import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Answer, PolicyCitation, Question } from '../policy/decision.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { CeilingPair, HopRow } from '../store/rows.ts';
import { withinCeiling } from './aim.ts';
import type { Aim, Ask } from './aim.ts';
import type { Caller } from './caller.ts';

/** What was permitted of one ask, and by which policy versions. */
export interface Verdict {
  readonly granted: readonly string[];
  readonly denied: readonly string[];
  readonly policies: readonly PolicyCitation[];
}

/** The question of one exchange without its resource and scope: the same for every pair. */
export type QuestionFrame = Omit<Question, 'resource' | 'scope' | 'action'>;

export const frameQuestion = (view: DomainView, caller: Caller, request: { readonly bound: boolean; readonly time: number; readonly lifetime: number }): QuestionFrame => ({
  domain: view.domain,
  workload: caller.workload,
  evidence: caller.evidence,
  chain: [caller.workload.spiffeId],
  session: {
    model: caller.session.model,
    principal: caller.session.principal,
    ageSeconds: Math.max(0, Math.floor((request.time - caller.session.startedAt) / 1000)),
    depth: caller.hop?.depth ?? 0,
  },
  request,
});

const addCitations = (policies: PolicyCitation[], answer: Pick<Answer, 'policies'>): void => {
  for (const cited of answer.policies) if (!policies.some((known) => known.name === cited.name)) policies.push(cited);
};

/**
 * Decides one ask: each requested scope, or `issue` on the resource itself when none is asked. A caller that nothing is
 * permitted at the target gets what it would get for a target that does not exist (design section 5, Targets and scopes).
 */
export const decideAsk = (view: DomainView, frame: QuestionFrame, ask: Ask): Result<Verdict, Refusal> => {
  const policies: PolicyCitation[] = [];
  const errors: string[] = [];
  const permits = (scope: string | undefined): boolean => {
    const answer = view.engine.decide({ ...frame, action: 'issue', resource: ask.resource, scope });
    addCitations(policies, answer);
    errors.push(...answer.errors);
    return answer.allow;
  };
  const anythingPermitted = (): boolean => permits(undefined) || ask.resource.scopes.some((scope) => permits(scope));
  const fail = (code: 'scope_unknown' | 'scope_denied' | 'target_denied', detail: string): Result<Verdict, Refusal> => {
    if (errors.length > 0) return err(refusal('policy_error', errors.join('; ')));
    return err(refusal(code, detail));
  };

  if (ask.scopes.length === 0) {
    return permits(undefined) ? ok({ granted: [], denied: [], policies }) : fail('target_denied', `no policy permits issue on ${ask.resource.audience}`);
  }
  const unknown = ask.scopes.filter((scope) => !ask.resource.scopes.includes(scope));
  if (unknown.length > 0) {
    return anythingPermitted() ? fail('scope_unknown', `not registered at ${ask.resource.audience}: ${unknown.join(' ')}`) : fail('target_denied', `no policy permits anything at ${ask.resource.audience}`);
  }
  const granted = ask.scopes.filter((scope) => permits(scope));
  // One scope whose policy errs fails them all: left out in silence, the error would alert nobody (design section 6).
  if (granted.length > 0 && errors.length === 0) return ok({ granted, denied: ask.scopes.filter((scope) => !granted.includes(scope)), policies });
  return anythingPermitted() ? fail('scope_denied', `no asked scope is permitted at ${ask.resource.audience}`) : fail('target_denied', `no policy permits anything at ${ask.resource.audience}`);
};

/** The whole decision: one pair per audience, the policies that made it, and the scopes left out, as `<audience>#<scope>`. */
export interface Decided {
  readonly pairs: readonly CeilingPair[];
  readonly policies: readonly PolicyCitation[];
  readonly denied: readonly string[];
}

/** Decides every pair asked for; `hop` is the one a session token speaks for. A ceiling is granted whole or narrowed, never partly refused in silence: a pair of which nothing is left fails the request. */
export const decideAim = (view: DomainView, frame: QuestionFrame, aimed: Aim, hop: HopRow | undefined): Result<Decided, Refusal> => {
  const pairs: CeilingPair[] = [];
  const policies: PolicyCitation[] = [];
  const denied: string[] = [];
  for (const ask of aimed.kind === 'resource' ? [aimed.ask] : aimed.asks) {
    const held = hop === undefined ? ok(ask) : withinCeiling(ask, hop.ceiling);
    if (!held.ok) return held;
    const verdict = decideAsk(view, frame, held.value);
    if (!verdict.ok) return verdict;
    pairs.push({ audience: ask.resource.audience, scopes: verdict.value.granted });
    addCitations(policies, verdict.value);
    const left = new Set(verdict.value.granted);
    denied.push(...ask.scopes.filter((scope) => !left.has(scope)).map((scope) => `${ask.resource.audience}#${scope}`));
  }
  return ok({ pairs, policies, denied });
};
