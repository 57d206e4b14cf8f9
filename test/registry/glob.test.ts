import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { matchesGlob } from '../../src/registry/glob.ts';

/** The definition, tried in every way: slow and obvious. */
const naive = (pattern: string, text: string): boolean => {
  if (pattern === '') return text === '';
  if (pattern[0] !== '*') return text !== '' && text[0] === pattern[0] && naive(pattern.slice(1), text.slice(1));
  if (naive(pattern.slice(1), text)) return true;
  return text !== '' && text[0] !== '/' && text[0] !== ':' && naive(pattern, text.slice(1));
};

describe('patterns', () => {
  test('agree with the naive matcher', () => {
    const letters = fc.constantFrom('a', 'b', '/', ':', '*', '.');
    const pattern = fc.array(letters, { maxLength: 10 }).map((parts) => parts.join(''));
    const text = fc.array(fc.constantFrom('a', 'b', '/', ':', '.', '\n'), { maxLength: 10 }).map((parts) => parts.join(''));
    fc.assert(fc.property(pattern, text, (p, t) => matchesGlob(p, t) === naive(p, t)), { numRuns: 3_000 });
  });

  test('match what they were made from', () => {
    const part = fc.string({ unit: 'binary', maxLength: 5 }).filter((text) => !text.includes('*'));
    const fill = fc.string({ unit: 'binary', maxLength: 5 }).filter((text) => !/[*/:]/.test(text));
    fc.assert(fc.property(fc.array(fc.tuple(part, fill), { maxLength: 5 }), part, (pairs, tail) => {
      const pattern = pairs.map(([fixed]) => `${fixed}*`).join('') + tail;
      const text = pairs.map(([fixed, filled]) => fixed + filled).join('') + tail;
      return matchesGlob(pattern, text);
    }));
  });

  test.each([
    { name: 'a longer name', pattern: 'refs/heads/main', text: 'refs/heads/main2' },
    { name: 'a prefix', pattern: 'refs/heads/main', text: 'xrefs/heads/main' },
    { name: 'a slash under the star', pattern: 'refs/heads/*', text: 'refs/heads/a/b' },
    { name: 'a colon under the star', pattern: 'repo:acme*', text: 'repo:acme/x:ref' },
    { name: 'another case', pattern: 'refs/heads/*', text: 'Refs/heads/a' },
    { name: 'regular expression characters', pattern: 'a.c', text: 'abc' },
  ])('refuse $name', ({ pattern, text }) => {
    expect(matchesGlob(pattern, text)).toBe(false);
  });

  test('take what stays within a segment', () => {
    expect([matchesGlob('refs/heads/*', 'refs/heads/a'), matchesGlob('refs/*/v*', 'refs/tags/v1.2'), matchesGlob('*', ''), matchesGlob('a.c', 'a.c')]).toEqual([true, true, true, true]);
  });
});
