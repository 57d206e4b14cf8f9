import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createStrictSts } from '../../demo/strict-sts.ts';
import { runCli, withFolder } from '../cli/harness.ts';
import type { Outcome } from '../cli/harness.ts';
import type { Answer } from '../support/mayfly.ts';
import { ROLE_ARN, trustPolicy } from '../support/strict-sts.ts';
import { FAR, OWNER } from '../support/world.ts';
import { BOB, spiffe } from './agents-lab.ts';
import { PAY, startApprovalsLab } from './approvals-lab.ts';
import type { ApprovalsLab } from './approvals-lab.ts';
import { claimsOf } from './lab.ts';

let lab: ApprovalsLab;
beforeAll(async () => { lab = await startApprovalsLab(); });
afterAll(async () => { await lab.close(); });

const cli = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> => runCli(args, { env: { MAYFLY_SERVER: lab.mayfly.server.adminSocket, ...env } });
const save = (token: string): string => {
  const file = join(lab.mayfly.folder, 'token');
  writeFileSync(file, `${token}\n`);
  return file;
};
const ask = async (values: Readonly<Record<string, string>> = { scope: 'pay:send' }): Promise<{ readonly id: string; readonly answer: Answer }> => {
  const answer = await lab.defer(values);
  expect(answer.body).toMatchObject({ error: 'authorization_pending' });
  return { id: String(answer.body['approval_id']), answer };
};

describe('mayfly approval', () => {
  test('lists, shows, approves as the person whose token is given, and the agent gets what it asked for', async () => {
    const { id, answer } = await ask({ scope: 'pay:refund' });
    const listed = await cli(['approval', 'list', '--status', 'pending']);
    expect(listed.out.split('\n').find((line) => line.startsWith(id))).toMatch(/pending +dev +agents\/planner +urn:mayfly:dev:person:corp:alice .*payments-leads, security/);
    const shown = await cli(['approval', 'show', id]);
    expect(shown.out).toContain(`audience=${PAY}`);
    expect(shown.out).toContain('spiffe_id: spiffe://dev.127.0.0.1/agents/planner');
    expect((await cli(['approval', 'approve', id, '--token-file', save(lab.bob()), '--reason', 'looked at it'])).out).toBe(`${id} is pending, waits for security\n`);
    const last = await cli(['approval', 'approve', id, '--json'], { MAYFLY_ADMIN_TOKEN: lab.sue() });
    expect(JSON.parse(last.out)).toMatchObject({ id, status: 'approved', approved_by: [{ name: 'payments-leads', person: BOB }, { name: 'security' }] });
    expect(await lab.code(await lab.poll(answer.body['deferral_code']))).toBe('issued');
    expect(JSON.parse((await cli(['approval', 'list', '--status', 'redeemed', '--json'])).out)).toMatchObject({ items: [{ id, status: 'redeemed' }] });
  });

  test('denies for good, with a reason', async () => {
    const { id, answer } = await ask();
    expect((await cli(['approval', 'deny', id, '--token-file', save(lab.bob())])).code).toBe(2);
    expect((await cli(['approval', 'deny', id, '--token-file', save(lab.bob()), '--reason', 'not today'])).out).toBe(`${id} is denied\n`);
    const again = await cli(['approval', 'approve', id, '--token-file', save(lab.bob())]);
    expect([again.code, again.err]).toEqual([1, expect.stringMatching(/it is denied by urn:mayfly:dev:person:corp:bob[^]*next: see what became of it with `mayfly approval show`/)]);
    expect(await lab.code(await lab.poll(answer.body['deferral_code']))).toBe('approval_denied');
  });

  test.each([
    { name: 'nobody\'s token', token: undefined, says: /no token says which person you are \(approver_missing\)[^]*next: give --token-file FILE/ },
    { name: 'the token of the person acted for', token: () => lab.login('alice', ['payments-leads']), says: /\(approver_excluded\)[^]*next: ask somebody else/ },
    { name: 'the token of somebody who may not', token: () => lab.login('carl'), says: /\(approver_denied\)[^]*next: ask somebody whom a policy/ },
    { name: 'an agent\'s evidence', token: () => lab.agent('agents/planner'), says: /mayfly explain dec_/ },
  ])('says what to do with $name', async ({ token, says }) => {
    const { id } = await ask();
    const outcome = await cli(['approval', 'approve', id, ...(token === undefined ? [] : ['--token-file', save(token())])]);
    expect([outcome.code, outcome.out]).toEqual([1, '']);
    expect(outcome.err).toMatch(says);
    expect(await lab.show(id)).toMatchObject({ status: 'pending' });
  });

  test('says where to look for one that is not there', async () => {
    expect((await cli(['approval', 'show', 'apr_0'])).err).toContain('next: look it up with `mayfly approval list`');
  });
});

