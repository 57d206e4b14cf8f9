import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import Database from 'libsql';
import { stringify } from 'yaml';
import { createLog } from '../../src/telemetry/log.ts';
import { runCli } from '../cli/harness.ts';
import type { Outcome } from '../cli/harness.ts';
import { startForeignIssuer } from '../support/foreign-issuer.ts';
import type { ForeignIssuer } from '../support/foreign-issuer.ts';
import { startMayfly } from '../support/mayfly.ts';
import type { Mayfly } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { API, BILLING, claimsOf, DEPLOY, DEPLOYER, issued, labManifest, SERVICE_CLAIMS } from './lab.ts';

let mayfly: Mayfly;
let platform: ForeignIssuer;
/** The server's log, as an operator keeps it. */
const log: string[] = [];

beforeAll(async () => {
  platform = await startForeignIssuer();
  mayfly = await startMayfly({ log: createLog('info', { write: (line) => { log.push(line.trim()); } }) });
});
afterAll(async () => {
  await mayfly.close();
  await platform.close();
});

/** `mayfly` on this server's machine, with only one trust domain to mean. */
const cli = (args: readonly string[], stdin = '', env: Readonly<Record<string, string>> = {}): Promise<Outcome> => runCli(args, { env: { MAYFLY_SERVER: mayfly.server.adminSocket, ...env }, stdin });
const done = async (args: readonly string[], stdin = ''): Promise<string> => {
  const { code, out, err } = await cli(args, stdin);
  if (code !== 0) throw new Error(`mayfly ${args.join(' ')} ended with ${code}: ${err}`);
  return out;
};
const json = async (args: readonly string[], stdin = ''): Promise<Record<string, unknown>> => JSON.parse(await done([...args, '--json'], stdin)) as Record<string, unknown>;
const items = async (args: readonly string[]): Promise<readonly Record<string, unknown>[]> => (await json(args))['items'] as readonly Record<string, unknown>[];
const save = (name: string, content: object | string): string => {
  const file = join(mayfly.folder, name);
  writeFileSync(file, typeof content === 'string' ? content : stringify(content));
  return file;
};

let runs = 0;
const job = (claims: object = {}): string => platform.mint({ ...DEPLOY, aud: `${mayfly.url}/dev`, run_id: String(++runs), ...claims });
const service = (): string => job({ ...SERVICE_CLAIMS, run_id: String(++runs) });
const token = async (claims: object = {}): Promise<string> => issued(await mayfly.exchange({ subject_token: job(claims), audience: API, scope: 'deploy:read' }));
const isActive = async (of: string): Promise<unknown> => {
  const reader = issued(await mayfly.exchange({ subject_token: service(), audience: `${mayfly.url}/dev/introspect` }));
  return (await mayfly.form('dev/introspect', { token: of }, { authorization: `Bearer ${reader}` })).body['active'];
};
const leaseId = (of: string): string => String(claimsOf(of)['jti']);

