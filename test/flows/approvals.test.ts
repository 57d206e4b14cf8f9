import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE, SECOND } from '../../src/core/duration.ts';
import type { Answer } from '../support/mayfly.ts';
import { ALICE, BOB, spiffe } from './agents-lab.ts';
import { PAY, adminsEntry, startApprovalsLab } from './approvals-lab.ts';
import type { ApprovalsLab } from './approvals-lab.ts';
import { API, ceilingOf, claimsOf, issued } from './lab.ts';

let lab: ApprovalsLab;
beforeAll(async () => { lab = await startApprovalsLab(); });
afterAll(async () => { await lab.close(); });
// Beyond what one workload may ask of people in an hour, which is a rule of its own.
beforeEach(async () => { await lab.pass(7 * MINUTE); });

const SEND = { scope: 'pay:send' };
const code = (answer: Answer): Promise<string> => lab.code(answer);
/** Put off, or the test is wrong. */
const deferred = async (values: Readonly<Record<string, string>> = SEND): Promise<Answer> => {
  const answer = await lab.defer(values);
  expect({ status: answer.status, error: answer.body['error'] }).toEqual({ status: 400, error: 'authorization_pending' });
  return answer;
};
const approved = async (values: Readonly<Record<string, string>> = SEND): Promise<Answer> => {
  const answer = await deferred(values);
  expect((await lab.approve(answer)).body).toMatchObject({ status: 'approved' });
  return answer;
};
const poll = (answer: Answer, values: Readonly<Record<string, string>> = {}): Promise<Answer> => lab.poll(answer.body['deferral_code'], values);
const error = ({ status, body }: Answer): readonly unknown[] => [status, body['error']];

