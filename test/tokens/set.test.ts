import { beforeAll, describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, jwtVerify } from 'jose';
import type { KeyRing } from '../../src/keys/key-ring.ts';
import type { SigningKey } from '../../src/keys/signing-key.ts';
import { buildResourceClaims } from '../../src/tokens/claims.ts';
import { buildJwks } from '../../src/tokens/jwks.ts';
import { signSet } from '../../src/tokens/set.ts';
import type { SetFacts } from '../../src/tokens/set.ts';
import { signToken } from '../../src/tokens/sign.ts';
import { verifySigned, verifyToken } from '../../src/tokens/verify.ts';
import { makeRing, START } from '../keys/make-ring.ts';
import { API, forge, ISSUER, makeFacts, WORKLOAD } from './forge.ts';

const TYPE = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked';
const facts = (change: Partial<SetFacts> = {}): SetFacts => ({ issuer: ISSUER, audience: WORKLOAD, jti: 'str_1-1', issuedAt: START + 999, txn: 'revocation/7', subject: { format: 'opaque', id: 'sid' }, type: TYPE, payload: { event_timestamp: 5 }, ...change });

let ring: KeyRing;
let access: SigningKey;
let set: SigningKey;
beforeAll(async () => {
  const made = await makeRing([{}, { purpose: 'set' }]);
  ring = made.ring;
  [access, set] = made.keys as [SigningKey, SigningKey];
});

const signed = (change: Partial<SetFacts> = {}): string => {
  const result = signSet(facts(change), ring);
  if (!result.ok) throw new Error(result.error.code);
  return result.value.token;
};
const claims = buildResourceClaims(makeFacts(), { audience: API, scopes: ['deploy:read'] });
const accessToken = (): string => {
  const result = signToken(claims, ring);
  if (!result.ok) throw new Error(result.error.code);
  return result.value.token;
};
const asToken = async (text: string): Promise<string> => {
  const result = await verifyToken(text, { kind: 'any' }, { issuer: ISSUER, ring, now: START });
  return result.ok ? 'accepted' : result.error.code;
};
const asSet = async (text: string): Promise<string> => {
  const result = await verifySigned(text, 'set', { ring, now: START });
  return result.ok ? 'accepted' : result.error.code;
};

test('a SET is what RFC 8417 and SSF say: one event about one subject, without sub and exp, and jose verifies it by the published keys', async () => {
  const { payload, protectedHeader } = await jwtVerify(signed(), createLocalJWKSet(buildJwks(ring, START) as never), { issuer: ISSUER, audience: WORKLOAD, typ: 'secevent+jwt' });
  expect(protectedHeader).toEqual({ alg: 'ES256', typ: 'secevent+jwt', kid: set.kid });
  expect(payload).toEqual({ iss: ISSUER, aud: WORKLOAD, jti: 'str_1-1', iat: START / 1000, txn: 'revocation/7', sub_id: { format: 'opaque', id: 'sid' }, events: { [TYPE]: { event_timestamp: 5 } } });
});

test('the same event says the same whenever it leaves', () => {
  const payloadOf = (text: string): string => text.split('.')[1] ?? '';
  expect(payloadOf(signed())).toBe(payloadOf(signed()));
});

test('nothing is signed without a key for it', async () => {
  const { ring: other } = await makeRing([{}]);
  expect(signSet(facts(), other)).toMatchObject({ ok: false, error: { code: 'domain_not_ready' } });
});

test.each([
  { name: 'no issuer', change: { issuer: '' } }, { name: 'no audience', change: { audience: '' } }, { name: 'no jti', change: { jti: '' } },
  { name: 'a type that is no URI', change: { type: 'session-revoked' } }, { name: 'a subject without a format', change: { subject: { id: 'x' } } },
])('$name is never signed', ({ change }) => {
  expect(() => signSet(facts(change), ring)).toThrow('claims not signed');
});

describe('a SET and an access token are never taken for each other', () => {
  const header = (typ: string, { kid }: SigningKey): object => ({ alg: 'ES256', typ, kid });
  test.each([
    { name: 'an access token, the twin', token: () => accessToken(), code: 'accepted' },
    { name: 'a SET', token: () => signed(), code: 'token_typ_wrong' },
    { name: 'the claims of an access token signed as a SET', token: () => forge(header('secevent+jwt', set), claims, set.privateKey), code: 'token_typ_wrong' },
    { name: 'the claims of an access token under the key of SETs, with the typ of an access token', token: () => forge(header('at+jwt', set), claims, set.privateKey), code: 'token_signature_invalid' },
    { name: 'the same with the access key named', token: () => forge(header('at+jwt', access), claims, set.privateKey), code: 'token_signature_invalid' },
  ])('$name, shown as an access token: $code', async ({ token, code }) => { expect(await asToken(token())).toBe(code); });

  test.each([
    { name: 'a SET, the twin', token: () => signed(), code: 'accepted' },
    { name: 'an access token', token: () => accessToken(), code: 'token_typ_wrong' },
    { name: 'an event under the access key with the typ of a SET', token: () => forge(header('secevent+jwt', access), { events: {} }, access.privateKey), code: 'token_signature_invalid' },
  ])('$name, shown as a SET: $code', async ({ token, code }) => { expect(await asSet(token())).toBe(code); });
});
