import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import pg from 'pg';

export interface FreshDatabase { readonly url: string; readonly drop: () => Promise<void> }

/** A real PostgreSQL of the test file's own. Every database it gives is empty; `stop` belongs in afterAll. */
export interface Postgres {
  /** Of the superuser, for looking at the server itself. */
  readonly url: string;
  freshDatabase(): Promise<FreshDatabase>;
  stop(): Promise<void>;
}

export const startPostgres = async (): Promise<Postgres> => {
  // Detached: an interrupt from the terminal reaches the tests, and their end reaches the server through its standard input.
  const host = spawn(process.execPath, [fileURLToPath(new URL('postgres-host.ts', import.meta.url))], { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  const complaints: string[] = [];
  host.stderr.on('data', (chunk) => complaints.push(String(chunk)));
  const exited = once(host, 'exit');
  const [url] = (await Promise.race([once(createInterface(host.stdout), 'line'), exited.then(() => [undefined])])) as [string | undefined];
  if (url === undefined) throw new Error(`no PostgreSQL for the tests: ${complaints.join('')}`);
  return {
    url,
    freshDatabase: () => freshDatabase(url),
    async stop() {
      host.stdin.end();
      await exited;
    },
  };
};

const freshDatabase = async (serverUrl: string): Promise<FreshDatabase> => {
  const name = `t_${randomBytes(6).toString('hex')}`;
  await run(serverUrl, `CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => run(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`) };
};

const run = async (url: string, sql: string): Promise<void> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
};
