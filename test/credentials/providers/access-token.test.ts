import { describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import type { JWTPayload } from 'jose';
import { MINUTE } from '../../../src/core/duration.ts';
import type { SpiffeId } from '../../../src/core/ids.ts';
import { createAccessTokenProvider } from '../../../src/credentials/providers/access-token.ts';
import type { Provider } from '../../../src/credentials/provider.ts';
import { openKeyRing } from '../../../src/keys/key-ring.ts';
import type { KeyRing } from '../../../src/keys/key-ring.ts';
import type { SigningKey } from '../../../src/keys/signing-key.ts';
import { StoreUnavailable } from '../../../src/store/store.ts';
import { signToken } from '../../../src/tokens/sign.ts';
import type { StatusEntry } from '../../../src/tokens/status-list.ts';
import { START, makeRing } from '../../keys/make-ring.ts';
import { domain, makeOrder, resource, workload } from '../make-order.ts';
import { describeProvider } from '../provider-contract.ts';

const { ring, rows, keys } = await makeRing([{ purpose: 'access' }, { purpose: 'access', algorithm: 'RS256' }]);
const published = { keys: ring.published(START).map(({ publicJwk, kid }) => ({ ...publicJwk, kid })) };
/** Counts up, so that an entry taken twice shows. */
let taken = 0;
const takeStatusEntry = ({ issuer }: { readonly issuer: string }): Promise<StatusEntry> => {
  taken += 1;
  return Promise.resolve({ list: 'list-1', index: taken, uri: `${issuer}/status/list-1` });
};
const providerOver = (over: () => KeyRing): Provider => createAccessTokenProvider({ signAccessToken: (_domainId, claims, algorithm) => signToken(claims, over(), algorithm), takeStatusEntry });
type Algorithm = 'ES256' | 'RS256';
const verify = async (token: string, at: number, audience: string, algorithm: Algorithm = 'ES256'): Promise<JWTPayload> =>
  (await jwtVerify(token, createLocalJWKSet(published), { issuer: domain.issuer, audience, typ: 'at+jwt', algorithms: [algorithm], currentDate: new Date(at) })).payload;

describe.each([{ algorithm: 'ES256' as const }, { algorithm: 'RS256' as const }])('signing with $algorithm', ({ algorithm }) => describeProvider('access-token', async () => {
  let current = ring;
  await Promise.resolve();
  return {
    provider: providerOver(() => current),
    options: { algorithm },
    order: { resource: resource({}), scopes: ['deploy:read'] },
    audiences: { wrong: 'sts.amazonaws.com', right: 'https://deploy.acme.example' },
    honours: ({ credential }, at) => verify(credential, at, 'https://deploy.acme.example', algorithm).then(({ scope }) => scope === 'deploy:read', () => false),
    honoursBeyond: ({ credential }, at) => verify(credential, at, 'https://deploy.acme.example', algorithm).then(({ scope }) => String(scope).includes('deploy:write')),
    loseKey: () => { current = openKeyRing([], () => { throw new Error('no keys'); }).ring; },
    outages: [],
    close: () => Promise.resolve(),
  };
}));

const provider = providerOver(() => ring);
const ES256 = { algorithm: 'ES256' as const };
const RS256 = { algorithm: 'RS256' };
const claimsOf = async (change: Parameters<typeof makeOrder>[0]): Promise<JWTPayload> => {
  const issued = await provider.issue(makeOrder(change), ES256);
  if (!issued.ok) throw new Error(issued.error.detail);
  return verify(issued.value.credential, START, 'https://deploy.acme.example');
};

describe('the token', () => {
  test('has exactly the claims of the order', async () => {
    expect(await claimsOf({})).toEqual({
      iss: domain.issuer, sub: workload.spiffeId, aud: 'https://deploy.acme.example', client_id: workload.spiffeId, scope: 'deploy:read',
      iat: START / 1000, exp: START / 1000 + 300, jti: makeOrder().leaseId, sid: makeOrder().sessionId, authority: { model: 'bounded', principal: workload.owner, depth: 0 },
      status: { status_list: { idx: taken, uri: `${domain.issuer}/status/list-1` } },
    });
  });

  test('names the entry of a status list that was taken for it alone, and says which that is', async () => {
    const issued = await provider.issue(makeOrder(), ES256);
    expect(issued).toMatchObject({ ok: true, value: { status: { list: 'list-1', index: taken, uri: `${domain.issuer}/status/list-1` } } });
    expect((await claimsOf({}))['status']).not.toEqual({ status_list: { idx: taken - 1, uri: `${domain.issuer}/status/list-1` } });
  });

  test('is not issued when there is no entry for it', async () => {
    const empty = createAccessTokenProvider({ signAccessToken: (_domainId, claims, algorithm) => signToken(claims, ring, algorithm), takeStatusEntry: () => Promise.reject(new StoreUnavailable('no block')) });
    await expect(empty.issue(makeOrder(), { algorithm: 'ES256' })).rejects.toThrow(StoreUnavailable);
  });

  test('has no scope when none was decided', async () => {
    expect(await claimsOf({ scopes: [] })).not.toHaveProperty('scope');
  });

  test('keeps the actor chain', async () => {
    const act = { iss: domain.issuer, sub: workload.spiffeId, act: { iss: domain.issuer, sub: 'spiffe://prod.acme.example/planner' as SpiffeId } };
    expect(await claimsOf({ subject: { sub: 'urn:mayfly:prod:person:okta:alice', act, model: 'delegated', principal: 'urn:mayfly:prod:person:okta:alice', depth: 1, authTime: undefined, acr: undefined } })).toMatchObject({ act, sub: 'urn:mayfly:prod:person:okta:alice' });
  });

  test('is bound to the key that was proved, and says so', async () => {
    const jkt = 'x'.repeat(43);
    const order = makeOrder({ binding: { jkt, replayKey: 'r', replayUntil: START + MINUTE } });
    const issued = await provider.issue(order, ES256);
    expect(issued).toMatchObject({ ok: true, value: { tokenType: 'DPoP', kid: keys[0]?.kid } });
    expect(await claimsOf({ binding: order.binding })).toMatchObject({ cnf: { jkt } });
    expect(await provider.issue(makeOrder(), ES256)).toMatchObject({ ok: true, value: { tokenType: 'Bearer' } });
  });
});

describe('the algorithm of a resource', () => {
  const headerOf = async (options: object): Promise<object> => {
    const issued = await provider.issue(makeOrder(), options);
    if (!issued.ok) throw new Error(issued.error.detail);
    return decodeProtectedHeader(issued.value.credential);
  };

  test('is that of its tokens, each signed by the key for it', async () => {
    expect(await headerOf(ES256)).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: keys[0]?.kid });
    expect(await headerOf(RS256)).toEqual({ alg: 'RS256', typ: 'at+jwt', kid: keys[1]?.kid });
  });

  test.each(['RS512', 'none', 'HS256', 'rs256', ''])('cannot be %j, and is ES256 where the entry says nothing', (algorithm) => {
    expect(provider.options.safeParse({ algorithm }).success).toBe(false);
    expect(provider.options.parse({})).toEqual(ES256);
  });

  test('has a key of 2048 bits at least where it is RS256 (RFC 7518 section 3.3)', () => {
    expect(Buffer.from(rows[1]?.publicJwk['n'] as string, 'base64url').length * 8).toBeGreaterThanOrEqual(2048);
  });

  test.each([{ missing: 'RS256', there: 0 }, { missing: 'ES256', there: 1 }])('refuses alone when the $missing key is missing', async ({ missing, there }) => {
    const row = rows[there];
    if (row === undefined) throw new Error('no row');
    const half = providerOver(() => openKeyRing([row], () => keys[there] as SigningKey).ring);
    expect(await half.issue(makeOrder(), { algorithm: missing })).toMatchObject({ ok: false, error: { code: 'domain_not_ready', detail: expect.stringContaining(missing) } });
    expect(await half.issue(makeOrder(), { algorithm: row.algorithm })).toMatchObject({ ok: true });
  });
});

