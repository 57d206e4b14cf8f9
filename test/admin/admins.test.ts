import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FAR, OWNER } from '../support/world.ts';
import { apiOf, startPlane } from './plane.ts';
import type { Plane } from './plane.ts';
import type { Answer } from '../support/mayfly.ts';

let plane: Plane;
beforeAll(async () => { plane = await startPlane(); });
afterAll(async () => { await plane.close(); });

const names = (items: unknown): readonly string[] => (items as readonly Record<string, string>[]).map((item) => `${item['domain']}/${item['name']}`);
const workload = (domain: string, name: string, more: object = {}) => ({ domain, name, kind: 'service', authority: 'bounded', owner: OWNER, expires: FAR, match: { issuer: 'github', repository_id: `9${name.length}${name}` }, ...more });
const apply = (manifest: object, dry_run = false) => ({ manifest, dry_run, prune: false });
const issue = async (domain: string): Promise<{ readonly lease: string; readonly session: string; readonly decision: string }> => {
  const answer = await plane.mayfly.exchange({ subject_token: plane.evidence(domain), audience: apiOf(domain), scope: 'read' }, {}, domain);
  const claims = JSON.parse(Buffer.from(String(answer.body['access_token']).split('.')[1] ?? '', 'base64url').toString()) as { jti: string; sid: string };
  const lease = await plane.mayfly.admin('GET', `leases/${claims.jti}`);
  return { lease: claims.jti, session: claims.sid, decision: String(lease.body['decision']) };
};

