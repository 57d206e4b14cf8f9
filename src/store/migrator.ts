import pg from 'pg';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { PrismaPg } from '@prisma/adapter-pg';
import { DriverAdapterError } from '@prisma/driver-adapter-utils';
import type { SqlDriverAdapter, SqlMigrationAwareDriverAdapterFactory } from '@prisma/driver-adapter-utils';
import { BUSY_TIMEOUT_MS, postgresPool } from './connections.ts';

/*
 * Prisma's adapters run a script statement by statement (the PostgreSQL one after cutting it at every semicolon), each
 * committed by itself: a process that dies half-way leaves a schema that no migration knows. Here a script is one transaction.
 */

export interface Migrator { readonly factory: SqlMigrationAwareDriverAdapterFactory; readonly close: () => Promise<void> }

/** Migrates PostgreSQL: several statements in one simple query are one transaction (PostgreSQL docs, 54.2.2.1). */
export const postgresMigrator = (url: string): Migrator => {
  // The engine connects more than once and locks against itself; on one shared session its locks nest, and end with the pool.
  const pool = postgresPool(url, 'migrate', { max: 1 });
  const factory = new PrismaPg(pool);
  const connect = async () => {
    const adapter = await factory.connect();
    const executeScript = async (script: string): Promise<void> => {
      await pool.query(script).catch(asDriverError);
    };
    return Object.assign(adapter, { executeScript });
  };
  return { factory: migrating(factory, connect), close: () => pool.end() };
};

/** Migrates SQLite; the client rolls back what a failing script leaves open. */
export const sqliteMigrator = (path: string): Migrator => {
  const factory = new PrismaLibSql({ url: `file:${encodeURIComponent(path)}`, timeout: BUSY_TIMEOUT_MS });
  const open: SqlDriverAdapter[] = [];
  const connect = async () => {
    const adapter = await factory.connect();
    open.push(adapter);
    const runScript = adapter.executeScript.bind(adapter);
    await runScript('PRAGMA synchronous=FULL');
    return Object.assign(adapter, { executeScript: (script: string) => runScript(`BEGIN IMMEDIATE;\n${script}\n;COMMIT;`) });
  };
  const close = async (): Promise<void> => {
    for (const adapter of open) await adapter.dispose();
  };
  return { factory: migrating(factory, connect), close };
};

const migrating = (factory: SqlMigrationAwareDriverAdapterFactory, connect: () => Promise<SqlDriverAdapter>): SqlMigrationAwareDriverAdapterFactory =>
  ({ provider: factory.provider, adapterName: factory.adapterName, connect, connectToShadowDb: () => factory.connectToShadowDb() });

const asDriverError = (error: unknown): never => {
  if (!(error instanceof pg.DatabaseError)) throw error;
  const { code = '', severity = 'ERROR', message, detail, column, hint } = error;
  throw new DriverAdapterError({ kind: 'postgres', code, severity, message, detail, column, hint });
};