describe('mayfly token --deferred', () => {
  const run = (evidence: string, act: (waits: string) => Promise<unknown>, args?: readonly string[]): Promise<Outcome & { readonly polls: number }> => withFolder(async (folder) => {
    let [polls, acted] = [0, Promise.resolve<unknown>(undefined)];
    const outcome = await runCli(['token', '--issuer', lab.issuer, '--deferred', ...(args ?? ['--audience', PAY, '--scope', 'pay:send', '--dpop', join(folder, 'key.pem'), '-o', 'json'])], {
      env: { MAYFLY_ID_TOKEN: evidence },
      // No waiting: the server's clock goes on by what would be waited for, and on the second time somebody has done something.
      schedule: (milliseconds, work) => {
        polls += 1;
        if (polls === 2) acted = lab.mayfly.admin('GET', 'approvals?status=pending&domain=dev&workload=ci/runner').then(({ body }) => act((body['items'] as readonly { readonly id: string }[])[0]?.id ?? ''));
        void acted.then(() => lab.pass(milliseconds)).then(work);
        return () => undefined;
      },
    });
    return { ...outcome, polls };
  });
  const decide = (verb: string) => (id: string): Promise<unknown> => cli(['approval', verb, id, '--token-file', save(lab.bob()), '--reason', 'looked at it']);
  const SENDS = `permit(principal == Workload::"${spiffe('ci/runner')}", action == Action::"issue", resource == Scope::"${PAY}#pay:send");`;
  beforeAll(() => lab.mayfly.apply({ policies: [lab.policy('runner-sends', `@approval("payments-leads") ${SENDS}`)] }));

  test('says without it how to wait', async () => {
    const { code, err } = await runCli(['token', '--issuer', lab.issuer, '--audience', PAY, '--scope', 'pay:send'], { env: { MAYFLY_ID_TOKEN: lab.agent('ci/runner') } });
    expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(/refused \(invalid_request\): A person has to agree to this first\.[^]*`--deferred` asks again and waits/) });
  });

  test('waits until somebody agreed, and has the token of whoever holds the key', async () => {
    const { code, out, err, polls } = await run(lab.agent('ci/runner'), decide('approve'));
    expect({ code, polls }).toEqual({ code: 0, polls: 2 });
    const answer = JSON.parse(out) as { readonly access_token: string };
    expect(answer).toMatchObject({ token_type: 'DPoP', scope: 'pay:send' });
    expect(claimsOf(answer.access_token)).toMatchObject({ client_id: spiffe('ci/runner'), cnf: { jkt: expect.any(String) } });
    const id = /waiting for a person to agree to (apr_\w+)/.exec(err)?.[1];
    expect(await lab.show(id)).toMatchObject({ status: 'redeemed', approved_by: [{ person: BOB }] });
  });

  test('ends where somebody says no', async () => {
    const { code, out, err } = await run(lab.agent('ci/runner'), decide('deny'));
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain('refused (access_denied): A person said no to this request.');
  });

  test('has AWS keys, which need no key of its own', async () => {
    const sts = await createStrictSts({ issuerUrl: lab.issuer, clock: { now: () => lab.time.now }, roles: [{ arn: ROLE_ARN, trust: trustPolicy(lab.issuer, spiffe('ci/runner')) }] });
    await lab.mayfly.apply({
      resources: [{ domain: 'dev', audience: ROLE_ARN, provider: 'aws-sts', endpoint: sts.url, owner: OWNER, expires: FAR }],
      policies: [
        lab.policy('runner-aws', `@approval("payments-leads") permit(principal == Workload::"${spiffe('ci/runner')}", action == Action::"issue", resource == Resource::"${ROLE_ARN}");`),
        lab.policy('leads-approve-aws', `permit(principal in Group::"payments-leads", action == Action::"approve", resource == Resource::"${ROLE_ARN}");`),
      ],
    });
    const { code, out, err } = await run(lab.agent('ci/runner'), decide('approve'), ['--audience', ROLE_ARN]);
    await sts.close();
    expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining('is approved') });
    expect(JSON.parse(out)).toMatchObject({ Version: 1, AccessKeyId: expect.stringMatching(/^ASIA/) });
  });

  test('asks nobody where nobody is needed', async () => {
    await lab.mayfly.apply({ policies: [lab.policy('runner-just-sends', SENDS)] });
    const { code, err, polls } = await run(lab.agent('ci/runner'), () => Promise.resolve());
    await lab.remove('runner-just-sends');
    expect({ code, err, polls }).toEqual({ code: 0, err: '', polls: 0 });
  });
});
