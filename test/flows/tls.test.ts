import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Agent, request } from 'undici';
import { stringify } from 'yaml';
import { makeCertificate } from '../support/certificate.ts';
import { freePort } from '../../demo/free-port.ts';
import { OWNER } from '../support/world.ts';
import { mayflyProgram, runProgram } from './shell.ts';
import type { Program } from './shell.ts';

let folder = '';
let servers: Program[] = [];
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'mayfly-test-')); });
afterEach(async () => {
  for (const server of servers) {
    server.process.kill('SIGTERM');
    await server.ended;
  }
  servers = [];
  rmSync(folder, { recursive: true, force: true });
});

const save = (name: string, content: string | object): string => {
  const file = join(folder, name);
  writeFileSync(file, typeof content === 'string' ? content : stringify(content));
  return file;
};
/** `mayfly serve` in a folder of its own; resolves when it is ready. */
const serve = async (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Program> => {
  const server = mayflyProgram(['serve', ...args], env, folder);
  servers.push(server);
  await server.says('mayfly is ready');
  return server;
};
const refused = (args: readonly string[], env: Readonly<Record<string, string>> = {}) => runProgram(['serve', ...args], env, folder);
const end = async (server: Program): Promise<number | null> => {
  server.process.kill('SIGTERM');
  return server.ended;
};
const cli = (args: readonly string[], env: Readonly<Record<string, string>> = {}) => runProgram(args, { MAYFLY_DATA_DIR: join(folder, 'data'), ...env }, folder);
const addDomain = (name: string, stage: string) => cli(['domain', 'add', name, '--set', `stage=${stage}`, '--set', `owner=${OWNER}`]);

describe('TLS by files', () => {
  test('serves whoever trusts the certificate and nobody else, and production domains can be made', async () => {
    const port = await freePort();
    const { cert, key } = makeCertificate('localhost');
    const config = save('mayfly.yaml', {
      listen: `127.0.0.1:${port}`, external_url: `https://localhost:${port}`, data_dir: join(folder, 'data'), tls: { cert_file: save('cert.pem', cert), key_file: save('key.pem', key) },
    });
    const server = await serve(['--config', config]);
    // Without a development domain: an https URL is for real.
    expect((await cli(['domain', 'list'])).out).not.toContain('dev');
    expect(await addDomain('prod', 'production')).toMatchObject({ code: 0 });
    const url = `https://localhost:${port}/prod/.well-known/openid-configuration`;
    const trusting = new Agent({ connect: { ca: cert } });
    const trusted = await request(url, { dispatcher: trusting });
    expect(await trusted.body.json()).toMatchObject({ issuer: `https://localhost:${port}/prod` });
    await trusting.close();
    await expect(request(url)).rejects.toMatchObject({ code: expect.stringMatching(/SELF_SIGNED|UNABLE_TO_VERIFY/) });

    const ask = ['token', '--issuer', `https://localhost:${port}/prod`, '--audience', 'https://api.example'];
    const asked = await cli(ask, { MAYFLY_ID_TOKEN: 'e.y.J', NODE_EXTRA_CA_CERTS: join(folder, 'cert.pem') });
    expect(asked).toMatchObject({ code: 1, err: expect.stringContaining('refused (invalid_request)') });
    expect(await cli(ask, { MAYFLY_ID_TOKEN: 'e.y.J' })).toMatchObject({ code: 1, err: expect.stringMatching(/cannot reach.*(SELF_SIGNED|UNABLE_TO_VERIFY)/) });
    expect(await end(server)).toBe(0);
  });

  test.each([
    { name: 'that are not there', files: () => ({ cert_file: join(folder, 'no.pem'), key_file: join(folder, 'no.key') }), told: ['tls.cert_file: the file', 'no.pem cannot be read (ENOENT)', 'tls.key_file: the file', 'no.key cannot be read (ENOENT)'] },
    { name: 'that do not belong together', files: () => ({ cert_file: save('cert.pem', makeCertificate('localhost').cert), key_file: save('key.pem', makeCertificate('localhost').key) }), told: ['tls.key_file: ', 'not the key of the certificate'] },
  ])('with files $name is refused with their settings, before anything is made', async ({ files, told }) => {
    const config = save('mayfly.yaml', { listen: `127.0.0.1:${await freePort()}`, data_dir: join(folder, 'data'), tls: files() });
    const { code, err } = await refused(['--config', config]);
    expect(code).toBe(2);
    for (const part of [...told, 'error: the configuration is refused', 'next: ']) expect(err).toContain(part);
    expect(existsSync(join(folder, 'data'))).toBe(false);
  });
});

describe('an address', () => {
  let holder = createServer();
  beforeEach(async () => {
    holder = createServer().listen(await freePort(), '127.0.0.1');
    await once(holder, 'listening');
  });
  const release = (): Promise<unknown> => new Promise((resolve) => { holder.close(resolve); });
  afterEach(release);

  test.each([{ setting: 'listen' }, { setting: 'admin.listen' }])('of $setting that is in use is refused by that setting, and taken once it is free', async ({ setting }) => {
    const at = `127.0.0.1:${(holder.address() as AddressInfo).port}`;
    const config = save('mayfly.yaml', { data_dir: join(folder, 'data'), ...(setting === 'listen' ? { listen: at } : { listen: `127.0.0.1:${await freePort()}`, admin: { listen: at } }) });
    const { code, err } = await refused(['--config', config]);
    expect([code, err]).toEqual([2, expect.stringContaining(`  ${setting}: ${at} is in use`)]);
    await release();
    const server = await serve(['--config', config]);
    expect(await end(server)).toBe(0);
  });

  test.each([
    { setting: 'listen', place: '203.0.113.7', why: 'no address of this machine' },
    { setting: 'admin.listen', place: 'nowhere.invalid', why: 'cannot be resolved' },
  ])('of $setting that is not ours is refused: $why', async ({ setting, place, why }) => {
    const at = `${place}:${await freePort()}`;
    const config = save('mayfly.yaml', { data_dir: join(folder, 'data'), ...(setting === 'listen' ? { listen: at } : { listen: `127.0.0.1:${await freePort()}`, admin: { listen: at } }) });
    const { code, err } = await refused(['--config', config]);
    expect([code, err]).toEqual([2, expect.stringMatching(new RegExp(`  ${setting.replace('.', '\\.')}: ${place.replaceAll('.', '\\.')}.* ${why}`))]);
  });
});

describe('the external URL', () => {
  test('over plain http lets no domain be made but development ones', async () => {
    await serve(['--listen', `127.0.0.1:${await freePort()}`]);
    const { code, err } = await addDomain('prod', 'production');
    expect(code).toBe(2);
    expect(err).toContain('domains[0].stage');
    expect(await addDomain('lab', 'development')).toMatchObject({ code: 0 });
  });

  test('that is another than the domains were made with stops the start, and names the right one', async () => {
    const port = await freePort();
    const server = await serve(['--listen', `127.0.0.1:${port}`]);
    expect(await end(server)).toBe(0);
    const { code, err } = await refused(['--listen', `127.0.0.1:${port}`], { MAYFLY_EXTERNAL_URL: `http://localhost:${port}` });
    expect(code).toBe(2);
    expect(err).toContain(`set external_url to http://127.0.0.1:${port}`);
    await serve(['--listen', `127.0.0.1:${port}`], { MAYFLY_EXTERNAL_URL: `http://127.0.0.1:${port}` });
  });

  test.each([
    { name: 'plain http beyond loopback', url: 'http://sts.acme.example' },
    { name: 'a query', url: 'https://sts.acme.example/?a=b' },
    { name: 'no URL', url: 'sts.acme.example' },
  ])('with $name is refused', async ({ url }) => {
    const { code, err } = await refused([], { MAYFLY_EXTERNAL_URL: url });
    expect(code).toBe(2);
    expect(err).toContain('external_url');
  });
});

test('a second server on the same data folder is refused, and the first goes on', async () => {
  const first = await serve(['--listen', `127.0.0.1:${await freePort()}`]);
  const second = await refused(['--listen', `127.0.0.1:${await freePort()}`]);
  expect(second.code).not.toBe(0);
  expect(second.err).toMatch(/next: |another/);
  expect((await cli(['domain', 'list'])).code).toBe(0);
  expect(await end(first)).toBe(0);
});

test('a flag wins over the environment, and the environment over the file', async () => {
  const [inFile, inEnvironment, byFlag] = [await freePort(), await freePort(), await freePort()];
  const config = save('mayfly.yaml', { listen: `127.0.0.1:${inFile}`, data_dir: join(folder, 'of-the-file') });
  const env = { MAYFLY_CONFIG: config, MAYFLY_DATA_DIR: join(folder, 'data') };
  const settled = async (args: readonly string[], variables: Readonly<Record<string, string>>): Promise<string> => {
    const server = await serve(args, variables);
    const listening = /ready at (\S+);.*at (\S+)\n/.exec(server.err());
    expect(await end(server)).toBe(0);
    return `${listening?.[1] ?? ''} ${listening?.[2] ?? ''}`;
  };
  const socket = (data: string): string => `unix://${join(folder, data, 'admin', 'mayfly.sock')}`;
  expect(await settled([], { MAYFLY_CONFIG: config })).toBe(`http://127.0.0.1:${inFile} ${socket('of-the-file')}`);
  expect(await settled([], { ...env, MAYFLY_LISTEN: `127.0.0.1:${inEnvironment}` })).toBe(`http://127.0.0.1:${inEnvironment} ${socket('data')}`);
  expect(await settled(['--listen', `127.0.0.1:${byFlag}`], { ...env, MAYFLY_DATA_DIR: join(folder, 'third'), MAYFLY_LISTEN: `127.0.0.1:${inEnvironment}` })).toBe(`http://127.0.0.1:${byFlag} ${socket('third')}`);
});
