import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createProver, hashOf } from '../flows/prover.ts';
import type { Prover } from '../flows/prover.ts';
import type { Answer } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { startPlane } from './plane.ts';
import type { Plane } from './plane.ts';

const PAY = 'https://pay.dev.example';
const common = { owner: OWNER, expires: FAR };

let plane: Plane;
let prover: Prover;
beforeAll(async () => {
  plane = await startPlane();
  prover = await createProver();
  const approvers = (domain: string, app: string): object => ({ domain, name: 'corp', kind: 'oidc', proves: 'people', issuer: plane.platform.issuer, claims: { groups: { claim: 'groups', type: 'list' } }, approver_clients: [app], ...common });
  const policy = (name: string, cedar: string): object => ({ domain: 'dev', name, cedar, ...common });
  await plane.mayfly.apply({
    issuers: [approvers('dev', 'approvals'), approvers('other', 'other-approvals')],
    resources: [{ domain: 'dev', audience: PAY, scopes: ['send'], ...common }],
    policies: [
      policy('sends', `@approval("leads") permit(principal == Workload::"spiffe://dev.127.0.0.1/ci", action == Action::"issue", resource == Scope::"${PAY}#send");`),
      policy('devs-approve', `permit(principal in Group::"devs", action == Action::"approve", resource in Resource::"${PAY}");`),
    ],
  });
});
afterAll(async () => { await plane.close(); });

const ask = async (): Promise<Answer> => {
  const htu = `${plane.mayfly.url}/dev/token`;
  const values = { subject_token: plane.evidence(), audience: PAY, scope: 'send', completion_mode: 'deferred' };
  const { headers } = await plane.mayfly.exchange(values, { dpop: prover.prove({ htu }) });
  const answer = await plane.mayfly.exchange(values, { dpop: prover.prove({ htu, nonce: String(headers['dpop-nonce']) }) });
  expect(answer.body).toMatchObject({ error: 'authorization_pending' });
  return answer;
};
const pathOf = (answer: Answer, verb?: string): string => `approvals/${String(answer.body['approval_id'])}${verb === undefined ? '' : `/${verb}`}`;
const person = (claims: Readonly<Record<string, unknown>> = {}): string => plane.platform.mint({ sub: 'pat', aud: 'approvals', auth_time: Math.floor(Date.now() / 1000) - 60, sid: 's', groups: ['devs'], ...claims });
const bearer = (token: string): Readonly<Record<string, string>> => ({ authorization: `Bearer ${token}` });

