import { Agent, request } from 'undici';
import { HOUR } from '../../src/core/duration.ts';
import type { Claims } from '../support/foreign-issuer.ts';
import { read } from '../support/mayfly.ts';
import type { Answer } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { spiffe, startAgentsLab } from './agents-lab.ts';
import type { AgentName, AgentsLab } from './agents-lab.ts';
import { until } from './lab.ts';
import { createProver } from './prover.ts';
import type { Prover } from './prover.ts';

export const PAY = 'https://pay.acme.example';
export const APPROVALS_APP = 'approvals-app';
export const DEFERRED = 'urn:ietf:params:oauth:grant-type:deferred';

/** The agents lab with payments, some of which leads, or leads and security, have to agree to; Bob is a lead, Sue is of security. */
export interface ApprovalsLab extends AgentsLab {
  readonly keys: { readonly own: Prover; readonly other: Prover };
  /** A proof for the token endpoint with a nonce of now. */
  prove(prover?: Prover): Promise<string>;
  /** The planner for Alice, who may put it off. */
  defer(values?: Readonly<Record<string, string>>, prover?: Prover): Promise<Answer>;
  poll(code: unknown, values?: Readonly<Record<string, string>>, prover?: Prover | null): Promise<Answer>;
  /** A call of the admin API through the socket with this token. */
  as(token: string | undefined, method: 'GET' | 'POST', path: string, body?: unknown): Promise<Answer>;
  /** A token of somebody for the application where approvers log in. */
  login(sub: string, groups?: readonly string[], claims?: Claims): string;
  bob(): string;
  sue(): string;
  approve(answer: Answer, token?: string): Promise<Answer>;
  /** The inner code of an answer of either plane; `issued` for 200. */
  code(answer: Answer): Promise<string>;
  show(id: unknown): Promise<Record<string, unknown>>;
  audited(action: string): Promise<readonly Record<string, unknown>[]>;
  policy(name: string, cedar: string): object;
  remove(policy: string): Promise<Answer>;
  pass(milliseconds: number): Promise<void>;
}

const scope = (name: string): string => `Scope::"${PAY}#pay:${name}"`;
export const policyOf = (name: string, cedar: string): object => ({ domain: 'dev', name, owner: OWNER, expires: FAR, cedar });
const on = (annotations: string, agent: AgentName, name: string, action = 'act'): string => `${annotations} permit(principal == Workload::"${spiffe(agent)}", action == Action::"${action}", resource == ${scope(name)});`;
const approves = (group: string): string => `permit(principal in Group::"${group}", action == Action::"approve", resource in Resource::"${PAY}") when { context.request has approval && context.request.approval == "${group}" };`;

export const paymentPolicies = (): readonly object[] => [
  policyOf('planner-reads', `permit(principal == Workload::"${spiffe('agents/planner')}", action in [Action::"act", Action::"delegate"], resource == ${scope('read')});`),
  policyOf('planner-hands-on', `permit(principal == Workload::"${spiffe('agents/planner')}", action == Action::"delegate", resource in Resource::"${PAY}");`),
  policyOf('planner-sends', on('@approval("payments-leads")', 'agents/planner', 'send')),
  policyOf('planner-refunds', on('@approval("payments-leads, security") @approval_ttl("2h")', 'agents/planner', 'refund')),
  policyOf('planner-closes', on('@approval("payments-leads") @approval_by_principal', 'agents/planner', 'close')),
  policyOf('planner-hurries', on('@approval("payments-leads") @approval_ttl("2m")', 'agents/planner', 'quick')),
  policyOf('searcher-sends', on('@approval("security")', 'agents/searcher', 'send')),
  policyOf('fixer-sends', on('@approval("payments-leads")', 'ops/fixer', 'send', 'issue')),
  policyOf('engineers-pay', `permit(principal in Group::"engineering", action == Action::"delegate", resource in Resource::"${PAY}");`),
  policyOf('leads-approve', approves('payments-leads')), policyOf('security-approves', approves('security')),
];

