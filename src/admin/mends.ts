import type { RefusalCode } from '../core/refusal.ts';

const FORM = 'the caller sends something else than the token endpoint takes; docs/exchange.md shows one request';
const CLIENT_KEY = 'the caller makes its DPoP proof wrongly; RFC 9449 section 4 says how, and most libraries do it';
const OWN_TOKEN = 'the caller presents something that is no live token of this domain, or a token for something else; it needs a new one';
const SHAPE = 'the evidence is not what this attestor accepts; see its page in docs/attestors, and simulate with the token';
const SET = 'the transmitter sends something that is no security event token of SSF 1.0; docs/signals-in.md shows one';
const FORGED = 'the token was changed on the way or forged: look at who sends it';

/**
 * What an admin does about a refusal: `explain` shows it beside the code, docs/errors.md lists it. A new code does not
 * compile until it has its row here.
 */
export const MENDS: Readonly<Record<RefusalCode, string>> = {
  request_malformed: FORM, parameter_missing: FORM, parameter_repeated: FORM, parameter_invalid: FORM, credential_in_query: FORM, grant_type_unsupported: FORM,
  parameter_unsupported: 'leave the parameter out: a deferral code is redeemed with client_id at most, and nobody is called back',
  client_authentication_unsupported: 'clients have no secrets here: the evidence authenticates the caller; let it send at most a client_id',
  token_type_unsupported: 'the provider of this resource does not issue the requested type; see docs/providers for what each issues',
  request_too_large: 'the caller sends too much; no setting changes this limit',
  rate_limited: 'find the caller in the request log; if it is right, raise limits.per_address or limits.per_workload',
  overloaded: 'more requests at once than limits.in_flight; add nodes or workers, or look at why the database is slow',

  evidence_too_large: SHAPE, evidence_malformed: `${SHAPE}; a line break at the end of the token is enough`, evidence_typ_wrong: SHAPE, evidence_header_not_allowed: SHAPE,
  evidence_alg_not_allowed: SHAPE, evidence_claim_missing: SHAPE, evidence_claim_invalid: SHAPE,
  evidence_issuer_unknown: 'register the issuer (mayfly issuer add), or check the token\'s iss, its owner claim, and the domain it was sent to',
  evidence_issuer_ambiguous: 'two issuer entries could both accept this token; tell them apart by a claim, such as organization_id',
  evidence_issuer_expired: 'the issuer entry has expired: renew its expires if it is still trusted',
  evidence_key_unknown: `the issuer publishes no key of this kid, or it rotated and its keys are pinned here; otherwise ${FORGED}`,
  evidence_signature_invalid: FORGED,
  evidence_expired: 'the job waited too long between getting its token and showing it, or a clock is wrong',
  evidence_not_yet_valid: 'the clock of this server or of the issuer is wrong',
  evidence_lifetime_too_long: 'the token lives longer than this attestor accepts; shorten it at the platform, or raise max_lifetime where the attestor has it',
  evidence_audience_wrong: 'the token must be made out to exactly the audience of the issuer entry, by default the domain\'s issuer URL',
  evidence_replayed: 'each token of this issuer pays for one credential; the job requests a fresh one. If it did not ask twice, somebody else has its token',
  issuer_keys_unavailable: 'this server cannot fetch the issuer\'s keys: look at the way out, at allow_addresses for private addresses, or pin jwks',
  evidence_event_not_allowed: 'events that run a stranger\'s change are refused; widen the entry\'s list only with that in mind',
  evidence_subject_mismatch: `the sub of the token contradicts its other claims; ${FORGED}`,
  evidence_fork: 'a fork\'s merge request; it gets nothing',
  evidence_environment_unprotected: 'protect the environment at the platform',
  evidence_organization_wrong: 'the token is of another organization than the issuer entry is for',
  evidence_rule_failed: 'a require rule of the issuer entry does not hold for this token',

  workload_unknown: 'no workload\'s match rule fits these attributes: mend the rule that should have, or register a workload; the nearest are listed',
  workload_ambiguous: 'narrow the match rules, or let the caller send client_id',
  workload_expired: 'the workload entry has expired: renew its expires if it is still needed',
  client_id_mismatch: 'the caller names another workload than its evidence proves',
  model_delegated: 'a delegated workload comes with a person\'s token as subject and its own evidence as actor; register it with another authority if it acts for nobody',
  model_bounded: 'a bounded workload comes with its own evidence alone; register it with another authority if it acts for people or on tasks',
  model_autonomous: 'an autonomous workload names the task it works on; open one with mayfly session open, or permit it the action open',
  instance_misplaced: 'an instance of a template begins nothing itself and acts in sessions of the model its template is registered with; register the workload itself if it should',

  token_malformed: OWN_TOKEN, token_typ_wrong: OWN_TOKEN, token_signature_invalid: OWN_TOKEN, token_expired: OWN_TOKEN, token_issuer_wrong: OWN_TOKEN, token_audience_wrong: OWN_TOKEN,
  token_unknown: 'the signature is ours and no lease is of this token: the database was set back to an older state, the holder turned the signature into its twin, or the signing key is in other hands: then mayfly keys revoke',
  token_missing: 'the resource server sends no token of its own; see docs/verify-tokens.md',
  token_not_exchangeable: 'the caller spends a resource token as authority; it needs a session token, or its evidence',
  token_binding_required: 'the token is bound to a key and came without a proof by it: an unlucky client, or a stolen token',
  token_binding_mismatch: 'the token is bound to another key: an unlucky client, or a stolen token',
  token_scheme_wrong: 'bound tokens are sent as DPoP, others as Bearer; an admin whose login is bound uses --dpop-key',
  token_other_client: 'the client_id sent with the revocation is not the workload the credential was issued to',
  actor_mismatch: 'the actor is another than the token was made for',
  actor_missing: 'somebody\'s authority was shown without the evidence of who acts: an agent that forgot its own, or a person\'s token in other hands',
  actor_unexpected: 'the caller hands authority on in a way that is not taken; docs/authority.md shows the two calls',
  crossing_loop: 'end the chain where it leaves this domain for the first time, or begin a new one here',
  crossing_denied: 'register the target here, and permit the workload that goes on both cross and act on it; context.chain tells where the chain comes from',
  crossing_unnamed: 'name the workload of the other domain with requested_actor',
  presenter_not_listed: 'list the workload under presenters of this application at the issuer, if it may act with its tokens; otherwise it got hold of another agent\'s token',
  login_too_old: 'the person logs in again; limits.fresh_within.delegated of the domain says how old a login may be',
  suspended: 'lift the suspension with mayfly enable when its reason is gone; where evidence or login was too old, the caller shows a fresh one',
  session_unknown: 'the task is another workload\'s, of another domain, or was never opened; see mayfly session list',
  budget_exhausted: 'the task used up what it was given: see mayfly session show; budgets of a task are never raised, open another task',

  instances_exhausted: 'end sessions whose instances are done, revoke those that are not wanted (mayfly workload show lists them), or raise max_live of the template',

  dpop_repeated: CLIENT_KEY, dpop_malformed: CLIENT_KEY, dpop_typ_wrong: CLIENT_KEY, dpop_alg_not_allowed: CLIENT_KEY, dpop_key_invalid: CLIENT_KEY, dpop_signature_invalid: CLIENT_KEY,
  dpop_claim_missing: CLIENT_KEY, dpop_htm_mismatch: CLIENT_KEY, dpop_ath_mismatch: CLIENT_KEY,
  dpop_htu_mismatch: 'the caller used another URL than the metadata gives; behind a proxy look at external_url, for admins at admin.external_url',
  dpop_iat_outside_window: 'the clock of the caller or of this server is wrong',
  dpop_nonce_missing: 'part of the protocol: the caller repeats the request with the nonce it was sent', dpop_nonce_stale: 'part of the protocol: the caller repeats the request with the nonce it was sent',
  dpop_replayed: 'the caller used one proof twice, or somebody else did',
  dpop_required: 'the workload or the resource is registered as bound; let the caller send a DPoP proof (mayfly token --dpop); an admin whose login is bound uses --dpop-key',

  target_missing: FORM, target_multiple: FORM, target_invalid: FORM, scope_malformed: FORM, details_malformed: FORM, details_unsupported: FORM,
  details_unknown: 'register the type under details of the resource, or let the caller ask for one that is registered; docs/authorization-details.md',
  details_denied: 'write a policy for Detail::"<audience>#<type>" that permits these values, if they should be permitted; the nearest policies are listed',
  details_exceeded: 'the session token holds narrower details; a new one with wider ones is decided anew',
  target_unknown: 'register the resource (mayfly resource add), or check its spelling',
  target_expired: 'the resource entry has expired: renew its expires if it is still needed',
  target_denied: 'write a policy that permits issue on this resource or its scopes, if it should be permitted; the nearest policies are listed',
  scope_unknown: 'register the scope at the resource, or ask for a registered one',
  scope_denied: 'write a policy that permits issue on these scopes, if they should be permitted; the nearest policies are listed',
  ceiling_exceeded: 'the session token was issued for less; a new one with a wider ceiling is decided anew',
  lifetime_exhausted: 'the session ends now; a new run begins a new one',
  depth_exceeded: 'the chain of actors is longer than this domain allows',

  revoked: 'authority was taken back; mayfly lease show or session show says by what. A blocked workload, person, issuer or domain is let in again with mayfly enable, for runs, tasks and logins that begin afterwards: what had begun stays out',
  session_ended: 'the session is over and never reopens; a new run begins a new one',

  approval_required: 'part of the protocol: the permits that fit ask for a person\'s approval (@approval), and the caller did not send completion_mode=deferred (mayfly token --deferred); docs/approvals.md',
  approval_pending: 'part of the protocol: mayfly approval show, then approve or deny',
  approval_too_fast: 'the caller polls more often than the interval it was told',
  approval_denied: 'a person said no; mayfly approval show says who and why',
  approval_expired: 'nobody agreed, or the caller did not come back, within @approval_ttl of the permit',
  approval_cancelled: 'the lease of the deferral code was revoked: by its holder (RFC 7009) or an admin',
  approval_redeemed: 'one approval buys one credential: the caller came twice, or somebody else did with its key',
  approval_changed: 'policies, or what the approver may do, changed since: the decision made anew does not give what was agreed to; the caller asks anew',
  approval_damaged: 'what is stored of the request is not what was asked: somebody or something changed the database; nothing is issued on it',
  approvals_crowded: 'the workload asks people for more than they can look at: answer what waits (mayfly approval list), or find out why it asks so much',
  deferral_unknown: 'no request of this trust domain and client has this code',
  deferral_key_mismatch: 'the code works with the key of the request that was deferred and with no other: an unlucky client, or a stolen code',
  approver_missing: 'the socket says that you may administer, not who you are: give --token-file with a token of yours',
  approver_denied: 'a policy of the trust domain has to permit this person the action approve on what was asked; docs/approvals.md',
  approver_excluded: 'somebody else approves it; @approval_by_principal on every permit concerned lifts this',
  approval_closed: 'mayfly approval show says what became of it',

  policy_error: 'a policy erred while it was evaluated, so the answer is no: mend the policy named in the detail, and alert on this',
  store_unavailable: 'the database did not confirm the write: look at it, at its disk, and at mayfly_store_failures_total',
  snapshot_stale: 'this node does not hear from the database; it recovers by itself when it does',
  domain_unknown: 'the caller uses the URL of a domain that does not exist; compare with mayfly domain list',
  domain_not_ready: 'a domain\'s keys or policies cannot be used; /readyz on the admin socket says which. A key that is only missing is made anew within a minute',
  kek_missing: 'name the file of that key-encryption key in kek.previous_files of this node and restart it',

  token_scope_missing: 'permit the scope ssf.manage or ssf.read of <issuer>/ssf to this workload, if it may have it; docs/signals.md has a policy',
  stream_malformed: 'the receiver sends something else than SSF 1.0 describes; the detail names the member',
  stream_endpoint_refused: 'the receiver wants events pushed to where nothing may be sent; for a private network see signals.allow_addresses',
  stream_limit: 'the receiver creates a stream where it has one, or removes subjects without end; look at why',
  stream_changed: 'two of the receiver\'s requests met; it repeats the one that lost',
  stream_disabled: 'the receiver enables its stream, or does without it',
  subject_malformed: 'the receiver names a subject in a form that RFC 9493 does not have',

  provider_denied: 'the target refused; the detail has its answer, docs/providers what to look at',
  provider_unavailable: 'the target cannot be reached from this server',
  provider_throttled: 'the target throttles; spread the load, or raise its quota',
  provider_misconfigured: 'the registration does not fit the target; the detail has its answer, docs/providers what to look at',
  provider_bad_request: 'what was asked does not fit the target; the detail has its answer',

  set_malformed: SET, set_too_large: SET, set_header_not_allowed: SET, set_typ_wrong: SET, set_claim_missing: SET, set_claim_invalid: SET, set_events_wrong: SET,
  set_alg_not_allowed: 'the transmitter signs otherwise than RS256 or ES256: list its algorithm under signals.algorithms of the issuer',
  set_issuer_wrong: 'the stream of another transmitter ends here, or signals.transmitter of the issuer is not the iss of its events',
  set_key_unknown: `the transmitter publishes no key of this kid where the issuer's signals block looks for it, or its keys are pinned and it rotated; otherwise ${FORGED}`,
  set_signature_invalid: FORGED,
  set_audience_wrong: 'the stream has another aud: write it as signals.audience of the issuer, if the stream is meant for this domain',
  set_time_wrong: 'the clock of the transmitter or of this server is wrong, or it sends what happened more than 30 days ago',
  set_unauthenticated: 'the transmitter sends another Authorization header than signals.secrets of the server\'s configuration has, or somebody else pushes',
  set_receiver_unknown: 'no issuer of this name has a signals block that events are pushed for, or it has expired or is revoked; somebody may be guessing',
  set_keys_unavailable: 'this server cannot fetch the transmitter\'s keys: look at the way out, at allow_addresses for private addresses, or pin signals.jwks',
  set_secret_missing: 'the issuer says authorization: secret, and signals.secrets of this node\'s configuration has none for it that can be read',

  admin_unauthenticated: 'show a token of an issuer that proves admins, made out to <issuer>/admin, or use the local socket',
  admin_denied: 'a policy of the system domain, or of the domain itself, has to permit this admin action',
  not_found: 'look it up with the matching listing',
  format_unsupported: 'the verifier asks for status lists as CWT; only JWT is sent', history_unsupported: 'the verifier asks for the status list of a former time; which leases were revoked when is in the audit log',
  conflict: 'somebody else changed the registry meanwhile; repeat the command',
  manifest_invalid: 'mend the places that are listed; nothing was applied',
  lint_error: 'mend the findings, or accept each with a reason and a date; nothing was applied',
};

const BY_CODE: ReadonlyMap<string, string> = new Map(Object.entries(MENDS));

/** As {@link MENDS}, for a code that was read from the store; an older version may have had others. */
export const mendFor = (code: string): string | null => BY_CODE.get(code) ?? null;
