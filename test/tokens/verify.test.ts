import { createHmac } from 'node:crypto';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { EncryptJWT } from 'jose';
import { HOUR, MINUTE } from '../../src/core/duration.ts';
import { openKeyRing } from '../../src/keys/key-ring.ts';
import type { KeyRing } from '../../src/keys/key-ring.ts';
import { openSigningKey } from '../../src/keys/signing-key.ts';
import type { SigningKey } from '../../src/keys/signing-key.ts';
import type { KeyPurpose, KeyRow } from '../../src/store/rows.ts';
import { signAwsToken } from '../../src/tokens/aws.ts';
import { buildResourceClaims, buildSessionClaims } from '../../src/tokens/claims.ts';
import type { TokenClaims } from '../../src/tokens/claims.ts';
import { buildJwks } from '../../src/tokens/jwks.ts';
import { signAs, signCompact, signToken, TYPE_OF } from '../../src/tokens/sign.ts';
import { MAX_TOKEN_LENGTH, verifySigned, verifyToken } from '../../src/tokens/verify.ts';
import type { Expected } from '../../src/tokens/verify.ts';
import { makeEncryption, makeRing, makeRow, START } from '../keys/make-ring.ts';
import { API, forge, ISSUER, JKT, LEASE, makeFacts, WORKLOAD } from './forge.ts';

const PURPOSES: readonly KeyPurpose[] = ['access', 'aws', 'set', 'status', 'checkpoint'];
const claims = buildResourceClaims(makeFacts(), { audience: API, scopes: ['deploy:read'] });
const session = buildSessionClaims(makeFacts());

let ring: KeyRing;
let rsaRing: KeyRing;
let keys: ReadonlyMap<KeyPurpose, SigningKey>;
let key: SigningKey;
let rsaKey: SigningKey;
let header: { alg: string; typ: string; kid: string };
beforeAll(async () => {
  const made = await makeRing(PURPOSES.map((purpose) => ({ purpose })));
  ring = made.ring;
  keys = new Map(made.keys.map((each) => [each.purpose, each]));
  const [first] = made.keys;
  const rsa = await makeRing([{ algorithm: 'RS256' }]);
  rsaRing = rsa.ring;
  const [rsaFirst] = rsa.keys;
  if (first === undefined || rsaFirst === undefined) throw new Error('no keys');
  [key, rsaKey] = [first, rsaFirst];
  header = { alg: 'ES256', typ: 'at+jwt', kid: key.kid };
});

const verify = (token: string, expected: Expected = { kind: 'any' }, now = START, of: KeyRing = ring) => verifyToken(token, expected, { issuer: ISSUER, ring: of, now });
const codeOf = async (...args: Parameters<typeof verify>): Promise<string> => {
  const result = await verify(...args);
  return result.ok ? 'accepted' : result.error.code;
};
const tokenOf = (set: TokenClaims): string => {
  const signed = signToken(set, ring);
  if (!signed.ok) throw new Error(signed.error.code);
  return signed.value.token;
};

test('accepts a token of ours and says what it is', async () => {
  expect(await verify(tokenOf({ ...claims, cnf: { jkt: JKT } }))).toEqual({
    ok: true, value: { kind: 'resource', jti: LEASE, clientId: WORKLOAD, audience: API, jkt: JKT, kid: key.kid, claims: { ...claims, cnf: { jkt: JKT } } },
  });
  expect(await verify(tokenOf(session))).toMatchObject({ ok: true, value: { kind: 'session', audience: ISSUER, jkt: undefined } });
  expect(await codeOf(forge(header, claims, key.privateKey))).toBe('accepted');
});

describe('what is expected', () => {
  test.each([
    { name: 'a session token as subject', set: session, expected: { kind: 'session' as const }, code: 'accepted' },
    { name: 'a resource token as subject', set: claims, expected: { kind: 'session' as const }, code: 'token_not_exchangeable' },
    { name: 'the right audience', set: claims, expected: { kind: 'audience' as const, audience: API }, code: 'accepted' },
    { name: 'another audience', set: claims, expected: { kind: 'audience' as const, audience: `${ISSUER}/introspect` }, code: 'token_audience_wrong' },
    { name: 'a session token at an endpoint', set: session, expected: { kind: 'audience' as const, audience: `${ISSUER}/introspect` }, code: 'token_audience_wrong' },
    { name: 'any token to introspect', set: claims, expected: { kind: 'any' as const }, code: 'accepted' },
  ])('$name: $code', async ({ set, expected, code }) => {
    expect(await codeOf(tokenOf(set), expected)).toBe(code);
  });
});

