import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FAR, OWNER } from '../support/world.ts';
import { apiOf, startPlane } from './plane.ts';
import type { Plane } from './plane.ts';

let plane: Plane;
beforeAll(async () => { plane = await startPlane(); });
afterAll(async () => { await plane.close(); });

const issue = async (domain = 'dev'): Promise<string> => {
  const answer = await plane.mayfly.exchange({ subject_token: plane.evidence(domain), audience: apiOf(domain) }, {}, domain);
  return (JSON.parse(Buffer.from(String(answer.body['access_token']).split('.')[1] ?? '', 'base64url').toString()) as { jti: string }).jti;
};
const statusOf = async (lease: string): Promise<unknown> => (await plane.mayfly.admin('GET', `leases/${lease}`)).body['status'];
const revoke = (body: object) => plane.mayfly.admin('POST', 'revocations', { reason: 'a test', ...body });
const enable = (body: object) => plane.mayfly.admin('POST', 'enable', body);

describe('revoking a workload', () => {
  test('by its name needs its domain, and ends what that domain issued alone', async () => {
    const [dev, other] = [await issue('dev'), await issue('other')];
    expect(await revoke({ kind: 'workload', id: 'ci' })).toMatchObject({ status: 404 });
    expect(await revoke({ kind: 'workload', id: 'ci', domain: 'nowhere' })).toMatchObject({ status: 404 });
    const answer = await revoke({ kind: 'workload', id: 'ci', domain: 'dev' });
    expect(answer).toMatchObject({ status: 200, body: { leases: 1, ends_by_itself: [] } });
    expect([await statusOf(dev), await statusOf(other)]).toEqual(['revoked', 'active']);
    expect((await plane.audited('revocation.made')).at(-1)).toMatchObject({ by: 'local', target: answer.body['revoked'], reason: 'a test' });
  });

  test('blocks it until it is enabled, which revives nothing and happens once', async () => {
    const refused = await plane.mayfly.exchange({ subject_token: plane.evidence(), audience: apiOf('dev') });
    expect(await plane.mayfly.reason(refused)).toBe('revoked');
    const before = await plane.audited('revocation.lifted');
    expect(await enable({ kind: 'workload', id: 'ci', domain: 'dev' })).toMatchObject({ status: 200 });
    expect(await statusOf(await issue())).toBe('active');
    expect(await enable({ kind: 'workload', id: 'ci', domain: 'dev' })).toMatchObject({ status: 400, body: { code: 'parameter_invalid' } });
    expect(await enable({ kind: 'workload', id: 'ci', domain: 'other' })).toMatchObject({ status: 400 });
    expect(await plane.audited('revocation.lifted')).toHaveLength(before.length + 1);
  });

  test('by its id finds it, also where another\'s name looks like that id', async () => {
    const { id } = (await plane.mayfly.admin('GET', 'workloads/dev/ci')).body as { id: string };
    await plane.mayfly.apply({ workloads: [{ domain: 'dev', name: id, kind: 'service', authority: 'bounded', owner: OWNER, expires: FAR, match: { issuer: 'github', repository_id: '999' } }] });
    expect((await revoke({ kind: 'workload', id, domain: 'dev' })).body['revoked']).toBe(`workload:${id}`);
    expect((await enable({ kind: 'workload', id })).body['enabled']).toBe(`workload:${id}`);
  });

  test('twice is lifted at once', async () => {
    await revoke({ kind: 'workload', id: 'ci', domain: 'dev' });
    await revoke({ kind: 'workload', id: 'ci', domain: 'dev' });
    await enable({ kind: 'workload', id: 'ci', domain: 'dev' });
    expect(await statusOf(await issue())).toBe('active');
  });
});

