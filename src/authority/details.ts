import { canonicalJson } from '../core/json.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { DetailFacts } from '../policy/decision.ts';
import type { DetailComparator, DetailField, DetailType } from '../registry/entries.ts';
import type { Detail, DetailValue } from '../store/rows.ts';

/**
 * The comparator of one type of `authorization_details`. There is no way to compare details whose type one does not know (RFC 9396
 * section 12), so a type is understood only where a resource registers it, and a field only where its type lists it.
 */
export interface DetailRule {
  readonly type: string;
  /** A detail in its one spelling; the error says what of it the type does not allow. */
  read(raw: Readonly<Record<string, unknown>>): Result<Detail, string>;
  /** Whether `child` gives nothing that `parent` does not give. Both as {@link DetailRule.read} gave them. */
  within(child: Detail, parent: Detail): boolean;
}

/** One rule per type that a resource understands. */
export type DetailRules = ReadonlyMap<string, DetailRule>;

export const detailRules = (types: readonly DetailType[] | undefined): DetailRules => new Map((types ?? []).map((type) => [type.type, ruleOf(type)]));

/** Why a detail is none of these types', or the detail in its one spelling. `unknown`: its type itself is not understood. */
export const readDetail = (raw: Readonly<Record<string, unknown>>, rules: DetailRules): Result<Detail, { readonly unknown: boolean; readonly why: string }> => {
  const { type } = raw;
  const rule = typeof type === 'string' ? rules.get(type) : undefined;
  if (rule === undefined) return err({ unknown: true, why: `no type ${JSON.stringify(type)}` });
  const read = rule.read(raw);
  return read.ok ? read : err({ unknown: false, why: `${rule.type}: ${read.error}` });
};

/** The details that these rules understand: in order, each once, and none that another one gives already. */
export const normaliseDetails = (details: readonly Detail[], rules: DetailRules): readonly Detail[] => {
  const read = details.flatMap((detail) => {
    const known = readDetail(detail, rules);
    return known.ok ? [known.value] : [];
  });
  const distinct = [...new Map(read.map((detail) => [canonicalJson(detail), detail])).entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, detail]) => detail);
  return distinct.filter((detail) => !distinct.some((other) => other !== detail && isDetailWithin(detail, other, rules)));
};

/** Those of `asked` that one of `held` covers whole. */
export const narrowDetails = (asked: readonly Detail[], held: readonly Detail[], rules: DetailRules): readonly Detail[] => {
  const parents = normaliseDetails(held, rules);
  return normaliseDetails(asked, rules).filter((detail) => parents.some((parent) => isDetailWithin(detail, parent, rules)));
};

/** A detail as policies see it: by the type of its values, so that one field can never be asked about as another type than it has. */
export const detailFacts = ({ type, ...fields }: Detail): DetailFacts => {
  const values = Object.entries(fields);
  return {
    type,
    texts: Object.fromEntries(values.flatMap(([name, value]) => (typeof value === 'string' ? [[name, value]] : []))),
    numbers: Object.fromEntries(values.flatMap(([name, value]) => (typeof value === 'number' ? [[name, value]] : []))),
    sets: Object.fromEntries(values.flatMap(([name, value]) => (typeof value === 'object' ? [[name, value]] : []))),
  };
};

const isDetailWithin = (child: Detail, parent: Detail, rules: DetailRules): boolean => child.type === parent.type && rules.get(child.type)?.within(child, parent) === true;

const ruleOf = ({ type, fields }: DetailType): DetailRule => {
  const known = Object.keys(fields).sort();
  return {
    type,
    read(raw) {
      const foreign = Object.keys(raw).find((name) => name !== 'type' && !known.includes(name));
      if (foreign !== undefined) return err(`has no field ${JSON.stringify(foreign.slice(0, 64))}`);
      const values: [string, DetailValue][] = [];
      for (const name of known) {
        const field = fields[name];
        const written = Object.hasOwn(raw, name) ? raw[name] : undefined;
        if (field === undefined || (written === undefined && field.optional)) continue;
        const value = written === undefined ? undefined : COMPARATORS[field.compare].read(written, field);
        if (value === undefined) return err(written === undefined ? `${name} is missing` : `${name} is not ${COMPARATORS[field.compare].words}${field.values === undefined ? '' : ` of ${field.values.join(', ')}`}`);
        values.push([name, value]);
      }
      return ok({ type, ...Object.fromEntries(values) });
    },
    within: (child, parent) => known.every((name) => {
      const [asked, held] = [child[name], parent[name]];
      // What a parent leaves out is not bounded there; what a child leaves out would be, so it is wider.
      if (held === undefined) return true;
      return asked !== undefined && fields[name] !== undefined && COMPARATORS[fields[name].compare].within(asked, held);
    }),
  };
};

/** `within` is reflexive and transitive, and compares what `read` gave, byte for byte. */
interface Comparator {
  readonly words: string;
  read(written: unknown, field: DetailField): DetailValue | undefined;
  within(child: DetailValue, parent: DetailValue): boolean;
}

// What can be seen and what can be told apart only: no control, format or private characters, no halves of surrogates, no spaces around.
const TEXT = /^(?! )[^\p{C}\p{Zl}\p{Zp}]{1,512}(?<! )$/u;
// Segments that mean themselves: no dots to climb, nothing escaped, no wildcard, none empty.
const PATH = /^\/(?:(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~:@!$&'()+,;=-]+(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~:@!$&'()+,;=-]+)*)?$/;
const MOST_MEMBERS = 64;

const readText = (written: unknown, { values }: DetailField): string | undefined =>
  (typeof written === 'string' && TEXT.test(written) && (values === undefined || values.includes(written)) ? written : undefined);

const COMPARATORS: Readonly<Record<DetailComparator, Comparator>> = {
  exact: { words: 'text', read: readText, within: (child, parent) => child === parent },
  subset: {
    words: 'a list of text',
    // An empty list could be read as "none" or as "not restricted": nobody gets to choose.
    read(written, field) {
      if (!Array.isArray(written) || written.length === 0 || written.length > MOST_MEMBERS) return undefined;
      const members = written.map((member) => readText(member, field));
      return members.every((member) => member !== undefined) ? [...new Set(members)].sort() : undefined;
    },
    within: (child, parent) => typeof child === 'object' && typeof parent === 'object' && child.every((member) => parent.includes(member)),
  },
  max: {
    words: 'a whole number from 0',
    read: (written) => (typeof written === 'number' && Number.isSafeInteger(written) && written >= 0 && !Object.is(written, -0) ? written : undefined),
    within: (child, parent) => typeof child === 'number' && typeof parent === 'number' && child <= parent,
  },
  prefix: {
    words: 'a path of plain segments that begins with a slash',
    read: (written) => (typeof written === 'string' && written.length <= 1024 && PATH.test(written) ? written : undefined),
    within: (child, parent) => typeof child === 'string' && typeof parent === 'string' && (parent === '/' || child === parent || child.startsWith(`${parent}/`)),
  },
};
