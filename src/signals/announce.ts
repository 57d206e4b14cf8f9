import type { Clock } from '../core/clock.ts';
import type { DomainId } from '../core/ids.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { StreamRow } from '../store/signal-rows.ts';
import type { Enqueued, Fence, Occurrence, SignalCursor } from '../store/signals.ts';
import type { StoreReads, StoreWrites } from '../store/store.ts';
import { draftEvents } from './draft.ts';
import type { Cause, Drafting, Fall, Listener } from './draft.ts';
import { MOST_WAITING } from './limits.ts';
import type { Reach } from './reach.ts';

export interface AnnounceDeps {
  readonly clock: Clock;
  readonly store: Pick<StoreReads, 'occurrences' | 'excludedSubjects' | 'signalCursors'> & Pick<StoreWrites, 'enqueue'>;
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

/** A stream whose domain is loaded. */
type Ready = StreamRow & Pick<Listener, 'issuer'>;

/** Where telling has come to. `room`: transactions that are left; `written`: up to which version the cursor is written. */
interface Progress { readonly cursor: SignalCursor; readonly room: number; readonly written: number }

/** What tells one audience: the streams of one domain that was held up, or of all others. */
const createTeller = (deps: AnnounceDeps, fence: Fence, newest: number, of?: DomainId) => {
  const { store, clock } = deps;

  const listenersOf = async (streams: readonly Ready[]): Promise<readonly Listener[]> => {
    const excluded = Map.groupBy(await store.excludedSubjects(streams.map(({ id }) => id)), ({ streamId }) => streamId);
    return streams.map((stream) => ({ ...stream, excluded: excluded.get(stream.id) ?? [] }));
  };

  const write = async (cause: Cause, falls: readonly Fall[], listeners: readonly Listener[], cursor: SignalCursor | undefined, rejoin: readonly DomainId[] = []): Promise<void> => {
    const at = clock.now();
    const enqueued = await store.enqueue({
      at, fence: { ...fence, now: at }, most: deps.most ?? MOST_WAITING, rejoin, events: draftEvents(cause, falls, listeners, { encode: deps.encode, now: at }), ...(cursor === undefined ? {} : { cursor }), ...(of === undefined ? {} : { of }),
    });
    if (enqueued === undefined) throw new FenceLost();
    if (enqueued.overflowed.length > 0) deps.overflowed(enqueued.overflowed);
  };

  /** All of one occurrence, or as much of it as there is room for; gives the room that is left. */
  const tellOne = async (occurrence: Occurrence, from: string, heard: readonly Listener[], room: number): Promise<number> => {
    const { seq } = occurrence;
    let position = from;
    let unwritten = false;
    for (let left = room; left > 0; left -= 1) {
      const { falls, next } = await deps.reach(occurrence, position);
      const over = next === '';
      unwritten = !over && falls.length === 0;
      // Looking where nothing fell is not worth a transaction.
      if (!unwritten) await write(causeOf(occurrence), falls, heard, over ? { seq, position: '' } : { seq: seq - 1, position: next });
      if (over) return left - 1;
      position = next;
    }
    if (unwritten) await write(NOTHING, [], [], { seq: seq - 1, position });
    return 0;
  };

  const tellEach = async (occurrences: readonly Occurrence[], listeners: readonly Listener[], from: Progress): Promise<Progress> => {
    let { cursor, room, written } = from;
    for (const occurrence of occurrences) {
      // Of every domain: what is taken back in one may have gone on in another.
      const heard = listeners.filter((listener) => listener.beganSeq < occurrence.seq);
      if (heard.length > 0) {
        room = await tellOne(occurrence, cursor.position, heard, room);
        written = occurrence.seq;
      }
      if (room === 0) break;
      cursor = { seq: occurrence.seq, position: '' };
    }
    return { cursor, room, written };
  };

  return {
    /** Writes down where it is to go on. */
    hold: (cursor: SignalCursor): Promise<void> => write(NOTHING, [], [], cursor),
    /** These go on with it from now on. */
    rejoin: (domains: readonly DomainId[], cursor: SignalCursor | undefined): Promise<void> => write(NOTHING, [], [], cursor, domains),
    /** Of all that happened, or as much of it as there is room for. */
    async tell(streams: readonly Ready[], from: Progress): Promise<Progress> {
      let progress = from;
      for (let more = true; more; ) {
        const { upTo, occurrences } = await store.occurrences(progress.cursor.seq, OCCURRENCES, newest);
        // Streams name thousands of subjects: they are read where there is something to tell, not in every turn.
        if (occurrences.length > 0) progress = await tellEach(occurrences, await listenersOf(streams), progress);
        if (progress.room === 0) return progress;
        if (upTo > progress.written) await write(NOTHING, [], [], { seq: upTo, position: '' });
        progress = { ...progress, cursor: { seq: upTo, position: '' }, written: Math.max(upTo, progress.written) };
        more = occurrences.length === OCCURRENCES;
      }
      return progress;
    },
  };
};

const causeOf = ({ seq, kind, revocation }: Occurrence): Cause => ({
  seq, domainId: revocation.domainId, target: revocation.target, ...(kind === 'made' ? { at: revocation.at, by: revocation.by, reason: revocation.reason } : { at: revocation.enabledAt ?? revocation.at, by: revocation.enabledBy ?? revocation.by, reason: undefined }),
});

/** What was revoked before the first stream began is told to nobody. */
const startOf = (stored: SignalCursor | undefined, streams: readonly StreamRow[]): SignalCursor => {
  const began = Math.min(...streams.map(({ beganSeq }) => beganSeq));
  return stored === undefined || stored.seq < began ? { seq: began, position: '' } : stored;
};

/**
 * Puts what fell into the outboxes, revocation by revocation in the order of their versions. How far it got is written with what it
 * wrote, so that a process that dies between two commits loses nothing and repeats nothing. A domain that is not loaded holds up its
 * own streams alone: how far they were told is kept, and once it is loaded they are told from there, until they are where the others are.
 * `newest`: the registry version that was reached before the streams were read.
 */
export const createAnnounce = (deps: AnnounceDeps) => async (fence: Fence, streams: readonly StreamRow[], newest: number): Promise<void> => {
  if (streams.length === 0) return;
  const { all, held } = await deps.store.signalCursors();
  const others = createTeller(deps, fence, newest);
  const ready: Ready[] = [];
  const behind: { readonly id: DomainId; readonly streams: readonly Ready[]; readonly from: SignalCursor }[] = [];
  for (const [id, own] of Map.groupBy(streams, ({ domainId }) => domainId)) {
    const issuer = deps.viewOf(id)?.domain.issuer;
    const from = held.get(id);
    // INVARIANT: a listener that cannot be told is not passed over: where it is to go on is written before the others go on.
    if (issuer === undefined && from === undefined) await createTeller(deps, fence, newest, id).hold(startOf(all, own));
    if (issuer === undefined) continue;
    const told = own.map((stream) => ({ ...stream, issuer }));
    if (from === undefined) ready.push(...told);
    else behind.push({ id, streams: told, from });
  }
  if (ready.length > 0) await others.tell(ready, { cursor: startOf(all, ready), room: BATCHES, written: all?.seq ?? 0 });
  const rejoining = [...held.keys()].filter((id) => streams.every(({ domainId }) => domainId !== id));
  let room = BATCHES;
  let from: SignalCursor | undefined;
  for (const { id, streams: own, from: cursor } of behind) {
    if (room === 0) break;
    const caughtUp = await createTeller(deps, fence, newest, id).tell(own, { cursor, room, written: cursor.seq });
    room = caughtUp.room;
    if (room === 0) break;
    // It was told of all there is. What the others come to only then is found again for it, and told once.
    rejoining.push(id);
    // Where there are no others, nobody moved their cursor.
    if (ready.length === 0) from ??= caughtUp.cursor;
  }
  if (rejoining.length > 0) await others.rejoin(rejoining, from);
};
export type Announce = ReturnType<typeof createAnnounce>;

const NOTHING: Cause = { seq: 0, domainId: '', target: 'domain:', at: 0, by: '', reason: undefined };
