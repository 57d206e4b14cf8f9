import type { Clock } from '../core/clock.ts';
import type { StoreWrites } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';

/** A job that is kept between turns which come too often to take it anew each time. */
export interface Hold {
  /** The fence to write under; undefined while another node has the job. */
  fence(): Promise<number | undefined>;
  release(): Promise<void>;
}

/** Renews when half of its time is gone, so that a turn is never begun with less than the other half. */
export const createHold = (deps: { readonly name: string; readonly lease: number; readonly holder: string; readonly clock: Clock; readonly store: Pick<StoreWrites, 'takeJob' | 'releaseJob'>; readonly log: Log }): Hold => {
  const { name, lease, holder, clock, store } = deps;
  let held: { readonly fence: number; readonly until: number } | undefined;
  return {
    async fence() {
      const now = clock.now();
      if (held !== undefined && held.until - now > lease / 2) return held.fence;
      const taken = await store.takeJob(name, holder, now + lease, now);
      held = taken === undefined ? undefined : { fence: taken.fence, until: now + lease };
      return held?.fence;
    },
    async release() {
      if (held === undefined) return;
      held = undefined;
      await store.releaseJob(name, holder).catch((cause: unknown) => { deps.log.warn({ job: name, err: cause }, 'job could not be released; its lease runs out'); });
    },
  };
};
