import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Answer } from '../support/mayfly.ts';
import { BOTH, READ, startAgentsLab } from './agents-lab.ts';
import type { AgentName, AgentsLab } from './agents-lab.ts';
import { ceilingOf, claimsOf, issued } from './lab.ts';

/** How much falls with a person or a hop, and what of it an admin is told. */
let lab: AgentsLab;
beforeAll(async () => { lab = await startAgentsLab({ change: withOther }); });
afterAll(async () => { await lab.close(); });

/** A second domain that knows people by an issuer of the same name. */
const withOther = (manifest: Record<string, object[]>): object => {
  const { domains = [], issuers = [], workloads = [] } = manifest;
  const other = (entry: object | undefined, more: object = {}): object => ({ ...entry, domain: 'other', ...more });
  return {
    ...manifest, domains: [...domains, { name: 'other', stage: 'development', owner: 'local' }], workloads: [...workloads, other(workloads[0])],
    issuers: [...issuers, other(issuers[0], { audiences: [{ client_id: 'other-domains-app', presenters: ['agents/planner'] }] }), other(issuers[1])],
  };
};
const person = (sub: string, domain = 'dev', issuer = 'corp'): string => `urn:mayfly:${domain}:person:${issuer}:${sub}`;
const revoke = (kind: string, id: string, more: object = {}): Promise<Answer> => lab.mayfly.admin('POST', 'revocations', { kind, id, reason: 'a test', ...more });
const enable = (kind: string, id: string): Promise<Answer> => lab.mayfly.admin('POST', 'enable', { kind, id });
const reasonOf = async (answer: Answer): Promise<string> => (answer.status === 200 ? 'issued' : lab.mayfly.reason(answer));
const logIn = (sub: string, sid = `${sub}-1`): Promise<string> => lab.session(BOTH, { subject_token: lab.idToken({ sub, sid }) });
const below = async (token: string, by: AgentName): Promise<string> => issued(await lab.takeUp(issued(await lab.handOn(token, by)), by));
const hopOf = async (token: string): Promise<string> => String((await lab.mayfly.admin('GET', `leases/${String(claimsOf(token)['jti'])}`)).body['hop']);
const active = async (...tokens: readonly string[]): Promise<readonly unknown[]> => Promise.all(tokens.map(async (token) => (await lab.mayfly.admin('GET', `leases/${String(claimsOf(token)['jti'])}`)).body['status']));

describe('revoking a person', () => {
  test('tells how much fell: of each of their logins and of every actor below, and of nobody else', async () => {
    const first = await logIn('dora');
    const child = await below(first, 'agents/searcher');
    const resource = issued(await lab.spend(child, { scope: 'deploy:read' }));
    const second = await logIn('dora', 'dora-2');
    const others = await logIn('emil');
    const answer = await revoke('person', person('dora'));
    // Two logins, one hand-over, what was taken up with it, and what that was spent on.
    expect(answer).toMatchObject({ status: 200, body: { revoked: `person:${person('dora')}`, leases: 5 } });
    expect(await active(first, child, resource, second, others)).toEqual(['revoked', 'revoked', 'revoked', 'revoked', 'active']);
    expect((await revoke('person', person('dora'))).body['leases']).toBe(0);
  });

  test('counts the tasks they are accountable for, with the agents of each', async () => {
    const task = String((await lab.mayfly.admin('POST', 'sessions', { domain: 'dev', workload: 'ops/fixer', purpose: 'mend' })).body['session']);
    const root = issued(await lab.ask({ subject_token: lab.agent('ops/fixer'), session: task, audience: '', authorization_details: ceilingOf(READ) }));
    const child = await below(root, 'agents/searcher');
    const answer = await revoke('person', person('alice'));
    expect(answer).toMatchObject({ status: 200, body: { leases: 3 } });
    expect(await active(root, child)).toEqual(['revoked', 'revoked']);
    expect((await enable('person', person('alice'))).body).toEqual({ enabled: `person:${person('alice')}` });
    expect(await active(root, child)).toEqual(['revoked', 'revoked']);
  });

  test('whom nobody has seen yet keeps them out until they are enabled', async () => {
    expect(await revoke('person', person('frank%20o%27hara'))).toMatchObject({ status: 200, body: { leases: 0 } });
    const later = (sid: string) => lab.plan({ subject_token: lab.idToken({ sub: 'frank o\'hara', sid, auth_time: Math.floor(Date.now() / 1000) + 5 }), scope: 'deploy:read' });
    expect(await reasonOf(await later('f-1'))).toBe('revoked');
    expect((await enable('person', person('frank%20o%27hara'))).status).toBe(200);
    expect(await reasonOf(await later('f-2'))).toBe('issued');
    expect((await enable('person', person('frank%20o%27hara'))).body['code']).toBe('parameter_invalid');
  });

  test('of one domain says nothing about who has the same name in another', async () => {
    expect((await revoke('person', person('gina', 'other'))).status).toBe(200);
    expect(await reasonOf(await lab.plan({ subject_token: lab.idToken({ sub: 'gina', sid: 'gina' }), scope: 'deploy:read' }))).toBe('issued');
  });

  test.each([
    { name: 'no URN', id: 'alice' },
    { name: 'no domain there', id: person('alice', 'nowhere') },
    { name: 'no issuer there', id: person('alice', 'dev', 'nobody') },
    { name: 'an issuer that proves workloads', id: person('alice', 'dev', 'platform') },
    { name: 'no subject', id: person('') },
    { name: 'what is written in another way, and would block nobody', id: person('frank%20o\'hara') },
    { name: 'percent-encoding in small letters', id: person('a%2fb') },
    { name: 'an encoded letter', id: person('%61lice') },
    { name: 'bytes that are no UTF-8', id: person('%FF') },
    { name: 'another domain beside it', id: person('alice'), domain: 'other' },
    { name: 'another kind of URN', id: 'urn:mayfly:dev:workload:corp:alice' },
  ])('of $name is 404, and no row', async ({ id, domain }) => {
    const before = (await audited()).length;
    expect(before).toBeGreaterThan(0);
    expect(await revoke('person', id, domain === undefined ? {} : { domain })).toMatchObject({ status: 404, body: { code: 'not_found', detail: expect.stringContaining('urn:mayfly:') } });
    expect(await audited()).toHaveLength(before);
    expect((await revoke('person', person('hugo'), { domain: 'dev' })).status).toBe(200);
  });
});

