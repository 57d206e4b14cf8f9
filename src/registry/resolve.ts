import { newId } from '../core/ids.ts';
import type { DomainId } from '../core/ids.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { StoredRow } from './decode.ts';
import type { Entry, EntryKind } from './entries.ts';
import { namedWorkloads } from './gather.ts';
import { gently } from './gently.ts';
import { readManifest } from './manifest.ts';
import type { Item, Manifest } from './manifest.ts';
import { changeOf, endOf, revocationOf, versionOf } from './plan.ts';
import type { Change, Draft, Plan, PlanOptions } from './plan.ts';
import { reporterFor, searchNearest } from './problem.ts';
import type { Problem } from './problem.ts';
import { recheckStored } from './recheck.ts';
import { keyOfRow, namesIn, rowKey } from './scene.ts';
import type { PlannerDeps, RegistryView, Settle } from './scene.ts';
import { isWorkload } from './settle-common.ts';
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
  plan(value: unknown, view: RegistryView, options: PlanOptions): Promise<Result<Plan, readonly Problem[]>>;
  resolve(manifest: Manifest, view: RegistryView, options: PlanOptions): Promise<Result<Plan, readonly Problem[]>>;
  remove(removals: readonly Removal[], view: RegistryView, options: Pick<PlanOptions, 'mayKnow'>): Promise<Result<Plan, readonly Problem[]>>;
}

/**
 * Turns manifests into plans. Reads nothing but its arguments, and of the view what the manifest makes necessary: the cost of
 * a plan follows the manifest, not the registry. The caller writes the plan under the registry lock.
 */
export const createPlanner = (deps: PlannerDeps): Planner => {
  const resolve: Planner['resolve'] = async (manifest, view, options) => {
    const work = await openWork(deps, manifest, view, options);
    draftDomains(work, manifest);
    announceWorkloads(work, manifest);
    await findWorkloadsMeant(work, manifest);
    await draftEntries(work, 'issuer', manifest.issuers, ({ name }) => name, settleIssuer);
    checkConflicts(work);
    await draftEntries(work, 'resource', manifest.resources, ({ audience }) => audience, settleResource);
    await draftEntries(work, 'workload', manifest.workloads, ({ name }) => name, settleWorkload);
    await draftEntries(work, 'policy', manifest.policies, ({ name }) => name, settlePolicy);
    await recheckStored(work);
    if (work.problems.length > 0) return err(work.problems);
    const changes: Change[] = [];
    for await (const draft of gently(work.drafts.values())) changes.push(changeOf(draft, work.scene.rows.get(draftKey(draft))));
    for await (const row of gently(work.ending)) changes.push(endOf(row, work.domainNames.get(row.domainId) ?? row.domainId));
    return ok(await planOf(changes, work));
  };
  return {
    resolve,
    async plan(value, view, options) {
      const { manifest, problems } = readManifest(value);
      const resolved = await resolve(manifest, view, options);
      const all = resolved.ok ? problems : [...problems, ...resolved.error];
      return all.length > 0 ? err(all) : resolved;
    },
    async remove(removals, view, { mayKnow }) {
      const work = await openWork(deps, NOTHING, view, { prune: false, mayKnow });
      const ends: Change[] = [];
      for (const [index, removal] of removals.entries()) ends.push(...await findRemoval(work, removal, index));
      return work.problems.length > 0 ? err(work.problems) : ok(await planOf(ends, work));
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

const draftEntries = async <E extends { readonly domain: string }>(work: Work, kind: Removal['kind'], items: readonly Item<E>[], nameOf: (entry: E) => string, settle: Settle<E>): Promise<void> => {
  // Cedar takes milliseconds to check one policy.
  for await (const { path, entry } of kind === 'policy' ? gently(items, 1) : gently(items)) {
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

/** Issuers and resources are settled before workloads but may name those of the same manifest. */
const announceWorkloads = (work: Work, { workloads }: Manifest): void => {
  for (const { entry } of workloads) {
    const domain = work.scene.domains.get(entry.domain);
    if (domain !== undefined) work.scene.workloadNames.add(rowKey('workload', domain.id, entry.name));
  }
};

/** All names of a domain are looked through only where one is wrong, to tell which was meant. */
const findWorkloadsMeant = async ({ scene, view, gone }: Work, manifest: Manifest): Promise<void> => {
  for (const domain of scene.domains.values()) {
    const wrong = namedWorkloads(manifest).flatMap((each) => (each.domain === domain.name ? each.names : [])).filter((name) => !isWorkload(name, domain, scene));
    const searches = new Map([...new Set(wrong)].map((name) => [name, searchNearest(name)]));
    const offer = (name: string): void => { for (const search of searches.values()) search.offer(name); };
    if (searches.size === 0) continue;
    for await (const page of view.pages('workload', domain.id)) page.filter((row) => !gone.has(keyOfRow(row))).forEach(({ name }) => { offer(name); });
    namesIn(scene.workloadNames, 'workload', domain.id).forEach(offer);
    for (const [name, search] of searches) {
      const meant = search.found();
      if (meant !== undefined) scene.workloadsMeant.set(rowKey('workload', domain.id, name), meant);
    }
  }
};

const findRemoval = async (work: Work, { kind, domain: domainName, name }: Removal, index: number): Promise<readonly Change[]> => {
  const report = reporterFor(work.problems, `[${index}]`);
  const domain = findDomain(work, domainName, report);
  if (domain === undefined) return [];
  const row = kind === 'issuer' ? work.scene.rows.get(rowKey(kind, domain.id, name)) : (await work.view.named(kind, domain.id, [name]))[0];
  if (row !== undefined) return [endOf(row, domain.name)];
  const search = searchNearest(name);
  if (kind === 'issuer') namesIn(work.scene.rows.keys(), kind, domain.id).forEach(search.offer);
  else for await (const page of work.view.pages(kind, domain.id)) for (const each of page) search.offer(each.name);
  const meant = search.found();
  report('name', `there is no ${kind} ${name} in domain ${domainName}`, meant === undefined ? `list them with "mayfly ${kind} list"` : `did you mean "${meant}"?`);
  return [];
};

const planOf = async (changes: readonly Change[], work: Work): Promise<Plan> => {
  const { scene } = work;
  const subjects = [...work.entries.values()];
  const ofKinds = (...kinds: readonly EntryKind[]): readonly Entry[] => subjects.filter(({ kind }) => kinds.includes(kind));
  return {
    changes,
    entries: changes.flatMap((change) => versionOf(change) ?? []),
    revocations: changes.flatMap(revocationOf),
    subjects,
    context: [...scene.domains.values(), ...scene.issuers.values(), ...ofKinds('resource'), ...await sharedAudiences(work), ...ofKinds('workload', 'policy')],
  };
};

/** Stored resources with the audience of an issuer of the manifest, which lint looks for. */
const sharedAudiences = async (work: Work): Promise<readonly Entry[]> => {
  const audiences = [...work.entries.values()].flatMap((entry) => (entry.kind === 'issuer' ? [entry.audience] : []));
  if (audiences.length === 0) return [];
  const found: StoredRow[] = [];
  for (const { id } of work.scene.domains.values()) found.push(...await work.view.named('resource', id, audiences));
  return found.filter((row) => !work.drafts.has(keyOfRow(row)) && !work.gone.has(keyOfRow(row))).flatMap((row) => work.decode(row) ?? []);
};
