import type { Clock } from '../core/clock.ts';
import { MINUTE } from '../core/duration.ts';
import type { StoreWrites } from '../store/store.ts';
import type { Job } from './run.ts';

const BATCH = 500;
/** Batches a run: what is left waits for the next, so that exchanges never queue behind a purge. */
const BATCHES = 20;
const NAME = 'retention';

/** Deletes what is past its time in short batches (design section 10, History). */
export const retentionJob = (deps: { readonly clock: Clock; readonly store: Pick<StoreWrites, 'purge'> }): Job => ({
  name: NAME,
  every: MINUTE,
  lease: 5 * MINUTE,
  async run(fence) {
    for (let batch = 0; batch < BATCHES; batch += 1) {
      const { more } = await deps.store.purge(deps.clock.now(), BATCH, { name: NAME, fence });
      if (!more) return;
    }
  },
});
