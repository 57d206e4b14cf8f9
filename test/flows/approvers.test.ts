import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { runSql } from '../processes/sql.ts';
import { HOUR, MINUTE } from '../../src/core/duration.ts';
import type { Answer } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { ALICE, APP, BOB, spiffe } from './agents-lab.ts';
import { APPROVALS_APP, PAY, startApprovalsLab } from './approvals-lab.ts';
import type { ApprovalsLab } from './approvals-lab.ts';
import { ceilingOf, claimsOf, issued } from './lab.ts';

let lab: ApprovalsLab;
beforeAll(async () => { lab = await startApprovalsLab(); });
afterAll(async () => { await lab.close(); });
beforeEach(async () => { await lab.pass(7 * MINUTE); });

const SEND = { scope: 'pay:send' };
const LEADS = ['payments-leads'];
const code = (answer: Answer): Promise<string> => lab.code(answer);
const deferred = async (values: Readonly<Record<string, string>> = SEND): Promise<Answer> => {
  const answer = await lab.defer(values);
  expect(answer.body).toMatchObject({ error: 'authorization_pending' });
  return answer;
};
const poll = (answer: Answer): Promise<Answer> => lab.poll(answer.body['deferral_code']);
/** As somebody who holds the database. */
const sql = (text: string): Promise<unknown> => runSql({ databaseUrl: `file:${join(lab.mayfly.folder, 'mayfly.db')}` }, text);
const idOf = (answer: Answer): string => String(answer.body['approval_id']);

/** A revocation that is in the database, and that no node has heard of. */
const revokeUnseen = async (target: string): Promise<void> => {
  const at = new Date(lab.time.now).toISOString().replace('Z', '+00:00');
  await sql(`INSERT INTO revocation (seq, target, domain_id, effect, at, by, reason) SELECT version + 1, '${target}', (SELECT domain_id FROM approval LIMIT 1), 'revoked', '${at}', 'test', 'left' FROM registry_version RETURNING seq`);
};
/** The row itself, and the version under which nodes look for it. */
const revokePerson = async (issuer: string, sub: string): Promise<void> => {
  await revokeUnseen(`person:urn:mayfly:dev:person:${issuer}:${sub}`);
  await sql('UPDATE registry_version SET version = version + 1 RETURNING version');
  // The registry is taken in by any change of it.
  await lab.mayfly.apply({ domains: [{ name: `seen-${sub}`, stage: 'development', owner: OWNER }] });
};

