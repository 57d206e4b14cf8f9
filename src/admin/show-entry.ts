import { isObject } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { EntryRow, Target } from '../store/rows.ts';

export interface ShowEntryDeps { readonly snapshot: Pick<Snapshot, 'revokedBy' | 'version'> }

/** An entry in the shape of a manifest, with its id, version and what it is worth now. */
export const showEntry = ({ snapshot }: ShowEntryDeps, row: EntryRow, domain: string, now: number): JsonObject => ({
  ...(row.kind === 'domain' ? {} : { domain }),
  ...(isObject(row.body) ? row.body : {}),
  id: row.id,
  version: row.version,
  status: statusOf(row, now, snapshot),
  changed_at: new Date(row.changedAt).toISOString(),
  changed_by: row.changedBy,
});

/** `revoked`: blocked until it is enabled, whatever its entry says. */
const statusOf = (row: EntryRow, now: number, snapshot: ShowEntryDeps['snapshot']): 'live' | 'revoked' | 'expired' | 'ended' => {
  if (row.ended) return 'ended';
  if (snapshot.revokedBy(targetsOf(row), snapshot.version) !== undefined) return 'revoked';
  return row.expiresAt !== null && row.expiresAt <= now ? 'expired' : 'live';
};

const targetsOf = ({ kind, id, domainId }: EntryRow): readonly Target[] =>
  (kind === 'workload' || kind === 'issuer' ? [`domain:${domainId}`, `${kind}:${id}`] : [`domain:${domainId}`]);
