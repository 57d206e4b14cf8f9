import type { Clock } from '../core/clock.ts';
import { DAY, MINUTE, SECOND } from '../core/duration.ts';
import type { DomainId, PersonUrn } from '../core/ids.ts';
import type { Result } from '../core/result.ts';
import type { Entry } from '../registry/entries.ts';
import { gently } from '../registry/gently.ts';
import { createRevocations } from '../revocation/revocations.ts';
import type { Revocations } from '../revocation/revocations.ts';
import type { EntryRow, InstanceRow, KeyRow, RevocationRow, Target } from '../store/rows.ts';
import type { RegistryDelta, StoreReads } from '../store/store.ts';
import { createLiveDomain } from './domain-view.ts';
import type { DecodedRow, DomainView, DomainViewPorts, LiveDomain } from './domain-view.ts';

/** Past this a node answers exchange, introspection and status list with 503 (design section 10). */
export const STALENESS_BOUND = 2 * SECOND;

/** As long as the store tells of them (store/reads.ts): an instance whose session is over can still be named, to be revoked. */
const INSTANCE_KEPT = DAY;

/**
 * The registry in memory: what requests are decided from, without a query. Brought up to date by {@link Snapshot.refresh},
 * which reads only what has a higher version; a delta is applied in one synchronous step, so no request sees half of one.
 */
export interface Snapshot {
  readonly version: number;
  /** Why domains are missing here that the registry holds; empty if none is. */
  readonly problems: readonly string[];
  /** Milliseconds since the registry was last known to be as the snapshot shows it. */
  age(): number;
  domain(name: string): DomainView | undefined;
  domainById(id: DomainId): DomainView | undefined;
  domains(): readonly DomainView[];
  /** What of a path is revoked, or else suspended. */
  blockedBy(path: readonly Target[], beganVersion: number): { readonly target: Target; readonly effect: RevocationRow['effect'] } | undefined;
  /** As {@link blockedBy}, for whom the difference does not matter. */
  revokedBy(path: readonly Target[], beganVersion: number): Target | undefined;
  /** Whether a person was revoked since this login; lifting that does not make an old login count again. */
  endsLogin(person: PersonUrn, authTime: number): boolean;
  /** As {@link endsLogin}, of whatever somebody's word rests on. */
  revokedSince(target: Target, since: number): boolean;
  /** Reads the registry; callers that come while one read is in flight share the next one. Rejects when the store does. */
  refresh(): Promise<void>;
}

export interface SnapshotPorts extends DomainViewPorts {
  readonly clock: Clock;
  readonly store: Pick<StoreReads, 'registryDelta'>;
  decode(row: EntryRow): Result<Entry, string>;
}

/** Rows of a domain whose own entry this version cannot read, by id: they take effect together with it, policies that forbid among them. */
interface Waiting { readonly rows: Map<string, DecodedRow>; readonly keys: Map<string, KeyRow>; readonly instances: InstanceRow[] }

