import type { DomainId } from '../core/ids.ts';
import type { StoredRow } from './decode.ts';
import type { Manifest } from './manifest.ts';
import { keyOfRow, MANY_KINDS, rowKey } from './scene.ts';
import type { ManyKind, RegistryView } from './scene.ts';

/** The rows a plan starts from: every domain and issuer, what the manifest names, and all there is in the domains it prunes. */
export interface Gathered {
  /** By {@link rowKey}; what ends is among them. */
  readonly rows: Map<string, StoredRow>;
  /** Entries of pruned domains that the manifest does not speak of. One with a wrong shape is spoken of: a typing error ends nothing. */
  readonly ending: readonly StoredRow[];
}

export const gather = async (manifest: Manifest, view: RegistryView, prune: boolean): Promise<Gathered> => {
  const rows = new Map<string, StoredRow>();
  const take = (found: readonly StoredRow[]): void => { for (const row of found) rows.set(keyOfRow(row), row); };
  take(await view.all('domain'));
  take(await view.all('issuer'));
  const idOf: IdOf = (name) => rows.get(rowKey('domain', '', name ?? ''))?.domainId;
  const pruned = new Set(prune ? manifest.domains.flatMap(({ entry }) => idOf(entry.name) ?? []) : []);
  const listed = pruned.size === 0 ? new Set<string>() : listedIn(manifest, idOf);
  const unlisted = (found: Iterable<StoredRow>): StoredRow[] => [...found].filter((row) => !listed.has(keyOfRow(row)));

  const ending = unlisted([...rows.values()].filter((row) => row.kind === 'issuer' && pruned.has(row.domainId)));
  for (const kind of MANY_KINDS) {
    for (const domainId of pruned) {
      for await (const page of view.pages(kind, domainId)) {
        take(page);
        ending.push(...unlisted(page));
      }
    }
  }
  for (const { kind, domainId, names } of namedIn(manifest, idOf)) if (!pruned.has(domainId)) take(await view.named(kind, domainId, [...names]));
  return { rows, ending };
};

type IdOf = (domain: string | undefined) => DomainId | undefined;
interface Named { readonly kind: ManyKind; readonly domainId: DomainId; readonly names: Set<string> }

/** Row keys of all that the manifest speaks of. */
const listedIn = (manifest: Manifest, idOf: IdOf): ReadonlySet<string> => new Set([
  ...manifest.issuers.map(({ entry }) => rowKey('issuer', idOf(entry.domain) ?? '', entry.name)),
  ...manifest.resources.map(({ entry }) => rowKey('resource', idOf(entry.domain) ?? '', entry.audience)),
  ...manifest.workloads.map(({ entry }) => rowKey('workload', idOf(entry.domain) ?? '', entry.name)),
  ...manifest.policies.map(({ entry }) => rowKey('policy', idOf(entry.domain) ?? '', entry.name)),
  ...manifest.broken.map(({ kind, domain, name }) => rowKey(kind, idOf(domain) ?? '', name ?? '')),
]);

/** Workloads that issuers and resources name: who may act with an application's tokens, and who may introspect. */
export const namedWorkloads = ({ issuers, resources }: Pick<Manifest, 'issuers' | 'resources'>): readonly { readonly domain: string; readonly names: readonly string[] }[] => [
  ...issuers.map(({ entry }) => ({ domain: entry.domain, names: (entry.audiences ?? []).flatMap(({ presenters }) => presenters) })),
  ...resources.map(({ entry }) => ({ domain: entry.domain, names: entry.served_by })),
];

/** The manifest's entries of the kinds that are many, and the workloads its issuers and resources name, by kind and domain. A domain that is new holds none yet. */
const namedIn = (manifest: Manifest, idOf: IdOf): readonly Named[] => {
  const groups = new Map<string, Named>();
  const name = (kind: ManyKind, domain: string, names: readonly string[]): void => {
    const domainId = idOf(domain);
    if (domainId === undefined || names.length === 0) return;
    const key = rowKey(kind, domainId, '');
    const group = groups.get(key) ?? { kind, domainId, names: new Set() };
    for (const each of names) group.names.add(each);
    groups.set(key, group);
  };
  for (const { entry } of manifest.resources) name('resource', entry.domain, [entry.audience]);
  for (const { domain, names } of namedWorkloads(manifest)) name('workload', domain, names);
  for (const { entry } of manifest.workloads) name('workload', entry.domain, [entry.name]);
  for (const { entry } of manifest.policies) name('policy', entry.domain, [entry.name]);
  return [...groups.values()];
};
