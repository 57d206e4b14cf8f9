import { createHash, randomUUID } from 'node:crypto';
import { decodeJwt } from 'jose';
import { ACCESS_TOKEN_TYPE, JWT_TYPE } from '../support/mayfly.ts';
import type { Answer } from '../support/mayfly.ts';
import { startForeignIssuer } from '../support/foreign-issuer.ts';
import { API, FAR, OWNER } from '../support/world.ts';
import { agentId, agentsManifest, APP, READ, TRUST_DOMAIN } from '../flows/agents-lab.ts';
import { patiently } from '../support/patiently.ts';
import type { Server } from './server.ts';

/** People who log in, and agents who act for them, for servers known by one URL. */
export interface Agents {
  /** Trusts both platforms, in the domain `dev`, with as many helpers as asked for. */
  readonly manifest: object;
  /** A session token of the planner for a person who just logged in. */
  plan(at: Server, person: string): Promise<string>;
  /** Narrowed for another workload. */
  handOn(at: Server, token: string, to: string): Promise<string>;
  takeUp(at: Server, handover: string, by: string): Promise<Answer>;
  /** A resource token for a session token. */
  spend(at: Server, token: string): Promise<Answer>;
  /** As {@link spend}, but takes the first answer. */
  spendOnce(at: Server, token: string): Promise<Answer>;
  /** The API's own service, asking whether tokens are active. */
  introspect(at: Server, token: string): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

export const personOf = (name: string): string => `urn:mayfly:dev:person:corp:${name}`;
export const helperOf = (number: number): string => `race/helper-${number}`;
/** A token of the service lives five minutes; it is asked for anew well before. */
const SERVICE_TOKEN_AGE_MS = 120_000;

export const startAgents = async (url: string, helpers: number): Promise<Agents> => {
  const [idp, platform] = await Promise.all([startForeignIssuer(), startForeignIssuer()]);
  const issuer = `${url}/dev`;
  const base = JSON.parse(JSON.stringify(agentsManifest(idp.issuer, platform.issuer)).replaceAll('http://127.0.0.1/introspect', `${issuer}/introspect`)) as Record<'workloads' | 'policies', object[]>;
  const idOf = (name: string): string => (name.startsWith('race/') ? createHash('sha256').update(name).digest('hex').slice(0, 12) : agentId(name as Parameters<typeof agentId>[0]));
  const manifest = {
    ...base,
    workloads: [...base.workloads, ...Array.from({ length: helpers }, (_, number) => ({ domain: 'dev', name: helperOf(number), kind: 'agent', authority: 'delegated', owner: OWNER, expires: FAR, match: { issuer: 'platform', agent_id: idOf(helperOf(number)) } }))],
    policies: [...base.policies, { domain: 'dev', name: 'helpers-act', owner: OWNER, expires: FAR, cedar: `permit(principal, action == Action::"act", resource in Resource::"${API}") when { principal is Workload && principal.name like "race/*" };` }],
  };
  const evidence = (name: string): string => platform.mint({ sub: `agent:${name}`, aud: issuer, agent_id: idOf(name), jti: randomUUID() });
  const ceiling = JSON.stringify(READ.map((pair) => ({ type: 'urn:mayfly:ceiling', ...pair })));
  const actor = (name: string): Readonly<Record<string, string>> => ({ actor_token: evidence(name), actor_token_type: JWT_TYPE });
  const spending = (token: string): Readonly<Record<string, string>> => ({ subject_token: token, subject_token_type: ACCESS_TOKEN_TYPE, audience: API, scope: 'deploy:read' });
  let own: { readonly token: string; readonly since: number } | undefined;
  return {
    manifest,
    plan: async (at, person) => tokenOf(await at.exchange({
      subject_token: idp.mint({ sub: person, aud: APP, auth_time: Math.floor(Date.now() / 1000) - 1, sid: randomUUID(), groups: ['engineering'] }), ...actor('agents/planner'), authorization_details: ceiling,
    })),
    handOn: async (at, token, to) => tokenOf(await at.exchange({ subject_token: token, subject_token_type: ACCESS_TOKEN_TYPE, authorization_details: ceiling, requested_actor: `${TRUST_DOMAIN}/${to}` })),
    takeUp: (at, handover, by) => at.exchange({ subject_token: handover, subject_token_type: ACCESS_TOKEN_TYPE, ...actor(by), authorization_details: ceiling }),
    spend: (at, token) => at.exchange(spending(token)),
    spendOnce: (at, token) => at.exchangeOnce(spending(token)),
    async introspect(at, token) {
      if (own === undefined || performance.now() - own.since > SERVICE_TOKEN_AGE_MS) own = { token: tokenOf(await at.exchange({ subject_token: evidence('svc/api'), audience: `${issuer}/introspect` })), since: performance.now() };
      const { token: shown } = own;
      return (await patiently(() => at.form('dev/introspect', { token }, { authorization: `Bearer ${shown}` }))).body;
    },
    async close() { await Promise.all([idp.close(), platform.close()]); },
  };
};

export const tokenOf = (answer: Answer): string => {
  const token = answer.body['access_token'];
  if (typeof token !== 'string') throw new Error(`not issued: ${answer.status} ${JSON.stringify(answer.body)}`);
  return token;
};

export const claimsOf = (token: string): { readonly sid: string; readonly jti: string } => {
  const { sid, jti } = decodeJwt(token);
  return { sid: String(sid), jti: String(jti) };
};
