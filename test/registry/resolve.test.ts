import { describe, expect, test } from '@jest/globals';
import { createPlanner } from '../../src/registry/resolve.ts';
import { clock, deps, errorOf, KEEP, manifest, PRUNE, rowsAfter, systemRow, valueOf, viewOf, withChange } from './world.ts';

const planner = createPlanner(deps);
const empty: { readonly rows: Parameters<typeof viewOf>[0] } = { rows: [systemRow()] };
const plan = (document: unknown, { rows } = empty, options = KEEP, by = planner) => by.plan(document, viewOf(rows), options);
const remove = (removals: Parameters<typeof planner.remove>[0], { rows } = empty) => planner.remove(removals, viewOf(rows), KEEP);
const extraIssuer = (fields: object) => withChange(manifest(), ['issuers', 1], { ...manifest().issuers[0], name: 'other', ...fields });

const made = valueOf(await plan(manifest()));
describe('a plan for an empty registry', () => {
  test('creates every entry, in the order of what rests on what', () => {
    expect(made.changes.map(({ action, kind, domain, name }) => `${action} ${kind} ${domain}/${name}`)).toEqual([
      'create domain prod/prod', 'create issuer prod/github', 'create resource prod/https://deploy.acme.example', 'create resource prod/arn:aws:iam::123456789012:role/deploy',
      'create workload prod/ci/deployer', 'create workload prod/svc/deploy', 'create policy prod/deployer-deploys',
    ]);
  });

  test('settles what the manifest leaves to the server', () => {
    const bodies = made.entries.map(({ body }) => body);
    expect(bodies[0]).toEqual({ name: 'prod', stage: 'production', spiffe: 'prod.sts.acme.example', issuer: 'https://sts.acme.example/prod', owner: 'platform@acme.example' });
    expect(bodies[1]).toMatchObject({ issuer: 'https://token.actions.githubusercontent.com', audience: 'https://sts.acme.example/prod', organization_id: '4711' });
    expect(bodies[4]).toMatchObject({ spiffe_id: 'spiffe://prod.sts.acme.example/ci/deployer', match: { event_name: ['push', 'workflow_dispatch'], repository_id: '815' } });
    expect(bodies[6]).toMatchObject({ effect: 'permit' });
  });

  test('gives rows with version, owner and expiry, under the domain\'s id', () => {
    const [domain, issuer] = made.entries;
    expect(domain).toMatchObject({ version: 1, kind: 'domain', expiresAt: null, ended: false, owner: 'platform@acme.example' });
    expect(domain?.domainId).toBe(domain?.id);
    expect(issuer).toMatchObject({ version: 1, name: 'github', domainId: domain?.id, expiresAt: Date.parse('2027-11-22'), ended: false });
    expect(new Set(made.entries.map(({ id }) => id)).size).toBe(made.entries.length);
  });

  test('revokes nothing', () => {
    expect(made.revocations).toEqual([]);
  });
});

