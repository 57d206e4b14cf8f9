import { expect, test } from '@jest/globals';
import { gently } from '../../src/registry/gently.ts';
import { everyTurn } from '../support/every-turn.ts';

const turnsFor = async (count: number, every?: number): Promise<{ readonly items: readonly number[]; readonly turns: number }> => {
  const items: number[] = [];
  const turns = everyTurn();
  for await (const item of gently(Array.from({ length: count }, (_, n) => n), every)) items.push(item);
  return { items, turns: turns.stop() };
};

test.each([
  { name: 'few items are passed on at once', count: 99, every: undefined, least: 0, most: 0 },
  { name: 'after each hundred others get a turn', count: 1_000, every: undefined, least: 9, most: 11 },
  { name: 'after each one where one is dear', count: 20, every: 1, least: 19, most: 21 },
])('$name, all of them in order', async ({ count, every, least, most }) => {
  const { items, turns } = await turnsFor(count, every);
  expect(items).toEqual(Array.from({ length: count }, (_, n) => n));
  expect(turns).toBeGreaterThanOrEqual(least);
  expect(turns).toBeLessThanOrEqual(most);
});
