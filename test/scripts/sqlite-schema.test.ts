import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { deriveSqliteSchema, withOutput } from '../../scripts/sqlite-schema.ts';

const schema = readFileSync(new URL('../../prisma/schema.prisma', import.meta.url), 'utf8');

test('differs from the PostgreSQL schema in provider and column types alone', () => {
  const derived = deriveSqliteSchema(schema).split('\n');
  const changed = schema.split('\n').flatMap((line, index) => (line === derived[index] ? [] : [[line, derived[index]]]));
  expect(changed.shift()).toEqual(['  provider = "postgresql"', '  provider = "sqlite"']);
  expect(changed.length).toBeGreaterThan(0);
  for (const [before, after] of changed) expect(before?.replace('@db.Timestamptz(3)', '').trimEnd()).toBe(after);
});

test('names another output folder and keeps all else', () => {
  const moved = withOutput(schema, './here');
  expect(moved).toContain('"./here"');
  expect(withOutput(moved, '../src/store/generated/postgresql')).toBe(schema);
});

test('refuses a schema it does not understand', () => {
  expect(() => deriveSqliteSchema(schema.replace('"postgresql"', '"mysql"'))).toThrow('0 lines');
});
