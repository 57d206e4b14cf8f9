import { request } from 'undici';
import type { ForeignIssuer } from '../support/foreign-issuer.ts';
import { startForeignIssuer } from '../support/foreign-issuer.ts';
import { freePort } from '../../demo/free-port.ts';
import { read, startMayfly } from '../support/mayfly.ts';
import type { Answer, Mayfly, MayflyOptions } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';
export interface AdminToken { readonly sub: string; readonly groups?: readonly string[] }

/**
 * A real server with the domains `dev` and `other`, each with a workload and a resource, and its admin API over HTTP: `ops` are the
 * installation's admins, `dev-ops` those of `dev`, who may do everything there that a policy can permit.
 */
export interface Plane {
  readonly mayfly: Mayfly;
  readonly platform: ForeignIssuer;
  /** Evidence of the workload of a domain. */
  evidence(domain?: string): string;
  token(who: AdminToken, domain: 'system' | 'dev'): string;
  /** A call of an admin of the installation, or of `dev`. */
  ops(method: Method, path: string, body?: unknown, who?: AdminToken): Promise<Answer>;
  devOps(method: Method, path: string, body?: unknown, who?: AdminToken): Promise<Answer>;
  call(method: Method, path: string, headers: Readonly<Record<string, string>>, body?: unknown): Promise<Answer>;
  /** Bodies of audit entries of this action, oldest first. */
  audited(action: string): Promise<readonly Record<string, unknown>[]>;
  close(): Promise<void>;
}

const REPOSITORY = { dev: '815', other: '816' } as const;
export const apiOf = (domain: string): string => `https://api.${domain}.example`;

export const startPlane = async (options: MayflyOptions = {}): Promise<Plane> => {
  const staff = await startForeignIssuer({ iss: 'https://login.acme.example' });
  const devStaff = await startForeignIssuer({ iss: 'https://login.dev.example' });
  const platform = await startForeignIssuer();
  const adminPort = await freePort();
  const mayfly = await startMayfly({ ...options, overrides: { admin: { listen: `127.0.0.1:${adminPort}` }, ...options.overrides } });
  const common = { owner: OWNER, expires: FAR };
  const admins = (domain: string, name: string, issuer: ForeignIssuer): object =>
    ({ domain, name, kind: 'oidc', proves: 'admins', issuer: issuer.issuer, jwks: issuer.jwks(), claims: { groups: { claim: 'groups', type: 'list' } }, ...common });
  const own = (domain: 'dev' | 'other') => ({
    issuers: [{ domain, name: 'github', kind: 'github-actions', issuer: platform.issuer, organization_id: '4711', ...common }],
    resources: [{ domain, audience: apiOf(domain), scopes: ['read'], ...common }],
    workloads: [{ domain, name: 'ci', kind: 'pipeline', authority: 'bounded', match: { issuer: 'github', repository_id: REPOSITORY[domain] }, ...common }],
    policies: [{ domain, name: 'all', cedar: `permit(principal == Workload::"spiffe://${domain}.127.0.0.1/ci", action == Action::"issue", resource in Resource::"${apiOf(domain)}");`, ...common }],
  });
  const dev = own('dev');
  const other = own('other');
  await mayfly.apply({
    domains: [{ name: 'other', stage: 'development', owner: OWNER }],
    issuers: [...dev.issuers, ...other.issuers, admins('system', 'staff', staff), admins('dev', 'dev-staff', devStaff)],
    resources: [...dev.resources, ...other.resources],
    workloads: [...dev.workloads, ...other.workloads],
    policies: [
      ...dev.policies, ...other.policies,
      { domain: 'system', name: 'platform-administers', cedar: 'permit(principal in Group::"platform", action in Action::"admin", resource);', accept: [{ rule: 'permit-open', reason: 'the installation is theirs', until: FAR }], ...common },
      { domain: 'dev', name: 'dev-administers', cedar: 'permit(principal in Group::"devs", action in Action::"admin", resource == Domain::"dev");', ...common },
    ],
  });
  const call: Plane['call'] = async (method, path, headers, body) => read(await request(`http://127.0.0.1:${adminPort}/admin/v1/${path}`, {
    method, headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }));
  const token: Plane['token'] = (who, domain) => (domain === 'system' ? staff : devStaff).mint({ ...who, aud: `${mayfly.url}/${domain}/admin` });
  const bearer = (who: AdminToken, domain: 'system' | 'dev') => ({ authorization: `Bearer ${token(who, domain)}` });
  let runs = 0;
  return {
    mayfly, platform, call, token,
    evidence: (domain = 'dev') => platform.mint({
      sub: 'repo:acme/shop:ref:refs/heads/main', repository: 'acme/shop', repository_id: REPOSITORY[domain as 'dev'], repository_owner: 'acme', repository_owner_id: '4711',
      event_name: 'push', ref: 'refs/heads/main', run_id: String(++runs), run_attempt: '1', actor: 'octocat', aud: `${mayfly.url}/${domain}`,
    }),
    ops: (method, path, body, who = { sub: 'ada', groups: ['platform'] }) => call(method, path, bearer(who, 'system'), body),
    devOps: (method, path, body, who = { sub: 'dan', groups: ['devs'] }) => call(method, path, bearer(who, 'dev'), body),
    async audited(action) {
      const { body } = await mayfly.admin('GET', 'audit');
      const lines = typeof body['text'] === 'string' ? body['text'].trim().split('\n') : [JSON.stringify(body)];
      return lines.map((line) => JSON.parse(line) as { readonly action: string; readonly body: string }).filter((entry) => entry.action === action).map((entry) => (JSON.parse(entry.body) as { body: Record<string, unknown> }).body);
    },
    async close() {
      await mayfly.close();
      await Promise.all([staff, devStaff, platform].map((issuer) => issuer.close()));
    },
  };
};
