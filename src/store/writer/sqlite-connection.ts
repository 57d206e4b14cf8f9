import Database from 'libsql';
import type { Statement } from '../sql/dialect.ts';
import { FILE_GONE, watchSqliteFile } from '../sqlite-file.ts';
import type { IsInPlace } from '../sqlite-file.ts';
import { sqliteDialect } from '../sql/sqlite.ts';
import { TransactionFailed } from './connection.ts';
import type { Connection, Durability, Query, Row, TransactionFault } from './connection.ts';

/**
 * Our own handle, not Prisma's adapter: its transactions are deferred, which fails as soon as two write, and its
 * settings do not survive a transaction. BEGIN IMMEDIATE is the registry lock here, whatever the transaction does.
 */
export const createSqliteConnection = (path: string, limits: { readonly busyMs: number }): Connection => {
  let handle: Handle | undefined;
  /** Of the first opening: a file that came into its place later is another database. */
  let isInPlace: IsInPlace | undefined;
  const opened = (): Handle => {
    if (isInPlace?.({ log: handle?.committed ?? false }) === false) throw new Error(FILE_GONE);
    handle ??= open(path, limits.busyMs);
    isInPlace ??= watchSqliteFile(path);
    return handle;
  };

  const discard = (): void => {
    const broken = handle;
    handle = undefined;
    try {
      broken?.database.close();
    } catch {
      // It is out of use either way.
    }
  };

  return {
    dialect: sqliteDialect,
    async transaction(_registry, work) {
      const current = attempt(opened, 'failed');
      const { database, prepare } = current;
      const query: Query = (statement, ...parameters) => Promise.resolve(prepare(statement).all(...parameters) as Row[]);
      attempt(() => database.exec('BEGIN IMMEDIATE'), 'failed');
      let committing = false;
      try {
        const result = await work(query);
        committing = true;
        database.exec('COMMIT');
        if (isInPlace?.({ log: true }) === false) throw new Error(FILE_GONE);
        current.committed = true;
        return result;
      } catch (cause) {
        const fault = committing ? 'unknown' : faultOf(cause);
        if (!rollBack(database) || !KEEPS_HANDLE.test(codeOf(cause))) discard();
        throw failure(fault, cause);
      }
    },
    durability: () => Promise.resolve(attempt(() => readDurability(opened().database), 'failed')),
    close() {
      discard();
      return Promise.resolve();
    },
  };
};

interface Handle {
  readonly database: Database.Database;
  readonly prepare: (statement: Statement) => Database.Statement;
  /** Then there is a write-ahead log, until the last connection is closed. */
  committed: boolean;
}

const open = (path: string, busyMs: number): Handle => {
  const database = new Database(path, { timeout: busyMs });
  try {
    for (const setting of SETTINGS) database.pragma(setting);
    const found = readDurability(database);
    if (found.journal_mode !== 'wal' || found.synchronous !== SYNCHRONOUS_FULL) throw new Error(`the database file does not take WAL with synchronous=FULL, without which a commit is not durable (found ${JSON.stringify(found)})`);
  } catch (cause) {
    database.close();
    throw cause;
  }
  const prepared = new Map<string, Database.Statement>();
  return {
    database,
    committed: false,
    prepare(statement) {
      const known = prepared.get(statement.name) ?? database.prepare(statement.sql);
      prepared.set(statement.name, known);
      return known;
    },
  };
};

// On macOS an ordinary fsync leaves the data in the drive's cache; elsewhere fullfsync means nothing. The last two cost
// memory and disk, not durability: indexes over hashes touch pages everywhere, which stay in memory, and are carried from
// the log to the file once for many commits (pages, of 4 kB).
const SETTINGS = ['journal_mode = WAL', 'synchronous = FULL', 'fullfsync = ON', 'cache_size = -65536', 'wal_autocheckpoint = 4000'];
const SYNCHRONOUS_FULL = 2;

const readDurability = (database: Database.Database): Durability => ({
  journal_mode: String(pragma(database, 'journal_mode')),
  synchronous: Number(pragma(database, 'synchronous')),
});

const pragma = (database: Database.Database, name: string): unknown => (database.prepare(`PRAGMA ${name}`).get() as Row | undefined)?.[name];

const rollBack = (database: Database.Database): boolean => {
  try {
    if (database.inTransaction) database.exec('ROLLBACK');
    return true;
  } catch {
    return false;
  }
};

/** After these the handle is as good as before: another process holds the lock, the disk is full, or a row was refused. */
const KEEPS_HANDLE = /^SQLITE_(?:BUSY|FULL|CONSTRAINT|TOOBIG|MISMATCH|ERROR)/;
const REFUSES_A_ROW = /^SQLITE_(?:CONSTRAINT|TOOBIG|MISMATCH|ERROR)/;

const faultOf = (cause: unknown): TransactionFault => (REFUSES_A_ROW.test(codeOf(cause)) ? 'rejected' : 'failed');

const codeOf = (cause: unknown): string => (cause instanceof Database.SqliteError ? cause.code : 'unknown');

const attempt = <T>(step: () => T, fault: TransactionFault): T => {
  try {
    return step();
  } catch (cause) {
    throw failure(fault, cause);
  }
};

const failure = (fault: TransactionFault, cause: unknown): TransactionFailed =>
  cause instanceof TransactionFailed ? cause : new TransactionFailed(fault, `sqlite: ${cause instanceof Error ? cause.message : 'unknown fault'}`, { cause });