describe('an admin of one domain', () => {
  test('who names no domain means that one', async () => {
    await issue('dev');
    await issue('other');
    expect(names((await plane.devOps('GET', 'workloads')).body['items'])).toEqual(['dev/ci']);
    expect(names((await plane.ops('GET', 'workloads')).body['items'])).toEqual(['dev/ci', 'other/ci']);
    for (const path of ['leases', 'sessions', 'keys']) {
      const { status, body } = await plane.devOps('GET', path);
      expect([path, status, new Set((body['items'] as readonly { domain: string }[]).map(({ domain }) => domain))]).toEqual([path, 200, new Set(['dev'])]);
      const all = await plane.ops('GET', path);
      expect((all.body['items'] as readonly { domain: string }[]).some(({ domain }) => domain === 'other')).toBe(true);
    }
    const findings = await plane.devOps('GET', 'lint');
    expect(new Set((findings.body['findings'] as readonly { domain: string }[]).map(({ domain }) => domain))).toEqual(new Set(['dev']));
  });

  test.each([
    { name: 'list another domain', method: 'GET' as const, path: 'workloads?domain=other' },
    { name: 'show an entry of another domain', method: 'GET' as const, path: 'workloads/other/ci' },
    { name: 'show another domain', method: 'GET' as const, path: 'domains/other' },
    { name: 'read the audit log, which spans all', method: 'GET' as const, path: 'audit' },
    { name: 'rotate another domain\'s keys', method: 'POST' as const, path: 'keys/rotate', body: { domain: 'other', purpose: 'access' } },
    { name: 'end an entry of another domain', method: 'DELETE' as const, path: 'workloads/other/ci?reason=x' },
    { name: 'simulate in another domain', method: 'POST' as const, path: 'simulate', body: { domain: 'other', issuer: 'github', attributes: {}, audience: 'x' } },
    { name: 'rewrap every domain\'s keys', method: 'POST' as const, path: 'keys/rewrap', body: {} },
    { name: 'make a domain', method: 'PUT' as const, path: 'domains/mine', body: { stage: 'development', owner: OWNER } },
    { name: 'change their own domain\'s entry', method: 'PUT' as const, path: 'domains/dev', body: { stage: 'development', owner: 'eve@acme.example' } },
  ])('cannot $name', async ({ method, path, body }) => {
    expect(await plane.devOps(method, path, body)).toMatchObject({ status: 403, body: { code: 'admin_denied' } });
  });

  test('gets the same answer for what is in another domain and for what is nowhere', async () => {
    const theirs = await issue('other');
    const ours = await issue('dev');
    const none = { lease: `lse_${'0'.repeat(32)}`, session: 'A'.repeat(22), decision: `dec_${'0'.repeat(32)}` };
    for (const [section, kind] of [['leases', 'lease'], ['sessions', 'session'], ['decisions', 'decision']] as const) {
      const [far, nowhere, near] = [await plane.devOps('GET', `${section}/${theirs[kind]}`), await plane.devOps('GET', `${section}/${none[kind]}`), await plane.devOps('GET', `${section}/${ours[kind]}`)];
      expect([section, far.status, far.body['code'], nowhere.status, nowhere.body['code'], near.status]).toEqual([section, 404, 'not_found', 404, 'not_found', 200]);
      expect(String(far.body['detail']).replace(theirs[kind], '')).toBe(String(nowhere.body['detail']).replace(none[kind], ''));
    }
    for (const kind of ['lease', 'session'] as const) {
      expect(await plane.devOps('POST', 'revocations', { kind, id: theirs[kind], reason: 'x' })).toMatchObject({ status: 404 });
      expect(await plane.mayfly.admin('GET', `${kind}s/${theirs[kind]}`)).toMatchObject({ body: { status: 'active' } });
      expect(await plane.devOps('POST', 'revocations', { kind, id: ours[kind], reason: 'x' })).toMatchObject({ status: 200 });
    }
  });

  test('changes that domain, and a file that touches another is refused whole', async () => {
    const refused = await plane.devOps('POST', 'apply', apply({ workloads: [workload('dev', 'a'), workload('other', 'b')] }));
    expect(refused).toMatchObject({ status: 403, body: { code: 'admin_denied' } });
    expect(await plane.mayfly.admin('GET', 'workloads/dev/a')).toMatchObject({ status: 404 });
    expect(await plane.devOps('POST', 'apply', apply({ domains: [{ name: 'dev', stage: 'development', owner: 'platform@example.com' }], workloads: [workload('dev', 'a')] }, true))).toMatchObject({ status: 200 });
    expect(await plane.devOps('POST', 'apply', apply({ workloads: [workload('dev', 'a')] }))).toMatchObject({ status: 200, body: { applied: true } });
    expect(await plane.devOps('DELETE', 'workloads/dev/a?reason=test')).toMatchObject({ status: 200 });
  });

  test('learns nothing of another domain from the problems of a file', async () => {
    const answer = await plane.devOps('POST', 'apply', apply({ workloads: [workload('othr', 'b')], resources: [{ domain: 'other', audience: 'https://x.example', scopes: [], served_by: ['cj'], owner: OWNER, expires: FAR }] }, true));
    expect(answer).toMatchObject({ status: 403, body: { code: 'admin_denied' } });
    expect(JSON.stringify(answer.body)).not.toMatch(/did you mean|\bci\b/);
  });

  test('cannot register who proves admins, neither anew nor by a change', async () => {
    const issuer = { kind: 'oidc', proves: 'admins', issuer: 'https://evil.example', owner: OWNER, expires: FAR };
    expect(await plane.devOps('PUT', 'issuers/dev/evil', issuer)).toMatchObject({ status: 403, body: { code: 'admin_denied' } });
    expect(await plane.devOps('PUT', 'issuers/dev/dev-staff', { ...issuer, issuer: 'https://login.dev.example', owner: 'eve@acme.example' })).toMatchObject({ status: 403 });
    expect(await plane.devOps('PUT', 'issuers/dev/works', { ...issuer, proves: 'workloads', anchor: 'jti' })).toMatchObject({ status: 200 });
    expect(await plane.devOps('PUT', 'issuers/dev/works', { ...issuer })).toMatchObject({ status: 403 });
    expect((await plane.mayfly.admin('GET', 'issuers/dev/works')).body['proves']).toBe('workloads');
    expect(await plane.ops('PUT', 'issuers/dev/works', { ...issuer })).toMatchObject({ status: 200 });
  });

  test('cannot let an issuer reach inside, neither anew nor by a change', async () => {
    const issuer = { kind: 'oidc', issuer: 'https://inside.example', owner: OWNER, expires: FAR };
    const inside = { ...issuer, allow_addresses: ['10.1.2.3/32'] };
    expect(await plane.devOps('PUT', 'issuers/dev/inside', inside)).toMatchObject({ status: 403 });
    expect(await plane.devOps('PUT', 'issuers/dev/inside', issuer)).toMatchObject({ status: 200 });
    expect(await plane.devOps('PUT', 'issuers/dev/inside', inside)).toMatchObject({ status: 403 });
    expect(await plane.ops('PUT', 'issuers/dev/inside', inside)).toMatchObject({ status: 200 });
    expect(await plane.devOps('PUT', 'issuers/dev/inside', { ...inside, issuer: 'https://elsewhere.example' })).toMatchObject({ status: 403 });
  });
});

