import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { freePort } from '../../demo/free-port.ts';
import type { Answer } from '../support/mayfly.ts';
import { startPostgres } from '../support/postgres.ts';
import type { Postgres } from '../support/postgres.ts';
import { API } from '../support/world.ts';
import { startDatabaseProxy } from './database-proxy.ts';
import type { DatabaseProxy } from './database-proxy.ts';
import { leaseOf, startLoad } from './load.ts';
import { makePostgresPlace, makeSqlitePlace } from './places.ts';
import type { Place } from './places.ts';
import { startPlatform } from './platform.ts';
import type { Platform } from './platform.ts';
import { startServerProcess } from './server.ts';
import type { Server } from './server.ts';
import { createIntrospect, openSession, spend } from './session.ts';
import { makeSmallDisk } from './small-disk.ts';
import { until } from './until.ts';

// Processes start slowly on a machine with more to do than it can; nothing here is about how fast.
jest.setTimeout(300_000);

let platform: Platform;
beforeAll(async () => { platform = await startPlatform(); });
afterAll(() => platform.close());

const outcomeOf = ({ status, headers, body }: Answer): unknown => [status, Number(headers['retry-after']) > 0, body['error'], 'access_token' in body];
const UNAVAILABLE = [503, true, 'temporarily_unavailable', false];

/** The evidence that was sent in vain is as good as new, everything a client holds is there, and the log is whole. */
const expectRecovered = async (server: Server, sentInVain: readonly string[], leases: readonly string[]): Promise<void> => {
  await until('it issues again', async () => (await server.exchange({ subject_token: platform.job(server.at), audience: API })).status === 200);
  const again = await Promise.all(sentInVain.map((evidence) => server.exchange({ subject_token: evidence, audience: API })));
  expect(again.map(({ status }) => status)).toEqual(sentInVain.map(() => 200));
  const kept = [...leases, ...again.map(leaseOf)];
  expect(await Promise.all(kept.map(async (lease) => (await server.admin('GET', `leases/${lease}`)).body['status']))).toEqual(kept.map(() => 'active'));
  expect(await server.verifyAudit()).toMatchObject({ ok: true, findings: [] });
  expect(server.process.exitCode).toBeNull();
};

