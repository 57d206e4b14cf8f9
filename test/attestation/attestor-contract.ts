import { createPublicKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { CompactEncrypt, importJWK } from 'jose';
import fc from 'fast-check';
import type { Attestor } from '../../src/attestation/attestor.ts';
import { MAX_TOKEN_LENGTH } from '../../src/attestation/envelope.ts';
import { SECOND } from '../../src/core/duration.ts';
import type { Issuer } from '../../src/registry/entries.ts';
import { hmacTexts, malleate, startForeignIssuer } from '../support/foreign-issuer.ts';
import type { Claims, ForeignIssuer, SigningKey } from '../support/foreign-issuer.ts';
import { AUDIENCE, NOW, accepted, attestWith, fixedClock, issuerEntry, outcome } from './world.ts';

export interface AttestorContract {
  /** With its options erased, as the catalogue holds it. */
  readonly attestor: Attestor;
  /** The kind's own block of an entry, as a user writes it. */
  readonly options: unknown;
  /** Claims of an accepted token beside iss, aud, iat, exp and jti. */
  readonly claims: Claims;
}

/** What every kind of JWT evidence must refuse (evidence.md A0 and C2, standards.md H5), each with a twin it accepts. */
export const describeAttestorContract = ({ attestor, options, claims }: AttestorContract): void => {
  const now = NOW / SECOND;
  const { maxLifetime, requiredClaims } = attestor.profile(attestor.options.parse(options));
  const required = Object.entries(attestor.attributeTable(attestor.options.parse(options))).filter(([, spec]) => spec.required).map(([name]) => name);
  let platform: ForeignIssuer;
  let stranger: ForeignIssuer;
  let signer: SigningKey;
  let ellipticKey: SigningKey;
  let entry: Issuer;

  beforeAll(async () => {
    platform = await startForeignIssuer({ clock: fixedClock });
    stranger = await startForeignIssuer({ clock: fixedClock });
    signer = platform.key();
    ellipticKey = await platform.rotate({ alg: 'ES256' });
    entry = issuerEntry(attestor.kind, platform.issuer, options, { algorithms: ['RS256', 'ES256'] });
  });
  afterAll(async () => {
    await platform.close();
    await stranger.close();
  });

  const header = (changes: Claims = {}, key: SigningKey = signer): string => JSON.stringify({ typ: 'JWT', alg: key.alg, kid: key.kid, ...changes });
  const payload = (changes: Claims = {}): Claims => ({ iss: platform.issuer, aud: AUDIENCE, sub: 'repo:acme/app', iat: now, exp: now + 300, jti: 'j-1', ...claims, ...changes });
  const token = (changes: Claims = {}, headerChanges: Claims = {}): string => platform.mintRaw(header(headerChanges), JSON.stringify(payload(changes)), signer);
  const raw = (headerText: string, payloadText: string): string => platform.mintRaw(headerText, payloadText, signer);
  const elliptic = (): string => platform.mintRaw(header({}, ellipticKey), JSON.stringify(payload()), ellipticKey);
  const publicPem = (): string => createPublicKey({ key: signer.publicJwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString();
  const insert = (json: string, member: string): string => `{${member},${json.slice(1)}`;
  const text = (changes: Claims = {}): string => JSON.stringify(payload(changes));

  interface Row { readonly name: string; readonly code: string; readonly refused: () => string | Promise<string>; readonly twin?: () => string }
  const rows: readonly Row[] = [
    { name: 'a token expired beyond the skew', code: 'evidence_expired', refused: () => token({ iat: now - 200, exp: now - 30 }), twin: () => token({ iat: now - 200, exp: now - 29 }) },
    { name: 'a token not yet valid', code: 'evidence_not_yet_valid', refused: () => token({ nbf: now + 31 }), twin: () => token({ nbf: now + 30 }) },
    { name: 'a token issued an hour ahead', code: 'evidence_not_yet_valid', refused: () => token({ iat: now + 3600, exp: now + 3660 }), twin: () => token({ iat: now + 30, exp: now + 90 }) },
    { name: 'a token that lives too long', code: 'evidence_lifetime_too_long', refused: () => token({ exp: now + maxLifetime + 1 }), twin: () => token({ exp: now + maxLifetime }) },
    { name: 'a token that ends before it began', code: 'evidence_claim_invalid', refused: () => token({ iat: now + 10, exp: now + 10 }), twin: () => token({ iat: now + 9, exp: now + 10 }) },
    { name: 'exp missing', code: 'evidence_claim_missing', refused: () => token({ exp: undefined }) },
    { name: 'exp as a string', code: 'evidence_claim_invalid', refused: () => token({ exp: String(now + 300) }) },
    { name: 'exp infinite', code: 'evidence_claim_invalid', refused: () => raw(header(), text().replace(`"exp":${now + 300}`, '"exp":1e400')) },
    { name: 'iat missing', code: 'evidence_claim_missing', refused: () => token({ iat: undefined }) },
    { name: 'iat as a string', code: 'evidence_claim_invalid', refused: () => token({ iat: String(now) }) },
    { name: 'nbf as a string', code: 'evidence_claim_invalid', refused: () => token({ nbf: String(now) }), twin: () => token({ nbf: now }) },
    { name: 'sub missing', code: 'evidence_claim_missing', refused: () => token({ sub: undefined }) },
    { name: 'sub as a number', code: 'evidence_claim_invalid', refused: () => token({ sub: 4711 }) },
    { name: 'an actor the token was given through', code: 'evidence_claim_invalid', refused: () => token({ act: { sub: 'somebody' } }) },
    { name: 'somebody who may act for the subject', code: 'evidence_claim_invalid', refused: () => token({ may_act: { sub: 'somebody' } }) },
    { name: 'jti as a number', code: 'evidence_claim_invalid', refused: () => token({ jti: 4711 }) },
    { name: 'another audience', code: 'evidence_audience_wrong', refused: () => token({ aud: 'https://sts.acme.example/staging' }) },
    { name: 'an audience that only begins with ours', code: 'evidence_audience_wrong', refused: () => token({ aud: `${AUDIENCE}/` }) },
    { name: 'our audience and another', code: 'evidence_audience_wrong', refused: () => token({ aud: [AUDIENCE, 'https://other.example'] }), twin: () => token({ aud: [AUDIENCE] }) },
    { name: 'aud missing', code: 'evidence_claim_missing', refused: () => token({ aud: undefined }) },
    { name: 'iss missing', code: 'evidence_claim_missing', refused: () => token({ iss: undefined }) },
    { name: 'another issuer', code: 'evidence_issuer_unknown', refused: () => token({ iss: stranger.issuer }) },
    { name: 'the issuer with a trailing slash', code: 'evidence_issuer_unknown', refused: () => token({ iss: `${platform.issuer}/` }) },
    { name: 'the issuer in another case', code: 'evidence_issuer_unknown', refused: () => token({ iss: platform.issuer.replace('http', 'HTTP') }) },
    { name: 'iss as a list', code: 'evidence_issuer_unknown', refused: () => token({ iss: [platform.issuer] }) },

    { name: 'alg none without a signature', code: 'evidence_malformed', refused: () => withSignature(token({}, { alg: 'none' }), Buffer.alloc(0)) },
    { name: 'alg none', code: 'evidence_alg_not_allowed', refused: () => token({}, { alg: 'none' }) },
    { name: 'alg None', code: 'evidence_alg_not_allowed', refused: () => token({}, { alg: 'None' }) },
    { name: 'alg with a leading space', code: 'evidence_alg_not_allowed', refused: () => token({}, { alg: ' RS256' }) },
    { name: 'alg missing', code: 'evidence_alg_not_allowed', refused: () => token({}, { alg: undefined }) },
    { name: 'HS256 keyed with the public key', code: 'evidence_alg_not_allowed', refused: () => hmacTexts(header({ alg: 'HS256' }), text(), publicPem()) },
    { name: 'an algorithm the entry does not list', code: 'evidence_alg_not_allowed', refused: () => token({}, { alg: 'RS384' }) },
    { name: 'the RSA key named with ES256', code: 'evidence_key_unknown', refused: () => token({}, { alg: 'ES256' }), twin: () => elliptic() },

    { name: 'an unknown kid', code: 'evidence_key_unknown', refused: () => token({}, { kid: 'gone' }) },
    { name: 'a kid that is a path', code: 'evidence_key_unknown', refused: () => token({}, { kid: '../../x' }) },
    { name: 'no kid', code: 'evidence_key_unknown', refused: () => token({}, { kid: undefined }) },
    { name: 'a kid that is not a string', code: 'evidence_malformed', refused: () => token({}, { kid: 1 }) },
    { name: 'the key and kid of another issuer', code: 'evidence_key_unknown', refused: () => platform.mintRaw(header({}, stranger.key()), text(), stranger.key()) },
    { name: 'the key of another issuer under our kid', code: 'evidence_signature_invalid', refused: () => platform.mintRaw(header(), text(), stranger.key()) },
    { name: 'an ES256 signature of zeros', code: 'evidence_signature_invalid', refused: () => withSignature(elliptic(), Buffer.alloc(64)), twin: () => elliptic() },
    { name: 'a signature of 16 bytes', code: 'evidence_signature_invalid', refused: () => withSignature(token(), Buffer.alloc(16, 1)) },

    { name: 'crit', code: 'evidence_header_not_allowed', refused: () => token({}, { crit: ['exp'] }) },
    { name: 'b64', code: 'evidence_header_not_allowed', refused: () => token({}, { b64: true }) },
    { name: 'an embedded jwk', code: 'evidence_header_not_allowed', refused: () => platform.mintRaw(header({ jwk: stranger.key().publicJwk }), text(), stranger.key()) },
    { name: 'jku', code: 'evidence_header_not_allowed', refused: () => token({}, { jku: `${stranger.url}/.well-known/jwks` }) },
    { name: 'x5u', code: 'evidence_header_not_allowed', refused: () => token({}, { x5u: `${stranger.url}/cert` }) },
    { name: 'x5c', code: 'evidence_header_not_allowed', refused: () => token({}, { x5c: ['MIIB'] }), twin: () => token({}, { x5t: 'eCT_rOEFrUPABeOL2D0zKODY' }) },
    { name: 'a member of encrypted tokens', code: 'evidence_header_not_allowed', refused: () => token({}, { enc: 'A256GCM' }) },
    { name: 'compression', code: 'evidence_header_not_allowed', refused: () => token({}, { zip: 'DEF' }) },
    { name: 'a nested token', code: 'evidence_header_not_allowed', refused: () => token({}, { cty: 'JWT' }) },
    { name: 'the typ of an access token', code: 'evidence_typ_wrong', refused: () => token({}, { typ: 'at+jwt' }), twin: () => token({}, { typ: 'application/JWT' }) },
    { name: 'a typ that is not a string', code: 'evidence_malformed', refused: () => token({}, { typ: 1 }) },

    { name: 'an encrypted token', code: 'evidence_malformed', refused: async () => new CompactEncrypt(Buffer.from(token())).setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM' }).encrypt(await importJWK(ellipticKey.publicJwk, 'ECDH-ES')) },
    { name: 'JSON serialisation', code: 'evidence_malformed', refused: () => { const [protectedHeader, body, signature] = token().split('.'); return JSON.stringify({ protected: protectedHeader, payload: body, signature }); } },
    { name: 'a doubled header member', code: 'evidence_malformed', refused: () => raw(insert(header(), '"alg":"none"'), text()) },
    { name: 'a doubled claim', code: 'evidence_malformed', refused: () => raw(header(), insert(text(), `"sub":"repo:acme/other"`)), twin: () => raw(header(), insert(text(), '"sub2":"repo:acme/other"')) },
    { name: 'a doubled claim behind an escape', code: 'evidence_malformed', refused: () => raw(header(), insert(text(), `"\\u0073ub":"repo:acme/other"`)) },
    { name: 'a doubled member of a nested claim', code: 'evidence_malformed', refused: () => raw(header(), insert(text(), '"x":[{"a":1,"a":1}]')), twin: () => raw(header(), insert(text(), '"x":[{"a":"\\":"},{"a":1}]')) },
    { name: 'claims nested a thousand deep', code: 'evidence_malformed', refused: () => raw(header(), insert(text(), `"x":${'['.repeat(1000)}${']'.repeat(1000)}`)) },
    { name: 'claims that are a list', code: 'evidence_malformed', refused: () => raw(header(), '[]') },
    { name: 'claims that are not UTF-8', code: 'evidence_malformed', refused: () => { const [head, , signature] = token().split('.'); return `${String(head)}.${Buffer.from('7b22737562223a22ff227d', 'hex').toString('base64url')}.${String(signature)}`; } },
    { name: 'a byte order mark', code: 'evidence_malformed', refused: () => raw(header(), `\uFEFF${text()}`) },
    { name: 'padding', code: 'evidence_malformed', refused: () => `${token()}=` },
    { name: 'a line break at the end', code: 'evidence_malformed', refused: () => `${token()}\n` },
    { name: 'two segments', code: 'evidence_malformed', refused: () => token().split('.').slice(0, 2).join('.') },
    { name: 'four segments', code: 'evidence_malformed', refused: () => `${token()}.e30` },
    { name: 'no token', code: 'evidence_malformed', refused: () => '' },
    { name: 'a token of 20 KiB', code: 'evidence_too_large', refused: () => token({ padding: 'x'.repeat(15 * 1024) }), twin: () => token({ padding: 'x'.repeat(10 * 1024) }) },
    { name: 'a token of 5 MB', code: 'evidence_too_large', refused: () => 'x'.repeat(5 * 1024 * 1024) },
    { name: 'a header of 5 KiB', code: 'evidence_too_large', refused: () => token({}, { x: 'x'.repeat(4 * 1024) }), twin: () => token({}, { x: 'x'.repeat(2 * 1024) }) },
    ...[...new Set([...requiredClaims, ...required])].map((name): Row => ({ name: `a token without ${name}`, code: name === attestor.discriminator(attestor.options.parse(options))?.claim ? 'evidence_issuer_unknown' : 'evidence_claim_missing', refused: () => token({ [name]: undefined }) })),
  ];

  describe(`${attestor.kind}: the rules of all evidence`, () => {
    test.each(rows)('refuses $name', async ({ code, refused, twin }) => {
      const attest = attestWith([[entry, platform]]);
      expect(outcome(await attest(await refused()))).toBe(code);
      expect(outcome(await attest((twin ?? token)()))).toBe('accepted');
    });

    test('yields only attributes of its table, with the types the table says', async () => {
      const { attributes } = accepted(await attestWith([[entry, platform]])(token()));
      const table = attestor.attributeTable(entry.options);
      for (const [name, value] of Object.entries(attributes)) expect([name, table[name]?.type]).toEqual([name, typeOf(value)]);
      for (const name of required) expect(attributes).toHaveProperty(name);
    });

    test('gives both ES256 spellings of one token the same replay key and anchor', async () => {
      const attest = attestWith([[{ ...entry, replay: 'once' }, platform]]);
      const one = elliptic();
      const [first, second] = [accepted(await attest(one)), accepted(await attest(malleate(one)))];
      expect(malleate(one)).not.toBe(one);
      expect(second.replayKey).toBe(first.replayKey);
      expect(second.anchor).toBe(first.anchor);
      expect(first.replayKey).toMatch(/^j(?:ti|ws)\.[A-Za-z0-9_-]{43}$/);
    });

    test('gives two tokens different replay keys', async () => {
      const attest = attestWith([[{ ...entry, replay: 'once' }, platform]]);
      const [first, second] = [accepted(await attest(token())), accepted(await attest(token({ jti: 'j-2' })))];
      expect(second.replayKey).not.toBe(first.replayKey);
    });

    test('refuses every change of one byte, and throws at none', async () => {
      const attest = attestWith([[{ ...entry, jwks: platform.jwks() }, platform]]);
      const tokens = [token(), elliptic()];
      const change = fc.tuple(fc.constantFrom(...tokens), fc.nat(), fc.oneof(fc.constantFrom(...'Aaz09-_.'), fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code))));
      await fc.assert(fc.asyncProperty(change, async ([original, seed, char]) => {
        const at = seed % original.length;
        fc.pre(original[at] !== char);
        expect((await attest(`${original.slice(0, at)}${char}${original.slice(at + 1)}`)).ok).toBe(false);
      }), { numRuns: 300 });
      for (const original of tokens) expect(outcome(await attest(original))).toBe('accepted');
    });

    test('refuses any text at all, and throws at none', async () => {
      const attest = attestWith([[{ ...entry, jwks: platform.jwks() }, platform]]);
      const segment = fc.oneof(fc.base64String(), fc.json().map((json) => Buffer.from(json).toString('base64url')), fc.constant(token().split('.')[0] ?? ''));
      const anything = fc.oneof(fc.string({ maxLength: 200 }), fc.array(segment, { maxLength: 6 }).map((segments) => segments.join('.')));
      await fc.assert(fc.asyncProperty(anything, async (presented) => expect((await attest(presented)).ok).toBe(false)), { numRuns: 300 });
      expect(token().length).toBeLessThan(MAX_TOKEN_LENGTH);
    });
  });
};

const withSignature = (token: string, signature: Uint8Array): string => `${token.slice(0, token.lastIndexOf('.'))}.${Buffer.from(signature).toString('base64url')}`;

const typeOf = (value: unknown): string => {
  if (typeof value === 'string') return 'String';
  if (typeof value === 'number') return 'Long';
  return typeof value === 'boolean' ? 'Bool' : 'Set<String>';
};
