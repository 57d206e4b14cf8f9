/**
 * Every expected "no". Codes are contract: tests, `explain`, metrics and docs/errors.md use them; texts are not.
 * What the caller sees of a code is decided in one table, http/problem.ts. `detail` is for the audit log and holds no
 * token, key, or whole claim set.
 */
export const REFUSAL_CODES = [
  // the form (RFC 6749 section 3.2, RFC 8693 section 2.1)
  'request_malformed', 'parameter_missing', 'parameter_repeated', 'parameter_invalid', 'parameter_unsupported', 'credential_in_query',
  'client_authentication_unsupported', 'grant_type_unsupported', 'token_type_unsupported', 'request_too_large', 'rate_limited', 'overloaded',
  // evidence (evidence.md A0; RFC 8725 section 3)
  'evidence_too_large', 'evidence_malformed', 'evidence_alg_not_allowed', 'evidence_header_not_allowed', 'evidence_typ_wrong',
  'evidence_issuer_unknown', 'evidence_issuer_ambiguous', 'evidence_issuer_expired', 'evidence_key_unknown', 'evidence_signature_invalid',
  'evidence_claim_missing', 'evidence_claim_invalid', 'evidence_expired', 'evidence_not_yet_valid', 'evidence_lifetime_too_long',
  'evidence_audience_wrong', 'evidence_replayed', 'issuer_keys_unavailable',
  // rules of one attestor
  'evidence_event_not_allowed', 'evidence_subject_mismatch', 'evidence_fork', 'evidence_environment_unprotected', 'evidence_organization_wrong', 'evidence_rule_failed',
  // who
  'workload_unknown', 'workload_ambiguous', 'workload_expired', 'client_id_mismatch', 'model_delegated', 'model_bounded', 'model_autonomous', 'instance_misplaced',
  // own tokens presented back
  'token_malformed', 'token_typ_wrong', 'token_signature_invalid', 'token_expired', 'token_issuer_wrong', 'token_audience_wrong', 'token_unknown',
  'token_not_exchangeable', 'token_binding_required', 'token_binding_mismatch', 'token_scheme_wrong', 'token_other_client', 'token_missing', 'actor_mismatch', 'actor_missing', 'actor_unexpected', 'presenter_not_listed',
  // chains from and to other domains
  'crossing_loop', 'crossing_denied', 'crossing_unnamed',
  // proof of possession (RFC 9449 section 4.3)
  'dpop_repeated', 'dpop_malformed', 'dpop_typ_wrong', 'dpop_alg_not_allowed', 'dpop_key_invalid', 'dpop_signature_invalid', 'dpop_claim_missing',
  'dpop_htm_mismatch', 'dpop_htu_mismatch', 'dpop_iat_outside_window', 'dpop_nonce_missing', 'dpop_nonce_stale', 'dpop_ath_mismatch', 'dpop_replayed', 'dpop_required',
  // what for
  'target_missing', 'target_multiple', 'target_invalid', 'target_unknown', 'target_expired', 'target_denied', 'scope_malformed', 'scope_unknown', 'scope_denied',
  'details_malformed', 'details_unsupported', 'details_unknown', 'details_denied', 'details_exceeded', 'ceiling_exceeded', 'lifetime_exhausted', 'depth_exceeded',
  // authority taken back
  'revoked', 'suspended', 'session_ended', 'session_unknown', 'budget_exhausted', 'login_too_old', 'instances_exhausted',
  // approvals by people (docs/approvals.md)
  'approval_required', 'approval_pending', 'approval_too_fast', 'approval_denied', 'approval_expired', 'approval_cancelled', 'approval_redeemed', 'approval_changed', 'approval_damaged', 'approvals_crowded',
  'deferral_unknown', 'deferral_key_mismatch', 'approver_denied', 'approver_excluded', 'approver_missing', 'approval_closed',
  // decisions that could not be made, and things that are down: always a "no"
  'policy_error', 'store_unavailable', 'snapshot_stale', 'domain_unknown', 'domain_not_ready', 'kek_missing',
  // event streams (SSF 1.0 section 8)
  'token_scope_missing', 'stream_malformed', 'stream_endpoint_refused', 'stream_limit', 'stream_changed', 'stream_disabled', 'subject_malformed',
  // providers
  'provider_denied', 'provider_unavailable', 'provider_throttled', 'provider_misconfigured', 'provider_bad_request',
  // security events received (RFC 8417, RFC 8935 section 2.4)
  'set_malformed', 'set_too_large', 'set_header_not_allowed', 'set_alg_not_allowed', 'set_typ_wrong', 'set_issuer_wrong', 'set_key_unknown', 'set_signature_invalid', 'set_claim_missing', 'set_claim_invalid',
  'set_audience_wrong', 'set_time_wrong', 'set_events_wrong', 'set_unauthenticated', 'set_receiver_unknown', 'set_keys_unavailable', 'set_secret_missing',
  // admin plane
  'admin_unauthenticated', 'admin_denied', 'not_found', 'format_unsupported', 'history_unsupported', 'conflict', 'manifest_invalid', 'lint_error',
] as const;
export type RefusalCode = (typeof REFUSAL_CODES)[number];

export interface Refusal {
  readonly code: RefusalCode;
  /** For admins: what exactly failed, lower case, no secrets. */
  readonly detail: string;
  /** Seconds after which trying again may help (RFC 9110 section 10.2.3). */
  readonly retryAfter?: number;
}

export const refusal = (code: RefusalCode, detail: string, retryAfter?: number): Refusal =>
  retryAfter === undefined ? { code, detail } : { code, detail, retryAfter };

/** Carries a refusal through a library callback that can only throw; caught where that library is called, nowhere else. */
export class RefusalError extends Error {
  readonly refusal: Refusal;
  constructor(of: Refusal) {
    super(`${of.code}: ${of.detail}`);
    this.name = 'RefusalError';
    this.refusal = of;
  }
}
