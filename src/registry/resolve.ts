import { newId } from '../core/ids.ts';
import type { DomainId } from '../core/ids.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Entry, EntryKind } from './entries.ts';
import { readManifest } from './manifest.ts';
import type { Item, Manifest } from './manifest.ts';
import { changeOf, endOf, revocationOf, versionOf } from './plan.ts';
import type { Change, Draft, Plan, PlanOptions } from './plan.ts';
import { nearest, reporterFor } from './problem.ts';
import type { Problem } from './problem.ts';
import { recheckStored } from './recheck.ts';
import { namesIn, rowKey } from './scene.ts';
import type { PlannerDeps, RegistryView, Settle } from './scene.ts';
import { settleDomain } from './settle-domain.ts';
import { checkIssuerConflicts, settleIssuer } from './settle-issuer.ts';
import { settlePolicy } from './settle-policy.ts';
import { settleResource } from './settle-resource.ts';
import { settleWorkload } from './settle-workload.ts';
import { addDraft, draftKey, findDomain, openWork } from './work.ts';
import type { Work } from './work.ts';

/** An entry to end, as `mayfly workload rm` names it; of a resource the name is the audience. */
export interface Removal { readonly kind: Exclude<EntryKind, 'domain'>; readonly domain: string; readonly name: string }

export interface Planner {
  /** Parses and resolves a document: the plan, or every problem of shape and sense at once. */
  plan(value: unknown, view: RegistryView, options: PlanOptions): Result<Plan, readonly Problem[]>;
  resolve(manifest: Manifest, view: RegistryView, options: PlanOptions): Result<Plan, readonly Problem[]>;
  remove(removals: readonly Removal[], view: RegistryView, options: Pick<PlanOptions, 'mayKnow'>): Result<Plan, readonly Problem[]>;
}

/** Turns manifests into plans. Reads nothing but its arguments; the caller writes the plan under the registry lock. */
export const createPlanner = (deps: PlannerDeps): Planner => {
  const resolve: Planner['resolve'] = (manifest, view, options) => {
    const work = openWork(deps, manifest, view, options);
    draftDomains(work, manifest);
    draftEntries(work, 'issuer', manifest.issuers, ({ name }) => name, settleIssuer);
    checkConflicts(work);
    announceWorkloads(work, manifest);
    draftEntries(work, 'resource', manifest.resources, ({ audience }) => audience, settleResource);
    draftEntries(work, 'workload', manifest.workloads, ({ name }) => name, settleWorkload);
    draftEntries(work, 'policy', manifest.policies, ({ name }) => name, settlePolicy);
    recheckStored(work);
    if (work.problems.length > 0) return err(work.problems);
    const changes = [...work.drafts.values()].map((draft) => changeOf(draft, work.scene.rows.get(draftKey(draft))));
    const ends = work.ending.map((row) => endOf(row, work.domainNames.get(row.domainId) ?? row.domainId));
    return ok(planOf([...changes, ...ends], work));
  };
  return {
    resolve,
    plan(value, view, options) {
      const { manifest, problems } = readManifest(value);
      const resolved = resolve(manifest, view, options);
      const all = resolved.ok ? problems : [...problems, ...resolved.error];
      return all.length > 0 ? err(all) : resolved;
    },
    remove(removals, view, { mayKnow }) {
      const work = openWork(deps, NOTHING, view, { prune: false, mayKnow });
      const ends = removals.flatMap((removal, index) => findRemoval(work, removal, index));
      return work.problems.length > 0 ? err(work.problems) : ok(planOf(ends, work));
    },
  };
};

const NOTHING: Manifest = { domains: [], issuers: [], resources: [], workloads: [], policies: [], broken: [] };