describe('approving takes a person', () => {
  interface Row { readonly name: string; readonly status: number; readonly code: string; readonly token: () => string | undefined | Promise<string | undefined> }
  test.each<Row>([
    { name: 'the socket alone', status: 401, code: 'approver_missing', token: () => undefined },
    { name: 'evidence of a workload', status: 401, code: 'evidence_issuer_unknown', token: () => lab.agent('agents/other') },
    { name: 'the session token of an agent', status: 401, code: 'evidence_issuer_unknown', token: async () => issued(await lab.plan({ audience: '', authorization_details: ceilingOf([{ audience: PAY, scopes: ['pay:read'] }]), subject_token: lab.idToken({ sub: 'bob', groups: ['engineering', ...LEADS], sid: `agent-${lab.time.now}` }) })) },
    { name: 'a lead\'s token of the application that agents present', status: 401, code: 'evidence_audience_wrong', token: () => lab.login('bob', LEADS, { aud: APP }) },
    { name: 'a lead\'s token of another agents\' application', status: 401, code: 'evidence_audience_wrong', token: () => lab.login('bob', LEADS, { aud: 'other-app' }) },
    { name: 'a lead\'s token of an application nobody listed', status: 401, code: 'evidence_audience_wrong', token: () => lab.login('bob', LEADS, { aud: 'some-app' }) },
    { name: 'a token of both, made out to the agents\'', status: 401, code: 'evidence_audience_wrong', token: () => lab.login('bob', LEADS, { aud: [APPROVALS_APP, APP], azp: APP }) },
    { name: 'a token of several without azp', status: 401, code: 'evidence_audience_wrong', token: () => lab.login('bob', LEADS, { aud: [APPROVALS_APP, 'x'] }) },
    { name: 'a token that was delegated', status: 401, code: 'evidence_claim_invalid', token: () => lab.login('bob', LEADS, { act: { sub: 'x' } }) },
    { name: 'an expired token', status: 401, code: 'evidence_expired', token: () => lab.login('bob', LEADS, { iat: 1, exp: 2 }) },
    { name: 'a login of yesterday', status: 401, code: 'login_too_old', token: () => lab.login('bob', LEADS, { auth_time: Math.floor((lab.time.now - 9 * HOUR) / 1000) }) },
    { name: 'no token at all', status: 401, code: 'evidence_issuer_unknown', token: () => 'x.y.z' },
    { name: 'a person whom no policy permits it', status: 403, code: 'approver_denied', token: () => lab.login('carl', ['sales']) },
    { name: 'a person of the other group', status: 403, code: 'approver_denied', token: () => lab.sue() },
    { name: 'the person acted for', status: 403, code: 'approver_excluded', token: () => lab.login('alice', LEADS) },
    { name: 'the same person as an admin', status: 403, code: 'approver_excluded', token: () => lab.login('alice', LEADS, { aud: `${lab.issuer}/admin` }) },
  ])('and not $name', async ({ status, code: inner, token }) => {
    const answer = await deferred();
    const shown = await token();
    for (const verb of ['approve', 'deny']) {
      const refused = await lab.as(shown, 'POST', `approvals/${idOf(answer)}/${verb}`, verb === 'deny' ? { reason: 'x' } : {});
      expect([refused.status, await code(refused)]).toEqual([status, inner]);
    }
    expect(await lab.show(idOf(answer))).toMatchObject({ status: 'pending', approved_by: [] });
    expect((await lab.approve(answer)).body).toMatchObject({ status: 'approved', approved_by: [{ person: BOB }] });
    expect(await code(await poll(answer))).toBe('issued');
  });

  test.each([
    { name: 'an ID token whose azp is the approvers\' application', token: () => lab.login('bob', LEADS, { aud: [APPROVALS_APP, 'x'], azp: APPROVALS_APP }) },
    { name: 'an access token made out to the domain by it', token: () => lab.idToken({ sub: 'bob', aud: lab.issuer, client_id: APPROVALS_APP, groups: LEADS, sid: 'at' }, { header: { typ: 'at+jwt' } }) },
    { name: 'an admin\'s token', token: () => lab.login('bob', LEADS, { aud: `${lab.issuer}/admin` }) },
  ])('and takes $name', async ({ token }) => {
    const answer = await deferred();
    expect((await lab.approve(answer, token())).body).toMatchObject({ status: 'approved' });
  });

  test('who was not revoked: under whatever entry their issuer knows them', async () => {
    const [answer, voted] = [await deferred(), await deferred()];
    const zoe = (claims = {}): string => lab.login('zoe', LEADS, claims);
    expect((await lab.approve(voted, zoe())).body).toMatchObject({ status: 'approved' });
    await revokePerson('corp', 'zoe');
    expect(await code(await lab.approve(answer, zoe()))).toBe('revoked');
    expect(await code(await lab.approve(answer, zoe({ aud: `${lab.issuer}/admin` })))).toBe('revoked');
    // What they agreed to before is agreed to no more.
    const refused = await poll(voted);
    expect([refused.body['error'], await code(refused)]).toEqual(['access_denied', 'approval_changed']);
    expect((await lab.approve(answer)).body).toMatchObject({ status: 'approved' });
  });

  test('of the trust domain the request is of', async () => {
    const answer = await deferred();
    await lab.mayfly.apply({
      domains: [{ name: 'next', stage: 'development', owner: OWNER }],
      issuers: [{ domain: 'next', name: 'corp', kind: 'oidc', proves: 'people', issuer: lab.idp.issuer, claims: { groups: { claim: 'groups', type: 'list' } }, approver_clients: ['next-approvals'], owner: OWNER, expires: FAR }],
    });
    expect(await code(await lab.approve(answer, lab.login('bob', LEADS, { aud: 'next-approvals' })))).toBe('approver_denied');
    expect((await lab.approve(answer)).body).toMatchObject({ status: 'approved' });
  });

  test('the principal only where every permit says so', async () => {
    const closing = await deferred({ scope: 'pay:close' });
    expect((await lab.approve(closing, lab.login('alice', LEADS))).body).toMatchObject({ status: 'approved', approved_by: [{ person: ALICE }] });
    expect(await code(await poll(closing))).toBe('issued');
    const both = await deferred({ scope: 'pay:close pay:send' });
    expect(await code(await lab.approve(both, lab.login('alice', LEADS)))).toBe('approver_excluded');
    const later = await deferred({ scope: 'pay:close' });
    await lab.approve(later, lab.login('alice', LEADS));
    const closes = `permit(principal == Workload::"${spiffe('agents/planner')}", action == Action::"act", resource == Scope::"${PAY}#pay:close");`;
    await lab.mayfly.apply({ policies: [lab.policy('planner-closes', `@approval("payments-leads") ${closes}`)] });
    expect(await code(await poll(later))).toBe('approval_changed');
    await lab.mayfly.apply({ policies: [lab.policy('planner-closes', `@approval("payments-leads") @approval_by_principal ${closes}`)] });
    expect(await code(await poll(later))).toBe('issued');
  });
});

