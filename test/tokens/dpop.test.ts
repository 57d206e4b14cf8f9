import { createHmac, generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { calculateJwkThumbprint, generateKeyPair, SignJWT } from 'jose';
import * as oauth from 'oauth4webapi';
import { sha256url } from '../../src/core/bytes.ts';
import { checkDpop, DPOP_IAT_WINDOW } from '../../src/tokens/dpop.ts';
import type { DpopRequest } from '../../src/tokens/dpop.ts';
import { PROOF_ALGORITHMS } from '../../src/tokens/dpop-key.ts';
import { createNonces, NONCE_SLOT } from '../../src/tokens/nonce.ts';
import type { Nonces } from '../../src/tokens/nonce.ts';
import { buildSessionClaims } from '../../src/tokens/claims.ts';
import { signToken } from '../../src/tokens/sign.ts';
import { MAX_TOKEN_LENGTH, verifyToken } from '../../src/tokens/verify.ts';
import { makeRing, START } from '../keys/make-ring.ts';
import { forge, ISSUER, makeFacts } from './forge.ts';

const HTU = `${ISSUER}/token`;
const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const jwk = { ...pair.publicKey.export({ format: 'jwk' }) };
const header = { typ: 'dpop+jwt', alg: 'ES256', jwk };
const noncesAt = (now: number, role: 'as' | 'rs' = 'as', issuer = ISSUER): Nonces => createNonces({ secret: Buffer.alloc(32, 1), issuer, role, clock: { now: () => now } });
const payload = { jti: 'AAECAwQFBgcICQoL', htm: 'POST', htu: HTU, iat: START / 1000, nonce: noncesAt(START).issue() };
const make = (change: object = {}, head: object | string = header, key: KeyObject = pair.privateKey): string => forge(head, { ...payload, ...change }, key);

const check = (proof: string | readonly string[], change: Partial<DpopRequest> = {}, now = START, nonces: Nonces | undefined = noncesAt(now)) =>
  checkDpop({ headers: typeof proof === 'string' ? [proof] : proof, method: 'POST', url: HTU, ...change }, { now, nonces });
const checkWithoutNonce = (proof: string, now = START) => checkDpop({ headers: [proof], method: 'POST', url: HTU }, { now, nonces: undefined });
const outcome = async (result: ReturnType<typeof check>): Promise<string> => {
  const settled = await result;
  return settled.ok ? 'accepted' : settled.error.code;
};

test('accepts a proof and gives thumbprint, replay key and how long to remember it', async () => {
  const result = await check(make());
  const jkt = await calculateJwkThumbprint(jwk);
  expect(result).toEqual({ ok: true, value: { jkt, replayKey: `dpop:${sha256url(JSON.stringify([jkt, payload.jti, HTU]))}`, replayUntil: START + 2 * NONCE_SLOT + 60_000 } });
});

describe('header and form', () => {
  test.each([
    { name: 'no header', proof: () => [], code: 'dpop_required' },
    { name: 'two headers', proof: () => [make(), make({ jti: 'other' })], code: 'dpop_repeated' },
    { name: 'the same header twice', proof: () => [make(), make()], code: 'dpop_repeated' },
    { name: 'two headers joined', proof: () => `${make()}, ${make()}`, code: 'dpop_repeated' },
    { name: 'an empty header', proof: () => '', code: 'dpop_malformed' },
    { name: 'no JWS', proof: () => 'proof', code: 'dpop_malformed' },
    { name: 'two segments', proof: () => make().split('.').slice(0, 2).join('.'), code: 'dpop_malformed' },
    { name: 'a proof of more than 8 KiB', proof: () => make({ pad: 'x'.repeat(8192) }), code: 'dpop_malformed' },
    { name: 'a repeated claim', proof: () => forge(header, JSON.stringify(payload).replace('{', `{"htu":"${HTU}",`), pair.privateKey), code: 'dpop_malformed' },
    { name: 'a repeated header member', proof: () => make({}, JSON.stringify(header).replace('{', '{"alg":"ES256",')), code: 'dpop_malformed' },
    { name: 'crit', proof: () => make({}, { ...header, crit: ['exp'], exp: 1 }), code: 'dpop_malformed' },
    { name: 'b64', proof: () => make({}, { ...header, b64: false }), code: 'dpop_malformed' },
  ])('$name: $code', async ({ proof, code }) => {
    expect(await outcome(check(proof()))).toBe(code);
    expect(await outcome(check(make()))).toBe('accepted');
  });

  test('accepts a proof of up to 8 KiB', async () => {
    const pad = 'x'.repeat(Math.floor(((8192 - make({ pad: '' }).length) * 3) / 4));
    expect(make({ pad }).length).toBeGreaterThan(8186);
    expect(await outcome(check(make({ pad })))).toBe('accepted');
    expect(await outcome(check(make({ pad: `${pad}xxxxxx` })))).toBe('dpop_malformed');
  });

  test('what is too long, too old or stale is what the documentation says', () => {
    expect([MAX_TOKEN_LENGTH, DPOP_IAT_WINDOW, NONCE_SLOT]).toEqual([16 * 1024, 60, 300_000]);
  });

  test.each(['at+jwt', 'JWT', 'wpt+jwt', 'dpop', '', 'application/application/dpop+jwt', undefined, 1])('refuses typ %j', async (typ) => {
    expect(await outcome(check(make({}, { ...header, typ })))).toBe('dpop_typ_wrong');
  });

  test.each(['dpop+jwt', 'DPoP+JWT', 'application/dpop+jwt'])('accepts typ %j', async (typ) => {
    expect(await outcome(check(make({}, { ...header, typ })))).toBe('accepted');
  });
});

describe('algorithm', () => {
  test.each(['none', 'None', 'HS256', 'ES512', 'ES256K', 'RS512', 'RS1', 'es256', '', undefined, 256])('refuses alg %j', async (alg) => {
    expect(await outcome(check(make({}, { ...header, alg })))).toBe('dpop_alg_not_allowed');
  });

  test('refuses HS256 with the public key as secret', async () => {
    const input = make({}, { ...header, alg: 'HS256' }).split('.').slice(0, 2).join('.');
    expect(await outcome(check(`${input}.${createHmac('sha256', JSON.stringify(jwk)).update(input).digest('base64url')}`))).toBe('dpop_alg_not_allowed');
  });

  test.each(PROOF_ALGORITHMS)('accepts %s made by jose', async (alg) => {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    const { kty, crv, x, y, n, e } = await crypto.subtle.exportKey('jwk', publicKey);
    const proof = await new SignJWT(payload).setProtectedHeader({ typ: 'dpop+jwt', alg, jwk: JSON.parse(JSON.stringify({ kty, crv, x, y, n, e })) }).sign(privateKey);
    expect(await outcome(check(proof))).toBe('accepted');
  });
});

describe('key', () => {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const rsaJwk = { ...rsa.publicKey.export({ format: 'jwk' }) };
  const rs256 = (change: object = {}) => ({ typ: 'dpop+jwt', alg: 'RS256', jwk: { ...rsaJwk, ...change } });
  const x = Buffer.from(String(jwk.x), 'base64url');
  const offCurve = Buffer.from(x);
  offCurve.writeUInt8(offCurve.readUInt8(31) ^ 1, 31);

  test.each([
    { name: 'no jwk', proof: () => make({}, { typ: 'dpop+jwt', alg: 'ES256' }) },
    { name: 'a jwk that is text', proof: () => make({}, { ...header, jwk: 'x' }) },
    { name: 'the private key', proof: () => make({}, { ...header, jwk: pair.privateKey.export({ format: 'jwk' }) }) },
    { name: 'an empty private member', proof: () => make({}, { ...header, jwk: { ...jwk, d: '' } }) },
    { name: 'a private RSA key', proof: () => make({}, { ...rs256(), jwk: rsa.privateKey.export({ format: 'jwk' }) }, rsa.privateKey) },
    { name: 'a symmetric key', proof: () => make({}, { ...header, jwk: { kty: 'oct', k: 'AA' } }) },
    { name: 'an RSA key of 1024 bits', proof: () => make({}, { typ: 'dpop+jwt', alg: 'RS256', jwk: weak.publicKey.export({ format: 'jwk' }) }, weak.privateKey) },
    { name: 'an RSA modulus with zeros before it', proof: () => make({}, rs256({ n: Buffer.concat([Buffer.alloc(3), Buffer.from(String(rsaJwk.n), 'base64url')]).toString('base64url') }), rsa.privateKey) },
    { name: 'an RSA modulus of more than 4096 bits', proof: () => make({}, rs256({ n: Buffer.alloc(513, 255).toString('base64url') }), rsa.privateKey) },
    { name: 'an RSA modulus of 2047 bits', proof: () => make({}, rs256({ n: Buffer.concat([Buffer.from([0x7f]), Buffer.from(String(rsaJwk.n), 'base64url').subarray(1)]).toString('base64url') }), rsa.privateKey) },
    { name: 'a large public exponent', proof: () => make({}, rs256({ e: Buffer.alloc(256, 255).toString('base64url') }), rsa.privateKey) },
    { name: 'an exponent of its own', proof: () => make({}, rs256({ e: 'AQAD' }), rsa.privateKey) },
    { name: 'exponent one', proof: () => make({}, rs256({ e: 'AQ' }), rsa.privateKey) },
    { name: 'an EC key for RS256', proof: () => make({}, { ...header, alg: 'RS256' }) },
    { name: 'a P-256 key for ES384', proof: () => make({}, { ...header, alg: 'ES384' }) },
    { name: 'a point that is not on the curve', proof: () => make({}, { ...header, jwk: { ...jwk, x: offCurve.toString('base64url') } }) },
    { name: 'the point zero', proof: () => make({}, { ...header, jwk: { ...jwk, x: Buffer.alloc(32).toString('base64url'), y: Buffer.alloc(32).toString('base64url') } }) },
    { name: 'a coordinate with a zero before it', proof: () => make({}, { ...header, jwk: { ...jwk, x: Buffer.concat([Buffer.alloc(1), x]).toString('base64url') } }) },
    { name: 'a coordinate with padding', proof: () => make({}, { ...header, jwk: { ...jwk, x: `${jwk.x}=` } }) },
    { name: 'use enc', proof: () => make({}, { ...header, jwk: { ...jwk, use: 'enc' } }) },
    { name: 'a jwk for another alg', proof: () => make({}, { ...header, jwk: { ...jwk, alg: 'ES384' } }) },
  ])('refuses $name', async ({ proof }) => {
    expect(await outcome(check(proof()))).toBe('dpop_key_invalid');
  });

  test('accepts kid, use and alg beside the public members', async () => {
    expect(await outcome(check(make({}, { ...header, kid: 'k', jwk: { ...jwk, use: 'sig', alg: 'ES256', kid: 'k' } })))).toBe('accepted');
    expect(await outcome(check(make({}, rs256(), rsa.privateKey)))).toBe('accepted');
  });

  test.each([
    { name: 'signed by another key', proof: () => make({}, header, other.privateKey) },
    { name: 'a signature of zeros', proof: () => `${make().split('.').slice(0, 2).join('.')}.${Buffer.alloc(64).toString('base64url')}` },
    { name: 'a short signature', proof: () => `${make().split('.').slice(0, 2).join('.')}.AAAA` },
  ])('refuses $name', async ({ proof }) => {
    expect(await outcome(check(proof()))).toBe('dpop_signature_invalid');
  });

  test('refuses any proof of which one byte was changed', async () => {
    const proof = Buffer.from(make());
    await fc.assert(fc.asyncProperty(fc.nat(proof.length - 1), fc.integer({ min: 1, max: 127 }), async (at, flip) => {
      const changed = Buffer.from(proof);
      changed.writeUInt8(changed.readUInt8(at) ^ flip, at);
      expect(await outcome(check(changed.toString('latin1')))).not.toBe('accepted');
    }), { numRuns: 100 });
  });
});

describe('claims', () => {
  test.each([
    { name: 'no jti', change: { jti: undefined } },
    { name: 'an empty jti', change: { jti: '' } },
    { name: 'a jti of 257 characters', change: { jti: 'x'.repeat(257) } },
    { name: 'a number as jti', change: { jti: 1 } },
    { name: 'no htm', change: { htm: undefined } },
    { name: 'no htu', change: { htu: undefined } },
    { name: 'no iat', change: { iat: undefined } },
    { name: 'iat as text', change: { iat: String(payload.iat) } },
    { name: 'iat null', change: { iat: null } },
    { name: 'a number as nonce', change: { nonce: 1 } },
    { name: 'a number as ath', change: { ath: 1 } },
    { name: 'a number as htm', change: { htm: 1 } },
    { name: 'a list as htu', change: { htu: [HTU] } },
  ])('refuses $name', async ({ change }) => {
    expect(await outcome(check(make(change)))).toBe('dpop_claim_missing');
  });

  test('refuses an infinite iat', async () => {
    const proof = (iat: string): string => forge(header, JSON.stringify(payload).replace(/"iat":\d+/, `"iat":${iat}`), pair.privateKey);
    expect(await outcome(check(proof('1e999')))).toBe('dpop_claim_missing');
    expect(await outcome(check(proof('1e9')))).toBe('accepted');
  });

  test('gives its private key away under no name, however it is written', async () => {
    // nodejs/node#63785: what was read before can make JSON.parse take the second name for a backslash.
    const withMember = (name: string): string => forge(JSON.stringify(header).replace(/\}\}$/, `,"${name}":"AAAA"}}`), payload, pair.privateKey);
    expect(await outcome(check(withMember('\\\\')))).toBe('dpop_malformed');
    expect(['dpop_malformed', 'dpop_key_invalid']).toContain(await outcome(check(withMember('\\u0064'))));
    expect(await outcome(check(withMember('d')))).toBe('dpop_key_invalid');
    expect(await outcome(check(withMember('e')))).toBe('accepted');
  });

  test('accepts a jti of 256 characters and claims it does not know', async () => {
    expect(await outcome(check(make({ jti: 'x'.repeat(256), more: true })))).toBe('accepted');
  });

  test.each(['GET', 'post', 'POST ', ''])('refuses htm %j', async (htm) => {
    expect(await outcome(check(make({ htm })))).toBe('dpop_htm_mismatch');
  });

  test.each([
    { name: 'another host', htu: 'https://evil.example/prod/token', code: 'dpop_htu_mismatch' },
    { name: 'another domain', htu: 'https://sts.acme.example/dev/token', code: 'dpop_htu_mismatch' },
    { name: 'another endpoint', htu: `${ISSUER}/introspect`, code: 'dpop_htu_mismatch' },
    { name: 'a trailing slash', htu: `${HTU}/`, code: 'dpop_htu_mismatch' },
    { name: 'http', htu: HTU.replace('https', 'http'), code: 'dpop_htu_mismatch' },
    { name: 'a path alone', htu: '/prod/token', code: 'dpop_htu_mismatch' },
    { name: 'nothing', htu: '', code: 'dpop_htu_mismatch' },
    { name: 'an upper-case scheme and host', htu: 'HTTPS://STS.acme.example/prod/token', code: 'accepted' },
    { name: 'the default port', htu: 'https://sts.acme.example:443/prod/token', code: 'accepted' },
    { name: 'a query, which is not looked at', htu: `${HTU}?x=y`, code: 'accepted' },
  ])('htu with $name: $code', async ({ htu, code }) => {
    expect(await outcome(check(make({ htu })))).toBe(code);
  });

  test('is a fault when the endpoint itself is configured wrongly', async () => {
    await expect(check(make(), { url: '/prod/token' })).rejects.toThrow('configured');
  });
});

