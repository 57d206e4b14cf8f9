import { createSecretKey } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { createAuditCodes } from '../../src/core/audit-code.ts';
import { systemRandom } from '../../src/core/random.ts';

const makeKey = () => createSecretKey(systemRandom.bytes(32));

describe('audit codes', () => {
  const key = makeKey();
  const codes = createAuditCodes([key]);
  const head = { n: 7, hash: 'h7' };
  const code = codes.make('chn_a', head);

  test('prove the entry they were made for', () => {
    expect(codes.proves('chn_a', head, code)).toBe(true);
    expect(code).toMatch(/^[\w-]{43}$/);
  });

  test.each([
    { name: 'another chain', proves: () => codes.proves('chn_b', head, code) },
    { name: 'another entry', proves: () => codes.proves('chn_a', { ...head, n: 8 }, code) },
    { name: 'another hash', proves: () => codes.proves('chn_a', { ...head, hash: 'h8' }, code) },
    { name: 'an entry of who has another key', proves: () => createAuditCodes([makeKey()]).proves('chn_a', head, code) },
    { name: 'anything when they are cut short', proves: () => codes.proves('chn_a', head, code.slice(0, -1)) },
    { name: 'anything when they are empty', proves: () => codes.proves('chn_a', head, '') },
  ])('do not prove $name', ({ proves }) => {
    expect(proves()).toBe(false);
  });

  test('count on under a key of former days, which makes none any more', () => {
    const changed = createAuditCodes([makeKey(), key]);
    expect(changed.proves('chn_a', head, code)).toBe(true);
    expect(changed.make('chn_a', head)).not.toBe(code);
    expect(codes.proves('chn_a', head, changed.make('chn_a', head))).toBe(false);
  });
});
