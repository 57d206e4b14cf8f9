import { githubActions } from '../../src/attestation/attestors/github-actions.ts';
import { gitlabCi } from '../../src/attestation/attestors/gitlab-ci.ts';
import type { AttributeTable } from '../../src/attestation/attributes.ts';
import type { DomainId, PolicyId, ResourceId, SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import { systemRandom } from '../../src/core/random.ts';
import type { AdminQuestion, PolicyEngine, Question } from '../../src/policy/decision.ts';
import { createPolicyEngineFactory } from '../../src/policy/engine.ts';
import { createPolicySchema } from '../../src/policy/schema.ts';
import type { Domain, Policy, Resource, Workload } from '../../src/registry/entries.ts';
import { authorityLimits } from '../../src/registry/limits.ts';

/** The tables of the attestors that ship, so that these tests fail when an attribute is renamed. */
export const schema = createPolicySchema(new Map<string, AttributeTable>([[githubActions.kind, githubActions.attributeTable()], [gitlabCi.kind, gitlabCi.attributeTable()]]));
export const buildEngine = createPolicyEngineFactory({ schema, random: systemRandom });

export const NOW = Date.UTC(2026, 10, 22, 9, 0, 0);
const LATER = Date.UTC(2027, 10, 22);
const OWNER = 'payments@acme.example';

export const domain: Domain = Object.freeze({ kind: 'domain', id: 'dom_1' as DomainId, version: 1, owner: OWNER, name: 'prod', stage: 'production', spiffe: 'prod.acme.example', issuer: 'https://sts.acme.example/prod', limits: authorityLimits(undefined) });
export const otherDomain: Domain = Object.freeze({ ...domain, id: 'dom_2' as DomainId, name: 'dev', stage: 'development' });
export const systemDomain: Domain = Object.freeze({ ...domain, id: 'dom_0' as DomainId, name: 'system' });

export const DEPLOYER = 'spiffe://prod.acme.example/ci/deployer';
export const DEPLOY = 'https://deploy.acme.example';

export const workload = (change: Partial<Workload> = {}): Workload => Object.freeze({
  kind: 'workload', id: 'wkl_1' as WorkloadId, version: 1, owner: OWNER, domainId: domain.id, name: 'ci/deployer', spiffeId: DEPLOYER as SpiffeId,
  workloadKind: 'pipeline', authority: 'bounded', match: { issuer: 'github', attributes: {} }, bound: false, expires: LATER, ...change,
});

export const named = (name: string, change: Partial<Workload> = {}): Workload => workload({ name, spiffeId: `spiffe://prod.acme.example/${name}` as SpiffeId, ...change });

export const resource = (change: Partial<Resource> = {}): Resource => Object.freeze({
  kind: 'resource', id: 'res_1' as ResourceId, version: 1, owner: OWNER, domainId: domain.id, audience: DEPLOY, provider: 'access-token',
  scopes: ['deploy:read', 'deploy:write'], servedBy: [], bound: false, lifetime: undefined, options: undefined, expires: LATER, ...change,
});

export const policy = (name: string, cedar: string, change: Partial<Policy> = {}): Policy => {
  const effect = /\bforbid\s*\(/.test(cedar) ? 'forbid' : 'permit';
  return Object.freeze({ kind: 'policy', id: `pol_${name}` as PolicyId, version: 1, owner: OWNER, domainId: domain.id, name, cedar, effect, expires: effect === 'permit' ? LATER : undefined, ...change });
};

/** Policies called p1, p2, ... */
export const engineOf = (...cedar: readonly string[]): PolicyEngine => buildEngine(domain.id, cedar.map((text, at) => policy(`p${at + 1}`, text)));

export const GITHUB = {
  repository_id: '815', repository_owner_id: '4711', repository: 'acme/shop', repository_owner: 'acme', event_name: 'push', ref: 'refs/heads/main', run_id: '9001', run_attempt: '1', ref_protected: true,
} as const;

export const evidence = (attributes: NonNullable<Question['evidence']>['attributes'] = {}, kind = 'github-actions'): NonNullable<Question['evidence']> =>
  ({ kind, issuer: 'github', subject: 'repo:acme/shop:ref:refs/heads/main', attributes: kind === 'github-actions' ? { ...GITHUB, ...attributes } : attributes });

export const question = (change: Partial<Question> = {}): Question => ({
  domain, action: 'issue', workload: workload(), resource: resource(), scope: 'deploy:read', evidence: evidence(), chain: [DEPLOYER],
  session: { model: 'bounded', principal: OWNER, ageSeconds: 10, depth: 0 }, request: { bound: false, time: NOW, lifetime: 300 }, ...change,
});

export const adminQuestion = (change: Partial<AdminQuestion> = {}): AdminQuestion =>
  ({ domain, verb: 'apply', admin: { id: 'okta/ada', groups: ['platform'], issuer: 'okta' }, on: domain, time: NOW, ...change });
