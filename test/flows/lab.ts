import { expect } from '@jest/globals';
import { startForeignIssuer } from '../support/foreign-issuer.ts';
import type { Claims, ForeignIssuer, MintOptions } from '../support/foreign-issuer.ts';
import { ACCESS_TOKEN_TYPE, GRANT, JWT_TYPE, snapshotVersionIn, startMayfly } from '../support/mayfly.ts';
import type { Answer, Headers, Mayfly, MayflyOptions } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';

/** A real server, and a platform that signs whatever a test wants with keys the server fetches from it. */
export interface Lab {
  readonly mayfly: Mayfly;
  readonly platform: ForeignIssuer;
  readonly issuer: string;
  /** Evidence of a job of {@link DEPLOY}: a run of its own unless `run_id` is given. */
  job(claims?: Claims, options?: MintOptions): string;
  /** Evidence of the deploy API itself, which serves API. */
  service(claims?: Claims): string;
  /** Exchange of this evidence; the audience is API unless given. */
  exchange(values: Readonly<Record<string, string>>, headers?: Headers): Promise<Answer>;
  /** A session token of a job over these pairs. */
  session(ceiling: readonly CeilingPair[], options?: { readonly evidence?: string; readonly headers?: Headers }): Promise<string>;
  /** Exchange of a session token. */
  spend(session: string, values?: Readonly<Record<string, string>>, headers?: Headers): Promise<Answer>;
  /** A resource token, whatever it takes. */
  token(values?: Readonly<Record<string, string>>): Promise<string>;
  /** Ids of every lease the registry holds. */
  leases(): Promise<readonly string[]>;
  /** Does it and holds it to a plain "no": inner code, OAuth error, status, nothing cached, nothing issued, nothing told about others. */
  refused(expected: Refused, act: () => Promise<Answer>): Promise<Answer>;
  /** Moves the clock on and waits until the node has looked at its registry again. Only of {@link startTimedLab}. */
  pass(milliseconds: number): Promise<void>;
  close(): Promise<void>;
}

export interface CeilingPair { readonly audience: string; readonly scopes: readonly string[] }
export interface Refused { readonly code: string; readonly error: string; readonly status?: number }

export const API = 'https://deploy.acme.example';
export const BILLING = 'https://billing.acme.example';
export const VAULT = 'https://vault.acme.example';
export const FORBIDDEN = 'https://payroll.acme.example';
export const SPIFFE = 'spiffe://dev.127.0.0.1';
export const DEPLOYER = `${SPIFFE}/ci/deployer`;
export const SERVICE = `${SPIFFE}/svc/deploy`;

/** What GitHub says of a push to main of `acme/shop`. */
export const DEPLOY: Claims = {
  sub: 'repo:acme/shop:ref:refs/heads/main', repository: 'acme/shop', repository_id: '815', repository_owner: 'acme', repository_owner_id: '4711',
  event_name: 'push', ref: 'refs/heads/main', run_id: '1001', run_attempt: '1', actor: 'octocat',
};
/** The job of another repository: `bound` and the services are registered as such. */
const of = (id: string): Claims => ({ ...DEPLOY, repository_id: id, repository: `acme/r${id}`, sub: `repo:acme/r${id}:ref:refs/heads/main` });
export const SERVICE_CLAIMS = of('900');
export const BILLING_CLAIMS = of('901');
export const BOUND_CLAIMS = of('902');
export const STRANGER_CLAIMS = of('999');

