import type { Refusal, RefusalCode } from '../core/refusal.ts';
import { SET_ERRORS } from '../signals/receive-errors.ts';
import type { SetRefusalCode } from '../signals/receive-errors.ts';

/** What a caller sees of a refusal: status, the OAuth error of standards.md H2, and one sentence with the mend. Nothing about others. */
export interface PublicRefusal { readonly status: number; readonly error: string; readonly sentence: string }

const row = (status: number, error: string, sentence: string): PublicRefusal => ({ status, error, sentence });
const request = (sentence: string): PublicRefusal => row(400, 'invalid_request', sentence);
const proof = (sentence: string): PublicRefusal => row(400, 'invalid_dpop_proof', sentence);
const unavailable = (sentence: string): PublicRefusal => row(503, 'temporarily_unavailable', sentence);

const NOT_ACCEPTED = request('The subject token is not accepted here. Check its issuer, audience, age and form, or ask an admin to explain this decision.');
const OWN_TOKEN = request('The token is not accepted. Obtain a new one with fresh evidence.');
// One text for targets that do not exist and targets that are not permitted: the answer must not tell which.
const NO_TARGET = row(400, 'invalid_target', 'This target is unknown or not permitted to you. Check its spelling, or ask an admin to explain this decision.');
/** One text for codes that do not exist, that are another client's or key's, and that are used up: nobody learns which. */
const NO_CODE = row(400, 'invalid_grant', 'The deferral code is not one that can be redeemed by you. Ask anew.');
const PROVIDER = 'The target could not issue a credential.';

const SETS = Object.fromEntries(Object.entries(SET_ERRORS).map(([code, { status, err, description }]) => [code, row(status, err, description)])) as Readonly<Record<SetRefusalCode, PublicRefusal>>;

