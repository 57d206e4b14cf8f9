import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createStrictSts } from '../../demo/strict-sts.ts';
import type { StrictSts } from '../../demo/strict-sts.ts';
import { systemClock } from '../../src/core/clock.ts';
import { ROLE_ARN, trustPolicy } from '../support/strict-sts.ts';
import { API, DEPLOYER, FAR, OTHER_API, OWNER, startWorld } from '../support/world.ts';
import type { World } from '../support/world.ts';
import { issued } from './lab.ts';
import { mayflyProgram, startRunner } from './shell.ts';
import type { Program, Runner } from './shell.ts';

let world: World;
let runner: Runner;
let sts: StrictSts;

beforeAll(async () => {
  world = await startWorld();
  const issuer = `${world.mayfly.url}/dev`;
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

const TOKEN = ['--audience', API, '--scope', 'deploy:read'];
const node = (script: string): readonly string[] => [process.execPath, '--input-type=module', '-e', script];
const exec = (args: readonly string[], command: readonly string[], env: Readonly<Record<string, string>> = {}): Program =>
  mayflyProgram(['exec', '--issuer', `${world.mayfly.url}/dev`, ...args, '--', ...command], { ...runner.env, ...env });

interface Lease { readonly id: string; readonly kind: string; readonly status: string }
const leases = async (): Promise<readonly Lease[]> => (await world.mayfly.admin('GET', 'leases?limit=1000')).body['items'] as readonly Lease[];
/** Those that came while `work` ran, as they are afterwards. */
const leasesOf = async (work: () => Promise<unknown>): Promise<readonly Pick<Lease, 'kind' | 'status'>[]> => {
  const known = new Set((await leases()).map(({ id }) => id));
  await work();
  return (await leases()).filter(({ id }) => !known.has(id)).map(({ kind, status }) => ({ kind, status }));
};
const REVOKED_TOKEN = [{ kind: 'access_token', status: 'revoked' }];

describe('mayfly exec', () => {
  test('gives a command a token that works while it runs, in a file of its user alone, and takes back that token and no other', async () => {
    const beside = issued(await world.mayfly.exchange({ subject_token: await world.evidence(), audience: API, scope: 'deploy:read' }));
    const besideId = (JSON.parse(Buffer.from(beside.split('.')[1] ?? '', 'base64url').toString()) as { jti: string }).jti;
    const program = exec(TOKEN, node(`
      import { readFileSync, statSync } from 'node:fs';
      const file = process.env.MAYFLY_TOKEN_FILE;
      console.log(JSON.stringify({ file, mode: statSync(file).mode & 0o777, token: readFileSync(file, 'utf8') }));
      process.stdin.resume(); process.stdin.on('end', () => process.exit(0));
    `));
    let inside: readonly Lease[] = [];
    const made = await leasesOf(async () => {
      await program.says(/"token":"[^"]+"}\n/);
      inside = await leases();
      program.process.stdin?.end();
      expect(await program.ended).toBe(0);
    });
    const seen = JSON.parse(program.out()) as { file: string; mode: number; token: string };
    const { jti } = JSON.parse(Buffer.from(seen.token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string };
    expect(inside.find(({ id }) => id === jti)).toMatchObject({ status: 'active' });
    expect(seen.mode).toBe(0o600);
    expect(existsSync(seen.file)).toBe(false);
    expect(made).toEqual(REVOKED_TOKEN);
    // The same run's other token is none of this command's business.
    expect((await leases()).find(({ id }) => id === besideId)).toMatchObject({ status: 'active' });
  });

  test('gives an unchanged AWS SDK keys that AWS takes, beside the token, and takes both back', async () => {
    const program = exec([...TOKEN, '--aws-role', ROLE_ARN], node(`
      import { STSClient } from '@aws-sdk/client-sts';
      const { accessKeyId } = await new STSClient({ region: 'eu-central-1' }).config.credentials();
      console.log(accessKeyId);
    `), { AWS_ACCESS_KEY_ID: 'AKIAOLD', AWS_SECRET_ACCESS_KEY: 'old' });
    const made = await leasesOf(() => program.ended);
    // The SDK says so when an answer takes it longer than a second.
    expect(program.err().split('\n').filter((line) => line !== '' && !line.includes('@smithy/node-http-handler'))).toEqual([]);
    expect(sts.permits(program.out().trim(), 's3:GetObject', 'arn:aws:s3:::releases/v1')).toBe(true);
    expect(made).toHaveLength(2);
    expect(made).toEqual(expect.arrayContaining([...REVOKED_TOKEN, { kind: 'aws-credentials', status: 'revoked' }]));
  });

  test('keeps from the command what would let it be the job, and nothing else', async () => {
    const show = node('console.log(JSON.stringify(process.env))');
    const env = { MAYFLY_ADMIN_TOKEN: 'admin', BUILD_NUMBER: '12' };
    const program = exec(TOKEN, show, env);
    await program.ended;
    const seen = JSON.parse(program.out()) as object;
    for (const name of ['ACTIONS_ID_TOKEN_REQUEST_URL', 'ACTIONS_ID_TOKEN_REQUEST_TOKEN', 'MAYFLY_ADMIN_TOKEN', 'MAYFLY_TOKEN']) expect(seen).not.toHaveProperty(name);
    expect(seen).toMatchObject({ BUILD_NUMBER: '12', GITHUB_ACTIONS: 'true' });
    const kept = exec([...TOKEN, '--keep-evidence'], show, env);
    await kept.ended;
    expect(JSON.parse(kept.out())).toHaveProperty('ACTIONS_ID_TOKEN_REQUEST_TOKEN');
  });

  test.each([
    { name: 'its exit code', command: node('process.exit(7)'), code: 7 },
    { name: 'its end by a signal', command: node('process.kill(process.pid, "SIGKILL")'), code: 137 },
    { name: 'that it does not exist', command: ['no-such-program-anywhere'], code: 127 },
  ])('passes on $name, and takes the token back all the same', async ({ command, code }) => {
    const program = exec(TOKEN, command);
    expect(await leasesOf(async () => { expect(await program.ended).toBe(code); })).toEqual(REVOKED_TOKEN);
  });

  test('passes a signal on, and takes the token back after the command ended in its own way', async () => {
    const program = exec(TOKEN, node('process.on("SIGTERM", () => { console.log("tidied"); process.exit(3); }); console.log("ready"); setInterval(() => {}, 1000);'));
    const made = await leasesOf(async () => {
      await program.says('ready');
      program.process.kill('SIGTERM');
      expect(await program.ended).toBe(3);
    });
    expect(program.out()).toContain('tidied');
    expect(made).toEqual(REVOKED_TOKEN);
  });

  test('runs nothing when part of what it asks is refused, and takes back what it had', async () => {
    const program = exec(['--audience', OTHER_API, '--aws-role', ROLE_ARN], node('console.log("ran")'));
    expect(await leasesOf(async () => { expect(await program.ended).toBe(1); })).toEqual([]);
    expect(program.out()).toBe('');
    expect(program.err()).toContain('refused (invalid_target)');
    sts.failNext('AccessDenied', 403);
    const second = exec([...TOKEN, '--aws-role', ROLE_ARN], node('console.log("ran")'));
    expect(await leasesOf(async () => { expect(await second.ended).toBe(1); })).toEqual(REVOKED_TOKEN);
    expect(second.out()).toBe('');
  });
});
