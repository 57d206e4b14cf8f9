import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ACCESS_TOKEN_TYPE, JWT_TYPE } from '../support/mayfly.ts';
import type { Answer } from '../support/mayfly.ts';
import { ALICE, APP, BOB, BOTH, READ, spiffe, startAgentsLab } from './agents-lab.ts';
import type { AgentsLab } from './agents-lab.ts';
import { API, BILLING, ceilingOf, claimsOf, issued } from './lab.ts';

let lab: AgentsLab;
beforeAll(async () => { lab = await startAgentsLab(); });
afterAll(async () => { await lab.close(); });

const reasonOf = async (answer: Answer): Promise<string> => (answer.status === 200 ? 'issued' : lab.mayfly.reason(answer));
const act = (...names: readonly Parameters<typeof spiffe>[0][]): object | undefined =>
  names.reduce<object | undefined>((inner, name) => ({ iss: lab.issuer, sub: spiffe(name), ...(inner === undefined ? {} : { act: inner }) }), undefined);
const now = (): number => Math.floor(Date.now() / 1000);

describe('an agent acting for a person', () => {
  test('gets a token that says for whom, who acts, since when they are logged in, and whose authority it is', async () => {
    const answer = await lab.plan({ scope: 'deploy:read' });
    expect(claimsOf(issued(answer))).toMatchObject({
      iss: lab.issuer, sub: ALICE, client_id: spiffe('agents/planner'), aud: API, scope: 'deploy:read', act: act('agents/planner'), auth_time: expect.any(Number),
      authority: { model: 'delegated', principal: ALICE, depth: 0 },
    });
    expect(await lab.introspect(issued(answer))).toMatchObject({ active: true, sub: ALICE, act: act('agents/planner') });
  });

  test('joins one session with every token of the same login, whichever agent comes', async () => {
    const sids = [];
    for (const login of ['login-1', 'login-1', 'login-2']) sids.push(claimsOf(issued(await lab.plan({ subject_token: lab.idToken({ sid: login }), scope: 'deploy:read' })))['sid']);
    expect(sids[0]).toBe(sids[1]);
    expect(sids[2]).not.toBe(sids[0]);
    const shown = (await lab.mayfly.admin('GET', `sessions/${String(sids[0])}`)).body;
    expect(shown).toMatchObject({ model: 'delegated', person: ALICE, principal: ALICE, status: 'active' });
  });

  test('presents an access token of the identity provider that is made out to this domain', async () => {
    const token = (aud: string, typ = 'at+jwt'): string => lab.idToken({ aud, client_id: APP }, { header: { typ } });
    const show = async (subject: string): Promise<string> => reasonOf(await lab.plan({ subject_token: subject, subject_token_type: ACCESS_TOKEN_TYPE, scope: 'deploy:read' }));
    expect(await show(token(lab.issuer))).toBe('issued');
    expect(await show(token(API))).toBe('evidence_audience_wrong');
    expect(await show(token(lab.issuer, 'JWT'))).toBe('evidence_audience_wrong');
    expect(await show(lab.idToken({ aud: lab.issuer, client_id: 'unlisted' }, { header: { typ: 'at+jwt' } }))).toBe('evidence_audience_wrong');
    expect(await show(lab.idToken({ aud: lab.issuer }, { header: { typ: 'at+jwt' } }))).toBe('evidence_audience_wrong');
  });

  interface Row { readonly name: string; readonly code: string; readonly values: () => Readonly<Record<string, string>> }
  const person = (claims: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> => ({ subject_token: lab.idToken(claims) });
  const rows: readonly Row[] = [
    { name: 'the ID token of an application that is not listed', code: 'evidence_audience_wrong', values: () => person({ aud: 'some-app' }) },
    { name: 'the ID token of an application of which it is no presenter', code: 'presenter_not_listed', values: () => person({ aud: 'other-app' }) },
    { name: 'an ID token of several audiences without azp', code: 'evidence_audience_wrong', values: () => person({ aud: [APP, 'other-app'] }) },
    { name: 'an azp that is not listed', code: 'evidence_audience_wrong', values: () => person({ aud: [APP, 'some-app'], azp: 'some-app' }) },
    { name: 'an azp that is none of the audiences', code: 'evidence_audience_wrong', values: () => person({ aud: 'some-app', azp: APP }) },
    { name: 'no auth_time', code: 'evidence_claim_missing', values: () => person({ auth_time: undefined }) },
    { name: 'auth_time as a string', code: 'evidence_claim_invalid', values: () => person({ auth_time: String(now()) }) },
    { name: 'auth_time ahead', code: 'evidence_not_yet_valid', values: () => person({ auth_time: now() + 100 }) },
    { name: 'a login that is too old', code: 'login_too_old', values: () => person({ auth_time: now() - 8 * 3600 - 1 }) },
    { name: 'a person\'s token that was delegated already', code: 'evidence_claim_invalid', values: () => person({ act: { sub: spiffe('agents/planner') } }) },
    { name: 'may_act for another actor', code: 'actor_mismatch', values: () => person({ may_act: { sub: spiffe('agents/other') } }) },
    { name: 'may_act for the actor at another issuer', code: 'actor_mismatch', values: () => person({ may_act: { iss: 'https://elsewhere.example', sub: spiffe('agents/planner') } }) },
    { name: 'an expired ID token', code: 'evidence_expired', values: () => person({ iat: now() - 900, exp: now() - 600 }) },
    { name: 'a person who may not delegate', code: 'target_denied', values: () => person({ groups: ['sales'] }) },
    { name: 'a person without groups', code: 'target_denied', values: () => person({ groups: undefined }) },
    { name: 'a subject signed by the agents\' platform', code: 'evidence_issuer_unknown', values: () => ({ subject_token: lab.agent('agents/planner') }) },
    { name: 'the person\'s own token as actor', code: 'evidence_issuer_unknown', values: () => ({ actor_token: lab.idToken() }) },
    { name: 'an agent that is registered for its own runs', code: 'model_bounded', values: () => ({ actor_token: lab.agent('ci/runner') }) },
    { name: 'an actor that is no workload', code: 'workload_unknown', values: () => ({ actor_token: lab.agent('agents/planner', { agent_id: 'nobody' }) }) },
    { name: 'a client_id that is not the actor', code: 'client_id_mismatch', values: () => ({ client_id: spiffe('agents/other') }) },
    { name: 'the scope nobody may delegate', code: 'scope_denied', values: () => ({ scope: 'deploy:admin' }) },
  ];
  test.each(rows)('is refused with $name', async ({ code, values }) => {
    const answer = await lab.plan({ scope: 'deploy:read', ...values() });
    expect([answer.status, await reasonOf(answer)]).toEqual([400, code]);
  });

  test.each<Row>([
    { name: 'one audience in a list', code: 'issued', values: () => person({ aud: [APP] }) },
    { name: 'several audiences and the listed azp', code: 'issued', values: () => person({ aud: [APP, 'some-app'], azp: APP }) },
    { name: 'a login just young enough', code: 'issued', values: () => person({ auth_time: now() - 8 * 3600 + 60, sid: 'old' }) },
    { name: 'may_act for the actor', code: 'issued', values: () => person({ may_act: { iss: lab.issuer, sub: spiffe('agents/planner') } }) },
    { name: 'a login told by its time alone', code: 'issued', values: () => person({ sid: undefined }) },
    { name: 'its own client_id', code: 'issued', values: () => ({ client_id: spiffe('agents/planner') }) },
  ])('is served with $name', async ({ values }) => {
    expect(await reasonOf(await lab.plan({ scope: 'deploy:read', ...values() }))).toBe('issued');
  });

  test('uses its evidence up, and not the person\'s token, which opens no second session', async () => {
    const [subject, actor] = [lab.idToken(), lab.agent('agents/planner')];
    expect(await reasonOf(await lab.plan({ subject_token: subject, actor_token: actor, scope: 'deploy:read' }))).toBe('issued');
    expect(await reasonOf(await lab.plan({ subject_token: subject, actor_token: actor, scope: 'deploy:read' }))).toBe('evidence_replayed');
    expect(await reasonOf(await lab.plan({ subject_token: subject, scope: 'deploy:read' }))).toBe('issued');
  });

  test('never is the person: without an actor their token is worth nothing', async () => {
    for (const type of [JWT_TYPE, 'urn:ietf:params:oauth:token-type:id_token', ACCESS_TOKEN_TYPE]) {
      expect(await reasonOf(await lab.ask({ subject_token: lab.idToken(), subject_token_type: type, scope: 'deploy:read' }))).toBe('actor_missing');
    }
  });

  test('is told what fits when it comes alone', async () => {
    const answer = await lab.ask({ subject_token: lab.agent('agents/planner'), scope: 'deploy:read' });
    expect([answer.body['error'], await reasonOf(answer)]).toEqual(['unauthorized_client', 'model_delegated']);
    expect(String(answer.body['error_description'])).toContain('actor_token');
  });

  test('is bound by its own ceiling as much as by the person\'s', async () => {
    expect(await reasonOf(await lab.plan({ audience: BILLING, scope: 'bills:pay' }))).toBe('issued');
    await lab.mayfly.apply({ policies: [{ domain: 'dev', name: 'planner-pays-nothing', owner: 'x', cedar: `forbid(principal == Workload::"${spiffe('agents/planner')}", action == Action::"act", resource == Scope::"${BILLING}#bills:pay");` }] });
    expect(await reasonOf(await lab.plan({ audience: BILLING, scope: 'bills:pay' }))).toBe('scope_denied');
    await lab.mayfly.admin('DELETE', 'policies/dev/planner-pays-nothing?reason=test');
    expect(await reasonOf(await lab.plan({ audience: BILLING, scope: 'bills:pay' }))).toBe('issued');
  });
});

describe('handing on', () => {
  const chain = async (...names: readonly Parameters<typeof spiffe>[0][]): Promise<string> => {
    let token = await lab.session(READ);
    for (const name of names) token = issued(await lab.takeUp(issued(await lab.handOn(token, name)), name));
    return token;
  };

  test('takes two calls, keeps everybody in the chain, and ends in a token that names who acts now', async () => {
    const session = await lab.session();
    const handover = await lab.handOn(session, 'agents/searcher');
    expect(claimsOf(issued(handover))).toMatchObject({ aud: lab.issuer, sub: ALICE, act: act('agents/planner'), may_act: { iss: lab.issuer, sub: spiffe('agents/searcher') }, authority: { depth: 0 } });
    const taken = await lab.takeUp(issued(handover), 'agents/searcher');
    expect(claimsOf(issued(taken))).toMatchObject({ sub: ALICE, client_id: spiffe('agents/searcher'), act: act('agents/planner', 'agents/searcher'), authority: { model: 'delegated', principal: ALICE, depth: 1 } });
    expect(claimsOf(issued(taken))).not.toHaveProperty('may_act');
    const third = issued(await lab.takeUp(issued(await lab.handOn(issued(taken), 'tools/mailer')), 'tools/mailer'));
    const resource = issued(await lab.spend(third, { scope: 'deploy:read' }));
    expect(claimsOf(resource)).toMatchObject({ sub: ALICE, client_id: spiffe('tools/mailer'), act: act('agents/planner', 'agents/searcher', 'tools/mailer'), scope: 'deploy:read' });
    expect(await lab.introspect(resource)).toMatchObject({ active: true, act: act('agents/planner', 'agents/searcher', 'tools/mailer') });
  });

  test('can be taken up as a resource token at once', async () => {
    const handover = issued(await lab.handOn(await lab.session(), 'agents/searcher'));
    const answer = await lab.spend(handover, { actor_token: lab.agent('agents/searcher'), scope: 'deploy:read' });
    expect(claimsOf(issued(answer))).toMatchObject({ scope: 'deploy:read', act: act('agents/planner', 'agents/searcher') });
  });

  test('gives nobody the handed token to use: neither who hands on, nor another, nor without evidence', async () => {
    const handover = issued(await lab.handOn(await lab.session(), 'agents/searcher'));
    expect(await reasonOf(await lab.spend(handover, { scope: 'deploy:read' }))).toBe('actor_missing');
    expect(await reasonOf(await lab.takeUp(handover, 'agents/planner'))).toBe('actor_mismatch');
    expect(await reasonOf(await lab.takeUp(handover, 'tools/mailer'))).toBe('actor_mismatch');
    expect(await reasonOf(await lab.spend(handover, { audience: '', requested_actor: spiffe('tools/mailer'), authorization_details: ceilingOf(READ) }))).toBe('actor_missing');
    expect(await reasonOf(await lab.takeUp(handover, 'agents/searcher'))).toBe('issued');
  });

  test.each([
    { name: 'a scope outside what was handed on', ceiling: [{ audience: API, scopes: ['deploy:write'] }], code: 'ceiling_exceeded' },
    { name: 'a target outside it', ceiling: [{ audience: BILLING, scopes: ['bills:read'] }], code: 'ceiling_exceeded' },
    { name: 'the target without scope', ceiling: [{ audience: API, scopes: [] }], code: 'ceiling_exceeded' },
    { name: 'a scope in other case', ceiling: [{ audience: API, scopes: ['Deploy:Read'] }], code: 'scope_unknown' },
    { name: 'a wildcard', ceiling: [{ audience: API, scopes: ['*'] }], code: 'scope_unknown' },
    { name: 'the target in other spelling', ceiling: [{ audience: `${API}/`, scopes: ['deploy:read'] }], code: 'target_unknown' },
  ])('never widens: $name', async ({ ceiling, code }) => {
    const handover = issued(await lab.handOn(await lab.session(), 'agents/searcher'));
    expect(await reasonOf(await lab.takeUp(handover, 'agents/searcher', { authorization_details: ceilingOf(ceiling) }))).toBe(code);
    expect(await reasonOf(await lab.handOn(await lab.session(READ), 'agents/searcher', ceiling))).toBe(code);
  });

  test('narrows by order and doubles to the same, and leaves out what the child may not have', async () => {
    const both = { audience: API, scopes: ['deploy:write', 'deploy:read', 'deploy:write'] };
    const handover = await lab.handOn(await lab.session(), 'agents/searcher', [both, both]);
    expect(handover.body['authorization_details']).toEqual([{ type: 'urn:mayfly:ceiling', audience: API, scopes: ['deploy:read', 'deploy:write'] }]);
    const pay = await lab.handOn(await lab.session([{ audience: BILLING, scopes: ['bills:pay', 'bills:read'] }]), 'tools/mailer', [{ audience: BILLING, scopes: ['bills:pay', 'bills:read'] }]);
    const taken = await lab.takeUp(issued(pay), 'tools/mailer', { authorization_details: ceilingOf([{ audience: BILLING, scopes: ['bills:pay', 'bills:read'] }]) });
    expect(taken.body['authorization_details']).toEqual([{ type: 'urn:mayfly:ceiling', audience: BILLING, scopes: ['bills:read'] }]);
  });

  test('ends where the domain says, and never goes in circles', async () => {
    const deep = await chain('agents/searcher', 'tools/mailer', 'agents/a5');
    expect(claimsOf(deep)).toMatchObject({ act: act('agents/planner', 'agents/searcher', 'tools/mailer', 'agents/a5'), authority: { depth: 3 } });
    expect(await reasonOf(await lab.takeUp(issued(await lab.handOn(deep, 'agents/a6')), 'agents/a6'))).toBe('depth_exceeded');
    expect(await reasonOf(await lab.takeUp(issued(await lab.handOn(deep, 'agents/planner')), 'agents/planner'))).toBe('actor_mismatch');
  });

  test('needs the right to hand on, of the workload and of everybody before it', async () => {
    const printer = await chain('tools/printer');
    expect(await reasonOf(await lab.handOn(printer, 'agents/searcher'))).toBe('target_denied');
    const searcher = await chain('agents/searcher');
    await lab.mayfly.apply({ policies: [{ domain: 'dev', name: 'planner-hands-on-nothing', owner: 'x', cedar: `forbid(principal == Workload::"${spiffe('agents/planner')}", action == Action::"delegate", resource);` }] });
    expect(await reasonOf(await lab.spend(searcher, { scope: 'deploy:read' }))).toBe('target_denied');
    await lab.mayfly.admin('DELETE', 'policies/dev/planner-hands-on-nothing?reason=test');
    expect(await reasonOf(await lab.spend(searcher, { scope: 'deploy:read' }))).toBe('issued');
  });

  test('takes a session token alone: no resource token, no evidence, no second actor', async () => {
    const resource = issued(await lab.plan({ scope: 'deploy:read' }));
    expect(await reasonOf(await lab.handOn(resource, 'agents/searcher'))).toBe('token_not_exchangeable');
    expect(await reasonOf(await lab.plan({ requested_actor: spiffe('agents/searcher') }))).toBe('actor_unexpected');
    expect(await reasonOf(await lab.spend(await lab.session(), { requested_actor: spiffe('agents/searcher'), scope: 'deploy:read' }))).toBe('actor_unexpected');
    expect(await reasonOf(await lab.spend(await lab.session(), { requested_actor: 'planner', audience: '', authorization_details: ceilingOf(READ) }))).toBe('parameter_invalid');
  });
});

describe('authority taken back', () => {
  test.each([
    // Somebody else: no login of theirs from before the revocation counts again.
    { name: 'the person', sub: 'dora', target: () => ({ kind: 'person', id: 'urn:mayfly:dev:person:corp:dora' }), enable: () => ({ kind: 'person', id: 'urn:mayfly:dev:person:corp:dora' }) },
    { name: 'the first agent', sub: 'alice', target: () => ({ kind: 'workload', id: 'agents/planner', domain: 'dev' }), enable: () => ({ kind: 'workload', id: 'agents/planner', domain: 'dev' }) },
    { name: 'the session', sub: 'alice', target: (sid: string) => ({ kind: 'session', id: sid }), enable: undefined },
  ])('of $name reaches every actor of the chain and every token', async ({ sub, target, enable }) => {
    const login = { subject_token: lab.idToken({ sub, sid: `revoked-${Math.random()}` }) };
    const session = await lab.session(BOTH, login);
    const child = issued(await lab.takeUp(issued(await lab.handOn(session, 'agents/searcher')), 'agents/searcher'));
    const waiting = issued(await lab.handOn(child, 'tools/mailer'));
    const tokens = [issued(await lab.spend(session, { scope: 'deploy:read' })), issued(await lab.spend(child, { scope: 'deploy:read' }))];
    const answer = await lab.mayfly.admin('POST', 'revocations', { ...target(String(claimsOf(session)['sid'])), reason: 'test' });
    expect([answer.status, answer.body['leases']]).toEqual([200, expect.any(Number)]);
    for (const token of tokens) expect(await lab.introspect(token)).toEqual({ active: false });
    for (const attempt of [() => lab.spend(session, { scope: 'deploy:read' }), () => lab.spend(child, { scope: 'deploy:read' }), () => lab.takeUp(waiting, 'tools/mailer'), () => lab.handOn(session, 'agents/searcher')]) {
      expect(await reasonOf(await attempt())).toBe('revoked');
    }
    if (enable !== undefined) expect((await lab.mayfly.admin('POST', 'enable', enable())).status).toBe(200);
    expect(await reasonOf(await lab.spend(child, { scope: 'deploy:read' }))).toBe('revoked');
  });

  test('of a person ends their logins up to that moment, lifted or not, and leaves others alone', async () => {
    const before = lab.idToken({ sub: 'bob', sid: 'bob-1', auth_time: now() - 10 });
    expect(await reasonOf(await lab.plan({ subject_token: before, scope: 'deploy:read' }))).toBe('issued');
    const earlier = now() - 5;
    await lab.mayfly.admin('POST', 'revocations', { kind: 'person', id: BOB, reason: 'left' });
    expect(await reasonOf(await lab.plan({ subject_token: lab.idToken({ sub: 'bob', sid: 'bob-2', auth_time: now() + 5 }), scope: 'deploy:read' }))).toBe('revoked');
    expect((await lab.mayfly.admin('POST', 'enable', { kind: 'person', id: BOB })).status).toBe(200);
    expect(await reasonOf(await lab.plan({ subject_token: before, scope: 'deploy:read' }))).toBe('revoked');
    expect(await reasonOf(await lab.plan({ subject_token: lab.idToken({ sub: 'bob', sid: 'bob-3', auth_time: earlier }), scope: 'deploy:read' }))).toBe('revoked');
    expect(await reasonOf(await lab.plan({ subject_token: lab.idToken({ sub: 'bob', sid: 'bob-4', auth_time: now() + 5 }), scope: 'deploy:read' }))).toBe('issued');
    expect(await reasonOf(await lab.plan({ scope: 'deploy:read', subject_token: lab.idToken({ sub: 'carol', sid: 'carol' }) }))).toBe('issued');
  });

  test('of one hand-over ends what was taken up with it, and nothing beside', async () => {
    const session = await lab.session(BOTH, { subject_token: lab.idToken({ sid: 'hand-overs' }) });
    const [first, second] = [issued(await lab.handOn(session, 'agents/searcher')), issued(await lab.handOn(session, 'agents/searcher'))];
    const children = [issued(await lab.takeUp(first, 'agents/searcher')), issued(await lab.takeUp(second, 'agents/searcher'))];
    expect((await lab.mayfly.form('dev/revoke', { token: first })).status).toBe(200);
    expect(await Promise.all(children.map(async (token) => reasonOf(await lab.spend(token, { scope: 'deploy:read' }))))).toEqual(['revoked', 'issued']);
    expect(await reasonOf(await lab.spend(session, { scope: 'deploy:read' }))).toBe('issued');
  });
});
