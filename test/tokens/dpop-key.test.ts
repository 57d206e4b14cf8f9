import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { findJwkProblem, PROOF_ALGORITHMS } from '../../src/tokens/dpop-key.ts';

const ec = { ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }) };
const rsa = { ...generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ format: 'jwk' }) };

describe('before any arithmetic is done with it', () => {
  test.each(['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'])('a key with the private member %s is refused as private', (name) => {
    expect(findJwkProblem(ec, 'ES256')).toBeUndefined();
    expect(findJwkProblem({ ...ec, [name]: 'AA' }, 'ES256')).toBe('jwk holds private members');
  });

  test.each([
    { name: '2,047 bits', n: Buffer.concat([Buffer.from([0x7f]), Buffer.alloc(255, 1)]), holds: false },
    { name: '2,048 bits', n: Buffer.concat([Buffer.from([0x80]), Buffer.alloc(255, 1)]), holds: true },
    { name: '4,096 bits', n: Buffer.concat([Buffer.from([0x80]), Buffer.alloc(511, 1)]), holds: true },
    { name: '4,097 bits', n: Buffer.concat([Buffer.from([0x01]), Buffer.alloc(512, 1)]), holds: false },
  ])('an RSA modulus of $name: $holds', ({ n, holds }) => {
    expect(findJwkProblem({ ...rsa, n: n.toString('base64url') }, 'RS256') === undefined).toBe(holds);
  });

  test('an RSA key needs the usual exponent', () => {
    expect(findJwkProblem(rsa, 'PS256')).toBeUndefined();
    expect(findJwkProblem({ ...rsa, e: 'AQAD' }, 'PS256')).toBe('jwk has an unusual public exponent');
  });
});

test('offers neither symmetric algorithms nor none', () => {
  expect(PROOF_ALGORITHMS.filter((alg) => /^(?:HS|none)/i.test(alg))).toEqual([]);
});
