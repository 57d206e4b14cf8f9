import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE } from '../../src/core/duration.ts';
import type { Answer } from '../support/mayfly.ts';
import { ALICE, READ, spiffe, startAgentsLab } from './agents-lab.ts';
import type { AgentsLab } from './agents-lab.ts';
import { API, BILLING, ceilingOf, claimsOf, issued } from './lab.ts';

let lab: AgentsLab;
beforeAll(async () => { lab = await startAgentsLab(); });
afterAll(async () => { await lab.close(); });

const reasonOf = async (answer: Answer): Promise<string> => (answer.status === 200 ? 'issued' : lab.mayfly.reason(answer));
const open = (more: object = {}): Promise<Answer> => lab.mayfly.admin('POST', 'sessions', { domain: 'dev', workload: 'ops/fixer', purpose: 'clean up after incident 42', ...more });
const opened = async (more: object = {}): Promise<string> => {
  const answer = await open(more);
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
  return String(answer.body['session']);
};
const work = (session: string, values: Readonly<Record<string, string>> = {}): Promise<Answer> => lab.ask({ subject_token: lab.agent('ops/fixer'), session, scope: 'deploy:read', ...values });
const ceiling = (session: string, pairs = READ): Promise<Answer> => work(session, { audience: '', scope: '', authorization_details: ceilingOf(pairs) });
const spend = (token: string, amount: string): Promise<Answer> => lab.mayfly.form('dev/session/spend', { amount }, { authorization: `Bearer ${token}` });