describe('revoking', () => {
  test('an issuer ends what it proved, and what others proved goes on', async () => {
    const lease = await issue();
    expect(await revoke({ kind: 'issuer', id: 'github', domain: 'dev' })).toMatchObject({ status: 200 });
    expect(await statusOf(lease)).toBe('revoked');
    expect(await statusOf(await issue('other'))).toBe('active');
    await enable({ kind: 'issuer', id: 'github', domain: 'dev' });
  });

  test('a lease ends that one, and counts it once', async () => {
    const [one, two] = [await issue(), await issue()];
    expect((await revoke({ kind: 'lease', id: one })).body['leases']).toBe(1);
    expect((await revoke({ kind: 'lease', id: one })).body['leases']).toBe(0);
    expect([await statusOf(one), await statusOf(two)]).toEqual(['revoked', 'active']);
  });

  test('a session token\'s lease ends its hop with all that was exchanged from it', async () => {
    const session = await plane.mayfly.exchange({ subject_token: plane.evidence(), authorization_details: JSON.stringify([{ type: 'urn:mayfly:ceiling', audience: apiOf('dev'), scopes: ['read'] }]) });
    const token = String(session.body['access_token']);
    const child = await plane.mayfly.exchange({ subject_token: token, subject_token_type: 'urn:ietf:params:oauth:token-type:access_token', audience: apiOf('dev'), scope: 'read' });
    const jti = (of: string): string => (JSON.parse(Buffer.from(of.split('.')[1] ?? '', 'base64url').toString()) as { jti: string }).jti;
    const answer = await revoke({ kind: 'lease', id: jti(token) });
    expect(answer.body['revoked']).toMatch(/^hop:hop_/);
    expect(answer.body['leases']).toBe(2);
    expect(await statusOf(jti(String(child.body['access_token'])))).toBe('revoked');
  });

  test('the system domain is refused: no admin could come in any more', async () => {
    expect(await revoke({ kind: 'domain', id: 'system' })).toMatchObject({ status: 400, body: { code: 'parameter_invalid' } });
    expect(await plane.ops('POST', 'revocations', { kind: 'domain', id: 'system', reason: 'x' })).toMatchObject({ status: 400 });
    expect(await plane.ops('GET', 'domains')).toMatchObject({ status: 200 });
  });

  test('the issuer of the last admins shuts them out until the socket lets them in again', async () => {
    expect(await plane.ops('POST', 'revocations', { kind: 'issuer', id: 'staff', domain: 'system', reason: 'x' })).toMatchObject({ status: 200 });
    expect(await plane.ops('GET', 'domains')).toMatchObject({ status: 401 });
    expect(await enable({ kind: 'issuer', id: 'staff', domain: 'system' })).toMatchObject({ status: 200 });
    expect(await plane.ops('GET', 'domains')).toMatchObject({ status: 200 });
  });

  test.each([
    { name: 'a lease nobody has', body: { kind: 'lease', id: `lse_${'0'.repeat(32)}` } },
    { name: 'something that is no lease id', body: { kind: 'lease', id: '\' OR 1=1' } },
    { name: 'a session nobody has', body: { kind: 'session', id: 'A'.repeat(22) } },
    { name: 'a domain nobody has', body: { kind: 'domain', id: 'nowhere' } },
    { name: 'a workload by the id of an issuer', body: { kind: 'workload', id: `iss_${'0'.repeat(32)}` } },
  ])('$name is 404, and no row', async ({ body }) => {
    const before = (await plane.audited('revocation.made')).length;
    expect(await revoke(body)).toMatchObject({ status: 404 });
    expect(await plane.audited('revocation.made')).toHaveLength(before);
  });

  test('a whole domain ends all it issued, until it is enabled, and its admins are shut out with it', async () => {
    const [lease, elsewhere] = [await issue('dev'), await issue('other')];
    expect(await plane.devOps('GET', 'domains')).toMatchObject({ status: 200 });
    expect((await revoke({ kind: 'domain', id: 'dev' })).status).toBe(200);
    expect([await statusOf(lease), await statusOf(elsewhere)]).toEqual(['revoked', 'active']);
    const refused = await plane.mayfly.exchange({ subject_token: plane.evidence('dev'), audience: apiOf('dev') });
    expect(await plane.mayfly.reason(refused)).toBe('revoked');
    expect(await plane.devOps('POST', 'enable', { kind: 'domain', id: 'dev' })).toMatchObject({ status: 401, body: { code: 'admin_unauthenticated' } });
    expect(await plane.ops('POST', 'enable', { kind: 'domain', id: 'dev' })).toMatchObject({ status: 200, body: { enabled: expect.stringMatching(/^domain:dom_/) } });
    expect([await statusOf(lease), await statusOf(await issue('dev'))]).toEqual(['revoked', 'active']);
    expect(await plane.devOps('GET', 'domains')).toMatchObject({ status: 200 });
    expect((await plane.audited('revocation.lifted')).at(-1)).toMatchObject({ by: 'staff/ada', target: expect.stringMatching(/^domain:dom_/) });
  });
});

