import { expect, test } from '@jest/globals';
import { systemRandom } from '../../src/core/random.ts';
import { shuffle } from '../../src/core/shuffle.ts';

const NUMBERS = Array.from({ length: 1_000 }, (_, index) => index);

test('keeps every item, in another order, and leaves what it was given alone', () => {
  const given = [...NUMBERS];
  const shuffled = shuffle(given, systemRandom);
  expect(given).toEqual(NUMBERS);
  expect(shuffled).not.toEqual(NUMBERS);
  expect(shuffled.toSorted((a, b) => a - b)).toEqual(NUMBERS);
  expect(shuffle(given, systemRandom)).not.toEqual(shuffled);
});

test('takes every order from the randomness it is given', () => {
  const drawing = (...draws: readonly number[]) => ({ bytes: () => Uint8Array.from(draws.flatMap((draw) => [0, 0, 0, 0, 0, draw])) });
  expect(shuffle(['a', 'b', 'c'], drawing(3, 1, 2))).toEqual(['b', 'c', 'a']);
  expect(shuffle(['a', 'b', 'c'], drawing(2, 3, 1))).toEqual(['c', 'a', 'b']);
});

test('puts each item in each place about as often', () => {
  const places = Array.from({ length: 4 }, () => [0, 0, 0, 0]);
  for (let turn = 0; turn < 4_000; turn += 1) shuffle([0, 1, 2, 3], systemRandom).forEach((item, place) => { (places[item] ?? [])[place] = (places[item]?.[place] ?? 0) + 1; });
  // A thousand each; eight standard deviations are some 220.
  for (const count of places.flat()) expect(Math.abs(count - 1_000)).toBeLessThan(220);
});
