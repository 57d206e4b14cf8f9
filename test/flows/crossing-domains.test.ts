import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createSigningKey, signTexts } from '../support/foreign-issuer.ts';
import type { SigningKey } from '../support/foreign-issuer.ts';
import { ACCESS_TOKEN_TYPE, GRANT } from '../support/mayfly.ts';
import type { Answer } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { API, DEPLOY, DEPLOYER, SERVICE_CLAIMS, ceilingOf, claimsOf, issued, labManifest, startLab } from './lab.ts';
import type { Lab } from './lab.ts';
import { createProver } from './prover.ts';

/** A second domain that is `dev` again in everything but its name: same platform, same names, same audiences. */
let lab: Lab;
let other: string;
beforeAll(async () => {
  lab = await startLab();
  other = `${lab.mayfly.url}/other`;
  await lab.mayfly.apply({ domains: [{ name: 'other', stage: 'development', owner: OWNER }] });
  const twin: unknown = JSON.parse(JSON.stringify(labManifest(lab.platform.issuer)).replaceAll('"domain":"dev"', '"domain":"other"').replaceAll('spiffe://dev.', 'spiffe://other.'));
  await lab.mayfly.apply(twin as object);
});
afterAll(async () => { await lab.close(); });

const inOther = (values: Readonly<Record<string, string>>, headers = {}): Promise<Answer> => lab.mayfly.exchange({ audience: API, ...values }, headers, 'other');
const statusOf = async (token: string): Promise<unknown> => (await lab.mayfly.admin('GET', `leases/${String(claimsOf(token)['jti'])}`)).body['status'];

