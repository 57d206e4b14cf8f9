import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { createLocalJWKSet } from 'jose';
import type { JWK } from 'jose';
import { createAttestCrossing } from '../../../src/attestation/attest-crossing.ts';
import { createAttest } from '../../../src/attestation/attest.ts';
import { mayfly } from '../../../src/attestation/attestors/mayfly.ts';
import { attestorCatalogue } from '../../../src/attestation/catalogue.ts';
import { createVerifyEvidence } from '../../../src/attestation/verify-evidence.ts';
import { SECOND } from '../../../src/core/duration.ts';
import { ok } from '../../../src/core/result.ts';
import { AUDIENCE, NOW, fixedClock, issuerEntry } from '../world.ts';

const DEV = 'https://sts.acme.example/dev';
const BUILD = 'https://sts.acme.example/build';
const ALICE = 'urn:mayfly:dev:person:corp:alice';
const PLANNER = 'spiffe://dev.acme.example/agents/planner';
const SEARCHER = 'spiffe://build.acme.example/agents/searcher';
const DEPLOYER = 'spiffe://prod.acme.example/ops/deployer';
const pair = (): { readonly privateKey: KeyObject; readonly jwk: JWK } => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, jwk: { ...(createPublicKey(privateKey).export({ format: 'jwk' }) as JWK), kid: 'k1', alg: 'ES256', use: 'sig' } };
};
const HERE = { issuer: AUDIENCE, name: 'prod', spiffe: 'prod.acme.example' };
const key = pair();
const stranger = pair();
const now = NOW / SECOND;
const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const claims = {
  iss: DEV, sub: ALICE, aud: AUDIENCE, iat: now, exp: now + 60, jti: `lse_${'1'.repeat(32)}`, client_id: PLANNER, sid: 'A'.repeat(22), auth_time: now - 60,
  act: { iss: DEV, sub: PLANNER }, may_act: { iss: AUDIENCE, sub: DEPLOYER },
  authority: { model: 'delegated', principal: ALICE, depth: 0, domains: [{ iss: DEV, stage: 'staging' }] },
};
const mint = (changes: object = {}, header: object = {}, by = key): string => {
  const input = `${encode({ alg: 'ES256', typ: 'at+jwt', kid: 'k1', ...header })}.${encode({ ...claims, ...changes })}`;
  return `${input}.${sign('sha256', Buffer.from(input), { key: by.privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
};
const entry = issuerEntry('mayfly', DEV, { stage: 'staging' }, { proves: 'domains', name: 'dev' });
const verify = createVerifyEvidence({ clock: fixedClock, catalogue: attestorCatalogue, keys: () => Promise.resolve(ok(createLocalJWKSet({ keys: [key.jwk] }))) });
const attestCrossing = createAttestCrossing({ clock: fixedClock, verify });
const show = async (token: string): Promise<string> => {
  const result = await attestCrossing(token, (iss) => (iss === DEV ? [entry] : []), HERE);
  return result.ok ? 'accepted' : result.error.code;
};
const authority = (changes: object): object => ({ authority: { ...claims.authority, ...changes } });
const passed = [{ iss: BUILD, stage: 'development' }, { iss: DEV, stage: 'staging' }];

describe('a token of another trust domain', () => {
  test('says on whose behalf, through whom, and who goes on here', async () => {
    const chain = { act: { iss: DEV, sub: PLANNER, act: { iss: BUILD, sub: SEARCHER } }, ...authority({ domains: passed, depth: 1 }) };
    expect(await attestCrossing(mint(chain), () => [entry], HERE)).toMatchObject({
      ok: true,
      value: {
        issuerId: entry.id, iss: DEV, lease: claims.jti, sid: claims.sid, subject: ALICE, model: 'delegated', principal: ALICE, authTime: (now - 60) * SECOND, mayAct: { iss: AUDIENCE, sub: DEPLOYER },
        chain: [{ iss: BUILD, sub: SEARCHER, stage: 'development' }, { iss: DEV, sub: PLANNER, stage: 'staging' }],
      },
    });
  });

  test('begins with its subject where nobody is acted for', async () => {
    const own = { sub: PLANNER, act: undefined, auth_time: undefined, ...authority({ model: 'bounded', principal: 'ops@acme.example' }) };
    expect(await attestCrossing(mint(own), () => [entry], HERE)).toMatchObject({ ok: true, value: { subject: PLANNER, chain: [{ iss: DEV, sub: PLANNER, stage: 'staging' }] } });
  });

  test.each([
    { name: 'the signature of nobody', code: 'evidence_signature_invalid', token: () => mint({}, {}, stranger) },
    { name: 'another typ', code: 'evidence_typ_wrong', token: () => mint({}, { typ: 'JWT' }) },
    { name: 'alg none', code: 'evidence_alg_not_allowed', token: () => mint({}, { alg: 'none' }) },
    { name: 'an issuer nobody registered', code: 'evidence_issuer_unknown', token: () => mint({ iss: BUILD }) },
    { name: 'another audience', code: 'evidence_audience_wrong', token: () => mint({ aud: 'https://sts.acme.example/other' }) },
    { name: 'a list of audiences', code: 'evidence_audience_wrong', token: () => mint({ aud: [AUDIENCE] }) },
    { name: 'a longer life than a minute', code: 'evidence_lifetime_too_long', token: () => mint({ exp: now + 61 }) },
    { name: 'its time past', code: 'evidence_expired', token: () => mint({ iat: now - 120, exp: now - 60 }) },
    { name: 'nobody who may act', code: 'evidence_claim_missing', token: () => mint({ may_act: undefined }) },
    { name: 'no jti', code: 'evidence_claim_missing', token: () => mint({ jti: undefined }) },
    { name: 'no auth_time where a person is acted for', code: 'evidence_claim_missing', token: () => mint({ auth_time: undefined }) },
    { name: 'act dropped', code: 'evidence_claim_invalid', token: () => mint({ act: undefined }) },
    { name: 'an actor of a domain it did not pass', code: 'evidence_claim_invalid', token: () => mint({ act: { iss: DEV, sub: PLANNER, act: { iss: BUILD, sub: SEARCHER } } }) },
    { name: 'an actor that is no workload', code: 'evidence_claim_invalid', token: () => mint({ act: { iss: DEV, sub: PLANNER, act: { iss: DEV, sub: 'alice' } } }) },
    { name: 'no domains', code: 'evidence_claim_invalid', token: () => mint(authority({ domains: undefined })) },
    { name: 'domains that do not end with the issuer', code: 'evidence_claim_invalid', token: () => mint(authority({ domains: [...passed].reverse() })) },
    { name: 'another stage than it is registered as', code: 'evidence_claim_invalid', token: () => mint(authority({ domains: [{ iss: DEV, stage: 'production' }] })) },
    { name: 'a stage that is none', code: 'evidence_claim_invalid', token: () => mint({ act: { iss: DEV, sub: PLANNER, act: { iss: BUILD, sub: SEARCHER } }, ...authority({ domains: [{ iss: BUILD, stage: 'moon' }, { iss: DEV, stage: 'staging' }] }) }) },
    { name: 'a model that is none', code: 'evidence_claim_invalid', token: () => mint({ ...authority({ model: 'royal' }) }) },
    { name: 'this domain among those it passed', code: 'crossing_loop', token: () => mint(authority({ domains: [{ iss: AUDIENCE, stage: 'production' }, { iss: DEV, stage: 'staging' }] })) },
    { name: 'a person of this domain', code: 'evidence_claim_invalid', token: () => mint({ sub: 'urn:mayfly:prod:person:corp:alice', ...authority({ principal: 'urn:mayfly:prod:person:corp:alice' }) }) },
    { name: 'a person of this domain who is accountable', code: 'evidence_claim_invalid', token: () => mint({ sub: PLANNER, act: undefined, auth_time: undefined, ...authority({ model: 'autonomous', principal: 'urn:mayfly:prod:person:corp:alice' }) }) },
    { name: 'a workload of this domain', code: 'evidence_claim_invalid', token: () => mint({ sub: DEPLOYER, client_id: DEPLOYER, act: undefined, auth_time: undefined, ...authority({ model: 'bounded', principal: 'ops@acme.example' }) }) },
    { name: 'a workload of this domain that acted before', code: 'evidence_claim_invalid', token: () => mint({ act: { iss: DEV, sub: PLANNER, act: { iss: DEV, sub: DEPLOYER } } }) },
    { name: 'another person accountable than it acts for', code: 'evidence_claim_invalid', token: () => mint(authority({ principal: 'urn:mayfly:dev:person:corp:mallory' })) },
    { name: 'a client that does not act', code: 'evidence_claim_invalid', token: () => mint({ client_id: SEARCHER }) },
  ])('is refused with $name', async ({ code, token }) => {
    expect(await show(mint())).toBe('accepted');
    expect(await show(token())).toBe(code);
  });

  test('is no evidence of a workload, whatever the entry is asked for', async () => {
    const attest = createAttest({ clock: fixedClock, verify });
    for (const purpose of ['workloads', 'people', 'admins'] as const) {
      expect(await attest(mint(), { candidates: () => [entry], purpose })).toMatchObject({ ok: false, error: { code: 'evidence_issuer_unknown' } });
    }
  });

  test('counts once, by its jti', async () => {
    const keys = [];
    for (const token of [mint(), mint({ exp: now + 59 }), mint({ jti: `lse_${'2'.repeat(32)}` })]) {
      const result = await attestCrossing(token, () => [entry], HERE);
      keys.push(result.ok ? result.value.replayKey : result.error.code);
    }
    expect(keys[0]).toBe(keys[1]);
    expect(keys[2]).not.toBe(keys[0]);
    expect(mayfly.profile()).toMatchObject({ replay: 'once', replayKey: 'jti' });
  });
});
