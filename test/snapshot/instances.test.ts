import { describe, expect, test } from '@jest/globals';
import { DAY, HOUR, MINUTE } from '../../src/core/duration.ts';
import type { DomainId, SessionId, SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import { nestedTemplates } from '../../src/snapshot/instances.ts';
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

  test('is found by its name, as long as it is known', async () => {
    const registry = await start();
    registry.admit(instance('p1', 's1'));
    await registry.snapshot.refresh();
    const byName = (name: string): string | undefined => registry.snapshot.domainById(DEV)?.workloadByName(name)?.id;
    expect([byName('tools/p1'), byName('tools/p2'), byName('tools')]).toEqual(['wkl_p1', undefined, TEMPLATE]);
    registry.clock.time = HOUR + DAY + MINUTE;
    await registry.snapshot.refresh();
    expect(byName('tools/p1')).toBeUndefined();
  });

  test.each([
    { name: 'a workload is registered under its SPIFFE ID', write: { kind: 'workload' as const, n: 11, name: 'other', body: { spiffeId: 'spiffe://tools.example/w/p1' } } },
    { name: 'a template comes below its own', write: { kind: 'workload' as const, n: 11, name: 'tools/deep', body: { template: { path: [{ attribute: 'pod' }], maxLive: 5 } } } },
  ])('is nobody any more once $name', async ({ write }) => {
    const registry = await start();
    registry.admit(instance('p1', 's1'));
    await registry.snapshot.refresh();
    expect(find(registry, 'wkl_p1')).toBeDefined();
    const identify = (): string | undefined => {
      const found = registry.snapshot.domainById(DEV)?.identify({ proves: 'workloads', issuerName: 'ci', attributes: { repository: 'tools', pod: 'p1' } } as never, undefined, 0);
      return found?.ok === true ? found.value.name : found?.error.code;
    };
    expect(identify()).toBe('tools/p1');
    registry.write(write);
    await registry.snapshot.refresh();
    expect([find(registry, 'wkl_p1'), identify()]).toEqual([undefined, 'workload_ambiguous']);
    registry.write({ ...write, ended: true });
    await registry.snapshot.refresh();
    expect([find(registry, 'wkl_p1')?.name, identify()]).toEqual(['tools/p1', 'tools/p1']);
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

describe('templates that give names below each other\'s', () => {
  const nested = (...names: readonly string[]): Readonly<Record<string, string>> => Object.fromEntries(nestedTemplates(names.map((name) => ({ id: name as WorkloadId, name }))));
  test.each([
    { name: 'none', names: ['a', 'b', 'ab', 'a-b', 'b/a'.replace('/', '.')], is: {} },
    { name: 'one below another', names: ['b', 'a/x', 'a'], is: { a: 'a/x', 'a/x': 'a' } },
    { name: 'one below, with names between that only begin alike', names: ['a', 'a-b', 'a.b', 'a/x'], is: { a: 'a/x', 'a/x': 'a' } },
    { name: 'two beside each other below one', names: ['a', 'a/x', 'a/y'], is: { a: 'a/y', 'a/x': 'a', 'a/y': 'a' } },
    { name: 'three below each other', names: ['a/x/y', 'a', 'a/x'], is: { a: 'a/x', 'a/x': 'a/x/y', 'a/x/y': 'a/x' } },
  ])('are $name', ({ names, is }) => { expect(nested(...names)).toEqual(is); });
});