describe('a task', () => {
  test('is opened by an admin, for a purpose, until a deadline, and worked on with evidence alone', async () => {
    const answer = await open({ deadline: new Date(Date.now() + HOUR).toISOString(), budgets: { tokens: 5 } });
    expect(answer.body).toMatchObject({ workload: 'ops/fixer', principal: ALICE, purpose: 'clean up after incident 42', budgets: { tokens: 5 } });
    const session = String(answer.body['session']);
    expect(claimsOf(issued(await work(session)))).toMatchObject({ sub: spiffe('ops/fixer'), client_id: spiffe('ops/fixer'), sid: session, authority: { model: 'autonomous', principal: ALICE, depth: 0 } });
    expect(claimsOf(issued(await work(session)))).not.toHaveProperty('act');
    expect((await lab.mayfly.admin('GET', `sessions/${session}`)).body).toMatchObject({ model: 'autonomous', workload: 'ops/fixer', purpose: 'clean up after incident 42', budgets: { tokens: { most: 5, used: 2 } } });
  });

  test('is opened by the workload itself where a policy permits it, once for each evidence', async () => {
    const first = claimsOf(issued(await lab.ask({ subject_token: lab.agent('ops/fixer'), purpose: 'restart the queue', scope: 'deploy:read' })));
    const second = claimsOf(issued(await lab.ask({ subject_token: lab.agent('ops/fixer'), purpose: 'restart the queue', scope: 'deploy:read' })));
    expect(first['sid']).not.toBe(second['sid']);
    expect((await lab.mayfly.admin('GET', `sessions/${String(first['sid'])}`)).body).toMatchObject({ purpose: 'restart the queue', principal: ALICE });
    await lab.mayfly.apply({ policies: [{ domain: 'dev', name: 'no-opening', owner: 'x', cedar: 'forbid(principal, action == Action::"open", resource);' }] });
    expect(await reasonOf(await lab.ask({ subject_token: lab.agent('ops/fixer'), purpose: 'restart the queue', scope: 'deploy:read' }))).toBe('target_denied');
    expect(await reasonOf(await work(await opened()))).toBe('issued');
    await lab.mayfly.admin('DELETE', 'policies/dev/no-opening?reason=test');
  });

  test.each([
    { name: 'none', values: {}, code: 'model_autonomous' },
    { name: 'one that does not exist', values: { session: 'AAAAAAAAAAAAAAAAAAAAAA' }, code: 'session_unknown' },
    { name: 'what is no id', values: { session: 'incident-42' }, code: 'session_unknown' },
    { name: 'an id and a purpose', values: { session: 'AAAAAAAAAAAAAAAAAAAAAA', purpose: 'x' }, code: 'parameter_invalid' },
    { name: 'a purpose of several lines', values: { purpose: 'a\nb' }, code: 'parameter_invalid' },
  ])('must be named: $name is refused', async ({ values, code }) => {
    expect(await reasonOf(await lab.ask({ subject_token: lab.agent('ops/fixer'), scope: 'deploy:read', ...values }))).toBe(code);
  });

  test('is its own workload\'s: neither another, nor a run, nor a person\'s session is one', async () => {
    const run = String(claimsOf(issued(await lab.ask({ subject_token: lab.agent('ci/runner'), scope: 'deploy:read' })))['sid']);
    const login = String(claimsOf(await lab.session())['sid']);
    for (const session of [run, login]) expect(await reasonOf(await work(session))).toBe('session_unknown');
    expect(await reasonOf(await lab.ask({ subject_token: lab.agent('ci/runner'), session: await opened(), scope: 'deploy:read' }))).toBe('model_bounded');
  });

  test.each([
    { name: 'a workload that is not autonomous', more: { workload: 'ci/runner' }, status: 400 },
    { name: 'a workload that does not exist', more: { workload: 'ops/nobody' }, status: 404 },
    { name: 'a deadline that has passed', more: { deadline: new Date(Date.now() - MINUTE).toISOString() }, status: 400 },
    { name: 'a deadline beyond what the domain allows', more: { deadline: new Date(Date.now() + 25 * HOUR).toISOString() }, status: 400 },
    { name: 'a budget of nothing', more: { budgets: { tokens: 0 } }, status: 400 },
    { name: 'an unknown budget', more: { budgets: { coffee: 1 } }, status: 400 },
    { name: 'no purpose', more: { purpose: '' }, status: 400 },
  ])('is not opened with $name', async ({ more, status }) => {
    expect((await open(more)).status).toBe(status);
  });

  test('ends when an admin ends it, with everything that grew out of it', async () => {
    const session = await opened();
    const token = issued(await ceiling(session));
    const child = issued(await lab.takeUp(issued(await lab.handOn(token, 'agents/searcher')), 'agents/searcher'));
    const resource = issued(await lab.spend(child, { scope: 'deploy:read' }));
    expect(claimsOf(resource)).toMatchObject({ sub: spiffe('ops/fixer'), act: { sub: spiffe('agents/searcher') }, authority: { model: 'autonomous', principal: ALICE, depth: 1 } });
    expect((await lab.introspect(resource))['active']).toBe(true);
    expect((await lab.mayfly.admin('POST', `sessions/${session}/end`, { reason: 'done' })).body).toMatchObject({ session, ended: true });
    expect(await lab.introspect(resource)).toEqual({ active: false });
    for (const attempt of [() => work(session), () => lab.spend(child, { scope: 'deploy:read' }), () => lab.spend(token, { scope: 'deploy:read' })]) expect(await reasonOf(await attempt())).toBe('session_ended');
    expect((await lab.mayfly.admin('POST', `sessions/${session}/end`, { reason: 'again' })).body).toMatchObject({ ended: false });
  });

  test('falls with the person who is accountable for it', async () => {
    const session = await opened();
    const resource = issued(await work(session));
    await lab.mayfly.admin('POST', 'revocations', { kind: 'person', id: ALICE, reason: 'left' });
    expect(await lab.introspect(resource)).toEqual({ active: false });
    expect(await reasonOf(await work(session))).toBe('revoked');
    expect((await open()).status).toBe(400);
    await lab.mayfly.admin('POST', 'enable', { kind: 'person', id: ALICE });
    expect(await reasonOf(await work(session))).toBe('revoked');
    expect(await reasonOf(await work(await opened()))).toBe('issued');
  });
});

