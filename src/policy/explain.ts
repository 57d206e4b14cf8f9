import { isAuthorized } from '@cedar-policy/cedar-wasm/nodejs';
import type { Clause, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { CompiledPolicy } from './compile.ts';
import type { NearMiss } from './decision.ts';
import { describeAction, describeClause, describeResource, splitConditions } from './describe.ts';
import type { Facts } from './facts.ts';
import { uidKey } from './head.ts';
import { isAlive } from './subset.ts';

const MOST_CANDIDATES = 200;
const MOST_ANSWERS = 5;

/**
 * The permits that came closest to a denied request, nearest first. Cedar itself is asked which part of each holds: its
 * statement is taken apart at the top-level `&&` of `when` (and `||` of `unless`), each part made a permit of its own.
 * Empty when some permit holds whole: then a forbid decided, and the answer cites it.
 */
export const findNearMisses = (policies: readonly CompiledPolicy[], facts: Facts): readonly NearMiss[] => {
  const candidates = policies.filter((policy) => isCandidate(policy, facts)).slice(0, MOST_CANDIDATES).map((policy) => ({ policy, clauses: splitConditions(policy.statement) }));
  const outcome = askCedar(candidates, facts);
  const misses: { readonly failures: readonly string[]; readonly policy: CompiledPolicy }[] = [];
  for (const [at, { policy, clauses }] of candidates.entries()) {
    if (outcome(partId(at, 'principal')) !== 'holds') continue;
    const failures = failuresOf(at, policy, clauses, facts, outcome);
    if (failures.length === 0) return [];
    misses.push({ failures, policy });
  }
  return misses.sort((a, b) => a.failures.length - b.failures.length).slice(0, MOST_ANSWERS).map(({ policy, failures }) => ({ policy: policy.citation, why: failures.join('; ') }));
};

/** A permit for another principal, or for any principal at another resource, is no near miss. */
const isCandidate = ({ effect, head }: CompiledPolicy, facts: Facts): boolean => {
  if (effect !== 'permit') return false;
  if (head.principal !== undefined) return head.principal === uidKey(facts.principal);
  return head.resource === undefined || facts.resourceKeys.includes(head.resource);
};

interface Candidate { readonly policy: CompiledPolicy; readonly clauses: readonly Clause[] }
type OutcomeOf = (part: string) => 'holds' | 'fails' | 'errs';

const partId = (at: number, part: 'principal' | 'action' | 'resource' | number): string => `${at}.${part}`;

/** One call for all parts of all candidates: every part is a permit, so the reasons of the answer are the parts that hold. */
const askCedar = (candidates: readonly Candidate[], facts: Facts): OutcomeOf => {
  const parts = candidates.flatMap(({ policy: { statement }, clauses }, at): [string, PolicyJson][] => [
    [partId(at, 'principal'), { ...ANYTHING, principal: statement.principal }],
    [partId(at, 'action'), { ...ANYTHING, action: statement.action }],
    [partId(at, 'resource'), { ...ANYTHING, resource: statement.resource }],
    ...clauses.map((clause, part): [string, PolicyJson] => [partId(at, part), { ...ANYTHING, conditions: [clause] }]),
  ]);
  const { principal, action, resource, context } = facts;
  const answer = isAuthorized({ principal, action, resource, context, entities: facts.entities(), policies: { staticPolicies: Object.fromEntries(parts) } });
  if (answer.type !== 'success') return () => 'fails';
  const satisfied = new Set(answer.response.diagnostics.reason);
  const erring = new Set(answer.response.diagnostics.errors.map(({ policyId }) => policyId));
  return (part) => (satisfied.has(part) ? 'holds' : erring.has(part) ? 'errs' : 'fails');
};

const ANYTHING: PolicyJson = { effect: 'permit', principal: { op: 'All' }, action: { op: 'All' }, resource: { op: 'All' }, conditions: [] };

const failuresOf = (at: number, policy: CompiledPolicy, clauses: readonly Clause[], facts: Facts, outcome: OutcomeOf): readonly string[] => {
  const failures: string[] = [];
  if (!isAlive(policy, facts.time)) failures.push(`it expired at ${new Date(policy.expires ?? 0).toISOString()}`);
  if (outcome(partId(at, 'action')) !== 'holds') failures.push(describeAction(policy.statement.action, facts));
  if (outcome(partId(at, 'resource')) !== 'holds') failures.push(describeResource(policy.statement.resource, facts));
  let guarded = false;
  for (const [part, clause] of clauses.entries()) {
    const result = outcome(partId(at, part));
    if (result === 'holds') continue;
    // Cedar never reached a part that errs alone behind a failed `has`; the `has` is what to tell.
    if (result === 'fails' || !guarded) failures.push(describeClause(clause, facts));
    guarded = true;
  }
  return failures;
};
