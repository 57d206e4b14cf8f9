import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import type { Machine } from './machine.ts';
import { freePort } from '../demo/free-port.ts';
import { serve } from './processes.ts';
import type { Served } from './processes.ts';
import { BENCH_LIMITS } from './limits.ts';
import { EXTERNAL_URL } from './scenery.ts';

/** A real Mayfly node: `mayfly serve` in its own process, on a configuration file, filled through its admin socket. */
export interface MayflyNode extends Served {
  readonly folder: string;
  readonly databaseUrl: string;
  admin(method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<Record<string, unknown>>;
  apply(manifest: object): Promise<void>;
  /** The admin listener's metrics, as text. */
  metrics(): Promise<string>;
}

export interface NodeOptions {
  readonly machine: Machine;
  readonly folder: string;
  /** PostgreSQL; undefined: SQLite in the folder. */
  readonly databaseUrl?: string | undefined;
  readonly kekFile?: string;
  readonly workers?: number;
  /** For `--profile`. */
  readonly nodeOptions?: string;
}

export const startNode = async ({ machine, folder, databaseUrl, kekFile, workers = 1, nodeOptions = '' }: NodeOptions): Promise<MayflyNode> => {
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const socketPath = join(folder, 'admin', 'mayfly.sock');
  const config = {
    listen: `127.0.0.1:${port}`, external_url: EXTERNAL_URL, data_dir: folder, limits: BENCH_LIMITS, workers,
    ...(databaseUrl === undefined ? {} : { database_url: databaseUrl }), ...(kekFile === undefined ? {} : { kek: { file: kekFile } }),
  };
  const configFile = join(folder, 'mayfly.json');
  writeFileSync(configFile, JSON.stringify(config));
  const served = await serve({
    pin: workers > 1 && machine.cores <= 2 ? [] : machine.pin('server'), port, logFile: join(folder, 'log'),
    script: [join(import.meta.dirname, '..', 'bin', 'mayfly.js'), 'serve', '--config', configFile],
    env: { NODE_OPTIONS: nodeOptions },
  });
  const socket = new Agent({ connect: { socketPath }, headersTimeout: 600_000, bodyTimeout: 600_000 });

  const call = async (method: 'GET' | 'POST' | 'PUT', path: string, body?: object): Promise<string> => {
    const response = await request(`http://admin/${path}`, { method, dispatcher: socket, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }) });
    const text = await response.body.text();
    if (response.statusCode !== 200) throw new Error(`${method} ${path}: ${response.statusCode} ${text.slice(0, 2000)}`);
    return text;
  };
  const admin: MayflyNode['admin'] = async (method, path, body) => JSON.parse(await call(method, `admin/v1/${path}`, body)) as Record<string, unknown>;
  return {
    ...served, folder, databaseUrl: databaseUrl ?? join(folder, 'mayfly.db'), admin,
    metrics: () => call('GET', 'metrics'),
    async apply(manifest) {
      const answer = await admin('POST', 'apply', { manifest, dry_run: false, prune: false });
      if (answer['applied'] !== true) throw new Error(`the manifest was not applied: ${JSON.stringify(answer).slice(0, 2000)}`);
    },
    async stop() {
      await socket.destroy();
      await served.stop();
    },
  };
};