describe('budgets', () => {
  test('of tokens are used up by the whole chain, and by nothing that was refused', async () => {
    const session = await opened({ budgets: { tokens: 4 } });
    const token = issued(await ceiling(session));
    const handover = issued(await lab.handOn(token, 'agents/searcher'));
    expect(await reasonOf(await lab.spend(token, { scope: 'deploy:admin' }))).not.toBe('issued');
    const child = issued(await lab.takeUp(handover, 'agents/searcher'));
    expect(await reasonOf(await lab.spend(child, { scope: 'deploy:read' }))).toBe('issued');
    const evidence = lab.agent('ops/fixer');
    expect(await reasonOf(await lab.ask({ subject_token: evidence, session, scope: 'deploy:read' }))).toBe('budget_exhausted');
    expect(await reasonOf(await lab.ask({ subject_token: evidence, session: await opened(), scope: 'deploy:read' }))).toBe('issued');
  });

  test('of agents and resources count each once', async () => {
    const session = await opened({ budgets: { agents: 2, resources: 1 } });
    const token = issued(await ceiling(session, [{ audience: API, scopes: ['deploy:read'] }, { audience: BILLING, scopes: ['bills:read'] }]));
    for (const name of ['agents/searcher', 'agents/searcher'] as const) expect(await reasonOf(await lab.takeUp(issued(await lab.handOn(token, name)), name))).toBe('issued');
    expect(await reasonOf(await lab.takeUp(issued(await lab.handOn(token, 'tools/mailer')), 'tools/mailer'))).toBe('budget_exhausted');
    expect(await reasonOf(await lab.spend(token, { scope: 'deploy:read' }))).toBe('issued');
    expect(await reasonOf(await lab.spend(token, { scope: 'deploy:read' }))).toBe('issued');
    expect(await reasonOf(await lab.spend(token, { audience: BILLING, scope: 'bills:read' }))).toBe('budget_exhausted');
  });

  test('hold when everybody asks at once: exactly as many are issued as there is room for', async () => {
    const session = await opened({ budgets: { tokens: 7 } });
    const answers = await Promise.all(Array.from({ length: 25 }, () => work(session)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(7);
    expect((await lab.mayfly.admin('GET', `sessions/${session}`)).body['budgets']).toEqual({ tokens: { most: 7, used: 7 } });
  });

  test('of spend only rise, and let nothing through that does not fit', async () => {
    const token = issued(await ceiling(await opened({ budgets: { spend: 100 } })));
    expect((await spend(token, '60')).body).toEqual({ spent: 60, most: 100, left: 40 });
    expect(await reasonOf(await spend(token, '41'))).toBe('budget_exhausted');
    expect((await spend(token, '40')).body).toEqual({ spent: 100, most: 100, left: 0 });
    for (const amount of ['0', '-1', '1.5', '1e3', '', '9'.repeat(16)]) expect((await spend(token, amount)).status).toBe(400);
    expect(await reasonOf(await spend(issued(await ceiling(await opened())), '1'))).toBe('budget_exhausted');
  });

  test('of spend take a live session token and nothing else', async () => {
    const session = await opened({ budgets: { spend: 100 } });
    const token = issued(await ceiling(session));
    const codes = [];
    for (const other of [issued(await work(session)), issued(await lab.handOn(token, 'agents/searcher')), 'x.y.z']) codes.push([(await spend(other, '1')).status, await reasonOf(await spend(other, '1'))]);
    expect(codes).toEqual([[401, 'token_not_exchangeable'], [401, 'token_unknown'], [401, 'token_malformed']]);
    await lab.mayfly.admin('POST', `sessions/${session}/end`, { reason: 'done' });
    expect(await reasonOf(await spend(token, '1'))).toBe('revoked');
  });
});
