import type { Fence } from '../signals.ts';
import { encodeTime } from '../sql/tables.ts';
import type { Statements } from '../sql/statements.ts';
import type { Query } from './connection.ts';
import { openOutbox } from './outbox.ts';
import type { SignalOperation, SignalReplies } from './signal-operations.ts';

/** Runs one write of the event streams within its transaction. */
export const runSignals = async (query: Query, statements: Statements, operation: SignalOperation): Promise<SignalReplies[SignalOperation['kind']]> => {
  const own = statements.signals;
  const hit = async (statement: (typeof own)['choose'], row: string): Promise<boolean> => (await query(statement, `[${row}]`)).length > 0;
  switch (operation.kind) {
    case 'stream-create': {
      const [owned] = await query(own.owned, JSON.stringify([{ domain_id: operation.domainId, workload_id: operation.workloadId }]));
      return Number(owned?.n ?? 0) < operation.most && hit(own.create, operation.row);
    }
    case 'stream-choose':
      return hit(own.choose, operation.row);
    case 'stream-status': {
      const done = await hit(own.setStatus, operation.row);
      if (done && operation.forget) await query(own.forget, JSON.stringify([{ id: operation.id }]));
      return done;
    }
    case 'stream-verify':
      return hit(own.verify, operation.row);
    case 'stream-rewrap':
      return hit(own.rewrap, operation.row);
    case 'stream-pause':
      return pause(query, statements, operation);
    case 'subject-exclude': {
      const [excluded] = await query(own.excluded, JSON.stringify([{ id: operation.streamId }]));
      if (Number(excluded?.n ?? 0) >= operation.most) return false;
      await query(own.exclude, `[${operation.row}]`);
      return true;
    }
    case 'subject-include':
      await query(own.include, `[${operation.row}]`);
      return null;
    case 'enqueue':
      return enqueue(query, statements, operation);
    case 'finish-events':
      return finish(query, statements, operation);
  }
};

type Of<K extends SignalOperation['kind']> = Extract<SignalOperation, { kind: K }>;

const holds = async (query: Query, statements: Statements, { name, fence, now }: Fence): Promise<boolean> =>
  (await query(statements.retention.fence, JSON.stringify([{ name, fence, now: encodeTime(now) }]))).length > 0;

const enqueue = async (query: Query, statements: Statements, { at, fence, events, most, cursor, of, rejoin }: Of<'enqueue'>): Promise<SignalReplies['enqueue']> => {
  if (fence !== null && !(await holds(query, statements, fence))) return null;
  const outbox = await openOutbox(query, statements.signals, events.map(({ streamId }) => streamId), at);
  const enqueued = await outbox.add(events, most);
  await outbox.write();
  // INVARIANT: what is told of and that it was told of commit together.
  if (cursor !== null) await query(statements.signals.advance, JSON.stringify([{ domain_id: of, ...cursor }]));
  if (rejoin.length > 0) await query(statements.signals.rejoin, JSON.stringify(rejoin));
  return enqueued;
};

const pause = async (query: Query, statements: Statements, { id, version, reason, overflowed, fence }: Of<'stream-pause'>): Promise<boolean> => {
  if (!(await holds(query, statements, fence))) return false;
  const outbox = await openOutbox(query, statements.signals, [id], fence.now);
  const stream = outbox.held(id);
  if (stream === undefined || stream.version !== version || stream.status === 'disabled' || stream.status === 'deleted') return false;
  outbox.pause(stream, reason, overflowed);
  await outbox.write();
  return true;
};

const finish = async (query: Query, statements: Statements, { streamId, at, fence, done }: Of<'finish-events'>): Promise<number | null> => {
  if (fence !== null && !(await holds(query, statements, fence))) return null;
  const [stream] = await query(statements.signals.lock, JSON.stringify([streamId]));
  if (stream === undefined) return 0;
  const finished = await query(statements.signals.done, JSON.stringify(done.map(({ n, error }) => ({ stream_id: streamId, n, done_at: encodeTime(at), ...(error === undefined ? {} : { error }) }))));
  // What was void before does not count as waiting.
  const waited = finished.filter((row) => Number(row.n) > Number(stream.floor)).length;
  if (finished.length > 0) await query(statements.signals.settle, JSON.stringify([{ id: streamId, n: waited }]));
  return waited;
};
