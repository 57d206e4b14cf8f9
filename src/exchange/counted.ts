import type { DomainId } from '../core/ids.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Denials } from './denials.ts';

/** Two refusals are faults on our side, not the caller's: each is counted where an alert looks (docs/operations.md). */
export const countFaults = (denials: Denials, metrics: Pick<Metrics, 'policyErrors' | 'storeFailures'>, nameOf: (domain: DomainId) => string): Denials => ({
  ...denials,
  record(refused, context) {
    if (refused.code === 'policy_error') metrics.policyErrors.inc({ domain: nameOf(context.domainId) });
    if (refused.code === 'store_unavailable') metrics.storeFailures.inc();
    return denials.record(refused, context);
  },
});
