import type { Random } from '../core/random.ts';
import type { Result } from '../core/result.ts';
import { uniteDemands } from './approval.ts';
import { createPolicyCompiler } from './compile.ts';
import type { Compiled } from './compile.ts';
import type { AdminQuestion, Answer, ApprovalDemand, BuildPolicyEngine, PolicyCitation, PolicyEngine, Question } from './decision.ts';
import { readsSessionAge } from './mentions.ts';
import { createEvaluate } from './evaluate.ts';
import type { Evaluate, EvaluationLimits, Verdict } from './evaluate.ts';
import { findNearMisses } from './explain.ts';
import { adminFactsOf, factsOf } from './facts.ts';
import type { Facts } from './facts.ts';
import { createIdentify } from './identity.ts';
import type { Identify } from './identity.ts';
import type { PolicySchema } from './schema.ts';
import { createPolicyIndex } from './subset.ts';

export interface PolicyEngineDeps {
  readonly schema: PolicySchema;
  readonly random: Random;
  readonly limits?: EvaluationLimits;
}

/** Engines of one process share what Cedar holds parsed, so make one factory. */
export const createPolicyEngineFactory = ({ schema, random, limits }: PolicyEngineDeps): BuildPolicyEngine => {
  const compile = createPolicyCompiler(schema);
  const parts: EngineParts = { schema, evaluate: createEvaluate(random, limits), identify: createIdentify() };
  return (domainId, policies) => createEngine(domainId, compile(policies), parts);
};

interface EngineParts { readonly schema: PolicySchema; readonly evaluate: Evaluate; readonly identify: Identify }

const createEngine = (domainId: PolicyEngine['domainId'], { policies, problems }: Compiled, { schema, evaluate, identify }: EngineParts): PolicyEngine => {
  const index = createPolicyIndex(policies);
  const demands: Demands = new Map(policies.flatMap(({ citation, approval }) => (approval === undefined ? [] : [[citation.name, approval]])));
  const decideFacts = (question: Question | AdminQuestion, factsFor: () => Result<Facts, string>): Answer => {
    // INVARIANT: every way out but the last is a denial, whatever was thrown and wherever.
    try {
      if (problems.length > 0) return failed(problems.map(({ policy, message }) => `${policy}: ${message}`));
      if (question.domain.id !== domainId) return failed([`asked about domain ${question.domain.name}, which has policies of its own`]);
      const facts = factsFor();
      if (!facts.ok) return failed([facts.error]);
      const identity = identify(question);
      return combine(index.select(facts.value, identity).map((group) => evaluate(group, facts.value, identity)), demands);
    } catch (thrown) {
      return failed([`no answer from Cedar: ${thrown instanceof Error ? thrown.message : 'unknown fault'}`]);
    }
  };
  const decide = (question: Question): Answer => decideFacts(question, () => factsOf(schema, question));
  return {
    domainId,
    problems,
    readsSessionAge: readsSessionAge(policies.map(({ statement }) => statement)),
    decide,
    decideAdmin: (question: AdminQuestion) => decideFacts(question, () => adminFactsOf(question)),
    nearMisses(question) {
      if (decide(question).allow) return [];
      const facts = factsOf(schema, question);
      return facts.ok ? findNearMisses(policies, facts.value) : [];
    },
  };
};

const failed = (errors: readonly string[], policies: readonly PolicyCitation[] = []): Answer => Object.freeze({ allow: false, policies, errors });

/** By policy: what its permit asks of people. Empty in most domains, which then never look anything up. */
type Demands = ReadonlyMap<string, ApprovalDemand>;

/**
 * Cedar's rule over sets that were evaluated apart: any error is a denial (Cedar itself would skip the policy, and a
 * skipped forbid lets a permit win), then any forbid is, then any permit allows, else the default is no.
 */
const combine = (verdicts: readonly Verdict[], demands: Demands): Answer => {
  const broken = verdicts.flatMap((verdict) => verdict.failed);
  if (broken.length > 0) return failed(broken.map(({ policy, message }) => `${policy.name}: ${message}`), broken.map(({ policy }) => policy));
  const forbids = verdicts.flatMap(({ allow, satisfied }) => (allow ? [] : satisfied));
  if (forbids.length > 0) return { allow: false, policies: forbids, errors: [] };
  const permits = verdicts.flatMap(({ allow, satisfied }) => (allow ? satisfied : []));
  const approval = demands.size === 0 ? undefined : demandOf(permits, demands);
  return approval === undefined ? { allow: permits.length > 0, policies: permits, errors: [] } : { allow: false, policies: permits, errors: [], approval };
};

/** A permit without an annotation that holds as well needs nobody's word. */
const demandOf = (permits: readonly PolicyCitation[], demands: Demands): ApprovalDemand | undefined => {
  const asked = permits.flatMap(({ name }) => demands.get(name) ?? []);
  return asked.length < permits.length ? undefined : uniteDemands(asked);
};
