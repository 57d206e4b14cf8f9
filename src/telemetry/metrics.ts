import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

/** Labels hold names from the registry and codes from closed lists only: nothing a caller can choose. */
export const createMetrics = () => {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  return {
    registry,
    exchanges: new Counter({ name: 'mayfly_exchanges_total', help: 'Token exchanges by outcome; code is empty when issued', labelNames: ['domain', 'outcome', 'code'], registers }),
    exchangeSeconds: new Histogram({ name: 'mayfly_exchange_seconds', help: 'Time from a parsed request to the confirmed reply', labelNames: ['domain'], buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5], registers }),
    introspections: new Counter({ name: 'mayfly_introspections_total', help: 'Introspections by answer', labelNames: ['domain', 'active'], registers }),
    revocations: new Counter({ name: 'mayfly_revocations_total', help: 'Revocations by kind of target', labelNames: ['kind'], registers }),
    policyErrors: new Counter({ name: 'mayfly_policy_errors_total', help: 'Decisions denied because the policy engine erred: alert on any', labelNames: ['domain'], registers }),
    signalsReceived: new Counter({ name: 'mayfly_signals_received_total', help: 'Security events received by event and outcome; a refused one has the code as its outcome', labelNames: ['domain', 'issuer', 'event', 'outcome'], registers }),
    signalsPolls: new Counter({ name: 'mayfly_signals_polls_total', help: 'Polls of event transmitters by outcome', labelNames: ['domain', 'issuer', 'outcome'], registers }),
    snapshotAge: new Gauge({ name: 'mayfly_snapshot_age_seconds', help: 'Age of the registry snapshot decisions are made from; of several processes the oldest', aggregator: 'max', registers }),
    snapshotVersion: new Gauge({ name: 'mayfly_snapshot_version', help: 'Registry version of the snapshot; of several processes the lowest', aggregator: 'min', registers }),
    storeFailures: new Counter({ name: 'mayfly_store_failures_total', help: 'Requests refused because the database did not answer or did not confirm: alert on any', registers }),
    http: new Histogram({ name: 'mayfly_http_request_seconds', help: 'HTTP requests by route and status', labelNames: ['route', 'status'], buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5], registers }),
    statusPassSeconds: new Histogram({ name: 'mayfly_status_pass_seconds', help: 'Time of one look at every lease that counts, from which all status lists are made', buckets: [0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30], registers }),
    approvalNotices: new Counter({ name: 'mayfly_approval_notices_total', help: 'Attempts to tell the webhook of a request that waits for people, by outcome: alert on given_up', labelNames: ['domain', 'outcome'], registers }),
    signalQueue: new Gauge({ name: 'mayfly_ssf_queue_events', help: 'Events that wait in a stream, as its transmitter sees it', labelNames: ['domain', 'stream'], registers }),
    signalOldest: new Gauge({ name: 'mayfly_ssf_oldest_seconds', help: 'How long the oldest event of a stream has waited', labelNames: ['domain', 'stream'], registers }),
    signalHeldUp: new Gauge({ name: 'mayfly_ssf_held_up_streams', help: 'Streams that are told nothing because their domain is not loaded: alert on any', labelNames: ['stream'], registers }),
    signalDeliveries: new Counter({ name: 'mayfly_ssf_deliveries_total', help: 'Events a receiver confirmed', labelNames: ['domain', 'stream'], registers }),
    signalFailures: new Counter({ name: 'mayfly_ssf_failures_total', help: 'Deliveries that failed, and events that were refused, by reason', labelNames: ['domain', 'stream', 'reason'], registers }),
    signalPauses: new Counter({ name: 'mayfly_ssf_pauses_total', help: 'Streams the transmitter paused: alert on any', labelNames: ['domain', 'stream'], registers }),
    signalsLost: new Counter({ name: 'mayfly_ssf_lost_events_total', help: 'Events that were not kept for a stream beyond its limits: alert on any', labelNames: ['stream'], registers }),
    jobRuns: new Counter({ name: 'mayfly_job_runs_total', help: 'Background job runs by outcome', labelNames: ['job', 'outcome'], registers }),
  };
};
export type Metrics = ReturnType<typeof createMetrics>;
