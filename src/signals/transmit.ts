import type { Clock } from '../core/clock.ts';
import type { StoreReads } from '../store/store.ts';
import type { Fence } from '../store/signals.ts';
import type { Announce } from './announce.ts';
import type { Deliver } from './deliver.ts';
import type { createWatch } from './watch.ts';

export interface TransmitDeps {
  readonly clock: Clock;
  readonly store: Pick<StoreReads, 'streams' | 'registryVersion'>;
  readonly announce: Announce;
  readonly watch: ReturnType<typeof createWatch>;
  readonly deliver: Deliver;
}

/** The transmitter of all domains, as its one owner runs it: tell what fell, look after the streams, begin to deliver. */
export const createTransmit = ({ clock, store, announce, watch, deliver }: TransmitDeps) => ({
  async turn(job: Omit<Fence, 'now'>): Promise<void> {
    const fence: Fence = { ...job, now: clock.now() };
    // INVARIANT: the version comes first. A stream that is not among those read after it began at it or later, so nobody moves on over what it is to be told.
    const version = await store.registryVersion();
    const listening = await store.streams();
    if (listening.length > 0) await announce(fence, listening, version);
    const streams = listening.length === 0 ? listening : await store.streams();
    await watch.look(streams, fence);
    deliver.begin(await watch.known(streams, fence), fence);
  },
  /** Another node is the owner now. */
  idle: (): void => { watch.forget(); },
  settled: (): Promise<void> => deliver.settled(),
  stop: (): Promise<void> => deliver.stop(),
});
export type Transmit = ReturnType<typeof createTransmit>;
