import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { actorsOf, checkCircle, checkDepth, checkMayAct, mayActOf, subjectOf } from '../../src/authority/chain.ts';
import type { SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import type { AuthorityModel } from '../../src/registry/entries.ts';
import type { ChainLink } from '../../src/store/rows.ts';
import type { ActClaim } from '../../src/tokens/claims.ts';
import { deployer, person } from '../exchange/world.ts';

const ISS = 'https://sts.acme.example/prod';
const spiffe = (name: string): SpiffeId => `spiffe://prod.acme.example/agents/${name}` as SpiffeId;
const link = (name: string, iss = ISS): ChainLink => ({ iss, sub: spiffe(name), workloadId: `wkl_${name}` as WorkloadId, evidence: {} });
const ALICE = person().urn;
const session = (model: AuthorityModel) => ({ model, holder: model === 'delegated' ? ALICE : deployer.id });
/** Of the claim, from the outside in: who acts now comes first. */
const namesIn = (act: ActClaim | undefined): readonly string[] => (act === undefined ? [] : [act.sub, ...namesIn(act.act)]);

describe('whom a token is about, and who acts for them', () => {
  test.each<{ readonly name: string; readonly model: AuthorityModel; readonly chain: readonly string[]; readonly sub: string; readonly act: readonly string[] }>([
    { name: 'a run acts for itself', model: 'bounded', chain: ['a'], sub: spiffe('a'), act: [] },
    { name: 'a task acts for itself', model: 'autonomous', chain: ['a'], sub: spiffe('a'), act: [] },
    { name: 'whom a run handed on to acts for the run', model: 'bounded', chain: ['a', 'b'], sub: spiffe('a'), act: [spiffe('b')] },
    { name: 'and whom that one did', model: 'autonomous', chain: ['a', 'b', 'c'], sub: spiffe('a'), act: [spiffe('c'), spiffe('b')] },
    { name: 'an agent acts for a person', model: 'delegated', chain: ['a'], sub: ALICE, act: [spiffe('a')] },
    { name: 'and whom it handed on to', model: 'delegated', chain: ['a', 'b', 'c'], sub: ALICE, act: [spiffe('c'), spiffe('b'), spiffe('a')] },
  ])('$name', ({ model, chain, sub, act }) => {
    const subject = subjectOf(session(model), chain.map((name) => link(name)));
    expect([subject.sub, namesIn(subject.act)]).toEqual([sub, act]);
  });

  test('each actor is named with the domain that recognised it', () => {
    expect(subjectOf(session('delegated'), [link('a', 'https://sts.acme.example/dev'), link('b')]).act).toEqual({ iss: ISS, sub: spiffe('b'), act: { iss: 'https://sts.acme.example/dev', sub: spiffe('a') } });
  });

  test('without an actor nobody is: a fault', () => {
    for (const model of ['delegated', 'bounded', 'autonomous'] as const) expect(() => subjectOf(session(model), [])).toThrow('without an actor');
  });

  test('for any chain everybody is in it once, in order, and one more actor leaves the others as they were', () => {
    const models = fc.constantFrom<AuthorityModel>('delegated', 'bounded', 'autonomous');
    fc.assert(fc.property(models, fc.uniqueArray(fc.stringMatching(/^[a-z]{1,6}$/), { minLength: 1, maxLength: 6 }), fc.stringMatching(/^[0-9]{3}$/), (model, names, more) => {
      const chain = names.map((name) => link(name));
      const [shorter, longer] = [subjectOf(session(model), chain), subjectOf(session(model), [...chain, link(more)])];
      const everybody = [...(model === 'delegated' ? [] : [shorter.sub]), ...namesIn(shorter.act).toReversed()];
      expect(everybody).toEqual(names.map(spiffe));
      expect(longer.sub).toBe(shorter.sub);
      expect(longer.act).toEqual({ iss: ISS, sub: spiffe(more), ...(shorter.act === undefined ? {} : { act: shorter.act }) });
      expect(actorsOf(session(model), chain)).toHaveLength(namesIn(shorter.act).length);
    }));
  });
});

describe('who may act', () => {
  const A = spiffe('a');
  test.each([
    { name: 'anybody, where nobody is named', mayAct: undefined, code: undefined },
    { name: 'the one that is named', mayAct: { sub: A }, code: undefined },
    { name: 'the one that is named here', mayAct: { iss: ISS, sub: A }, code: undefined },
    { name: 'not another', mayAct: { sub: spiffe('b') }, code: 'actor_mismatch' },
    { name: 'not one whose name is longer', mayAct: { sub: `${A}2` }, code: 'actor_mismatch' },
    { name: 'not one whose name begins so', mayAct: { sub: A.slice(0, -1) }, code: 'actor_mismatch' },
    { name: 'not one of that name elsewhere', mayAct: { iss: 'https://elsewhere.example', sub: A }, code: 'actor_mismatch' },
    { name: 'not one of an issuer that is written otherwise', mayAct: { iss: `${ISS}/`, sub: A }, code: 'actor_mismatch' },
    { name: 'nobody, where the name is empty', mayAct: { sub: '' }, code: 'actor_mismatch' },
  ])('is $name', ({ mayAct, code }) => {
    expect(checkMayAct(mayAct, A, ISS)?.code).toBe(code);
  });

  test('is named as it is asked for again', () => { expect(checkMayAct(mayActOf(A, ISS), A, ISS)).toBeUndefined(); });
});

test.each([{ depth: 1, limit: 1, code: undefined }, { depth: 2, limit: 1, code: 'depth_exceeded' }, { depth: 0, limit: 0, code: undefined }, { depth: 1, limit: 0, code: 'depth_exceeded' }])('a chain of $depth where $limit are allowed: $code', ({ depth, limit, code }) => {
  expect(checkDepth(depth, limit)?.code).toBe(code);
});

test('a chain never comes back to an actor, wherever it stood', () => {
  const chain = [link('a'), link('b'), link('c')];
  expect(['a', 'b', 'c', 'd'].map((name) => checkCircle(chain, spiffe(name))?.code)).toEqual(['actor_mismatch', 'actor_mismatch', 'actor_mismatch', undefined]);
});
