import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { SignalRow, StreamRow } from '../store/signal-rows.ts';
import type { Done } from '../store/signals.ts';
import type { StoreReads, StoreWrites } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import { composeSet, jtiOf, numberIn } from './compose.ts';
import { LONGEST_POLL, MOST_POLLED, MOST_POLLING, POLL_LOOK } from './limits.ts';
import type { Manage, Receiver } from './manage.ts';
import { setErrorOf } from './push.ts';
import type { SignalMetrics } from './watch.ts';

export interface PollDeps {
  readonly clock: Clock;
  readonly manage: Pick<Manage, 'find'>;
  readonly store: Pick<StoreReads, 'stream' | 'waitingEvents' | 'event'> & Pick<StoreWrites, 'finishEvents'>;
  readonly log: Log;
  readonly metrics: Pick<SignalMetrics, 'delivered' | 'failure'>;
  /** Resolves after that long, or when nobody shall wait any more. */
  wait(milliseconds: number): Promise<void>;
}

export interface Polled { readonly sets: Readonly<Record<string, string>>; readonly moreAvailable?: true }

/** RFC 8936 section 2: what was received is acknowledged, what waits is handed out, and handed out again until it is acknowledged. */
export const createPoll = (deps: PollDeps) => {
  const { store, clock } = deps;
  /** Streams with a poll that waits: a newer one takes its place. */
  const waiting = new Map<string, symbol>();
  let ending = false;

  /** Whatever is no event of this stream acknowledges nothing. */
  const finish = async (stream: StreamRow, { ack, setErrs }: Asked): Promise<void> => {
    const done = new Map<number, Done>();
    for (const jti of ack) {
      const n = numberIn(stream, jti);
      if (n !== undefined) done.set(n, { n });
    }
    for (const [jti, { err: told }] of Object.entries(setErrs)) {
      const n = numberIn(stream, jti);
      if (n === undefined) continue;
      const error = setErrorOf(told);
      done.set(n, { n, error });
      deps.metrics.failure(stream, error);
      deps.log.error({ stream: stream.id, jti, error }, 'a receiver could not process an event that it polled');
    }
    if (done.size === 0) return;
    const finished = await store.finishEvents(stream.id, [...done.values()], clock.now());
    if (finished !== undefined) deps.metrics.delivered(stream, finished);
  };

  const look = async (stream: StreamRow, limit: number): Promise<readonly SignalRow[]> => {
    if (stream.status === 'enabled') return stream.pending === 0 ? [] : store.waitingEvents(stream, limit);
    const notice = stream.status === 'paused' && stream.notice !== null ? await store.event(stream.id, stream.notice) : undefined;
    return notice === undefined || notice.doneAt !== null ? [] : [notice];
  };

  /** Until there is something, the stream is gone, a newer poll came, or time is over. */
  const hold = async (stream: StreamRow, limit: number, gone: () => boolean): Promise<readonly SignalRow[]> => {
    const own = Symbol(stream.id);
    const until = clock.now() + LONGEST_POLL;
    waiting.set(stream.id, own);
    try {
      for (let events: readonly SignalRow[] = []; ;) {
        await deps.wait(POLL_LOOK);
        const now = await store.stream(stream.id);
        if (now !== undefined) events = await look(now, limit);
        if (events.length > 0 || now === undefined || ending || gone() || waiting.get(stream.id) !== own || clock.now() >= until) return events;
      }
    } finally {
      if (waiting.get(stream.id) === own) waiting.delete(stream.id);
    }
  };

  return {
    /** `gone`: whoever asked does not wait for the answer any more. */
    async poll(receiver: Receiver, id: string, body: unknown, gone: () => boolean): Promise<Result<Polled, Refusal>> {
      const found = await deps.manage.find(receiver, id);
      if (!found.ok) return found;
      if (found.value.method !== 'poll') return err(refusal('not_found', 'the stream is not polled'));
      const parsed = asked.safeParse(body);
      if (!parsed.success) return err(refusal('stream_malformed', parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`).join('; ')));
      await finish(found.value, parsed.data);
      const limit = Math.min(parsed.data.maxEvents ?? MOST_POLLED, MOST_POLLED);
      if (limit === 0) return ok({ sets: {} });
      const stream = await store.stream(found.value.id);
      if (stream === undefined) return err(refusal('not_found', 'the stream is gone'));
      let events = await look(stream, limit + 1);
      const waits = parsed.data.returnImmediately !== true && waiting.size < MOST_POLLING && !ending;
      if (events.length === 0 && waits) events = await hold(stream, limit + 1, gone);
      const sets: Record<string, string> = {};
      for (const event of events.slice(0, limit)) {
        const set = composeSet(receiver.view, stream, event);
        if (!set.ok) return set;
        sets[jtiOf(event)] = set.value;
      }
      return ok({ sets, ...(events.length > limit ? { moreAvailable: true } : {}) });
    },
    /** Answers those who wait with what there is; for shutdown. */
    end(): void { ending = true; },
  };
};
export type Poll = ReturnType<typeof createPoll>;

type Asked = z.infer<typeof asked>;
const asked = z.looseObject({
  maxEvents: z.int().min(0).optional(),
  returnImmediately: z.boolean().optional(),
  ack: z.array(z.string().max(256)).max(1000).default([]),
  setErrs: z.record(z.string().max(256), z.looseObject({ err: z.string().max(256) })).default({}),
});
