import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nearest } from '../../src/registry/problem.ts';

/** The definition: the fewest insertions, removals and replacements. */
const distance = (a: string, b: string): number => {
  if (a === '' || b === '') return Math.max(a.length, b.length);
  const [aRest, bRest] = [a.slice(1), b.slice(1)];
  return a[0] === b[0] ? distance(aRest, bRest) : 1 + Math.min(distance(aRest, b), distance(a, bRest), distance(aRest, bRest));
};

test('the name that was meant is the first of those with the fewest edits, at most two', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', '/', 'A'), minLength: 1, maxLength: 7 });
  fc.assert(fc.property(word, fc.array(word, { maxLength: 6 }), (asked, names) => {
    const edits = names.map((name) => distance(asked.toLowerCase(), name.toLowerCase()));
    const fewest = Math.min(...edits);
    expect(nearest(asked, names)).toBe(fewest > 2 ? undefined : names[edits.indexOf(fewest)]);
  }), { numRuns: 500 });
});

test.each([
  { word: 'ci/pipelin-77', names: ['ci/pipeline-78', 'ci/pipeline-77'], meant: 'ci/pipeline-77' },
  { word: 'CI/Deployer', names: ['ci/deployer'], meant: 'ci/deployer' },
  { word: 'ci/deployer', names: ['svc/other'], meant: undefined },
  { word: 'aaa', names: ['a'], meant: 'a' },
  { word: 'aaaa', names: ['a'], meant: undefined },
])('$word means $meant', ({ word, names, meant }) => {
  expect(nearest(word, names)).toBe(meant);
});
