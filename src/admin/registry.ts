import { isObject } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { DomainId } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { NewKeyRow } from '../keys/signing-key.ts';
import type { Entry, EntryKind } from '../registry/entries.ts';
import { blocking } from '../registry/lint.ts';
import type { Finding } from '../registry/lint.ts';
import type { Change, Plan } from '../registry/plan.ts';
import type { Problem } from '../registry/problem.ts';
import type { RegistryView } from '../registry/scene.ts';
import type { Planner, Removal } from '../registry/resolve.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { EntryRow } from '../store/rows.ts';
import type { StoreReads } from '../store/store.ts';
import { nameOf } from './access.ts';
import type { Admin, Authorize } from './access.ts';
import type { AdminPorts } from './ports.ts';

export interface RegistryAdminDeps extends AdminPorts {
  readonly store: Pick<StoreReads, 'registryDelta'>;
  readonly snapshot: Pick<Snapshot, 'domain'>;
  readonly authorize: Authorize;
  readonly planner: Planner;
  lint(subjects: readonly Entry[], context: readonly Entry[], now: number): readonly Finding[];
  render(plan: Pick<Plan, 'changes'>): readonly string[];
  /** First keys of a new domain, sealed; written in the commit that makes the domain. */
  firstKeys(domain: DomainId): Promise<readonly NewKeyRow[]>;
}

export interface Applied {
  readonly changes: readonly Change[];
  readonly text: readonly string[];
  readonly findings: readonly Finding[];
  readonly applied: boolean;
  readonly version: number;
}

/** What an apply may fail with: problems of the manifest, findings that must be accepted first, or a plain refusal. */
export type ApplyFailure =
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] }
  | { readonly kind: 'findings'; readonly findings: readonly Finding[] }
  | { readonly kind: 'refused'; readonly refusal: Refusal };
const refuse = (refused: Refusal): Result<never, ApplyFailure> => err({ kind: 'refused', refusal: refused });

/** Someone else may have changed the registry between reading and writing: plan anew this often before giving up. */
const ATTEMPTS = 5;

const newestRows = (rows: readonly EntryRow[]): readonly EntryRow[] => [...new Map(rows.map((row) => [row.id, row])).values()];

