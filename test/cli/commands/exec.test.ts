import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { ROLE, startStsPeer } from '../sts-peer.ts';
import type { StsOptions, StsPeer } from '../sts-peer.ts';
import { withFolder } from '../harness.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const PLATFORM = { MAYFLY_ID_TOKEN: 'e.y.J', ACTIONS_RUNTIME_URL: 'kept', MAYFLY_ADMIN_TOKEN: 'admin' };

interface Ended { readonly code: number | null; readonly out: string; readonly err: string; readonly peer: StsPeer }

/** The real program in its own process; `script` is what the command runs. */
const exec = async (args: readonly string[], command: readonly string[], options: StsOptions & { readonly env?: Readonly<Record<string, string>>; readonly onOut?: (text: string, pid: number) => void } = {}): Promise<Ended> => {
  const peer = await startStsPeer(options);
  const child = spawn(process.execPath, [join(root, 'bin/mayfly.js'), 'exec', '--issuer', peer.url, ...args, '--', ...command], { env: { PATH: process.env['PATH'] ?? '', HOME: root, ...PLATFORM, ...options.env }, cwd: root });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => { out += chunk.toString(); options.onOut?.(out, child.pid ?? 0); });
  child.stderr.on('data', (chunk: Buffer) => { err += chunk.toString(); });
  const code = await new Promise<number | null>((resolve) => { child.once('close', resolve); });
  await peer.close();
  return { code, out, err, peer };
};
const node = (script: string): readonly string[] => [process.execPath, '--input-type=module', '-e', script];
const TOKEN = ['--audience', 'https://deploy.acme.example', '--scope', 'deploy:write'];

