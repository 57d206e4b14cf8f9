import type { Clock } from '../core/clock.ts';
import { SECOND } from '../core/duration.ts';
import type { Transmit } from '../signals/transmit.ts';
import type { StoreWrites } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { createHold } from './hold.ts';
import { startLoop } from './run.ts';
import type { Loop } from './run.ts';

const NAME = 'signals';
const EVERY = SECOND / 2;
/** Another node goes on with the outbox of one that died after this at the latest. */
const LEASE = 10 * SECOND;

export interface SignalsJobDeps {
  readonly clock: Clock;
  readonly holder: string;
  readonly store: Pick<StoreWrites, 'takeJob' | 'releaseJob'>;
  readonly transmit: Transmit;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'jobRuns'>;
}

/** Tells receivers what fell (signals/transmit.ts). Deliveries outlast a turn, so the job is held and not taken for each. */
export const startSignals = (deps: SignalsJobDeps): Loop => {
  const hold = createHold({ ...deps, name: NAME, lease: LEASE });
  const loop = startLoop(NAME, EVERY, async () => {
    const fence = await hold.fence();
    if (fence === undefined) return deps.transmit.idle();
    try {
      await deps.transmit.turn({ name: NAME, fence });
    } catch (cause) {
      // Another node may be able to do what this one is not.
      await hold.release();
      throw cause;
    }
  }, deps);
  return {
    async stop() {
      await loop.stop();
      await deps.transmit.stop();
      await hold.release();
    },
  };
};
