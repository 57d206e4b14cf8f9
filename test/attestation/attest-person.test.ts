import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLocalJWKSet } from 'jose';
import { createAttestPerson } from '../../src/attestation/attest-person.ts';
import { attestorCatalogue } from '../../src/attestation/catalogue.ts';
import { parsePersonUrn, personUrn } from '../../src/attestation/person.ts';
import type { Person } from '../../src/attestation/person.ts';
import { createVerifyEvidence } from '../../src/attestation/verify-evidence.ts';
import type { Refusal } from '../../src/core/refusal.ts';
import { ok } from '../../src/core/result.ts';
import type { Result } from '../../src/core/result.ts';
import type { Issuer } from '../../src/registry/entries.ts';
import { createSigningKey, startForeignIssuer } from '../support/foreign-issuer.ts';
import type { Claims, ForeignIssuer, MintOptions } from '../support/foreign-issuer.ts';
import { AUDIENCE, NOW, fixedClock, issuerEntry } from './world.ts';

const [APP, OTHER_APP] = ['planner-app', 'other-app'];
const LOGGED_IN = NOW / 1000 - 60;
const ACCESS: MintOptions = { header: { typ: 'at+jwt' } };

let idp: ForeignIssuer;
let entry: Issuer;
beforeAll(async () => {
  idp = await startForeignIssuer({ clock: fixedClock });
  entry = issuerEntry('oidc', idp.issuer, { claims: { groups: { claim: 'groups', type: 'list' } } }, {
    name: 'corp', proves: 'people', audiences: [{ clientId: APP, presenters: ['agents/planner', 'ci/runner'] }, { clientId: OTHER_APP, presenters: ['agents/other'] }],
  });
});
afterAll(() => idp.close());

const idToken = (claims: Claims = {}, options?: MintOptions): string => idp.mint({ sub: 'alice', aud: APP, auth_time: LOGGED_IN, sid: 'login-1', groups: ['engineering', 'on call'], ...claims }, options);
const accessToken = (claims: Claims = {}, options: MintOptions = ACCESS): string => idToken({ aud: AUDIENCE, client_id: APP, ...claims }, options);
const attest = (token: string, entries: readonly Issuer[] = [entry]): Promise<Result<Person, Refusal>> =>
  createAttestPerson({ clock: fixedClock, verify: createVerifyEvidence({ clock: fixedClock, catalogue: attestorCatalogue, keys: () => Promise.resolve(ok(createLocalJWKSet(idp.jwks()))) }) })(
    token, (iss) => entries.filter(({ issuer }) => issuer === iss), { name: 'prod', issuer: AUDIENCE },
  );
const codeOf = async (...asked: Parameters<typeof attest>): Promise<string> => {
  const result = await attest(...asked);
  return result.ok ? 'accepted' : result.error.code;
};
const person = async (...asked: Parameters<typeof attest>): Promise<Person> => {
  const result = await attest(...asked);
  if (!result.ok) throw new Error(`refused: ${result.error.code}: ${result.error.detail}`);
  return result.value;
};

test('a person\'s ID token says who logged in where and when, for which application, and holds no token', async () => {
  const token = idToken({ acr: 'mfa' });
  expect(await person(token)).toEqual({
    urn: 'urn:mayfly:prod:person:corp:alice', issuerId: entry.id, issuerName: 'corp', iss: idp.issuer, subject: 'alice', groups: ['engineering', 'on call'], authTime: LOGGED_IN * 1000, acr: 'mfa', anchor: 'sid.login-1',
    clientId: APP, presenters: ['agents/planner', 'ci/runner'], mayAct: undefined, replayKey: undefined, expiresAt: NOW + 300_000, boundTo: undefined,
  });
  expect(JSON.stringify(await person(token))).not.toContain(token.split('.')[2]);
});

test('a person\'s access token for this domain says the same', async () => {
  expect(await person(accessToken())).toEqual(await person(idToken()));
});

