import { isObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal, RefusalCode } from '../core/refusal.ts';

/** What STS said, or undefined when `error` is not an answer of STS. Texts of AWS are not carried along: they repeat what was sent. */
export interface StsError { readonly code: string; readonly status: number; readonly retryAfter: number | undefined; readonly requestId: string }

export const readStsError = (error: unknown): StsError | undefined => {
  if (!isObject(error) || !isObject(error['$metadata'])) return undefined;
  const { httpStatusCode: status, requestId } = error['$metadata'];
  if (typeof status !== 'number') return undefined;
  const code = typeof error['name'] === 'string' ? error['name'].replace(/Exception$/, '') : '';
  return { code, status, retryAfter: retryAfterOf(error), requestId: typeof requestId === 'string' && /^[\w-]{1,64}$/.test(requestId) ? requestId : 'none' };
};

/** One row per error of AssumeRoleWithWebIdentity (evidence.md B1); what is not listed goes by its status. */
export const refuseStsError = (error: StsError): Refusal => {
  const [code, meaning] = ROWS.get(error.code) ?? byStatus(error.status);
  const named = ROWS.has(error.code) ? error.code : 'an error of its own';
  const detail = `sts answered ${named} (http ${error.status}, request ${error.requestId}): ${meaning}`;
  if (code === 'provider_throttled') return refusal(code, detail, error.retryAfter ?? 5);
  return code === 'provider_unavailable' ? refusal(code, detail, error.retryAfter ?? 10) : refusal(code, detail);
};

type Row = readonly [RefusalCode, string];
const THROTTLED: Row = ['provider_throttled', 'too many calls'];
const DOWN: Row = ['provider_unavailable', 'it cannot answer now'];

/** Names without the suffix `Exception`, which some of AWS's error codes carry and some not. */
const ROWS: ReadonlyMap<string, Row> = new Map<string, Row>([
  ['InvalidIdentityToken', ['provider_misconfigured', 'iam does not accept this issuer, its keys or the audience; compare the iam oidc provider with the issuer url']],
  ['ExpiredToken', ['provider_misconfigured', 'a fresh token counts as expired; compare the clocks']],
  ['IDPRejectedClaim', ['provider_denied', 'the identity provider rejected the claim']],
  ['IDPCommunicationError', ['provider_unavailable', 'aws could not fetch the issuer\'s keys']],
  ['AccessDenied', ['provider_denied', 'the trust policy of the role does not admit this workload, or lacks sts:TagSession or sts:SetSourceIdentity']],
  ['MalformedPolicyDocument', ['provider_misconfigured', 'the session policy is not valid']],
  ['PackedPolicyTooLarge', ['provider_bad_request', 'session policy and tags are too large together']],
  ['RegionDisabled', ['provider_misconfigured', 'sts is not activated in this region for the account']],
  ['ValidationError', ['provider_misconfigured', 'a parameter is outside the limits, such as a lifetime beyond the role\'s maximum session duration']],
  ['Throttling', THROTTLED],
  ['Throttled', THROTTLED],
  ['RequestLimitExceeded', THROTTLED],
  ['TooManyRequests', THROTTLED],
  ['ServiceUnavailable', DOWN],
  ['InternalFailure', DOWN],
]);

const byStatus = (status: number): Row => {
  if (status === 429) return THROTTLED;
  if (status >= 500 || status < 400) return DOWN;
  return status === 401 || status === 403 ? ['provider_denied', 'not allowed'] : ['provider_misconfigured', 'the call was not accepted'];
};

/** Seconds (RFC 9110 section 10.2.3); a date or a long wait is not worth passing on. */
const retryAfterOf = (error: Record<string, unknown>): number | undefined => {
  const headers = isObject(error['$response']) && isObject(error['$response']['headers']) ? error['$response']['headers'] : {};
  const raw = headers['retry-after'];
  return typeof raw === 'string' && /^\d{1,3}$/.test(raw) ? Math.max(1, Number(raw)) : undefined;
};
