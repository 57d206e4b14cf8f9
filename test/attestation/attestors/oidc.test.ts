import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { oidc } from '../../../src/attestation/attestors/oidc.ts';
import type { Evidence } from '../../../src/attestation/evidence.ts';
import type { Refusal } from '../../../src/core/refusal.ts';
import type { Result } from '../../../src/core/result.ts';
import { startForeignIssuer } from '../../support/foreign-issuer.ts';
import type { Claims, ForeignIssuer } from '../../support/foreign-issuer.ts';
import { describeAttestorContract } from '../attestor-contract.ts';
import { AUDIENCE, accepted, attestWith, fixedClock, issuerEntry, outcome } from '../world.ts';

const options = {
  claims: {
    service: { claim: 'https://acme.example/service.id', immutable: true, required: true },
    namespace: { claim: ['kubernetes.io', 'namespace'] },
    replicas: { claim: 'replicas', type: 'number' },
    trusted: { claim: 'trusted', type: 'boolean' },
    teams: { claim: 'teams', type: 'list' },
  },
  require: { tier: ['gold', 'silver'] },
};
const claims = {
  sub: 'service-17',
  'https://acme.example/service.id': '17',
  'kubernetes.io': { namespace: 'shop' },
  replicas: 3,
  trusted: true,
  teams: ['a', 'b'],
  tier: 'gold',
};

describeAttestorContract({ attestor: oidc, options: { ...options, claims: { service: { claim: 'service', immutable: true, required: true }, teams: options.claims.teams } }, claims: { ...claims, service: '17' } });

