import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Engine } from './database.ts';

/** One folder of prisma/migrations: the SQL per engine and the schema it leads to. Released migrations are never changed. */
export interface Migration { readonly name: string; readonly path: string }

/** All migrations of this build, oldest first. */
export const listMigrations = (folder: string): readonly Migration[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && MIGRATION_NAME.test(entry.name))
    .map((entry) => ({ name: entry.name, path: join(folder, entry.name) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));

export const readMigrationSql = (migration: Migration, engine: Engine): string => readFileSync(join(migration.path, `${engine}.sql`), 'utf8');
export const readMigrationSchema = (migration: Migration): string => readFileSync(join(migration.path, 'schema.prisma'), 'utf8');

/** `prisma/migrations` of the package this file is part of, whether it runs from src/ of a checkout or dist/ of an installed package. */
export const migrationsFolder = (): string => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) {
    if (folder === dirname(folder)) throw new Error('no package.json above the migration code: the installation is incomplete');
    folder = dirname(folder);
  }
  return join(folder, 'prisma', 'migrations');
};

export const MIGRATION_NAME = /^\d{4}_[a-z][a-z0-9_]*$/;
