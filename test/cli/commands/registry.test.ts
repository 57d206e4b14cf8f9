import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { runCli, startPeer, withFolder } from '../harness.ts';
import type { Received, Reply } from '../harness.ts';

const env = { MAYFLY_ADMIN_TOKEN: 't' };
const talk = async (args: readonly string[], answer: (request: Received) => Reply, stdin = '') => {
  const peer = await startPeer(answer);
  const outcome = await runCli([...args, '--server', peer.url], { env, stdin });
  await peer.close();
  return { ...outcome, received: peer.received.map(({ method, path, query, body }) => ({ method, path, query, body: body === '' ? undefined : (JSON.parse(body) as unknown) })) };
};
const TWO_DOMAINS = { body: { items: [{ name: 'system' }, { name: 'prod' }, { name: 'dev' }] } };
const ONE_DOMAIN = { body: { items: [{ name: 'system' }, { name: 'prod' }] } };

describe('apply', () => {
  const plan = { changes: [{ action: 'create', kind: 'workload', domain: 'prod', name: 'ci/deployer' }], text: ['+ workload prod ci/deployer'], applied: false, version: 7, findings: [] };
  const answer = ({ body }: Received): Reply => ({ body: (JSON.parse(body) as { dry_run: boolean }).dry_run ? plan : { ...plan, applied: true, version: 8 } });
  const manifest = 'workloads: [{ domain: prod, name: ci/deployer }]';

  test('shows the difference, then applies it', async () => {
    const { code, out, err, received } = await talk(['apply', '-f', '-'], answer, manifest);
    expect({ code, out, err }).toEqual({ code: 0, out: '+ workload prod ci/deployer\n', err: 'applied: registry version 8\n' });
    expect(received.map(({ body }) => body)).toEqual([true, false].map((dry_run) => ({ manifest: { workloads: [{ domain: 'prod', name: 'ci/deployer' }] }, dry_run, prune: false })));
  });

  test('of a dry run stops after the difference', async () => {
    const { err, received } = await talk(['apply', '-f', '-', '--dry-run', '--prune'], answer, manifest);
    expect(err).toContain('--prune ends nothing here');
    expect(err).toMatch(/dry run: nothing was changed\n$/);
    expect(received.map(({ body }) => body)).toMatchObject([{ dry_run: true, prune: true }]);
  });

  test('that ended something says how much fell with it, and what its target goes on honouring', async () => {
    const ended = { ...plan, applied: true, version: 8, leases: 1, more: true, ends_by_itself: [{ lease: 'lse_1' }] };
    const dry = ({ body }: Received): boolean => (JSON.parse(body) as { dry_run: boolean }).dry_run;
    const { out, err } = await talk(['apply', '-f', '-', '--prune'], (request) => ({ body: dry(request) ? plan : ended }), `domains: []\n${manifest}`);
    expect({ out, err }).toEqual({ out: '+ workload prod ci/deployer\n  cannot be taken back at its target: lease=lse_1\n', err: 'applied: registry version 8\n1 and more active leases ended\n' });
  });

  test.each([
    { name: 'an error', finding: { severity: 'error' }, code: 2, said: 'would be refused: 1 finding must be mended or accepted' },
    { name: 'an error that was accepted', finding: { severity: 'error', accepted: '2027-01-01T00:00:00Z' }, code: 0, said: 'nothing was changed\n' },
    { name: 'a warning', finding: { severity: 'warning' }, code: 0, said: 'nothing was changed\n' },
  ])('of a dry run with $name exits $code, as applying it would', async ({ finding, code, said }) => {
    const found = () => ({ body: { ...plan, findings: [{ rule: 'permit-open', why: 'everybody', name: 'p', ...finding }] } });
    expect(await talk(['apply', '-f', '-', '--dry-run'], found, manifest)).toMatchObject({ code, err: expect.stringContaining(said) });
    const json = await talk(['apply', '-f', '-', '--dry-run', '--json'], found, manifest);
    expect({ code: json.code, findings: (JSON.parse(json.out) as { findings: unknown[] }).findings.length }).toEqual({ code, findings: 1 });
  });

  test('of what is so already changes nothing', async () => {
    const { code, err, received } = await talk(['apply', '-f', '-'], () => ({ body: { ...plan, changes: [], text: [] } }), manifest);
    expect({ code, err, requests: received.length }).toEqual({ code: 0, err: 'nothing to change\n', requests: 1 });
  });

  test('tells every problem of the manifest at once, exit 2', async () => {
    const problems = [{ path: 'workloads[0].owner', message: 'is missing', mend: 'name a contact' }, { path: 'policies[1].cedar', message: 'unexpected token' }];
    const { code, err } = await talk(['apply', '-f', '-'], () => ({ status: 422, body: { error: 'manifest_invalid', problems } }), manifest);
    expect(code).toBe(2);
    expect(err).toContain('workloads[0].owner: is missing; name a contact\n');
    expect(err).toContain('policies[1].cedar: unexpected token\n');
    expect(err).toContain('next: mend these places');
  });

  test.each([
    { name: 'a doubled key', text: 'workloads: []\nworkloads: []' },
    { name: 'broken YAML', text: 'workloads: [' },
    { name: 'a list', text: '- a' },
    { name: 'nothing', text: '' },
  ])('refuses $name before it asks the server', async ({ text }) => {
    const { code, err, received } = await talk(['apply', '-f', '-'], answer, text);
    expect({ code, requests: received.length }).toEqual({ code: 2, requests: 0 });
    expect(err).toContain('next: ');
  });
});

