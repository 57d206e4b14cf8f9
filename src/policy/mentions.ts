import type { Context, Entities, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { isObject } from '../core/json.ts';
import type { Facts } from './facts.ts';
import { plainUid, uidKey } from './head.ts';

/**
 * What a set of policies can read of a request. Cedar spends most of a decision on reading its input, and nearly all of
 * that input is evidence no policy asks about: only what is mentioned is handed over.
 * INVARIANT: leaving out what is not mentioned changes no answer (property test in test/policy/mentions.test.ts).
 */
export interface Mentions {
  readonly context: Mention;
  /** Attribute names read of any entity. */
  readonly attributes: ReadonlySet<string>;
  /** Some condition asks about an entity it does not call `principal`, `action` or `resource`. */
  readonly others: boolean;
}

interface Mention { readonly whole: boolean; readonly members: ReadonlyMap<string, Mention> }
interface Draft { whole: boolean; readonly members: Map<string, Draft> }
interface Collected { readonly context: Draft; readonly attributes: Set<string>; others: boolean }

export const collectMentions = (statements: readonly PolicyJson[]): Mentions => {
  const collected: Collected = { context: { whole: false, members: new Map() }, attributes: new Set(), others: false };
  for (const { conditions } of statements) for (const { body } of conditions) visit(body, collected);
  return collected;
};

/** Whether an answer can depend on how old a session is: only then is it worth a query to know. */
export const readsSessionAge = (statements: readonly PolicyJson[]): boolean => {
  const { context } = collectMentions(statements);
  const session = context.members.get('session');
  return context.whole || session?.whole === true || session?.members.has('age_seconds') === true;
};

export const projectContext = (context: Context, mentions: Mentions): Context => {
  const projected = project(context, mentions.context);
  return isObject(projected) ? (projected as Context) : {};
};

/** Every entity comes with all its ancestors, so those that only stand between others can go. */
export const projectEntities = (facts: Pick<Facts, 'entities' | 'principal' | 'action' | 'resource'>, mentions: Mentions): Entities => {
  const own = new Set([facts.principal, facts.action, facts.resource].map(uidKey));
  return facts.entities().flatMap(({ uid, attrs, parents, tags }) => {
    if (!mentions.others && !own.has(uidKey(plainUid(uid)))) return [];
    const kept = Object.fromEntries(Object.entries(attrs).filter(([name]) => mentions.attributes.has(name)));
    return parents.length > 0 || Object.keys(kept).length > 0 || tags !== undefined ? [{ uid, attrs: kept, parents, ...(tags === undefined ? {} : { tags }) }] : [];
  });
};

const visit = (expression: unknown, into: Collected): void => {
  if (Array.isArray(expression)) {
    for (const member of expression) visit(member, into);
    return;
  }
  if (!isObject(expression)) return;
  // Every expression of Cedar's JSON form has one member, its operator.
  for (const [operator, operand] of Object.entries(expression)) visitOperator(operator, operand, into);
};

const visitOperator = (operator: string, operand: unknown, into: Collected): void => {
  if (operator === 'Value') return;
  if (operator === 'Var') {
    if (operand === 'context') into.context.whole = true;
    return;
  }
  if (!isObject(operand)) {
    visit(operand, into);
    return;
  }
  if (operator === '.') visitAccess({ '.': operand }, into);
  else if (operator === 'has') visitPresence(operand, into);
  else {
    if (operator === 'in' || operator === 'is' || operator === 'getTag' || operator === 'hasTag') into.others ||= !isVar(operand['left']);
    // Operands by name (left, right, arg, if, ...) or, of a record literal, by any name: values only, whatever the names are.
    for (const member of Object.values(operand)) visit(member, into);
  }
};

const visitAccess = (access: { readonly '.': Record<string, unknown> }, into: Collected): void => {
  const path = pathFromContext(access);
  if (path !== undefined) {
    draftAt(into.context, path).whole = true;
    return;
  }
  into.attributes.add(String(access['.']['attr']));
  visitEntity(access['.']['left'], into);
};

const visitPresence = ({ left, attr }: Record<string, unknown>, into: Collected): void => {
  const names = [attr].flat().map(String);
  const path = pathFromContext(left);
  if (path !== undefined) {
    draftAt(into.context, [...path, ...names]);
    return;
  }
  for (const name of names) into.attributes.add(name);
  visitEntity(left, into);
};

const visitEntity = (expression: unknown, into: Collected): void => {
  if (isVar(expression)) return;
  into.others = true;
  visit(expression, into);
};

/** `[a, b]` for `context.a.b`, `[]` for `context` itself, undefined for anything else. */
const pathFromContext = (expression: unknown): readonly string[] | undefined => {
  const names: string[] = [];
  let at: unknown = expression;
  while (isObject(at) && isObject(at['.'])) {
    names.unshift(String(at['.']['attr']));
    at = at['.']['left'];
  }
  return isObject(at) && at['Var'] === 'context' ? names : undefined;
};

const isVar = (expression: unknown): boolean => isObject(expression) && 'Var' in expression;

const draftAt = (root: Draft, path: readonly string[]): Draft => {
  let at = root;
  for (const name of path) {
    const next = at.members.get(name) ?? { whole: false, members: new Map<string, Draft>() };
    at.members.set(name, next);
    at = next;
  }
  return at;
};

/** Records only: strings, sets and extension values are atoms. */
const project = (value: unknown, mention: Mention): unknown => {
  if (mention.whole || !isObject(value) || '__extn' in value) return value;
  const kept: Record<string, unknown> = {};
  for (const [name, member] of mention.members) if (Object.hasOwn(value, name)) kept[name] = project(value[name], member);
  return kept;
};