/** The one bridge between inner codes and outward answers. A new code does not compile until it has its row here. */
export const PUBLIC_REFUSALS: Readonly<Record<RefusalCode, PublicRefusal>> = {
  request_malformed: request('Send one POST with an application/x-www-form-urlencoded body.'),
  parameter_missing: request('A required parameter is missing: a token request needs grant_type, subject_token and subject_token_type; introspection and revocation need token.'),
  parameter_repeated: request('A parameter is repeated. Only resource and audience may be.'),
  parameter_invalid: request('A parameter has a value that is not understood.'),
  parameter_unsupported: request('A parameter is not supported here: client_notification_token is not, and with a deferral code nothing but client_id is sent.'),
  client_authentication_unsupported: row(400, 'invalid_client', 'There is no client authentication here: the subject token itself says who asks. Send no Authorization header, secret or assertion.'),
  credential_in_query: request('Send parameters in the body, never in the URL.'),
  grant_type_unsupported: row(400, 'unsupported_grant_type', 'Use grant_type urn:ietf:params:oauth:grant-type:token-exchange, or urn:ietf:params:oauth:grant-type:deferred with a deferral code.'),
  token_type_unsupported: request('A token type is not supported here. Use urn:ietf:params:oauth:token-type:jwt for platform tokens and ...:access_token for session tokens, and a requested_token_type that the target issues.'),
  request_too_large: row(413, 'invalid_request', 'The request is too large.'),
  rate_limited: row(429, 'temporarily_unavailable', 'Too many requests. Wait as Retry-After says.'),
  overloaded: unavailable('The server is busy. Wait as Retry-After says.'),

  evidence_too_large: NOT_ACCEPTED, evidence_malformed: NOT_ACCEPTED, evidence_alg_not_allowed: NOT_ACCEPTED, evidence_header_not_allowed: NOT_ACCEPTED,
  evidence_typ_wrong: NOT_ACCEPTED, evidence_issuer_unknown: NOT_ACCEPTED, evidence_issuer_ambiguous: NOT_ACCEPTED, evidence_issuer_expired: NOT_ACCEPTED,
  evidence_key_unknown: NOT_ACCEPTED, evidence_signature_invalid: NOT_ACCEPTED, evidence_claim_missing: NOT_ACCEPTED, evidence_claim_invalid: NOT_ACCEPTED,
  evidence_expired: NOT_ACCEPTED, evidence_not_yet_valid: NOT_ACCEPTED, evidence_lifetime_too_long: NOT_ACCEPTED, evidence_audience_wrong: NOT_ACCEPTED,
  evidence_replayed: request('The subject token was used before. Request a new one from your platform.'),
  issuer_keys_unavailable: unavailable('The issuer of the subject token cannot be reached, so it cannot be verified. Try again.'),
  evidence_event_not_allowed: NOT_ACCEPTED, evidence_subject_mismatch: NOT_ACCEPTED, evidence_fork: NOT_ACCEPTED, evidence_environment_unprotected: NOT_ACCEPTED,
  evidence_organization_wrong: NOT_ACCEPTED, evidence_rule_failed: NOT_ACCEPTED,

  workload_unknown: NOT_ACCEPTED, workload_expired: NOT_ACCEPTED,
  workload_ambiguous: request('The subject token fits several workloads. Send client_id with the SPIFFE ID of the one that acts.'),
  client_id_mismatch: row(400, 'invalid_client', 'client_id is not the workload that the subject token proves.'),
  model_delegated: row(400, 'unauthorized_client', 'This workload acts for people: send the person\'s token as subject_token and the workload\'s own evidence as actor_token.'),
  model_bounded: row(400, 'unauthorized_client', 'This workload acts for its own run: send its evidence as subject_token, with neither actor_token nor session nor purpose.'),
  model_autonomous: row(400, 'unauthorized_client', 'This workload acts on tasks: send its evidence as subject_token and the task\'s id as session, or purpose to open one.'),
  instance_misplaced: row(400, 'unauthorized_client', 'This workload acts only on what is handed on to it: send a token that was handed on as subject_token and its own evidence as actor_token.'),

  token_malformed: OWN_TOKEN, token_typ_wrong: OWN_TOKEN, token_signature_invalid: OWN_TOKEN, token_expired: OWN_TOKEN, token_issuer_wrong: OWN_TOKEN,
  token_audience_wrong: OWN_TOKEN, token_unknown: OWN_TOKEN,
  token_missing: row(401, 'invalid_token', 'Send Authorization: Bearer with a token for this endpoint.'),
  token_not_exchangeable: request('Only a session token can be exchanged. A resource token is for its resource alone.'),
  token_binding_required: request('The token is bound to a key. Send a DPoP proof by that key.'),
  token_binding_mismatch: request('The DPoP proof is by another key than the token is bound to.'),
  token_scheme_wrong: request('Send a bound token as Authorization: DPoP with a proof, an unbound one as Bearer.'),
  token_other_client: row(400, 'invalid_client', 'The token was issued to another client.'),
  actor_mismatch: request('The actor is not the one the token was made for.'),
  actor_missing: request('Show who acts: send evidence of the workload as actor_token. A person\'s token alone is not accepted, and a session token alone begets no other.'),
  actor_unexpected: request('requested_actor goes with a session token as subject_token, without actor_token and without a target: what is handed on is a narrower session token.'),
  crossing_loop: request('The chain of actors was in this trust domain before and cannot come back to it.'),
  crossing_denied: request('A chain from another trust domain may not do this here. Check the target, or ask an admin of this domain to explain the decision.'),
  crossing_unnamed: request('Name the workload that goes on in the other trust domain: send its SPIFFE ID there as requested_actor.'),
  presenter_not_listed: request('The workload is not one of those that may act with tokens of this application.'),
  login_too_old: request('The person\'s login is too old. Let them log in again and send the new token.'),

  dpop_repeated: proof('Send exactly one DPoP header.'),
  dpop_malformed: proof('The DPoP proof is not a compact JWS of typ dpop+jwt.'),
  dpop_typ_wrong: proof('The DPoP proof is not a compact JWS of typ dpop+jwt.'),
  dpop_alg_not_allowed: proof('The DPoP proof uses an algorithm that is not in dpop_signing_alg_values_supported.'),
  dpop_key_invalid: proof('The jwk of the DPoP proof must be one public key of sufficient size.'),
  dpop_signature_invalid: proof('The signature of the DPoP proof does not verify.'),
  dpop_claim_missing: proof('The DPoP proof lacks jti, htm, htu or iat.'),
  dpop_htm_mismatch: proof('htm of the DPoP proof is not the method of this request.'),
  dpop_htu_mismatch: proof('htu of the DPoP proof is not the URL of this endpoint as its metadata gives it.'),
  dpop_iat_outside_window: proof('iat of the DPoP proof is too far from now. Check the clock.'),
  dpop_nonce_missing: row(400, 'use_dpop_nonce', 'Repeat the request with the nonce of the DPoP-Nonce header in the proof.'),
  dpop_nonce_stale: row(400, 'use_dpop_nonce', 'Repeat the request with the nonce of the DPoP-Nonce header in the proof.'),
  dpop_ath_mismatch: proof('ath of the DPoP proof is not the hash of the token sent with it.'),
  dpop_replayed: proof('The DPoP proof was used before. Make a new one for each request.'),
  dpop_required: request('Proof of possession is required. Send a DPoP proof.'),

  target_missing: row(400, 'invalid_target', 'Name one target with audience or resource, or ask for a session token with authorization_details of type urn:mayfly:ceiling.'),
  target_multiple: row(400, 'invalid_target', 'Name exactly one target. For several, ask for a session token and exchange it once for each.'),
  target_invalid: row(400, 'invalid_target', 'audience must be printable ASCII without spaces, and resource an absolute URI; neither has a fragment.'),
  target_unknown: NO_TARGET, target_expired: NO_TARGET, target_denied: NO_TARGET, ceiling_exceeded: NO_TARGET,
  scope_malformed: row(400, 'invalid_scope', 'scope must be a list of scope names with single spaces between them; a session token has none.'),
  scope_unknown: row(400, 'invalid_scope', 'A scope does not exist at this target.'),
  scope_denied: row(400, 'invalid_scope', 'None of the scopes is permitted to you now. An admin can explain this decision.'),
  details_malformed: row(400, 'invalid_authorization_details', 'authorization_details must be a JSON array of flat objects, each with a type, with the fields of that type and no others.'),
  details_unsupported: row(400, 'invalid_authorization_details', 'authorization_details of type urn:mayfly:ceiling are for session tokens and stand alone; those of other types go with their target, or as details within a ceiling.'),
  details_unknown: row(400, 'invalid_authorization_details', 'The target does not understand this type of authorization_details.'),
  details_denied: row(400, 'invalid_authorization_details', 'These authorization_details are not permitted to you now. An admin can explain this decision.'),
  details_exceeded: row(400, 'invalid_authorization_details', 'The session token was issued for less than these authorization_details.'),
  lifetime_exhausted: request('The session is about to end. Start a new run.'),
  depth_exceeded: request('The chain of actors is too long.'),

  revoked: request('The authority behind this request was revoked.'),
  suspended: request('The authority behind this request is suspended. Show fresh evidence, or a token of a new login of the same person; otherwise ask an admin to explain this decision.'),
  session_unknown: request('There is no such session of this workload.'),
  budget_exhausted: request('The task has used up one of its budgets.'),
  instances_exhausted: row(429, 'temporarily_unavailable', 'Too many instances of this workload are live. Try again when some have ended.'),
  session_ended: request('The session behind this request is over. Start a new run.'),

  approval_required: request('A person has to agree to this first. Ask again with completion_mode=deferred and a DPoP proof, then redeem the deferral code you get with grant_type urn:ietf:params:oauth:grant-type:deferred.'),
  approval_pending: row(400, 'authorization_pending', 'Nobody has agreed yet. Ask again after interval seconds.'),
  approval_too_fast: row(400, 'slow_down', 'You ask too often. Wait 5 seconds longer between two requests.'),
  approval_denied: row(400, 'access_denied', 'A person said no to this request.'),
  approval_expired: row(400, 'expired_token', 'The time for this request is over. Ask anew.'),
  approval_cancelled: row(400, 'access_denied', 'The deferral code was revoked.'),
  approval_redeemed: NO_CODE, approval_damaged: NO_CODE,
  approval_changed: row(400, 'access_denied', 'What was agreed to is not what would be issued now. Ask anew.'),
  approvals_crowded: row(429, 'temporarily_unavailable', 'Too many of your requests wait for people. Let them be answered first.'),
  deferral_unknown: NO_CODE, deferral_key_mismatch: NO_CODE,
  approver_missing: row(401, 'invalid_token', 'Send Authorization: Bearer with a token that says which person you are, of an issuer of this trust domain that proves people or admins. The local socket alone is no person.'),
  approver_denied: row(403, 'insufficient_scope', 'No policy of the trust domain permits you to approve this.'),
  approver_excluded: row(403, 'insufficient_scope', 'The person acted for and whoever is accountable for the session do not decide on its requests.'),
  approval_closed: row(409, 'conflict', 'This request is decided, redeemed or over.'),

  policy_error: unavailable('The decision could not be made. An admin can explain it.'),
  store_unavailable: unavailable('The request could not be recorded, so nothing was issued. Try again.'),
  snapshot_stale: unavailable('This node has lost sight of the registry. Try again.'),
  domain_unknown: row(404, 'invalid_request', 'There is no such trust domain here.'),
  domain_not_ready: unavailable('This trust domain is not ready.'),
  kek_missing: row(409, 'conflict', 'Stored keys are sealed under a key-encryption key that this node does not have.'),

  token_scope_missing: row(403, 'insufficient_scope', 'The token lacks a scope: ssf.manage for changes, ssf.read or ssf.manage to read and to poll.'),
  stream_malformed: request('The request is not what SSF 1.0 section 8 describes: one JSON object, its members of the right type, and what the transmitter supplies as it was read.'),
  stream_endpoint_refused: request('delivery.endpoint_url must be an https URL of a public address, written as it is called.'),
  stream_limit: row(409, 'conflict', 'There are as many as one receiver may have. Delete one first.'),
  stream_changed: row(409, 'conflict', 'The stream was changed meanwhile. Read it and repeat.'),
  stream_disabled: request('The stream is disabled. Enable it first.'),
  subject_malformed: request('subject must be a subject identifier of RFC 9493 or SSF 1.0 section 3 with exactly its members, and verified a boolean.'),

  provider_denied: row(400, 'invalid_target', `${PROVIDER} It refused; an admin can see why.`),
  provider_unavailable: unavailable(`${PROVIDER} It cannot be reached. Try again.`),
  provider_throttled: row(429, 'temporarily_unavailable', `${PROVIDER} It is throttling. Wait as Retry-After says.`),
  provider_misconfigured: row(500, 'server_error', `${PROVIDER} Its registration needs an admin.`),
  provider_bad_request: row(400, 'invalid_target', `${PROVIDER} The request does not fit it.`),

  ...SETS,

  admin_unauthenticated: row(401, 'invalid_token', 'Send Authorization: Bearer with an OIDC token of an issuer that proves admins (DPoP and a proof where it is bound to a key), or use the local socket.'),
  admin_denied: row(403, 'insufficient_scope', 'No policy of the system domain permits this to you.'),
  not_found: row(404, 'not_found', 'There is no such thing here.'),
  format_unsupported: row(406, 'invalid_request', 'This is sent in one format only: send Accept: application/statuslist+jwt, or none.'),
  history_unsupported: row(501, 'invalid_request', 'Status lists of former times are not kept. Ask without time.'),
  conflict: row(409, 'conflict', 'The registry changed meanwhile. Look at the difference again and repeat.'),
  manifest_invalid: row(422, 'manifest_invalid', 'The manifest has problems. Nothing was applied.'),
  lint_error: row(422, 'lint_error', 'The manifest trusts too much. Mend the findings, or accept each with a reason and a date.'),
};

