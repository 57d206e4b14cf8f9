import type { DomainId, StreamId, WorkloadId } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';

/** Rows of the event streams (rows.ts). */

export type StreamStatus = 'enabled' | 'paused' | 'disabled';

/** What the receiver chose of its stream. */
export interface StreamChoice {
  /** Null: every event there is. */
  readonly eventsRequested: readonly string[] | null;
  readonly method: 'push' | 'poll';
  readonly endpointUrl: string | null;
  /** Sealed, never shown. */
  readonly authorization: string | null;
  readonly authorizationKekId: string | null;
  readonly description: string | null;
}

/** A receiver's event stream (SSF 1.0 section 8.1). */
export interface StreamRow extends StreamChoice {
  readonly id: StreamId;
  readonly version: number;
  readonly domainId: DomainId;
  /** Whose it is. */
  readonly workloadId: WorkloadId;
  readonly audience: string;
  /** A deleted one stays, unseen, until its events are purged. */
  readonly status: StreamStatus | 'deleted';
  readonly reason: string | null;
  readonly createdAt: number;
  readonly changedAt: number;
  readonly verifiedAt: number | null;
  /** Set by the store in the commit: what was revoked before is not told. */
  readonly beganSeq: number;
  /** Number of the newest event; up to which all are done or void; how many wait. */
  readonly lastN: number;
  readonly floor: number;
  readonly pending: number;
  /** The event that tells of a pause of ours: the one a paused stream still delivers. */
  readonly notice: number | null;
  /** Beyond its limits: keeps nothing more until it is enabled again. */
  readonly overflowed: boolean;
  readonly lost: number;
  readonly lostSince: number | null;
}

/** A subject the receiver does not want to hear of, from `since` on. */
export interface SubjectRow { readonly streamId: StreamId; readonly key: string; readonly subject: JsonObject; readonly since: number }

/** An event in a stream's outbox. */
export interface SignalRow {
  readonly streamId: StreamId;
  readonly n: number;
  /** What it tells of: a stream is told of it once, however often it is found. */
  readonly dedupeKey: string;
  readonly type: string;
  readonly subject: JsonObject;
  readonly payload: JsonObject;
  readonly txn: string | null;
  readonly at: number;
  readonly doneAt: number | null;
  readonly error: string | null;
}