describe('a file that clashes with another domain', () => {
  const SHARED = 'https://shared.example';
  const issuer = (domain: string, name: string, more: object = {}) => ({ domain, name, kind: 'oidc', issuer: `https://${name}.example`, audience: SHARED, owner: OWNER, expires: FAR, ...more });
  const team = { sub: 'tim', groups: ['dev-team'] };
  beforeAll(async () => {
    await plane.mayfly.apply({
      issuers: [issuer('other', 'treasury'), issuer('other', 'vault')],
      policies: [{ domain: 'system', name: 'dev-team-has-dev', cedar: 'permit(principal in Group::"dev-team", action in Action::"admin", resource == Domain::"dev");', owner: OWNER, expires: FAR }],
    });
  });
  const clash = apply({ issuers: [issuer('dev', 'mine')] });
  const problemsOf = (answer: Answer): readonly { readonly path: string; readonly message: string; readonly mend: string }[] => answer.body['problems'] as never;

  test.each([
    { who: 'an admin of one domain', send: (body: object) => plane.devOps('POST', 'apply', body) },
    { who: 'an admin of the installation whose policy is about one domain', send: (body: object) => plane.ops('POST', 'apply', body, team) },
  ])('tells $who so once and what to do, not whose it is', async ({ send }) => {
    for (const body of [clash, { ...clash, dry_run: true }]) {
      const answer = await send(body);
      expect([answer.status, answer.body['code'], problemsOf(answer).map(({ path }) => path)]).toEqual([422, 'manifest_invalid', ['issuers[0].audience']]);
      expect(problemsOf(answer)[0]?.mend).toContain('choose another audience');
      expect(JSON.stringify(answer.body)).not.toMatch(/treasury|vault|\bother\b/);
    }
    expect((await send(apply({ issuers: [issuer('dev', 'mine', { audience: 'https://own.example' })] }, true))).status).toBe(200);
  });

  test.each([
    { who: 'whoever opened the socket', send: (body: object) => plane.mayfly.admin('POST', 'apply', body) },
    { who: 'an admin of the installation', send: (body: object) => plane.ops('POST', 'apply', body) },
  ])('tells $who whose', async ({ send }) => {
    const messages = problemsOf(await send(clash)).map(({ message }) => message);
    expect(messages).toEqual([expect.stringContaining('other/treasury'), expect.stringContaining('other/vault')]);
  });

  test('names to an admin of one domain what is of that domain or of the file itself', async () => {
    const own = await plane.devOps('POST', 'apply', apply({ issuers: [issuer('dev', 'mine', { audience: `${plane.mayfly.url}/dev/admin` })] }, true));
    expect(problemsOf(own).map(({ message }) => message)).toContainEqual(expect.stringContaining('dev/dev-staff'));
    const file = await plane.devOps('POST', 'apply', apply({ issuers: [issuer('dev', 'mine', { audience: 'https://own.example' }), issuer('dev', 'ours', { audience: 'https://own.example', proves: 'admins' })] }, true));
    expect(problemsOf(file).map(({ message }) => message)).toEqual([expect.stringContaining('dev/ours'), expect.stringContaining('dev/mine')]);
  });

  test('does not tell an admin of one domain which other has a SPIFFE name', async () => {
    await plane.mayfly.apply({ domains: [{ name: 'hidden', stage: 'development', spiffe: 'payroll.acme.example', owner: OWNER }] });
    const file = apply({ domains: [{ name: 'dev', stage: 'development', spiffe: 'payroll.acme.example', owner: OWNER }] }, true);
    const [far, near] = [await plane.devOps('POST', 'apply', file), await plane.mayfly.admin('POST', 'apply', file)];
    expect([far.status, near.status]).toEqual([422, 422]);
    expect(JSON.stringify(far.body)).not.toContain('hidden');
    expect(JSON.stringify(near.body)).toContain('hidden');
  });

  test('aside, another domain is refused with the same words as one that does not exist', async () => {
    const [far, nowhere] = [await plane.devOps('GET', 'workloads?domain=other'), await plane.devOps('GET', 'workloads?domain=nowhere')];
    expect([far.status, nowhere.status]).toEqual([403, 403]);
    const words = ({ body }: typeof far): string => String(body['detail']).replace(/dec_[0-9a-f]{32}$/, '');
    expect(words(far)).toBe(words(nowhere));
    expect((await plane.devOps('GET', 'workloads?domain=dev')).status).toBe(200);
  });
});