describe('age', () => {
  test.each([
    { name: 'no nonce', change: { nonce: undefined }, now: START, code: 'dpop_nonce_missing' },
    { name: 'an invented nonce', change: { nonce: 'AAAAAAAAAAAAAAAAAAAAAA' }, now: START, code: 'dpop_nonce_stale' },
    { name: 'an empty nonce', change: { nonce: '' }, now: START, code: 'dpop_nonce_stale' },
    { name: 'the nonce of the other role', change: { nonce: noncesAt(START, 'rs').issue() }, now: START, code: 'dpop_nonce_stale' },
    { name: 'the nonce of another domain', change: { nonce: noncesAt(START, 'as', 'https://sts.acme.example/dev').issue() }, now: START, code: 'dpop_nonce_stale' },
    { name: 'the previous nonce', change: {}, now: START + 2 * NONCE_SLOT - 1, code: 'accepted' },
    { name: 'the nonce before that', change: {}, now: START + 2 * NONCE_SLOT, code: 'dpop_nonce_stale' },
    { name: 'a client clock an hour behind, with our nonce', change: { iat: payload.iat - 3600 }, now: START, code: 'accepted' },
  ])('$name: $code', async ({ change, now, code }) => {
    expect(await outcome(check(make(change), {}, now))).toBe(code);
  });

  test.each([
    { name: 'as old as allowed', off: -DPOP_IAT_WINDOW, code: 'accepted' },
    { name: 'a second older', off: -DPOP_IAT_WINDOW - 1, code: 'dpop_iat_outside_window' },
    { name: 'as far ahead as allowed', off: DPOP_IAT_WINDOW, code: 'accepted' },
    { name: 'a second further', off: DPOP_IAT_WINDOW + 1, code: 'dpop_iat_outside_window' },
  ])('without nonces, iat $name: $code', async ({ off, code }) => {
    expect(await outcome(checkWithoutNonce(make({ iat: payload.iat + off, nonce: undefined })))).toBe(code);
  });

  test('a used proof is remembered longer than it could be accepted', async () => {
    const ahead = make({ iat: payload.iat + DPOP_IAT_WINDOW, nonce: undefined });
    const result = await checkWithoutNonce(ahead);
    if (!result.ok) throw new Error(result.error.code);
    expect(await outcome(checkWithoutNonce(ahead, result.value.replayUntil))).toBe('dpop_iat_outside_window');
    const withNonce = await check(make());
    if (!withNonce.ok) throw new Error(withNonce.error.code);
    expect(await outcome(check(make(), {}, withNonce.value.replayUntil))).toBe('dpop_nonce_stale');
  });
});