describe('what a permit grants on approval', () => {
  test('is refused with how to ask for it, to whoever does not say that they wait', async () => {
    const answer = await lab.plan({ audience: PAY, ...SEND });
    expect([...error(answer), await code(answer)]).toEqual([400, 'invalid_request', 'approval_required']);
    expect(String(answer.body['error_description'])).toContain('completion_mode=deferred');
    expect(answer.body).not.toHaveProperty('deferral_code');
  });

  test('is put off, agreed to by another person, and redeemed: exactly what was asked', async () => {
    const answer = await deferred({ scope: 'pay:read pay:send' });
    expect(answer.body).toEqual({
      error: 'authorization_pending', error_description: expect.any(String), decision_id: expect.stringMatching(/^dec_/), deferral_code: expect.stringMatching(/^mfd_[\w-]{43}$/), expires_in: 3600, interval: 5, approval_id: expect.stringMatching(/^apr_/),
    });
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(error(await poll(answer))).toEqual([400, 'authorization_pending']);
    const shown = await lab.show(answer.body['approval_id']);
    expect(shown).toMatchObject({
      status: 'pending', domain: 'dev', approval_names: ['payments-leads'], waits_for: ['payments-leads'], on_behalf_of: ALICE, principal: ALICE, why: null,
      who: { workload: 'agents/planner', spiffe_id: spiffe('agents/planner'), kind: 'agent', owner: 'payments@acme.example', model: 'delegated' },
      what: { gets: 'a credential', grants: [{ audience: PAY, scopes: ['pay:read', 'pay:send'], owner: 'payments@acme.example' }], on_approval: [{ audience: PAY, scope: 'pay:send', names: ['payments-leads'] }], bound_to: lab.keys.own.jkt },
      chain: [{ workload: 'agents/planner', evidence: { attributes: { agent_id: expect.any(String) } } }],
    });
    expect((await lab.approve(answer)).body).toMatchObject({ status: 'approved', approved_by: [{ name: 'payments-leads', person: BOB }] });

    const token = await poll(answer);
    expect(token.body).toMatchObject({ token_type: 'DPoP', issued_token_type: 'urn:ietf:params:oauth:token-type:access_token', scope: 'pay:read pay:send', expires_in: 300 });
    expect(claimsOf(issued(token))).toMatchObject({ sub: ALICE, aud: PAY, act: { sub: spiffe('agents/planner') }, cnf: { jkt: lab.keys.own.jkt }, authority: { model: 'delegated', principal: ALICE } });
    expect(await lab.introspect(issued(token))).toMatchObject({ active: true, scope: 'pay:read pay:send' });
    const lease = (await lab.mayfly.admin('GET', `leases/${String(claimsOf(issued(token))['jti'])}`)).body;
    expect(lease).toMatchObject({ facts: { approvals: [{ id: answer.body['approval_id'], hash: shown['hash'], by: [{ name: 'payments-leads', person: BOB }] }] } });
    expect(await lab.show(answer.body['approval_id'])).toMatchObject({ status: 'redeemed', redeemed_lease: claimsOf(issued(token))['jti'] });
  });

  test('is written to the audit log: asked, approved, redeemed, with one hash', async () => {
    const answer = await approved();
    const lease = claimsOf(issued(await poll(answer)))['jti'];
    const { hash } = await lab.show(answer.body['approval_id']);
    const of = async (action: string): Promise<unknown> => (await lab.audited(action)).find(({ approval }) => approval === answer.body['approval_id']);
    expect(await of('approval.asked')).toMatchObject({ hash, names: ['payments-leads'], workload: spiffe('agents/planner'), principal: ALICE, granted: [{ audience: PAY, scopes: ['pay:send'] }] });
    expect(await of('approval.approved')).toMatchObject({ hash, by: BOB, names: ['payments-leads'], complete: true });
    expect(await of('approval.redeemed')).toMatchObject({ hash, lease, by: [{ name: 'payments-leads', person: BOB }] });
    expect(await of('exchange.issued')).toMatchObject({ lease });
  });

  test('needs nobody where a plain permit fits as well, and no approval row is made', async () => {
    expect(await code(await lab.plan({ audience: PAY, scope: 'pay:read' }))).toBe('issued');
    await lab.mayfly.apply({ policies: [lab.policy('plain', `permit(principal == Workload::"${spiffe('agents/planner')}", action == Action::"act", resource == Scope::"${PAY}#pay:send");`)] });
    const answer = await lab.defer(SEND);
    expect(await code(answer)).toBe('issued');
    await lab.remove('plain');
    expect(await code(await lab.plan({ audience: PAY, ...SEND }))).toBe('approval_required');
  });

  test('is told beforehand to an admin who asks what would be decided', async () => {
    const simulate = async (scope: string): Promise<unknown> => (await lab.mayfly.admin('POST', 'simulate', { domain: 'dev', token: lab.agent('ops/fixer'), audience: PAY, scope })).body;
    expect(await simulate('pay:send')).toMatchObject({ allow: false, decisions: [{ scope: 'pay:send', allow: false, approval: ['payments-leads'], policies: ['fixer-sends@1'] }] });
    expect((await simulate('pay:read') as { decisions: readonly object[] }).decisions[0]).not.toHaveProperty('approval');
  });

  test('is found in no database in clear: the code is kept as a hash', async () => {
    const answer = await deferred();
    const leases = (await lab.mayfly.admin('GET', 'leases?limit=1')).body['items'] as readonly Record<string, unknown>[];
    expect(leases[0]).toMatchObject({ kind: 'deferral', scope: '', bound_to: lab.keys.own.jkt });
    expect(JSON.stringify([await lab.show(answer.body['approval_id']), leases, await lab.audited('approval.asked')])).not.toContain(String(answer.body['deferral_code']));
  });
});

