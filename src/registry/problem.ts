import type { z } from 'zod';

/** One thing wrong with a manifest: where, what, and what to do about it. Lower case, no full stop, no secrets. */
export interface Problem {
  /** As in `workloads[0].match.ref`; for an entry that is not in the manifest, `registry: issuer prod/github`. */
  readonly path: string;
  readonly message: string;
  readonly mend: string;
}

/** Collects a problem below one entry: `report('match.ref', 'is empty', 'name a ref')`. */
export type Report = (field: string, message: string, mend: string) => void;

/** A reporter for what lies under `base`, writing to `problems`. */
export const reporterFor = (problems: Problem[], base: string): Report => (field, message, mend) => {
  problems.push({ path: joinPath(base, field), message, mend });
};

export const joinPath = (base: string, field: string): string => (base === '' ? field : field === '' ? base : field.startsWith('[') ? `${base}${field}` : `${base}.${field}`);

/** `['match', 'ref', 0]` as `match.ref[0]`. */
export const pathText = (path: readonly PropertyKey[]): string =>
  path.reduce<string>((text, part) => (typeof part === 'number' ? `${text}[${part}]` : joinPath(text, String(part))), '');

/** Every issue a zod schema found, as problems; `known` are the names a mistyped key may have meant, `examples` one per field. */
export const problemsOf = (issues: readonly z.core.$ZodIssue[], base: string, known: readonly string[], examples: ReadonlyMap<string, string>): Problem[] => {
  const problems = issues.flatMap((issue) => {
    const path = joinPath(base, pathText(issue.path));
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key, known));
    return [{ path, message: issue.message, mend: mendOf(issue, examples) }];
  });
  // A value with two faults is one problem to whoever has to mend it: an empty text also has the wrong form.
  return problems.filter(({ path }, at) => problems.findIndex((other) => other.path === path) === at);
};

export const unknownKey = (path: string, key: string, known: readonly string[]): Problem => {
  const meant = nearest(key, known);
  return { path: joinPath(path, key), message: 'is not a known field', mend: meant === undefined ? 'remove it' : `did you mean "${meant}"? Otherwise remove it` };
};

const MISSING = 'is missing';

/** Plain words for what zod found; handed to every parse as its error map. */
export const wordIssue = (issue: z.core.$ZodRawIssue): string => {
  if (issue.code === 'invalid_type' && issue.input === undefined) return MISSING;
  if (issue.code === 'invalid_type') return `must be ${TYPE_WORDS.get(issue.expected) ?? issue.expected}, not ${wordType(issue.input)}`;
  if (issue.code === 'invalid_value') return `must be ${issue.values.map(String).join(' or ')}`;
  if (issue.code === 'too_small') return Number(issue.minimum) <= 1 && issue.origin !== 'number' ? 'is empty' : `is smaller than ${issue.minimum}`;
  if (issue.code === 'too_big') return `is ${issue.origin === 'string' ? 'longer' : 'more'} than ${issue.maximum}`;
  if (issue.code === 'invalid_format') return 'has the wrong form';
  if (issue.code === 'invalid_union') return 'must be text, a number, true or false, or a list of these';
  return issue.message ?? 'is not valid';
};

/** The name at most two edits away from `word`, or undefined. */
export const nearest = (word: string, names: Iterable<string>): string | undefined => {
  const search = searchNearest(word);
  for (const name of names) search.offer(name);
  return search.found();
};

/** The same where the names come by and by. */
export const searchNearest = (word: string): { readonly offer: (name: string) => void; readonly found: () => string | undefined } => {
  const wanted = word.slice(0, 64).toLowerCase();
  let best: string | undefined;
  let bestDistance = 3;
  return {
    offer(name) {
      const offered = name.toLowerCase();
      // So many characters have to come or go at least.
      if (Math.abs(offered.length - wanted.length) >= bestDistance) return;
      const distance = editDistance(wanted, offered);
      if (distance < bestDistance) [best, bestDistance] = [name, distance];
    },
    found: () => best,
  };
};

const TYPE_WORDS: ReadonlyMap<string, string> = new Map([['string', 'text'], ['object', 'a mapping'], ['array', 'a list'], ['boolean', 'true or false'], ['int', 'a whole number'], ['number', 'a number']]);

const wordType = (value: unknown): string => {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'string' ? 'text' : typeof value === 'object' ? 'a mapping' : `a ${typeof value}`;
};

const mendOf = (issue: z.core.$ZodIssue, examples: ReadonlyMap<string, string>): string => {
  if (issue.code === 'custom' && typeof issue.params?.['mend'] === 'string') return issue.params['mend'];
  const field = issue.path.findLast((part) => typeof part === 'string');
  const example = field === undefined ? undefined : examples.get(field);
  if (example !== undefined) return `write it like ${String(field)}: ${example}`;
  if (issue.code === 'invalid_value') return 'choose one of these';
  return issue.message === MISSING ? 'add it' : 'correct or remove it';
};

const editDistance = (left: string, right: string): number => {
  const [a, b] = withoutCommonEnds(left, right);
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const substituted = (previous[column - 1] ?? 0) + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(substituted, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[b.length] ?? 0;
};

/** Names in one registry are much alike; what two begin and end with in common is no part of their distance. */
const withoutCommonEnds = (a: string, b: string): readonly [string, string] => {
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < shorter - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  return [a.slice(start, a.length - end), b.slice(start, b.length - end)];
};