describe('beside an access token', () => {
  const token = 'header.payload.signature';
  const presented = async (key = jwk) => ({ token, jkt: await calculateJwkThumbprint(key) });

  test.each([
    { name: 'its hash', ath: sha256url(token), code: 'accepted' },
    { name: 'the hash of another token', ath: sha256url('other'), code: 'dpop_ath_mismatch' },
    { name: 'no hash', ath: undefined, code: 'dpop_ath_mismatch' },
    { name: 'an empty hash', ath: '', code: 'dpop_ath_mismatch' },
  ])('$name: $code', async ({ ath, code }) => {
    expect(await outcome(check(make({ ath }), { presented: await presented() }))).toBe(code);
  });

  test('refuses a proof by another key than the token is bound to', async () => {
    const bound = await presented({ ...other.publicKey.export({ format: 'jwk' }) });
    expect(await outcome(check(make({ ath: sha256url(token) }), { presented: bound }))).toBe('token_binding_mismatch');
  });
});

describe('replay key', () => {
  const keyOf = async (proof: string, url = HTU): Promise<string> => {
    const result = await check(proof, { url });
    if (!result.ok) throw new Error(result.error.code);
    return result.value.replayKey;
  };

  test('is the same however htu is spelled and whenever it was signed', async () => {
    expect(await keyOf(make({ htu: `${HTU}?x` }))).toBe(await keyOf(make({ iat: payload.iat + 1 })));
  });

  test('differs by jti, key and URL', async () => {
    const all = await Promise.all([keyOf(make()), keyOf(make({ jti: 'other' })), keyOf(make({}, { ...header, jwk: { ...other.publicKey.export({ format: 'jwk' }) } }, other.privateKey)), keyOf(make({ htu: `${ISSUER}/revoke` }), `${ISSUER}/revoke`)]);
    expect(new Set(all).size).toBe(4);
  });
});