describe('people see', () => {
  test('what they may decide on, and an admin everything', async () => {
    const send = await deferred();
    await lab.pass(1000);
    const refund = await deferred({ scope: 'pay:refund' });
    const seen = async (token: string | undefined): Promise<readonly unknown[]> => ((await lab.as(token, 'GET', 'approvals?domain=dev&status=pending')).body['items'] as readonly { id: string }[]).map(({ id }) => id).filter((id) => [idOf(send), idOf(refund)].includes(id));
    expect(await seen(undefined)).toEqual([idOf(refund), idOf(send)]);
    expect(await seen(lab.login('bob', LEADS))).toEqual([idOf(refund), idOf(send)]);
    const overHttp = async (token: string): Promise<readonly unknown[]> => [(await lab.as(token, 'GET', `approvals/${idOf(send)}`)).status, (await lab.as(token, 'GET', `approvals/${idOf(refund)}`)).status];
    expect(await overHttp(lab.sue())).toEqual([200, 200]);
    expect((await lab.as(lab.bob(), 'GET', `approvals/${idOf(send)}`)).body).toMatchObject({ id: idOf(send), who: { workload: 'agents/planner' } });
    expect((await lab.as(undefined, 'GET', `approvals/apr_${'0'.repeat(32)}`)).status).toBe(404);
    expect((await lab.as(lab.bob(), 'POST', `approvals/apr_${'0'.repeat(32)}/approve`, {})).status).toBe(404);
  });
});

