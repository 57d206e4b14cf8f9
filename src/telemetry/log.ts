import { pino, stdSerializers } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import { SECOND } from '../core/duration.ts';

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;

/** Member names whose values never reach a log, wherever in a logged object they stand (standards.md H4). */
const SECRET_MEMBERS: ReadonlySet<string> = new Set([
  'subject_token', 'actor_token', 'access_token', 'refresh_token', 'id_token', 'token', 'assertion', 'client_assertion', 'deferral_code',
  'authorization', 'Authorization', 'dpop', 'DPoP', 'cookie', 'credential', 'handle', 'sealed', 'kek', 'password',
]);
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
  if (typeof value !== 'object' || value === null) return value;
  if (depth > DEEPEST) return '[deeper]';
  if (value instanceof Error) return hideSecrets({ ...stdSerializers.err(value) }, depth + 1);
  if (Array.isArray(value)) return value.map((member) => hideSecrets(member, depth + 1));
  // Dates, URLs and the like say themselves how they are written.
  if ('toJSON' in value) return value;
  const shown: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) shown[name] = SECRET_MEMBERS.has(name) && member !== undefined ? CENSORED : hideSecrets(member, depth + 1);
  return shown;
};
