import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { githubActions } from '../../../src/attestation/attestors/github-actions.ts';
import type { Evidence } from '../../../src/attestation/evidence.ts';
import type { Refusal } from '../../../src/core/refusal.ts';
import type { Result } from '../../../src/core/result.ts';
import { startForeignIssuer } from '../../support/foreign-issuer.ts';
import type { Claims, ForeignIssuer } from '../../support/foreign-issuer.ts';
import { describeAttestorContract } from '../attestor-contract.ts';
import { githubClaims } from '../platform-claims.ts';
import { AUDIENCE, NOW, accepted, attestWith, fixedClock, issuerEntry, outcome } from '../world.ts';

const options = { organization_id: '4711' };

describeAttestorContract({ attestor: githubActions, options, claims: githubClaims });

describe('github-actions', () => {
  let platform: ForeignIssuer;
  beforeAll(async () => {
    platform = await startForeignIssuer({ clock: fixedClock, iss: githubActions.defaultIssuer });
  });
  afterAll(() => platform.close());

  const present = (changes: Claims, block: object = options): Promise<Result<Evidence, Refusal>> =>
    attestWith([[issuerEntry('github-actions', platform.issuer, block), platform]])(platform.mint({ aud: AUDIENCE, ...githubClaims, ...changes }));
  const withPulls = { ...options, events: ['push', 'pull_request', 'pull_request_target'] };

  test('yields the discrete claims, ids as strings, and leaves out what is empty', async () => {
    const { attributes, anchor, replayKey, subject, issuedAt, expiresAt } = accepted(await present({}));
    expect(attributes).toMatchObject({ repository_id: '815', repository_owner_id: '4711', ref: 'refs/heads/main', event_name: 'push', ref_protected: true, runner_environment: 'github-hosted' });
    expect(attributes).not.toHaveProperty('head_ref');
    expect(attributes).not.toHaveProperty('environment');
    expect({ anchor, subject, issuedAt, expiresAt }).toEqual({ anchor: '815/1577/2', subject: githubClaims.sub, issuedAt: NOW, expiresAt: NOW + 300_000 });
    expect(replayKey).toMatch(/^jti\./);
  });

  test('calls ids immutable and everything that can be renamed, reused or chosen mutable', () => {
    const immutable = Object.entries(githubActions.attributeTable()).filter(([, spec]) => spec.immutable).map(([name]) => name);
    expect(immutable).toEqual(['repository_id', 'repository_owner_id', 'enterprise_id', 'environment_node_id', 'run_id', 'check_run_id']);
  });

  test('accepts the old and the immutable subject of one repository as the same repository and run', async () => {
    const old = accepted(await present({ sub: 'repo:acme/app:ref:refs/heads/main' }));
    const immutable = accepted(await present({ sub: 'repo:acme@4711/app@815:ref:refs/heads/main' }));
    expect(immutable.attributes).toEqual(old.attributes);
    expect(immutable.anchor).toBe(old.anchor);
  });

  test.each([
    { name: 'another repository', sub: 'repo:acme/other:ref:refs/heads/main', twin: 'repo:acme/app:ref:refs/heads/main' },
    { name: 'the repository in another case', sub: 'repo:Acme/app:ref:refs/heads/main', twin: 'repo:acme/app:ref:refs/heads/main' },
    { name: 'another owner id', sub: 'repo:acme@4712/app@815:ref:refs/heads/main', twin: 'repo:acme@4711/app@815:ref:refs/heads/main' },
    { name: 'another repository id', sub: 'repo:acme@4711/app@816:ref:refs/heads/main', twin: 'repo:acme@4711/app@815:ref:refs/heads/main' },
    { name: 'the repository\'s id only', sub: 'repo:acme/app@815:ref:refs/heads/main', twin: 'repo:acme@4711/app@815:ref:refs/heads/main' },
    { name: 'the owner\'s id only', sub: 'repo:acme@4711/app:ref:refs/heads/main', twin: 'repo:acme@4711/app@815:ref:refs/heads/main' },
    { name: 'another ref', sub: 'repo:acme/app:ref:refs/heads/dev', twin: 'repo:acme/app:ref:refs/heads/main' },
    { name: 'an environment the claims do not have', sub: 'repo:acme/app:environment:production', twin: 'repo:acme/app:ref:refs/heads/main' },
    { name: 'a pull request under event push', sub: 'repo:acme/app:pull_request', twin: 'repo:acme/app:ref:refs/heads/main' },
    { name: 'no repository after repo:', sub: 'repo:', twin: 'repo:acme/app' },
  ])('refuses a subject that names $name', async ({ sub, twin }) => {
    expect(outcome(await present({ sub }))).toBe('evidence_subject_mismatch');
    expect(outcome(await present({ sub: twin }))).toBe('accepted');
  });

  test('compares an environment in the subject unescaped', async () => {
    const environment = { sub: 'repo:acme/app:environment:eu%3Aprod', environment: 'eu:prod' };
    expect(accepted(await present(environment)).attributes['environment']).toBe('eu:prod');
    expect(outcome(await present({ ...environment, environment: 'eu:dev' }))).toBe('evidence_subject_mismatch');
  });

  test.each([
    { name: 'a template without the repository', sub: 'actor:octocat:workflow:deploy' },
    { name: 'a template whose parts only look like a context', sub: 'repo:acme/app:ref:refs/heads/dev:actor:octocat' },
    { name: 'a template with more after the context', sub: 'repo:acme/app:ref:refs/heads/main:job_workflow_ref:acme/ci/.github/workflows/x.yml@refs/heads/main' },
  ])('takes a customised subject as opaque: $name', async ({ sub }) => {
    expect(accepted(await present({ sub })).subject).toBe(sub);
  });

  test.each([
    { name: 'pull_request', changes: { event_name: 'pull_request', ref: 'refs/pull/7/merge', sub: 'repo:acme/app:pull_request' } },
    { name: 'pull_request_target, whose ref is the default branch', changes: { event_name: 'pull_request_target' } },
    { name: 'workflow_run', changes: { event_name: 'workflow_run' } },
    { name: 'issue_comment', changes: { event_name: 'issue_comment' } },
    { name: 'a pull request whose job names an environment', changes: { event_name: 'pull_request', environment: 'production', sub: 'repo:acme/app:environment:production' } },
    { name: 'an event that only begins like a listed one', changes: { event_name: 'push_x' } },
  ])('refuses an event that the entry does not list: $name', async ({ changes }) => {
    expect(outcome(await present(changes))).toBe('evidence_event_not_allowed');
    expect(outcome(await present({ ...changes, event_name: 'push', sub: 'opaque' }))).toBe('accepted');
  });

  test.each(['push', 'release', 'workflow_dispatch', 'schedule', 'merge_group'])('accepts event %s by default', async (event_name) => {
    expect(outcome(await present({ event_name }))).toBe('accepted');
  });

  test('accepts pull requests where the entry lists them', async () => {
    const pull = { event_name: 'pull_request', ref: 'refs/pull/7/merge', sub: 'repo:acme/app:pull_request', head_ref: 'patch-1', base_ref: 'main' };
    expect(accepted(await present(pull, withPulls)).attributes).toMatchObject({ head_ref: 'patch-1', base_ref: 'main' });
    expect(outcome(await present({ event_name: 'pull_request_target' }, withPulls))).toBe('accepted');
    expect(outcome(await present(pull))).toBe('evidence_event_not_allowed');
  });

  test('refuses a foreign caller of our reusable workflow, and accepts our own', async () => {
    const called = { job_workflow_ref: 'acme/ci/.github/workflows/release.yml@refs/tags/v1', job_workflow_sha: 'a'.repeat(40) };
    const foreign = { repository: 'evil/app', repository_id: '999', repository_owner: 'evil', repository_owner_id: '666', sub: 'repo:evil/app:ref:refs/heads/main' };
    expect(outcome(await present({ ...called, ...foreign }))).toBe('evidence_issuer_unknown');
    expect(accepted(await present(called)).attributes).toMatchObject({ ...called, repository_id: '815' });
  });

  test('refuses an organization whose name begins with ours', async () => {
    const twin = { repository: 'acme-evil/app', repository_owner: 'acme-evil', sub: 'repo:acme-evil/app:ref:refs/heads/main' };
    expect(outcome(await present({ ...twin, repository_owner_id: '47110' }))).toBe('evidence_issuer_unknown');
    // A renamed organization keeps its id, and is still ours.
    expect(outcome(await present({ ...twin, repository_owner_id: '4711' }))).toBe('accepted');
  });

  test('tells a repository that took over a name from the one that had it', async () => {
    const before = accepted(await present({}));
    const after = accepted(await present({ repository_id: '816' }));
    expect(after.attributes['repository']).toBe(before.attributes['repository']);
    expect(after.attributes['repository_id']).toBe('816');
    expect(after.anchor).not.toBe(before.anchor);
    expect(outcome(await present({ repository_id: '816', sub: 'repo:acme@4711/app@815:ref:refs/heads/main' }))).toBe('evidence_subject_mismatch');
  });

  test('checks the organization again on the verified claims', () => {
    expect(githubActions.attributes({ ...githubClaims, repository_owner_id: '666' }, { ...options, events: ['push'] })).toMatchObject({ error: { code: 'evidence_organization_wrong' } });
    expect(githubActions.attributes({ ...githubClaims }, { ...options, events: ['push'] })).toMatchObject({ ok: true });
  });

  test('refuses the enterprise slug of a stranger', async () => {
    const ours = await startForeignIssuer({ clock: fixedClock, iss: 'https://token.actions.githubusercontent.com/acme' });
    const attest = attestWith([[issuerEntry('github-actions', ours.issuer, options), ours]]);
    const claims = { aud: AUDIENCE, ...githubClaims };
    expect(outcome(await attest(ours.mint({ ...claims, iss: 'https://token.actions.githubusercontent.com/stranger' })))).toBe('evidence_issuer_unknown');
    expect(outcome(await attest(ours.mint({ ...claims, iss: 'https://token.actions.githubusercontent.com' })))).toBe('evidence_issuer_unknown');
    expect(outcome(await attest(ours.mint(claims)))).toBe('accepted');
    await ours.close();
  });

  test('keeps two organizations of one issuer apart by their id', async () => {
    const entries = [issuerEntry('github-actions', platform.issuer, options, { name: 'acme' }), issuerEntry('github-actions', platform.issuer, { organization_id: '4712' }, { name: 'beta' })];
    const attest = attestWith(entries.map((entry) => [entry, platform] as const));
    const beta = { repository: 'beta/app', repository_owner: 'beta', repository_owner_id: '4712', sub: 'repo:beta/app:ref:refs/heads/main' };
    expect(accepted(await attest(platform.mint({ aud: AUDIENCE, ...githubClaims }))).issuerName).toBe('acme');
    expect(accepted(await attest(platform.mint({ aud: AUDIENCE, ...githubClaims, ...beta }))).issuerName).toBe('beta');
  });

  test.each(['repository_id', 'run_id', 'run_attempt'])('refuses %s as a number, which GitHub never sends', async (name) => {
    expect(outcome(await present({ [name]: 815 }))).toBe('evidence_claim_invalid');
    expect(outcome(await present({ [name]: '815' }))).toBe('accepted');
  });

  test.each(['repository_id', 'run_id', 'run_attempt'])('refuses %s that is no number', async (name) => {
    for (const value of ['acme/app', '-1', '1e3', ' 815', '815\n', '9'.repeat(21)]) expect([value, outcome(await present({ [name]: value }))]).toEqual([value, 'evidence_claim_invalid']);
    expect(outcome(await present({ [name]: '9'.repeat(20) }))).toBe('accepted');
  });

  test.each([
    { name: 'an id that is not one', changes: { repository_id: 'acme/app' } },
    { name: 'an id in a list', changes: { repository_id: ['815'] } },
    { name: 'a ref that is an object', changes: { ref: { heads: 'main' } } },
    { name: 'ref_protected with another word', changes: { ref_protected: 'yes' } },
  ])('refuses $name', async ({ changes }) => {
    expect(outcome(await present(changes))).toBe('evidence_claim_invalid');
    expect(outcome(await present({}))).toBe('accepted');
  });

  test('yields no environment when the job names none, so no rule on one can match', async () => {
    expect(accepted(await present({ environment: '' })).attributes).not.toHaveProperty('environment');
    expect(accepted(await present({ environment: 'production', sub: 'repo:acme/app:environment:production' })).attributes).toHaveProperty('environment', 'production');
  });

  test.each([
    { name: 'no organization', block: {} },
    { name: 'the organization\'s name', block: { organization_id: 'acme' } },
    { name: 'no event', block: { ...options, events: [] } },
    { name: 'a wildcard event', block: { ...options, events: ['*'] } },
    { name: 'an unknown key', block: { ...options, organisation: '4711' } },
  ])('refuses a block with $name', ({ block }) => {
    expect(githubActions.options.safeParse(block).success).toBe(false);
    expect(githubActions.options.safeParse(options).success).toBe(true);
  });

  test('tells who forgot the quotes around an id to write them', () => {
    expect(githubActions.options.safeParse({ organization_id: 4711 }).error?.issues[0]?.message).toBe('must be in quotes: "4711"');
  });

  test.each([
    { issuer: 'https://token.actions.githubusercontent.com', allowed: true },
    { issuer: 'https://token.actions.githubusercontent.com/acme-inc', allowed: true },
    { issuer: 'https://token.actions.acme.ghe.com', allowed: true },
    { issuer: 'https://token.actions.acme.ghe.com/acme', allowed: true },
    { issuer: 'https://github.acme.example/_services/token', allowed: true },
    { issuer: 'http://127.0.0.1:4000', allowed: true },
    { issuer: 'https://token.actions.githubusercontent.com/', allowed: false },
    { issuer: 'https://token.actions.githubusercontent.com/*', allowed: false },
    { issuer: 'https://token.actions.githubusercontent.com/a/b', allowed: false },
    { issuer: 'https://token.actions.githubusercontent.com.evil.example', allowed: false },
    { issuer: 'https://TOKEN.actions.githubusercontent.com', allowed: false },
    { issuer: 'https://token.actions.a.b.ghe.com', allowed: false },
    { issuer: 'https://github.acme.example/_services/token/', allowed: false },
    { issuer: 'https://github.acme.example', allowed: false },
    { issuer: 'http://github.acme.example/_services/token', allowed: false },
    { issuer: 'http://127.0.0.1:4000/?a', allowed: false },
  ])('issuer $issuer allowed: $allowed', ({ issuer, allowed }) => {
    expect(githubActions.issuerAllowed(issuer) === undefined).toBe(allowed);
  });
});
