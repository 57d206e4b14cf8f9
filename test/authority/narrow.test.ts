import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { detailRules, narrowDetails, normaliseDetails } from '../../src/authority/details.ts';
import { isWithin, mergePairs, narrow, narrowPairs, normalise } from '../../src/authority/narrow.ts';
import type { Ceiling } from '../../src/authority/narrow.ts';
import type { DetailType } from '../../src/registry/entries.ts';
import type { CeilingPair, Detail } from '../../src/store/rows.ts';

const API = 'https://api.example';
const PLAIN = { values: undefined, optional: false } as const;
const types: readonly DetailType[] = [
  { type: 'pay', fields: { amount: { compare: 'max', ...PLAIN }, to: { compare: 'exact', ...PLAIN, optional: true }, actions: { compare: 'subset', ...PLAIN } } },
  { type: 'read', fields: { folder: { compare: 'prefix', ...PLAIN } } },
];
const rules = detailRules(types);
const rulesAt = (audience: string) => (audience === 'x/' ? new Map() : rules);
const held: readonly CeilingPair[] = [{ audience: API, scopes: ['a', 'b'] }, { audience: 'https://whole.example', scopes: [] }];
const narrowOne = (ask: CeilingPair, parent: readonly CeilingPair[] = held): CeilingPair | undefined => narrowPairs([ask], parent, rulesAt)[0];
const of = (pairs: readonly CeilingPair[], endsAt = 0, depth = 0): Ceiling => ({ pairs, endsAt, depth });

describe('narrowing', () => {
  test.each([
    { name: 'an audience that is not held', ask: { audience: 'https://other.example', scopes: ['a'] } },
    { name: 'the audience itself where only scopes are held', ask: { audience: API, scopes: [] } },
    { name: 'a scope where the audience itself is held', ask: { audience: 'https://whole.example', scopes: ['a'] } },
    { name: 'scopes of which none is held, which would be the audience itself without them', ask: { audience: API, scopes: ['c'] } },
    { name: 'an audience that is a prefix of a held one', ask: { audience: 'https://api', scopes: ['a'] } },
    { name: 'an audience that differs in case', ask: { audience: 'https://API.example', scopes: ['a'] } },
    { name: 'an audience with a space after it', ask: { audience: `${API} `, scopes: ['a'] } },
  ])('gives nothing for $name', ({ ask }) => {
    expect(narrowOne(ask)).toBeUndefined();
  });

  test.each([
    { name: 'a scope that is not held', scopes: ['a', 'c'], kept: ['a'] },
    { name: 'a scope that differs in case', scopes: ['A', 'b'], kept: ['b'] },
    { name: 'a wildcard', scopes: ['*', 'a'], kept: ['a'] },
    { name: 'a scope with a space in it', scopes: ['a b', 'a'], kept: ['a'] },
    { name: 'a scope asked twice, and their order', scopes: ['b', 'a', 'b'], kept: ['a', 'b'] },
  ])('leaves out $name', ({ scopes, kept }) => {
    expect(narrowOne({ audience: API, scopes })?.scopes).toEqual(kept);
  });

  test('gives the audience itself where that is what is held', () => {
    expect(narrowOne({ audience: 'https://whole.example', scopes: [] })).toEqual({ audience: 'https://whole.example', scopes: [] });
  });

  test('takes the nearer end and the lesser depth', () => {
    expect([narrow(of(held, 5, 1), of(held, 4, 2), rulesAt), narrow(of(held, 4, 2), of(held, 5, 1), rulesAt)]).toEqual([of(normalise(held, rulesAt), 4, 1), of(normalise(held, rulesAt), 4, 1)]);
  });

  test('holds details against those of the same audience only', () => {
    const detail: Detail = { type: 'read', folder: '/a' };
    const parent: readonly CeilingPair[] = [{ audience: 'x', scopes: ['s'], details: [{ type: 'read', folder: '/' }] }, { audience: 'y', scopes: ['s'] }];
    expect(narrowOne({ audience: 'x', scopes: ['s'], details: [detail] }, parent)).toEqual({ audience: 'x', scopes: ['s'], details: [detail] });
    expect(narrowOne({ audience: 'y', scopes: ['s'], details: [detail] }, parent)).toEqual({ audience: 'y', scopes: ['s'] });
  });
});

describe('being within', () => {
  test.each([
    { name: 'the same', child: held, within: true },
    { name: 'less', child: [{ audience: API, scopes: ['b'] }], within: true },
    { name: 'nothing', child: [], within: true },
    { name: 'a scope more', child: [{ audience: API, scopes: ['a', 'b', 'c'] }], within: false },
    { name: 'another scope', child: [{ audience: API, scopes: ['c'] }], within: false },
    { name: 'the audience itself where only scopes are held', child: [{ audience: API, scopes: [] }], within: false },
    { name: 'another audience beside one that is held', child: [{ audience: API, scopes: ['a'] }, { audience: 'https://other.example', scopes: [] }], within: false },
    { name: 'a detail where none is held', child: [{ audience: API, scopes: ['a'], details: [{ type: 'read', folder: '/a' }] }], within: false },
    { name: 'a detail that nobody understands', child: [{ audience: API, scopes: ['a'], details: [{ type: 'write', folder: '/a' }] }], within: false },
    { name: 'a detail of a known type with a field that nobody understands', child: [{ audience: API, scopes: ['a'], details: [{ type: 'read', folder: '/a', depth: 1 }] }], within: false },
  ])('is asked of $name: $within', ({ child, within }) => {
    expect(isWithin(of(child), of(held), rulesAt)).toBe(within);
  });

  test.each([
    { name: 'the same end and depth', child: of(held, 7, 3), within: true },
    { name: 'an earlier end and less depth', child: of(held, 6, 2), within: true },
    { name: 'a later end', child: of(held, 8, 3), within: false },
    { name: 'more depth', child: of(held, 7, 4), within: false },
  ])('is asked of $name: $within', ({ child, within }) => {
    expect(isWithin(child, of(held, 7, 3), rulesAt)).toBe(within);
  });
});

