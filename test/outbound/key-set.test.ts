import { describe, expect, test } from '@jest/globals';
import { exportJWK, generateKeyPair } from 'jose';
import { readKeySet } from '../../src/outbound/key-set.ts';

const ec = { ...(await exportJWK((await generateKeyPair('ES256', { extractable: true })).publicKey)), kid: 'ec' };
const rsa = { ...(await exportJWK((await generateKeyPair('RS256', { extractable: true })).publicKey)), kid: 'rsa' };
const ed = { ...(await exportJWK((await generateKeyPair('Ed25519', { extractable: true })).publicKey)), kid: 'ed' };
const privateEc = { ...(await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey)), kid: 'private' };

const kidsOf = (...keys: readonly unknown[]): readonly unknown[] | undefined => readKeySet({ keys })?.keys.map(({ kid }) => kid);

test('keeps public keys of the known types', () => {
  expect(kidsOf(ec, rsa, ed)).toEqual(['ec', 'rsa', 'ed']);
  expect(kidsOf({ ...ec, alg: 'ES256', use: 'sig' }, { ...rsa, alg: 'PS384' }, { ...ed, alg: 'EdDSA' })).toEqual(['ec', 'rsa', 'ed']);
});

describe('leaves out', () => {
  test.each([
    { name: 'a private key', key: privateEc },
    { name: 'a symmetric key', key: { kty: 'oct', k: 'c2VjcmV0', kid: 'oct' } },
    { name: 'a public key that carries a symmetric member', key: { ...ec, k: 'c2VjcmV0' } },
    { name: 'a key for encryption', key: { ...rsa, use: 'enc' } },
    { name: 'an alg of another type', key: { ...ec, alg: 'RS256' } },
    { name: 'an alg of another curve', key: { ...ec, alg: 'ES384' } },
    { name: 'a symmetric alg on a public key', key: { ...rsa, alg: 'HS256' } },
    { name: 'alg none', key: { ...rsa, alg: 'none' } },
    { name: 'an unknown type', key: { kty: 'AKP', pub: 'AAAA', kid: 'pq' } },
    { name: 'an unknown curve', key: { ...ec, crv: 'secp256k1' } },
    { name: 'a short RSA modulus', key: { ...rsa, n: rsa.n?.slice(0, 171) } },
    { name: 'an enormous RSA modulus', key: { ...rsa, n: 'A'.repeat(5000) } },
    { name: 'an enormous RSA exponent', key: { ...rsa, e: 'A'.repeat(400) } },
    { name: 'a coordinate that is no base64url', key: { ...ec, x: `${String(ec.x).slice(1)}+` } },
    { name: 'a modulus that is no string', key: { ...rsa, n: 65_537 } },
    { name: 'a kid that is no string', key: { ...ec, kid: 7 } },
    { name: 'something that is no object', key: 'key' },
  ])('$name', ({ key }) => {
    expect(kidsOf(key, ec)).toEqual(['ec']);
  });
});

test('carries no member along that could name another key', () => {
  expect(readKeySet({ keys: [{ ...ec, x5u: 'https://evil.test', x5c: ['AAAA'], jku: 'https://evil.test' }] })?.keys).toEqual([ec]);
});

test.each([null, [], 'keys', {}, { keys: {} }, { keys: Array.from({ length: 101 }, () => ec) }])('takes %j for no key set', (raw) => {
  expect(readKeySet(raw)).toBeUndefined();
});
