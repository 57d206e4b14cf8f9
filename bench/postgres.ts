import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import pg from 'pg';
import type { Machine } from './machine.ts';

/** A real PostgreSQL with its default durability, on the client's core: in production it is on another machine. */
export interface Postgres { freshDatabase(): Promise<string>; stop(): Promise<void> }

export const startPostgres = async (machine: Machine): Promise<Postgres> => {
  const [command = '', ...parameters] = [...machine.pin('client'), process.execPath, join(import.meta.dirname, '..', 'test', 'support', 'postgres-host.ts')];
  const host = spawn(command, parameters, { stdio: ['pipe', 'pipe', 'inherit'], detached: true });
  const exited = once(host, 'exit');
  const [serverUrl] = (await Promise.race([once(createInterface(host.stdout), 'line'), exited.then(() => [undefined])])) as [string | undefined];
  if (serverUrl === undefined) throw new Error('PostgreSQL did not start');
  return {
    async freshDatabase() {
      const name = `bench_${randomBytes(6).toString('hex')}`;
      const client = new pg.Client({ connectionString: serverUrl });
      await client.connect();
      await client.query(`CREATE DATABASE ${name}`);
      await client.end();
      const url = new URL(serverUrl);
      url.pathname = `/${name}`;
      return url.href;
    },
    async stop() {
      host.stdin.end();
      await exited;
    },
  };
};
