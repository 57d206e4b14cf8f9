import { sha256url } from '../core/bytes.ts';
import { canonicalJson, isObject } from '../core/json.ts';
import type { Json, JsonObject } from '../core/json.ts';

/** Subjects of our events: what `iss`, `sub`, `sid`, `client_id` and `jti` of our tokens say, so that who holds a token can compare. */
export const issSub = (iss: string, sub: string): JsonObject => ({ format: 'iss_sub', iss, sub });
export const jwtId = (iss: string, jti: string): JsonObject => ({ format: 'jwt_id', iss, jti });
export const opaque = (id: string): JsonObject => ({ format: 'opaque', id });
export const complex = (members: Readonly<Partial<Record<ComplexMember, JsonObject | undefined>>>): JsonObject => ({
  format: 'complex', ...Object.fromEntries(Object.entries(members).filter((entry): entry is [string, JsonObject] => entry[1] !== undefined)),
});

/** A subject a receiver named, as it is kept: only what RFC 9493 section 3 and SSF 1.0 section 3 define, nothing missing and nothing more. Undefined for anything else. */
export const parseSubject = (value: unknown): JsonObject | undefined => {
  if (!isObject(value) || JSON.stringify(value).length > MOST_LENGTH) return undefined;
  const { format, ...members } = value;
  if (format === 'complex' || (format === undefined && Object.keys(members).every((name) => COMPLEX.has(name)))) return parseComplex(members);
  return parseSimple(value);
};

/** Names a subject, however its members are ordered. */
export const subjectKey = (subject: JsonObject): string => sha256url(canonicalJson(subject));

/**
 * Whether an exclusion means an event's subject. More narrowly than SSF lets subjects match: a member the event does not
 * have excludes nothing, so that no exclusion silences more than it names.
 */
export const excludes = (excluded: JsonObject, subject: JsonObject): boolean => {
  if (excluded['format'] !== 'complex') return same(excluded, subject) || (subject['format'] === 'complex' && same(excluded, subject['user']));
  return subject['format'] === 'complex' && Object.entries(excluded).every(([name, member]) => same(member, subject[name]));
};

export type ComplexMember = 'user' | 'device' | 'session' | 'application' | 'tenant' | 'org_unit' | 'group';
const COMPLEX: ReadonlySet<string> = new Set<ComplexMember>(['user', 'device', 'session', 'application', 'tenant', 'org_unit', 'group']);
const MOST_LENGTH = 4096;
const MOST_ALIASES = 10;

/** Members of each simple format. */
const FORMATS: ReadonlyMap<unknown, readonly string[]> = new Map(Object.entries({
  account: ['uri'], email: ['email'], iss_sub: ['iss', 'sub'], opaque: ['id'], phone_number: ['phone_number'], did: ['url'], uri: ['uri'],
  jwt_id: ['iss', 'jti'], saml_assertion_id: ['issuer', 'assertion_id'],
}));

const same = (a: Json, b: Json | undefined): boolean => b !== undefined && canonicalJson(a) === canonicalJson(b);

const isText = (value: unknown): value is string => typeof value === 'string' && value.length > 0 && value.length <= 2048;

const parseSimple = (value: unknown): JsonObject | undefined => {
  if (!isObject(value)) return undefined;
  const { format, ...members } = value;
  if (format === 'aliases') return parseAliases(members);
  if (format === 'ip-addresses') return parseAddresses(members);
  const wanted = FORMATS.get(format);
  if (wanted === undefined || Object.keys(members).length !== wanted.length || !wanted.every((name) => isText(members[name]))) return undefined;
  return value as JsonObject;
};

/** RFC 9493 section 3.2.8: aliases do not nest. */
const parseAliases = ({ identifiers, ...more }: Record<string, unknown>): JsonObject | undefined => {
  if (!Array.isArray(identifiers) || identifiers.length === 0 || identifiers.length > MOST_ALIASES || Object.keys(more).length > 0) return undefined;
  const parsed = identifiers.flatMap((each: unknown) => (isObject(each) && each['format'] !== 'aliases' ? parseSimple(each) ?? [] : []));
  return parsed.length === identifiers.length ? { format: 'aliases', identifiers: parsed } : undefined;
};

const parseAddresses = ({ 'ip-addresses': addresses, ...more }: Record<string, unknown>): JsonObject | undefined =>
  (Array.isArray(addresses) && addresses.length > 0 && addresses.length <= MOST_ALIASES && addresses.every(isText) && Object.keys(more).length === 0 ? { format: 'ip-addresses', 'ip-addresses': addresses } : undefined);

const parseComplex = (members: Record<string, unknown>): JsonObject | undefined => {
  const entries = Object.entries(members);
  if (entries.length === 0 || entries.some(([name]) => !COMPLEX.has(name))) return undefined;
  const parsed = entries.flatMap(([name, member]): [string, JsonObject][] => {
    const simple = parseSimple(member);
    return simple === undefined ? [] : [[name, simple]];
  });
  return parsed.length === entries.length ? { format: 'complex', ...Object.fromEntries(parsed) } : undefined;
};