describe('which application a token was made for', () => {
  test.each<{ readonly name: string; readonly token: () => string; readonly code: string }>([
    { name: 'the ID token of another application', token: () => idToken({ aud: 'some-app' }), code: 'evidence_audience_wrong' },
    { name: 'the ID token of a listed one', token: () => idToken({ aud: APP }), code: 'accepted' },
    { name: 'the ID token of one whose name is longer', token: () => idToken({ aud: `${APP}2` }), code: 'evidence_audience_wrong' },
    { name: 'the ID token of one in other case', token: () => idToken({ aud: APP.toUpperCase() }), code: 'evidence_audience_wrong' },
    { name: 'an ID token made out to this domain itself', token: () => idToken({ aud: AUDIENCE }), code: 'evidence_audience_wrong' },
    { name: 'an ID token made out to nobody', token: () => idToken({ aud: undefined }), code: 'evidence_audience_wrong' },
    { name: 'an ID token with an empty list of audiences', token: () => idToken({ aud: [] }), code: 'evidence_audience_wrong' },
    { name: 'an ID token whose audience is no text', token: () => idToken({ aud: [{ clientId: APP }] }), code: 'evidence_audience_wrong' },
    { name: 'one audience in a list', token: () => idToken({ aud: [APP] }), code: 'accepted' },
    { name: 'several audiences without azp', token: () => idToken({ aud: [APP, 'some-app'] }), code: 'evidence_audience_wrong' },
    { name: 'several listed audiences without azp', token: () => idToken({ aud: [APP, OTHER_APP] }), code: 'evidence_audience_wrong' },
    { name: 'several audiences and the listed azp', token: () => idToken({ aud: [APP, 'some-app'], azp: APP }), code: 'accepted' },
    { name: 'several audiences and the azp that is not listed', token: () => idToken({ aud: [APP, 'some-app'], azp: 'some-app' }), code: 'evidence_audience_wrong' },
    { name: 'a listed azp that is none of the audiences', token: () => idToken({ aud: 'some-app', azp: APP }), code: 'evidence_audience_wrong' },
    { name: 'an azp that is another application than the audience', token: () => idToken({ aud: APP, azp: OTHER_APP }), code: 'evidence_audience_wrong' },
    { name: 'an azp that is the audience', token: () => idToken({ aud: APP, azp: APP }), code: 'accepted' },
    { name: 'an azp of null', token: () => idToken({ aud: APP, azp: null }), code: 'evidence_audience_wrong' },
  ])('$name: $code', async ({ token, code }) => {
    expect(await codeOf(token())).toBe(code);
  });

  test('decides who may present it: of several audiences the azp\'s presenters, and no others', async () => {
    expect(await person(idToken({ aud: OTHER_APP }))).toMatchObject({ clientId: OTHER_APP, presenters: ['agents/other'] });
    expect(await person(idToken({ aud: [APP, OTHER_APP], azp: OTHER_APP }))).toMatchObject({ clientId: OTHER_APP, presenters: ['agents/other'] });
    expect(await person(accessToken({ client_id: OTHER_APP }))).toMatchObject({ clientId: OTHER_APP, presenters: ['agents/other'] });
  });

  test('an issuer that lists no application accepts nobody\'s token', async () => {
    expect([await codeOf(idToken(), [{ ...entry, audiences: undefined }]), await codeOf(idToken(), [{ ...entry, audiences: [] }]), await codeOf(accessToken(), [{ ...entry, audiences: [] }])]).toEqual(Array(3).fill('evidence_audience_wrong'));
  });

  test.each<{ readonly name: string; readonly claims?: Claims; readonly typ?: string | undefined; readonly code: string }>([
    { name: 'made out to this domain through a listed application', code: 'accepted' },
    { name: 'made out to an API', claims: { aud: 'https://api.acme.example' }, code: 'evidence_audience_wrong' },
    { name: 'made out to this domain and another', claims: { aud: [AUDIENCE, 'https://api.acme.example'] }, code: 'evidence_audience_wrong' },
    { name: 'made out to this domain alone, in a list', claims: { aud: [AUDIENCE] }, code: 'accepted' },
    { name: 'made out to this domain with a slash more', claims: { aud: `${AUDIENCE}/` }, code: 'evidence_audience_wrong' },
    { name: 'made out to a listed application, which is an ID token\'s audience', claims: { aud: APP }, code: 'evidence_audience_wrong' },
    { name: 'through an application that is not listed', claims: { client_id: 'some-app' }, code: 'evidence_audience_wrong' },
    { name: 'that names no application', claims: { client_id: undefined }, code: 'evidence_audience_wrong' },
    { name: 'that names it as azp alone', claims: { client_id: undefined, azp: APP }, code: 'evidence_audience_wrong' },
    { name: 'by the long name of its type', typ: 'application/at+jwt', code: 'accepted' },
    { name: 'by its type in other case', typ: 'AT+JWT', code: 'accepted' },
    { name: 'that does not say it is one', typ: 'JWT', code: 'evidence_audience_wrong' },
    { name: 'that says nothing of its type', typ: undefined, code: 'evidence_audience_wrong' },
  ])('an access token $name: $code', async ({ claims, code, ...given }) => {
    expect(await codeOf(accessToken(claims, 'typ' in given ? { header: { typ: given.typ } } : ACCESS))).toBe(code);
  });

  test.each(['logout+jwt', 'secevent+jwt', 'dpop+jwt', 'entity-statement+jwt'])('a token of type %s is neither', async (typ) => {
    expect(await codeOf(idToken({}, { header: { typ } }))).toBe('evidence_typ_wrong');
    expect(await codeOf(idToken({}, { header: { typ: 'JWT' } }))).toBe('accepted');
  });

  test('a logout token of old, which says nothing of its type, is no login', async () => {
    const logout = { events: { 'http://schemas.openid.net/event/backchannel-logout': {} }, auth_time: undefined };
    expect(await codeOf(idToken(logout, { header: { typ: undefined } }))).toBe('evidence_claim_missing');
    expect(await codeOf(idToken({}, { header: { typ: undefined } }))).toBe('accepted');
  });
});

