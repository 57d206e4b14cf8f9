import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Answer } from '../support/mayfly.ts';
import { ALICE, READ, spiffe, startAgentsLab } from './agents-lab.ts';
import type { AgentsLab } from './agents-lab.ts';
import { API, BILLING, claimsOf, issued } from './lab.ts';

/** Why a chain was refused, and whether one would be. */
let lab: AgentsLab;
beforeAll(async () => { lab = await startAgentsLab(); });
afterAll(async () => { await lab.close(); });

type Body = Readonly<Record<string, unknown>>;
const explain = async (answer: Answer): Promise<Body> => (await lab.mayfly.admin('GET', `decisions/${String(answer.body['decision_id'])}`)).body;
const why = async (answer: Answer): Promise<readonly Body[]> => (await explain(answer))['policies_now'] as readonly Body[];
const forbid = (name: string, cedar: string): Promise<unknown> => lab.mayfly.apply({ policies: [{ domain: 'dev', name, owner: 'x', cedar }] });
const lift = (name: string): Promise<unknown> => lab.mayfly.admin('DELETE', `policies/dev/${name}?reason=test`);
const searcher = async (): Promise<string> => issued(await lab.takeUp(issued(await lab.handOn(await lab.session(), 'agents/searcher')), 'agents/searcher'));

describe('explaining a refusal', () => {
  test('names the person who may not delegate, with the policy that came nearest', async () => {
    const answer = await lab.plan({ subject_token: lab.idToken({ sub: 'sam', sid: 'sam', groups: ['sales'] }), scope: 'deploy:read' });
    const sam = 'urn:mayfly:dev:person:corp:sam';
    const told = await explain(answer);
    expect(told).toMatchObject({
      code: 'target_denied', detail: expect.stringContaining(`${sam} may not delegate`), facts: { authority: { model: 'delegated', principal: sam, person: { urn: sam, issuer: 'corp', groups: ['sales'] }, chain: [{ sub: spiffe('agents/planner') }] } },
      policies_now: [{
        audience: API, scope: 'deploy:read', permitted_now: false, refused: { principal: sam, action: 'delegate' }, nearest: [],
        questions: [{ principal: sam, action: 'delegate', permitted_now: false }, { principal: spiffe('agents/planner'), action: 'act', permitted_now: true, policies: [{ name: 'agents-planner-acts', version: 1 }] }],
      }],
    });
    expect(JSON.stringify(answer.body)).not.toContain('sam');
  });

  test('names a forbid on the person, whose groups are as the login said', async () => {
    const answer = await lab.plan({ scope: 'deploy:admin' });
    expect(await why(answer)).toMatchObject([{ scope: 'deploy:admin', refused: { principal: ALICE, action: 'delegate' }, questions: [{ policies: [{ name: 'nobody-delegates-admin', version: 1 }] }, { permitted_now: true }] }]);
  });

  test('names the actor in the middle that may not hand on, and tells it from the one that asks', async () => {
    const token = await searcher();
    await forbid('planner-hands-on-nothing', `forbid(principal == Workload::"${spiffe('agents/planner')}", action == Action::"delegate", resource);`);
    const answer = await lab.spend(token, { scope: 'deploy:read' });
    const [pair] = await why(answer);
    await lift('planner-hands-on-nothing');
    expect(pair).toMatchObject({ permitted_now: false, refused: { principal: spiffe('agents/planner'), action: 'delegate' } });
    expect((pair?.['questions'] as readonly Body[]).map(({ principal, action, permitted_now: now }) => [principal, action, now])).toEqual([
      [ALICE, 'delegate', true], [spiffe('agents/planner'), 'act', true], [spiffe('agents/planner'), 'delegate', false], [spiffe('agents/searcher'), 'act', true],
    ]);
    // What it was refused for is kept; what would be decided is asked anew.
    expect(await explain(answer)).toMatchObject({ detail: expect.stringContaining(`${spiffe('agents/planner')} may not delegate`), policies_now: [{ permitted_now: true }] });
  });

  test('asks whether a hand-over is permitted, with the actor it is for', async () => {
    await forbid('no-mailers', `forbid(principal, action == Action::"delegate", resource) when { context.request has actor && context.request.actor == "${spiffe('tools/mailer')}" };`);
    const answer = await lab.handOn(await lab.session(), 'tools/mailer');
    expect(await why(answer)).toMatchObject([{ audience: API, scope: 'deploy:read', refused: { principal: spiffe('agents/planner'), action: 'delegate' } }]);
    await lift('no-mailers');
    expect(await why(answer)).toMatchObject([{ permitted_now: true }]);
  });

  test('of a renewal asks about all that is held', async () => {
    const token = await lab.session(READ);
    await forbid('nothing-more', `forbid(principal == Workload::"${spiffe('agents/planner')}", action == Action::"act", resource);`);
    const answer = await lab.spend(token, { actor_token: lab.agent('agents/planner'), audience: '' });
    expect(await why(answer)).toMatchObject([{ audience: API, scope: 'deploy:read', refused: { principal: spiffe('agents/planner'), action: 'act' } }]);
    await lift('nothing-more');
  });

  test('of what lies outside the ceiling shows the ceiling', async () => {
    const answer = await lab.spend(await lab.session(READ), { audience: BILLING, scope: 'bills:read' });
    expect(await explain(answer)).toMatchObject({ code: 'ceiling_exceeded', facts: { authority: { ceiling: READ } } });
  });

  test('asks nothing where nobody was recognised', async () => {
    const answer = await lab.ask({ subject_token: lab.agent('agents/planner'), scope: 'deploy:read' });
    const told = await explain(answer);
    expect(told).toMatchObject({ code: 'model_delegated' });
    expect(told).not.toHaveProperty('policies_now');
  });

  test('of what was issued tells on whose authority, through whom', async () => {
    const claims = claimsOf(issued(await lab.spend(await searcher(), { scope: 'deploy:read' })));
    expect((await lab.mayfly.admin('GET', `decisions/${String(claims['jti']).replace('lse_', 'dec_')}`)).body).toMatchObject({
      outcome: 'issued', model: 'delegated', person: ALICE, principal: ALICE, session: claims['sid'], chain: [spiffe('agents/planner'), spiffe('agents/searcher')],
      facts: { policies: [{ name: 'engineers-delegate' }, { name: 'agents-planner-acts' }, { name: 'agents-searcher-acts' }] },
    });
  });
});

