import type { DomainId, StreamId, WorkloadId } from '../../src/core/ids.ts';
import type { SignalRow, StreamRow } from '../../src/store/signal-rows.ts';
import type { Done, Fence } from '../../src/store/signals.ts';
import { DOMAIN, START } from '../keys/make-ring.ts';

export const streamId = (digit: string): StreamId => `str_${digit.repeat(32)}` as StreamId;

export const makeStream = (change: Partial<StreamRow> = {}): StreamRow => ({
  id: streamId('a'), version: 1, domainId: DOMAIN, workloadId: 'wkl_1' as WorkloadId, audience: 'spiffe://dev/x', eventsRequested: null, method: 'push', endpointUrl: 'https://rx.example/events', authorization: null, authorizationKekId: null,
  description: null, status: 'enabled', reason: null, createdAt: START, changedAt: START, verifiedAt: null, beganSeq: 0, lastN: 0, floor: 0, pending: 0, notice: null, overflowed: false, lost: 0, lostSince: null, ...change,
});

/** What the store does with outboxes, in memory; the real one is held to the same by its contract. */
export const createOutbox = (...first: readonly StreamRow[]) => {
  const streams = new Map<string, StreamRow>(first.map((stream) => [stream.id, stream]));
  const events: SignalRow[] = [];
  let holder = 1;
  const put = (id: StreamId, change: Partial<StreamRow>): void => {
    const stream = streams.get(id);
    if (stream !== undefined) streams.set(id, { ...stream, ...change });
  };
  const undone = (id: string): SignalRow[] => events.filter((event) => event.streamId === id && event.doneAt === null);
  return {
    streams, events, put,
    add(id: StreamId, count: number, at = START): void {
      for (let each = 0; each < count; each += 1) {
        const n = (streams.get(id)?.lastN ?? 0) + 1;
        events.push({ streamId: id, n, dedupeKey: `k${n}`, type: 'https://e.example/x', subject: { format: 'opaque', id: `s${n}` }, payload: {}, txn: null, at, doneAt: null, error: null });
        put(id, { lastN: n, pending: undone(id).length });
      }
    },
    loseFence(): void { holder += 1; },
    all: (): StreamRow[] => [...streams.values()],
    store: {
      stream: (id: StreamId) => Promise.resolve(streams.get(id)),
      waitingEvents: ({ id, floor }: Pick<StreamRow, 'id' | 'floor'>, limit: number) => Promise.resolve(undone(id).filter(({ n }) => n > floor).slice(0, limit)),
      event: (id: StreamId, n: number) => Promise.resolve(events.find((event) => event.streamId === id && event.n === n)),
      finishEvents: (id: StreamId, done: readonly Done[], at: number, fence?: Fence) => {
        if (fence !== undefined && fence.fence !== holder) return Promise.resolve(undefined);
        let finished = 0;
        for (const { n, error } of done) {
          const index = events.findIndex((event) => event.streamId === id && event.n === n && event.doneAt === null);
          const event = events[index];
          if (event === undefined) continue;
          events[index] = { ...event, doneAt: at, error: error ?? null };
          finished += 1;
        }
        put(id, { pending: undone(id).length });
        return Promise.resolve(finished);
      },
      pauseStream: ({ id, version }: Pick<StreamRow, 'id' | 'version'>, reason: string, overflowed: boolean, fence: Fence) => {
        const stream = streams.get(id);
        if (fence.fence !== holder || stream?.version !== version) return Promise.resolve(false);
        const n = stream.lastN + 1;
        events.push({ streamId: id, n, dedupeKey: `k${n}`, type: 'https://schemas.openid.net/secevent/ssf/event-type/stream-updated', subject: { format: 'opaque', id }, payload: { status: 'paused', reason }, txn: null, at: fence.now, doneAt: null, error: null });
        put(id, { status: 'paused', reason, overflowed, notice: n, lastN: n, version: version + 1, pending: undone(id).length });
        return Promise.resolve(true);
      },
    },
  };
};
export type Outbox = ReturnType<typeof createOutbox>;
export const OTHER = 'dom_other' as DomainId;