describe('apply', () => {
  const counts = async (): Promise<readonly number[]> => Promise.all(['issuer', 'resource', 'workload', 'policy'].map(async (noun) => (await items([noun, 'list'])).length));

  test('shows the difference first, changes nothing by a dry run, then everything at once, then nothing', async () => {
    const file = save('manifest.yaml', labManifest(platform.issuer));
    const dry = await cli(['apply', '-f', file, '--dry-run']);
    expect(dry).toMatchObject({ code: 0, err: expect.stringContaining('dry run: nothing was changed') });
    expect(dry.out).toMatch(/workload.*ci\/deployer/);
    expect(await counts()).toEqual([0, 0, 0, 0]);
    const applied = await cli(['apply', '-f', file]);
    expect(applied).toMatchObject({ code: 0, out: dry.out, err: expect.stringMatching(/applied: registry version \d+/) });
    expect(await counts()).toEqual([1, 4, 4, 6]);
    expect(await cli(['apply', '-f', file])).toMatchObject({ code: 0, out: '0 to add, 0 to change, 0 to end, 15 unchanged\n', err: expect.stringContaining('nothing to change') });
    issued(await mayfly.exchange({ subject_token: job(), audience: API }));
  });

  test('tells every problem with its place, exit 2, and applies nothing of it', async () => {
    const before = await counts();
    const { code, out, err } = await cli(['apply', '-f', '-'], stringify({
      workloads: [
        { domain: 'dev', name: 'ci/good', kind: 'pipeline', authority: 'bounded', owner: OWNER, expires: FAR, match: { issuer: 'github', repository_id: '1' } },
        { domain: 'dev', name: 'ci/bad', kind: 'pipelin', authority: 'bounded', expires: FAR, match: { issuer: 'gitlab', repository_id: '1' } },
      ],
      resources: [{ domain: 'dev', audience: 'https://x.example', scopse: ['a'], owner: OWNER, expires: FAR }, { domain: 'dev', audience: 'https://y.example', owner: OWNER, expires: 'tomorrow' }],
      policies: [{ domain: 'dev', name: 'broken', owner: OWNER, expires: FAR, cedar: 'permit(principal, action == Action::"isue", resource);' }],
      workload: [],
    }));
    expect({ code, out }).toEqual({ code: 2, out: '' });
    for (const place of ['workloads[1].kind', 'workloads[1].owner', 'resources[0].scopse', 'resources[1].expires', 'policies[0].cedar', 'workload:']) expect(err).toContain(place);
    expect(err).toContain('did you mean');
    expect(await counts()).toEqual(before);
    expect((await cli(['workload', 'show', 'ci/good'])).code).toBe(1);
  });

  test('refuses trust that is too broad, and takes it with a reason and an end', async () => {
    const workload = { domain: 'dev', name: 'ci/any-ref', kind: 'pipeline', authority: 'bounded', owner: OWNER, expires: FAR, match: { issuer: 'github', repository_id: '815', ref: '*' } };
    const refused = await cli(['apply', '-f', '-'], stringify({ workloads: [workload] }));
    expect(refused.code).toBe(2);
    expect(refused.err).toContain('wildcard-open');
    expect((await cli(['workload', 'show', 'ci/any-ref'])).code).toBe(1);
    const accepted = await cli(['apply', '-f', '-'], stringify({ workloads: [{ ...workload, accept: [{ rule: 'wildcard-open', reason: 'moves next month', until: '2026-12-20' }] }] }));
    expect(accepted).toMatchObject({ code: 0, err: expect.stringContaining('wildcard-open') });
    const { findings } = await json(['lint']) as { findings: readonly Record<string, unknown>[] };
    expect(findings.find(({ rule }) => rule === 'wildcard-open')).toMatchObject({ name: 'ci/any-ref', accepted: expect.stringContaining('2026-12-20') });
    expect((await cli(['lint'])).code).toBe(0);
  });

  test('with --prune ends what the manifest does not name, and takes back what hung on it', async () => {
    const held = await token();
    const { workloads, ...rest } = labManifest(platform.issuer) as { workloads: readonly { name: string }[]; policies: readonly { name: string }[] };
    const smaller = { ...rest, workloads: workloads.filter(({ name }) => name !== 'ci/deployer'), policies: rest.policies.filter(({ name }) => !name.startsWith('deployer-')) };
    expect((await cli(['apply', '-f', save('smaller.yaml', smaller), '--prune'])).err).toMatch(/warning: --prune ends nothing here[^]*nothing to change/);
    const file = save('smaller.yaml', { domains: [{ name: 'dev', stage: 'development', owner: 'local' }], ...smaller });
    expect((await cli(['apply', '-f', file])).err).toContain('nothing to change');
    const pruned = await cli(['apply', '-f', file, '--prune']);
    expect(pruned.code).toBe(0);
    expect(pruned.out).toMatch(/- workload dev\/ci\/any-ref \(ends, and everything/);
    expect(await items(['workload', 'list'])).not.toContainEqual(expect.objectContaining({ name: 'ci/deployer' }));
    expect(await isActive(held)).toBe(false);
    // The same again is a new workload of that name: what was taken back stays so.
    await done(['apply', '-f', save('manifest.yaml', labManifest(platform.issuer))]);
    expect(await isActive(held)).toBe(false);
    expect(await isActive(await token())).toBe(true);
  });
});

describe('entries one by one', () => {
  test.each([
    { noun: 'issuer', name: 'second', set: ['kind=oidc', 'proves=workloads', 'issuer=https://idp.acme.example', 'claims.team={claim: team, immutable: true}'], change: 'owner=other@acme.example' },
    { noun: 'resource', name: 'https://new.acme.example', set: ['scopes=[a, b]'], change: 'scopes=[a]' },
    { noun: 'workload', name: 'ci/new', set: ['kind=pipeline', 'authority=bounded', 'match.issuer=github', 'match.repository_id="77"'], change: 'owner=other@acme.example' },
    { noun: 'policy', name: 'new-permits', set: [`cedar=permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource in Resource::"${API}");`], change: 'owner=other@acme.example' },
  ])('$noun: added, listed, shown, changed, removed', async ({ noun, name, set, change }) => {
    const common = ['--set', `owner=${OWNER}`, '--set', `expires=${FAR}`];
    const settings = set.flatMap((assignment) => ['--set', assignment]);
    const added = await cli([noun, 'add', name, ...common, ...settings]);
    expect(added).toMatchObject({ code: 0, err: expect.stringContaining('applied') });
    expect((await done([noun, 'list'])).split('\n').some((line) => line.includes(name))).toBe(true);
    const shown = await json([noun, 'show', name]);
    expect(shown).toMatchObject({ domain: 'dev', owner: OWNER, version: 1, status: 'live', changed_by: 'local' });
    expect(await done([noun, 'show', name])).toContain(`owner: ${OWNER}`);
    const changed = await cli([noun, 'add', name, ...common, ...settings, '--set', change]);
    expect(changed).toMatchObject({ code: 0 });
    expect(await json([noun, 'show', name])).toMatchObject({ id: shown['id'], version: 2 });
    expect(await cli([noun, 'rm', name])).toMatchObject({ code: 2, err: expect.stringContaining('--reason') });
    expect(await cli([noun, 'rm', name, '--reason', 'tidy'])).toEqual({ code: 0, out: '', err: `${noun} ${name} ended\n` });
    expect(await cli([noun, 'show', name])).toMatchObject({ code: 1, err: expect.stringContaining('next:') });
  });

  test('domains are listed and shown', async () => {
    expect((await items(['domain', 'list'])).map(({ name }) => name)).toEqual(expect.arrayContaining(['dev']));
    expect(await json(['domain', 'show', 'dev'])).toMatchObject({ stage: 'development', issuer: `${mayfly.url}/dev` });
    expect(await done(['domain', 'show', 'dev'])).toContain('stage: development');
  });

  test('listings have pages', async () => {
    const all = (await items(['policy', 'list'])).map(({ name }) => name);
    const first = await json(['policy', 'list', '--limit', '2']) as { items: readonly { name: string }[]; next: string };
    const second = await json(['policy', 'list', '--limit', '2', '--after', first.next]) as { items: readonly { name: string }[] };
    expect([...first.items, ...second.items].map(({ name }) => name)).toEqual(all.slice(0, 4));
    expect((await items(['policy', 'list', '--limit', '2', '--all'])).map(({ name }) => name)).toEqual(all);
  });
});

describe('what is wrong on the command line', () => {
  test.each([
    { name: 'a command that does not exist', args: ['leese', 'list'], says: 'Did you mean lease?' },
    { name: 'a subcommand that does not exist', args: ['lease', 'lst'], says: 'Did you mean list?' },
    { name: 'a flag that does not exist', args: ['lease', 'list', '--jsn'], says: 'Did you mean --json?' },
    { name: 'a kind that cannot be revoked', args: ['revoke', 'persn', 'x', '--reason', 'r'], says: 'Allowed choices' },
    { name: 'a server that is none', args: ['lease', 'list', '--server', 'nowhere'], says: 'neither a socket nor a URL' },
  ])('$name: exit 2, usage or the nearest match', async ({ args, says }) => {
    const { code, out, err } = await cli(args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(says);
    expect(err).toMatch(/Usage: |next: /);
  });

  test('no server: exit 1 and how to start one', async () => {
    const { code, err } = await cli(['lease', 'list'], '', { MAYFLY_SERVER: `unix://${mayfly.folder}/nobody.sock` });
    expect(code).toBe(1);
    expect(err).toContain(`no server answers at unix://${mayfly.folder}/nobody.sock (ENOENT)`);
    expect(err).toContain('start the server with `mayfly serve`');
  });

  test.each([
    { name: 'show', args: ['workload', 'show', 'ci/deployer', '-d', 'prod'] },
    { name: 'add', args: ['policy', 'add', 'x', '-d', 'prod', '--set', `owner=${OWNER}`, '--set', 'cedar=forbid(principal, action, resource);'] },
    { name: 'simulate', args: ['simulate', '-d', 'prod', '--audience', API, '--issuer', 'github', '--attribute', 'repository_id="815"'] },
    { name: 'lint', args: ['lint', '-d', 'prod'] },
    { name: 'keys list', args: ['keys', 'list', '-d', 'prod'] },
    { name: 'keys rotate', args: ['keys', 'rotate', '-d', 'prod'] },
  ])('a trust domain that does not exist: $name says so', async ({ args }) => {
    const { code, err } = await cli(args);
    expect(code).not.toBe(0);
    expect(err).toContain('prod');
    expect(err).toContain('next: ');
  });
});

describe('what was decided and why', () => {
  test('explain says why something was refused, and what to do', async () => {
    const answer = await mayfly.exchange({ subject_token: job(), audience: API, scope: 'deploy:admin' });
    const decision = String(answer.body['decision_id']);
    expect(await json(['explain', decision])).toMatchObject({ code: 'scope_denied' });
    expect(await done(['explain', decision])).toContain('scope_denied');
    expect(await cli(['explain', 'dec_00000000000000000000000000000000'])).toMatchObject({ code: 1 });
  });

  test('explain says why something was issued', async () => {
    const lease = await json(['lease', 'show', leaseId(await token())]);
    expect(await done(['explain', String(lease['decision'])])).toContain('deployer-deploys');
  });

  test('simulate judges a token and consumes nothing of it', async () => {
    const evidence = job();
    const file = save('evidence.jwt', `${evidence}\n`);
    expect(await json(['simulate', '--audience', API, '--scope', 'deploy:read', '--evidence-file', file])).toMatchObject({ allow: true });
    expect(await cli(['simulate', '--audience', API, '--scope', 'deploy:admin', '--evidence-file', '-'], evidence)).toMatchObject({ code: 1, out: expect.stringContaining('allow: false') });
    issued(await mayfly.exchange({ subject_token: evidence, audience: API }));
  });

  test('simulate judges attributes as if they came from an issuer', async () => {
    const attributes = (ref: string): string => save(`attributes-${ref}.yaml`, { repository: 'acme/shop', repository_id: '815', repository_owner: 'acme', repository_owner_id: '4711', ref: `refs/heads/${ref}`, event_name: 'push', run_id: '1', run_attempt: '1' });
    const simulate = (ref: string): Promise<Outcome> => cli(['simulate', '--audience', API, '--issuer', 'github', '--attributes-file', attributes(ref)]);
    expect(await simulate('main')).toMatchObject({ code: 0, out: expect.stringContaining('allow: true') });
    expect(await simulate('other')).toMatchObject({ code: 1, out: expect.stringContaining('workload_unknown') });
  });

  test('lint shows findings as a table', async () => {
    const { code, out, err } = await cli(['lint']);
    expect(code).toBe(0);
    expect(out).toMatch(/^SEVERITY +RULE +DOMAIN/);
    expect(err).toMatch(/\d+ findings?, 0 that must be mended or accepted/);
  });
});

describe('sessions and leases', () => {
  test('are listed over as many pages as there are', async () => {
    const made = [];
    for (let count = 0; count < 5; count += 1) made.push(await token({ run_id: '5000' }));
    const session = String((await json(['lease', 'show', leaseId(made[0] ?? '')]))['session']);
    const first = await json(['lease', 'list', '--session', session, '--limit', '2']) as { items: readonly unknown[]; next: string };
    expect(first.items.length).toBe(2);
    expect((await items(['lease', 'list', '--session', session, '--limit', '2', '--all'])).map(({ id }) => id)).toEqual(made.map(leaseId).reverse());
    const table = await cli(['lease', 'list', '--session', session, '--limit', '2']);
    expect(table.out).toMatch(/^LEASE +KIND +DOMAIN +WORKLOAD/);
    expect(table.err).toContain(`--after ${first.next}`);
    const shown = await json(['session', 'show', session]) as { leases: readonly unknown[] };
    expect(shown).toMatchObject({ id: session, status: 'active', workload: 'ci/deployer', principal: OWNER });
    expect(shown.leases.length).toBe(5);
    expect(await done(['session', 'show', session])).toContain(`used        5 x access_token for ${API}: deploy:read`);
    expect((await items(['session', 'list', '--workload', 'ci/deployer', '--all'])).map(({ id }) => id)).toContain(session);
    expect(await done(['session', 'list'])).toMatch(/^SESSION +DOMAIN/);
    expect(await cli(['lease', 'show', 'lse_00000000000000000000000000000000'])).toMatchObject({ code: 1 });
  });
});

describe('revoke', () => {
  test.each([
    { kind: 'lease', find: (of: string): Promise<string> => Promise.resolve(leaseId(of)) },
    { kind: 'session', find: async (of: string): Promise<string> => String((await json(['lease', 'show', leaseId(of)]))['session']) },
  ])('a $kind, for good', async ({ kind, find }) => {
    const [held, other] = [await token(), await token()];
    const { code, out } = await cli(['revoke', kind, await find(held), '--reason', 'lost laptop']);
    expect({ code, out }).toEqual({ code: 0, out: expect.stringMatching(/^revoked (lease|session):.*: 1 active lease ended\n$/) });
    expect([await isActive(held), await isActive(other)]).toEqual([false, true]);
  });

  test.each([
    { kind: 'workload', name: 'ci/deployer', code: 'revoked' },
    { kind: 'issuer', name: 'github', code: 'revoked' },
    { kind: 'domain', name: 'dev', code: 'revoked' },
  ])('$kind $name by its name, until it is enabled; what was before stays over', async ({ kind, name, code }) => {
    const held = await token();
    expect(await json(['revoke', kind, name, '--reason', 'under attack'])).toMatchObject({ revoked: expect.stringContaining(`${kind}:`), ends_by_itself: [] });
    const refused = await mayfly.exchange({ subject_token: job(), audience: API });
    expect(await mayfly.reason(refused)).toBe(code);
    expect(await cli(['enable', kind, name])).toMatchObject({ code: 0, err: `${kind} ${name} enabled\n` });
    expect([await isActive(held), await isActive(await token())]).toEqual([false, true]);
  });

  test('says what it cannot find', async () => {
    for (const [kind, id] of [['lease', 'lse_00000000000000000000000000000000'], ['session', 'AAAAAAAAAAAAAAAAAAAAAA'], ['workload', 'ci/nobody'], ['issuer', 'nobody'], ['domain', 'nowhere']] as const) {
      expect(await cli(['revoke', kind, id, '--reason', 'r'])).toMatchObject({ code: 1, err: expect.stringContaining('next:') });
    }
  });
});

describe('keys', () => {
  const published = async (): Promise<readonly string[]> => ((await (await fetch(`${mayfly.url}/dev/jwks.json`)).json()) as { keys: readonly { kid: string }[] }).keys.map(({ kid }) => kid);
  const kidOf = (of: string): string => String((JSON.parse(Buffer.from(of.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid);

  test('rotate publishes the next one before it signs', async () => {
    const signing = kidOf(await token());
    const before = await published();
    const made = (await json(['keys', 'rotate', '-d', 'dev']))['items'] as readonly { kid: string; status: string }[];
    expect(made).toHaveLength(1);
    const next = made[0]?.kid ?? '';
    expect(await published()).toEqual(expect.arrayContaining([...before, next]));
    expect(kidOf(await token())).toBe(signing);
    expect(await done(['keys', 'list', '-d', 'dev'])).toContain(next);
  });

  test('revoke takes a key out of the JWKS at once; its tokens are over, new ones are by another', async () => {
    const held = await token();
    const kid = kidOf(held);
    expect(await isActive(held)).toBe(true);
    expect((await cli(['keys', 'revoke', kid])).code).toBe(2);
    expect(await cli(['keys', 'revoke', kid, '--reason', 'leaked'])).toMatchObject({ code: 0, out: expect.stringContaining(kid) });
    expect(await published()).not.toContain(kid);
    expect(await isActive(held)).toBe(false);
    expect(await json(['lease', 'show', leaseId(held)])).toMatchObject({ status: 'revoked', revoked_by: `key:${kid}` });
    const fresh = await token();
    expect(kidOf(fresh)).not.toBe(kid);
    expect(await published()).toContain(kidOf(fresh));
    expect(await isActive(fresh)).toBe(true);
    expect(await cli(['keys', 'revoke', 'nobody', '--reason', 'r'])).toMatchObject({ code: 1, err: expect.stringContaining('nobody') });
  });

  test('rewrap has nothing to do while the key-encryption key is the same', async () => {
    expect(await cli(['keys', 'rewrap'])).toEqual({ code: 0, out: '', err: '0 rewrapped\n' });
  });
});

describe('audit', () => {
  const verify = (...args: readonly string[]): Promise<Outcome> => cli(['audit', 'verify', '--json', ...args]);
  /** As one who can write the database but has none of its keys. */
  const tamper = (...statements: readonly string[]): void => {
    const database = new Database(join(mayfly.folder, 'mayfly.db'), { timeout: 10_000 });
    try {
      for (const sql of statements) database.exec(sql);
    } finally {
      database.close();
    }
  };

  test('is exported as JSON lines, whole, and verifies against what left the machine', async () => {
    const lines = (await done(['audit', 'export'])).trim().split('\n').map((line) => JSON.parse(line) as { chain: string; n: number });
    expect(lines.length).toBeGreaterThan(50);
    expect(lines.map(({ n }) => n)).toEqual(lines.map((_line, index) => index + 1));
    const chain = lines[0]?.chain ?? '';
    const file = join(mayfly.folder, 'export.ndjson');
    await done(['audit', 'export', '--chain', chain, '--after', '10', '-o', file]);
    // The last checkpoint of a process is written when it ends.
    await mayfly.restart();
    const outside = save('server.log', log.join('\n'));
    expect(await verify('--checkpoints', outside)).toMatchObject({ code: 0, out: expect.stringContaining('"ok": true') });
    expect(await verify()).toMatchObject({ code: 0 });
    expect(await cli(['audit', 'verify', '--checkpoints', save('no.log', 'nothing here\n')])).toMatchObject({ code: 2 });
  });

  test('betrays an entry that was changed', async () => {
    tamper('UPDATE audit SET body = replace(body, \'lost laptop\', \'spring clean\') WHERE action = \'revocation.made\'');
    const { code, out } = await verify();
    expect(code).toBe(1);
    expect(out).toContain('"ok": false');
    tamper('UPDATE audit SET body = replace(body, \'spring clean\', \'lost laptop\') WHERE action = \'revocation.made\'');
    expect((await verify()).code).toBe(0);
  });

  test('betrays a log that was cut off together with its seals, to who kept the server\'s log', async () => {
    const outside = save('server.log', log.join('\n'));
    expect((await verify('--checkpoints', outside)).code).toBe(0);
    tamper('DELETE FROM checkpoint WHERE n > 20', 'DELETE FROM audit WHERE n > 20 AND chain = (SELECT chain FROM audit ORDER BY at LIMIT 1)');
    expect((await verify('--checkpoints', outside)).code).toBe(1);
  });
});

test('the domain has to be named once there are two', async () => {
  await done(['domain', 'add', 'lab', '--set', 'stage=development', '--set', `owner=${OWNER}`]);
  expect(await cli(['workload', 'show', 'ci/deployer'])).toMatchObject({ code: 2, err: expect.stringMatching(/--domain \((dev, lab|lab, dev)\)/) });
  expect(await json(['workload', 'show', 'ci/deployer', '-d', 'dev'])).toMatchObject({ name: 'ci/deployer' });
  expect((await cli(['workload', 'show', 'ci/deployer'], '', { MAYFLY_DOMAIN: 'dev' })).code).toBe(0);
  expect((await cli(['workload', 'show', 'ci/deployer', '-d', 'lab'])).code).toBe(1);
  expect(BILLING).not.toBe(API);
});
