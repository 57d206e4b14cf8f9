import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { request } from 'undici';
import { malleate } from '../support/foreign-issuer.ts';
import { ACCESS_TOKEN_TYPE, GRANT, JWT_TYPE } from '../support/mayfly.ts';
import type { Answer } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { API, BILLING, DEPLOYER, FORBIDDEN, SERVICE, STRANGER_CLAIMS, VAULT, ceilingOf, claimsOf, issued, startLab } from './lab.ts';
import type { Lab, Refused } from './lab.ts';

let lab: Lab;
beforeAll(async () => { lab = await startLab(); });
afterAll(async () => { await lab.close(); });

type Pairs = readonly (readonly [string, string])[];
const good = (evidence: string): Pairs => [['grant_type', GRANT], ['subject_token', evidence], ['subject_token_type', JWT_TYPE], ['audience', API], ['scope', 'deploy:read']];
const post = (pairs: Pairs, headers?: Readonly<Record<string, string>>): Promise<Answer> => lab.mayfly.form('dev/token', pairs, headers);
const add = (...more: Pairs) => (pairs: Pairs): Pairs => [...pairs, ...more];
const without = (...names: readonly string[]) => (pairs: Pairs): Pairs => pairs.filter(([name]) => !names.includes(name));
const set = (name: string, value: string) => (pairs: Pairs): Pairs => pairs.map((pair) => (pair[0] === name ? [name, value] : pair));
const asResource = (value: string) => (pairs: Pairs): Pairs => [...without('audience')(pairs), ['resource', value]];

const TXN_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:txn_token';

interface FormRow extends Refused { readonly name: string; readonly change: (pairs: Pairs) => Pairs }

