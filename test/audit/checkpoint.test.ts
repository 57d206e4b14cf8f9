import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { CompactSign, exportJWK } from 'jose';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { checkpointPayload, createVerifyCheckpoint } from '../../src/audit/checkpoint.ts';
import type { CheckpointStatement } from '../../src/audit/checkpoint.ts';
import type { KeyRow } from '../../src/store/rows.ts';
import { CHAIN, NOW } from './make-chain.ts';

const STATEMENT: CheckpointStatement = { chain: CHAIN, n: 7, hash: 'h', at: NOW };

describe('createVerifyCheckpoint', () => {
  let privateKey: KeyObject;
  let key: KeyRow;
  beforeAll(async () => {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    privateKey = pair.privateKey;
    key = {
      kid: 'k', version: 1, seq: 1, domainId: 'system' as KeyRow['domainId'], purpose: 'checkpoint', algorithm: 'ES256', publicJwk: await exportJWK(pair.publicKey), sealed: '', kekId: '',
      status: 'current', notBefore: NOW, notAfter: null, changedAt: NOW,
    };
  });
  const sign = (payload: object, header: Record<string, string> = {}): Promise<string> =>
    new CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader({ alg: 'ES256', typ: 'mayfly-checkpoint+jwt', kid: 'k', ...header }).sign(privateKey);

  test.each(['current', 'retired', 'gone'] as const)('reads a statement signed by a key that is %s', async (status) => {
    expect(await createVerifyCheckpoint([{ ...key, status }])(await sign(checkpointPayload(STATEMENT)))).toEqual(STATEMENT);
  });

  test('goes by the newest row of a key', async () => {
    const rows: KeyRow[] = [{ ...key, version: 2, status: 'revoked' }, key];
    expect(await createVerifyCheckpoint(rows)(await sign(STATEMENT))).toBe('its key was revoked');
  });

  test.each([
    { name: 'a key of another purpose', rows: (row: KeyRow): KeyRow => ({ ...row, purpose: 'access' }), says: 'its key is not a checkpoint key of this installation' },
    { name: 'an unknown key', rows: (row: KeyRow): KeyRow => ({ ...row, kid: 'other' }), says: 'its key is not a checkpoint key of this installation' },
    { name: 'a key of another algorithm', rows: (row: KeyRow): KeyRow => ({ ...row, algorithm: 'RS256' }), says: /./ },
  ])('refuses $name', async ({ rows, says }) => {
    expect(await createVerifyCheckpoint([rows(key)])(await sign(STATEMENT))).toEqual(expect.stringMatching(says));
  });

  test.each([
    { name: 'another type', make: () => sign(STATEMENT, { typ: 'at+jwt' }), says: "its typ is not that of a checkpoint" },
    { name: 'a payload that states nothing', make: () => sign({ chain: CHAIN }), says: 'it makes no statement' },
    { name: 'a changed payload', make: async () => (await sign(STATEMENT)).replace(/\.[^.]+\./, `.${Buffer.from(JSON.stringify({ ...STATEMENT, n: 8 })).toString('base64url')}.`), says: 'signature verification failed' },
    { name: 'what is no JWS', make: () => Promise.resolve('x'), says: 'Invalid Compact JWS' },
    { name: 'what is too long', make: () => Promise.resolve('x'.repeat(5_000)), says: 'it is too long' },
  ])('refuses $name', async ({ make, says }) => {
    expect(await createVerifyCheckpoint([key])(await make())).toBe(says);
  });
});
