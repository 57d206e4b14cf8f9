import { expect, test } from '@jest/globals';
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose';
import { MINUTE, SECOND } from '../../../src/core/duration.ts';
import type { SpiffeId } from '../../../src/core/ids.ts';
import { createDomainProvider } from '../../../src/credentials/providers/domain.ts';
import { openKeyRing } from '../../../src/keys/key-ring.ts';
import { signToken } from '../../../src/tokens/sign.ts';
import { START, makeRing } from '../../keys/make-ring.ts';
import { domain, makeOrder, resource } from '../make-order.ts';
import { describeProvider } from '../provider-contract.ts';

const takeStatusEntry = ({ issuer }: { readonly issuer: string }) => Promise.resolve({ list: 'list-1', index: 7, uri: `${issuer}/status/list-1` });
const { ring } = await makeRing([{ purpose: 'access' }]);
const published = { keys: ring.published(START).map(({ publicJwk, kid }) => ({ ...publicJwk, kid })) };
const OTHER = 'https://sts.acme.example/lab';
const GOES_ON = 'spiffe://lab.acme.example/ops/deployer' as SpiffeId;
const order = { resource: resource({ audience: OTHER, provider: 'domain', scopes: [] }), scopes: [], handsOnTo: GOES_ON };
const honours = (token: string, at: number): Promise<boolean> =>
  jwtVerify(token, createLocalJWKSet(published), { issuer: domain.issuer, audience: OTHER, typ: 'at+jwt', currentDate: new Date(at) }).then(() => true, () => false);

describeProvider('domain', async () => {
  let current = ring;
  await Promise.resolve();
  return {
    provider: createDomainProvider({ signAccessToken: (_domainId, claims, algorithm) => signToken(claims, current, algorithm), takeStatusEntry }),
    options: {},
    order,
    audiences: { wrong: `${OTHER}/`, right: OTHER },
    honours: ({ credential }, at) => honours(credential, at),
    honoursBeyond: ({ credential }) => Promise.resolve(decodeJwt(credential)['scope'] !== undefined || decodeJwt(credential)['authorization_details'] !== undefined),
    loseKey: () => { current = openKeyRing([], () => { throw new Error('no keys'); }).ring; },
    outages: [],
    close: () => Promise.resolve(),
  };
});

const provider = createDomainProvider({ signAccessToken: (_domainId, claims, algorithm) => signToken(claims, ring, algorithm), takeStatusEntry });

test('lives a minute, whatever is ordered, and is bound to no key: who goes on proves its own', async () => {
  const issued = await provider.issue(makeOrder({ ...order, expiresAt: START + 5 * MINUTE }), {});
  expect(issued).toMatchObject({ ok: true, value: { kind: 'crossing_token', tokenType: 'N_A', expiresAt: START + 60 * SECOND } });
  expect(issued.ok && decodeJwt(issued.value.credential)).toMatchObject({ may_act: { iss: OTHER, sub: GOES_ON } });
});

test('names every domain the chain passed, this one last', async () => {
  const chain = [
    { iss: 'https://sts.acme.example/build', sub: 'spiffe://build.acme.example/a' as SpiffeId, stage: 'development' as const },
    { iss: domain.issuer, sub: 'spiffe://prod.acme.example/ci/deployer' as SpiffeId, workloadId: makeOrder().workload.id, evidence: {} },
  ];
  const issued = await provider.issue(makeOrder({ ...order, chain }), {});
  expect(issued.ok && decodeJwt(issued.value.credential)['authority']).toMatchObject({ domains: [{ iss: 'https://sts.acme.example/build', stage: 'development' }, { iss: domain.issuer, stage: 'production' }] });
});

test('is made out to nobody when nobody is named', async () => {
  expect(await provider.issue(makeOrder({ ...order, handsOnTo: undefined }), {})).toMatchObject({ ok: false, error: { code: 'crossing_unnamed' } });
});

test.each([
  { name: 'this very domain', audience: domain.issuer },
  { name: 'plain http outside of development', audience: 'http://127.0.0.1:8080/lab' },
  { name: 'a query', audience: `${OTHER}?a=b` },
  { name: 'user information', audience: 'https://a@sts.acme.example/lab' },
  { name: 'upper case in the host', audience: 'https://STS.acme.example/lab' },
  { name: 'no URL', audience: 'lab' },
])('is not registered for $name', ({ audience }) => {
  expect(provider.check({ audience, scopes: [], options: {} }, domain)).toEqual(expect.any(String));
  expect(provider.check({ audience: OTHER, scopes: [], options: {} }, domain)).toBeUndefined();
});

test('is registered for a loopback domain in development, and with no scopes', () => {
  expect(provider.check({ audience: 'http://127.0.0.1:8080/lab', scopes: [], options: {} }, { ...domain, stage: 'development' })).toBeUndefined();
  expect(provider.check({ audience: OTHER, scopes: ['a'], options: {} }, domain)).toContain('scopes');
});