const rows = rowsAfter(made, empty.rows);
describe('a plan for what is there already', () => {
  test('changes nothing when the same file is applied twice', async () => {
    const again = valueOf(await plan(manifest(), { rows }));
    expect(again.changes.map(({ action }) => action)).toEqual(Array(7).fill('unchanged'));
    expect(again.entries).toEqual([]);
  });

  test.each([
    { name: 'scopes in another order', path: ['resources', 0, 'scopes'], value: ['deploy:write', 'deploy:read'] },
    { name: 'alternatives in another order', path: ['workloads', 0, 'match', 'event_name'], value: ['workflow_dispatch', 'push'] },
    { name: 'one value as a list', path: ['workloads', 0, 'match', 'ref'], value: ['refs/heads/main'] },
    { name: 'the same moment as date-time', path: ['workloads', 0, 'expires'], value: '2027-05-01T00:00:00.000Z' },
    { name: 'a default written out', path: ['issuers', 0, 'audience'], value: 'https://sts.acme.example/prod' },
    { name: 'the stored SPIFFE name written out', path: ['domains', 0, 'spiffe'], value: 'prod.sts.acme.example' },
  ])('sees no change in $name', async ({ path, value }) => {
    expect(valueOf(await plan(withChange(manifest(), path, value), { rows })).entries).toEqual([]);
  });

  test('writes one new version of what changed, and says which fields', async () => {
    const changed = valueOf(await plan(withChange(manifest(), ['workloads', 0, 'match', 'ref'], 'refs/heads/release'), { rows }));
    const before = rows.find(({ name }) => name === 'ci/deployer');
    expect(changed.entries).toEqual([expect.objectContaining({ id: before?.id, version: 2, name: 'ci/deployer', ended: false })]);
    expect(changed.changes.find(({ action }) => action === 'update')?.fields).toEqual([{ field: 'match.ref', before: 'refs/heads/main', after: 'refs/heads/release' }]);
  });

  test('keeps the identity of a domain when the external URL moved', async () => {
    const moved = createPlanner({ ...deps, externalUrl: 'https://new.acme.example' });
    expect(valueOf(await plan(manifest(), { rows }, KEEP, moved)).entries).toEqual([]);
  });

  test.each([
    { name: 'SPIFFE name', field: 'spiffe', value: 'other.example' },
    { name: 'issuer URL', field: 'issuer', value: 'https://sts.acme.example/other' },
  ])('refuses another $name for a stored domain', async ({ field, value }) => {
    expect(errorOf(await plan(withChange(manifest(), ['domains', 0, field], value), { rows }))).toEqual([expect.objectContaining({ path: `domains[0].${field}`, message: expect.stringContaining('is fixed as') })]);
  });

  test('ends nothing without prune', async () => {
    expect(valueOf(await plan({ domains: manifest().domains }, { rows })).entries).toEqual([]);
  });

  test('with prune ends what the manifest does not contain, and revokes issuers and workloads', async () => {
    const { workloads, ...rest } = manifest();
    const pruned = valueOf(await plan({ ...rest, workloads: workloads.slice(1), policies: [] }, { rows }, PRUNE));
    const ended = pruned.entries.filter((entry) => entry.ended);
    expect(ended.map(({ kind, name, version }) => [kind, name, version])).toEqual([['workload', 'ci/deployer', 2], ['policy', 'deployer-deploys', 2]]);
    expect(pruned.revocations).toEqual([{ target: `workload:${ended[0]?.id ?? ''}`, domainId: ended[0]?.domainId }]);
    expect(ended[0]?.body).toMatchObject({ name: 'ci/deployer' });
  });

  test('with prune leaves domains alone that the manifest does not list', async () => {
    expect(valueOf(await plan({ workloads: manifest().workloads }, { rows }, PRUNE)).entries).toEqual([]);
    expect(valueOf(await plan({}, { rows }, PRUNE)).entries).toEqual([]);
  });

  test('with prune reports what still refers to an ended entry', async () => {
    const { issuers: _issuers, ...rest } = manifest();
    expect(errorOf(await plan(rest, { rows }, PRUNE)).map(({ path }) => path)).toEqual(['workloads[0].match.issuer', 'workloads[1].match.issuer']);
  });

  test('gives a name again only under a new id', async () => {
    const removed = valueOf(await remove([{ kind: 'workload', domain: 'prod', name: 'ci/deployer' }], { rows }));
    const after = rowsAfter(removed, rows);
    const again = valueOf(await plan(manifest(), { rows: after }));
    expect(again.entries).toEqual([expect.objectContaining({ name: 'ci/deployer', version: 1 })]);
    expect(after.map(({ id }) => id)).not.toContain(again.entries[0]?.id);
  });

  test('ends single entries', async () => {
    const removed = valueOf(await remove([{ kind: 'issuer', domain: 'prod', name: 'github' }, { kind: 'resource', domain: 'prod', name: 'https://deploy.acme.example' }], { rows }));
    expect(removed.entries.map(({ kind, ended }) => [kind, ended])).toEqual([['issuer', true], ['resource', true]]);
    expect(removed.revocations.map(({ target }) => target)).toEqual([`issuer:${removed.entries[0]?.id ?? ''}`]);
  });

  test.each([
    { name: 'an entry that is not there', removal: { kind: 'workload', domain: 'prod', name: 'ci/deploier' }, mend: 'did you mean "ci/deployer"?' },
    { name: 'a domain that is not there', removal: { kind: 'workload', domain: 'prud', name: 'ci/deployer' }, mend: 'did you mean "prod"?' },
  ] as const)('refuses to end $name', async ({ removal, mend }) => {
    expect(errorOf(await remove([removal], { rows }))).toEqual([expect.objectContaining({ mend })]);
  });

  test('rechecks stored resources and issuers when the stage changes', async () => {
    const local = createPlanner({ ...deps, externalUrl: 'https://sts.acme.example' });
    const development = withChange(withChange(withChange(manifest(), ['domains', 0, 'stage'], 'development'), ['resources', 1, 'endpoint'], 'http://127.0.0.1:9000'), ['issuers', 0, 'issuer'], 'http://127.0.0.1:9001');
    const stored = rowsAfter(valueOf(await plan(development, empty, KEEP, local)), empty.rows);
    expect(errorOf(await plan({ domains: manifest().domains }, { rows: stored }, KEEP, local)).map(({ path }) => path)).toEqual([
      'registry: issuer prod/github.issuer', 'registry: resource prod/arn:aws:iam::123456789012:role/deploy',
    ]);
    expect((await plan({ domains: [{ ...manifest().domains[0], stage: 'development', owner: 'other@acme.example' }] }, { rows: stored }, KEEP, local)).ok).toBe(true);
  });

  test('rechecks stored workloads when their issuer changes', async () => {
    const changed = [{ ...manifest().issuers[0], kind: 'gitlab-ci', organization_id: undefined }];
    const problems = errorOf(await plan({ issuers: JSON.parse(JSON.stringify(changed)) }, { rows }));
    expect(problems.map(({ path }) => path)).toContain('registry: workload prod/ci/deployer.match.repository_id');
    expect((await plan({ issuers: [{ ...manifest().issuers[0], organization_id: '4712' }] }, { rows })).ok).toBe(true);
  });
});

