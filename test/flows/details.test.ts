import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Answer } from '../support/mayfly.ts';
import { ALICE, spiffe, startAgentsLab } from './agents-lab.ts';
import type { AgentName, AgentsLab } from './agents-lab.ts';
import { API, BILLING, claimsOf, issued } from './lab.ts';

const SESSION_TYPE = 'urn:mayfly:token-type:session';
const CEILING_TYPE = 'urn:mayfly:ceiling';
const PAYMENT = { type: 'payment', fields: { actions: { values: ['initiate', 'status'] }, amount: { compare: 'max' }, currency: { compare: 'exact' }, folder: { compare: 'prefix', optional: true }, creditor: { compare: 'exact', optional: true } } };
const detailOf = (type: string): string => `Detail::"${BILLING}#${type}"`;
const policy = (name: string, cedar: string): object => ({ domain: 'dev', name, owner: 'x', expires: '2027-06-01', cedar });
const bounded = (name: AgentName, most: number, actions = '"act", "delegate"'): object =>
  policy(`${name.replace('/', '-')}-pays`, `permit(principal == Workload::"${spiffe(name)}", action in [${actions.split(', ').map((action) => `Action::${action}`).join(', ')}], resource == ${detailOf('payment')}) when { resource.numbers.hasTag("amount") && resource.numbers.getTag("amount") <= ${most} };`);

let lab: AgentsLab;
beforeAll(async () => {
  lab = await startAgentsLab({
    timed: true,
    change: (manifest) => ({
      ...manifest,
      resources: manifest['resources']?.map((resource) => ('audience' in resource && resource.audience === BILLING ? { ...resource, details: [PAYMENT, { type: 'refund', fields: { amount: { compare: 'max' } } }] } : resource)),
      policies: [
        ...manifest['policies'] ?? [], bounded('agents/planner', 1000), bounded('agents/searcher', 400), bounded('tools/mailer', 10_000),
        policy('people-pay', `permit(principal in Group::"engineering", action == Action::"delegate", resource == ${detailOf('payment')}) when { resource.numbers.hasTag("amount") && resource.numbers.getTag("amount") <= 5000 };`),
      ],
    }),
  });
});
afterAll(async () => { await lab.close(); });

type Detail = Readonly<Record<string, unknown>>;
const pay = (change: Detail = {}): Detail => Object.fromEntries(Object.entries({ type: 'payment', actions: ['initiate'], amount: 300, currency: 'EUR', ...change }).filter(([, value]) => value !== undefined));
const json = (...details: readonly Detail[]): string => JSON.stringify(details);
/** One pair for billing with these details. */
const ceiling = (details: readonly Detail[], scopes: readonly string[] = ['bills:read']): string => JSON.stringify([{ type: CEILING_TYPE, audience: BILLING, scopes, ...(details.length === 0 ? {} : { details }) }]);
const reasonOf = async (answer: Answer): Promise<string> => (answer.status === 200 ? 'issued' : lab.mayfly.reason(answer));
const plan = (details: string, values: Readonly<Record<string, string>> = {}): Promise<Answer> => lab.plan({ audience: BILLING, scope: 'bills:read', authorization_details: details, ...values });
let logins = 0;
const session = (details: readonly Detail[], scopes?: readonly string[]): Promise<Answer> => {
  logins += 1;
  return lab.plan({ audience: '', authorization_details: ceiling(details, scopes), subject_token: lab.idToken({ sid: `login-${logins}`, auth_time: Math.floor(lab.time.now / 1000) - 60 }) });
};
const handOn = (token: string, to: AgentName, details: readonly Detail[]): Promise<Answer> => lab.spend(token, { audience: '', authorization_details: ceiling(details), requested_actor: spiffe(to) });
const takeUp = (token: string, by: AgentName, details: readonly Detail[]): Promise<Answer> => lab.takeUp(token, by, { authorization_details: ceiling(details) });
const leaseOf = async (token: string): Promise<Record<string, unknown>> => (await lab.mayfly.admin('GET', `leases/${String(claimsOf(token)['jti'])}`)).body;
const hopsOf = async (token: string): Promise<readonly Record<string, unknown>[]> => (await lab.mayfly.admin('GET', `sessions/${String(claimsOf(token)['sid'])}`)).body['hops'] as readonly Record<string, unknown>[];

