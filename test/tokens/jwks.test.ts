import { expect, test } from '@jest/globals';
import { calculateJwkThumbprint } from 'jose';
import { openKeyRing } from '../../src/keys/key-ring.ts';
import { openSigningKey } from '../../src/keys/signing-key.ts';
import { buildJwks } from '../../src/tokens/jwks.ts';
import { makeEncryption, makeRing, makeRow, START } from '../keys/make-ring.ts';

test('publishes next, current and retired keys of every purpose, each under its thumbprint', async () => {
  const { ring, rows } = await makeRing([{}, { status: 'next' }, { purpose: 'aws' }, { purpose: 'status' }, { purpose: 'set' }, { purpose: 'checkpoint' }, { algorithm: 'RS256' }]);
  const { keys } = buildJwks(ring, START);
  expect(keys.map((key) => key.kid).sort()).toEqual(rows.map((row) => row.kid).sort());
  for (const key of keys) expect(await calculateJwkThumbprint(key)).toBe(key.kid);
});

test('publishes public members, kid, alg and use, and nothing else', async () => {
  const { ring } = await makeRing([{}, { algorithm: 'RS256' }]);
  const members = buildJwks(ring, START).keys.map((key) => Object.keys(key).sort());
  expect(members).toEqual([['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'], ['alg', 'e', 'kid', 'kty', 'n', 'use']]);
});

test('publishes no private member even if a row should hold one', () => {
  const ring = { published: () => [{ kid: 'k', algorithm: 'ES256' as const, purpose: 'access' as const, publicJwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y', d: 'secret' } }] };
  expect(JSON.stringify(buildJwks(ring, START))).not.toContain('secret');
});

test('leaves out revoked keys and keys whose time is over', async () => {
  const encryption = makeEncryption();
  const rows = [{ ...await makeRow(encryption), status: 'revoked' as const, sealed: '' }, { ...await makeRow(encryption), status: 'retired' as const, notAfter: START }, await makeRow(encryption)];
  const { ring } = openKeyRing(rows, (row) => openSigningKey(row, encryption));
  expect(buildJwks(ring, START).keys.map((key) => key.kid)).toEqual([rows[2]?.kid]);
});