describe('sense of domains', () => {
  test.each([
    { name: 'a name in capitals', value: 'Prod' }, { name: 'a name that starts with a digit', value: '1prod' }, { name: 'a long name', value: `p${'x'.repeat(31)}` },
    { name: 'the reserved domain', value: 'system' }, { name: 'a root path', value: 'admin' }, { name: 'another root path', value: 'healthz' }, { name: 'a dotted name', value: 'openapi.json' },
  ])('refuses $name', async ({ value }) => {
    const { domains: [domain] } = manifest();
    expect(errorOf(await plan({ domains: [{ ...domain, name: value }] })).map(({ path }) => path)).toContain('domains[0].name');
  });

  test('takes a name of 31 characters', async () => {
    expect((await plan({ domains: [{ ...manifest().domains[0], name: `p${'x'.repeat(30)}` }] })).ok).toBe(true);
  });

  test('takes only development domains without an https external URL', async () => {
    const loopback = createPlanner({ ...deps, externalUrl: 'http://127.0.0.1:8080' });
    const [domain] = manifest().domains;
    expect(errorOf(await plan({ domains: [domain] }, empty, KEEP, loopback))).toEqual([expect.objectContaining({ path: 'domains[0].stage' })]);
    const made = valueOf(await plan({ domains: [{ ...domain, stage: 'development' }] }, empty, KEEP, loopback));
    expect(made.entries[0]?.body).toMatchObject({ issuer: 'http://127.0.0.1:8080/prod', spiffe: 'prod.127.0.0.1' });
  });

  test('asks for a SPIFFE name where the external URL gives none', async () => {
    const loopback = createPlanner({ ...deps, externalUrl: 'http://[::1]:8080' });
    const domain = { ...manifest().domains[0], stage: 'development' };
    expect(errorOf(await plan({ domains: [domain] }, empty, KEEP, loopback))).toEqual([expect.objectContaining({ path: 'domains[0].spiffe' })]);
    expect((await plan({ domains: [{ ...domain, spiffe: 'prod.example' }] }, empty, KEEP, loopback)).ok).toBe(true);
  });

  test('refuses an issuer URL the server does not answer at', async () => {
    expect(errorOf(await plan(withChange(manifest(), ['domains', 0, 'issuer'], 'https://other.example/prod')))).toEqual([expect.objectContaining({ path: 'domains[0].issuer' })]);
  });

  test('refuses two domains with one SPIFFE name', async () => {
    const twin = { ...manifest().domains[0], name: 'twin', spiffe: 'prod.sts.acme.example' };
    expect(errorOf(await plan(withChange(manifest(), ['domains', 1], twin)))).toEqual([expect.objectContaining({ path: 'domains[1].spiffe' })]);
    expect((await plan(withChange(manifest(), ['domains', 1], { ...twin, spiffe: 'twin.sts.acme.example' }))).ok).toBe(true);
  });
});

