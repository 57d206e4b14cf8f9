import type { SignalWrites } from '../signals.ts';
import { SSF_STREAM, SSF_SUBJECT, encodeRow, encodeTime, storable } from '../sql/tables.ts';
import type { StreamRow } from '../signal-rows.ts';
import type { Perform } from './group-commit.ts';

const EMPTY = { verifiedAt: null, lastN: 0, floor: 0, pending: 0, notice: null, overflowed: false, lost: 0, lostSince: null } as const;

/** The event streams' writes in terms of operations, each encoded here, once. */
export const createSignalWrites = (perform: Perform): SignalWrites => {
  const setStatus = ({ id, version }: Pick<StreamRow, 'id' | 'version'>, status: StreamRow['status'], reason: string | null, at: number): Promise<boolean> =>
    perform({ kind: 'stream-status', id, forget: status === 'deleted', row: JSON.stringify({ id, version, status, ...(reason === null ? {} : { reason: storable(reason) }), changed_at: encodeTime(at) }) });
  return {
    createStream: (stream, most) => perform({ kind: 'stream-create', domainId: stream.domainId, workloadId: stream.workloadId, most, row: encodeRow(SSF_STREAM, { ...stream, ...EMPTY }) }),
    chooseStream: ({ id, version }, choice, at) => perform({
      kind: 'stream-choose',
      row: JSON.stringify({
        id, version, events_requested: choice.eventsRequested === null ? null : JSON.stringify(choice.eventsRequested.map(storable)), method: choice.method, endpoint_url: choice.endpointUrl,
        secret: choice.authorization, secret_kek_id: choice.authorizationKekId, description: choice.description === null ? null : storable(choice.description), changed_at: encodeTime(at),
      }),
    }),
    setStreamStatus: setStatus,
    deleteStream: (stream, at) => setStatus(stream, 'deleted', null, at),
    verifyStream: (id, now, oldest) => perform({ kind: 'stream-verify', row: JSON.stringify({ id, now: encodeTime(now), oldest: encodeTime(oldest) }) }),
    pauseStream: ({ id, version }, reason, overflowed, fence) => perform({ kind: 'stream-pause', id, version, reason: storable(reason), overflowed, fence }),
    excludeSubject: (subject, most) => perform({ kind: 'subject-exclude', streamId: subject.streamId, most, row: encodeRow(SSF_SUBJECT, subject) }),
    async includeSubject(streamId, key) { await perform({ kind: 'subject-include', row: JSON.stringify({ id: streamId, subject_key: key }) }); },
    enqueue: async ({ at, fence, events, most, cursor, of = '', rejoin = [] }) => (await perform({ kind: 'enqueue', at, fence: fence ?? null, events, most, cursor: cursor ?? null, of, rejoin })) ?? undefined,
    finishEvents: async (streamId, done, at, fence) => (await perform({ kind: 'finish-events', streamId, at, fence: fence ?? null, done: done.map(({ n, error }) => (error === undefined ? { n } : { n, error: storable(error) })) })) ?? undefined,
    rewrapStream: (id, was, { sealed, kekId }) => perform({ kind: 'stream-rewrap', row: JSON.stringify({ id, was, secret: sealed, secret_kek_id: kekId }) }),
  };
};
