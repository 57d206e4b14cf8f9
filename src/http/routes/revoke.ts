import type { Request, Response } from 'express';
import { refusal } from '../../core/refusal.ts';
import type { Refusal } from '../../core/refusal.ts';
import type { Denials } from '../../exchange/denials.ts';
import type { RevokeToken } from '../../exchange/revoke-token.ts';
import type { Snapshot } from '../../snapshot/snapshot.ts';
import { StoreUnavailable } from '../../store/store.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { findDomain } from '../domain-endpoints.ts';
import { one, readForm } from '../form.ts';
import { noStore, sendRefusal } from '../reply.ts';

export interface RevokeRouteDeps {
  readonly snapshot: Pick<Snapshot, 'domain' | 'age'>;
  readonly revokeToken: RevokeToken;
  readonly denials: Pick<Denials, 'record'>;
  readonly metrics: Pick<Metrics, 'revocations'>;
}

/** `POST {domain}/revoke`, RFC 7009: 200 also for what is unknown or over; 503 means it still counts. Works on a stale snapshot too: taking back must. */
export const createRevokeRoute = (deps: RevokeRouteDeps) => async (request: Request<{ domain: string }>, response: Response): Promise<void> => {
  const found = findDomain(deps.snapshot, request.params.domain);
  if (!found.ok) return sendRefusal(response, found.error);
  const { id: domainId } = found.value.domain;
  const refuse = async (refused: Refusal): Promise<void> => {
    sendRefusal(response, refused, await deps.denials.record(refused, { domainId, workloadId: null, verified: false, facts: { endpoint: 'revoke' } }));
  };
  const form = readForm(request);
  if (!form.ok) return refuse(form.error);
  const token = one(form.value, 'token');
  const clientId = one(form.value, 'client_id');
  const hint = one(form.value, 'token_type_hint');
  for (const value of [token, clientId, hint]) if (!value.ok) return refuse(value.error);
  if (!token.ok || !clientId.ok || token.value === undefined) return refuse(refusal('parameter_missing', 'token'));
  try {
    const outcome = await deps.revokeToken(token.value, clientId.value, found.value);
    if (!outcome.ok) return refuse(outcome.error);
    if (outcome.value === 'revoked') deps.metrics.revocations.inc({ kind: 'lease' });
    noStore(response).status(200).end();
  } catch (cause) {
    if (!(cause instanceof StoreUnavailable)) throw cause;
    await refuse(refusal('store_unavailable', cause.message));
  }
};