test('a token is no proof and a proof is no token', async () => {
  const { ring } = await makeRing();
  const signed = signToken(buildSessionClaims(makeFacts()), ring);
  if (!signed.ok) throw new Error(signed.error.code);
  expect(await outcome(check(signed.value.token))).toBe('dpop_typ_wrong');
  const result = await verifyToken(make(), { kind: 'any' }, { issuer: ISSUER, ring, now: START });
  expect(result.ok ? 'accepted' : result.error.code).toBe('token_malformed');
});

describe('oauth4webapi as the client', () => {
  test.each(['ES256', 'RS256', 'PS256', 'Ed25519'] as const)('learns our nonce, retries, and its %s proof is accepted', async (alg) => {
    const client = { client_id: 'spiffe://prod.acme.example/ci/deployer' };
    const keys = await oauth.generateKeyPair(alg);
    const dpop = oauth.DPoP({}, keys);
    const server = { issuer: ISSUER, token_endpoint: HTU };
    const codes: string[] = [];
    const answer = async (proof: string): Promise<Response> => {
      const now = Date.now();
      const result = await check(proof, {}, now);
      codes.push(result.ok ? 'accepted' : result.error.code);
      const reply = { 'content-type': 'application/json', 'dpop-nonce': noncesAt(now).issue() };
      if (!result.ok) return new Response('{"error":"use_dpop_nonce"}', { status: 400, headers: reply });
      expect(result.value.jkt).toBe(await dpop.calculateThumbprint());
      return new Response('{"access_token":"x","token_type":"DPoP"}', { headers: reply });
    };
    const request = async () => oauth.processGenericTokenEndpointResponse(server, client, await oauth.genericTokenEndpointRequest(server, client, oauth.None(), 'urn:ietf:params:oauth:grant-type:token-exchange', {}, {
      DPoP: dpop, [oauth.customFetch]: (_url, options) => answer(options.headers['dpop'] ?? ''),
    }));
    await expect(request()).rejects.toMatchObject({ error: 'use_dpop_nonce' });
    await expect(request()).resolves.toMatchObject({ access_token: 'x' });
    expect(codes).toEqual(['dpop_nonce_missing', 'accepted']);
  });

  test('sends the hash of the token to a protected resource', async () => {
    const keys = await oauth.generateKeyPair('ES256');
    const dpop = oauth.DPoP({}, keys);
    const codes: string[] = [];
    await oauth.protectedResourceRequest('the-token', 'POST', new URL(`${ISSUER}/introspect`), new Headers(), null, {
      DPoP: dpop,
      [oauth.customFetch]: async (_url, options) => {
        const presented = { token: 'the-token', jkt: await dpop.calculateThumbprint() };
        const settled = await checkDpop({ headers: [options.headers['dpop'] ?? ''], method: 'POST', url: `${ISSUER}/introspect`, presented }, { now: Date.now(), nonces: undefined });
        codes.push(settled.ok ? 'accepted' : settled.error.code);
        return new Response('{}');
      },
    });
    expect(codes).toEqual(['accepted']);
  });
});
