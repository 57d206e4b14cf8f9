import { createHmac, createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { seconds } from '../core/clock.ts';
import type { Clock } from '../core/clock.ts';
import { SECOND } from '../core/duration.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { GuardedFetch } from './fetch.ts';

/** Where to post, and the key that signs; a `KeyObject`, so that no printing of it shows the bytes. */
export interface WebhookTarget { readonly url: string; readonly key: KeyObject; readonly allowAddresses: readonly string[] }

export interface WebhookMessage {
  /** The same for every attempt: receivers tell doubles by it. */
  readonly id: string;
  readonly contentType: string;
  readonly body: string;
}
/** The status of a 2xx answer, or in a few words what came instead. */
export type PostWebhook = (target: WebhookTarget, message: WebhookMessage, allowLoopbackHttp: boolean) => Promise<Result<number, string>>;

/** Answers are not read for more than their status. */
const MAX_ANSWER = 64 * 1024;
const TIMEOUT = 10 * SECOND;

export const createPostWebhook = ({ clock, fetch }: { readonly clock: Clock; readonly fetch: GuardedFetch }): PostWebhook => async ({ url, key, allowAddresses }, { id, contentType, body }, allowLoopbackHttp) => {
  const timestamp = seconds(clock.now());
  const answer = await fetch(url, {
    method: 'POST', body, allowAddresses, allowLoopbackHttp, maxBytes: MAX_ANSWER, timeoutMs: TIMEOUT, accept: '*/*',
    headers: { 'content-type': contentType, 'webhook-id': id, 'webhook-timestamp': String(timestamp), 'webhook-signature': signWebhook(key, id, timestamp, body) },
  });
  if (!answer.ok) return err(answer.error.detail);
  const { status } = answer.value;
  return status >= 200 && status < 300 ? ok(status) : err(`http ${status}`);
};

/** Standard Webhooks 1.0: HMAC-SHA256 over id, time and the very bytes of the body. */
export const signWebhook = (key: KeyObject, id: string, timestamp: number, body: string): string => `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;

/** A secret in the form of Standard Webhooks 1.0: `whsec_` and the base64 of 24 to 64 random bytes; undefined for anything else. */
export const parseWebhookSecret = (text: string): KeyObject | undefined => {
  const [, encoded] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text.trim()) ?? [];
  const bytes = Buffer.from(encoded ?? '', 'base64');
  return bytes.length >= 24 && bytes.length <= 64 && new Set(bytes).size >= MIN_DISTINCT ? createSecretKey(bytes) : undefined;
};

/** Fewer and somebody typed it. */
const MIN_DISTINCT = 12;
