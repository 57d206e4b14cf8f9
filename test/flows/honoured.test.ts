import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createStrictSts } from '../../demo/strict-sts.ts';
import type { StrictSts } from '../../demo/strict-sts.ts';
import type { Answer } from '../support/mayfly.ts';
import { ROLE_ARN, trustPolicy } from '../support/strict-sts.ts';
import { FAR, OWNER } from '../support/world.ts';
import { runCli } from '../cli/harness.ts';
import { API, DEPLOY, SPIFFE, claimsOf, issued, startLab, until } from './lab.ts';
import type { Lab } from './lab.ts';

/** Whatever takes authority back says what AWS goes on honouring, and until when (design section 3, invariant 9). */
const EXTRA = 'second';
const roleOf = (workload: string): string => `${ROLE_ARN}-of-${workload.replace('/', '-')}`;
/** Workloads made to be ended, each with its repository. */
const DOOMED = { 'ci/removed': '9101', 'ci/by-issuer': '9102', 'ci/pruned': '9103', 'ci/pruned-too': '9104', 'ci/by-key': '9105', 'ci/plain': '9106', 'ci/by-hand': '9107', 'ci/by-command': '9108', 'ci/stays': '9109' } as const;
type Name = keyof typeof DOOMED;
const NAMES = Object.keys(DOOMED) as readonly Name[];
const issuerOf = (name: Name): string => (name === 'ci/by-issuer' ? EXTRA : 'github');

let lab: Lab;
let sts: StrictSts;
beforeAll(async () => {
  lab = await startLab();
  sts = await createStrictSts({ issuerUrl: lab.issuer, clock: { now: () => Date.now() }, roles: NAMES.map((name) => ({ arn: roleOf(name), trust: trustPolicy(lab.issuer, `${SPIFFE}/${name}`) })) });
  await lab.mayfly.apply(registered());
});
afterAll(async () => {
  await sts.close();
  await lab.close();
});

