import { isObject } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { DomainId } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { findFallingWith, honouredEntries, restsOn, tellFallen } from '../exchange/falling.ts';
import type { Fallen, Falling, HonouredNote } from '../exchange/falling.ts';
import type { KeyEncryption } from '../keys/kek.ts';
import { carryOut, findForeignKek } from '../keys/key-plan.ts';
import type { KeyPlan } from '../keys/key-plan.ts';
import type { NewKeyRow } from '../keys/signing-key.ts';
import type { Entry, EntryKind, Resource } from '../registry/entries.ts';
import { blocking } from '../registry/lint.ts';
import type { Finding } from '../registry/lint.ts';
import type { Change, Plan, PlanOptions } from '../registry/plan.ts';
import type { Problem } from '../registry/problem.ts';
import type { RegistryView } from '../registry/scene.ts';
import type { Planner, Removal } from '../registry/resolve.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { EntryRow, KeyRow, Target } from '../store/rows.ts';
import type { RegistryChange, StoreReads } from '../store/store.ts';
import { domainMeant, nameOf } from './access.ts';
import type { Admin, Authorize, Judge } from './access.ts';
import type { AdminPorts } from './ports.ts';
import { countLive, showInstance, showInstances } from './instances.ts';
import { viewAt } from './registry-view.ts';
import { showEntry } from './show-entry.ts';

export interface RegistryAdminDeps extends AdminPorts {
  readonly store: Pick<StoreReads, 'registryVersion' | 'registryDelta' | 'entriesAt' | 'entries' | 'keys' | 'leases' | 'sessionsWith' | 'instances' | 'liveInstances'>;
  readonly snapshot: Pick<Snapshot, 'domain' | 'domains' | 'revokedBy' | 'version'>;
  readonly authorize: Authorize;
  readonly judge: Judge;
  readonly planner: Planner;
  readonly honouredNote: HonouredNote;
  lint(subjects: readonly Entry[], context: readonly Entry[], now: number): Promise<readonly Finding[]>;
  render(plan: Pick<Plan, 'changes'>): readonly string[];
  readonly encryption: Pick<KeyEncryption, 'seal' | 'has'>;
  /** Keys that a domain with these rows and resources must have and has not; written in the commit that makes the domain, or the resource that wants one. */
  planMissing(domain: DomainId, rows: readonly KeyRow[], resources: readonly Resource[], now: number): KeyPlan;
}

export interface Applied {
  readonly changes: readonly Change[];
  readonly text: readonly string[];
  readonly findings: readonly Finding[];
  readonly applied: boolean;
  readonly version: number;
  /** What fell with the entries that ended; undefined where nothing was revoked. */
  readonly fallen: Fallen | undefined;
}

/** What an apply may fail with: problems of the manifest, findings that must be accepted first, or a plain refusal. */
export type ApplyFailure =
  | { readonly kind: 'problems'; readonly problems: readonly Problem[] }
  | { readonly kind: 'findings'; readonly findings: readonly Finding[] }
  | { readonly kind: 'refused'; readonly refusal: Refusal };
const refuse = (refused: Refusal): Result<never, ApplyFailure> => err({ kind: 'refused', refusal: refused });

/** Someone else may have changed the registry between reading and writing: plan anew this often before giving up. */
const ATTEMPTS = 5;

