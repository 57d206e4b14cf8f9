import type { NamedCheckpoint } from '../core/hash-chain.ts';
import type { CheckpointRow } from '../store/rows.ts';
import type { Finding } from './verify-chain.ts';

/** A checkpoint that something of ours names: the first entry of a chain, or the next checkpoint. */
export interface Naming { readonly by: string; readonly named: NamedCheckpoint }

/** The checkpoints of one chain as they are stored: one that proves nothing is a finding of its own. */
export interface StoredCheckpoints {
  readonly at: ReadonlyMap<number, Pick<CheckpointRow, 'hash' | 'at'>>;
  /** The newest of those so old that a purge may have taken the ones before it. */
  readonly oldTo: number;
}

export interface NamedToCheck {
  readonly namings: readonly Naming[];
  readonly stored: ReadonlyMap<string, StoredCheckpoints>;
  /** Reads those of a chain anew. */
  readonly checkpoints: (chain: string) => Promise<readonly CheckpointRow[]>;
  readonly purgedBefore: number;
}

export const indexCheckpoints = (rows: readonly CheckpointRow[], purgedBefore: number): StoredCheckpoints => ({
  at: new Map(rows.map((row) => [row.n, row])),
  oldTo: rows.reduce((most, row) => (row.at < purgedBefore && row.n > most ? row.n : most), 0),
});

/**
 * A chain that vanishes whole takes along what it says of itself, so others speak for it. Each named checkpoint must be there,
 * not only a later one of its chain: else the checkpoints that name a chain could go first, and the chain after them.
 */
export const checkNamed = async ({ namings, stored, checkpoints, purgedBefore }: NamedToCheck): Promise<readonly Finding[]> => {
  const findings = new Map<string, Finding>();
  const fresh = new Map<string, StoredCheckpoints>();
  for (const { by, named } of namings) {
    if (judge(named, stored.get(named.chain), purgedBefore) === undefined) continue;
    // A server that goes on sealing may have stored it after its chain was read.
    const now = fresh.get(named.chain) ?? indexCheckpoints(await checkpoints(named.chain), purgedBefore);
    fresh.set(named.chain, now);
    const fault = judge(named, now, purgedBefore);
    if (fault !== undefined) findings.set(JSON.stringify(named), { ...fault, chain: named.chain, n: named.n, to: named.n, detail: `${fault.detail}; ${by} names it` });
    if (findings.size >= MOST_FINDINGS) break;
  }
  return [...findings.values()];
};

const MOST_FINDINGS = 1_000;

/** A purge leaves a chain its newest checkpoint of those days. */
const judge = (named: NamedCheckpoint, stored: StoredCheckpoints | undefined, purgedBefore: number): Pick<Finding, 'kind' | 'detail'> | undefined => {
  const same = stored?.at.get(named.n);
  if (same !== undefined) return same.hash === named.hash && same.at === named.at ? undefined : { kind: 'contradicted', detail: 'the checkpoint says something else' };
  const purged = named.at < purgedBefore && named.n < (stored?.oldTo ?? 0);
  return purged ? undefined : { kind: 'missing', detail: 'the checkpoint is gone' };
};
