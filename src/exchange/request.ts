import { z } from 'zod';
import { parseSessionId, parseSpiffeId } from '../core/ids.ts';
import type { SessionId, SpiffeId } from '../core/ids.ts';
import { isObject } from '../core/json.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { CeilingPair, Detail } from '../store/rows.ts';
import { CEILING_TYPE } from '../tokens/claims.ts';
import { readJson } from '../tokens/compact.ts';

export const TOKEN_EXCHANGE_GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';
/** Deferred Token Response (standards.md G3): polls with a deferral code. */
export const DEFERRED_GRANT = 'urn:ietf:params:oauth:grant-type:deferred';
export const TOKEN_TYPE = {
  accessToken: 'urn:ietf:params:oauth:token-type:access_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
  idToken: 'urn:ietf:params:oauth:token-type:id_token',
  /** A session's id in place of a token of it that has expired (design section 5, Renewal). */
  session: 'urn:mayfly:token-type:session',
} as const;
export { CEILING_TYPE } from '../tokens/claims.ts';

/**
 * What the subject token is said to be: a platform's or person's token, an access token (a session token of ours, or a person's
 * for this domain), or the id of a session.
 */
export type SubjectKind = 'evidence' | 'access-token' | 'session';

/** A token request whose form is right; nothing in it is trusted yet (RFC 8693 section 2.1). */
export interface ExchangeRequest {
  readonly subjectToken: string;
  readonly subjectKind: SubjectKind;
  /** Evidence of the workload that acts, where the subject token is not its own (RFC 8693 section 2.1). */
  readonly actorToken: string | undefined;
  readonly clientId: string | undefined;
  /** SPIFFE ID of the workload that authority is handed on to. */
  readonly requestedActor: SpiffeId | undefined;
  /** The task that an autonomous workload works on. */
  readonly session: SessionId | undefined;
  /** What a task is opened for, where the request opens one. */
  readonly purpose: string | undefined;
  /** The one target; undefined: the domain itself (a session token). */
  readonly target: string | undefined;
  readonly scopes: readonly string[];
  readonly requestedTokenType: string | undefined;
  /** Pairs of `authorization_details` of type `urn:mayfly:ceiling`; undefined when none was sent. */
  readonly ceiling: readonly CeilingPair[] | undefined;
  /** The caller takes a deferral code where a person has to agree first (`completion_mode=deferred`). */
  readonly deferrable?: boolean;
  /** `authorization_details` of other types, for the one target. Their form is right; what they may say only the target's types tell. */
  readonly details?: readonly Detail[] | undefined;
}

/** A request that was put off before: all it says is which one. */
export interface DeferredRequest { readonly code: string; readonly clientId: string | undefined }

/** What the HTTP layer read from the body: every value of every parameter, in order. */
export type Form = ReadonlyMap<string, readonly string[]>;

