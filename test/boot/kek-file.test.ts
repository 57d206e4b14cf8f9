import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { loadKeyEncryption } from '../../src/boot/kek.ts';
import { StartRefused } from '../../src/boot/refused.ts';
import { parseServerConfig } from '../../src/config/server-config.ts';
import { systemRandom } from '../../src/core/random.ts';
import { parseKek } from '../../src/keys/kek.ts';
import { withFolder } from '../cli/harness.ts';

interface Given { readonly folder: string; readonly kek?: object; readonly engine?: 'sqlite' | 'postgresql'; readonly holdsKeys?: boolean }
const load = ({ folder, kek = {}, engine = 'sqlite', holdsKeys = false }: Given) => {
  const parsed = parseServerConfig({ data_dir: join(folder, 'data'), kek });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  return loadKeyEncryption(parsed.value, { engine, holdsKeys }, systemRandom);
};
const newKey = (): string => Buffer.from(systemRandom.bytes(32)).toString('base64');

describe('the key-encryption key', () => {
  test('is made at the first start on SQLite, for the server\'s user alone, and is the same at the next', () => withFolder((folder) => {
    const made = load({ folder });
    const file = join(folder, 'data', 'kek');
    expect([made.created, statSync(file).mode & 0o777, statSync(join(folder, 'data')).mode & 0o777]).toEqual([file, 0o600, 0o700]);
    const again = load({ folder, holdsKeys: true });
    expect([again.created, again.encryption.currentId]).toEqual([undefined, made.encryption.currentId]);
    return Promise.resolve();
  }));

  test.each([
    { name: 'where the database holds keys: they could not be opened any more', given: { holdsKeys: true } },
    { name: 'on PostgreSQL: the other nodes would not have it', given: { engine: 'postgresql' as const } },
    { name: 'where another file was named: it may only be missing', given: { kek: { file: 'named' } } },
  ])('is never made $name', ({ given }) => withFolder((folder) => {
    const kek = given.kek === undefined ? {} : { file: join(folder, given.kek.file) };
    expect(() => load({ folder, ...given, kek })).toThrow(StartRefused);
    expect(existsSync(join(folder, 'data', 'kek'))).toBe(false);
    // Twin: the file is there.
    const file = join(folder, 'there');
    writeFileSync(file, newKey());
    expect(load({ folder, ...given, kek: { file } }).created).toBeUndefined();
    return Promise.resolve();
  }));

  test('is refused when it is no key, and the file is left as it is', () => withFolder((folder) => {
    const file = join(folder, 'kek');
    writeFileSync(file, 'too short');
    expect(() => load({ folder, kek: { file } })).toThrow(StartRefused);
    expect(readFileSync(file, 'utf8')).toBe('too short');
    return Promise.resolve();
  }));

  test('from a variable wins over a file, and an empty variable is no reason to make one', () => withFolder((folder) => {
    const [name, key] = ['MAYFLY_TEST_KEK', newKey()];
    const before = process.env[name];
    try {
      process.env[name] = key;
      expect(load({ folder, kek: { env: name } }).encryption.currentId).toBe(parseKek(key).id);
      for (const empty of ['', undefined]) {
        if (empty === undefined) delete process.env[name];
        else process.env[name] = empty;
        expect(() => load({ folder, kek: { env: name } })).toThrow(StartRefused);
      }
      expect(existsSync(join(folder, 'data', 'kek'))).toBe(false);
    } finally {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    }
    return Promise.resolve();
  }));

  test('that was replaced still opens what it sealed, and seals nothing more', () => withFolder((folder) => {
    const [older, newer] = ['older', 'newer'].map((name) => join(folder, name)) as [string, string];
    writeFileSync(older, newKey());
    writeFileSync(newer, newKey());
    const sealed = load({ folder, kek: { file: older } }).encryption.seal(Buffer.from('text'), 'row');
    expect(() => load({ folder, kek: { file: newer } }).encryption.open(sealed, 'row')).toThrow();
    const both = load({ folder, kek: { file: newer, previous_files: [older] } }).encryption;
    expect([both.open(sealed, 'row').toString(), both.seal(Buffer.from('text'), 'row').kekId === sealed.kekId]).toEqual(['text', false]);
    return Promise.resolve();
  }));
});
