import type { Claims } from '../support/foreign-issuer.ts';
import type { Answer, MayflyOptions } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { ALICE, READ, TRUST_DOMAIN, startAgentsLab } from './agents-lab.ts';
import type { AgentsLab } from './agents-lab.ts';
import { API, BILLING, ceilingOf, claimsOf, issued } from './lab.ts';

/** The agents, and a cluster whose pods nobody registers one by one: any pod of pool x is a tool, up to two at once. */
export const POOL = 'tools/pool';
export const TEMPLATE = `${TRUST_DOMAIN}/${POOL}`;
export const instance = (pod: string): string => `${TEMPLATE}/${pod}`;
export { ALICE };

const workload = (name: string, match: object, more: object = {}): object => ({ domain: 'dev', name, kind: 'tool', authority: 'delegated', owner: OWNER, expires: FAR, match: { issuer: 'platform', ...match }, ...more });
const policy = (name: string, cedar: string): object => ({ domain: 'dev', name, owner: OWNER, expires: FAR, cedar });
const POD_CLAIMS = { pool: { claim: 'pool', immutable: true }, pod: { claim: 'pod', immutable: true } };

export interface TemplatesLab {
  readonly lab: AgentsLab;
  /** Evidence of a pod of pool x, good once. */
  pod(name: string, claims?: Claims): string;
  /** A session token of the planner for Alice, of a login of its own. */
  session(): Promise<string>;
  handTo(token: string, actor: string): Promise<Answer>;
  /** Taken up with this evidence as a session token. */
  takeUp(handover: string, evidence: string, values?: Readonly<Record<string, string>>): Promise<Answer>;
  /** All at once: handed to the template and taken up by this pod, in a session of its own unless one is given. */
  use(pod: string, session?: string): Promise<Answer>;
  reasonOf(answer: Answer): Promise<string>;
  end(token: string): Promise<unknown>;
}

export const startTemplatesLab = async (options: { readonly mayfly?: MayflyOptions; readonly timed?: boolean } = {}): Promise<TemplatesLab> => {
  const lab = await startAgentsLab({
    ...options,
    change: (manifest) => ({
      ...manifest,
      issuers: manifest['issuers']?.map((issuer) => ('name' in issuer && issuer.name === 'platform' ? { ...issuer, claims: { ...('claims' in issuer ? issuer.claims as object : {}), ...POD_CLAIMS } } : issuer)),
      workloads: [
        ...manifest['workloads'] ?? [],
        workload(POOL, { pool: 'x' }, { template: { instance: '{pod}', max_live: 2 } }),
        workload('tools/pool/taken', { agent_id: 'taken' }), workload('tools/known', { pod: 'known' }),
        workload('jobs/pool', { pool: 'runs' }, { authority: 'bounded', template: { instance: '{pod}' } }),
        workload('twins/one', { pool: 'twins' }, { template: { instance: '{pod}' } }), workload('twins/other', { pool: 'twins' }, { template: { instance: 'pods/{pod}' } }),
      ],
      policies: [
        ...manifest['policies'] ?? [],
        policy('pool-acts', `permit(principal in Template::"${POOL}", action in [Action::"act", Action::"delegate"], resource) when { resource in [Resource::"${API}", Resource::"${BILLING}"] };`),
        policy('known-acts', `permit(principal == Workload::"${TRUST_DOMAIN}/tools/known", action == Action::"act", resource in Resource::"${API}");`),
      ],
    }),
  });
  let logins = 0;
  const at = (): number => Math.floor((options.timed === true ? lab.time.now : Date.now()) / 1000);
  const session = (): Promise<string> => lab.session(READ, { subject_token: lab.idToken({ sid: `login-${logins += 1}`, auth_time: at() - 60 }) });
  const pod: TemplatesLab['pod'] = (name, claims = {}) => lab.agent('tools/mailer', { agent_id: 'nobody', pool: 'x', pod: name, ...claims });
  const handTo: TemplatesLab['handTo'] = (token, actor) => lab.spend(token, { audience: '', authorization_details: ceilingOf(READ), requested_actor: actor });
  const takeUp: TemplatesLab['takeUp'] = (handover, evidence, values = {}) => lab.spend(handover, { actor_token: evidence, audience: '', authorization_details: ceilingOf(READ), ...values });
  return {
    lab, pod, session, handTo, takeUp,
    use: async (name, given) => takeUp(issued(await handTo(given ?? await session(), TEMPLATE)), pod(name)),
    reasonOf: async (answer) => (answer.status === 200 ? 'issued' : lab.mayfly.reason(answer)),
    end: (token) => lab.mayfly.admin('POST', `sessions/${String(claimsOf(token)['sid'])}/end`, { reason: 'done' }),
  };
};