describe('revoking a workload', () => {
  test('counts the actors below it as well, wherever in a chain it stands', async () => {
    const top = await logIn('kim');
    const middle = await below(top, 'agents/searcher');
    const bottom = await below(middle, 'tools/mailer');
    const spent = issued(await lab.spend(bottom, { scope: 'deploy:read' }));
    const beside = await below(top, 'agents/a5');
    const others = (await items('workload=agents/searcher')).filter(({ session }) => session !== claimsOf(top)['sid']).length;
    const answer = await revoke('workload', 'agents/searcher', { domain: 'dev' });
    const fallen = await active(top, middle, bottom, spent, beside);
    await lab.mayfly.admin('POST', 'enable', { kind: 'workload', id: 'agents/searcher', domain: 'dev' });
    expect(fallen).toEqual(['active', 'revoked', 'revoked', 'revoked', 'active']);
    // Two of its own in this session and two below it, beside what other tests left.
    expect(answer.body['leases']).toBe(others + 4);
  });

  test('that ends with its entry counts them too', async () => {
    const top = await logIn('lea');
    const child = await below(top, 'agents/a6');
    const spent = issued(await lab.spend(await below(child, 'agents/a5'), { scope: 'deploy:read' }));
    const answer = await lab.mayfly.admin('DELETE', `workloads/dev/${encodeURIComponent('agents/a6')}?reason=test`);
    expect(answer).toMatchObject({ status: 200, body: { leases: 4 } });
    expect(await active(top, child, spent)).toEqual(['active', 'revoked', 'revoked']);
  });
});

describe('revoking a hop', () => {
  test('ends that actor and every one below it; who is above or beside goes on', async () => {
    const top = await logIn('iris');
    const middle = await below(top, 'agents/searcher');
    const bottom = await below(middle, 'tools/mailer');
    const beside = await below(top, 'agents/a5');
    const spent = issued(await lab.spend(bottom, { scope: 'deploy:read' }));
    const hop = await hopOf(middle);
    const answer = await revoke('hop', hop);
    // What the middle one holds and has handed on, what the one below holds, and what it has spent.
    expect(answer).toMatchObject({ status: 200, body: { revoked: `hop:${hop}`, leases: 4 } });
    expect(await active(top, middle, bottom, spent, beside)).toEqual(['active', 'revoked', 'revoked', 'revoked', 'active']);
    expect(await lab.introspect(spent)).toEqual({ active: false });
    for (const token of [middle, bottom]) expect(await reasonOf(await lab.spend(token, { scope: 'deploy:read' }))).toBe('revoked');
    for (const token of [top, beside]) expect(await reasonOf(await lab.spend(token, { scope: 'deploy:read' }))).toBe('issued');
  });

  test('is final', async () => {
    const hop = await hopOf(await logIn('jon'));
    expect((await revoke('hop', hop)).status).toBe(200);
    expect(await enable('hop', hop)).toMatchObject({ status: 400, body: { code: 'parameter_invalid' } });
    expect(await reasonOf(await lab.plan({ subject_token: lab.idToken({ sub: 'jon', sid: 'jon-1' }), audience: '', authorization_details: ceilingOf(BOTH) }))).toBe('revoked');
  });

  test.each([{ name: 'nobody has', id: `hop_${'0'.repeat(32)}` }, { name: 'is none', id: '\' OR 1=1' }, { name: 'is a lease', id: `lse_${'0'.repeat(32)}` }])('that $name is 404', async ({ id }) => {
    expect(await revoke('hop', id)).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });
});

const audited = async (): Promise<readonly string[]> => String((await lab.mayfly.admin('GET', 'audit')).body['text']).split('\n').filter((line) => line.includes('"revocation.made"'));
const items = async (query: string): Promise<readonly Record<string, unknown>[]> => (await lab.mayfly.admin('GET', `leases?domain=dev&active=true&limit=1000&${query}`)).body['items'] as readonly Record<string, unknown>[];