/** Of these the detail is told as well: a text of ours about the caller's own form, which names the parameter and knows of nothing else. */
const ABOUT_THE_FORM: ReadonlySet<RefusalCode> = new Set<RefusalCode>(['parameter_missing', 'parameter_repeated', 'parameter_invalid', 'parameter_unsupported']);
/** RFC 6749 section 5.2: characters that a description does not have. */
const NOT_ALLOWED = /[^\x20-\x21\x23-\x5b\x5d-\x7e]/g;

/** `error_description` of a refusal. */
export const describeRefusal = ({ code, detail }: Refusal): string =>
  (ABOUT_THE_FORM.has(code) ? `${PUBLIC_REFUSALS[code].sentence} Here: ${detail.replaceAll(NOT_ALLOWED, '')}.` : PUBLIC_REFUSALS[code].sentence);

const RETRY_AFTER: Readonly<Partial<Record<RefusalCode, number>>> = {
  store_unavailable: 1, snapshot_stale: 1, overloaded: 1, rate_limited: 1, policy_error: 5, issuer_keys_unavailable: 5, domain_not_ready: 5, provider_unavailable: 5, provider_throttled: 5, set_keys_unavailable: 5, set_secret_missing: 60,
};
export const retryAfterOf = (code: RefusalCode): number | undefined => RETRY_AFTER[code];