describe('an entry', () => {
  test('is named by one path segment, whatever it holds', async () => {
    const { received } = await talk(['resource', 'show', 'https://deploy.acme.example/a?b', '--domain', 'prod'], () => ({ body: { audience: 'x' } }));
    expect(received[0]?.path).toBe(`/admin/v1/resources/prod/${encodeURIComponent('https://deploy.acme.example/a?b')}`);
  });

  test('is looked for in the only domain there is', async () => {
    const { code, received } = await talk(['workload', 'show', 'ci/deployer'], ({ path }) => (path.endsWith('/domains') ? ONE_DOMAIN : { body: { name: 'ci/deployer' } }));
    expect({ code, path: received[1]?.path }).toEqual({ code: 0, path: '/admin/v1/workloads/prod/ci%2Fdeployer' });
  });

  test('needs its domain named where there are several', async () => {
    const { code, err, received } = await talk(['workload', 'show', 'ci/deployer'], () => TWO_DOMAINS);
    expect({ code, requests: received.length }).toEqual({ code: 2, requests: 1 });
    expect(err).toContain('--domain (prod, dev)');
  });

  test('is added from YAML and single members', async () => {
    const { code, out, err, received } = await talk(
      ['workload', 'add', 'ci/deployer', '--domain', 'prod', '-f', '-', '--set', 'owner=x@acme.example', '--set', 'match.repository_id="815"', '--set', 'match.event_name=[push, schedule]', '--set', 'bound=true'],
      () => ({ body: { changes: [{}], text: ['+ workload prod/ci/deployer'], applied: true, version: 9 } }), 'kind: pipeline\nmatch: { issuer: github }',
    );
    expect({ code, out, err }).toEqual({ code: 0, out: '+ workload prod/ci/deployer\n', err: 'applied: registry version 9\n' });
    expect(received).toMatchObject([{
      method: 'PUT', path: '/admin/v1/workloads/prod/ci%2Fdeployer',
      body: { domain: 'prod', name: 'ci/deployer', kind: 'pipeline', owner: 'x@acme.example', bound: true, match: { issuer: 'github', repository_id: '815', event_name: ['push', 'schedule'] } },
    }]);
  });

  test.each([
    { name: 'says another name inside', args: [], stdin: 'name: other' },
    { name: 'says another domain inside', args: [], stdin: 'domain: dev' },
    { name: 'is set without a value', args: ['--set', 'owner'], stdin: 'kind: pipeline' },
    { name: 'is set below what is no mapping', args: ['--set', 'kind.x=1'], stdin: 'kind: pipeline' },
  ])('that $name is not sent', async ({ args, stdin }) => {
    const { code, received } = await talk(['workload', 'add', 'ci/deployer', '--domain', 'prod', '-f', '-', ...args], () => ({}), stdin);
    expect({ code, requests: received.length }).toEqual({ code: 2, requests: 0 });
  });

  test('cannot reach the prototype by a member\'s name', async () => {
    const { received } = await talk(['workload', 'add', 'w', '--domain', 'prod', '--set', '__proto__.owner=x'], () => ({ body: {} }));
    expect(({} as Record<string, unknown>)['owner']).toBeUndefined();
    expect(Object.keys(received[0]?.body as object)).toContain('__proto__');
  });

  test('is ended with a reason', async () => {
    const { code, err, received } = await talk(['policy', 'rm', 'p', '--domain', 'prod', '--reason', 'left the team'], () => ({ body: {} }));
    expect({ code, err }).toEqual({ code: 0, err: 'policy p ended\n' });
    expect(received).toMatchObject([{ method: 'DELETE', path: '/admin/v1/policies/prod/p', query: { reason: 'left the team' } }]);
  });

  test('that is ended says how much fell with it, and what its target goes on honouring', async () => {
    const { code, out, err } = await talk(['workload', 'rm', 'w', '--domain', 'prod', '--reason', 'gone'], () => ({ body: { leases: 2, ends_by_itself: [{ lease: 'lse_1', until: '2027-01-15T09:00:00Z' }] } }));
    expect({ code, out, err }).toEqual({ code: 0, out: '  cannot be taken back at its target: lease=lse_1 until=2027-01-15T09:00:00Z\n', err: 'workload w ended, 2 active leases with it\n' });
  });
});

