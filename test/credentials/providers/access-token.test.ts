import { describe, expect, test } from '@jest/globals';
import { createLocalJWKSet, jwtVerify } from 'jose';
import type { JWTPayload } from 'jose';
import { MINUTE } from '../../../src/core/duration.ts';
import type { SpiffeId } from '../../../src/core/ids.ts';
import { createAccessTokenProvider } from '../../../src/credentials/providers/access-token.ts';
import type { Provider } from '../../../src/credentials/provider.ts';
import { openKeyRing } from '../../../src/keys/key-ring.ts';
import type { KeyRing } from '../../../src/keys/key-ring.ts';
import { signToken } from '../../../src/tokens/sign.ts';
import { START, makeRing } from '../../keys/make-ring.ts';
import { domain, makeOrder, resource, workload } from '../make-order.ts';
import { describeProvider } from '../provider-contract.ts';

const { ring, keys } = await makeRing([{ purpose: 'access' }]);
const published = { keys: ring.published(START).map(({ publicJwk, kid }) => ({ ...publicJwk, kid })) };
const providerOver = (over: () => KeyRing): Provider => createAccessTokenProvider({ signAccessToken: (_domainId, claims) => signToken(claims, over()) });
const verify = async (token: string, at: number, audience: string): Promise<JWTPayload> =>
  (await jwtVerify(token, createLocalJWKSet(published), { issuer: domain.issuer, audience, typ: 'at+jwt', algorithms: ['ES256'], currentDate: new Date(at) })).payload;

describeProvider('access-token', async () => {
  let current = ring;
  await Promise.resolve();
  return {
    provider: providerOver(() => current),
    options: {},
    order: { resource: resource({}), scopes: ['deploy:read'] },
    audiences: { wrong: 'sts.amazonaws.com', right: 'https://deploy.acme.example' },
    honours: ({ credential }, at) => verify(credential, at, 'https://deploy.acme.example').then(({ scope }) => scope === 'deploy:read', () => false),
    honoursBeyond: ({ credential }, at) => verify(credential, at, 'https://deploy.acme.example').then(({ scope }) => String(scope).includes('deploy:write')),
    loseKey: () => { current = openKeyRing([], () => { throw new Error('no keys'); }).ring; },
    outages: [],
    close: () => Promise.resolve(),
  };
});

const provider = providerOver(() => ring);
const claimsOf = async (change: Parameters<typeof makeOrder>[0]): Promise<JWTPayload> => {
  const issued = await provider.issue(makeOrder(change), {});
  if (!issued.ok) throw new Error(issued.error.detail);
  return verify(issued.value.credential, START, 'https://deploy.acme.example');
};

describe('the token', () => {
  test('has exactly the claims of the order', async () => {
    expect(await claimsOf({})).toEqual({
      iss: domain.issuer, sub: workload.spiffeId, aud: 'https://deploy.acme.example', client_id: workload.spiffeId, scope: 'deploy:read',
      iat: START / 1000, exp: START / 1000 + 300, jti: makeOrder().leaseId, sid: makeOrder().sessionId, authority: { model: 'bounded', principal: workload.owner, depth: 0 },
    });
  });

  test('has no scope when none was decided', async () => {
    expect(await claimsOf({ scopes: [] })).not.toHaveProperty('scope');
  });

  test('keeps the actor chain', async () => {
    const act = { iss: domain.issuer, sub: workload.spiffeId, act: { iss: domain.issuer, sub: 'spiffe://prod.acme.example/planner' as SpiffeId } };
    expect(await claimsOf({ subject: { sub: 'urn:mayfly:prod:person:okta:alice', act, model: 'delegated', principal: 'urn:mayfly:prod:person:okta:alice', depth: 1 } })).toMatchObject({ act, sub: 'urn:mayfly:prod:person:okta:alice' });
  });

  test('is bound to the key that was proved, and says so', async () => {
    const jkt = 'x'.repeat(43);
    const order = makeOrder({ binding: { jkt, replayKey: 'r', replayUntil: START + MINUTE } });
    const issued = await provider.issue(order, {});
    expect(issued).toMatchObject({ ok: true, value: { tokenType: 'DPoP', kid: keys[0]?.kid } });
    expect(await claimsOf({ binding: order.binding })).toMatchObject({ cnf: { jkt } });
    expect(await provider.issue(makeOrder(), {})).toMatchObject({ ok: true, value: { tokenType: 'Bearer' } });
  });
});

describe('an audience', () => {
  const check = (audience: string): string | undefined => provider.check({ audience, scopes: [], options: {} }, domain);
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
