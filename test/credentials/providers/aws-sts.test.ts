import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { SignJWT, importJWK } from 'jose';
import { HOUR, MINUTE, SECOND } from '../../../src/core/duration.ts';
import type { LeaseId } from '../../../src/core/ids.ts';
import type { Refusal } from '../../../src/core/refusal.ts';
import { err } from '../../../src/core/result.ts';
import type { Result } from '../../../src/core/result.ts';
import type { IssuedCredential, Order, Provider } from '../../../src/credentials/provider.ts';
import { createAwsStsProvider } from '../../../src/credentials/providers/aws-sts.ts';
import { openKeyRing } from '../../../src/keys/key-ring.ts';
import { createGuardedFetch } from '../../../src/outbound/fetch.ts';
import type { GuardedFetch, OutboundRequest } from '../../../src/outbound/fetch.ts';
import { signAwsToken } from '../../../src/tokens/aws.ts';
import type { AwsTokenFacts } from '../../../src/tokens/aws.ts';
import type { StrictRole, StrictSts } from '../../../demo/strict-sts.ts';
import { START, makeRing } from '../../keys/make-ring.ts';
import { ROLE_ARN, startStrictSts, trustPolicy } from '../../support/strict-sts.ts';
import { domain, makeOrder, resource, workload } from '../make-order.ts';
import { describeProvider } from '../provider-contract.ts';

const { ring } = await makeRing([{ purpose: 'aws' }]);
const development = { ...domain, stage: 'development' as const };
const awsResource = resource({ audience: ROLE_ARN, provider: 'aws-sts', scopes: [] });
const openRole: StrictRole = { arn: ROLE_ARN, trust: trustPolicy(domain.issuer, workload.spiffeId) };
const SESSION_POLICY = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::releases/*' }] };
const OBJECT = 'arn:aws:s3:::releases/v1';

/** What the issuer publishes for AWS; a test may withhold it. */
const publish = (): Map<string, unknown> => new Map<string, unknown>([
  [`${domain.issuer}/.well-known/openid-configuration`, { issuer: domain.issuer, jwks_uri: `${domain.issuer}/jwks.json` }],
  [`${domain.issuer}/jwks.json`, { keys: ring.published(START).map(({ publicJwk, kid }) => ({ ...publicJwk, kid })) }],
]);

const startWorld = async (roles: readonly StrictRole[] = [openRole], clientIds: readonly string[] = ['sts.amazonaws.com']) => {
  const world = { now: START, documents: publish(), over: ring, facts: [] as AwsTokenFacts[] };
  const clock = { now: () => world.now };
  const sts = await startStrictSts({ issuerUrl: domain.issuer, clock, documents: () => world.documents, roles, clientIds });
  const fetch = createGuardedFetch();
  const provider: Provider = createAwsStsProvider({
    clock, fetch,
    signAwsToken: (_domainId, facts) => {
      world.facts.push(facts);
      return signAwsToken(facts, world.over);
    },
  });
  const optionsOf = (given: object = {}): unknown => provider.options.parse({ endpoint: sts.url, ...given });
  const issue = (change: Partial<Order> = {}, given: object = {}): Promise<Result<IssuedCredential, Refusal>> =>
    provider.issue(makeOrder({ domain: development, resource: awsResource, scopes: [], expiresAt: START + 20 * MINUTE, ...change }), optionsOf(given));
  const close = async (): Promise<void> => {
    await fetch.close();
    await sts.close();
  };
  return { world, sts, provider, optionsOf, issue, close };
};
type World = Awaited<ReturnType<typeof startWorld>>;

const keysOf = (issued: IssuedCredential): Record<string, unknown> => JSON.parse(issued.credential) as Record<string, unknown>;
const permits = (sts: StrictSts, issued: IssuedCredential, action = 's3:GetObject'): boolean => sts.permits(String(keysOf(issued)['AccessKeyId']), action, OBJECT);

