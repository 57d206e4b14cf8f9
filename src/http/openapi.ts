import { createDocument } from 'zod-openapi';
import type { ZodOpenApiOperationObject, ZodOpenApiPathsObject, ZodOpenApiResponseObject } from 'zod-openapi';
import { z } from 'zod';
import { applyBody, approvalsQuery, approveBody, auditQuery, denyBody, enableBody, endSessionBody, entriesQuery, keysQuery, lintQuery, openTaskBody, recordsQuery, removeQuery, revocationBody, revocationsQuery, revokeKeyBody, rotateBody, simulateBody, verifyBody } from './admin-schemas.ts';

const problem = z.object({
  type: z.string(), title: z.string(), status: z.int(), code: z.string(), detail: z.string(), request_id: z.string(),
  problems: z.array(z.object({ path: z.string(), message: z.string(), mend: z.string() })).optional(),
  decision_id: z.string().optional().meta({ description: 'Where the proof of a bound token was refused: what to ask about' }),
}).meta({ id: 'Problem', description: 'RFC 9457 problem; `code` is contract, texts are not' });
const oauthError = z.object({
  error: z.string(), error_description: z.string().optional(), decision_id: z.string().optional(),
  deferral_code: z.string().optional(), expires_in: z.int().optional(), interval: z.int().optional(), approval_id: z.string().optional(),
}).meta({ id: 'OAuthError', description: 'RFC 6749 section 5.2; the last four where people are asked first (Deferred Token Response)' });
const tokenRequest = z.object({
  grant_type: z.enum(['urn:ietf:params:oauth:grant-type:token-exchange', 'urn:ietf:params:oauth:grant-type:deferred']), subject_token: z.string().optional(), subject_token_type: z.string().optional(), client_id: z.string().optional(),
  actor_token: z.string().optional(), actor_token_type: z.string().optional(), requested_actor: z.string().optional(), session: z.string().optional(), purpose: z.string().optional(),
  audience: z.string().optional(), resource: z.string().optional(), scope: z.string().optional(), requested_token_type: z.string().optional(), authorization_details: z.string().optional(),
  completion_mode: z.literal('deferred').optional(), deferral_code: z.string().optional(),
}).meta({ id: 'TokenRequest', description: 'RFC 8693 section 2.1; with the deferred grant nothing but deferral_code and client_id' });
const tokenResponse = z.object({
  access_token: z.string(), issued_token_type: z.string(), token_type: z.enum(['Bearer', 'DPoP', 'N_A']), expires_in: z.int(), scope: z.string().optional(),
  authorization_details: z.array(z.looseObject({ type: z.string() })).optional(),
}).meta({ id: 'TokenResponse', description: 'RFC 8693 section 2.2.1' });

const json = (schema: z.ZodType) => ({ 'application/json': { schema } });
const answers = (schema: z.ZodType = z.looseObject({})): ZodOpenApiOperationObject['responses'] => ({
  200: { description: 'Done', content: json(schema) },
  default: { description: 'Refused', content: { 'application/problem+json': { schema: problem } } },
});
const fallen = z.object({
  leases: z.int().meta({ description: 'Active leases that ended with it' }),
  more: z.literal(true).optional().meta({ description: 'There were more than were counted; they ended too' }),
  ends_by_itself: z.array(z.object({ lease: z.string(), audience: z.string(), until: z.iso.datetime(), note: z.string() })).meta({ description: 'Credentials that their target goes on honouring, and until when' }),
});
const revoked = fallen.loose().meta({ id: 'Revoked', description: 'What fell, and what could not be taken back at its target' });
const applied = fallen.partial().loose().meta({ id: 'Applied', description: 'The changes; what fell with entries that ended, where any did' });
const pathOf = (...names: readonly string[]) => z.object(Object.fromEntries(names.map((name) => [name, z.string()])));
const call = (summary: string, parts: { readonly query?: z.ZodObject; readonly path?: z.ZodObject; readonly body?: z.ZodType; readonly answer?: z.ZodType } = {}): ZodOpenApiOperationObject => ({
  summary, tags: ['admin'], security: [{ admin: [] }, { boundAdmin: [] }],
  ...(parts.query === undefined && parts.path === undefined ? {} : { requestParams: { ...(parts.query === undefined ? {} : { query: parts.query }), ...(parts.path === undefined ? {} : { path: parts.path }) } }),
  ...(parts.body === undefined ? {} : { requestBody: { required: true, content: json(parts.body) } }),
  responses: answers(parts.answer),
});

const entryPaths = (section: string, key: string, schema: z.ZodType): ZodOpenApiPathsObject => {
  const path = section === 'domains' ? pathOf('name') : pathOf('domain', key);
  const url = section === 'domains' ? '/admin/v1/domains/{name}' : `/admin/v1/${section}/{domain}/{${key}}`;
  return {
    [`/admin/v1/${section}`]: { get: call(`List ${section}`, { query: entriesQuery }) },
    [url]: {
      get: call('One entry', { path }), put: call('Add an entry, or replace the one of that name', { path, body: schema, answer: applied }),
      ...(section === 'domains' ? {} : { delete: call('End an entry and revoke what hangs on it', { path, query: removeQuery, answer: applied }) }),
    },
  };
};

const form = (schema: z.ZodType): NonNullable<ZodOpenApiOperationObject['requestBody']> => ({ required: true, content: { 'application/x-www-form-urlencoded': { schema } } });
const oauth = (summary: string, request: z.ZodType, response: z.ZodType): ZodOpenApiOperationObject => ({
  summary, tags: ['trust domain'], requestParams: { path: pathOf('domain') }, requestBody: form(request),
  responses: { 200: { description: 'Done', content: json(response) }, default: { description: 'Refused', content: json(oauthError) } },
});

