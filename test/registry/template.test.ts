import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Attributes } from '../../src/attestation/attributes.ts';
import type { DomainId, SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import type { Workload } from '../../src/registry/entries.ts';
import { createIdentifyIndex } from '../../src/registry/identify.ts';
import { createPlanner } from '../../src/registry/resolve.ts';
import { instanceFor, parseInstancePath } from '../../src/registry/template.ts';
import { decoder, deps, errorOf, KEEP, manifest, NOW, rowsAfter, systemRow, valueOf, viewOf, withChange } from './world.ts';

const workload = (name: string, change: Partial<Workload> = {}): Workload => ({
  kind: 'workload', id: `wkl_${name}` as WorkloadId, version: 1, owner: 'x', domainId: 'dom_1' as DomainId, name, spiffeId: `spiffe://prod.example/${name}` as SpiffeId,
  workloadKind: 'tool', authority: 'delegated', match: { issuer: 'cluster', attributes: { namespace: ['x'] } }, bound: false, expires: NOW + 1, ...change,
});
const template = (name: string, path = '{pod}', change: Partial<Workload> = {}): Workload => workload(name, { template: { path: parseInstancePath(path), maxLive: 10 }, ...change });
const pod = (attributes: Attributes = {}): Attributes => ({ namespace: 'x', pod: 'p-1', zone: 'eu', ...attributes });

describe('an instance', () => {
  test('has a name below its template\'s, and the rest of it', () => {
    expect(instanceFor(template('tools', 'pods/{zone}/{pod}', { bound: true }), pod())).toMatchObject({
      name: 'tools/pods/eu/p-1', spiffeId: 'spiffe://prod.example/tools/pods/eu/p-1', bound: true, owner: 'x', authority: 'delegated', expires: NOW + 1, template: undefined, instanceOf: { id: 'wkl_tools', name: 'tools', spiffeId: 'spiffe://prod.example/tools' },
    });
  });

  test.each([
    { name: 'no attribute', value: undefined },
    { name: 'an empty one', value: '' },
    { name: 'a slash, which would be another segment', value: 'a/b' },
    { name: 'the segment above', value: '..' },
    { name: 'the segment itself', value: '.' },
    { name: 'an escape', value: 'a%2Fb' },
    { name: 'a space', value: 'a b' },
    { name: 'a letter SPIFFE IDs do not have', value: 'pöd' },
    { name: 'a wildcard', value: '*' },
    { name: 'a number', value: 7 },
    { name: 'a list', value: ['p-1'] },
    { name: 'more than a name may be long', value: 'a'.repeat(129) },
  ])('is none with $name', ({ value }) => {
    const { pod: _, ...rest } = pod();
    expect(instanceFor(template('tools'), value === undefined ? rest : pod({ pod: value }))).toBeUndefined();
    expect(instanceFor(template('tools'), pod({ pod: 'a'.repeat(128) }))).toBeDefined();
  });

  test('has an id of its own that follows from the template and the name alone', () => {
    const idOf = (of: Workload, attributes: Attributes): string | undefined => instanceFor(of, attributes)?.id;
    expect(idOf(template('tools'), pod())).toBe(idOf(template('tools', '{pod}', { version: 9, owner: 'y' }), pod({ zone: 'us' })));
    expect(new Set([idOf(template('tools'), pod()), idOf(template('tools'), pod({ pod: 'p-2' })), idOf(template('tools'), pod({ pod: 'P-1' })), idOf(template('others'), pod())]).size).toBe(4);
    expect(idOf(template('tools'), pod())).toMatch(/^wkl_[0-9a-f]{32}$/);
  });

  test('shares its name with no other, however the attributes are cut', () => {
    const segment = fc.stringMatching(/^[a-b./-]{1,4}$/);
    fc.assert(fc.property(segment, segment, segment, segment, (a, b, c, d) => {
      const [one, other] = [instanceFor(template('t', '{zone}/{pod}'), pod({ zone: a, pod: b })), instanceFor(template('t', '{zone}/{pod}'), pod({ zone: c, pod: d }))];
      if (one !== undefined && other !== undefined && one.spiffeId === other.spiffeId) expect([a, b, one.id]).toEqual([c, d, other.id]);
    }));
  });
});

describe('evidence', () => {
  const identify = (workloads: readonly Workload[], clientId?: string, attributes = pod(), now = NOW): string => {
    const found = createIdentifyIndex(workloads).identify({ issuerName: 'cluster', proves: 'workloads', attributes }, clientId, now);
    return found.ok ? found.value.name : found.error.code;
  };
  const T = template('tools');
  test.each([
    { name: 'matches a template alone', workloads: [T], is: 'tools/p-1' },
    { name: 'names itself', workloads: [T], clientId: 'spiffe://prod.example/tools/p-1', is: 'tools/p-1' },
    { name: 'names the template', workloads: [T], clientId: 'spiffe://prod.example/tools', is: 'client_id_mismatch' },
    { name: 'names another instance', workloads: [T], clientId: 'spiffe://prod.example/tools/p-2', is: 'client_id_mismatch' },
    { name: 'matches a registered workload too: that is what it is', workloads: [T, workload('mailer')], is: 'mailer' },
    { name: 'matches one too, and names the instance', workloads: [T, workload('mailer')], clientId: 'spiffe://prod.example/tools/p-1', is: 'client_id_mismatch' },
    { name: 'matches one whose registration has run out: an instance it is not therefore', workloads: [T, workload('mailer', { expires: NOW })], is: 'workload_expired' },
    { name: 'matches two templates', workloads: [T, template('others')], is: 'workload_ambiguous' },
    { name: 'matches two templates and names an instance of one', workloads: [T, template('others')], clientId: 'spiffe://prod.example/tools/p-1', is: 'workload_ambiguous' },
    { name: 'matches two templates of which one has run out', workloads: [T, template('others', '{pod}', { expires: NOW })], is: 'workload_ambiguous' },
    { name: 'matches a template that has run out', workloads: [template('tools', '{pod}', { expires: NOW })], is: 'workload_expired' },
    { name: 'makes no name', workloads: [template('tools', '{node}')], is: 'workload_unknown' },
    { name: 'does not match the template', workloads: [T], attributes: pod({ namespace: 'y' }), is: 'workload_unknown' },
  ])('that $name: $is', ({ workloads, clientId, attributes, is }) => {
    expect(identify(workloads, clientId, attributes)).toBe(is);
    expect(identify([...workloads].reverse(), clientId, attributes)).toBe(is);
  });
});

describe('a template in a manifest', () => {
  const planner = createPlanner(deps);
  const rows = [systemRow()];
  const plan = (change: unknown, at: string, on: Parameters<typeof viewOf>[0] = rows) => planner.plan(withChange(withChange(manifest(), ['workloads', 1, 'template'], { instance: '{run_id}' }), ['workloads', 1, at], change), viewOf(on), KEEP);
  const T = { instance: 'runs/{run_id}', max_live: 7 };

  test('is stored as it is written, with how many it may have', async () => {
    const made = valueOf(await plan(T, 'template'));
    const body = made.entries.find(({ name }) => name === 'svc/deploy')?.body;
    expect(body?.['template']).toEqual(T);
    expect(valueOf(await plan({ instance: '{run_id}' }, 'template')).entries.find(({ name }) => name === 'svc/deploy')?.body['template']).toEqual({ instance: '{run_id}', max_live: 100 });
    expect(valueOf(await plan(T, 'template', rowsAfter(made, rows))).entries).toEqual([]);
  });

  test('is read back frozen', async () => {
    const row = rowsAfter(valueOf(await plan(T, 'template')), rows).find(({ name }) => name === 'svc/deploy');
    if (row === undefined) throw new Error('no row');
    const read = valueOf(decoder.decode(row)) as Workload;
    expect(read.template).toEqual({ path: [{ text: 'runs' }, { attribute: 'run_id' }], maxLive: 7 });
    expect([Object.isFrozen(read.template), Object.isFrozen(read.template?.path)]).toEqual([true, true]);
  });

  test.each([
    { name: 'no attribute', at: 'template', value: { instance: 'everybody' }, path: 'template.instance' },
    { name: 'an attribute the issuer does not prove', at: 'template', value: { instance: '{pod_uid}' }, path: 'template.instance' },
    { name: 'an attribute that can be given to somebody else', at: 'template', value: { instance: '{ref}' }, path: 'template.instance' },
    { name: 'an attribute that is every object\'s', at: 'template', value: { instance: '{constructor}' }, path: 'template.instance' },
    { name: 'two attributes in one segment', at: 'template', value: { instance: '{run_id}-{repository_id}' }, path: 'template.instance' },
    { name: 'a segment that climbs', at: 'template', value: { instance: '../{run_id}/' }, path: 'template.instance' },
    { name: 'no room for an instance', at: 'template', value: { instance: '{run_id}', max_live: 0 }, path: 'template.max_live' },
    { name: 'room for more than there can be', at: 'template', value: { instance: '{run_id}', max_live: 10_001 }, path: 'template.max_live' },
    { name: 'an unknown member', at: 'template', value: { instance: '{run_id}', max: 1 }, path: 'template.max' },
    { name: 'a principal', at: 'principal', value: { issuer: 'corp', sub: 'x' }, path: 'principal' },
  ])('is refused with $name', async ({ at, value, path }) => {
    expect(errorOf(await plan(value, at)).map((problem) => problem.path)).toEqual([`workloads[1].${path}`]);
  });

  test('stays one, with the names it gives', async () => {
    const without = (workloadAt: number): unknown => planner.plan(manifest(), viewOf(workloadAt === 0 ? rows : rowsAfter(first, rows)), KEEP);
    const first = valueOf(await plan(T, 'template'));
    const stored = rowsAfter(first, rows);
    const pathsOf = async (result: ReturnType<typeof plan>): Promise<readonly string[]> => errorOf(await result).map((problem) => problem.path);
    expect(await pathsOf(plan({ instance: '{run_id}' }, 'template', stored))).toEqual(['workloads[1].template.instance']);
    expect(await pathsOf(without(1) as ReturnType<typeof plan>)).toEqual(['workloads[1].template']);
    expect(await pathsOf(plan(T, 'template', rowsAfter(valueOf(await (without(0) as ReturnType<typeof plan>)), rows)))).toEqual(['workloads[1].template']);
    expect(valueOf(await plan({ ...T, max_live: 8 }, 'template', stored)).entries).toHaveLength(1);
  });

  test('of autonomous sessions names no principal: it opens no task', async () => {
    expect(valueOf(await plan('autonomous', 'authority')).changes).toHaveLength(7);
  });
});
