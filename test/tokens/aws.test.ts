import { beforeAll, describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, jwtVerify } from 'jose';
import type { KeyRing } from '../../src/keys/key-ring.ts';
import { signAwsToken } from '../../src/tokens/aws.ts';
import type { AwsTokenFacts } from '../../src/tokens/aws.ts';
import { ClaimsFault } from '../../src/tokens/claims.ts';
import { buildJwks } from '../../src/tokens/jwks.ts';
import { makeRing, START } from '../keys/make-ring.ts';
import { ISSUER, LEASE, WORKLOAD } from './forge.ts';

const facts: AwsTokenFacts = {
  issuer: ISSUER, subject: WORKLOAD, audience: 'sts.amazonaws.com', jti: LEASE, issuedAt: START,
  principalTags: { lease: LEASE, owner: 'payments@acme.example' }, transitiveTagKeys: ['lease'], sourceIdentity: 'ci-deployer',
};
let ring: KeyRing;
beforeAll(async () => {
  ({ ring } = await makeRing([{ purpose: 'aws' }]));
});

test('signs what AWS expects: 60 seconds, typ JWT, tags and source identity inside', async () => {
  const signed = signAwsToken(facts, ring);
  if (!signed.ok) throw new Error(signed.error.code);
  const { payload, protectedHeader } = await jwtVerify(signed.value.token, createLocalJWKSet({ keys: [...buildJwks(ring, START).keys] }), { issuer: ISSUER, audience: 'sts.amazonaws.com', typ: 'JWT', currentDate: new Date(START) });
  expect(protectedHeader.typ).toBe('JWT');
  expect(payload).toEqual({
    iss: ISSUER, sub: WORKLOAD, aud: 'sts.amazonaws.com', iat: START / 1000, exp: START / 1000 + 60, jti: LEASE,
    'https://aws.amazon.com/tags': { principal_tags: { lease: [LEASE], owner: ['payments@acme.example'] }, transitive_tag_keys: ['lease'] },
    'https://aws.amazon.com/source_identity': 'ci-deployer',
  });
});

test('never signs with a key of another purpose', async () => {
  expect(signAwsToken(facts, (await makeRing()).ring)).toMatchObject({ ok: false, error: { code: 'domain_not_ready' } });
});

describe('limits of AWS', () => {
  test.each([
    { name: '50 tags', change: { principalTags: Object.fromEntries(Array.from({ length: 50 }, (_, at) => [`t${at}`, 'v'])), transitiveTagKeys: [] } },
    { name: 'a value of 256 characters', change: { principalTags: { lease: 'v'.repeat(256) } } },
    { name: 'no tags', change: { principalTags: {}, transitiveTagKeys: [] } },
  ])('signs $name', ({ change }) => {
    expect(signAwsToken({ ...facts, ...change }, ring).ok).toBe(true);
  });

  test.each([
    { name: '51 tags', change: { principalTags: Object.fromEntries(Array.from({ length: 51 }, (_, at) => [`t${at}`, 'v'])), transitiveTagKeys: [] } },
    { name: 'a value of 257 characters', change: { principalTags: { lease: 'v'.repeat(257) } } },
    { name: 'a key of 129 characters', change: { principalTags: { lease: 'v', ['k'.repeat(129)]: 'v' } } },
    { name: 'keys that differ in case only', change: { principalTags: { lease: 'v', Lease: 'v' } } },
    { name: 'a line feed in a value', change: { principalTags: { lease: 'a\nb' } } },
    { name: 'a transitive key that is no tag', change: { transitiveTagKeys: ['other'] } },
    { name: 'a source identity of one character', change: { sourceIdentity: 'x' } },
    { name: 'a source identity with a slash', change: { sourceIdentity: 'ci/deployer' } },
    { name: 'an empty audience', change: { audience: '' } },
    { name: 'an empty issuer', change: { issuer: '' } },
    { name: 'an empty subject', change: { subject: '' } },
    { name: 'an empty jti', change: { jti: '' } },
  ])('throws on $name', ({ change }) => {
    expect(() => signAwsToken({ ...facts, ...change }, ring)).toThrow(ClaimsFault);
  });
});