const FORM: readonly FormRow[] = [
  { name: 'two grant types', change: add(['grant_type', GRANT]), code: 'parameter_repeated', error: 'invalid_request' },
  { name: 'two subject tokens', change: add(['subject_token', 'x']), code: 'parameter_repeated', error: 'invalid_request' },
  { name: 'two subject tokens of which one is empty', change: add(['subject_token', '']), code: 'parameter_repeated', error: 'invalid_request' },
  { name: 'two scopes', change: add(['scope', 'deploy:write']), code: 'parameter_repeated', error: 'invalid_request' },
  { name: 'two client ids', change: add(['client_id', DEPLOYER], ['client_id', DEPLOYER]), code: 'parameter_repeated', error: 'invalid_request' },
  { name: 'two requested token types', change: add(['requested_token_type', ACCESS_TOKEN_TYPE], ['requested_token_type', ACCESS_TOKEN_TYPE]), code: 'parameter_repeated', error: 'invalid_request' },
  { name: 'two actor tokens', change: add(['actor_token', 'x'], ['actor_token', 'y']), code: 'parameter_repeated', error: 'invalid_request' },
  { name: 'no grant type', change: without('grant_type'), code: 'parameter_missing', error: 'invalid_request' },
  { name: 'an empty grant type', change: set('grant_type', ''), code: 'parameter_missing', error: 'invalid_request' },
  { name: 'another grant type', change: set('grant_type', 'client_credentials'), code: 'grant_type_unsupported', error: 'unsupported_grant_type' },
  { name: 'a grant type in other case', change: set('grant_type', GRANT.toUpperCase()), code: 'grant_type_unsupported', error: 'unsupported_grant_type' },
  { name: 'no subject token', change: without('subject_token'), code: 'parameter_missing', error: 'invalid_request' },
  { name: 'an empty subject token', change: set('subject_token', ''), code: 'parameter_missing', error: 'invalid_request' },
  { name: 'no subject token type', change: without('subject_token_type'), code: 'parameter_missing', error: 'invalid_request' },
  { name: 'a refresh token as subject', change: set('subject_token_type', 'urn:ietf:params:oauth:token-type:refresh_token'), code: 'token_type_unsupported', error: 'invalid_request' },
  { name: 'a SAML assertion as subject', change: set('subject_token_type', 'urn:ietf:params:oauth:token-type:saml2'), code: 'token_type_unsupported', error: 'invalid_request' },
  { name: 'an actor token type alone', change: add(['actor_token_type', JWT_TYPE]), code: 'parameter_invalid', error: 'invalid_request' },
  { name: 'an actor token that is no token', change: add(['actor_token', 'x'], ['actor_token_type', JWT_TYPE]), code: 'evidence_malformed', error: 'invalid_request' },
  { name: 'an actor to hand over to', change: add(['requested_actor', SERVICE]), code: 'actor_unexpected', error: 'invalid_request' },
  { name: 'an answer of a mode that does not exist', change: add(['completion_mode', 'deferred later']), code: 'parameter_invalid', error: 'invalid_request' },
  { name: 'two modes of an answer', change: add(['completion_mode', 'deferred'], ['completion_mode', 'deferred']), code: 'parameter_repeated', error: 'invalid_request' },
  { name: 'a call back when a deferred answer is there', change: add(['completion_mode', 'deferred'], ['client_notification_token', 'x']), code: 'parameter_unsupported', error: 'invalid_request' },
  { name: 'a client assertion', change: add(['client_assertion_type', 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'], ['client_assertion', 'x']), code: 'client_authentication_unsupported', error: 'invalid_client' },
  { name: 'a client secret', change: add(['client_id', DEPLOYER], ['client_secret', 'x']), code: 'client_authentication_unsupported', error: 'invalid_client' },
  { name: 'no target', change: without('audience', 'scope'), code: 'target_missing', error: 'invalid_target' },
  { name: 'an empty target', change: set('audience', ''), code: 'target_missing', error: 'invalid_target' },
  { name: 'a resource with a fragment', change: asResource(`${API}#x`), code: 'target_invalid', error: 'invalid_target' },
  { name: 'a resource with an empty fragment', change: asResource(`${API}#`), code: 'target_invalid', error: 'invalid_target' },
  { name: 'a relative resource', change: asResource('deploy.acme.example'), code: 'target_invalid', error: 'invalid_target' },
  { name: 'a relative resource after an empty one', change: (pairs) => [...without('audience')(pairs), ['resource', ''], ['resource', '/deploy']], code: 'target_invalid', error: 'invalid_target' },
  { name: 'two audiences', change: add(['audience', BILLING]), code: 'target_multiple', error: 'invalid_target' },
  { name: 'a permitted audience and a forbidden one', change: add(['audience', FORBIDDEN]), code: 'target_multiple', error: 'invalid_target' },
  { name: 'an audience and another resource', change: add(['resource', BILLING]), code: 'target_multiple', error: 'invalid_target' },
  { name: 'an audience with a control character', change: set('audience', `${API}\u0000`), code: 'target_invalid', error: 'invalid_target' },
  { name: 'an audience outside ASCII', change: set('audience', 'https://d\u00ebploy.acme.example'), code: 'target_invalid', error: 'invalid_target' },
  { name: 'an audience longer than any registered one', change: set('audience', `https://${'a'.repeat(3000)}`), code: 'target_invalid', error: 'invalid_target' },
  { name: 'an audience with a slash more', change: set('audience', `${API}/`), code: 'target_unknown', error: 'invalid_target' },
  { name: 'an audience in other case', change: set('audience', API.toUpperCase()), code: 'target_unknown', error: 'invalid_target' },
  { name: 'a target that does not exist', change: set('audience', 'https://nowhere.example'), code: 'target_unknown', error: 'invalid_target' },
  { name: 'a target that is not permitted', change: (pairs) => without('scope')(set('audience', FORBIDDEN)(pairs)), code: 'target_denied', error: 'invalid_target' },
  { name: 'a scope of a target that is not permitted', change: (pairs) => set('scope', 'salaries:read')(set('audience', FORBIDDEN)(pairs)), code: 'target_denied', error: 'invalid_target' },
  { name: 'no scope of a target that is not permitted', change: (pairs) => set('scope', 'nonsense')(set('audience', FORBIDDEN)(pairs)), code: 'target_denied', error: 'invalid_target' },
  { name: 'the introspection endpoint', change: (pairs) => without('scope')(set('audience', `${lab.issuer}/introspect`)(pairs)), code: 'target_denied', error: 'invalid_target' },
  { name: 'an unregistered scope beside a good one', change: set('scope', 'deploy:read deploy:everything'), code: 'scope_unknown', error: 'invalid_scope' },
  { name: 'a scope in other case', change: set('scope', 'DEPLOY:READ'), code: 'scope_unknown', error: 'invalid_scope' },
  { name: 'another target\'s scope', change: set('scope', 'bills:read'), code: 'scope_unknown', error: 'invalid_scope' },
  { name: 'a scope with its audience', change: set('scope', `${API}#deploy:read`), code: 'scope_unknown', error: 'invalid_scope' },
  { name: 'only a scope that is not permitted', change: set('scope', 'deploy:admin'), code: 'scope_denied', error: 'invalid_scope' },
  { name: 'scopes with two spaces between', change: set('scope', 'deploy:read  deploy:write'), code: 'scope_malformed', error: 'invalid_scope' },
  { name: 'a leading space', change: set('scope', ' deploy:read'), code: 'scope_malformed', error: 'invalid_scope' },
  { name: 'scopes with a tab between', change: set('scope', 'deploy:read\tdeploy:write'), code: 'scope_malformed', error: 'invalid_scope' },
  { name: 'a quoted scope', change: set('scope', '"deploy:read"'), code: 'scope_malformed', error: 'invalid_scope' },
  { name: 'a scope with a control character', change: set('scope', 'deploy:read\u0000'), code: 'scope_malformed', error: 'invalid_scope' },
  { name: 'a ceiling beside a target', change: add(['authorization_details', ceilingOf([{ audience: API, scopes: ['deploy:read'] }])]), code: 'details_unsupported', error: 'invalid_authorization_details' },
  { name: 'details that are no JSON', change: add(['authorization_details', '[{']), code: 'details_malformed', error: 'invalid_authorization_details' },
  { name: 'details of an unknown type', change: add(['authorization_details', '[{"type":"payment_initiation"}]']), code: 'details_unknown', error: 'invalid_authorization_details' },
  { name: 'a requested token type the target does not issue', change: add(['requested_token_type', 'urn:ietf:params:oauth:token-type:id_token']), code: 'token_type_unsupported', error: 'invalid_request' },
  { name: 'a transaction token', change: add(['requested_token_type', TXN_TOKEN_TYPE]), code: 'token_type_unsupported', error: 'invalid_request' },
  { name: 'a transaction token for a refresh token', change: (pairs) => add(['requested_token_type', TXN_TOKEN_TYPE])(set('subject_token_type', 'urn:ietf:params:oauth:token-type:refresh_token')(pairs)), code: 'token_type_unsupported', error: 'invalid_request' },
  { name: 'the client id of another workload', change: add(['client_id', SERVICE]), code: 'client_id_mismatch', error: 'invalid_client' },
  { name: 'the client id of no workload', change: add(['client_id', 'spiffe://dev.127.0.0.1/nobody']), code: 'client_id_mismatch', error: 'invalid_client' },
  { name: 'a client id with a control character', change: add(['client_id', `${DEPLOYER}\u0000`]), code: 'parameter_invalid', error: 'invalid_request' },
  { name: 'evidence called a session token', change: set('subject_token_type', ACCESS_TOKEN_TYPE), code: 'token_typ_wrong', error: 'invalid_request' },
];

describe('the form', () => {
  test.each(FORM)('refuses $name, and spends nothing: the same evidence then gets a token', async ({ change, ...refused }) => {
    const pairs = good(lab.job());
    await lab.refused(refused, () => post(change(pairs)));
    expect(claimsOf(issued(await post(pairs)))).toMatchObject({ sub: DEPLOYER, aud: API, scope: 'deploy:read' });
  });

  const ACCEPTED: readonly { readonly name: string; readonly change: (pairs: Pairs) => Pairs }[] = [
    { name: 'an unknown parameter', change: add(['colour', 'green'], ['colour', 'red']) },
    { name: 'nested names, which are plain unknown names', change: add(['subject_token[x]', 'y'], ['scope[]', 'deploy:admin'], ['audience[0]', FORBIDDEN], ['__proto__', 'x'], ['constructor', 'x']) },
    { name: 'empty values of parameters it would refuse', change: add(['actor_token', ''], ['client_secret', ''], ['requested_actor', '']) },
    { name: 'the one target as audience and as resource', change: add(['resource', API]) },
    { name: 'the target as resource', change: asResource(API) },
    { name: 'its own client id', change: add(['client_id', DEPLOYER]) },
    { name: 'an ID token, which is evidence like any JWT', change: set('subject_token_type', 'urn:ietf:params:oauth:token-type:id_token') },
    { name: 'the requested token type that the target issues', change: add(['requested_token_type', ACCESS_TOKEN_TYPE]) },
    { name: 'a scope named twice', change: set('scope', 'deploy:read deploy:read') },
  ];
  test.each(ACCEPTED)('takes $name', async ({ change }) => {
    const answer = await post(change(good(lab.job())));
    expect(answer.body).toMatchObject({ token_type: 'Bearer', issued_token_type: ACCESS_TOKEN_TYPE, scope: 'deploy:read' });
    expect(claimsOf(issued(answer))).toMatchObject({ scope: 'deploy:read', aud: API });
    expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache' });
  });
});

describe('the request around the form', () => {
  const body = (evidence: string): string => new URLSearchParams(good(evidence).map(([name, value]) => [name, value])).toString();
  const FORM_TYPE = { 'content-type': 'application/x-www-form-urlencoded' };

  const send = async (method: string, path: string, headers: Record<string, string>, text?: string | Buffer): Promise<Answer> => {
    const response = await request(`${lab.mayfly.url}${path}`, { method: method as 'POST', headers, ...(text === undefined ? {} : { body: text }) });
    const answer = await response.body.text();
    return { status: response.statusCode, headers: response.headers, body: answer.startsWith('{') ? JSON.parse(answer) as Answer['body'] : { text: answer } };
  };

  const WAYS: readonly (Refused & { readonly name: string; readonly send: (evidence: string) => Promise<Answer> })[] = [
    { name: 'the evidence in the query', send: (evidence) => send('POST', `/dev/token?subject_token=${evidence}`, FORM_TYPE, body(evidence)), code: 'credential_in_query', error: 'invalid_request' },
    { name: 'all of it in the query', send: (evidence) => send('POST', `/dev/token?${body(evidence)}`, FORM_TYPE, ''), code: 'credential_in_query', error: 'invalid_request' },
    { name: 'a JSON body', send: (evidence) => send('POST', '/dev/token', { 'content-type': 'application/json' }, JSON.stringify(Object.fromEntries(good(evidence)))), code: 'request_malformed', error: 'invalid_request' },
    { name: 'a form that says it is text', send: (evidence) => send('POST', '/dev/token', { 'content-type': 'text/plain' }, body(evidence)), code: 'request_malformed', error: 'invalid_request' },
    { name: 'a body without a type', send: (evidence) => send('POST', '/dev/token', {}, body(evidence)), code: 'request_malformed', error: 'invalid_request' },
    { name: 'a form in JSON\'s type', send: (evidence) => send('POST', '/dev/token', { 'content-type': 'application/json' }, body(evidence)), code: 'request_malformed', error: 'invalid_request' },
    { name: 'a type that only begins like a form\'s', send: (evidence) => send('POST', '/dev/token', { 'content-type': 'application/x-www-form-urlencoded+x' }, body(evidence)), code: 'request_malformed', error: 'invalid_request' },
    { name: 'a multipart form', send: (evidence) => send('POST', '/dev/token', { 'content-type': 'multipart/form-data; boundary=x' }, body(evidence)), code: 'request_malformed', error: 'invalid_request' },
    { name: 'a form packed by gzip', send: (evidence) => send('POST', '/dev/token', { ...FORM_TYPE, 'content-encoding': 'gzip' }, gzipSync(body(evidence))), code: 'request_malformed', error: 'invalid_request' },
    { name: 'a form packed by brotli', send: (evidence) => send('POST', '/dev/token', { ...FORM_TYPE, 'content-encoding': 'br' }, brotliCompressSync(body(evidence))), code: 'request_malformed', error: 'invalid_request' },
    { name: 'a form that says it is packed', send: (evidence) => send('POST', '/dev/token', { ...FORM_TYPE, 'content-encoding': 'deflate' }, body(evidence)), code: 'request_malformed', error: 'invalid_request' },
    { name: 'a form that is no UTF-8', send: (evidence) => send('POST', '/dev/token', FORM_TYPE, Buffer.concat([Buffer.from(`${body(evidence)}&x=`), Buffer.from([0xff])])), code: 'request_malformed', error: 'invalid_request' },
    { name: 'a form in UTF-16, whatever its type says', send: (evidence) => send('POST', '/dev/token', { 'content-type': 'application/x-www-form-urlencoded; charset=utf-16le' }, Buffer.from(body(evidence), 'utf16le')), code: 'parameter_missing', error: 'invalid_request' },
    { name: 'a scope that is one in UTF-7 only', send: (evidence) => send('POST', '/dev/token', { 'content-type': 'application/x-www-form-urlencoded; charset=utf-7' }, body(evidence).replace('deploy%3Aread', 'deploy%3Are+AGE-d')), code: 'scope_unknown', error: 'invalid_scope' },
    { name: 'a client authenticated by Basic', send: (evidence) => send('POST', '/dev/token', { ...FORM_TYPE, authorization: `Basic ${Buffer.from('a:b').toString('base64')}` }, body(evidence)), code: 'client_authentication_unsupported', error: 'invalid_client', status: 401 },
    { name: 'a client authenticated twice', send: (evidence) => send('POST', '/dev/token', { ...FORM_TYPE, authorization: `Basic ${Buffer.from('a:b').toString('base64')}` }, `${body(evidence)}&client_secret=b`), code: 'client_authentication_unsupported', error: 'invalid_client', status: 401 },
    { name: 'a bearer token beside the form', send: (evidence) => send('POST', '/dev/token', { ...FORM_TYPE, authorization: 'Bearer x' }, body(evidence)), code: 'client_authentication_unsupported', error: 'invalid_client', status: 401 },
  ];
  test.each(WAYS)('refuses $name, and spends nothing', async ({ send: act, ...refused }) => {
    const evidence = lab.job();
    const answer = await lab.refused(refused, () => act(evidence));
    if (refused.status === 401) expect(answer.headers['www-authenticate']).toBeDefined();
    expect((await send('POST', '/dev/token', FORM_TYPE, body(evidence))).status).toBe(200);
  });

  test.each([
    { name: 'a charset of UTF-8', headers: { 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8' } },
    { name: 'another charset, which says nothing about percent-encoding', headers: { 'content-type': 'application/x-www-form-urlencoded; charset=ISO-8859-1' } },
    { name: 'its type in upper case', headers: { 'content-type': 'APPLICATION/X-WWW-FORM-URLENCODED' } },
    { name: 'the encoding that changes nothing', headers: { ...FORM_TYPE, 'content-encoding': 'Identity' } },
  ])('takes a form with $name', async ({ headers }) => {
    expect((await send('POST', '/dev/token', headers, body(lab.job()))).status).toBe(200);
  });

  test.each(['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS'])('refuses %s, whatever method a header claims', async (method) => {
    const evidence = lab.job();
    const answer = await send(method, '/dev/token', { ...FORM_TYPE, 'x-http-method-override': 'POST', 'x-method-override': 'POST' }, method === 'GET' ? undefined : body(evidence));
    expect({ status: answer.status, allow: answer.headers['allow'] }).toEqual({ status: 405, allow: 'POST' });
    const posted = await send('POST', '/dev/token', { ...FORM_TYPE, 'x-http-method-override': 'DELETE' }, body(evidence));
    expect(posted.status).toBe(200);
  });

  test('refuses a body larger than 64 KiB and takes one just below', async () => {
    const evidence = lab.job();
    const padded = (size: number): string => `${body(evidence)}&padding=`.padEnd(size, 'x');
    const before = await lab.leases();
    const large = await send('POST', '/dev/token', FORM_TYPE, padded(64 * 1024 + 1));
    expect({ status: large.status, error: large.body['error'] }).toEqual({ status: 413, error: 'invalid_request' });
    expect(await lab.leases()).toEqual(before);
    expect((await send('POST', '/dev/token', FORM_TYPE, padded(64 * 1024))).status).toBe(200);
  });

  test.each(['/nowhere/token', '/system/token', '/DEV/token', '/admin/token', '/dev%00/token', '/__proto__/token'])('finds no trust domain at %s', async (path) => {
    const evidence = lab.job();
    const answer = await send('POST', path, FORM_TYPE, body(evidence));
    expect({ status: answer.status, error: answer.body['error'] }).toEqual({ status: 404, error: 'invalid_request' });
    expect((await send('POST', '/dev/token', FORM_TYPE, body(evidence))).status).toBe(200);
  });

  test('answers a broken escape in the path with 400', async () => {
    expect((await send('POST', '/%ff/token', FORM_TYPE, '')).status).toBe(400);
  });
});

describe('evidence at the door', () => {
  const ROWS: readonly { readonly name: string; readonly code: string; readonly evidence: () => string }[] = [
    { name: 'an ID token for somebody else', code: 'evidence_audience_wrong', evidence: () => lab.job({ aud: 'https://other.example' }) },
    { name: 'a token for us and for somebody else', code: 'evidence_audience_wrong', evidence: () => lab.job({ aud: [lab.issuer, 'https://other.example'] }) },
    { name: 'a token for the token endpoint\'s URL', code: 'evidence_audience_wrong', evidence: () => lab.job({ aud: `${lab.issuer}/token` }) },
    { name: 'a token for our URL with a slash more', code: 'evidence_audience_wrong', evidence: () => lab.job({ aud: `${lab.issuer}/` }) },
    { name: 'a token for the admin API', code: 'evidence_audience_wrong', evidence: () => lab.job({ aud: `${lab.issuer}/admin` }) },
    { name: 'an issuer nobody registered', code: 'evidence_issuer_unknown', evidence: () => lab.job({ iss: 'https://evil.example' }) },
    { name: 'our own issuer as the platform', code: 'evidence_issuer_unknown', evidence: () => lab.job({ iss: lab.issuer }) },
    { name: 'an expired token', code: 'evidence_expired', evidence: () => lab.job({ iat: 1_000_000_000, exp: 1_000_000_300 }) },
    { name: 'another organisation', code: 'evidence_issuer_unknown', evidence: () => lab.job({ repository_owner_id: '4712' }) },
    { name: 'another repository', code: 'workload_unknown', evidence: () => lab.job(STRANGER_CLAIMS) },
    { name: 'another branch', code: 'workload_unknown', evidence: () => lab.job({ ref: 'refs/heads/dev', sub: 'repo:acme/shop:ref:refs/heads/dev' }) },
    { name: 'a pull request of a stranger', code: 'evidence_event_not_allowed', evidence: () => lab.job({ event_name: 'pull_request_target' }) },
    { name: 'a token that says somebody acts through it', code: 'evidence_claim_invalid', evidence: () => lab.job({ act: { sub: 'somebody' } }) },
    { name: 'a token that says who may act for it', code: 'evidence_claim_invalid', evidence: () => lab.job({ may_act: { sub: 'somebody' } }) },
    { name: 'an unsigned token', code: 'evidence_alg_not_allowed', evidence: () => lab.job({}, { header: { alg: 'none' } }) },
    { name: 'a token with its own key', code: 'evidence_header_not_allowed', evidence: () => lab.job({}, { header: { jwk: lab.platform.key().publicJwk } }) },
    { name: 'no token at all', code: 'evidence_malformed', evidence: () => 'eyJhbGciOiJub25lIn0' },
    { name: 'a token of 16 KiB and one', code: 'evidence_too_large', evidence: () => `${lab.job()}${'A'.repeat(16 * 1024)}` },
  ];
  test.each(ROWS)('refuses $name', async ({ code, evidence }) => {
    const answer = await lab.refused({ code, error: 'invalid_request' }, () => post(good(evidence())));
    expect(answer.body['error_description']).toMatch(/^The subject token is not accepted here\./);
    expect((await post(good(lab.job()))).status).toBe(200);
  });

  test('an ID token for somebody else is refused as such, too', async () => {
    const asIdToken = set('subject_token_type', 'urn:ietf:params:oauth:token-type:id_token');
    await lab.refused({ code: 'evidence_audience_wrong', error: 'invalid_request' }, () => post(asIdToken(good(lab.job({ aud: 'https://other.example' })))));
    expect((await post(asIdToken(good(lab.job())))).status).toBe(200);
  });

  test('the other spelling of an ES256 signature does not pay a second time', async () => {
    await lab.mayfly.apply({ issuers: [{ domain: 'dev', name: 'github', kind: 'github-actions', issuer: lab.platform.issuer, organization_id: '4711', algorithms: ['RS256', 'ES256'], owner: OWNER, expires: FAR }] });
    await lab.platform.rotate({ alg: 'ES256' });
    const evidence = lab.job();
    expect((await post(good(evidence))).status).toBe(200);
    await lab.refused({ code: 'evidence_replayed', error: 'invalid_request' }, () => post(good(malleate(evidence))));
    expect((await post(good(malleate(lab.job())))).status).toBe(200);
  });

  test('one use of evidence pays for one token, also when many come at once', async () => {
    const pairs = good(lab.job());
    const answers = await Promise.all(Array.from({ length: 12 }, () => post(pairs)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array.from({ length: 11 }, () => 400)]);
    const codes = await Promise.all(answers.filter(({ status }) => status !== 200).map((answer) => lab.mayfly.reason(answer)));
    expect(new Set(codes)).toEqual(new Set(['evidence_replayed']));
  });
});

describe('what a refusal tells', () => {
  test.each([
    { name: 'is missing', change: without('subject_token_type'), tells: 'subject_token_type' },
    { name: 'is repeated', change: add(['scope', 'deploy:write']), tells: 'scope is sent 2 times' },
    { name: 'makes no sense', change: add(['completion_mode', 'sometimes']), tells: 'completion_mode is not deferred' },
    { name: 'is not taken', change: add(['client_notification_token', 'x']), tells: 'client_notification_token' },
  ])('names the parameter that $name', async ({ change, tells }) => {
    expect((await post(change(good(lab.job())))).body['error_description']).toMatch(new RegExp(`\\. Here: ${tells}\\.$`));
  });

  const shown = ({ body: { decision_id: _, ...rest }, status, headers }: Answer): object => ({ ...rest, status, retry: headers['retry-after'], nonce: headers['dpop-nonce'] });

  test.each([
    { name: 'plainly', change: without('scope') },
    { name: 'with a scope', change: set('scope', 'salaries:read') },
    { name: 'with an unknown scope', change: set('scope', 'nonsense') },
    { name: 'as another kind of token', change: (pairs: Pairs) => add(['requested_token_type', 'urn:ietf:params:oauth:token-type:id_token'])(without('scope')(pairs)) },
    { name: 'as a resource', change: (pairs: Pairs) => asResource(String(pairs.find(([name]) => name === 'audience')?.[1]))(without('scope')(pairs)) },
  ])('a target that is forbidden and one that does not exist get one answer when asked for $name', async ({ change }) => {
    const forbidden = await post(change(set('audience', FORBIDDEN)(good(lab.job()))));
    const unknown = await post(change(set('audience', 'https://nowhere.example')(good(lab.job()))));
    expect(shown(forbidden)).toEqual(shown(unknown));
    expect([await lab.mayfly.reason(forbidden), await lab.mayfly.reason(unknown)]).toEqual(['target_denied', 'target_unknown']);
  });

  test('a target that is permitted and bound says so only to who may have it', async () => {
    const bound = await post(without('scope')(set('audience', VAULT)(good(lab.job()))));
    expect([bound.body['error'], await lab.mayfly.reason(bound)]).toEqual(['invalid_request', 'dpop_required']);
  });

  test('an admin sees the facts, the nearest policy and what is missing', async () => {
    const answer = await post(set('scope', 'deploy:admin')(good(lab.job())));
    const { body } = await lab.mayfly.admin('GET', `decisions/${String(answer.body['decision_id'])}`);
    expect({ ...body, policies_now: (body['policies_now'] as { nearest: unknown[] }[]).map((each) => ({ ...each, nearest: each.nearest.slice(0, 1) })) }).toMatchObject({
      outcome: 'denied', code: 'scope_denied', domain: 'dev',
      facts: { workload: 'ci/deployer', asked: { target: API, scopes: ['deploy:admin'] }, evidence: { issuer: 'github', attributes: { repository_id: '815' } } },
      policies_now: [{ scope: 'deploy:admin', permitted_now: false, nearest: [{ policy: 'deployer-deploys', why: expect.stringContaining('does not hold') }] }],
    });
    expect(JSON.stringify(answer.body)).not.toMatch(/deployer|policy|815/);
  });

  test('a ceiling that was denied is explained pair by pair', async () => {
    const answer = await lab.mayfly.exchange({ subject_token: lab.job(), authorization_details: ceilingOf([{ audience: API, scopes: ['deploy:read'] }, { audience: BILLING, scopes: ['bills:write'] }]) });
    const { body } = await lab.mayfly.admin('GET', `decisions/${String(answer.body['decision_id'])}`);
    expect(body).toMatchObject({ code: 'scope_denied', policies_now: [
      { audience: API, scope: 'deploy:read', permitted_now: true },
      { audience: BILLING, scope: 'bills:write', permitted_now: false, nearest: expect.arrayContaining([expect.objectContaining({ policy: 'deployer-bills', why: expect.stringContaining('does not hold') })]) },
    ] });
  });

  test('no answer repeats anything of the evidence', async () => {
    const evidence = lab.job();
    for (const change of [set('audience', 'https://nowhere.example'), set('scope', 'deploy:admin'), add(['client_id', SERVICE])]) {
      const answer = await post(change(good(evidence)));
      const text = JSON.stringify(answer.body) + JSON.stringify(answer.headers);
      for (const part of evidence.split('.')) expect(text).not.toContain(part);
    }
  });
});
