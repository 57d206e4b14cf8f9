/**
 * The server floor: Mayfly's own application, routes, limits, logging, metrics, evidence verification, signing and reply,
 * without registry (one workload is taken for granted), policy (all is permitted) and store (nothing is written).
 * `node bench/server-floor.ts PORT JWKS.json`
 */
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { JSONWebKeySet } from 'jose';
import { createAttest } from '../src/attestation/attest.ts';
import { createVerifyEvidence } from '../src/attestation/verify-evidence.ts';
import { attestorCatalogue } from '../src/attestation/catalogue.ts';
import { listen } from '../src/boot/listen.ts';
import { seconds, systemClock } from '../src/core/clock.ts';
import { newId } from '../src/core/ids.ts';
import type { DomainId, HopId, IssuerId, ResourceId, SessionId, SpiffeId, WorkloadId } from '../src/core/ids.ts';
import { systemRandom } from '../src/core/random.ts';
import { refusal } from '../src/core/refusal.ts';
import { err, ok } from '../src/core/result.ts';
import { createAccessTokenProvider } from '../src/credentials/providers/access-token.ts';
import { createDenials } from '../src/exchange/denials.ts';
import type { Exchange } from '../src/exchange/exchange.ts';
import { createApp } from '../src/http/app.ts';
import { createRateLimit } from '../src/http/limits.ts';
import type { PublicRouteDeps } from '../src/http/routes/public.ts';
import { domainRoutes, healthRoutes } from '../src/http/routes/public.ts';
import type { KeyRing } from '../src/keys/key-ring.ts';
import { createGuardedFetch } from '../src/outbound/fetch.ts';
import { createIssuerKeys } from '../src/outbound/issuer-keys.ts';
import type { Domain, Issuer, Resource, Workload } from '../src/registry/entries.ts';
import type { DomainView } from '../src/snapshot/domain-view.ts';
import type { Snapshot } from '../src/snapshot/snapshot.ts';
import { authorityLimits } from '../src/registry/limits.ts';
import { createLog } from '../src/telemetry/log.ts';
import { createMetrics } from '../src/telemetry/metrics.ts';
import { signToken } from '../src/tokens/sign.ts';
import type { StatusEntry } from '../src/tokens/status-list.ts';
import { BENCH_LIMITS } from './limits.ts';
import { DOMAIN, ISSUER, ORGANIZATION, PLATFORM, SCOPE, apiOf } from './scenery.ts';

const [port = '', jwksFile = ''] = process.argv.slice(2);
const clock = systemClock;
const random = systemRandom;
const log = createLog('info');
const metrics = createMetrics();
const FAR = Date.UTC(2100, 0);

const domain: Domain = { kind: 'domain', id: 'dom_bench' as DomainId, version: 1, owner: 'bench', name: DOMAIN, stage: 'development', spiffe: 'dev.127.0.0.1', issuer: ISSUER, limits: authorityLimits(undefined) };
const issuer: Issuer = {
  kind: 'issuer', id: 'iss_bench' as IssuerId, version: 1, owner: 'bench', domainId: domain.id, name: 'github', attestor: 'github-actions', proves: 'workloads', issuer: PLATFORM, audience: ISSUER,
  algorithms: undefined, replay: undefined, jwks: JSON.parse(readFileSync(jwksFile, 'utf8')) as JSONWebKeySet, allowAddresses: [], options: { organization_id: ORGANIZATION, events: ['push'] }, expires: FAR,
};
const resource: Resource = {
  kind: 'resource', id: 'res_bench' as ResourceId, version: 1, owner: 'bench', domainId: domain.id, audience: apiOf(0), provider: 'access-token', scopes: [SCOPE], servedBy: [], bound: false, lifetime: undefined, options: {}, expires: FAR,
};
const workload: Workload = {
  kind: 'workload', id: 'wkl_bench' as WorkloadId, version: 1, owner: 'bench', domainId: domain.id, name: 'ci/pipeline', spiffeId: 'spiffe://dev.127.0.0.1/ci/pipeline' as SpiffeId, workloadKind: 'pipeline', authority: 'bounded',
  match: { issuer: 'github', attributes: {} }, bound: false, expires: FAR,
};

