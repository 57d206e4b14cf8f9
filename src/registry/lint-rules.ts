/** Errors stop `apply` unless the entry accepts them for a while; warnings and infos are told. */
export type Severity = 'error' | 'warning' | 'info';

/** Every lint rule, with how much it matters and why: the text `mayfly lint` shows and docs list. */
export const LINT_RULES = {
  'no-immutable-attribute': { severity: 'error', why: 'names and paths can be given to somebody else; only immutable attributes stay with one workload' },
  'wildcard': { severity: 'warning', why: 'a pattern also matches values nobody has thought of yet' },
  'wildcard-open': { severity: 'error', why: 'a pattern that begins with or is only "*" matches values an attacker can choose' },
  'pull-request-events': { severity: 'error', why: 'these events run on behalf of people who cannot push, some of them with a full token of the base branch' },
  'event-unrestricted': { severity: 'warning', why: 'a ref alone does not say who started the run: pull_request_target, workflow_run and issue_comment runs carry the base branch too' },
  'reusable-workflow-only': { severity: 'error', why: 'job_workflow_ref names the called workflow: any repository that calls it passes' },
  'reusable-workflow-branch': { severity: 'warning', why: 'a branch in job_workflow_ref can be moved; a commit or protected tag cannot' },
  'runner-unrestricted': { severity: 'info', why: 'self-hosted runners persist between jobs, so an earlier job can be in control of a later one' },
  'same-match': { severity: 'info', why: 'evidence matches both workloads, so every caller must send client_id' },
  'audience-shared': { severity: 'error', why: 'tokens made for that audience are seen by others, who could present them here' },
  'audience-of-platform': { severity: 'error', why: 'this is the default audience of the platform, which tokens for any other purpose carry as well' },
  'replay-within-session': { severity: 'error', why: 'the platform mints a token on demand, so accepting one twice only helps whoever stole it' },
  'replay-possible': { severity: 'info', why: 'the platform gives a job one token, so a stolen one can be used beside the job until it expires' },
  'issuer-plain-http': { severity: 'warning', why: 'keys fetched without TLS can be replaced on the way; only for development' },
  'signals-ignored': { severity: 'warning', why: 'the transmitter says that a login or an account is over, and here authority that rests on it goes on' },
  'addresses-wide': { severity: 'warning', why: 'the wider the range, the more internal services a forged discovery document can make the server reach' },
  'addresses-open': { severity: 'error', why: 'a range this wide undoes the guard that keeps key fetching away from internal services' },
  'custom-endpoint': { severity: 'warning', why: 'credentials come from an address that is not the provider\'s own; only for development' },
  'unbound': { severity: 'info', why: 'without proof of possession a stolen token works until it expires' },
  'permit-open': { severity: 'error', why: 'a permit without principal or resource and without conditions allows everybody, or everything' },
  'permit-wide': { severity: 'warning', why: 'a permit without a fixed principal or resource also counts for entries added later' },
  'approval-unanswerable': { severity: 'warning', why: 'no policy of the domain permits anybody to approve, so what waits for approval is never issued' },
  'approval-by-principal': { severity: 'warning', why: 'whoever is accountable for a session, or is acted for, can agree to its requests: one stolen login suffices' },
  'details-unbounded': { severity: 'warning', why: 'a permit for details without a condition permits them with whatever values somebody asks for' },
  'no-owner': { severity: 'error', why: 'nobody can be asked when it is found in a listing or an incident' },
  'no-expiry': { severity: 'error', why: 'trust without an end is never looked at again' },
  'expiry-far': { severity: 'warning', why: 'trust that lasts longer than 400 days outlives the people who set it up' },
  'expires-soon': { severity: 'info', why: 'from that moment on everything that rests on it is refused' },
  'expired': { severity: 'warning', why: 'it is refused already; what rests on it fails' },
  'issuer-missing': { severity: 'warning', why: 'the rule names an issuer that is gone, so nothing matches it' },
  'unused-issuer': { severity: 'info', why: 'trust that nothing uses is only attack surface' },
  'unused-workload': { severity: 'info', why: 'no policy can permit it anything' },
  'unused-resource': { severity: 'info', why: 'no policy can permit it to anybody' },
  'unused-scope': { severity: 'info', why: 'no policy can permit it to anybody' },
} as const satisfies Record<string, { readonly severity: Severity; readonly why: string }>;

export type LintRule = keyof typeof LINT_RULES;