const registered = () => ({
  issuers: [{ domain: 'dev', name: EXTRA, kind: 'github-actions', issuer: lab.platform.issuer, organization_id: '4712', owner: OWNER, expires: FAR }],
  resources: NAMES.map((name) => ({ domain: 'dev', audience: roleOf(name), provider: 'aws-sts', endpoint: sts.url, owner: OWNER, expires: FAR })),
  workloads: NAMES.map((name) => ({ domain: 'dev', name, kind: 'pipeline', authority: 'bounded', owner: OWNER, expires: FAR, match: { issuer: issuerOf(name), repository_id: DOOMED[name] } })),
  policies: NAMES.flatMap((name) => [roleOf(name), API].map((resource, index) => (
    { domain: 'dev', name: `${name.replace('/', '-')}-${index}`, owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${SPIFFE}/${name}", action == Action::"issue", resource == Resource::"${resource}");` }))),
});

const evidence = (name: Name): string => {
  const id = DOOMED[name];
  const second = issuerOf(name) === EXTRA;
  return lab.job({ ...DEPLOY, run_id: `${id}${Math.floor(Math.random() * 1e9)}`, repository_id: id, repository: `acme/r${id}`, sub: `repo:acme/r${id}:ref:refs/heads/main`, ...(second ? { repository_owner_id: '4712' } : {}) });
};
const tokenOf = async (name: Name): Promise<string> => String(claimsOf(issued(await lab.exchange({ subject_token: evidence(name), audience: API })))['jti']);
interface Honoured { readonly lease: string; readonly audience: string; readonly until: number }
const keysOf = async (name: Name): Promise<Honoured> => {
  const keys = JSON.parse(issued(await lab.exchange({ subject_token: evidence(name), audience: roleOf(name) }))) as { readonly LeaseId: string };
  const { body } = await lab.mayfly.admin('GET', `leases/${keys.LeaseId}`);
  return { lease: keys.LeaseId, audience: roleOf(name), until: Date.parse(String(body['expires_at'])) };
};
const told = ({ until, ...rest }: Honoured): object => ({ ...rest, until: new Date(until).toISOString(), note: expect.stringContaining('AWS honours these keys until') });
const byLease = <T extends { readonly lease?: unknown }>(list: readonly T[]): readonly T[] => [...list].sort((a, b) => String(a.lease).localeCompare(String(b.lease)));
const endsByItself = (answer: Answer): readonly { readonly lease?: unknown }[] => byLease(answer.body['ends_by_itself'] as readonly { readonly lease?: unknown }[]);
const statusOf = async (lease: string): Promise<unknown> => (await lab.mayfly.admin('GET', `leases/${lease}`)).body['status'];
const remove = (section: string, name: string): Promise<Answer> => lab.mayfly.admin('DELETE', `${section}/dev/${encodeURIComponent(name)}?reason=a%20test`);

type Body = Readonly<Record<string, unknown>>;
const audited = async (action: string, fits: (body: Body) => boolean): Promise<readonly Body[]> => {
  const { body } = await lab.mayfly.admin('GET', 'audit');
  const events = String(body['text']).trim().split('\n').map((line) => JSON.parse((JSON.parse(line) as { readonly body: string }).body) as { readonly action: string; readonly body: Body });
  return events.filter((event) => event.action === action && fits(event.body)).map((event) => event.body);
};
const named = (name: string) => (body: Body): boolean => body['name'] === name;

describe('removing a workload', () => {
  test('tells what AWS still honours, in the answer and in the audit log, and nothing of others', async () => {
    const [keys, token, others] = [await keysOf('ci/removed'), await tokenOf('ci/removed'), await keysOf('ci/stays')];
    const answer = await remove('workloads', 'ci/removed');
    expect(answer).toMatchObject({ status: 200, body: { applied: true, leases: 2, ends_by_itself: [told(keys)] } });
    expect(answer.body).not.toHaveProperty('more');
    expect(await audited('registry.end', named('ci/removed'))).toEqual([expect.objectContaining({ by: 'local', reason: 'a test', honoured: [keys] })]);
    expect(await Promise.all([keys.lease, token, others.lease].map(statusOf))).toEqual(['revoked', 'revoked', 'active']);
  });

  test('of which only tokens are out records nothing that lives on', async () => {
    await tokenOf('ci/plain');
    expect((await remove('workloads', 'ci/plain')).body).toMatchObject({ leases: 1, ends_by_itself: [] });
    const [entry] = await audited('registry.end', named('ci/plain'));
    expect(entry).toMatchObject({ reason: 'a test' });
    expect(entry).not.toHaveProperty('honoured');
  });

  test('by the command line says it in words', async () => {
    const keys = await keysOf('ci/by-hand');
    const { code, out, err } = await runCli(['workload', 'rm', 'ci/by-hand', '--domain', 'dev', '--reason', 'gone', '--server', lab.mayfly.server.adminSocket], { env: {}, stdin: '' });
    expect({ code, err }).toEqual({ code: 0, err: 'workload ci/by-hand ended, 1 active lease with it\n' });
    expect(out).toContain(`cannot be taken back at its target: lease=${keys.lease} audience=${keys.audience}`);
    expect(out).toContain(`until=${new Date(keys.until).toISOString()}\n`);
  });
});

test('removing a trusted issuer tells it of all workloads it proved', async () => {
  const [keys, token] = [await keysOf('ci/by-issuer'), await tokenOf('ci/by-issuer')];
  const answer = await remove('issuers', EXTRA);
  expect(answer.body).toMatchObject({ leases: 2, ends_by_itself: [told(keys)] });
  expect(await audited('registry.end', named(EXTRA))).toEqual([expect.objectContaining({ honoured: [keys] })]);
  expect(await Promise.all([keys.lease, token].map(statusOf))).toEqual(['revoked', 'revoked']);
});

test('removing a resource or a policy revokes nothing, and says nothing of leases', async () => {
  const { lease } = await keysOf('ci/stays');
  const answer = await remove('policies', 'ci-plain-0');
  expect(answer.status).toBe(200);
  expect(answer.body).not.toHaveProperty('leases');
  expect(answer.body).not.toHaveProperty('ends_by_itself');
  expect(await statusOf(lease)).toBe('active');
});

test('what followed a revocation tells it too, once it was carried out, and the audit log names the keys', async () => {
  const keys = await keysOf('ci/stays');
  const session = String((await lab.mayfly.admin('GET', `leases/${keys.lease}`)).body['session']);
  const revoked = await lab.mayfly.admin('POST', 'revocations', { kind: 'session', id: session, reason: 'lost' });
  expect(revoked.body).toMatchObject({ leases: 1, ends_by_itself: [told(keys)] });
  const carriedOut = async (): Promise<unknown> => (await lab.mayfly.admin('GET', `revocations/${String(revoked.body['revocation'])}`)).body['carried_out'];
  await until(async () => ((await carriedOut()) as { readonly status: string }).status === 'done');
  expect(await carriedOut()).toMatchObject({ sessions: 1, leases: 1, taken_back: 0, ends_by_itself: 1, ends_by_itself_until: new Date(keys.until).toISOString() });
  expect(await audited('revocation.at_targets', (body) => body['revocation'] === revoked.body['revocation'])).toEqual([
    { revocation: revoked.body['revocation'], target: `session:${session}`, honoured: [{ lease: keys.lease, until: keys.until }] },
  ]);
});

describe('apply --prune', () => {
  /** The issuer of one of them is gone already, so that a manifest could not name it. */
  const GOING: ReadonlySet<unknown> = new Set(['ci/pruned', 'ci/pruned-too', 'ci/by-issuer']);
  test('tells it for each workload that ends, once a lease, and a dry run records nothing', async () => {
    const [one, other] = [await keysOf('ci/pruned'), await keysOf('ci/pruned-too')];
    const whole = (await Promise.all((['issuers', 'resources', 'workloads', 'policies'] as const).map(async (section) => [section, (await lab.mayfly.admin('GET', `${section}?domain=dev&limit=1000`)).body['items']] as const)));
    const manifest = {
      domains: [{ name: 'dev', stage: 'development', owner: 'local' }],
      ...Object.fromEntries(whole.map(([section, items]) => [section, (items as readonly Record<string, unknown>[]).filter(({ name }) => !GOING.has(name)).map(writable)])),
    };
    const planned = await lab.mayfly.admin('POST', 'apply', { manifest, prune: true, dry_run: true });
    expect([planned.status, planned.body['problems']]).toEqual([200, undefined]);
    expect(planned.body).not.toHaveProperty('ends_by_itself');
    expect(await audited('registry.end', named('ci/pruned'))).toEqual([]);
    const answer = await lab.mayfly.admin('POST', 'apply', { manifest, prune: true, dry_run: false });
    expect(answer.body).toMatchObject({ applied: true, leases: 2 });
    expect(endsByItself(answer)).toEqual(byLease([one, other]).map(told));
    expect(await audited('registry.end', named('ci/pruned'))).toEqual([expect.objectContaining({ honoured: [one] })]);
    expect(await audited('registry.end', named('ci/pruned-too'))).toEqual([expect.objectContaining({ honoured: [other] })]);
  });
});

/** As a manifest takes an entry that the API showed. */
const writable = ({ id: _id, version: _version, status: _status, changed_at: _at, changed_by: _by, spiffe_id: _spiffe, effect: _effect, ...entry }: Record<string, unknown>): object => entry;

describe('revoking a key', () => {
  const kidOf = async (purpose: string): Promise<string> =>
    ((await lab.mayfly.admin('GET', 'keys?domain=dev')).body['items'] as readonly { readonly kid: string; readonly purpose: string; readonly status: string }[]).find((key) => key.purpose === purpose && key.status === 'current')?.kid ?? '';

  test('that vouched to AWS tells what AWS still honours, and nothing of tokens another key signed', async () => {
    const [keys, token, kid] = [await keysOf('ci/by-key'), await tokenOf('ci/by-key'), await kidOf('aws')];
    const answer = await lab.mayfly.admin('POST', `keys/${kid}/revoke`, { reason: 'leaked' });
    expect(answer.status).toBe(200);
    expect(endsByItself(answer)).toContainEqual(told(keys));
    expect(answer.body['leases']).toBe(endsByItself(answer).length);
    const [entry, ...rest] = await audited('key.revoked', (body) => body['kid'] === kid);
    expect(rest).toEqual([]);
    expect((entry?.['honoured'] as readonly Honoured[])).toContainEqual(keys);
    expect(await Promise.all([keys.lease, token].map(statusOf))).toEqual(['revoked', 'active']);
    // What takes its place is rotated, and has nothing to answer for.
    for (const body of await audited('key.rotated', (each) => each['reason'] === 'leaked')) expect(body).not.toHaveProperty('honoured');
  });

  test('that signed tokens alone records nothing that lives on', async () => {
    const [token, kid] = [await tokenOf('ci/by-key'), await kidOf('access')];
    const answer = await lab.mayfly.admin('POST', `keys/${kid}/revoke`, { reason: 'leaked' });
    expect(answer.body).toMatchObject({ ends_by_itself: [] });
    expect(Number(answer.body['leases'])).toBeGreaterThan(0);
    const [entry] = await audited('key.revoked', (body) => body['kid'] === kid);
    expect(entry).not.toHaveProperty('honoured');
    expect(await statusOf(token)).toBe('revoked');
  });

  test('by the command line says it in words, and whole as JSON', async () => {
    const keys = await keysOf('ci/by-command');
    const server = ['--server', lab.mayfly.server.adminSocket];
    const text = await runCli(['keys', 'revoke', '--reason', 'leaked', ...server, '--', await kidOf('aws')], { env: {}, stdin: '' });
    expect({ code: text.code, err: text.err }).toEqual({ code: 0, err: '1 active lease ended\n' });
    expect(text.out).toContain(`cannot be taken back at its target: lease=${keys.lease}`);
    const again = await keysOf('ci/by-command');
    const json = await runCli(['keys', 'revoke', '--reason', 'leaked', '--json', ...server, '--', await kidOf('aws')], { env: {}, stdin: '' });
    expect(JSON.parse(json.out)).toMatchObject({ leases: 1, ends_by_itself: [{ lease: again.lease }], items: [{ status: 'revoked' }, { status: 'current' }] });
  });
});
