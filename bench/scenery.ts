/** What the measured registry holds: 1,000 pipelines of twenty teams, an API for each team, and 100 policies of the kinds people write. */

/** Known in advance, so that one pool of evidence fits every server; where the servers listen is another matter. */
export const EXTERNAL_URL = 'http://127.0.0.1:8420';
export const DOMAIN = 'dev';
export const ISSUER = `${EXTERNAL_URL}/${DOMAIN}`;
export const PLATFORM = 'https://token.actions.githubusercontent.com';
export const ORGANIZATION = '4711';
export const SCOPE = 'deploy:write';
export const TEAMS = 20;

const EXPIRES = '2027-06-01';
const PLATFORM_TEAM = 'platform@acme.example';

export const apiOf = (workload: number): string => `https://api-${workload % TEAMS}.acme.example`;
export const teamOf = (workload: number): string => `team-${workload % TEAMS}@acme.example`;
export const repositoryIdOf = (workload: number): string => String(1_000_000 + workload);
const spiffeIdOf = (workload: number): string => `spiffe://dev.127.0.0.1/ci/pipeline-${workload}`;
const common = (owner: string) => ({ domain: DOMAIN, owner, expires: EXPIRES });

/** The platform, its keys pinned, the teams' APIs, and the gateway that introspects. */
export const baseManifest = (jwks: object) => ({
  issuers: [{ ...common(PLATFORM_TEAM), name: 'github', kind: 'github-actions', organization_id: ORGANIZATION, jwks }],
  resources: Array.from({ length: TEAMS }, (_, team) => ({ ...common(teamOf(team)), audience: apiOf(team), scopes: ['deploy:read', SCOPE], served_by: ['svc/gateway'] })),
  workloads: [{ ...common(PLATFORM_TEAM), name: 'svc/gateway', kind: 'service', authority: 'bounded', match: { issuer: 'github', repository_id: '999', ref: 'refs/heads/main' } }],
});

export const workloadManifest = (from: number, to: number) => ({
  workloads: Array.from({ length: to - from }, (_, at) => from + at).map((workload) => ({
    ...common(teamOf(workload)), name: `ci/pipeline-${workload}`, kind: 'pipeline', authority: 'bounded',
    match: { issuer: 'github', repository_id: repositoryIdOf(workload), ref: 'refs/heads/main', event_name: ['push', 'workflow_dispatch'] },
  })),
});

const FROM_MAIN = 'context.evidence has github_actions.ref && context.evidence.github_actions.ref == "refs/heads/main"';

/** Twenty permits by team, sixty-nine for single pipelines, five wide ones under conditions, six forbids. */
const policies = (): readonly (readonly [string, string])[] => [
  ...Array.from({ length: TEAMS }, (_, team): [string, string] => [`team-${team}-deploys`,
    `permit(principal, action == Action::"issue", resource in Resource::"${apiOf(team)}") when { principal is Workload && principal.owner == "${teamOf(team)}" && principal.kind == "pipeline" && ${FROM_MAIN} };`]),
  ...Array.from({ length: 68 }, (_, workload): [string, string] => [`pipeline-${workload}-reads`,
    `permit(principal == Workload::"${spiffeIdOf(workload)}", action == Action::"issue", resource == Scope::"${apiOf(workload + 1)}#deploy:read") when { ${FROM_MAIN} };`]),
  ['gateway-introspects', 'permit(principal == Workload::"spiffe://dev.127.0.0.1/svc/gateway", action == Action::"issue", resource) when { resource is Resource };'],
  ...Array.from({ length: 5 }, (_, at): [string, string] => [`owner-reads-own-${at}`,
    `permit(principal, action == Action::"issue", resource) when { resource is Scope && resource.name == "report-${at}:read" && principal is Workload && resource.owner == principal.owner };`]),
  ['no-self-hosted-writes', `forbid(principal, action == Action::"issue", resource) when { resource is Scope && resource.name == "${SCOPE}" && context.evidence has github_actions.runner_environment && context.evidence.github_actions.runner_environment != "github-hosted" };`],
  ['no-pull-requests', 'forbid(principal, action == Action::"issue", resource) when { context.evidence has github_actions.event_name && context.evidence.github_actions.event_name == "pull_request" };'],
  ['no-tags', 'forbid(principal, action == Action::"issue", resource) when { context.evidence has github_actions.ref_type && context.evidence.github_actions.ref_type == "tag" };'],
  ['no-long-lives', 'forbid(principal, action == Action::"issue", resource) when { context.request.lifetime > 3600 };'],
  ['no-agents', 'forbid(principal, action == Action::"issue", resource) when { principal is Workload && principal.kind == "agent" };'],
  ['no-long-chains', 'forbid(principal, action == Action::"issue", resource) when { context.session.depth > 3 || context.chain.length > 4 };'],
];

export const policyManifest = () => ({ policies: policies().map(([name, cedar]) => ({ domain: DOMAIN, name, owner: PLATFORM_TEAM, ...(cedar.startsWith('forbid') ? {} : { expires: EXPIRES }), cedar })) });

/** One more policy, of a kind that makes a decision dearer. */
export const EXTRA_POLICIES = {
  /** No decision equals an earlier one any more: Cedar evaluates each. */
  time: 'forbid(principal, action == Action::"issue", resource) when { context.request.time > datetime("2040-01-01T00:00:00Z") };',
  /** The database is asked since when the session has been there. */
  'session age': 'forbid(principal, action == Action::"issue", resource) when { context.session.age_seconds > 3600 };',
} as const;
export type ExtraPolicy = keyof typeof EXTRA_POLICIES;

export const extraPolicyManifest = (extra: ExtraPolicy) => ({ policies: [{ domain: DOMAIN, name: 'one-more', owner: PLATFORM_TEAM, cedar: EXTRA_POLICIES[extra] }] });

/** For trees of hops: whoever acts for the first team may hand on, and hands on as often as the domain allows. */
export const handOverManifest = () => ({ policies: [
  { domain: DOMAIN, name: 'team-0-hands-on', owner: PLATFORM_TEAM, expires: EXPIRES, cedar: `permit(principal, action in [Action::"delegate", Action::"act"], resource in Resource::"${apiOf(0)}") when { principal is Workload && principal.owner == "${teamOf(0)}" && principal.kind == "pipeline" };` },
  { domain: DOMAIN, name: 'no-long-chains', owner: PLATFORM_TEAM, cedar: 'forbid(principal, action == Action::"issue", resource) when { context.session.depth > 6 || context.chain.length > 7 };' },
] });

/** The workload that stands so deep in a chain: all are of the first team. */
export const linkOf = (depth: number): number => depth * TEAMS;
export const spiffeOf = spiffeIdOf;