describe('a server whose PostgreSQL is', () => {
  let postgres: Postgres;
  let place: Place;
  let way: DatabaseProxy;
  let server: Server;
  let url: string;
  beforeAll(async () => { postgres = await startPostgres(); });
  afterAll(() => postgres.stop());
  beforeEach(async () => {
    place = await makePostgresPlace(postgres);
    way = await startDatabaseProxy(place.databaseUrl);
    const port = await freePort();
    url = `http://127.0.0.1:${port}`;
    server = await startServerProcess({ folder: place.folder(), port, config: { ...place.config, database_url: way.url } });
    await server.apply(platform.manifest);
  });
  afterEach(async () => {
    await server.kill();
    await way.close();
    await place.drop();
  });

  const administer = async (...statements: readonly string[]): Promise<void> => {
    const client = new pg.Client({ connectionString: postgres.url });
    await client.connect();
    for (const statement of statements) await client.query(statement);
    await client.end();
  };
  const nameOf = (): string => new URL(place.databaseUrl).pathname.slice(1);

  const losses: readonly { readonly name: string; readonly lose: () => Promise<() => Promise<void> | void> }[] = [
    { name: 'shutting everybody out', lose: async () => {
      await administer(`ALTER DATABASE ${nameOf()} ALLOW_CONNECTIONS false`, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${nameOf()}'`);
      return () => administer(`ALTER DATABASE ${nameOf()} ALLOW_CONNECTIONS true`);
    } },
    { name: 'gone from its port', lose: () => way.refuse() },
    { name: 'silent', lose: () => Promise.resolve(way.hold(/./)) },
  ];

  test.each(losses)('$name answers 503 with Retry-After, issues nothing, uses up nothing, and recovers by itself', async ({ lose }) => {
    const introspect = await createIntrospect(server, platform.service(url), url);
    const session = await openSession(server, platform.job(url));
    const held = String((await spend(server, session.token)).body['access_token']);
    const load = startLoad(server, platform, url, 4);
    await until('tokens are issued', () => load.leases.length >= 20);
    const giveBack = await lose();
    await until('refusals come', () => load.refused.length >= 4);
    await load.stop();
    expect(load.refused.map(outcomeOf)).toEqual(load.refused.map(() => UNAVAILABLE));
    expect(load.unanswered).toBe(0);
    const evidence = Array.from({ length: 5 }, () => platform.job(url));
    const answers = await Promise.all([...evidence.map((subject_token) => server.exchangeOnce({ subject_token, audience: API })), introspect(server, held, true), server.form('dev/revoke', { token: held })]);
    expect(answers.map(outcomeOf)).toEqual(answers.map(() => UNAVAILABLE));
    expect((await server.look('readyz')).status).toBe(503);
    expect((await server.look('healthz')).status).toBe(200);
    await giveBack();
    await expectRecovered(server, evidence, load.leases);
    await until('what it said of the held token is so again', async () => (await introspect(server, held)).body['active'] === true);
    await until('it is ready', async () => (await server.look('readyz')).status === 200);
  });
});

describe('a server on SQLite', () => {
  let place: Place;
  beforeAll(async () => { place = await makeSqlitePlace(); });
  afterAll(() => place.drop());

  test.each([{ workers: 1 }, { workers: 2 }])('whose file is moved away answers 503 with Retry-After, issues nothing, uses up nothing, and recovers when it is back ($workers serving)', async ({ workers }) => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const folder = place.folder(`moved-${workers}`);
    const file = join(folder, 'mayfly.db');
    const server = await startServerProcess({ folder, port, config: { workers } });
    try {
      await server.apply(platform.manifest);
      const load = startLoad(server, platform, url, 4);
      await until('tokens are issued', () => load.leases.length >= 20);
      renameSync(file, `${file}.away`);
      await until('refusals come', () => load.refused.length >= 4);
      await load.stop();
      expect(load.refused.map(outcomeOf)).toEqual(load.refused.map(() => UNAVAILABLE));
      const evidence = Array.from({ length: 5 }, () => platform.job(url));
      const answers = await Promise.all(evidence.map((subject_token) => server.exchangeOnce({ subject_token, audience: API })));
      expect(answers.map(outcomeOf)).toEqual(answers.map(() => UNAVAILABLE));
      expect((await server.look('readyz')).status).toBe(503);
      expect(existsSync(file)).toBe(false);
      renameSync(`${file}.away`, file);
      await expectRecovered(server, evidence, load.leases);
      await until('it is ready', async () => (await server.look('readyz')).status === 200);
    } finally {
      await server.kill();
    }
  });

  test.each([{ workers: 1 }, { workers: 2 }])('whose disk is full answers 503 with Retry-After, issues nothing, uses up nothing, and recovers when there is room ($workers serving)', async ({ workers }) => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const disk = makeSmallDisk(place.folder(`disk-${workers}`));
    const settings = place.folder(`settings-${workers}`);
    const server = await startServerProcess({
      folder: settings, port, under: disk.under,
      config: { data_dir: place.folder(`disk-${workers}`), admin: { socket: join(settings, 'admin', 'mayfly.sock') }, workers },
    });
    const pid = Number(server.process.pid);
    try {
      await server.apply(platform.manifest);
      const load = startLoad(server, platform, url, 4);
      await until('tokens are issued', () => load.leases.length >= 20);
      disk.fill(pid);
      await until('refusals come', () => load.refused.length >= 4);
      await load.stop();
      expect(load.refused.map(outcomeOf)).toEqual(load.refused.map(() => UNAVAILABLE));
      const evidence = Array.from({ length: 5 }, () => platform.job(url));
      const answers = await Promise.all(evidence.map((subject_token) => server.exchangeOnce({ subject_token, audience: API })));
      expect(answers.map(outcomeOf)).toEqual(answers.map(() => UNAVAILABLE));
      disk.free(pid);
      await expectRecovered(server, evidence, load.leases);
    } finally {
      await server.kill();
    }
  });
});