describe('a session token that people agreed to', () => {
  const details = (...scopes: readonly string[]): Readonly<Record<string, string>> => ({ audience: '', authorization_details: ceilingOf([{ audience: PAY, scopes }]) });
  const agreed = async (values: Readonly<Record<string, string>>, token?: string): Promise<string> => {
    const answer = await deferred(values);
    expect((await lab.approve(answer, token)).body).toMatchObject({ status: 'approved' });
    return issued(await poll(answer));
  };
  const spend = async (token: string, values: Readonly<Record<string, string>> = {}, prover = lab.keys.own): Promise<Answer> => lab.spend(token, { audience: PAY, ...SEND, ...values }, { dpop: await lab.prove(prover) });

  test('stands for what it names, without another approval, until the approval is over', async () => {
    const session = await agreed({ ...details('pay:read', 'pay:send'), subject_token: lab.idToken({ sid: 'stands' }) });
    expect(claimsOf(session)['authorization_details']).toEqual([{ type: 'urn:mayfly:ceiling', audience: PAY, scopes: ['pay:read', 'pay:send'] }]);
    const first = await spend(session);
    expect(claimsOf(issued(first))).toMatchObject({ scope: 'pay:send', cnf: { jkt: lab.keys.own.jkt } });
    expect(await code(await spend(session))).toBe('issued');
    // Renewal keeps it, by token and by session id.
    await lab.pass(4 * MINUTE);
    const renewed = issued(await spend(session, { audience: '', scope: '', actor_token: lab.agent('agents/planner') }));
    await lab.pass(30 * MINUTE);
    const byId = issued(await lab.ask({ subject_token: String(claimsOf(renewed)['sid']), subject_token_type: 'urn:mayfly:token-type:session', actor_token: lab.agent('agents/planner'), audience: '' }, { dpop: await lab.prove() }));
    expect(await code(await spend(byId))).toBe('issued');
    await lab.pass(25 * MINUTE);
    const late = await lab.ask({ subject_token: String(claimsOf(renewed)['sid']), subject_token_type: 'urn:mayfly:token-type:session', actor_token: lab.agent('agents/planner'), audience: '' }, { dpop: await lab.prove() });
    expect(late.body['expires_in']).toBeLessThan(120);
    await lab.pass(MINUTE);
    const over = await lab.ask({ subject_token: String(claimsOf(renewed)['sid']), subject_token_type: 'urn:mayfly:token-type:session', actor_token: lab.agent('agents/planner'), audience: PAY, ...SEND }, { dpop: await lab.prove() });
    expect(await code(over)).toBe('approval_required');
  });

  test('stands for no more than it names, and for nobody else', async () => {
    const session = await agreed({ ...details('pay:read', 'pay:send'), subject_token: lab.idToken({ sid: 'no-more' }) });
    expect(await code(await spend(session, { scope: 'pay:refund' }))).toBe('ceiling_exceeded');
    expect(await code(await spend(session, {}, lab.keys.other))).toBe('token_binding_mismatch');
    const child = issued(await lab.takeUp(issued(await lab.spend(session, { ...details('pay:read', 'pay:send'), requested_actor: spiffe('agents/searcher') }, { dpop: await lab.prove() })), 'agents/searcher', details('pay:send'), { dpop: await lab.prove(lab.keys.other) }).then(async (answer) => {
      // The searcher is another actor: security has to agree to it, and the lead to the planner's part once more.
      expect(await code(answer)).toBe('approval_required');
      const handover = issued(await lab.spend(session, { ...details('pay:send'), requested_actor: spiffe('agents/searcher') }, { dpop: await lab.prove() }));
      const waits = await lab.takeUp(handover, 'agents/searcher', { ...details('pay:send'), completion_mode: 'deferred' }, { dpop: await lab.prove(lab.keys.other) });
      expect(await lab.show(idOf(waits))).toMatchObject({ approval_names: ['payments-leads', 'security'], who: { workload: 'agents/searcher' }, chain: [{ workload: 'agents/planner' }, { workload: 'agents/searcher' }] });
      await lab.approve(waits);
      await lab.approve(waits, lab.sue());
      return lab.poll(waits.body['deferral_code'], {}, lab.keys.other);
    }));
    expect(claimsOf(child)).toMatchObject({ sub: ALICE, client_id: spiffe('agents/searcher'), act: { sub: spiffe('agents/searcher'), act: { sub: spiffe('agents/planner') } }, authority: { depth: 1 } });
    expect(await code(await spend(child, {}, lab.keys.other))).toBe('issued');
  });

  test('stands with the key it was asked with, whatever other tokens its hop has', async () => {
    await lab.mayfly.apply({ policies: [lab.policy('plain', `permit(principal == Workload::"${spiffe('agents/planner')}", action == Action::"act", resource == Scope::"${PAY}#pay:send");`)] });
    const unbound = issued(await lab.plan({ ...details('pay:send'), subject_token: lab.idToken({ sid: 'two-tokens' }) }));
    await lab.remove('plain');
    const renewal = await lab.spend(unbound, { audience: '', actor_token: lab.agent('agents/planner'), completion_mode: 'deferred' }, { dpop: await lab.prove() });
    expect(renewal.body).toMatchObject({ error: 'authorization_pending' });
    await lab.approve(renewal);
    const bound = issued(await poll(renewal));
    expect(claimsOf(bound)).toMatchObject({ sid: claimsOf(unbound)['sid'], cnf: { jkt: lab.keys.own.jkt } });
    expect(await code(await spend(bound))).toBe('issued');
    expect(await code(await lab.spend(unbound, { audience: PAY, ...SEND }))).toBe('approval_required');
    expect(await code(await spend(unbound, {}, lab.keys.other))).toBe('approval_required');
    expect(await code(await spend(bound))).toBe('issued');
  });

  test('falls with its session, and stands for nothing once those who agreed may not', async () => {
    const session = await agreed({ ...details('pay:send'), subject_token: lab.idToken({ sid: 'falls' }) });
    expect(await code(await spend(session))).toBe('issued');
    await lab.remove('leads-approve');
    expect(await code(await spend(session))).toBe('approval_required');
    await lab.mayfly.apply({ policies: [lab.policy('leads-approve', `permit(principal in Group::"payments-leads", action == Action::"approve", resource in Resource::"${PAY}") when { context.request has approval && context.request.approval == "payments-leads" };`)] });
    expect(await code(await spend(session))).toBe('issued');
    await lab.mayfly.admin('POST', 'revocations', { kind: 'session', id: String(claimsOf(session)['sid']), reason: 'test' });
    expect(await code(await spend(session))).toBe('revoked');
  });

  test('falls with who agreed, though this node has not heard that they were revoked: the commit has', async () => {
    const session = await agreed({ ...details('pay:send'), subject_token: lab.idToken({ sid: 'unheard' }) });
    const waits = await deferred({ ...SEND, subject_token: lab.idToken({ sid: 'unheard-too' }) });
    await lab.approve(waits);
    const corp = (await sql("SELECT id FROM entry WHERE kind = 'issuer' AND name = 'corp-admins'") as readonly { readonly id: string }[])[0]?.id ?? '';
    const BOB_AS_ADMIN = 'person:urn:mayfly:dev:person:corp-admins:bob';
    for (const [target, told] of [['person:urn:mayfly:dev:person:corp:ben', 'issued'], [`issuer:${corp}`, 'issued'], [`person:${BOB}`, 'revoked'], [BOB_AS_ADMIN, 'revoked']] as const) {
      await revokeUnseen(target);
      expect([target, await code(await spend(session))]).toEqual([target, told]);
      if (told === 'revoked') expect([target, await code(await poll(waits))]).toEqual([target, told]);
      await sql(`DELETE FROM revocation WHERE target = '${target}' RETURNING seq`);
    }
    // Neither was used up by being refused.
    expect([await code(await spend(session)), await code(await poll(waits))]).toEqual(['issued', 'issued']);
  });

  test('of one that never was: a scope within a session token can be put off by itself', async () => {
    await lab.mayfly.apply({ policies: [lab.policy('plain', `permit(principal == Workload::"${spiffe('agents/planner')}", action == Action::"act", resource == Scope::"${PAY}#pay:send");`)] });
    const session = issued(await lab.plan({ ...details('pay:send'), subject_token: lab.idToken({ sid: 'one-scope' }) }, { dpop: await lab.prove() }));
    await lab.remove('plain');
    expect(await code(await spend(session))).toBe('approval_required');
    const answer = await spend(session, { completion_mode: 'deferred' });
    await lab.approve(answer);
    expect(claimsOf(issued(await poll(answer)))).toMatchObject({ scope: 'pay:send' });
    // That bought one token, and stands for nothing.
    expect(await code(await spend(session))).toBe('approval_required');
  });
});