describe('exec', () => {
  test('gives the command a token in a file nobody else can read, and takes both back at the end', async () => {
    const { code, out, peer } = await exec(TOKEN, node(`
      import { readFileSync, statSync } from 'node:fs'; import { dirname } from 'node:path';
      const file = process.env.MAYFLY_TOKEN_FILE;
      console.log(JSON.stringify({ file, token: readFileSync(file, 'utf8'), mode: statSync(file).mode & 0o777, folder: statSync(dirname(file)).mode & 0o777, plain: process.env.MAYFLY_TOKEN ?? null }));
    `));
    const seen = JSON.parse(out) as { file: string };
    expect(seen).toMatchObject({ token: 'token-1', mode: 0o600, folder: 0o700, plain: null });
    expect(code).toBe(0);
    expect(peer.revoked).toEqual(['token-1']);
    expect(existsSync(seen.file)).toBe(false);
  });

  test('keeps the platform\'s token variables from the command, unless it is told not to', async () => {
    const show = node('console.log(JSON.stringify(process.env))');
    const without = JSON.parse((await exec(TOKEN, show)).out) as object;
    expect(without).not.toHaveProperty('MAYFLY_ID_TOKEN');
    expect(without).not.toHaveProperty('MAYFLY_ADMIN_TOKEN');
    expect(without).toHaveProperty('ACTIONS_RUNTIME_URL', 'kept');
    expect(JSON.parse((await exec([...TOKEN, '--keep-evidence'], show)).out)).toHaveProperty('MAYFLY_ID_TOKEN', 'e.y.J');
    const named = await exec([...TOKEN, '--subject-token-env', 'MINE'], show, { env: { MINE: 'm', ACTIONS_ID_TOKEN_REQUEST_URL: 'https://x', ACTIONS_ID_TOKEN_REQUEST_TOKEN: 't' } });
    for (const name of ['MINE', 'ACTIONS_ID_TOKEN_REQUEST_URL', 'ACTIONS_ID_TOKEN_REQUEST_TOKEN']) expect(JSON.parse(named.out)).not.toHaveProperty(name);
  });

  test('gives an unchanged AWS SDK its keys, before any other source on the machine', async () => {
    const { code, out, err, peer } = await exec(['--aws-role', ROLE], node(`
      import { readFileSync, statSync } from 'node:fs';
      import { STSClient } from '@aws-sdk/client-sts';
      const { accessKeyId, secretAccessKey, sessionToken, expiration } = await new STSClient({ region: 'eu-central-1' }).config.credentials();
      const file = process.env.AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE;
      console.log(JSON.stringify({ accessKeyId, secretAccessKey, sessionToken, expiration, mode: statSync(file).mode & 0o777, lineEnd: readFileSync(file, 'utf8').endsWith('\\n') }));
    `), { expiresIn: 900, env: { AWS_ACCESS_KEY_ID: 'AKIAOLD', AWS_SECRET_ACCESS_KEY: 'old', AWS_PROFILE: 'old' } });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(out)).toMatchObject({ accessKeyId: 'ASIA1', secretAccessKey: 'secret', sessionToken: 'session', mode: 0o400, lineEnd: false });
    expect(peer.revoked.map((credential) => (JSON.parse(credential) as { LeaseId: string }).LeaseId)).toEqual(['lse_1']);
  });

  test('gives plain variables only on demand, with a warning of their end', async () => {
    const { out, err } = await exec([...TOKEN, '--aws-role', ROLE, '--env'], node('const { MAYFLY_TOKEN, AWS_ACCESS_KEY_ID, AWS_CONTAINER_CREDENTIALS_FULL_URI } = process.env; console.log(JSON.stringify({ MAYFLY_TOKEN, AWS_ACCESS_KEY_ID, AWS_CONTAINER_CREDENTIALS_FULL_URI }))'));
    expect(JSON.parse(out)).toEqual({ MAYFLY_TOKEN: 'token-1', AWS_ACCESS_KEY_ID: 'ASIA2' });
    expect(err).toMatch(/warning: plain variables are not renewed.*MAYFLY_TOKEN at 2\d{3}-.*AWS keys at 2\d{3}-/);
  });

  test('renews the token while the command runs, and revokes the old one too', async () => {
    const { out, peer } = await exec(TOKEN, node(`
      import { readFileSync, watch } from 'node:fs'; import { dirname } from 'node:path';
      const file = process.env.MAYFLY_TOKEN_FILE;
      const look = () => { const token = readFileSync(file, 'utf8'); if (token !== 'token-1') { console.log(token); process.exit(); } };
      watch(dirname(file), look); look();
    `), { expiresIn: (n) => (n === 1 ? 4 : 300) });
    expect(out).toBe('token-2\n');
    expect(peer.asked.map(({ subject_token: evidence }) => evidence)).toEqual(['e.y.J', 'e.y.J']);
    expect(peer.revoked).toContain('token-2');
  });

  test.each([
    { name: 'its exit code', command: node('process.exit(7)'), code: 7 },
    { name: 'its end by a signal', command: node('process.kill(process.pid, "SIGKILL")'), code: 137 },
    { name: 'that it does not exist', command: ['no-such-program-anywhere'], code: 127 },
    { name: 'that it cannot be run', command: [join(root, 'package.json')], code: 126 },
  ])('passes on $name, and revokes all the same', async ({ command, code }) => {
    const ended = await exec(TOKEN, command);
    expect({ code: ended.code, revoked: ended.peer.revoked }).toEqual({ code, revoked: ['token-1'] });
  });

  test('passes signals on and revokes after the command has ended in its own way', async () => {
    let told = false;
    const { code, out, peer } = await exec(TOKEN, node('process.on("SIGTERM", () => { console.log("tidied"); process.exit(3); }); console.log("ready"); setInterval(() => {}, 1000);'), {
      onOut: (text, pid) => {
        if (told || !text.includes('ready')) return;
        told = true;
        process.kill(pid, 'SIGTERM');
      },
    });
    expect({ code, out, revoked: peer.revoked }).toEqual({ code: 3, out: 'ready\ntidied\n', revoked: ['token-1'] });
  });

  test('hands the command its own flags untouched', async () => {
    const { out } = await exec(TOKEN, [process.execPath, '-p', 'JSON.stringify(process.argv.slice(1))', '--', '--json', '--audience', 'x', '--', '-h']);
    expect(JSON.parse(out)).toEqual(['--json', '--audience', 'x', '--', '-h']);
  });

  test('does not run the command when anything it asked for is refused, and revokes what it got before', async () => {
    const { code, out, err, peer } = await exec([...TOKEN, '--aws-role', ROLE], node('console.log("ran")'), { refuse: (form) => (form['audience'] === ROLE ? { status: 400, body: { error: 'invalid_target', decision_id: 'dec_1' } } : undefined) });
    expect({ code, out, revoked: peer.revoked }).toEqual({ code: 1, out: '', revoked: ['token-1'] });
    expect(err).toContain('mayfly explain dec_1');
  });

  test('gives back what cannot be used', async () => {
    const { code, out, peer } = await exec(['--aws-role', ROLE], node('console.log("ran")'), { refuse: () => ({ body: { access_token: 'no-keys', token_type: 'N_A', expires_in: 900 } }) });
    expect({ code, out, revoked: peer.revoked }).toEqual({ code: 1, out: '', revoked: ['no-keys'] });
  });

  test('says what could not be revoked, and still ends as the command did', async () => {
    const { code, err } = await exec(TOKEN, node(''), { revokeStatus: 503 });
    expect(code).toBe(0);
    expect(err).toContain('1 of 1 credentials could not be revoked and end by themselves');
  });

  test.each([
    { name: 'nothing asked for', args: [] },
    { name: 'a role that is none', args: ['--aws-role', 'deploy'] },
    { name: 'two roles', args: ['--audience', ROLE, '--aws-role', ROLE] },
  ])('calls $name bad input and runs nothing', async ({ args }) => {
    const { code, out, peer } = await exec(args, node('console.log("ran")'));
    expect({ code, out, asked: peer.asked }).toEqual({ code: 2, out: '', asked: [] });
  });

  test('runs where only the temporary folder can be written', () => withFolder(async (folder) => {
    const { code, out } = await exec(TOKEN, node('console.log(process.env.MAYFLY_TOKEN_FILE)'), { env: { TMPDIR: folder } });
    expect({ code, inside: out.startsWith(folder) }).toEqual({ code: 0, inside: true });
  }));
});

