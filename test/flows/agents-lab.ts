import { createHash } from 'node:crypto';
import type { Clock } from '../../src/core/clock.ts';
import { startForeignIssuer } from '../support/foreign-issuer.ts';
import type { Claims, ForeignIssuer, MintOptions } from '../support/foreign-issuer.ts';
import { ACCESS_TOKEN_TYPE, GRANT, JWT_TYPE, startMayfly } from '../support/mayfly.ts';
import type { Answer, Headers, Mayfly, MayflyOptions } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { API, BILLING, ceilingOf, issued } from './lab.ts';
import type { CeilingPair } from './lab.ts';

/** A real server, an identity provider that knows people, and a platform that knows agents. */
export interface AgentsLab {
  readonly mayfly: Mayfly;
  readonly idp: ForeignIssuer;
  readonly issuer: string;
  /** Moves the server's and both issuers' clock on; undefined options leave it real. */
  readonly time: { now: number };
  /** An ID token of Alice for the planner's application, logged in a minute ago. */
  idToken(claims?: Claims, options?: MintOptions): string;
  /** Evidence of an agent, good once. */
  agent(name: AgentName, claims?: Claims, options?: MintOptions): string;
  /** Exchange with any subject and actor; the audience is API unless given. */
  ask(values: Readonly<Record<string, string>>, headers?: Headers): Promise<Answer>;
  /** The planner acting for Alice. */
  plan(values?: Readonly<Record<string, string>>, headers?: Headers): Promise<Answer>;
  /** A session token of the planner for Alice over these pairs. */
  session(ceiling?: readonly CeilingPair[], values?: Readonly<Record<string, string>>): Promise<string>;
  /** Exchange of a session token, alone or with an actor's evidence. */
  spend(token: string, values?: Readonly<Record<string, string>>, headers?: Headers): Promise<Answer>;
  /** Narrowed for another actor. */
  handOn(token: string, to: AgentName, ceiling?: readonly CeilingPair[]): Promise<Answer>;
  /** Taken up by that actor, as a session token. */
  takeUp(handover: string, by: AgentName, values?: Readonly<Record<string, string>>, headers?: Headers): Promise<Answer>;
  /** What introspection by the API's own service says. */
  introspect(token: string): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

export const AGENTS = ['agents/planner', 'agents/searcher', 'tools/mailer', 'tools/printer', 'agents/other', 'agents/a5', 'agents/a6', 'ci/runner', 'ops/fixer', 'svc/api'] as const;
export type AgentName = (typeof AGENTS)[number];
export const TRUST_DOMAIN = 'spiffe://dev.127.0.0.1';
export const spiffe = (name: AgentName): string => `${TRUST_DOMAIN}/${name}`;
export const ALICE = 'urn:mayfly:dev:person:corp:alice';
export const BOB = 'urn:mayfly:dev:person:corp:bob';
export const APP = 'planner-app';
export const READ: readonly CeilingPair[] = [{ audience: API, scopes: ['deploy:read'] }];
export const BOTH: readonly CeilingPair[] = [{ audience: API, scopes: ['deploy:read', 'deploy:write'] }, { audience: BILLING, scopes: ['bills:read'] }];

const AUTHORITY: Readonly<Partial<Record<AgentName, string>>> = { 'ci/runner': 'bounded', 'svc/api': 'bounded', 'ops/fixer': 'autonomous' };

export const agentId = (name: AgentName): string => createHash('sha256').update(name).digest('hex').slice(0, 12);

const policy = (name: string, cedar: string): object => ({ domain: 'dev', name, owner: OWNER, expires: FAR, cedar });
const resources = `[Resource::"${API}", Resource::"${BILLING}"]`;
const mayAct = (name: AgentName, actions = '"act"'): object => policy(`${name.replace('/', '-')}-acts`, `permit(principal == Workload::"${spiffe(name)}", action in [${actions.split(', ').map((action) => `Action::${action}`).join(', ')}], resource) when { resource in ${resources} };`);

export const agentsManifest = (idp: string, platform: string): object => ({
  domains: [{ name: 'dev', stage: 'development', owner: 'local', limits: { depth: 4, fresh_within: { delegated: 8 * 3600, autonomous: 3600 } } }],
  issuers: [
    { domain: 'dev', name: 'corp', kind: 'oidc', proves: 'people', issuer: idp, claims: { groups: { claim: 'groups', type: 'list' } }, owner: OWNER, expires: FAR,
      audiences: [{ client_id: APP, presenters: ['agents/planner', 'ci/runner'] }, { client_id: 'other-app', presenters: ['agents/other'] }] },
    { domain: 'dev', name: 'platform', kind: 'oidc', issuer: platform, replay_key: 'jti', claims: { agent_id: { claim: 'agent_id', immutable: true, required: true } }, owner: OWNER, expires: FAR },
  ],
  resources: [
    { domain: 'dev', audience: API, scopes: ['deploy:read', 'deploy:write', 'deploy:admin'], served_by: ['svc/api'], owner: OWNER, expires: FAR },
    { domain: 'dev', audience: BILLING, scopes: ['bills:read', 'bills:pay'], served_by: ['svc/api'], owner: OWNER, expires: FAR },
  ],
  workloads: AGENTS.map((name) => ({
    domain: 'dev', name, kind: name.startsWith('tools/') ? 'tool' : 'agent', authority: AUTHORITY[name] ?? 'delegated', owner: OWNER, expires: FAR, match: { issuer: 'platform', agent_id: agentId(name) },
    ...(name === 'ops/fixer' ? { principal: { issuer: 'corp', sub: 'alice' } } : {}),
  })),
  policies: [
    policy('engineers-delegate', `permit(principal in Group::"engineering", action == Action::"delegate", resource) when { resource in ${resources} };`),
    policy('nobody-delegates-admin', `forbid(principal is Person, action == Action::"delegate", resource == Scope::"${API}#deploy:admin");`),
    mayAct('agents/planner', '"act", "delegate"'), mayAct('agents/searcher', '"act", "delegate"'), mayAct('tools/mailer', '"act", "delegate"'), mayAct('tools/printer'), mayAct('agents/other', '"act", "delegate"'),
    mayAct('agents/a5', '"act", "delegate"'), mayAct('agents/a6', '"act", "delegate"'), mayAct('ci/runner', '"issue", "delegate"'), mayAct('ops/fixer', '"issue", "delegate", "open"'),
    policy('mailer-pays-nothing', `forbid(principal == Workload::"${spiffe('tools/mailer')}", action, resource == Scope::"${BILLING}#bills:pay");`),
    policy('api-introspects', `permit(principal == Workload::"${spiffe('svc/api')}", action == Action::"issue", resource == Resource::"http://127.0.0.1/introspect");`),
  ],
});

export const startAgentsLab = async (options: { readonly timed?: boolean; readonly change?: (manifest: Record<string, object[]>) => object; readonly mayfly?: MayflyOptions } = {}): Promise<AgentsLab> => {
  const time = { now: Date.UTC(2026, 10, 22, 12) };
  const clock: Clock | undefined = options.timed === true ? { now: () => time.now } : undefined;
  const now = (): number => clock?.now() ?? Date.now();
  const timed = clock === undefined ? {} : { clock };
  const [idp, platform] = await Promise.all([startForeignIssuer(timed), startForeignIssuer(timed)]);
  const mayfly = await startMayfly({ ...timed, ...options.mayfly });
  const issuer = `${mayfly.url}/dev`;
  const manifest = JSON.parse(JSON.stringify(agentsManifest(idp.issuer, platform.issuer)).replaceAll('http://127.0.0.1/introspect', `${issuer}/introspect`)) as Record<string, object[]>;
  await mayfly.apply(options.change?.(manifest) ?? manifest);

  const idToken: AgentsLab['idToken'] = (claims = {}, mintOptions) =>
    idp.mint({ sub: 'alice', aud: APP, auth_time: Math.floor(now() / 1000) - 60, sid: 'login-1', groups: ['engineering'], ...claims }, mintOptions);
  const agent: AgentsLab['agent'] = (name, claims = {}, mintOptions) => platform.mint({ sub: `agent:${name}`, aud: issuer, agent_id: agentId(name), ...claims }, mintOptions);
  const form = (values: Readonly<Record<string, string>>, headers?: Headers): Promise<Answer> => mayfly.form('dev/token', { grant_type: GRANT, ...values }, headers);
  const ask: AgentsLab['ask'] = (values, headers) => form({ subject_token_type: JWT_TYPE, ...(values['actor_token'] === undefined ? {} : { actor_token_type: JWT_TYPE }), audience: API, ...values }, headers);
  const spend: AgentsLab['spend'] = (token, values = {}, headers) => ask({ subject_token: token, subject_token_type: ACCESS_TOKEN_TYPE, ...values }, headers);
  const plan: AgentsLab['plan'] = (values = {}, headers) => ask({ subject_token: idToken(), actor_token: agent('agents/planner'), ...values }, headers);
  return {
    mayfly, idp, issuer, time, idToken, agent, ask, plan, spend,
    session: async (ceiling = BOTH, values = {}) => issued(await plan({ audience: '', authorization_details: ceilingOf(ceiling), ...values })),
    handOn: (token, to, ceiling = READ) => spend(token, { audience: '', authorization_details: ceilingOf(ceiling), requested_actor: spiffe(to) }),
    takeUp: (handover, by, values = {}, headers) => spend(handover, { actor_token: agent(by), audience: '', authorization_details: ceilingOf(READ), ...values }, headers),
    async introspect(token) {
      const own = issued(await ask({ subject_token: agent('svc/api'), audience: `${issuer}/introspect` }));
      return (await mayfly.form('dev/introspect', { token }, { authorization: `Bearer ${own}` })).body;
    },
    async close() {
      await mayfly.close();
      await Promise.all([idp.close(), platform.close()]);
    },
  };
};
