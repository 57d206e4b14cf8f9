import { policyToText } from '@cedar-policy/cedar-wasm/nodejs';
import type { Clause, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { isObject } from '../core/json.ts';
import type { Facts } from './facts.ts';
import { plainUid, uidKey } from './head.ts';

/** A statement's conditions as parts that must each hold: `when` at its top-level `&&`, `unless` at its top-level `||`. */
export const splitConditions = ({ conditions }: PolicyJson): readonly Clause[] =>
  conditions.flatMap(({ kind, body }) => splitAt(body, kind === 'when' ? '&&' : '||').map((part): Clause => ({ kind, body: part })));

export const describeAction = (action: PolicyJson['action'], facts: Facts): string => `it permits ${scopeText({ action }, 'action')}, not ${uidKey(facts.action)}`;

export const describeResource = (resource: PolicyJson['resource'], facts: Facts): string => `it permits ${scopeText({ resource }, 'resource')}, not ${uidKey(facts.resource)}`;

/** The part in Cedar's words, then what the request has in its place. */
export const describeClause = ({ kind, body }: Clause, facts: Facts): string => {
  const actual = pathsIn(body).map((path) => describeValue(path, facts));
  const text = `${bodyText(body)} ${kind === 'when' ? 'does not hold' : 'holds, and the policy excludes it'}`;
  return actual.length === 0 ? text : `${text}: ${[...new Set(actual)].join(', ')}`;
};

type Body = Clause['body'];

const splitAt = (body: Body, operator: '&&' | '||'): readonly Body[] => {
  const operands = Object.hasOwn(body, operator) ? (body as Record<string, { left: Body; right: Body }>)[operator] : undefined;
  return operands === undefined || Array.isArray(operands) ? [body] : [...splitAt(operands.left, operator), ...splitAt(operands.right, operator)];
};

const ALL: PolicyJson = { effect: 'permit', principal: { op: 'All' }, action: { op: 'All' }, resource: { op: 'All' }, conditions: [] };

const textOf = (part: Partial<PolicyJson>): string => {
  const answer = policyToText({ ...ALL, ...part });
  return answer.type === 'success' ? answer.text : '';
};

const bodyText = (body: Body): string => textOf({ conditions: [{ kind: 'when', body }] }).replace(/^[^{]*\{ ?/, '').replace(/ ?\};$/, '');

/** `permit(principal, action == Action::"issue", resource);` in its part. */
const scopeText = (part: Partial<PolicyJson>, name: 'action' | 'resource'): string => {
  const text = textOf(part).replace(/^permit\(principal, /, '').replace(/\);$/, '');
  return name === 'action' ? text.replace(/, resource$/, '') : text.replace(/^action, /, '');
};

/** Every `context.a.b`, `principal.a`, tag, and bare `principal` or `resource` an expression asks about, in order. */
const pathsIn = (expression: unknown): readonly (readonly string[])[] => {
  if (Array.isArray(expression)) return expression.flatMap(pathsIn);
  if (!isObject(expression)) return [];
  const path = pathOf(expression);
  if (path !== undefined) return [path];
  const tag = expression['getTag'] ?? expression['hasTag'];
  const tagged = isObject(tag) ? pathOf(tag['left']) : undefined;
  if (isObject(tag) && tagged !== undefined && isObject(tag['right']) && typeof tag['right']['Value'] === 'string') return [[...tagged, tag['right']['Value']]];
  const has = expression['has'];
  const within = isObject(has) ? pathOf(has['left']) : undefined;
  if (isObject(has) && within !== undefined) return [[...within, ...[has['attr']].flat().map(String)]];
  return Object.entries(expression).flatMap(([operator, operand]) => (operator === 'Value' ? [] : pathsIn(isObject(operand) ? Object.values(operand) : operand)));
};

const pathOf = (expression: unknown): readonly string[] | undefined => {
  if (!isObject(expression)) return undefined;
  if (typeof expression['Var'] === 'string') return [expression['Var']];
  const access = expression['.'];
  const within = isObject(access) ? pathOf(access['left']) : undefined;
  return isObject(access) && within !== undefined ? [...within, String(access['attr'])] : undefined;
};

const describeValue = (path: readonly string[], facts: Facts): string => {
  const [root, ...names] = path;
  const name = path.join('.');
  if (names.length === 0 && root !== 'context') return `${name} is ${uidKey(rootEntity(root, facts))}`;
  let at: unknown = root === 'context' ? facts.context : attributesOf(root, facts);
  for (const [depth, member] of names.entries()) {
    at = tagsOf(at, facts) ?? at;
    if (!isObject(at) || !Object.hasOwn(at, member)) return `there is no ${path.slice(0, depth + 2).join('.')}`;
    at = at[member];
  }
  return isObject(at) && !('__extn' in at) ? `${name} is there` : `${name} is ${JSON.stringify(isObject(at) && isObject(at['__extn']) ? at['__extn']['arg'] : at)}`;
};

/** The tags of an entity that an attribute names. */
const tagsOf = (value: unknown, facts: Facts): unknown => {
  const uid = isObject(value) ? value['__entity'] : undefined;
  if (!isObject(uid)) return undefined;
  return facts.entities().find((entity) => uidKey(plainUid(entity.uid)) === uidKey({ type: String(uid['type']), id: String(uid['id']) }))?.tags;
};

const rootEntity = (root: string | undefined, facts: Facts): Facts['principal'] => (root === 'principal' ? facts.principal : root === 'resource' ? facts.resource : facts.action);

const attributesOf = (root: string | undefined, facts: Facts): unknown => {
  const key = uidKey(rootEntity(root, facts));
  return facts.entities().find(({ uid }) => uidKey(plainUid(uid)) === key)?.attrs;
};
