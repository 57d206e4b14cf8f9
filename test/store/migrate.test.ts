import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import Libsql from 'libsql';
import pg from 'pg';
import { deriveSqliteSchema } from '../../scripts/sqlite-schema.ts';
import type { Database, Engine } from '../../src/store/database.ts';
import { MIGRATION_LOCK, migrate, SchemaMismatch } from '../../src/store/migrate.ts';
import { listMigrations, migrationsFolder, readMigrationSchema } from '../../src/store/migrations.ts';
import { diffSchemas, withSchemaEngine } from '../../src/store/schema-engine.ts';
import { dumpCatalogue, runSql } from '../support/catalogue.ts';
import { startPostgres } from '../support/postgres.ts';
import type { Postgres } from '../support/postgres.ts';

const schema = readFileSync(join(migrationsFolder(), '..', 'schema.prisma'), 'utf8');
let postgres: Postgres;
let folder: string;

beforeAll(async () => { postgres = await startPostgres(); });
afterAll(() => postgres.stop());
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'mayfly-migrate-')); });
afterEach(() => { rmSync(folder, { recursive: true, force: true }); });

const emptyDatabase = async (engine: Engine, name = 'mayfly.db'): Promise<Database> =>
  engine === 'sqlite' ? { engine, path: join(folder, 'data', name) } : { engine, url: (await postgres.freshDatabase()).url };

/** This build's migrations and one more. */
const migrationsAnd = (engine: Engine, name: string, sql: string): string => {
  const copy = join(folder, 'migrations');
  cpSync(migrationsFolder(), copy, { recursive: true });
  mkdirSync(join(copy, name), { recursive: true });
  writeFileSync(join(copy, name, `${engine}.sql`), sql);
  return copy;
};

test('the last migration leads to prisma/schema.prisma as it stands', () => {
  const last = listMigrations(migrationsFolder()).at(-1);
  expect(last && readMigrationSchema(last)).toBe(schema);
});

describe.each<{ engine: Engine }>([{ engine: 'sqlite' }, { engine: 'postgresql' }])('on $engine', ({ engine }) => {
  test('the migrations build the very catalogue that the schema describes', async () => {
    const migrated = await emptyDatabase(engine, 'migrated.db');
    const built = await emptyDatabase(engine, 'built.db');
    await migrate(migrated);
    const sql = await withSchemaEngine(new PrismaLibSql({ url: ':memory:' }), (diff) => diffSchemas(diff, undefined, engine === 'sqlite' ? deriveSqliteSchema(schema) : schema));
    mkdirSync(join(folder, 'data'), { recursive: true });
    await runSql(built, sql);
    const catalogue = await dumpCatalogue(migrated);
    expect(catalogue.join('\n')).toMatch(/lease.*replay_key/);
    expect(catalogue).toEqual(await dumpCatalogue(built));
  });

  test('applies each migration once', async () => {
    const database = await emptyDatabase(engine);
    expect(await migrate(database)).toEqual(listMigrations(migrationsFolder()).map(({ name }) => name));
    expect(await migrate(database)).toEqual([]);
  });

  test('takes an older database forward', async () => {
    const database = await emptyDatabase(engine);
    await migrate(database);
    expect(await migrate(database, migrationsAnd(engine, '9000_note', 'CREATE TABLE note (id TEXT);'))).toEqual(['9000_note']);
    expect((await dumpCatalogue(database)).join('\n')).toContain('note');
  });

  test('refuses a database that a newer version migrated, and leaves it as it is', async () => {
    const database = await emptyDatabase(engine);
    const newer = migrationsAnd(engine, '9000_note', 'CREATE TABLE note (id TEXT);');
    await migrate(database, newer);
    const before = await dumpCatalogue(database);
    const refused: unknown = await migrate(database).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(SchemaMismatch);
    expect(String(refused)).toContain('9000_note');
    expect(await dumpCatalogue(database)).toEqual(before);
    expect(await migrate(database, newer)).toEqual([]);
  });

  test('refuses a database whose migration had another text', async () => {
    const database = await emptyDatabase(engine);
    await migrate(database, migrationsAnd(engine, '9000_note', 'CREATE TABLE note (id TEXT);'));
    await expect(migrate(database, migrationsAnd(engine, '9000_note', 'CREATE TABLE note (id TEXT, more TEXT);'))).rejects.toThrow(SchemaMismatch);
  });

  test('refuses a database that holds the tables of something else', async () => {
    const database = await emptyDatabase(engine);
    mkdirSync(join(folder, 'data'), { recursive: true });
    await runSql(database, 'CREATE TABLE theirs (id TEXT);');
    await expect(migrate(database)).rejects.toThrow(/not empty/);
    expect((await dumpCatalogue(database)).join('\n')).not.toContain('lease');
  });

  test('a migration that fails leaves nothing behind and is tried again', async () => {
    const database = await emptyDatabase(engine);
    await migrate(database);
    const before = await dumpCatalogue(database);
    await expect(migrate(database, migrationsAnd(engine, '9000_note', 'CREATE TABLE note (id TEXT);\nCREATE TABLE note (id TEXT);'))).rejects.toThrow(/9000_note/);
    expect(await dumpCatalogue(database)).toEqual(before);
    expect(await migrate(database, migrationsAnd(engine, '9000_note', 'CREATE TABLE note (id TEXT);'))).toEqual(['9000_note']);
  });

  test('runs a migration whose texts hold semicolons', async () => {
    const database = await emptyDatabase(engine);
    await migrate(database, migrationsAnd(engine, '9000_note', "CREATE TABLE note (id TEXT DEFAULT 'a;b');\nCREATE TABLE other (id TEXT);"));
    expect((await dumpCatalogue(database)).join('\n')).toMatch(/a;b/);
  });
});

describe('an SQLite file', () => {
  test('is in WAL mode, and its owner alone may read it', async () => {
    const path = join(folder, 'data', 'mayfly.db');
    await migrate({ engine: 'sqlite', path });
    const file = new Libsql(path);
    try {
      expect(file.prepare('PRAGMA journal_mode').raw().get()).toEqual(['wal']);
    } finally {
      file.close();
    }
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, 'data')).mode & 0o777).toBe(0o700);
  });
});

describe('nodes that start together on one PostgreSQL', () => {
  test('apply each migration once between them', async () => {
    const database = await emptyDatabase('postgresql');
    const applied = await Promise.all([migrate(database), migrate(database), migrate(database)]);
    expect(applied.flat()).toEqual(listMigrations(migrationsFolder()).map(({ name }) => name));
  });

  test('wait for the one that migrates', async () => {
    const { url } = await postgres.freshDatabase();
    const other = new pg.Client({ connectionString: url });
    await other.connect();
    await other.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const migrating = migrate({ engine: 'postgresql', url });
    const waiters = async (): Promise<number> => (await other.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())")).rowCount ?? 0;
    while ((await waiters()) === 0);
    expect(await dumpCatalogue({ engine: 'postgresql', url })).toEqual([]);
    await other.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]);
    expect(await migrating).not.toEqual([]);
    await other.end();
  });
});
