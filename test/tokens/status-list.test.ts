import { inflateSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { packStatuses, STATUS, statusClaim, statusListClaims, statusListUri } from '../../src/tokens/status-list.ts';
import type { Status } from '../../src/tokens/status-list.ts';
import { START } from '../keys/make-ring.ts';

/** Read as Token Status List section 4.1 says, entry by entry: the least significant bits of a byte are its first entry. */
const read = (bytes: Uint8Array, index: number): number => ((bytes[(index - (index % 4)) / 4] ?? 0) >> (2 * (index % 4))) % 4;
const NAMES: readonly Status[] = ['valid', 'invalid', 'suspended'];

/** The examples of the specification use a third status, 3, which is never given here: where they do, ours is valid. */
const statusesOf = (values: readonly (readonly [number, number])[]): readonly (readonly [number, Status])[] => values.filter(([, value]) => value < 3).map(([index, value]) => [index, NAMES[value] ?? 'valid']);

describe('the vectors of the specification', () => {
  test('section 4.1: twelve entries in three bytes', () => {
    const values = [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3].map((value, index): readonly [number, number] => [index, value]);
    const theirs = inflateSync(Buffer.from('eNo76fITAAPfAgc', 'base64url'));
    expect(theirs.toString('hex')).toBe('c944f9');
    expect(values.map(([index]) => read(theirs, index))).toEqual(values.map(([, value]) => value));
    // Entries 3, 10 and 11 are theirs alone.
    expect(Buffer.from(packStatuses(12, statusesOf(values))).toString('hex')).toBe('094409');
  });

  test('appendix: a list of 2^20 entries', () => {
    const values: readonly (readonly [number, number])[] = [[0, 1], [1993, 2], [25460, 1], [159495, 3], [495669, 1], [554353, 1], [645645, 2], [723232, 1], [854545, 1], [934534, 2], [1000345, 3]];
    const theirs = inflateSync(Buffer.from(
      'eNrt2zENACEQAEEuoaBABP5VIO01fCjIHTMStt9ovGVIAAAAAABAbiEBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEB5WwIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAID0ugQAAAAAAAAAAAAAAAAAQG12SgAAAAAAAAAAAAAAAAAAAAAAAAAAAOCSIQEAAAAAAAAAAAAAAAAAAAAAAAD8ExIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAwJEuAQAAAAAAAAAAAAAAAAAAAAAAAMB9SwIAAAAAAAAAAAAAAAAAAACoYUoAAAAAAAAAAAAAAEBqH81gAQw', 'base64url'));
    expect(theirs).toHaveLength(262_144);
    const ours = packStatuses(1_048_576, statusesOf(values));
    for (const index of [159495, 1000345]) theirs[index >> 2] = (theirs[index >> 2] ?? 0) & ~(3 << (2 * (index % 4)));
    expect(Buffer.from(ours).equals(theirs)).toBe(true);
  });
});

describe('a packed list', () => {
  test('says of every entry what was said of it, last, and of all others that they are valid', () => {
    const size = fc.integer({ min: 1, max: 64 }).map((bytes) => bytes * 4);
    fc.assert(fc.property(size.chain((entries) => fc.tuple(fc.constant(entries), fc.array(fc.tuple(fc.nat(entries - 1), fc.constantFrom(...NAMES))))), ([entries, statuses]) => {
      const bytes = packStatuses(entries, statuses);
      const last = new Map(statuses);
      expect(bytes).toHaveLength(entries / 4);
      for (let index = 0; index < entries; index += 1) expect(read(bytes, index)).toBe(STATUS[last.get(index) ?? 'valid']);
    }));
  });

  test.each([-1, 8, 0.5, Number.NaN, Number.POSITIVE_INFINITY])('has no entry %d', (index) => {
    expect(() => packStatuses(8, [[index, 'invalid']])).toThrow(RangeError);
    expect(packStatuses(8, [[7, 'invalid']])).toEqual(Uint8Array.of(0, 0b01000000));
  });

  test('ends with a byte', () => {
    expect(() => packStatuses(6, [])).toThrow(RangeError);
  });
});

test('the claims of a list are those of section 5.1, from the moment it was looked at', async () => {
  const uri = statusListUri('https://sts.acme.example/prod', 'AAAAAAAAAAAAAAAAAAAAAA');
  const claims = await statusListClaims({ issuer: 'https://sts.acme.example/prod', uri, at: START + 999 }, Uint8Array.of(0xc9, 0x44, 0xf9));
  expect(claims).toEqual({
    iss: 'https://sts.acme.example/prod', sub: 'https://sts.acme.example/prod/status/AAAAAAAAAAAAAAAAAAAAAA', iat: START / 1000, exp: START / 1000 + 300, ttl: 30,
    status_list: { bits: 2, lst: 'eNo76fITAAPfAgc' },
  });
});

test('a token names its entry as section 6.2 says', () => {
  expect(statusClaim({ index: 7, uri: 'https://sts.acme.example/prod/status/x' })).toEqual({ status_list: { idx: 7, uri: 'https://sts.acme.example/prod/status/x' } });
});