describe('nothing of one domain counts in another', () => {
  test('evidence for one is no evidence for the other, and stays usable', async () => {
    const evidence = lab.job();
    await lab.refused({ code: 'evidence_audience_wrong', error: 'invalid_request' }, () => inOther({ subject_token: evidence }));
    expect((await lab.exchange({ subject_token: evidence })).status).toBe(200);
    expect((await inOther({ subject_token: lab.job({ aud: other }) })).status).toBe(200);
  });

  test('one token of a platform pays once, in one domain', async () => {
    const evidence = { jti: 'one-of-a-kind' };
    expect((await lab.exchange({ subject_token: lab.job(evidence) })).status).toBe(200);
    await lab.refused({ code: 'evidence_replayed', error: 'invalid_request' }, () => inOther({ subject_token: lab.job({ ...evidence, aud: other }) }));
  });

  test('a session token buys nothing there, as whatever it is presented', async () => {
    const session = await lab.session([{ audience: API, scopes: ['deploy:read'] }]);
    const spend = (domain: string): Promise<Answer> => lab.mayfly.form(`${domain}/token`, { grant_type: GRANT, subject_token: session, subject_token_type: ACCESS_TOKEN_TYPE, audience: API, scope: 'deploy:read' });
    await lab.refused({ code: 'token_signature_invalid', error: 'invalid_request' }, () => spend('other'));
    await lab.refused({ code: 'evidence_issuer_unknown', error: 'invalid_request' }, () => inOther({ subject_token: session }));
    expect((await spend('dev')).status).toBe(200);
  });

  test('the same run is two sessions, two SPIFFE IDs, two issuers, under keys of their own', async () => {
    const here = issued(await lab.exchange({ subject_token: lab.job({ run_id: '7001' }) }));
    const there = issued(await inOther({ subject_token: lab.job({ run_id: '7001', aud: other }) }));
    expect(claimsOf(there)).toMatchObject({ iss: other, sub: DEPLOYER.replace('dev.', 'other.'), aud: API });
    expect(claimsOf(there)['sid']).not.toBe(claimsOf(here)['sid']);
    const kids = async (issuer: string): Promise<readonly string[]> => (await (await fetch(`${issuer}/jwks.json`)).json() as { readonly keys: readonly { readonly kid: string }[] }).keys.map(({ kid }) => kid);
    const [ours, theirs] = [await kids(lab.issuer), await kids(other)];
    expect(ours.length).toBeGreaterThan(0);
    expect(theirs.filter((kid) => ours.includes(kid))).toEqual([]);
  });

  test('a token is inactive at the other\'s introspection, and no credential there', async () => {
    const token = await lab.token();
    const [here, there] = [
      issued(await lab.exchange({ subject_token: lab.service(), audience: `${lab.issuer}/introspect` })),
      issued(await inOther({ subject_token: lab.platform.mint({ ...SERVICE_CLAIMS, aud: other, run_id: '7002' }), audience: `${other}/introspect` })),
    ];
    const ask = (domain: string, caller: string): Promise<Answer> => lab.mayfly.form(`${domain}/introspect`, { token }, { authorization: `Bearer ${caller}` });
    expect((await ask('other', there)).body).toEqual({ active: false });
    expect(await lab.mayfly.reason(await ask('other', here))).toBe('token_signature_invalid');
    expect(await lab.mayfly.reason(await ask('dev', there))).toBe('token_signature_invalid');
    expect((await ask('dev', here)).body['active']).toBe(true);
    await lab.refused({ code: 'target_unknown', error: 'invalid_target' }, () => lab.exchange({ subject_token: lab.service(), audience: `${other}/introspect` }));
  });

  test('a token is not revoked at the other\'s endpoint', async () => {
    const token = await lab.token();
    expect((await lab.mayfly.form('other/revoke', { token })).status).toBe(200);
    expect(await statusOf(token)).toBe('active');
    expect((await lab.mayfly.form('dev/revoke', { token })).status).toBe(200);
    expect(await statusOf(token)).toBe('revoked');
  });

  test('a nonce of one is none of the other\'s', async () => {
    const prover = await createProver();
    const nonceOf = async (domain: string): Promise<string> => {
      const answer = await lab.mayfly.exchange({ subject_token: 'x', audience: API }, { dpop: prover.prove({ htu: `${lab.mayfly.url}/${domain}/token` }) }, domain);
      return String(answer.headers['dpop-nonce']);
    };
    const [ours, theirs] = [await nonceOf('dev'), await nonceOf('other')];
    const evidence = lab.job({ aud: other });
    await lab.refused({ code: 'dpop_nonce_stale', error: 'use_dpop_nonce' }, () => inOther({ subject_token: evidence }, { dpop: prover.prove({ htu: `${other}/token`, nonce: ours }) }));
    expect((await inOther({ subject_token: evidence }, { dpop: prover.prove({ htu: `${other}/token`, nonce: theirs }) })).status).toBe(200);
  });

  test('a workload cannot go by its name in the other', async () => {
    const evidence = lab.job({ aud: other });
    await lab.refused({ code: 'client_id_mismatch', error: 'invalid_client' }, () => inOther({ subject_token: evidence, client_id: DEPLOYER }));
    expect((await inOther({ subject_token: evidence, client_id: DEPLOYER.replace('dev.', 'other.') })).status).toBe(200);
  });

  test('what is revoked in one lives in the other', async () => {
    const token = issued(await inOther({ subject_token: lab.job({ aud: other }) }));
    await lab.mayfly.admin('POST', 'revocations', { kind: 'workload', id: 'ci/deployer', domain: 'dev', reason: 'a test' });
    await lab.mayfly.admin('POST', 'revocations', { kind: 'issuer', id: 'github', domain: 'dev', reason: 'a test' });
    await lab.refused({ code: 'revoked', error: 'invalid_request' }, () => lab.exchange({ subject_token: lab.job() }));
    expect(await statusOf(token)).toBe('active');
    expect((await inOther({ subject_token: lab.job({ aud: other }) })).status).toBe(200);
    for (const [kind, id] of [['workload', 'ci/deployer'], ['issuer', 'github']]) await lab.mayfly.admin('POST', 'enable', { kind, id, domain: 'dev' });
    expect((await lab.exchange({ subject_token: lab.job() })).status).toBe(200);
  });

  test('a domain that trusts no platform accepts none', async () => {
    await lab.mayfly.apply({ domains: [{ name: 'empty', stage: 'development', owner: OWNER }] });
    const evidence = lab.job({ aud: `${lab.mayfly.url}/empty` });
    await lab.refused({ code: 'evidence_issuer_unknown', error: 'invalid_request' }, () => lab.mayfly.exchange({ subject_token: evidence, audience: API }, {}, 'empty'));
  });
});

