import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { systemRandom } from '../../src/core/random.ts';
import { createKeyEncryption, KekError, parseKek } from '../../src/keys/kek.ts';

const raw = Buffer.from(systemRandom.bytes(32));
const encrypt = (current: Uint8Array, old: readonly Uint8Array[] = []) => createKeyEncryption({ current: parseKek(current), old: old.map((bytes) => parseKek(bytes)), random: systemRandom });
const kindOf = (attempt: () => unknown): string => {
  try {
    attempt();
    return 'nothing thrown';
  } catch (error) {
    return error instanceof KekError ? error.kind : 'another error';
  }
};

describe('reading a KEK', () => {
  test.each([
    { name: '32 raw bytes', source: raw },
    { name: 'base64 text', source: raw.toString('base64') },
    { name: 'base64url text', source: raw.toString('base64url') },
    { name: 'a text file with a line feed', source: Buffer.from(`${raw.toString('base64')}\n`) },
  ])('takes $name', ({ source }) => {
    expect(parseKek(source).id).toBe(parseKek(raw).id);
  });

  test.each([
    { name: '31 bytes', source: raw.subarray(0, 31) },
    { name: '33 bytes', source: Buffer.concat([raw, Buffer.from([0])]) },
    { name: 'base64 of 16 bytes', source: raw.subarray(0, 16).toString('base64') },
    { name: 'a password of 32 characters', source: Buffer.from('correct horse battery staple 32!') },
    { name: 'zeros', source: Buffer.alloc(32) },
    { name: 'text that is not base64', source: `${raw.toString('base64').slice(0, 43)}!` },
    { name: 'nothing', source: '' },
  ])('refuses $name', ({ source }) => {
    expect(kindOf(() => parseKek(source))).toBe('malformed');
  });

  test('shows neither key nor derived bytes when printed', () => {
    expect(JSON.stringify(parseKek(raw))).not.toContain(raw.toString('base64').slice(0, 8));
    expect(parseKek(raw).id).toMatch(/^[0-9a-f]{16}$/);
  });
});

describe('sealing', () => {
  test('opens what it sealed for the same row', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), (plaintext, context) => {
      const encryption = encrypt(raw);
      expect(Buffer.from(plaintext).equals(encryption.open(encryption.seal(plaintext, context), context))).toBe(true);
    }), { numRuns: 50 });
  });

  test('never seals the same value to the same text', () => {
    const encryption = encrypt(raw);
    expect(encryption.seal(Buffer.from('secret'), 'row').sealed).not.toBe(encryption.seal(Buffer.from('secret'), 'row').sealed);
  });

  test('calls a value moved to another row damaged', () => {
    const encryption = encrypt(raw);
    expect(kindOf(() => encryption.open(encryption.seal(Buffer.from('secret'), 'row 1'), 'row 2'))).toBe('damaged');
  });

  test('calls a value with any one byte changed damaged', () => {
    const encryption = encrypt(raw);
    const value = encryption.seal(Buffer.from('secret'), 'row');
    const body = Buffer.from(value.sealed.slice(3), 'base64url');
    for (let at = 0; at < body.length; at += 1) {
      const changed = Buffer.from(body);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      expect(kindOf(() => encryption.open({ ...value, sealed: `v1.${changed.toString('base64url')}` }, 'row'))).toBe('damaged');
    }
  });

  test.each(['', 'v1.', 'v1.AAAA', 'v2.AAAA'])('calls the text %j damaged', (sealed) => {
    const encryption = encrypt(raw);
    expect(kindOf(() => encryption.open({ sealed, kekId: encryption.currentId }, 'row'))).toBe('damaged');
  });

  test('tells a missing KEK from a damaged value and names it, without secrets', () => {
    const value = encrypt(raw).seal(Buffer.from('secret'), 'row');
    const other = encrypt(systemRandom.bytes(32));
    expect(kindOf(() => other.open(value, 'row'))).toBe('unknown');
    expect(() => other.open(value, 'row')).toThrow(value.kekId);
    expect([other.has(value.kekId), other.has(other.currentId), encrypt(systemRandom.bytes(32), [raw]).has(value.kekId)]).toEqual([false, true, true]);
  });

  test('calls a value under another KEK that claims our id damaged', () => {
    const value = encrypt(systemRandom.bytes(32)).seal(Buffer.from('secret'), 'row');
    const encryption = encrypt(raw);
    expect(kindOf(() => encryption.open({ ...value, kekId: encryption.currentId }, 'row'))).toBe('damaged');
  });

  test('opens with an old KEK and seals with the current one', () => {
    const value = encrypt(raw).seal(Buffer.from('secret'), 'row');
    const both = encrypt(systemRandom.bytes(32), [raw]);
    expect(both.open(value, 'row').toString()).toBe('secret');
    expect(both.seal(Buffer.from('secret'), 'row').kekId).toBe(both.currentId);
    expect(both.currentId).not.toBe(value.kekId);
  });

  test('derives one secret per label and KEK', () => {
    expect(encrypt(raw).derive('a')).toEqual(encrypt(raw).derive('a'));
    expect(encrypt(raw).derive('a')).not.toEqual(encrypt(raw).derive('b'));
    expect(encrypt(raw).derive('a')).not.toEqual(encrypt(systemRandom.bytes(32)).derive('a'));
  });

  test('derives the secret of every loaded KEK, the current one first', () => {
    const next = systemRandom.bytes(32);
    const exported = (encryption: ReturnType<typeof encrypt>) => encryption.deriveEach('a').map((key) => new Uint8Array(key.export()));
    expect(exported(encrypt(next, [raw]))).toEqual([encrypt(next).derive('a'), encrypt(raw).derive('a')]);
    expect(exported(encrypt(raw, [next]))).toEqual([encrypt(raw).derive('a'), encrypt(next).derive('a')]);
    // One that is given twice counts once.
    expect(exported(encrypt(raw, [raw]))).toEqual([encrypt(raw).derive('a')]);
  });
});
