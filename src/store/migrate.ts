import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import Libsql from 'libsql';
import pg from 'pg';
import type { MigrationList, SchemaEngine } from '@prisma/schema-engine-wasm';
import { postgresMigrator, sqliteMigrator } from './migrator.ts';
import type { Migrator } from './migrator.ts';
import { BUSY_TIMEOUT_MS, postgresOptions } from './connections.ts';
import type { Database, Engine } from './database.ts';
import { listMigrations, migrationsFolder, readMigrationSql } from './migrations.ts';
import { NO_FILTERS, withSchemaEngine } from './schema-engine.ts';

/** The database's schema is not one this build may work on. Nothing was changed. */
export class SchemaMismatch extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SchemaMismatch';
  }
}

/** Brings the database to this build's schema; gives the names of the migrations it applied. On SQLite only the primary may call it. */
export const migrate = (database: Database, folder: string = migrationsFolder()): Promise<readonly string[]> =>
  database.engine === 'postgresql' ? migratePostgres(database.url, folder) : migrateSqlite(database.path, folder);

/** 'mayf' as a number: any fixed value that no other program on the same server uses. */
export const MIGRATION_LOCK = 0x6d617966;
/** The table in which the engine keeps what it applied. */
const HISTORY = '_prisma_migrations';

/** Session lock on a connection of its own: nodes that start together migrate one after the other, and a node that dies lets go. */
const migratePostgres = async (url: string, folder: string): Promise<readonly string[]> => {
  const client = new pg.Client(postgresOptions(url, 'migration lock'));
  // A connection that breaks is met by the next query; an 'error' event without a listener would end the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    const { rowCount } = await client.query(`SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = '${HISTORY}'`);
    return await bringUp(postgresMigrator(url), 'postgresql', folder, rowCount !== 0);
  } finally {
    await client.end();
  }
};

const migrateSqlite = (path: string, folder: string): Promise<readonly string[]> => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  // SQLite gives its journal files the mode of the database, which holds sealed keys and who may do what.
  closeSync(openSync(path, 'a', 0o600));
  const hasHistory = prepareFile(path);
  return bringUp(sqliteMigrator(path), 'sqlite', folder, hasHistory);
};

/** WAL is a property of the file and stays; `synchronous` is one of each connection and is the committing one's to set and check. */
const prepareFile = (path: string): boolean => {
  const file = new Libsql(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    const mode: unknown = file.prepare('PRAGMA journal_mode=WAL').raw().get();
    if (!Array.isArray(mode) || mode[0] !== 'wal') throw new Error(`${path} cannot be put into WAL mode; its file system must support shared memory`);
    return file.prepare('SELECT 1 FROM sqlite_schema WHERE name = ?').get(HISTORY) !== undefined;
  } finally {
    file.close();
  }
};

const bringUp = async (migrator: Migrator, kind: Engine, folder: string, hasHistory: boolean): Promise<readonly string[]> => {
  const migrationsList = readAll(kind, folder);
  try {
    return await withSchemaEngine(migrator.factory, async (engine) => {
      // On libsql the engine does not recognise the error for a missing table, so it is only asked about a history that exists.
      if (hasHistory) await settleHistory(engine, migrationsList);
      const applied = await engine.applyMigrations({ migrationsList, filters: NO_FILTERS });
      return applied.appliedMigrationNames;
    });
  } finally {
    await migrator.close();
  }
};

/** Refuses a history this build does not know; clears the way for a migration that failed. */
const settleHistory = async (engine: SchemaEngine, migrationsList: MigrationList): Promise<void> => {
  const found = await engine.diagnoseMigrationHistory({ migrationsList, optInToShadowDatabase: false, filters: NO_FILTERS });
  const unknown = found.history && 'unpersistedMigrationNames' in found.history ? found.history.unpersistedMigrationNames : [];
  if (unknown.length > 0) throw new SchemaMismatch(`the database was migrated by a newer version of mayfly (${unknown.join(', ')}); start that version or a newer one`);
  const edited = found.editedMigrationNames.filter((name) => !found.failedMigrationNames.includes(name));
  if (edited.length > 0) throw new SchemaMismatch(`the database was migrated with another text of ${edited.join(', ')} than this build carries`);
  // A script runs whole or not at all, so one that failed left nothing behind and is tried again.
  for (const migrationName of found.failedMigrationNames) await engine.markMigrationRolledBack({ migrationName });
};

const readAll = (kind: Engine, folder: string): MigrationList => ({
  baseDir: folder,
  lockfile: { path: 'migration_lock.toml', content: `provider = "${kind}"\n` },
  shadowDbInitScript: '',
  migrationDirectories: listMigrations(folder).map((migration) => ({
    path: migration.name,
    migrationFile: { path: `${kind}.sql`, content: { tag: 'ok', value: readMigrationSql(migration, kind) } },
  })),
});
