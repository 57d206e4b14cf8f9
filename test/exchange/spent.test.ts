import { expect, test } from '@jest/globals';
import { createSpent } from '../../src/exchange/spent.ts';

test('evidence that was used up is known, and no other', () => {
  const spent = createSpent();
  spent.add('one');
  expect(['one', 'two', 'One'].map((key) => spent.has(key))).toEqual([true, false, false]);
});

test('evidence that is good more than once is never used up', () => {
  const spent = createSpent();
  spent.add(null);
  expect(spent.has(null)).toBe(false);
  expect(spent.has('null')).toBe(false);
});

test('the oldest is forgotten first, so that memory is bounded; the commit still finds it', () => {
  const spent = createSpent(2);
  for (const key of ['one', 'two', 'three']) spent.add(key);
  expect(['one', 'two', 'three'].map((key) => spent.has(key))).toEqual([false, true, true]);
});

test('what is shown again and again is remembered longest', () => {
  const spent = createSpent(2);
  for (const key of ['one', 'two']) spent.add(key);
  spent.has('one');
  spent.add('three');
  expect(['one', 'two', 'three'].map((key) => spent.has(key))).toEqual([true, false, true]);
});
