import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Attributes } from '../../src/attestation/attributes.ts';
import type { DomainId, SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import type { Workload } from '../../src/registry/entries.ts';
import { createIdentifyIndex } from '../../src/registry/identify.ts';
import type { IdentifyingEvidence } from '../../src/registry/identify.ts';
import { compileRule, matchesRule } from '../../src/registry/match.ts';
import { errorOf, NOW, valueOf } from './world.ts';

type Rule = Record<string, readonly (string | number | boolean)[]>;

const workload = (name: string, attributes: Rule, fields: { readonly expires?: number; readonly issuer?: string } = {}): Workload => ({
  kind: 'workload', id: `wkl_${name}` as WorkloadId, version: 1, owner: 'x', domainId: 'dom_1' as DomainId, name, spiffeId: `spiffe://prod.example/${name}` as SpiffeId,
  workloadKind: 'pipeline', authority: 'bounded', match: { issuer: fields.issuer ?? 'github', attributes }, bound: false, expires: fields.expires ?? NOW + 1,
});
const evidence = (attributes: Attributes, fields: Partial<IdentifyingEvidence> = {}): IdentifyingEvidence => ({ issuerName: 'github', proves: 'workloads', attributes, ...fields });
const job: Attributes = { repository_id: '815', repository_owner_id: '4711', ref: 'refs/heads/main', event_name: 'push', ref_protected: true, runner_id: 7, groups: ['a', 'b', 'team-*'] };
const deployer = workload('deployer', { repository_id: ['815'], ref: ['refs/heads/main'] });

interface Case { readonly name: string; readonly rule: Rule }

describe('evidence', () => {
  test('is the workload whose rule it satisfies', () => {
    expect(valueOf(createIdentifyIndex([deployer]).identify(evidence(job), undefined, NOW))).toBe(deployer);
  });

  test.each<Case>([
    { name: 'one of several values', rule: { repository_id: ['1', '815'] } },
    { name: 'a pattern within a segment', rule: { repository_id: ['815'], ref: ['refs/heads/*'] } },
    { name: 'true', rule: { repository_id: ['815'], ref_protected: [true] } },
    { name: 'a number', rule: { repository_id: ['815'], runner_id: [7] } },
    { name: 'a member of a set', rule: { repository_id: ['815'], groups: ['b'] } },
    { name: 'a set alone', rule: { groups: ['b', 'z'] } },
  ])('matches $name', ({ rule }) => {
    expect(createIdentifyIndex([workload('w', rule)]).identify(evidence(job), undefined, NOW).ok).toBe(true);
  });

  test.each<Case>([
    { name: 'another value', rule: { repository_id: ['816'] } },
    { name: 'a missing attribute', rule: { repository_id: ['815'], environment: ['prod'] } },
    { name: 'a missing attribute, by any pattern', rule: { repository_id: ['815'], environment: ['*'] } },
    { name: 'a name every object has', rule: { repository_id: ['815'], constructor: ['x'] } },
    { name: 'text for a number', rule: { repository_id: ['815'], runner_id: ['7'] } },
    { name: 'a number for text', rule: { repository_id: [815] } },
    { name: 'text for true', rule: { repository_id: ['815'], ref_protected: ['true'] } },
    { name: 'a pattern for a number', rule: { repository_id: ['815'], runner_id: ['*'] } },
    { name: 'a pattern for a set', rule: { repository_id: ['815'], groups: ['*'] } },
    { name: 'a pattern for a set that has it as a member', rule: { repository_id: ['815'], groups: ['team-*'] } },
    { name: 'a pattern that would cross a slash', rule: { repository_id: ['815'], ref: ['refs/*'] } },
    { name: 'an empty rule', rule: {} },
    { name: 'an attribute without values', rule: { repository_id: ['815'], ref: [] } },
    { name: 'nothing exact', rule: { ref: ['refs/heads/*'] } },
  ])('never matches $name', ({ rule }) => {
    expect(errorOf(createIdentifyIndex([workload('w', rule)]).identify(evidence(job), undefined, NOW)).code).toBe('workload_unknown');
  });

  test('is matched by no rule without attributes', () => {
    expect(matchesRule(compileRule({ issuer: 'github', attributes: {} }), job)).toBe(false);
    expect(matchesRule(compileRule({ issuer: 'github', attributes: { repository_id: ['815'] } }), job)).toBe(true);
  });

  test('of another issuer matches nothing', () => {
    expect(errorOf(createIdentifyIndex([deployer]).identify(evidence(job, { issuerName: 'gitlab' }), undefined, NOW)).code).toBe('workload_unknown');
  });

  test.each(['admins', 'people'] as const)('about %s is no workload', (proves) => {
    expect(errorOf(createIdentifyIndex([deployer]).identify(evidence(job, { proves }), undefined, NOW)).code).toBe('workload_unknown');
  });
});

describe('several workloads', () => {
  const twin = workload('twin', { repository_owner_id: ['4711'], event_name: ['push'] });
  const stranger = workload('stranger', { repository_id: ['999'] });
  const index = createIdentifyIndex([deployer, twin, stranger]);

  test('that one evidence matches are ambiguous', () => {
    expect(errorOf(index.identify(evidence(job), undefined, NOW)).code).toBe('workload_ambiguous');
  });

  test('are told apart by client_id', () => {
    expect(valueOf(index.identify(evidence(job), deployer.spiffeId, NOW))).toBe(deployer);
    expect(valueOf(index.identify(evidence(job), twin.spiffeId, NOW))).toBe(twin);
  });

  test.each([{ name: 'a registered workload', clientId: stranger.spiffeId }, { name: 'no workload', clientId: 'spiffe://prod.example/nobody' }, { name: 'nothing', clientId: '' }])(
    'are not chosen by a client_id that names $name the evidence does not match', ({ clientId }) => {
      expect(errorOf(index.identify(evidence(job), clientId, NOW)).code).toBe('client_id_mismatch');
    });

  test('cannot be reached by client_id without matching evidence', () => {
    expect(errorOf(index.identify(evidence({ repository_id: '1' }), deployer.spiffeId, NOW)).code).toBe('client_id_mismatch');
  });

  test('of which all but one expired are not ambiguous', () => {
    const old = workload('old', { repository_id: ['815'] }, { expires: NOW });
    const both = createIdentifyIndex([deployer, old]);
    expect(valueOf(both.identify(evidence(job), undefined, NOW))).toBe(deployer);
    expect(errorOf(both.identify(evidence(job), old.spiffeId, NOW)).code).toBe('workload_expired');
  });
});

describe('expiry', () => {
  test('ends a workload at its moment, not before', () => {
    const index = createIdentifyIndex([deployer]);
    expect(index.identify(evidence(job), undefined, deployer.expires - 1).ok).toBe(true);
    expect(errorOf(index.identify(evidence(job), undefined, deployer.expires)).code).toBe('workload_expired');
  });
});

describe('changes', () => {
  test('of one workload replace it', () => {
    const index = createIdentifyIndex([deployer]);
    index.put({ ...deployer, version: 2, match: { issuer: 'github', attributes: { repository_id: ['816'] } } });
    expect(index.size).toBe(1);
    expect(errorOf(index.identify(evidence(job), undefined, NOW)).code).toBe('workload_unknown');
    expect(valueOf(index.identify(evidence({ ...job, repository_id: '816' }), undefined, NOW)).version).toBe(2);
  });

  test('remove a workload', () => {
    const index = createIdentifyIndex([deployer]);
    index.remove(deployer.id);
    index.remove(deployer.id);
    expect([index.size, errorOf(index.identify(evidence(job), undefined, NOW)).code]).toEqual([0, 'workload_unknown']);
  });

  test('leave an index that answers like a search through all workloads', () => {
    const value = fc.constantFrom<string | number | boolean>('a', 'b', 'a/b', 'a*', '*', 1, true);
    const rule = fc.dictionary(fc.constantFrom('id', 'owner', 'ref'), fc.uniqueArray(value, { maxLength: 2 }), { noNullPrototype: true });
    const proof = fc.dictionary(fc.constantFrom('id', 'owner', 'ref'), fc.oneof(fc.constantFrom('a', 'b', 'a/b', 'ab', 1, true), fc.constant(['a', 'b'] as const)), { noNullPrototype: true });
    const step = fc.record({ name: fc.constantFrom('w1', 'w2', 'w3', 'w4'), rule: fc.option(rule, { nil: undefined }), issuer: fc.constantFrom('github', 'gitlab') });
    fc.assert(fc.property(fc.array(step, { maxLength: 12 }), proof, (steps, attributes) => {
      const index = createIdentifyIndex([]);
      const all = new Map<string, Workload>();
      for (const { name, rule: attributesOf, issuer } of steps) {
        if (attributesOf === undefined) {
          index.remove(`wkl_${name}` as WorkloadId);
          all.delete(name);
          continue;
        }
        all.set(name, workload(name, attributesOf, { issuer }));
        index.put(workload(name, attributesOf, { issuer }));
      }
      const hasExact = ({ match }: Workload): boolean => Object.values(match.attributes).some((values) => values.length > 0 && values.every((each) => !String(each).includes('*')));
      const expected = [...all.values()].filter((each) => hasExact(each) && each.match.issuer === 'github' && matchesRule(compileRule(each.match), attributes)).map(({ name }) => name);
      const found = index.identify(evidence(attributes), undefined, NOW);
      const code = expected.length === 0 ? 'workload_unknown' : 'workload_ambiguous';
      expect(index.size).toBe(all.size);
      expect(found.ok ? [found.value.name] : found.error.code).toEqual(expected.length === 1 ? expected : code);
    }), { numRuns: 1_000 });
  });
});

test('looks at as few workloads among many as among few', () => {
  const looks = (count: number): number => {
    let asked = 0;
    const watched = (each: Workload): Workload => ({ ...each, get match() { asked += 1; return each.match; } });
    // They all share owner and ref, so only an index that passes over crowded values stays small.
    const index = createIdentifyIndex(Array.from({ length: count }, (_, at) => watched(workload(`w${at}`, { repository_owner_id: ['4711'], ref: ['refs/heads/main'], repository_id: [String(at)] }))));
    asked = 0;
    valueOf(index.identify(evidence({ ...job, repository_id: String(count - 1) }), undefined, NOW));
    return asked;
  };
  expect(looks(20_000)).toBe(looks(20));
  expect(looks(20)).toBeLessThanOrEqual(3);
});
