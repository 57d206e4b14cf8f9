import type { Clock } from '../core/clock.ts';
import { postgresReader, sqliteReader } from './connections.ts';
import type { Database } from './database.ts';
import { createReads } from './reads.ts';
import type { PrismaReader } from './reads.ts';
import { postgresqlDialect } from './sql/postgresql.ts';
import { sqliteDialect } from './sql/sqlite.ts';
import type { StoreReads } from './store.ts';

export interface OpenReads extends StoreReads { close(): Promise<void> }

/** Opens a migrated database for reading. Only the client of the engine in use is loaded. */
export const openReads = async (database: Database, clock: Clock, connections = 4): Promise<OpenReads> => {
  const prisma = await openPrisma(database, connections);
  const dialect = database.engine === 'postgresql' ? postgresqlDialect : sqliteDialect;
  return { ...createReads(prisma, dialect, clock), close: () => prisma.$disconnect() };
};

/** For reading. */
export const openPrisma = (database: Database, connections: number): Promise<PrismaReader> =>
  database.engine === 'postgresql' ? openPostgres(database.url, connections) : openSqlite(database.path);

const openPostgres = async (url: string, connections: number): Promise<PrismaReader> => {
  const { PrismaClient } = await import('./generated/postgresql/client.ts');
  return new PrismaClient({ adapter: postgresReader(url, connections), errorFormat: 'minimal' });
};

const openSqlite = async (path: string): Promise<PrismaReader> => {
  const { PrismaClient } = await import('./generated/sqlite/client.ts');
  const prisma = new PrismaClient({ adapter: sqliteReader(path), errorFormat: 'minimal' });
  // The two clients come from one schema and differ in options of PostgreSQL (`mode: 'insensitive'`) that no read uses.
  return prisma as unknown as PrismaReader;
};
