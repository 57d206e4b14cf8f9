import { describe, expect, test } from '@jest/globals';
import { createRateLimit, limitKeyOf } from '../../src/http/limits.ts';

const at = (start: number) => {
  let now = start;
  return { now: () => now, advance: (ms: number) => { now += ms; } };
};

describe('the rate limit', () => {
  test('admits a burst of twice the rate, then says how long to wait', () => {
    const limit = createRateLimit(at(0), 5);
    expect(Array.from({ length: 10 }, () => limit('a'))).toEqual(Array.from({ length: 10 }, () => undefined));
    expect(limit('a')).toBe(1);
  });

  test('counts each key by itself', () => {
    const limit = createRateLimit(at(0), 1);
    limit('a');
    limit('a');
    expect(limit('a')).toBe(1);
    expect(limit('b')).toBeUndefined();
  });

  test('admits the rate in the long run', () => {
    const clock = at(0);
    const limit = createRateLimit(clock, 5);
    let admitted = 0;
    for (let turn = 0; turn < 1000; turn += 1) {
      if (limit('a') === undefined) admitted += 1;
      clock.advance(10);
    }
    expect(admitted).toBeGreaterThanOrEqual(50);
    expect(admitted).toBeLessThanOrEqual(60);
  });

  test('forgets only the key seen longest ago', () => {
    const limit = createRateLimit(at(0), 1, 2);
    for (const key of ['a', 'a', 'b', 'b']) limit(key);
    limit('b');
    limit('c');
    expect(limit('a')).toBeUndefined();
  });
});

describe('what counts as one address', () => {
  test.each([
    { name: 'an IPv4 address', one: '192.0.2.1', other: '192.0.2.2', same: false },
    { name: 'an IPv4 address, however the socket spells it', one: '192.0.2.1', other: '::ffff:192.0.2.1', same: true },
    { name: 'two IPv4 addresses of a socket that spells them as IPv6', one: '::ffff:192.0.2.1', other: '::ffff:192.0.2.2', same: false },
    { name: 'all of an IPv6 /64', one: '2001:db8:0:1::1', other: '2001:db8:0:1:ffff::2', same: true },
    { name: 'another IPv6 /64', one: '2001:db8:0:1::1', other: '2001:db8:0:2::1', same: false },
    { name: 'whatever is no address', one: 'spoofed', other: undefined, same: true },
  ])('$name', ({ one, other, same }) => {
    expect(limitKeyOf(one) === limitKeyOf(other)).toBe(same);
  });
});