export const createRegistryAdmin = (deps: RegistryAdminDeps) => {
  /** Each permission a plan needs, asked of the policies before anything is written. */
  const authorizePlan = (admin: Admin, changes: readonly Change[]): Result<undefined, Refusal> => {
    for (const change of changes) {
      const on = deps.snapshot.domain(change.domain);
      // A new domain, and what is registered into it in the same apply, is the installation's matter.
      const permitted = deps.authorize(admin, 'apply', change.kind === 'domain' ? undefined : on);
      if (!permitted.ok) return permitted;
      if (change.kind !== 'issuer' || change.after === undefined) continue;
      if (change.after['proves'] === 'admins' && admin.kind === 'person') {
        const allowed = deps.authorize(admin, 'register_admin_issuer', undefined);
        if (!allowed.ok) return allowed;
      }
      const ranges = change.after['allow_addresses'];
      if (Array.isArray(ranges) && ranges.length > 0) {
        const allowed = deps.authorize(admin, 'allow_address', undefined);
        if (!allowed.ok) return allowed;
      }
    }
    return ok(undefined);
  };

  const write = async (plan: Plan, changes: readonly Change[], basedOn: number, admin: Admin, reason: string) => {
    const at = deps.clock.now();
    const by = nameOf(admin);
    const newDomains = changes.filter((change) => change.kind === 'domain' && change.action === 'create');
    const keys = (await Promise.all(newDomains.map((change) => deps.firstKeys(change.domainId)))).flat();
    return deps.change({
      at, by, basedOn, keys,
      entries: plan.entries,
      revocations: plan.revocations.map(({ target, domainId }) => ({ target, domainId, reason, purgeAfter: null })),
      audit: changes.map((change) => ({
        at, action: `registry.${change.action}`, domainId: change.domainId,
        body: { by, reason, kind: change.kind, id: change.id, name: change.name, ...(change.fields.length === 0 ? {} : { fields: change.fields.map(({ field }) => field) }), ...(change.after === undefined ? {} : { body: change.after }) },
      })),
    });
  };

  const run = async (
    admin: Admin, options: { readonly dryRun: boolean; readonly reason: string; readonly lint: boolean }, makePlan: (view: RegistryView) => Result<Plan, readonly Problem[]>,
  ): Promise<Result<Applied, ApplyFailure>> => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const delta = await deps.store.registryDelta(0);
      const plan = makePlan({ rows: newestRows(delta.entries) });
      if (!plan.ok) return err({ kind: 'problems', problems: plan.error });
      const changes = plan.value.changes.filter((change) => change.action !== 'unchanged');
      const permitted = authorizePlan(admin, changes);
      if (!permitted.ok) return refuse(permitted.error);
      const findings = options.lint ? deps.lint(plan.value.subjects, plan.value.context, deps.clock.now()) : [];
      const applied = { changes, text: deps.render({ changes }), findings };
      if (options.dryRun || changes.length === 0) return ok({ ...applied, applied: false, version: delta.version });
      if (blocking(findings).length > 0) return err({ kind: 'findings', findings });
      const outcome = await write(plan.value, changes, delta.version, admin, options.reason);
      if (outcome.status === 'committed') return ok({ ...applied, applied: true, version: outcome.version });
    }
    return refuse(refusal('conflict', 'the registry changed during every attempt'));
  };

  return {
    apply: (manifest: unknown, options: { readonly dryRun: boolean; readonly prune: boolean }, admin: Admin) =>
      run(admin, { dryRun: options.dryRun, reason: 'apply', lint: true }, (view) => deps.planner.plan(manifest, view, { prune: options.prune })),

    /** Adds or changes one entry: a manifest of one. */
    put: (section: string, entry: unknown, admin: Admin) =>
      run(admin, { dryRun: false, reason: 'put', lint: true }, (view) => deps.planner.plan({ [section]: [entry] }, view, { prune: false })),

    remove: (removal: Removal, reason: string, admin: Admin) =>
      run(admin, { dryRun: false, reason, lint: false }, (view) => deps.planner.remove([removal], view)),

    /** Entries in the shape of a manifest, with id, version and status. Sorted by domain and name; `after` is the last name of the page before. */
    async list(kind: EntryKind, filter: { readonly domain: string | undefined; readonly limit: number; readonly after: string | undefined }, admin: Admin): Promise<Result<{ readonly items: readonly JsonObject[]; readonly next: string | undefined }, Refusal>> {
      const permitted = deps.authorize(admin, 'list', filter.domain === undefined ? undefined : deps.snapshot.domain(filter.domain));
      if (!permitted.ok) return permitted;
      const delta = await deps.store.registryDelta(0);
      const rows = newestRows(delta.entries);
      const names = new Map(rows.filter((row) => row.kind === 'domain').map((row) => [row.domainId, row.name]));
      const shown = rows
        .filter((row) => row.kind === kind && !row.ended && (filter.domain === undefined || names.get(row.domainId) === filter.domain))
        .map((row) => ({ key: `${names.get(row.domainId) ?? ''}/${row.name}`, row }))
        .sort((a, b) => (a.key < b.key ? -1 : 1))
        .filter(({ key }) => filter.after === undefined || key > filter.after);
      const page = shown.slice(0, filter.limit);
      return ok({ items: page.map(({ row }) => showRow(row, names.get(row.domainId))), next: shown.length > page.length ? page.at(-1)?.key : undefined });
    },

    async show(kind: EntryKind, domain: string, name: string, admin: Admin): Promise<Result<JsonObject, Refusal>> {
      const view = deps.snapshot.domain(domain);
      const permitted = deps.authorize(admin, 'show', view);
      if (!permitted.ok) return permitted;
      const delta = await deps.store.registryDelta(0);
      const row = newestRows(delta.entries).find((candidate) => candidate.kind === kind && candidate.name === name && candidate.domainId === view?.domain.id && !candidate.ended);
      return row === undefined ? err(refusal('not_found', `no ${kind} ${name} in ${domain}`)) : ok(showRow(row, domain));
    },
  };
};
export type RegistryAdmin = ReturnType<typeof createRegistryAdmin>;

const showRow = (row: EntryRow, domain: string | undefined): JsonObject => ({
  ...(row.kind === 'domain' ? {} : { domain: domain ?? row.domainId }),
  ...(isObject(row.body) ? row.body : {}),
  id: row.id,
  version: row.version,
  status: row.ended ? 'ended' : 'live',
  changed_at: new Date(row.changedAt).toISOString(),
  changed_by: row.changedBy,
});
