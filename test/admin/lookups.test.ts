import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { apiOf, startPlane } from './plane.ts';
import type { Plane } from './plane.ts';

let plane: Plane;
beforeAll(async () => { plane = await startPlane(); });
afterAll(async () => { await plane.close(); });

const get = (path: string) => plane.mayfly.admin('GET', path);

describe('what is asked for by a name that is none', () => {
  test.each([
    { name: 'leases of a workload', path: 'leases?domain=dev&workload=cl', detail: 'no workload cl in dev' },
    { name: 'sessions of a workload', path: 'sessions?domain=dev&workload=cl', detail: 'no workload cl in dev' },
    { name: 'leases of a workload without its domain', path: 'leases?workload=ci', detail: 'no workload ci; a name needs its domain' },
    { name: 'leases of a session', path: 'leases?session=nope', detail: 'no session nope' },
    { name: 'audit entries of a chain', path: 'audit?chain=chn_x', detail: 'no chain chn_x' },
    { name: 'a domain', path: 'domains/nowhere', detail: 'no domain nowhere' },
    { name: 'a workload in a domain', path: 'workloads/nowhere/ci', detail: 'no domain nowhere' },
    { name: 'a decision', path: 'decisions/nope', detail: 'no decision nope' },
  ])('is refused, not answered with nothing: $name', async ({ path, detail }) => {
    expect(await get(path)).toMatchObject({ status: 404, body: { code: 'not_found', detail: expect.stringContaining(detail) } });
  });

  test.each(['leases?domain=dev&workload=ci', 'sessions?domain=dev&workload=ci'])('and answered where there is just nothing yet: %s', async (path) => {
    expect(await get(path)).toMatchObject({ status: 200, body: { items: [] } });
  });
});

describe('what an entry is worth now', () => {
  const statusOf = async (path: string): Promise<unknown> => (await get(path)).body['status'];
  const listed = async (): Promise<unknown> => ((await get('workloads?domain=dev')).body['items'] as readonly { name: string; status: string }[]).find(({ name }) => name === 'ci')?.status;

  test('is told where it is shown and listed: blocked, and live again once it is enabled', async () => {
    expect([await statusOf('workloads/dev/ci'), await listed()]).toEqual(['live', 'live']);
    await plane.mayfly.admin('POST', 'revocations', { kind: 'workload', id: 'ci', domain: 'dev', reason: 'a test' });
    expect([await statusOf('workloads/dev/ci'), await listed(), await statusOf('workloads/other/ci')]).toEqual(['revoked', 'revoked', 'live']);
    await plane.mayfly.admin('POST', 'enable', { kind: 'workload', id: 'ci', domain: 'dev' });
    expect([await statusOf('workloads/dev/ci'), await listed()]).toEqual(['live', 'live']);
  });

  test('follows its domain', async () => {
    await plane.mayfly.admin('POST', 'revocations', { kind: 'domain', id: 'other', reason: 'a test' });
    expect([await statusOf('domains/other'), await statusOf('workloads/other/ci'), await statusOf('domains/dev')]).toEqual(['revoked', 'revoked', 'live']);
  });
});

describe('evidence that is no workload', () => {
  const near = [{ workload: 'ci', why: ['repository_id has to be "815", and is "1"'] }];

  test('is explained with the rule that came nearest, in its own domain alone', async () => {
    const refused = await plane.mayfly.exchange({ subject_token: plane.evidence('other'), audience: apiOf('dev') }, {}, 'dev');
    expect(refused.status).toBe(400);
    const wrongAudience = await get(`decisions/${String(refused.body['decision_id'])}`);
    expect(wrongAudience.body['nearest_workloads']).toBeUndefined();
    const simulated = await plane.mayfly.admin('POST', 'simulate', { domain: 'dev', issuer: 'github', attributes: { repository_id: '1' }, audience: apiOf('dev') });
    expect(simulated.body).toMatchObject({ allow: false, stopped_by: { code: 'workload_unknown' }, nearest_workloads: near });
  });

  test('does not tell the caller', async () => {
    const evidence = plane.platform.mint({
      sub: 'repo:acme/x:ref:refs/heads/main', repository: 'acme/x', repository_id: '1', repository_owner: 'acme', repository_owner_id: '4711',
      event_name: 'push', ref: 'refs/heads/main', run_id: '77', run_attempt: '1', actor: 'octocat', aud: `${plane.mayfly.url}/dev`,
    });
    const stranger = await plane.mayfly.exchange({ subject_token: evidence, audience: apiOf('dev') }, {}, 'dev');
    expect(JSON.stringify(stranger.body)).not.toContain('815');
    expect((await get(`decisions/${String(stranger.body['decision_id'])}`)).body).toMatchObject({ code: 'workload_unknown', nearest_workloads: near });
  });
});
