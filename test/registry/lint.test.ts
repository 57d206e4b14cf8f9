import { describe, expect, test } from '@jest/globals';
import { DAY } from '../../src/core/duration.ts';
import { parseStatement } from '../../src/policy/validate.ts';
import type { PolicyShape } from '../../src/registry/lint-policies.ts';
import { policyShape } from '../../src/registry/lint-policies.ts';
import { blocking, lint } from '../../src/registry/lint.ts';
import type { Finding } from '../../src/registry/lint.ts';
import { createPlanner } from '../../src/registry/resolve.ts';
import { attestors, decoder, deps, entriesOf, KEEP, manifest, NOW, providers, rowsAfter, systemRow, valueOf, viewOf, withChange } from './world.ts';

/** Reads a head as Cedar would, for the few forms used here. */
const describePolicy = (cedar: string): PolicyShape => ({
  effect: cedar.startsWith('permit') ? 'permit' : 'forbid', fixesPrincipal: /principal (?:==|in)/.test(cedar), fixesResource: /resource (?:==|in)/.test(cedar), ofDetails: /resource == Detail::/.test(cedar), conditions: cedar.split('when').length - 1,
});
const lintDeps = { attestors, providers, describePolicy };
const planner = createPlanner(deps);

const findings = async (document: unknown): Promise<readonly Finding[]> => lint(lintDeps, entriesOf(valueOf(await planner.plan(document, viewOf([systemRow()]), KEEP))), NOW);
const found = async (document: unknown): Promise<readonly string[]> => (await findings(document)).map(({ rule, entry }) => `${rule} ${entry.name}`);
/** A manifest in which no rule finds anything. */
const clean = () => [
  { path: ['workloads', 0, 'match', 'runner_environment'], value: 'github-hosted' },
  { path: ['workloads', 1, 'match', 'runner_environment'], value: 'github-hosted' },
  { path: ['resources', 0, 'bound'], value: true },
  { path: ['resources', 0, 'scopes'], value: ['deploy:write'] },
  { path: ['resources', 1], value: undefined },
].reduce<unknown>((document, { path, value }) => (value === undefined ? { ...(document as object), resources: [(document as { resources: unknown[] }).resources[0]] } : withChange(document, path, value)), manifest());
const at = (days: number): string => new Date(NOW + days * DAY).toISOString().replace('.000', '');

test('finds nothing in a manifest that trusts narrowly', async () => {
  expect(await found(clean())).toEqual([]);
});

const detailsPermit = (conditions: string): string => `permit(principal == Workload::"spiffe://prod.sts.acme.example/ci/deployer", action == Action::"issue", resource == Detail::"https://deploy.acme.example#payment")${conditions};`;

