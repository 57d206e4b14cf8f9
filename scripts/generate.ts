/**
 * Generates the two Prisma clients, PostgreSQL and SQLite, into src/store/generated/ (git-ignored).
 * `--if-stale`: only if they were made from another schema, Prisma version or generator script.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { deriveSqliteSchema, withOutput } from './sqlite-schema.ts';

const ENGINES = ['postgresql', 'sqlite'] as const;
const LOCK_TIMEOUT_MS = 120_000;
const root = join(import.meta.dirname, '..');
const schemaPath = join(root, 'prisma/schema.prisma');
const outputPath = join(root, 'src/store/generated');
const fingerprinted = ['prisma/schema.prisma', 'scripts/generate.ts', 'scripts/sqlite-schema.ts', 'node_modules/prisma/package.json'];
const stampPath = join(outputPath, 'stamp');

const main = async (): Promise<void> => {
  const onlyIfStale = process.argv.includes('--if-stale');
  if (onlyIfStale && isFresh()) return;
  mkdirSync(outputPath, { recursive: true });
  // SQLite's own file lock: the system gives it back when its holder dies, so a killed run leaves nothing to clean up.
  const { DatabaseSync } = await import('node:sqlite');
  const lock = new DatabaseSync(join(outputPath, 'lock.db'), { timeout: LOCK_TIMEOUT_MS });
  lock.exec('BEGIN EXCLUSIVE');
  try {
    // Somebody else may have generated while this process waited.
    if (onlyIfStale && isFresh()) return;
    await generate();
  } finally {
    lock.close();
  }
};

const fingerprint = (): string => {
  const hash = createHash('sha256');
  for (const path of fingerprinted) hash.update(readFileSync(join(root, path))).update('\0');
  return hash.digest('hex');
};

const isFresh = (): boolean => existsSync(stampPath) && readFileSync(stampPath, 'utf8') === fingerprint();

/** Generates beside the clients in use and swaps whole folders; the stamp comes last, so an interrupted run is stale. */
const generate = async (): Promise<void> => {
  const wanted = fingerprint();
  const staging = join(outputPath, '.staging');
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });
  const schema = readFileSync(schemaPath, 'utf8');
  const variants = { postgresql: schema, sqlite: deriveSqliteSchema(schema) };
  for (const engine of ENGINES) writeFileSync(join(staging, `${engine}.prisma`), withOutput(variants[engine], `./${engine}`));
  process.stderr.write(`generating the Prisma clients from ${relative(root, schemaPath)} into ${relative(root, outputPath)}\n`);
  await Promise.all(ENGINES.map((engine) => runPrisma(join(staging, `${engine}.prisma`))));
  rmSync(stampPath, { force: true });
  for (const name of ENGINES.flatMap((engine) => [engine, `${engine}.prisma`])) {
    rmSync(join(outputPath, name), { recursive: true, force: true });
    renameSync(join(staging, name), join(outputPath, name));
  }
  rmSync(staging, { recursive: true, force: true });
  writeFileSync(stampPath, wanted);
};

const runPrisma = async (schema: string): Promise<void> => {
  const cli = join(root, 'node_modules/prisma/build/index.js');
  // Naming any file as the schema engine keeps the CLI from fetching one; `generate` never runs it.
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: cli, CHECKPOINT_DISABLE: '1', PRISMA_HIDE_UPDATE_MESSAGE: '1', NO_COLOR: '1' };
  await promisify(execFile)(process.execPath, [cli, 'generate', '--no-hints', '--schema', schema], { cwd: root, env, timeout: LOCK_TIMEOUT_MS });
};

await main();
