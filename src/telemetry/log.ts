import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';

export type Log = Pick<Logger, 'debug' | 'info' | 'warn' | 'error'>;

/** Member names whose values never reach a log, wherever in a logged object they stand (standards.md H4). */
const SECRET_MEMBERS = [
  'subject_token', 'actor_token', 'access_token', 'refresh_token', 'id_token', 'token', 'assertion', 'client_assertion', 'deferral_code',
  'authorization', 'Authorization', 'dpop', 'DPoP', 'cookie', 'credential', 'handle', 'sealed', 'kek', 'password',
];

/** JSON lines on stdout; `level` as pino's. */
export const createLog = (level: string, destination?: DestinationStream): Logger => {
  const redact = { paths: SECRET_MEMBERS.flatMap((name) => [name, `*.${name}`, `*.*.${name}`, `*["${name}"]`]), censor: '[redacted]' };
  const options = { level, base: { service: 'mayfly' }, redact, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label: string) => ({ level: label }) } };
  return destination === undefined ? pino(options) : pino(options, destination);
};

export const silentLog: Log = pino({ level: 'silent' });