describe('time', () => {
  test.each([
    { name: 'a millisecond before exp', now: START + 5 * MINUTE - 1, code: 'accepted' },
    { name: 'at exp', now: START + 5 * MINUTE, code: 'token_expired' },
    { name: 'issued by a node 5 s ahead', now: START - 5000, code: 'accepted' },
    { name: 'issued more than 5 s in the future', now: START - 6000, code: 'token_malformed' },
  ])('$name: $code', async ({ now, code }) => {
    expect(await codeOf(tokenOf(claims), { kind: 'any' }, now)).toBe(code);
  });
});

describe('form', () => {
  test.each([
    { name: 'nothing', token: () => '' },
    { name: 'an opaque text', token: () => 'gho_16C7e42F292c6912E7710c838347Ae178B4a' },
    { name: 'five megabytes', token: () => 'A'.repeat(5_000_000) },
    { name: 'one character too many', token: () => forge(header, { ...claims, pad: 'A'.repeat(MAX_TOKEN_LENGTH) }, key.privateKey) },
    { name: 'a JWE', token: () => new EncryptJWT({ ...claims }).setProtectedHeader({ alg: 'dir', enc: 'A256GCM', typ: 'at+jwt' }).encrypt(new Uint8Array(32)) },
    { name: 'JSON serialisation', token: () => { const [a, b, c] = tokenOf(claims).split('.'); return JSON.stringify({ protected: a, payload: b, signature: c }); } },
    { name: 'a leading space', token: () => ` ${tokenOf(claims)}` },
    { name: 'padding', token: () => `${tokenOf(claims)}==` },
    { name: 'a repeated claim', token: () => forge(header, JSON.stringify(claims).replace('{', `{"aud":"${API}",`), key.privateKey) },
    { name: 'a repeated header member', token: () => forge(JSON.stringify(header).replace('{', '{"alg":"ES256",'), claims, key.privateKey) },
    { name: 'a payload that is no object', token: () => forge(header, '"x"', key.privateKey) },
  ])('refuses $name', async ({ token }) => {
    expect(await codeOf(await token())).toBe('token_malformed');
  });

  test.each([
    { name: 'crit', more: { crit: ['exp'] } },
    { name: 'crit and b64', more: { crit: ['b64'], b64: true } },
    { name: 'jwk', more: { jwk: { kty: 'EC' } } },
    { name: 'jku', more: { jku: 'https://evil.example/jwks.json' } },
    { name: 'x5u', more: { x5u: 'https://evil.example/x' } },
    { name: 'x5c', more: { x5c: ['AA'] } },
    { name: 'zip', more: { zip: 'DEF' } },
    { name: 'cty', more: { cty: 'JWT' } },
  ])('refuses a header with $name, which we never write', async ({ more }) => {
    expect(await codeOf(forge({ ...header, ...more }, claims, key.privateKey))).toBe('token_malformed');
    expect(await codeOf(forge(header, claims, key.privateKey))).toBe('accepted');
  });
});

