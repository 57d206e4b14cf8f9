import { describe, expect, test } from '@jest/globals';
import { refusal } from '../../src/core/refusal.ts';
import type { RefusalCode } from '../../src/core/refusal.ts';
import { err, ok } from '../../src/core/result.ts';
import { createIntrospect } from '../../src/exchange/introspect.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import type { LeaseStanding } from '../../src/store/store.ts';
import type { OwnToken } from '../../src/tokens/verify.ts';
import type { ResourceId } from '../../src/core/ids.ts';
import { API, INTROSPECT, LEASE, NOW, OWN_TOKEN, api, codeOf, deployer, domain, hop, other, resource, session, standing, viewOf } from './world.ts';

const claims = { iss: 'https://sts.acme.example/prod', sub: deployer.spiffeId, aud: API, scope: 'deploy:read', jti: LEASE };
const token = (change: Partial<OwnToken> = {}): OwnToken => ({ kind: 'resource', jti: LEASE, clientId: deployer.spiffeId, audience: API, jkt: undefined, kid: 'kid-1', claims, ...change } as OwnToken);
const live = (lease: Partial<LeaseStanding['lease']> = {}, more: Partial<LeaseStanding> = {}): LeaseStanding => standing({ kind: 'access_token', audience: API, resourceId: api.id, expiresAt: NOW + 1, ...lease }, more);

interface Setting { readonly token?: OwnToken | RefusalCode; readonly standing?: LeaseStanding | Error | undefined; readonly view?: DomainView }
const start = (setting: Setting = {}) => {
  const asked: string[] = [];
  const introspection = createIntrospect({
    clock: { now: () => NOW },
    verify: (_text, _view, audience) => {
      asked.push(`verify for ${audience ?? 'any'}`);
      const given = setting.token ?? token();
      return Promise.resolve(typeof given === 'string' ? err(refusal(given, 'as told')) : ok(given));
    },
    store: { leaseStanding: (id) => {
      asked.push(`lease ${id}`);
      const found = 'standing' in setting ? setting.standing : live();
      return found instanceof Error ? Promise.reject(found) : Promise.resolve(found);
    } },
  });
  const view = setting.view ?? viewOf();
  return { asked, introspect: (workload = 'svc/deploy') => introspection.introspect(OWN_TOKEN, view, workload), authenticate: () => introspection.authenticate(OWN_TOKEN, view, INTROSPECT) };
};

describe('a token is active', () => {
  test('for the workload that serves its resource, with its claims and how it is presented', async () => {
    const it = start();
    expect(await it.introspect()).toEqual({ active: true, ...claims, token_type: 'Bearer' });
    expect(it.asked).toEqual(['verify for any', `lease ${LEASE}`]);
    expect(await start({ token: token({ jkt: 'thumbprint' }) }).introspect()).toMatchObject({ active: true, token_type: 'DPoP' });
  });

  test.each<{ readonly name: string; readonly setting?: Setting; readonly workload?: string; readonly asks: number }>([
    { name: 'that does not verify', setting: { token: 'token_expired' }, asks: 1 },
    { name: 'for a workload that does not serve its resource', workload: 'ci/deployer', asks: 1 },
    { name: 'for a workload whose name is longer', workload: 'svc/deploy2', asks: 1 },
    { name: 'of a resource that is not registered', setting: { view: viewOf({ resources: [], policies: [] }) }, asks: 1 },
    { name: 'without a lease', setting: { standing: undefined }, asks: 2 },
    { name: 'that is revoked', setting: { standing: live({}, { revokedBy: `hop:${hop.id}` }) }, asks: 2 },
    { name: 'of a session that is over', setting: { standing: live({}, { ended: true }) }, asks: 2 },
    { name: 'that is suspended', setting: { standing: live({}, { suspendedBy: `session:${session.id}` }) }, asks: 2 },
    { name: 'of a login that is too old', setting: { standing: live({}, { session: { ...session, model: 'delegated', freshAt: NOW - domain.limits.freshness.delegated } }) }, asks: 2 },
    { name: 'of a task that is stale', setting: { standing: live({}, { session: { ...session, model: 'autonomous', freshAt: NOW - domain.limits.freshness.autonomous } }) }, asks: 2 },
    { name: 'whose lease ends now', setting: { standing: live({ expiresAt: NOW }) }, asks: 2 },
    { name: 'of a resource that was removed and registered anew', setting: { standing: live({ resourceId: 'res_old' as ResourceId }) }, asks: 2 },
    { name: 'of a session token', setting: { standing: live({ resourceId: null }) }, asks: 2 },
  ])('and nothing else is told of one $name', async ({ setting, workload, asks }) => {
    const it = start(setting);
    expect(await it.introspect(workload)).toEqual({ active: false });
    expect(it.asked).toHaveLength(asks);
  });

  test.each(['delegated', 'autonomous'] as const)('while what a %s session rests on is fresh', async (model) => {
    expect(await start({ standing: live({}, { session: { ...session, model, freshAt: NOW - domain.limits.freshness[model] + 1 } }) }).introspect()).toMatchObject({ active: true });
  });

  test('is nobody\'s word but the database\'s: when it does not answer, there is no answer', async () => {
    await expect(start({ standing: new StoreUnavailable('down') }).introspect()).rejects.toThrow(StoreUnavailable);
  });
});

describe('who introspects', () => {
  const own = live({ workloadId: other.id, audience: INTROSPECT });
  test('shows a live token for the introspection endpoint, and is the workload it was issued to', async () => {
    const it = start({ standing: own });
    expect(await it.authenticate()).toEqual({ ok: true, value: { token: token(), workload: 'svc/deploy' } });
    expect(it.asked).toEqual([`verify for ${INTROSPECT}`, `lease ${LEASE}`]);
  });

  test.each<{ readonly name: string; readonly setting: Setting; readonly code: string }>([
    { name: 'a token for something else', setting: { token: 'token_audience_wrong', standing: own }, code: 'token_audience_wrong' },
    { name: 'a token without a lease', setting: { standing: undefined }, code: 'token_unknown' },
    { name: 'another token of the same lease', setting: { standing: { ...own, lease: { ...own.lease, credentialHash: 'of another' } } }, code: 'token_unknown' },
    { name: 'a revoked token', setting: { standing: { ...own, revokedBy: `session:${session.id}` } }, code: 'revoked' },
    { name: 'a token of a session that is over', setting: { standing: { ...own, ended: true } }, code: 'revoked' },
    { name: 'a token that is suspended', setting: { standing: { ...own, suspendedBy: `workload:${other.id}` } }, code: 'revoked' },
    { name: 'a token of a task that is stale', setting: { standing: { ...own, session: { ...session, model: 'autonomous', freshAt: NOW - domain.limits.freshness.autonomous } } }, code: 'revoked' },
    { name: 'a token whose lease ends now', setting: { standing: { ...own, lease: { ...own.lease, expiresAt: NOW } } }, code: 'revoked' },
    { name: 'a token of a workload that is not registered any more', setting: { standing: own, view: viewOf({ workloads: [deployer] }) }, code: 'workload_unknown' },
    { name: 'a live token of a registered workload', setting: { standing: own }, code: 'accepted' },
  ])('with $name: $code', async ({ setting, code }) => {
    expect(codeOf(await start(setting).authenticate())).toBe(code);
  });
});

test('the introspection endpoint is a resource that nobody serves', async () => {
  const view = viewOf({ resources: [resource({ audience: 'https://other.example' })], policies: [] });
  expect(await start({ view, token: token({ audience: INTROSPECT }) }).introspect()).toEqual({ active: false });
});
