import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { WantedKeys } from '../credentials/wanted-keys.ts';
import { findFalling, honouredEntries, tellFallen } from '../exchange/falling.ts';
import type { Fallen, Falling, HonouredNote } from '../exchange/falling.ts';
import { KekError } from '../keys/kek.ts';
import type { KeyEncryption } from '../keys/kek.ts';
import { carryOut, DEFAULT_SCHEDULE, findForeignKek, planEarlyRotation, planKeyRevocation, planRewrap } from '../keys/key-plan.ts';
import type { KeyKind, KeyPlan } from '../keys/key-plan.ts';
import type { KeyAlgorithm } from '../keys/signing-key.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { KeyPurpose, KeyRow } from '../store/rows.ts';
import type { NewRevocation, StoreReads } from '../store/store.ts';
import { domainMeant, nameOf, withinReach } from './access.ts';
import type { Admin, Authorize } from './access.ts';
import type { AdminPorts } from './ports.ts';

export interface KeyAdminDeps extends AdminPorts {
  readonly store: Pick<StoreReads, 'keys' | 'leases'>;
  readonly snapshot: Pick<Snapshot, 'domain' | 'domains' | 'domainById' | 'version'>;
  readonly authorize: Authorize;
  readonly encryption: KeyEncryption;
  readonly honouredNote: HonouredNote;
  readonly wantedKeys: WantedKeys;
  /** Secrets of event streams that were sealed anew. */
  rewrapStreams(): Promise<number>;
}
export interface KeyLine { readonly kid: string; readonly domain: string; readonly purpose: string; readonly algorithm: string; readonly status: string; readonly not_before: string; readonly not_after: string | null; readonly kek_id: string }

/** Keys as a change left them, and what fell with one that was revoked. */
interface ChangedKeys { readonly keys: readonly KeyLine[]; readonly fallen: Fallen }

const ATTEMPTS = 5;
const NOTHING_FALLS: Falling = { standings: [], more: false };
const NOTHING_FELL: Fallen = { leases: 0, more: false, endsByItself: [] };

