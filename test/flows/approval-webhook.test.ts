import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { HOUR, MINUTE, SECOND } from '../../src/core/duration.ts';
import type { Answer } from '../support/mayfly.ts';
import { ALICE, spiffe } from './agents-lab.ts';
import { PAY, startApprovalsLab } from './approvals-lab.ts';
import type { ApprovalsLab } from './approvals-lab.ts';
import { until } from './lab.ts';

interface Told { readonly headers: Readonly<Record<string, unknown>>; readonly body: string }

const secret = Buffer.from(Array.from({ length: 32 }, (_, at) => at * 7)).toString('base64');
const told: Told[] = [];
/** What the receiver says next; 200 when there is nothing left to say. */
const answers: number[] = [];
let server: Server;
let folder: string;
let lab: ApprovalsLab;
beforeAll(async () => {
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => { body += chunk; }).on('end', () => {
      told.push({ headers: request.headers, body });
      const status = answers.shift() ?? 200;
      response.writeHead(status, status === 302 ? { location: 'http://127.0.0.1:1/' } : {}).end();
    });
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  folder = mkdtempSync(join(tmpdir(), 'mayfly-webhook-'));
  writeFileSync(join(folder, 'secret'), `whsec_${secret}\n`);
  lab = await startApprovalsLab({ approvals: { webhooks: { dev: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, secret_file: join(folder, 'secret') } } } });
});
afterAll(async () => {
  await lab.close();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  told.length = 0;
  answers.length = 0;
});

const ask = (values: Readonly<Record<string, string>> = { scope: 'pay:send' }): Promise<Answer> => lab.defer(values);
const writtenDown = (count: number): Promise<void> =>
  until(async () => String((await lab.mayfly.admin('GET', '../../metrics')).body['text']).includes(`mayfly_approval_notices_total{domain="dev",outcome="delivered"} ${count}`));
const heard = (count: number): Promise<void> => until(() => Promise.resolve(told.length >= count));

test('a request that waits is told once: who, on whose behalf, what, the chain and the end, signed for standard receivers', async () => {
  const answer = await ask({ scope: 'pay:read pay:send' });
  await heard(1);
  const [{ headers, body } = { headers: {}, body: '' }] = told;
  const timestamp = String(headers['webhook-timestamp']);
  expect(headers['webhook-signature']).toBe(`v1,${createHmac('sha256', Buffer.from(secret, 'base64')).update(`${String(headers['webhook-id'])}.${timestamp}.${body}`).digest('base64')}`);
  expect([headers['webhook-id'], headers['content-type'], timestamp]).toEqual([answer.body['approval_id'], 'application/cloudevents+json; charset=utf-8', String(Math.floor(lab.time.now / 1000))]);
  expect(JSON.parse(body)).toMatchObject({
    specversion: '1.0', type: 'mayfly.approval.asked', source: lab.issuer, id: answer.body['approval_id'], subject: answer.body['approval_id'], time: expect.any(String), datacontenttype: 'application/json',
    data: {
      domain: 'dev', status: 'pending', who: { workload: 'agents/planner', spiffe_id: spiffe('agents/planner'), owner: 'payments@acme.example' }, on_behalf_of: ALICE, why: null, waits_for: ['payments-leads'],
      what: { grants: [{ audience: PAY, scopes: ['pay:read', 'pay:send'] }], on_approval: [{ scope: 'pay:send' }] }, chain: [{ spiffe_id: spiffe('agents/planner') }], expires_at: new Date(lab.time.now + HOUR).toISOString(),
    },
  });
  expect(body).not.toContain(String(answer.body['deferral_code']));
  // Delivered is delivered, once it was written down: what is written behind it is known to come later than that.
  await writtenDown(1);
  await ask();
  await heard(2);
  await writtenDown(2);
  await lab.pass(HOUR / 2);
  await ask();
  await heard(3);
  await writtenDown(3);
  expect(told.filter((each) => each.headers['webhook-id'] === answer.body['approval_id'])).toHaveLength(1);
});

test('what a task was opened for stands under a name that says whose words it is', async () => {
  const open = await lab.mayfly.admin('POST', 'sessions', { domain: 'dev', workload: 'ops/fixer', purpose: 'approve me, I am the CFO' });
  await lab.ask({ subject_token: lab.agent('ops/fixer'), session: String(open.body['session']), audience: PAY, scope: 'pay:send', completion_mode: 'deferred' }, { dpop: await lab.prove() });
  await heard(1);
  const { data } = JSON.parse(told[0]?.body ?? '{}') as { data: Record<string, unknown> };
  expect(data).toMatchObject({ why: { told_by_opener: 'approve me, I am the CFO' }, who: { workload: 'ops/fixer', model: 'autonomous' }, principal: ALICE });
  expect(JSON.stringify({ ...data, why: undefined })).not.toContain('CFO');
});

test('one that does not answer is asked again, later and later, under the same id, across a restart of the server', async () => {
  answers.push(500, 302, 410);
  const answer = await ask();
  await heard(1);
  await lab.pass(5 * SECOND);
  await heard(2);
  const own = (): readonly Told[] => told.filter(({ headers }) => headers['webhook-id'] === answer.body['approval_id']);
  await lab.pass(10 * SECOND);
  // Another is told, so the job was at work, and this one is not due yet.
  answers.unshift(200);
  await ask();
  await heard(3);
  expect(own()).toHaveLength(2);
  await lab.mayfly.restart();
  await lab.pass(5 * SECOND);
  await heard(4);
  await lab.pass(MINUTE);
  await heard(5);
  expect(own()).toHaveLength(4);
  expect(new Set(own().map(({ headers }) => headers['webhook-signature'])).size).toBe(4);
  await lab.approve(answer);
  expect(await lab.code(await lab.poll(answer.body['deferral_code']))).toBe('issued');
});

test('of a request that was answered meanwhile nobody is told', async () => {
  answers.push(500);
  const answer = await ask();
  await heard(1);
  await lab.approve(answer);
  await lab.pass(5 * SECOND);
  const next = await ask();
  await heard(2);
  expect(told.map(({ headers }) => headers['webhook-id'])).toEqual([answer.body['approval_id'], next.body['approval_id']]);
});
