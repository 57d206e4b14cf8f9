import { describe, expect, test } from '@jest/globals';
import { runCli, startPeer } from '../harness.ts';
import type { Received, Reply } from '../harness.ts';

const talk = async (args: readonly string[], answer: (request: Received) => Reply) => {
  const peer = await startPeer(answer);
  const outcome = await runCli([...args, '--server', peer.url], { env: { MAYFLY_ADMIN_TOKEN: 't' } });
  await peer.close();
  return { ...outcome, received: peer.received.map(({ method, path, body }) => ({ method, path, body: body === '' ? undefined : (JSON.parse(body) as unknown) })) };
};
const SID = 'xbUuf1zRijsa2kYLv5dvKA';

describe('session open', () => {
  const opened = { body: { session: SID, domain: 'prod', workload: 'ops/fixer', principal: 'urn:mayfly:prod:person:corp:ada', purpose: 'mend', expires_at: '2027-01-15T18:00:00.000Z', budgets: { tokens: 5 } } };
  const answer = ({ method }: Received): Reply => (method === 'GET' ? { body: { items: [{ name: 'system' }, { name: 'prod' }] } } : opened);

  test('asks for a task with its purpose, deadline and budgets, and nothing that was not said', async () => {
    const { code, out, received } = await talk(['session', 'open', 'ops/fixer', '--purpose', 'mend', '--deadline', '2027-01-15T19:00+01:00', '--max-tokens', '5', '--max-agents', '3', '--max-resources', '2', '--max-spend', '1000000000'], answer);
    expect(code).toBe(0);
    expect(received.at(-1)).toEqual({ method: 'POST', path: '/admin/v1/sessions', body: { domain: 'prod', workload: 'ops/fixer', purpose: 'mend', deadline: '2027-01-15T18:00:00.000Z', budgets: { tokens: 5, agents: 3, resources: 2, spend: 1_000_000_000 } } });
    expect(out).toContain(`session: ${SID}\n`);
    const bare = await talk(['session', 'open', 'ops/fixer', '--purpose', 'mend', '--domain', 'prod'], answer);
    expect(bare.received).toEqual([{ method: 'POST', path: '/admin/v1/sessions', body: { domain: 'prod', workload: 'ops/fixer', purpose: 'mend', budgets: {} } }]);
    expect(JSON.parse((await talk(['session', 'open', 'ops/fixer', '--purpose', 'mend', '--json'], answer)).out)).toEqual(opened.body);
  });

  test.each([{ span: '90m', minutes: 90 }, { span: '8h', minutes: 480 }, { span: '2d', minutes: 2880 }])('takes a span from now: $span', async ({ span, minutes }) => {
    const before = Date.now();
    const { received } = await talk(['session', 'open', 'ops/fixer', '--purpose', 'mend', '--deadline', span], answer);
    const { deadline } = received.at(-1)?.body as { readonly deadline: string };
    expect(deadline).toMatch(/Z$/);
    expect(Date.parse(deadline) - minutes * 60_000).toBeGreaterThanOrEqual(before);
    expect(Date.parse(deadline) - minutes * 60_000).toBeLessThanOrEqual(Date.now());
  });

  test.each([
    { name: 'no purpose', args: [] },
    { name: 'a span of nothing', args: ['--purpose', 'p', '--deadline', '0h'] },
    { name: 'a moment without its offset', args: ['--purpose', 'p', '--deadline', '2027-01-15T18:00:00'] },
    { name: 'a moment that is none', args: ['--purpose', 'p', '--deadline', '2027-13-15T18:00:00Z'] },
    { name: 'a word for a moment', args: ['--purpose', 'p', '--deadline', 'tomorrow'] },
    { name: 'a budget of nothing', args: ['--purpose', 'p', '--max-tokens', '0'] },
    { name: 'a budget beyond what the API takes', args: ['--purpose', 'p', '--max-spend', '1000000001'] },
    { name: 'part of a budget', args: ['--purpose', 'p', '--max-agents', '1.5'] },
  ])('with $name is bad input, and nothing is asked', async ({ args }) => {
    const { code, received } = await talk(['session', 'open', 'ops/fixer', ...args], answer);
    expect({ code, asked: received.length }).toEqual({ code: 2, asked: 0 });
  });
});

describe('session end', () => {
  const end = (ended: boolean) => talk(['session', 'end', SID, '--reason', 'done'], () => ({ body: { session: SID, ended, at: '2027-01-15T18:00:00.000Z' } }));

  test('says when it ended, or that it had ended before', async () => {
    const first = await end(true);
    expect(first).toMatchObject({ code: 0, out: `session ${SID} ended at 2027-01-15T18:00:00.000Z\n` });
    expect(first.received).toEqual([{ method: 'POST', path: `/admin/v1/sessions/${SID}/end`, body: { reason: 'done' } }]);
    expect((await end(false)).out).toBe(`session ${SID} had been ended before: nothing changed\n`);
  });

  test('needs a reason', async () => {
    expect((await talk(['session', 'end', SID], () => ({}))).code).toBe(2);
  });
});