describe('over HTTP', () => {
  test('an admin of the domain whom a policy permits it approves as the person they are', async () => {
    const answer = await ask();
    expect((await plane.devOps('POST', pathOf(answer, 'approve'), { reason: 'fine' })).body).toMatchObject({ status: 'approved', reason: 'fine', approved_by: [{ name: 'leads', person: 'urn:mayfly:dev:person:dev-staff:dan' }] });
    expect((await plane.audited('approval.approved')).at(-1)).toMatchObject({ approval: answer.body['approval_id'], by: 'urn:mayfly:dev:person:dev-staff:dan', reason: 'fine' });
  });

  test('an admin of the installation sees it and decides nothing: nobody of the domain\'s issuers', async () => {
    const answer = await ask();
    expect((await plane.ops('GET', pathOf(answer))).body).toMatchObject({ status: 'pending' });
    expect(await plane.ops('POST', pathOf(answer, 'approve'), {}, { sub: 'ada', groups: ['platform', 'devs'] })).toMatchObject({ status: 403, body: { code: 'approver_denied', decision_id: expect.stringMatching(/^dec_/) } });
    expect((await plane.audited('admin.denied')).at(-1)).toMatchObject({ code: 'approver_denied', by: 'urn:mayfly:system:person:staff:ada', verb: 'approve' });
  });

  test('a person approves with a token of the approvers\' application, sees what concerns them, and no more', async () => {
    const answer = await ask();
    const call = (method: 'GET' | 'POST', path: string, token: string, body?: object) => plane.call(method, path, bearer(token), body);
    expect((await call('GET', 'approvals', person())).body['items']).toEqual(expect.arrayContaining([expect.objectContaining({ id: answer.body['approval_id'] })]));
    expect((await call('GET', 'approvals', person({ sub: 'sam', groups: ['sales'] }))).body['items']).toEqual([]);
    expect((await call('GET', pathOf(answer), person())).status).toBe(200);
    expect(await call('GET', pathOf(answer), person({ sub: 'sam', groups: ['sales'] }))).toMatchObject({ status: 404, body: { code: 'not_found' } });
    // To approve is all that token is for.
    expect(await call('GET', 'leases', person())).toMatchObject({ status: 401, body: { code: 'admin_unauthenticated' } });
    expect((await call('POST', pathOf(answer, 'approve'), person(), {})).body).toMatchObject({ status: 'approved', approved_by: [{ person: 'urn:mayfly:dev:person:corp:pat' }] });
  });

  describe('whom a request does not concern', () => {
    const unknown = `apr_${'0'.repeat(32)}`;
    const answers = async (id: string, headers: Readonly<Record<string, string>>): Promise<readonly { readonly status: number; readonly told: string }[]> => {
      const calls: readonly (readonly ['GET' | 'POST', string, object?])[] = [['GET', ''], ['POST', '/approve', {}], ['POST', '/deny', { reason: 'x' }]];
      const all = [];
      for (const [method, verb, body] of calls) {
        const { status, body: told } = await plane.call(method, `approvals/${id}${verb}`, headers, body);
        all.push({ status, told: JSON.stringify({ ...told, request_id: 'r' }).replaceAll(id, 'ID').replaceAll(/dec_\w+/g, 'DECISION') });
      }
      return all;
    };

    test.each([
      { name: 'a person in no group of approvers', headers: () => bearer(person({ sub: 'sam', groups: ['sales'] })), status: 404, log: ['approver_denied', 'approver_denied'] },
      { name: 'a person of another domain', headers: () => bearer(person({ sub: 'oz', aud: 'other-approvals' })), status: 404, log: [] },
      { name: 'an admin of the domain who may neither look nor approve', headers: () => bearer(plane.token({ sub: 'guest', groups: ['guests'] }, 'dev')), status: 403, log: ['admin_denied', 'approver_denied', 'admin_denied', 'approver_denied', 'admin_denied'] },
    ])('gets the answers to an unknown id: $name', async ({ headers, status, log }) => {
      const answer = await ask();
      const id = String(answer.body['approval_id']);
      const before = (await plane.audited('admin.denied')).length;
      const told = await answers(id, headers());
      const written = (await plane.audited('admin.denied')).slice(before);
      expect(told.map((each) => each.status)).toEqual([status, status, status]);
      expect(told).toEqual(await answers(unknown, headers()));
      // Why is for the log of their own domain alone.
      expect(written.map(({ code }) => code)).toEqual(log);
      expect((await plane.ops('GET', pathOf(answer))).body).toMatchObject({ status: 'pending', approved_by: [] });
      expect((await plane.call('POST', pathOf(answer, 'approve'), bearer(person()), {})).body).toMatchObject({ status: 'approved' });
      // Who agreed sees it still, and is told why their word counts no more.
      expect(await plane.call('POST', pathOf(answer, 'deny'), bearer(person({ groups: ['sales'] })), { reason: 'x' })).toMatchObject({ status: 403, body: { code: 'approver_denied', decision_id: expect.stringMatching(/^dec_/) } });
    });

    test('is written down with what they lacked', async () => {
      const answer = await ask();
      await plane.call('POST', pathOf(answer, 'approve'), bearer(person({ sub: 'sid', groups: ['sales'] })), {});
      const [written] = (await plane.audited('admin.denied')).slice(-1);
      expect(written).toMatchObject({ code: 'approver_denied', by: 'urn:mayfly:dev:person:corp:sid', verb: 'approve' });
      expect((await plane.mayfly.admin('GET', `decisions/${String(written?.['decision'])}`)).body).toMatchObject({ detail: expect.stringContaining(`${PAY}#send`) });
    });
  });

  test('a person\'s token that is bound to a key needs a proof by it', async () => {
    const answer = await ask();
    const key = await createProver();
    const token = person({ cnf: { jkt: key.jkt } });
    const url = `http://127.0.0.1:${(plane.mayfly.server.adminAddress ?? '').split(':').at(-1) ?? ''}/admin/v1/${pathOf(answer, 'approve')}`;
    const prove = (nonce?: string, by = key): Readonly<Record<string, string>> => ({ authorization: `DPoP ${token}`, dpop: by.prove({ htu: url, ath: hashOf(token), ...(nonce === undefined ? {} : { nonce }) }) });
    const approve = (headers: Readonly<Record<string, string>>) => plane.call('POST', pathOf(answer, 'approve'), headers, {});
    expect(await approve(bearer(token))).toMatchObject({ status: 401, body: { code: 'token_scheme_wrong' } });
    const asked = await approve(prove());
    expect(asked).toMatchObject({ status: 401, body: { code: 'dpop_nonce_missing' } });
    const nonce = String(asked.headers['dpop-nonce']);
    expect(await approve(prove(nonce, prover))).toMatchObject({ status: 401, body: { code: 'token_binding_mismatch' } });
    expect((await approve(prove(nonce))).body).toMatchObject({ status: 'approved' });
  });
});

