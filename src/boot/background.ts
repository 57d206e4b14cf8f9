import type { Clock } from '../core/clock.ts';
import { MINUTE, SECOND } from '../core/duration.ts';
import { SYSTEM_DOMAIN } from '../core/reserved.ts';
import { approvalExpiryJob, approvalNoticesJob } from '../jobs/approvals.ts';
import { cascadeJob } from '../jobs/cascade.ts';
import { retentionJob } from '../jobs/retention.ts';
import { rotationJob } from '../jobs/rotation.ts';
import { startJob, startLoop, startOnce } from '../jobs/run.ts';
import type { Job, Loop } from '../jobs/run.ts';
import { signalsPollJob } from '../jobs/signals-poll.ts';
import { startSignals } from '../jobs/signals.ts';
import { stoppedChainsJob } from '../jobs/stopped-chains.ts';
import { createTakeBack, revokersOf } from '../jobs/take-back.ts';
import type { KeyEncryption } from '../keys/kek.ts';
import type { WebhookTarget } from '../outbound/webhook.ts';
import { createPostWebhook } from '../outbound/webhook.ts';
import type { SignCheckpoint, Store } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { signAs } from '../tokens/sign.ts';
import { checkpointPayload } from '../audit/checkpoint.ts';
import { handleContext } from './node.ts';
import type { MayflyNode } from './node.ts';

const POLL = 250;
/** Whatever comes first (design section 11, Audit). */
const CHECKPOINT_EVERY = 10 * SECOND;
const CHECKPOINT_AFTER = 1000;
const CHECKPOINT_LOOK = SECOND / 2;

export interface BackgroundDeps {
  readonly clock: Clock;
  readonly store: Store;
  readonly node: MayflyNode;
  readonly encryption: KeyEncryption;
  readonly follow: () => Promise<void>;
  /** The jobs of the installation; false in a serving process beside a primary, which runs them. */
  readonly jobs: boolean;
  /** Whether this process issues tokens itself; not a primary beside workers. */
  readonly issues: boolean;
  readonly holder: string;
  /** By name of the trust domain. */
  readonly webhooks?: ReadonlyMap<string, WebhookTarget>;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Signs with the system domain's key; every checkpoint also goes to the log, so that a copy leaves the machine (design section 11). */
export const createSignCheckpoint = (node: Pick<MayflyNode, 'snapshot'>, log: Log): SignCheckpoint => (statement) => {
  const ring = node.snapshot.domain(SYSTEM_DOMAIN)?.ring;
  const signed = ring === undefined ? undefined : signAs('checkpoint', checkpointPayload(statement), ring);
  if (signed?.ok !== true) return Promise.reject(new Error('no checkpoint key'));
  log.info({ chain: statement.chain, n: statement.n, checkpoint: signed.value.token }, 'audit checkpoint');
  return Promise.resolve({ kid: signed.value.kid, jws: signed.value.token });
};

/** Takes in what changed in the registry; rejects when it cannot be read. */
export const createFollow = ({ node, metrics }: Pick<BackgroundDeps, 'node' | 'metrics'>) => async (): Promise<void> => {
  try {
    await node.snapshot.refresh();
  } finally {
    metrics.snapshotAge.set(node.snapshot.age() / 1000);
    metrics.snapshotVersion.set(node.snapshot.version);
  }
};

/** What a node does beside answering: follow the registry, seal the audit log, rotate keys, purge, carry out what was taken back. */
export const startBackground = (deps: BackgroundDeps): Loop => {
  const { clock, store, node, log, metrics } = deps;
  const sign = createSignCheckpoint(node, log);
  const job = { clock, store, log, metrics, holder: deps.holder };
  const stoppedChains = stoppedChainsJob({ clock, store, sign, log });
  const jobs: readonly Job[] = [
    stoppedChains,
    rotationJob({ clock, snapshot: node.snapshot, encryption: deps.encryption, wantedKeys: node.wantedKeys, change: node.change }),
    retentionJob({ clock, store }),
    signalsPollJob({ clock, snapshot: node.snapshot, poll: node.pollSignals, log, metrics }),
    approvalExpiryJob({ clock, store }),
    approvalNoticesJob({ clock, store, snapshot: node.snapshot, webhooks: deps.webhooks ?? new Map(), post: createPostWebhook({ clock, fetch: node.outbound }), log, metrics }),
    cascadeJob({
      clock, store, log,
      takeBack: createTakeBack({ clock, revokers: revokersOf(node.catalogues.providers.values()), openHandle: (lease, sealed) => deps.encryption.open(sealed, handleContext(lease)).toString() }),
    }),
  ];
  let sealedAt = clock.now();
  const sealWhenDue = async (): Promise<void> => {
    if (clock.now() - sealedAt < CHECKPOINT_EVERY && store.unsealed() < CHECKPOINT_AFTER) return;
    await store.checkpoint(sign, clock.now());
    sealedAt = clock.now();
  };
  const loops: readonly Loop[] = [
    startLoop('snapshot', POLL, deps.follow, deps),
    startLoop('checkpoint', CHECKPOINT_LOOK, sealWhenDue, deps),
    // Begun now, beside the loop: the first token shall not wait for its status entry.
    ...(deps.issues ? [startOnce('status-blocks', () => node.keepStatusBlocks(), deps), startLoop('status-blocks', SECOND, () => node.keepStatusBlocks(), deps)] : []),
    startLoop('denial-counts', MINUTE, () => node.denials.flush(), deps),
    ...(deps.jobs ? jobs.map((each) => startJob(each, job)) : []),
    ...(deps.jobs ? [startSignals({ ...job, transmit: node.signals.transmit })] : []),
    // Without taking the job, whose lease a process that was killed still has: its last entries shall not stay unsealed so long. Sealing twice does no harm.
    ...(deps.jobs ? [startOnce(stoppedChains.name, () => stoppedChains.run(0), deps)] : []),
  ];
  return {
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()));
      await node.denials.flush();
      // The last seal: what this process wrote is provable as soon as it is gone.
      await store.checkpoint(sign, clock.now()).catch((cause: unknown) => { log.warn({ err: cause }, 'the last checkpoint could not be written; the next process seals this chain'); });
    },
  };
};
