import { isObject } from '../core/json.ts';
import type { GuardedFetch } from '../outbound/fetch.ts';

/** Why a receiver would not take an event, in words of RFC 8935 section 2.4 and SSF 1.0 alone: nothing the receiver made up. */
export const SET_ERRORS: ReadonlySet<string> = new Set(['invalid_request', 'invalid_key', 'invalid_issuer', 'invalid_audience', 'authentication_failed', 'access_denied', 'invalid_state']);
export const setErrorOf = (value: unknown): string => (typeof value === 'string' && SET_ERRORS.has(value) ? value : 'other');

/** `refused`: the receiver says what is wrong with the event; `failed`: it could not be delivered now. */
export type Pushed = { readonly kind: 'delivered' } | { readonly kind: 'refused'; readonly error: string } | { readonly kind: 'failed'; readonly reason: string };

export interface PushRequest {
  readonly url: string;
  readonly set: string;
  readonly authorization: string | undefined;
  readonly allowAddresses: readonly string[];
  readonly allowLoopbackHttp: boolean;
  readonly timeoutMs: number;
}

/** An error body is small; a receiver that sends more than this is not read. */
const MOST_BYTES = 16 * 1024;

/** RFC 8935 section 2: only 202 says that the receiver has stored it. */
export const createPush = (send: GuardedFetch) => async ({ url, set, authorization, timeoutMs, ...rules }: PushRequest): Promise<Pushed> => {
  const answer = await send(url, {
    ...rules, timeoutMs, maxBytes: MOST_BYTES, method: 'POST', accept: 'application/json', body: set,
    headers: { 'content-type': 'application/secevent+jwt', ...(authorization === undefined ? {} : { authorization }) },
  });
  if (!answer.ok) return { kind: 'failed', reason: answer.error.reason };
  const { status, body } = answer.value;
  if (status === 202) return { kind: 'delivered' };
  const error = status === 400 ? errorIn(body) : undefined;
  return error === undefined ? { kind: 'failed', reason: `http_${status}` } : { kind: 'refused', error };
};
export type Push = ReturnType<typeof createPush>;

const errorIn = (body: Buffer): string | undefined => {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return isObject(value) && typeof value['err'] === 'string' ? setErrorOf(value['err']) : undefined;
  } catch {
    return undefined;
  }
};