describe('a request that is put off', () => {
  test('needs a proof of possession', async () => {
    const answer = await lab.plan({ audience: PAY, ...SEND, completion_mode: 'deferred' });
    expect([...error(answer), await code(answer)]).toEqual([400, 'invalid_request', 'dpop_required']);
  });

  test.each([{ mode: 'immediate' }, { mode: 'deferred now' }, { mode: 'Deferred' }])('is not put off for completion_mode $mode', async ({ mode }) => {
    expect(await code(await lab.defer({ ...SEND, completion_mode: mode }))).toBe('parameter_invalid');
  });

  test('is never put off for a callback, which does not exist here', async () => {
    expect(await code(await lab.defer({ ...SEND, client_notification_token: 'x' }))).toBe('parameter_unsupported');
  });

  test('uses its evidence up, and nothing when it is refused', async () => {
    const evidence = lab.agent('agents/planner');
    expect(await code(await lab.plan({ audience: PAY, ...SEND, actor_token: evidence }))).toBe('approval_required');
    await deferred({ ...SEND, actor_token: evidence });
    expect(await code(await lab.defer({ ...SEND, actor_token: evidence }))).toBe('evidence_replayed');
    expect(await code(await lab.plan({ audience: PAY, scope: 'pay:read', actor_token: evidence }))).toBe('evidence_replayed');
    expect(await code(await lab.plan({ audience: PAY, scope: 'pay:read', actor_token: lab.agent('agents/planner') }))).toBe('issued');
  });

  test('grants nothing while it waits: its hop holds nothing, and its code is no token', async () => {
    const answer = await deferred({ ...SEND, subject_token: lab.idToken({ sid: 'waits' }) });
    const { session } = await lab.show(answer.body['approval_id']);
    const hops = async (): Promise<unknown> => (await lab.mayfly.admin('GET', `sessions/${String(session)}`)).body['hops'];
    expect(await hops()).toEqual([expect.objectContaining({ ceiling: [], actor: spiffe('agents/planner') })]);
    const spent = await lab.spend(String(answer.body['deferral_code']), { audience: PAY, ...SEND });
    expect(await code(spent)).toBe('token_malformed');
    const byId = async (): Promise<Answer> => lab.ask({ subject_token: String(session), subject_token_type: 'urn:mayfly:token-type:session', actor_token: lab.agent('agents/planner'), audience: PAY, ...SEND }, { dpop: await lab.prove() });
    expect(await code(await byId())).toBe('session_unknown');
    await lab.approve(answer);
    expect(await code(await byId())).toBe('session_unknown');
    expect(await code(await poll(answer))).toBe('issued');
    expect(await hops()).toEqual(expect.arrayContaining([expect.objectContaining({ ceiling: [] }), expect.objectContaining({ ceiling: [{ audience: PAY, scopes: ['pay:send'] }] })]));
    // The approval bought one credential: the hop it was issued in has to ask again.
    expect(await code(await byId())).toBe('approval_required');
  });

  test('never crowds people: an eleventh has to wait', async () => {
    await lab.pass(2 * HOUR);
    for (let asked = 0; asked < 10; asked += 1) await deferred();
    const answer = await lab.defer(SEND);
    expect([answer.status, await code(answer)]).toEqual([429, 'approvals_crowded']);
    expect(answer.headers['retry-after']).toBe('60');
    await lab.pass(HOUR);
    await deferred();
  });
});

