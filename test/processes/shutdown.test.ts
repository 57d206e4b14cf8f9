import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { freePort } from '../../demo/free-port.ts';
import { startLoad } from './load.ts';
import { GROUNDS } from './places.ts';
import type { Ground, Place } from './places.ts';
import { startPlatform } from './platform.ts';
import type { Platform } from './platform.ts';
import { startServerProcess } from './server.ts';
import type { Server } from './server.ts';
import { until } from './until.ts';

// Processes start slowly on a machine with more to do than it can; nothing here is about how fast.
jest.setTimeout(300_000);

const DURABLE = { sqlite: { journal_mode: 'wal', synchronous: 2 }, postgresql: { fsync: 'on', synchronous_commit: 'on' } } as const;

let platform: Platform;
beforeAll(async () => { platform = await startPlatform(); });
afterAll(() => platform.close());

describe.each(GROUNDS)('a server on $engine', ({ engine, openGround }) => {
  let ground: Ground;
  let place: Place;
  let server: Server | undefined;
  beforeAll(async () => { ground = await openGround(); });
  beforeEach(async () => { place = await ground.makePlace(); });
  afterEach(async () => {
    await server?.kill();
    await place.drop();
  });
  afterAll(() => ground.close());

  test.each([{ workers: 1 }, { workers: 2 }])('that is asked to end under load finishes what it began, seals its log and exits 0 ($workers serving)', async ({ workers }) => {
    const port = await freePort();
    const start = async (): Promise<Server> => {
      server = await startServerProcess({ folder: place.folder(), port, config: { ...place.config, workers } });
      return server;
    };
    const first = await start();
    await first.apply(platform.manifest);
    const load = startLoad(first, platform, `http://127.0.0.1:${port}`);
    await until('tokens are issued', () => load.leases.length >= 50);
    expect(await first.stop()).toEqual({ code: 0, signal: null });
    await load.stop();
    // A machine with too much to do may make a server say 503; nothing else is a reason to refuse.
    expect(load.refused.filter(({ status }) => status !== 503)).toEqual([]);

    const second = await start();
    const entries = String((await second.admin('GET', 'audit')).body['text']).trim().split('\n').map((line) => JSON.parse(line) as { readonly action: string; readonly body: string });
    const issued = entries.filter(({ action }) => action === 'exchange.issued').map(({ body }) => (JSON.parse(body) as { readonly body: { readonly lease: string } }).body.lease);
    // Nothing was begun that did not reach its caller, and nothing reached a caller that is not written down.
    expect([...issued].sort()).toEqual([...load.leases].sort());
    expect(await second.verifyAudit()).toMatchObject({ ok: true, findings: [], unsealed: 0 });
  });

  test('says what its commits rest on, read from the connections that commit', async () => {
    server = await startServerProcess({ folder: place.folder(), port: await freePort(), config: { ...place.config, workers: 2 } });
    const { log } = server;
    const serving = engine === 'sqlite' ? [] : [1, 2].map(() => ['this process commits for itself', DURABLE[engine]]);
    const said = () => log.filter(({ commits }) => commits !== undefined).map(({ msg, commits }) => [msg, commits]);
    // Each process writes its lines at a moment of its own.
    await until('all of it is logged', () => said().length > serving.length);
    expect([...said()].sort()).toEqual([['mayfly is ready', DURABLE[engine]], ...serving]);
  });
});
