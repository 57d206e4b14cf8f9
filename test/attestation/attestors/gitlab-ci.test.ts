import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { gitlabCi } from '../../../src/attestation/attestors/gitlab-ci.ts';
import type { Evidence } from '../../../src/attestation/evidence.ts';
import type { Refusal } from '../../../src/core/refusal.ts';
import type { Result } from '../../../src/core/result.ts';
import { startForeignIssuer } from '../../support/foreign-issuer.ts';
import type { Claims, ForeignIssuer } from '../../support/foreign-issuer.ts';
import { describeAttestorContract } from '../attestor-contract.ts';
import { gitlabClaims } from '../platform-claims.ts';
import { AUDIENCE, accepted, attestWith, fixedClock, issuerEntry, outcome } from '../world.ts';

describeAttestorContract({ attestor: gitlabCi, options: {}, claims: gitlabClaims });

describe('gitlab-ci', () => {
  let platform: ForeignIssuer;
  beforeAll(async () => {
    platform = await startForeignIssuer({ clock: fixedClock, iss: gitlabCi.defaultIssuer });
  });
  afterAll(() => platform.close());

  const present = (changes: Claims, block: object = {}): Promise<Result<Evidence, Refusal>> =>
    attestWith([[issuerEntry('gitlab-ci', platform.issuer, block), platform]])(platform.mint({ aud: AUDIENCE, ...gitlabClaims, ...changes }));
  const withMergeRequests = { pipeline_sources: ['push', 'merge_request_event'] };
  const fork = { project_id: '99', project_path: 'mallory/app', namespace_id: '98', namespace_path: 'mallory', sub: 'project_path:mallory/app:ref_type:branch:ref:main' };

  test('yields the discrete claims in the types policies read', async () => {
    const { attributes, anchor, replayKey } = accepted(await present({}));
    expect(attributes).toMatchObject({ project_id: '20', namespace_id: '72', ref_protected: true, runner_id: 1, environment: 'production', groups_direct: ['acme', 'acme/platform'] });
    expect(attributes).not.toHaveProperty('ci_config_sha');
    expect(attributes).not.toHaveProperty('user_email');
    expect({ anchor, replayKey }).toEqual({ anchor: '20/574/302', replayKey: undefined });
  });

  test('calls ids immutable and everything that can be renamed, reused or chosen mutable', () => {
    const immutable = Object.entries(gitlabCi.attributeTable()).filter(([, spec]) => spec.immutable).map(([name]) => name);
    expect(immutable).toEqual(['project_id', 'namespace_id', 'pipeline_id', 'job_id']);
  });

  test.each([
    { name: 'as new GitLab describes it: the fork as project, the target as job_project', changes: { ...fork, pipeline_source: 'merge_request_event' }, twin: { ...fork, pipeline_source: 'merge_request_event', job_project_id: '99' } },
    { name: 'whose child pipeline has another source', changes: { ...fork, pipeline_source: 'push' }, twin: { ...fork, pipeline_source: 'push', job_project_id: '99' } },
    { name: 'with job_project_id null', changes: { job_project_id: null }, twin: { job_project_id: undefined } },
  ])('refuses a fork\'s merge request $name', async ({ changes, twin }) => {
    expect(outcome(await present(changes, withMergeRequests))).toBe('evidence_fork');
    expect(outcome(await present(twin, withMergeRequests))).toBe('accepted');
  });

  test.each([
    { name: 'a merge request of a fork as old GitLab describes it: both as the target', changes: { pipeline_source: 'merge_request_event', job_project_id: undefined } },
    { name: 'a merge request of the project itself', changes: { pipeline_source: 'merge_request_event' } },
    { name: 'a child pipeline, which may belong to a merge request', changes: { pipeline_source: 'parent_pipeline' } },
    { name: 'a pull request of a mirrored repository', changes: { pipeline_source: 'external_pull_request_event' } },
  ])('refuses $name', async ({ changes }) => {
    expect(outcome(await present(changes))).toBe('evidence_event_not_allowed');
    expect(outcome(await present({ ...changes, pipeline_source: 'push' }))).toBe('accepted');
  });

  test.each(['push', 'web', 'schedule', 'api', 'trigger', 'pipeline'])('accepts pipelines of source %s by default', async (pipeline_source) => {
    expect(outcome(await present({ pipeline_source }))).toBe('accepted');
  });

  test.each(['project_id', 'namespace_id', 'pipeline_id', 'job_id'])('refuses %s that is no number', async (name) => {
    for (const value of ['acme', '-1', '1e3', ' 20', '20\n', '0x14', '9'.repeat(21)]) expect([value, outcome(await present({ [name]: value, job_project_id: undefined }))]).toEqual([value, 'evidence_claim_invalid']);
    expect(outcome(await present({ [name]: '20', job_project_id: undefined }))).toBe('accepted');
  });

  test('accepts merge requests where the entry lists them', async () => {
    expect(outcome(await present({ pipeline_source: 'merge_request_event' }, withMergeRequests))).toBe('accepted');
  });

  test.each([
    { name: 'ref_protected "false" is false', changes: { ref_protected: 'false' }, expected: { ref_protected: false } },
    { name: 'ref_protected "true" is true', changes: { ref_protected: 'true' }, expected: { ref_protected: true } },
  ])('$name', async ({ changes, expected }) => {
    expect(accepted(await present(changes)).attributes).toMatchObject(expected);
  });

  test.each([
    { name: 'ref_protected with another word', changes: { ref_protected: 'maybe' } },
    { name: 'project_id as a number', changes: { project_id: 20 } },
    { name: 'project_id that is a path', changes: { project_id: 'acme/app' } },
    { name: 'runner_id as a string', changes: { runner_id: '1' } },
    { name: 'groups_direct with a number', changes: { groups_direct: [1] } },
  ])('refuses $name', async ({ changes }) => {
    expect(outcome(await present(changes))).toBe('evidence_claim_invalid');
    expect(outcome(await present({}))).toBe('accepted');
  });

  test.each([
    { name: 'is not protected', environment_protected: 'false' },
    { name: 'does not say', environment_protected: undefined },
    { name: 'says so in another type', environment_protected: true },
  ])('yields no environment when it $name', async ({ environment_protected }) => {
    const { attributes } = accepted(await present({ environment_protected }));
    expect(attributes).not.toHaveProperty('environment');
    expect(attributes).toHaveProperty('unprotected_environment', 'production');
    expect(accepted(await present({})).attributes).not.toHaveProperty('unprotected_environment');
  });

  test('cannot be given unprotected_environment or environment by a claim of that name', async () => {
    const { attributes } = accepted(await present({ environment: undefined, unprotected_environment: 'production' }));
    expect(attributes).not.toHaveProperty('environment');
    expect(attributes).not.toHaveProperty('unprotected_environment');
  });

  test('tells a project that took over a path from the one that had it', async () => {
    const [before, after] = [accepted(await present({})), accepted(await present({ project_id: '21', job_project_id: '21' }))];
    expect(after.attributes['project_path']).toBe(before.attributes['project_path']);
    expect(after.attributes['project_id']).toBe('21');
    expect(after.anchor).not.toBe(before.anchor);
  });

  test.each([
    { name: 'another project', sub: 'project_path:acme/other:ref_type:branch:ref:main' },
    { name: 'another ref', sub: 'project_path:acme/app:ref_type:branch:ref:dev' },
    { name: 'a tag for a branch', sub: 'project_path:acme/app:ref_type:tag:ref:main' },
  ])('refuses a subject that names $name', async ({ sub }) => {
    expect(outcome(await present({ sub }))).toBe('evidence_subject_mismatch');
    expect(outcome(await present({ sub: 'project_path:acme/app:ref_type:branch:ref:main' }))).toBe('accepted');
    expect(outcome(await present({ sub: 'project_id:20:ref:main' }))).toBe('accepted');
  });

  test.each(['https://gitlab.com', 'https://gitlab.com/', 'gitlab.com'])('refuses the default audience %s even if an entry has it', async (audience) => {
    const attest = attestWith([[issuerEntry('gitlab-ci', platform.issuer, {}, { audience }), platform]]);
    expect(outcome(await attest(platform.mint({ ...gitlabClaims, aud: audience })))).toBe('evidence_audience_wrong');
    expect(outcome(await present({}))).toBe('accepted');
  });

  test('refuses a legacy CI_JOB_JWT, which has no audience and a bare host as issuer', async () => {
    expect(outcome(await present({ iss: 'gitlab.com', aud: undefined }))).toBe('evidence_issuer_unknown');
    expect(outcome(await present({ aud: undefined }))).toBe('evidence_claim_missing');
  });

  test('is for one namespace where the entry says so', async () => {
    expect(outcome(await present({}, { namespace_id: '73' }))).toBe('evidence_issuer_unknown');
    expect(outcome(await present({}, { namespace_id: '72' }))).toBe('accepted');
    expect(gitlabCi.attributes({ ...gitlabClaims }, { namespace_id: '73', pipeline_sources: ['push'], max_lifetime: 300 })).toMatchObject({ error: { code: 'evidence_organization_wrong' } });
  });

  test('accepts the lifetime of a long job where the entry allows it', async () => {
    const attest = (block: object) => attestWith([[issuerEntry('gitlab-ci', platform.issuer, block), platform]]);
    const long = platform.mint({ aud: AUDIENCE, ...gitlabClaims }, { lifetime: 7200 });
    expect(outcome(await attest({})(long))).toBe('evidence_lifetime_too_long');
    expect(outcome(await attest({ max_lifetime: 7200 })(long))).toBe('accepted');
  });

  test.each([
    { name: 'a namespace path', block: { namespace_id: 'acme' } },
    { name: 'no pipeline source', block: { pipeline_sources: [] } },
    { name: 'a wildcard source', block: { pipeline_sources: ['*'] } },
    { name: 'a lifetime over a day', block: { max_lifetime: 86_401 } },
    { name: 'an unknown key', block: { project: 'acme/app' } },
  ])('refuses a block with $name', ({ block }) => {
    expect(gitlabCi.options.safeParse(block).success).toBe(false);
    expect(gitlabCi.options.safeParse({}).success).toBe(true);
  });

  test.each([
    { issuer: 'https://gitlab.com', allowed: true },
    { issuer: 'https://git.acme.example/gitlab', allowed: true },
    { issuer: 'https://gitlab.com/', allowed: false },
    { issuer: 'gitlab.com', allowed: false },
    { issuer: 'http://git.acme.example', allowed: false },
  ])('issuer $issuer allowed: $allowed', ({ issuer, allowed }) => {
    expect(gitlabCi.issuerAllowed(issuer) === undefined).toBe(allowed);
  });
});
