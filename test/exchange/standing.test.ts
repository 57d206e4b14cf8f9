import { describe, expect, test } from '@jest/globals';
import type { ResourceId } from '../../src/core/ids.ts';
import { isActive, judgeLease, standingOf, targetsOf } from '../../src/exchange/standing.ts';
import type { Judged } from '../../src/exchange/standing.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import type { LeaseStanding } from '../../src/store/store.ts';
import { domain, resource } from '../credentials/make-order.ts';
import { START as NOW } from '../keys/make-ring.ts';

const api = resource({});
const view = (registered = api): Pick<DomainView, 'domain' | 'resource'> => ({ domain, resource: (audience) => (audience === registered.audience ? registered : undefined) });
const within = domain.limits.freshness;
const judged = (change: Partial<Judged> = {}): Judged => ({
  lease: { expiresAt: NOW + 1, audience: api.audience, resourceId: api.id }, session: { model: 'bounded', freshAt: null }, revokedBy: undefined, suspendedBy: undefined, ended: false, ...change,
});
const lease = (change: Partial<Judged['lease']>): Partial<Judged> => ({ lease: { ...judged().lease, ...change } });

describe('a lease', () => {
  test.each<{ readonly name: string; readonly change?: Partial<Judged>; readonly is: string }>([
    { name: 'that nothing speaks against', is: 'valid' },
    { name: 'of a session token, which is for no resource', change: lease({ resourceId: null, audience: domain.issuer }), is: 'valid' },
    { name: 'that ends now', change: lease({ expiresAt: NOW }), is: 'invalid' },
    { name: 'on whose path something is revoked', change: { revokedBy: 'hop:h' }, is: 'invalid' },
    { name: 'whose session or hop is over', change: { ended: true }, is: 'invalid' },
    { name: 'on whose path something is suspended', change: { suspendedBy: 'person:p' }, is: 'suspended' },
    { name: 'on whose path something is revoked, and something suspended', change: { revokedBy: 'lease:l', suspendedBy: 'person:p' }, is: 'invalid' },
    { name: 'that is over and suspended', change: { ended: true, suspendedBy: 'person:p' }, is: 'invalid' },
    { name: 'of a login as old as may be', change: { session: { model: 'delegated', freshAt: NOW - within.delegated + 1 } }, is: 'valid' },
    { name: 'of a login that is too old', change: { session: { model: 'delegated', freshAt: NOW - within.delegated } }, is: 'suspended' },
    { name: 'of a task whose workload showed evidence lately', change: { session: { model: 'autonomous', freshAt: NOW - within.autonomous + 1 } }, is: 'valid' },
    { name: 'of a task whose workload showed none for too long', change: { session: { model: 'autonomous', freshAt: NOW - within.autonomous } }, is: 'suspended' },
    { name: 'for a resource that is not registered', change: lease({ audience: 'https://gone.example' }), is: 'invalid' },
    { name: 'for a resource that was registered anew', change: lease({ resourceId: 'res_old' as ResourceId }), is: 'invalid' },
  ])('$name is $is', ({ change, is }) => {
    expect(judgeLease(judged(change), view(), NOW)).toBe(is);
  });

  test('for a resource ends with that one\'s registration', () => {
    expect(judgeLease(judged(), view(resource({ expires: NOW + 1 })), NOW)).toBe('valid');
    expect(judgeLease(judged(), view(resource({ expires: NOW })), NOW)).toBe('invalid');
  });

  test.each(['valid', 'invalid', 'suspended'] as const)('that is %s is active accordingly', (is) => {
    const change: Partial<Judged> = { valid: {}, invalid: { revokedBy: 'lease:l' as const }, suspended: { suspendedBy: 'person:p' as const } }[is];
    expect(standingOf(judged(change), NOW, domain.limits)).toBe(is);
    expect(isActive(judged(change) as LeaseStanding, NOW, domain.limits)).toBe(is === 'valid');
  });
});

test('rests on its hop\'s path, on itself, and on the key that signed it', () => {
  const hop = { path: ['domain:d', 'session:s'] } as const;
  expect(targetsOf({ id: 'lse_1' as never, kid: 'k' }, hop)).toEqual(['domain:d', 'session:s', 'lease:lse_1', 'key:k']);
  expect(targetsOf({ id: 'lse_1' as never, kid: null }, hop)).toEqual(['domain:d', 'session:s', 'lease:lse_1']);
});
