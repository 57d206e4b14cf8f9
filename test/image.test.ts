import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { loadServerConfig } from '../src/config/load.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const dockerfile = read('Dockerfile');
const instructions = (name: string): readonly string[] => [...dockerfile.replaceAll('\\\n', ' ').matchAll(new RegExp(`^${name} (.+)$`, 'gm'))].map(([, rest = '']) => rest.trim());

test('the base image has the node the package pins, and every stage is built on it', () => {
  const { optionalDependencies } = JSON.parse(read('package.json')) as { optionalDependencies: Record<string, string> };
  const pinned = new Set(Object.values(optionalDependencies).map((version) => version.split('.')[0]));
  expect(instructions('ARG')).toEqual([`NODE=node:${[...pinned].join()}-slim`]);
  expect(instructions('FROM')).toEqual(['${NODE} AS build', '${NODE} AS dependencies', '${NODE}']);
});

test('what is copied from the checkout is there, and .dockerignore lets it through', () => {
  const letThrough = read('.dockerignore').split('\n').filter((line) => line.startsWith('!')).map((line) => line.slice(1));
  const copied = new Set(instructions('COPY').filter((line) => !line.startsWith('--from')).flatMap((line) => line.split(/\s+/).slice(0, -1)));
  expect(copied.size).toBeGreaterThan(8);
  expect([...copied].filter((path) => !existsSync(join(root, path)))).toEqual([]);
  expect([...copied].sort()).toEqual([...letThrough].sort());
});

test('what is copied from another stage is made there', () => {
  const made = instructions('COPY').filter((line) => line.startsWith('--from')).map((line) => line.split(/\s+/).slice(0, 2).join(' '));
  expect(made).toEqual(['--from=dependencies /app/node_modules', '--from=build /app/dist']);
});

test('the settings are ones the server reads, and health is asked where it listens', () => {
  const env = Object.fromEntries(instructions('ENV').flatMap((line) => line.split(/\s+/)).map((pair) => pair.split('=')) as [string, string][]);
  const loaded = loadServerConfig({ env: { ...env, MAYFLY_EXTERNAL_URL: 'http://127.0.0.1:8420' } });
  expect(loaded).toMatchObject({ ok: true, value: { data_dir: '/data', listen: { host: '0.0.0.0', port: 8420 } } });
  expect(instructions('EXPOSE')).toEqual(['8420']);
  expect(instructions('VOLUME')).toEqual(['/data']);
  expect(dockerfile).toContain('http://127.0.0.1:8420/readyz');
  expect(dockerfile).toMatch(/-o node -g node -m 0700 \/data/);
  expect(instructions('USER')).toEqual(['node']);
});
