import { describe, expect, test } from '@jest/globals';
import { DAY, HOUR, MINUTE } from '../../src/core/duration.ts';
import type { DomainId, SessionId, SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import type { InstanceRow } from '../../src/store/rows.ts';
import { createRegistry, DEV, domain, PROD } from './registry.ts';

const TEMPLATE = `wkl_${'a'.padStart(32, '0')}` as WorkloadId;
const template = (more: object = {}) => ({ kind: 'workload' as const, n: 10, name: 'tools', body: { template: { path: [{ attribute: 'pod' }], maxLive: 5 }, authority: 'delegated' }, ...more });
const instance = (name: string, session: string, change: Partial<InstanceRow> = {}): Omit<InstanceRow, 'seq'> => ({
  id: `wkl_${name}` as WorkloadId, sessionId: session as SessionId, templateId: TEMPLATE, domainId: DEV, name: `tools/${name}`, spiffeId: `spiffe://tools.example/w/${name}` as SpiffeId, createdAt: 0, expiresAt: HOUR, ...change,
});
const start = async (...more: readonly Parameters<ReturnType<typeof createRegistry>['write']>[0][]) => {
  const registry = createRegistry();
  registry.write(domain(1, 'dev'), template(), ...more);
  await registry.snapshot.refresh();
  return registry;
};
const find = (registry: ReturnType<typeof createRegistry>, id: string, of: DomainId = DEV) => registry.snapshot.domainById(of)?.workloadById(id as WorkloadId);

describe('an instance', () => {
  test('is there after one row more, with what its template says, and no other entry is read again', async () => {
    const registry = await start();
    expect(find(registry, 'wkl_p1')).toBeUndefined();
    const decoded = registry.did.decoded.length;
    registry.admit(instance('p1', 's1'));
    await registry.snapshot.refresh();
    expect(find(registry, 'wkl_p1')).toMatchObject({ id: 'wkl_p1', name: 'tools/p1', spiffeId: 'spiffe://tools.example/w/p1', authority: 'delegated', template: undefined, instanceOf: { id: TEMPLATE, name: 'tools' } });
    expect(registry.did.decoded).toHaveLength(decoded);
    expect([registry.did.engines.length, registry.did.indexes]).toEqual([1, 1]);
  });

  test('has its place in the sessions it was admitted to, and in no other', async () => {
    const registry = await start();
    registry.admit(instance('p1', 's1'));
    registry.admit(instance('p1', 's2'));
    await registry.snapshot.refresh();
    const has = (session: string): boolean | undefined => registry.snapshot.domainById(DEV)?.hasInstance('wkl_p1' as WorkloadId, session as SessionId);
    expect([has('s1'), has('s2'), has('s3')]).toEqual([true, true, false]);
  });

  test('is one object while its template is one, and a new one with a new version', async () => {
    const registry = await start();
    registry.admit(instance('p1', 's1'));
    await registry.snapshot.refresh();
    const before = find(registry, 'wkl_p1');
    registry.admit(instance('p2', 's1'));
    await registry.snapshot.refresh();
    expect(find(registry, 'wkl_p1')).toBe(before);
    registry.write(template({ body: { template: { path: [{ attribute: 'pod' }], maxLive: 5 }, authority: 'bounded' } }));
    await registry.snapshot.refresh();
    expect(find(registry, 'wkl_p1')).toMatchObject({ authority: 'bounded', version: 2 });
  });

  test.each([
    { name: 'ends', change: { ended: true } },
    { name: 'is no template any more', change: { body: {} } },
    { name: 'cannot be read', change: { broken: true } },
  ])('is gone when its template $name', async ({ change }) => {
    const registry = await start();
    registry.admit(instance('p1', 's1'));
    await registry.snapshot.refresh();
    expect(find(registry, 'wkl_p1')).toBeDefined();
    registry.write(template(change));
    await registry.snapshot.refresh();
    expect(find(registry, 'wkl_p1')).toBeUndefined();
  });

  test('of one domain is none of another, and waits for a domain that comes later', async () => {
    const registry = await start();
    registry.admit(instance('p1', 's1', { domainId: PROD }));
    await registry.snapshot.refresh();
    expect(find(registry, 'wkl_p1')).toBeUndefined();
    registry.write(domain(2, 'prod'), template({ domainId: PROD }));
    await registry.snapshot.refresh();
    expect([find(registry, 'wkl_p1', PROD)?.name, find(registry, 'wkl_p1')]).toEqual(['tools/p1', undefined]);
  });

  test('is forgotten a day after the last of its sessions is over', async () => {
    const registry = await start();
    registry.admit(instance('p1', 's1'));
    registry.admit(instance('p1', 's2', { expiresAt: 2 * HOUR }));
    const knownAt = async (time: number): Promise<boolean> => {
      registry.clock.time = time;
      await registry.snapshot.refresh();
      return find(registry, 'wkl_p1') !== undefined;
    };
    expect([await knownAt(0), await knownAt(2 * HOUR + DAY - 1), await knownAt(2 * HOUR + DAY + MINUTE)]).toEqual([true, true, false]);
  });
});
