import cluster from 'node:cluster';
import type { DecisionId } from '../core/ids.ts';
import { newId } from '../core/ids.ts';
import { systemClock } from '../core/clock.ts';
import type { Clock } from '../core/clock.ts';
import { systemRandom } from '../core/random.ts';
import type { Random } from '../core/random.ts';
import type { KeyEncryption } from '../keys/kek.ts';
import { createStore, createWorkerStore } from '../store/create-store.ts';
import { parseDatabase } from '../store/database.ts';
import { ipcChannel } from '../store/writer/channel.ts';
import { createLog } from '../telemetry/log.ts';
import type { Log } from '../telemetry/log.ts';
import { createMetrics } from '../telemetry/metrics.ts';
import { createApps } from './apps.ts';
import { createFollow, startBackground } from './background.ts';
import { auditCodeKeys, loadKeyEncryption } from './kek.ts';
import { listen } from './listen.ts';
import { createNode } from './node.ts';
import { databaseUrlOf } from './place.ts';
import { createStops } from './stops.ts';
import { loadTls } from './tls.ts';
import type { WorkerLine, WorkerStart } from './worker-line.ts';

type WorkerStore = Awaited<ReturnType<typeof createWorkerStore>>;

/** On SQLite the primary commits for everybody; on PostgreSQL each process has a writer, and so an audit chain, of its own. */
const openStore = async (url: string, clock: Clock, random: Random, encryption: KeyEncryption, log: Log): Promise<WorkerStore> => {
  if (parseDatabase(url).engine === 'sqlite') return createWorkerStore({ url, clock, primary: ipcChannel(process) });
  const store = await createStore({ url, clock, random, codeKeys: auditCodeKeys(encryption) });
  log.info({ commits: await store.durability() }, 'this process commits for itself');
  return store;
};

/** Composition of one serving process beside a primary: what {@link startServer} composes, without admin plane and jobs. Gives how to end it. */
export const serveAsWorker = async ({ config, externalUrl, version }: WorkerStart, line: WorkerLine): Promise<{ readonly address: string; close(): Promise<void> }> => {
  const clock = systemClock;
  const random = systemRandom;
  const log = createLog(config.log_level).child({ worker: cluster.worker?.id ?? 0 });
  const metrics = createMetrics();
  const stops = createStops();
  const tls = loadTls(config.tls);
  try {
    const url = databaseUrlOf(config);
    // The primary started first, so the database holds keys, and a key-encryption key that is missing now is no reason to make another.
    const { encryption } = loadKeyEncryption(config, { engine: parseDatabase(url).engine, holdsKeys: true }, random);
    const store = await openStore(url, clock, random, encryption, log);
    stops.push(() => store.close());
    const node = createNode({ config, externalUrl, clock, random, log, metrics, store, encryption });
    stops.push(() => node.close());
    const follow = createFollow({ node, metrics });
    // The primary waits for what this returns; over PostgreSQL nobody does.
    store.onRegistryChange(store.engine === 'sqlite' ? follow : () => follow().catch((cause: unknown) => { log.warn({ err: cause }, 'the registry could not be read'); }));
    line.answerBy({
      'own-metrics': () => metrics.registry.getMetricsAsJSON(),
      denial: (id: DecisionId) => Promise.resolve(node.denials.recent(id) ?? null),
    });
    // INVARIANT: the primary announces changes to this process before it reads the registry, so that none falls in between.
    await joined(line);
    await follow();
    // The first reading of a large registry takes longer than a snapshot may be old; the second finds little to do.
    await follow();
    const background = startBackground({ clock, store, node, encryption, follow, jobs: false, issues: true, holder: newId('chain', clock, random), log, metrics });
    stops.push(() => background.stop());
    const published = { contentType: metrics.registry.contentType, metrics: async () => (await line.ask('all-metrics', undefined)) ?? metrics.registry.metrics() };
    const { publicApp } = createApps({ config, clock, random, log, metrics, published, store, node, version });
    const listening = await listen(config.listen, publicApp, { setting: 'listen', tls, shared: true });
    stops.push(() => listening.close());
    stops.push(() => node.endWaiting());
    return { address: listening.address, close: () => stops.run() };
  } catch (cause) {
    await stops.run();
    throw cause;
  }
};

const joined = (line: WorkerLine): Promise<void> => new Promise((resolve) => {
  line.onWord((word) => { if (word.say === 'joined') resolve(); });
  line.tell({ say: 'join' });
});
