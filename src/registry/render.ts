import type { JsonObject } from '../core/json.ts';
import type { Action, Change, Plan } from './plan.ts';

/** A plan as lines for people: `+` comes, `~` changes, `-` ends, then a count. Whether to colour is the caller's to know. */
export const renderPlan = (plan: Pick<Plan, 'changes'>, options: { readonly colour: boolean }): readonly string[] => {
  const paint = options.colour ? (action: Action, line: string) => `${COLOURS[action]}${line}\u001b[0m` : (_action: Action, line: string) => line;
  const shown = plan.changes.filter(({ action }) => action !== 'unchanged').flatMap((change) => renderChange(change).map((line) => paint(change.action, line)));
  return [...shown, summary(plan.changes)];
};

const COLOURS: Record<Action, string> = { create: '\u001b[32m', update: '\u001b[33m', end: '\u001b[31m', unchanged: '' };
const SIGNS: Record<Action, string> = { create: '+', update: '~', end: '-', unchanged: ' ' };

const renderChange = (change: Change): readonly string[] => {
  const title = `${SIGNS[change.action]} ${change.kind} ${change.kind === 'domain' ? '' : `${shown(change.domain)}/`}${shown(change.name)}`;
  if (change.action === 'create') return [title, ...bodyLines(change.after ?? {})];
  if (change.action === 'update') return [title, ...change.fields.flatMap(({ field, before, after }) => changedLines(field, before, after))];
  const consequence = change.kind === 'issuer' || change.kind === 'workload' ? 'ends, and everything issued through it is revoked' : 'ends';
  return [`${title} (${consequence})`];
};

/** The name is in the title, and a field that is empty or off says nothing. */
const bodyLines = (body: JsonObject): readonly string[] =>
  Object.entries(body).filter(([name, value]) => name !== 'name' && value !== false && !(Array.isArray(value) && value.length === 0)).flatMap(([name, value]) => {
    const block = blockOf(value);
    return block === undefined ? [`    ${name}: ${shown(value)}`] : [`    ${name}:`, ...block.map((line) => `      ${line}`)];
  });

const changedLines = (field: string, before: unknown, after: unknown): readonly string[] => {
  const [from, to] = [blockOf(before), blockOf(after)];
  if (from === undefined && to === undefined) return [`    ${field}: ${shown(before)} -> ${shown(after)}`];
  return [`    ${field}:`, ...(from ?? [shown(before)]).map((line) => `      - ${line}`), ...(to ?? [shown(after)]).map((line) => `      + ${line}`)];
};

/** A policy is read as it is written, unless a character in it would be seen as something else. */
const blockOf = (value: unknown): readonly string[] | undefined => {
  if (typeof value !== 'string' || !value.includes('\n')) return undefined;
  const lines = value.replace(/\n$/, '').split('\n');
  if (lines.some((line) => CONFUSING.test(line))) return undefined;
  return lines.length > MAX_LINES ? [...lines.slice(0, MAX_LINES), '...'] : lines;
};

const summary = (changes: readonly Change[]): string => {
  const count = (action: Action): number => changes.filter((change) => change.action === action).length;
  return `${count('create')} to add, ${count('update')} to change, ${count('end')} to end, ${count('unchanged')} unchanged`;
};

const MAX_SHOWN = 300;
const MAX_LINES = 60;
const CONFUSING = /[\p{C}\p{Zl}\p{Zp}]/u;

/** Text as it is unless it would confuse a terminal or a reader; everything else as JSON. */
const shown = (value: unknown): string => {
  if (value === undefined) return '(nothing)';
  const plain = typeof value === 'string' && value !== '' && !/[\p{C}\p{Zl}\p{Zp}]|^\s|\s$/u.test(value);
  // JSON escapes C0 controls; the rest that can move a cursor or turn writing around is escaped here.
  const text = plain ? value : JSON.stringify(value).replaceAll(/[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}...` : text;
};
