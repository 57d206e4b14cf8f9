import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { loadKeyEncryption } from '../../src/boot/kek.ts';
import { StartRefused } from '../../src/boot/refused.ts';
import { parseServerConfig } from '../../src/config/server-config.ts';
import type { ServerConfig } from '../../src/config/server-config.ts';
import { systemRandom } from '../../src/core/random.ts';
import { parseKek } from '../../src/keys/kek.ts';
import { withFolder } from '../cli/harness.ts';

const FRESH = { engine: 'sqlite', holdsKeys: false } as const;
const USED = { engine: 'sqlite', holdsKeys: true } as const;
const newKek = (): string => Buffer.from(systemRandom.bytes(32)).toString('base64');
const save = (folder: string, name: string, text: string): string => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};
const configOf = (folder: string, kek: object = {}): ServerConfig => {
  const parsed = parseServerConfig({ data_dir: join(folder, 'data'), kek });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  return parsed.value;
};
const load = (config: ServerConfig, database: Parameters<typeof loadKeyEncryption>[1] = USED) => loadKeyEncryption(config, database, systemRandom);
const refusedFor = (attempt: () => unknown): StartRefused['problems'] => {
  try {
    attempt();
  } catch (cause) {
    if (cause instanceof StartRefused) return cause.problems;
    throw cause;
  }
  return [];
};

describe('the key-encryption key', () => {
  test('is made at the first start of SQLite alone, readable by nobody else', () => withFolder((folder) => {
    const config = configOf(folder);
    expect(refusedFor(() => load(config, { engine: 'postgresql', holdsKeys: false }))).toMatchObject([{ path: 'kek', message: expect.stringContaining('does not exist') }]);
    expect(refusedFor(() => load(config, USED))).toMatchObject([{ path: 'kek', message: expect.stringContaining('holds keys sealed under it') }]);
    const { created = '', encryption } = load(config, FRESH);
    expect(statSync(created).mode & 0o777).toBe(0o600);
    expect(encryption.currentId).toBe(parseKek(readFileSync(created)).id);
    expect(load(config, USED)).toMatchObject({ created: undefined, encryption: { currentId: encryption.currentId } });
    return Promise.resolve();
  }));

  test('is never made where a file was named', () => withFolder((folder) => {
    expect(refusedFor(() => load(configOf(folder, { file: join(folder, 'kek') }), FRESH))).toMatchObject([{ path: 'kek', mend: expect.stringContaining('mayfly keys init') }]);
    return Promise.resolve();
  }));

  test('opens with every one of previous_files and seals with its own', () => withFolder((folder) => {
    const [current, first, second] = [newKek(), newKek(), newKek()];
    const { encryption } = load(configOf(folder, { file: save(folder, 'c', current), previous_files: [save(folder, 'a', first), save(folder, 'b', second)] }));
    expect([first, second, current, newKek()].map((text) => encryption.has(parseKek(text).id))).toEqual([true, true, true, false]);
    expect(encryption.currentId).toBe(parseKek(current).id);
    return Promise.resolve();
  }));

  test.each([
    { name: 'a file that is no key', kek: (folder: string) => ({ file: save(folder, 'kek', 'hunter2') }), path: /^kek .*\/kek$/, mend: 'mayfly keys init' },
    { name: 'a file that cannot be read', kek: (folder: string) => { mkdirSync(join(folder, 'kek')); return { file: join(folder, 'kek') }; }, path: /^kek .*\/kek$/, mend: 'mayfly keys init' },
    { name: 'a variable that is not set', kek: () => ({ env: 'NOBODY_SETS_THIS' }), path: /^kek\.env$/, mend: 'mayfly keys init' },
    { name: 'a variable that holds no key', kek: () => ({ env: 'PATH' }), path: /^kek\.env PATH$/, mend: 'mayfly keys init' },
    { name: 'a previous file that is not there', kek: (folder: string) => ({ file: save(folder, 'kek', newKek()), previous_files: [join(folder, 'gone')] }), path: /^kek\.previous_files .*\/gone$/, mend: 'remove it from kek.previous_files' },
    { name: 'a previous file that is no key', kek: (folder: string) => ({ file: save(folder, 'kek', newKek()), previous_files: [save(folder, 'old', 'hunter2')] }), path: /^kek\.previous_files .*\/old$/, mend: 'remove it from kek.previous_files' },
  ])('refuses the start over $name, and says which', ({ kek, path, mend }) => withFolder((folder) => {
    const problems = refusedFor(() => load(configOf(folder, kek(folder))));
    expect(problems).toMatchObject([{ path: expect.stringMatching(path), mend: expect.stringContaining(mend) }]);
    expect(JSON.stringify(problems)).not.toContain('hunter2');
    return Promise.resolve();
  }));
});
