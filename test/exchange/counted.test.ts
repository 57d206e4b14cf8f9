import { expect, test } from '@jest/globals';
import type { DecisionId, DomainId } from '../../src/core/ids.ts';
import { refusal } from '../../src/core/refusal.ts';
import { countFaults } from '../../src/exchange/counted.ts';
import type { Denials } from '../../src/exchange/denials.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

const ID = 'dec_00000000000000000000000000000001' as DecisionId;
const kept: Denials = { record: () => Promise.resolve(ID), recent: () => undefined, flush: () => Promise.resolve() };

test.each([
  { code: 'policy_error' as const, policy: 1, store: 0 },
  { code: 'store_unavailable' as const, policy: 0, store: 1 },
  { code: 'scope_denied' as const, policy: 0, store: 0 },
])('a refusal for $code counts as policy errors: $policy, store failures: $store, and is recorded', async ({ code, policy, store }) => {
  const metrics = createMetrics();
  const denials = countFaults(kept, metrics, () => 'prod');
  expect(await denials.record(refusal(code, 'why'), { domainId: 'dom_1' as DomainId, workloadId: null, verified: true, facts: {} })).toBe(ID);
  expect((await metrics.policyErrors.get()).values.filter(({ value, labels }) => value > 0 && labels.domain === 'prod')).toHaveLength(policy);
  expect((await metrics.storeFailures.get()).values[0]?.value).toBe(store);
});
