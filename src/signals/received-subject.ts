import { sha256url } from '../core/bytes.ts';
import { canonicalJson, isObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';

/** Format `iss_sub` of RFC 9493: the only one that names somebody here. */
export interface IssSub { readonly iss: string; readonly sub: string }

/** Whom and what an event is about, as far as it can be known here. */
export interface Subject {
  readonly users: readonly IssSub[];
  readonly devices: readonly IssSub[];
  /** Which device, to tell several of one person apart; a hash, whatever format its transmitter names it in. */
  readonly device: string | undefined;
  /** Set where the event is about one session: its id, if it is told in a form that can be compared. */
  readonly session: { readonly id: string | undefined } | undefined;
}

/**
 * `sub_id` (RFC 9493; SSF 1.0 section 3 for complex subjects). An e-mail address, a phone number or an opaque id names nobody: it can
 * belong to somebody else tomorrow, or at another issuer. What is malformed is refused, what is only unknown names nobody.
 */
export const readSubject = (subject: Readonly<Record<string, unknown>>): Result<Subject, Refusal> => {
  if (subject['format'] !== 'complex') {
    const users = readSimple(subject);
    return users.ok ? ok({ users: users.value, devices: users.value, device: undefined, session: undefined }) : users;
  }
  const users = readMember(subject, 'user');
  const devices = readMember(subject, 'device');
  const session = readMember(subject, 'session');
  if (!users.ok || !devices.ok || !session.ok) return [users, devices, session].find((each) => !each.ok) as Result<never, Refusal>;
  return ok({
    users: users.value, devices: devices.value,
    device: isObject(subject['device']) ? sha256url(canonicalJson(subject['device'])).slice(0, 16) : undefined,
    session: isObject(subject['session']) ? { id: sessionIn(subject['session']) } : undefined,
  });
};

const malformed = (detail: string): Result<never, Refusal> => err(refusal('set_claim_invalid', `sub_id: ${detail}`));

const MOST_ALIASES = 20;

const readSimple = (value: unknown, nested = false): Result<readonly IssSub[], Refusal> => {
  if (!isObject(value) || typeof value['format'] !== 'string') return malformed('a subject without a format');
  const { format, iss, sub, identifiers } = value;
  if (format === 'aliases') {
    if (nested || !Array.isArray(identifiers) || identifiers.length === 0 || identifiers.length > MOST_ALIASES) return malformed('aliases are a list of at most 20 subjects of other formats');
    const read = identifiers.map((each) => readSimple(each, true));
    return read.find(({ ok: isOk }) => !isOk) ?? ok(read.flatMap((each) => (each.ok ? each.value : [])));
  }
  if (format === 'complex') return malformed('complex subjects are not nested');
  if (format !== 'iss_sub') return ok([]);
  // RFC 9493 section 3: a defined format has its members and no others.
  if (typeof iss !== 'string' || typeof sub !== 'string' || iss === '' || sub === '' || Object.keys(value).length !== 3) return malformed('iss_sub has iss and sub, two texts, and nothing else');
  return ok([{ iss, sub }]);
};

const readMember = (subject: Readonly<Record<string, unknown>>, name: string): Result<readonly IssSub[], Refusal> => (Object.hasOwn(subject, name) ? readSimple(subject[name]) : ok([]));

const sessionIn = ({ format, id, sub }: Readonly<Record<string, unknown>>): string | undefined => {
  const named = format === 'opaque' ? id : format === 'iss_sub' ? sub : undefined;
  return typeof named === 'string' && named !== '' ? named : undefined;
};
