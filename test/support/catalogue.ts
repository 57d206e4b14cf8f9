import Libsql from 'libsql';
import pg from 'pg';
import type { Database } from '../../src/store/database.ts';

/** All tables, columns and indexes of a database, one line each and sorted; the migration engine's own history left out. */
export const dumpCatalogue = async (database: Database): Promise<readonly string[]> => {
  const lines = database.engine === 'sqlite' ? await query(database, SQLITE) : await query(database, POSTGRESQL);
  return lines.map((line) => JSON.stringify(line)).filter((line) => !line.includes('_prisma_migrations')).sort();
};

/** Runs a script as it is, through the driver alone. */
export const runSql = async (database: Database, sql: string): Promise<void> => {
  await connected(database, (file) => { file.exec(sql); }, async (client) => { await client.query(sql); });
};

// Tables, their columns and indexes: SQLite keeps the statements that made them.
const SQLITE = 'SELECT type, name, tbl_name, sql FROM sqlite_schema';
const POSTGRESQL = `
  SELECT to_jsonb(c) - 'table_catalog' - 'udt_catalog' AS line FROM information_schema.columns c WHERE table_schema = 'public'
  UNION ALL SELECT to_jsonb(i) FROM pg_indexes i WHERE schemaname = 'public'
  UNION ALL SELECT jsonb_build_object('constraint', conname, 'on', conrelid::regclass::text, 'definition', pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace = 'public'::regnamespace`;

const query = (database: Database, sql: string): Promise<unknown[]> =>
  connected(database, (file) => file.prepare(sql).raw().all(), async (client) => (await client.query(sql)).rows);

const connected = async <T>(database: Database, onFile: (file: Libsql.Database) => T, onServer: (client: pg.Client) => Promise<T>): Promise<T> => {
  if (database.engine === 'sqlite') {
    const file = new Libsql(database.path);
    try {
      return onFile(file);
    } finally {
      file.close();
    }
  }
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    return await onServer(client);
  } finally {
    await client.end();
  }
};
