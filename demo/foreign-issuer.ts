import { jobsConfiguration, startProvider } from './platform.ts';

/**
 * A CI platform that is not ours: npm `oidc-provider`, with its own key, its real token endpoint, JWKS and discovery.
 * A job asks the token endpoint (client_credentials, RFC 8707 `resource` = whom the token is for) and gets a token with
 * the claims, header and lifetime GitHub Actions gives its jobs. Every client is one job.
 */
export interface ForeignIssuer {
  /** `iss` of its tokens; discovery is below it. */
  readonly issuer: string;
  /** What the job `name` would get from its platform for this audience. */
  token(name: string, audience: string): Promise<string>;
  readonly close: () => Promise<void>;
}

/** Claims of one job; what is left out is as in {@link DEPLOY_JOB}. */
export type JobClaims = Readonly<Record<string, string>>;

/** A push to main of `acme/shop`, on a runner of the platform. */
export const DEPLOY_JOB = {
  actor: 'octocat', actor_id: '583231', base_ref: '', head_ref: '', check_run_id: '90210', event_name: 'push',
  job_workflow_ref: 'acme/shop/.github/workflows/deploy.yml@refs/heads/main', job_workflow_sha: 'aa218f56b14c9653891f9e74264a383fa43fefbd',
  ref: 'refs/heads/main', ref_protected: 'true', ref_type: 'branch', repository: 'acme/shop', repository_id: '815', repository_owner: 'acme', repository_owner_id: '4711',
  repository_visibility: 'private', run_attempt: '1', run_id: '1001', run_number: '12', runner_environment: 'github-hosted', sha: 'aa218f56b14c9653891f9e74264a383fa43fefbd',
  workflow: 'deploy', workflow_ref: 'acme/shop/.github/workflows/deploy.yml@refs/heads/main', workflow_sha: 'aa218f56b14c9653891f9e74264a383fa43fefbd',
} as const satisfies JobClaims;

/** The jobs the process serves: the good one, one that runs a stranger's change with the base repository's rights, another repository's, and that of the API's team. */
export const JOBS: Readonly<Record<string, JobClaims>> = {
  deploy: {},
  'pull-request-target': { event_name: 'pull_request_target', head_ref: 'patch-1', base_ref: 'main', run_id: '1002' },
  'other-repository': {
    repository: 'acme/playground', repository_id: '816', run_id: '1003',
    job_workflow_ref: 'acme/playground/.github/workflows/deploy.yml@refs/heads/main', workflow_ref: 'acme/playground/.github/workflows/deploy.yml@refs/heads/main',
  },
  'deploy-api': {
    repository: 'acme/deploy-api', repository_id: '817', run_id: '1004',
    job_workflow_ref: 'acme/deploy-api/.github/workflows/serve.yml@refs/heads/main', workflow_ref: 'acme/deploy-api/.github/workflows/serve.yml@refs/heads/main',
  },
};

/** GitHub's tokens: `exp` 5 minutes and `nbf` 10 minutes from `iat`. */
const LIFETIME = 300;
const NOT_BEFORE = 600;
const JOB_SECRET = 'what-the-runner-gave-this-job';

export const startForeignIssuer = async ({ jobs = JOBS, port = 0 }: { readonly jobs?: Readonly<Record<string, JobClaims>>; readonly port?: number } = {}): Promise<ForeignIssuer> => {
  const byName = new Map(Object.entries(jobs));
  const { issuer, close } = await startProvider(jobsConfiguration({
    names: [...byName.keys()], secret: JOB_SECRET, lifetime: LIFETIME,
    // GitHub's tokens are of type JWT, name no client, and their subject is the run's repository and ref.
    claimsOf(name, own) {
      const claims = { ...DEPLOY_JOB, ...byName.get(name) };
      return { ...claims, sub: subjectOf(claims), nbf: Number(own['iat']) - NOT_BEFORE };
    },
  }), port);
  return { issuer, token: (name, audience) => askForToken(issuer, name, audience), close };
};

const subjectOf = ({ repository, event_name: event, ref }: JobClaims): string => `repo:${repository ?? ''}:${event === 'pull_request' ? 'pull_request' : `ref:${ref ?? ''}`}`;

const askForToken = async (issuer: string, name: string, audience: string): Promise<string> => {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${name}:${JOB_SECRET}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource: audience }),
    signal: AbortSignal.timeout(10_000),
  });
  const body: unknown = await response.json();
  if (typeof body === 'object' && body !== null && 'access_token' in body && typeof body.access_token === 'string') return body.access_token;
  throw new Error(`the foreign issuer answered ${response.status}: ${JSON.stringify(body)}`);
};

/** Runs that begin with this process: what was revoked of an earlier one stays out, and a new one is a new session. */
const runsBeginning = (at: number): Readonly<Record<string, JobClaims>> =>
  Object.fromEntries(Object.entries(JOBS).map(([name, claims], index) => [name, { ...claims, run_id: String(Math.floor(at / 1000) + index) }]));

/** As its own process, on the port named as argument or any: one line of JSON with the issuer and its jobs, then it serves until it is told to end. */
if (import.meta.main) {
  const foreign = await startForeignIssuer({ port: Number(process.argv[2] ?? 0), jobs: runsBeginning(Date.now()) });
  console.log(JSON.stringify({ issuer: foreign.issuer, token_endpoint: `${foreign.issuer}/token`, jobs: Object.keys(JOBS), secret: JOB_SECRET }));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void foreign.close());
}
