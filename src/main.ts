import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AggregatorRegistry } from 'prom-client';
import { createApps, registryProblems } from './boot/apps.ts';
import { createFollow, startBackground } from './boot/background.ts';
import { checkExternalUrl, prepareFirstStart } from './boot/first-start.ts';
import { auditCodeKeys, loadKeyEncryption } from './boot/kek.ts';
import { ensureFree, listen, prepareSocket } from './boot/listen.ts';
import type { Listening, Setting } from './boot/listen.ts';
import { createNode } from './boot/node.ts';
import { adminSocketOf, adminUrlOf, databaseUrlOf, externalUrlOf } from './boot/place.ts';
import { StartRefused } from './boot/refused.ts';
import { createStops } from './boot/stops.ts';
import { loadTls } from './boot/tls.ts';
import { loadWebhooks } from './boot/webhooks.ts';
import { startWorkers } from './boot/workers.ts';
import type { Workers } from './boot/workers.ts';
import { loadServerConfig } from './config/load.ts';
import type { Listen, ServerConfig } from './config/server-config.ts';
import { systemClock } from './core/clock.ts';
import type { Clock } from './core/clock.ts';
import { newId } from './core/ids.ts';
import { systemRandom } from './core/random.ts';
import { createStore } from './store/create-store.ts';
import { prepareDatabase } from './store/prepare.ts';
import { ipcChannel } from './store/writer/channel.ts';
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
  /** For tests: the server itself has no way to set its clock. Serving processes of their own keep the system's. */
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
  /** Why it started and is not ready: what of its registry it cannot use. Empty if it is. */
  readonly problems: readonly string[];
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

/** Composition root of the server: config -> database -> key-encryption key -> store -> snapshot -> rooms -> listeners (`mayfly serve`). With several workers this process is their primary (docs/decisions/0003-workers.md). */
export const startServer = async (options: StartOptions = {}): Promise<RunningServer> => {
  const config = loadConfig(options);
  const externalUrl = externalUrlOf(config);
  const tls = loadTls(config.tls);
  const webhooks = loadWebhooks(config);
  const clock = options.clock ?? systemClock;
  const random = systemRandom;
  const log = options.log ?? createLog(config.log_level);
  const metrics = createMetrics();
  const stops = createStops();
  try {
    await ensureFree(config.listen, 'listen');
    mkdirSync(config.data_dir, { recursive: true, mode: 0o700 });
    const url = databaseUrlOf(config);
    const { encryption, created } = loadKeyEncryption(config, await prepareDatabase(url), random);
    if (created !== undefined) log.info({ file: created }, 'made a key-encryption key: keep a copy of this file where the database is not');
    const store = await createStore({ url, clock, random, codeKeys: auditCodeKeys(encryption) });
    stops.push(() => store.close());
    let workers: Workers | undefined;
    const node = createNode({ config, externalUrl, clock, random, log, metrics, store, encryption, denialElsewhere: async (id) => workers?.denial(id) });
    stops.push(() => node.close());
    const follow = createFollow({ node, metrics });
    await follow();
    await prepareFirstStart({ clock, random, externalUrl, snapshot: node.snapshot, firstKeys: node.firstKeys, change: node.change });
    checkExternalUrl(externalUrl, node.snapshot);
    store.onRegistryChange(() => { follow().catch((cause: unknown) => { log.warn({ err: cause }, 'the registry could not be read'); }); });
    const background = startBackground({ clock, store, node, encryption, follow, jobs: true, issues: config.workers === 1, holder: newId('chain', clock, random), webhooks, log, metrics });
    stops.push(() => background.stop());

    const allMetrics = async (): Promise<string> => AggregatorRegistry.aggregate([await metrics.registry.getMetricsAsJSON(), ...(await workers?.metrics() ?? [])]).metrics();
    const apps = createApps({
      config, clock, random, log, metrics, store, node, version,
      published: config.workers === 1 ? metrics.registry : { contentType: metrics.registry.contentType, metrics: allMetrics },
      problems: () => (workers?.serving() === 0 ? ['no serving process runs'] : []),
    });
    // The first reading of a large registry takes longer than a snapshot may be old; the second finds little to do.
    await follow();
    const open = async (setting: Setting, where: Listen, app: Parameters<typeof listen>[1]): Promise<Listening> => {
      const listening = await listen(where, app, { setting, tls: setting === 'admin.socket' ? undefined : tls });
      stops.push(() => listening.close());
      return listening;
    };
    const adminSocket = await open('admin.socket', { kind: 'unix', path: adminSocketOf(config) }, apps.socketApp);
    const adminHttp = config.admin.listen === undefined ? undefined : await open('admin.listen', config.admin.listen, apps.adminApp);
    if (config.admin.listen !== undefined && adminUrlOf(config) === undefined) log.warn({}, 'admin.external_url is not set, so admin tokens that are bound to a key are refused');
    if (config.workers > 1) {
      if (config.listen.kind === 'unix') await prepareSocket(config.listen.path, 'listen');
      workers = await startWorkers({
        start: { config, externalUrl, version }, log, allMetrics,
        join: (worker) => { if (store.engine === 'sqlite') store.serve(ipcChannel(worker)); },
      });
      stops.push(workers.close);
    }
    const { address } = workers ?? await open('listen', config.listen, apps.publicApp);
    stops.push(() => node.endWaiting());
    const problems = registryProblems(node);
    const started = { url: externalUrl, listening: address, admin: adminSocket.address, workers: config.workers, domains: node.snapshot.domains().map(({ domain }) => domain.name), commits: await store.durability() };
    if (problems.length === 0) log.info(started, 'mayfly is ready');
    else log.error({ ...started, problems }, 'mayfly is not ready');
    return { externalUrl, address, adminSocket: adminSocket.address, adminAddress: adminHttp?.address, problems, close: () => stops.run() };
  } catch (cause) {
    await stops.run();
    throw cause;
  }
};