export const createRegistryAdmin = (deps: RegistryAdminDeps) => {
  /** Asked before anything is planned: the problems of a plan tell of entries that are not everybody's to know. */
  const authorizeNamed = async (admin: Admin, verb: 'apply' | 'show', names: ReadonlySet<string>): Promise<Result<undefined, Refusal>> => {
    const views = names.size === 0 ? [domainMeant(admin)] : [...names].map((name) => deps.snapshot.domain(name));
    for (const on of new Set(views)) {
      const permitted = await deps.authorize(admin, verb, on);
      if (!permitted.ok) return permitted;
    }
    return ok(undefined);
  };

  /** Each permission the writing of a plan needs, asked of the policies once each. */
  const authorizePlan = async (admin: Admin, changes: readonly Change[]): Promise<Result<undefined, Refusal>> => {
    const needed = new Map<string, readonly ['apply' | 'register_admin_issuer' | 'allow_address', DomainView | undefined]>();
    for (const change of changes) {
      // A new domain, and what is registered into it in the same apply, is the installation's matter.
      const on = change.kind === 'domain' ? undefined : deps.snapshot.domain(change.domain);
      needed.set(`apply ${on?.domain.id ?? ''}`, ['apply', on]);
      if (change.kind !== 'issuer' || change.after === undefined) continue;
      if (change.after['proves'] === 'admins') needed.set('register_admin_issuer', ['register_admin_issuer', undefined]);
      const ranges = change.after['allow_addresses'];
      if (Array.isArray(ranges) && ranges.length > 0) needed.set('allow_address', ['allow_address', undefined]);
    }
    for (const [verb, on] of needed.values()) {
      const permitted = await deps.authorize(admin, verb, on);
      if (!permitted.ok) return permitted;
    }
    return ok(undefined);
  };

  /** What the domains of a plan need to sign all that can be issued afterwards. */
  const makeKeys = async (plan: Plan, changes: readonly Change[], at: number): Promise<Result<readonly NewKeyRow[], Refusal>> => {
    const { keys: rows } = await deps.store.keys();
    const asked = (id: DomainId, name: string): readonly Resource[] => [...(deps.snapshot.domain(name)?.entries().resources ?? []), ...resourcesIn(plan, id)];
    const plans = [...new Map(changes.map(({ domainId, domain }) => [domainId, domain]))].map(([id, name]) => deps.planMissing(id, rows, asked(id, name), at));
    const foreign = plans.every(({ create }) => create.length === 0) ? undefined : findForeignKek(rows, deps.encryption);
    return foreign === undefined ? ok((await Promise.all(plans.map((each) => carryOut(each, deps.encryption)))).flat()) : err(refusal('kek_missing', foreign));
  };

  /** Gives the version the change made; undefined when the plan is out of date. */
  const write = async (plan: Plan, changes: readonly Change[], keys: readonly NewKeyRow[], version: number, at: number, admin: Admin, reason: string) => {
    const by = nameOf(admin);
    const falling = await findFallingWith(deps.store, plan.revocations, at);
    const honoured = ({ kind, id }: Change): JsonObject => {
      const target = plan.revocations.find((revocation) => revocation.target === `${kind}:${id}`)?.target;
      return target === undefined ? {} : honouredEntries(fallingWith(falling, target), deps.honouredNote);
    };
    const change: RegistryChange = {
      at, by, keys,
      entries: plan.entries,
      revocations: plan.revocations.map(({ target, domainId }) => ({ target, domainId, reason, purgeAfter: null })),
      audit: [
        ...changes.map((change) => ({
          at, action: `registry.${change.action}`, domainId: change.domainId,
          body: { by, reason, kind: change.kind, id: change.id, name: change.name, ...(change.fields.length === 0 ? {} : { fields: change.fields.map(({ field }) => field) }), ...(change.after === undefined ? {} : { body: change.after }), ...honoured(change) },
        })),
        ...keys.map((row) => ({ at, action: 'key.created', domainId: row.domainId, body: { by, kid: row.kid, purpose: row.purpose, algorithm: row.algorithm, status: row.status } })),
      ],
    };
    for (let basedOn = version, left = ATTEMPTS; left > 0; left -= 1) {
      const outcome = await deps.change({ ...change, basedOn });
      if (outcome.status === 'committed') return { version: outcome.version, fallen: plan.revocations.length === 0 ? undefined : tellFallen(falling, deps.honouredNote) };
      // Revocations and keys move the version too, and no plan looks at them: what was long in the making is not made anew for
      // their sake, unless it makes keys. A version that went back is another registry (a copy was put back).
      const since = await deps.store.registryDelta(basedOn);
      if (since.entries.length > 0 || (keys.length > 0 && since.keys.length > 0) || since.version < basedOn) return undefined;
      basedOn = since.version;
    }
    return undefined;
  };

  const run = async (
    admin: Admin, options: { readonly names: ReadonlySet<string>; readonly dryRun: boolean; readonly reason: string; readonly lint: boolean }, makePlan: (view: RegistryView, mayKnow: PlanOptions['mayKnow']) => Promise<Result<Plan, readonly Problem[]>>,
  ): Promise<Result<Applied, ApplyFailure>> => {
    /** Domains that may be new are the installation's to know. */
    const mayKnow: PlanOptions['mayKnow'] = (name) => deps.judge(admin, 'show', deps.snapshot.domain(name)) === undefined;
    const asked = await authorizeNamed(admin, options.dryRun ? 'show' : 'apply', options.names);
    if (!asked.ok) return refuse(asked.error);
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const version = await deps.store.registryVersion();
      const plan = await makePlan(viewAt(deps.store, version), mayKnow);
      if (!plan.ok) return err({ kind: 'problems', problems: plan.error });
      const changes = plan.value.changes.filter((change) => change.action !== 'unchanged');
      const permitted = options.dryRun ? ok(undefined) : await authorizePlan(admin, changes);
      if (!permitted.ok) return refuse(permitted.error);
      const findings = options.lint ? await deps.lint(plan.value.subjects, plan.value.context, deps.clock.now()) : [];
      const applied = { changes, text: deps.render(plan.value), findings };
      if (options.dryRun || changes.length === 0) return ok({ ...applied, applied: false, version, fallen: undefined });
      if (blocking(findings).length > 0) return err({ kind: 'findings', findings });
      const at = deps.clock.now();
      const keys = await makeKeys(plan.value, changes, at);
      if (!keys.ok) return refuse(keys.error);
      const committed = await write(plan.value, changes, keys.value, version, at, admin, options.reason);
      if (committed !== undefined) return ok({ ...applied, applied: true, ...committed });
    }
    return refuse(refusal('conflict', 'the registry changed during every attempt'));
  };

  return {
    apply: (manifest: unknown, options: { readonly dryRun: boolean; readonly prune: boolean }, admin: Admin) =>
      run(admin, { names: domainsNamed(manifest), dryRun: options.dryRun, reason: 'apply', lint: true }, (view, mayKnow) => deps.planner.plan(manifest, view, { prune: options.prune, mayKnow })),

    /** Adds or changes one entry: a manifest of one. */
    put(section: string, entry: unknown, admin: Admin) {
      const manifest = { [section]: [entry] };
      return run(admin, { names: domainsNamed(manifest), dryRun: false, reason: 'put', lint: true }, (view, mayKnow) => deps.planner.plan(manifest, view, { prune: false, mayKnow }));
    },

    remove: (removal: Removal, reason: string, admin: Admin) =>
      run(admin, { names: new Set([removal.domain]), dryRun: false, reason, lint: false }, (view, mayKnow) => deps.planner.remove([removal], view, { mayKnow })),

    /** Entries in the shape of a manifest, with id, version and status, sorted by domain and name; `after` is `next` of the page before. */
    async list(kind: EntryKind, filter: { readonly domain: string | undefined; readonly limit: number; readonly after: string | undefined }, admin: Admin): Promise<Result<{ readonly items: readonly JsonObject[]; readonly next: string | undefined }, Refusal>> {
      const one = filter.domain === undefined ? domainMeant(admin) : deps.snapshot.domain(filter.domain);
      const permitted = await deps.authorize(admin, 'list', one);
      if (!permitted.ok) return permitted;
      if (filter.domain !== undefined && one === undefined) return err(refusal('not_found', `no domain ${filter.domain}`));
      const [, fromDomain = '', fromName] = /^([^/]*)\/(.*)$/s.exec(filter.after ?? '') ?? [];
      const views = (one === undefined ? [...deps.snapshot.domains()] : [one]).sort((a, b) => (a.domain.name < b.domain.name ? -1 : 1)).filter(({ domain }) => domain.name >= fromDomain);
      const found: { readonly row: EntryRow; readonly domain: string }[] = [];
      for (const { domain } of views) {
        if (found.length > filter.limit) break;
        const rows = await deps.store.entries({ kind, domainId: domain.id }, { limit: filter.limit + 1 - found.length, after: domain.name === fromDomain ? fromName : undefined });
        found.push(...rows.map((row) => ({ row, domain: domain.name })));
      }
      const page = found.slice(0, filter.limit);
      const last = found.length > page.length ? page.at(-1) : undefined;
      const now = deps.clock.now();
      const live = await countLive(deps, page.map(({ row }) => row), now);
      return ok({ items: page.map(({ row, domain }) => ({ ...showEntry(deps, row, domain, now), ...live.get(row.id) })), next: last === undefined ? undefined : `${last.domain}/${last.row.name}` });
    },

    async show(kind: EntryKind, domain: string, name: string, admin: Admin): Promise<Result<JsonObject, Refusal>> {
      const view = deps.snapshot.domain(domain);
      const permitted = await deps.authorize(admin, 'show', view);
      if (!permitted.ok) return permitted;
      const [row] = view === undefined ? [] : await deps.store.entries({ kind, domainId: view.domain.id, name }, { limit: 1, after: undefined });
      const now = deps.clock.now();
      if (row !== undefined) return ok({ ...showEntry(deps, row, domain, now), ...await showInstances(deps, row, now) });
      const instance = kind === 'workload' && view !== undefined ? await showInstance(deps, view, name) : undefined;
      return instance === undefined ? err(refusal('not_found', kind === 'domain' || view === undefined ? `no domain ${domain}` : `no ${kind} ${name} in ${domain}`)) : ok(instance);
    },
  };
};
export type RegistryAdmin = ReturnType<typeof createRegistryAdmin>;

/** Names of the domains a manifest is about, as far as its shape can be read. */
const domainsNamed = (manifest: unknown): ReadonlySet<string> => {
  const names = new Set<string>();
  for (const [section, entries] of Object.entries(isObject(manifest) ? manifest : {})) {
    for (const entry of Array.isArray(entries) ? entries as readonly unknown[] : []) {
      const name = isObject(entry) ? entry[section === 'domains' ? 'name' : 'domain'] : undefined;
      if (typeof name === 'string') names.add(name);
    }
  }
  return names;
};

const fallingWith = ({ standings, more }: Falling, target: Target): Falling => ({ standings: standings.filter((standing) => restsOn(standing, target)), more });

const resourcesIn = (plan: Plan, domain: DomainId): readonly Resource[] => plan.subjects.filter((entry) => entry.kind === 'resource').filter(({ domainId }) => domainId === domain);