const statusCall = (summary: string, path: z.ZodObject, content: NonNullable<ZodOpenApiResponseObject['content']>): ZodOpenApiOperationObject => ({
  summary, tags: ['trust domain'], requestParams: { path }, responses: { 200: { description: 'Done', content }, default: { description: 'Refused', content: json(oauthError) } },
});

/** OpenAPI 3.1 of everything the server answers, made from the schemas that check the requests. */
export const createOpenApi = (entries: ReadonlyMap<string, z.ZodType>, version: string): object => createDocument({
  openapi: '3.1.0',
  info: { title: 'Mayfly', version, description: 'Secure token service and credential broker', license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
  components: { securitySchemes: {
    admin: { type: 'http', scheme: 'bearer', description: 'OIDC token of an issuer that proves admins; none on the local socket' },
    boundAdmin: { type: 'http', scheme: 'DPoP', description: 'Such a token that is bound to a key (`cnf.jkt`), with a proof by that key in the DPoP header (RFC 9449)' },
  } },
  paths: {
    '/{domain}/token': { post: oauth('Exchange evidence for a credential (RFC 8693)', tokenRequest, tokenResponse) },
    '/{domain}/introspect': { post: oauth('Introspect a token (RFC 7662)', z.object({ token: z.string(), token_type_hint: z.string().optional() }), z.looseObject({ active: z.boolean() })) },
    '/{domain}/revoke': { post: oauth('Revoke a credential (RFC 7009)', z.object({ token: z.string(), client_id: z.string().optional(), token_type_hint: z.string().optional() }), z.unknown()) },
    '/{domain}/status': { get: statusCall('Where every status list is', pathOf('domain'), json(z.object({ status_lists: z.array(z.url()) }).meta({ id: 'StatusLists', description: 'Token Status List section 9.3' }))) },
    '/{domain}/status/{list}': { get: statusCall('A status list token', pathOf('domain', 'list'), { 'application/statuslist+jwt': { schema: z.string().meta({ description: 'Token Status List section 5.1' }) } }) },
    '/admin/v1/apply': { post: call('Make the registry what a manifest says', { body: applyBody, answer: applied }) },
    ...Object.assign({}, ...[...entries].map(([section, schema]) => entryPaths(section, section === 'resources' ? 'audience' : 'name', schema))) as ZodOpenApiPathsObject,
    '/{domain}/session/spend': { post: oauth('Tell what a task has spent; Authorization: a session token of it', z.object({ amount: z.string().regex(/^[1-9]\d{0,14}$/) }), z.object({ spent: z.int(), most: z.int(), left: z.int() })) },
    '/admin/v1/sessions': { get: call('List sessions', { query: recordsQuery }), post: call('Open a task of an autonomous workload', { body: openTaskBody }) },
    '/admin/v1/sessions/{id}/end': { post: call('End a session before its time', { path: pathOf('id'), body: endSessionBody }) },
    '/admin/v1/sessions/{id}': { get: call('One session: state, budgets, the hops of its chain with their decisions and uses, and its newest leases', { path: pathOf('id') }) },
    '/admin/v1/approvals': { get: call('List requests that wait for people, or did; a person sees those they may decide on', { query: approvalsQuery }) },
    '/admin/v1/approvals/{id}': { get: call('One such request: who asks, on whose behalf, what for, until when', { path: pathOf('id') }) },
    '/admin/v1/approvals/{id}/approve': { post: call('Agree, as the person whose token is shown', { path: pathOf('id'), body: approveBody }) },
    '/admin/v1/approvals/{id}/deny': { post: call('Say no, as the person whose token is shown', { path: pathOf('id'), body: denyBody }) },
    '/admin/v1/leases': { get: call('List leases', { query: recordsQuery }) },
    '/admin/v1/leases/{id}': { get: call('One lease with its decision and facts', { path: pathOf('id') }) },
    '/admin/v1/revocations': { get: call('List revocations, newest first, with what was carried out of each', { query: revocationsQuery }), post: call('Take authority back', { body: revocationBody, answer: revoked }) },
    '/admin/v1/revocations/{id}': { get: call('One revocation: how many fell, and which their targets go on honouring', { path: pathOf('id') }) },
    '/admin/v1/enable': { post: call('Let a revoked workload, person, issuer or domain begin anew', { body: enableBody }) },
    '/admin/v1/decisions/{id}': { get: call('Why a decision fell as it did', { path: pathOf('id') }) },
    '/admin/v1/simulate': { post: call('The decision a request would get', { body: simulateBody }) },
    '/admin/v1/lint': { get: call('Over-broad trust', { query: lintQuery }) },
    '/admin/v1/audit': { get: call('Audit entries as JSON lines', { query: auditQuery }) },
    '/admin/v1/audit/verify': { post: call('Verify the audit chains', { body: verifyBody }) },
    '/admin/v1/keys': { get: call('List signing keys', { query: keysQuery }) },
    '/admin/v1/keys/rotate': { post: call('Publish a new key now', { body: rotateBody }) },
    '/admin/v1/keys/rewrap': { post: call('Seal every key under the current key-encryption key') },
    '/admin/v1/keys/{kid}/revoke': { post: call('Take a key out at once', { path: pathOf('kid'), body: revokeKeyBody, answer: revoked }) },
  },
});
