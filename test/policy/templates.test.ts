import { describe, expect, test } from '@jest/globals';
import type { SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import type { Workload } from '../../src/registry/entries.ts';
import { engineOf, named, question } from './scene.ts';

const instance = (pod: string, template = 'tools/search'): Workload => named(`${template}/${pod}`, { instanceOf: { id: 'wkl_t' as WorkloadId, name: template, spiffeId: `spiffe://prod.acme.example/${template}` as SpiffeId } });
const permits = (cedar: string, workload: Workload): boolean => {
  const engine = engineOf(cedar);
  expect(engine.problems).toEqual([]);
  return engine.decide(question({ workload })).allow;
};
const forTemplate = 'permit(principal in Template::"tools/search", action == Action::"issue", resource);';

describe('a permit for a template', () => {
  test.each([
    { name: 'an instance of it', workload: instance('p-1'), allow: true },
    { name: 'another instance of it', workload: instance('p-2'), allow: true },
    { name: 'an instance of another template', workload: instance('p-1', 'tools/mail'), allow: false },
    { name: 'an instance of one whose name begins alike', workload: instance('p-1', 'tools/search/deep'), allow: false },
    { name: 'a registered workload of that name', workload: named('tools/search'), allow: false },
    { name: 'a registered workload below that name', workload: named('tools/search/p-1'), allow: false },
  ])('is for $name: $allow', ({ workload, allow }) => { expect(permits(forTemplate, workload)).toBe(allow); });

  test('can be narrowed to one instance, and taken away from it', () => {
    const one = 'permit(principal == Workload::"spiffe://prod.acme.example/tools/search/p-1", action == Action::"issue", resource);';
    expect([permits(one, instance('p-1')), permits(one, instance('p-2'))]).toEqual([true, false]);
    const engine = engineOf(forTemplate, 'forbid(principal == Workload::"spiffe://prod.acme.example/tools/search/p-1", action, resource);');
    expect([engine.decide(question({ workload: instance('p-1') })).allow, engine.decide(question({ workload: instance('p-2') })).allow]).toEqual([false, true]);
  });
});