describe('a poll', () => {
  test('takes its time: too fast it is told to slow down, and waits longer each time', async () => {
    const answer = await deferred();
    expect(error(await poll(answer))).toEqual([400, 'authorization_pending']);
    const hurried = await poll(answer);
    expect([...error(hurried), hurried.body['interval']]).toEqual([400, 'slow_down', 10]);
    await lab.pass(6 * SECOND);
    expect((await poll(answer)).body).toMatchObject({ error: 'slow_down', interval: 15 });
    await lab.pass(16 * SECOND);
    expect((await poll(answer)).body).toMatchObject({ error: 'authorization_pending', interval: 15, expires_in: expect.any(Number) });
    await lab.approve(answer);
    expect(await code(await poll(answer))).toBe('issued');
  });

  interface Row { readonly name: string; readonly error: string; readonly code: string; readonly ask: (answer: Answer) => Promise<Answer> }
  test.each<Row>([
    { name: 'without a proof', error: 'invalid_request', code: 'dpop_required', ask: (answer) => lab.poll(answer.body['deferral_code'], {}, null) },
    { name: 'with the proof of another key', error: 'invalid_grant', code: 'deferral_key_mismatch', ask: (answer) => lab.poll(answer.body['deferral_code'], {}, lab.keys.other) },
    { name: 'with another code', error: 'invalid_grant', code: 'deferral_unknown', ask: () => lab.poll(`mfd_${'A'.repeat(43)}`) },
    { name: 'with no code at all', error: 'invalid_grant', code: 'deferral_unknown', ask: () => lab.poll('x') },
    { name: 'without a code', error: 'invalid_request', code: 'parameter_missing', ask: () => lab.poll('') },
    { name: 'as another client', error: 'invalid_grant', code: 'deferral_unknown', ask: (answer) => poll(answer, { client_id: spiffe('agents/other') }) },
    { name: 'for a wider scope', error: 'invalid_request', code: 'parameter_unsupported', ask: (answer) => poll(answer, { scope: 'pay:send pay:refund' }) },
    { name: 'for the very scope', error: 'invalid_request', code: 'parameter_unsupported', ask: (answer) => poll(answer, SEND) },
    { name: 'for another target', error: 'invalid_request', code: 'parameter_unsupported', ask: (answer) => poll(answer, { audience: API }) },
    { name: 'with details', error: 'invalid_request', code: 'parameter_unsupported', ask: (answer) => poll(answer, { authorization_details: ceilingOf([{ audience: PAY, scopes: ['pay:refund'] }]) }) },
    { name: 'with completion_mode', error: 'invalid_request', code: 'parameter_unsupported', ask: (answer) => poll(answer, { completion_mode: 'deferred' }) },
    { name: 'with a subject token', error: 'invalid_request', code: 'parameter_unsupported', ask: (answer) => poll(answer, { subject_token: 'x' }) },
    { name: 'with a client secret', error: 'invalid_client', code: 'client_authentication_unsupported', ask: (answer) => poll(answer, { client_secret: 'x' }) },
  ])('is refused $name, and nothing is used up', async ({ error: expected, code: inner, ask }) => {
    const answer = await approved();
    const refused = await ask(answer);
    expect([...error(refused), await code(refused)]).toEqual([400, expected, inner]);
    expect(await code(await poll(answer, { client_id: spiffe('agents/planner') }))).toBe('issued');
  });

  test('at another trust domain is answered like a code that does not exist', async () => {
    const answer = await approved();
    await lab.mayfly.apply({ domains: [{ name: 'elsewhere', stage: 'development', owner: 'x' }] });
    const htu = `${lab.mayfly.url}/elsewhere/token`;
    const values = { grant_type: 'urn:ietf:params:oauth:grant-type:deferred', deferral_code: String(answer.body['deferral_code']) };
    const { headers } = await lab.mayfly.form('elsewhere/token', values, { dpop: lab.keys.own.prove({ htu }) });
    const refused = await lab.mayfly.form('elsewhere/token', values, { dpop: lab.keys.own.prove({ htu, nonce: String(headers['dpop-nonce']) }) });
    expect([...error(refused), await code(refused)]).toEqual([400, 'invalid_grant', 'deferral_unknown']);
  });

  test('redeems once: the second gets nothing', async () => {
    const answer = await approved();
    expect(await code(await poll(answer))).toBe('issued');
    const second = await poll(answer);
    expect([...error(second), await code(second)]).toEqual([400, 'invalid_grant', 'approval_redeemed']);
    expect(second.body['error_description']).toBe((await lab.poll('x')).body['error_description']);
  });

  test('redeems once when twenty come at the same time', async () => {
    const answer = await approved();
    const proofs = await Promise.all(Array.from({ length: 20 }, () => lab.prove()));
    const answers = await Promise.all(proofs.map((dpop) => lab.mayfly.form('dev/token', { grant_type: 'urn:ietf:params:oauth:grant-type:deferred', deferral_code: String(answer.body['deferral_code']) }, { dpop })));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    const losers = answers.filter(({ status }) => status !== 200);
    expect(await Promise.all(losers.map(code))).toEqual(losers.map(() => 'approval_redeemed'));
  });

  test('with a proof that was used is refused, and the approval is kept', async () => {
    const answer = await approved();
    const dpop = await lab.prove();
    const other = await approved();
    const redeem = (of: Answer): Promise<Answer> => lab.mayfly.form('dev/token', { grant_type: 'urn:ietf:params:oauth:grant-type:deferred', deferral_code: String(of.body['deferral_code']) }, { dpop });
    expect(await code(await redeem(other))).toBe('issued');
    expect(await code(await redeem(answer))).toBe('dpop_replayed');
    expect(await code(await poll(answer))).toBe('issued');
  });
});

