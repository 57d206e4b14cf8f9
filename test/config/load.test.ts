import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { loadServerConfig, readKekVariable } from '../../src/config/load.ts';

const folder = mkdtempSync(join(tmpdir(), 'mayfly-config-'));
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });
let files = 0;
const write = (text: string): string => {
  const file = join(folder, `${++files}.yaml`);
  writeFileSync(file, text);
  return file;
};
const load = (text: string | undefined, env: Record<string, string> = {}, overrides: Record<string, unknown> = {}) =>
  loadServerConfig({ env, overrides, ...(text === undefined ? {} : { file: write(text) }) });
const loaded = (...args: Parameters<typeof load>) => {
  const config = load(...args);
  if (!config.ok) throw new Error(JSON.stringify(config.error));
  return config.value;
};
const problems = (...args: Parameters<typeof load>): string => {
  const config = load(...args);
  return config.ok ? 'none' : JSON.stringify(config.error);
};

describe('settings', () => {
  test('have defaults for everything', () => {
    expect(loaded(undefined)).toMatchObject({ listen: { kind: 'tcp', host: '127.0.0.1', port: 8420 }, data_dir: './data', trusted_proxies: [], workers: 1, log_level: 'info' });
    expect(loaded('')).toEqual(loaded(undefined));
  });

  test('come from the file, over it from the environment, over that from flags', () => {
    const file = 'data_dir: file\nlog_level: warn\nlisten: 127.0.0.1:1\nadmin: { socket: file.sock }\n';
    expect(loaded(file)).toMatchObject({ data_dir: 'file', log_level: 'warn', admin: { socket: 'file.sock' } });
    expect(loaded(file, { MAYFLY_DATA_DIR: 'env', MAYFLY_LISTEN: '127.0.0.1:2' })).toMatchObject({ data_dir: 'env', log_level: 'warn', listen: { port: 2 } });
    expect(loaded(file, { MAYFLY_LISTEN: '127.0.0.1:2', MAYFLY_ADMIN_LISTEN: '127.0.0.1:4', MAYFLY_ADMIN_EXTERNAL_URL: 'https://admin.example' }, { listen: '127.0.0.1:3' })).toMatchObject({ listen: { port: 3 }, admin: { socket: 'file.sock', listen: { port: 4 }, external_url: 'https://admin.example' } });
    expect(loaded(file, { MAYFLY_DATA_DIR: '' })).toMatchObject({ data_dir: 'file' });
  });

  test('are read from the file that the environment names, unless one is given', () => {
    const named = write('data_dir: named');
    const config = loadServerConfig({ env: { MAYFLY_CONFIG: named } });
    expect(config).toMatchObject({ ok: true, value: { data_dir: 'named' } });
    expect(loadServerConfig({ env: { MAYFLY_CONFIG: named }, file: write('data_dir: given') })).toMatchObject({ ok: true, value: { data_dir: 'given' } });
  });

  test('name the variable of the key-encryption key and do not hold the key', () => {
    const config = loaded(undefined, { MAYFLY_KEK: 's3cr3t' });
    expect(config.kek.env).toBe('MAYFLY_KEK');
    expect(JSON.stringify(config)).not.toContain('s3cr3t');
    expect(readKekVariable(config, { MAYFLY_KEK: 's3cr3t' })).toBe('s3cr3t');
    expect(readKekVariable(loaded(undefined), { MAYFLY_KEK: 's3cr3t' })).toBeUndefined();
  });
});

describe('a file that cannot be read', () => {
  test.each([
    { name: 'is not there', text: undefined, message: 'does not exist' },
    { name: 'is a list', text: '- data_dir', message: 'one mapping' },
    { name: 'says a thing twice', text: 'data_dir: a\ndata_dir: b', message: 'DUPLICATE_KEY at line 2' },
    { name: 'has an alias', text: 'a: &x 1\nb: *x', message: 'aliases' },
  ])('because it $name says so', ({ text, message }) => {
    const config = loadServerConfig({ env: {}, file: text === undefined ? join(folder, 'nowhere.yaml') : write(text) });
    expect(JSON.stringify(config)).toContain(message);
  });

  test('because it is a folder says so', () => {
    expect(JSON.stringify(loadServerConfig({ env: {}, file: folder }))).toContain('EISDIR');
  });

  test.each([
    { name: 'a stray colon', text: 'database_url: postgresql://mayfly:s3cr3t@db:5432/x: y' },
    { name: 'a bad indent', text: 'data_dir: x\n  database_url: postgresql://mayfly:s3cr3t@db/x' },
    { name: 'an open quote', text: 'database_url: "postgresql://mayfly:s3cr3t@db/x' },
    { name: 'an alias', text: 'database_url: *s3cr3t' },
    { name: 'a tag nobody knows', text: 'database_url: !s3cr3t [x]' },
    { name: 'a password that is a number', text: 'database_url: 4711s3cr3t\n' },
    { name: 'a list where a URL belongs', text: 'database_url: [postgresql://mayfly:s3cr3t@db/x]' },
  ])('by $name tells nothing of what is in it', ({ text }) => {
    expect(problems(text)).not.toBe('none');
    expect(problems(text)).not.toContain('s3cr3t');
  });

  test('with members named like Object\'s own has unknown settings, not hidden ones', () => {
    expect(problems('__proto__: { log_level: debug }')).toContain('"path":"__proto__"');
    expect(problems('constructor: 1')).toContain('"path":"constructor"');
  });
});
