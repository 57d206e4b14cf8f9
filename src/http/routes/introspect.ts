import type { Request, Response } from 'express';
import type { DecisionId } from '../../core/ids.ts';
import { refusal } from '../../core/refusal.ts';
import type { Refusal } from '../../core/refusal.ts';
import type { Denials } from '../../exchange/denials.ts';
import type { Introspect } from '../../exchange/introspect.ts';
import type { Snapshot } from '../../snapshot/snapshot.ts';
import { introspectionAudience } from '../../snapshot/domain-view.ts';
import { StoreUnavailable } from '../../store/store.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { PROOF_ALGORITHMS } from '../../tokens/dpop-key.ts';
import { readAuthorization } from '../caller.ts';
import type { PossessionCheck } from '../caller.ts';
import { findDomain, findUnready } from '../domain-endpoints.ts';
import type { NoncesOf } from '../domain-endpoints.ts';
import { one, readForm } from '../form.ts';
import { noStore, sendChallenge, sendRefusal } from '../reply.ts';

export interface IntrospectRouteDeps {
  readonly snapshot: Pick<Snapshot, 'domain' | 'age'>;
  readonly introspect: Introspect;
  readonly checkPossession: PossessionCheck;
  readonly denials: Pick<Denials, 'record'>;
  readonly nonces: NoncesOf;
  readonly metrics: Pick<Metrics, 'introspections'>;
}

/** `POST {domain}/introspect`, RFC 7662: the caller shows a live token for this endpoint and sees only tokens of what it serves. */
export const createIntrospectRoute = (deps: IntrospectRouteDeps) => async (request: Request<{ domain: string }>, response: Response): Promise<void> => {
  const found = findDomain(deps.snapshot, request.params.domain);
  if (!found.ok) return sendRefusal(response, found.error);
  const view = found.value;
  const { rs } = deps.nonces(view);
  const record = (refused: Refusal): Promise<DecisionId> => deps.denials.record(refused, { domainId: view.domain.id, workloadId: null, verified: false, facts: { endpoint: 'introspect' } });
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
  const form = readForm(request);
  if (!form.ok) return refuse(form.error);
  const token = one(form.value, 'token');
  if (!token.ok) return refuse(token.error);
  if (token.value === undefined) return refuse(refusal('parameter_missing', 'token'));

  try {
    const audience = introspectionAudience(view.domain);
    const caller = await deps.introspect.authenticate(presented.value.token, view, audience);
    if (!caller.ok) return challenge(caller.error);
    const possession = await deps.checkPossession(request, presented.value, caller.value.token.jkt, audience, rs);
    if (!possession.ok) return challenge(possession.error);
    const answer = await deps.introspect.introspect(token.value, view, caller.value.workload);
    deps.metrics.introspections.inc({ domain: view.domain.name, active: String(answer.active) });
    noStore(response).json(answer);
  } catch (cause) {
    if (!(cause instanceof StoreUnavailable)) throw cause;
    await refuse(refusal('store_unavailable', cause.message));
  }
};