describe('simulating a chain', () => {
  const alice = { issuer: 'corp', sub: 'alice', groups: ['engineering'] };
  const actors = (...names: readonly string[]): Body => ({ actors: names.map((workload) => ({ workload })) });
  const simulate = async (body: Body): Promise<Body> => (await lab.mayfly.admin('POST', 'simulate', { domain: 'dev', audience: API, scope: 'deploy:read', ...body })).body;
  const first = async (body: Body): Promise<Body> => ((await simulate(body))['decisions'] as readonly Body[])[0] ?? {};

  test('answers as the exchange does, question by question, and issues nothing', async () => {
    const before = ((await lab.mayfly.admin('GET', 'leases?limit=1000')).body['items'] as readonly unknown[]).length;
    expect(await simulate({ person: alice, ...actors('agents/planner', spiffe('agents/searcher')) })).toMatchObject({
      allow: true, workload: 'agents/searcher',
      decisions: [{ scope: 'deploy:read', allow: true, policies: ['engineers-delegate@1', 'agents-planner-acts@1', 'agents-searcher-acts@1'], questions: [
        { principal: ALICE, action: 'delegate' }, { principal: spiffe('agents/planner'), action: 'act' }, { principal: spiffe('agents/planner'), action: 'delegate' }, { principal: spiffe('agents/searcher'), action: 'act' },
      ] }],
    });
    expect(((await lab.mayfly.admin('GET', 'leases?limit=1000')).body['items'] as readonly unknown[]).length).toBe(before);
  });

  test('names whose question is refused', async () => {
    expect(await first({ person: { ...alice, groups: ['sales'] }, ...actors('agents/planner') })).toMatchObject({ allow: false, refused: { principal: ALICE, action: 'delegate' } });
    expect(await first({ person: alice, ...actors('agents/planner', 'tools/printer'), hands_on_to: 'agents/searcher' })).toMatchObject({ allow: false, refused: { principal: spiffe('tools/printer'), action: 'delegate' } });
    expect(await first({ person: alice, ...actors('agents/planner', 'tools/mailer'), audience: BILLING, scope: 'bills:pay' })).toMatchObject({ allow: false, refused: { principal: spiffe('tools/mailer'), action: 'act' } });
  });

  test('knows runs and tasks as well, and the agents below them', async () => {
    expect(await first(actors('ci/runner'))).toMatchObject({ allow: true, policies: ['ci-runner-acts@1'] });
    expect(await first({ ...actors('ops/fixer'), purpose: 'mend' })).toMatchObject({ allow: true, questions: [{ action: 'issue' }, { action: 'open' }] });
    expect(await first({ ...actors('ops/fixer', 'agents/searcher'), purpose: 'mend' })).toMatchObject({ allow: true, questions: [{ action: 'issue' }, { action: 'delegate' }, { principal: spiffe('agents/searcher'), action: 'act' }] });
  });

  test.each<{ name: string; body: Body; code: string }>([
    { name: 'an agent that acts for people, without one', body: actors('agents/planner'), code: 'model_delegated' },
    { name: 'an agent that is no presenter', body: { person: alice, ...actors('agents/searcher') }, code: 'presenter_not_listed' },
    { name: 'a run that acts for a person', body: { person: alice, ...actors('ci/runner') }, code: 'model_bounded' },
    { name: 'a workload nobody registered', body: { person: alice, ...actors('agents/planner', 'agents/nobody') }, code: 'workload_unknown' },
    { name: 'a hand-over to nobody', body: { person: alice, ...actors('agents/planner'), hands_on_to: 'agents/nobody' }, code: 'workload_unknown' },
    { name: 'a chain that comes back to an actor', body: { person: alice, ...actors('agents/planner', 'agents/searcher', 'agents/planner') }, code: 'actor_mismatch' },
    { name: 'a chain that is too long', body: { person: alice, ...actors('agents/planner', 'agents/searcher', 'tools/mailer', 'agents/a5', 'agents/a6') }, code: 'depth_exceeded' },
    { name: 'people of an issuer that proves workloads', body: { person: { ...alice, issuer: 'platform' }, ...actors('agents/planner') }, code: 'evidence_issuer_unknown' },
    { name: 'attributes that are another workload\'s', body: { person: alice, actors: [{ workload: 'agents/planner', attributes: { agent_id: 'other' } }] }, code: 'workload_unknown' },
    { name: 'a target nobody registered', body: { person: alice, ...actors('agents/planner'), audience: 'https://nowhere.example' }, code: 'target_unknown' },
    { name: 'a scope nobody registered', body: { person: alice, ...actors('agents/planner'), scope: 'deploy:nothing' }, code: 'scope_unknown' },
  ])('stops at $name, as the exchange would', async ({ body, code }) => {
    expect(await simulate(body)).toMatchObject({ allow: false, stopped_by: { code }, decisions: [] });
    expect(await simulate({ person: alice, ...actors('agents/planner') })).toMatchObject({ allow: true });
  });

  test('stops at what is revoked: the person, or an actor before the last', async () => {
    for (const target of [{ kind: 'person', id: 'urn:mayfly:dev:person:corp:rose' }, { kind: 'workload', id: 'agents/planner', domain: 'dev' }]) {
      await lab.mayfly.admin('POST', 'revocations', { ...target, reason: 'test' });
      expect(await simulate({ person: { ...alice, sub: 'rose' }, ...actors('agents/planner', 'agents/searcher') })).toMatchObject({ allow: false, stopped_by: { code: 'revoked' } });
      await lab.mayfly.admin('POST', 'enable', target);
      expect(await simulate({ person: { ...alice, sub: 'rose' }, ...actors('agents/planner', 'agents/searcher') })).toMatchObject({ allow: true });
    }
  });

  test('of evidence stops where an agent acts for people', async () => {
    expect(await simulate({ token: lab.agent('agents/planner') })).toMatchObject({ allow: false, workload: 'agents/planner', stopped_by: { code: 'model_delegated' } });
    expect(await simulate({ token: lab.agent('ci/runner') })).toMatchObject({ allow: true });
  });

  test.each<{ name: string; body: Body }>([
    { name: 'nothing', body: {} }, { name: 'a person alone', body: { person: alice } }, { name: 'a chain and evidence', body: { ...actors('ci/runner'), token: 'x.y.z' } },
    { name: 'a chain and attributes', body: { ...actors('ci/runner'), issuer: 'platform', attributes: {} } }, { name: 'a chain of nobody', body: { actors: [] } },
    { name: 'a sub of half a character', body: { ...actors('agents/planner'), person: { ...alice, sub: '\ud800' } } },
  ])('does not take $name', async ({ body }) => {
    expect(await lab.mayfly.admin('POST', 'simulate', { domain: 'dev', audience: API, ...body })).toMatchObject({ status: 400, body: { code: 'parameter_invalid' } });
  });
});
