import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { freePort } from '../../demo/free-port.ts';
import { mayflyProgram, runProgram } from './shell.ts';
import type { Program } from './shell.ts';

let folder = '';
beforeEach(() => { folder = mkdtempSync(join(tmpdir(), 'mayfly-test-')); });
afterEach(() => { rmSync(folder, { recursive: true, force: true }); });

const refused = (args: readonly string[], env: Readonly<Record<string, string>> = {}) => runProgram(['serve', ...args], env, folder);
const serve = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Program => mayflyProgram(['serve', ...args], env, folder);
const end = async (server: Program): Promise<number | null> => {
  server.process.kill('SIGTERM');
  return server.ended;
};

test('a first start at an address in use writes nothing, so that what it advises works', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => { holder.listen(0, '127.0.0.1', resolve); });
  const { port } = holder.address() as AddressInfo;
  const taken = await refused(['--listen', `127.0.0.1:${port}`]);
  expect(taken).toMatchObject({ code: 2, err: expect.stringMatching(/listen: 127\.0\.0\.1:\d+ is in use.*--listen/) });
  expect(existsSync(join(folder, 'data'))).toBe(false);
  const elsewhere = serve(['--listen', `127.0.0.1:${await freePort()}`]);
  await elsewhere.says('mayfly is ready');
  expect(await end(elsewhere)).toBe(0);
  holder.close();
});

describe('what keeps a server from starting is told with what to do', () => {
  const save = (name: string, content: string): string => {
    const file = join(folder, name);
    writeFileSync(file, content);
    return file;
  };
  interface Case { readonly name: string; readonly code: number; readonly env: () => Readonly<Record<string, string>>; readonly says: () => string }
  test.each<Case>([
    { name: 'a key-encryption key that was named and never made', code: 2, env: () => ({ MAYFLY_KEK_FILE: join(folder, 'kek') }), says: () => `mayfly keys init -o ${join(folder, 'kek')}` },
    { name: 'a database that does not answer', code: 1, env: () => ({ DATABASE_URL: 'postgresql://mayfly@127.0.0.1:1/mayfly' }), says: () => 'the database cannot be reached' },
    { name: 'a data folder that is a file', code: 1, env: () => ({ MAYFLY_DATA_DIR: save('data', '') }), says: () => 'name a data_dir that is a folder' },
    { name: 'a database file that is none', code: 1, env: () => ({ DATABASE_URL: `file:${save('mayfly.db', 'something else altogether')}` }), says: () => 'is no database' },
  ])('$name', async ({ code, env, says }) => {
    const outcome = await refused(['--listen', `127.0.0.1:${await freePort()}`], env());
    expect(outcome.err).toContain(says());
    expect(outcome.err).toContain('\n  next: ');
    expect(outcome.err).not.toContain('report it');
    expect(outcome.code).toBe(code);
  });
});
