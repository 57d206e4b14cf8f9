import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { freePort } from '../../demo/free-port.ts';
import type { Answer } from '../support/mayfly.ts';
import { API, DEPLOYER } from '../support/world.ts';
import { GROUNDS, makeSqlitePlace } from './places.ts';
import type { Ground, Place } from './places.ts';
import { startPlatform } from './platform.ts';
import type { Platform } from './platform.ts';
import { DidNotStart, startServerProcess } from './server.ts';
import type { Server } from './server.ts';
import { createIntrospect } from './session.ts';
import { until } from './until.ts';

// Processes start slowly on a machine with more to do than it can; nothing here is about how fast.
jest.setTimeout(300_000);

let platform: Platform;
beforeAll(async () => { platform = await startPlatform(); });
afterAll(() => platform.close());

describe.each(GROUNDS)('a server with two serving processes on $engine', ({ engine, openGround }) => {
  let ground: Ground;
  let place: Place;
  let server: Server;
  beforeAll(async () => {
    ground = await openGround();
    place = await ground.makePlace();
    server = await startServerProcess({ folder: place.folder(), port: await freePort(), config: { ...place.config, workers: 2 } });
    await server.apply(platform.manifest);
  });
  afterAll(async () => {
    await server.kill();
    await place.drop();
    await ground.close();
  });

  const exchange = (): Promise<Answer> => server.exchange({ subject_token: platform.job(server.at), audience: API });
  /** On connections of their own, which are dealt to the processes in turn. */
  const many = <T>(n: number, ask: () => Promise<T>): Promise<readonly T[]> => Promise.all(Array.from({ length: n }, ask));
  const requestsOf = (route: string) => server.log.filter((line) => line['route'] === route);

  test('answers from both, with what the primary applied, and counts what all of them did', async () => {
    const answers = await many(20, exchange);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    await until('both logged', () => requestsOf('token').length >= 20);
    expect(new Set(requestsOf('token').map(({ worker }) => worker)).size).toBe(2);
    const counted = async () => /^mayfly_exchanges_total\{domain="dev",outcome="issued",code=""\} (\d+)$/m.exec(String((await server.look('metrics')).body['text']))?.[1];
    // A process that does not answer in time is left out.
    await until('both are counted', async () => Number(await counted()) >= 20);
    expect(await counted()).toBe('20');
    await until('it is ready', async () => (await server.look('readyz')).status === 200);
  });

  test('explains a refusal that only the memory of the process that made it holds', async () => {
    const refused = await many(10, () => server.exchange({ subject_token: 'not a token', audience: API }));
    const codes = await Promise.all(refused.map((answer) => server.reason(answer)));
    expect(codes).toEqual(refused.map(() => 'evidence_malformed'));
    await until('both logged', () => requestsOf('token').length >= 30);
    expect(new Set(requestsOf('token').slice(20).map(({ worker }) => worker)).size).toBe(2);
    expect((await server.admin('GET', 'decisions/dec_01a201a801a201a801a201a801a201a8')).status).toBe(404);
  });

  test('has taken back in both what the holder gave back to one of them', async () => {
    const introspect = await createIntrospect(server, platform.service(server.at), server.at);
    for (let round = 0; round < 10; round += 1) {
      const token = String((await exchange()).body['access_token']);
      expect((await many(4, () => introspect(server, token))).map(({ body }) => body['active'])).toEqual([true, true, true, true]);
      expect((await server.form('dev/revoke', { token, client_id: DEPLOYER })).status).toBe(200);
      expect((await many(4, () => introspect(server, token))).map(({ body }) => body)).toEqual(Array.from({ length: 4 }, () => ({ active: false })));
    }
  });

  test('refuses in both from the moment an admin\'s revocation was confirmed', async () => {
    for (let round = 0; round < 10; round += 1) {
      await server.admin('POST', 'revocations', { kind: 'workload', id: 'ci/deployer', domain: 'dev', reason: 'stolen' });
      const refused = await many(6, exchange);
      expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 400));
      await server.admin('POST', 'enable', { kind: 'workload', id: 'ci/deployer', domain: 'dev' });
      // On SQLite the primary waits for both; over PostgreSQL they hear of it a moment later.
      if (engine === 'postgresql') await until('both know', async () => (await many(6, exchange)).every(({ status }) => status === 200));
      expect((await many(6, exchange)).map(({ status }) => status)).toEqual(refused.map(() => 200));
    }
  });

  test(engine === 'sqlite' ? 'keeps one audit chain' : 'keeps one audit chain for each process', async () => {
    expect((await server.verifyAudit()).chains).toHaveLength(engine === 'sqlite' ? 1 : 3);
  });
});

describe('a server with two serving processes does not start', () => {
  let place: Place;
  beforeAll(async () => { place = await makeSqlitePlace(); });
  afterAll(() => place.drop());
  const failure = async (start: Promise<Server>): Promise<DidNotStart> => {
    const fault = await start.then(() => undefined, (cause: unknown) => cause);
    if (fault instanceof DidNotStart) return fault;
    throw new Error('it started', { cause: fault });
  };

  test('at an address that is in use, and says so', async () => {
    const holder = createServer().listen(0, '127.0.0.1');
    await once(holder, 'listening');
    const { port } = holder.address() as AddressInfo;
    const fault = await failure(startServerProcess({ folder: place.folder('taken'), port, config: { workers: 2 } }));
    expect(fault.code).toBe(2);
    expect(fault.message).toContain(`listen: 127.0.0.1:${port} is in use`);
    holder.close();
    // Its twin: the same address once it is free.
    await (await startServerProcess({ folder: place.folder('taken'), port, config: { workers: 2 } })).kill();
  });

  test('with a certificate that cannot be read', async () => {
    const [cert_file, key_file] = [`${place.folder('')}/cert.pem`, `${place.folder('')}/key.pem`];
    for (const file of [cert_file, key_file]) writeFileSync(file, 'not a certificate');
    const fault = await failure(startServerProcess({ folder: place.folder('tls'), port: await freePort(), config: { workers: 2, tls: { cert_file, key_file } } }));
    expect(fault.code).toBe(2);
    expect(fault.message).toContain('tls.cert_file: ');
  });
});