describe('oidc', () => {
  let platform: ForeignIssuer;
  beforeAll(async () => {
    platform = await startForeignIssuer({ clock: fixedClock });
  });
  afterAll(() => platform.close());

  const present = (changes: Claims, entryOptions: object = options): Promise<Result<Evidence, Refusal>> =>
    attestWith([[issuerEntry('oidc', platform.issuer, entryOptions), platform]])(platform.mint({ aud: AUDIENCE, ...claims, ...changes }));

  test('reads literal names with dots and slashes, nested paths and every type', async () => {
    const { attributes, subject } = accepted(await present({}));
    expect(attributes).toEqual({ service: '17', namespace: 'shop', replicas: 3, trusted: true, teams: ['a', 'b'] });
    expect(subject).toBe('service-17');
  });

  test('takes a name with a dot literally and never as a path', async () => {
    const dotted = { claims: { namespace: { claim: 'kubernetes.io.namespace' } } };
    expect(accepted(await present({}, dotted)).attributes).toEqual({});
    expect(accepted(await present({ 'kubernetes.io.namespace': 'shop' }, dotted)).attributes).toEqual({ namespace: 'shop' });
  });

  test('finds nothing that a claim inherits', async () => {
    const inherited = { claims: { made: { claim: ['constructor'] }, deep: { claim: ['kubernetes.io', 'toString'] }, length: { claim: ['teams', 'length'], type: 'number' }, constructor: { claim: 'sub' } } };
    expect(Object.keys(accepted(await present({}, inherited)).attributes)).toEqual(['constructor']);
    expect(accepted(await present({}, { claims: {} })).attributes['constructor']).toBeUndefined();
  });

  test.each([
    { name: 'a number for a string', changes: { 'https://acme.example/service.id': 17 } },
    { name: 'a fraction for a number', changes: { replicas: 1.5 } },
    { name: 'a string for a number', changes: { replicas: '3' } },
    { name: 'another word for a boolean', changes: { trusted: 'yes' } },
    { name: 'a number in a list', changes: { teams: ['a', 1] } },
    { name: 'an object for a list', changes: { teams: { a: 1 } } },
  ])('refuses $name', async ({ changes }) => {
    expect(outcome(await present(changes))).toBe('evidence_claim_invalid');
    expect(outcome(await present({}))).toBe('accepted');
  });

  test('takes booleans in the spelling of strings and a list of one without brackets', async () => {
    expect(accepted(await present({ trusted: 'false', teams: 'a' })).attributes).toMatchObject({ trusted: false, teams: ['a'] });
    expect(accepted(await present({ trusted: false })).attributes).toMatchObject({ trusted: false });
  });

  test.each([
    { name: 'a required claim has another value', refused: { tier: 'bronze' }, twin: { tier: 'silver' } },
    { name: 'a required claim is missing', refused: { tier: undefined }, twin: {} },
    { name: 'a required claim has a value that only begins alike', refused: { tier: 'gold-plated' }, twin: {} },
    { name: 'no member of a required list has the value', refused: { tier: ['bronze'] }, twin: { tier: ['bronze', 'gold'] } },
    { name: 'a required claim is an object', refused: { tier: { gold: 1 } }, twin: {} },
  ])('refuses when $name', async ({ refused, twin }) => {
    expect(outcome(await present(refused))).toBe('evidence_rule_failed');
    expect(outcome(await present(twin))).toBe('accepted');
  });

  test('requires numbers and booleans as such', async () => {
    const strict = { claims: { service: { claim: 'service', type: 'string' } }, require: { replicas: [3], trusted: [true] } };
    expect(outcome(await present({}, strict))).toBe('accepted');
    for (const changes of [{ replicas: '3' }, { replicas: 4 }, { trusted: 'true' }, { trusted: false }]) expect(outcome(await present(changes, strict))).toBe('evidence_rule_failed');
  });

  test('anchors the session to the mapped claim, and without it to the token', async () => {
    const anchored = { ...options, anchor: ['run', 'id'] };
    expect(accepted(await present({ run: { id: 'r-1' } }, anchored)).anchor).toBe('r-1');
    expect(accepted(await present({ run: { id: 7 } }, anchored)).anchor).toBe('7');
    const lone = accepted(await present({}, anchored));
    expect(lone.anchor).toBe(lone.replayKey);
  });

  test('demands a jti where the entry counts by it', async () => {
    const byJti = { ...options, replay_key: 'jti' };
    expect(outcome(await present({ jti: undefined }, byJti))).toBe('evidence_claim_missing');
    expect(accepted(await present({ jti: 'j-1' }, byJti)).replayKey).toBe(accepted(await present({ jti: 'j-1', replicas: 4 }, byJti)).replayKey);
    expect(outcome(await present({ jti: undefined }))).toBe('accepted');
  });

  test('accepts the typ values the entry lists, an absent one only when listed', async () => {
    const attest = (types: string[] | undefined) => attestWith([[issuerEntry('oidc', platform.issuer, { ...options, types }), platform]]);
    const token = (typ: string | undefined): string => platform.mint({ aud: AUDIENCE, ...claims }, { header: { typ } });
    expect(outcome(await attest(['AT+jwt'])(token('at+jwt')))).toBe('accepted');
    expect(outcome(await attest(['AT+jwt'])(token(undefined)))).toBe('evidence_typ_wrong');
    expect(outcome(await attest(undefined)(token(undefined)))).toBe('accepted');
    expect(outcome(await attest(undefined)(token('logout+jwt')))).toBe('evidence_typ_wrong');
  });

  test('describes its attributes by the mapping', () => {
    expect(oidc.attributeTable(oidc.options.parse(options))).toMatchObject({
      service: { immutable: true, type: 'String', required: true },
      namespace: { immutable: false, type: 'String', required: false, doc: 'claim kubernetes.io > namespace' },
      teams: { type: 'Set<String>' },
    });
  });

  test.each([
    { name: 'an unknown key', block: { claim: {} } },
    { name: 'an unknown key of a mapping', block: { claims: { a: { claim: 'a', pattern: '*' } } } },
    { name: 'an attribute called issuer', block: { claims: { issuer: { claim: 'iss' } } } },
    { name: 'an attribute name that is not a word', block: { claims: { 'a-b': { claim: 'a' } } } },
    { name: 'an empty list of required values', block: { require: { tier: [] } } },
    { name: 'an empty path', block: { anchor: [] } },
    { name: 'a lifetime over a day', block: { max_lifetime: 86_401 } },
  ])('refuses a block with $name', ({ block }) => {
    expect(oidc.options.safeParse(block).success).toBe(false);
    expect(oidc.options.safeParse(options).success).toBe(true);
  });

  test.each([
    { issuer: 'https://issuer.example', allowed: true },
    { issuer: 'https://tenant.example/', allowed: true },
    { issuer: 'https://issuer.example:8443/realms/a', allowed: true },
    { issuer: 'http://127.0.0.1:4000', allowed: true },
    { issuer: 'http://issuer.example', allowed: false },
    { issuer: 'http://127.0.0.1.evil.example', allowed: false },
    { issuer: 'https://issuer.example:443', allowed: false },
    { issuer: 'https://Issuer.example', allowed: false },
    { issuer: 'https://issuer.example/a/../b', allowed: false },
    { issuer: 'https://user@issuer.example', allowed: false },
    { issuer: 'https://issuer.example/?a', allowed: false },
    { issuer: 'https://issuer.example#', allowed: false },
    { issuer: `https://issuer.example/${'a'.repeat(489)}`, allowed: true },
    { issuer: `https://issuer.example/${'a'.repeat(490)}`, allowed: false },
    { issuer: 'issuer.example', allowed: false },
    { issuer: 'https://token.actions.githubusercontent.com/acme', allowed: false },
    { issuer: 'https://gitlab.com', allowed: false },
  ])('issuer $issuer allowed: $allowed', ({ issuer, allowed }) => {
    expect(oidc.issuerAllowed(issuer) === undefined).toBe(allowed);
  });
});