describeProvider('aws-sts', async () => {
  const { world, sts, provider, optionsOf, close } = await startWorld();
  const at = (issued: IssuedCredential, time: number, action?: string): Promise<boolean> => {
    world.now = time;
    return Promise.resolve(permits(sts, issued, action));
  };
  return {
    provider,
    options: optionsOf({ session_policy: SESSION_POLICY }),
    order: { domain: development, resource: awsResource, scopes: [] },
    audiences: { wrong: 'https://deploy.acme.example', right: ROLE_ARN },
    honours: (issued, time) => at(issued, time),
    honoursBeyond: (issued, time) => at(issued, time, 's3:DeleteObject'),
    loseKey: () => { world.over = openKeyRing([], () => { throw new Error('no keys'); }).ring; },
    outages: [
      { name: 'an error of AWS', secret: 'scripted', begin: () => sts.failNext('AccessDenied', 403) },
      { name: 'an error AWS has not documented', secret: 'Unheard', begin: () => sts.failNext('UnheardOf') },
      { name: 'a server error', secret: 'boom', begin: () => sts.answerNext(500, 'boom') },
      { name: 'a reply that is no XML', secret: 'hello', begin: () => sts.answerNext(200, 'hello') },
      { name: 'an empty reply', secret: 'AssumeRole', begin: () => sts.answerNext(200, '') },
      { name: 'a reply without keys', secret: 'Result>', begin: () => sts.answerNext(200, '<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>') },
      { name: 'a reply beyond the size cap', secret: 'aaaa', begin: () => sts.answerNext(200, 'a'.repeat(70_000)) },
    ],
    close,
  };
});

let it: World;
beforeEach(async () => { it = await startWorld(); });
afterEach(() => it.close());

const mustIssue = async (change: Partial<Order> = {}, given: object = {}): Promise<IssuedCredential> => {
  const issued = await it.issue(change, given);
  if (!issued.ok) throw new Error(`${issued.error.code}: ${issued.error.detail}`);
  return issued.value;
};
const codeOf = async (result: Promise<Result<IssuedCredential, Refusal>>): Promise<string> => {
  const settled = await result;
  return settled.ok ? 'issued' : settled.error.code;
};
const restart = async (roles: readonly StrictRole[]): Promise<void> => {
  await it.close();
  it = await startWorld(roles);
};

describe('the keys', () => {
  test('come in the form of credential_process', async () => {
    const issued = await mustIssue();
    expect(issued).toMatchObject({ kind: 'aws-credentials', issuedTokenType: 'urn:mayfly:token-type:aws-credentials', tokenType: 'N_A', handle: undefined });
    expect(keysOf(issued)).toEqual({
      Version: 1, LeaseId: makeOrder().leaseId, AccessKeyId: expect.stringMatching(/^ASIA/), SecretAccessKey: expect.any(String), SessionToken: expect.any(String), Expiration: new Date(issued.expiresAt).toISOString().replace('.000Z', 'Z'),
    });
  });

  test('are for a session that says what it is: name, source identity, tags', async () => {
    await mustIssue({ attributes: { repository_id: '815', ref: 'refs/heads/main', environment: 'a*b', actor: 'alice', lease_id: 'forged', run_id: ['1'] } });
    const [session] = it.sts.sessions;
    expect(session?.sessionName).toBe(`ci=deployer@${makeOrder().leaseId}`);
    expect(session?.identity).toEqual({
      subject: workload.spiffeId, audience: 'sts.amazonaws.com', sourceIdentity: 'ci=deployer', transitive: [],
      // `a*b` is not expressible and left out; what is not chosen (actor) stays out; no attribute poses as the lease.
      tags: { domain: 'prod', workload: 'ci/deployer', lease_id: makeOrder().leaseId, repository_id: '815', ref: 'refs/heads/main' },
    });
  });

  test('carry the chosen attributes as tags', async () => {
    await mustIssue({ attributes: { actor: 'alice', repository_id: '815' } }, { session_tags: ['actor'] });
    expect(it.sts.sessions[0]?.identity.tags).toEqual({ domain: 'prod', workload: 'ci/deployer', lease_id: makeOrder().leaseId, actor: 'alice' });
  });

  test('are got with a JWT of 60 seconds for AWS alone', async () => {
    it.world.now = START + 1234;
    await mustIssue();
    expect(it.world.facts[0]).toMatchObject({ issuer: domain.issuer, subject: workload.spiffeId, audience: 'sts.amazonaws.com', issuedAt: START + 1234, jti: makeOrder().leaseId });
    const [header, payload] = (it.sts.calls[0]?.get('WebIdentityToken') ?? '').split('.').map((part) => Buffer.from(part, 'base64url').toString());
    expect(JSON.parse(header ?? '')).toMatchObject({ typ: 'JWT', alg: 'ES256' });
    const { iat, exp } = JSON.parse(payload ?? '') as { iat: number; exp: number };
    expect(exp - iat).toBe(60);
  });

  test('can be got with another audience of ours, where the IAM provider lists it', async () => {
    const given = { token_audience: 'urn:mayfly:aws:eu' };
    expect(await codeOf(it.issue({}, given))).toBe('provider_misconfigured');
    await it.close();
    it = await startWorld([{ arn: ROLE_ARN, trust: trustPolicy(domain.issuer, workload.spiffeId, undefined, 'urn:mayfly:aws:eu') }], ['urn:mayfly:aws:eu']);
    expect(await codeOf(it.issue({}, given))).toBe('issued');
    expect(await codeOf(it.issue())).toBe('provider_misconfigured');
  });

  test('are refused for a resource that is no role any more, before anything is sent', async () => {
    expect(await codeOf(it.issue({ resource: resource({ audience: 'arn:aws:iam::123456789012:user/alice', scopes: [] }) }))).toBe('provider_misconfigured');
    expect(it.sts.calls).toEqual([]);
  });
});

