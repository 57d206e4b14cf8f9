import type { Clock } from '../core/clock.ts';
import { SECOND } from '../core/duration.ts';
import type { DomainId } from '../core/ids.ts';
import type { Result } from '../core/result.ts';
import type { Domain, Entry } from '../registry/entries.ts';
import { createRevocations } from '../revocation/revocations.ts';
import type { Revocations } from '../revocation/revocations.ts';
import type { EntryRow, KeyRow, Target } from '../store/rows.ts';
import type { RegistryDelta, StoreReads } from '../store/store.ts';
import { createLiveDomain } from './domain-view.ts';
import type { DomainView, DomainViewPorts, LiveDomain } from './domain-view.ts';

/** Past this a node answers exchange, introspection and status list with 503 (design section 10). */
export const STALENESS_BOUND = 2 * SECOND;

/**
 * The registry in memory: what requests are decided from, without a query. Brought up to date by {@link Snapshot.refresh},
 * which reads only what has a higher version; a delta is applied in one synchronous step, so no request sees half of one.
 */
export interface Snapshot {
  readonly version: number;
  /** Milliseconds since the registry was last known to be as the snapshot shows it. */
  age(): number;
  domain(name: string): DomainView | undefined;
  domainById(id: DomainId): DomainView | undefined;
  domains(): readonly DomainView[];
  revokedBy(path: readonly Target[], beganVersion: number): Target | undefined;
  /** Reads the registry; callers that come while one read is in flight share the next one. Rejects when the store does. */
  refresh(): Promise<void>;
}

export interface SnapshotPorts extends DomainViewPorts {
  readonly clock: Clock;
  readonly store: Pick<StoreReads, 'registryDelta'>;
  decode(row: EntryRow): Result<Entry, string>;
}

export const createSnapshot = (ports: SnapshotPorts): Snapshot => {
  const byId = new Map<DomainId, LiveDomain>();
  const byName = new Map<string, LiveDomain>();
  const revocations: Revocations = createRevocations();
  let version = 0;
  let confirmedAt = Number.NEGATIVE_INFINITY;
  let inFlight: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  /** Only the newest version of an entry counts. */
  const newest = (rows: readonly EntryRow[]): EntryRow[] => [...new Map(rows.map((row) => [row.id, row])).values()];

  const apply = (delta: RegistryDelta): void => {
    const rows = newest(delta.entries).map((row) => {
      if (row.ended) return { row, entry: undefined, problem: undefined };
      const decoded = ports.decode(row);
      return decoded.ok ? { row, entry: decoded.value, problem: undefined } : { row, entry: undefined, problem: `${row.kind} ${row.name}: ${decoded.error}` };
    });
    for (const { row, entry } of rows) {
      if (row.kind !== 'domain' || entry?.kind !== 'domain' || byId.has(entry.id)) continue;
      const live = createLiveDomain(entry satisfies Domain, ports);
      byId.set(entry.id, live);
      byName.set(entry.name, live);
    }
    for (const [id, live] of byId) {
      const own = rows.filter(({ row }) => row.domainId === id);
      const keys: readonly KeyRow[] = delta.keys.filter((row) => row.domainId === id);
      if (own.length > 0 || keys.length > 0) live.apply(own, keys);
      if (own.some(({ row }) => row.kind === 'domain' && row.ended)) {
        byId.delete(id);
        byName.delete(live.domain.name);
      }
    }
    for (const row of delta.revocations) revocations.add(row);
    version = delta.version;
  };

  const read = async (): Promise<void> => {
    const askedAt = ports.clock.now();
    const delta = await ports.store.registryDelta(version);
    if (delta.version > version) apply(delta);
    confirmedAt = askedAt;
    revocations.purge(askedAt);
  };

  const start = (): Promise<void> => {
    const run = read().finally(() => {
      if (inFlight === run) inFlight = undefined;
    });
    inFlight = run;
    return run;
  };

  return {
    get version() { return version; },
    age: () => ports.clock.now() - confirmedAt,
    domain: (name) => byName.get(name),
    domainById: (id) => byId.get(id),
    domains: () => [...byId.values()],
    revokedBy: (path, beganVersion) => revocations.find(path, beganVersion),
    refresh() {
      if (inFlight === undefined) return start();
      // A read that began before this call may have missed the caller's own commit: wait for one that begins after.
      next ??= inFlight.then(() => undefined, () => undefined).then(() => {
        next = undefined;
        return inFlight ?? start();
      });
      return next;
    },
  };
};
