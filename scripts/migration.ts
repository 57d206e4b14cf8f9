/**
 * `node scripts/migration.ts NAME`: writes prisma/migrations/<NNNN_name>/ with the SQL, for both databases, that leads from the
 * schema of the last migration to prisma/schema.prisma, and the schema itself. Read the SQL before committing it: what it
 * drops is gone, and a released version of Mayfly must run on the new tables until the last node is replaced.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { listMigrations, MIGRATION_NAME, migrationsFolder, readMigrationSchema } from '../src/store/migrations.ts';
import { diffSchemas, withSchemaEngine } from '../src/store/schema-engine.ts';
import { deriveSqliteSchema } from './sqlite-schema.ts';

const main = async (name: string | undefined): Promise<string> => {
  const folder = migrationsFolder();
  const schemaPath = join(folder, '..', 'schema.prisma');
  mkdirSync(folder, { recursive: true });
  const last = listMigrations(folder).at(-1);
  const directory = `${String(Number(last?.name.slice(0, 4) ?? 0) + 1).padStart(4, '0')}_${name ?? ''}`;
  if (!MIGRATION_NAME.test(directory)) throw new Error('usage: node scripts/migration.ts NAME, such as add_status_list');
  const before = last && readMigrationSchema(last);
  const after = readFileSync(schemaPath, 'utf8');
  const sql = await diffBoth(before, after);
  if (sql.postgresql === '' && sql.sqlite === '') return `prisma/schema.prisma does not differ from ${last?.name ?? 'an empty database'}: nothing written`;
  const target = join(folder, directory);
  mkdirSync(target);
  for (const engine of ['postgresql', 'sqlite'] as const) writeFileSync(join(target, `${engine}.sql`), sql[engine]);
  copyFileSync(schemaPath, join(target, 'schema.prisma'));
  return `wrote prisma/migrations/${directory}: read its SQL, then commit it with prisma/schema.prisma`;
};

/** No database is touched: comparing two schemas needs an engine only, and any adapter gives one. */
const diffBoth = (before: string | undefined, after: string): Promise<{ postgresql: string; sqlite: string }> =>
  withSchemaEngine(new PrismaLibSql({ url: ':memory:' }), async (engine) => ({
    postgresql: await diffSchemas(engine, before, after),
    sqlite: await diffSchemas(engine, before && deriveSqliteSchema(before), deriveSqliteSchema(after)),
  }));

process.stdout.write(`${await main(process.argv[2])}\n`);
