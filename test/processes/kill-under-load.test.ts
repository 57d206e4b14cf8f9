import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { freePort } from '../../demo/free-port.ts';
import { startLoad } from './load.ts';
import type { Load } from './load.ts';
import { GROUNDS } from './places.ts';
import type { Ground, Place } from './places.ts';
import { startPlatform } from './platform.ts';
import type { Platform } from './platform.ts';
import { startServerProcess } from './server.ts';
import type { Server } from './server.ts';
import { until } from './until.ts';

// Processes start slowly on a machine with more to do than it can; nothing here is about how fast.
jest.setTimeout(300_000);

const KILLS = 10;

let platform: Platform;
beforeAll(async () => { platform = await startPlatform(); });
afterAll(() => platform.close());

describe.each(GROUNDS)('a server on $engine', ({ openGround }) => {
  let ground: Ground;
  let place: Place;
  let port: number;
  let server: Server | undefined;
  const start = async (config: Readonly<Record<string, unknown>> = {}): Promise<Server> => {
    server = await startServerProcess({ folder: place.folder(), port, config: { ...place.config, ...config } });
    return server;
  };
  beforeAll(async () => {
    ground = await openGround();
    place = await ground.makePlace();
    port = await freePort();
    await (await start()).apply(platform.manifest);
  });
  afterEach(async () => { await server?.kill(); });
  afterAll(async () => {
    await place.drop();
    await ground.close();
  });

  /** Every token a client holds is in the registry, and its issuance in the audit log. */
  const expectKept = async (running: Server, leases: readonly string[]): Promise<void> => {
    const statuses = await Promise.all(leases.map(async (lease) => [lease, (await running.admin('GET', `leases/${lease}`)).body['status']]));
    expect(statuses).toEqual(leases.map((lease) => [lease, 'active']));
    const exported = String((await running.admin('GET', 'audit')).body['text']);
    expect(leases.filter((lease) => !exported.includes(lease))).toEqual([]);
  };

  test(`killed ${KILLS} times under load, has every token in its registry that a client received`, async () => {
    const url = `http://127.0.0.1:${port}`;
    const held: string[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      const running = server?.process.exitCode === null && server.process.signalCode === null ? server : await start();
      const load = startLoad(running, platform, url);
      // At another moment of its work each time.
      await until('tokens are issued', () => load.leases.length >= 8 + 3 * kill);
      await running.kill();
      await load.stop();
      held.push(...load.leases);
      expectHarmless(load);
    }
    const restarted = await start();
    await expectKept(restarted, held);
    expect(await restarted.verifyAudit()).toMatchObject({ ok: true, findings: [] });
    expect((await restarted.verifyAudit()).chains.length).toBeGreaterThanOrEqual(KILLS);
  });

  test('with two serving processes goes on without one of them, and keeps every token when the primary is killed as well', async () => {
    const url = `http://127.0.0.1:${port}`;
    const running = await start({ workers: 2 });
    const load: Load = startLoad(running, platform, url);
    await until('tokens are issued', () => load.leases.length >= 20);
    await until('both are in the log', () => workerPids(running).length === 2);
    const [first, second] = workerPids(running);
    process.kill(Number(first), 'SIGKILL');
    const before = load.leases.length;
    await until('the other goes on', () => load.leases.length >= before + 20);
    await until('a third takes its place', () => workerPids(running).length === 3);
    const third = Number(workerPids(running)[2]);
    const after = load.leases.length;
    await until('tokens are issued', () => load.leases.length >= after + 20);
    await running.kill();
    await until('the serving processes end with their primary', () => !isAlive(Number(second)) && !isAlive(third));
    await load.stop();
    expectHarmless(load);
    const restarted = await start();
    await expectKept(restarted, load.leases);
    expect(await restarted.verifyAudit()).toMatchObject({ ok: true, findings: [] });
  });
});

/** A machine with too much to do may make a server say 503; nothing else is a reason to refuse. */
const expectHarmless = (load: Load): void => { expect(load.refused.filter(({ status }) => status !== 503)).toEqual([]); };

const workerPids = (server: Server): readonly unknown[] => server.log.filter(({ msg }) => msg === 'a serving process is ready').map(({ pid }) => pid);

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
