import type { DomainId, StreamId } from '../core/ids.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { SignalMetrics } from './watch.ts';

export interface CountDeps {
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'signalQueue' | 'signalHeldUp' | 'signalOldest' | 'signalDeliveries' | 'signalFailures' | 'signalPauses' | 'signalsLost'>;
  readonly nameOf: (domainId: DomainId) => string;
}

/** Streams in metrics; a pause and a loss are alerts, and in the log as well. Labels are ids of ours and words of closed lists. */
export const createSignalMetrics = ({ log, metrics, nameOf }: CountDeps): SignalMetrics => {
  const labels = ({ id, domainId }: { readonly id: StreamId; readonly domainId: DomainId }): { readonly domain: string; readonly stream: string } => ({ domain: nameOf(domainId), stream: id });
  const held = new Set<StreamId>();
  const heldUp: SignalMetrics['heldUp'] = ({ id, domainId }, now) => {
    if (now === held.has(id)) return;
    if (now) {
      held.add(id);
      metrics.signalHeldUp.set({ stream: id }, 1);
      log.error({ domain: domainId, stream: id }, 'an event stream is told nothing while its domain is not loaded: what happens waits for it');
    } else {
      held.delete(id);
      metrics.signalHeldUp.remove({ stream: id });
    }
  };
  return {
    queue(stream, waiting, oldestSeconds) {
      metrics.signalQueue.set(labels(stream), waiting);
      metrics.signalOldest.set(labels(stream), oldestSeconds);
    },
    heldUp,
    gone(stream) {
      heldUp(stream, false);
      metrics.signalQueue.remove(labels(stream));
      metrics.signalOldest.remove(labels(stream));
    },
    delivered(stream, count) { metrics.signalDeliveries.inc(labels(stream), count); },
    failure(stream, reason) { metrics.signalFailures.inc({ ...labels(stream), reason }); },
    paused(stream, reason) {
      metrics.signalPauses.inc(labels(stream));
      log.error({ ...labels(stream), reason }, 'an event stream is paused: its receiver gets nothing until it enables it again');
    },
    lost(streamId, count) {
      metrics.signalsLost.inc({ stream: streamId }, count);
      log.error({ stream: streamId, events: count }, 'an event stream is beyond its limits: these events are not kept for it');
    },
  };
};