export const createKeyAdmin = (deps: KeyAdminDeps) => {
  const show = (row: Omit<KeyRow, 'seq' | 'changedAt'>): KeyLine => ({
    kid: row.kid, domain: deps.snapshot.domainById(row.domainId)?.domain.name ?? row.domainId, purpose: row.purpose, algorithm: row.algorithm, status: row.status,
    not_before: new Date(row.notBefore).toISOString(), not_after: row.notAfter === null ? null : new Date(row.notAfter).toISOString(), kek_id: row.kekId,
  });

  const wantedIn = (view: DomainView): readonly KeyKind[] => deps.wantedKeys(view.entries().resources, deps.clock.now());

  interface Rows { readonly version: number; readonly keys: readonly KeyRow[] }
  /** From memory: a change that meets another brings the snapshot up to date, and the next attempt sees it. */
  const known = (): Rows => ({ version: deps.snapshot.version, keys: deps.snapshot.domains().flatMap((view) => view.keyRows()) });

  /** Not asked for a revocation: where the key-encryption key is lost, revoking all that was sealed under it is the way back. */
  const underOwnKek = (rows: readonly KeyRow[], plan: () => KeyPlan): Result<KeyPlan, Refusal> => {
    const foreign = findForeignKek(rows, deps.encryption);
    if (foreign !== undefined) return err(refusal('kek_missing', foreign));
    try {
      return ok(plan());
    } catch (error) {
      if (error instanceof KekError) return err(refusal('domain_not_ready', error.message));
      throw error;
    }
  };

  /** Plans against the rows as they are and writes only if they still are. What takes a revoked key's place is rotated, not revoked. */
  const run = async (admin: Admin, action: 'key.rotated' | 'key.rewrapped' | 'key.revoked', readRows: () => Rows | Promise<Rows>, plan: (rows: readonly KeyRow[]) => Result<KeyPlan, Refusal>, revocation?: NewRevocation): Promise<Result<ChangedKeys, Refusal>> => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const rows = await readRows();
      const planned = plan(rows.keys);
      if (!planned.ok) return planned;
      const keys = await carryOut(planned.value, deps.encryption);
      if (keys.length === 0) return ok({ keys: [], fallen: NOTHING_FELL });
      const at = deps.clock.now();
      const by = nameOf(admin);
      const falling = revocation === undefined ? NOTHING_FALLS : await findFalling(deps.store, [{ target: revocation.target, filter: { domainId: revocation.domainId } }], at);
      const outcome = await deps.change({
        at, by, basedOn: rows.version, keys, revocations: revocation === undefined ? [] : [revocation],
        audit: keys.map((row) => {
          const body = { by, kid: row.kid, purpose: row.purpose, algorithm: row.algorithm, status: row.status, ...(revocation === undefined ? {} : { reason: revocation.reason }) };
          if (action === 'key.revoked' && row.status !== 'revoked') return { at, action: 'key.rotated', domainId: row.domainId, body };
          return { at, action, domainId: row.domainId, body: { ...body, ...honouredEntries(falling, deps.honouredNote) } };
        }),
      });
      if (outcome.status === 'committed') return ok({ keys: keys.map(show), fallen: tellFallen(falling, deps.honouredNote) });
    }
    return err(refusal('conflict', 'the registry changed during every attempt'));
  };

  return {
    async list(domain: string | undefined, admin: Admin): Promise<Result<readonly KeyLine[], Refusal>> {
      const view = domain === undefined ? domainMeant(admin) : deps.snapshot.domain(domain);
      const permitted = await deps.authorize(admin, 'keys', view);
      if (!permitted.ok) return permitted;
      if (domain !== undefined && view === undefined) return err(refusal('not_found', `no domain ${domain}`));
      return ok((view === undefined ? known().keys : view.keyRows()).map(show));
    },

    /** Publishes the next key now; it signs once every verifier had time to see it. Where a domain signs with two algorithms for one purpose, one must be named. */
    async rotate({ domain, purpose, algorithm }: { readonly domain: string; readonly purpose: KeyPurpose; readonly algorithm: KeyAlgorithm | undefined }, admin: Admin): Promise<Result<readonly KeyLine[], Refusal>> {
      const view = deps.snapshot.domain(domain);
      const permitted = await deps.authorize(admin, 'keys', view);
      if (!permitted.ok) return permitted;
      if (view === undefined) return err(refusal('not_found', `no domain ${domain}`));
      const [kind, ...others] = wantedIn(view).filter((wanted) => wanted.purpose === purpose && (algorithm ?? wanted.algorithm) === wanted.algorithm);
      if (kind === undefined) return err(refusal('not_found', `no ${algorithm === undefined ? '' : `${algorithm} `}key of purpose ${purpose} in ${domain}`));
      if (others.length > 0) return err(refusal('parameter_invalid', `${domain} has keys of purpose ${purpose} for ${[kind, ...others].map((each) => each.algorithm).join(' and ')}: name the algorithm`));
      const rotated = await run(admin, 'key.rotated', known, (rows) => underOwnKek(rows, () => planEarlyRotation(view.domain.id, rows, deps.clock.now(), DEFAULT_SCHEDULE, kind)));
      return rotated.ok ? ok(rotated.value.keys) : rotated;
    },

    async rewrap(admin: Admin): Promise<Result<number, Refusal>> {
      const permitted = await deps.authorize(admin, 'keys', undefined);
      if (!permitted.ok) return permitted;
      // Of domains that could not be loaded too: the old key-encryption key may be thrown away after this.
      const done = await run(admin, 'key.rewrapped', () => deps.store.keys(), (rows) => underOwnKek(rows, () => planRewrap(rows, deps.encryption)));
      if (!done.ok) return done;
      try {
        return ok(done.value.keys.length + await deps.rewrapStreams());
      } catch (error) {
        if (error instanceof KekError) return err(refusal('kek_missing', error.message));
        throw error;
      }
    },

    /** Out of the JWKS at once, and every lease it signed is revoked in the same commit. */
    async revoke(kid: string, reason: string, admin: Admin): Promise<Result<ChangedKeys, Refusal>> {
      const row = known().keys.find((candidate) => candidate.kid === kid);
      const view = withinReach(admin, row === undefined ? undefined : deps.snapshot.domainById(row.domainId));
      const permitted = await deps.authorize(admin, 'keys', view ?? domainMeant(admin));
      if (!permitted.ok) return permitted;
      if (row === undefined || view === undefined) return err(refusal('not_found', `no key ${kid}`));
      const revocation: NewRevocation = { target: `key:${kid}`, domainId: row.domainId, reason, purgeAfter: null };
      return run(admin, 'key.revoked', known, (rows) => planKeyRevocation(row.domainId, rows, kid, deps.clock.now(), wantedIn(view)), revocation);
    },
  };
};
export type KeyAdmin = ReturnType<typeof createKeyAdmin>;
