import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runCli } from '../cli/harness.ts';
import { until } from '../flows/lab.ts';
import { apiOf, startPlane } from './plane.ts';
import type { Plane } from './plane.ts';

let plane: Plane;
beforeAll(async () => { plane = await startPlane(); });
afterAll(async () => { await plane.close(); });

const issue = async (domain = 'dev'): Promise<{ readonly jti: string; readonly sid: string }> => {
  const answer = await plane.mayfly.exchange({ subject_token: plane.evidence(domain), audience: apiOf(domain) }, {}, domain);
  return JSON.parse(Buffer.from(String(answer.body['access_token']).split('.')[1] ?? '', 'base64url').toString()) as { jti: string; sid: string };
};
const revoke = async (kind: string, id: string, domain?: string): Promise<number> =>
  Number((await plane.mayfly.admin('POST', 'revocations', { kind, id, reason: 'lost', ...(domain === undefined ? {} : { domain }) })).body['revocation']);
const shown = async (id: number): Promise<Record<string, unknown>> => (await plane.mayfly.admin('GET', `revocations/${id}`)).body;
const carriedOut = async (id: number): Promise<Record<string, unknown>> => {
  await until(async () => ((await shown(id))['carried_out'] as { readonly status?: string }).status === 'done');
  return shown(id);
};
const listed = async (query = ''): Promise<readonly Record<string, unknown>[]> => (await plane.mayfly.admin('GET', `revocations${query}`)).body['items'] as readonly Record<string, unknown>[];

describe('a revocation', () => {
  test('can be asked for by the number that its answer told, until all that follows was carried out', async () => {
    const { sid } = await issue();
    const id = await revoke('session', sid);
    expect(await carriedOut(id)).toMatchObject({
      id, target: `session:${sid}`, domain: 'dev', status: 'revoked', by: 'local', reason: 'lost', at: expect.stringMatching(/Z$/),
      carried_out: { status: 'done', sessions: 1, leases: 1, taken_back: 0, ends_by_itself: 0, done_at: expect.stringMatching(/Z$/) },
    });
    expect((await plane.audited('revocation.carried_out')).at(-1)).toMatchObject({ revocation: id, target: `session:${sid}`, sessions: 1, leases: 1 });
  });

  test('that was lifted says so, and by whom', async () => {
    await issue();
    const id = await revoke('workload', 'ci', 'dev');
    await plane.mayfly.admin('POST', 'enable', { kind: 'workload', id: 'ci', domain: 'dev' });
    expect(await carriedOut(id)).toMatchObject({ status: 'lifted', lifted_by: 'local', carried_out: { leases: 1 } });
  });

  test.each(['0', '999999999', '-1', '1e3', 'x', '1234567890123456789'])('that does not exist is not found: %s', async (id) => {
    expect(await plane.mayfly.admin('GET', `revocations/${id}`)).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });

  test('of another domain does not exist for a domain\'s admins', async () => {
    const [own, other] = [await revoke('lease', (await issue('dev')).jti), await revoke('lease', (await issue('other')).jti)];
    expect((await plane.devOps('GET', `revocations/${own}`)).body).toMatchObject({ id: own, domain: 'dev' });
    expect(await plane.devOps('GET', `revocations/${other}`)).toMatchObject({ status: 404 });
    expect((await plane.ops('GET', `revocations/${other}`)).body).toMatchObject({ id: other, domain: 'other' });
    const items = (await plane.devOps('GET', 'revocations?limit=1000')).body['items'] as readonly { readonly domain: string }[];
    expect(new Set(items.map(({ domain }) => domain))).toEqual(new Set(['dev']));
    expect(await plane.devOps('GET', 'revocations?domain=other')).toMatchObject({ status: 403 });
  });
});

describe('the list of revocations', () => {
  test('begins with the newest, goes on page by page, and can be narrowed', async () => {
    const made = [];
    for (const domain of ['dev', 'other', 'dev']) made.push(await revoke('session', (await issue(domain)).sid));
    expect((await listed('?limit=3')).map(({ id }) => id)).toEqual([...made].reverse());
    expect((await listed('?domain=other&limit=1')).map(({ id }) => id)).toEqual([made[1]]);
    const first = await plane.mayfly.admin('GET', 'revocations?limit=2');
    const rest = await plane.mayfly.admin('GET', `revocations?limit=1&after=${String(first.body['next'])}`);
    expect((rest.body['items'] as readonly { readonly id: number }[]).map(({ id }) => id)).toEqual([made[0]]);
    const target = String((await shown(made[2] ?? 0))['target']);
    expect((await listed(`?target=${target}`)).map(({ id }) => id)).toEqual([made[2]]);
    expect(await listed('?target=session:nobody')).toEqual([]);
    expect(await plane.mayfly.admin('GET', 'revocations?after=nonsense')).toMatchObject({ status: 400, body: { code: 'parameter_invalid' } });
    expect(await plane.mayfly.admin('GET', 'revocations?domain=nowhere')).toMatchObject({ status: 404 });
  });
});

describe('mayfly revocation', () => {
  const cli = (args: readonly string[]) => runCli([...args, '--server', plane.mayfly.server.adminSocket], { env: {}, stdin: '' });

  test('lists and shows what mayfly revoke named', async () => {
    const { sid } = await issue();
    const { code, out, err } = await cli(['revoke', 'session', sid, '--reason', 'lost']);
    const id = /mayfly revocation show (\d+)/.exec(err)?.[1] ?? '';
    expect([code, out]).toEqual([0, expect.stringMatching(/^revoked session:\S+ at \S+: 1 active lease ended\n$/)]);
    await carriedOut(Number(id));
    const shownText = await cli(['revocation', 'show', id]);
    expect(shownText.out).toContain(`target: session:${sid}`);
    expect(shownText.out).toMatch(/carried_out:\n {2}status: done\n {2}sessions: 1\n {2}leases: 1/);
    const table = await cli(['revocation', 'list', '--target', `session:${sid}`]);
    expect(table.out).toMatch(/^REVOCATION +TARGET +DOMAIN +STATUS +AT +BY +LEASES +CARRIED OUT +REASON\n/);
    expect(table.out.split('\n')[1]).toMatch(new RegExp(`^${id} +session:${sid} +dev +revoked +\\S+ +local +1 +done +lost$`));
    const json = JSON.parse((await cli(['revocation', 'list', '--domain', 'dev', '--limit', '1', '--json'])).out) as { readonly items: readonly unknown[] };
    expect(json.items).toEqual([expect.objectContaining({ id: Number(id) })]);
    expect(await cli(['revocation', 'show', '0'])).toMatchObject({ code: 1, err: expect.stringContaining('next:') });
  });
});