describe('agreed to, and then', () => {
  interface Row { readonly name: string; readonly code: string; readonly error?: string; readonly act: (shown: Record<string, unknown>, answer: Answer) => Promise<unknown>; readonly undo?: () => Promise<unknown> }
  const sends = `permit(principal == Workload::"${spiffe('agents/planner')}", action == Action::"act", resource == Scope::"${PAY}#pay:send");`;
  const restore = (): Promise<unknown> => lab.mayfly.apply({ policies: [lab.policy('planner-sends', `@approval("payments-leads") ${sends}`)] });
  test.each<Row>([
    { name: 'the policy removed', code: 'scope_denied', act: () => lab.remove('planner-sends'), undo: restore },
    { name: 'forbidden', code: 'scope_denied', act: () => lab.mayfly.apply({ policies: [{ domain: 'dev', name: 'no-sending', owner: 'x', cedar: `forbid(principal, action == Action::"act", resource == Scope::"${PAY}#pay:send");` }] }), undo: () => lab.remove('no-sending') },
    { name: 'more names asked for', code: 'approval_changed', act: () => lab.mayfly.apply({ policies: [lab.policy('planner-sends', `@approval("payments-leads, security") ${sends}`)] }), undo: restore },
    { name: 'the person not allowed to delegate it', code: 'scope_denied', act: () => lab.mayfly.apply({ policies: [{ domain: 'dev', name: 'no-handing-on', owner: 'x', cedar: `forbid(principal is Person, action == Action::"delegate", resource == Scope::"${PAY}#pay:send");` }] }), undo: () => lab.remove('no-handing-on') },
    { name: 'the right to approve taken away', code: 'approval_changed', act: () => lab.remove('leads-approve'), undo: () => lab.mayfly.apply({ policies: [lab.policy('leads-approve', `permit(principal in Group::"payments-leads", action == Action::"approve", resource in Resource::"${PAY}") when { context.request has approval && context.request.approval == "payments-leads" };`)] }) },
    { name: 'the session revoked', code: 'revoked', act: ({ session }) => lab.mayfly.admin('POST', 'revocations', { kind: 'session', id: session, reason: 'test' }) },
    { name: 'the session ended', code: 'session_ended', act: ({ session }) => lab.mayfly.admin('POST', `sessions/${String(session)}/end`, { reason: 'test' }) },
    { name: 'the code revoked by an admin', code: 'approval_cancelled', act: ({ lease }) => lab.mayfly.admin('POST', 'revocations', { kind: 'lease', id: lease, reason: 'test' }) },
    { name: 'the code revoked by its holder', code: 'approval_cancelled', act: (_shown, answer) => lab.mayfly.form('dev/revoke', { token: String(answer.body['deferral_code']), token_type_hint: 'urn:ietf:params:oauth:token-type:deferral-code' }) },
  ])('$name: nothing is issued', async ({ code: inner, act, undo }) => {
    const fresh = { subject_token: lab.idToken({ sid: `then-${lab.time.now}` }) };
    const [kept, answer] = [await approved({ ...SEND, subject_token: lab.idToken({ sid: `kept-${lab.time.now}` }) }), await approved({ ...SEND, ...fresh })];
    await act(await lab.show(answer.body['approval_id']), answer);
    const refused = await poll(answer);
    expect([...error(refused), await code(refused)]).toEqual([400, 'access_denied', inner]);
    await undo?.();
    expect(await code(await poll(kept))).toBe('issued');
    if (undo !== undefined) expect(await code(await poll(answer))).toBe('issued');
  });

  const revocation = (verb: 'revocations' | 'enable', target: object): Promise<Answer> => lab.mayfly.admin('POST', verb, { domain: 'dev', ...target, ...(verb === 'revocations' ? { reason: 'test' } : {}) });
  interface Proof { readonly name: string; readonly sub: string; readonly admin: boolean; readonly act: () => Promise<Answer>; readonly undo: () => Promise<Answer>; readonly again: string }
  const person = (entry: string, sub: string): object => ({ kind: 'person', id: `urn:mayfly:dev:person:${entry}:${sub}` });
  test.each<Proof>([
    { name: 'the issuer that proved them revoked', sub: 'bea', admin: true, act: () => revocation('revocations', { kind: 'issuer', id: 'corp-admins' }), undo: () => revocation('enable', { kind: 'issuer', id: 'corp-admins' }), again: 'approval_changed' },
    { name: 'the issuer that proved them removed', sub: 'bill', admin: true, act: () => lab.mayfly.admin('DELETE', 'issuers/dev/corp-admins?reason=test'), undo: () => lab.mayfly.apply({ issuers: [adminsEntry(lab.idp.issuer)] }), again: 'approval_changed' },
    { name: 'they revoked', sub: 'ben', admin: false, act: () => revocation('revocations', person('corp', 'ben')), undo: () => revocation('enable', person('corp', 'ben')), again: 'approval_changed' },
    { name: 'they revoked as the other entry of their issuer knows them', sub: 'bud', admin: true, act: () => revocation('revocations', person('corp', 'bud')), undo: () => revocation('enable', person('corp', 'bud')), again: 'approval_changed' },
  ])('by somebody, and $name: nothing is issued on their word', async ({ sub, admin, act, undo, again }) => {
    const [kept, answer] = [await approved(), await deferred()];
    expect((await lab.approve(answer, lab.login(sub, ['payments-leads'], admin ? { aud: `${lab.issuer}/admin` } : {}))).body).toMatchObject({ status: 'approved', approved_by: [{ person: expect.stringMatching(new RegExp(`:${sub}$`)) }] });
    expect((await act()).status).toBe(200);
    const refused = await poll(answer);
    expect([...error(refused), await code(refused)]).toEqual([400, 'access_denied', 'approval_changed']);
    expect(await code(await poll(kept))).toBe('issued');
    expect((await undo()).status).toBe(200);
    // What a revocation ended stays so when it is lifted, and what a removal ended when the same is registered again.
    expect(await code(await poll(answer))).toBe(again);
  });

  test('one scope of several not permitted any more: not even the others are issued', async () => {
    const answer = await approved({ scope: 'pay:read pay:send' });
    await lab.mayfly.apply({ policies: [{ domain: 'dev', name: 'no-reading', owner: 'x', cedar: `forbid(principal, action == Action::"act", resource == Scope::"${PAY}#pay:read");` }] });
    const refused = await poll(answer);
    expect([...error(refused), await code(refused)]).toEqual([400, 'access_denied', 'approval_changed']);
    await lab.remove('no-reading');
    expect((await poll(answer)).body).toMatchObject({ scope: 'pay:read pay:send' });
  });

  test('more permitted by now: still what was asked, and no more', async () => {
    const answer = await deferred({ scope: 'pay:send pay:refund' });
    await lab.approve(answer);
    await lab.approve(answer, lab.sue());
    await lab.mayfly.apply({ policies: [lab.policy('plain', `permit(principal == Workload::"${spiffe('agents/planner')}", action == Action::"act", resource in Resource::"${PAY}");`)] });
    const token = await poll(answer);
    await lab.remove('plain');
    expect(token.body).toMatchObject({ scope: 'pay:send pay:refund', token_type: 'DPoP' });
  });

  test('the workload or the person revoked: nothing is issued, whatever is let in again', async () => {
    const answer = await approved({ ...SEND, subject_token: lab.idToken({ sid: 'person-falls' }) });
    await lab.mayfly.admin('POST', 'revocations', { kind: 'workload', id: 'agents/planner', domain: 'dev', reason: 'test' });
    expect(await code(await poll(answer))).toBe('revoked');
    await lab.mayfly.admin('POST', 'enable', { kind: 'workload', id: 'agents/planner', domain: 'dev' });
    expect(await code(await poll(answer))).toBe('revoked');
    expect(await code(await poll(await approved({ ...SEND, subject_token: lab.idToken({ sid: 'after' }) })))).toBe('issued');
    // Logins of before stay ended.
    await lab.pass(HOUR);
  });

  test('its time over: it is expired, and so says the audit log', async () => {
    const [early, late] = [await approved({ scope: 'pay:quick' }), await approved({ scope: 'pay:quick' })];
    expect(early.body['expires_in']).toBe(120);
    await lab.pass(2 * MINUTE - SECOND);
    // Nothing issued on an approval outlives it.
    const token = await poll(early);
    expect([await code(token), token.body['expires_in']]).toEqual(['issued', 1]);
    await lab.pass(SECOND);
    const refused = await poll(late);
    expect([...error(refused), await code(refused)]).toEqual([400, 'expired_token', 'approval_expired']);
    expect(await lab.show(late.body['approval_id'])).toMatchObject({ status: 'expired' });
    expect(await code(await lab.approve(late))).toBe('approval_closed');
  });

  test('denied: nothing is issued, and no second thought counts', async () => {
    const answer = await approved();
    const denial = await lab.as(lab.bob(), 'POST', `approvals/${String(answer.body['approval_id'])}/deny`, { reason: 'not today' });
    expect(denial.body).toMatchObject({ status: 'denied', closed_by: BOB, reason: 'not today' });
    const refused = await poll(answer);
    expect([...error(refused), await code(refused)]).toEqual([400, 'access_denied', 'approval_denied']);
    expect(await code(await lab.approve(answer))).toBe('approval_closed');
    expect((await lab.audited('approval.denied')).at(-1)).toMatchObject({ approval: answer.body['approval_id'], by: BOB, reason: 'not today' });
  });
});

