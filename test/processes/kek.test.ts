import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { parseKek } from '../../src/keys/kek.ts';
import { runProgram } from '../flows/shell.ts';
import { freePort } from '../../demo/free-port.ts';
import { API, DEPLOYER, FAR, OWNER } from '../support/world.ts';
import { startPlatform } from './platform.ts';
import type { Platform } from './platform.ts';
import { GROUNDS } from './places.ts';
import type { Ground, Place } from './places.ts';
import { startServerProcess } from './server.ts';
import type { Server } from './server.ts';
import { createIntrospect } from './session.ts';
import type { Introspect } from './session.ts';
import { until } from './until.ts';

// Processes start slowly on a machine with more to do than it can; nothing here is about how fast.
jest.setTimeout(300_000);

const LEGACY = 'https://legacy.acme.example';
interface KekFile { readonly file: string; readonly id: string }
interface Key { readonly kid: string; readonly domain: string; readonly status: string; readonly kek_id: string }

/** One installation whose server is restarted with other key-encryption keys; each test goes on where the one before ended. */
describe.each(GROUNDS)('over $engine', ({ openGround }) => {
  let ground: Ground;
  let place: Place;
  let platform: Platform;
  let port: number;
  let a: KekFile;
  let b: KekFile;
  let server: Server;
  let introspect: Introspect;
  /** Tokens from under each key-encryption key, and checkpoints as an operator ships them away. */
  const tokens: string[] = [];
  const checkpoints: string[] = [];

  beforeAll(async () => {
    [ground, platform, port] = [await openGround(), await startPlatform(), await freePort()];
    place = await ground.makePlace();
    mkdirSync(place.folder('keks'), { recursive: true });
    [a, b] = [makeKek('a'), makeKek('b')];
  });
  afterEach(async () => { await server.kill(); });
  afterAll(async () => {
    await place.drop();
    await platform.close();
    await ground.close();
  });

  const makeKek = (name: string): KekFile => {
    const [file, text] = [join(place.folder('keks'), name), randomBytes(32).toString('base64')];
    writeFileSync(file, text, { mode: 0o600 });
    return { file, id: parseKek(text).id };
  };
  const start = async (current: KekFile, ...previous: readonly KekFile[]): Promise<void> => {
    server = await startServerProcess({ folder: place.folder(), port, config: { ...place.config, kek: { file: current.file, previous_files: previous.map(({ file }) => file) } } });
  };
  const stop = async (): Promise<void> => {
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    checkpoints.push(...server.log.flatMap(({ checkpoint }) => (typeof checkpoint === 'string' ? [checkpoint] : [])));
  };
  const mayfly = (...args: readonly string[]) => runProgram(args, { MAYFLY_SERVER: `unix://${join(place.folder(), 'admin', 'mayfly.sock')}` });
  const keys = async (): Promise<readonly Key[]> => (await server.admin('GET', 'keys')).body['items'] as readonly Key[];
  const exchange = (audience: string) => server.exchange({ subject_token: platform.job(server.at), audience });
  const issue = async (audience = API): Promise<string> => {
    const answer = await exchange(audience);
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
    return String(answer.body['access_token']);
  };
  const isReady = async (): Promise<boolean> => (await fetch(`${server.at}/readyz`)).status === 200;
  const verify = async (token: string): Promise<void> => {
    const alg = decodeProtectedHeader(token).alg ?? '';
    const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(`${server.at}/dev/jwks.json`)), { issuer: `${server.at}/dev`, audience: alg === 'RS256' ? LEGACY : API, algorithms: [alg] });
    expect(payload.sub).toBe(DEPLOYER);
  };
  /** All that was ever issued is active and verifies; what is issued now does too. */
  const serves = async (): Promise<void> => {
    expect(server.told.join('\n')).toContain('mayfly is ready');
    await until('it is ready', isReady);
    tokens.push(await issue(), await issue(LEGACY));
    for (const token of tokens) {
      await verify(token);
      expect((await introspect(server, token)).body).toMatchObject({ active: true });
    }
  };
  /** Starts, says what is missing wherever one looks, and does nothing that rests on keys. */
  const refusesFor = async (missing: KekFile): Promise<void> => {
    const before = await keys();
    const sentence = new RegExp(`sealed under key-encryption key ${missing.id}.*kek\\.previous_files`);
    expect(server.told[0]).toMatch(/^mayfly is not ready/);
    await until('it tells its terminal and its log', () => server.told.some((line) => sentence.test(line)) && server.log.some(({ msg }) => msg === 'mayfly is not ready'));
    expect(server.log.find(({ msg }) => msg === 'mayfly is not ready')).toMatchObject({ level: 'error', problems: expect.arrayContaining([expect.stringMatching(sentence)]) });
    expect(await server.look('readyz')).toMatchObject({ status: 503, body: { problems: expect.arrayContaining([expect.stringMatching(sentence)]) } });
    const outside = await fetch(`${server.at}/readyz`);
    expect([outside.status, await outside.json()]).toEqual([503, { status: 'not ready' }]);
    expect(await exchange(API)).toMatchObject({ status: 503, body: { error: 'temporarily_unavailable' } });
    expect((await introspect(server, tokens[0] ?? '')).status).toBe(503);
    // An empty key set would be believed for minutes.
    expect((await fetch(`${server.at}/dev/jwks.json`)).status).toBe(503);
    for (const attempt of [() => server.admin('POST', 'keys/rewrap', {}), () => server.admin('POST', 'keys/rotate', { domain: 'dev', purpose: 'aws' }), () => server.admin('PUT', 'domains/late', { stage: 'development', owner: OWNER })]) {
      expect(await attempt()).toMatchObject({ status: 409, body: { code: 'kek_missing', detail: expect.stringMatching(sentence) } });
    }
    expect(await mayfly('keys', 'rewrap')).toMatchObject({ code: 1, out: '', err: expect.stringMatching(/next: give the server that key-encryption key too/) });
    // What makes no key is still written.
    expect((await server.admin('PUT', `resources/dev/${encodeURIComponent(`https://${missing.id}.example`)}`, { owner: OWNER, expires: FAR })).status).toBe(200);
    expect(await keys()).toEqual(before);
  };

  test('with the first key-encryption key alone, tokens are issued', async () => {
    await start(a);
    await server.apply({
      ...platform.manifest,
      resources: [...platform.manifest.resources, { domain: 'dev', audience: LEGACY, algorithm: 'RS256', lifetime: 900, served_by: ['svc/deploy'], owner: OWNER, expires: FAR }],
      policies: [...platform.manifest.policies, { domain: 'dev', name: 'deployer-legacy', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource == Resource::"${LEGACY}");` }],
    });
    introspect = await createIntrospect(server, platform.service(server.at), server.at);
    await serves();
    expect(new Set((await keys()).map(({ kek_id: id }) => id))).toEqual(new Set([a.id]));
    await stop();
  });

  test('with the second alone before anything was rewrapped, the server says which one is missing and issues nothing', async () => {
    await start(b);
    await refusesFor(a);
    await stop();
  });

  test('with the second and the first among previous_files, all goes on, and keys rewrap brings every key over', async () => {
    await start(b, a);
    await serves();
    const before = await keys();
    expect(new Set(before.map(({ kek_id: id }) => id))).toEqual(new Set([a.id]));
    expect(await mayfly('keys', 'rewrap')).toMatchObject({ code: 0, err: `${before.length} rewrapped\n` });
    expect(await keys()).toEqual(before.map((key) => ({ ...key, kek_id: b.id })));
    expect(await mayfly('keys', 'rewrap')).toMatchObject({ code: 0, err: '0 rewrapped\n' });
    await serves();
    await stop();
  });

  test('with the second alone afterwards, old tokens hold, new ones are signed by the same keys, and every checkpoint verifies', async () => {
    const kids = tokens.map((token) => decodeProtectedHeader(token).kid);
    await start(b);
    await serves();
    expect(new Set(tokens.map((token) => decodeProtectedHeader(token).kid))).toEqual(new Set(kids));
    const file = join(place.folder('keks'), 'checkpoints.jsonl');
    writeFileSync(file, checkpoints.map((checkpoint) => `${JSON.stringify({ checkpoint })}\n`).join(''));
    expect(checkpoints.length).toBeGreaterThanOrEqual(2);
    expect(await mayfly('audit', 'verify', '--checkpoints', file)).toMatchObject({ code: 0 });
    await stop();
  });

  test('with the first alone afterwards, the server says that the second is missing and issues nothing', async () => {
    await start(a);
    await refusesFor(b);
    await stop();
  });

  test('and has spoilt nothing: with the second all is as before, and what the first alone wrote is shown as nobody\'s until both are there', async () => {
    await start(b);
    await serves();
    expect(await server.verifyAudit()).toMatchObject({ ok: false, findings: expect.arrayContaining([expect.objectContaining({ kind: 'forged' })]) });
    await stop();
    await start(b, a);
    expect(await server.verifyAudit()).toMatchObject({ ok: true });
    expect((await mayfly('keys', 'list')).out).toContain(b.id);
    await stop();
  });

  test('when both are lost, revoking every key with a third is the way back: what they signed is over, and new tokens are issued', async () => {
    const c = makeKek('c');
    await start(c);
    await refusesFor(b);
    for (const { kid, status } of await keys()) if (status !== 'revoked') expect((await server.admin('POST', `keys/${kid}/revoke`, { reason: 'key-encryption key lost' })).status).toBe(200);
    expect(new Set((await keys()).filter(({ status }) => status !== 'revoked').map(({ kek_id: id }) => id))).toEqual(new Set([c.id]));
    await until('it is ready', isReady);
    introspect = await createIntrospect(server, platform.service(server.at), server.at);
    for (const token of tokens.splice(0)) expect((await introspect(server, token)).body).toEqual({ active: false });
    tokens.push(await issue(), await issue(LEGACY));
    for (const token of tokens) await verify(token);
    await stop();
  });
});
