import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createStrictSts } from '../../demo/strict-sts.ts';
import type { StrictSts, StsSession } from '../../demo/strict-sts.ts';
import { HOUR, MINUTE, SECOND } from '../../src/core/duration.ts';
import { authorityLimits } from '../../src/registry/limits.ts';
import type { Answer } from '../support/mayfly.ts';
import { ROLE_ARN, trustPolicy } from '../support/strict-sts.ts';
import { FAR, OWNER } from '../support/world.ts';
import { API, BILLING, DEPLOYER, SPIFFE, ceilingOf, claimsOf, issued, startLab, until } from './lab.ts';
import type { Lab } from './lab.ts';

/** A run's session lives 12 hours from the first evidence of the run, whoever asks for what in it afterwards. */
const LIFE = authorityLimits(undefined).sessionAge.bounded;
const CEILING = [{ audience: API, scopes: ['deploy:read'] }];
const UNPERMITTED = `${ROLE_ARN}-of-others`;
const BRIEF = { repository_id: '903', repository: 'acme/r903', sub: 'repo:acme/r903:ref:refs/heads/main' };

const time = { now: Date.UTC(2026, 10, 22, 12) };
let lab: Lab;
let sts: StrictSts;
beforeAll(async () => {
  const clock = { now: () => time.now };
  lab = await startLab({ clock });
  sts = await createStrictSts({ issuerUrl: lab.issuer, clock, roles: [{ arn: ROLE_ARN, trust: trustPolicy(lab.issuer, DEPLOYER) }] });
  await lab.mayfly.apply({
    resources: [ROLE_ARN, UNPERMITTED].map((audience) => ({ domain: 'dev', audience, provider: 'aws-sts', endpoint: sts.url, owner: OWNER, expires: FAR })),
    policies: [{ domain: 'dev', name: 'deployer-aws', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource == Resource::"${ROLE_ARN}");` }],
  });
});
afterAll(async () => {
  await sts.close();
  await lab.close();
});

const pass = async (milliseconds: number): Promise<void> => {
  time.now += milliseconds;
  await until(async () => (await fetch(`${lab.mayfly.url}/readyz`)).status === 200);
};
/** Tokens tell times in whole seconds, rounded down. */
const wholeSecond = (): Promise<void> => pass((SECOND - (time.now % SECOND)) % SECOND);
let runs = 70_000;
/** A run whose first evidence was shown just now: what it asks for, and when its session ends. */
const begin = async (): Promise<{ readonly run: { readonly run_id: string }; readonly end: number; readonly sid: unknown }> => {
  await wholeSecond();
  const run = { run_id: String(runs += 1) };
  const first = await lab.exchange({ subject_token: lab.job(run), scope: 'deploy:write' });
  return { run, end: time.now + LIFE, sid: claimsOf(issued(first))['sid'] };
};
const untilBefore = (end: number, milliseconds: number): Promise<void> => pass(end - milliseconds - time.now);
const ask = (run: { readonly run_id: string }, values: Readonly<Record<string, string>> = {}, evidence = lab.job(run)): Promise<Answer> => lab.exchange({ subject_token: evidence, scope: 'deploy:read', ...values });
const askAws = (run: { readonly run_id: string }): Promise<Answer> => lab.exchange({ subject_token: lab.job(run), audience: ROLE_ARN });
const askSession = (run: { readonly run_id: string }): Promise<Answer> => lab.mayfly.exchange({ subject_token: lab.job(run), authorization_details: ceilingOf(CEILING) });
const endOf = (token: string): number => Number(claimsOf(token)['exp']) * SECOND;
const iso = (at: number): string => new Date(at).toISOString().replace('.000Z', 'Z');

interface Keys { readonly AccessKeyId: string; readonly Expiration: string }
const keysOf = (answer: Answer): Keys => JSON.parse(issued(answer)) as Keys;
const sessionOf = ({ AccessKeyId }: Keys): StsSession | undefined => sts.sessions.find(({ accessKeyId }) => accessKeyId === AccessKeyId);

/** How many audit entries there are of each kind of outcome. */
const recorded = async (): Promise<{ readonly issued: number; readonly denied: number; readonly leases: number; readonly calls: number }> => {
  const { body } = await lab.mayfly.admin('GET', 'audit');
  const actions = String(body['text']).trim().split('\n').map((line) => (JSON.parse(line) as { readonly action: string }).action);
  return { issued: actions.filter((action) => action === 'exchange.issued').length, denied: actions.filter((action) => action === 'exchange.denied').length, leases: (await lab.leases()).length, calls: sts.calls.length };
};

describe('a run in its last three minutes', () => {
  test.each([
    { name: 'a resource token', get: ask, end: (answer: Answer) => endOf(issued(answer)), calls: 0 },
    { name: 'a session token', get: askSession, end: (answer: Answer) => endOf(issued(answer)), calls: 0 },
    { name: 'AWS keys', get: askAws, end: (answer: Answer) => Date.parse(keysOf(answer).Expiration), calls: 1 },
  ])('gets $name that ends with its session, recorded once', async ({ get, end, calls }) => {
    const { run, end: sessionEnd } = await begin();
    await untilBefore(sessionEnd, 3 * MINUTE);
    const before = await recorded();
    const answer = await get(run);
    expect({ until: end(answer), expires_in: answer.body['expires_in'] }).toEqual({ until: sessionEnd, expires_in: 180 });
    expect(await recorded()).toEqual({ issued: before.issued + 1, denied: before.denied, leases: before.leases + 1, calls: before.calls + calls });
    // Twin: a run that begins now has all the time it asks for.
    const young = await get((await begin()).run);
    expect(end(young)).toBeGreaterThan(sessionEnd);
  });

  test('gets AWS keys that AWS itself cuts off at the end of the session', async () => {
    const { run, end } = await begin();
    await untilBefore(end, 3 * MINUTE);
    const keys = keysOf(await askAws(run));
    const { durationSeconds, policy } = sessionOf(keys) ?? {};
    expect(durationSeconds).toBe(900);
    expect(policy?.Statement[0]).toMatchObject({ Effect: 'Allow', Condition: { DateLessThan: { 'aws:CurrentTime': iso(end) } } });
    expect(sts.permits(keys.AccessKeyId, 's3:GetObject', 'arn:aws:s3:::releases/v1')).toBe(true);
    await untilBefore(end, 0);
    expect(sts.permits(keys.AccessKeyId, 's3:GetObject', 'arn:aws:s3:::releases/v1')).toBe(false);
  });

  test('joins the one session of the run, and pays with its evidence as ever', async () => {
    const { run, end, sid } = await begin();
    await untilBefore(end, 3 * MINUTE);
    const evidence = lab.job(run);
    expect(claimsOf(issued(await ask(run, {}, evidence)))['sid']).toBe(sid);
    await lab.refused({ code: 'evidence_replayed', error: 'invalid_request' }, () => ask(run, {}, evidence));
    const { body } = await lab.mayfly.admin('GET', `sessions/${String(sid)}`);
    expect(body).toMatchObject({ status: 'active', expires_at: new Date(end).toISOString() });
    expect((body['hops'] as readonly { readonly expires_at: string }[]).map(({ expires_at }) => expires_at)).toEqual([new Date(end).toISOString(), new Date(end).toISOString()]);
  });

  test('spends a session token for tokens that end with the session, though its hop was opened hours after it', async () => {
    const { run, end } = await begin();
    await pass(6 * HOUR);
    await askSession(run);
    await untilBefore(end, 4 * MINUTE);
    const session = issued(await askSession(run));
    await untilBefore(end, 3 * MINUTE);
    expect(endOf(issued(await lab.spend(session, { scope: 'deploy:read' })))).toBe(end);
  });
});

describe('a run in its last second', () => {
  test.each([
    { name: 'a resource token', get: ask },
    { name: 'a session token', get: askSession },
    { name: 'AWS keys', get: askAws },
  ])('gets no $name, is told why, and keeps its evidence; nobody else is asked for any', async ({ get }) => {
    const { run, end } = await begin();
    await untilBefore(end, SECOND - 1);
    const before = await recorded();
    await lab.refused({ code: 'lifetime_exhausted', error: 'invalid_request' }, () => get(run));
    expect(await recorded()).toEqual({ ...before, denied: before.denied + 1 });
    expect((await get((await begin()).run)).status).toBe(200);
  });

  test('gets a token that lives for it when a whole second is left', async () => {
    const { run, end } = await begin();
    await untilBefore(end, SECOND);
    expect((await ask(run)).body['expires_in']).toBe(1);
  });
});

describe('a run whose session is over', () => {
  test.each([
    { name: 'a resource token', get: ask },
    { name: 'a session token', get: askSession },
    { name: 'AWS keys', get: askAws },
  ])('gets no $name, is told so once, and nobody else is asked for any', async ({ get }) => {
    const { run, end } = await begin();
    await untilBefore(end, 0);
    const before = await recorded();
    await lab.refused({ code: 'session_ended', error: 'invalid_request' }, () => get(run));
    expect(await recorded()).toEqual({ ...before, denied: before.denied + 1 });
    expect((await get((await begin()).run)).status).toBe(200);
  });

  test('leaves its evidence unspent, and does not learn which roles there are', async () => {
    const { run, end } = await begin();
    await untilBefore(end, 0);
    const evidence = lab.job(run);
    await lab.refused({ code: 'session_ended', error: 'invalid_request' }, () => ask(run, {}, evidence));
    await lab.refused({ code: 'session_ended', error: 'invalid_request' }, () => ask(run, {}, evidence));
    const there = await lab.exchange({ subject_token: evidence, audience: UNPERMITTED });
    const nowhere = await lab.exchange({ subject_token: evidence, audience: `${ROLE_ARN}-of-nobody` });
    expect([await lab.mayfly.reason(there), await lab.mayfly.reason(nowhere)]).toEqual(['target_denied', 'target_unknown']);
    expect({ ...there.body, decision_id: '' }).toEqual({ ...nowhere.body, decision_id: '' });
  });
});

describe('a run that began before its workload was revoked', () => {
  test('gets no AWS keys after it was enabled again, and AWS is not asked for any', async () => {
    const { run } = await begin();
    await lab.mayfly.admin('POST', 'revocations', { kind: 'workload', id: 'ci/deployer', domain: 'dev', reason: 'a test' });
    await lab.mayfly.admin('POST', 'enable', { kind: 'workload', id: 'ci/deployer', domain: 'dev' });
    const { calls } = await recorded();
    await lab.refused({ code: 'revoked', error: 'invalid_request' }, () => askAws(run));
    expect((await recorded()).calls).toBe(calls);
    keysOf(await askAws((await begin()).run));
  });
});

describe('a workload whose expiry was brought forward while its run goes on', () => {
  const register = (expires: number): Promise<Answer> => lab.mayfly.apply({
    workloads: [{ domain: 'dev', name: 'ci/brief', kind: 'pipeline', authority: 'bounded', owner: OWNER, expires: iso(expires), match: { issuer: 'github', repository_id: '903' } }],
  });
  const brief = { ...BRIEF, run_id: '903903' };

  test('gets nothing that outlives it, by evidence or by session token, nor when it is put back', async () => {
    await wholeSecond();
    const { now } = time;
    await register(now + 10 * HOUR);
    await lab.mayfly.apply({ policies: [{ domain: 'dev', name: 'brief-deploys', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${SPIFFE}/ci/brief", action == Action::"issue", resource in Resource::"${API}");` }] });
    const session = async (): Promise<string> => issued(await lab.mayfly.exchange({ subject_token: lab.job(brief), authorization_details: ceilingOf(CEILING) }));
    const token = async (): Promise<string> => issued(await lab.exchange({ subject_token: lab.job(brief), scope: 'deploy:write' }));
    await session();
    const end = now + HOUR;
    await register(end);
    await token();
    await pass(57 * MINUTE);
    expect([endOf(await token()), endOf(await session()), endOf(issued(await lab.spend(await session(), { scope: 'deploy:read' })))]).toEqual([end, end, end]);
    // The hop that was opened meanwhile still ends where it was to end; one that was there before goes on.
    await register(now + 10 * HOUR);
    expect([endOf(await token()), endOf(await session())]).toEqual([end, time.now + 5 * MINUTE]);
  });
});

describe('a policy that reads the age of the session', () => {
  test('sees the true one in the last minutes too, for tokens and for keys', async () => {
    const aged = (resource: string): string => `forbid(principal, action == Action::"issue", resource in Resource::"${resource}") when { context.session.age_seconds >= ${(LIFE - 2 * MINUTE) / SECOND} };`;
    const { run, end } = await begin();
    await lab.mayfly.apply({ policies: [BILLING, ROLE_ARN].map((resource, index) => ({ domain: 'dev', name: `aged-${index}`, owner: OWNER, cedar: aged(resource) })) });
    const bills = (): Promise<Answer> => ask(run, { audience: BILLING, scope: 'bills:read' });
    await untilBefore(end, 2 * MINUTE + SECOND);
    expect([endOf(issued(await bills())), Date.parse(keysOf(await askAws(run)).Expiration)]).toEqual([end, end]);
    await untilBefore(end, 2 * MINUTE);
    const { calls } = await recorded();
    await lab.refused({ code: 'target_denied', error: 'invalid_target' }, bills);
    await lab.refused({ code: 'target_denied', error: 'invalid_target' }, () => askAws(run));
    expect((await recorded()).calls).toBe(calls);
    expect(endOf(issued(await ask(run)))).toBe(end);
  });
});
