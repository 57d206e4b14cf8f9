import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import type { JWTVerifyResult } from 'jose';
import Database from 'libsql';
import { runCli } from '../cli/harness.ts';
import type { Outcome } from '../cli/harness.ts';
import { FAR, OWNER } from '../support/world.ts';
import { API, BILLING, DEPLOYER, claimsOf, issued, startLab } from './lab.ts';
import type { Lab } from './lab.ts';

/** An API whose library verifies RS256 and nothing else. */
const LEGACY = 'https://legacy.acme.example';
const legacy = { domain: 'dev', audience: LEGACY, scopes: ['old:read'], served_by: ['svc/deploy'], algorithm: 'RS256', owner: OWNER, expires: FAR };
const permit = { domain: 'dev', name: 'deployer-legacy', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource in Resource::"${LEGACY}");` };

let lab: Lab;
beforeAll(async () => { lab = await startLab(); });
afterAll(async () => { await lab.close(); });

interface Published { readonly kid: string; readonly kty: string; readonly alg: string; readonly n?: string }
const published = async (): Promise<readonly Published[]> => ((await (await fetch(`${lab.issuer}/jwks.json`)).json()) as { keys: readonly Published[] }).keys;
interface KeyLine { readonly kid: string; readonly purpose: string; readonly algorithm: string; readonly status: string }
const cli = (...args: readonly string[]): Promise<Outcome> => runCli(args, { env: { MAYFLY_SERVER: lab.mayfly.server.adminSocket, MAYFLY_DOMAIN: 'dev' } });
const keys = async (): Promise<readonly KeyLine[]> => (JSON.parse((await cli('keys', 'list', '--json')).out) as { items: readonly KeyLine[] }).items.filter(({ purpose }) => purpose === 'access');
const kidOf = (token: string): string => String(decodeProtectedHeader(token).kid);
const legacyToken = (): Promise<string> => lab.token({ audience: LEGACY, scope: 'old:read' });
const isActive = async (token: string): Promise<unknown> => {
  const own = issued(await lab.exchange({ subject_token: lab.service(), audience: `${lab.issuer}/introspect` }));
  return (await lab.mayfly.form('dev/introspect', { token }, { authorization: `Bearer ${own}` })).body['active'];
};

/** As a resource server does that knows its issuer and its audience, and takes only this algorithm. */
const verify = async (token: string, audience: string, algorithm: string): Promise<JWTVerifyResult> => {
  const metadata = await (await fetch(`${lab.issuer}/.well-known/openid-configuration`)).json() as { jwks_uri: string; id_token_signing_alg_values_supported: readonly string[] };
  expect(metadata.id_token_signing_alg_values_supported).toContain(algorithm);
  return jwtVerify(token, createRemoteJWKSet(new URL(metadata.jwks_uri)), { issuer: lab.issuer, audience, typ: 'at+jwt', algorithms: [algorithm] });
};

describe('an RS256 access key', () => {
  test('is there from the commit that registers the first resource which wants it, and not before', async () => {
    expect((await published()).map(({ alg }) => alg)).not.toContain('RS256');
    expect((await cli('keys', 'rotate', '--algorithm', 'RS256'))).toMatchObject({ code: 1, err: expect.stringContaining('no RS256 key of purpose access in dev') });
    const dry = await lab.mayfly.admin('POST', 'apply', { manifest: { resources: [legacy] }, dry_run: true });
    expect(dry.body).toMatchObject({ applied: false, text: expect.arrayContaining([expect.stringContaining('algorithm: RS256')]) });
    expect((await published()).map(({ alg }) => alg)).not.toContain('RS256');
    await lab.mayfly.apply({ resources: [legacy], policies: [permit] });
    const rsa = (await published()).filter(({ kty }) => kty === 'RSA');
    expect(rsa).toEqual([{ kty: 'RSA', n: expect.any(String), e: 'AQAB', kid: expect.any(String), alg: 'RS256', use: 'sig' }]);
    expect(Buffer.from(rsa[0]?.n ?? '', 'base64url').length).toBeGreaterThanOrEqual(256);
    expect((await keys()).map(({ algorithm, status }) => `${algorithm} ${status}`).sort()).toEqual(['ES256 current', 'RS256 current']);
  });

  test('stays one, whatever else is registered', async () => {
    const before = await keys();
    await lab.mayfly.apply({ resources: [{ ...legacy, scopes: ['old:read', 'old:write'] }, { ...legacy, audience: 'https://older.acme.example' }] });
    expect(await keys()).toEqual(before);
  });

  test('signs the tokens of that resource alone, and jose verifies them through JWKS', async () => {
    const [old, usual] = [await legacyToken(), await lab.token()];
    expect([old, usual].map((token) => decodeProtectedHeader(token).alg)).toEqual(['RS256', 'ES256']);
    expect((await verify(old, LEGACY, 'RS256')).payload).toMatchObject({ sub: DEPLOYER, scope: 'old:read' });
    expect((await verify(usual, API, 'ES256')).payload).toMatchObject({ sub: DEPLOYER });
    await expect(verify(old, LEGACY, 'ES256')).rejects.toMatchObject({ code: 'ERR_JOSE_ALG_NOT_ALLOWED' });
    expect([await isActive(old), await isActive(usual)]).toEqual([true, true]);
    const session = await lab.session([{ audience: LEGACY, scopes: ['old:read'] }]);
    expect(decodeProtectedHeader(session).alg).toBe('ES256');
    expect(decodeProtectedHeader(issued(await lab.spend(session, { audience: LEGACY, scope: 'old:read' }))).alg).toBe('RS256');
  });

  test('is what an entry changes to when its algorithm does', async () => {
    const answer = await lab.mayfly.apply({ resources: [{ domain: 'dev', audience: BILLING, scopes: ['bills:read', 'bills:write'], served_by: ['svc/billing'], algorithm: 'RS256', owner: OWNER, expires: FAR }] });
    expect(answer.body['changes']).toMatchObject([{ action: 'update', fields: ['algorithm'] }]);
    expect(decodeProtectedHeader(await lab.token({ audience: BILLING, scope: 'bills:read' })).alg).toBe('RS256');
    await lab.mayfly.apply({ resources: [{ domain: 'dev', audience: BILLING, scopes: ['bills:read', 'bills:write'], served_by: ['svc/billing'], owner: OWNER, expires: FAR }] });
    expect(decodeProtectedHeader(await lab.token({ audience: BILLING, scope: 'bills:read' })).alg).toBe('ES256');
  });

  test.each([
    { name: 'another algorithm', entry: { ...legacy, algorithm: 'RS512' }, path: 'resources[0].algorithm' },
    { name: 'an algorithm for AWS keys', entry: { domain: 'dev', audience: 'arn:aws:iam::123456789012:role/deploy', provider: 'aws-sts', algorithm: 'RS256', owner: OWNER, expires: FAR }, path: 'resources[0].algorithm' },
  ])('is not made for $name, which is refused', async ({ entry, path }) => {
    const before = await keys();
    const answer = await lab.mayfly.admin('POST', 'apply', { manifest: { resources: [entry] } });
    expect(answer).toMatchObject({ status: 422, body: { code: 'manifest_invalid', problems: [{ path }] } });
    expect(await keys()).toEqual(before);
  });

  test('is rotated by its name: with two algorithms one must be said', async () => {
    expect(await cli('keys', 'rotate')).toMatchObject({ code: 2, err: expect.stringMatching(/ES256 and RS256.*algorithm/s) });
    const signing = kidOf(await legacyToken());
    const rotated = await cli('keys', 'rotate', '--algorithm', 'RS256', '--json');
    const [next, ...more] = (JSON.parse(rotated.out) as { items: readonly KeyLine[] }).items;
    expect([next, more]).toMatchObject([{ algorithm: 'RS256', status: 'next' }, []]);
    expect((await published()).map(({ kid }) => kid)).toEqual(expect.arrayContaining([signing, next?.kid]));
    expect(kidOf(await legacyToken())).toBe(signing);
    expect((await keys()).map(({ algorithm, status }) => `${algorithm} ${status}`).sort()).toEqual(['ES256 current', 'RS256 current', 'RS256 next']);
  });

  test('takes its leases down when it is revoked, and leaves the others alive', async () => {
    const [old, usual] = [await legacyToken(), await lab.token()];
    expect(await cli('keys', 'revoke', kidOf(old), '--reason', 'seen in a core dump')).toMatchObject({ code: 0 });
    expect([await isActive(old), await isActive(usual)]).toEqual([false, true]);
    expect((await lab.mayfly.admin('GET', `leases/${String(claimsOf(old)['jti'])}`)).body).toMatchObject({ status: 'revoked', revoked_by: `key:${kidOf(old)}` });
    expect((await lab.mayfly.admin('GET', `leases/${String(claimsOf(usual)['jti'])}`)).body).toMatchObject({ status: 'active' });
    expect((await published()).map(({ kid }) => kid)).not.toContain(kidOf(old));
    await expect(verify(old, LEGACY, 'RS256')).rejects.toMatchObject({ code: 'ERR_JWKS_NO_MATCHING_KEY' });
    const fresh = await legacyToken();
    expect(kidOf(fresh)).not.toBe(kidOf(old));
    expect(kidOf(await lab.token())).toBe(kidOf(usual));
    expect((await verify(fresh, LEGACY, 'RS256')).payload.sub).toBe(DEPLOYER);
  });

  test('that is missing refuses its own resource alone, and the next write to the domain makes it anew', async () => {
    await lab.mayfly.server.close();
    const database = new Database(join(lab.mayfly.folder, 'mayfly.db'), { timeout: 10_000 });
    database.exec("DELETE FROM signing_key WHERE algorithm = 'RS256'");
    database.close();
    await lab.mayfly.restart();
    expect((await published()).map(({ alg }) => alg)).not.toContain('RS256');
    await lab.refused({ code: 'domain_not_ready', error: 'temporarily_unavailable', status: 503 }, () => lab.exchange({ subject_token: lab.job(), audience: LEGACY, scope: 'old:read' }));
    expect(decodeProtectedHeader(await lab.token()).alg).toBe('ES256');
    expect((await fetch(`${lab.mayfly.url}/readyz`)).status).toBe(200);
    await lab.mayfly.apply({ policies: [{ ...permit, owner: 'others@acme.example' }] });
    expect((await verify(await legacyToken(), LEGACY, 'RS256')).payload.sub).toBe(DEPLOYER);
  });
});

test('what was done to which key is in the audit log', async () => {
  const { body } = await lab.mayfly.admin('GET', 'audit');
  const entries = String(body['text']).trim().split('\n').map((line) => JSON.parse(line) as { readonly action: string; readonly body: string });
  const done = entries.filter(({ action }) => action.startsWith('key.')).map(({ action, body: text }) => ({ action, ...(JSON.parse(text) as { body: { algorithm: string; status: string } }).body }));
  expect(done.filter(({ algorithm }) => algorithm === 'RS256').map(({ action, status }) => `${action} ${status}`)).toEqual(['key.created current', 'key.rotated next', 'key.revoked revoked', 'key.rotated current', 'key.created current']);
});
