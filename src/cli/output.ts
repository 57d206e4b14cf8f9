import Table from 'cli-table3';
import { isObject } from '../core/json.ts';
import type { ShellContext } from './context.ts';
import { say } from './context.ts';

export interface Column { readonly title: string; readonly value: (item: Record<string, unknown>) => unknown }

export const column = (title: string, member: string = title): Column => ({ title, value: (item) => item[member] });

/** A time of the API, RFC 3339 text or milliseconds, as text. */
export const asTime = (value: unknown): unknown => (typeof value === 'number' && Number.isFinite(value) ? new Date(value).toISOString() : value);

export const timeColumn = (title: string, member: string): Column => ({ title, value: (item) => asTime(item[member]) });

/** Controls, C1 included, and the marks that turn the direction of text: names come from outside and must not steer a terminal. */
// eslint-disable-next-line no-control-regex -- these are the characters it is for
const STEERING = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const escapeSteering = (text: string): string => text.replace(STEERING, (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`);

const ABSENT = '-';

/** A value as one line of a terminal. */
export const printable = (value: unknown): string => {
  if (value === undefined || value === null || value === '') return ABSENT;
  if (typeof value === 'string') return escapeSteering(value);
  if (Array.isArray(value)) return value.length === 0 ? ABSENT : value.map(printable).join(', ');
  if (isObject(value)) return Object.entries(value).map(([name, member]) => `${escapeSteering(name)}=${printable(member)}`).join(' ');
  return escapeSteering(JSON.stringify(value));
};

const NO_BORDERS = {
  top: '', 'top-mid': '', 'top-left': '', 'top-right': '', bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '',
  left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: '  ',
};

/** One line for each item, for people and `grep`; where a terminal is narrower than that, one paragraph for each. */
export const renderTable = (columns: readonly Column[], items: readonly Record<string, unknown>[], width = Infinity): string => {
  const table = new Table({ head: columns.map(({ title }) => title.toUpperCase()), chars: NO_BORDERS, style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [] } });
  for (const item of items) table.push(columns.map(({ value }) => printable(value(item))));
  const lines = table.toString().split('\n').map((line) => line.trimEnd());
  if (lines.every((line) => line.length <= width)) return lines.join('\n');
  return items.map((item) => renderParagraph(columns, item, width)).join('\n');
};

const INDENT = '  ';

/** `title: value` one after the other, broken between them and, where one is too long for a line, between its words. */
const renderParagraph = (columns: readonly Column[], item: Record<string, unknown>, width: number): string => {
  const lines: string[] = [];
  const add = (text: string, gap: string): void => {
    const last = lines.at(-1);
    if (last !== undefined && last.length + gap.length + text.length <= width) lines[lines.length - 1] = `${last}${gap}${text}`;
    else lines.push(last === undefined ? text : `${INDENT}${text}`);
  };
  for (const { title, value } of columns) {
    const shown = printable(value(item));
    if (shown === ABSENT) continue;
    const whole = `${title}: ${shown}`;
    if (whole.length + INDENT.length <= width) add(whole, '   ');
    else whole.split(' ').forEach((word, at) => { add(word, at === 0 ? '   ' : ' '); });
  }
  return lines.join('\n');
};

export const printJson = (context: Pick<ShellContext, 'stdout'>, value: unknown): void => {
  // In JSON text line breaks are ours; every other such character can only be inside a string, where the escape is valid.
  say(context, JSON.stringify(value, null, 2).replace(STEERING, (mark) => (mark === '\n' ? mark : escapeSteering(mark))));
};

/** Members of one object, indented below their names; for `show` and `explain`. */
export const renderDetails = (value: Record<string, unknown>, indent = ''): string =>
  Object.entries(value).filter(([, member]) => member !== undefined).map(([name, member]) => renderMember(escapeSteering(name), member, indent)).join('\n');

const renderMember = (name: string, member: unknown, indent: string): string => {
  if (isObject(member) && Object.keys(member).length > 0) return `${indent}${name}:\n${renderDetails(member, `${indent}  `)}`;
  if (Array.isArray(member) && member.some(isObject)) return `${indent}${name}:\n${member.map((each) => renderItem(each, `${indent}  `)).join('\n')}`;
  if (typeof member === 'string' && member.includes('\n')) return `${indent}${name}: |\n${member.split('\n').map((line) => `${indent}  ${escapeSteering(line)}`).join('\n')}`;
  return `${indent}${name}: ${printable(member)}`;
};

const LONGEST_ITEM = 100;

/** On one line if it is short and has no parts of its own; else like an object, with the dash before its first member. */
const renderItem = (item: unknown, indent: string): string => {
  const line = `${indent}- ${printable(item)}`;
  if (!isObject(item) || (line.length <= LONGEST_ITEM && !Object.values(item).some((part) => isObject(part) || (Array.isArray(part) && part.some(isObject))))) return line;
  return `${indent}- ${renderDetails(item, `${indent}  `).slice(indent.length + 2)}`;
};
