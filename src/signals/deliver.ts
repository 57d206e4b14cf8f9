import type { Clock } from '../core/clock.ts';
import type { DomainId } from '../core/ids.ts';
import type { Random } from '../core/random.ts';
import type { KeyEncryption } from '../keys/kek.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { SignalRow, StreamRow } from '../store/signal-rows.ts';
import type { Fence } from '../store/signals.ts';
import type { StoreReads, StoreWrites } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import { backoff } from './backoff.ts';
import { composeSet } from './compose.ts';
import { MOST_REFUSALS, PUSH_TIMEOUT } from './limits.ts';
import type { Push, Pushed } from './push.ts';
import { authorizationContext } from './secret.ts';
import type { SignalMetrics } from './watch.ts';

export interface DeliverDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: Pick<StoreReads, 'stream' | 'waitingEvents' | 'event'> & Pick<StoreWrites, 'finishEvents' | 'pauseStream'>;
  readonly push: Push;
  readonly encryption: Pick<KeyEncryption, 'open'>;
  readonly allowAddresses: readonly string[];
  viewOf(domainId: DomainId): Pick<DomainView, 'domain' | 'ring'> | undefined;
  readonly log: Log;
  readonly metrics: SignalMetrics;
  readonly timeoutMs?: number;
}

/** What this process knows of a stream between two tries. `version`: of the stream it learnt it of. */
interface Trying { readonly version: number; failures: number; refusals: number; retryAt: number }

const BATCH = 50;

/**
 * Pushes what waits, each stream for itself, one event after the other: an event is not sent before the one ahead of it was
 * taken. What was taken is written in batches; an event that was taken and not yet written when the process ends is sent
 * again, under the same `jti`.
 */
export const createDeliver = (deps: DeliverDeps) => {
  const { store, clock } = deps;
  const tries = new Map<string, Trying>();
  const running = new Map<string, Promise<void>>();
  let stopped = false;

  const tryingOf = (stream: StreamRow): Trying => {
    const known = tries.get(stream.id);
    // A stream that was changed since is another try: its receiver may have mended what was wrong.
    if (known?.version === stream.version) return known;
    const fresh: Trying = { version: stream.version, failures: 0, refusals: 0, retryAt: 0 };
    tries.set(stream.id, fresh);
    return fresh;
  };

  const waiting = async (stream: StreamRow): Promise<readonly SignalRow[]> => {
    if (stream.status === 'enabled') return store.waitingEvents(stream, BATCH);
    const notice = stream.status === 'paused' && stream.notice !== null ? await store.event(stream.id, stream.notice) : undefined;
    return notice === undefined || notice.doneAt !== null ? [] : [notice];
  };

  const send = async (stream: StreamRow, event: SignalRow): Promise<Pushed> => {
    const view = deps.viewOf(stream.domainId);
    const set = view && composeSet(view, stream, event);
    if (view === undefined || set?.ok !== true || stream.endpointUrl === null) return { kind: 'failed', reason: 'domain_not_ready' };
    return deps.push({
      url: stream.endpointUrl, set: set.value, authorization: openAuthorization(deps.encryption, stream), allowAddresses: deps.allowAddresses,
      allowLoopbackHttp: view.domain.stage === 'development', timeoutMs: deps.timeoutMs ?? PUSH_TIMEOUT,
    });
  };

  const failed = async (stream: StreamRow, trying: Trying, pushed: Exclude<Pushed, { kind: 'delivered' }>, fence: Fence): Promise<void> => {
    const reason = pushed.kind === 'refused' ? pushed.error : pushed.reason;
    trying.failures += 1;
    trying.refusals = pushed.kind === 'refused' ? trying.refusals + 1 : 0;
    trying.retryAt = clock.now() + backoff(trying.failures, deps.random);
    deps.metrics.failure(stream, reason);
    deps.log.warn({ stream: stream.id, domain: deps.viewOf(stream.domainId)?.domain.name, reason, failures: trying.failures }, 'an event could not be delivered; it will be tried again');
    if (trying.refusals < MOST_REFUSALS || stream.status !== 'enabled') return;
    const told = `the receiver refuses an event: ${reason}`;
    if (await store.pauseStream(stream, told, false, { ...fence, now: clock.now() })) deps.metrics.paused(stream, told);
  };

  /** One batch in order; true when there may be more to send at once. */
  const deliverBatch = async (stream: StreamRow, fence: Fence): Promise<boolean> => {
    const trying = tryingOf(stream);
    const events = await waiting(stream);
    const taken: number[] = [];
    let refused: Exclude<Pushed, { kind: 'delivered' }> | undefined;
    let changed = false;
    for (const event of events) {
      // INVARIANT: nothing leaves by a configuration that was confirmed to be gone before it left.
      changed = (await store.stream(stream.id))?.version !== stream.version;
      if (stopped || changed) break;
      const pushed = await send(stream, event);
      if (pushed.kind !== 'delivered') {
        refused = pushed;
        break;
      }
      taken.push(event.n);
      trying.failures = 0;
      trying.refusals = 0;
    }
    if (taken.length > 0) {
      const finished = await store.finishEvents(stream.id, taken.map((n) => ({ n })), clock.now(), { ...fence, now: clock.now() });
      if (finished === undefined) return false;
      deps.metrics.delivered(stream, taken.length);
    }
    if (refused !== undefined) await failed(stream, trying, refused, fence);
    return changed || (refused === undefined && taken.length === events.length && events.length === BATCH);
  };

  const deliverAll = async (first: StreamRow, fence: Fence): Promise<void> => {
    let stream: StreamRow | undefined = first;
    while (stream !== undefined && !stopped && (await deliverBatch(stream, fence))) stream = await store.stream(first.id);
  };

  return {
    /** Begins to send what waits in each stream that is due; a stream that is being served goes on as it is. */
    begin(streams: readonly StreamRow[], fence: Fence): void {
      const known = new Set<string>(streams.map(({ id }) => id));
      for (const id of tries.keys()) if (!known.has(id)) tries.delete(id);
      for (const stream of streams) {
        if (stopped || stream.method !== 'push' || stream.pending === 0 || (stream.status === 'paused' && stream.notice === null) || running.has(stream.id) || tryingOf(stream).retryAt > clock.now()) continue;
        const run = deliverAll(stream, fence)
          .catch((cause: unknown) => {
            const trying = tryingOf(stream);
            trying.failures += 1;
            trying.retryAt = clock.now() + backoff(trying.failures, deps.random);
            deps.log.warn({ stream: stream.id, err: cause }, 'delivery stopped; it will be tried again');
          })
          .finally(() => { running.delete(stream.id); });
        running.set(stream.id, run);
      }
    },
    /** Resolves when nothing is under way. */
    async settled(): Promise<void> {
      while (running.size > 0) await Promise.all(running.values());
    },
    /** Sends nothing more, and writes what was taken. */
    async stop(): Promise<void> {
      stopped = true;
      await Promise.all(running.values());
    },
  };
};
export type Deliver = ReturnType<typeof createDeliver>;

/** Throws where the key-encryption key is missing: then nothing is sent, and least of all without it. */
const openAuthorization = (encryption: Pick<KeyEncryption, 'open'>, stream: StreamRow): string | undefined =>
  (stream.authorization === null || stream.authorizationKekId === null ? undefined : encryption.open({ sealed: stream.authorization, kekId: stream.authorizationKekId }, authorizationContext(stream)).toString('utf8'));
