import type { DomainId, SessionId, StreamId, WorkloadId } from '../core/ids.ts';
import type { HopRow, RevocationRow } from './rows.ts';
import type { SignalRow, StreamChoice, StreamRow, StreamStatus, SubjectRow } from './signal-rows.ts';
import { SSF_EVENT, encodeRow } from './sql/tables.ts';

/** An event before it has its place in a stream's outbox, encoded where it was made. */
export interface EncodedSignal { readonly streamId: StreamId; readonly dedupeKey: string; readonly row: string }

/** An event without its number, which the transaction gives it. */
export const encodeSignal = (event: Omit<SignalRow, 'n'>): string => encodeRow(SSF_EVENT, event as SignalRow);

/** A job's right to write. */
export interface Fence { readonly name: string; readonly fence: number; readonly now: number }

/** Up to which registry version revocations were told of, and how far the next one got; empty between two. */
export interface SignalCursor { readonly seq: number; readonly position: string }
/** `all`: of every domain but those that are `held` up, or were and are not with the others again yet. */
export interface SignalCursors { readonly all: SignalCursor | undefined; readonly held: ReadonlyMap<DomainId, SignalCursor> }

export interface Enqueuing {
  readonly at: number;
  /** Undefined: not a job's, such as a verification that a receiver asked for. */
  readonly fence?: Fence;
  readonly events: readonly EncodedSignal[];
  /** How many may wait in one stream; one more pauses it. */
  readonly most: number;
  readonly cursor?: SignalCursor;
  /** Whose cursor that is; undefined: of all that have none of their own. */
  readonly of?: DomainId;
  /** Domains that have one of their own no longer. */
  readonly rejoin?: readonly DomainId[];
}
/** `overflowed`: streams that were paused by it, and how many events each did not keep. */
export interface Enqueued { readonly added: number; readonly overflowed: readonly { readonly streamId: StreamId; readonly lost: number }[] }

/** What became of events: `error` where the receiver refused one for good. */
export interface Done { readonly n: number; readonly error?: string }

export type NewStream = Omit<StreamRow, 'beganSeq' | 'lastN' | 'floor' | 'pending' | 'notice' | 'overflowed' | 'lost' | 'lostSince' | 'verifiedAt'>;

export interface SignalWrites {
  /** False when the workload has `most` streams already. */
  createStream(stream: NewStream, most: number): Promise<boolean>;
  /** False when it changed meanwhile, or is gone; likewise below. */
  chooseStream(stream: Pick<StreamRow, 'id' | 'version'>, choice: StreamChoice, at: number): Promise<boolean>;
  setStreamStatus(stream: Pick<StreamRow, 'id' | 'version'>, status: StreamStatus, reason: string | null, at: number): Promise<boolean>;
  deleteStream(stream: Pick<StreamRow, 'id' | 'version'>, at: number): Promise<boolean>;
  /** Marks a verification at `now`; false when there was one after `oldest`. */
  verifyStream(id: StreamId, now: number, oldest: number): Promise<boolean>;
  /** Pauses a stream for a reason of ours, with the event that tells of it. `overflowed`: it keeps nothing more either. */
  pauseStream(stream: Pick<StreamRow, 'id' | 'version'>, reason: string, overflowed: boolean, fence: Fence): Promise<boolean>;
  /** False when so many are excluded already. */
  excludeSubject(subject: SubjectRow, most: number): Promise<boolean>;
  includeSubject(streamId: StreamId, key: string): Promise<void>;
  /** Puts events into their streams' outboxes, each once; undefined when the fence is lost, and nothing is written. */
  enqueue(enqueuing: Enqueuing): Promise<Enqueued | undefined>;
  /** Undefined when the fence is lost, else how many were not done before. */
  finishEvents(streamId: StreamId, done: readonly Done[], at: number, fence?: Fence): Promise<number | undefined>;
  /** Puts the same secret sealed anew in place of the old. */
  rewrapStream(id: StreamId, was: string, sealed: { readonly sealed: string; readonly kekId: string }): Promise<boolean>;
}

/** A revocation as it happened, or the lifting of one, by the registry version that brought it. */
export interface Occurrence { readonly seq: number; readonly kind: 'made' | 'lifted'; readonly revocation: RevocationRow }

export interface SignalReads {
  /** All that are not deleted, of one workload in one domain if one is named. */
  streams(of?: { readonly domainId: DomainId; readonly workloadId: WorkloadId }): Promise<readonly StreamRow[]>;
  stream(id: StreamId): Promise<StreamRow | undefined>;
  excludedSubjects(streamIds: readonly StreamId[]): Promise<readonly SubjectRow[]>;
  /** The first events of a stream that are not done. */
  waitingEvents(stream: Pick<StreamRow, 'id' | 'floor'>, limit: number): Promise<readonly SignalRow[]>;
  event(streamId: StreamId, n: number): Promise<SignalRow | undefined>;
  signalCursors(): Promise<SignalCursors>;
  /** What happened above a registry version and not above `newest`, in order, and up to which version that is all. */
  occurrences(after: number, limit: number, newest?: number): Promise<{ readonly upTo: number; readonly occurrences: readonly Occurrence[] }>;
  hopsOf(sessions: readonly SessionId[]): Promise<readonly HopRow[]>;
  /** Sessions of others in which a workload got credentials, looking through `limit` leases from the newest on; `next`: where to go on. */
  sessionsJoined(workload: WorkloadId, since: number, limit: number, after: string | undefined): Promise<{ readonly sessions: readonly SessionId[]; readonly next: string | undefined }>;
}