describe('key and signature', () => {
  const unsigned = (head: object): string => `${Buffer.from(JSON.stringify(head)).toString('base64url')}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`;

  test.each([
    { name: 'alg none with a rest of signature', token: () => `${unsigned({ ...header, alg: 'none' })}.AAAA` },
    { name: 'alg None', token: () => `${unsigned({ ...header, alg: 'None' })}.AAAA` },
    { name: 'no alg', token: () => `${unsigned({ typ: header.typ, kid: header.kid })}.AAAA` },
    { name: 'es256 in lower case', token: () => forge({ ...header, alg: 'es256' }, claims, key.privateKey) },
    { name: 'ES384', token: () => forge({ ...header, alg: 'ES384' }, claims, key.privateKey) },
    { name: 'RS256 for an ES256 key', token: () => forge({ ...header, alg: 'RS256' }, claims, key.privateKey) },
    { name: 'HS256 with the public key as secret', token: () => { const input = unsigned({ ...header, alg: 'HS256' }); return `${input}.${createHmac('sha256', key.publicKey.export({ type: 'spki', format: 'pem' })).update(input).digest('base64url')}`; } },
    { name: 'HS256 with an empty secret', token: () => { const input = unsigned({ ...header, alg: 'HS256' }); return `${input}.${createHmac('sha256', '').update(input).digest('base64url')}`; } },
    { name: 'a signature of zeros', token: () => `${unsigned(header)}.${Buffer.alloc(64).toString('base64url')}` },
    { name: 'a short signature', token: () => `${unsigned(header)}.${Buffer.alloc(10).toString('base64url')}` },
    { name: 'a DER signature', token: () => { const token = forge(header, claims, key.privateKey); return `${token.split('.').slice(0, 2).join('.')}.${Buffer.concat([Buffer.from([0x30, 0x44]), Buffer.from(token.split('.')[2] ?? '', 'base64url')]).toString('base64url')}`; } },
    { name: 'another of our keys under this kid', token: () => forge(header, claims, keys.get('status')?.privateKey ?? key.privateKey) },
    { name: 'no kid', token: () => forge({ alg: header.alg, typ: header.typ }, claims, key.privateKey) },
    { name: 'a number as kid', token: () => forge({ ...header, kid: 1 }, claims, key.privateKey) },
    { name: 'an unknown kid', token: () => forge({ ...header, kid: 'x' }, claims, key.privateKey) },
    { name: 'an empty kid', token: () => forge({ ...header, kid: '' }, claims, key.privateKey) },
    { name: 'a path as kid', token: () => forge({ ...header, kid: '../../x' }, claims, key.privateKey) },
    { name: '__proto__ as kid', token: () => forge({ ...header, kid: '__proto__' }, claims, key.privateKey) },
  ])('refuses $name', async ({ token }) => {
    expect(await codeOf(token())).toBe('token_signature_invalid');
    expect(await codeOf(forge(header, claims, key.privateKey))).toBe('accepted');
  });

  test('refuses an RS256 token with alg RS512 or HS256, accepts it as it is', async () => {
    const rsaHeader = { alg: 'RS256', typ: 'at+jwt', kid: rsaKey.kid };
    const pem = ` ${rsaKey.publicKey.export({ type: 'spki', format: 'pem' }).toString()}`;
    const input = unsigned({ ...rsaHeader, alg: 'HS256' });
    expect(await codeOf(forge(rsaHeader, claims, rsaKey.privateKey), { kind: 'any' }, START, rsaRing)).toBe('accepted');
    expect(await codeOf(forge({ ...rsaHeader, alg: 'RS512' }, claims, rsaKey.privateKey), { kind: 'any' }, START, rsaRing)).toBe('token_signature_invalid');
    expect(await codeOf(`${input}.${createHmac('sha256', pem).update(input).digest('base64url')}`, { kind: 'any' }, START, rsaRing)).toBe('token_signature_invalid');
  });

  test('refuses the token of another domain, whose kid it does not know', async () => {
    const foreign = await makeRing();
    const signed = signToken(claims, foreign.ring);
    if (!signed.ok) throw new Error(signed.error.code);
    expect(await codeOf(signed.value.token)).toBe('token_signature_invalid');
    expect(await codeOf(signed.value.token, { kind: 'any' }, START, foreign.ring)).toBe('accepted');
  });

  test('refuses the token of a revoked key, and accepts that of a retired one until its time is over', async () => {
    const encryption = makeEncryption();
    const row = await makeRow(encryption);
    const ringOf = (change: Partial<KeyRow>): KeyRing => openKeyRing([{ ...row, ...change }], (each) => openSigningKey(each, encryption)).ring;
    const token = signCompact(claims, openSigningKey(row, encryption));
    expect(await codeOf(token, { kind: 'any' }, START, ringOf({ status: 'revoked', sealed: '' }))).toBe('revoked');
    expect(await codeOf(token, { kind: 'any' }, START, ringOf({ status: 'retired', notAfter: START + 1 }))).toBe('accepted');
    expect(await codeOf(token, { kind: 'any' }, START, ringOf({ status: 'retired', notAfter: START }))).toBe('token_signature_invalid');
    expect(await codeOf(token, { kind: 'any' }, START, ringOf({ status: 'gone', sealed: '' }))).toBe('token_signature_invalid');
  });
});