describe('revoke and enable', () => {
  const ID = `wkl_${'0'.repeat(32)}`;
  const done = { body: { revoked: 'workload:x', at: 1_800_000_000_000, leases: 3, ends_by_itself: [{ lease: 'lse_1', until: '2027-01-15T09:00:00Z' }] } };

  test('name by id without a domain', async () => {
    const { received } = await talk(['revoke', 'workload', ID, '--reason', 'stolen'], () => done);
    expect(received.map(({ body }) => body)).toEqual([{ kind: 'workload', id: ID, reason: 'stolen' }]);
  });

  test('name by name within a domain', async () => {
    const { received } = await talk(['enable', 'issuer', 'github', '--domain', 'prod'], () => ({}));
    expect(received).toMatchObject([{ path: '/admin/v1/enable', body: { kind: 'issuer', id: 'github', domain: 'prod' } }]);
  });

  test('name a trust domain by its name alone', async () => {
    const { received } = await talk(['revoke', 'domain', 'prod', '--reason', 'moved'], () => done);
    expect(received.map(({ body }) => body)).toEqual([{ kind: 'domain', id: 'prod', reason: 'moved' }]);
  });

  test.each([
    { name: 'URN', args: ['urn:mayfly:prod:person:corp:00u1'], id: 'urn:mayfly:prod:person:corp:00u1' },
    { name: 'issuer and sub', args: ['--issuer', 'corp', '--sub', 'frank o\'hara/ä', '--domain', 'prod'], id: 'urn:mayfly:prod:person:corp:frank%20o%27hara%2F%C3%A4' },
    { name: 'issuer and sub, in the only domain', args: ['--issuer', 'corp', '--sub=-x'], id: 'urn:mayfly:prod:person:corp:-x' },
  ])('name a person by $name', async ({ args, id }) => {
    const revoked = await talk(['revoke', 'person', ...args, '--reason', 'left'], ({ method }) => (method === 'GET' ? ONE_DOMAIN : done));
    expect(revoked.received.at(-1)).toMatchObject({ method: 'POST', path: '/admin/v1/revocations', body: { kind: 'person', id, reason: 'left' } });
    const enabled = await talk(['enable', 'person', ...args], ({ method }) => (method === 'GET' ? ONE_DOMAIN : {}));
    expect(enabled).toMatchObject({ code: 0, err: `person ${id} enabled\n` });
    expect(enabled.received.at(-1)).toMatchObject({ path: '/admin/v1/enable', body: { kind: 'person', id } });
  });

  test.each([
    { name: 'nobody', args: ['person'] },
    { name: 'half a person', args: ['person', '--issuer', 'corp'] },
    { name: 'the other half', args: ['person', '--sub', '00u1'] },
    { name: 'a person twice', args: ['person', 'urn:mayfly:prod:person:corp:00u1', '--issuer', 'corp', '--sub', '00u1'] },
    { name: 'a workload like a person', args: ['workload', '--issuer', 'corp', '--sub', '00u1'] },
    { name: 'no workload', args: ['workload'] },
    { name: 'half a character', args: ['person', '--issuer', 'corp', '--sub', '\ud800', '--domain', 'prod'] },
  ])('that name $name are bad input, and nothing is asked', async ({ args }) => {
    for (const command of [['revoke', ...args, '--reason', 'r'], ['enable', ...args]]) {
      const { code, err, received } = await talk(command, () => done);
      expect({ code, asked: received.length }).toEqual({ code: 2, asked: 0 });
      expect(err).toContain('next: give ');
    }
  });

  test('of a hop need its id alone, and none is enabled', async () => {
    const { received } = await talk(['revoke', 'hop', `hop_${'0'.repeat(32)}`, '--reason', 'r'], () => done);
    expect(received.map(({ body }) => body)).toEqual([{ kind: 'hop', id: `hop_${'0'.repeat(32)}`, reason: 'r' }]);
    expect((await talk(['enable', 'hop', 'x'], () => done)).code).toBe(2);
  });

  test('tell what fell and what ends by itself', async () => {
    const { code, out } = await talk(['revoke', 'workload', ID, '--reason', 'stolen'], () => done);
    expect(code).toBe(0);
    expect(out).toContain('at 2027-01-15T08:00:00.000Z: 3 active leases ended');
    expect(out).toContain('cannot be taken back at its target: lease=lse_1 until=2027-01-15T09:00:00Z');
  });
});

