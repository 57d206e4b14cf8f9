import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE } from '../../src/core/duration.ts';
import { runCli } from '../cli/harness.ts';
import { OWNER } from '../support/world.ts';
import { ALICE, BOTH, READ, spiffe, startAgentsLab } from './agents-lab.ts';
import type { AgentName, AgentsLab } from './agents-lab.ts';
import { API, BILLING, ceilingOf, claimsOf, issued, until } from './lab.ts';

/** What an admin is told of one session: over the API, and drawn by the command line. */
let lab: AgentsLab;
beforeAll(async () => { lab = await startAgentsLab({ timed: true }); });
afterAll(async () => { await lab.close(); });

const cli = async (...args: readonly string[]): Promise<string> => {
  const { code, out, err } = await runCli(args, { env: { MAYFLY_SERVER: lab.mayfly.server.adminSocket } });
  if (code !== 0) throw new Error(`mayfly ${args.join(' ')}: ${err}`);
  return out;
};
const shown = async (sid: string): Promise<Record<string, unknown>> => JSON.parse(await cli('session', 'show', sid, '--json')) as Record<string, unknown>;
const hopsOf = async (sid: string): Promise<readonly Record<string, unknown>[]> => (await shown(sid))['hops'] as readonly Record<string, unknown>[];
const sidOf = (token: string): string => String(claimsOf(token)['sid']);
/** Ids sort by age, which takes a clock that goes on: by less than what makes a node's picture of the registry old. */
const tick = (): void => { lab.time.now += 1; };
const login = (sid: string): Promise<string> => lab.session(BOTH, { subject_token: lab.idToken({ sid, auth_time: Math.floor(lab.time.now / 1000) }) });
const below = async (token: string, by: AgentName): Promise<string> => {
  tick();
  const handover = issued(await lab.handOn(token, by));
  tick();
  return issued(await lab.takeUp(handover, by));
};
const spend = async (token: string): Promise<string> => {
  tick();
  return issued(await lab.spend(token, { scope: 'deploy:read' }));
};
const decisionOf = (token: string): string => String(claimsOf(token)['jti']).replace('lse_', 'dec_');
const pass = async (milliseconds: number): Promise<void> => {
  lab.time.now += milliseconds;
  await until(async () => (await fetch(`${lab.mayfly.url}/readyz`)).status === 200);
};

describe('a chain', () => {
  test('is told hop by hop: who acts, on which decision, with what ceiling, and what it was used for', async () => {
    const top = await login('tree');
    const child = await below(top, 'agents/searcher');
    const uses = [];
    for (let count = 0; count < 3; count += 1) uses.push(await spend(child));
    const session = await shown(sidOf(top));
    expect(session).toMatchObject({ status: 'active', model: 'delegated', person: ALICE, principal: ALICE, issuer: 'corp', fresh_until: new Date(lab.time.now - (lab.time.now % 1000) + 8 * HOUR).toISOString() });
    expect(session).not.toHaveProperty('because');
    const [root, searcher] = session['hops'] as readonly Record<string, unknown>[];
    expect(root).toMatchObject({
      parent: null, depth: 0, workload: 'agents/planner', actor: spiffe('agents/planner'), owner: OWNER, status: 'active', ceiling: [BOTH[1], BOTH[0]], decision: decisionOf(top),
      policies: ['engineers-delegate@1', 'agents-planner-acts@1'],
      used: [{ kind: 'handover_token', audience: lab.issuer, scope: '', count: 1 }, { kind: 'session_token', audience: lab.issuer, scope: '', count: 1, last_decision: decisionOf(top) }],
    });
    expect(searcher).toMatchObject({
      parent: root?.['id'], depth: 1, workload: 'agents/searcher', ceiling: READ, decision: decisionOf(child), policies: ['engineers-delegate@1', 'agents-planner-acts@1', 'agents-searcher-acts@1'],
      used: [{ kind: 'access_token', audience: API, scope: 'deploy:read', count: 3, last_decision: decisionOf(uses.at(-1) ?? '') }, { kind: 'session_token', count: 1 }],
    });
  });

  test('is drawn as a tree, each actor below the one that handed on to it', async () => {
    const top = await login('drawn');
    const middle = await below(top, 'agents/searcher');
    const bottom = await below(middle, 'tools/mailer');
    await below(top, 'agents/a5');
    await spend(bottom);
    const out = await cli('session', 'show', sidOf(top));
    const titles = out.split('\n').filter((line) => line.includes('spiffe://')).map((line) => line.trimEnd());
    expect(titles).toEqual([
      `agents/planner  ${spiffe('agents/planner')}  active`, `├─ agents/searcher  ${spiffe('agents/searcher')}  active`,
      `│  └─ tools/mailer  ${spiffe('tools/mailer')}  active`, `└─ agents/a5  ${spiffe('agents/a5')}  active`,
    ]);
    expect(out).toContain(`session ${sidOf(top)}: active\n`);
    for (const line of [/ {2}principal +urn:mayfly:dev:person:corp:alice/, new RegExp(`│ {2}decision +${decisionOf(top)}`), new RegExp(`│ {2}ceiling +${API}: deploy:read deploy:write`), /policies +engineers-delegate@1, agents-planner-acts@1/, new RegExp(`used +1 x access_token for ${API}: deploy:read, last at `)]) expect(out).toMatch(line);
  });

  test('says which actor fell, by whom and why; who is above stays as they were', async () => {
    const top = await login('felled');
    const middle = await below(top, 'agents/searcher');
    await below(middle, 'tools/mailer');
    const [, searcher] = await hopsOf(sidOf(top));
    await cli('revoke', 'hop', String(searcher?.['id']), '--reason', 'went astray');
    const because = { effect: 'revoked', target: `hop:${String(searcher?.['id'])}`, reason: 'went astray', by: 'local', at: new Date(lab.time.now).toISOString() };
    const hops = await hopsOf(sidOf(top));
    expect(hops.map(({ workload, status, because: why }) => [workload, status, why])).toEqual([['agents/planner', 'active', undefined], ['agents/searcher', 'revoked', because], ['tools/mailer', 'revoked', because]]);
    expect(await shown(sidOf(top))).toMatchObject({ status: 'active' });
    expect(await cli('session', 'show', sidOf(top))).toContain('revoked (went astray, by local, at ');
  });
});