describe('sense of entries', () => {
  test.each([
    { name: 'an unknown domain', path: ['workloads', 0, 'domain'], value: 'prd', at: 'workloads[0].domain' },
    { name: 'an expiry that has passed', path: ['workloads', 0, 'expires'], value: '2026-11-22', at: 'workloads[0].expires' },
    { name: 'acceptance of a rule that does not exist', path: ['workloads', 0, 'accept'], value: [{ rule: 'wildcrd', reason: 'x', until: '2027-01-01' }], at: 'workloads[0].accept[0].rule' },
    { name: 'an unknown attestor kind', path: ['issuers', 0, 'kind'], value: 'github-action', at: 'issuers[0].kind' },
    { name: 'a missing option of the kind', path: ['issuers', 0, 'organization_id'], value: undefined, at: 'issuers[0].organization_id' },
    { name: 'an unknown option of the kind', path: ['issuers', 0, 'organisation_id'], value: '4711', at: 'issuers[0].organisation_id' },
    { name: 'an issuer URL the platform cannot have', path: ['issuers', 0, 'issuer'], value: 'https://token.actions.example', at: 'issuers[0].issuer' },
    { name: 'a plain http issuer in production', path: ['issuers', 0, 'issuer'], value: 'http://127.0.0.1:8080', at: 'issuers[0].issuer' },
    { name: 'this installation as issuer', path: ['issuers', 0, 'issuer'], value: 'https://sts.acme.example/prod', at: 'issuers[0].issuer' },
    { name: 'applications of an issuer that proves workloads', path: ['issuers', 0, 'audiences'], value: [{ client_id: 'app', presenters: ['ci/deployer'] }], at: 'issuers[0].audiences' },
    { name: 'a range that is no CIDR', path: ['issuers', 0, 'allow_addresses'], value: ['10.0.0.1'], at: 'issuers[0].allow_addresses[0]' },
    { name: 'a range of everything', path: ['issuers', 0, 'allow_addresses'], value: ['0.0.0.0/0'], at: 'issuers[0].allow_addresses[0]' },
    { name: 'a range with bits beyond its prefix', path: ['issuers', 0, 'allow_addresses'], value: ['10.0.0.0/24', '10.1.2.3/8'], at: 'issuers[0].allow_addresses[1]' },
    { name: 'a range written as no router would', path: ['issuers', 0, 'allow_addresses'], value: ['0xa.0.0.0/8'], at: 'issuers[0].allow_addresses[0]' },
    { name: 'another cloud\'s metadata address', path: ['issuers', 0, 'allow_addresses'], value: ['100.100.100.200/32'], at: 'issuers[0].allow_addresses[0]' },
    { name: 'a metadata address in IPv6', path: ['issuers', 0, 'allow_addresses'], value: ['fd00:ec2::254/128'], at: 'issuers[0].allow_addresses[0]' },
    { name: 'the metadata address', path: ['issuers', 0, 'allow_addresses'], value: ['169.254.169.254/32'], at: 'issuers[0].allow_addresses[0]' },
    { name: 'the admin audience for workloads', path: ['issuers', 0, 'audience'], value: 'https://sts.acme.example/prod/admin', at: 'issuers[0].audience' },
    { name: 'the issuer itself as audience', path: ['issuers', 0, 'audience'], value: 'https://token.actions.githubusercontent.com', at: 'issuers[0].audience' },
    { name: 'an unknown provider', path: ['resources', 0, 'provider'], value: 'access-tokens', at: 'resources[0].provider' },
    { name: 'an unknown option of the provider', path: ['resources', 0, 'endpoint'], value: 'https://x.example', at: 'resources[0].endpoint' },
    { name: 'what the provider refuses', path: ['resources', 1, 'audience'], value: 'arn:aws:s3:::bucket', at: 'resources[1]' },
    { name: 'an endpoint outside of development', path: ['resources', 1, 'endpoint'], value: 'http://127.0.0.1:9', at: 'resources[1]' },
    { name: 'a lifetime below the provider\'s floor', path: ['resources', 1, 'lifetime'], value: 300, at: 'resources[1].lifetime' },
    { name: 'a scope listed twice', path: ['resources', 0, 'scopes'], value: ['a', 'a'], at: 'resources[0].scopes[1]' },
    { name: 'an unknown serving workload', path: ['resources', 0, 'served_by'], value: ['svc/deplyo'], at: 'resources[0].served_by[0]' },
    { name: 'our own issuer as audience', path: ['resources', 0, 'audience'], value: 'https://sts.acme.example/prod', at: 'resources[0].audience' },
    { name: 'our introspection endpoint as audience', path: ['resources', 0, 'audience'], value: 'https://sts.acme.example/prod/introspect', at: 'resources[0].audience' },
    { name: 'another domain\'s issuer as audience', path: ['resources', 0, 'audience'], value: 'https://sts.acme.example/system/admin', at: 'resources[0].audience' },
    { name: 'a provider\'s audience', path: ['resources', 0, 'audience'], value: 'sts.amazonaws.com', at: 'resources[0].audience' },
    { name: 'an autonomous workload without a principal', path: ['workloads', 0, 'authority'], value: 'autonomous', at: 'workloads[0].principal' },
    { name: 'a principal of a workload that is not autonomous', path: ['workloads', 0, 'principal'], value: { issuer: 'corp', sub: '1' }, at: 'workloads[0].principal' },
    { name: 'a name SPIFFE does not allow', path: ['workloads', 0, 'name'], value: 'ci/../deployer', at: 'workloads[0].name' },
    { name: 'an unknown issuer', path: ['workloads', 0, 'match', 'issuer'], value: 'gihtub', at: 'workloads[0].match.issuer' },
    { name: 'an unknown attribute', path: ['workloads', 0, 'match', 'repositoryid'], value: '815', at: 'workloads[0].match.repositoryid' },
    { name: 'an attribute name of Object itself', path: ['workloads', 0, 'match', 'constructor'], value: '815', at: 'workloads[0].match.constructor' },
    { name: 'a number where text is proved', path: ['workloads', 0, 'match', 'repository_id'], value: 815, at: 'workloads[0].match.repository_id' },
    { name: 'text where true or false is proved', path: ['workloads', 0, 'match', 'ref_protected'], value: 'true', at: 'workloads[0].match.ref_protected' },
    { name: 'a rule of mutable attributes only', path: ['workloads', 0, 'match', 'repository_id'], value: undefined, at: 'workloads[0].match' },
    { name: 'a pattern as the only immutable attribute', path: ['workloads', 0, 'match', 'repository_id'], value: '81*', at: 'workloads[0].match' },
    { name: 'a list with one pattern as the only immutable attribute', path: ['workloads', 0, 'match', 'repository_id'], value: ['815', '81*'], at: 'workloads[0].match' },
    { name: 'a statement Cedar refuses', path: ['policies', 0, 'cedar'], value: 'prmit(...);', at: 'policies[0].cedar' },
    { name: 'a permit without an end', path: ['policies', 0, 'expires'], value: undefined, at: 'policies[0].expires' },
  ])('refuses $name', async ({ path, value, at }) => {
    expect(errorOf(await plan(withChange(manifest(), path, value))).map((problem) => problem.path)).toEqual([at]);
  });

  test.each([
    { name: 'an expiry tomorrow', path: ['workloads', 0, 'expires'], value: '2026-11-23' },
    { name: 'acceptance of a rule', path: ['workloads', 0, 'accept'], value: [{ rule: 'wildcard', reason: 'x', until: '2027-01-01' }] },
    { name: 'an enterprise\'s issuer URL', path: ['issuers', 0, 'issuer'], value: 'https://token.actions.githubusercontent.com/acme' },
    { name: 'a private range', path: ['issuers', 0, 'allow_addresses'], value: ['10.0.0.0/24', 'fd00::/64'] },
    { name: 'an audience of one\'s own', path: ['issuers', 0, 'audience'], value: 'mayfly-prod' },
    { name: 'a lifetime the provider can give', path: ['resources', 1, 'lifetime'], value: 900 },
    { name: 'an audience that only begins like ours', path: ['resources', 0, 'audience'], value: 'https://sts.acme.example/product' },
    { name: 'a pattern beside an exact id', path: ['workloads', 0, 'match', 'ref'], value: 'refs/heads/release-*' },
    { name: 'several exact ids', path: ['workloads', 0, 'match', 'repository_id'], value: ['815', '817'] },
    { name: 'true or false where it is proved', path: ['workloads', 0, 'match', 'ref_protected'], value: true },
    { name: 'a forbid without an end', path: ['policies', 0], value: { domain: 'prod', name: 'never', owner: 'x', cedar: 'forbid(principal, action, resource);' } },
  ])('takes $name', async ({ path, value }) => {
    expect(await plan(withChange(manifest(), path, value))).toMatchObject({ ok: true });
  });

  test('takes a loopback issuer in a development domain', async () => {
    const local = withChange(manifest(), ['issuers', 0, 'issuer'], 'http://127.0.0.1:8080');
    expect((await plan(withChange(local, ['domains', 0, 'stage'], 'development'))).ok).toBe(true);
    expect((await plan(withChange(local, ['domains', 0, 'stage'], 'staging'))).ok).toBe(false);
  });

  test.each([
    { name: 'upper case in the host', url: 'https://Issuer.example' }, { name: 'user information', url: 'https://u:p@issuer.example' }, { name: 'a query', url: 'https://issuer.example?x=1' },
    { name: 'a fragment', url: 'https://issuer.example#x' }, { name: 'a double slash', url: 'https://issuer.example//x' }, { name: 'dots in the path', url: 'https://issuer.example/a/../b' },
    { name: 'a default port', url: 'https://issuer.example:443' }, { name: 'http to another machine', url: 'http://issuer.example' }, { name: 'a loopback look-alike', url: 'http://127.0.0.1.evil.example' }, { name: 'no URL', url: 'issuer' },
  ])('refuses an issuer URL with $name', async ({ url }) => {
    const oidc = { domain: 'prod', name: 'other', kind: 'oidc', issuer: url, owner: 'x', expires: '2027-01-01' };
    expect(errorOf(await plan(withChange(manifest(), ['issuers', 1], oidc))).map(({ path }) => path)).toEqual(['issuers[1].issuer']);
    expect((await plan(withChange(manifest(), ['issuers', 1], { ...oidc, issuer: 'https://issuer.example/a' }))).ok).toBe(true);
  });

  test('asks for an issuer URL where the kind has no default', async () => {
    expect(errorOf(await plan(withChange(manifest(), ['issuers', 1], { domain: 'prod', name: 'other', kind: 'oidc', owner: 'x', expires: '2027-01-01' })))).toEqual([expect.objectContaining({ path: 'issuers[1].issuer', message: 'is missing' })]);
  });

  test('refuses a workload that matches on an issuer of admins', async () => {
    const document = extraIssuer({ proves: 'admins' });
    expect((await plan(document)).ok).toBe(true);
    expect(errorOf(await plan(withChange(document, ['workloads', 0, 'match', 'issuer'], 'other'))).map(({ path }) => path)).toEqual(['workloads[0].match.issuer']);
  });

  test('gives admins an audience of their own', async () => {
    expect(valueOf(await plan(extraIssuer({ proves: 'admins' }))).entries.find(({ name }) => name === 'other')?.body['audience']).toBe('https://sts.acme.example/prod/admin');
  });

  test('keeps the system domain to admins', async () => {
    const inSystem = (fields: object) => plan(extraIssuer({ domain: 'system', ...fields }));
    expect(errorOf(await inSystem({ proves: 'workloads' })).map(({ path }) => path)).toContain('issuers[1].proves');
    expect((await inSystem({ proves: 'admins' })).ok).toBe(true);
    expect(errorOf(await plan(withChange(manifest(), ['resources', 1, 'domain'], 'system'))).map(({ path }) => path)).toEqual(['resources[1].domain']);
    expect(errorOf(await plan(withChange(manifest(), ['workloads', 0, 'domain'], 'system'))).map(({ path }) => path)).toContain('workloads[0].domain');
    expect((await plan(withChange(manifest(), ['policies', 0, 'domain'], 'system'))).ok).toBe(true);
  });
});

