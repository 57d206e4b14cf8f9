import { policySetTextToParts, policyToJson, validate } from '@cedar-policy/cedar-wasm/nodejs';
import type { DetailedError, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { ADMIN_VERBS } from './actions.ts';
import { readApproval } from './approval.ts';
import type { ApprovalDemand, PolicyProblem } from './decision.ts';
import { fixedIn } from './head.ts';
import type { FixedHead } from './head.ts';
import { findTooDeep } from './nesting.ts';
import type { PolicySchema } from './schema.ts';

/** One statement that Cedar accepted under the schema. */
export interface ValidPolicy {
  readonly effect: 'permit' | 'forbid';
  /** Which principal and resource its head is fixed to; decides which requests it is evaluated for. */
  readonly head: FixedHead;
  readonly annotations: ReadonlyMap<string, string>;
  /** What it asks of people before it counts. */
  readonly approval: ApprovalDemand | undefined;
  /** Cedar's JSON form. */
  readonly statement: PolicyJson;
  /** Accepted, but worth a finding of lint: conditions that can never hold, look-alike characters. */
  readonly warnings: readonly PolicyProblem[];
}

export interface PolicyCheck {
  readonly effect: 'permit' | 'forbid' | undefined;
  /** Empty exactly when `valid` is set. */
  readonly problems: readonly PolicyProblem[];
  readonly valid: ValidPolicy | undefined;
}

export interface PolicyText { readonly name: string; readonly cedar: string }
export type CheckPolicy = (name: string, cedar: string) => PolicyCheck;

/** Checks one policy as it is written: one Cedar statement whose name is its id, strictly valid under the schema. */
export const createPolicyValidator = (schema: PolicySchema): CheckPolicy => (name, cedar) =>
  checkPolicies(schema, [{ name, cedar }])[0] ?? refused([{ policy: name, message: 'could not be checked', help: undefined, line: undefined, column: undefined }]);

/** The same for many, answered in their order. Cedar reads the schema once for all of them, which is the larger part of checking one. */
export const checkPolicies = (schema: PolicySchema, policies: readonly PolicyText[]): readonly PolicyCheck[] => {
  const parsed = policies.map(parseOne);
  const staticPolicies = Object.fromEntries(policies.flatMap(({ cedar }, at) => (parsed[at]?.statement === undefined ? [] : [[String(at), cedar]])));
  const answer = validate({ schema: schema.text, policies: { staticPolicies } });
  return policies.map((policy, at) => {
    const one = parsed[at];
    if (one?.statement === undefined) return refused(one?.problems ?? []);
    if (answer.type === 'failure') return refused(answer.errors.map((error) => problemOf(policy, error)));
    const of = (list: typeof answer.validationErrors): readonly PolicyProblem[] => distinct(list.filter(({ policyId }) => policyId === String(at)).map(({ error }) => problemOf(policy, error)));
    const { demand, problems: annotated } = readApproval(one.statement, annotationsOf(one.statement));
    const problems = [...annotated.map(({ annotation, ...problem }) => ({ policy: policy.name, ...problem, ...placeOfAnnotation(policy, annotation) })), ...of(answer.validationErrors)];
    return problems.length > 0 ? refused(problems) : accepted(one.statement, demand, [...otherId(policy, one.statement), ...of(answer.validationWarnings)]);
  });
};

/** The statement alone, without the schema, which costs fifty times as much to check against; undefined when it does not parse. */
export const parseStatement = (cedar: string): PolicyJson | undefined => parseOne({ name: '', cedar }).statement;

interface Parsed { readonly statement: PolicyJson | undefined; readonly problems: readonly PolicyProblem[] }

const parseOne = (policy: PolicyText): Parsed => {
  // INVARIANT: nothing reaches Cedar's parser that could exhaust its stack.
  const deep = findTooDeep(policy.cedar);
  if (deep !== undefined) return { statement: undefined, problems: [{ policy: policy.name, message: deep.message, help: deep.help, ...placeOf(policy.cedar, byteOffset(policy.cedar, deep.offset)) }] };
  const answer = policyToJson(policy.cedar);
  if (answer.type === 'failure') {
    const count = notOneStatement(policy);
    return { statement: undefined, problems: count === undefined ? answer.errors.map((error) => problemOf(policy, error)) : [count] };
  }
  return { statement: answer.json, problems: [] };
};

/** Says what Cedar's parser puts as an unexpected token or end of input. */
const notOneStatement = ({ name, cedar }: PolicyText): PolicyProblem | undefined => {
  const parts = policySetTextToParts(cedar);
  if (parts.type === 'failure') return undefined;
  const [first, second] = [...parts.policies, ...parts.policy_templates];
  if (first === undefined) return { policy: name, message: 'holds no statement', help: 'write one permit or forbid', line: 1, column: 1 };
  if (second === undefined) return undefined;
  return { policy: name, message: `holds ${parts.policies.length + parts.policy_templates.length} statements`, help: 'a policy is one statement: give each of the others a policy of its own', line: 1, column: 1 };
};

/** The name of a policy is its id; Cedar's customary annotation may repeat it and decides nothing. */
const otherId = ({ name }: PolicyText, statement: PolicyJson): readonly PolicyProblem[] => {
  const id = annotationsOf(statement).get('id');
  return id === undefined || id === name ? [] : [{ policy: name, message: `is called ${JSON.stringify(id)} in its @id`, help: 'leave @id out: the name of the policy is its id', line: 1, column: 1 }];
};

const accepted = (statement: PolicyJson, approval: ApprovalDemand | undefined, warnings: readonly PolicyProblem[]): PolicyCheck =>
  ({ effect: statement.effect, problems: [], valid: { effect: statement.effect, head: fixedIn(statement), annotations: annotationsOf(statement), approval, statement, warnings } });

const refused = (problems: readonly PolicyProblem[]): PolicyCheck => ({ effect: undefined, problems, valid: undefined });

/** An annotation without a value comes as null, against Cedar's own types. */
const annotationsOf = (statement: PolicyJson): ReadonlyMap<string, string> =>
  new Map(Object.entries<string | null>(statement.annotations ?? {}).map(([name, value]) => [name, value ?? '']));

/** Cedar keeps no place of an annotation. */
const placeOfAnnotation = ({ cedar }: PolicyText, name: string): { line: number | undefined; column: number | undefined } => {
  const at = cedar.indexOf(`@${name}`);
  return at < 0 ? NOWHERE : placeOf(cedar, byteOffset(cedar, at));
};

const problemOf = ({ name, cedar }: PolicyText, error: DetailedError): PolicyProblem => {
  const place = error.sourceLocations?.[0];
  const message = plain(error.message);
  return { policy: name, message, help: actionHint(message) ?? hintOf(error), ...(place === undefined ? NOWHERE : placeOf(cedar, place.start)) };
};

/** Cedar suggests whichever action looks most like it: `call` for a slip in an admin action, `act` for a scope, which is the commonest mistake. */
const actionHint = (message: string): string | undefined => {
  const [, name] = /^unrecognized action `Action::"([^"]*)"`/.exec(message) ?? [];
  if (name?.startsWith('admin::') === true) return `the admin actions are ${Object.keys(ADMIN_VERBS).map((verb) => `admin::${verb}`).join(', ')}`;
  return name?.includes(':') === true ? `a scope is a resource: write action == Action::"issue", resource == Scope::"<audience>#${name}"` : undefined;
};

const hintOf = (error: DetailedError): string | undefined => {
  const hint = error.help ?? error.sourceLocations?.[0]?.label ?? undefined;
  return hint === undefined ? undefined : plain(hint);
};

/** Cedar names the policy by the id it was given for this call. */
const plain = (text: string): string => text.replace(/^for policy `\d+`, /, '').replace(/^failed to parse policy (?:with id `\d+` )?from string: /, '');

const NOWHERE = { line: undefined, column: undefined };

/** Cedar counts UTF-8 bytes; people count lines and characters. */
const placeOf = (cedar: string, offset: number): { line: number; column: number } => {
  const before = Buffer.from(cedar).subarray(0, offset).toString();
  const lines = before.split('\n');
  return { line: lines.length, column: [...(lines.at(-1) ?? '')].length + 1 };
};

const byteOffset = (cedar: string, offset: number): number => Buffer.byteLength(cedar.slice(0, offset));

/** A head that admits several actions or types has one mistake reported once per each: told once, with what to do about the head. */
const distinct = (problems: readonly PolicyProblem[]): readonly PolicyProblem[] => {
  const byPlace = new Map<string, PolicyProblem[]>();
  for (const problem of [...problems].sort(byLineAndColumn)) byPlace.set(`${problem.line}:${problem.column}`, [...(byPlace.get(`${problem.line}:${problem.column}`) ?? []), problem]);
  return [...byPlace.values()].flatMap(([first, ...others]) => (first === undefined ? [] : [others.length === 0 ? first : { ...first, help: [first.help, NARROW].filter((text) => text !== undefined).join('; ') }]));
};

const byLineAndColumn = (a: PolicyProblem, b: PolicyProblem): number => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);

const NARROW = 'or narrow the head, which admits several actions or types: action == Action::"issue", principal is Workload, resource is Scope';