describe('enabling a domain', () => {
  const own = (domain: string, name: string, group: string, verb: string, on: string): object =>
    ({ domain, name, cedar: `permit(principal in Group::"${group}", action == Action::"admin::${verb}", resource == Domain::"${on}");`, owner: OWNER, expires: FAR });
  beforeAll(async () => {
    await plane.mayfly.apply({ policies: [own('system', 'near', 'near', 'enable', 'other'), own('system', 'far', 'far', 'enable', 'system')] });
    expect((await revoke({ kind: 'domain', id: 'other' })).status).toBe(200);
  });

  test.each([
    { who: 'its own admins', send: (id: string) => plane.devOps('POST', 'enable', { kind: 'domain', id }) },
    { who: 'who may enable what is in it', send: (id: string) => plane.ops('POST', 'enable', { kind: 'domain', id }, { sub: 'nell', groups: ['near'] }) },
  ])('is not for $who, revoked or not, there or not', async ({ send }) => {
    const before = (await plane.audited('revocation.lifted')).length;
    for (const id of ['dev', 'other', 'nowhere', 'system']) expect([id, (await send(id)).body['code']]).toEqual([id, 'admin_denied']);
    expect(await plane.audited('revocation.lifted')).toHaveLength(before);
    const refused = await plane.mayfly.exchange({ subject_token: plane.evidence('other'), audience: apiOf('other') }, {}, 'other');
    expect(await plane.mayfly.reason(refused)).toBe('revoked');
  });

  test('is decided in the system domain, by name or id, and happens once', async () => {
    const far = { sub: 'fay', groups: ['far'] };
    const { id } = (await plane.mayfly.admin('GET', 'domains/other')).body as { id: string };
    expect(await plane.ops('POST', 'enable', { kind: 'domain', id }, far)).toMatchObject({ status: 200, body: { enabled: `domain:${id}` } });
    expect(await statusOf(await issue('other'))).toBe('active');
    expect(await plane.ops('POST', 'enable', { kind: 'domain', id: 'other' }, far)).toMatchObject({ status: 400, body: { code: 'parameter_invalid' } });
  });

  test('is nothing for a domain that is not there, nor for the one that is never revoked', async () => {
    expect(await enable({ kind: 'domain', id: 'nowhere' })).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(await enable({ kind: 'domain', id: 'system' })).toMatchObject({ status: 400, body: { code: 'parameter_invalid' } });
    expect(await enable({ kind: 'domain', id: 'other', domain: 'dev' })).toMatchObject({ status: 400 });
  });
});

describe('who may not revoke', () => {
  const eve = { sub: 'eve', groups: ['sales'] };
  test('is told so for what is there and what is not alike', async () => {
    const lease = await issue();
    const answers = [await plane.ops('POST', 'revocations', { kind: 'lease', id: lease, reason: 'x' }, eve), await plane.ops('POST', 'revocations', { kind: 'lease', id: `lse_${'0'.repeat(32)}`, reason: 'x' }, eve)];
    expect(answers.map(({ status, body }) => [status, body['code']])).toEqual([[403, 'admin_denied'], [403, 'admin_denied']]);
    expect(await statusOf(lease)).toBe('active');
    expect(await plane.ops('POST', 'enable', { kind: 'workload', id: 'ci', domain: 'dev' }, eve)).toMatchObject({ status: 403 });
  });
});

