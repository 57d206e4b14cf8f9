import { expect, test } from '@jest/globals';
import { attestorCatalogue } from '../../src/attestation/catalogue.ts';
import { checkClaims } from '../../src/attestation/check-claims.ts';
import { createPrepareIssuer } from '../../src/attestation/prepare.ts';
import { SECOND } from '../../src/core/duration.ts';
import { AUDIENCE, NOW, issuerEntry } from './world.ts';

const ISSUER = 'https://ci.example';
const prepared = createPrepareIssuer(attestorCatalogue)(issuerEntry('oidc', ISSUER, {}));
const check = (iss: string, requiredClaims: readonly string[] = []): string => {
  if (prepared === undefined) throw new Error('no such kind');
  const claims = { iss, aud: AUDIENCE, sub: 'job', iat: NOW / SECOND, exp: NOW / SECOND + 60 };
  const result = checkClaims(claims, { ...prepared, profile: { ...prepared.profile, requiredClaims } }, NOW);
  return result.ok ? 'accepted' : result.error.code;
};

test.each(['https://ci.example/', 'https://other.example', ''])('claims of %j are not those of the entry whose keys verified them', (iss) => {
  expect(check(iss)).toBe('evidence_issuer_unknown');
  expect(check(ISSUER)).toBe('accepted');
});

test.each(['run_id', 'constructor'])('a claim the kind requires is missing: %s', (name) => {
  expect(check(ISSUER, ['sub', name])).toBe('evidence_claim_missing');
  expect(check(ISSUER, ['sub'])).toBe('accepted');
});
