import { pathToFileURL } from 'node:url';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import type { ClientConfig, PoolConfig } from 'pg';

const CONNECT_TIMEOUT_MS = 5_000;
const READ_TIMEOUT_MS = 10_000;
/** The server ends a slow statement first; this is for a server that is gone. */
const GRACE_MS = 1_000;

/** How long a connection to an SQLite file waits for another's lock. */
export const BUSY_TIMEOUT_MS = 5_000;

/** What every connection of ours to PostgreSQL shares. `purpose` shows in pg_stat_activity. */
export const postgresOptions = (url: string, purpose: string): ClientConfig =>
  ({ connectionString: url, application_name: `mayfly ${purpose}`, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true });

// INVARIANT: Prisma's adapter cuts the offset off a timestamptz and takes the rest for UTC, so its sessions must speak UTC
// whatever the server, the database or the role has as its time zone.
const SESSION = "SET TIME ZONE 'UTC'";

/** A pool for Prisma's adapter; `settings` are run once on each new connection. */
export const postgresPool = (url: string, purpose: string, limits: PoolConfig, settings = ''): pg.Pool => {
  const pool = new pg.Pool({ ...postgresOptions(url, purpose), ...limits, onConnect: (client): unknown => client.query(`${SESSION};${settings}`) });
  // An idle connection that breaks is replaced at the next use, which reports what it meets.
  pool.on('error', () => undefined);
  return pool;
};

// Compiling a statement (jit) takes longer than any of ours runs.
const READING = `SET default_transaction_read_only = on; SET statement_timeout = ${READ_TIMEOUT_MS}; SET jit = off`;

/** Prisma's adapter for reading, on a pool whose sessions cannot write. */
export const postgresReader = (url: string, max: number): PrismaPg =>
  new PrismaPg(postgresPool(url, 'reads', { max, query_timeout: READ_TIMEOUT_MS + GRACE_MS }, READING), { disposeExternalPool: true });

/** Prisma's adapter for an SQLite file opened read-only: workers beside the primary must not be able to write. */
export const sqliteReader = (path: string): PrismaLibSql =>
  // The client takes no open flags, but hands the decoded path to SQLite, which reads a `file:` URI there.
  new PrismaLibSql({ url: `file:${encodeURIComponent(`${pathToFileURL(path).href}?mode=ro`)}`, timeout: BUSY_TIMEOUT_MS });
