import { setTimeout } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import type { DomainId } from '../core/ids.ts';
import type { Random } from '../core/random.ts';
import type { KeyEncryption } from '../keys/kek.ts';
import type { GuardedFetch } from '../outbound/fetch.ts';
import { createAnnounce } from '../signals/announce.ts';
import { createSignalMetrics } from '../signals/count.ts';
import { createDeliver } from '../signals/deliver.ts';
import { createManage } from '../signals/manage.ts';
import { createPoll } from '../signals/serve-poll.ts';
import { createPush } from '../signals/push.ts';
import { createReach } from '../signals/reach.ts';
import { createTransmit } from '../signals/transmit.ts';
import { createWatch } from '../signals/watch.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import { encodeSignal } from '../store/signals.ts';
import type { Store } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';

export interface SignalsDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly store: Store;
  readonly snapshot: Snapshot;
  readonly encryption: KeyEncryption;
  readonly fetch: GuardedFetch;
  readonly allowAddresses: readonly string[];
  readonly tokenKinds: ReadonlySet<string>;
  readonly handingOn: ReadonlySet<string>;
}

/** The transmitter's rooms: what receivers ask of any process, and what its one owner does (docs/signals.md). */
export const createSignals = ({ snapshot, ...deps }: SignalsDeps) => {
  const { clock, log, store } = deps;
  const viewOf = (id: DomainId) => snapshot.domainById(id);
  const metrics = createSignalMetrics({ log, metrics: deps.metrics, nameOf: (id) => viewOf(id)?.domain.name ?? id });
  const manage = createManage({ ...deps, encode: encodeSignal });
  return {
    manage,
    poll: createPoll({ clock, manage, store, log, metrics, wait: (milliseconds) => setTimeout(milliseconds) }),
    transmit: createTransmit({
      clock, store,
      announce: createAnnounce({
        clock, store, encode: encodeSignal, viewOf, reach: createReach({ store, viewOf, tokenKinds: deps.tokenKinds, handingOn: deps.handingOn }),
        overflowed: (streams) => { for (const { streamId, lost } of streams) metrics.lost(streamId, lost); },
      }),
      watch: createWatch({ clock, store, snapshot, viewOf, metrics }),
      deliver: createDeliver({ ...deps, metrics, viewOf, push: createPush(deps.fetch) }),
    }),
  };
};