describe('an audience', () => {
  const check = (audience: string): string | undefined => provider.check({ audience, scopes: [], options: ES256 }, domain);
  test.each([
    'sts.amazonaws.com', 'STS.amazonaws.com', 'sts.eu-central-1.amazonaws.com', 'sts.amazonaws.com.cn', 'https://sts.amazonaws.com', 'https://sts.amazonaws.com/', 'https://signin.aws.amazon.amazonaws.com/x',
    'arn:aws:iam::123456789012:role/deploy', 'urn:mayfly:aws:own', 'urn:mayfly:ceiling', 'api://AzureADTokenExchange', '//iam.googleapis.com/projects/1', 'https://iam.googleapis.com/projects/1',
  ])('of a cloud provider, %s, is refused', (audience) => {
    expect(check(audience)).toContain('cloud provider');
  });

  test.each(['https://sts.acme.example/prod', 'https://sts.acme.example/prod/', 'HTTPS://STS.acme.example/prod', 'https://sts.acme.example:443/prod'])('that is the domain\'s own issuer, %s, is refused', (audience) => {
    expect(check(audience)).toContain('own issuer');
  });

  test.each(['https://deploy.acme.example', 'https://sts.acme.example/prod/introspect', 'https://notamazonaws.com', 'https://api.example/amazonaws.com', 'urn:acme:deploy', 'deploy'])('%s is accepted', (audience) => {
    expect(check(audience)).toBeUndefined();
  });
});