describe('a session shorter than AWS\'s 900 seconds', () => {
  test('ends by policy at the order\'s end', async () => {
    const issued = await mustIssue({ expiresAt: START + 5 * MINUTE });
    expect(it.sts.sessions[0]?.durationSeconds).toBe(900);
    expect(issued.expiresAt).toBe(START + 5 * MINUTE);
    it.world.now = START + 5 * MINUTE - SECOND;
    expect(permits(it.sts, issued)).toBe(true);
    it.world.now = START + 5 * MINUTE;
    expect(permits(it.sts, issued)).toBe(false);
    expect((it.sts.sessions[0]?.expiration ?? 0) - it.world.now).toBe(10 * MINUTE); // AWS itself would go on
  });

  test('has every statement of a configured policy ended', async () => {
    await mustIssue({ expiresAt: START + MINUTE }, { session_policy: { ...SESSION_POLICY, Statement: [...SESSION_POLICY.Statement, { Effect: 'Deny', Action: 's3:*', Resource: 'arn:aws:s3:::releases/secret' }] } });
    const end = new Date(START + MINUTE).toISOString().replace('.000Z', 'Z');
    expect(it.sts.sessions[0]?.policy?.Statement).toEqual([
      { Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::releases/*', Condition: { DateLessThan: { 'aws:CurrentTime': end } } },
      { Effect: 'Deny', Action: 's3:*', Resource: 'arn:aws:s3:::releases/secret' },
      { Effect: 'Deny', Action: '*', Resource: '*', Condition: { DateGreaterThanEquals: { 'aws:CurrentTime': end } } },
    ]);
  });

  test('is left to AWS when it is long enough', async () => {
    const issued = await mustIssue({ expiresAt: START + 20 * MINUTE });
    expect(it.sts.sessions[0]).toMatchObject({ durationSeconds: 1195, policy: undefined });
    expect(issued.expiresAt).toBe(START + 1195 * SECOND);
  });

  test('is judged by the time that is left, not by the time that was ordered', async () => {
    it.world.now = START + 6 * MINUTE;
    await mustIssue({ expiresAt: START + 20 * MINUTE });
    expect(it.sts.sessions[0]).toMatchObject({ durationSeconds: 900, policy: expect.anything() });
  });
});

describe('AWS', () => {
  test.each([
    { code: 'InvalidIdentityToken', status: 400, becomes: 'provider_misconfigured' },
    { code: 'IDPRejectedClaim', status: 403, becomes: 'provider_denied' },
    { code: 'IDPCommunicationError', status: 400, becomes: 'provider_unavailable' },
    { code: 'AccessDenied', status: 403, becomes: 'provider_denied' },
    { code: 'MalformedPolicyDocument', status: 400, becomes: 'provider_misconfigured' },
    { code: 'PackedPolicyTooLarge', status: 400, becomes: 'provider_bad_request' },
    { code: 'RegionDisabledException', status: 403, becomes: 'provider_misconfigured' },
    { code: 'ValidationError', status: 400, becomes: 'provider_misconfigured' },
    { code: 'Throttling', status: 400, becomes: 'provider_throttled' },
    { code: 'ThrottlingException', status: 400, becomes: 'provider_throttled' },
    { code: 'RequestLimitExceeded', status: 503, becomes: 'provider_throttled' },
    { code: 'SlowDown', status: 429, becomes: 'provider_throttled' },
    { code: 'ServiceUnavailable', status: 503, becomes: 'provider_unavailable' },
    { code: 'InternalFailure', status: 500, becomes: 'provider_unavailable' },
    { code: 'UnheardOf', status: 400, becomes: 'provider_misconfigured' },
    { code: 'UnheardOf', status: 403, becomes: 'provider_denied' },
    { code: 'UnheardOf', status: 502, becomes: 'provider_unavailable' },
  ])('saying $code ($status) becomes $becomes, after one call', async ({ code, status, becomes }) => {
    it.sts.failNext(code, status);
    expect(await codeOf(it.issue())).toBe(becomes);
    expect(it.sts.calls.length).toBe(1);
    expect(await codeOf(it.issue())).toBe('issued');
  });

  test('that throttles says when to come back', async () => {
    it.sts.failNext('Throttling', 400, { 'retry-after': '17' });
    expect(await it.issue()).toMatchObject({ ok: false, error: { code: 'provider_throttled', retryAfter: 17 } });
    it.sts.failNext('Throttling', 400, { 'retry-after': 'Sun, 22 Nov 2026 12:00:00 GMT' });
    expect(await it.issue()).toMatchObject({ ok: false, error: { code: 'provider_throttled', retryAfter: 5 } });
  });

  test('finding the token expired is shown a new one, once', async () => {
    it.sts.failNext('ExpiredTokenException');
    expect(await codeOf(it.issue())).toBe('issued');
    const tokens = it.sts.calls.map((call) => call.get('WebIdentityToken'));
    expect(new Set(tokens).size).toBe(2);
    it.sts.failNext('ExpiredTokenException');
    it.sts.failNext('ExpiredTokenException');
    expect(await codeOf(it.issue())).toBe('provider_misconfigured');
    expect(it.sts.calls.length).toBe(4);
  });

  test('not reached is an outage, whatever the reason', async () => {
    const refusing = createAwsStsProvider({ clock: { now: () => START }, fetch: stubFetch([]), signAwsToken: (_id, facts) => signAwsToken(facts, ring) });
    const refused = await refusing.issue(makeOrder({ resource: awsResource }), refusing.options.parse({}));
    expect(refused).toMatchObject({ ok: false, error: { code: 'provider_unavailable', retryAfter: 10 } });
  });
});

describe('the role', () => {
  test.each([
    { name: 'admits another subject', trust: trustPolicy(domain.issuer, 'spiffe://prod.acme.example/ci/other') },
    { name: 'trusts another issuer', trust: trustPolicy('https://sts.acme.example/other', workload.spiffeId) },
    { name: 'lacks sts:TagSession', trust: trustPolicy(domain.issuer, workload.spiffeId, ['sts:AssumeRoleWithWebIdentity', 'sts:SetSourceIdentity']) },
    { name: 'lacks sts:SetSourceIdentity', trust: trustPolicy(domain.issuer, workload.spiffeId, ['sts:AssumeRoleWithWebIdentity', 'sts:TagSession']) },
  ])('that $name denies', async ({ trust }) => {
    await restart([{ arn: ROLE_ARN, trust }]);
    expect(await codeOf(it.issue())).toBe('provider_denied');
  });

  test('can demand a repository by its tag', async () => {
    const [statement] = trustPolicy(domain.issuer, workload.spiffeId).Statement;
    const demand = (repository: string): StrictRole => ({ arn: ROLE_ARN, trust: { Version: '2012-10-17', Statement: [{ ...statement, Effect: 'Allow', Condition: { ...statement?.Condition, StringLike: { 'aws:RequestTag/repository_id': repository } } }] } });
    await restart([demand('815')]);
    expect(await codeOf(it.issue())).toBe('issued');
    expect(await codeOf(it.issue({ attributes: {} }))).toBe('provider_denied');
    await restart([demand('816')]);
    expect(await codeOf(it.issue())).toBe('provider_denied');
  });

  test('that does not exist denies as one that is closed', async () => {
    await restart([]);
    expect(await codeOf(it.issue())).toBe('provider_denied');
  });

  test('with a shorter maximum session is a misconfiguration', async () => {
    expect(await codeOf(it.issue({ expiresAt: START + HOUR }))).toBe('issued');
    await restart([{ ...openRole, maxSessionDuration: 1000 }]);
    expect(await codeOf(it.issue({ expiresAt: START + HOUR }))).toBe('provider_misconfigured');
  });

  test('is not given when AWS cannot read our keys', async () => {
    it.world.documents.delete(`${domain.issuer}/jwks.json`);
    expect(await codeOf(it.issue())).toBe('provider_unavailable');
    it.world.documents = publish();
    expect(await codeOf(it.issue())).toBe('issued');
  });
});

describe('the strict STS', () => {
  test.each([
    { name: 'an access token', header: { typ: 'at+jwt' }, claims: {}, code: 'InvalidIdentityToken' },
    { name: 'another audience', header: {}, claims: { aud: 'https://deploy.acme.example' }, code: 'InvalidIdentityToken' },
    { name: 'another issuer', header: {}, claims: { iss: 'https://sts.acme.example/other' }, code: 'InvalidIdentityToken' },
    { name: 'an expired token', header: {}, claims: { exp: START / 1000 - 1 }, code: 'ExpiredTokenException' },
    { name: 'two values of one tag', header: {}, claims: { 'https://aws.amazon.com/tags': { principal_tags: { a: ['1', '2'] } } }, code: 'InvalidIdentityToken' },
    { name: '51 tags', header: {}, claims: { 'https://aws.amazon.com/tags': { principal_tags: Object.fromEntries(Array.from({ length: 51 }, (_, at) => [`t${at}`, ['1']])) } }, code: 'ValidationError' },
    { name: 'nothing wrong', header: {}, claims: {}, code: 'Credentials' },
  ])('meets $name with $code', async ({ header, claims, code }) => {
    const key = ring.current('aws', 'ES256');
    if (key === undefined) throw new Error('no key');
    const token = await new SignJWT({ iss: domain.issuer, sub: workload.spiffeId, aud: 'sts.amazonaws.com', iat: START / 1000, exp: START / 1000 + 60, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid: key.kid, typ: 'JWT', ...header }).sign(key.privateKey);
    expect(await post({ WebIdentityToken: token })).toContain(code);
  });

  test('does not take a signature by another key', async () => {
    const stranger = await importJWK({ kty: 'oct', k: 'c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0' }, 'HS256');
    const token = await new SignJWT({ iss: domain.issuer, sub: 'x', aud: 'sts.amazonaws.com', exp: START / 1000 + 60 }).setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid: 'k' }).sign(stranger);
    expect(await post({ WebIdentityToken: token })).toContain('InvalidIdentityToken');
  });

  test.each([
    { name: 'a duration below 900', change: { DurationSeconds: '899' }, code: 'ValidationError' },
    { name: 'a session name with a space', change: { RoleSessionName: 'a b' }, code: 'ValidationError' },
    { name: 'a session name of one character', change: { RoleSessionName: 'a' }, code: 'ValidationError' },
    { name: 'a policy of 2049 characters', change: { Policy: `{${' '.repeat(2047)}}` }, code: 'ValidationError' },
    { name: 'a policy that is none', change: { Policy: '{"Version":"2012-10-17","Statement":[{"Effect":"Perhaps"}]}' }, code: 'MalformedPolicyDocument' },
    { name: 'a parameter it does not know', change: { ProviderId: 'x' }, code: 'ValidationError' },
  ])('meets $name with $code', async ({ change, code }) => {
    expect(await post(change)).toContain(code);
  });

  const post = async (change: Record<string, string>): Promise<string> => {
    const body = new URLSearchParams({ Action: 'AssumeRoleWithWebIdentity', Version: '2011-06-15', RoleArn: ROLE_ARN, RoleSessionName: 'test', DurationSeconds: '900', WebIdentityToken: 'none', ...change });
    return (await globalThis.fetch(it.sts.url, { method: 'POST', body })).text();
  };
});

describe('a resource entry', () => {
  const check = (audience: string, given: object = {}, stage: 'production' | 'development' = 'production', scopes: readonly string[] = []): string | undefined =>
    it.provider.check({ audience, scopes, options: it.provider.options.parse(given) }, { ...domain, stage });

  test.each([ROLE_ARN, 'arn:aws:iam::123456789012:role/team/path/deploy', 'arn:aws-cn:iam::123456789012:role/deploy', 'arn:aws-us-gov:iam::123456789012:role/deploy'])('may name %s', (audience) => {
    expect(check(audience)).toBeUndefined();
  });

  test.each([
    'https://deploy.acme.example', 'arn:aws:iam::123456789012:user/alice', 'arn:aws:iam::12345:role/deploy', 'arn:aws:iam::123456789012:role/', 'arn:aws:sts::123456789012:assumed-role/deploy/x',
    'arn:aws-mars:iam::123456789012:role/deploy', 'arn:aws:iam::123456789012:role/a b', ' arn:aws:iam::123456789012:role/deploy', 'arn:aws:iam::123456789012:role/deploy\n',
  ])('may not name %j', (audience) => {
    expect(check(audience)).toContain('is not the ARN');
  });

  test.each([
    { name: 'a region of another partition', given: { region: 'cn-north-1' }, says: 'partition' },
    { name: 'an audience that access tokens could carry', given: { token_audience: 'https://api.acme.example' }, says: 'urn:mayfly:aws:' },
    { name: 'a policy without actions', given: { session_policy: { Statement: [{ Effect: 'Allow', Resource: '*' }] } }, says: 'Action' },
    { name: 'a policy that is no JSON', given: { session_policy: '{' }, says: 'no IAM policy' },
    { name: 'a policy with a principal', given: { session_policy: '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}' }, says: 'no IAM policy' },
    { name: 'a policy that sets the end itself', given: { session_policy: { Statement: { Effect: 'Allow', Action: '*', Resource: '*', Condition: { datelessthan: { 'AWS:currenttime': '2027-01-01T00:00:00Z' } } } } }, says: 'aws:CurrentTime' },
    { name: 'a policy too long for AWS', given: { session_policy: { Statement: [{ Effect: 'Allow', Action: 's3:GetObject', Resource: `arn:aws:s3:::${'a'.repeat(1800)}` }] } }, says: '2048' },
    { name: 'an endpoint outside development', given: { endpoint: 'http://127.0.0.1:4566' }, says: 'development' },
  ])('may not have $name', ({ given, says }) => {
    expect(check(ROLE_ARN, given)).toContain(says);
  });

  test('may have each of these in its right form', () => {
    expect(check(ROLE_ARN, { region: 'eu-central-1', token_audience: 'urn:mayfly:aws:eu', session_policy: SESSION_POLICY, session_tags: ['actor'] })).toBeUndefined();
    expect(check(ROLE_ARN, { session_policy: JSON.stringify(SESSION_POLICY) })).toBeUndefined();
    expect(check(ROLE_ARN, { endpoint: 'http://127.0.0.1:4566' }, 'development')).toBeUndefined();
    expect(check(ROLE_ARN, { endpoint: 'http://10.0.0.1:4566' }, 'development')).toContain('on this machine');
    expect(check(ROLE_ARN, { endpoint: 'https://sts.evil.example' }, 'development')).toContain('on this machine');
  });

  test('may not have scopes, which would narrow nothing', () => {
    expect(check(ROLE_ARN, {}, 'production', ['deploy:read'])).toContain('no scopes');
  });

  test.each(['us-east', 'eu-central-1.evil.example', 'eu-central-1/', 'EU-CENTRAL-1', ''])('may not have %j as region', (region) => {
    expect(it.provider.options.safeParse({ region }).success).toBe(false);
  });
});

/** A way out that records and refuses, for what must not depend on a network. */
const stubFetch = (seen: { url: string; request: OutboundRequest }[]): GuardedFetch =>
  Object.assign((url: string, request: OutboundRequest) => {
    seen.push({ url, request });
    return Promise.resolve(err({ reason: 'timed_out' as const, detail: 'timed_out: sts' }));
  }, { close: () => Promise.resolve() });

describe('in production', () => {
  test.each([
    { arn: ROLE_ARN, given: { region: 'eu-central-1' }, url: 'https://sts.eu-central-1.amazonaws.com/' },
    { arn: ROLE_ARN, given: {}, url: 'https://sts.us-east-1.amazonaws.com/' },
    { arn: 'arn:aws-cn:iam::123456789012:role/deploy', given: {}, url: 'https://sts.cn-north-1.amazonaws.com.cn/' },
    { arn: 'arn:aws-us-gov:iam::123456789012:role/deploy', given: { region: 'us-gov-east-1' }, url: 'https://sts.us-gov-east-1.amazonaws.com/' },
  ])('$arn is asked for at $url, whatever the environment says', async ({ arn, given, url }) => {
    const before = { ...process.env };
    Object.assign(process.env, { AWS_ENDPOINT_URL: 'https://evil.example', AWS_ENDPOINT_URL_STS: 'https://evil.example', AWS_REGION: 'ap-south-1', AWS_ACCESS_KEY_ID: 'AKIAEVIL', AWS_SECRET_ACCESS_KEY: 'x', AWS_USE_FIPS_ENDPOINT: 'true', AWS_MAX_ATTEMPTS: '9' });
    const seen: { url: string; request: OutboundRequest }[] = [];
    const provider = createAwsStsProvider({ clock: { now: () => START }, fetch: stubFetch(seen), signAwsToken: (_id, facts) => signAwsToken(facts, ring) });
    await provider.issue(makeOrder({ resource: resource({ audience: arn, scopes: [] }) }), provider.options.parse(given));
    process.env = before;
    expect(seen.map((call) => call.url)).toEqual([url]);
    expect(seen[0]?.request).toMatchObject({ allowLoopbackHttp: false, method: 'POST', timeoutMs: 5000 });
    expect(Object.keys(seen[0]?.request.headers ?? {}).sort()).toEqual(['content-type', 'user-agent']);
  });

  test('an endpoint that was registered in development is not called', async () => {
    const seen: { url: string; request: OutboundRequest }[] = [];
    const provider = createAwsStsProvider({ clock: { now: () => START }, fetch: stubFetch(seen), signAwsToken: (_id, facts) => signAwsToken(facts, ring) });
    expect(await codeOf(provider.issue(makeOrder({ resource: awsResource }), provider.options.parse({ endpoint: 'http://127.0.0.1:4566' })))).toBe('provider_misconfigured');
    expect(seen).toEqual([]);
  });
});

test('revocation tells until when AWS honours the keys', async () => {
  expect(await it.provider.revoke?.(undefined, { id: 'lse_x' as LeaseId, expiresAt: START })).toEqual({
    kind: 'recorded', honouredUntil: START, note: 'recorded; AWS honours these keys until 2026-11-22T12:00:00Z',
  });
});