const draftDomains = (work: Work, { domains }: Manifest): void => {
  const { scene, deps } = work;
  for (const { path, entry } of domains) {
    const row = scene.rows.get(rowKey('domain', '', entry.name));
    const before = work.problems.length;
    const report = reporterFor(work.problems, path);
    const body = settleDomain(entry, row === undefined ? undefined : scene.domains.get(entry.name), deps, report);
    for (const other of scene.domains.values()) {
      if (other.name === entry.name || other.spiffe !== body['spiffe']) continue;
      report('spiffe', `is that of ${scene.mayKnow(other.name) || scene.written.has(rowKey('domain', '', other.name)) ? `domain ${other.name}` : 'another domain'} already`, 'choose another: nothing issued in one domain may be valid in another');
    }
    const id = (row?.id ?? newId('domain', deps.clock, deps.random)) as DomainId;
    addDraft(work, { kind: 'domain', domain: entry.name, domainId: id, id, name: entry.name, path, body }, work.problems.length > before);
    work.domainNames.set(id, entry.name);
  }
};

const draftEntries = <E extends { readonly domain: string }>(work: Work, kind: Removal['kind'], items: readonly Item<E>[], nameOf: (entry: E) => string, settle: Settle<E>): void => {
  for (const { path, entry } of items) {
    const before = work.problems.length;
    const report = reporterFor(work.problems, path);
    const domain = findDomain(work, entry.domain, report);
    if (domain === undefined) continue;
    const name = nameOf(entry);
    const body = settle(entry, domain, work.scene, report);
    const id = work.scene.rows.get(rowKey(kind, domain.id, name))?.id ?? newId(kind, work.deps.clock, work.deps.random);
    const draft: Draft = { kind, domain: domain.name, domainId: domain.id, id, name, path, body: body ?? {} };
    addDraft(work, draft, body === undefined || work.problems.length > before);
  }
};

/** After all issuers are placed, so that of two new entries that clash both are told. */
const checkConflicts = (work: Work): void => {
  for (const [key, draft] of work.drafts) {
    const issuer = draft.kind === 'issuer' ? work.scene.issuers.get(key) : undefined;
    if (issuer !== undefined) checkIssuerConflicts(issuer, work.scene, reporterFor(work.problems, draft.path));
  }
};

/** Resources are settled before workloads but may name those of the same manifest. */
const announceWorkloads = (work: Work, { workloads }: Manifest): void => {
  for (const { entry } of workloads) {
    const domain = work.scene.domains.get(entry.domain);
    if (domain !== undefined) work.scene.workloadNames.add(rowKey('workload', domain.id, entry.name));
  }
};

const findRemoval = (work: Work, { kind, domain: domainName, name }: Removal, index: number): readonly Change[] => {
  const report = reporterFor(work.problems, `[${index}]`);
  const domain = findDomain(work, domainName, report);
  if (domain === undefined) return [];
  const row = work.scene.rows.get(rowKey(kind, domain.id, name));
  if (row !== undefined) return [endOf(row, domain.name)];
  const meant = nearest(name, namesIn(work.scene.rows.keys(), kind, domain.id));
  report('name', `there is no ${kind} ${name} in domain ${domainName}`, meant === undefined ? `list them with "mayfly ${kind} list"` : `did you mean "${meant}"?`);
  return [];
};

const planOf = (changes: readonly Change[], work: Work): Plan => {
  const { scene, drafts } = work;
  const rowOf = ({ kind, domainId, name }: Change) => scene.rows.get(rowKey(kind, kind === 'domain' ? '' : domainId, name));
  const touched = new Set(changes.map(({ domainId }) => domainId));
  const ending = new Set(work.ending);
  const storedPolicies = [...scene.rows].filter(([key, row]) => row.kind === 'policy' && touched.has(row.domainId) && !drafts.has(key) && !ending.has(row));
  const subjects = [...work.entries.values()];
  const manifestOnly = subjects.filter((entry: Entry) => entry.kind === 'workload' || entry.kind === 'policy');
  return {
    changes,
    entries: changes.flatMap((change) => versionOf(change, rowOf(change)) ?? []),
    revocations: changes.flatMap(revocationOf),
    subjects,
    context: [...scene.domains.values(), ...scene.issuers.values(), ...scene.resources.values(), ...storedPolicies.flatMap(([, row]) => work.decode(row) ?? []), ...manifestOnly],
  };
};
