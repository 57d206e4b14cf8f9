import { canonicalJson, isObject } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { DomainId } from '../core/ids.ts';
import type { Target } from '../store/rows.ts';
import type { NewEntryVersion } from '../store/store.ts';
import type { Entry, EntryKind } from './entries.ts';
import { timeOf } from './fields.ts';
import type { StoredRow } from './decode.ts';

export type Action = 'create' | 'update' | 'end' | 'unchanged';
export interface FieldChange { readonly field: string; readonly before: unknown; readonly after: unknown }

export interface Change {
  readonly action: Action;
  readonly kind: EntryKind;
  readonly domain: string;
  readonly domainId: DomainId;
  readonly id: string;
  /** Version of the current row; 0 if there is none. */
  readonly from: number;
  readonly name: string;
  /** Place in the manifest; undefined for what the manifest does not contain. */
  readonly path: string | undefined;
  readonly before: JsonObject | undefined;
  readonly after: JsonObject | undefined;
  /** Empty unless `update`. */
  readonly fields: readonly FieldChange[];
}

export interface PlanOptions {
  /**
   * Ends issuers, resources, workloads and policies that the manifest does not contain, in the domains of its `domains`
   * section only: a file that merely adds an entry to a domain owns nothing else there. Domains are never ended.
   */
  readonly prune: boolean;
  /** Whether problems may name what this domain holds; what the manifest itself contains is always named. */
  readonly mayKnow: (domain: string) => boolean;
}

/** What applying a manifest would do, and exactly what to write for it. */
export interface Plan {
  readonly changes: readonly Change[];
  /** Rows for `RegistryChange.entries`; empty when nothing changes. */
  readonly entries: readonly NewEntryVersion[];
  /** What hangs on ended issuers and workloads falls with them. Resources and policies end by their own row: nothing is issued for them any more. */
  readonly revocations: readonly { readonly target: Target; readonly domainId: DomainId }[];
  /** The manifest's entries as they will be, for lint. */
  readonly subjects: readonly Entry[];
  /** What lint judges the subjects by: they themselves, every domain and issuer as they will be, and stored resources with the audience of one of the issuers. */
  readonly context: readonly Entry[];
}

/** What an entry is to become. `id` is that of the current row, or a new one. */
export interface Draft { readonly kind: EntryKind; readonly domain: string; readonly domainId: DomainId; readonly id: string; readonly name: string; readonly path: string; readonly body: JsonObject }

/** The change from the current row, if there is one, to a draft. Bodies are canonical, so equal contents are equal bytes. */
export const changeOf = (draft: Draft, row: StoredRow | undefined): Change => {
  const { body, ...identity } = draft;
  if (row === undefined) return { ...identity, from: 0, action: 'create', before: undefined, after: body, fields: [] };
  const fields = changedFields(row.body, body);
  return { ...identity, from: row.version, action: fields.length === 0 ? 'unchanged' : 'update', before: row.body, after: body, fields };
};

export const endOf = (row: StoredRow, domain: string): Change =>
  ({ action: 'end', kind: row.kind, domain, domainId: row.domainId, id: row.id, from: row.version, name: row.name, path: undefined, before: row.body, after: undefined, fields: [] });

/** The row a change writes; undefined when it changes nothing. An ended entry keeps its last body. */
export const versionOf = (change: Change): NewEntryVersion | undefined => {
  const body = change.after ?? change.before;
  if (change.action === 'unchanged' || body === undefined) return undefined;
  const { id, from, kind, domainId, name } = change;
  const expires = body['expires'];
  return {
    id, version: from + 1, kind, domainId, name, body, owner: typeof body['owner'] === 'string' ? body['owner'] : '',
    expiresAt: typeof expires === 'string' ? timeOf(expires) : null, ended: change.action === 'end',
  };
};

export const revocationOf = (change: Change): Plan['revocations'] =>
  change.action === 'end' && (change.kind === 'issuer' || change.kind === 'workload') ? [{ target: `${change.kind}:${change.id}`, domainId: change.domainId }] : [];

/** Fields that differ; members of a nested mapping one by one, as `match.ref`. */
const changedFields = (before: JsonObject, after: JsonObject, prefix = ''): readonly FieldChange[] =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])].sort().flatMap((name) => {
    const [was, is] = [before[name], after[name]];
    if (canonicalJson(was) === canonicalJson(is)) return [];
    if (prefix === '' && isObject(was) && isObject(is)) return changedFields(was, is, `${name}.`);
    return [{ field: `${prefix}${name}`, before: was, after: is }];
  });
