import { pino, stdSerializers } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import { SECOND } from '../core/duration.ts';

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;

/** Member names, in lower case, whose values never reach a log, wherever in a logged object they stand (standards.md H4). */
const SECRET_MEMBERS: ReadonlySet<string> = new Set([
  'subject_token', 'actor_token', 'access_token', 'refresh_token', 'id_token', 'token', 'assertion', 'client_assertion', 'client_secret', 'deferral_code',
  'authorization', 'proxy-authorization', 'dpop', 'cookie', 'set-cookie', 'credential', 'credentials', 'handle', 'sealed', 'kek', 'password', 'secret',
  'privatekey', 'secretaccesskey', 'sessiontoken', 'connectionstring', 'database_url',
]);
/** Signed on purpose for outsiders to keep; what says so is the member's name (design section 11, Audit). */
const PUBLISHED_MEMBERS: ReadonlySet<string> = new Set(['checkpoint']);
const CENSORED = '[redacted]';
/** What lies deeper is left out: nothing logged on purpose does. */
const DEEPEST = 8;

/** Lines wait for company this long: a system call for each would be a tenth of a request. They are written before the process ends. */
const LINGER = SECOND / 4;
const WRITTEN_AT_ONCE = 4096;
/** A reader that stands still must not fill our memory; what comes beyond is dropped. */
const HELD_BACK = 16 * 1024 * 1024;

/** JSON lines on stdout; `level` as pino's. */
export const createLog = (level: string, destination?: DestinationStream): Logger => pino({
  level,
  base: { service: 'mayfly' },
  timestamp: pino.stdTimeFunctions.isoTime,
  formatters: { level: (label) => ({ level: label }), log: (logged) => hideSecrets(logged, 0) as Record<string, unknown> },
  // The formatter has made plain objects of errors already, so that what they carry is looked through like the rest.
  serializers: { err: (value: unknown) => value },
}, destination ?? pino.destination({ dest: 1, sync: false, minLength: WRITTEN_AT_ONCE, periodicFlush: LINGER, maxLength: HELD_BACK }));

export const silentLog: Log = pino({ level: 'silent' });

/** By walking what is logged, not by pino's `redact`, which tries every path it was given on every line. */
const hideSecrets = (value: unknown, depth: number): unknown => {
  if (typeof value === 'string') return hideInText(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEEPEST) return '[deeper]';
  if (value instanceof Error) return hideSecrets({ ...stdSerializers.err(value) }, depth + 1);
  if (value instanceof Uint8Array) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return hideInList(value, depth);
  if (value instanceof URL) return hideInText(value.href);
  // Dates and the like say themselves how they are written.
  if ('toJSON' in value) return value;
  const shown: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) shown[name] = hideMember(name, member, depth);
  return shown;
};

const isSecret = (name: string): boolean => SECRET_MEMBERS.has(name) || SECRET_MEMBERS.has(name.toLowerCase());

const hideMember = (name: string, member: unknown, depth: number): unknown => {
  if (member !== undefined && isSecret(name)) return CENSORED;
  return PUBLISHED_MEMBERS.has(name) ? member : hideSecrets(member, depth + 1);
};

/** Header lists of HTTP clients: names and values in turn. */
const hideInList = (list: readonly unknown[], depth: number): readonly unknown[] =>
  list.map((member, index) => {
    const before: unknown = list[index - 1];
    return typeof before === 'string' && isSecret(before) ? CENSORED : hideSecrets(member, depth + 1);
  });

/** Messages of others quote what they were given: compact JWS and JWE, credentials after their scheme, passwords in URLs. */
const hideInText = (text: string): string => {
  if (text.length < SHORTEST_SECRET || !MAY_HOLD_SECRET.test(text)) return text;
  return text.replaceAll(/eyJ[\w-]{5,}(?:\.[\w-]*)+/g, CENSORED).replaceAll(/\b(Bearer|DPoP|Basic) +[\w.~+/=-]{8,}/gi, `$1 ${CENSORED}`).replaceAll(/(:\/\/[^\s/:@]*:)[^\s/@]+@/g, `$1${CENSORED}@`);
};
const SHORTEST_SECRET = 12;
const MAY_HOLD_SECRET = /eyJ|:\/\/|bearer|dpop|basic/i;
