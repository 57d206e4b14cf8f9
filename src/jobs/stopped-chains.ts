import type { Clock } from '../core/clock.ts';
import { MINUTE } from '../core/duration.ts';
import type { SignCheckpoint, StoreWrites } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Job } from './run.ts';

/** Seals what a process left behind that ended before it could. What it did not write is not sealed, and somebody has to look at it. */
export const stoppedChainsJob = (deps: { readonly clock: Clock; readonly store: Pick<StoreWrites, 'sealStopped'>; readonly sign: SignCheckpoint; readonly log: Log }): Job => ({
  name: 'stopped-chains',
  every: MINUTE,
  lease: 5 * MINUTE,
  async run() {
    await deps.store.sealStopped(deps.sign, deps.clock.now(), (tail) => {
      deps.log.error(tail, 'audit entries that nothing shows this installation wrote: they are not sealed; see mayfly audit verify');
    });
  },
});
