import { CompactSign } from 'jose';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { checkpointPayload, createVerifyCheckpoint } from '../../src/audit/checkpoint.ts';
import type { CheckpointStatement } from '../../src/audit/checkpoint.ts';
import type { NamedCheckpoint } from '../../src/core/hash-chain.ts';
import type { KeyEncryption } from '../../src/keys/kek.ts';
import { openSigningKey } from '../../src/keys/signing-key.ts';
import type { SigningKey } from '../../src/keys/signing-key.ts';
import type { KeyRow } from '../../src/store/rows.ts';
import { makeEncryption, makeRow } from '../keys/make-ring.ts';
import { CHAIN, NOW } from './make-chain.ts';

const BEFORE: NamedCheckpoint = { chain: 'chn_before', n: 3, hash: 'b', at: NOW - 1 };
const STATEMENT: CheckpointStatement = { chain: CHAIN, n: 7, hash: 'h', at: NOW, before: BEFORE };

describe('createVerifyCheckpoint', () => {
  let encryption: KeyEncryption;
  let key: KeyRow;
  beforeAll(async () => {
    encryption = makeEncryption();
    key = await makeRow(encryption, { purpose: 'checkpoint' });
  });
  const open = (row: KeyRow): SigningKey => openSigningKey(row, encryption);
  const verify = (rows: readonly KeyRow[]) => createVerifyCheckpoint(rows, open);
  const sign = (payload: object, header: Record<string, string> = {}): Promise<string> =>
    new CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader({ alg: 'ES256', typ: 'mayfly-checkpoint+jwt', kid: key.kid, ...header }).sign(open(key).privateKey);

  test.each(['current', 'retired', 'next'] as const)('reads a statement signed by a key that is %s', async (status) => {
    expect(await verify([{ ...key, status }])(await sign(checkpointPayload(STATEMENT)))).toEqual(STATEMENT);
  });

  test.each([
    { name: 'the first checkpoint of an installation', payload: { ...STATEMENT, before: null } },
    { name: 'a copy made before checkpoints named others', payload: { chain: CHAIN, n: 7, hash: 'h', at: NOW } },
  ])('reads $name', async ({ payload }) => {
    expect(await verify([key])(await sign(payload))).toEqual({ ...STATEMENT, before: null });
  });

  test.each(['revoked', 'gone'] as const)('believes no key that is %s', async (status) => {
    expect(await verify([{ ...key, version: 2, status, sealed: '' }, key])(await sign(STATEMENT))).toBe(`its key is ${status}`);
  });

  test('believes no key that somebody planted in the database without the key-encryption key', async () => {
    const theirs = makeEncryption();
    const planted = await makeRow(theirs, { purpose: 'checkpoint' });
    const jws = await new CompactSign(Buffer.from(JSON.stringify(STATEMENT))).setProtectedHeader({ alg: 'ES256', typ: 'mayfly-checkpoint+jwt', kid: planted.kid }).sign(openSigningKey(planted, theirs).privateKey);
    expect(await createVerifyCheckpoint([planted], (row) => openSigningKey(row, theirs))(jws)).toEqual(STATEMENT);
    // Under our KEK's id, and with the sealed half of one of our own keys: neither makes it ours.
    for (const row of [planted, { ...planted, kekId: encryption.currentId }, { ...planted, kekId: key.kekId, sealed: key.sealed }]) {
      expect(typeof await verify([key, row])(jws)).toBe('string');
    }
  });

  test.each([
    { name: 'a key of another purpose', rows: (row: KeyRow): KeyRow => ({ ...row, purpose: 'access' }), says: 'its key is not a checkpoint key of this installation' },
    { name: 'an unknown key', rows: (row: KeyRow): KeyRow => ({ ...row, kid: 'other' }), says: 'its key is not a checkpoint key of this installation' },
    { name: 'a key of another algorithm', rows: (row: KeyRow): KeyRow => ({ ...row, algorithm: 'RS256' }), says: /./ },
  ])('refuses $name', async ({ rows, says }) => {
    expect(await verify([rows(key)])(await sign(STATEMENT))).toEqual(expect.stringMatching(says));
  });

  test.each([
    { name: 'another type', make: () => sign(STATEMENT, { typ: 'at+jwt' }), says: "its typ is not that of a checkpoint" },
    { name: 'a payload that states nothing', make: () => sign({ chain: CHAIN }), says: 'it makes no statement' },
    { name: 'one that names what is no checkpoint', make: () => sign({ ...STATEMENT, before: { ...BEFORE, n: 'x' } }), says: 'it makes no statement' },
    { name: 'a changed payload', make: async () => (await sign(STATEMENT)).replace(/\.[^.]+\./, `.${Buffer.from(JSON.stringify({ ...STATEMENT, n: 8 })).toString('base64url')}.`), says: 'signature verification failed' },
    { name: 'what is no JWS', make: () => Promise.resolve('x'), says: 'Invalid Compact JWS' },
    { name: 'what is too long', make: () => Promise.resolve('x'.repeat(5_000)), says: 'it is too long' },
  ])('refuses $name', async ({ make, says }) => {
    expect(await verify([key])(await make())).toBe(says);
  });
});
