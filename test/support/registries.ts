import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from '@jest/globals';
import pg from 'pg';
import type { Clock } from '../../src/core/clock.ts';
import type { Database, Engine } from '../../src/store/database.ts';
import { migrate } from '../../src/store/migrate.ts';
import { openReads } from '../../src/store/open.ts';
import type { OpenReads } from '../../src/store/open.ts';
import { startPostgres } from './postgres.ts';
import { openSeed } from './seed.ts';
import type { Seed } from './seed.ts';

/** A migrated database, what reads it and what fills it; made before the first test, so look inside tests only. */
export interface Registry { readonly database: Database; readonly reads: OpenReads; readonly seed: Seed }

/** Runs the same tests on an SQLite file and on a real PostgreSQL. */
export const describeRegistries = (clock: Clock, tests: (registry: () => Registry) => void): void => {
  describe.each<{ engine: Engine }>([{ engine: 'sqlite' }, { engine: 'postgresql' }])('on $engine', ({ engine }) => {
    let open: (Registry & { close(): Promise<void> }) | undefined;
    beforeAll(async () => { open = engine === 'sqlite' ? await openSqlite(clock) : await openPostgres(clock); });
    afterAll(() => open?.close());
    tests(() => {
      if (open === undefined) throw new Error('the registry is made before the first test');
      return open;
    });
  });
};

const openSqlite = async (clock: Clock) => {
  const folder = mkdtempSync(join(tmpdir(), 'mayfly-registry-'));
  // A path of characters that URLs and SQLite's own URIs give a meaning to.
  const registry = await openRegistry({ engine: 'sqlite', path: join(folder, 'a file?%20#é.db') }, clock);
  return { ...registry, close: () => closeRegistry(registry).finally(() => { rmSync(folder, { recursive: true, force: true }); }) };
};

const openPostgres = async (clock: Clock) => {
  const postgres = await startPostgres();
  const { url } = await postgres.freshDatabase();
  // The adapter takes every time for UTC, whatever the database thinks.
  await setTimeZone(url, 'Asia/Kathmandu');
  const registry = await openRegistry({ engine: 'postgresql', url }, clock);
  return { ...registry, close: () => closeRegistry(registry).finally(() => postgres.stop()) };
};

const openRegistry = async (database: Database, clock: Clock): Promise<Registry> => {
  await migrate(database);
  return { database, reads: await openReads(database, clock), seed: openSeed(database) };
};

const closeRegistry = async ({ reads, seed }: Registry): Promise<void> => {
  await reads.close();
  await seed.close();
};

const setTimeZone = async (url: string, zone: string): Promise<void> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(`ALTER DATABASE ${client.escapeIdentifier(new URL(url).pathname.slice(1))} SET timezone = '${zone}'`);
  await client.end();
};