describe('lint', () => {
  test.each([
    { name: 'a pattern', path: ['workloads', 0, 'match', 'ref'], value: 'refs/heads/*', twin: 'refs/heads/main', finds: ['wildcard ci/deployer'] },
    { name: 'a pattern that begins open', path: ['workloads', 0, 'match', 'environment'], value: '*-prod', twin: 'eu-prod', finds: ['wildcard-open ci/deployer'] },
    { name: 'pull request events of GitHub', path: ['workloads', 0, 'match', 'event_name'], value: ['push', 'pull_request_target'], twin: ['push', 'release'], finds: ['pull-request-events ci/deployer'] },
    { name: 'events of an issuer widened to pull requests', path: ['issuers', 0, 'events'], value: ['push', 'issue_comment'], twin: ['push', 'release'], finds: ['pull-request-events github'] },
    { name: 'a production workload on any runner', path: ['workloads', 0, 'match', 'runner_environment'], value: undefined, twin: 'self-hosted', finds: ['runner-unrestricted ci/deployer'] },
    { name: 'a branch of a reusable workflow', path: ['workloads', 0, 'match', 'job_workflow_ref'], value: 'acme/ci/.github/workflows/x.yml@refs/heads/main', twin: 'acme/ci/.github/workflows/x.yml@refs/tags/v1', finds: ['reusable-workflow-branch ci/deployer'] },
    { name: 'evidence with a resource\'s audience', path: ['issuers', 0, 'audience'], value: 'https://deploy.acme.example', twin: 'https://other.acme.example', finds: ['audience-shared github'] },
    { name: 'GitHub\'s default audience', path: ['issuers', 0, 'audience'], value: 'https://github.com/acme', twin: 'https://github.com.acme.example/acme', finds: ['audience-of-platform github'] },
    { name: 'a token that may be shown again', path: ['issuers', 0, 'replay'], value: 'within-session', twin: 'once', finds: ['replay-within-session github'] },
    { name: 'a wide range', path: ['issuers', 0, 'allow_addresses'], value: ['10.1.0.0/20'], twin: ['10.1.0.0/24'], finds: ['addresses-wide github'] },
    { name: 'an open range', path: ['issuers', 0, 'allow_addresses'], value: ['10.0.0.0/8'], twin: ['10.0.0.1/32'], finds: ['addresses-open github'] },
    { name: 'an open IPv6 range', path: ['issuers', 0, 'allow_addresses'], value: ['fd00::/8'], twin: ['fd00::/64'], finds: ['addresses-open github'] },
    { name: 'an event that is ignored', path: ['issuers', 0, 'signals'], value: { events: { 'session-revoked': 'ignore' } }, twin: { events: { 'session-revoked': 'suspend' } }, finds: ['signals-ignored github'] },
    { name: 'tokens that need no key in production', path: ['resources', 0, 'bound'], value: false, twin: true, finds: ['unbound https://deploy.acme.example'] },
    { name: 'a scope no policy names', path: ['resources', 0, 'scopes'], value: ['deploy:write', 'deploy:admin'], twin: ['deploy:write'], finds: ['unused-scope https://deploy.acme.example'] },
    { name: 'an expiry beyond 400 days', path: ['issuers', 0, 'expires'], value: at(401), twin: at(400), finds: ['expiry-far github'] },
    { name: 'an expiry within 30 days', path: ['issuers', 0, 'expires'], value: at(30), twin: at(31), finds: ['expires-soon github'] },
    { name: 'a permit for everybody', path: ['policies', 0, 'cedar'], value: 'permit(principal, action, resource in Resource::"https://deploy.acme.example");', twin: 'forbid(principal, action, resource);', finds: ['permit-open deployer-deploys'], also: true },
    { name: 'a permit for everything', path: ['policies', 0, 'cedar'], value: 'permit(principal == Workload::"spiffe://prod.sts.acme.example/ci/deployer", action, resource);', twin: manifest().policies[0]?.cedar, finds: ['permit-open deployer-deploys'] },
    { name: 'a permit for details of any measure', path: ['policies', 0, 'cedar'], value: detailsPermit(''), twin: detailsPermit(' when { resource.numbers.hasTag("amount") && resource.numbers.getTag("amount") <= 5 }'), finds: ['details-unbounded deployer-deploys', 'unused-resource https://deploy.acme.example'], also: true },
    { name: 'a permit for everybody under a condition', path: ['policies', 0, 'cedar'], value: 'permit(principal, action, resource == Scope::"https://deploy.acme.example#deploy:write") when { principal.kind == "pipeline" };', twin: manifest().policies[0]?.cedar, finds: ['permit-wide deployer-deploys'] },
  ])('finds $name', async ({ path, value, twin, finds, also }) => {
    expect(await found(withChange(clean(), path, value))).toEqual(finds);
    if (also !== true) expect(await found(withChange(clean(), path, twin))).toEqual([]);
    else expect(await found(withChange(clean(), path, twin))).not.toContain(finds[0]);
  });

  test('asks for the event when the issuer lets risky ones in', async () => {
    const widened = withChange(clean(), ['issuers', 0, 'events'], ['push', 'workflow_run']);
    expect(await found(withChange(widened, ['workloads', 0, 'match', 'event_name'], undefined))).toEqual(['pull-request-events github', 'event-unrestricted ci/deployer']);
    expect(await found(withChange(clean(), ['workloads', 0, 'match', 'event_name'], undefined))).toEqual([]);
  });

  test('finds a reusable workflow that anybody may call', async () => {
    const called = (extra: object) => withChange(clean(), ['workloads', 0, 'match'], { issuer: 'github', enterprise_id: '3', runner_environment: 'github-hosted', job_workflow_ref: 'acme/ci/x.yml@refs/tags/v1', ...extra });
    expect(await found(called({}))).toEqual(['reusable-workflow-only ci/deployer']);
    expect(await found(called({ repository_owner_id: '4711' }))).toEqual([]);
  });

  test('finds merge request pipelines of GitLab', async () => {
    const gitlab = (source: string) => ({
      ...(withChange(clean(), ['issuers', 1], { domain: 'prod', name: 'gitlab', kind: 'gitlab-ci', replay: 'once', owner: 'x', expires: '2027-11-22' }) as object),
      workloads: [{ ...manifest().workloads[0], match: { issuer: 'gitlab', project_id: '7', pipeline_source: source, runner_environment: 'gitlab-hosted' } }, { ...manifest().workloads[1], match: { issuer: 'github', repository_id: '1', runner_environment: 'github-hosted' } }],
    });
    expect(await found(gitlab('merge_request_event'))).toEqual(['pull-request-events ci/deployer']);
    expect(await found(gitlab('push'))).toEqual([]);
  });

  test('tells that a platform with one token per job can be replayed', async () => {
    const gitlab = { domain: 'prod', name: 'gitlab', kind: 'gitlab-ci', owner: 'x', expires: '2027-11-22' };
    expect(await found(withChange(clean(), ['issuers', 1], gitlab))).toEqual(['replay-possible gitlab', 'unused-issuer gitlab']);
    expect(await found(withChange(clean(), ['issuers', 1], { ...gitlab, replay: 'once' }))).toEqual(['unused-issuer gitlab']);
  });

  test('lets an admin\'s token be shown again: one command is several calls', async () => {
    const staff = { name: 'staff', kind: 'oidc', issuer: 'https://login.acme.example', replay: 'within-session', owner: 'x', expires: '2027-11-22' };
    expect(await found(withChange(clean(), ['issuers', 1], { ...staff, domain: 'system', proves: 'admins' }))).toEqual([]);
    expect(await found(withChange(clean(), ['issuers', 1], { ...staff, domain: 'prod', proves: 'workloads' }))).toContain('replay-within-session staff');
  });

  test('finds what nothing uses', async () => {
    const { policies: _policies, ...rest } = clean() as { policies: unknown };
    expect(await found(rest)).toEqual(['unused-resource https://deploy.acme.example', 'unused-workload ci/deployer']);
    const covering = 'permit(principal in Group::"x", action, resource in Domain::"prod");';
    expect(await found(withChange(clean(), ['policies', 0, 'cedar'], covering))).toEqual(['unused-workload ci/deployer']);
    const administrative = 'permit(principal in Group::"x", action == Action::"admin::apply", resource == Domain::"prod");';
    expect(await found(withChange(clean(), ['policies', 0, 'cedar'], administrative))).toEqual(['unused-resource https://deploy.acme.example', 'unused-workload ci/deployer']);
  });

  test('finds approvals that nobody could give, and those the principal could', async () => {
    const asking = (annotations: string): string => `${annotations} ${String(manifest().policies[0]?.cedar)}`;
    const shapes = (cedar: string): PolicyShape | undefined => {
      const statement = parseStatement(cedar);
      return statement === undefined ? undefined : policyShape(statement);
    };
    const judged = async (annotations: string, ...more: readonly string[]): Promise<readonly string[]> => {
      const entries = entriesOf(valueOf(await planner.plan(clean(), viewOf([systemRow()]), KEEP)));
      const policies = entries.flatMap((entry) => (entry.kind === 'policy' ? [asking(annotations), ...more].map((cedar, index) => ({ ...entry, name: `p${index}`, cedar })) : []));
      return (await lint({ ...lintDeps, describePolicy: shapes }, [...entries.filter(({ kind }) => kind !== 'policy'), ...policies], NOW)).map(({ rule, entry }) => `${rule} ${entry.name}`);
    };
    const approves = 'permit(principal in Group::"leads", action == Action::"approve", resource == Scope::"https://deploy.acme.example#deploy:write");';
    expect(await judged('@approval("leads")')).toEqual(['approval-unanswerable p0']);
    expect(await judged('@approval("leads")', approves)).toEqual([]);
    expect(await judged('@approval("leads")', approves.replace('approve', 'delegate'))).toEqual(['approval-unanswerable p0']);
    expect(await judged('@approval("leads") @approval_by_principal', approves)).toEqual(['approval-by-principal p0']);
    expect(await judged('@description("plain")')).toEqual([]);
  });

  test('finds two workloads with one rule', async () => {
    const match = { issuer: 'github', repository_id: '816', event_name: 'push', runner_environment: 'github-hosted' };
    expect(await found(withChange(clean(), ['workloads', 0, 'match'], match))).toEqual(['same-match svc/deploy']);
  });

  test('finds a custom endpoint and a plain http issuer, which only development takes', async () => {
    const local = withChange(withChange(withChange(clean(), ['domains', 0, 'stage'], 'development'), ['issuers', 0, 'issuer'], 'http://127.0.0.1:8080'), ['resources', 1], { ...manifest().resources[1], endpoint: 'http://127.0.0.1:9000' });
    expect(await found(local)).toEqual(['issuer-plain-http github', 'custom-endpoint arn:aws:iam::123456789012:role/deploy', 'unused-resource arn:aws:iam::123456789012:role/deploy']);
  });

  test('judges stored entries that registration would no longer take', async () => {
    const rows = rowsAfter(valueOf(await planner.plan(clean(), viewOf([]), KEEP)));
    const { entries } = decoder.decodeAll(rows.map((row) => (row.name === 'ci/deployer' ? { ...row, body: { ...row.body, owner: ' ', expires: '2026-11-01', match: { issuer: 'github', ref: 'refs/heads/main', runner_environment: 'github-hosted' } } } : row)));
    expect((await lint(lintDeps, entries, NOW)).map(({ rule }) => rule)).toEqual(['no-owner', 'no-immutable-attribute', 'expired']);
    const withoutIssuer = entries.filter(({ kind }) => kind !== 'issuer');
    expect((await lint(lintDeps, withoutIssuer, NOW)).map(({ rule }) => rule)).toEqual(['no-owner', 'expired', 'issuer-missing', 'issuer-missing']);
  });

  test('judges only what is asked for when apply asks', async () => {
    const plan = valueOf(await planner.plan(withChange(manifest(), ['workloads', 0, 'match', 'ref'], '*'), viewOf([]), KEEP));
    const subjects = plan.subjects.filter((entry) => entry.kind === 'workload');
    expect((await lint(lintDeps, plan.context, NOW, subjects)).filter(({ severity }) => severity === 'error').map(({ rule }) => rule)).toEqual(['wildcard-open']);
  });

  test('says where, why and what to do', async () => {
    expect(await findings(withChange(clean(), ['workloads', 0, 'match', 'ref'], '*'))).toEqual([{
      rule: 'wildcard-open', severity: 'error', entry: { kind: 'workload', domain: 'prod', name: 'ci/deployer', id: expect.stringMatching(/^wkl_/) },
      why: expect.stringMatching(/^ref: \*: /), mend: 'list the exact values of ref', acceptedUntil: undefined,
    }]);
  });
});

