import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { calculateJwkThumbprint, createRemoteJWKSet, decodeJwt, exportJWK, jwtVerify } from 'jose';
import { createPublicKey } from 'node:crypto';
import { createStrictSts } from '../../demo/strict-sts.ts';
import type { StrictSts } from '../../demo/strict-sts.ts';
import { systemClock } from '../../src/core/clock.ts';
import { runCli } from '../cli/harness.ts';
import type { Outcome } from '../cli/harness.ts';
import { ROLE_ARN, trustPolicy } from '../support/strict-sts.ts';
import { API, DEPLOYER, FAR, OTHER_API, OWNER, startWorld } from '../support/world.ts';
import type { World } from '../support/world.ts';
import { runProgram, startRunner } from './shell.ts';
import type { Runner } from './shell.ts';

let world: World;
let runner: Runner;
let sts: StrictSts;
let issuer = '';

beforeAll(async () => {
  world = await startWorld();
  issuer = `${world.mayfly.url}/dev`;
  runner = await startRunner((audience) => world.platform.token('deploy', audience));
  sts = await createStrictSts({ issuerUrl: issuer, clock: systemClock, roles: [{ arn: ROLE_ARN, trust: trustPolicy(issuer, DEPLOYER) }] });
  await world.mayfly.apply({
    resources: [{ domain: 'dev', audience: ROLE_ARN, provider: 'aws-sts', endpoint: sts.url, owner: OWNER, expires: FAR }],
    policies: [{ domain: 'dev', name: 'deployer-aws', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource == Resource::"${ROLE_ARN}");` }],
  });
});
afterAll(async () => {
  await sts.close();
  await runner.close();
  await world.close();
});

const ASK = ['token', '--audience', API, '--scope', 'deploy:read'];
const token = (args: readonly string[], env: Readonly<Record<string, string>>, stdin?: string): Promise<Outcome> =>
  runCli([...ASK, ...args], { env: { MAYFLY_ISSUER: issuer, ...env }, ...(stdin === undefined ? {} : { stdin }) });
/** What a resource server would make of it. */
const verify = async (text: string): Promise<Record<string, unknown>> =>
  (await jwtVerify(text.trim(), createRemoteJWKSet(new URL(`${issuer}/jwks.json`)), { issuer, audience: API, typ: 'at+jwt' })).payload;
const save = (name: string, text: string): string => {
  const file = join(world.mayfly.folder, name);
  writeFileSync(file, text);
  return file;
};

describe('mayfly token in a job', () => {
  test('of GitHub Actions asks the runner for a token made out to the issuer, once for each credential', async () => {
    for (let count = 0; count < 2; count += 1) {
      const { code, out, err } = await token([], runner.env);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      expect(await verify(out)).toMatchObject({ sub: DEPLOYER, scope: 'deploy:read' });
    }
    expect(runner.asked.slice(-2)).toEqual([issuer, issuer]);
  });

  test('of GitHub Actions works in a process of its own', async () => {
    const { code, out, err } = await runProgram([...ASK, '--issuer', issuer], runner.env);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(await verify(out)).toMatchObject({ sub: DEPLOYER });
  });

  test.each([
    { name: 'of GitLab CI takes the token its id_tokens put there', args: [], env: (evidence: string) => ({ GITLAB_CI: 'true', MAYFLY_ID_TOKEN: evidence }) },
    { name: 'takes the variable it is told', args: ['--subject-token-env', 'MINE'], env: (evidence: string) => ({ MINE: evidence }) },
    { name: 'takes the variable it is told before the platform\'s own', args: ['--subject-token-env', 'MINE'], env: (evidence: string) => ({ MINE: evidence, MAYFLY_ID_TOKEN: 'e.y.J', ACTIONS_ID_TOKEN_REQUEST_URL: 'https://x.example', ACTIONS_ID_TOKEN_REQUEST_TOKEN: 't' }) },
  ])('$name', async ({ args, env }) => {
    const { code, out } = await token(args, env(await world.evidence()));
    expect(code).toBe(0);
    expect(await verify(out)).toMatchObject({ sub: DEPLOYER });
  });

  test('gets a session token by its ceiling, and from that one resource token after another', async () => {
    const ceiling = JSON.stringify([{ type: 'urn:mayfly:ceiling', audience: API, scopes: ['deploy:read', 'deploy:write'] }]);
    const session = await runCli(['token', '--issuer', issuer, '--authorization-details', ceiling], { env: { MAYFLY_ID_TOKEN: await world.evidence() } });
    expect(session).toMatchObject({ code: 0, err: '' });
    const file = save('session-token', session.out);
    for (let count = 0; count < 2; count += 1) {
      const { code, out } = await token(['--subject-token-file', file], {});
      expect(code).toBe(0);
      expect(await verify(out)).toMatchObject({ sub: DEPLOYER, scope: 'deploy:read', sid: decodeJwt(session.out.trim())['sid'] });
    }
    // What it got is no session token: nothing more comes out of that.
    expect(await token(['--subject-token-file', save('resource-token', (await token(['--subject-token-file', file], {})).out)], {})).toMatchObject({ code: 1, err: expect.stringContaining('invalid_request') });
  });

  test('takes a file, with the line end that platforms put behind it', async () => {
    const { code, out } = await token(['--subject-token-file', save('evidence', `${await world.evidence()}\n`)], {});
    expect(code).toBe(0);
    expect(await verify(out)).toMatchObject({ sub: DEPLOYER });
  });

  test('prints the whole response, or shell variables', async () => {
    expect(JSON.parse((await token(['-o', 'json'], runner.env)).out)).toMatchObject({ token_type: 'Bearer', expires_in: 300, scope: 'deploy:read', issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' });
    const line = /^export MAYFLY_TOKEN='([^']+)'\n$/.exec((await token(['-o', 'env'], runner.env)).out);
    expect(await verify(line?.[1] ?? '')).toMatchObject({ sub: DEPLOYER });
  });

  test('gets AWS keys for a role in the form of credential_process', async () => {
    const { code, out } = await runCli(['token', '--issuer', issuer, '--audience', ROLE_ARN], { env: runner.env });
    const keys = JSON.parse(out) as Record<string, string>;
    expect({ code, keys }).toMatchObject({ code: 0, keys: { Version: 1, AccessKeyId: expect.stringMatching(/^ASIA/) } });
    expect(sts.permits(keys['AccessKeyId'] ?? '', 's3:GetObject', 'arn:aws:s3:::releases/v1')).toBe(true);
  });

  test('gets a session token for a ceiling', async () => {
    const { code, out } = await runCli(['token', '--issuer', issuer, '--authorization-details', JSON.stringify([{ type: 'urn:mayfly:ceiling', audience: API, scopes: ['deploy:read'] }])], { env: runner.env });
    expect(code).toBe(0);
    expect(decodeJwt(out.trim())).toMatchObject({ aud: issuer, sub: DEPLOYER });
  });
});

describe('mayfly token --dpop', () => {
  test('binds the token to a key it makes, and to the same key the next time', async () => {
    const file = join(world.mayfly.folder, 'proof.pem');
    const [first, second] = [await token(['--dpop', file, '-o', 'json'], runner.env), await token(['--dpop', file], runner.env)];
    expect({ codes: [first.code, second.code], mode: statSync(file).mode & 0o777 }).toEqual({ codes: [0, 0], mode: 0o600 });
    const jkt = await calculateJwkThumbprint(await exportJWK(createPublicKey(readFileSync(file))));
    const answer = JSON.parse(first.out) as { access_token: string; token_type: string };
    expect(answer.token_type).toBe('DPoP');
    for (const text of [answer.access_token, second.out]) expect(await verify(text)).toMatchObject({ cnf: { jkt } });
    // Twin: without the flag it is for whoever holds it.
    expect(await verify((await token([], runner.env)).out)).not.toHaveProperty('cnf');
  });
});

describe('mayfly token says what is wrong', () => {
  test('what was refused, with the id to ask by; and the id tells', async () => {
    const { code, out, err } = await runCli(['token', '--issuer', issuer, '--audience', OTHER_API], { env: runner.env });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain('refused (invalid_target): This target is unknown or not permitted to you.');
    const decision = /mayfly explain (dec_\w+)/.exec(err)?.[1] ?? '';
    const explained = await runCli(['explain', decision], { env: { MAYFLY_SERVER: world.mayfly.server.adminSocket } });
    expect(explained).toMatchObject({ code: 0, out: expect.stringContaining('target_denied') });
  });

  test('that a token was used before', async () => {
    const env = { MAYFLY_ID_TOKEN: await world.evidence() };
    expect((await token([], env)).code).toBe(0);
    const { code, err } = await token([], env);
    expect(code).toBe(1);
    expect(err).toContain('The subject token was used before. Request a new one from your platform.');
    expect(err).not.toContain(env.MAYFLY_ID_TOKEN.split('.')[2]);
  });

  test('that a trust domain is not there', async () => {
    const { code, err } = await runCli([...ASK, '--issuer', `${world.mayfly.url}/prod`], { env: runner.env });
    expect(code).toBe(1);
    expect(err).toContain(`${world.mayfly.url}/prod`);
    expect(err).toContain('give --issuer');
  });

  test.each([
    { name: 'in GitHub Actions without the permission', env: { GITHUB_ACTIONS: 'true' }, says: 'permissions: { id-token: write }' },
    { name: 'in GitLab CI without id_tokens', env: { GITLAB_CI: 'true' }, says: 'id_tokens: { MAYFLY_ID_TOKEN: { aud:' },
    { name: 'on a laptop', env: {}, says: 'run it in GitHub Actions or GitLab CI' },
  ])('$name: what to do about it', async ({ env, says }) => {
    const { code, err } = await token([], env);
    expect(code).toBe(2);
    expect(err).toContain(says);
  });

  test('that the runner gives no token', async () => {
    const { code, err } = await token([], { ...runner.env, ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'of another step' });
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining('GitHub gave no token: status 401') });
  });
});