export const createSnapshot = (ports: SnapshotPorts): Snapshot => {
  const byId = new Map<DomainId, LiveDomain>();
  const byName = new Map<string, LiveDomain>();
  const waiting = new Map<DomainId, Waiting>();
  let revocations: Revocations = createRevocations();
  let version = 0;
  let confirmedAt = Number.NEGATIVE_INFINITY;
  let nextForgetting = Number.NEGATIVE_INFINITY;
  let inFlight: Promise<void> | undefined;
  let next: Promise<void> | undefined;

  const decode = (row: EntryRow): DecodedRow => {
    if (row.ended) return { row, entry: undefined, problem: undefined };
    const decoded = ports.decode(row);
    return decoded.ok ? { row, entry: decoded.value, problem: undefined } : { row, entry: undefined, problem: `${row.kind} ${row.name}: ${decoded.error}` };
  };

  const wait = (id: DomainId, rows: readonly DecodedRow[], keys: readonly KeyRow[], instances: readonly InstanceRow[]): void => {
    const held = waiting.get(id) ?? { rows: new Map<string, DecodedRow>(), keys: new Map<string, KeyRow>(), instances: [] };
    for (const decoded of rows) held.rows.set(decoded.row.id, decoded);
    for (const key of keys) held.keys.set(key.kid, key);
    held.instances.push(...instances);
    waiting.set(id, held);
  };

  const drop = (id: DomainId, live: LiveDomain): void => {
    byId.delete(id);
    if (byName.get(live.domain.name) === live) byName.delete(live.domain.name);
  };

  const applyTo = (id: DomainId, rows: readonly DecodedRow[], keys: readonly KeyRow[], instances: readonly InstanceRow[]): void => {
    const known = byId.get(id);
    if (known !== undefined) {
      known.apply(rows, keys, instances);
      if (rows.some(({ row }) => row.kind === 'domain' && row.ended)) drop(id, known);
      return;
    }
    const own = rows.find(({ entry }) => entry?.kind === 'domain')?.entry;
    if (own?.kind !== 'domain') return wait(id, rows, keys, instances);
    const held = waiting.get(id);
    waiting.delete(id);
    const live = createLiveDomain(own, ports);
    live.apply(newest([...held?.rows.values() ?? [], ...rows], ({ row }) => row.id), [...held?.keys.values() ?? [], ...keys], [...held?.instances ?? [], ...instances]);
    byId.set(id, live);
    byName.set(own.name, live);
  };

  const apply = (delta: RegistryDelta, decoded: readonly DecodedRow[]): void => {
    // First, and they cannot fail: whatever the rest is like, what was taken back is known to be.
    for (const row of delta.revocations) revocations.add(row);
    const rows = Map.groupBy(decoded, ({ row }) => row.domainId);
    const keys = Map.groupBy(delta.keys, (row) => row.domainId);
    const instances = Map.groupBy(delta.instances, (row) => row.domainId);
    for (const id of new Set([...rows.keys(), ...keys.keys(), ...instances.keys()])) applyTo(id, rows.get(id) ?? [], keys.get(id) ?? [], instances.get(id) ?? []);
    version = delta.version;
  };

  /** The larger part of taking a delta in, and none that requests could see. */
  const decodeAll = async (delta: RegistryDelta): Promise<readonly DecodedRow[]> => {
    const decoded: DecodedRow[] = [];
    for await (const row of gently(newest(delta.entries, ({ id }) => id))) decoded.push(decode(row));
    return decoded;
  };

  /** The database is an older one: a copy was put back, or a standby took over that had not heard all. Nothing known before counts. */
  const startOver = async (delta: RegistryDelta): Promise<void> => {
    const decoded = await decodeAll(delta);
    for (const known of [byId, byName, waiting]) known.clear();
    revocations = createRevocations();
    apply(delta, decoded);
  };

  const read = async (): Promise<void> => {
    const askedAt = ports.clock.now();
    const delta = await ports.store.registryDelta(version);
    if (delta.version > version) apply(delta, await decodeAll(delta));
    else if (delta.version < version) await startOver(await ports.store.registryDelta(0));
    confirmedAt = askedAt;
    revocations.purge(askedAt);
    if (askedAt < nextForgetting) return;
    nextForgetting = askedAt + MINUTE;
    for (const live of byId.values()) live.forget(askedAt - INSTANCE_KEPT);
  };

  const start = (): Promise<void> => {
    const run = read().finally(() => { inFlight = undefined; });
    inFlight = run;
    return run;
  };

  return {
    get version() { return version; },
    get problems() {
      return [...waiting].map(([id, { rows }]) => [...rows.values()].find(({ row }) => row.kind === 'domain')?.problem ?? `domain ${id}: its own entry is missing`);
    },
    age: () => ports.clock.now() - confirmedAt,
    domain: (name) => byName.get(name),
    domainById: (id) => byId.get(id),
    domains: () => [...byId.values()],
    blockedBy: (path, beganVersion) => revocations.find(path, beganVersion),
    revokedBy: (path, beganVersion) => revocations.find(path, beganVersion)?.target,
    endsLogin: (person, authTime) => revocations.endsLogin(`person:${person}`, authTime),
    revokedSince: (target, since) => revocations.endsLogin(target, since),
    refresh() {
      // A read that began before this call may have missed the caller's own commit: wait for one that begins after.
      if (next !== undefined) return next;
      if (inFlight === undefined) return start();
      next = inFlight.then(() => undefined, () => undefined).then(() => {
        next = undefined;
        return start();
      });
      return next;
    },
  };
};

/** The last of each id, in the order in which ids first appear: whoever gets a name again comes after who had it. */
const newest = <T>(rows: readonly T[], idOf: (row: T) => string): T[] => [...new Map(rows.map((row) => [idOf(row), row])).values()];
