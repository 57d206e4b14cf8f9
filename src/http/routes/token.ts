import type { Request, Response } from 'express';
import type { Clock } from '../../core/clock.ts';
import type { Refusal } from '../../core/refusal.ts';
import { ok } from '../../core/result.ts';
import type { Result } from '../../core/result.ts';
import type { Deferral } from '../../exchange/defer.ts';
import type { DenialContext, Denials } from '../../exchange/denials.ts';
import type { Exchange, Grant } from '../../exchange/exchange.ts';
import type { Redeem } from '../../exchange/redeem.ts';
import { parseDeferredRequest, parseExchangeRequest } from '../../exchange/request.ts';
import type { Snapshot } from '../../snapshot/snapshot.ts';
import type { DomainView } from '../../snapshot/domain-view.ts';
import { StoreUnavailable } from '../../store/store.ts';
import { refusal } from '../../core/refusal.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { ceilingDetails } from '../../tokens/claims.ts';
import { checkDpop } from '../../tokens/dpop.ts';
import type { DpopBinding } from '../../tokens/proof.ts';
import { findDomain, findUnready } from '../domain-endpoints.ts';
import type { NoncesOf } from '../domain-endpoints.ts';
import { readForm } from '../form.ts';
import { PUBLIC_REFUSALS } from '../problem.ts';
import { noStore, sendRefusal } from '../reply.ts';

export interface TokenRouteDeps {
  readonly clock: Clock;
  readonly snapshot: Pick<Snapshot, 'domain' | 'age'>;
  readonly exchange: Exchange;
  readonly redeem: Redeem;
  readonly denials: Denials;
  readonly nonces: NoncesOf;
  readonly metrics: Pick<Metrics, 'exchanges' | 'exchangeSeconds'>;
}

/** RFC 8693 section 2.2.1, RFC 9396 section 7. `lease` is ours: the handle under which admins find it. */
const grantBody = ({ credential, expiresIn, scope, ceiling, details }: Grant): object => ({
  access_token: credential.credential,
  issued_token_type: credential.issuedTokenType,
  token_type: credential.tokenType,
  expires_in: expiresIn,
  ...(scope === undefined ? {} : { scope }),
  ...(ceiling === undefined ? {} : { authorization_details: ceilingDetails(ceiling) }),
  ...(details === undefined ? {} : { authorization_details: details }),
});

/** Standards.md G3. `approval_id` is ours: what a person asks about it by; it opens nothing. */
const deferralBody = ({ code, approval, expiresIn, interval }: Deferral): object => ({ ...(code === undefined ? {} : { deferral_code: code }), expires_in: expiresIn, interval, approval_id: approval });

/** What became of the authority behind a request since it was asked: to its client, which cannot mend it, that is a "no" (standards.md H1, 10). */
const deferredError = ({ code }: Refusal): { readonly error?: string } => (CHANGED.has(PUBLIC_REFUSALS[code].error) && !code.startsWith('parameter_') && code !== 'dpop_required' ? { error: 'access_denied' } : {});
const CHANGED: ReadonlySet<string> = new Set(['invalid_request', 'invalid_scope', 'invalid_target', 'unauthorized_client']);

/** RFC 6749 section 5.2: the challenge names the scheme the client used, one of the registered ones or else Basic. */
const challengeFor = (authorization: string): string => `${/^(?:Basic|Bearer|DPoP|Digest|Negotiate)(?= |$)/i.exec(authorization)?.[0] ?? 'Basic'} realm="mayfly"`;

/** `POST {domain}/token`. Order of checks: standards.md H1. */
export const createTokenRoute = (deps: TokenRouteDeps) => {
  const readBinding = async (request: Request, view: DomainView): Promise<Result<DpopBinding | undefined, Refusal>> => {
    const headers = request.headersDistinct['dpop'];
    if (headers === undefined) return ok(undefined);
    return checkDpop({ headers, method: 'POST', url: `${view.domain.issuer}/token` }, { now: deps.clock.now(), nonces: deps.nonces(view).as });
  };

  return async (request: Request<{ domain: string }>, response: Response): Promise<void> => {
    const startedAt = performance.now();
    const found = findDomain(deps.snapshot, request.params.domain);
    if (!found.ok) return sendRefusal(response, found.error);
    const view = found.value;
    const domain = view.domain.name;
    const unread: DenialContext = { domainId: view.domain.id, workloadId: null, verified: false, facts: {} };
    const refuse = async (refused: Refusal): Promise<void> => {
      deps.metrics.exchanges.inc({ domain, outcome: 'denied', code: refused.code });
      sendRefusal(response, refused, await deps.denials.record(refused, unread));
    };

    const unready = findUnready(deps.snapshot, view);
    if (unready !== undefined) return refuse(unready);
    const form = readForm(request);
    if (!form.ok) return refuse(form.error);
    const { authorization } = request.headers;
    if (authorization !== undefined) {
      response.set('WWW-Authenticate', challengeFor(authorization));
      return refuse(refusal('client_authentication_unsupported', 'Authorization header'));
    }
    const deferred = parseDeferredRequest(form.value);
    if (!deferred.ok) return refuse(deferred.error);
    const parsed = deferred.value === undefined ? parseExchangeRequest(form.value) : ok(deferred.value);
    if (!parsed.ok) return refuse(parsed.error);
    const binding = await readBinding(request, view);
    if (!binding.ok) {
      if (binding.error.code.startsWith('dpop_nonce')) response.set('DPoP-Nonce', deps.nonces(view).as.issue());
      return refuse(binding.error);
    }
    if (binding.value !== undefined) response.set('DPoP-Nonce', deps.nonces(view).as.issue());

    try {
      const asked = { view, binding: binding.value, requestId: String(response.getHeader('X-Request-Id')) };
      const outcome = 'code' in parsed.value ? await deps.redeem({ ...asked, request: parsed.value }) : await deps.exchange({ ...asked, request: parsed.value });
      if (!outcome.ok) {
        const { refusal: refused, decisionId, deferral } = outcome.error;
        deps.metrics.exchanges.inc({ domain, outcome: deferral === undefined ? 'denied' : 'deferred', code: refused.code });
        sendRefusal(response, refused, decisionId, { ...(deferral === undefined ? {} : deferralBody(deferral)), ...('code' in parsed.value ? deferredError(refused) : {}) });
        return;
      }
      deps.metrics.exchanges.inc({ domain, outcome: 'issued', code: '' });
      noStore(response).json(grantBody(outcome.value));
    } catch (cause) {
      // Nothing leaves before its lease is durable: what the database did not confirm was not issued.
      if (!(cause instanceof StoreUnavailable)) throw cause;
      await refuse(refusal('store_unavailable', cause.message));
    } finally {
      deps.metrics.exchangeSeconds.observe({ domain }, (performance.now() - startedAt) / 1000);
    }
  };
};