describe('one token, one issuer entry', () => {
  test.each([
    { name: 'two entries of one issuer and one organisation', fields: {}, at: 'issuers[1]' },
    { name: 'the same with another audience, since the entry is chosen before the audience is looked at', fields: { audience: 'own' }, at: 'issuers[1]' },
  ])('refuses $name', async ({ fields, at }) => {
    expect(errorOf(await plan(extraIssuer(fields))).map(({ path }) => path)).toContain(at);
    expect((await plan(extraIssuer({ ...fields, organization_id: '4712' }))).ok).toBe(true);
  });

  test('refuses an entry beside one that takes every token of the issuer', async () => {
    const gitlab = (fields: object) => ({ domain: 'prod', kind: 'gitlab-ci', owner: 'x', expires: '2027-01-01', ...fields });
    const two = (second: object) => plan({ ...manifest(), issuers: [...manifest().issuers, gitlab({ name: 'a', namespace_id: '1' }), gitlab(second)] });
    expect(errorOf(await two({ name: 'b' })).map(({ path }) => path)).toEqual(['issuers[1]', 'issuers[2]']);
    expect((await two({ name: 'b', namespace_id: '2' })).ok).toBe(true);
  });

  test('refuses claims that can stand in one token as telling claims', async () => {
    const oidc = (name: string, claim: string) => ({ domain: 'prod', name, kind: 'oidc', issuer: 'https://issuer.example', discriminator: { claim, value: name }, owner: 'x', expires: '2027-01-01' });
    const two = (claim: string) => plan({ ...manifest(), issuers: [...manifest().issuers, oidc('a', 'cluster'), oidc('b', claim)] });
    expect(errorOf(await two('tenant')).map(({ path }) => path)).toEqual(['issuers[1]', 'issuers[2]']);
    expect((await two('cluster')).ok).toBe(true);
  });

  test('refuses one audience for two domains', async () => {
    const staging = withChange(manifest(), ['domains', 1], { name: 'staging', stage: 'staging', owner: 'x' });
    const shared = (audience: string) => plan(withChange(withChange(staging, ['issuers', 0, 'audience'], 'shared'), ['issuers', 1], { ...manifest().issuers[0], domain: 'staging', audience }));
    expect(errorOf(await shared('shared')).map(({ path }) => path)).toEqual(['issuers[0].audience', 'issuers[1].audience']);
    expect((await shared('other')).ok).toBe(true);
  });

  test('names the other domain only to who may know it, and what the manifest itself holds always', async () => {
    const staging = withChange(manifest(), ['domains', 1], { name: 'staging', stage: 'staging', owner: 'x' });
    const both = withChange(withChange(staging, ['issuers', 0, 'audience'], 'shared'), ['issuers', 1], { ...manifest().issuers[0], name: 'theirs', domain: 'staging', audience: 'other' });
    const rows = rowsAfter(valueOf(await plan(both)), empty.rows);
    const clash = { issuers: [{ ...manifest().issuers[0], audience: 'other' }] };
    const told = async (document: unknown, known: readonly string[]): Promise<string> => JSON.stringify(errorOf(await plan(document, { rows }, { ...KEEP, mayKnow: (domain) => known.includes(domain) })));
    expect(await told(clash, ['prod'])).toContain('is not free');
    expect(await told(clash, ['prod'])).not.toMatch(/staging|theirs/);
    expect(await told(clash, ['prod', 'staging'])).toContain('staging/theirs');
    expect(await told({ issuers: [...clash.issuers, { ...manifest().issuers[0], name: 'theirs', domain: 'staging', audience: 'other' }] }, [])).toContain('staging/theirs');
  });

  test('suggests no domain that is not for everybody to know', async () => {
    const rows = rowsAfter(valueOf(await plan(manifest())), empty.rows);
    const mends = async (known: boolean) => errorOf(await plan({ issuers: [{ ...manifest().issuers[0], domain: 'prot' }] }, { rows }, { ...KEEP, mayKnow: () => known })).map(({ mend }) => mend);
    expect([await mends(true), await mends(false)]).toEqual([['did you mean "prod"?'], ['add it under domains, or name an existing one']]);
  });

  test('refuses one audience for two purposes', async () => {
    const shared = (audience: string) => plan(withChange(extraIssuer({ proves: 'admins', audience }), ['issuers', 0, 'audience'], 'shared'));
    expect(errorOf(await shared('shared')).map(({ path }) => path)).toEqual(['issuers[0].audience', 'issuers[1].audience']);
    expect((await shared('other')).ok).toBe(true);
  });

  describe('an application where people log in for their agents, or to approve', () => {
    const IDP = 'https://idp.acme.example';
    const people = (clients: object, more: object = {}) => ({ domain: 'prod', name: 'corp', kind: 'oidc', proves: 'people', issuer: IDP, owner: 'x', expires: '2027-01-01', ...clients, ...more });
    const admins = (more: object = {}) => ({ domain: 'prod', name: 'staff', kind: 'oidc', proves: 'admins', issuer: IDP, audience: 'portal', owner: 'x', expires: '2027-01-01', ...more });
    const presented = (clientId: string) => ({ audiences: [{ client_id: clientId, presenters: ['ci/deployer'] }] });
    const approving = (clientId: string) => ({ approver_clients: [clientId] });
    const withIssuers = (...issuers: readonly object[]) => ({ ...manifest(), domains: [...manifest().domains, { name: 'staging', stage: 'staging', owner: 'x' }], issuers: [...manifest().issuers, ...issuers] });
    const storedAfter = async (...issuers: readonly object[]) => rowsAfter(valueOf(await plan(withIssuers(...issuers))), empty.rows);
    const paths = async (document: unknown, rows = empty.rows) => {
      const made = await plan(document, { rows });
      return made.ok ? [] : made.error.map(({ path }) => path);
    };

    test.each([
      { name: 'agents present it, and admins of the domain log in there', clients: presented, domain: 'prod', at: 'issuers[1].audiences[0].client_id' },
      { name: 'agents present it, and admins of another domain log in there', clients: presented, domain: 'staging', at: 'issuers[1].audiences[0].client_id' },
      { name: 'agents present it, and admins of the installation log in there', clients: presented, domain: 'system', at: 'issuers[1].audiences[0].client_id' },
      { name: 'approvers log in there, and admins of the domain', clients: approving, domain: 'prod', at: 'issuers[1].approver_clients[0]' },
      { name: 'approvers log in there, and admins of the installation', clients: approving, domain: 'system', at: 'issuers[1].approver_clients[0]' },
    ])('is refused where $name, whichever comes second', async ({ clients, domain, at }) => {
      const [corp, staff] = [people(clients('portal')), admins({ domain })];
      expect(await paths(withIssuers(corp, staff))).toEqual([at, 'issuers[2].audience']);
      expect(await paths({ issuers: [staff] }, await storedAfter(corp))).toEqual(['issuers[0].audience']);
      expect(await paths({ issuers: [corp] }, await storedAfter(staff))).toEqual([at.replace('[1]', '[0]')]);
      // Neither by a change of what was apart.
      expect(await paths({ issuers: [staff] }, await storedAfter(corp, admins({ domain, audience: 'other' })))).toEqual(['issuers[0].audience']);
      expect(await paths({ issuers: [corp] }, await storedAfter(people(clients('other')), staff))).toEqual([at.replace('[1]', '[0]')]);
      expect(await paths({ issuers: [staff] }, await storedAfter(corp, admins({ domain, issuer: 'https://idp.other.example' })))).toEqual(['issuers[0].audience']);
    });

    test.each([{ domain: 'prod' }, { domain: 'staging' }, { domain: 'system' }])('is taken beside admins of $domain who have one of their own, or an issuer of their own', async ({ domain }) => {
      for (const clients of [presented, approving]) {
        expect(await paths(withIssuers(people(clients('portal')), admins({ domain, audience: 'admin-portal' })))).toEqual([]);
        expect(await paths(withIssuers(people(clients('portal')), admins({ domain, issuer: 'https://idp.other.example' })))).toEqual([]);
      }
    });

    test('names the other entry only to who may know its domain, and tells how many there are to nobody', async () => {
      const told = async (document: unknown, rows: Parameters<typeof viewOf>[0], known: readonly string[]) => errorOf(await plan(document, { rows }, { ...KEEP, mayKnow: (domain) => known.includes(domain) }));
      const telling = (name: string, value: string) => ({ domain: 'staging', name, discriminator: { claim: 'tenant', value } });
      const theirs = await storedAfter(admins(telling('theirs', '1')), admins(telling('theirs-too', '2')));
      const corp = { issuers: [people(presented('portal'))] };
      expect(await told(corp, theirs, ['prod'])).toEqual([expect.objectContaining({ path: 'issuers[0].audiences[0].client_id', message: expect.stringContaining('portal is not free') })]);
      expect(JSON.stringify(await told(corp, theirs, ['prod']))).not.toMatch(/staging|theirs/);
      expect(JSON.stringify(await told(corp, theirs, ['prod', 'staging']))).toContain('staging/theirs');
      const apps = await storedAfter(people({ approver_clients: ['portal'] }, { domain: 'staging', name: 'theirs' }));
      const staff = { issuers: [admins()] };
      expect(await told(staff, apps, ['prod'])).toEqual([expect.objectContaining({ path: 'issuers[0].audience', message: expect.stringContaining('portal is not free') })]);
      expect(JSON.stringify(await told(staff, apps, ['prod', 'staging']))).toContain('staging/theirs');
      // Two domains whose agents present tokens of one application are told the same way.
      expect(JSON.stringify(await told({ issuers: [people({ approver_clients: ['portal'] })] }, apps, ['prod']))).not.toMatch(/staging|theirs/);
      expect(JSON.stringify(await told({ issuers: [people({ approver_clients: ['portal'] })] }, apps, ['prod', 'staging']))).toContain('staging/theirs');
    });
  });

  test('sees a clash with what is stored already', async () => {
    const rows = rowsAfter(valueOf(await plan(manifest())), empty.rows);
    expect(errorOf(await plan({ issuers: [{ ...manifest().issuers[0], name: 'other' }] }, { rows })).map(({ path }) => path)).toEqual(['issuers[0]']);
    expect((await plan({ issuers: [{ ...manifest().issuers[0], name: 'other', organization_id: '1' }] }, { rows })).ok).toBe(true);
  });
});

