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

describe('session show', () => {
  const hop = (id: string, parent: string | null, more: object = {}): object => ({
    id, parent, actor: `spiffe://prod.acme.example/${id}`, workload: id, owner: 'team@acme.example', status: 'active', bound_to: null, expires_at: '2027-01-15T18:00:00Z',
    ceiling: [], decision: null, policies: [], used: [], ...more,
  });
  const session = (hops: readonly object[], more: object = {}): object =>
    ({ id: SID, status: 'active', domain: 'prod', model: 'delegated', person: 'urn:mayfly:prod:person:corp:ada', principal: 'urn:mayfly:prod:person:corp:ada', issuer: 'corp', started_at: '2027-01-15T17:00:00Z', expires_at: '2027-01-15T18:00:00Z', hops, ...more });
  const draw = async (body: unknown, ...args: readonly string[]) => talk(['session', 'show', SID, ...args], () => ({ body }));
  const titles = (out: string): readonly string[] => out.split('\n').filter((line) => line.includes('spiffe://')).map((line) => line.replace(/ {2}spiffe.*/, ''));

  test('draws who acts below whom, in any order of the answer', async () => {
    const { code, out } = await draw(session([hop('c', 'b'), hop('a', null), hop('d', 'a'), hop('b', 'a')]));
    expect(code).toBe(0);
    expect(titles(out)).toEqual(['a', '├─ d', '└─ b', '   └─ c']);
  });

  test('leaves nobody out whose parent is not in the answer, and says that there are more', async () => {
    const { out } = await draw(session([hop('a', null), hop('x', 'gone')], { more_hops: true, more_uses: true }));
    expect(titles(out)).toEqual(['a', 'x']);
    expect(out).toContain('there are more actors than these\nsome older uses are left out');
  });

  test('lets no name steer the terminal', async () => {
    const { out } = await draw(session([hop('a', null, { workload: 'a\u001b[2J\u202e', policies: ['p\u0007@1'], because: { reason: 'r\nx' } })], { purpose: 'p\u001b]0;x', budgets: { 'k\u001b': { most: 1, used: 0 } } }));
    // eslint-disable-next-line no-control-regex -- these are the characters it is about
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
    expect(out).toContain('a\\u001b[2J\\u202e');
  });

  test('gives the answer itself as JSON, and a name to what it cannot read', async () => {
    expect(JSON.parse((await draw(session([hop('a', null)], { anything: 1 }), '--json')).out)).toEqual(session([hop('a', null)], { anything: 1 }));
    expect(await draw({ id: SID })).toMatchObject({ code: 1, err: expect.stringContaining('use the same version of mayfly as the server') });
  });
});
