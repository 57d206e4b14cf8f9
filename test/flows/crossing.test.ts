import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { GRANT, JWT_TYPE, startMayfly } from '../support/mayfly.ts';
import type { Answer, Mayfly } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { ALICE, spiffe, startAgentsLab } from './agents-lab.ts';
import type { AgentsLab } from './agents-lab.ts';
import { API, ceilingOf, claimsOf, issued, until } from './lab.ts';

const PROD_API = 'https://prod.acme.example';
const PROD_HIDDEN = 'https://hidden.acme.example';
const DEPLOYER = 'spiffe://prod.127.0.0.1/ops/deployer';
const OTHER = 'spiffe://prod.127.0.0.1/ops/other';
const entry = { owner: OWNER, expires: FAR };

/** A domain that takes chains of `from` over: its deployer may cross to the API, and to nothing else. */
const takingOver = (name: string, platform: string, from: string, issuer: string): Record<string, object[]> => {
  const workload = (path: string): string => `Workload::"spiffe://${name}.127.0.0.1/${path}"`;
  return {
    domains: [{ name, stage: 'development', owner: 'local' }],
    issuers: [
      { domain: name, name: 'platform', kind: 'oidc', issuer: platform, replay_key: 'jti', claims: { agent_id: { claim: 'agent_id', immutable: true, required: true } }, ...entry },
      { domain: name, name: 'dev', kind: 'mayfly', proves: 'domains', issuer: from, stage: 'development', ...entry },
    ],
    resources: [
      { domain: name, audience: PROD_API, scopes: ['deploy:read', 'deploy:write'], served_by: ['svc/api'], ...entry },
      { domain: name, audience: PROD_HIDDEN, scopes: ['read'], ...entry },
    ],
    workloads: ['ops/deployer', 'ops/other', 'svc/api'].map((path) => ({ domain: name, name: path, kind: 'agent', authority: path === 'svc/api' ? 'bounded' : 'delegated', match: { issuer: 'platform', agent_id: `${name}/${path}` }, ...entry })),
    policies: [
      { domain: name, name: 'deployer-crosses', cedar: `permit(principal == ${workload('ops/deployer')}, action == Action::"cross", resource in Resource::"${PROD_API}") when { context.chain.domains.contains("${from}") && context.chain.stages.contains("development") };`, ...entry },
      { domain: name, name: 'deployer-acts', cedar: `permit(principal == ${workload('ops/deployer')}, action in [Action::"act", Action::"delegate"], resource) when { resource in [Resource::"${PROD_API}", Resource::"${PROD_HIDDEN}", Resource::"${from}"] };`, ...entry },
      { domain: name, name: 'other-acts', cedar: `permit(principal == ${workload('ops/other')}, action == Action::"act", resource in Resource::"${PROD_API}");`, ...entry },
      { domain: name, name: 'api-listens', cedar: `permit(principal == ${workload('svc/api')}, action == Action::"issue", resource in Resource::"${issuer}/ssf");`, ...entry },
      { domain: name, name: 'api-introspects', cedar: `permit(principal == ${workload('svc/api')}, action == Action::"issue", resource == Resource::"${issuer}/introspect");`, ...entry },
    ],
  };
};

/** What lets the planner leave for another domain. */
const leaving = (to: string, name: string): Record<string, object[]> => ({
  resources: [{ domain: 'dev', audience: to, provider: 'domain', ...entry }],
  policies: [
    { domain: 'dev', name: `planner-leaves-for-${name}`, cedar: `permit(principal == Workload::"${spiffe('agents/planner')}", action in [Action::"act", Action::"delegate"], resource == Resource::"${to}");`, ...entry },
    { domain: 'dev', name: `fixer-leaves-for-${name}`, cedar: `permit(principal == Workload::"${spiffe('ops/fixer')}", action in [Action::"issue", Action::"delegate"], resource == Resource::"${to}");`, ...entry },
    { domain: 'dev', name: `engineers-leave-for-${name}`, cedar: `permit(principal in Group::"engineering", action == Action::"delegate", resource == Resource::"${to}");`, ...entry },
  ],
});

let lab: AgentsLab;
let prod: string;
beforeAll(async () => {
  lab = await startAgentsLab();
  prod = `${lab.mayfly.url}/prod`;
  const platform = String(claimsOf(lab.agent('agents/planner'))['iss']);
  await lab.mayfly.apply(takingOver('prod', platform, lab.issuer, prod));
  await lab.mayfly.apply(leaving(prod, 'prod'));
});
afterAll(async () => { await lab.close(); });

