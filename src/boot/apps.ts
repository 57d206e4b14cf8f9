import type { Express } from 'express';
import type { Registry } from 'prom-client';
import { z } from 'zod';
import type { ServerConfig } from '../config/server-config.ts';
import type { Clock } from '../core/clock.ts';
import type { Random } from '../core/random.ts';
import { localAdmin } from '../http/admin-caller.ts';
import type { FindAdmin } from '../http/admin-caller.ts';
import { createApp } from '../http/app.ts';
import type { AppDeps } from '../http/app.ts';
import { createRateLimit } from '../http/limits.ts';
import { createOpenApi } from '../http/openapi.ts';
import { adminRoutes } from '../http/routes/admin.ts';
import { approvalRoutes } from '../http/routes/approvals.ts';
import { domainRoutes, healthRoutes, metricsRoute } from '../http/routes/public.ts';
import type { Route } from '../http/route.ts';
import { domainSchema, issuerSchemaFor, policySchema, resourceSchemaFor, workloadSchema } from '../registry/schemas.ts';
import { STALENESS_BOUND } from '../snapshot/snapshot.ts';
import type { Store } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { MayflyNode } from './node.ts';

const MANIFEST_LIMIT = 32 * 1024 * 1024;
const SMALL_JSON = 64 * 1024;

/** Issuers and resources of each kind with the options of that kind. */
const entrySchemas = ({ attestors, providers }: MayflyNode['catalogues']): ReadonlyMap<string, z.ZodType> => new Map<string, z.ZodType>([
  ['domains', domainSchema], ['workloads', workloadSchema], ['policies', policySchema],
  ['issuers', z.union([...attestors.values()].map(({ kind, options }) => issuerSchemaFor(kind, options)))],
  ['resources', z.union([...providers.values()].map(({ kind, options }) => resourceSchemaFor(kind, options)))],
]);

export interface AppsDeps {
  readonly config: ServerConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** What /metrics shows: of all processes where there are several. */
  readonly published: Pick<Registry, 'contentType' | 'metrics'>;
  readonly store: Pick<Store, 'ping'>;
  readonly node: MayflyNode;
  readonly version: string;
  /** Further reasons why this server must not get traffic. */
  readonly problems?: () => readonly string[];
}

/** What of the registry this node cannot use: domains it cannot read, and keys and policies of those it can. */
export const registryProblems = ({ snapshot }: Pick<MayflyNode, 'snapshot'>): readonly string[] =>
  [...snapshot.problems, ...snapshot.domains().flatMap((view) => view.problems.map((problem) => `domain ${view.domain.name}: ${problem}`))];

/** Why a node must not get traffic: its store, its registry, or a domain's keys and policies. */
const readiness = ({ store, node, problems: others }: AppsDeps) => async (): Promise<readonly string[]> => {
  const problems: string[] = [...(others?.() ?? [])];
  await store.ping().catch(() => problems.push('the database does not answer'));
  if (node.snapshot.age() > STALENESS_BOUND) problems.push(`the registry snapshot is ${Math.round(node.snapshot.age() / 1000)} s old`);
  return [...problems, ...registryProblems(node)];
};

/** The applications of one node: public, admin over the socket, admin over HTTP. */
export const createApps = (deps: AppsDeps): { readonly publicApp: Express; readonly socketApp: Express; readonly adminApp: Express } => {
  const { config, clock, random, log, metrics, node } = deps;
  const common: Omit<AppDeps, 'jsonLimit'> = {
    clock, random, log, metrics, trustedProxies: config.trusted_proxies, limitByAddress: createRateLimit(clock, config.limits.per_address), inFlight: config.limits.in_flight,
  };
  const health = { metricsRegistry: deps.published, readiness: readiness(deps) };
  const openapi = createOpenApi(entrySchemas(node.catalogues), deps.version);
  const openApiRoute: Route = { method: 'get', path: '/openapi.json', caller: 'anyone', limit: 'address', name: 'openapi', body: 'none', handle: (_request, response) => { response.json(openapi); } };
  const admin = (findAdmin: FindAdmin): readonly Route[] => [...healthRoutes(health, findAdmin === localAdmin), metricsRoute(health), openApiRoute, ...approvalRoutes({ findAdmin, findApprover: node.findApprover, approvals: node.admin.approvals }), ...adminRoutes({ findAdmin, ...node.admin })];
  return {
    publicApp: createApp([...healthRoutes(health, false), ...(config.metrics.public ? [metricsRoute(health)] : []), openApiRoute, ...domainRoutes(node.publicDeps)], { ...common, jsonLimit: SMALL_JSON }),
    socketApp: createApp(admin(localAdmin), { ...common, jsonLimit: MANIFEST_LIMIT }),
    adminApp: createApp(admin(node.findAdmin).map((route) => ({ ...route, limit: 'address' as const })), { ...common, jsonLimit: MANIFEST_LIMIT }),
  };
};