describe('what a person\'s token must say', () => {
  test.each<{ readonly name: string; readonly claims: Claims; readonly code: string }>([
    { name: 'no auth_time', claims: { auth_time: undefined }, code: 'evidence_claim_missing' },
    { name: 'an auth_time of null', claims: { auth_time: null }, code: 'evidence_claim_invalid' },
    { name: 'an auth_time in text', claims: { auth_time: String(LOGGED_IN) }, code: 'evidence_claim_invalid' },
    { name: 'an auth_time with a fraction', claims: { auth_time: LOGGED_IN + 0.5 }, code: 'evidence_claim_invalid' },
    { name: 'an auth_time before all time', claims: { auth_time: -1 }, code: 'evidence_claim_invalid' },
    { name: 'an auth_time beyond all time', claims: { auth_time: 2 ** 60 }, code: 'evidence_claim_invalid' },
    { name: 'an auth_time a little ahead, as clocks are', claims: { auth_time: NOW / 1000 + 30 }, code: 'accepted' },
    { name: 'an auth_time further ahead', claims: { auth_time: NOW / 1000 + 31 }, code: 'evidence_not_yet_valid' },
    { name: 'no sub', claims: { sub: undefined }, code: 'evidence_claim_missing' },
    { name: 'an empty sub', claims: { sub: '' }, code: 'evidence_claim_invalid' },
    { name: 'a sub that is a number', claims: { sub: 7 }, code: 'evidence_claim_invalid' },
    { name: 'a sub of 255 characters', claims: { sub: 'x'.repeat(255) }, code: 'accepted' },
    { name: 'a sub of 256 characters', claims: { sub: 'x'.repeat(256) }, code: 'evidence_claim_invalid' },
    { name: 'a sub that is no text in any encoding', claims: { sub: 'alice\ud800' }, code: 'evidence_claim_invalid' },
    { name: 'a sub in another script', claims: { sub: 'алиса' }, code: 'accepted' },
    { name: 'a sub whose name would be too long to be written', claims: { sub: '字'.repeat(255) }, code: 'evidence_claim_invalid' },
    { name: 'an actor: a token that was delegated already', claims: { act: { sub: 'agents/planner' } }, code: 'evidence_claim_invalid' },
    { name: 'an actor of null', claims: { act: null }, code: 'evidence_claim_invalid' },
    { name: 'who may act', claims: { may_act: { sub: 'spiffe://prod.acme.example/agents/planner' } }, code: 'accepted' },
    { name: 'that nobody in particular may act', claims: { may_act: {} }, code: 'evidence_claim_invalid' },
    { name: 'that no text may act', claims: { may_act: { sub: ['a'] } }, code: 'evidence_claim_invalid' },
    { name: 'that somebody of no issuer may act', claims: { may_act: { iss: 7, sub: 'a' } }, code: 'evidence_claim_invalid' },
    { name: 'that it is expired', claims: { iat: NOW / 1000 - 400, exp: NOW / 1000 - 30 }, code: 'evidence_expired' },
    { name: 'that it is as good as expired, as clocks are', claims: { iat: NOW / 1000 - 400, exp: NOW / 1000 - 29 }, code: 'accepted' },
    { name: 'no exp', claims: { exp: undefined }, code: 'evidence_claim_missing' },
    { name: 'no iat', claims: { iat: undefined }, code: 'evidence_claim_missing' },
    { name: 'a life of more than the issuer\'s entry allows', claims: { exp: NOW / 1000 + 3601 }, code: 'evidence_lifetime_too_long' },
    { name: 'a life of just that', claims: { exp: NOW / 1000 + 3600 }, code: 'accepted' },
    { name: 'groups that are no list of names', claims: { groups: ['a', 7] }, code: 'evidence_claim_invalid' },
    { name: 'a binding that cannot be checked here', claims: { cnf: { 'x5t#S256': 'a'.repeat(43) } }, code: 'evidence_claim_invalid' },
    { name: 'a key it is bound to', claims: { cnf: { jkt: 'a'.repeat(43) } }, code: 'accepted' },
  ])('$name: $code', async ({ claims, code }) => {
    expect(await codeOf(idToken(claims))).toBe(code);
  });

  test('who may act, and the key it is bound to, are told on', async () => {
    expect(await person(idToken({ may_act: { iss: AUDIENCE, sub: 'spiffe://a/b', other: 1 }, cnf: { jkt: 'a'.repeat(43) } }))).toMatchObject({ mayAct: { iss: AUDIENCE, sub: 'spiffe://a/b' }, boundTo: 'a'.repeat(43) });
    expect((await person(idToken({ may_act: { sub: 'spiffe://a/b' } }))).mayAct).toEqual({ iss: undefined, sub: 'spiffe://a/b' });
  });

  test.each<{ readonly name: string; readonly claims: Claims; readonly anchor: string }>([
    { name: 'its session at the provider', claims: { sid: 's/1' }, anchor: 'sid.s/1' },
    { name: 'its time, where there is no session', claims: { sid: undefined }, anchor: `auth_time.${LOGGED_IN}` },
    { name: 'its time, where the session has no name', claims: { sid: '' }, anchor: `auth_time.${LOGGED_IN}` },
    { name: 'its time, where the session\'s name is no text', claims: { sid: 7 }, anchor: `auth_time.${LOGGED_IN}` },
  ])('a login is known by $name', async ({ claims, anchor }) => {
    expect((await person(idToken(claims))).anchor).toBe(anchor);
  });

  test.each<{ readonly name: string; readonly groups: unknown; readonly read: readonly string[] }>([
    { name: 'a list', groups: ['a', 'b'], read: ['a', 'b'] }, { name: 'an empty list', groups: [], read: [] }, { name: 'none', groups: undefined, read: [] },
  ])('groups are $name', async ({ groups, read }) => {
    expect((await person(idToken({ groups }))).groups).toEqual(read);
  });

  test('a level of assurance is told where it is one', async () => {
    expect([(await person(idToken({ acr: 'mfa' }))).acr, (await person(idToken({ acr: '' }))).acr, (await person(idToken({ acr: 7 }))).acr, (await person(idToken())).acr]).toEqual(['mfa', undefined, undefined, undefined]);
  });
});

