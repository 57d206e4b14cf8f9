import { request } from 'undici';
import { read } from '../support/mayfly.ts';
import type { Answer, Headers } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { startAgentsLab, spiffe } from './agents-lab.ts';
import type { AgentName, AgentsLab } from './agents-lab.ts';
import { issued } from './lab.ts';
import { startSetReceiver } from '../support/set-receiver.ts';
import type { SetReceiver } from '../support/set-receiver.ts';

/** The agents' lab with two workloads that may manage event streams and one that may only read, and receivers beside it. */
export interface SignalsLab extends AgentsLab {
  /** A token of this workload for the domain's event streams. */
  token(name?: AgentName, scope?: string): Promise<string>;
  /** A call to the transmitter, as svc/api with everything it may, unless told otherwise. */
  ssf(method: string, path: string, body?: unknown, headers?: Headers): Promise<Answer>;
  /** A stream that pushes to a receiver, which may be one there already. */
  push(receiver?: SetReceiver, more?: object): Promise<{ readonly id: string; readonly receiver: SetReceiver }>;
  /** A stream to poll. */
  poll(more?: object): Promise<string>;
  receiver(): Promise<SetReceiver>;
  revoke(kind: string, id: string): Promise<void>;
}

export const startSignalsLab = async (options: Parameters<typeof startAgentsLab>[0] = {}): Promise<SignalsLab> => {
  const lab = await startAgentsLab(options);
  const permit = (name: string, workload: AgentName, resource: string): object =>
    ({ domain: 'dev', name, owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${spiffe(workload)}", action == Action::"issue", resource ${resource});` });
  await lab.mayfly.apply({ policies: [
    permit('api-manages-streams', 'svc/api', `in Resource::"${lab.issuer}/ssf"`), permit('runner-manages-streams', 'ci/runner', `in Resource::"${lab.issuer}/ssf"`),
  ] });
  const receivers: SetReceiver[] = [];
  const token: SignalsLab['token'] = async (name = 'svc/api', scope = 'ssf.manage ssf.read') => issued(await lab.ask({ subject_token: lab.agent(name), audience: `${lab.issuer}/ssf`, scope }));
  const ssf: SignalsLab['ssf'] = async (method, path, body, headers) => read(await request(`${lab.issuer}/ssf/${path}`, {
    method: method as 'GET', headers: { authorization: `Bearer ${headers?.['authorization'] === undefined ? await token() : ''}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }));
  const receiver = async (): Promise<SetReceiver> => {
    const started = await startSetReceiver(lab.issuer, spiffe('svc/api'));
    receivers.push(started);
    return started;
  };
  const created = async (body: object): Promise<string> => {
    const answer = await ssf('POST', 'streams', body);
    if (answer.status !== 201) throw new Error(`no stream: ${answer.status} ${JSON.stringify(answer.body)}`);
    return String(answer.body['stream_id']);
  };
  return {
    ...lab, token, ssf, receiver,
    async push(own, more = {}) {
      const to = own ?? await receiver();
      return { id: await created({ delivery: { method: 'urn:ietf:rfc:8935', endpoint_url: to.url }, ...more }), receiver: to };
    },
    poll: (more = {}) => created({ delivery: { method: 'urn:ietf:rfc:8936' }, ...more }),
    async revoke(kind, id) {
      const answer = await lab.mayfly.admin('POST', 'revocations', { kind, id, domain: 'dev', reason: 'agent quarantined' });
      if (answer.status !== 200) throw new Error(`not revoked: ${JSON.stringify(answer.body)}`);
    },
    async close() {
      await Promise.all(receivers.map((each) => each.close()));
      await lab.close();
    },
  };
};