const reasonOf = async (answer: Answer, mayfly: Mayfly = lab.mayfly): Promise<string> => (answer.status === 200 ? 'issued' : mayfly.reason(answer));
const session = (values: Readonly<Record<string, string>> = {}): Promise<string> => lab.session([{ audience: API, scopes: ['deploy:read'] }, { audience: prod, scopes: [] }], values);
const leave = async (values: Readonly<Record<string, string>> = {}, from?: string): Promise<Answer> => lab.spend(from ?? await session(), { audience: prod, requested_actor: DEPLOYER, ...values });
const evidence = (path = 'ops/deployer', domain = 'prod', aud = prod): string => lab.agent('agents/planner', { sub: `agent:${path}`, aud, agent_id: `${domain}/${path}` });
const goOn = (crossing: string, values: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  lab.mayfly.form('prod/token', { grant_type: GRANT, subject_token: crossing, subject_token_type: JWT_TYPE, actor_token: evidence(), actor_token_type: JWT_TYPE, audience: PROD_API, scope: 'deploy:read', ...values });
const isActive = async (token: string): Promise<unknown> => {
  const own = issued(await lab.mayfly.form('prod/token', { grant_type: GRANT, subject_token: evidence('svc/api'), subject_token_type: JWT_TYPE, audience: `${prod}/introspect` }));
  return (await lab.mayfly.form('prod/introspect', { token }, { authorization: `Bearer ${own}` })).body['active'];
};

describe('a chain that leaves for another domain', () => {
  test('gets a token for a minute, made out to that domain and to one workload there, with the domains it passed', async () => {
    const answer = await leave();
    expect(answer.body).toMatchObject({ token_type: 'N_A', issued_token_type: JWT_TYPE });
    const claims = claimsOf(issued(answer));
    expect(claims).toMatchObject({
      iss: lab.issuer, aud: prod, sub: ALICE, act: { iss: lab.issuer, sub: spiffe('agents/planner') }, may_act: { iss: prod, sub: DEPLOYER }, auth_time: expect.any(Number),
      authority: { model: 'delegated', principal: ALICE, depth: 0, domains: [{ iss: lab.issuer, stage: 'development' }] },
    });
    expect(Number(claims['exp']) - Number(claims['iat'])).toBe(60);
    expect([claims['scope'], claims['authorization_details']]).toEqual([undefined, undefined]);
  });

  test.each([
    { name: 'nobody is named who goes on', code: 'crossing_unnamed', values: { requested_actor: '' } },
    { name: 'a scope is asked for', code: 'scope_unknown', values: { scope: 'deploy:read' } },
    { name: 'an access token is asked for', code: 'token_type_unsupported', values: { requested_token_type: 'urn:ietf:params:oauth:token-type:access_token' } },
    { name: 'the target is no domain', code: 'actor_unexpected', values: { audience: API, scope: 'deploy:read' } },
  ])('is refused when $name', async ({ code, values }) => {
    expect(await reasonOf(await leave(values))).toBe(code);
  });

  test('is refused where the ceiling does not hold the other domain, and to one that no policy lets go', async () => {
    expect(await reasonOf(await leave({}, await lab.session()))).toBe('ceiling_exceeded');
    const handover = issued(await lab.handOn(await session(), 'agents/searcher', [{ audience: prod, scopes: [] }]));
    expect(await reasonOf(await lab.takeUp(handover, 'agents/searcher', { authorization_details: ceilingOf([{ audience: prod, scopes: [] }]) }))).toBe('target_denied');
  });

  test('is worth nothing in the domain it leaves', async () => {
    expect(await reasonOf(await lab.spend(issued(await leave()), { scope: 'deploy:read' }))).toBe('token_not_exchangeable');
  });
});

describe('a chain that comes from another domain', () => {
  test('goes on with all its actors, for the same person, with what is permitted here', async () => {
    const token = issued(await goOn(issued(await leave()), { scope: 'deploy:read deploy:write' }));
    expect(claimsOf(token)).toMatchObject({
      iss: prod, aud: PROD_API, sub: ALICE, client_id: DEPLOYER, scope: 'deploy:read deploy:write',
      act: { iss: prod, sub: DEPLOYER, act: { iss: lab.issuer, sub: spiffe('agents/planner') } }, authority: { model: 'delegated', principal: ALICE, depth: 1 },
    });
    expect(await isActive(token)).toBe(true);
  });

  test('goes on with a session token, hands on below, and renews', async () => {
    const own = issued(await goOn(issued(await leave()), { audience: '', scope: '', authorization_details: ceilingOf([{ audience: PROD_API, scopes: ['deploy:read'] }]) }));
    const spend = (values: Readonly<Record<string, string>>): Promise<Answer> =>
      lab.mayfly.form('prod/token', { grant_type: GRANT, subject_token: own, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token', ...values });
    expect(claimsOf(issued(await spend({ audience: PROD_API, scope: 'deploy:read' })))['sub']).toBe(ALICE);
    expect(await reasonOf(await spend({ audience: PROD_API, scope: 'deploy:write' }))).toBe('ceiling_exceeded');
    const handover = issued(await spend({ authorization_details: ceilingOf([{ audience: PROD_API, scopes: ['deploy:read'] }]), requested_actor: OTHER }));
    const taken = issued(await lab.mayfly.form('prod/token', {
      grant_type: GRANT, subject_token: handover, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token', actor_token: evidence('ops/other'), actor_token_type: JWT_TYPE, audience: PROD_API, scope: 'deploy:read',
    }));
    expect(claimsOf(taken)['act']).toEqual({ iss: prod, sub: OTHER, act: { iss: prod, sub: DEPLOYER, act: { iss: lab.issuer, sub: spiffe('agents/planner') } } });
    const renewed = await lab.mayfly.form('prod/token', { grant_type: GRANT, subject_token: String(claimsOf(own)['sid']), subject_token_type: 'urn:mayfly:token-type:session', actor_token: evidence(), actor_token_type: JWT_TYPE, audience: PROD_API, scope: 'deploy:read' });
    expect(claimsOf(issued(renewed))['act']).toEqual({ iss: prod, sub: DEPLOYER, act: { iss: lab.issuer, sub: spiffe('agents/planner') } });
  });

  test('goes on once', async () => {
    const crossing = issued(await leave());
    expect(await reasonOf(await goOn(crossing, { audience: PROD_HIDDEN, scope: 'read' }))).toBe('crossing_denied');
    expect(await reasonOf(await goOn(crossing))).toBe('issued');
    expect(await reasonOf(await goOn(crossing))).toBe('evidence_replayed');
  });

  test.each([
    { name: 'no evidence of who goes on', code: 'actor_missing', values: () => ({ actor_token: '', actor_token_type: '' }) },
    { name: 'evidence of another workload than the token names', code: 'actor_mismatch', values: () => ({ actor_token: evidence('ops/other') }) },
    { name: 'evidence that is good in the other domain only', code: 'evidence_audience_wrong', values: () => ({ actor_token: lab.agent('agents/planner') }) },
    { name: 'a target that no policy lets a chain cross to', code: 'crossing_denied', values: () => ({ audience: PROD_HIDDEN, scope: 'read' }) },
    { name: 'a target that does not exist', code: 'crossing_denied', values: () => ({ audience: 'https://nowhere.acme.example', scope: 'read' }) },
  ])('is refused with $name', async ({ code, values }) => {
    const answer = await goOn(issued(await leave()), values());
    expect([answer.status, answer.body['error'], await reasonOf(answer)]).toEqual([400, 'invalid_request', code]);
  });

  test('is refused with other tokens of the other domain: a session token, one for an API, one handed on', async () => {
    const own = await session();
    expect(await reasonOf(await goOn(own))).toBe('evidence_lifetime_too_long');
    expect(await reasonOf(await goOn(issued(await lab.spend(own, { scope: 'deploy:read' }))))).toBe('evidence_lifetime_too_long');
    expect(await reasonOf(await goOn(issued(await lab.handOn(own, 'agents/searcher'))))).toBe('evidence_lifetime_too_long');
  });

  test('is refused with a signature of nobody, and in a domain that does not trust where it comes from', async () => {
    const crossing = issued(await leave());
    const [header, , signature] = crossing.split('.');
    const forged = Buffer.from(JSON.stringify({ ...claimsOf(crossing), sub: 'urn:mayfly:dev:person:corp:bob' })).toString('base64url');
    expect(await reasonOf(await goOn(`${String(header)}.${forged}.${String(signature)}`))).toBe('evidence_signature_invalid');
    const platform = String(claimsOf(lab.agent('agents/planner'))['iss']);
    const manifest = takingOver('lone', platform, lab.issuer, `${lab.mayfly.url}/lone`);
    await lab.mayfly.apply({ ...manifest, issuers: manifest['issuers']?.slice(0, 1) });
    const lone = `${lab.mayfly.url}/lone`;
    const answer = await lab.mayfly.form('lone/token', { grant_type: GRANT, subject_token: crossing, subject_token_type: JWT_TYPE, actor_token: evidence('ops/deployer', 'lone', lone), actor_token_type: JWT_TYPE, audience: PROD_API, scope: 'deploy:read' });
    expect(await reasonOf(answer)).toBe('evidence_issuer_unknown');
    expect(await reasonOf(await goOn(crossing))).toBe('issued');
  });

  test('is refused without a policy that names the crossing, whatever else the workload may do here', async () => {
    const crossing = issued(await leave({ requested_actor: OTHER }));
    expect(await reasonOf(await goOn(crossing, { actor_token: evidence('ops/other') }))).toBe('crossing_denied');
  });

  test('is refused back where it was before', async () => {
    await lab.mayfly.apply({
      issuers: [{ domain: 'dev', name: 'prod', kind: 'mayfly', proves: 'domains', issuer: prod, stage: 'development', ...entry }],
      resources: [{ domain: 'prod', audience: lab.issuer, provider: 'domain', ...entry }],
      policies: [{ domain: 'prod', name: 'deployer-crosses-back', cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"cross", resource == Resource::"${lab.issuer}");`, ...entry }],
    });
    const own = issued(await goOn(issued(await leave()), { audience: '', scope: '', authorization_details: ceilingOf([{ audience: lab.issuer, scopes: [] }]) }));
    const back = issued(await lab.mayfly.form('prod/token', { grant_type: GRANT, subject_token: own, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token', audience: lab.issuer, requested_actor: spiffe('agents/searcher') }));
    expect(claimsOf(back)['authority']).toMatchObject({ domains: [{ iss: lab.issuer, stage: 'development' }, { iss: prod, stage: 'development' }] });
    expect(await reasonOf(await lab.ask({ subject_token: back, actor_token: lab.agent('agents/searcher'), scope: 'deploy:read' }))).toBe('crossing_loop');
  });
});

describe('authority taken back where a chain comes from', () => {
  const crossed = async (values: Readonly<Record<string, string>> = {}): Promise<{ readonly sid: string; readonly lease: string; readonly token: string; readonly own: string }> => {
    const from = await session(values);
    const crossing = issued(await leave({}, from));
    const own = issued(await goOn(crossing, { audience: '', scope: '', authorization_details: ceilingOf([{ audience: PROD_API, scopes: ['deploy:read'] }]) }));
    const token = issued(await lab.mayfly.form('prod/token', { grant_type: GRANT, subject_token: own, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token', audience: PROD_API, scope: 'deploy:read' }));
    return { sid: String(claimsOf(from)['sid']), lease: String(claimsOf(crossing)['jti']), token, own };
  };
  const spendOwn = (own: string): Promise<Answer> =>
    lab.mayfly.form('prod/token', { grant_type: GRANT, subject_token: own, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token', audience: PROD_API, scope: 'deploy:read' });

  test.each([
    { name: 'the session', take: ({ sid }: { readonly sid: string }) => lab.mayfly.admin('POST', 'revocations', { kind: 'session', id: sid, reason: 'test' }) },
    { name: 'the end of the session', take: ({ sid }: { readonly sid: string }) => lab.mayfly.admin('POST', `sessions/${sid}/end`, { reason: 'test' }) },
    { name: 'the token it came with', take: ({ lease }: { readonly lease: string }) => lab.mayfly.admin('POST', 'revocations', { kind: 'lease', id: lease, reason: 'test' }) },
    { name: 'the workload that let it go', take: () => lab.mayfly.admin('POST', 'revocations', { kind: 'workload', id: 'agents/planner', domain: 'dev', reason: 'test' }), after: () => lab.mayfly.admin('POST', 'enable', { kind: 'workload', id: 'agents/planner', domain: 'dev' }) },
  ])('$name: everything that grew out of it here falls', async ({ name, take, after }) => {
    const grown = await crossed({ subject_token: lab.idToken({ sid: name }) });
    expect(await isActive(grown.token)).toBe(true);
    expect((await take(grown)).status).toBe(200);
    expect(await isActive(grown.token)).toBe(false);
    expect(await reasonOf(await spendOwn(grown.own))).toBe('revoked');
    if (after !== undefined) {
      expect((await after()).status).toBe(200);
      expect(await reasonOf(await spendOwn(grown.own))).toBe('revoked');
    }
  });

  test('is told to who listens here: each session that went on here, once', async () => {
    const own = issued(await lab.mayfly.form('prod/token', { grant_type: GRANT, subject_token: evidence('svc/api'), subject_token_type: JWT_TYPE, audience: `${prod}/ssf`, scope: 'ssf.manage ssf.read' }));
    const ssf = async (path: string, body: object): Promise<Readonly<Record<string, unknown>>> =>
      await (await fetch(`${prod}/ssf/${path}`, { method: 'POST', headers: { authorization: `Bearer ${own}`, 'content-type': 'application/json' }, body: JSON.stringify(body) })).json() as Readonly<Record<string, unknown>>;
    const stream = await ssf('streams', { delivery: { method: 'urn:ietf:rfc:8936' } });
    const told = async (): Promise<readonly unknown[]> => {
      const { sets } = await ssf(`poll/${String(stream['stream_id'])}`, { returnImmediately: true });
      return Object.values(sets as Readonly<Record<string, string>>).map((set) => (claimsOf(set)['sub_id'] as { readonly session: { readonly id: string } }).session.id);
    };
    const [session, token, both, last] = [await crossed({ subject_token: lab.idToken({ sid: 'told-1' }) }), await crossed({ subject_token: lab.idToken({ sid: 'told-2' }) }), await crossed({ subject_token: lab.idToken({ sid: 'told-3' }) }), await crossed({ subject_token: lab.idToken({ sid: 'told-4' }) })];
    const revoke = (kind: string, id: string): Promise<Answer> => lab.mayfly.admin('POST', 'revocations', { kind, id, reason: 'test' });
    await revoke('session', session.sid);
    await revoke('lease', token.lease);
    await revoke('lease', both.lease);
    await revoke('session', both.sid);
    await lab.mayfly.admin('POST', `sessions/${last.sid}/end`, { reason: 'test' });
    const wanted = [session, token, both, last].map((each) => String(claimsOf(each.token)['sid']));
    await until(async () => (await told()).includes(wanted[3]));
    expect(await told()).toEqual(wanted);
  });

  test('a chain whose session ended meanwhile does not come over any more', async () => {
    const from = await session({ subject_token: lab.idToken({ sid: 'meanwhile' }) });
    const crossing = issued(await leave({}, from));
    await lab.mayfly.admin('POST', `sessions/${String(claimsOf(from)['sid'])}/end`, { reason: 'test' });
    expect(await reasonOf(await goOn(crossing))).toBe('session_ended');
  });

  test('a task that goes on in another domain uses the budgets it was given', async () => {
    const opened = await lab.mayfly.admin('POST', 'sessions', { domain: 'dev', workload: 'ops/fixer', purpose: 'mend prod', budgets: { tokens: 4 } });
    const task = String(opened.body['session']);
    const own = issued(await lab.ask({ subject_token: lab.agent('ops/fixer'), session: task, audience: '', authorization_details: ceilingOf([{ audience: prod, scopes: [] }]) }));
    const over = async (): Promise<string> => reasonOf(await goOn(issued(await leave({}, own))));
    expect(await over()).toBe('issued');
    const last = issued(await leave({}, own));
    expect(await reasonOf(await goOn(last))).toBe('budget_exhausted');
    expect(await reasonOf(await leave({}, own))).toBe('budget_exhausted');
  });
});

describe('a chain that comes from another installation', () => {
  let away: Mayfly;
  let issuer: string;
  beforeAll(async () => {
    away = await startMayfly();
    issuer = `${away.url}/away`;
    await away.apply(takingOver('away', String(claimsOf(lab.agent('agents/planner'))['iss']), lab.issuer, issuer));
    await lab.mayfly.apply(leaving(issuer, 'away'));
  });
  afterAll(async () => { await away.close(); });
  const awayDeployer = 'spiffe://away.127.0.0.1/ops/deployer';
  const cross = (crossing: string, values: Readonly<Record<string, string>> = {}): Promise<Answer> => away.form('away/token', {
    grant_type: GRANT, subject_token: crossing, subject_token_type: JWT_TYPE, actor_token: evidence('ops/deployer', 'away', issuer), actor_token_type: JWT_TYPE, audience: PROD_API, scope: 'deploy:read', ...values,
  });
  const crossing = async (): Promise<string> => issued(await lab.spend(await lab.session([{ audience: issuer, scopes: [] }], { subject_token: lab.idToken({ sid: 'away' }) }), { audience: issuer, requested_actor: awayDeployer }));

  test('is known by the keys that installation publishes, and lasts minutes without being shown anew', async () => {
    const token = issued(await cross(await crossing(), { audience: '', scope: '', authorization_details: ceilingOf([{ audience: PROD_API, scopes: ['deploy:read'] }]) }));
    const claims = claimsOf(token);
    expect(claims).toMatchObject({ iss: issuer, sub: ALICE, act: { iss: issuer, sub: awayDeployer, act: { iss: lab.issuer, sub: spiffe('agents/planner') } } });
    const shown = (await away.admin('GET', `sessions/${String(claims['sid'])}`)).body;
    expect(Date.parse(String(shown['expires_at'])) - Date.parse(String(shown['started_at']))).toBe(5 * 60_000);
  });

  test('goes on once, and at the next crossing in a session of its own', async () => {
    const first = await crossing();
    const sid = claimsOf(issued(await cross(first)))['sid'];
    expect(await reasonOf(await cross(first), away)).toBe('evidence_replayed');
    expect(claimsOf(issued(await cross(await crossing())))['sid']).not.toBe(sid);
  });

  test('is refused when it says it comes from a domain of another stage than it is registered as', async () => {
    await away.apply({ issuers: [{ domain: 'away', name: 'dev', kind: 'mayfly', proves: 'domains', issuer: lab.issuer, stage: 'production', ...entry }] });
    expect(await reasonOf(await cross(await crossing()), away)).toBe('evidence_claim_invalid');
  });
});

describe('registering another domain', () => {
  const problems = async (manifest: object): Promise<string> => JSON.stringify((await lab.mayfly.admin('POST', 'apply', { manifest, dry_run: true, prune: false })).body['problems'] ?? []);
  const issuerEntry = { domain: 'dev', name: 'elsewhere', kind: 'mayfly', proves: 'domains', issuer: 'https://sts.elsewhere.example/prod', stage: 'production', ...entry };
  const resource = { domain: 'dev', audience: 'https://sts.elsewhere.example/prod', provider: 'domain', ...entry };

  test('is possible for domains of other installations', async () => {
    expect(await problems({ issuers: [issuerEntry], resources: [resource] })).toBe('[]');
  });

  test.each([
    { name: 'as an issuer that proves workloads', entries: { issuers: [{ ...issuerEntry, proves: 'workloads' }] }, field: 'proves' },
    { name: 'as an OpenID provider that proves domains', entries: { issuers: [{ ...issuerEntry, kind: 'oidc', stage: undefined }] }, field: 'kind' },
    { name: 'without its stage', entries: { issuers: [{ ...issuerEntry, stage: undefined }] }, field: 'stage' },
    { name: 'with tokens good more than once', entries: { issuers: [{ ...issuerEntry, replay: 'within-session' }] }, field: 'replay' },
    { name: 'with an audience of its own', entries: { issuers: [{ ...issuerEntry, audience: 'https://other.example' }] }, field: 'audience' },
    { name: 'as an issuer that is this very domain', entries: { issuers: [{ ...issuerEntry, issuer: '<own>' }] }, field: 'issuer' },
    { name: 'as a resource that is this very domain', entries: { resources: [{ ...resource, audience: '<own>' }] }, field: 'audience' },
    { name: 'with scopes', entries: { resources: [{ ...resource, scopes: ['a'] }] }, field: 'scopes' },
    { name: 'with a slash at its end', entries: { resources: [{ ...resource, audience: 'https://sts.elsewhere.example/prod/' }] }, field: 'issuer URL' },
    { name: 'as a target of access tokens', entries: { resources: [{ ...resource, audience: '<prod>', provider: 'access-token' }] }, field: 'audience' },
    { name: 'to live longer than a minute', entries: { resources: [{ ...resource, lifetime: 300 }] }, field: 'lifetime' },
  ])('is refused $name', async ({ entries, field }) => {
    const manifest: object = JSON.parse(JSON.stringify(entries).replaceAll('<own>', lab.issuer).replaceAll('<prod>', prod)) as object;
    expect(await problems(manifest)).toContain(field);
  });
});