const key = { kid: 'bench', purpose: 'access', algorithm: 'ES256', ...generateKeyPairSync('ec', { namedCurve: 'P-256' }) } as const;
const ring: KeyRing = { current: () => key, published: () => [], verifying: () => undefined };
/** The floor uses no more of it: asking for anything else is a fault, not an undefined. */
const only = <T extends object>(given: Partial<T>): T => new Proxy(given, {
  get(target, name) {
    if (name in target) return Reflect.get(target, name) as unknown;
    throw new Error(`the floor has no ${String(name)}`);
  },
}) as T;
const view = only<DomainView>({ domain, ring, problems: [] });

const store = { deny: () => Promise.resolve() };
const denials = createDenials({ clock, random, store, log });
const attest = createAttest({ clock, verify: createVerifyEvidence({ clock, catalogue: attestorCatalogue, keys: createIssuerKeys({ fetch: createGuardedFetch(), clock, isDevelopment: () => true }) }) });
const entry: StatusEntry = { list: 'AAAAAAAAAAAAAAAAAAAAAA', index: 1, uri: `${domain.issuer}/status/AAAAAAAAAAAAAAAAAAAAAA` };
const provider = createAccessTokenProvider({ signAccessToken: (_domain, claims) => signToken(claims, ring), takeStatusEntry: () => Promise.resolve(entry) });
const limitByWorkload = createRateLimit(clock, BENCH_LIMITS.per_workload);

const exchange: Exchange = async ({ request }) => {
  const evidence = await attest(request.subjectToken, { candidates: () => [issuer], purpose: 'workloads' });
  const refused = evidence.ok ? (limitByWorkload(workload.id) === undefined ? undefined : refusal('rate_limited', 'by workload')) : evidence.error;
  if (!evidence.ok || refused !== undefined) return err({ refusal: refused ?? refusal('policy_error', 'unreachable'), decisionId: newId('decision', clock, random) });
  const now = clock.now();
  const issued = await provider.issue({
    leaseId: newId('lease', clock, random), sessionId: 'AAAAAAAAAAAAAAAAAAAAAA' as SessionId, hopId: 'hop_bench' as HopId, domain, workload, resource, scopes: request.scopes, chain: [], handsOnTo: undefined, binding: undefined,
    subject: { sub: workload.spiffeId, act: undefined, model: 'bounded', principal: workload.owner, depth: 0, authTime: undefined, acr: undefined },
    attributes: evidence.value.attributes, issuedAt: now, expiresAt: now + 300_000, hopExpiresAt: now + 3_600_000,
  }, { algorithm: 'ES256' });
  const decisionId = newId('decision', clock, random);
  if (!issued.ok) return err({ refusal: issued.error, decisionId });
  return ok({ credential: issued.value, expiresIn: seconds(issued.value.expiresAt) - seconds(now), scope: request.scopes.join(' '), ceiling: undefined, decisionId });
};

const deps = only<PublicRouteDeps>({ clock, exchange, denials, metrics, signals: { manage: only({}), poll: only({}) }, snapshot: only<Snapshot>({ age: () => 0, domain: (name) => (name === DOMAIN ? view : undefined) }) });
const health = { metricsRegistry: metrics.registry, readiness: () => Promise.resolve([]) };
const app = createApp([...healthRoutes(health, false), ...domainRoutes(deps)], {
  clock, random, log, metrics, trustedProxies: [], limitByAddress: createRateLimit(clock, BENCH_LIMITS.per_address), inFlight: BENCH_LIMITS.in_flight, jsonLimit: 64 * 1024,
});
await listen({ kind: 'tcp', host: '127.0.0.1', port: Number(port) }, app, { setting: 'listen' });
