import type { DomainId } from '../core/ids.ts';
import { createEntryDecoder } from './decode.ts';
import type { StoredRow } from './decode.ts';
import type { Domain, Entry, EntryKind } from './entries.ts';
import { gather } from './gather.ts';
import type { Manifest } from './manifest.ts';
import type { Draft, PlanOptions } from './plan.ts';
import { nearest } from './problem.ts';
import type { Problem, Report } from './problem.ts';
import { brokenKey, keyOfRow, rowKey } from './scene.ts';
import type { PlannerDeps, RegistryView, Scene } from './scene.ts';

/** One resolution under way: the scene, what was drafted so far, and what ends. */
export interface Work {
  readonly deps: PlannerDeps;
  readonly view: RegistryView;
  readonly scene: Scene;
  readonly problems: Problem[];
  /** By row key, in the order of the plan. */
  readonly drafts: Map<string, Draft>;
  /** What the drafts decode to. */
  readonly entries: Map<string, Entry>;
  readonly ending: readonly StoredRow[];
  /** Row keys of what ends. */
  readonly gone: ReadonlySet<string>;
  readonly domainNames: Map<DomainId, string>;
  decode(row: StoredRow): Entry | undefined;
}

export const openWork = async (deps: PlannerDeps, manifest: Manifest, view: RegistryView, { prune, mayKnow }: PlanOptions): Promise<Work> => {
  const decoder = createEntryDecoder(deps);
  const decode = (row: StoredRow): Entry | undefined => {
    const decoded = decoder.decode(row);
    return decoded.ok ? decoded.value : undefined;
  };
  const { rows, ending } = await gather(manifest, view, prune);
  const gone = new Set(ending.map(keyOfRow));
  const drafts = new Map<string, Draft>();
  const scene: Scene = {
    deps, mayKnow, written: drafts, now: deps.clock.now(), rows, domains: new Map(), issuers: new Map(), workloadNames: new Set(), workloadsMeant: new Map(),
    broken: new Set(manifest.broken.map(({ kind, domain, name }) => brokenKey(kind, domain ?? '', name ?? ''))),
  };
  for (const [key, row] of rows) {
    // All that others ask of a workload is whether it exists, and of resources and policies nothing.
    const entry = row.kind === 'domain' || row.kind === 'issuer' ? decode(row) : undefined;
    if (!gone.has(key)) place(scene, key, row.kind, entry);
  }
  const domainNames = new Map([...scene.domains.values()].map(({ id, name }) => [id, name]));
  return { deps, view, scene, problems: [], drafts, entries: new Map(), ending, gone, domainNames, decode };
};

export const draftKey = (draft: Draft): string => rowKey(draft.kind, draft.kind === 'domain' ? '' : draft.domainId, draft.name);

/** Files a draft and what it decodes to, so that later entries are checked against it. False when it cannot be part of a plan. */
export const addDraft = (work: Work, draft: Draft, faulty: boolean): boolean => {
  const key = draftKey(draft);
  const twin = work.drafts.get(key);
  if (twin !== undefined) {
    work.problems.push({ path: draft.path, message: `${draft.kind} ${draft.name} is in the manifest already, at ${twin.path}`, mend: 'remove one of them, or give it another name' });
    return false;
  }
  work.drafts.set(key, draft);
  const entry = work.decode({ ...draft, version: (work.scene.rows.get(key)?.version ?? 0) + 1 });
  // INVARIANT: what was accepted can be read back; anything else would make the domain not ready after the apply.
  if (entry === undefined && !faulty) throw new Error(`settled ${draft.kind} ${draft.name} does not decode`);
  if (entry === undefined) {
    work.scene.broken.add(brokenKey(draft.kind, draft.kind === 'domain' ? '' : draft.domain, draft.name));
    work.scene.issuers.delete(key);
    return false;
  }
  work.entries.set(key, entry);
  place(work.scene, key, draft.kind, entry);
  return !faulty;
};

/** The domain an entry names; reports it unless the domain's own entry is what is wrong. */
export const findDomain = (work: Work, name: string, report: Report): Domain | undefined => {
  const domain = work.scene.domains.get(name);
  if (domain === undefined && !work.scene.broken.has(brokenKey('domain', '', name))) {
    const meant = nearest(name, [...work.scene.domains.keys()].filter(work.scene.mayKnow));
    report('domain', `there is no trust domain ${name}`, meant === undefined ? 'add it under domains, or name an existing one' : `did you mean "${meant}"?`);
  }
  return domain;
};

const place = (scene: Scene, key: string, kind: EntryKind, entry: Entry | undefined): void => {
  if (kind === 'workload') scene.workloadNames.add(key);
  if (entry?.kind === 'domain') scene.domains.set(entry.name, entry);
  if (entry?.kind === 'issuer') scene.issuers.set(key, entry);
};