describe('problems', () => {
  test('of shape and of sense come together, without what follows from them', async () => {
    const twoFaults = withChange(withChange(manifest(), ['issuers', 0, 'owner'], undefined), ['workloads', 1, 'authority'], 'autonomous');
    expect(errorOf(await plan(twoFaults)).map(({ path }) => path)).toEqual(['issuers[0].owner', 'workloads[1].principal']);
  });

  test('of a domain do not repeat on its entries', async () => {
    expect(errorOf(await plan(withChange(manifest(), ['domains', 0, 'owner'], undefined))).map(({ path }) => path)).toEqual(['domains[0].owner']);
  });

  test('name the first of two entries with one name', async () => {
    expect(errorOf(await plan(withChange(manifest(), ['workloads', 2], manifest().workloads[0])))).toEqual([expect.objectContaining({ path: 'workloads[2]', message: expect.stringContaining('workloads[0]') })]);
  });

  test('never end an entry that is only misspelt', async () => {
    const rows = rowsAfter(valueOf(await plan(manifest())), empty.rows);
    expect(errorOf(await plan(withChange(manifest(), ['workloads', 0, 'owner'], undefined), { rows }, PRUNE)).map(({ path }) => path)).toEqual(['workloads[0].owner']);
  });

  test('give the place in a statement and Cedar\'s hint', async () => {
    expect(errorOf(await plan(withChange(manifest(), ['policies', 0, 'cedar'], 'x')))).toEqual([{ path: 'policies[0].cedar', message: 'line 2, column 5: unexpected token', mend: 'expected permit or forbid' }]);
  });

  test('about time follow the clock that was handed in', async () => {
    const later = createPlanner({ ...deps, clock: { now: () => clock.now() + 2 * 365 * 86_400_000 } });
    expect(errorOf(await plan(manifest(), empty, KEEP, later)).every(({ path }) => path.endsWith('.expires'))).toBe(true);
  });
});