describe('nothing can be registered that would join two domains', () => {
  const apply = (manifest: object): Promise<Answer> => lab.mayfly.admin('POST', 'apply', { manifest });
  const issuer = { domain: 'other', name: 'second', kind: 'oidc', owner: OWNER, expires: FAR, claims: { repository: { claim: 'repository_id', immutable: true } } };
  const resource = { domain: 'other', owner: OWNER, expires: FAR };
  const ROWS: readonly { readonly name: string; readonly manifest: () => object; readonly path: string }[] = [
    { name: 'an issuer with the other\'s audience', manifest: () => ({ issuers: [{ ...issuer, issuer: 'http://127.0.0.1:1', audience: lab.issuer }] }), path: 'issuers[0].audience' },
    { name: 'an issuer with an audience under the other\'s', manifest: () => ({ issuers: [{ ...issuer, issuer: 'http://127.0.0.1:1', audience: `${lab.issuer}/admin` }] }), path: 'issuers[0].audience' },
    { name: 'the other domain as issuer', manifest: () => ({ issuers: [{ ...issuer, issuer: lab.issuer }] }), path: 'issuers[0].issuer' },
    { name: 'the other domain as resource', manifest: () => ({ resources: [{ ...resource, audience: lab.issuer }] }), path: 'resources[0].audience' },
    { name: 'the other\'s introspection as resource', manifest: () => ({ resources: [{ ...resource, audience: `${lab.issuer}/introspect` }] }), path: 'resources[0].audience' },
    { name: 'its own issuer as resource', manifest: () => ({ resources: [{ ...resource, audience: other }] }), path: 'resources[0].audience' },
    { name: 'a second entry for one platform, which no claim tells apart', manifest: () => ({ issuers: [{ ...issuer, issuer: lab.platform.issuer }] }), path: 'issuers[0]' },
    { name: 'a domain that goes by the other\'s name', manifest: () => ({ domains: [{ name: 'third', stage: 'development', owner: OWNER, issuer: lab.issuer }] }), path: 'domains[0].issuer' },
    { name: 'a domain in the other\'s SPIFFE trust domain', manifest: () => ({ domains: [{ name: 'third', stage: 'development', owner: OWNER, spiffe: 'dev.127.0.0.1' }] }), path: 'domains[0].spiffe' },
    { name: 'another issuer URL for a domain that has one', manifest: () => ({ domains: [{ name: 'other', stage: 'development', owner: OWNER, issuer: `${other}/2` }] }), path: 'domains[0].issuer' },
    { name: 'a production domain without https', manifest: () => ({ domains: [{ name: 'third', stage: 'production', owner: OWNER }] }), path: 'domains[0].stage' },
  ];
  test.each(ROWS)('not $name', async ({ manifest, path }) => {
    const answer = await apply(manifest());
    expect([answer.status, answer.body['code']]).toEqual([422, 'manifest_invalid']);
    const problems = answer.body['problems'] as readonly { readonly path: string; readonly mend: string }[];
    expect(problems.map((problem) => problem.path)).toContain(path);
    expect(problems.every(({ mend }) => mend.length > 0)).toBe(true);
  });

  test('a policy of one domain gives nothing to a workload of the other', async () => {
    const audience = 'https://shared.acme.example';
    await lab.mayfly.apply({
      resources: [{ domain: 'dev', audience, owner: OWNER, expires: FAR }, { domain: 'other', audience, owner: OWNER, expires: FAR }],
      policies: [{ domain: 'dev', name: 'shared', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource == Resource::"${audience}");` }],
    });
    await lab.refused({ code: 'target_denied', error: 'invalid_target' }, () => inOther({ subject_token: lab.job({ aud: other }), audience }));
    expect((await lab.exchange({ subject_token: lab.job(), audience })).status).toBe(200);
  });

  test('a ceiling cannot name the other domain', async () => {
    await lab.refused({ code: 'target_unknown', error: 'invalid_target' }, () => lab.mayfly.exchange({ subject_token: lab.job(), authorization_details: ceilingOf([{ audience: other, scopes: [] }]) }));
  });
});

describe('issuers that call their keys the same', () => {
  let keys: readonly SigningKey[];
  beforeAll(async () => {
    keys = [await createSigningKey('RS256', 'the-key'), await createSigningKey('RS256', 'the-key')];
    const entry = (name: string, key: SigningKey | undefined): object => ({
      domain: 'dev', name, kind: 'oidc', issuer: `https://${name}.example`, owner: OWNER, expires: FAR, jwks: { keys: [key?.publicJwk] }, claims: { project: { claim: 'project', immutable: true } },
    });
    const workload = (name: string): object => ({ domain: 'dev', name: `ci/${name}`, kind: 'pipeline', authority: 'bounded', owner: OWNER, expires: FAR, match: { issuer: name, project: 'shop' } });
    const policy = (name: string): object => ({ domain: 'dev', name: `${name}-deploys`, owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"spiffe://dev.127.0.0.1/ci/${name}", action == Action::"issue", resource in Resource::"${API}");` });
    await lab.mayfly.apply({ issuers: [entry('alpha', keys[0]), entry('beta', keys[1])], workloads: [workload('alpha'), workload('beta')], policies: [policy('alpha'), policy('beta')] });
  });

  let jobs = 0;
  const token = (name: string, signer: number): string => {
    const now = Math.floor(Date.now() / 1000);
    const key = keys[signer];
    if (key === undefined) throw new Error('no such key');
    return signTexts(JSON.stringify({ alg: 'RS256', typ: 'JWT', kid: 'the-key' }), JSON.stringify({ iss: `https://${name}.example`, sub: 'job', aud: lab.issuer, project: 'shop', iat: now, exp: now + 300, jti: `job-${++jobs}` }), key);
  };

  test.each([{ name: 'alpha', own: 0, foreign: 1 }, { name: 'beta', own: 1, foreign: 0 }])('$name is verified with its own key alone', async ({ name, own, foreign }) => {
    await lab.refused({ code: 'evidence_signature_invalid', error: 'invalid_request' }, () => lab.exchange({ subject_token: token(name, foreign) }));
    expect(claimsOf(issued(await lab.exchange({ subject_token: token(name, own) })))['sub']).toBe(`spiffe://dev.127.0.0.1/ci/${name}`);
  });

  test('the platform\'s key does not speak for them, nor theirs for the platform', async () => {
    const now = Math.floor(Date.now() / 1000);
    const claims = JSON.stringify({ iss: 'https://alpha.example', sub: 'job', aud: lab.issuer, project: 'shop', iat: now, exp: now + 300 });
    await lab.refused({ code: 'evidence_key_unknown', error: 'invalid_request' }, () => lab.exchange({ subject_token: lab.platform.mintRaw(JSON.stringify({ alg: 'RS256', typ: 'JWT', kid: lab.platform.key().kid }), claims) }));
    await lab.refused({ code: 'evidence_key_unknown', error: 'invalid_request' }, () => lab.exchange({ subject_token: lab.platform.mint({ ...DEPLOY, aud: lab.issuer }, keys[0] === undefined ? {} : { key: keys[0] }) }));
  });
});