describe('an autonomous workload', () => {
  test('that may open a task once people agreed works on none before', async () => {
    await lab.mayfly.apply({ policies: [
      lab.policy('fixer-opens', `@approval("payments-leads") permit(principal == Workload::"${spiffe('ops/fixer')}", action == Action::"open", resource in Resource::"${PAY}");`),
      lab.policy('fixer-issues', `permit(principal == Workload::"${spiffe('ops/fixer')}", action == Action::"issue", resource == Scope::"${PAY}#pay:read");`),
    ] });
    const asked = { audience: PAY, scope: 'pay:read' };
    const answer = await lab.ask({ subject_token: lab.agent('ops/fixer'), purpose: 'look into it', ...asked, completion_mode: 'deferred' }, { dpop: await lab.prove() });
    const waiting = await lab.show(idOf(answer));
    const session = String(waiting['session']);
    // Its id is no secret: listings and the webhook tell it.
    const on = async (): Promise<Answer> => lab.ask({ subject_token: lab.agent('ops/fixer'), session, ...asked }, { dpop: await lab.prove() });
    expect(await code(await on())).toBe('approval_required');
    await lab.approve(answer);
    expect(await code(await on())).toBe('approval_required');
    expect(claimsOf(issued(await poll(answer)))).toMatchObject({ sid: session, scope: 'pay:read' });
    expect(await code(await on())).toBe('issued');
    await lab.remove('fixer-opens');
    await lab.remove('fixer-issues');
  });

  test('asks on its task, and the person accountable for it is no approver', async () => {
    const open = await lab.mayfly.admin('POST', 'sessions', { domain: 'dev', workload: 'ops/fixer', purpose: 'pay the supplier\'s invoice', budgets: { tokens: 5 } });
    const session = String(open.body['session']);
    const ask = async (): Promise<Answer> => lab.ask({ subject_token: lab.agent('ops/fixer'), session, audience: PAY, ...SEND, completion_mode: 'deferred' }, { dpop: await lab.prove() });
    const answer = await ask();
    expect(await lab.show(idOf(answer))).toMatchObject({ who: { workload: 'ops/fixer', model: 'autonomous' }, on_behalf_of: null, principal: ALICE, why: { told_by_opener: 'pay the supplier\'s invoice' } });
    expect(await code(await lab.approve(answer, lab.login('alice', LEADS)))).toBe('approver_excluded');
    expect((await lab.approve(answer)).body).toMatchObject({ status: 'approved' });
    const used = async (): Promise<unknown> => (await lab.mayfly.admin('GET', `sessions/${session}`)).body['budgets'];
    // Asking uses nothing of the budget; what is issued does.
    expect(await used()).toEqual({ tokens: { most: 5, used: 0 } });
    expect(claimsOf(issued(await poll(answer)))).toMatchObject({ sub: spiffe('ops/fixer'), authority: { model: 'autonomous', principal: ALICE } });
    expect(await used()).toEqual({ tokens: { most: 5, used: 1 } });
    const later = await ask();
    await lab.approve(later);
    await lab.mayfly.admin('POST', `sessions/${session}/end`, { reason: 'done' });
    expect(await code(await poll(later))).toBe('session_ended');
  });
});

