import type { Request, Response } from 'express';
import type { DecisionId, WorkloadId } from '../../core/ids.ts';
import { refusal } from '../../core/refusal.ts';
import type { Refusal } from '../../core/refusal.ts';
import { err, ok } from '../../core/result.ts';
import type { Result } from '../../core/result.ts';
import type { Denials } from '../../exchange/denials.ts';
import type { Introspect } from '../../exchange/introspect.ts';
import type { Manage, Receiver } from '../../signals/manage.ts';
import type { Poll } from '../../signals/serve-poll.ts';
import { signalsAudience, SSF_MANAGE, SSF_READ } from '../../snapshot/domain-view.ts';
import type { Snapshot } from '../../snapshot/snapshot.ts';
import { StoreUnavailable } from '../../store/store.ts';
import { PROOF_ALGORITHMS } from '../../tokens/dpop-key.ts';
import { readAuthorization } from '../caller.ts';
import type { PossessionCheck } from '../caller.ts';
import { findDomain, findUnready } from '../domain-endpoints.ts';
import type { NoncesOf } from '../domain-endpoints.ts';
import { noStore, sendChallenge, sendRefusal } from '../reply.ts';
import { handler } from '../route.ts';
import type { Route } from '../route.ts';

export interface SsfRouteDeps {
  readonly snapshot: Pick<Snapshot, 'domain' | 'age'>;
  readonly introspect: Pick<Introspect, 'authenticate'>;
  readonly checkPossession: PossessionCheck;
  readonly denials: Pick<Denials, 'record'>;
  readonly nonces: NoncesOf;
  readonly signals: { readonly manage: Manage; readonly poll: Poll };
}

type Params = Readonly<Record<'domain' | 'stream', string>>;
type Answer = Promise<Result<unknown, Refusal>>;

interface Endpoint {
  readonly method: Route['method'];
  /** Below `{domain}/ssf`. */
  readonly path: string;
  readonly name: string;
  readonly needs: 'read' | 'manage';
  readonly success: 200 | 201 | 204;
  answer(receiver: Receiver, request: Request<Params>, response: Response): Answer;
}

/** What a domain's transmitter answers to receivers: stream management and polling (SSF 1.0 section 8, RFC 8936). */
export const ssfRoutes = (deps: SsfRouteDeps): readonly Route[] =>
  endpoints(deps).map((endpoint): Route => ({
    method: endpoint.method, path: `/:domain/ssf/${endpoint.path}`, caller: 'event receiver with a token', limit: 'address', name: `ssf-${endpoint.name}`,
    body: endpoint.method === 'get' || endpoint.method === 'delete' ? 'none' : 'json', handle: handler<Params>(createHandler(deps, endpoint)),
  }));

const endpoints = ({ signals: { manage, poll } }: SsfRouteDeps): readonly Endpoint[] => [
  { method: 'post', path: 'streams', name: 'create', needs: 'manage', success: 201, answer: (receiver, request) => manage.create(receiver, request.body) },
  { method: 'get', path: 'streams', name: 'read', needs: 'read', success: 200, answer: (receiver, request) => manage.read(receiver, request.query['stream_id']) },
  { method: 'patch', path: 'streams', name: 'update', needs: 'manage', success: 200, answer: (receiver, request) => manage.update(receiver, request.body) },
  { method: 'put', path: 'streams', name: 'replace', needs: 'manage', success: 200, answer: (receiver, request) => manage.replace(receiver, request.body) },
  { method: 'delete', path: 'streams', name: 'delete', needs: 'manage', success: 204, answer: (receiver, request) => manage.remove(receiver, request.query['stream_id']) },
  { method: 'get', path: 'status', name: 'status', needs: 'read', success: 200, answer: (receiver, request) => manage.readStatus(receiver, request.query['stream_id']) },
  { method: 'post', path: 'status', name: 'set-status', needs: 'manage', success: 200, answer: (receiver, request) => manage.setStatus(receiver, request.body) },
  { method: 'post', path: 'subjects/add', name: 'add-subject', needs: 'manage', success: 200, answer: (receiver, request) => manage.addSubject(receiver, request.body) },
  { method: 'post', path: 'subjects/remove', name: 'remove-subject', needs: 'manage', success: 204, answer: (receiver, request) => manage.removeSubject(receiver, request.body) },
  { method: 'post', path: 'verify', name: 'verify', needs: 'manage', success: 204, answer: (receiver, request) => manage.verify(receiver, request.body) },
  { method: 'post', path: 'poll/:stream', name: 'poll', needs: 'read', success: 200, answer: (receiver, request, response) => poll.poll(receiver, request.params.stream, request.body, () => response.closed) },
];

/** The same way in for all: a live token of this domain for its event streams, with a scope, and a proof where it is bound (RFC 6750, RFC 9449). */
const createHandler = (deps: SsfRouteDeps, endpoint: Endpoint) => async (request: Request<Params>, response: Response): Promise<void> => {
  const found = findDomain(deps.snapshot, request.params.domain);
  if (!found.ok) return sendRefusal(response, found.error);
  const view = found.value;
  const { rs } = deps.nonces(view);
  let workloadId: WorkloadId | null = null;
  const record = (refused: Refusal): Promise<DecisionId> => deps.denials.record(refused, { domainId: view.domain.id, workloadId, verified: workloadId !== null, facts: { endpoint: `ssf-${endpoint.name}` } });
  const refuse = async (refused: Refusal): Promise<void> => { sendRefusal(response, refused, await record(refused)); };
  const challenge = async (refused: Refusal): Promise<void> => {
    const nonce = refused.code.startsWith('dpop_nonce') ? rs.issue() : undefined;
    sendChallenge(response, PROOF_ALGORITHMS, refused.code === 'token_missing' ? undefined : refused, { nonce, decisionId: await record(refused) });
  };
  const unready = findUnready(deps.snapshot, view);
  if (unready !== undefined) return refuse(unready);
  const presented = readAuthorization(request);
  if (!presented.ok) return challenge(presented.error);
  if (presented.value === undefined) return challenge(refusal('token_missing', 'no Authorization header'));

  try {
    const caller = await deps.introspect.authenticate(presented.value.token, view, signalsAudience(view.domain));
    if (!caller.ok) return await challenge(caller.error);
    const { token, workload: name } = caller.value;
    const possession = await deps.checkPossession(request, presented.value, token.jkt, `${view.domain.issuer}/ssf/${endpoint.path.replace(':stream', request.params.stream)}`, rs);
    if (!possession.ok) return await challenge(possession.error);
    const workload = view.workloadByName(name);
    if (workload === undefined) return await challenge(refusal('workload_unknown', 'the receiver is no longer registered'));
    workloadId = workload.id;
    const may = checkScope(token.claims.scope, endpoint.needs);
    if (!may.ok) return await refuse(may.error);
    const answer = await endpoint.answer({ view, workload }, request, response);
    if (!answer.ok) return await refuse(answer.error);
    if (response.closed) return;
    noStore(response).status(endpoint.success);
    if (answer.value === undefined) response.end();
    else response.json(answer.value);
  } catch (cause) {
    if (!(cause instanceof StoreUnavailable)) throw cause;
    await refuse(refusal('store_unavailable', cause.message));
  }
};

const checkScope = (scope: string | undefined, needs: Endpoint['needs']): Result<undefined, Refusal> => {
  const held = (scope ?? '').split(' ');
  return held.includes(SSF_MANAGE) || (needs === 'read' && held.includes(SSF_READ)) ? ok(undefined) : err(refusal('token_scope_missing', `the token's scope is ${JSON.stringify(scope ?? '')}`));
};