describe('lint, simulate and audit verify', () => {
  const finding = { rule: 'no-immutable-attribute', severity: 'error', domain: 'prod', kind: 'workload', name: 'w', why: 'names are given again', mend: 'match repository_id' };

  test.each([
    { name: 'an error', findings: [finding], code: 1 },
    { name: 'an accepted error', findings: [{ ...finding, accepted: { reason: 'r', until: '2027-01-01' } }], code: 0 },
    { name: 'a warning', findings: [{ ...finding, severity: 'warning' }], code: 0 },
    { name: 'nothing', findings: [], code: 0 },
  ])('lint exits $code on $name', async ({ findings, code }) => {
    expect((await talk(['lint'], () => ({ body: { findings } }))).code).toBe(code);
  });

  test('lint shows severity, why and mend', async () => {
    expect((await talk(['lint'], () => ({ body: { findings: [finding] } }))).out).toMatch(/error .*no-immutable-attribute.*names are given again.*match repository_id/);
  });

  test('simulate sends a token or attributes, and exits as the decision is', async () => {
    const allowed = await talk(['simulate', '--domain', 'prod', '--audience', 'a', '--scope', 's', '--evidence-file', '-'], () => ({ body: { allow: true } }), 'ey.J.x\n');
    expect(allowed).toMatchObject({ code: 0, received: [{ body: { domain: 'prod', audience: 'a', scope: 's', token: 'ey.J.x' } }] });
    const denied = await talk(['simulate', '--domain', 'prod', '--audience', 'a', '--issuer', 'github', '--attribute', 'repository_id="815"'], () => ({ body: { allow: false } }));
    expect(denied).toMatchObject({ code: 1, received: [{ body: { domain: 'prod', audience: 'a', issuer: 'github', attributes: { repository_id: '815' } } }] });
  });

  test('simulate sends a chain: the person, then each agent, attributes with the last', async () => {
    const chain = ['--person', 'corp/a/b', '--group', 'engineering', 'admins', '--actor', 'agents/planner', 'agents/searcher', '--attribute', 'tier=1', '--hands-on-to', 'tools/mailer'];
    const { code, received } = await talk(['simulate', '--domain', 'prod', '--audience', 'a', ...chain], () => ({ body: { allow: true } }));
    expect({ code, received }).toMatchObject({ code: 0, received: [{ body: {
      domain: 'prod', audience: 'a', hands_on_to: 'tools/mailer', person: { issuer: 'corp', sub: 'a/b', groups: ['engineering', 'admins'] }, actors: [{ workload: 'agents/planner' }, { workload: 'agents/searcher', attributes: { tier: 1 } }],
    } }] });
    const task = await talk(['simulate', '--domain', 'prod', '--audience', 'a', '--actor', 'ops/fixer', '--purpose', 'mend'], () => ({ body: { allow: true } }));
    expect(task.received.map(({ body }) => body)).toEqual([{ domain: 'prod', audience: 'a', purpose: 'mend', actors: [{ workload: 'ops/fixer' }] }]);
  });

  test.each([
    { name: 'a person without an agent', args: ['--person', 'corp/alice'] },
    { name: 'groups of nobody', args: ['--actor', 'a', '--group', 'engineering'] },
    { name: 'a person without a sub', args: ['--actor', 'a', '--person', 'corp'] },
    { name: 'a person without an issuer', args: ['--actor', 'a', '--person', '/alice'] },
    { name: 'a chain and evidence', args: ['--actor', 'a', '--evidence-file', '-'] },
    { name: 'a chain and an issuer', args: ['--actor', 'a', '--issuer', 'i', '--attribute', 'a=1'] },
    { name: 'neither token nor attributes', args: [] },
    { name: 'both', args: ['--evidence-file', '-', '--issuer', 'i', '--attribute', 'a=1'] },
    { name: 'attributes from nowhere', args: ['--attribute', 'a=1'] },
  ])('simulate refuses $name', async ({ args }) => {
    expect(await talk(['simulate', '--domain', 'prod', '--audience', 'a', ...args], () => ({}))).toMatchObject({ code: 2, received: [] });
  });

  test('audit verify compares with checkpoints kept outside, and exits as the chain is', () => withFolder(async (folder) => {
    const file = join(folder, 'log');
    writeFileSync(file, ['{"level":30,"msg":"listening"}', '{"msg":"checkpoint","checkpoint":{"n":5,"jws":"a.b.c"}}', 'd.e.f', ''].join('\n'));
    expect(await talk(['audit', 'verify', '--checkpoints', file], () => ({ body: { ok: true } }))).toMatchObject({ code: 0, received: [{ method: 'POST', body: { checkpoints: ['a.b.c', 'd.e.f'] } }] });
    expect(await talk(['audit', 'verify'], () => ({ body: { ok: false, chains: [] } }))).toMatchObject({ code: 1, received: [{ body: {} }] });
  }));

  test('audit verify refuses to compare with a file that holds no checkpoint', async () => {
    expect(await talk(['audit', 'verify', '--checkpoints', '-'], () => ({ body: { ok: true } }), '{"msg":"listening"}\n')).toMatchObject({ code: 2, received: [] });
  });

  test('audit export refuses a number without the chain it counts in, and a file it cannot write', async () => {
    expect(await talk(['audit', 'export', '--after', '3'], () => ({ body: '' }))).toMatchObject({ code: 2, received: [], err: expect.stringContaining('--chain') });
    expect(await talk(['audit', 'export', '-o', '/no/such/folder/a.jsonl'], () => ({ body: '{"n":1}\n' }))).toMatchObject({ code: 2, err: expect.stringMatching(/cannot write \/no\/such.*ENOENT\n {2}next: name a file/) });
  });

  test('audit export passes the lines on as they come', async () => {
    const lines = '{"n":1}\n{"n":2}\n';
    expect(await talk(['audit', 'export', '--chain', 'c', '--after', '0'], () => ({ body: lines }))).toMatchObject({ code: 0, out: lines, received: [{ query: { chain: 'c', after: '0' } }] });
  });
});

