import { describe, expect, test } from '@jest/globals';
import { lint } from '../../src/registry/lint.ts';
import { createPlanner } from '../../src/registry/resolve.ts';
import { attestors, deps, entriesOf, KEEP, manifest, NOW, providers, systemRow, valueOf, viewOf } from './world.ts';

const planner = createPlanner(deps);
const TEMPLATE = {
  domain: 'prod', name: 'jobs/builder', kind: 'pipeline', authority: 'bounded', bound: true, owner: 'payments@acme.example', expires: '2027-05-01',
  template: { instance: '{run_id}', max_live: 20 }, match: { issuer: 'github', repository_id: '815', environment: 'build', event_name: 'push', runner_environment: 'github-hosted' },
};
const found = async (change: object, more: readonly object[] = [], stage = 'production'): Promise<readonly string[]> => {
  const base = manifest();
  const document = { ...base, domains: [{ ...base.domains[0], stage }], workloads: [...base.workloads, { ...TEMPLATE, ...change }, ...more], policies: [...base.policies, { ...base.policies[0], name: 'jobs', cedar: 'permit(principal in Template::"jobs/builder", action == Action::"act", resource == Scope::"https://deploy.acme.example#deploy:read");' }] };
  const plan = valueOf(await planner.plan(document, viewOf([systemRow()]), KEEP));
  const describePolicy = (cedar: string) => ({ effect: 'permit' as const, fixesPrincipal: /principal (?:==|in)/.test(cedar), fixesResource: true, ofDetails: false, conditions: 0 });
  const findings = await lint({ attestors, providers, describePolicy }, entriesOf(plan), NOW);
  return findings.filter(({ entry }) => entry.name.startsWith('jobs/')).map(({ rule, entry }) => `${rule} ${entry.name}`).sort();
};
const match = (change: object): object => ({ match: { ...TEMPLATE.match, ...change } });

describe('lint', () => {
  test('finds nothing in a template that is narrow', async () => {
    expect(await found({})).toEqual([]);
  });

  test.each([
    { name: 'a pattern', change: match({ environment: 'build-*' }), finds: ['template-wildcard jobs/builder', 'wildcard jobs/builder'] },
    { name: 'one attribute alone', change: { match: { issuer: 'github', repository_id: '815' } }, finds: ['runner-unrestricted jobs/builder', 'template-broad jobs/builder'] },
    { name: 'one attribute, and the one its instances are named by', change: { match: { issuer: 'github', repository_id: '815', run_id: ['1', '2'] } }, finds: ['runner-unrestricted jobs/builder', 'template-broad jobs/builder'] },
    { name: 'one attribute, and a pattern', change: { match: { issuer: 'github', repository_id: '815', environment: 'b*' } }, finds: ['runner-unrestricted jobs/builder', 'template-broad jobs/builder', 'template-wildcard jobs/builder', 'wildcard jobs/builder'] },
    { name: 'room for very many', change: { template: { instance: '{run_id}', max_live: 501 } }, finds: ['template-crowd jobs/builder'] },
    { name: 'instances that need no key in production', change: { bound: false }, finds: ['template-unbound jobs/builder'] },
  ])('finds $name', async ({ change, finds }) => {
    expect(await found(change)).toEqual(finds);
  });

  test('lets a template have room for many, and unbound instances in development', async () => {
    expect([await found({ template: { instance: '{run_id}', max_live: 500 } }), await found({ bound: false }, [], 'development')]).toEqual([[], []]);
  });

  test('finds a workload whose name an instance could have', async () => {
    const below = (name: string): object => ({ ...TEMPLATE, name, template: undefined, match: { ...TEMPLATE.match, environment: 'other' } });
    const stripped = (name: string): object => JSON.parse(JSON.stringify(below(name))) as object;
    expect(await found({}, [stripped('jobs/builder/17')])).toContain('template-overlap jobs/builder/17');
    expect((await found({}, [stripped('jobs/builder-17')])).filter((finding) => finding.startsWith('template'))).toEqual([]);
  });

  test('finds a template that no policy names', async () => {
    expect(await found({ name: 'jobs/other' })).toEqual(['unused-workload jobs/other']);
  });
});
