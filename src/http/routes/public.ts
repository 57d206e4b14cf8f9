import type { Registry } from 'prom-client';
import type { Clock } from '../../core/clock.ts';
import { refusal } from '../../core/refusal.ts';
import type { Refusal } from '../../core/refusal.ts';
import { SYSTEM_DOMAIN } from '../../core/reserved.ts';
import { err, ok } from '../../core/result.ts';
import type { Result } from '../../core/result.ts';
import type { Snapshot } from '../../snapshot/snapshot.ts';
import type { DomainView } from '../../snapshot/domain-view.ts';
import { transmitterMetadata } from '../../signals/metadata.ts';
import { buildJwks } from '../../tokens/jwks.ts';
import { findDomain } from '../domain-endpoints.ts';
import { authorizationServerMetadata, openidConfiguration } from '../metadata.ts';
import { sendRefusal } from '../reply.ts';
import { handler } from '../route.ts';
import type { Route } from '../route.ts';
import { createIntrospectRoute } from './introspect.ts';
import type { IntrospectRouteDeps } from './introspect.ts';
import { createReceiveEventsRoute } from './receive-events.ts';
import type { ReceiveEventsRouteDeps } from './receive-events.ts';
import { createRevokeRoute } from './revoke.ts';
import type { RevokeRouteDeps } from './revoke.ts';
import { createSpendRoute } from './spend.ts';
import { createStatusAggregationRoute, createStatusListRoute } from './status.ts';
import type { StatusRouteDeps } from './status.ts';
import type { SpendRouteDeps } from './spend.ts';
import { ssfRoutes } from './ssf.ts';
import type { SsfRouteDeps } from './ssf.ts';
import { createTokenRoute } from './token.ts';
import type { TokenRouteDeps } from './token.ts';

export type PublicRouteDeps = TokenRouteDeps & IntrospectRouteDeps & RevokeRouteDeps & SpendRouteDeps & ReceiveEventsRouteDeps & StatusRouteDeps & SsfRouteDeps & {
  readonly clock: Clock;
  readonly snapshot: Snapshot;
};

interface DomainParams { readonly domain: string }

/** Seconds verifiers may cache keys and metadata; below the time a new key is published before it signs. */
const CACHE_SECONDS = 300;

const document = (deps: PublicRouteDeps, build: (view: DomainView) => Result<object, Refusal>) =>
  handler<DomainParams>((request, response) => {
    // The system domain issues nothing, but outsiders verify checkpoints by its keys.
    const view = request.params.domain === SYSTEM_DOMAIN ? deps.snapshot.domain(SYSTEM_DOMAIN) : undefined;
    const found = view !== undefined ? { ok: true as const, value: view } : findDomain(deps.snapshot, request.params.domain);
    const built = found.ok ? build(found.value) : found;
    if (!built.ok) return sendRefusal(response, built.error);
    response.set('Cache-Control', `public, max-age=${CACHE_SECONDS}`).type('application/json').send(JSON.stringify(built.value));
  });

/** A node that cannot open any key has none to publish: an empty set would be kept by verifiers, and what they know already is better. */
const keySet = (view: DomainView, now: number): Result<object, Refusal> => {
  const set = buildJwks(view.ring, now);
  return set.keys.length === 0 ? err(refusal('domain_not_ready', 'no key of this domain can be opened')) : ok(set);
};

/** Everything a trust domain serves (design section 4). */
export const domainRoutes = (deps: PublicRouteDeps): readonly Route[] => [
  { method: 'post', path: '/:domain/token', caller: 'holder of evidence or a session token', limit: 'address', name: 'token', body: 'form', handle: handler(createTokenRoute(deps)) },
  { method: 'post', path: '/:domain/introspect', caller: 'resource server with a token', limit: 'address', name: 'introspect', body: 'form', handle: handler(createIntrospectRoute(deps)) },
  { method: 'post', path: '/:domain/revoke', caller: 'holder of the credential', limit: 'address', name: 'revoke', body: 'form', handle: handler(createRevokeRoute(deps)) },
  { method: 'post', path: '/:domain/session/spend', caller: 'holder of evidence or a session token', limit: 'address', name: 'spend', body: 'form', handle: handler(createSpendRoute(deps)) },
  { method: 'post', path: '/:domain/ssf/events/:issuer', caller: 'transmitter of events', limit: 'address', name: 'receive-events', body: 'set', handle: handler(createReceiveEventsRoute(deps)) },
  { method: 'get', path: '/:domain/status', caller: 'anyone', limit: 'address', name: 'status-lists', body: 'none', handle: handler(createStatusAggregationRoute(deps)) },
  { method: 'get', path: '/:domain/status/:list', caller: 'anyone', limit: 'address', name: 'status-list', body: 'none', handle: handler(createStatusListRoute(deps)) },
  { method: 'get', path: '/:domain/jwks.json', caller: 'anyone', limit: 'address', name: 'jwks', body: 'none', handle: document(deps, (view) => keySet(view, deps.clock.now())) },
  { method: 'get', path: '/.well-known/oauth-authorization-server/:domain', caller: 'anyone', limit: 'address', name: 'as-metadata', body: 'none', handle: document(deps, (view) => ok(authorizationServerMetadata(view))) },
  { method: 'get', path: '/:domain/.well-known/openid-configuration', caller: 'anyone', limit: 'address', name: 'oidc-metadata', body: 'none', handle: document(deps, (view) => ok(openidConfiguration(view))) },
  { method: 'get', path: '/.well-known/ssf-configuration/:domain', caller: 'anyone', limit: 'address', name: 'ssf-metadata', body: 'none', handle: document(deps, (view) => (view.domain.name === SYSTEM_DOMAIN ? err(refusal('domain_unknown', 'the system domain has no event streams')) : ok(transmitterMetadata(view.domain)))) },
  ...ssfRoutes(deps),
];

export interface HealthDeps {
  readonly metricsRegistry: Pick<Registry, 'contentType' | 'metrics'>;
  /** Why the node is not ready; empty if it is. */
  readiness(): Promise<readonly string[]>;
}

/** `detail`: why a node is not ready is for admins; it names domains and entries. */
export const healthRoutes = (deps: HealthDeps, detail: boolean): readonly Route[] => [
  { method: 'get', path: '/healthz', caller: 'anyone', limit: 'none', name: 'healthz', body: 'none', handle: (_request, response) => { response.json({ status: 'ok' }); } },
  { method: 'get', path: '/readyz', caller: 'anyone', limit: 'none', name: 'readyz', body: 'none', handle: handler(async (_request, response) => {
    const problems = await deps.readiness();
    response.set('Cache-Control', 'no-store').status(problems.length === 0 ? 200 : 503).json(problems.length === 0 ? { status: 'ready' } : { status: 'not ready', ...(detail ? { problems } : {}) });
  }) },
];

export const metricsRoute = (deps: HealthDeps): Route =>
  ({ method: 'get', path: '/metrics', caller: 'anyone', limit: 'none', name: 'metrics', body: 'none', handle: handler(async (_request, response) => {
    response.type(deps.metricsRegistry.contentType).send(await deps.metricsRegistry.metrics());
  }) });
