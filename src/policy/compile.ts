import { sha256url } from '../core/bytes.ts';
import type { Policy } from '../registry/entries.ts';
import type { PolicyCitation, PolicyProblem } from './decision.ts';
import type { PolicySchema } from './schema.ts';
import { checkPolicies } from './validate.ts';
import type { PolicyCheck, ValidPolicy } from './validate.ts';

/** A stored policy that is valid under the schema. */
export interface CompiledPolicy extends Pick<ValidPolicy, 'effect' | 'head' | 'statement' | 'approval'> {
  readonly citation: PolicyCitation;
  readonly cedar: string;
  /** Milliseconds from which it no longer counts; undefined for every forbid: forgetting one would open what it closes. */
  readonly expires: number | undefined;
  /** Equal for equal text under an equal citation, whichever engine holds it. */
  readonly digest: string;
}

export interface Compiled { readonly policies: readonly CompiledPolicy[]; readonly problems: readonly PolicyProblem[] }
export type CompilePolicies = (policies: readonly Policy[]) => Compiled;

/** Remembers what it made of each entry: entries are frozen, and a change of the registry leaves nearly all of them as they are. */
export const createPolicyCompiler = (schema: PolicySchema): CompilePolicies => {
  const known = new WeakMap<Policy, Compiled>();
  return (policies) => {
    const fresh = policies.filter((policy) => !known.has(policy));
    const checks = fresh.length === 0 ? [] : checkPolicies(schema, fresh);
    for (const [at, policy] of fresh.entries()) known.set(policy, compileOne(policy, checks[at]));
    const compiled = policies.map((policy) => known.get(policy) ?? compileOne(policy, undefined));
    return { policies: compiled.flatMap((one) => one.policies), problems: [...repeatedNames(policies), ...compiled.flatMap((one) => one.problems)] };
  };
};

const compileOne = (policy: Policy, check: PolicyCheck | undefined): Compiled => {
  if (check === undefined) return { policies: [], problems: [problem(policy, 'could not be checked')] };
  if (check.valid === undefined) return { policies: [], problems: check.problems };
  return { policies: [compiledPolicy(policy, check.valid)], problems: contradictions(policy, check.valid) };
};

const contradictions = (policy: Policy, valid: ValidPolicy): readonly PolicyProblem[] => {
  if (valid.effect !== policy.effect) return [problem(policy, `is registered as a ${policy.effect} and says ${valid.effect}`)];
  return valid.effect === 'permit' && policy.expires === undefined ? [problem(policy, 'is a permit without an expiry')] : [];
};

const compiledPolicy = (policy: Policy, valid: ValidPolicy): CompiledPolicy => ({
  effect: valid.effect,
  head: valid.head,
  statement: valid.statement,
  approval: valid.approval,
  citation: Object.freeze({ name: policy.name, version: policy.version }),
  cedar: policy.cedar,
  expires: valid.effect === 'permit' ? policy.expires : undefined,
  digest: sha256url(JSON.stringify([policy.name, policy.version, policy.cedar])),
});

const repeatedNames = (policies: readonly Policy[]): PolicyProblem[] => {
  const seen = new Set<string>();
  return policies.filter(({ name }) => seen.size === seen.add(name).size).map((policy) => problem(policy, 'has the name of another policy'));
};

const problem = (policy: Policy, message: string): PolicyProblem => ({ policy: policy.name, message, help: undefined, line: undefined, column: undefined });
