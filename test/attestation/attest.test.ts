import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, errors, exportJWK, generateKeyPair, SignJWT } from 'jose';
import type { JWK } from 'jose';
import { createAttest } from '../../src/attestation/attest.ts';
import { createVerifyEvidence } from '../../src/attestation/verify-evidence.ts';
import { attestorCatalogue, createAttestorCatalogue } from '../../src/attestation/catalogue.ts';
import { EVIDENCE_ALGORITHMS } from '../../src/attestation/envelope.ts';
import type { IssuerKeys } from '../../src/attestation/verify-signature.ts';
import { RefusalError, refusal } from '../../src/core/refusal.ts';
import { err, ok } from '../../src/core/result.ts';
import type { Issuer } from '../../src/registry/entries.ts';
import { createSigningKey, startForeignIssuer } from '../support/foreign-issuer.ts';
import type { ForeignIssuer } from '../support/foreign-issuer.ts';
import { AUDIENCE, NOW, accepted, attestWith, fixedClock, issuerEntry, outcome } from './world.ts';

describe('attest', () => {
  let platform: ForeignIssuer;
  let entry: Issuer;
  beforeAll(async () => {
    platform = await startForeignIssuer({ clock: fixedClock });
    entry = issuerEntry('oidc', platform.issuer, { claims: { tenant: { claim: 'tenant' } } });
  });
  afterAll(() => platform.close());

  const token = (changes = {}): string => platform.mint({ aud: AUDIENCE, sub: 'service-17', tenant: 'a', ...changes });
  const attestVia = (keys: IssuerKeys, entries: readonly Issuer[] = [entry], catalogue = attestorCatalogue) => {
    const attest = createAttest({ clock: fixedClock, verify: createVerifyEvidence({ clock: fixedClock, catalogue, keys }) });
    return (presented: string) => attest(presented, { candidates: () => entries, purpose: 'workloads' });
  };
  const served: IssuerKeys = () => Promise.resolve(ok(createLocalJWKSet(platform.jwks())));

  test('names the entry, the subject and the times of the evidence, and holds no token', async () => {
    const presented = token({ jti: 'j-1' });
    const evidence = accepted(await attestWith([[entry, platform]])(presented));
    expect(evidence).toMatchObject({
      issuerId: entry.id, issuerName: 'ci', proves: 'workloads', kind: 'oidc', iss: platform.issuer, subject: 'service-17',
      attributes: { tenant: 'a' }, issuedAt: NOW, expiresAt: NOW + 300_000, jti: 'j-1',
    });
    expect(JSON.stringify(evidence)).not.toContain(presented.split('.')[2]);
  });

  test('asks nobody for keys when the issuer is not configured or the form is broken', async () => {
    const asked: string[] = [];
    const attest = attestVia((issuer) => { asked.push(issuer.name); return served(issuer); });
    expect(outcome(await attest(token({ iss: 'https://evil.example' })))).toBe('evidence_issuer_unknown');
    expect(outcome(await attest(`${token()}=`))).toBe('evidence_malformed');
    expect(outcome(await attest(platform.mint({ aud: AUDIENCE, sub: 'a' }, { header: { alg: 'none' } })))).toBe('evidence_alg_not_allowed');
    expect(outcome(await attest(platform.mint({ aud: AUDIENCE, sub: 'a' }, { header: { alg: 'ES256' } })))).toBe('evidence_alg_not_allowed');
    expect(outcome(await attest(platform.mint({ aud: AUDIENCE, sub: 'a' }, { header: { typ: 'at+jwt' } })))).toBe('evidence_typ_wrong');
    expect(asked).toEqual([]);
    expect(outcome(await attest(token()))).toBe('accepted');
    expect(asked).toEqual(['ci']);
  });

  test('trusts an entry for its own purpose only', async () => {
    expect(outcome(await attestVia(served, [{ ...entry, proves: 'admins' }])(token()))).toBe('evidence_issuer_unknown');
    expect(outcome(await attestVia(served, [{ ...entry, proves: 'workloads' }])(token()))).toBe('accepted');
  });

  test('believes no candidate that has another issuer URL than the token', async () => {
    expect(outcome(await attestVia(served, [{ ...entry, issuer: `${platform.issuer}/` }])(token()))).toBe('evidence_issuer_unknown');
  });

  test('refuses an entry from the moment it expires', async () => {
    expect(outcome(await attestVia(served, [{ ...entry, expires: NOW }])(token()))).toBe('evidence_issuer_expired');
    expect(outcome(await attestVia(served, [{ ...entry, expires: NOW + 1 }])(token()))).toBe('accepted');
  });

  test('refuses an entry whose kind is not in the catalogue', async () => {
    const others = createAttestorCatalogue([]);
    expect(outcome(await attestVia(served, [entry], others)(token()))).toBe('evidence_issuer_unknown');
    expect(outcome(await attestVia(served, [entry], attestorCatalogue)(token()))).toBe('accepted');
  });

  test('refuses a token that two entries could accept, also when one of them tells tenants apart', async () => {
    const forTenant = (name: string, value?: string): Issuer => issuerEntry('oidc', platform.issuer, value === undefined ? {} : { discriminator: { claim: 'tenant', value } }, { name });
    const codes = async (...entries: Issuer[]): Promise<string> => outcome(await attestVia(served, entries)(token()));
    expect(await codes(forTenant('any'), forTenant('all'))).toBe('evidence_issuer_ambiguous');
    expect(await codes(forTenant('any'), forTenant('a', 'a'))).toBe('evidence_issuer_ambiguous');
    expect(await codes(forTenant('b', 'b'), forTenant('c', 'c'))).toBe('evidence_issuer_unknown');
    expect(await codes(forTenant('a', 'a'), forTenant('b', 'b'))).toBe('accepted');
  });

  test('tells entries of several domains apart by whose audience the token has', async () => {
    const audiences = ['https://sts.acme.example/system/admin', 'https://sts.acme.example/prod/admin'];
    const entries = audiences.map((audience, at) => issuerEntry('oidc', platform.issuer, {}, { name: `admins-${at}`, audience }));
    const attest = attestVia(served, entries);
    for (const [at, aud] of audiences.entries()) expect(accepted(await attest(token({ aud })))).toMatchObject({ issuerName: `admins-${at}` });
    expect(accepted(await attest(token({ aud: [audiences[0]] })))).toMatchObject({ issuerName: 'admins-0' });
    expect(outcome(await attest(token({ aud: audiences })))).toBe('evidence_audience_wrong');
    expect(outcome(await attest(token()))).toBe('evidence_audience_wrong');
  });

  test('refuses a token whose key the issuer published as no point of its curve', async () => {
    const good = await createSigningKey('ES256');
    const signed = platform.mint({ aud: AUDIENCE, sub: 'a' }, { key: good });
    const es256 = issuerEntry('oidc', platform.issuer, {}, { algorithms: ['ES256'] });
    const publish = (jwk: typeof good.publicJwk): IssuerKeys => () => Promise.resolve(ok(createLocalJWKSet({ keys: [jwk] })));
    expect(outcome(await attestVia(publish({ ...good.publicJwk, x: 'AQAB' }), [es256])(signed))).toBe('evidence_key_unknown');
    expect(outcome(await attestVia(publish(good.publicJwk), [es256])(signed))).toBe('accepted');
  });

  test('never tries another entry\'s keys, even one of the same issuer URL', async () => {
    const other = await createSigningKey('RS256');
    const entries = ['a', 'b'].map((value) => issuerEntry('oidc', platform.issuer, { discriminator: { claim: 'tenant', value } }, { name: value }));
    const keysOf: IssuerKeys = (issuer) => Promise.resolve(ok(createLocalJWKSet(issuer.name === 'a' ? platform.jwks() : { keys: [other.publicJwk] })));
    expect(outcome(await attestVia(keysOf, entries)(token({ tenant: 'b' })))).toBe('evidence_key_unknown');
    expect(outcome(await attestVia(keysOf, entries)(token({ tenant: 'a' })))).toBe('accepted');
  });

  test.each([
    { name: 'when the provider says so', keys: (() => Promise.resolve(err(refusal('issuer_keys_unavailable', 'down', 5)))) satisfies IssuerKeys },
    { name: 'when the lookup of a kid finds out', keys: (() => Promise.resolve(ok(() => Promise.reject(new RefusalError(refusal('issuer_keys_unavailable', 'down', 5)))))) satisfies IssuerKeys },
  ])('hands on that keys are unavailable $name', async ({ keys }) => {
    expect(await attestVia(keys)(token())).toEqual({ ok: false, error: { code: 'issuer_keys_unavailable', detail: 'down', retryAfter: 5 } });
    expect(outcome(await attestVia(served)(token()))).toBe('accepted');
  });

  test('lets a fault of the key provider through as a fault', async () => {
    await expect(attestVia(() => Promise.resolve(ok(() => Promise.reject(new Error('broken')))))(token())).rejects.toThrow('broken');
    expect(outcome(await attestVia(() => Promise.resolve(ok(() => Promise.reject(new errors.JWKSInvalid('bad')))))(token()))).toBe('evidence_key_unknown');
  });

  test('refuses a key too short for its algorithm', async () => {
    const short: IssuerKeys = () => Promise.resolve(ok(createLocalJWKSet({ keys: [{ ...platform.key().publicJwk, n: 'AQAB' }] })));
    expect(outcome(await attestVia(short)(token()))).toBe('evidence_key_unknown');
  });

  test.each([
    { name: 'no confirmation', cnf: undefined, code: 'accepted' },
    { name: 'a key thumbprint', cnf: { jkt: 'a'.repeat(43) }, code: 'accepted' },
    { name: 'a certificate', cnf: { 'x5t#S256': 'a'.repeat(43) }, code: 'evidence_claim_invalid' },
    { name: 'a key thumbprint beside something else', cnf: { jkt: 'a'.repeat(43), kid: '1' }, code: 'evidence_claim_invalid' },
    { name: 'a thumbprint of the wrong length', cnf: { jkt: 'a' }, code: 'evidence_claim_invalid' },
    { name: 'no object', cnf: 'jkt', code: 'evidence_claim_invalid' },
  ])('passes over no binding: $name', async ({ cnf, code }) => {
    const result = await attestVia(served)(token({ cnf }));
    expect(outcome(result)).toBe(code);
    if (result.ok) expect(result.value.boundTo).toBe((cnf as { jkt?: string } | undefined)?.jkt);
  });

  test('follows a rotation: the new key once it is served, the old one until it is not', async () => {
    const attest = attestWith([[entry, platform]]);
    const old = token();
    await platform.rotate();
    expect(outcome(await attest(token()))).toBe('accepted');
    expect(outcome(await attest(old))).toBe('accepted');
    await platform.rotate({ dropOld: true });
    expect(outcome(await attest(old))).toBe('evidence_key_unknown');
    expect(outcome(await attest(token()))).toBe('accepted');
  });

  test('needs no kid for pinned keys, and tries each that fits', async () => {
    const [first, second] = [await createSigningKey('RS256'), await createSigningKey('RS256')];
    const nameless = [first, second].map(({ publicJwk: { kid: _kid, ...jwk } }) => jwk);
    const attest = attestWith([[{ ...entry, jwks: { keys: nameless } }, platform]]);
    const signed = (key: typeof first): string => platform.mint({ aud: AUDIENCE, sub: 'service-17' }, { key, header: { kid: undefined } });
    const before = platform.fetches.jwks;
    expect(outcome(await attest(signed(first)))).toBe('accepted');
    expect(outcome(await attest(signed(second)))).toBe('accepted');
    expect(outcome(await attest(signed(await createSigningKey('RS256'))))).toBe('evidence_signature_invalid');
    expect(platform.fetches.jwks).toBe(before);
    expect(outcome(await attestWith([[entry, platform]])(signed(platform.key())))).toBe('evidence_key_unknown');
  });

  test('takes algorithms and replay rule of the entry before those of the kind', async () => {
    const elliptic = await createSigningKey('ES256');
    const pinned = { ...entry, jwks: { keys: [elliptic.publicJwk] } };
    const presented = platform.mint({ aud: AUDIENCE, sub: 'service-17' }, { key: elliptic });
    expect(outcome(await attestWith([[pinned, platform]])(presented))).toBe('evidence_alg_not_allowed');
    const once = accepted(await attestWith([[{ ...pinned, algorithms: ['ES256'] }, platform]])(presented));
    const within = accepted(await attestWith([[{ ...pinned, algorithms: ['ES256'], replay: 'within-session' }, platform]])(presented));
    expect(once.replayKey).toBe(once.anchor);
    expect(within).toMatchObject({ replayKey: undefined, anchor: once.anchor });
  });

  test('lets an admin\'s token count for several calls unless the entry says once', async () => {
    const attest = createAttest({ clock: fixedClock, verify: createVerifyEvidence({ clock: fixedClock, catalogue: attestorCatalogue, keys: served }) });
    const present = async (replay: 'once' | undefined) => accepted(await attest(token(), { candidates: () => [{ ...entry, proves: 'admins' as const, replay }], purpose: 'admins' }));
    expect((await present(undefined)).replayKey).toBeUndefined();
    expect((await present('once')).replayKey).toBeDefined();
  });

  test('answers from the entry\'s new version as soon as it is there', async () => {
    const versions = [entry, { ...entry, version: 2, audience: 'https://sts.acme.example/other' }];
    let current = 0;
    const attest = createAttest({ clock: fixedClock, verify: createVerifyEvidence({ clock: fixedClock, catalogue: attestorCatalogue, keys: served }) });
    const present = async (): Promise<string> => outcome(await attest(token(), { candidates: () => versions.slice(current, current + 1), purpose: 'workloads' }));
    expect(await present()).toBe('accepted');
    current = 1;
    expect(await present()).toBe('evidence_audience_wrong');
  });

  test.each(EVIDENCE_ALGORITHMS)('accepts %s of an entry that lists it, by a key made for it, and of no other', async (alg) => {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k', alg };
    const signed = await new SignJWT({ iss: platform.issuer, aud: AUDIENCE, sub: 'a', iat: NOW / 1000, exp: NOW / 1000 + 60 }).setProtectedHeader({ alg, kid: 'k' }).sign(privateKey);
    const others = EVIDENCE_ALGORITHMS.filter((other) => other !== alg);
    const codeOf = async (algorithms: readonly string[], published: object): Promise<string> =>
      outcome(await attestVia(() => Promise.resolve(ok(createLocalJWKSet({ keys: [published as JWK] }))), [issuerEntry('oidc', platform.issuer, {}, { algorithms: [...algorithms] as Issuer['algorithms'] })])(signed));
    expect(await codeOf([alg], jwk)).toBe('accepted');
    expect(await codeOf(others, jwk)).toBe('evidence_alg_not_allowed');
    // RFC 8725 section 3.1: the key is for one algorithm, whatever the header says.
    expect(await codeOf([...EVIDENCE_ALGORITHMS], { ...jwk, alg: others.find((other) => other.slice(0, 2) === alg.slice(0, 2)) })).toBe('evidence_key_unknown');
  });

  test('offers no algorithm that a public key could be mistaken for a secret in', () => {
    expect(EVIDENCE_ALGORITHMS.filter((alg) => !/^(?:RS|PS|ES)(?:256|384|512)$|^Ed/.test(alg))).toEqual([]);
  });
});
