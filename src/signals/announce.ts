import type { Clock } from '../core/clock.ts';
import type { DomainId } from '../core/ids.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { StreamRow } from '../store/rows.ts';
import type { Enqueued, Fence, Occurrence, SignalCursor } from '../store/signals.ts';
import type { StoreReads, StoreWrites } from '../store/store.ts';
import { draftEvents } from './draft.ts';
import type { Cause, Drafting, Fall, Listener } from './draft.ts';
import { MOST_WAITING } from './limits.ts';
import type { Reach } from './reach.ts';

export interface AnnounceDeps {
  readonly clock: Clock;
  readonly store: Pick<StoreReads, 'occurrences' | 'excludedSubjects' | 'signalCursor'> & Pick<StoreWrites, 'enqueue'>;
  readonly reach: Reach;
  readonly encode: Drafting['encode'];
  viewOf(domainId: DomainId): Pick<DomainView, 'domain'> | undefined;
  /** Told of each stream that did not keep what it should have been told. */
  overflowed(overflowed: Enqueued['overflowed']): void;
  readonly most?: number;
}

/** Transactions in one turn: what is left waits for the next, so that deliveries are looked after. */
const BATCHES = 50;
const OCCURRENCES = 100;

/** The fence is lost: another node tells. */
export class FenceLost extends Error {
  constructor() {
    super('another node has the job');
    this.name = 'FenceLost';
  }
}

/**
 * Puts what fell into the outboxes, revocation by revocation in the order of their versions. How far it got is written with what it
 * wrote, so that a process that dies between two commits loses nothing and repeats nothing.
 */
export const createAnnounce = (deps: AnnounceDeps) => {
  const { store, clock } = deps;
  const most = deps.most ?? MOST_WAITING;

  const listenersOf = async (streams: readonly StreamRow[]): Promise<readonly Listener[]> => {
    const excluded = Map.groupBy(await store.excludedSubjects(streams.map(({ id }) => id)), ({ streamId }) => streamId);
    return streams.map((stream) => {
      const issuer = deps.viewOf(stream.domainId)?.domain.issuer;
      // INVARIANT: a listener that cannot be told is not passed over. The job fails, which somebody is told of, until it can be.
      if (issuer === undefined) throw new Error(`domain ${stream.domainId} has event streams and is not loaded`);
      return { ...stream, issuer, excluded: excluded.get(stream.id) ?? [] };
    });
  };

  const write = async (fence: Fence, cause: Cause, falls: readonly Fall[], listeners: readonly Listener[], cursor: SignalCursor): Promise<void> => {
    const at = clock.now();
    const enqueued = await store.enqueue({
      at, fence: { ...fence, now: at }, most, cursor, events: draftEvents(cause, falls, listeners, { encode: deps.encode, now: at }),
    });
    if (enqueued === undefined) throw new FenceLost();
    if (enqueued.overflowed.length > 0) deps.overflowed(enqueued.overflowed);
  };

  const causeOf = ({ seq, kind, revocation }: Occurrence): Cause => ({
    seq, domainId: revocation.domainId, target: revocation.target, ...(kind === 'made' ? { at: revocation.at, by: revocation.by, reason: revocation.reason } : { at: revocation.enabledAt ?? revocation.at, by: revocation.enabledBy ?? revocation.by, reason: undefined }),
  });

  /** All of one occurrence, or as much of it as there is room for; gives the room that is left. */
  const tellOne = async (fence: Fence, occurrence: Occurrence, from: string, heard: readonly Listener[], room: number): Promise<number> => {
    const { seq } = occurrence;
    let position = from;
    let unwritten = false;
    for (let left = room; left > 0; left -= 1) {
      const { falls, next } = await deps.reach(occurrence, position);
      const over = next === '';
      unwritten = !over && falls.length === 0;
      // Looking where nothing fell is not worth a transaction.
      if (!unwritten) await write(fence, causeOf(occurrence), falls, heard, over ? { seq, position: '' } : { seq: seq - 1, position: next });
      if (over) return left - 1;
      position = next;
    }
    if (unwritten) await write(fence, NOTHING, [], [], { seq: seq - 1, position });
    return 0;
  };

  interface Progress { readonly cursor: SignalCursor; readonly room: number; /** Up to which version the cursor is written. */ readonly written: number }

  const tellEach = async (fence: Fence, occurrences: readonly Occurrence[], listeners: readonly Listener[], from: Progress): Promise<Progress> => {
    let { cursor, room, written } = from;
    for (const occurrence of occurrences) {
      // Of every domain: what is taken back in one may have gone on in another.
      const heard = listeners.filter((listener) => listener.beganSeq < occurrence.seq);
      if (heard.length > 0) {
        room = await tellOne(fence, occurrence, cursor.position, heard, room);
        written = occurrence.seq;
      }
      if (room === 0) break;
      cursor = { seq: occurrence.seq, position: '' };
    }
    return { cursor, room, written };
  };

  const tellRevoked = async (fence: Fence, streams: readonly StreamRow[]): Promise<void> => {
    // What was revoked before the first stream began is told to nobody.
    const began = Math.min(...streams.map(({ beganSeq }) => beganSeq));
    const stored = await store.signalCursor();
    let progress: Progress = { cursor: stored === undefined || stored.seq < began ? { seq: began, position: '' } : stored, room: BATCHES, written: stored?.seq ?? 0 };
    for (let more = true; more; ) {
      const { upTo, occurrences } = await store.occurrences(progress.cursor.seq, OCCURRENCES);
      // Streams name thousands of subjects: they are read where there is something to tell, not in every turn.
      if (occurrences.length > 0) progress = await tellEach(fence, occurrences, await listenersOf(streams), progress);
      if (progress.room === 0) return;
      if (upTo > progress.written) await write(fence, NOTHING, [], [], { seq: upTo, position: '' });
      progress = { ...progress, cursor: { seq: upTo, position: '' }, written: Math.max(upTo, progress.written) };
      more = occurrences.length === OCCURRENCES;
    }
  };

  return async (fence: Fence, streams: readonly StreamRow[]): Promise<void> => {
    if (streams.length > 0) await tellRevoked(fence, streams);
  };
};
export type Announce = ReturnType<typeof createAnnounce>;

const NOTHING: Cause = { seq: 0, domainId: '', target: 'domain:', at: 0, by: '', reason: undefined };
