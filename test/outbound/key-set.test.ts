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
  expect(kidsOf({ ...ec, kid: undefined })).toHaveLength(1);
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
    { name: 'an unknown type with a known curve', key: { ...ed, kty: 'AKP' } },
    { name: 'a key for agreement', key: { ...ed, crv: 'X25519' } },
    { name: 'a short point', key: { ...ed, x: 'AAAA' } },
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

const ofAlg = async (alg: string) => ({ ...(await exportJWK((await generateKeyPair(alg, { extractable: true })).publicKey)), kid: alg });
const p384 = await ofAlg('ES384');
const p521 = await ofAlg('ES512');
const KEYS = [{ of: /^[RP]S/, key: rsa }, { of: /^ES256$/, key: ec }, { of: /^ES384$/, key: p384 }, { of: /^ES512$/, key: p521 }, { of: /^Ed/, key: ed }];

test.each(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'])('an alg of %s is kept with the key it needs and with no other', (alg) => {
  for (const { of, key } of KEYS) expect(kidsOf({ ...key, alg })).toEqual(of.test(alg) ? [key.kid] : []);
});

test.each(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'])('a key whose private member %s was published is everybody\'s', (member) => {
  expect(kidsOf({ ...rsa, [member]: 'AAAA' }, ec)).toEqual(['ec']);
});

test('keeps what says which key it is and what it is for', () => {
  const said = { alg: 'RS256', use: 'sig', key_ops: ['verify'] };
  expect(readKeySet({ keys: [{ ...rsa, ...said }, { ...ed, use: 'sig' }] })?.keys).toEqual([{ ...rsa, ...said }, { ...ed, use: 'sig' }]);
});

test('carries no member along that could name another key', () => {
  expect(readKeySet({ keys: [{ ...ec, x5u: 'https://evil.test', x5c: ['AAAA'], jku: 'https://evil.test' }] })?.keys).toEqual([ec]);
});

test('takes a set of a hundred keys', () => {
  expect(readKeySet({ keys: Array.from({ length: 100 }, () => ec) })?.keys).toHaveLength(100);
});

test.each([null, [], 'keys', {}, { keys: {} }, { keys: Array.from({ length: 101 }, () => ec) }])('takes %j for no key set', (raw) => {
  expect(readKeySet(raw)).toBeUndefined();
});
