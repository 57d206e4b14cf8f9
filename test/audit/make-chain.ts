import { CHAIN_START, auditText, linkHash } from '../../src/core/hash-chain.ts';
import type { AuditRow } from '../../src/store/rows.ts';
import type { CheckpointStatement } from '../../src/audit/checkpoint.ts';

export const CHAIN = 'chn_test';
export const NOW = Date.UTC(2026, 10, 22);
const DOMAIN = 'dom_test';

/** Entries 1 to `length` as the writer would have written them. */
export const makeChain = (length: number): readonly AuditRow[] => {
  let head = CHAIN_START;
  return Array.from({ length }, (_, index) => {
    const n = index + 1;
    const at = NOW + n;
    const body = auditText({ at, action: 'step', domainId: DOMAIN, body: { n } });
    const row: AuditRow = { chain: CHAIN, n, at, body, action: 'step', domainId: DOMAIN, prev: head.hash, hash: linkHash(CHAIN, n, head.hash, body) };
    head = row;
    return row;
  });
};

export const sealOf = (row: AuditRow, at: number = NOW): CheckpointStatement => ({ chain: row.chain, n: row.n, hash: row.hash, at });

export async function* entriesOf(rows: readonly AuditRow[]): AsyncGenerator<AuditRow> {
  yield* await Promise.resolve([...rows].sort((a, b) => a.n - b.n));
}
