import { beforeAll, describe, expect, test } from '@jest/globals';
import { calculateJwkThumbprint } from 'jose';
import { systemRandom } from '../../src/core/random.ts';
import { createKeyEncryption, KekError, parseKek } from '../../src/keys/kek.ts';
import { createKeyOpener, openSigningKey, rewrapSigningKey } from '../../src/keys/signing-key.ts';
import type { KeyRow } from '../../src/store/rows.ts';
import { makeEncryption, makeRow, OTHER_DOMAIN, stored } from './make-ring.ts';

const encryption = makeEncryption();
let first: KeyRow;
let second: KeyRow;
beforeAll(async () => {
  [first, second] = await Promise.all([makeRow(encryption), makeRow(encryption)]);
});

test.each(['ES256', 'RS256'] as const)('makes an %s key whose kid is its thumbprint and which opens again', async (algorithm) => {
  const row = await makeRow(encryption, { algorithm });
  expect(row.kid).toBe(await calculateJwkThumbprint({ ...row.publicJwk }));
  expect(row.version).toBe(1);
  const key = openSigningKey(row, encryption);
  expect(key.publicKey.export({ format: 'jwk' })).toEqual(row.publicJwk);
  if (algorithm === 'RS256') expect(key.privateKey.asymmetricKeyDetails?.modulusLength).toBeGreaterThanOrEqual(2048);
});

test('gives no key an id that begins with a dash, which a command line takes for an option', async () => {
  const rows = await Promise.all(Array.from({ length: 1000 }, () => makeRow(encryption)));
  expect(rows.filter(({ kid }) => kid.startsWith('-'))).toEqual([]);
});

test('holds no private member in clear', () => {
  const d = openSigningKey(first, encryption).privateKey.export({ format: 'jwk' }).d ?? '';
  expect(d).not.toBe('');
  expect(JSON.stringify(first)).not.toContain(d);
  expect(Object.keys(first.publicJwk).sort()).toEqual(['crv', 'kty', 'x', 'y']);
});

describe('opening', () => {
  test.each([
    { name: 'the sealed value of another row', change: () => ({ sealed: second.sealed }) },
    { name: 'another domain', change: () => ({ domainId: OTHER_DOMAIN }) },
    { name: 'another purpose', change: () => ({ purpose: 'aws' as const }) },
    { name: 'another algorithm', change: () => ({ algorithm: 'RS256' as const }) },
    { name: 'another kid', change: () => ({ kid: second.kid }) },
    { name: 'an erased private key', change: () => ({ sealed: '' }) },
  ])('refuses a row with $name', ({ change }) => {
    expect(() => openSigningKey({ ...first, ...change() }, encryption)).toThrow(KekError);
    expect(openSigningKey(first, encryption).kid).toBe(first.kid);
  });

  test('refuses a row whose public key was replaced', () => {
    expect(() => openSigningKey({ ...first, publicJwk: second.publicJwk }, encryption)).toThrow('not that of its private key');
  });

  test('refuses under another KEK, and says which one is missing', () => {
    expect(() => openSigningKey(first, makeEncryption())).toThrow(first.kekId);
  });

  test('happens once for each row object', () => {
    const open = createKeyOpener(encryption);
    expect(open(first)).toBe(open(first));
    expect(open({ ...first })).not.toBe(open(first));
  });
});

describe('rewrapping', () => {
  const successor = parseKek(systemRandom.bytes(32));

  test('seals under the current KEK, as the next version of the row', async () => {
    const oldKek = parseKek(systemRandom.bytes(32));
    const row = await makeRow(createKeyEncryption({ current: oldKek, random: systemRandom }));
    const both = createKeyEncryption({ current: successor, old: [oldKek], random: systemRandom });
    const rewrapped = rewrapSigningKey(row, both);
    expect(rewrapped).toMatchObject({ kid: row.kid, version: 2, kekId: successor.id, status: row.status });
    const alone = createKeyEncryption({ current: successor, random: systemRandom });
    if (rewrapped === undefined) throw new Error('not rewrapped');
    expect(openSigningKey(stored(rewrapped), alone).privateKey.equals(openSigningKey(row, both).privateKey)).toBe(true);
    expect(rewrapSigningKey(stored(rewrapped), both)).toBeUndefined();
  });

  test('leaves an erased key alone', () => {
    const both = createKeyEncryption({ current: successor, random: systemRandom });
    expect(rewrapSigningKey({ ...first, status: 'gone', sealed: '' }, both)).toBeUndefined();
  });
});