describe('keys', () => {
  test('init makes a key-encryption key that nobody else can read, once', () => withFolder(async (folder) => {
    const file = join(folder, 'keys', 'kek');
    const first = await runCli(['keys', 'init', '--output', file]);
    expect(first.code).toBe(0);
    expect(Buffer.from(readFileSync(file, 'utf8'), 'base64')).toHaveLength(32);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(first.out).not.toContain(readFileSync(file, 'utf8').trim());
    const before = readFileSync(file, 'utf8');
    expect((await runCli(['keys', 'init', '--output', file])).code).toBe(2);
    expect(readFileSync(file, 'utf8')).toBe(before);
  }));

  test('rotate shows the keys that are on their way', async () => {
    const key = { kid: 'k2', domain: 'prod', purpose: 'access', algorithm: 'ES256', status: 'next', not_before: '2027-01-15T08:00:00.000Z' };
    const { code, out, received } = await talk(['keys', 'rotate', '--domain', 'prod'], () => ({ body: { items: [key] } }));
    expect(code).toBe(0);
    expect(out).toMatch(/k2 .*next .*2027-01-15T08:00:00.000Z/);
    expect(received).toMatchObject([{ path: '/admin/v1/keys/rotate', body: { domain: 'prod', purpose: 'access' } }]);
  });

  test('revoke names one key and a reason', async () => {
    expect(await talk(['keys', 'revoke', 'kid/1', '--reason', 'leaked'], () => ({ body: { items: [{ kid: 'kid/1', status: 'revoked' }] } }))).toMatchObject({ code: 0, received: [{ method: 'POST', path: '/admin/v1/keys/kid%2F1/revoke', body: { reason: 'leaked' } }] });
  });
});
