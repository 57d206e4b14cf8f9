import { workloadPath } from '../authority/session.ts';
import type { Clock } from '../core/clock.ts';
import type { DomainId } from '../core/ids.ts';
import { SECOND } from '../core/duration.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { StreamRow } from '../store/signal-rows.ts';
import type { Fence } from '../store/signals.ts';
import type { StoreReads, StoreWrites } from '../store/store.ts';
import { LONGEST_WAIT } from './limits.ts';

/** What operators see of streams; an implementation counts and, for what somebody has to look at, logs. */
export interface SignalMetrics {
  queue(stream: StreamRow, waiting: number, oldestSeconds: number): void;
  /** Whether it is told nothing because its domain is not loaded. */
  heldUp(stream: Pick<StreamRow, 'id' | 'domainId'>, held: boolean): void;
  gone(stream: Pick<StreamRow, 'id' | 'domainId'>): void;
  delivered(stream: StreamRow, count: number): void;
  failure(stream: StreamRow, reason: string): void;
  paused(stream: Pick<StreamRow, 'id' | 'domainId'>, reason: string): void;
  lost(streamId: StreamRow['id'], count: number): void;
}

export interface WatchDeps {
  readonly clock: Clock;
  readonly store: Pick<StoreReads, 'waitingEvents'> & Pick<StoreWrites, 'pauseStream'>;
  readonly snapshot: Pick<Snapshot, 'revokedBy' | 'version'>;
  viewOf(domainId: DomainId): Pick<DomainView, 'workloadById'> | undefined;
  readonly metrics: SignalMetrics;
}

const LOOK_EVERY = 5 * SECOND;

/** Pauses streams whose receiver is no longer known here or has been away too long, and shows how streams are doing. */
export const createWatch = (deps: WatchDeps) => {
  const { clock } = deps;
  let lookAt = 0;
  let shown: readonly StreamRow[] = [];

  const pause = async (stream: StreamRow, reason: string, overflowed: boolean, fence: Fence): Promise<void> => {
    if (await deps.store.pauseStream(stream, reason, overflowed, { ...fence, now: clock.now() })) deps.metrics.paused(stream, reason);
  };

  /** A receiver that lost its own authority is told nothing more: its stream outlives its tokens, and must not outlive that. */
  const isKnown = (stream: StreamRow, view: Pick<DomainView, 'workloadById'>): boolean => {
    const workload = view.workloadById(stream.workloadId);
    // Not the domain: when all of it is revoked, its receivers are the ones to be told.
    return workload !== undefined && workload.expires > clock.now() && deps.snapshot.revokedBy(workloadPath(workload), deps.snapshot.version) === undefined;
  };

  const look = async (stream: StreamRow, fence: Fence): Promise<void> => {
    const [first] = stream.pending === 0 ? [] : await deps.store.waitingEvents(stream, 1);
    const waited = first === undefined ? 0 : clock.now() - first.at;
    deps.metrics.queue(stream, stream.pending, Math.max(0, waited / 1000));
    deps.metrics.heldUp(stream, deps.viewOf(stream.domainId) === undefined);
    // A receiver that came back and enabled its stream has that long again to take what waited meanwhile.
    const unanswered = first === undefined ? 0 : clock.now() - Math.max(first.at, stream.changedAt);
    if (unanswered > LONGEST_WAIT && !stream.overflowed && stream.status !== 'disabled') await pause(stream, 'an event waits longer than 72 hours', true, fence);
  };

  return {
    /** Streams that may be served. */
    async known(streams: readonly StreamRow[], fence: Fence): Promise<readonly StreamRow[]> {
      const known: StreamRow[] = [];
      for (const stream of streams) {
        const view = deps.viewOf(stream.domainId);
        // A domain that is not loaded says nothing about its workloads.
        if (view === undefined) continue;
        if (isKnown(stream, view)) known.push(stream);
        else if (stream.status === 'enabled') await pause(stream, 'its workload is no longer registered, or is revoked', false, fence);
      }
      return known;
    },
    async look(streams: readonly StreamRow[], fence: Fence): Promise<void> {
      if (clock.now() < lookAt) return;
      lookAt = clock.now() + LOOK_EVERY;
      const ids = new Set(streams.map(({ id }) => id));
      for (const stream of shown) if (!ids.has(stream.id)) deps.metrics.gone(stream);
      shown = streams;
      for (const stream of streams) await look(stream, fence);
    },
    forget(): void {
      for (const stream of shown) deps.metrics.gone(stream);
      shown = [];
    },
  };
};
