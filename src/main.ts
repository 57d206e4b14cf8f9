import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createApps } from './boot/apps.ts';
import { startBackground } from './boot/background.ts';
import { checkExternalUrl, prepareFirstStart } from './boot/first-start.ts';
import { loadKeyEncryption } from './boot/kek.ts';
import { listen } from './boot/listen.ts';
import type { Listening } from './boot/listen.ts';
import { createNode } from './boot/node.ts';
import { StartRefused } from './boot/refused.ts';
import { loadServerConfig } from './config/load.ts';
import type { Listen, ServerConfig } from './config/server-config.ts';
import { systemClock } from './core/clock.ts';
import type { Clock } from './core/clock.ts';
import { newId } from './core/ids.ts';
import { systemRandom } from './core/random.ts';
import { createStore } from './store/create-store.ts';
import { createLog } from './telemetry/log.ts';
import type { Log } from './telemetry/log.ts';
import { createMetrics } from './telemetry/metrics.ts';

export interface StartOptions {
  readonly configFile?: string;
  /** As in the configuration: `host:port`. */
  readonly listen?: string;
  readonly workers?: number;
  /** Settings that win over file and environment, as in the configuration file. */
  readonly overrides?: Readonly<Record<string, unknown>>;
  /** For tests: the server itself has no way to set its clock. */
  readonly clock?: Clock;
  readonly log?: Log;
}

export interface RunningServer {
  /** Where callers reach it. */
  readonly externalUrl: string;
  readonly address: string;
  /** `unix:///path` of the admin API. */
  readonly adminSocket: string;
  readonly adminAddress: string | undefined;
  /** Finishes what was begun, seals the audit log, and lets go of everything. */
  close(): Promise<void>;
}

const version = (JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')) as { readonly version: string }).version;

const loadConfig = (options: StartOptions): ServerConfig => {
  const overrides = { ...options.overrides, ...(options.listen === undefined ? {} : { listen: options.listen }), ...(options.workers === undefined ? {} : { workers: options.workers }) };
  const loaded = loadServerConfig({ file: options.configFile, overrides });
  if (!loaded.ok) throw new StartRefused(loaded.error);
  return loaded.value;
};

/** Callers must know the port before it is bound: port 0 is for tests, which name their external URL themselves. */
const externalUrlOf = (config: ServerConfig): string => {
  if (config.external_url !== undefined) return config.external_url;
  if (config.listen.kind === 'unix') throw new StartRefused([{ path: 'external_url', message: 'a server on a socket cannot know its URL', mend: 'set external_url' }]);
  if (config.listen.port === 0) throw new StartRefused([{ path: 'external_url', message: 'with port 0 the URL is not known in advance', mend: 'set external_url, or a port' }]);
  const host = ['0.0.0.0', '::'].includes(config.listen.host) ? undefined : config.listen.host;
  if (host === undefined) throw new StartRefused([{ path: 'external_url', message: `${config.listen.host} is no address callers can use`, mend: 'set external_url to the URL under which they reach this server' }]);
  return `${config.tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${config.listen.port}`;
};

/** Composition root of the server: config -> store -> keys -> snapshot -> rooms -> listeners (`mayfly serve`). */
export const startServer = async (options: StartOptions = {}): Promise<RunningServer> => {
  const config = loadConfig(options);
  const externalUrl = externalUrlOf(config);
  const clock = options.clock ?? systemClock;
  const random = systemRandom;
  const log = options.log ?? createLog(config.log_level);
  const metrics = createMetrics();
  mkdirSync(config.data_dir, { recursive: true, mode: 0o700 });
  const store = await createStore({ url: config.database_url ?? `file:${resolve(config.data_dir, 'mayfly.db')}`, clock, random });
  const stops: (() => Promise<void>)[] = [() => store.close()];
  const stopAll = async (): Promise<void> => { for (const stop of stops.reverse()) await stop(); };
  try {
    const { encryption, created } = loadKeyEncryption(config, { engine: store.engine, holdsKeys: (await store.registryDelta(0)).keys.length > 0 }, random);
    if (created !== undefined) log.info({ file: created }, 'made a key-encryption key: keep a copy of this file where the database is not');
    const node = createNode({ config, externalUrl, clock, random, log, metrics, store, encryption });
    stops.push(() => node.close());
    await node.snapshot.refresh();
    await prepareFirstStart({ clock, random, externalUrl, snapshot: node.snapshot, firstKeys: node.firstKeys, change: node.change });
    checkExternalUrl(externalUrl, node.snapshot);
    const background = startBackground({ clock, store, node, encryption, holder: newId('chain', clock, random), log, metrics });
    stops.push(() => background.stop());

    const apps = createApps({ config, clock, random, log, metrics, store, node, version });
    const socket: Listen = { kind: 'unix', path: resolve(config.admin.socket ?? join(config.data_dir, 'admin', 'mayfly.sock')) };
    const open = async (where: Listen, app: Parameters<typeof listen>[1], tls?: ServerConfig['tls']): Promise<Listening> => {
      const listening = await listen(where, app, tls);
      stops.push(() => listening.close());
      return listening;
    };
    const adminSocket = await open(socket, apps.socketApp);
    const adminHttp = config.admin.listen === undefined ? undefined : await open(config.admin.listen, apps.adminApp, config.tls);
    const main = await open(config.listen, apps.publicApp, config.tls);
    log.info({ url: externalUrl, listening: main.address, admin: adminSocket.address, domains: node.snapshot.domains().map(({ domain }) => domain.name) }, 'mayfly is ready');
    return { externalUrl, address: main.address, adminSocket: adminSocket.address, adminAddress: adminHttp?.address, close: stopAll };
  } catch (cause) {
    await stopAll();
    throw cause;
  }
};