describe('an admin action that is refused', () => {
  test('is in the audit log with who and what, and changes nothing', async () => {
    const before = (await plane.audited('admin.denied')).length;
    const eve = { sub: 'eve', groups: ['sales'] };
    expect(await plane.ops('PUT', 'workloads/dev/evil', workload('dev', 'evil'), eve)).toMatchObject({ status: 403 });
    expect(await plane.ops('GET', 'leases', undefined, eve)).toMatchObject({ status: 403 });
    expect((await plane.audited('admin.denied')).slice(before)).toMatchObject([{ by: 'staff/eve', verb: 'apply', code: 'admin_denied' }, { by: 'staff/eve', verb: 'list', code: 'admin_denied' }]);
    expect(await plane.mayfly.admin('GET', 'workloads/dev/evil')).toMatchObject({ status: 404 });
  });

  test('for want of a token is 401 and not in the log', async () => {
    const before = (await plane.audited('admin.denied')).length;
    expect(await plane.call('GET', 'leases', {})).toMatchObject({ status: 401, body: { code: 'admin_unauthenticated' } });
    expect(await plane.call('GET', 'leases', { authorization: `Bearer ${plane.evidence()}` })).toMatchObject({ status: 401 });
    expect((await plane.audited('admin.denied')).length).toBe(before);
  });
});

describe('one entry', () => {
  test('whose body says another domain or name than the path is refused', async () => {
    const put = (path: string, body: object) => plane.mayfly.admin('PUT', path, body);
    expect(await put('workloads/dev/w', workload('other', 'w'))).toMatchObject({ status: 400, body: { code: 'parameter_invalid' } });
    expect(await put('workloads/dev/w', workload('dev', 'v'))).toMatchObject({ status: 400 });
    expect(await put('domains/new', { name: 'old', stage: 'development', owner: OWNER })).toMatchObject({ status: 400 });
    expect(await put('workloads/dev/w', [])).toMatchObject({ status: 400 });
    expect(await put('workloads/dev/w', workload('dev', 'w'))).toMatchObject({ status: 200 });
  });

  test('is shown as it is now, with its version, until it ends', async () => {
    await plane.mayfly.admin('PUT', 'workloads/dev/shown', workload('dev', 'shown'));
    await plane.mayfly.admin('PUT', 'workloads/dev/shown', workload('dev', 'shown', { kind: 'agent' }));
    expect(await plane.mayfly.admin('GET', 'workloads/dev/shown')).toMatchObject({ status: 200, body: { domain: 'dev', name: 'shown', kind: 'agent', version: 2, status: 'live', changed_by: 'local' } });
    await plane.mayfly.admin('DELETE', 'workloads/dev/shown?reason=test');
    expect(await plane.mayfly.admin('GET', 'workloads/dev/shown')).toMatchObject({ status: 404 });
  });

  test('is listed by domain and name, page by page', async () => {
    await plane.mayfly.apply({ workloads: ['p/1', 'p/2', 'p/3'].map((name) => workload('dev', name)) });
    const seen: string[] = [];
    let after: string | undefined = '';
    while (after !== undefined) {
      const { body } = await plane.mayfly.admin('GET', `workloads?limit=2${after === '' ? '' : `&after=${encodeURIComponent(after)}`}`);
      seen.push(...names(body['items']));
      after = body['next'] as string | undefined;
    }
    expect(seen).toEqual([...seen].sort());
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toEqual(expect.arrayContaining(['dev/ci', 'dev/p/1', 'dev/p/2', 'dev/p/3', 'other/ci']));
    expect(await plane.mayfly.admin('GET', 'workloads?domain=nowhere')).toMatchObject({ status: 404 });
  });
});
