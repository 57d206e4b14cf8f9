import type { StreamId } from '../../core/ids.ts';
import type { SignalRow } from '../signal-rows.ts';
import { encodeSignal } from '../signals.ts';
import type { EncodedSignal, Enqueued } from '../signals.ts';
import { decodeTime, encodeTime, joinRows, withMember } from '../sql/tables.ts';
import type { Statements } from '../sql/statements.ts';
import type { Query, Row } from './connection.ts';

const STREAM_UPDATED = 'https://schemas.openid.net/secevent/ssf/event-type/stream-updated';

/** One stream whose row this transaction holds: what is written to its outbox is numbered here. */
interface Held {
  readonly id: StreamId;
  status: string;
  lastN: number;
  pending: number;
  lost: number;
  lostSince: number | null;
  notice: number | null;
  overflowed: boolean;
  version: number;
  reason: string | null;
  changedAt: number;
  changed: boolean;
  lostNow: number;
}

/** Outboxes of streams that are locked until the transaction ends, so that numbers become visible in their order. */
export const openOutbox = async (query: Query, statements: Statements['signals'], ids: readonly string[], at: number) => {
  const held = new Map((await query(statements.lock, JSON.stringify([...new Set(ids)]))).map((row) => [String(row.id), hold(row)]));
  const rows: string[] = [];

  const place = (stream: Held, row: string): void => {
    stream.lastN += 1;
    stream.pending += 1;
    stream.changed = true;
    rows.push(withMember(row, 'n', stream.lastN));
  };

  /** SSF 1.0 section 8.1.5: who pauses a stream says so on it. */
  const pause = (stream: Held, reason: string, overflowed: boolean): void => {
    const event: Omit<SignalRow, 'n'> = {
      streamId: stream.id, dedupeKey: `stream-updated/${stream.lastN + 1}`, type: STREAM_UPDATED, subject: { format: 'opaque', id: stream.id },
      payload: { status: 'paused', reason }, txn: null, at, doneAt: null, error: null,
    };
    place(stream, encodeSignal(event));
    Object.assign(stream, { status: 'paused', reason, notice: stream.lastN, overflowed: stream.overflowed || overflowed, version: stream.version + 1, changedAt: at });
  };

  const lose = (stream: Held): void => {
    stream.lost += 1;
    stream.lostNow += 1;
    stream.lostSince ??= at;
    stream.changed = true;
  };

  return {
    held: (id: string): Held | undefined => held.get(id),
    pause,
    /** INVARIANT: an event is kept or counted as lost; the first that is lost pauses the stream. */
    async add(events: readonly EncodedSignal[], most: number): Promise<Enqueued> {
      const known = new Set<string>();
      if (events.length > 0) for (const row of await query(statements.known, JSON.stringify(events.map(({ streamId, dedupeKey }) => ({ stream_id: streamId, dedupe_key: dedupeKey }))))) known.add(`${String(row.stream_id)} ${String(row.dedupe_key)}`);
      let added = 0;
      for (const { streamId, dedupeKey, row } of events) {
        const stream = held.get(streamId);
        const key = `${streamId} ${dedupeKey}`;
        if (stream === undefined || stream.status === 'disabled' || stream.status === 'deleted' || known.has(key)) continue;
        known.add(key);
        if (!stream.overflowed && stream.pending >= most) pause(stream, `more than ${most} events wait`, true);
        if (stream.overflowed) {
          lose(stream);
          continue;
        }
        place(stream, row);
        added += 1;
      }
      return { added, overflowed: [...held.values()].filter(({ lostNow }) => lostNow > 0).map(({ id, lostNow }) => ({ streamId: id, lost: lostNow })) };
    },
    async write(): Promise<void> {
      if (rows.length > 0) {
        const written = await query(statements.insert, joinRows(rows));
        if (written.length !== rows.length) throw new Error('an event was put into an outbox behind the back of this transaction');
      }
      const changed = [...held.values()].filter((stream) => stream.changed);
      if (changed.length > 0) await query(statements.tally, JSON.stringify(changed.map(encodeTally)));
    },
  };
};

const hold = (row: Row): Held => ({
  id: String(row.id) as StreamId, status: String(row.status), lastN: Number(row.last_n), pending: Number(row.pending), lost: Number(row.lost),
  lostSince: row.lost_since === null ? null : decodeTime(row.lost_since), notice: row.notice === null ? null : Number(row.notice), overflowed: row.overflowed === true || Number(row.overflowed) === 1,
  version: Number(row.version), reason: typeof row.reason === 'string' ? row.reason : null, changedAt: decodeTime(row.changed_at), changed: false, lostNow: 0,
});

const encodeTally = (stream: Held): object => ({
  id: stream.id, last_n: stream.lastN, pending: stream.pending, lost: stream.lost, lost_since: stream.lostSince === null ? null : encodeTime(stream.lostSince), notice: stream.notice,
  overflowed: stream.overflowed, status: stream.status, reason: stream.reason, version: stream.version, changed_at: encodeTime(stream.changedAt),
});