describe('keys', () => {
  const keys = async (domain = 'dev') => (await plane.mayfly.admin('GET', `keys?domain=${domain}`)).body['items'] as readonly { kid: string; purpose: string; status: string }[];
  const current = async () => (await keys()).find(({ purpose, status }) => purpose === 'access' && status === 'current')?.kid ?? '';

  test('rotated by two admins at once publish one next key each time, and every call is answered', async () => {
    const answers = await Promise.all([1, 2, 3].map(() => plane.mayfly.admin('POST', 'keys/rotate', { domain: 'dev', purpose: 'access' })));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await keys()).filter(({ purpose, status }) => purpose === 'access' && status === 'next')).toHaveLength(1);
  });

  test('revoked leave JWKS at once, and what they signed falls; the next one signs', async () => {
    const lease = await issue();
    const kid = await current();
    expect(await plane.mayfly.admin('POST', `keys/${kid}/revoke`, { reason: 'leaked' })).toMatchObject({ status: 200 });
    expect(await statusOf(lease)).toBe('revoked');
    const jwks = await (await fetch(`${plane.mayfly.url}/dev/jwks.json`)).json() as { keys: { kid: string }[] };
    expect(jwks.keys.map((key) => key.kid)).not.toContain(kid);
    expect(await current()).not.toBe(kid);
    expect(await statusOf(await issue())).toBe('active');
    expect(await plane.mayfly.admin('POST', `keys/${kid}/revoke`, { reason: 'again' })).toMatchObject({ status: 409 });
  });

  test('revoked by two admins at once are revoked once', async () => {
    const kid = await current();
    const answers = await Promise.all([1, 2].map(() => plane.mayfly.admin('POST', `keys/${kid}/revoke`, { reason: 'leaked' })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    expect((await plane.audited('key.revoked')).filter((entry) => entry['reason'] === 'leaked' && entry['kid'] === kid)).toHaveLength(1);
    expect((await plane.audited('key.revoked')).every((entry) => entry['status'] === 'revoked')).toBe(true);
  });

  test('that are unknown are not revoked', async () => {
    expect(await plane.mayfly.admin('POST', 'keys/nobody/revoke', { reason: 'x' })).toMatchObject({ status: 404 });
    expect(await plane.devOps('POST', `keys/${(await keys('system'))[0]?.kid ?? ''}/revoke`, { reason: 'x' })).toMatchObject({ status: 404 });
  });

  test('are rewrapped where they are not under the current key-encryption key, so here none is', async () => {
    expect(await plane.mayfly.admin('POST', 'keys/rewrap', {})).toMatchObject({ status: 200, body: { rewrapped: 0 } });
  });
});

describe('simulate and explain', () => {
  test('consume nothing: the evidence pays for a credential afterwards', async () => {
    const token = plane.evidence();
    const answer = await plane.mayfly.admin('POST', 'simulate', { domain: 'dev', token, audience: apiOf('dev'), scope: 'read' });
    expect(answer.body).toMatchObject({ allow: true, workload: 'ci', decisions: [{ scope: 'read', allow: true, policies: ['all@1'] }] });
    expect((await plane.mayfly.exchange({ subject_token: token, audience: apiOf('dev') })).status).toBe(200);
  });

  test('say where a request would stop', async () => {
    const shown = { domain: 'dev', issuer: 'github', attributes: { repository_id: '815', ref: 'refs/heads/main', event_name: 'push' } };
    expect((await plane.mayfly.admin('POST', 'simulate', { ...shown, audience: 'https://nowhere.example' })).body).toMatchObject({ allow: false, stopped_by: { code: 'target_unknown' } });
    expect((await plane.mayfly.admin('POST', 'simulate', { ...shown, attributes: { repository_id: '1' }, audience: apiOf('dev') })).body).toMatchObject({ allow: false, stopped_by: { code: 'workload_unknown' } });
    expect((await plane.mayfly.admin('POST', 'simulate', { ...shown, audience: apiOf('dev'), scope: 'write' })).body).toMatchObject({ allow: false, stopped_by: { code: 'scope_unknown' } });
  });
});
