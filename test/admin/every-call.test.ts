import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FAR, OWNER } from '../support/world.ts';
import { apiOf, startPlane } from './plane.ts';
import type { Method, Plane } from './plane.ts';

let plane: Plane;
beforeAll(async () => { plane = await startPlane(); });
afterAll(async () => { await plane.close(); });

const common = { owner: OWNER, expires: FAR };
const ENTRIES: Readonly<Record<string, { readonly name: string; readonly body: object }>> = {
  issuers: { name: 'github', body: { kind: 'github-actions', proves: 'workloads', organization_id: '4712', ...common } },
  resources: { name: 'https://new.example', body: { scopes: ['read'], ...common } },
  workloads: { name: 'new', body: { kind: 'pipeline', authority: 'bounded', match: { issuer: 'github', repository_id: '1' }, ...common } },
  policies: { name: 'new', body: { cedar: 'forbid(principal, action == Action::"issue", resource);', owner: OWNER } },
};
const reason = 'a test';

/** One well-formed call for each operation of the admin API, by its path in the OpenAPI document: what is malformed would be refused for that. */
const CALLS: Readonly<Record<string, { readonly path: string; readonly body?: object }>> = {
  'POST /admin/v1/apply': { path: 'apply', body: { manifest: { workloads: [{ domain: 'dev', name: 'new', ...ENTRIES['workloads']?.body }] } } },
  'GET /admin/v1/domains': { path: 'domains' },
  'GET /admin/v1/domains/{name}': { path: 'domains/dev' },
  'PUT /admin/v1/domains/{name}': { path: 'domains/new', body: { stage: 'development', owner: OWNER } },
  ...Object.fromEntries(Object.entries(ENTRIES).flatMap(([section, { name, body }]) => {
    const [shape, path] = [`/admin/v1/${section}/{domain}/{${section === 'resources' ? 'audience' : 'name'}}`, `${section}/dev/${encodeURIComponent(name)}`];
    return [
      [`GET /admin/v1/${section}`, { path: section }], [`GET ${shape}`, { path }], [`PUT ${shape}`, { path, body }], [`DELETE ${shape}`, { path: `${path}?reason=test` }],
    ];
  })) as Readonly<Record<string, { readonly path: string }>>,
  'GET /admin/v1/sessions': { path: 'sessions' },
  'GET /admin/v1/sessions/{id}': { path: `sessions/${'A'.repeat(22)}` },
  'POST /admin/v1/sessions': { path: 'sessions', body: { domain: 'dev', workload: 'ci', purpose: reason } },
  'POST /admin/v1/sessions/{id}/end': { path: `sessions/${'A'.repeat(22)}/end`, body: { reason } },
  'GET /admin/v1/approvals': { path: 'approvals' },
  'GET /admin/v1/approvals/{id}': { path: `approvals/apr_${'0'.repeat(32)}` },
  'POST /admin/v1/approvals/{id}/approve': { path: `approvals/apr_${'0'.repeat(32)}/approve`, body: {} },
  'POST /admin/v1/approvals/{id}/deny': { path: `approvals/apr_${'0'.repeat(32)}/deny`, body: { reason } },
  'GET /admin/v1/leases': { path: 'leases' },
  'GET /admin/v1/leases/{id}': { path: `leases/lse_${'0'.repeat(32)}` },
  'GET /admin/v1/revocations': { path: 'revocations' },
  'GET /admin/v1/revocations/{id}': { path: 'revocations/1' },
  'POST /admin/v1/revocations': { path: 'revocations', body: { kind: 'workload', id: 'ci', domain: 'other', reason } },
  'POST /admin/v1/enable': { path: 'enable', body: { kind: 'workload', id: 'ci', domain: 'other' } },
  'GET /admin/v1/decisions/{id}': { path: `decisions/dec_${'0'.repeat(32)}` },
  'POST /admin/v1/simulate': { path: 'simulate', body: { domain: 'dev', issuer: 'github', attributes: { repository_id: '815' }, audience: apiOf('dev') } },
  'GET /admin/v1/lint': { path: 'lint' },
  'GET /admin/v1/audit': { path: 'audit' },
  'POST /admin/v1/audit/verify': { path: 'audit/verify', body: {} },
  'GET /admin/v1/keys': { path: 'keys' },
  'POST /admin/v1/keys/rotate': { path: 'keys/rotate', body: { domain: 'dev', purpose: 'access' } },
  'POST /admin/v1/keys/rewrap': { path: 'keys/rewrap', body: {} },
  'POST /admin/v1/keys/{kid}/revoke': { path: 'keys/nobody/revoke', body: { reason } },
};

test('each operation of the admin API has its call here, so that a new one is tried too', async () => {
  const { paths } = await (await fetch(`${plane.mayfly.url}/openapi.json`)).json() as { readonly paths: Readonly<Record<string, object>> };
  const operations = Object.entries(paths).filter(([path]) => path.startsWith('/admin/')).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`));
  expect(Object.keys(CALLS).toSorted()).toEqual(operations.toSorted());
});

describe('a call', () => {
  const cases = Object.entries(CALLS).map(([operation, { path, body }]) => ({ operation, method: operation.split(' ')[0] as Method, path, body }));

  test.each(cases)('$operation is refused to an admin whom no policy permits it, and to nobody at all', async ({ method, path, body }) => {
    expect(await plane.ops(method, path, body, { sub: 'eve', groups: ['sales'] })).toMatchObject({ status: 403, body: { code: 'admin_denied' } });
    expect(await plane.call(method, path, {}, body)).toMatchObject({ status: 401, body: { code: 'admin_unauthenticated' } });
  });

  test.each(cases)('$operation is answered to one whom a policy permits it', async ({ method, path, body }) => {
    expect([401, 403]).not.toContain((await plane.ops(method, path, body)).status);
  });
});
