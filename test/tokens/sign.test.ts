import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import type { LeaseId, SessionId, SpiffeId } from '../../src/core/ids.ts';
import { openKeyRing } from '../../src/keys/key-ring.ts';
import { buildResourceClaims, buildSessionClaims, ClaimsFault } from '../../src/tokens/claims.ts';
import { buildJwks } from '../../src/tokens/jwks.ts';
import { signToken } from '../../src/tokens/sign.ts';
import { verifyToken } from '../../src/tokens/verify.ts';
import { makeRing, START } from '../keys/make-ring.ts';
import { API, ISSUER, JKT, makeFacts } from './forge.ts';

const jwksOf = (ring: Parameters<typeof buildJwks>[0]) => createLocalJWKSet({ keys: [...buildJwks(ring, START).keys] });

test.each(['ES256', 'RS256'] as const)('signs an %s token that jose verifies through our JWKS alone', async (algorithm) => {
  const { ring } = await makeRing([{ algorithm }]);
  const claims = buildResourceClaims(makeFacts({ jkt: JKT }), { audience: API, scopes: ['deploy:read'] });
  const signed = signToken(claims, ring, algorithm);
  if (!signed.ok) throw new Error(signed.error.code);
  const { payload, protectedHeader } = await jwtVerify(signed.value.token, jwksOf(ring), { issuer: ISSUER, audience: API, typ: 'at+jwt', algorithms: [algorithm], currentDate: new Date(START) });
  expect(payload).toEqual(claims);
  expect(protectedHeader).toEqual({ alg: algorithm, typ: 'at+jwt', kid: signed.value.kid });
});

test('says that the domain is not ready when there is no current key', () => {
  const { ring } = openKeyRing([], () => { throw new Error('nothing to open'); });
  expect(signToken(buildSessionClaims(makeFacts()), ring)).toMatchObject({ ok: false, error: { code: 'domain_not_ready' } });
});

test('signs nothing that the lint does not pass', async () => {
  const { ring } = await makeRing();
  expect(() => signToken({ ...buildSessionClaims(makeFacts()), scope: 'x' }, ring)).toThrow(ClaimsFault);
});

describe('for any facts', () => {
  const text = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
  const scope = fc.stringMatching(/^[a-z]{1,8}:[a-z]{1,8}$/);
  const facts = fc.record({ lease: text(16), session: text(16), workload: name, scopes: fc.uniqueArray(scope, { maxLength: 4 }), seconds: fc.integer({ min: 1, max: 3600 }), principal: fc.string({ minLength: 1, maxLength: 50 }), bound: fc.boolean(), session_token: fc.boolean() })
    .map((given) => {
      const id = `spiffe://prod.acme.example/${given.workload}` as SpiffeId;
      const made = makeFacts({
        leaseId: `lse_${Buffer.from(given.lease).toString('hex')}` as LeaseId, sessionId: Buffer.from(given.session).toString('base64url') as SessionId, clientId: id, subject: id,
        jkt: given.bound ? JKT : undefined, expiresAt: START + given.seconds * 1000, authority: { model: 'bounded', principal: given.principal, depth: 0 },
      });
      return given.session_token ? buildSessionClaims(made) : buildResourceClaims(made, { audience: API, scopes: given.scopes });
    });

  test('the token verifies, and with any one byte changed it does not', async () => {
    const { ring } = await makeRing();
    const context = { issuer: ISSUER, ring, now: START };
    await fc.assert(fc.asyncProperty(facts, fc.nat(), fc.integer({ min: 1, max: 255 }), async (claims, place, flip) => {
      const signed = signToken(claims, ring);
      if (!signed.ok) throw new Error(signed.error.code);
      const { token } = signed.value;
      const verified = await verifyToken(token, { kind: 'any' }, context);
      expect(verified).toMatchObject({ ok: true, value: { claims } });
      const bytes = Buffer.from(token);
      const at = place % bytes.length;
      bytes.writeUInt8(bytes.readUInt8(at) ^ flip, at);
      expect((await verifyToken(bytes.toString('latin1'), { kind: 'any' }, context)).ok).toBe(false);
    }), { numRuns: 150 });
  });

  test('every flip of a bit of the last characters is noticed, where base64url has spare bits', async () => {
    const { ring } = await makeRing();
    const signed = signToken(buildSessionClaims(makeFacts()), ring);
    if (!signed.ok) throw new Error(signed.error.code);
    const { token } = signed.value;
    const others = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'].filter((character) => character !== token.at(-1));
    for (const character of others) expect((await verifyToken(token.slice(0, -1) + character, { kind: 'any' }, { issuer: ISSUER, ring, now: START })).ok).toBe(false);
    expect(decodeProtectedHeader(token).typ).toBe('at+jwt');
  });
});