describe('acceptance', () => {
  const open = (accept: readonly object[]) => withChange(withChange(clean(), ['workloads', 0, 'match', 'ref'], '*'), ['workloads', 0, 'accept'], accept);

  test('of an error lets it pass until its end', async () => {
    expect(blocking(await findings(open([{ rule: 'wildcard-open', reason: 'x', until: at(1) }])))).toEqual([]);
    expect((await findings(open([{ rule: 'wildcard-open', reason: 'x', until: at(1) }]))).map(({ acceptedUntil }) => acceptedUntil)).toEqual([NOW + DAY]);
  });

  test.each([
    { name: 'that has ended', accept: [{ rule: 'wildcard-open', reason: 'x', until: at(0) }] },
    { name: 'of another rule', accept: [{ rule: 'wildcard', reason: 'x', until: at(1) }] },
    { name: 'that is not there', accept: [] },
  ])('$name lets nothing pass', async ({ accept }) => {
    expect(blocking(await findings(open(accept))).map(({ rule }) => rule)).toEqual(['wildcard-open']);
  });

  test('is not needed for warnings', async () => {
    expect(blocking(await findings(withChange(clean(), ['workloads', 0, 'match', 'ref'], 'refs/heads/*')))).toEqual([]);
  });
});

test.each([
  { name: 'an entity', scope: { op: '==', entity: {} }, fixed: true }, { name: 'a group', scope: { op: 'in', entity: {} }, fixed: true }, { name: 'a type within a group', scope: { op: 'is', in: {} }, fixed: true },
  { name: 'a type', scope: { op: 'is' }, fixed: false }, { name: 'anything', scope: { op: 'All' }, fixed: false },
])('a head of $name fixes: $fixed', ({ scope, fixed }) => {
  expect(policyShape({ effect: 'permit', principal: scope, resource: { op: 'All' }, conditions: [{}] })).toEqual({ effect: 'permit', fixesPrincipal: fixed, fixesResource: false, ofDetails: false, conditions: 1 });
});
