import { z } from 'zod';
import { badInput, failed } from './errors.ts';
import type { CliError } from './errors.ts';

const problemSchema = z.object({
  title: z.string().optional(),
  code: z.string().optional(),
  error: z.string().optional(),
  error_description: z.string().optional(),
  detail: z.string().optional(),
  mend: z.string().optional(),
  decision_id: z.string().optional(),
  request_id: z.string().optional(),
  problems: z.array(z.object({ path: z.string(), message: z.string(), mend: z.string().optional() })).optional(),
  findings: z.array(z.object({ rule: z.string(), severity: z.string(), why: z.string(), mend: z.string().optional(), name: z.string().optional(), accepted: z.unknown().optional() })).optional(),
});

const MENDS: Readonly<Record<number, string>> = {
  401: 'show a fresh token of an issuer that proves admins, made out to <issuer of its domain>/admin (--token-file or MAYFLY_ADMIN_TOKEN)',
  403: 'ask an admin of the system domain for a policy that permits this',
  405: 'use the same version of mayfly as the server (`mayfly --version`)',
  409: 'someone else changed the registry meanwhile: run the command again',
  429: 'wait a little and run the command again',
  503: 'the server cannot reach its database: see its /readyz and log, then run the command again',
};

/** Where the code alone says what to do here, and the status would point the wrong way. */
const MENDS_BY_CODE: ReadonlyMap<string, string> = new Map([
  ['kek_missing', 'give the server that key-encryption key too, restart it, and run the command again; nothing was changed'],
  ['token_scheme_wrong', 'a token that is bound to a key needs --dpop-key FILE (or MAYFLY_ADMIN_DPOP_KEY) with that key, any other token needs neither'],
  ['token_binding_mismatch', 'give the key the token is bound to with --dpop-key FILE or MAYFLY_ADMIN_DPOP_KEY'],
  ['approver_missing', 'give --token-file FILE or set MAYFLY_ADMIN_TOKEN with a token of yours: of an application for approvers, or of an issuer that proves admins'],
  ['approver_denied', 'ask somebody whom a policy of the trust domain permits the action approve on this'],
  ['approver_excluded', 'ask somebody else to decide on it'],
  ['approval_closed', 'see what became of it with `mayfly approval show`'],
  ['dpop_htu_mismatch', 'use --server with the URL the server is known by, or let its admin.external_url be this one'],
]);

type Problem = z.infer<typeof problemSchema>;
const join = (message: string, mend: string | undefined): string => (mend === undefined ? message : `${message}; ${mend}`);

/** What a refusal of the admin API (RFC 9457 problem details) says to the person at the terminal. */
export const failureOf = (status: number, body: string): CliError => {
  const parsed = problemSchema.safeParse(readJson(body));
  const problem = parsed.success ? parsed.data : {};
  if (status === 404 && problem.code === undefined) return failed('what answers there has no admin API', 'give --server or MAYFLY_SERVER the admin socket, or the URL of `admin.listen`, which is another than the one tokens are served at');
  const told = status === 401 && problem.code !== 'approver_missing' ? problem.detail : undefined;
  const notes = [
    ...(told === undefined ? [] : [told]),
    ...(problem.problems ?? []).map(({ path, message, mend }) => `${path}: ${join(message, mend)}`),
    // The others were shown with the difference, or keep nothing from being applied.
    ...(problem.findings ?? []).filter(isBlocking).map(({ severity, rule, name, why, mend }) => `${severity} ${rule}${name === undefined ? '' : ` (${name})`}: ${join(why, mend)}`),
    ...(problem.decision_id === undefined ? [] : [`decision: ${problem.decision_id}`]),
    ...(problem.request_id === undefined ? [] : [`request: ${problem.request_id}`]),
  ];
  const code = problem.code ?? problem.error;
  const message = (told === undefined ? problem.detail : 'the admin\'s token is not accepted') ?? problem.title ?? problem.error_description ?? code ?? `the server answered ${status}`;
  const said = code === undefined || code === message ? message : `${message} (${code})`;
  return status === 400 || status === 422 ? badInput(said, mendOf(status, problem), notes) : failed(said, mendOf(status, problem), notes);
};

const mendOf = (status: number, problem: Problem): string => {
  const known = problem.mend ?? MENDS_BY_CODE.get(problem.code ?? '');
  if (known !== undefined) return known;
  if (problem.problems !== undefined) return 'mend these places and run the command again; nothing was changed';
  if (problem.findings !== undefined) return 'mend what is an error, or let the entry say `accept: [{ rule, reason, until }]`; nothing was changed';
  if (problem.decision_id !== undefined) return `ask why with \`mayfly explain ${problem.decision_id}\``;
  if (status === 404) return whereToLook(problem.detail ?? '');
  return MENDS[status] ?? (status < 500 ? 'mend what it says and run the command again' : 'see the server\'s log under the request id');
};

const LISTED: ReadonlyMap<string, string> = new Map([
  ...['domain', 'issuer', 'resource', 'workload', 'policy', 'session', 'lease', 'approval'].map((noun) => [noun, `look it up with \`mayfly ${noun} list\``] as const),
  ['key', 'look it up with `mayfly keys list`'], ['chain', 'look it up with `mayfly audit verify`'],
  ['decision', 'check it against what the caller was told; a decision that is not kept in the database is known to the node that made it, until that restarts'],
]);

/** What is missing is the first thing the server names. */
const whereToLook = (detail: string): string => LISTED.get(/^no (\w+) /.exec(detail)?.[1] ?? '') ?? 'look it up with the matching `list` command';

/** Findings that keep a manifest from being applied. */
export const isBlocking = ({ severity, accepted }: { readonly severity: string; readonly accepted?: unknown }): boolean => severity === 'error' && (accepted === undefined || accepted === false || accepted === null);

const readJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
};
