import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

const MINUTES = 60_000;
const root = fileURLToPath(new URL('..', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { name: string; version: string; dependencies: Record<string, string>; devDependencies: Record<string, string> };

/** What npm set for the run of the tests is not what a user's shell has; the node of the tests is not on a user's path. */
const userEnvironment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_OPTIONS$|^INIT_CWD$|^MAYFLY_/i.test(name)));
userEnvironment['PATH'] = (process.env['PATH'] ?? '').split(':').filter((folder) => !folder.includes('node_modules')).join(':');

const run = (command: string, args: readonly string[], cwd: string): Promise<{ readonly code: number; readonly out: string; readonly err: string }> =>
  new Promise((resolve) => {
    execFile(command, args, { cwd, env: userEnvironment, maxBuffer: 64 * 1024 * 1024 }, (fault, out, err) => resolve({ code: typeof fault?.code === 'number' ? fault.code : fault === null ? 0 : 1, out, err }));
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
  }, 5 * MINUTES);
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

  test('serves from there, and ends when it is told to', async () => {
    const data = join(folder, 'served');
    const server = spawn(join(folder, 'node_modules/.bin/mayfly'), ['serve', '--listen', '127.0.0.1:0'], { cwd: folder, env: { ...userEnvironment, MAYFLY_DATA_DIR: data, MAYFLY_EXTERNAL_URL: 'http://127.0.0.1:8420' } });
    let [out, err] = ['', ''];
    const ended = new Promise<number | null>((resolve) => { server.once('close', resolve); });
    const ready = new Promise<string>((resolve) => {
      server.stderr.on('data', (chunk: Buffer) => { err += chunk.toString(); });
      server.stdout.on('data', (chunk: Buffer) => {
        out += chunk.toString();
        const address = /"listening":"(http:[^"]+)"/.exec(out)?.[1];
        if (address !== undefined) resolve(address);
      });
    });
    const address = await Promise.race([ready, ended.then(() => '')]);
    expect({ address, err }).toMatchObject({ address: expect.stringMatching(/^http:/) });
    expect((await fetch(`${address}/dev/.well-known/openid-configuration`)).status).toBe(200);
    expect(await run(join(folder, 'node_modules/.bin/mayfly'), ['domain', 'list', '--server', `unix://${data}/admin/mayfly.sock`], folder)).toMatchObject({ code: 0, out: expect.stringContaining('http://127.0.0.1:8420/dev') });
    server.kill('SIGTERM');
    expect(await ended).toBe(0);
  });

  test('loads both database clients from there', async () => {
    const clients = ['sqlite', 'postgresql'].map((engine) => `import('./node_modules/${manifest.name}/dist/store/generated/${engine}/client.js')`).join(', ');
    expect(await run(process.execPath, ['--input-type=module', '-e', `const all = await Promise.all([${clients}]); console.log(all.every(({ PrismaClient }) => typeof PrismaClient === 'function'))`], folder)).toMatchObject({ code: 0, out: 'true\n' });
  });
});