describe('exec --dpop', () => {
  test('names the key of its token to the command, and renews with it', () => withFolder(async (folder) => {
    const { code, out, peer } = await exec([...TOKEN, '--dpop', join(folder, 'key.pem')], node(`
      import { readFileSync } from 'node:fs';
      const { MAYFLY_TOKEN_FILE, MAYFLY_DPOP_KEY_FILE } = process.env;
      console.log(JSON.stringify({ token: readFileSync(MAYFLY_TOKEN_FILE, 'utf8'), file: MAYFLY_DPOP_KEY_FILE, key: readFileSync(MAYFLY_DPOP_KEY_FILE, 'utf8').split('\\n')[0] }));
    `));
    expect({ code, seen: JSON.parse(out), proofs: peer.proofs.map((proof) => typeof proof) }).toEqual({ code: 0, seen: { token: 'token-1', file: join(folder, 'key.pem'), key: '-----BEGIN PRIVATE KEY-----' }, proofs: ['string'] });
  }));

  test('is not set without it', async () => {
    expect((await exec(TOKEN, node('console.log(process.env.MAYFLY_DPOP_KEY_FILE ?? null)'))).out).toBe('null\n');
  });
});

describe('exec --deferred', () => {
  const DEFERRED = 'urn:ietf:params:oauth:grant-type:deferred';
  const pending = (interval: number): NonNullable<StsOptions['refuse']> => (form) => (form['completion_mode'] === 'deferred' ? { status: 400, body: { error: 'authorization_pending', deferral_code: 'mfd_secret', expires_in: 1800, interval, approval_id: 'apr_1' } } : undefined);

  test('runs the command once people agreed, says that what they agreed to is not renewed, and takes it back', () => withFolder(async (folder) => {
    const { code, out, err, peer } = await exec([...TOKEN, '--deferred', '--dpop', join(folder, 'key.pem')], node('setTimeout(() => console.log("ran"), 1500)'), { refuse: pending(0.01), expiresIn: 2 });
    expect({ code, out, asked: peer.asked.map(({ grant_type: grant }) => grant?.split(':').at(-1)) }).toEqual({ code: 0, out: 'ran\n', asked: ['token-exchange', 'deferred'] });
    expect(err).toMatch(/waiting for a person to agree to apr_1.*\n[^]*apr_1 is approved\nwarning: .*is not renewed and ends at 2\d{3}-/);
    expect(peer.revoked.every((credential) => credential === 'token-2')).toBe(true);
  }));

  test('gives AWS keys without a key file', async () => {
    const { code, peer } = await exec(['--aws-role', ROLE, '--deferred'], node(''), { refuse: (form) => pending(0.01)(form, undefined) ?? (form['grant_type'] === DEFERRED ? { body: { access_token: JSON.stringify({ Version: 1, AccessKeyId: 'A', SecretAccessKey: 's', SessionToken: 't', Expiration: '2100-01-01T00:00:00Z' }), token_type: 'N_A', expires_in: 900 } } : undefined) });
    expect({ code, revoked: peer.revoked.length }).toEqual({ code: 0, revoked: 1 });
  });

  test('ends by a signal while it waits: nothing runs, and the request is withdrawn', () => withFolder(async (folder) => {
    const peer = await startStsPeer({ refuse: pending(600) });
    const child = spawn(process.execPath, [join(root, 'bin/mayfly.js'), 'exec', '--issuer', peer.url, ...TOKEN, '--deferred', '--dpop', join(folder, 'key.pem'), '--', ...node('console.log("ran")')], { env: { PATH: process.env['PATH'] ?? '', HOME: root, TMPDIR: folder, ...PLATFORM }, cwd: root });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => { out += chunk.toString(); });
    child.stderr.on('data', (chunk: Buffer) => {
      if (chunk.toString().includes('Ctrl-C')) child.kill('SIGINT');
      err += chunk.toString();
    });
    const code = await new Promise<number | null>((resolve) => { child.once('close', resolve); });
    await peer.close();
    expect({ code, out, revoked: peer.revoked, left: readdirSync(folder) }).toEqual({ code: 130, out: '', revoked: ['mfd_secret'], left: ['key.pem'] });
    expect(err).toContain('stopped by SIGINT');
  }));

  test.each([
    { name: 'a token without a key', args: TOKEN, says: '--dpop KEY-FILE' },
    { name: 'two things to wait for', args: [...TOKEN, '--aws-role', ROLE, '--dpop', 'x'], says: 'run two commands' },
  ])('calls $name bad input', async ({ args, says }) => {
    const { code, err, peer } = await exec([...args, '--deferred'], node('console.log("ran")'));
    expect({ code, asked: peer.asked }).toEqual({ code: 2, asked: [] });
    expect(err).toContain(says);
  });
});