describe('what was taken back while it waited', () => {
  const listed = async (status: string): Promise<readonly unknown[]> => ((await plane.ops('GET', `approvals?domain=dev&status=${status}`)).body['items'] as readonly { readonly id: string }[]).map(({ id }) => id);

  test.each([
    { name: 'by whoever asked', act: (answer: Answer) => plane.mayfly.form('dev/revoke', { token: String(answer.body['deferral_code']) }) },
    { name: 'with its session', act: async (answer: Answer) => plane.ops('POST', `sessions/${String((await plane.ops('GET', pathOf(answer))).body['session'])}/end`, { reason: 'test' }) },
  ])('$name is cancelled, and nobody waits for people with it', async ({ act }) => {
    const [answer, beside] = [await ask(), await ask()];
    expect((await act(answer)).status).toBe(200);
    expect((await plane.ops('GET', pathOf(answer))).body).toMatchObject({ status: 'cancelled', waits_for: [], approval_names: ['leads'] });
    expect((await plane.ops('GET', pathOf(beside))).body).toMatchObject({ status: 'pending', waits_for: ['leads'] });
    const [pending, cancelled] = [await listed('pending'), await listed('cancelled')];
    expect([pending.includes(answer.body['approval_id']), pending.includes(beside.body['approval_id'])]).toEqual([false, true]);
    expect([cancelled.includes(answer.body['approval_id']), cancelled.includes(beside.body['approval_id'])]).toEqual([true, false]);
    expect(await plane.devOps('POST', pathOf(answer, 'approve'), {})).toMatchObject({ status: 409, body: { code: 'approval_closed' } });
  });

  test('is found behind others, and the others behind it', async () => {
    const [first, second] = [await ask(), await ask()];
    await plane.mayfly.form('dev/revoke', { token: String(second.body['deferral_code']) });
    const third = await ask();
    const one = async (status: string): Promise<unknown> => ((await plane.ops('GET', `approvals?domain=dev&status=${status}&limit=1`)).body['items'] as readonly { readonly id: string }[]).map(({ id }) => id);
    expect([await one('pending'), await one('cancelled')]).toEqual([[third.body['approval_id']], [second.body['approval_id']]]);
    await plane.mayfly.form('dev/revoke', { token: String(third.body['deferral_code']) });
    expect([await one('pending'), await one('cancelled')]).toEqual([[first.body['approval_id']], [third.body['approval_id']]]);
  });

  test('stays denied or redeemed', async () => {
    const answer = await ask();
    await plane.devOps('POST', pathOf(answer, 'deny'), { reason: 'no' });
    await plane.mayfly.form('dev/revoke', { token: String(answer.body['deferral_code']) });
    expect((await plane.ops('GET', pathOf(answer))).body).toMatchObject({ status: 'denied' });
  });
});

test('a denial needs a reason, and text that steers a terminal is none', async () => {
  const answer = await ask();
  for (const body of [{}, { reason: '' }, { reason: 'x\u001b[2J' }, { reason: 'x'.repeat(501) }, { reason: 'x', names: ['leads'] }]) expect(await plane.devOps('POST', pathOf(answer, 'deny'), body)).toMatchObject({ status: 400, body: { code: 'parameter_invalid' } });
  expect((await plane.devOps('POST', pathOf(answer, 'deny'), { reason: 'no' })).body).toMatchObject({ status: 'denied', closed_by: 'urn:mayfly:dev:person:dev-staff:dan' });
});

test('a listing is paged, and a cursor of nothing is refused', async () => {
  await ask();
  await ask();
  const first = (await plane.ops('GET', 'approvals?domain=dev&limit=1')).body as { items: readonly { id: string }[]; next: string };
  const second = (await plane.ops('GET', `approvals?domain=dev&limit=1&after=${first.next}`)).body as { items: readonly { id: string }[] };
  expect([first.items.length, second.items.length, first.items[0]?.id === second.items[0]?.id]).toEqual([1, 1, false]);
  expect(await plane.ops('GET', 'approvals?after=x')).toMatchObject({ status: 400, body: { code: 'parameter_invalid' } });
  expect(await plane.ops('GET', 'approvals?status=open')).toMatchObject({ status: 400, body: { code: 'parameter_invalid' } });
  expect(((await plane.ops('GET', 'approvals?domain=other')).body as { items: readonly object[] }).items).toEqual([]);
  expect((await plane.devOps('GET', 'approvals?domain=other')).status).toBe(403);
});
