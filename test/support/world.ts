import { startForeignIssuer } from '../../demo/foreign-issuer.ts';
import type { ForeignIssuer, JobClaims } from '../../demo/foreign-issuer.ts';
import { startMayfly } from './mayfly.ts';
import type { Mayfly, MayflyOptions } from './mayfly.ts';

/** A real server that trusts a real foreign OIDC provider with GitHub-shaped claims, with one deployer and one API registered. */
export interface World {
  readonly mayfly: Mayfly;
  readonly platform: ForeignIssuer;
  /** What the job's platform gives it for this server. */
  evidence(job?: string): Promise<string>;
  close(): Promise<void>;
}

export const API = 'https://deploy.acme.example';
export const OTHER_API = 'https://billing.acme.example';
export const DEPLOYER = 'spiffe://dev.127.0.0.1/ci/deployer';
export const OWNER = 'payments@acme.example';
export const FAR = '2027-06-01';

export const manifestFor = (platform: string, stsEndpoint?: string) => ({
  issuers: [{ domain: 'dev', name: 'github', kind: 'github-actions', proves: 'workloads', issuer: platform, organization_id: '4711', owner: OWNER, expires: FAR }],
  resources: [
    { domain: 'dev', audience: API, scopes: ['deploy:read', 'deploy:write', 'deploy:admin'], served_by: ['svc/deploy'], owner: OWNER, expires: FAR },
    { domain: 'dev', audience: OTHER_API, scopes: ['bills:read'], owner: OWNER, expires: FAR },
    ...(stsEndpoint === undefined ? [] : [{ domain: 'dev', audience: 'arn:aws:iam::123456789012:role/deploy', provider: 'aws-sts', endpoint: stsEndpoint, owner: OWNER, expires: FAR }]),
  ],
  workloads: [
    { domain: 'dev', name: 'ci/deployer', kind: 'pipeline', authority: 'bounded', owner: OWNER, expires: FAR, match: { issuer: 'github', repository_id: '815', ref: 'refs/heads/main' } },
    { domain: 'dev', name: 'svc/deploy', kind: 'service', authority: 'bounded', owner: OWNER, expires: FAR, match: { issuer: 'github', repository_id: '900' } },
  ],
  policies: [
    { domain: 'dev', name: 'deployer-deploys', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource in Resource::"${API}") when { resource != Scope::"${API}#deploy:admin" };` },
    { domain: 'dev', name: 'deploy-introspects', owner: OWNER, expires: FAR, cedar: 'permit(principal == Workload::"spiffe://dev.127.0.0.1/svc/deploy", action == Action::"issue", resource) when { resource is Resource };' },
    ...(stsEndpoint === undefined ? [] : [{ domain: 'dev', name: 'deployer-aws', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource == Resource::"arn:aws:iam::123456789012:role/deploy");` }]),
  ],
});

export const JOBS: Readonly<Record<string, JobClaims>> = {
  deploy: {},
  'pull-request-target': { event_name: 'pull_request_target', head_ref: 'patch-1', base_ref: 'main', run_id: '1002' },
  'other-repository': { repository: 'acme/playground', repository_id: '816', run_id: '1003' },
  service: { repository: 'acme/deploy-service', repository_id: '900', run_id: '1004' },
};

export const startWorld = async (options: MayflyOptions = {}): Promise<World> => {
  const platform = await startForeignIssuer({ jobs: JOBS });
  const mayfly = await startMayfly(options);
  await mayfly.apply(manifestFor(platform.issuer));
  return {
    mayfly, platform,
    evidence: (job = 'deploy') => platform.token(job, `${mayfly.url}/dev`),
    async close() {
      await mayfly.close();
      await platform.close();
    },
  };
};
