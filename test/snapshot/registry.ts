import { ok, err } from '../../src/core/result.ts';
import type { DomainId } from '../../src/core/ids.ts';
import { openKeyRing } from '../../src/keys/key-ring.ts';
import type { PolicyEngine } from '../../src/policy/decision.ts';
import type { Entry, Policy } from '../../src/registry/entries.ts';
import { createIdentifyIndex } from '../../src/registry/identify.ts';
import { createSnapshot } from '../../src/snapshot/snapshot.ts';
import type { EntryRow, InstanceRow, RevocationRow } from '../../src/store/rows.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import type { RegistryDelta } from '../../src/store/store.ts';

const hex = (n: number): string => n.toString(16).padStart(32, '0');
export const DEV = `dom_${hex(1)}` as DomainId;
export const PROD = `dom_${hex(2)}` as DomainId;
const PREFIX = { domain: 'dom', issuer: 'iss', resource: 'res', workload: 'wkl', policy: 'pol' } as const;

export interface Write { readonly kind: EntryRow['kind']; readonly n: number; readonly name: string; readonly domainId?: DomainId; readonly ended?: boolean; readonly broken?: boolean; readonly body?: Record<string, unknown> }

/** Decodes rows of {@link createRegistry}: what it names `broken` cannot be read. */
const decodeRow = (row: EntryRow): Entry => {
  const common = { id: row.id, version: row.version, owner: row.owner, name: row.name, domainId: row.domainId, expires: Number.MAX_SAFE_INTEGER };
  const own = {
    domain: { stage: 'development', spiffe: row.name, issuer: `https://sts.example/${row.name}` },
    issuer: { proves: 'workloads', issuer: `https://${row.name}.example`, ...row.body },
    resource: { audience: row.name },
    workload: { spiffeId: `spiffe://${row.name}.example/w`, match: { issuer: 'ci', attributes: { repository: [row.name] } }, ...row.body },
    policy: { cedar: '', effect: 'forbid' },
  }[row.kind];
  return { kind: row.kind, ...common, ...own } as unknown as Entry;
};

/** A registry in memory that keeps every version, and a snapshot over it that counts what it was made to do. */
export const createRegistry = () => {
  const rows: EntryRow[] = [];
  const revocations: RevocationRow[] = [];
  const instances: InstanceRow[] = [];
  const clock = { time: 0, now: () => clock.time };
  const did = { reads: [] as number[], decoded: [] as string[], indexes: 0, engines: [] as (readonly string[])[] };
  let version = 0;
  let down = false;
  let gate: Promise<void> | undefined;

  const snapshot = createSnapshot({
    clock,
    store: {
      async registryDelta(after): Promise<RegistryDelta> {
        did.reads.push(after);
        const delta = { version, entries: rows.filter(({ seq }) => seq > after), keys: [], revocations: revocations.filter(({ seq, enabledSeq }) => seq > after || (enabledSeq ?? 0) > after), instances: instances.filter(({ seq }) => seq > after) };
        await gate;
        if (down) throw new StoreUnavailable('down');
        return delta;
      },
    },
    decode(row) {
      did.decoded.push(row.id);
      return row.body['broken'] === true ? err('cannot be read') : ok(decodeRow(row));
    },
    createIndex() {
      did.indexes += 1;
      return createIdentifyIndex();
    },
    buildEngine(domainId, policies: readonly Policy[]) {
      did.engines.push(policies.map(({ name }) => name));
      return { domainId, problems: [] } as unknown as PolicyEngine;
    },
    openRing: (keys) => openKeyRing(keys, () => { throw new Error('no keys here'); }),
  });

  return {
    snapshot, clock, did,
    write(...writes: readonly Write[]): void {
      for (const { kind, n, name, domainId = DEV, ended = false, broken = false, body = {} } of writes) {
        version += 1;
        const id = `${PREFIX[kind]}_${hex(n)}`;
        rows.push({
          id, version: rows.filter((row) => row.id === id).length + 1, seq: version, kind, domainId, name, body: (broken ? { broken } : body) as EntryRow['body'], owner: 'ada@example', expiresAt: null, ended, changedAt: 0, changedBy: 'ada',
        });
      }
    },
    revoke(row: RevocationRow): void {
      version = row.seq;
      revocations.push(row);
    },
    admit(row: Omit<InstanceRow, 'seq'>): void {
      version += 1;
      instances.push({ ...row, seq: version });
    },
    fail(failing: boolean): void { down = failing; },
    /** Holds every read back until the returned function is called. */
    hold(): () => void {
      let release = (): void => undefined;
      gate = new Promise((resolve) => { release = resolve; });
      return () => {
        gate = undefined;
        release();
      };
    },
    /** As a database that was put back to an older state. */
    putBack(to: number): void {
      version = to;
      rows.splice(0, rows.length, ...rows.filter(({ seq }) => seq <= to));
      revocations.splice(0, revocations.length, ...revocations.filter(({ seq }) => seq <= to));
    },
    get version() { return version; },
  };
};
export const domain = (n: number, name: string, more: Partial<Write> = {}): Write => ({ kind: 'domain', n, name, domainId: `dom_${hex(n)}` as DomainId, ...more });
