import Database from 'libsql';
import pg from 'pg';
import type { Place } from './places.ts';

/** Past the server: as somebody who holds its database. */
export const runSql = async (place: Pick<Place, 'databaseUrl'>, text: string): Promise<readonly Readonly<Record<string, unknown>>[]> => {
  if (place.databaseUrl.startsWith('file:')) {
    const database = new Database(place.databaseUrl.slice('file:'.length), { timeout: 5_000 });
    try {
      return database.prepare(text).all() as Readonly<Record<string, unknown>>[];
    } finally {
      database.close();
    }
  }
  const client = new pg.Client({ connectionString: place.databaseUrl });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
};
