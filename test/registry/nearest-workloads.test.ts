import { expect, test } from '@jest/globals';
import type { DomainId, SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import type { Workload } from '../../src/registry/entries.ts';
import { nearestWorkloads } from '../../src/registry/nearest-workloads.ts';
import { NOW } from './world.ts';

type Rule = Record<string, readonly (string | number | boolean)[]>;
const workload = (name: string, attributes: Rule, issuer = 'github'): Workload => ({
  kind: 'workload', id: `wkl_${name}` as WorkloadId, version: 1, owner: 'x', domainId: 'dom_1' as DomainId, name, spiffeId: `spiffe://prod.example/${name}` as SpiffeId,
  workloadKind: 'pipeline', authority: 'bounded', match: { issuer, attributes }, bound: false, expires: NOW + 1,
});
const job = { repository_id: '815', ref: 'refs/heads/dev', event_name: 'push', groups: ['a', 'b'], constructor_id: 'x' };
const whyOf = (rule: Rule): readonly string[] => nearestWorkloads([workload('w', rule)], 'github', job)[0]?.why ?? [];

test.each<{ readonly name: string; readonly rule: Rule; readonly why: readonly string[] }>([
  { name: 'another value', rule: { repository_id: ['815'], ref: ['refs/heads/main'] }, why: ['ref has to be "refs/heads/main", and is "refs/heads/dev"'] },
  { name: 'none of several', rule: { event_name: ['release', 'schedule'] }, why: ['event_name has to be "release" or "schedule", and is "push"'] },
  { name: 'what is not there', rule: { environment: ['production'] }, why: ['environment has to be "production", and is not there'] },
  { name: 'a name every object has', rule: { constructor: ['x'] }, why: ['constructor has to be "x", and is not there'] },
  { name: 'a number for text', rule: { repository_id: [815] }, why: ['repository_id has to be 815, and is "815"'] },
  { name: 'a pattern', rule: { ref: ['refs/tags/*'] }, why: ['ref has to be "refs/tags/*", and is "refs/heads/dev"'] },
  { name: 'a list', rule: { groups: ['c'] }, why: ['groups has to be "c", and is ["a","b"]'] },
  { name: 'two things at once', rule: { repository_id: ['816'], ref: ['refs/heads/main'] }, why: ['repository_id has to be "816", and is "815"', 'ref has to be "refs/heads/main", and is "refs/heads/dev"'] },
])('tells of $name what was wanted and what was there', ({ rule, why }) => {
  expect(whyOf(rule)).toEqual(why);
});

test('puts those first that miss least, then those that agree in most, and tells three', () => {
  const far = workload('far', { repository_id: ['1'], ref: ['refs/heads/main'] });
  const near = [workload('b', { ref: ['x'] }), workload('a', { ref: ['x'] }), workload('best', { repository_id: ['815'], ref: ['x'] })];
  expect(nearestWorkloads([far, ...near], 'github', job).map(({ workload: name }) => name)).toEqual(['best', 'a', 'b']);
});

test('leaves out workloads of other issuers, and those that match', () => {
  expect(nearestWorkloads([workload('theirs', { ref: ['x'] }, 'gitlab'), workload('itself', { repository_id: ['815'] })], 'github', job)).toEqual([]);
});

test('cuts what an issuer may have made long', () => {
  const [first] = nearestWorkloads([workload('w', { ref: ['x'] })], 'github', { ref: 'y'.repeat(5_000) });
  expect(first?.why[0]?.length).toBeLessThan(300);
});
