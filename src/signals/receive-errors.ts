import type { RefusalCode } from '../core/refusal.ts';

/** Why a security event token is not taken. */
export type SetRefusalCode = Extract<RefusalCode, `set_${string}`>;

/** What its transmitter hears: `err` of RFC 8935 section 2.4 (for polls: RFC 8936 section 2.6), and one sentence. Status as pushed. */
export interface SetError { readonly status: number; readonly err: string; readonly description: string }

const row = (err: string, description: string, status = 400): SetError => ({ status, err, description });
const request = (description: string): SetError => row('invalid_request', description);
const FORM = request('The body is not a compact security event token of typ secevent+jwt that is signed in an accepted way.');
const CLAIMS = request('A security event token here has iss, aud, iat, jti, sub_id and exactly one event, all well-formed, and neither sub nor exp.');
const KEY = row('invalid_key', 'The token is not signed by a key of this transmitter.');

export const SET_ERRORS: Readonly<Record<SetRefusalCode, SetError>> = {
  set_malformed: FORM, set_header_not_allowed: FORM, set_alg_not_allowed: FORM, set_typ_wrong: FORM,
  set_too_large: request('The security event token is too large.'),
  set_claim_missing: CLAIMS, set_claim_invalid: CLAIMS, set_events_wrong: CLAIMS,
  set_time_wrong: request('iat lies ahead, or too far back.'),
  set_key_unknown: KEY,
  set_signature_invalid: row('authentication_failed', 'The signature of the token does not hold.'),
  set_issuer_wrong: row('invalid_issuer', 'iss is not that of the transmitter that is registered here.'),
  set_audience_wrong: row('invalid_audience', 'aud is not exactly the one that is registered here.'),
  set_unauthenticated: row('authentication_failed', 'The Authorization header is not the one that was agreed.', 401),
  set_receiver_unknown: row('access_denied', 'No transmitter is registered that may push events here.'),
  set_keys_unavailable: row('temporarily_unavailable', 'The keys of the transmitter cannot be had. Try again.', 503),
  set_secret_missing: row('temporarily_unavailable', 'This node cannot check the Authorization header. Try again.', 503),
};

/** Whether trying again may help: such a token is neither acknowledged nor given up. */
export const isPassing = (code: RefusalCode): boolean => code === 'set_keys_unavailable' || code === 'set_secret_missing';
