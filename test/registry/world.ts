import { z } from 'zod';
import { ATTESTORS } from '../../src/attestation/catalogue.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { DomainId } from '../../src/core/ids.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { systemRandom } from '../../src/core/random.ts';
import type { Result } from '../../src/core/result.ts';
import type { AttestorPort, ProviderPort } from '../../src/registry/catalogues.ts';
import { createEntryDecoder } from '../../src/registry/decode.ts';
import type { StoredRow } from '../../src/registry/decode.ts';
import type { Entry } from '../../src/registry/entries.ts';
import type { Plan, PlanOptions } from '../../src/registry/plan.ts';
import { systemDomainBody } from '../../src/registry/settle-domain.ts';
import type { PlannerDeps, RegistryView } from '../../src/registry/scene.ts';

export const NOW = Date.parse('2026-11-22T10:00:00Z');
export const clock: Clock = { now: () => NOW };

export const attestors: ReadonlyMap<string, AttestorPort> = new Map<string, AttestorPort>(ATTESTORS.map((attestor) => [attestor.kind, attestor]));

/** Providers that keep the rules a registry has to ask them for. */
const accessToken: ProviderPort = { kind: 'access-token', options: z.strictObject({}), lifetime: { default: 300, minimum: 30, maximum: 3600 }, check: () => undefined };
const awsSts: ProviderPort = {
  kind: 'aws-sts',
  options: z.strictObject({ endpoint: z.string().optional(), audience: z.string().optional() }),
  lifetime: { default: 900, minimum: 900, maximum: 3600 },
  check: ({ audience, options }, { stage }) => {
    if (!/^arn:aws:iam::\d{12}:role\/.+$/.test(audience)) return 'the audience is not the ARN of a role';
    return typeof options === 'object' && options !== null && 'endpoint' in options && stage !== 'development' ? 'endpoint is for development domains only' : undefined;
  },
};
export const providers: ReadonlyMap<string, ProviderPort> = new Map([accessToken, awsSts].map((provider) => [provider.kind, provider]));

export const deps: PlannerDeps = {
  attestors, providers, clock, random: systemRandom, externalUrl: 'https://sts.acme.example', reservedAudiences: new Set(['sts.amazonaws.com']),
  validatePolicy: (name, cedar) => (/^(?:permit|forbid)\b/.test(cedar)
    ? { effect: cedar.startsWith('permit') ? 'permit' : 'forbid', problems: [] }
    : { effect: undefined, problems: [{ policy: name, message: 'unexpected token', help: 'expected permit or forbid', line: 2, column: 5 }] }),
};

/** As the operator plans: who may know all there is. */
export const KEEP: PlanOptions = { prune: false, mayKnow: () => true };
export const PRUNE: PlanOptions = { ...KEEP, prune: true };

export const decoder = createEntryDecoder({ attestors, providers });

/** A manifest that everything is right with. Tests change one field. */
export const manifest = () => ({
  domains: [{ name: 'prod', stage: 'production', owner: 'platform@acme.example' }],
  issuers: [{ domain: 'prod', name: 'github', kind: 'github-actions', proves: 'workloads', organization_id: '4711', owner: 'platform@acme.example', expires: '2027-11-22' }],
  resources: [
    { domain: 'prod', audience: 'https://deploy.acme.example', scopes: ['deploy:read', 'deploy:write'], served_by: ['svc/deploy'], owner: 'payments@acme.example', expires: '2027-11-22' },
    { domain: 'prod', audience: 'arn:aws:iam::123456789012:role/deploy', provider: 'aws-sts', owner: 'payments@acme.example', expires: '2027-11-22' },
  ],
  workloads: [
    {
      domain: 'prod', name: 'ci/deployer', kind: 'pipeline', authority: 'bounded', owner: 'payments@acme.example', expires: '2027-05-01',
      match: { issuer: 'github', repository_id: '815', ref: 'refs/heads/main', event_name: ['push', 'workflow_dispatch'] },
    },
    { domain: 'prod', name: 'svc/deploy', kind: 'service', authority: 'bounded', owner: 'payments@acme.example', expires: '2027-05-01', match: { issuer: 'github', repository_id: '816', event_name: 'push' } },
  ],
  policies: [{
    domain: 'prod', name: 'deployer-deploys', owner: 'payments@acme.example', expires: '2027-05-01',
    cedar: 'permit(principal == Workload::"spiffe://prod.sts.acme.example/ci/deployer", action == Action::"issue", resource == Scope::"https://deploy.acme.example#deploy:write");',
  }],
});

type Step = string | number;

/** A copy of `document` with one place changed; `undefined` removes it. */
export const withChange = (document: unknown, path: readonly Step[], value: unknown): unknown => {
  const copy = structuredClone(document);
  const last = path.at(-1);
  const parent = path.slice(0, -1).reduce<unknown>((at, step) => (at as Record<Step, unknown>)[step], copy) as Record<Step, unknown>;
  if (last === undefined) return value;
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return copy;
};

type Row = StoredRow & { readonly ended: boolean };

/** The registry of these rows, the last of each id; `asked` is what was read of it, in order. */
export const viewOf = (rows: readonly Row[], pageSize = 2): RegistryView & { readonly asked: string[] } => {
  const live = [...new Map(rows.map((row) => [row.id, row])).values()].filter(({ ended }) => !ended).sort((a, b) => (a.name < b.name ? -1 : 1));
  const asked: string[] = [];
  return {
    asked,
    all(kind) {
      asked.push(`all ${kind}`);
      return Promise.resolve(live.filter((row) => row.kind === kind));
    },
    named(kind, domainId, names) {
      asked.push(...names.map((name) => `${kind} ${name}`));
      return Promise.resolve(live.filter((row) => row.kind === kind && row.domainId === domainId && names.includes(row.name)));
    },
    async *pages(kind, domainId) {
      const found = live.filter((row) => row.kind === kind && row.domainId === domainId);
      for (let from = 0; from < Math.max(found.length, 1); from += pageSize) {
        asked.push(`page of ${kind}`);
        yield await Promise.resolve(found.slice(from, from + pageSize));
      }
    },
  };
};

/** The rows there are once a plan was written. */
export const rowsAfter = (plan: Plan, before: readonly Row[] = []): readonly Row[] => {
  const rows = new Map(before.map((row) => [row.id, row]));
  for (const entry of plan.entries) rows.set(entry.id, entry);
  return [...rows.values()];
};

export const systemRow = (): Row => {
  const id = 'dom_000000000000000000000000000000aa';
  return { id, version: 1, kind: 'domain', domainId: id as DomainId, name: 'system', body: systemDomainBody(deps.externalUrl), ended: false };
};

export const rowOf = (kind: StoredRow['kind'], prefix: string, number: number, name: string, body: JsonObject): Row =>
  ({ id: `${prefix}_${number.toString(16).padStart(32, '0')}`, version: 1, kind, domainId: `dom_${'0'.repeat(32)}` as DomainId, name, body, ended: false });

export const valueOf = <T, E>(result: Result<T, E>): T => {
  if (result.ok) return result.value;
  throw new Error(`refused: ${JSON.stringify(result.error)}`);
};

export const errorOf = <T, E>(result: Result<T, E>): E => {
  if (!result.ok) return result.error;
  throw new Error('not refused');
};

export const entriesOf = (plan: Plan): readonly Entry[] => [...new Set([...plan.context, ...plan.subjects])];