describe('details for a resource', () => {
  test('stand in the answer, in the token, in its lease, in the hop, and in what introspection says, in one spelling', async () => {
    const answer = await plan(json(pay({ actions: ['status', 'initiate', 'status'], amount: 3e2 })));
    const granted = [{ type: 'payment', actions: ['initiate', 'status'], amount: 300, currency: 'EUR' }];
    expect(answer.body).toMatchObject({ authorization_details: granted, scope: 'bills:read' });
    const token = issued(answer);
    expect(claimsOf(token)).toMatchObject({ sub: ALICE, aud: BILLING, scope: 'bills:read', authorization_details: granted });
    expect((await leaseOf(token))['details']).toEqual(granted);
    expect((await hopsOf(token)).map((hop) => hop['ceiling'])).toContainEqual([{ audience: BILLING, scopes: ['bills:read'], details: granted }]);
    expect(await lab.introspect(token)).toMatchObject({ active: true, authorization_details: granted });
  });

  test('are absent where none were asked', async () => {
    const answer = await lab.plan({ audience: BILLING, scope: 'bills:read' });
    expect(answer.body).not.toHaveProperty('authorization_details');
    expect(claimsOf(issued(answer))).not.toHaveProperty('authorization_details');
    expect(await leaseOf(issued(answer))).not.toHaveProperty('details');
  });

  interface Row { readonly name: string; readonly details: string; readonly code: string; readonly values?: Readonly<Record<string, string>> }
  test.each<Row>([
    { name: 'the most the planner may', details: json(pay({ amount: 1000 })), code: 'issued' },
    { name: 'one more, though the person may', details: json(pay({ amount: 1001 })), code: 'details_denied' },
    { name: 'a permitted one beside one that is not: none is left out in silence', details: json(pay(), pay({ amount: 1001 })), code: 'details_denied' },
    { name: 'a type no policy speaks of', details: json({ type: 'refund', amount: 1 }), code: 'details_denied' },
    { name: 'a type the resource has not', details: json({ type: 'transfer', amount: 1 }), code: 'details_unknown' },
    { name: 'the type in other case', details: json(pay({ type: 'Payment' })), code: 'details_unknown' },
    { name: 'the type with a space', details: json(pay({ type: 'payment ' })), code: 'details_unknown' },
    { name: 'our own type in other case', details: json({ type: 'urn:Mayfly:ceiling', audience: BILLING, scopes: ['bills:read'] }), code: 'details_unknown' },
    { name: 'a field nobody registered', details: json(pay({ purpose: 'rent' })), code: 'details_malformed' },
    { name: 'a common field the type does not list', details: json(pay({ locations: ['https://pay.example'] })), code: 'details_malformed' },
    { name: 'no amount, which would be any', details: json(pay({ amount: undefined })), code: 'details_malformed' },
    { name: 'an amount as text', details: json(pay({ amount: '300' })), code: 'details_malformed' },
    { name: 'an amount below nothing', details: json(pay({ amount: -1 })), code: 'details_malformed' },
    { name: 'every action', details: json(pay({ actions: ['*'] })), code: 'details_malformed' },
    { name: 'no action', details: json(pay({ actions: [] })), code: 'details_malformed' },
    { name: 'two amounts', details: '[{"type":"payment","actions":["initiate"],"amount":1,"amount":100000,"currency":"EUR"}]', code: 'details_malformed' },
    { name: 'an object within', details: '[{"type":"payment","actions":["initiate"],"amount":{"value":1},"currency":"EUR"}]', code: 'details_malformed' },
    { name: 'a folder that climbs', details: json(pay({ folder: '/a/../b' })), code: 'details_malformed' },
    { name: 'a ceiling', details: ceiling([]), code: 'details_unsupported' },
    { name: 'a ceiling beside it', details: `[${JSON.stringify(pay())},${ceiling([]).slice(1)}`, code: 'details_unsupported' },
    { name: 'what the API does not take, at a target that takes none', details: json(pay()), code: 'details_unknown', values: { audience: API, scope: 'deploy:read' } },
    // Whoever may have nothing at a target learns nothing about its types either.
    { name: 'an unregistered target', details: json(pay()), code: 'target_unknown', values: { audience: 'https://nowhere.example' } },
    { name: 'a scope that is not permitted', details: json(pay()), code: 'target_denied', values: { subject_token_of: 'sales' } },
  ])('are asked with $name: $code', async ({ details, code, values = {} }) => {
    const { subject_token_of: group, ...rest } = values;
    const answer = await plan(details, { ...rest, ...(group === undefined ? {} : { subject_token: lab.idToken({ groups: [group] }) }) });
    expect(await reasonOf(answer)).toBe(code);
    if (code.startsWith('details')) expect([answer.status, answer.body['error']]).toEqual([400, 'invalid_authorization_details']);
    if (code.startsWith('target')) expect(answer.body['error']).toBe('invalid_target');
  });

  test('need a permit for the target besides, so that a policy that forbids the target forbids them', async () => {
    expect(await reasonOf(await plan(json(pay()), { scope: '' }))).toBe('issued');
    await lab.mayfly.apply({ policies: [{ domain: 'dev', name: 'billing-closed', owner: 'x', cedar: `forbid(principal, action, resource in Resource::"${BILLING}");` }] });
    expect([await reasonOf(await plan(json(pay()), { scope: '' })), await reasonOf(await plan(json(pay())))]).toEqual(['target_denied', 'target_denied']);
    await lab.mayfly.admin('DELETE', 'policies/dev/billing-closed?reason=test');
    expect(await reasonOf(await plan(json(pay())))).toBe('issued');
  });

  test('that are refused are explained with the value that was too much', async () => {
    const answer = await plan(json(pay({ amount: 1001 })));
    const explained = (await lab.mayfly.admin('GET', `decisions/${String(answer.body['decision_id'])}`)).body;
    expect(explained).toMatchObject({ code: 'details_denied', facts: { asked: { details: [pay({ amount: 1001 })] } } });
    expect(explained['policies_now']).toContainEqual(expect.objectContaining({ audience: BILLING, details: 'payment', permitted_now: false }));
  });

  test('are told of in the metadata of the domain, by type', async () => {
    const metadata = await (await fetch(`${lab.mayfly.url}/.well-known/oauth-authorization-server/dev`)).json() as Record<string, unknown>;
    expect(metadata['authorization_details_types_supported']).toEqual([CEILING_TYPE, 'payment', 'refund']);
  });
});