export const adminsEntry = (issuer: string): Record<string, unknown> => ({ domain: 'dev', name: 'corp-admins', kind: 'oidc', proves: 'admins', issuer, claims: { groups: { claim: 'groups', type: 'list' } }, owner: OWNER, expires: FAR });

export const startApprovalsLab = async (overrides: Readonly<Record<string, unknown>> = {}): Promise<ApprovalsLab> => {
  const lab = await startAgentsLab({
    timed: true, mayfly: { overrides },
    change: (manifest) => {
      const [corp] = manifest['issuers'] as [Record<string, unknown>];
      corp['approver_clients'] = [APPROVALS_APP];
      manifest['issuers']?.push(adminsEntry(String(corp['issuer'])));
      manifest['resources']?.push({ domain: 'dev', audience: PAY, scopes: ['read', 'send', 'refund', 'close', 'quick'].map((name) => `pay:${name}`), served_by: ['svc/api'], owner: 'payments@acme.example', expires: FAR });
      manifest['policies']?.push(...paymentPolicies());
      return manifest;
    },
  });
  const [own, other] = await Promise.all([createProver(), createProver()]);
  const socket = new Agent({ connect: { socketPath: lab.mayfly.server.adminSocket.slice('unix://'.length) } });
  const htu = `${lab.issuer}/token`;
  const prove: ApprovalsLab['prove'] = async (prover = own) => {
    const { headers } = await lab.mayfly.exchange({ subject_token: 'x', audience: PAY }, { dpop: prover.prove({ htu }) });
    return prover.prove({ htu, nonce: String(headers['dpop-nonce']) });
  };
  const as: ApprovalsLab['as'] = async (token, method, path, body) => read(await request(`http://admin/admin/v1/${path}`, {
    method, dispatcher: socket, headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }));
  const login: ApprovalsLab['login'] = (sub, groups = [], claims = {}) => lab.idToken({ sub, aud: APPROVALS_APP, groups, sid: `approver-${sub}`, ...claims });
  const bob = (): string => login('bob', ['payments-leads']);
  const approvals: Omit<ApprovalsLab, keyof AgentsLab> = {
    keys: { own, other }, prove, as, login, bob, sue: () => login('sue', ['security']), policy: policyOf,
    // A login an hour: none of them gets too old.
    defer: async (values = {}, prover = own) => lab.plan({ audience: PAY, completion_mode: 'deferred', subject_token: lab.idToken({ sid: `login-${Math.floor(lab.time.now / HOUR)}` }), ...values }, { dpop: await prove(prover) }),
    poll: async (code, values = {}, prover = own) => lab.mayfly.form('dev/token', { grant_type: DEFERRED, deferral_code: String(code), ...values }, prover === null ? {} : { dpop: await prove(prover) }),
    approve: (answer, token = bob()) => as(token, 'POST', `approvals/${String(answer.body['approval_id'])}/approve`, {}),
    async code(answer) {
      if (answer.status === 200) return 'issued';
      const decision = answer.body['decision_id'];
      if (typeof decision !== 'string') return String(answer.body['code'] ?? answer.body['error']);
      const explained = (await lab.mayfly.admin('GET', `decisions/${decision}`)).body;
      return explained['outcome'] === 'deferred' ? String(answer.body['error']) : String(explained['code']);
    },
    show: async (id) => (await lab.mayfly.admin('GET', `approvals/${String(id)}`)).body,
    async audited(action) {
      const { body } = await lab.mayfly.admin('GET', 'audit');
      const lines = String(body['text']).trim().split('\n');
      return lines.map((line) => JSON.parse(line) as { readonly action: string; readonly body: string }).filter((entry) => entry.action === action).map((entry) => (JSON.parse(entry.body) as { body: Record<string, unknown> }).body);
    },
    remove: (policy) => lab.mayfly.admin('DELETE', `policies/dev/${policy}?reason=test`),
    async pass(milliseconds) {
      lab.time.now += milliseconds;
      await until(async () => (await fetch(`${lab.mayfly.url}/readyz`)).status === 200);
    },
  };
  return {
    ...lab, ...approvals,
    async close() {
      await socket.destroy();
      await lab.close();
    },
  };
};
