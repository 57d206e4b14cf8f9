import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { startForeignIssuer } from '../support/foreign-issuer.ts';
import type { Claims, ForeignIssuer, MintOptions } from '../support/foreign-issuer.ts';
import { freePort } from '../../demo/free-port.ts';
import type { Answer } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { API, claimsOf, startLab } from './lab.ts';
import type { Lab } from './lab.ts';

let lab: Lab;
let staff: ForeignIssuer;
let port: number;
beforeAll(async () => {
  staff = await startForeignIssuer();
  port = await freePort();
  lab = await startLab({ overrides: { admin: { listen: `127.0.0.1:${port}` } } });
});
afterAll(async () => {
  await lab.close();
  await staff.close();
});

const issuerEntry = (domain: string, name: string, more: object = {}): object => ({
  domain, name, kind: 'oidc', proves: 'admins', issuer: staff.issuer, owner: OWNER, expires: FAR, claims: { groups: { claim: 'groups', type: 'list' } }, ...more,
});
const policyEntry = (domain: string, name: string, cedar: string): object => ({ domain, name, cedar, owner: OWNER, expires: FAR, accept: [{ rule: 'permit-open', reason: 'the installation is theirs', until: FAR }] });

/** Ada's login token for the installation's admin API. */
const login = (claims: Claims = {}, options?: MintOptions): string => staff.mint({ sub: 'ada', aud: `${lab.mayfly.url}/system/admin`, groups: ['platform'], ...claims }, options);
const call = async (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, authorization?: string | string[], body?: unknown): Promise<Answer> => {
  const response = await request(`http://127.0.0.1:${port}/admin/v1/${path}`, {
    method, headers: { ...(authorization === undefined ? {} : { authorization }), ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.body.text();
  return { status: response.statusCode, headers: response.headers, body: (text === '' ? {} : JSON.parse(text)) as Answer['body'] };
};
const outcome = ({ status, body }: Answer): readonly unknown[] => [status, body['code']];

describe('before anyone is registered', () => {
  test('the socket is the only way in, for its owner alone', async () => {
    const socket = lab.mayfly.server.adminSocket.slice('unix://'.length);
    expect([statSync(socket).mode & 0o777, statSync(dirname(socket)).mode & 0o777]).toEqual([0o600, 0o700]);
    expect((await lab.mayfly.admin('GET', 'domains')).status).toBe(200);
    expect(outcome(await call('GET', 'domains', `Bearer ${login()}`))).toEqual([401, 'admin_unauthenticated']);
  });

  test('the public listener has no admin API', async () => {
    const response = await fetch(`${lab.mayfly.url}/admin/v1/domains`);
    expect(response.status).toBe(404);
  });

  test('an issuer alone permits nothing, and its admins cannot write the first policy', async () => {
    await lab.mayfly.apply({ issuers: [issuerEntry('system', 'staff')] });
    expect(outcome(await call('GET', 'domains', `Bearer ${login()}`))).toEqual([403, 'admin_denied']);
    const first = policyEntry('system', 'platform-reads', 'permit(principal in Group::"platform", action in Action::"admin-read", resource);');
    const denied = await call('POST', 'apply', `Bearer ${login()}`, { manifest: { policies: [first] } });
    expect(outcome(denied)).toEqual([403, 'admin_denied']);
    const [, decision] = /mayfly explain (dec_[0-9a-f]{32})$/.exec(String(denied.body['detail'])) ?? [];
    expect((await lab.mayfly.admin('GET', `decisions/${String(decision)}`)).body).toMatchObject({ outcome: 'denied', code: 'admin_denied', facts: { verb: 'apply', on: 'system' } });
    expect((await lab.mayfly.admin('GET', 'policies?domain=system')).body['items']).toEqual([]);
    await lab.mayfly.apply({ policies: [first] });
    expect((await call('GET', 'domains', `Bearer ${login()}`)).status).toBe(200);
  });
});

describe('who is an admin', () => {
  test('one login serves for many calls, as a listing of many pages needs', async () => {
    const token = login();
    for (let page = 0; page < 3; page += 1) expect((await call('GET', 'domains', `Bearer ${token}`)).status).toBe(200);
  });

  test('unless the issuer\'s entry says that each token is for one call', async () => {
    const strict = await startForeignIssuer();
    try {
      await lab.mayfly.apply({ issuers: [issuerEntry('system', 'strict', { issuer: strict.issuer, replay: 'once' })] });
      const token = strict.mint({ sub: 'ada', aud: `${lab.mayfly.url}/system/admin`, groups: ['platform'] });
      expect((await call('GET', 'domains', `Bearer ${token}`)).status).toBe(200);
      expect(outcome(await call('GET', 'domains', `Bearer ${token}`))).toEqual([401, 'admin_unauthenticated']);
    } finally {
      await strict.close();
    }
  });

  const STRANGERS: readonly { readonly name: string; readonly why: string; readonly authorization: () => string | string[] | undefined | Promise<string> }[] = [
    { name: 'nobody', why: 'no token', authorization: () => undefined },
    { name: 'a password', why: 'neither Bearer', authorization: () => `Basic ${Buffer.from('ada:secret').toString('base64')}` },
    { name: 'two tokens', why: 'more than one', authorization: () => [`Bearer ${login()}`, `Bearer ${login()}`] },
    { name: 'a token bound in a way that cannot be checked', why: 'evidence_claim_invalid', authorization: () => `Bearer ${login({ cnf: { 'x5t#S256': 'a'.repeat(43) } })}` },
    { name: 'a login for something else', why: 'evidence_audience_wrong', authorization: () => `Bearer ${login({ aud: 'https://wiki.acme.example' })}` },
    { name: 'a login for something else too', why: 'evidence_audience_wrong', authorization: () => `Bearer ${login({ aud: [`${lab.mayfly.url}/system/admin`, 'https://wiki.acme.example'] })}` },
    { name: 'a login for another domain\'s admin API', why: 'evidence_audience_wrong', authorization: () => `Bearer ${login({ aud: `${lab.issuer}/admin` })}` },
    { name: 'an expired login', why: 'evidence_expired', authorization: () => `Bearer ${login({ iat: 1_000_000_000, exp: 1_000_000_300 })}` },
    { name: 'an issuer nobody registered', why: 'evidence_issuer_unknown', authorization: () => `Bearer ${login({ iss: 'https://evil.example' })}` },
    { name: 'a stranger\'s key', why: 'evidence_signature_invalid', authorization: () => `Bearer ${login({}, { key: lab.platform.key(), header: { kid: staff.key().kid } })}` },
    { name: 'an unsigned token', why: 'evidence_alg_not_allowed', authorization: () => `Bearer ${login({}, { header: { alg: 'none' } })}` },
    { name: 'a workload\'s evidence', why: 'evidence_issuer_unknown', authorization: () => `Bearer ${lab.job()}` },
    { name: 'a workload\'s evidence for the admin API', why: 'evidence_issuer_unknown', authorization: () => `Bearer ${lab.job({ aud: `${lab.mayfly.url}/system/admin`, groups: ['platform'] })}` },
    { name: 'a workload\'s token', why: 'evidence_issuer_unknown', authorization: async () => `Bearer ${await lab.token()}` },
    { name: 'a workload\'s session token', why: 'evidence_issuer_unknown', authorization: async () => `Bearer ${await lab.session([{ audience: API, scopes: [] }])}` },
    { name: 'rubbish', why: 'evidence_malformed', authorization: () => 'Bearer x' },
  ];
  test.each(STRANGERS)('$name is not, and all are told the same', async ({ authorization, why }) => {
    const answer = await call('GET', 'domains', await authorization());
    expect(outcome(answer)).toEqual([401, 'admin_unauthenticated']);
    expect(answer.headers['www-authenticate']).toEqual(['Bearer realm="mayfly-admin"', expect.stringMatching(/^DPoP algs="[^"]+"$/)]);
    const [, decision] = /^an admin can ask why: mayfly explain (dec_\w+)$/.exec(String(answer.body['detail'])) ?? [];
    const told = ({ body: { request_id: _request, detail: _detail, ...rest } }: Answer): object => rest;
    expect(told(answer)).toEqual(told(await call('GET', 'domains')));
    expect((await lab.mayfly.admin('GET', `decisions/${String(decision)}`)).body).toMatchObject({ code: 'admin_unauthenticated', detail: expect.stringContaining(why) });
    expect((await call('GET', 'domains', `Bearer ${login()}`)).status).toBe(200);
  });

  test('an admin\'s login is no evidence of a workload', async () => {
    await lab.refused({ code: 'evidence_issuer_unknown', error: 'invalid_request' }, () => lab.exchange({ subject_token: login({ aud: lab.issuer }) }));
  });

  test('not after the issuer was revoked or removed', async () => {
    expect((await lab.mayfly.admin('POST', 'revocations', { kind: 'issuer', id: 'staff', domain: 'system', reason: 'a test' })).status).toBe(200);
    expect(outcome(await call('GET', 'domains', `Bearer ${login()}`))).toEqual([401, 'admin_unauthenticated']);
    expect((await lab.mayfly.admin('POST', 'enable', { kind: 'issuer', id: 'staff', domain: 'system' })).status).toBe(200);
    expect((await call('GET', 'domains', `Bearer ${login()}`)).status).toBe(200);
    expect((await lab.mayfly.admin('DELETE', 'issuers/system/staff?reason=test')).status).toBe(200);
    expect(outcome(await call('GET', 'domains', `Bearer ${login()}`))).toEqual([401, 'admin_unauthenticated']);
    await lab.mayfly.apply({ issuers: [issuerEntry('system', 'staff')] });
    expect((await call('GET', 'domains', `Bearer ${login()}`)).status).toBe(200);
  });

  test('while the issuer is down nobody is let in that way, and it says so', async () => {
    const fresh = await startForeignIssuer();
    fresh.answer('error');
    try {
      await lab.mayfly.apply({ issuers: [issuerEntry('system', 'fresh', { issuer: fresh.issuer })] });
      const answer = await call('GET', 'domains', `Bearer ${fresh.mint({ sub: 'ada', aud: `${lab.mayfly.url}/system/admin`, groups: ['platform'] })}`);
      expect(outcome(answer)).toEqual([503, 'issuer_keys_unavailable']);
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
      expect(JSON.stringify(answer.body)).not.toContain('fresh');
    } finally {
      await fresh.close();
    }
  });
});

describe('what an admin may do', () => {
  const READS: readonly (readonly ['GET' | 'POST', string, unknown?])[] = [
    ['GET', 'domains'], ['GET', 'issuers?domain=dev'], ['GET', 'workloads/dev/ci%2Fdeployer'], ['GET', 'leases'], ['GET', 'sessions'], ['GET', 'lint'], ['POST', 'audit/verify', {}],
    ['POST', 'simulate', { domain: 'dev', issuer: 'github', attributes: { repository_id: '815', ref: 'refs/heads/main' }, audience: API }], ['POST', 'apply', { manifest: {}, dry_run: true }],
  ];
  test.each(READS.map(([method, path, body]) => ({ method, path, body })))('readers may $method $path, others may not', async ({ method, path, body }) => {
    expect((await call(method, path, `Bearer ${login()}`, body)).status).toBe(200);
    expect(outcome(await call(method, path, `Bearer ${login({ groups: ['sales'] })}`, body))).toEqual([403, 'admin_denied']);
    expect(outcome(await call(method, path, `Bearer ${login({ groups: undefined })}`, body))).toEqual([403, 'admin_denied']);
  });

  const resource = { domain: 'dev', audience: 'https://new.acme.example', owner: OWNER, expires: FAR };
  const WRITES: readonly { readonly name: string; readonly send: (token: string) => Promise<Answer> }[] = [
    { name: 'apply', send: (token) => call('POST', 'apply', token, { manifest: { resources: [resource] } }) },
    { name: 'apply what is there already', send: (token) => call('POST', 'apply', token, { manifest: { resources: [{ domain: 'dev', audience: API, scopes: ['deploy:read', 'deploy:write', 'deploy:admin'], served_by: ['svc/deploy'], owner: OWNER, expires: FAR }] } }) },
    { name: 'put an entry', send: (token) => call('PUT', `resources/dev/${encodeURIComponent(resource.audience)}`, token, resource) },
    { name: 'remove an entry', send: (token) => call('DELETE', 'workloads/dev/ci%2Fbound?reason=test', token) },
    { name: 'remove an entry that is not there', send: (token) => call('DELETE', 'workloads/dev/ci%2Fnobody?reason=test', token) },
    { name: 'make a domain', send: (token) => call('POST', 'apply', token, { manifest: { domains: [{ name: 'new', stage: 'development', owner: OWNER }] } }) },
    { name: 'write itself a policy', send: (token) => call('POST', 'apply', token, { manifest: { policies: [policyEntry('system', 'mine', 'permit(principal, action, resource);')] } }) },
    { name: 'revoke a workload', send: (token) => call('POST', 'revocations', token, { kind: 'workload', id: 'ci/deployer', domain: 'dev', reason: 'mischief' }) },
    { name: 'revoke a workload that is not there', send: (token) => call('POST', 'revocations', token, { kind: 'workload', id: 'ci/nobody', domain: 'dev', reason: 'mischief' }) },
    { name: 'revoke a domain', send: (token) => call('POST', 'revocations', token, { kind: 'domain', id: 'dev', reason: 'mischief' }) },
    { name: 'enable', send: (token) => call('POST', 'enable', token, { kind: 'workload', id: 'ci/deployer', domain: 'dev' }) },
    { name: 'enable what is not there', send: (token) => call('POST', 'enable', token, { kind: 'workload', id: 'ci/nobody', domain: 'dev' }) },
    { name: 'rotate keys', send: (token) => call('POST', 'keys/rotate', token, { domain: 'dev', purpose: 'access' }) },
    { name: 'rewrap keys', send: (token) => call('POST', 'keys/rewrap', token, {}) },
    { name: 'revoke a key that is not there', send: (token) => call('POST', 'keys/nobody/revoke', token, { reason: 'mischief' }) },
    { name: 'send nonsense', send: (token) => call('POST', 'apply', token, { manifest: { workloads: [{ domain: 'dev', name: 'ci/x', match: { issuer: 'githab' } }] } }) },
  ];
  test.each(WRITES)('readers may not $name, and learn nothing from trying', async ({ send }) => {
    const before = (await lab.mayfly.admin('POST', 'apply', { manifest: {}, dry_run: true })).body['version'];
    const answer = await send(`Bearer ${login()}`);
    expect(outcome(answer)).toEqual([403, 'admin_denied']);
    expect(Object.keys(answer.body).sort()).toEqual(['code', 'detail', 'request_id', 'status', 'title', 'type']);
    expect((await lab.mayfly.admin('POST', 'apply', { manifest: {}, dry_run: true })).body['version']).toBe(before);
    expect((await lab.exchange({ subject_token: lab.job() })).status).toBe(200);
  });

  test('a writer writes, and the log names who it was', async () => {
    await lab.mayfly.apply({ policies: [policyEntry('system', 'operators-write', 'permit(principal in Group::"operators", action in Action::"admin", resource);')] });
    const token = login({ sub: 'grace', groups: ['operators'] });
    expect((await call('POST', 'apply', `Bearer ${token}`, { manifest: { resources: [resource] } })).body).toMatchObject({ applied: true });
    const shown = await lab.mayfly.admin('GET', `resources/dev/${encodeURIComponent(resource.audience)}`);
    expect(shown.body['changed_by']).toBe('staff/grace');
    const { body } = await lab.mayfly.admin('GET', 'audit');
    const written = String(body['text']).split('\n').filter((line) => line.includes(resource.audience));
    expect(written.some((line) => line.includes('staff/grace') && line.includes('registry.create'))).toBe(true);
    expect((await lab.mayfly.admin('GET', 'resources/dev/' + encodeURIComponent(API))).body['changed_by']).toBe('local');
  });

  test('a forbid of the system domain wins over its permits', async () => {
    await lab.mayfly.apply({ policies: [{ domain: 'system', name: 'nobody-revokes-domains', owner: OWNER, cedar: 'forbid(principal, action == Action::"admin::revoke", resource == Domain::"dev");' }] });
    const token = `Bearer ${login({ sub: 'grace', groups: ['operators'] })}`;
    expect(outcome(await call('POST', 'revocations', token, { kind: 'workload', id: 'ci/bound', domain: 'dev', reason: 'a test' }))).toEqual([403, 'admin_denied']);
    expect((await lab.mayfly.admin('DELETE', 'policies/system/nobody-revokes-domains?reason=test')).status).toBe(200);
    expect((await call('POST', 'revocations', token, { kind: 'workload', id: 'ci/bound', domain: 'dev', reason: 'a test' })).status).toBe(200);
    expect((await call('POST', 'enable', token, { kind: 'workload', id: 'ci/bound', domain: 'dev' })).status).toBe(200);
  });
});

describe('the request', () => {
  const operator = (): string => `Bearer ${login({ sub: 'grace', groups: ['operators'] })}`;
  test.each([
    { name: 'a page that nobody gave out', path: 'leases?after=garbage', status: 400 }, { name: 'a page of sessions that nobody gave out', path: 'sessions?after=%00', status: 400 },
    { name: 'a limit that is none', path: 'leases?limit=0', status: 400 }, { name: 'two domains', path: 'leases?domain=dev&domain=system', status: 400 },
    { name: 'a section that is none', path: 'secrets', status: 404 }, { name: 'an inherited section', path: '__proto__', status: 404 }, { name: 'an id that is none', path: 'leases/..%2f..%2fetc', status: 404 },
    { name: 'a domain with two names', path: 'domains/dev/extra', status: 404 }, { name: 'a decision that is none', path: 'decisions/dec_x', status: 404 }, { name: 'a broken escape', path: 'workloads/dev/%ff', status: 400 },
  ])('with $name is answered plainly', async ({ path, status }) => {
    const answer = await call('GET', path, operator());
    expect(answer.status).toBe(status);
    expect(answer.headers['cache-control']).toBe('no-store');
  });

  test('of another method or type is answered plainly', async () => {
    expect((await call('DELETE', 'apply', operator())).status).toBe(405);
    const response = await request(`http://127.0.0.1:${port}/admin/v1/apply`, { method: 'POST', headers: { authorization: operator(), 'content-type': 'application/json' }, body: '{"manifest":' });
    expect(response.statusCode).toBe(400);
    await response.body.dump();
  });

  test('with a token in the query is nobody\'s', async () => {
    expect(outcome(await call('GET', `domains?access_token=${login()}`))).toEqual([401, 'admin_unauthenticated']);
  });

  test('shows no credential to anyone, in whatever listing', async () => {
    const token = await lab.token();
    const lists = await Promise.all(['leases', 'sessions', `leases/${String(claimsOf(token)['jti'])}`, 'keys', 'domains', 'issuers', 'audit'].map((path) => lab.mayfly.admin('GET', path)));
    const text = JSON.stringify(lists.map(({ body }) => body));
    for (const part of token.split('.').slice(1)) expect(text).not.toContain(part);
    expect(text).not.toMatch(/"sealed"|"d":"|PRIVATE/);
  });
});