describe('details of a session token', () => {
  test('stand in its ceiling and buy what lies within them', async () => {
    const answer = await session([pay(), pay({ currency: 'USD', amount: 5 })]);
    const held = [{ type: 'payment', actions: ['initiate'], amount: 300, currency: 'EUR' }, { type: 'payment', actions: ['initiate'], amount: 5, currency: 'USD' }];
    expect(answer.body['authorization_details']).toEqual([{ type: CEILING_TYPE, audience: BILLING, scopes: ['bills:read'], details: held }]);
    const token = issued(answer);
    expect(claimsOf(token)['authorization_details']).toEqual(answer.body['authorization_details']);
    const spent = await lab.spend(token, { audience: BILLING, scope: 'bills:read', authorization_details: json(pay({ amount: 299 })) });
    expect(spent.body['authorization_details']).toEqual([{ type: 'payment', actions: ['initiate'], amount: 299, currency: 'EUR' }]);
    expect(claimsOf(issued(await lab.spend(token, { audience: BILLING, scope: 'bills:read' })))).not.toHaveProperty('authorization_details');
  });

  test('stand within a ceiling, never beside it or alone', async () => {
    expect(await reasonOf(await lab.plan({ audience: '', authorization_details: json(pay()) }))).toBe('details_unsupported');
    expect(await reasonOf(await lab.plan({ audience: lab.issuer, authorization_details: json(pay()) }))).toBe('details_unsupported');
  });

  interface Row { readonly name: string; readonly change: Detail; readonly code: string }
  const HELD: Detail = pay({ actions: ['initiate', 'status'], folder: '/invoices', creditor: 'DE02' });
  const rows: readonly Row[] = [
    { name: 'the same', change: {}, code: 'issued' },
    { name: 'the same in another order, and twice', change: { actions: ['status', 'initiate', 'initiate'] }, code: 'issued' },
    { name: 'less', change: { amount: 1, actions: ['status'], folder: '/invoices/2026' }, code: 'issued' },
    { name: 'one more', change: { amount: 301 }, code: 'details_exceeded' },
    { name: 'another currency', change: { currency: 'USD' }, code: 'details_exceeded' },
    { name: 'the currency in other case', change: { currency: 'eur' }, code: 'details_exceeded' },
    { name: 'the folder in other case', change: { folder: '/Invoices' }, code: 'details_exceeded' },
    { name: 'a folder that only begins like it', change: { folder: '/invoices2' }, code: 'details_exceeded' },
    { name: 'the folder above', change: { folder: '/' }, code: 'details_exceeded' },
    { name: 'no folder', change: { folder: undefined }, code: 'details_exceeded' },
    { name: 'another creditor', change: { creditor: 'DE03' }, code: 'details_exceeded' },
    { name: 'the creditor with a space', change: { creditor: 'DE02 ' }, code: 'details_malformed' },
    { name: 'the creditor and a character nobody sees', change: { creditor: 'DE\u200b02' }, code: 'details_malformed' },
    { name: 'a wildcard for a folder', change: { folder: '/invoices/*' }, code: 'details_malformed' },
    { name: 'a wildcard for an action', change: { actions: ['*'] }, code: 'details_malformed' },
  ];
  test.each(rows)('never widen: $name: $code', async ({ change, code }) => {
    const asked = { ...HELD, ...change };
    const token = issued(await session([HELD]));
    expect(await reasonOf(await lab.spend(token, { audience: BILLING, scope: 'bills:read', authorization_details: json(pay(asked)) }))).toBe(code);
    expect(await reasonOf(await handOn(token, 'agents/searcher', [pay(asked)]))).toBe(code);
    const handover = issued(await handOn(token, 'agents/searcher', [HELD]));
    expect(await reasonOf(await takeUp(handover, 'agents/searcher', [pay(asked)]))).toBe(code);
    expect(await reasonOf(await lab.spend(token, { actor_token: lab.agent('agents/planner'), audience: '', authorization_details: ceiling([pay(asked)]) }))).toBe(code);
  });

  test('never widen by being put together from several', async () => {
    const token = issued(await session([pay({ amount: 200 }), pay({ amount: 5, actions: ['status'] })]));
    for (const detail of [pay({ amount: 205 }), pay({ amount: 5, actions: ['initiate', 'status'] })]) {
      expect(await reasonOf(await lab.spend(token, { audience: BILLING, scope: 'bills:read', authorization_details: json(detail) }))).toBe('details_exceeded');
    }
  });

  test('are none where the ceiling names none', async () => {
    const token = issued(await session([]));
    expect(await reasonOf(await lab.spend(token, { audience: BILLING, scope: 'bills:read', authorization_details: json(pay({ amount: 0 })) }))).toBe('details_exceeded');
    expect(await reasonOf(await lab.spend(token, { audience: BILLING, scope: 'bills:read' }))).toBe('issued');
  });

  test('of one audience are worth nothing at another', async () => {
    const token = issued(await session([pay()]));
    expect(await reasonOf(await lab.spend(token, { audience: API, scope: 'deploy:read', authorization_details: json(pay()) }))).toBe('ceiling_exceeded');
  });

  test('are bound by each actor of the chain: what the searcher may not, nobody below may', async () => {
    const token = issued(await session([pay({ amount: 900 })]));
    expect(await reasonOf(await takeUp(issued(await handOn(token, 'agents/searcher', [pay({ amount: 900 })])), 'agents/searcher', [pay({ amount: 401 })]))).toBe('details_denied');
    const searcher = issued(await takeUp(issued(await handOn(token, 'agents/searcher', [pay({ amount: 900 })])), 'agents/searcher', [pay({ amount: 400 })]));
    const mailer = issued(await takeUp(issued(await handOn(searcher, 'tools/mailer', [pay({ amount: 400 })])), 'tools/mailer', [pay({ amount: 350 })]));
    expect(claimsOf(issued(await lab.spend(mailer, { audience: BILLING, scope: 'bills:read', authorization_details: json(pay({ amount: 350 })) })))['authorization_details']).toEqual([{ type: 'payment', actions: ['initiate'], amount: 350, currency: 'EUR' }]);
    expect(await reasonOf(await lab.spend(mailer, { audience: BILLING, scope: 'bills:read', authorization_details: json(pay({ amount: 351 })) }))).toBe('details_exceeded');
  });

  test('are kept by renewal, or shrink', async () => {
    const token = issued(await session([pay({ amount: 700 }), pay({ amount: 100, currency: 'USD' })]));
    const renew = (): Promise<Answer> => lab.ask({ subject_token: String(claimsOf(token)['sid']), subject_token_type: SESSION_TYPE, actor_token: lab.agent('agents/planner'), audience: '' });
    expect((await renew()).body['authorization_details']).toEqual(claimsOf(token)['authorization_details']);
    await lab.mayfly.apply({ policies: [{ domain: 'dev', name: 'no-large', owner: 'x', cedar: `forbid(principal, action, resource == ${detailOf('payment')}) when { resource.numbers.hasTag("amount") && resource.numbers.getTag("amount") > 600 };` }] });
    const shrunk = await renew();
    await lab.mayfly.admin('DELETE', 'policies/dev/no-large?reason=test');
    expect(shrunk.body['authorization_details']).toEqual([{ type: CEILING_TYPE, audience: BILLING, scopes: ['bills:read'], details: [{ type: 'payment', actions: ['initiate'], amount: 100, currency: 'USD' }] }]);
    const narrower = await lab.spend(token, { actor_token: lab.agent('agents/planner'), audience: '', authorization_details: ceiling([pay({ amount: 50 })]) });
    expect(claimsOf(issued(narrower))['authorization_details']).toMatchObject([{ details: [{ amount: 50 }] }]);
  });

  test('end with their type: what nobody understands any more is worth nothing', async () => {
    const token = issued(await session([pay()]));
    const apply = (details: readonly object[]): Promise<unknown> => lab.mayfly.apply({ resources: [{ domain: 'dev', audience: BILLING, scopes: ['bills:read', 'bills:pay'], served_by: ['svc/api'], owner: 'x', expires: '2027-06-01', details }] });
    const spend = (detail: Detail): Promise<Answer> => lab.spend(token, { audience: BILLING, scope: 'bills:read', authorization_details: json(detail) });
    await apply([{ ...PAYMENT, fields: { ...PAYMENT.fields, folder: { compare: 'prefix' } } }]);
    expect([await reasonOf(await spend(pay())), await reasonOf(await spend(pay({ folder: '/a' })))]).toEqual(['details_malformed', 'details_exceeded']);
    await apply([{ type: 'refund', fields: {} }]);
    expect(await reasonOf(await spend(pay()))).toBe('details_unknown');
    expect(await reasonOf(await lab.spend(token, { audience: BILLING, scope: 'bills:read' }))).toBe('issued');
    await apply([PAYMENT, { type: 'refund', fields: { amount: { compare: 'max' } } }]);
    expect(await reasonOf(await spend(pay()))).toBe('issued');
  });
});
