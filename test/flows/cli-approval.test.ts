import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { runCli } from '../cli/harness.ts';
import type { Outcome } from '../cli/harness.ts';
import type { Answer } from '../support/mayfly.ts';
import { BOB } from './agents-lab.ts';
import { PAY, startApprovalsLab } from './approvals-lab.ts';
import type { ApprovalsLab } from './approvals-lab.ts';

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
