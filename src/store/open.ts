import type { Clock } from '../core/clock.ts';
import { postgresReader, sqliteReader } from './connections.ts';
import type { Database } from './database.ts';
import { createReads } from './reads.ts';
import type { PrismaReader } from './reads.ts';
import { postgresqlDialect } from './sql/postgresql.ts';
import { sqliteDialect } from './sql/sqlite.ts';
import { FILE_GONE, watchSqliteFile } from './sqlite-file.ts';
import type { IsInPlace } from './sqlite-file.ts';
import { StoreUnavailable } from './store.ts';
import type { StoreReads } from './store.ts';

export interface OpenReads extends StoreReads { close(): Promise<void> }

/** Opens a migrated database for reading. Only the client of the engine in use is loaded. */
export const openReads = async (database: Database, clock: Clock, connections = 4): Promise<OpenReads> => {
  const prisma = await openPrisma(database, connections);
  const dialect = database.engine === 'postgresql' ? postgresqlDialect : sqliteDialect;
  const reads = createReads(prisma, dialect, clock);
  const close = (): Promise<void> => prisma.$disconnect();
  return database.engine === 'postgresql' ? { ...reads, close } : { ...heldToFile(reads, watchSqliteFile(database.path)), close };
};

/** A node that reads a file nobody else can find any more has lost sight of the registry. */
const heldToFile = (reads: StoreReads, isInPlace: IsInPlace): StoreReads => {
  const held = <T>(read: () => Promise<T>): Promise<T> => (isInPlace() ? read() : Promise.reject(new StoreUnavailable(FILE_GONE)));
  return { ...reads, registryDelta: (after) => held(() => reads.registryDelta(after)), ping: () => held(() => reads.ping()) };
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