describe('several names', () => {
  test('mean all of them, each once, by whoever may', async () => {
    const answer = await deferred({ scope: 'pay:refund' });
    expect((await lab.approve(answer)).body).toMatchObject({ status: 'pending', waits_for: ['security'], approved_by: [{ name: 'payments-leads', person: BOB }] });
    expect(error(await poll(answer))).toEqual([400, 'authorization_pending']);
    // The same person again, and another of the same group, count for nothing more.
    expect((await lab.approve(answer)).body).toMatchObject({ status: 'pending', approved_by: [{ name: 'payments-leads' }] });
    expect((await lab.approve(answer, lab.login('ben', ['payments-leads']))).body).toMatchObject({ status: 'pending' });
    expect(error(await lab.poll(answer.body['deferral_code']))[1]).toBe('slow_down');
    expect((await lab.approve(answer, lab.sue())).body).toMatchObject({ status: 'approved', waits_for: [] });
    expect(await code(await poll(answer))).toBe('issued');
  });

  test('wait whole: a request with one scope that needs somebody gets none of the others before', async () => {
    const answer = await deferred({ scope: 'pay:read pay:refund pay:send' });
    expect(await lab.show(answer.body['approval_id'])).toMatchObject({ approval_names: ['payments-leads', 'security'], what: { on_approval: [{ scope: 'pay:refund', names: ['payments-leads', 'security'] }, { scope: 'pay:send', names: ['payments-leads'] }] } });
    expect(answer.body['expires_in']).toBe(3600);
    await Promise.all([lab.approve(answer), lab.approve(answer, lab.sue())]);
    expect((await poll(answer)).body).toMatchObject({ scope: 'pay:read pay:refund pay:send' });
  });
});