describe('whose word counts', () => {
  test('an entry that proves workloads or admins says nothing of people', async () => {
    expect([await codeOf(idToken(), [{ ...entry, proves: 'workloads' }]), await codeOf(idToken(), [{ ...entry, proves: 'admins' }]), await codeOf(idToken(), [entry])]).toEqual(['evidence_issuer_unknown', 'evidence_issuer_unknown', 'accepted']);
  });

  test('a token of an issuer that is not there, or signed by nobody we know, is none', async () => {
    expect(await codeOf(idToken({ iss: 'https://elsewhere.example' }))).toBe('evidence_issuer_unknown');
    expect(await codeOf(idToken({}, { key: await createSigningKey('RS256') }))).toBe('evidence_key_unknown');
    expect(await codeOf(idToken({}, { key: { ...await createSigningKey('RS256'), kid: idp.key().kid } }))).toBe('evidence_signature_invalid');
  });

  test('an entry counts until it expires', async () => {
    expect([await codeOf(idToken(), [{ ...entry, expires: NOW }]), await codeOf(idToken(), [{ ...entry, expires: NOW + 1 }])]).toEqual(['evidence_issuer_expired', 'accepted']);
  });

  test('a token may be shown again within its life, unless the entry says once', async () => {
    const token = idToken();
    const once = [{ ...entry, replay: 'once' as const }];
    expect([(await person(token)).replayKey, (await person(token, once)).replayKey]).toEqual([undefined, expect.any(String)]);
    expect((await person(token, once)).replayKey).toBe((await person(token, once)).replayKey);
    expect((await person(token, once)).replayKey).not.toBe((await person(idToken(), once)).replayKey);
  });
});

