import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPostgres } from '../support/postgres.ts';
import type { Postgres } from '../support/postgres.ts';

/** Where servers keep what they know: folders, and the database when it is not in them. */
export interface Place {
  readonly engine: 'sqlite' | 'postgresql';
  /** Settings of every server here. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly databaseUrl: string;
  /** A data folder of its own for each name. */
  folder(name?: string): string;
  drop(): Promise<void>;
}

export const makeSqlitePlace = (): Promise<Place> => {
  const { folder, drop } = makeFolders();
  return Promise.resolve({ engine: 'sqlite', config: {}, databaseUrl: `file:${join(folder(), 'mayfly.db')}`, folder, drop: () => Promise.resolve(drop()) });
};

/** A database of its own, and a key-encryption key that several nodes share. */
export const makePostgresPlace = async (postgres: Postgres): Promise<Place> => {
  const { folder, drop } = makeFolders();
  const database = await postgres.freshDatabase();
  const kek = join(folder(''), 'kek');
  writeFileSync(kek, randomBytes(32).toString('base64'), { mode: 0o600 });
  return {
    engine: 'postgresql', config: { database_url: database.url, kek: { file: kek } }, databaseUrl: database.url, folder,
    async drop() {
      drop();
      await database.drop();
    },
  };
};

/** What a test file's places stand on. */
export interface Ground { makePlace(): Promise<Place>; close(): Promise<void> }

export const GROUNDS: readonly { readonly engine: Place['engine']; readonly openGround: () => Promise<Ground> }[] = [
  { engine: 'sqlite', openGround: () => Promise.resolve({ makePlace: makeSqlitePlace, close: () => Promise.resolve() }) },
  { engine: 'postgresql', openGround: async () => {
    const postgres = await startPostgres();
    return { makePlace: () => makePostgresPlace(postgres), close: () => postgres.stop() };
  } },
];

const makeFolders = () => {
  const root = mkdtempSync(join(tmpdir(), 'mayfly-processes-'));
  return { folder: (name = 'data') => join(root, name), drop: () => { rmSync(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }); } };
};
