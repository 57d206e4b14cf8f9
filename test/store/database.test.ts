import { expect, test } from '@jest/globals';
import { parseDatabase } from '../../src/store/database.ts';

test.each([
  { location: 'postgresql://mayfly@db.acme.example/mayfly?sslmode=verify-full', expected: { engine: 'postgresql', url: 'postgresql://mayfly@db.acme.example/mayfly?sslmode=verify-full' } },
  { location: 'postgres://db/mayfly', expected: { engine: 'postgresql', url: 'postgres://db/mayfly' } },
  { location: 'data/mayfly.db', expected: { engine: 'sqlite', path: 'data/mayfly.db' } },
  { location: '/var/lib/mayfly/mayfly.db', expected: { engine: 'sqlite', path: '/var/lib/mayfly/mayfly.db' } },
  { location: 'file:data/mayfly.db', expected: { engine: 'sqlite', path: 'data/mayfly.db' } },
  { location: 'file:/var/lib/mayfly.db', expected: { engine: 'sqlite', path: '/var/lib/mayfly.db' } },
  { location: 'file:///var/lib/mayfly.db', expected: { engine: 'sqlite', path: '/var/lib/mayfly.db' } },
])('$location names $expected.engine', ({ location, expected }) => {
  expect(parseDatabase(location)).toEqual(expected);
});

test.each([
  { name: 'another database', location: 'mysql://db/mayfly' },
  { name: 'a remote libsql', location: 'libsql://db.example' },
  { name: 'memory, which would forget what was issued', location: ':memory:' },
  { name: 'memory by its URL', location: 'file::memory:?cache=shared' },
  { name: 'nothing', location: '' },
  { name: 'a file without a name', location: 'file:' },
])('refuses $name', ({ location }) => {
  expect(() => parseDatabase(location)).toThrow('postgresql:// URL or the path of an SQLite file');
});
