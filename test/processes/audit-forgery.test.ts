import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { CHAIN_START } from '../../src/core/hash-chain.ts';
import { forgeEntries } from '../support/forge-audit.ts';
import { freePort } from '../../demo/free-port.ts';
import { API } from '../support/world.ts';
import { GROUNDS } from './places.ts';
import type { Ground, Place } from './places.ts';
import { startPlatform } from './platform.ts';
import type { Platform } from './platform.ts';
import { startServerProcess } from './server.ts';
import type { Server } from './server.ts';
import { runSql } from './sql.ts';
import { until } from './until.ts';

// Processes start slowly on a machine with more to do than it can; nothing here is about how fast.
jest.setTimeout(300_000);

const INVENTED = 'chn_invented';

let platform: Platform;
beforeAll(async () => { platform = await startPlatform(); });
afterAll(() => platform.close());

describe.each(GROUNDS)('the audit log of a server on $engine whose database is in other hands', ({ engine, openGround }) => {
  let ground: Ground;
  let place: Place;
  let port: number;
  let server: Server;
  beforeAll(async () => { ground = await openGround(); });
  beforeEach(async () => {
    place = await ground.makePlace();
    port = await freePort();
    await start();
    await server.apply(platform.manifest);
  });
  afterEach(async () => {
    await server.kill();
    await place.drop();
  });
  afterAll(() => ground.close());

  const start = async (config: Readonly<Record<string, unknown>> = {}): Promise<Server> => {
    server = await startServerProcess({ folder: place.folder(), port, config: { ...place.config, ...config } });
    return server;
  };
  const sql = (text: string) => runSql(place, text);
  const forge = async (statements: readonly string[]): Promise<void> => { for (const statement of statements) await sql(statement); };
  const issue = async (): Promise<void> => { expect((await server.exchange({ subject_token: platform.job(server.at), audience: API })).status).toBe(200); };
  /** The last entry of the newest chain. */
  const readEnd = async () => {
    const [row] = await sql('SELECT chain, n, hash, mac FROM audit WHERE chain = (SELECT max(chain) FROM audit) ORDER BY n DESC LIMIT 1');
    return { chain: String(row?.['chain']), n: Number(row?.['n']), hash: String(row?.['hash']), mac: String(row?.['mac']) };
  };
  const sealedTo = async (chain: string): Promise<number> => Number((await sql(`SELECT max(n) AS n FROM checkpoint WHERE chain = '${chain}'`))[0]?.['n']);
  /** Killed before it could seal its last entries; now and then its checkpoint is faster. */
  const killUnsealed = async (): Promise<Awaited<ReturnType<typeof readEnd>>> => {
    await issue();
    await server.kill();
    const end = await readEnd();
    if ((await sealedTo(end.chain)) === end.n) {
      await start();
      return killUnsealed();
    }
    // Another node holds a writer for alive for a minute after its last word.
    await sql(`UPDATE job SET until = '1970-01-01T00:00:00.000+00:00' WHERE name LIKE 'audit:%'`);
    return end;
  };
  const findings = async (): Promise<readonly string[]> => (await server.verifyAudit()).findings.map(({ kind, chain, n, to }) => `${kind} ${chain} ${n}-${to}`);
  const alerts = (): readonly unknown[] => server.log.filter(({ level }) => level === 'error').map(({ chain, n, to }) => `${String(chain)} ${String(n)}-${String(to)}`);

  test('shows a chain that was invented while it runs, with the code of a real entry', async () => {
    await issue();
    await forge(forgeEntries(INVENTED, CHAIN_START, 3));
    await sql(`UPDATE audit SET mac = '${(await readEnd()).mac}' WHERE chain = '${INVENTED}' AND n = 3`);
    await issue();
    expect(await findings()).toEqual([`forged ${INVENTED} 1-3`]);
    // Its twin: the log without it.
    await sql(`DELETE FROM audit WHERE chain = '${INVENTED}'`);
    expect(await findings()).toEqual([]);
  });

  test('shows entries that were put behind its own while it runs, and does not seal them when it ends', async () => {
    await issue();
    const end = await readEnd();
    await forge(forgeEntries(end.chain, end, 2));
    expect(await findings()).toEqual([`forged ${end.chain} ${end.n + 1}-${end.n + 2}`]);
    await server.stop();
    expect(await sealedTo(end.chain)).toBe(end.n);
    await start();
    expect(await findings()).toEqual([`forged ${end.chain} ${end.n + 1}-${end.n + 2}`]);
  });

  test('killed and added to while it is stopped, is sealed by the next process as far as it was written, and the rest is told', async () => {
    const end = await killUnsealed();
    await forge([...forgeEntries(end.chain, end, 2), ...forgeEntries(INVENTED, CHAIN_START, 3)]);
    await start();
    await until('both were told', () => alerts().length === 2);
    expect(alerts()).toEqual(expect.arrayContaining([`${end.chain} ${end.n + 1}-${end.n + 2}`, `${INVENTED} 1-3`]));
    await until('what is honest is sealed', async () => (await sealedTo(end.chain)) > 0);
    expect(await sealedTo(end.chain)).toBe(end.n);
    expect(await sql(`SELECT n FROM checkpoint WHERE chain = '${INVENTED}'`)).toEqual([]);
    expect([...await findings()].sort()).toEqual([`forged ${end.chain} ${end.n + 1}-${end.n + 2}`, `forged ${INVENTED} 1-3`].sort());
  });

  test('killed and left alone, is sealed to its end by the next process, and nothing is found', async () => {
    const end = await killUnsealed();
    await start();
    await until('it is sealed', async () => (await sealedTo(end.chain)) === end.n);
    expect(alerts()).toEqual([]);
    expect(await server.verifyAudit()).toMatchObject({ ok: true, findings: [] });
    const exported = String((await server.admin('GET', `audit?chain=${end.chain}`)).body['text']).trim().split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(exported.at(-1)).toMatchObject({ n: end.n, hash: end.hash, mac: end.mac });
  });

  test('is sealed and verified across a change of the key-encryption key', async () => {
    const old = engine === 'sqlite' ? join(place.folder(), 'kek') : (place.config['kek'] as { readonly file: string }).file;
    const next = join(place.folder(), 'kek-2');
    writeFileSync(next, randomBytes(32).toString('base64'), { mode: 0o600 });
    const end = await killUnsealed();
    await start({ kek: { file: next, previous_files: [old] } });
    expect(await findings()).toEqual([]);
    await until('it is sealed', async () => (await sealedTo(end.chain)) === end.n);
    expect((await server.admin('POST', 'keys/rewrap', {})).status).toBe(200);
    await server.stop();
    await start({ kek: { file: next } });
    await issue();
    expect(await server.verifyAudit()).toMatchObject({ ok: true, findings: [] });
  });
});
