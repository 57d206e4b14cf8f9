import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { stringify } from 'yaml';
import { startRunner } from './flows/shell.ts';
import type { Runner } from './flows/shell.ts';
import { startPlatform } from './processes/platform.ts';
import type { Platform } from './processes/platform.ts';
import { freePort } from '../demo/free-port.ts';
import { API, DEPLOYER, OTHER_API } from './support/world.ts';

/** A package is fetched and unpacked with all it depends on; each command after that is two processes. */
const INSTALLED_MS = 600_000;
jest.setTimeout(240_000);

const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { name: string; version: string; dependencies: Record<string, string>; devDependencies: Record<string, string> };

/** What npm set for the run of the tests is not what a user's shell has; the node of the tests is not on a user's path. */
const userEnvironment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_OPTIONS$|^INIT_CWD$|^MAYFLY_/i.test(name)));
userEnvironment['PATH'] = (process.env['PATH'] ?? '').split(':').filter((folder) => !folder.includes('node_modules')).join(':');

const run = (command: string, args: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}): Promise<{ readonly code: number; readonly out: string; readonly err: string }> =>
  new Promise((resolve) => {
    execFile(command, args, { cwd, env: { ...userEnvironment, ...env }, maxBuffer: 64 * 1024 * 1024 }, (fault, out, err) => resolve({ code: typeof fault?.code === 'number' ? fault.code : fault === null ? 0 : 1, out, err }));
  });

describe('the package, packed and installed as a user would', () => {
  let folder = '';
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mayfly-package-'));
    const packed = await run('npm', ['run', '--silent', 'package', '--', '--pack-destination', folder, '--silent'], root);
    if (packed.code !== 0) throw new Error(packed.err);
    const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz')) ?? '';
    writeFileSync(join(folder, 'package.json'), '{"private": true}');
    const installed = await run('npm', ['install', `./${tarball}`, '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund'], folder);
    if (installed.code !== 0) throw new Error(installed.err);
  }, INSTALLED_MS);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const mayfly = (...args: readonly string[]) => run('npx', ['--no-install', 'mayfly', ...args], folder);

  test('says its version on whatever node the machine has', async () => {
    expect(await mayfly('--version')).toMatchObject({ code: 0, out: `${manifest.version}\n` });
  });

  test('shows its help, and exits as the command line says', async () => {
    expect(await mayfly('--help')).toMatchObject({ code: 0, out: expect.stringContaining('Usage: mayfly') });
    expect((await mayfly('leese')).code).toBe(2);
    expect(await mayfly('lease', 'list')).toMatchObject({ code: 1, err: expect.stringContaining('mayfly serve') });
  });

  test('brings what it needs and none of our tools', () => {
    const isInstalled = (name: string): boolean => existsSync(join(folder, 'node_modules', name));
    expect(Object.keys(manifest.dependencies).filter((name) => !isInstalled(name))).toEqual([]);
    // Types of node and pg come along with libraries that declare them; nothing of them runs.
    expect(Object.keys(manifest.devDependencies).filter((name) => !name.startsWith('@types/') && isInstalled(name))).toEqual([]);
  });

  test('holds code and no sources, and the licence', () => {
    const files = readdirSync(join(folder, 'node_modules', manifest.name), { recursive: true, encoding: 'utf8' });
    expect(files.filter((file) => file.endsWith('.ts'))).toEqual([]);
    expect(files).toEqual(expect.arrayContaining(['dist/cli/main.js', 'dist/store/generated/sqlite/client.js', 'dist/store/generated/postgresql/client.js', 'prisma/schema.prisma', 'LICENSE', 'SECURITY.md', 'CHANGELOG.md']));
  });

  describe('serving from there', () => {
    const bin = (): string => join(folder, 'node_modules/.bin/mayfly');
    let platform: Platform;
    let runner: Runner;
    let server: ChildProcess;
    let ended: Promise<number | null>;
    let url = '';
    beforeAll(async () => {
      platform = await startPlatform();
      runner = await startRunner((audience) => Promise.resolve(platform.job(audience.replace(/\/dev$/, ''))));
      url = `http://127.0.0.1:${await freePort()}`;
      server = spawn(bin(), ['serve', '--listen', url.slice('http://'.length)], { cwd: folder, env: userEnvironment, stdio: ['ignore', 'ignore', 'pipe'] });
      ended = new Promise((resolve) => { server.once('close', resolve); });
      let told = '';
      const ready = new Promise<void>((resolve) => {
        server.stderr?.on('data', (chunk: Buffer) => {
          told += chunk.toString();
          if (told.includes(`mayfly is ready at ${url}`)) resolve();
        });
      });
      await Promise.race([ready, ended.then((code) => { throw new Error(`ended with ${code}: ${told}`); })]);
    });
    afterAll(async () => {
      server.kill('SIGKILL');
      await Promise.all([ended, runner.close(), platform.close()]);
    });
    /** As in a terminal opened beside the server: nothing is said about where it is. */
    const installed = (args: readonly string[], env?: Readonly<Record<string, string>>) => run(bin(), args, folder, env);

    test('does a whole job: a manifest applied, a job\'s token exchanged and verified by jose, the lease listed, the audit log verified', async () => {
      writeFileSync(join(folder, 'manifest.yaml'), stringify(platform.manifest));
      expect(await installed(['apply', '-f', 'manifest.yaml'])).toMatchObject({ code: 0, err: expect.stringMatching(/^applied: registry version \d+$/m) });
      const job = ['token', '--issuer', `${url}/dev`, '--scope', 'deploy:read', '--audience'];
      const { code, out, err } = await installed([...job, API], runner.env);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      const { jwks_uri: keys } = await (await fetch(`${url}/dev/.well-known/openid-configuration`)).json() as { jwks_uri: string };
      const { payload } = await jwtVerify(out.trim(), createRemoteJWKSet(new URL(keys)), { issuer: `${url}/dev`, audience: API, typ: 'at+jwt', algorithms: ['ES256'] });
      expect(payload).toMatchObject({ sub: DEPLOYER, client_id: DEPLOYER, scope: 'deploy:read' });
      expect(await installed([...job, OTHER_API], runner.env)).toMatchObject({ code: 1, out: '', err: expect.stringContaining('mayfly explain dec_') });
      const { items } = JSON.parse((await installed(['lease', 'list', '--json'])).out) as { items: readonly { id: string; status: string }[] };
      expect(items).toMatchObject([{ id: payload.jti, status: 'active' }]);
      expect(await installed(['audit', 'verify'])).toMatchObject({ code: 0, out: expect.stringContaining('ok: true') });
    });

    test('ends when it is told to', async () => {
      server.kill('SIGTERM');
      expect(await ended).toBe(0);
    });
  });

  test('loads both database clients from there', async () => {
    const clients = ['sqlite', 'postgresql'].map((engine) => `import('./node_modules/${manifest.name}/dist/store/generated/${engine}/client.js')`).join(', ');
    expect(await run(process.execPath, ['--input-type=module', '-e', `const all = await Promise.all([${clients}]); console.log(all.every(({ PrismaClient }) => typeof PrismaClient === 'function'))`], folder)).toMatchObject({ code: 0, out: 'true\n' });
  });
});
