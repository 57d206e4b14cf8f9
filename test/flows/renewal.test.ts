import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE } from '../../src/core/duration.ts';
import type { Answer } from '../support/mayfly.ts';
import { ALICE, BOTH, READ, spiffe, startAgentsLab } from './agents-lab.ts';
import type { AgentName, AgentsLab } from './agents-lab.ts';
import { API, BILLING, ceilingOf, claimsOf, issued, until } from './lab.ts';

const SESSION_TYPE = 'urn:mayfly:token-type:session';

let lab: AgentsLab;
beforeAll(async () => { lab = await startAgentsLab({ timed: true }); });
afterAll(async () => { await lab.close(); });

const reasonOf = async (answer: Answer): Promise<string> => (answer.status === 200 ? 'issued' : lab.mayfly.reason(answer));
const pass = async (milliseconds: number): Promise<void> => {
  lab.time.now += milliseconds;
  await until(async () => (await fetch(`${lab.mayfly.url}/readyz`)).status === 200);
};
const renew = (token: string, by: AgentName, values: Readonly<Record<string, string>> = {}): Promise<Answer> => lab.spend(token, { actor_token: lab.agent(by), audience: '', ...values });
const renewById = (sid: unknown, by: AgentName, values: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  lab.ask({ subject_token: String(sid), subject_token_type: SESSION_TYPE, actor_token: lab.agent(by), audience: '', ...values });
const hopsOf = async (token: string): Promise<readonly unknown[]> => (await lab.mayfly.admin('GET', `sessions/${String(claimsOf(token)['sid'])}`)).body['hops'] as readonly unknown[];

describe('renewal', () => {
  test('with a live token keeps session, hop and ceiling, whatever it does not ask for', async () => {
    const first = await lab.session(BOTH, { subject_token: lab.idToken({ sid: 'keeps' }) });
    const second = issued(await renew(first, 'agents/planner'));
    expect(claimsOf(second)).toMatchObject({ sid: claimsOf(first)['sid'], sub: ALICE, act: { sub: spiffe('agents/planner') }, authorization_details: claimsOf(first)['authorization_details'] });
    expect(claimsOf(second)['jti']).not.toBe(claimsOf(first)['jti']);
    expect(await hopsOf(second)).toHaveLength(1);
  });

  test('by the session\'s id goes on where the last token ended', async () => {
    const first = await lab.session(BOTH, { subject_token: lab.idToken({ sid: 'by-id' }) });
    await pass(10 * MINUTE);
    expect(await reasonOf(await lab.spend(first, { scope: 'deploy:read' }))).toBe('token_expired');
    const second = issued(await renewById(claimsOf(first)['sid'], 'agents/planner'));
    expect(await hopsOf(second)).toHaveLength(1);
    expect(await reasonOf(await lab.spend(second, { scope: 'deploy:write' }))).toBe('issued');
  });

  test('may shrink the ceiling and never widens it', async () => {
    const first = await lab.session(BOTH, { subject_token: lab.idToken({ sid: 'shrinks' }) });
    const narrow = issued(await renew(first, 'agents/planner', { authorization_details: ceilingOf(READ) }));
    expect(await reasonOf(await lab.spend(narrow, { scope: 'deploy:write' }))).toBe('ceiling_exceeded');
    expect(await reasonOf(await renew(first, 'agents/planner', { authorization_details: ceilingOf([{ audience: API, scopes: ['deploy:admin'] }]) }))).toBe('ceiling_exceeded');
    const child = issued(await lab.takeUp(issued(await lab.handOn(first, 'agents/searcher')), 'agents/searcher'));
    expect(await reasonOf(await renew(child, 'agents/searcher', { authorization_details: ceilingOf([{ audience: BILLING, scopes: ['bills:read'] }]) }))).toBe('ceiling_exceeded');
  });

  test('goes on with what policies still permit of the ceiling', async () => {
    const first = await lab.session(BOTH, { subject_token: lab.idToken({ sid: 'less' }) });
    await lab.mayfly.apply({ policies: [{ domain: 'dev', name: 'no-bills', owner: 'x', cedar: `forbid(principal, action == Action::"act", resource in Resource::"${BILLING}");` }] });
    const second = await renew(first, 'agents/planner');
    await lab.mayfly.admin('DELETE', 'policies/dev/no-bills?reason=test');
    expect(second.body['authorization_details']).toEqual([{ type: 'urn:mayfly:ceiling', audience: API, scopes: ['deploy:read', 'deploy:write'] }]);
  });

  test('takes fresh evidence of the same actor, and no one else\'s', async () => {
    const first = await lab.session(BOTH, { subject_token: lab.idToken({ sid: 'same' }) });
    expect(await reasonOf(await renew(first, 'agents/searcher'))).toBe('actor_mismatch');
    expect(await reasonOf(await renewById(claimsOf(first)['sid'], 'agents/searcher'))).toBe('session_unknown');
    expect(await reasonOf(await renewById('AAAAAAAAAAAAAAAAAAAAAA', 'agents/planner'))).toBe('session_unknown');
    expect(await reasonOf(await lab.ask({ subject_token: String(claimsOf(first)['sid']), subject_token_type: SESSION_TYPE, audience: '' }))).toBe('actor_missing');
    const evidence = lab.agent('agents/planner');
    expect(await reasonOf(await lab.spend(first, { actor_token: evidence, audience: '' }))).toBe('issued');
    expect(await reasonOf(await lab.spend(first, { actor_token: evidence, audience: '' }))).toBe('evidence_replayed');
  });

  test('ends with the login: past the limit all is suspended, until a fresh token of the same login comes', async () => {
    const loggedIn = Math.floor(lab.time.now / 1000);
    const first = await lab.session(BOTH, { subject_token: lab.idToken({ sid: 'stale', auth_time: loggedIn }) });
    const sid = claimsOf(first)['sid'];
    await pass(8 * HOUR - 2 * MINUTE);
    const last = issued(await renewById(sid, 'agents/planner'));
    const resource = issued(await lab.spend(last, { scope: 'deploy:read' }));
    // Nothing outlives the login: two minutes are left of eight hours, not five.
    expect([claimsOf(last)['exp'], claimsOf(resource)['exp']]).toEqual([loggedIn + 8 * 3600, loggedIn + 8 * 3600]);
    expect((await lab.introspect(resource))['active']).toBe(true);
    await pass(2 * MINUTE);
    expect(await reasonOf(await renewById(sid, 'agents/planner'))).toBe('suspended');
    expect(await reasonOf(await lab.plan({ subject_token: lab.idToken({ sid: 'stale', auth_time: loggedIn }), scope: 'deploy:read' }))).toBe('login_too_old');
    expect(await reasonOf(await lab.plan({ subject_token: lab.idToken({ sid: 'stale', auth_time: Math.floor(lab.time.now / 1000) }), scope: 'deploy:read' }))).toBe('issued');
    expect(await reasonOf(await renewById(sid, 'agents/planner'))).toBe('issued');
  });

  test('of an autonomous task needs its own evidence at least every so often, whoever works for it', async () => {
    const task = String((await lab.mayfly.admin('POST', 'sessions', { domain: 'dev', workload: 'ops/fixer', purpose: 'long work' })).body['session']);
    const token = issued(await lab.ask({ subject_token: lab.agent('ops/fixer'), session: task, audience: '', authorization_details: ceilingOf(READ) }));
    const child = issued(await lab.takeUp(issued(await lab.handOn(token, 'agents/searcher')), 'agents/searcher'));
    await pass(50 * MINUTE);
    const later = issued(await renewById(claimsOf(child)['sid'], 'agents/searcher'));
    await pass(10 * MINUTE);
    expect(await reasonOf(await renewById(claimsOf(later)['sid'], 'agents/searcher'))).toBe('suspended');
    expect(await reasonOf(await renewById(task, 'ops/fixer'))).toBe('issued');
    expect(await reasonOf(await renewById(claimsOf(later)['sid'], 'agents/searcher'))).toBe('issued');
  });

  test('carries a chain of three through eight hours, a restart and new keys, on five-minute tokens', async () => {
    const planner = await lab.session(READ, { subject_token: lab.idToken({ sid: 'long', auth_time: Math.floor(lab.time.now / 1000) }) });
    const searcher = issued(await lab.takeUp(issued(await lab.handOn(planner, 'agents/searcher')), 'agents/searcher'));
    const mailer = issued(await lab.takeUp(issued(await lab.handOn(searcher, 'tools/mailer')), 'tools/mailer'));
    const sid = claimsOf(mailer)['sid'];
    const before = (await lab.mayfly.admin('GET', 'keys?domain=dev')).body['items'];
    for (let hour = 0; hour < 7; hour += 1) {
      if (hour === 3) await lab.mayfly.restart();
      if (hour === 4) await lab.mayfly.admin('POST', 'keys/rotate', { domain: 'dev', purpose: 'access' });
      await pass(HOUR);
      const token = issued(await renewById(sid, 'tools/mailer'));
      const resource = claimsOf(issued(await lab.spend(token, { scope: 'deploy:read' })));
      expect(resource).toMatchObject({ sid, sub: ALICE, act: { sub: spiffe('tools/mailer'), act: { sub: spiffe('agents/searcher'), act: { sub: spiffe('agents/planner') } } } });
      expect(Number(resource['exp']) - Number(resource['iat'])).toBeLessThanOrEqual(300);
    }
    expect(await hopsOf(mailer)).toHaveLength(3);
    expect((await lab.mayfly.admin('GET', 'keys?domain=dev')).body['items']).not.toEqual(before);
  });
});
