import { expect, describe, test } from '@jest/globals';
import { rememberLast } from '../../src/core/remember.ts';

describe('remember the last', () => {
  test('an answer is made once, and again after too many others', () => {
    const made: number[] = [];
    const double = rememberLast((value) => { made.push(value); return value * 2; }, 2);
    expect([double(1), double(1), double(2), double(1)]).toEqual([2, 2, 4, 2]);
    expect(made).toEqual([1, 2]);
    expect([double(3), double(1)]).toEqual([6, 2]);
    expect(made).toEqual([1, 2, 3, 1]);
  });

  test('what cannot be answered is asked anew', () => {
    let asked = 0;
    const failing = rememberLast((value) => { asked += 1; return new Date(value).toISOString(); });
    expect(() => failing(Number.NaN)).toThrow(RangeError);
    expect(() => failing(Number.NaN)).toThrow(RangeError);
    expect(asked).toBe(2);
  });
});