describe('claims, though signed by our key', () => {
  test.each([
    { name: 'another issuer', change: { iss: 'https://sts.acme.example/dev' }, code: 'token_issuer_wrong' },
    { name: 'our issuer with a slash', change: { iss: `${ISSUER}/` }, code: 'token_issuer_wrong' },
    { name: 'our issuer in upper case', change: { iss: ISSUER.toUpperCase() }, code: 'token_issuer_wrong' },
    { name: 'no issuer', change: { iss: undefined }, code: 'token_malformed' },
    { name: 'our audience beside a foreign one', change: { aud: [API, 'https://other.example'] }, code: 'token_audience_wrong' },
    { name: 'no audience', change: { aud: undefined }, code: 'token_malformed' },
    { name: 'no exp', change: { exp: undefined }, code: 'token_malformed' },
    { name: 'exp as text', change: { exp: String(claims.exp) }, code: 'token_malformed' },
    { name: 'exp null', change: { exp: null }, code: 'token_malformed' },
    { name: 'no iat', change: { iat: undefined }, code: 'token_malformed' },
    { name: 'iat as text', change: { iat: String(claims.iat) }, code: 'token_malformed' },
    { name: 'a life of more than an hour', change: { exp: claims.iat + HOUR / 1000 + 1 }, code: 'token_malformed' },
    { name: 'nbf in the future', change: { nbf: claims.iat + 60 }, code: 'token_malformed' },
    { name: 'no client_id', change: { client_id: undefined }, code: 'token_malformed' },
    { name: 'no jti', change: { jti: undefined }, code: 'token_malformed' },
    { name: 'no sid', change: { sid: undefined }, code: 'token_malformed' },
    { name: 'no authority', change: { authority: undefined }, code: 'token_malformed' },
    { name: 'act without iss', change: { act: { sub: WORKLOAD } }, code: 'token_malformed' },
    { name: 'cnf of a kind we do not check', change: { cnf: { 'x5t#S256': JKT } }, code: 'token_malformed' },
  ])('refuses $name', async ({ change, code }) => {
    expect(await codeOf(forge(header, { ...claims, ...change }, key.privateKey))).toBe(code);
    expect(await codeOf(forge(header, claims, key.privateKey))).toBe('accepted');
  });
});

describe('types and purposes', () => {
  const TYPES = [...Object.values(TYPE_OF), 'dpop+jwt', 'wit+jwt', 'client-authentication+jwt', 'authorization-grant+jwt', 'txntoken+jwt', 'oauth-id-jag+jwt', 'AT+JWT', 'application/at+jwt', '', 'at+jwt '];
  test.each(TYPES.filter((typ) => typ !== 'at+jwt'))('refuses typ %j on an otherwise good token', async (typ) => {
    expect(await codeOf(forge({ ...header, typ }, claims, key.privateKey))).toBe('token_typ_wrong');
  });

  test('refuses a token without typ', async () => {
    expect(await codeOf(forge({ alg: header.alg, kid: header.kid }, claims, key.privateKey))).toBe('token_typ_wrong');
  });

  const matrix = PURPOSES.flatMap((made) => (['access', 'set', 'status', 'checkpoint'] as const).map((asked) => ({ made, asked })));
  test.each(matrix)('signed as $made, presented as $asked', async ({ made, asked }) => {
    const signed = signAs(made, claims, ring);
    if (!signed.ok) throw new Error(signed.error.code);
    const result = asked === 'access' ? await verify(signed.value.token) : await verifySigned(signed.value.token, asked, { ring, now: START });
    expect(result.ok ? 'accepted' : result.error.code).toBe(made === asked ? 'accepted' : 'token_typ_wrong');
  });

  test.each(PURPOSES.filter((purpose) => purpose !== 'access'))('refuses a token signed with the %s key, even with our typ and that key\'s kid', async (purpose) => {
    const other = keys.get(purpose);
    if (other === undefined) throw new Error('no key');
    expect(await codeOf(forge({ ...header, kid: other.kid }, claims, other.privateKey))).toBe('token_signature_invalid');
  });

  test('refuses the JWT made for AWS everywhere', async () => {
    const signed = signAwsToken({ issuer: ISSUER, subject: WORKLOAD, audience: ISSUER, jti: LEASE, issuedAt: START, principalTags: {}, transitiveTagKeys: [], sourceIdentity: undefined }, ring);
    if (!signed.ok) throw new Error(signed.error.code);
    for (const expected of [{ kind: 'session' }, { kind: 'any' }, { kind: 'audience', audience: ISSUER }] as const) expect(await codeOf(signed.value.token, expected)).toBe('token_typ_wrong');
    expect(buildJwks(ring, START).keys.map((published) => published.kid)).toContain(signed.value.kid);
  });
});

describe('something signed that is no token', () => {
  test('verifies with its payload', async () => {
    const signed = signAs('checkpoint', { chain: 'chn_1', n: 3 }, ring);
    if (!signed.ok) throw new Error(signed.error.code);
    expect(await verifySigned(signed.value.token, 'checkpoint', { ring, now: START })).toEqual({ ok: true, value: { chain: 'chn_1', n: 3 } });
  });

  test('refuses a changed payload', async () => {
    const signed = signAs('checkpoint', { chain: 'chn_1', n: 3 }, ring);
    if (!signed.ok) throw new Error(signed.error.code);
    const [head, , signature] = signed.value.token.split('.');
    const changed = [head, Buffer.from('{"chain":"chn_1","n":4}').toString('base64url'), signature].join('.');
    expect(await verifySigned(changed, 'checkpoint', { ring, now: START })).toMatchObject({ ok: false, error: { code: 'token_signature_invalid' } });
  });
});