describe('what is stored', () => {
  const tamper = (id: string, change: string): Promise<unknown> => sql(`UPDATE approval SET ${change} WHERE id = '${id}' RETURNING id`);
  test.each([
    { name: 'a wider grant', change: (other: string) => `frozen = replace(frozen, 'pay:send', 'pay:refund') /* ${other} */`, code: 'approval_damaged' },
    { name: 'another key', change: () => 'frozen = replace(frozen, \'"key":"\', \'"key":"x\')', code: 'approval_damaged' },
    { name: 'other attributes', change: () => 'frozen = replace(frozen, \'"agent_id":"\', \'"agent_id":"x\')', code: 'approval_damaged' },
    { name: 'another hash', change: () => "hash = 'x'", code: 'approval_damaged' },
    { name: 'the text of another request with its hash', change: (other: string) => `frozen = (SELECT frozen FROM approval WHERE id = '${other}'), hash = (SELECT hash FROM approval WHERE id = '${other}')`, code: 'approval_damaged' },
    { name: 'a later end', change: () => "expires_at = '2030-01-01T00:00:00.000+00:00'", code: 'approval_damaged' },
  ])('is held to what was asked: $name is refused', async ({ change, code: inner }) => {
    const [answer, other] = [await deferred(), await deferred({ scope: 'pay:read pay:send' })];
    for (const each of [answer, other]) await lab.approve(each);
    await tamper(idOf(answer), change(idOf(other)));
    const refused = await poll(answer);
    expect([refused.status, refused.body['error'], await code(refused)]).toEqual([400, 'invalid_grant', inner]);
    expect(await code(await poll(other))).toBe('issued');
  });

  test('and a person is not shown, nor agrees to, what is not what was asked', async () => {
    const answer = await deferred();
    await tamper(idOf(answer), "frozen = replace(frozen, 'pay:send', 'pay:refund')");
    expect(await lab.show(idOf(answer))).toEqual(expect.objectContaining({ damaged: expect.any(String) }));
    expect(await lab.show(idOf(answer))).not.toHaveProperty('what');
    expect(await code(await lab.approve(answer))).toBe('approval_damaged');
  });
});

