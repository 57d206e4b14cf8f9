import { preparsePolicySet, statefulIsAuthorized } from '@cedar-policy/cedar-wasm/nodejs';
import { LRUCache } from 'lru-cache';
import { base64url } from '../core/bytes.ts';
import type { Random } from '../core/random.ts';
import type { PolicyCitation } from './decision.ts';
import type { Facts } from './facts.ts';
import { projectContext, projectEntities } from './mentions.ts';
import type { PolicyGroup } from './subset.ts';

/** What one set of policies says. Satisfied are permits if it allows, forbids if it does not. */
export interface Verdict {
  readonly allow: boolean;
  readonly satisfied: readonly PolicyCitation[];
  readonly failed: readonly { readonly policy: PolicyCitation; readonly message: string }[];
}

/** `identity` stands for principal, action, resource and their entities. Throws when Cedar cannot answer at all. */
export type Evaluate = (group: PolicyGroup, facts: Facts, identity: string) => Verdict;

export interface EvaluationLimits {
  /** Policies held parsed, over all sets; about 2 kB each. */
  readonly parsedPolicies: number;
  /** Sets held parsed. */
  readonly parsedSets: number;
  readonly verdicts: number;
}
export const DEFAULT_LIMITS: EvaluationLimits = { parsedPolicies: 20_000, parsedSets: 4_096, verdicts: 20_000 };

/**
 * Evaluates sets of policies that Cedar holds parsed. A verdict is a function of the set's text and of what the set
 * reads of the request, so one already given for exactly the same is given again: Cedar's own work is 0.1 to 1 ms.
 * What a policy reads of time or session is part of that, so nothing outlives a change of it.
 */
export const createEvaluate = (random: Random, limits: EvaluationLimits = DEFAULT_LIMITS): Evaluate => {
  const setOf = createParsedSets(random, limits);
  const verdicts = new LRUCache<string, Verdict>({ max: limits.verdicts });
  return (group, facts, identity) => {
    const context = projectContext(facts.context, group.mentions);
    const key = `${group.key} ${identity} ${JSON.stringify(context)}`;
    const known = verdicts.get(key);
    if (known !== undefined) return known;
    const { principal, action, resource } = facts;
    const entities = projectEntities(facts, group.mentions);
    const verdict = readAnswer(group, statefulIsAuthorized({ principal, action, resource, context, entities, preparsedPolicySetId: setOf(group), validateRequest: false }));
    // Errors are not remembered: each one is an alert.
    if (verdict.failed.length === 0) verdicts.set(key, verdict);
    return verdict;
  };
};

const readAnswer = ({ policies }: PolicyGroup, answer: ReturnType<typeof statefulIsAuthorized>): Verdict => {
  if (answer.type !== 'success') throw new Error(answer.errors.map(({ message }) => message).join('; '));
  const { decision, diagnostics } = answer.response;
  const cite = (id: string): PolicyCitation => {
    const policy = policies[Number(id)];
    if (policy === undefined) throw new Error(`Cedar named policy ${id} of ${policies.length}`);
    return policy.citation;
  };
  return {
    allow: decision === 'allow',
    satisfied: diagnostics.reason.map(cite),
    failed: diagnostics.errors.map(({ policyId, error }) => ({ policy: cite(policyId), message: error.message })),
  };
};

/**
 * Cedar keeps parsed sets by name, in the whole process and for good: the names come from a fixed pool, are this
 * factory's own, and a set that is no longer used is overwritten with an empty one.
 */
const createParsedSets = (random: Random, limits: EvaluationLimits): ((group: PolicyGroup) => string) => {
  const prefix = base64url(random.bytes(16));
  const free = Array.from({ length: limits.parsedSets + 1 }, (_, at) => `${prefix}.${at}`);
  const names = new LRUCache<string, string>({
    max: limits.parsedSets,
    maxSize: limits.parsedPolicies,
    dispose: (name) => {
      preparsePolicySet(name, { staticPolicies: {} });
      free.push(name);
    },
  });
  return (group) => {
    const held = names.get(group.key);
    if (held !== undefined) return held;
    const name = free.pop();
    if (name === undefined) throw new Error('the pool of policy set names is empty');
    const answer = preparsePolicySet(name, { staticPolicies: Object.fromEntries(group.policies.map(({ cedar }, at) => [String(at), cedar])) });
    if (answer.type !== 'success') {
      free.push(name);
      throw new Error(answer.errors.map(({ message }) => message).join('; '));
    }
    // A set larger than the whole allowance still gets its place, at the cost of the others.
    names.set(group.key, name, { size: Math.min(Math.max(group.policies.length, 1), limits.parsedPolicies) });
    return name;
  };
};
