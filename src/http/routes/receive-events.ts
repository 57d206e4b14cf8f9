import type { Request, Response } from 'express';
import type { SecretOf } from '../../config/secrets.ts';
import { sameSecret } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { refusal } from '../../core/refusal.ts';
import type { Refusal } from '../../core/refusal.ts';
import { err, ok } from '../../core/result.ts';
import type { Result } from '../../core/result.ts';
import type { Denials } from '../../exchange/denials.ts';
import type { Receive } from '../../signals/receive.ts';
import type { SignallingIssuer } from '../../signals/received-set.ts';
import { findReceiver } from '../../signals/received-for.ts';
import type { DomainView } from '../../snapshot/domain-view.ts';
import type { Snapshot } from '../../snapshot/snapshot.ts';
import { StoreUnavailable } from '../../store/store.ts';
import { findDomain } from '../domain-endpoints.ts';
import { PUBLIC_REFUSALS, retryAfterOf } from '../problem.ts';
import { noStore, sendRefusal } from '../reply.ts';

export interface ReceiveEventsRouteDeps {
  readonly clock: Clock;
  readonly snapshot: Pick<Snapshot, 'domain' | 'revokedBy' | 'version'>;
  readonly receive: Receive;
  readonly secretOf: SecretOf;
  readonly denials: Pick<Denials, 'record'>;
}

/**
 * `POST {domain}/ssf/events/{issuer}`, RFC 8935: 202 once the effect is durable, and again for a token that was here before. Works on a
 * stale snapshot too: taking back must.
 */
export const createReceiveEventsRoute = (deps: ReceiveEventsRouteDeps) => async (request: Request<{ domain: string; issuer: string }>, response: Response): Promise<void> => {
  const found = findDomain(deps.snapshot, request.params.domain);
  if (!found.ok) return sendRefusal(response, found.error);
  const view = found.value;
  const refuse = async (refused: Refusal): Promise<void> => {
    sendError(response, refused, await deps.denials.record(refused, { domainId: view.domain.id, workloadId: null, verified: false, facts: { endpoint: 'ssf/events' } }));
  };
  const token = readToken(request);
  if (!token.ok) return refuse(token.error);
  const issuer = findReceiver(view, request.params.issuer, 'push', deps.snapshot, deps.clock.now());
  if (!issuer.ok) return refuse(issuer.error);
  try {
    const unauthenticated = await checkAuthorization(request, issuer.value, view, deps.secretOf);
    if (unauthenticated !== undefined) return await refuse(unauthenticated);
    const received = await deps.receive(token.value, issuer.value, view);
    if (!received.ok) return sendError(response, received.error.refusal, received.error.decisionId);
    noStore(response).status(202).end();
  } catch (cause) {
    if (!(cause instanceof StoreUnavailable)) throw cause;
    await refuse(refusal('store_unavailable', cause.message));
  }
};

/** RFC 8935 section 2.1: the body is the token and nothing else. */
const readToken = (request: Request): Result<string, Refusal> => {
  if (request.url.includes('?')) return err(refusal('set_malformed', 'the request has a query'));
  // Anything else was not read.
  if (!Buffer.isBuffer(request.body)) return err(refusal('set_malformed', 'the body is not of type application/secevent+jwt, or is compressed'));
  return ok(request.body.toString('latin1'));
};

const checkAuthorization = async (request: Request, issuer: SignallingIssuer, view: DomainView, secretOf: SecretOf): Promise<Refusal | undefined> => {
  if (!issuer.signals.authorized) return undefined;
  const secret = await secretOf(view.domain.name, issuer.name);
  if (secret === undefined) return refusal('set_secret_missing', `no secret is configured for ${view.domain.name}/${issuer.name}`);
  return sameSecret(request.headers.authorization ?? '', secret) ? undefined : refusal('set_unauthenticated', 'another Authorization header than was agreed, or none');
};

/** RFC 8935 section 2.3, and one member more: the id under which an admin can ask. */
const sendError = (response: Response, refused: Refusal, decisionId: string): void => {
  const { status, error, sentence } = PUBLIC_REFUSALS[refused.code];
  const retryAfter = retryAfterOf(refused.code);
  if (retryAfter !== undefined) response.set('Retry-After', String(retryAfter));
  response.locals['decision'] = decisionId;
  noStore(response).set('Content-Language', 'en').status(status).json({ err: error, description: sentence, decision_id: decisionId });
};