/** The session token repeats them, and must stay within what is read of a token (tokens/verify.ts). */
const MAX_DETAILS = 10 * 1024;
/** Each is a decision, here and when an admin asks why: one request must not hold up all others for seconds. */
const MAX_ASKED = 128;
const MAX_SCOPES = 64;
const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/;
/** What a registered audience can be (registry/fields.ts). Anything else is told at the door and kept out of the records: they hold what was asked. */
const AUDIENCE = /^[!-"$-~]{1,1024}$/;
/** RFC 8707 section 2: an absolute URI without fragment. Compared as text afterwards, never normalised. */
const RESOURCE = /^[A-Za-z][A-Za-z0-9+.-]*:[^#\s]+$/;
/** RFC 6749 appendix A.1, and no SPIFFE ID is longer. */
const CLIENT_ID = /^[\x20-\x7e]{1,2048}$/;

/** What could be stored and shown; what a type allows is narrower (authority/details.ts). */
const detailText = z.string().min(1).max(1024).regex(/^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+$/u);
// Flat: no comparator holds one object against another, so a nested one could only be refused.
const detail = z.record(z.string().min(1).max(64).regex(/^[\x21-\x7e]+$/), z.union([detailText, z.int(), z.array(detailText).max(MAX_SCOPES)])).and(z.looseObject({ type: detailText.max(256) }));
const MAX_MEMBERS = 32;
const ceilingDetail = z.strictObject({
  type: z.literal(CEILING_TYPE),
  audience: z.string().regex(AUDIENCE),
  scopes: z.array(z.string().regex(SCOPE_TOKEN)).max(MAX_SCOPES).default([]),
  details: z.array(detail).min(1).max(MAX_MEMBERS).optional(),
});
const ceilings = z.array(ceilingDetail).min(1).max(MAX_MEMBERS);
const details = z.array(detail).min(1).max(MAX_MEMBERS);

/** A parameter sent without a value is treated as absent; only `resource` and `audience` may repeat (RFC 6749 section 3.2, RFC 8693 section 2.1). */
const single = (form: Form, name: string): Result<string | undefined, Refusal> => {
  const values = form.get(name) ?? [];
  if (values.length > 1) return err(refusal('parameter_repeated', `${name} is sent ${values.length} times`));
  return ok(values[0] === '' ? undefined : values[0]);
};

const parseScopes = (raw: string | undefined): Result<readonly string[], Refusal> => {
  if (raw === undefined) return ok([]);
  const scopes = [...new Set(raw.split(' '))];
  if (scopes.length > MAX_SCOPES) return err(refusal('scope_malformed', `more than ${MAX_SCOPES} scopes`));
  return scopes.every((scope) => SCOPE_TOKEN.test(scope)) ? ok(scopes) : err(refusal('scope_malformed', 'scope is not a list of scope-tokens with single spaces between them'));
};

type Asked = Pick<ExchangeRequest, 'ceiling' | 'details'>;

/** RFC 9396 section 5: an unknown type, field or value fails the request. Which types there are besides ceilings the target says. */
const parseDetails = (raw: string | undefined): Result<Asked, Refusal> => {
  if (raw === undefined) return ok({ ceiling: undefined });
  if (raw.length > MAX_DETAILS) return err(refusal('details_malformed', 'authorization_details is too large'));
  // A gateway before us may read the other of two equal names (RFC 8259 section 4).
  const value = readJson(Buffer.from(raw));
  if (value === undefined) return err(refusal('details_malformed', 'authorization_details is not JSON in which each member has a name of its own'));
  if (namesPrototype(value)) return err(refusal('details_malformed', 'authorization_details has a member called __proto__'));
  // Numbers can be written shorter than we write them (1e15), and what is issued must be readable again.
  if (JSON.stringify(value).length > MAX_DETAILS) return err(refusal('details_malformed', 'authorization_details is too large'));
  const listed = Array.isArray(value) ? value.filter((member) => isObject(member) && member['type'] === CEILING_TYPE).length : 0;
  if (Array.isArray(value) && listed > 0 && listed < value.length) return err(refusal('details_unsupported', `details of another type stand within those of type ${CEILING_TYPE}, not beside them`));
  const asked = listed > 0 ? readCeilings(value) : readDetails(value);
  if (!asked.ok) return asked;
  const decisions = decisionsIn(asked.value);
  if (decisions > MAX_ASKED) return err(refusal('details_malformed', `authorization_details asks for ${decisions} scopes and details, at most are ${MAX_ASKED}`));
  return asked;
};

/** The one name that zod passes over in silence. */
const namesPrototype = (value: unknown): boolean => typeof value === 'object' && value !== null && (Object.hasOwn(value, '__proto__') || Object.values(value).some(namesPrototype));

const readCeilings = (value: unknown): Result<Asked, Refusal> => {
  const parsed = ceilings.safeParse(value);
  if (!parsed.success) return notDetails(parsed.error);
  return ok({ ceiling: parsed.data.map(({ audience, scopes, details: within }) => ({ audience, scopes, ...(within === undefined ? {} : { details: within }) })) });
};

const readDetails = (value: unknown): Result<Asked, Refusal> => {
  const parsed = details.safeParse(value);
  return parsed.success ? ok({ ceiling: undefined, details: parsed.data }) : notDetails(parsed.error);
};

const notDetails = (error: z.ZodError): Result<Asked, Refusal> => err(refusal('details_malformed', `authorization_details: ${z.prettifyError(error).replaceAll('\n', ' ').slice(0, 500)}`));

const decisionsIn = ({ ceiling = [], details: own = [] }: Asked): number => ceiling.reduce((sum, { scopes, details: within = [] }) => sum + Math.max(1, scopes.length) + within.length, own.length);

const parseTarget = (form: Form): Result<string | undefined, Refusal> => {
  const resources = (form.get('resource') ?? []).filter((value) => value !== '');
  const audiences = (form.get('audience') ?? []).filter((value) => value !== '');
  const [target, ...others] = new Set([...resources, ...audiences]);
  if (others.length > 0) return err(refusal('target_multiple', 'more than one target'));
  if (!resources.every((resource) => RESOURCE.test(resource))) return err(refusal('target_invalid', 'resource is not an absolute URI without fragment'));
  if (target !== undefined && !AUDIENCE.test(target)) return err(refusal('target_invalid', 'the target is not printable ASCII without spaces and fragment'));
  return ok(target);
};

const SUBJECT_KINDS: ReadonlyMap<string, SubjectKind> = new Map([
  [TOKEN_TYPE.jwt, 'evidence'],
  [TOKEN_TYPE.idToken, 'evidence'],
  [TOKEN_TYPE.accessToken, 'access-token'],
  [TOKEN_TYPE.session, 'session'],
]);
const ACTOR_TYPES: ReadonlySet<string> = new Set([TOKEN_TYPE.jwt, TOKEN_TYPE.idToken]);
const MAX_PURPOSE = 500;
const PURPOSE = /^[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}]+$/u;

/** Parameters of capabilities that do not exist here: sent on purpose, so silence would be a lie. */
const REFUSED = ['client_notification_token'] as const;
/** Clients are workloads and their evidence authenticates them: a second way to say who asks is a contradiction (RFC 6749 section 2.3). */
const CLIENT_AUTHENTICATION = ['client_assertion', 'client_assertion_type', 'client_secret'] as const;

const EXCHANGE = [
  'subject_token', 'subject_token_type', 'client_id', 'scope', 'requested_token_type', 'authorization_details', 'actor_token', 'actor_token_type', 'requested_actor', 'session', 'purpose', 'completion_mode',
] as const;

type Values = Readonly<Record<string, string | undefined>>;

/** RFC 8693 section 2.1: `actor_token_type` goes with `actor_token` and never alone. */
const parseActor = (values: Values, subjectKind: SubjectKind): Result<Pick<ExchangeRequest, 'actorToken' | 'requestedActor'>, Refusal> => {
  const { actor_token: actorToken, actor_token_type: type, requested_actor: requested } = values;
  if (actorToken === undefined && type !== undefined) return err(refusal('parameter_invalid', 'actor_token_type without actor_token'));
  if (actorToken !== undefined && type === undefined) return err(refusal('parameter_missing', 'actor_token_type'));
  if (type !== undefined && !ACTOR_TYPES.has(type)) return err(refusal('token_type_unsupported', 'actor_token_type'));
  if (actorToken === undefined && subjectKind === 'session') return err(refusal('actor_missing', 'a session is renewed with evidence of its actor as actor_token'));
  const requestedActor = requested === undefined ? undefined : parseSpiffeId(requested);
  if (requested !== undefined && requestedActor === undefined) return err(refusal('parameter_invalid', 'requested_actor is not a SPIFFE ID'));
  if (requestedActor !== undefined && (actorToken !== undefined || subjectKind !== 'access-token')) return err(refusal('actor_unexpected', 'authority is handed on from a session token alone'));
  return ok({ actorToken, requestedActor });
};

const parseTask = (values: Values, subjectKind: SubjectKind): Result<Pick<ExchangeRequest, 'session' | 'purpose'>, Refusal> => {
  const { session: raw, purpose, actor_token: actorToken } = values;
  if (raw === undefined && purpose === undefined) return ok({ session: undefined, purpose: undefined });
  if (subjectKind !== 'evidence' || actorToken !== undefined) return err(refusal('parameter_invalid', 'session and purpose go with the evidence of an autonomous workload'));
  if (raw !== undefined && purpose !== undefined) return err(refusal('parameter_invalid', 'session names a task, purpose opens one: send one of them'));
  const session = raw === undefined ? undefined : parseSessionId(raw);
  if (raw !== undefined && session === undefined) return err(refusal('session_unknown', 'session is not the id of a session'));
  if (purpose !== undefined && (purpose.length > MAX_PURPOSE || !PURPOSE.test(purpose))) return err(refusal('parameter_invalid', `purpose is not one line of at most ${MAX_PURPOSE} characters`));
  return ok({ session, purpose });
};

/** RFC 8693 section 2.1; the order of checks is standards.md H1. */
export const parseExchangeRequest = (form: Form): Result<ExchangeRequest, Refusal> => {
  const grantType = single(form, 'grant_type');
  if (!grantType.ok) return grantType;
  if (grantType.value === undefined) return err(refusal('parameter_missing', 'grant_type'));
  if (grantType.value !== TOKEN_EXCHANGE_GRANT) return err(refusal('grant_type_unsupported', 'grant_type is not token exchange'));

  const values: Record<string, string | undefined> = {};
  for (const name of [...EXCHANGE, ...REFUSED, ...CLIENT_AUTHENTICATION]) {
    const value = single(form, name);
    if (!value.ok) return value;
    values[name] = value.value;
  }
  for (const name of CLIENT_AUTHENTICATION) if (values[name] !== undefined) return err(refusal('client_authentication_unsupported', name));
  for (const name of REFUSED) if (values[name] !== undefined) return err(refusal('parameter_unsupported', name));
  const { subject_token: subjectToken, subject_token_type: subjectTokenType, client_id: clientId, scope, requested_token_type: requestedTokenType } = values;
  if (subjectToken === undefined) return err(refusal('parameter_missing', 'subject_token'));
  if (subjectTokenType === undefined) return err(refusal('parameter_missing', 'subject_token_type'));
  if (clientId !== undefined && !CLIENT_ID.test(clientId)) return err(refusal('parameter_invalid', 'client_id is not printable ASCII'));
  const subjectKind = SUBJECT_KINDS.get(subjectTokenType);
  if (subjectKind === undefined) return err(refusal('token_type_unsupported', 'subject_token_type'));

  const mode = parseCompletionMode(values['completion_mode']);
  if (!mode.ok) return mode;
  const actor = parseActor(values, subjectKind);
  if (!actor.ok) return actor;
  const task = parseTask(values, subjectKind);
  if (!task.ok) return task;

  const target = parseTarget(form);
  if (!target.ok) return target;
  const scopes = parseScopes(scope);
  if (!scopes.ok) return scopes;
  const details = parseDetails(values['authorization_details']);
  if (!details.ok) return details;
  return ok({ subjectToken, subjectKind, clientId, ...actor.value, ...task.value, target: target.value, scopes: scopes.value, requestedTokenType, ...details.value, ...(mode.value ? { deferrable: true } : {}) });
};

/** A list of modes; a mode that does not exist here is asked for on purpose. */
const parseCompletionMode = (raw: string | undefined): Result<boolean, Refusal> => {
  if (raw === undefined) return ok(false);
  return raw.split(' ').every((mode) => mode === 'deferred') ? ok(true) : err(refusal('parameter_invalid', 'completion_mode is not deferred'));
};

/** A poll with a deferral code; undefined: the form is of another grant. What was asked is frozen: nothing of it can be said again, or otherwise. */
export const parseDeferredRequest = (form: Form): Result<DeferredRequest | undefined, Refusal> => {
  const grantType = single(form, 'grant_type');
  if (!grantType.ok || grantType.value !== DEFERRED_GRANT) return grantType.ok ? ok(undefined) : grantType;
  for (const name of CLIENT_AUTHENTICATION) if (hasValue(form, name)) return err(refusal('client_authentication_unsupported', name));
  const extra = [...EXCHANGE, ...REFUSED, 'resource', 'audience'].find((name) => name !== 'client_id' && hasValue(form, name));
  if (extra !== undefined) return err(refusal('parameter_unsupported', `${extra} with a deferral code`));
  const code = single(form, 'deferral_code');
  if (!code.ok) return code;
  const clientId = single(form, 'client_id');
  if (!clientId.ok) return clientId;
  return code.value === undefined ? err(refusal('parameter_missing', 'deferral_code')) : ok({ code: code.value, clientId: clientId.value });
};

const hasValue = (form: Form, name: string): boolean => (form.get(name) ?? []).some((value) => value !== '');
