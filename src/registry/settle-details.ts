import type { JsonObject } from '../core/json.ts';
import { DETAIL_COMPARATORS } from './entries.ts';
import type { DetailComparator } from './entries.ts';
import type { Report } from './problem.ts';
import type { DetailTypeEntry } from './schemas.ts';
import { settleSet } from './settle-common.ts';

export const ACCESS_TOKEN = 'access-token';

/** Fields with a meaning of their own (RFC 9396 section 2.2), and how each is compared unless the entry says otherwise. */
const COMMON_FIELDS: ReadonlyMap<string, DetailComparator> = new Map([['locations', 'subset'], ['actions', 'subset'], ['datatypes', 'subset'], ['privileges', 'subset'], ['identifier', 'exact']]);

/** Types as they are stored: in order, each field with its comparator written out, so that a later default widens nothing. */
export const settleDetails = (types: readonly DetailTypeEntry[], provider: string, report: Report): readonly JsonObject[] => {
  if (types.length > 0 && provider !== ACCESS_TOKEN) report('details', `go into access tokens, and ${provider} issues none`, 'remove them, or register the API itself');
  for (const [index, { type }] of types.entries()) {
    if (types.findIndex((other) => other.type === type) < index) report(`details[${index}].type`, `${type} is listed twice`, 'remove one of them');
    if (type.toLowerCase().startsWith('urn:mayfly:')) report(`details[${index}].type`, 'is reserved for Mayfly itself', 'choose another, such as a URI of your own');
  }
  const settled = types.map((type, index) => ({ name: type.type, body: settleType(type, `details[${index}]`, report) }));
  return settled.sort((a, b) => (a.name < b.name ? -1 : 1)).map(({ body }) => body);
};

const settleType = ({ type, fields }: DetailTypeEntry, path: string, report: Report): JsonObject => ({
  type,
  fields: Object.fromEntries(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, field]): [string, JsonObject] => {
    const at = `${path}.fields.${name}`;
    const compare = field.compare ?? COMMON_FIELDS.get(name);
    if (name === 'type') report(at, 'is what the type itself is called by', 'give the field another name');
    if (compare === undefined) report(`${at}.compare`, 'is missing', `choose one of ${DETAIL_COMPARATORS.join(', ')}`);
    if (field.values !== undefined && compare !== 'exact' && compare !== 'subset') report(`${at}.values`, `are for text, and ${compare ?? 'this field'} compares something else`, 'remove them, or compare by exact or subset');
    return [name, {
      ...(compare === undefined ? {} : { compare }),
      ...(field.values === undefined ? {} : { values: settleSet(field.values, `${at}.values`, report) }),
      ...(field.optional === true ? { optional: true } : {}),
    }];
  })),
});