const permit = (name: string, workload: string, resource: string, rest = ''): object =>
  ({ domain: 'dev', name, owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${SPIFFE}/${workload}", action == Action::"issue", ${resource})${rest};` });

const workload = (name: string, repository: string, more: object = {}): object =>
  ({ domain: 'dev', name, kind: 'service', authority: 'bounded', owner: OWNER, expires: FAR, match: { issuer: 'github', repository_id: repository }, ...more });

export const labManifest = (platform: string): object => ({
  issuers: [{ domain: 'dev', name: 'github', kind: 'github-actions', issuer: platform, organization_id: '4711', owner: OWNER, expires: FAR }],
  resources: [
    { domain: 'dev', audience: API, scopes: ['deploy:read', 'deploy:write', 'deploy:admin'], served_by: ['svc/deploy'], owner: OWNER, expires: FAR },
    { domain: 'dev', audience: BILLING, scopes: ['bills:read', 'bills:write'], served_by: ['svc/billing'], owner: OWNER, expires: FAR },
    { domain: 'dev', audience: VAULT, scopes: ['secrets:read'], served_by: ['svc/deploy'], bound: true, owner: OWNER, expires: FAR },
    { domain: 'dev', audience: FORBIDDEN, scopes: ['salaries:read'], bound: true, owner: OWNER, expires: FAR },
  ],
  workloads: [
    workload('ci/deployer', '815', { kind: 'pipeline', match: { issuer: 'github', repository_id: '815', ref: 'refs/heads/main' } }),
    workload('svc/deploy', '900'), workload('svc/billing', '901'), workload('ci/bound', '902', { bound: true }),
  ],
  policies: [
    permit('deployer-deploys', 'ci/deployer', `resource in Resource::"${API}"`, ` when { resource != Scope::"${API}#deploy:admin" }`),
    permit('deployer-bills', 'ci/deployer', `resource in Resource::"${BILLING}"`, ` when { resource != Scope::"${BILLING}#bills:write" }`),
    permit('deployer-vault', 'ci/deployer', `resource in Resource::"${VAULT}"`),
    permit('bound-deploys', 'ci/bound', `resource in Resource::"${API}"`),
    permit('deploy-introspects', 'svc/deploy', 'resource', ' when { resource is Resource }'),
    permit('billing-introspects', 'svc/billing', 'resource', ' when { resource is Resource }'),
  ],
});

export const ceilingOf = (pairs: readonly CeilingPair[]): string => JSON.stringify(pairs.map((pair) => ({ type: 'urn:mayfly:ceiling', ...pair })));

export const startLab = async (options: MayflyOptions = {}): Promise<Lab> => {
  const platform = await startForeignIssuer(options.clock === undefined ? {} : { clock: options.clock });
  const mayfly = await startMayfly(options);
  await mayfly.apply(labManifest(platform.issuer));
  const issuer = `${mayfly.url}/dev`;
  let runs = 0;
  const mint = (base: Claims, claims: Claims, mintOptions?: MintOptions): string => platform.mint({ ...base, aud: issuer, run_id: String(++runs), ...claims }, mintOptions);
  const job: Lab['job'] = (claims = {}, mintOptions) => mint(DEPLOY, claims, mintOptions);
  const exchange: Lab['exchange'] = (values, headers) => mayfly.exchange({ audience: API, ...values }, headers);
  const spend: Lab['spend'] = (session, values = {}, headers) =>
    mayfly.form('dev/token', { grant_type: GRANT, subject_token: session, subject_token_type: ACCESS_TOKEN_TYPE, audience: API, ...values }, headers);
  const leases = async (): Promise<readonly string[]> => {
    const ids: string[] = [];
    let next: unknown = '';
    do {
      const page = await mayfly.admin('GET', `leases?limit=1000${next === '' ? '' : `&after=${encodeURIComponent(String(next))}`}`);
      ids.push(...(page.body['items'] as readonly { readonly id: string }[]).map(({ id }) => id));
      next = page.body['next'];
    } while (next !== undefined && next !== null);
    return ids;
  };
  return {
    mayfly, platform, issuer, job, exchange, spend, leases,
    service: (claims = {}) => mint(SERVICE_CLAIMS, claims),
    async session(ceiling, { evidence = job(), headers } = {}) {
      return issued(await mayfly.form('dev/token', { grant_type: GRANT, subject_token: evidence, subject_token_type: JWT_TYPE, authorization_details: ceilingOf(ceiling) }, headers));
    },
    async token(values = {}) {
      return issued(await exchange({ subject_token: job(), ...values }));
    },
    async refused({ code, error, status = 400 }, act) {
      const before = await leases();
      const answer = await act();
      expect({ ...answer.body, decision_id: undefined, error_description: undefined, status: answer.status }).toEqual({ error, status });
      expect(await mayfly.reason(answer)).toBe(code);
      expect(answer.headers['cache-control']).toBe('no-store');
      expect(String(answer.body['error_description'])).toMatch(PLAIN_TEXT);
      expect(await leases()).toEqual(before);
      return answer;
    },
    pass: () => Promise.reject(new Error('this lab is on the real clock')),
    async close() {
      await mayfly.close();
      await platform.close();
    },
  };
};

/** A lab whose server and platform live on one clock that only the test moves. */
export const startTimedLab = async (options: { readonly overrides?: Readonly<Record<string, unknown>> } = {}): Promise<Lab> => {
  let now = Date.UTC(2026, 10, 22, 12);
  const lab = await startLab({ ...options, clock: { now: () => now } });
  return {
    ...lab,
    async pass(milliseconds) {
      now += milliseconds;
      await until(async () => (await fetch(`${lab.mayfly.url}/readyz`)).status === 200);
    },
  };
};

/** Asks until it is so, or gives up after 45 seconds: before jest's limit, and far beyond what it takes on an idle machine. */
export const until = async (holds: () => Promise<boolean>): Promise<void> => {
  const end = Date.now() + 45_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error('waited 45 seconds in vain');
    await new Promise((resolve) => { setTimeout(resolve, 25); });
  }
};

/** Resolves when both nodes are at one version of the registry. */
export const untilLevel = (one: Mayfly, other: Mayfly): Promise<void> =>
  until(async () => {
    const [ours, theirs] = await Promise.all([one, other].map(async (node) => snapshotVersionIn(await node.admin('GET', '../../metrics'))));
    return ours === theirs;
  });

/** RFC 6749 section 5.2: what may stand in error_description. */
export const PLAIN_TEXT = /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/;

/** The credential of an answer that must have one. */
export const issued = (answer: Answer): string => {
  if (answer.status !== 200) throw new Error(`not issued: ${answer.status} ${JSON.stringify(answer.body)}`);
  return String(answer.body['access_token']);
};

/** The claims of a token, unverified. */
export const claimsOf = (token: string): Record<string, unknown> => JSON.parse(Buffer.from(String(token.split('.')[1]), 'base64url').toString('utf8')) as Record<string, unknown>;