describe('a session that is not active', () => {
  test('is revoked, and names what with; lifted, the revocation still ends it', async () => {
    const sid = sidOf(await login('revoked'));
    await cli('revoke', 'workload', 'agents/planner', '--reason', 'a stolen laptop', '--domain', 'dev');
    await cli('enable', 'workload', 'agents/planner', '--domain', 'dev');
    const [hop] = await hopsOf(sid);
    expect(hop).toMatchObject({ status: 'revoked', because: { reason: 'a stolen laptop', target: expect.stringMatching(/^workload:/) } });
    await cli('revoke', 'session', sid, '--reason', 'and for good');
    expect(await shown(sid)).toMatchObject({ status: 'revoked', revoked_by: `session:${sid}`, because: { effect: 'revoked', target: `session:${sid}`, reason: 'and for good', by: 'local' } });
    expect(sidOf(await login('after'))).not.toBe(sid);
  });

  test('is suspended once its login is too old', async () => {
    const sid = sidOf(await login('stale'));
    const staleFrom = new Date(lab.time.now - (lab.time.now % 1000) + 8 * HOUR).toISOString();
    await pass(8 * HOUR);
    expect(await shown(sid)).toMatchObject({ status: 'suspended', because: { at: staleFrom, reason: expect.stringContaining('login is too old') }, hops: [{ status: 'suspended' }] });
    const listed = JSON.parse(await cli('session', 'list', '--json')) as { readonly items: readonly Record<string, unknown>[] };
    expect(listed.items.find(({ id }) => id === sid)).toMatchObject({ status: 'suspended', person: ALICE });
    await pass(4 * HOUR);
    expect(await shown(sid)).toMatchObject({ status: 'ended', because: { reason: 'its time was over' }, hops: [{ status: 'ended' }] });
  });

  test('is a task that an admin opened, worked on and ended: with purpose, budgets and the reason', async () => {
    const opened = JSON.parse(await cli('session', 'open', 'ops/fixer', '--purpose', 'clean up after incident 42', '--deadline', new Date(lab.time.now + HOUR).toISOString(), '--max-tokens', '5', '--max-agents', '2', '--domain', 'dev', '--json')) as Record<string, unknown>;
    const sid = String(opened['session']);
    expect(await cli('session', 'show', sid)).toContain('nobody has acted in it yet');
    const token = issued(await lab.ask({ subject_token: lab.agent('ops/fixer'), session: sid, audience: '', authorization_details: ceilingOf([{ audience: BILLING, scopes: ['bills:read'] }]) }));
    expect(await shown(sid)).toMatchObject({ status: 'active', model: 'autonomous', workload: 'ops/fixer', principal: ALICE, purpose: 'clean up after incident 42', budgets: { agents: { most: 2, used: 1 }, tokens: { most: 5, used: 1 } }, expires_at: new Date(lab.time.now + HOUR).toISOString() });
    expect(await cli('session', 'end', sid, '--reason', 'done early')).toMatch(/^session .* ended at /);
    expect(await shown(sid)).toMatchObject({ status: 'ended', ended_at: new Date(lab.time.now).toISOString(), because: { reason: 'done early', by: 'local', at: new Date(lab.time.now).toISOString() } });
    const out = await cli('session', 'show', sid);
    for (const told of [`session ${sid}: ended (done early, by local, at `, 'tokens      1 of 5 used', 'purpose     clean up after incident 42', decisionOf(token)]) expect(out).toContain(told);
    expect(await cli('session', 'end', sid, '--reason', 'again')).toContain('had been ended before');
    expect(await shown(sid)).toMatchObject({ because: { reason: 'done early' } });
  });

  test('is a task whose evidence is too old', async () => {
    const sid = String((await lab.mayfly.admin('POST', 'sessions', { domain: 'dev', workload: 'ops/fixer', purpose: 'long work' })).body['session']);
    await pass(59 * MINUTE);
    expect(await shown(sid)).toMatchObject({ status: 'active' });
    await pass(MINUTE);
    expect(await shown(sid)).toMatchObject({ status: 'suspended', because: { reason: expect.stringContaining('evidence is too old') } });
  });
});