describe('for any ceilings', () => {
  const scope = fc.constantFrom('a', 'b', 'c', 'A', '*', '', ' a', 'a b');
  const action = fc.constantFrom('send', 'Send', 'list', '*');
  const detail: fc.Arbitrary<Detail> = fc.oneof(
    fc.record({ type: fc.constant('pay'), amount: fc.nat(3), actions: fc.array(action, { minLength: 1, maxLength: 3 }) }),
    fc.record({ type: fc.constant('pay'), amount: fc.nat(3), to: fc.constantFrom('x', 'X', 'x '), actions: fc.array(action, { minLength: 1, maxLength: 3 }) }),
    fc.record({ type: fc.constantFrom('read', 'Read'), folder: fc.constantFrom('/', '/a', '/a/b', '/A', '/ab', '/a/', '/*') }),
  );
  const pair: fc.Arbitrary<CeilingPair> = fc.record({ audience: fc.constantFrom('x', 'y', 'x/', 'X'), scopes: fc.array(scope, { maxLength: 4 }), details: fc.array(detail, { maxLength: 4 }) });
  const pairs = fc.array(pair, { maxLength: 4 });
  const ceiling: fc.Arbitrary<Ceiling> = fc.record({ pairs, endsAt: fc.nat(3), depth: fc.nat(3) });
  /** What a ceiling is when all that nobody understands is left out. */
  const plain = (raw: Ceiling): Ceiling => ({ ...raw, pairs: normalise(raw.pairs, rulesAt) });

  test('what is kept is within both, so a child is within its parent however long the chain', () => {
    fc.assert(fc.property(ceiling, fc.array(ceiling, { minLength: 1, maxLength: 5 }), (root, asks) => {
      let parent = plain(root);
      for (const ask of asks) {
        const child = narrow(ask, parent, rulesAt);
        expect([isWithin(child, parent, rulesAt), isWithin(child, plain(ask), rulesAt), isWithin(child, plain(root), rulesAt)]).toEqual([true, true, true]);
        parent = child;
      }
    }));
  });

  test('the order of two narrowings does not matter, and doing one twice changes nothing', () => {
    fc.assert(fc.property(ceiling, ceiling, ceiling, (ask, one, other) => {
      expect(narrow(narrow(ask, one, rulesAt), other, rulesAt)).toEqual(narrow(narrow(ask, other, rulesAt), one, rulesAt));
      expect(narrow(narrow(ask, one, rulesAt), one, rulesAt)).toEqual(narrow(ask, one, rulesAt));
      expect(narrow(ask, ask, rulesAt)).toEqual(plain(ask));
    }));
  });

  test('being within is transitive and holds for oneself', () => {
    fc.assert(fc.property(ceiling.map(plain), ceiling.map(plain), ceiling.map(plain), (a, b, c) => {
      expect(isWithin(a, a, rulesAt)).toBe(true);
      const [inner, outer] = [narrow(a, b, rulesAt), narrow(b, c, rulesAt)];
      if (isWithin(inner, outer, rulesAt)) expect(isWithin(inner, c, rulesAt)).toBe(true);
    }));
  });

  test('every right that is kept was asked and was held, by its exact text', () => {
    const rights = (list: readonly CeilingPair[]): ReadonlySet<string> => new Set(list.flatMap(({ audience, scopes }) => (scopes.length === 0 ? [audience] : scopes.map((each) => `${audience}\n${each}`))));
    fc.assert(fc.property(pairs, pairs, (ask, parent) => {
      const kept = rights(narrowPairs(ask, parent, rulesAt));
      expect([...kept].filter((right) => !rights(ask).has(right) || !rights(parent).has(right))).toEqual([]);
    }));
  });

  test('neither order nor doubles nor how a list is cut into pairs changes what is held', () => {
    fc.assert(fc.property(pairs, pairs, (ask, parent) => {
      const cut = parent.flatMap(({ audience, scopes, details = [] }): CeilingPair[] => [...scopes.map((each) => ({ audience, scopes: [each] })), { audience, scopes, details: [...details, ...details].reverse() }]).reverse();
      expect(narrowPairs(ask, [...cut, ...cut], rulesAt)).toEqual(narrowPairs(ask, parent, rulesAt));
    }));
  });

  test('normalising neither adds nor loses a scope, and of details loses only what nobody understands or another gives', () => {
    const facts = (list: readonly CeilingPair[]): readonly string[] => [...new Set(list.flatMap(({ audience, scopes }) => scopes.map((each) => `${audience}#${each}`)))].sort();
    fc.assert(fc.property(pairs, (raw) => {
      const plainPairs = normalise(raw, rulesAt);
      expect(facts(plainPairs)).toEqual(facts(raw));
      for (const { audience, details = [] } of mergePairs(raw)) {
        const kept = plainPairs.find((each) => each.audience === audience)?.details ?? [];
        expect(narrowDetails(details, kept, rulesAt(audience))).toEqual(normaliseDetails(details, rulesAt(audience)));
      }
    }));
  });
});
