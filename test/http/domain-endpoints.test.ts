import { describe, expect, test } from '@jest/globals';
import { findDomain, findUnready } from '../../src/http/domain-endpoints.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import { STALENESS_BOUND } from '../../src/snapshot/snapshot.ts';

const viewOf = (problems: readonly string[] = []): DomainView => ({ problems } as unknown as DomainView);
const domains = new Map([['prod', viewOf()], ['system', viewOf()]]);
const snapshot = { domain: (name: string) => domains.get(name), age: () => 0 };

describe('the domain of a request', () => {
  test.each(['dev', 'system', 'PROD', '', '__proto__'])('is not %j', (name) => {
    expect(findDomain(snapshot, name)).toMatchObject({ ok: false, error: { code: 'domain_unknown' } });
    expect(findDomain(snapshot, 'prod')).toMatchObject({ ok: true });
  });

  test.each([
    { name: 'a snapshot as old as may be', age: STALENESS_BOUND, problems: [], code: undefined },
    { name: 'an older snapshot', age: STALENESS_BOUND + 1, problems: [], code: 'snapshot_stale' },
    { name: 'no snapshot yet', age: Number.POSITIVE_INFINITY, problems: [], code: 'snapshot_stale' },
    { name: 'a policy that no longer validates', age: 0, problems: ['policy x: no such action'], code: 'domain_not_ready' },
  ])('with $name: $code', ({ age, problems, code }) => {
    expect(findUnready({ age: () => age }, viewOf(problems))?.code).toBe(code);
  });
});