describe('a person\'s name', () => {
  test.each(['alice', 'alice@acme.example', 'auth0|5f7c8ec7', 'a:b/c?d#e', 'a b', 'ü', '(*!\')', '%41', 'a%2Fb', '..', '\u0000'])('of subject %j is one, and tells the subject again', (subject) => {
    const urn = personUrn('prod', 'corp', subject);
    expect(urn).toMatch(/^urn:mayfly:prod:person:corp:(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+$/);
    expect(parsePersonUrn(urn)).toEqual({ domain: 'prod', issuer: 'corp', subject });
  });

  test('of two subjects is two', () => {
    const subjects = ['a', 'A', 'a%3A', 'a:', '%61', 'ä', 'a\u0308', 'a '];
    expect(new Set(subjects.map((subject) => personUrn('prod', 'corp', subject))).size).toBe(subjects.length);
  });

  test.each([
    'urn:mayfly:prod:person:corp:', 'urn:mayfly:prod:person:corp:a b', 'urn:mayfly:prod:person:corp:%61lice', 'urn:mayfly:prod:person:corp:a%2fb', 'urn:mayfly:prod:person:corp:%E0%A4%A', 'urn:mayfly:prod:person:corp:%ff',
    'urn:mayfly:Prod:person:corp:a', 'urn:mayfly:prod:workload:corp:a', 'urn:mayfly:prod:person:corp:a:b', 'URN:mayfly:prod:person:corp:a', ' urn:mayfly:prod:person:corp:a', `urn:mayfly:prod:person:corp:${'a'.repeat(2048)}`, 'alice',
  ])('is written in one way: %s is none', (raw) => {
    expect(parsePersonUrn(raw)).toBeUndefined();
    expect(parsePersonUrn('urn:mayfly:prod:person:corp:alice')).toBeDefined();
  });
});
