import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { runCli } from '../cli/harness.ts';
import type { Answer } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { spiffe } from './agents-lab.ts';
import { API, ceilingOf, claimsOf, issued, until } from './lab.ts';
import { ALICE, POOL, TEMPLATE, instance, startTemplatesLab } from './templates-lab.ts';
import type { TemplatesLab } from './templates-lab.ts';

const SESSION_TYPE = 'urn:mayfly:token-type:session';
let it: TemplatesLab;
beforeAll(async () => { it = await startTemplatesLab(); });
afterAll(async () => { await it.lab.close(); });

/** Two may be live: each test leaves none. */
const used: string[] = [];
const using = async (answer: Answer | Promise<Answer>): Promise<string> => {
  const token = issued(await answer);
  used.push(token);
  return token;
};
afterEach(async () => { for (const token of used.splice(0)) await it.end(token); });

/** A stream of events; gives the sessions it was told of. */
const listening = async (): Promise<() => Promise<readonly unknown[]>> => {
  const audience = `${it.lab.issuer}/ssf`;
  await it.lab.mayfly.apply({ policies: [{ domain: 'dev', name: 'api-listens', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${spiffe('svc/api')}", action == Action::"issue", resource in Resource::"${audience}");` }] });
  const own = issued(await it.lab.ask({ subject_token: it.lab.agent('svc/api'), audience, scope: 'ssf.manage' }));
  const ssf = async (path: string, body: object): Promise<Readonly<Record<string, unknown>>> =>
    await (await fetch(`${audience}/${path}`, { method: 'POST', headers: { authorization: `Bearer ${own}`, 'content-type': 'application/json' }, body: JSON.stringify(body) })).json() as Readonly<Record<string, unknown>>;
  const stream = String((await ssf('streams', { delivery: { method: 'urn:ietf:rfc:8936' } }))['stream_id']);
  return async () => Object.values((await ssf(`poll/${stream}`, { returnImmediately: true }))['sets'] as Readonly<Record<string, string>>).map((set) => (claimsOf(set)['sub_id'] as { readonly session: { readonly id: string } }).session.id);
};
const show = async (name: string): Promise<Answer> => it.lab.mayfly.admin('GET', `workloads/dev/${encodeURIComponent(name)}`);
const shown = async (name: string): Promise<Record<string, unknown>> => (await show(name)).body;
const idOf = async (pod: string): Promise<string> => String((await shown(`${POOL}/${pod}`))['id']);
const revoke = (id: string): Promise<Answer> => it.lab.mayfly.admin('POST', 'revocations', { kind: 'workload', id, reason: 'rogue' });
const enable = (id: string): Promise<Answer> => it.lab.mayfly.admin('POST', 'enable', { kind: 'workload', id });
const renew = (token: string, evidence: string): Promise<Answer> => it.lab.ask({ subject_token: String(claimsOf(token)['sid']), subject_token_type: SESSION_TYPE, actor_token: evidence, audience: '' });

describe('an instance of a template', () => {
  test('takes up what was handed to it by name, acts under its own name, and goes on with fresh evidence', async () => {
    const handover = issued(await it.handTo(await it.session(), instance('p-1')));
    const token = await using(it.takeUp(handover, it.pod('p-1')));
    expect(claimsOf(token)).toMatchObject({ sub: ALICE, client_id: instance('p-1'), act: { sub: instance('p-1'), act: { sub: spiffe('agents/planner') } }, authority: { model: 'delegated', depth: 1 } });
    const resource = issued(await it.lab.spend(token, { scope: 'deploy:read' }));
    expect(await it.lab.introspect(resource)).toMatchObject({ active: true, client_id: instance('p-1') });
    const renewed = issued(await renew(token, it.pod('p-1')));
    expect(claimsOf(renewed)).toMatchObject({ client_id: instance('p-1'), sid: claimsOf(token)['sid'] });
    expect(await it.reasonOf(await renew(token, it.pod('p-2')))).toBe('session_unknown');
    expect(await it.reasonOf(await it.lab.spend(token, { actor_token: it.pod('p-2'), audience: '' }))).toBe('actor_mismatch');
  });

  test('takes up what was handed to its template, whichever it is, and hands on itself', async () => {
    const handover = issued(await it.handTo(await it.session(), TEMPLATE));
    const [one, other] = [await using(it.takeUp(handover, it.pod('p-1'))), await using(it.takeUp(handover, it.pod('p-2')))];
    expect([claimsOf(one)['client_id'], claimsOf(other)['client_id']]).toEqual([instance('p-1'), instance('p-2')]);
    const further = issued(await it.lab.takeUp(issued(await it.handTo(one, spiffe('tools/printer'))), 'tools/printer'));
    expect(claimsOf(further)).toMatchObject({ client_id: spiffe('tools/printer'), act: { sub: spiffe('tools/printer'), act: { sub: instance('p-1') } } });
  });

  test('can be asked for by its client_id, and by no other', async () => {
    const handover = issued(await it.handTo(await it.session(), TEMPLATE));
    expect(await it.reasonOf(await it.takeUp(handover, it.pod('p-1'), { client_id: TEMPLATE }))).toBe('client_id_mismatch');
    expect(await it.reasonOf(await it.takeUp(handover, it.pod('p-1'), { client_id: instance('p-2') }))).toBe('client_id_mismatch');
    expect(claimsOf(await using(it.takeUp(handover, it.pod('p-1'), { client_id: instance('p-1') })))['client_id']).toBe(instance('p-1'));
  });

  interface Row { readonly name: string; readonly code: string; readonly act: () => Promise<Answer> }
  const rows: readonly Row[] = [
    { name: 'evidence that the template is not for', code: 'workload_unknown', act: async () => it.takeUp(issued(await it.handTo(await it.session(), TEMPLATE)), it.pod('p-1', { pool: 'y' })) },
    { name: 'evidence that makes no name', code: 'workload_unknown', act: async () => it.takeUp(issued(await it.handTo(await it.session(), TEMPLATE)), it.pod('a/b')) },
    { name: 'evidence without what it is named by', code: 'workload_unknown', act: async () => it.takeUp(issued(await it.handTo(await it.session(), TEMPLATE)), it.pod('p-1', { pod: undefined })) },
    { name: 'another name than was handed to', code: 'actor_mismatch', act: async () => it.takeUp(issued(await it.handTo(await it.session(), instance('p-1'))), it.pod('p-2')) },
    { name: 'a name that differs in case', code: 'actor_mismatch', act: async () => it.takeUp(issued(await it.handTo(await it.session(), instance('p-1'))), it.pod('P-1')) },
    { name: 'what was handed to another template', code: 'actor_mismatch', act: async () => it.takeUp(issued(await it.handTo(await it.session(), spiffe('tools/mailer'))), it.pod('p-1')) },
    { name: 'nothing handed to it', code: 'instance_misplaced', act: () => it.lab.ask({ subject_token: it.pod('p-1'), scope: 'deploy:read' }) },
    { name: 'a person\'s token in place of what was handed on', code: 'instance_misplaced', act: () => it.lab.plan({ actor_token: it.pod('p-1'), scope: 'deploy:read' }) },
    { name: 'a session of another model than its template is for', code: 'instance_misplaced', act: async () => it.takeUp(issued(await it.handTo(await it.session(), `${spiffe('ci/runner').replace('ci/runner', 'jobs/pool')}/r-1`)), it.pod('r-1', { pool: 'runs' })) },
    { name: 'evidence of two templates', code: 'workload_ambiguous', act: async () => it.takeUp(issued(await it.handTo(await it.session(), TEMPLATE)), it.pod('p-1', { pool: 'twins' })) },
    { name: 'the name of a registered workload', code: 'workload_ambiguous', act: async () => it.takeUp(issued(await it.handTo(await it.session(), instance('taken'))), it.pod('taken')) },
    { name: 'evidence of a registered workload: it is that one and no instance', code: 'actor_mismatch', act: async () => it.takeUp(issued(await it.handTo(await it.session(), TEMPLATE)), it.pod('known')) },
    { name: 'more than was handed on', code: 'ceiling_exceeded', act: async () => it.takeUp(issued(await it.handTo(await it.session(), TEMPLATE)), it.pod('p-1'), { authorization_details: ceilingOf([{ audience: API, scopes: ['deploy:write'] }]) }) },
  ];
  test.each(rows)('is refused with $name: $code', async ({ code, act }) => {
    const answer = await act();
    expect(await it.reasonOf(answer)).toBe(code);
    expect((await shown(POOL))['live_instances']).toBe(0);
  });

  test('that is registered acts as what it is registered as', async () => {
    const handover = issued(await it.handTo(await it.session(), spiffe('tools/mailer').replace('mailer', 'known')));
    expect(claimsOf(issued(await it.takeUp(handover, it.pod('known'))))['client_id']).toBe(`${TEMPLATE.replace('pool', 'known')}`);
  });

  test('is bound by policies for its template, and by those for itself', async () => {
    await it.lab.mayfly.apply({ policies: [{ domain: 'dev', name: 'not-p-2', owner: 'x', cedar: `forbid(principal == Workload::"${instance('p-2')}", action, resource);` }] });
    expect(await it.reasonOf(await it.use('p-2'))).toBe('target_denied');
    expect((await shown(POOL))['live_instances']).toBe(0);
    await using(it.use('p-1'));
    await it.lab.mayfly.admin('DELETE', 'policies/dev/not-p-2?reason=test');
    await using(it.use('p-2'));
  });
});

describe('so many instances', () => {
  test('may be live at once, over all sessions, and the next is told to wait', async () => {
    const first = await using(it.use('p-1'));
    await using(it.use('p-2'));
    const crowded = await it.use('p-3');
    expect([crowded.status, await it.reasonOf(crowded)]).toEqual([429, 'instances_exhausted']);
    expect((await show(`${POOL}/p-3`)).status).toBe(404);
    // One that has its place goes on.
    expect(await it.reasonOf(await it.lab.spend(first, { scope: 'deploy:read' }))).toBe('issued');
    expect(await it.reasonOf(await renew(first, it.pod('p-1')))).toBe('issued');
    await it.end(first);
    await using(it.use('p-3'));
  });

  test('count once in a session, however often one comes, and again in another', async () => {
    const session = await it.session();
    await using(it.use('p-1', session));
    await it.use('p-1', session);
    expect((await shown(POOL))['live_instances']).toBe(1);
    await using(it.use('p-1'));
    expect((await shown(POOL))['live_instances']).toBe(2);
    expect(await it.reasonOf(await it.use('p-1'))).toBe('instances_exhausted');
  });

  test('are counted in the commit: of many at once only those get a place', async () => {
    const handover = issued(await it.handTo(await it.session(), TEMPLATE));
    const answers = await Promise.all(Array.from({ length: 8 }, (_, pod) => it.takeUp(handover, it.pod(`many-${pod}`))));
    for (const answer of answers) if (answer.status === 200) used.push(issued(answer));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 429, 429, 429, 429, 429, 429]);
  });
});

describe('an instance whose session has ended', () => {
  test('is refused with its token and with fresh evidence, and takes no place', async () => {
    const session = await it.session();
    const token = issued(await it.use('p-1', session));
    const resource = issued(await it.lab.spend(token, { scope: 'deploy:read' }));
    const waiting = issued(await it.handTo(session, TEMPLATE));
    await it.end(token);
    expect(await it.reasonOf(await it.lab.spend(token, { scope: 'deploy:read' }))).toBe('session_ended');
    expect(await it.reasonOf(await renew(token, it.pod('p-1')))).toBe('session_ended');
    expect(await it.reasonOf(await it.takeUp(waiting, it.pod('p-2')))).toBe('session_ended');
    expect(await it.lab.introspect(resource)).toEqual({ active: false });
    expect((await shown(POOL))['live_instances']).toBe(0);
    expect((await shown(`${POOL}/p-1`))['sessions']).toContainEqual(expect.objectContaining({ session: claimsOf(token)['sid'], status: 'ended' }));
  });
});

describe('a revoked instance', () => {
  test('is refused in its session and in every other, while those beside it go on', async () => {
    const session = await it.session();
    const token = await using(it.use('rogue', session));
    const beside = await using(it.use('p-2', session));
    const resource = issued(await it.lab.spend(token, { scope: 'deploy:read' }));
    const id = await idOf('rogue');
    const answer = await revoke(id);
    expect([answer.status, answer.body['revoked'], Number(answer.body['leases']) >= 2]).toEqual([200, `workload:${id}`, true]);
    expect(await it.lab.introspect(resource)).toEqual({ active: false });
    expect(await it.reasonOf(await it.lab.spend(token, { scope: 'deploy:read' }))).toBe('revoked');
    expect(await it.reasonOf(await renew(token, it.pod('rogue')))).toBe('revoked');
    expect(await it.reasonOf(await it.use('rogue', session))).toBe('revoked');
    expect(await it.reasonOf(await it.use('rogue'))).toBe('revoked');
    expect(await it.reasonOf(await it.lab.spend(beside, { scope: 'deploy:read' }))).toBe('issued');
    // It left its place.
    expect((await shown(POOL))['live_instances']).toBe(1);
    expect((await shown(`${POOL}/rogue`))['sessions']).toEqual([expect.objectContaining({ status: 'revoked' })]);
  });

  test('stays refused after its session, and when it is let in again begins anew in later ones', async () => {
    const token = issued(await it.use('lifted'));
    const id = await idOf('lifted');
    await revoke(id);
    await it.end(token);
    expect(await it.reasonOf(await it.use('lifted'))).toBe('revoked');
    expect((await enable(id)).status).toBe(200);
    expect(await it.reasonOf(await it.lab.spend(token, { scope: 'deploy:read' }))).toBe('session_ended');
    await using(it.use('lifted'));
  });

  test('and every other falls with the template', async () => {
    const told = await listening();
    const tokens = [await using(it.use('p-1')), await using(it.use('p-2'))];
    const id = String((await shown(POOL))['id']);
    const { status, body } = await revoke(id);
    expect([status, Number(body['leases']) >= 2]).toEqual([200, true]);
    const carriedOut = async () => (await it.lab.mayfly.admin('GET', `revocations/${String(body['revocation'])}`)).body['carried_out'] as { readonly status: string; readonly leases: number };
    await until(async () => (await carriedOut()).status === 'done');
    expect((await carriedOut()).leases).toBe(body['leases']);
    const wanted = tokens.map((token) => claimsOf(token)['sid']);
    await until(async () => (await told()).length >= wanted.length);
    expect(new Set(await told())).toEqual(new Set(wanted));
    for (const token of tokens) expect(await it.reasonOf(await it.lab.spend(token, { scope: 'deploy:read' }))).toBe('revoked');
    expect(await it.reasonOf(await it.use('p-3'))).toBe('revoked');
    expect((await enable(id)).status).toBe(200);
    await using(it.use('p-3'));
  });

  test('is found by its id as well, and one that nobody knows by none', async () => {
    const token = await using(it.use('p-1'));
    const id = await idOf('p-1');
    expect(await shown(id)).toMatchObject({ id, name: `${POOL}/p-1`, spiffe_id: instance('p-1'), template: POOL, kind: 'tool', authority: 'delegated', domain: 'dev' });
    expect((await show(`wkl_${'0'.repeat(32)}`)).status).toBe(404);
    expect((await revoke(`wkl_${'0'.repeat(32)}`)).status).toBe(404);
    const lease = (await it.lab.mayfly.admin('GET', `leases/${String(claimsOf(token)['jti'])}`)).body;
    expect(lease).toMatchObject({ workload: `${POOL}/p-1`, spiffe_id: instance('p-1') });
  });
});

describe('listings', () => {
  test('show a template with its instances, and how many are live', async () => {
    const token = await using(it.use('p-1'));
    const whole = await shown(POOL);
    expect(whole).toMatchObject({ name: POOL, template: { instance: '{pod}', max_live: 2 }, live_instances: 1, status: 'live' });
    expect(whole['instances']).toContainEqual({ id: await idOf('p-1'), name: `${POOL}/p-1`, spiffe_id: instance('p-1'), session: claimsOf(token)['sid'], status: 'live', created_at: expect.any(String), expires_at: expect.any(String) });
    const listed = (await it.lab.mayfly.admin('GET', 'workloads?domain=dev')).body['items'] as readonly Record<string, unknown>[];
    expect(listed.filter((item) => 'live_instances' in item).map((item) => [item['name'], item['live_instances']])).toEqual([['jobs/pool', 0], [POOL, 1], ['twins/one', 0], ['twins/other', 0]]);
  });

  test('of the command line show templates in the list, and their instances with one', async () => {
    await using(it.use('p-1'));
    const cli = async (...args: readonly string[]): Promise<string> => (await runCli(args, { env: { MAYFLY_SERVER: it.lab.mayfly.server.adminSocket } })).out;
    const lines = (await cli('workload', 'list')).split('\n');
    const at = lines[0]?.indexOf('LIVE') ?? -1;
    const cell = (name: string): string | undefined => lines.find((line) => line.includes(` ${name} `))?.slice(at, at + 4).trim();
    expect([at > 0, cell(POOL), cell('tools/mailer')]).toEqual([true, '1', '-']);
    expect(await cli('workload', 'show', POOL)).toMatch(/live_instances: 1\ninstances:\n {2}- id: wkl_[0-9a-f]{32}\n {4}name: tools\/pool\/p-1/);
    expect(await cli('workload', 'show', `${POOL}/p-1`)).toMatch(/template: tools\/pool\n/);
    const id = await idOf('p-1');
    expect(await cli('revoke', 'workload', id, '--reason', 'rogue')).toMatch(new RegExp(`^revoked workload:${id} .* 1 active lease ended`));
    expect(await it.reasonOf(await it.use('p-1'))).toBe('revoked');
    expect((await enable(id)).status).toBe(200);
  });

  test('end an instance with its session', async () => {
    const token = issued(await it.use('p-1'));
    const session = (await it.lab.mayfly.admin('GET', `sessions/${String(claimsOf(token)['sid'])}`)).body;
    const [place] = ((await shown(`${POOL}/p-1`))['sessions'] as readonly Record<string, unknown>[]);
    expect(place).toMatchObject({ session: session['id'], status: 'live', expires_at: session['expires_at'] });
    await it.end(token);
  });
});

test('a template opens no task, whatever its authority', async () => {
  await it.lab.mayfly.apply({ workloads: [{ domain: 'dev', name: 'ops/pool', kind: 'agent', authority: 'autonomous', owner: 'x', expires: '2027-06-01', template: { instance: '{pod}' }, match: { issuer: 'platform', pool: 'ops' } }] });
  const open = (workload: string): Promise<Answer> => it.lab.mayfly.admin('POST', 'sessions', { domain: 'dev', workload, purpose: 'p' });
  expect([(await open('ops/pool')).status, (await open('ops/fixer')).status]).toEqual([400, 201]);
});