describe('registration', () => {
  const issuer = (change: object): object => ({ domain: 'dev', name: 'more', kind: 'oidc', proves: 'people', issuer: 'https://idp.other.example', owner: OWNER, expires: FAR, ...change });
  const admins = (change: object): object => ({ domain: 'dev', name: 'corp-admins', kind: 'oidc', proves: 'admins', issuer: lab.idp.issuer, owner: OWNER, expires: FAR, ...change });
  const problems = async (entry: object): Promise<string> => JSON.stringify((await lab.mayfly.admin('POST', 'apply', { manifest: { issuers: [entry] }, dry_run: true, prune: false })).body['problems'] ?? []);
  test.each([
    { name: 'an application that agents present as well', entry: () => issuer({ audiences: [{ client_id: 'a', presenters: ['agents/planner'] }], approver_clients: ['a'] }), told: 'could approve with them' },
    { name: 'an application that agents present by another entry of the issuer', entry: () => issuer({ issuer: lab.idp.issuer, approver_clients: [APP] }), told: 'application' },
    { name: 'admins of the domain at an application that agents present', entry: () => admins({ audience: APP }), told: 'could administer and approve with them' },
    { name: 'admins of the installation at an application that agents present', entry: () => admins({ domain: 'system', audience: APP }), told: 'could administer and approve with them' },
    { name: 'admins at an application of approvers', entry: () => admins({ audience: APPROVALS_APP }), told: 'would be good for more than to approve' },
    { name: 'an application that agents present, at which admins log in', entry: () => issuer({ issuer: lab.idp.issuer, audiences: [{ client_id: `${lab.issuer}/admin`, presenters: ['agents/planner'] }] }), told: 'could administer and approve with them' },
    { name: 'approvers of workloads', entry: () => issuer({ proves: 'workloads', approver_clients: ['a'] }), told: 'is for issuers that prove people' },
    { name: 'neither applications nor approvers', entry: () => issuer({}), told: 'no token of this issuer would count' },
  ])('refuses $name', async ({ entry, told }) => {
    expect(await problems(entry())).toContain(told);
  });

  test('takes an issuer of approvers alone', async () => {
    expect(await problems(issuer({ approver_clients: ['approvals'] }))).toBe('[]');
  });

  test.each(['dev', 'system'])('takes admins of %s at an application of their own, and at one of that name of another provider', async (domain) => {
    expect(await problems(admins({ domain, audience: 'admins-app' }))).toBe('[]');
    expect(await problems(admins({ domain, audience: APP, issuer: 'https://idp.other.example' }))).toBe('[]');
  });

  test('refuses a misspelt annotation with a hint', async () => {
    const { body } = await lab.mayfly.admin('POST', 'apply', { manifest: { policies: [lab.policy('typo', `@aproval("x") permit(principal == Workload::"${spiffe('agents/planner')}", action == Action::"act", resource == Scope::"${PAY}#pay:send");`)] }, dry_run: true, prune: false });
    expect(JSON.stringify(body['problems'])).toContain('@approval_ttl');
  });
});
