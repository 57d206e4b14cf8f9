import { beforeAll, describe, expect, test } from '@jest/globals';
import { HOUR } from '../../src/core/duration.ts';
import { openKeyRing } from '../../src/keys/key-ring.ts';
import { createKeyOpener } from '../../src/keys/signing-key.ts';
import type { KeyRow } from '../../src/store/rows.ts';
import { makeEncryption, makeRow, OTHER_DOMAIN, START } from './make-ring.ts';

const encryption = makeEncryption();
const open = createKeyOpener(encryption);
let row: KeyRow;
beforeAll(async () => {
  row = await makeRow(encryption);
});
const ringOf = (...rows: KeyRow[]) => openKeyRing(rows, open).ring;
const kids = (...rows: KeyRow[]): string[] => ringOf(...rows).published(START).map((key) => key.kid);

describe('one key in each state', () => {
  test.each([
    { name: 'next', change: { status: 'next' as const }, signs: false, published: true, verifies: true },
    { name: 'current', change: {}, signs: true, published: true, verifies: true },
    { name: 'retired, not over', change: { status: 'retired' as const, notAfter: START + 1 }, signs: false, published: true, verifies: true },
    { name: 'retired and over', change: { status: 'retired' as const, notAfter: START }, signs: false, published: false, verifies: false },
    { name: 'gone', change: { status: 'gone' as const, sealed: '' }, signs: false, published: false, verifies: false },
  ])('$name', ({ change, signs, published, verifies }) => {
    const changed = { ...row, ...change };
    expect(ringOf(changed).current('access', 'ES256') !== undefined).toBe(signs);
    expect(kids(changed)).toEqual(published ? [row.kid] : []);
    expect(ringOf(changed).verifying(row.kid, 'access', START) !== undefined).toBe(verifies);
  });

  test('revoked: neither signs nor is published, and whoever asks is told', () => {
    const revoked = { ...row, status: 'revoked' as const, sealed: '' };
    expect(ringOf(revoked).current('access', 'ES256')).toBeUndefined();
    expect(kids(revoked)).toEqual([]);
    expect(ringOf(revoked).verifying(row.kid, 'access', START)).toBe('revoked');
  });
});

test('gives a key for its own purpose and algorithm only', () => {
  expect(ringOf(row).verifying(row.kid, 'access', START)).toBeDefined();
  expect(ringOf(row).verifying(row.kid, 'aws', START)).toBeUndefined();
  expect(ringOf(row).current('aws', 'ES256')).toBeUndefined();
  expect(ringOf(row).current('access', 'RS256')).toBeUndefined();
});

test.each(['', 'unknown', '../../x', '__proto__', 'constructor'])('knows no key %j', (kid) => {
  expect(ringOf(row).verifying(kid, 'access', START)).toBeUndefined();
});

test('goes by the newest version, in whatever order the rows come', () => {
  const revoked = { ...row, version: 2, status: 'revoked' as const, sealed: '' };
  expect(kids(revoked, row)).toEqual([]);
  expect(kids(row, revoked)).toEqual([]);
});

test('signs with the one that became current last should there ever be two', async () => {
  const later = await makeRow(encryption, { notBefore: START + HOUR });
  expect(ringOf(later, row).current('access', 'ES256')?.kid).toBe(later.kid);
});

test('leaves out a key that does not open, says so, and keeps the others', async () => {
  const other = await makeRow(encryption);
  const { ring, problems } = openKeyRing([{ ...row, sealed: other.sealed }, other], open);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toContain(row.kid);
  expect(ring.published(START).map((key) => key.kid)).toEqual([other.kid]);
  expect(ring.verifying(row.kid, 'access', START)).toBeUndefined();
  expect(openKeyRing([row, other], open).problems).toEqual([]);
});

test('leaves out a planted key, which nobody without the KEK can seal', async () => {
  const planted = await makeRow(makeEncryption());
  const { ring, problems } = openKeyRing([{ ...planted, kekId: encryption.currentId }], open);
  expect(ring.published(START)).toEqual([]);
  expect(problems).toHaveLength(1);
});

test('is of one domain', async () => {
  const foreign = await makeRow(encryption, { domainId: OTHER_DOMAIN });
  expect(() => ringOf(row, foreign)).toThrow('several domains');
});
