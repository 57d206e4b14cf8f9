import type { SecretOf } from '../config/secrets.ts';
import { SECOND } from '../core/duration.ts';
import { isObject } from '../core/json.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { GuardedFetch } from '../outbound/fetch.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import { isPassing, SET_ERRORS } from './receive-errors.ts';
import type { SetRefusalCode } from './receive-errors.ts';
import type { NotReceived, Receive } from './receive.ts';
import type { SignallingIssuer } from './received-set.ts';

/** A transmitter that is polled: its issuer entry has an endpoint for it. */
export interface Polled { readonly issuer: SignallingIssuer; readonly endpoint: string; readonly view: DomainView; readonly development: boolean }

export interface PollDeps {
  readonly fetch: GuardedFetch;
  readonly receive: Receive;
  /** The value of the Authorization header; undefined where the server's configuration has none for this issuer. */
  readonly secretOf: SecretOf;
  readonly timeoutMs?: number;
}

/** `taken`: tokens that were acknowledged. The error is a text for the log. */
export type Poll = (polled: Polled, most: number) => Promise<Result<{ readonly taken: number; readonly refused: number }, PollFailure>>;
/** `tooLarge`: fewer at a time may fit. */
export interface PollFailure { readonly why: string; readonly tooLarge: boolean }

const TIMEOUT = 5 * SECOND;
/** What 50 tokens of the largest size take, and some. */
const MAX_BYTES = 1024 * 1024;
/** Requests a turn: what is left waits for the next, so that one transmitter does not hold up the others. */
const ROUNDS = 10;

interface Answers { readonly ack: readonly string[]; readonly setErrs: Readonly<Record<string, { readonly err: string; readonly description: string }>> }
const NONE: Answers = { ack: [], setErrs: {} };

/**
 * Fetches what a transmitter has (RFC 8936). A token is acknowledged with the next request, after its effect is durable: whatever
 * happens in between, it comes again and is then known.
 */
export const createPoll = (deps: PollDeps): Poll => async (polled, most) => {
  let answers = NONE;
  let taken = 0;
  let refused = 0;
  for (let round = 1; ; round += 1) {
    // The last request only tells what became of the tokens before it (RFC 8936 section 2.4).
    const fetched = await ask(deps, polled, round === ROUNDS ? 0 : most, answers);
    if (!fetched.ok) return fetched;
    if (fetched.value.length === 0) return ok({ taken, refused });
    const settled = await settle(deps, polled, fetched.value);
    taken += settled.answers.ack.length;
    refused += Object.keys(settled.answers.setErrs).length;
    answers = settled.answers;
    if (settled.passing === undefined) continue;
    if (answers.ack.length + Object.keys(answers.setErrs).length > 0) await ask(deps, polled, 0, answers);
    return err({ why: settled.passing, tooLarge: false });
  }
};

type Named = readonly [jti: string, token: unknown];

const ask = async (deps: PollDeps, { issuer, endpoint, view, development }: Polled, most: number, answers: Answers): Promise<Result<readonly Named[], PollFailure>> => {
  const { secretOf, timeoutMs = TIMEOUT } = deps;
  const failed = (why: string, tooLarge = false): Result<never, PollFailure> => err({ why, tooLarge });
  const authorization = issuer.signals.authorized ? await secretOf(view.domain.name, issuer.name) : undefined;
  if (issuer.signals.authorized && authorization === undefined) return failed(`no secret is configured for ${view.domain.name}/${issuer.name}`);
  const reply = await deps.fetch(endpoint, {
    method: 'POST', allowAddresses: issuer.allowAddresses, allowLoopbackHttp: development && endpoint.startsWith('http://'), maxBytes: MAX_BYTES, timeoutMs, accept: 'application/json',
    headers: { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) },
    body: JSON.stringify({ maxEvents: most, returnImmediately: true, ...(answers.ack.length === 0 ? {} : { ack: answers.ack }), ...(Object.keys(answers.setErrs).length === 0 ? {} : { setErrs: answers.setErrs }) }),
  });
  if (!reply.ok) return failed(reply.error.detail, reply.error.reason === 'too_large');
  if (reply.value.status !== 200) return failed(`http ${reply.value.status}`);
  const sets = readSets(reply.value.body);
  // Nothing was asked for: what comes all the same comes again.
  return sets === undefined ? failed('the answer is no poll response') : ok(most === 0 ? [] : sets);
};

/** RFC 8936 section 2.5.1: an object of tokens by `jti`; `moreAvailable` adds nothing to asking until there are none. */
const readSets = (body: Buffer): readonly Named[] | undefined => {
  try {
    const answer: unknown = JSON.parse(body.toString('utf8'));
    if (!isObject(answer) || (answer['sets'] !== undefined && !isObject(answer['sets']))) return undefined;
    return Object.entries(answer['sets'] ?? {});
  } catch {
    return undefined;
  }
};

/** One after the other, in their order. Stops at what only a later try can settle; the rest comes again. */
const settle = async ({ receive }: PollDeps, { issuer, view }: Polled, sets: readonly Named[]): Promise<{ readonly answers: Answers; readonly passing: string | undefined }> => {
  const ack: string[] = [];
  const errors: [string, { readonly err: string; readonly description: string }][] = [];
  let passing: string | undefined;
  for (const [jti, token] of sets) {
    // What is no text is no token either, and is told so like any other.
    const received = await receive(typeof token === 'string' ? token : '', issuer, view, jti);
    if (received.ok) ack.push(jti);
    else if (isPassing(received.error.refusal.code)) {
      passing = `${received.error.refusal.code}: ${received.error.refusal.detail}`;
      break;
    } else errors.push([jti, errorOf(received.error)]);
  }
  // Names came from outside: fromEntries makes own members of whatever they are.
  return { answers: { ack, setErrs: Object.fromEntries(errors) }, passing };
};

const errorOf = ({ refusal }: NotReceived): { readonly err: string; readonly description: string } => {
  const { err: code, description } = SET_ERRORS[refusal.code as SetRefusalCode];
  return { err: code, description };
};
