import { z } from 'zod';
import { badInput, failed } from './errors.ts';
import type { CliError } from './errors.ts';

const problemSchema = z.object({
  title: z.string().optional(),
  code: z.string().optional(),
  error: z.string().optional(),
  detail: z.string().optional(),
  mend: z.string().optional(),
  decision_id: z.string().optional(),
  request_id: z.string().optional(),
  problems: z.array(z.object({ path: z.string(), message: z.string(), mend: z.string().optional() })).optional(),
  findings: z.array(z.object({ rule: z.string(), severity: z.string(), why: z.string(), mend: z.string().optional(), name: z.string().optional() })).optional(),
});

const MENDS: Readonly<Record<number, string>> = {
  401: 'show a fresh token of an issuer that proves admins (--token-file or MAYFLY_ADMIN_TOKEN)',
  403: 'ask an admin of the system domain for a policy that permits this',
  404: 'look it up with the matching `list` command',
  409: 'someone else changed the registry meanwhile: run the command again',
  429: 'wait a little and run the command again',
  503: 'the server cannot reach its database: see its /readyz and log, then run the command again',
};

/** Where the code alone says what to do here, and the status would point the wrong way. */
const MENDS_BY_CODE: ReadonlyMap<string, string> = new Map([
  ['kek_missing', 'give the server that key-encryption key too, restart it, and run the command again; nothing was changed'],
  ['token_scheme_wrong', 'a token that is bound to a key needs --dpop-key FILE (or MAYFLY_ADMIN_DPOP_KEY) with that key, any other token needs neither'],
  ['token_binding_mismatch', 'give the key the token is bound to with --dpop-key FILE or MAYFLY_ADMIN_DPOP_KEY'],
  ['dpop_htu_mismatch', 'use --server with the URL the server is known by, or let its admin.external_url be this one'],
]);

/** What a refusal of the admin API (RFC 9457 problem details) says to the person at the terminal. */
export const failureOf = (status: number, body: string): CliError => {
  const parsed = problemSchema.safeParse(readJson(body));
  const problem = parsed.success ? parsed.data : {};
  const notes = [
    ...(problem.problems ?? []).map(({ path, message, mend }) => `${path}: ${message}${mend === undefined ? '' : `; ${mend}`}`),
    ...(problem.findings ?? []).map(({ severity, rule, name, why, mend }) => `${severity} ${rule}${name === undefined ? '' : ` (${name})`}: ${why}${mend === undefined ? '' : `; ${mend}`}`),
    ...(problem.decision_id === undefined ? [] : [`decision: ${problem.decision_id}`]),
    ...(problem.request_id === undefined ? [] : [`request: ${problem.request_id}`]),
  ];
  const code = problem.code ?? problem.error;
  const message = problem.detail ?? problem.title ?? code ?? `the server answered ${status}`;
  const mend = problem.mend ?? MENDS_BY_CODE.get(problem.code ?? '') ?? (problem.problems === undefined ? undefined : 'mend these places and run the command again; nothing was changed') ??
    (problem.findings === undefined ? undefined : 'mend what is an error, or let the entry say `accept: [{ rule, reason, until }]`; nothing was changed') ?? (problem.decision_id === undefined ? MENDS[status] : `ask why with \`mayfly explain ${problem.decision_id}\``) ?? 'see the server\'s log under the request id';
  const said = code === undefined || code === message ? message : `${message} (${code})`;
  return status === 400 || status === 422 ? badInput(said, mend, notes) : failed(said, mend, notes);
};

const readJson = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
};
