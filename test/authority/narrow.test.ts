import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isWithin, narrow, normalise } from '../../src/authority/narrow.ts';
import type { CeilingPair } from '../../src/store/rows.ts';

const API = 'https://api.example';
const held: readonly CeilingPair[] = [{ audience: API, scopes: ['a', 'b'] }, { audience: 'https://whole.example', scopes: [] }];

describe('narrowing', () => {
  test.each([
    { name: 'an audience that is not held', ask: { audience: 'https://other.example', scopes: ['a'] }, kept: undefined },
    { name: 'the audience itself where only scopes are held', ask: { audience: API, scopes: [] }, kept: undefined },
    { name: 'an audience that is a prefix of a held one', ask: { audience: 'https://api', scopes: ['a'] }, kept: undefined },
    { name: 'an audience that differs in case', ask: { audience: 'https://API.example', scopes: ['a'] }, kept: undefined },
  ])('gives nothing for $name', ({ ask, kept }) => {
    expect(narrow(ask, held)).toEqual(kept);
  });

  test.each([
    { name: 'a scope that is not held', scopes: ['a', 'c'], kept: ['a'] },
    { name: 'a scope that differs in case', scopes: ['A', 'b'], kept: ['b'] },
    { name: 'a wildcard', scopes: ['*', 'a'], kept: ['a'] },
    { name: 'a scope with a space in it', scopes: ['a b', 'a'], kept: ['a'] },
  ])('leaves out $name', ({ scopes, kept }) => {
    expect(narrow({ audience: API, scopes }, held)?.scopes).toEqual(kept);
  });

  test('gives the audience itself where that is what is held', () => {
    expect(narrow({ audience: 'https://whole.example', scopes: [] }, held)).toEqual({ audience: 'https://whole.example', scopes: [] });
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
  ])('is asked of $name: $within', ({ child, within }) => {
    expect(isWithin(child, held)).toBe(within);
  });
});

describe('for any ceilings', () => {
  const scope = fc.constantFrom('a', 'b', 'c', 'A', '*', '');
  const pair = fc.record({ audience: fc.constantFrom('x', 'y', 'x/', 'X'), scopes: fc.array(scope, { maxLength: 4 }) });
  const ceiling = fc.array(pair, { maxLength: 4 }).map(normalise);

  test('what is kept is within what was held, and within what was asked', () => {
    fc.assert(fc.property(pair, ceiling, (ask, parent) => {
      const kept = narrow(ask, parent);
      if (kept === undefined) return;
      expect(kept.scopes.every((each) => (ask.scopes as readonly string[]).includes(each))).toBe(true);
      if (kept.scopes.length > 0 || ask.scopes.length === 0) expect(isWithin([kept], parent)).toBe(true);
    }));
  });

  test('the order of two narrowings does not matter', () => {
    fc.assert(fc.property(pair, ceiling, ceiling, (ask, one, other) => {
      const twice = (first: readonly CeilingPair[], second: readonly CeilingPair[]): readonly string[] | undefined => {
        const kept = narrow(ask, first);
        // A pair of which no scope is left is refused by the exchange, never taken for the audience itself.
        if (kept === undefined || (ask.scopes.length > 0 && kept.scopes.length === 0)) return undefined;
        const again = narrow(kept, second);
        return again === undefined || (ask.scopes.length > 0 && again.scopes.length === 0) ? undefined : again.scopes;
      };
      expect(twice(one, other)).toEqual(twice(other, one));
    }));
  });

  test('being within is transitive and holds for oneself', () => {
    fc.assert(fc.property(ceiling, ceiling, ceiling, (a, b, c) => {
      expect(isWithin(a, a)).toBe(true);
      if (isWithin(a, b) && isWithin(b, c)) expect(isWithin(a, c)).toBe(true);
    }));
  });

  test('normalising neither adds nor loses a scope', () => {
    fc.assert(fc.property(fc.array(pair, { maxLength: 6 }), (raw) => {
      const facts = (list: readonly CeilingPair[]): readonly string[] => [...new Set(list.flatMap(({ audience, scopes }) => scopes.map((each) => `${audience}#${each}`)))].sort();
      expect(facts(normalise(raw))).toEqual(facts(raw));
    }));
  });
});
