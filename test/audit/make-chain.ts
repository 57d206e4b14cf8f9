import { createSecretKey } from 'node:crypto';
import { createAuditCodes } from '../../src/core/audit-code.ts';
import type { AuditCodes } from '../../src/core/audit-code.ts';
import { CHAIN_START, auditText, linkHash } from '../../src/core/hash-chain.ts';
import type { ChainHead, NamedCheckpoint } from '../../src/core/hash-chain.ts';
import { systemRandom } from '../../src/core/random.ts';
import type { AuditRow } from '../../src/store/rows.ts';

export const CHAIN = 'chn_test';
export const NOW = Date.UTC(2026, 10, 22);
const DOMAIN = 'dom_test';

export const makeCodes = (): AuditCodes => createAuditCodes([createSecretKey(systemRandom.bytes(32))]);
/** Of the installation that wrote the chain. */
export const CODES = makeCodes();
/** Commits of so many entries each. */
export const BATCH = 3;

/** Entries 1 to `length` as the writer would have written them. */
export const makeChain = (length: number, codes: AuditCodes = CODES): readonly AuditRow[] =>
  linkEntries(CHAIN_START, length).map((row) => (row.n % BATCH === 0 || row.n === length ? { ...row, mac: codes.make(CHAIN, row) } : row));

/** What anybody can write who knows where a chain ends: right hashes, and no codes. */
export const linkEntries = (from: ChainHead, length: number, chain = CHAIN, step = 'step'): readonly AuditRow[] => {
  let head = from;
  return Array.from({ length }, () => {
    const n = head.n + 1;
    const at = NOW + n;
    const body = auditText({ at, action: step, domainId: DOMAIN, body: { n } });
    const row: AuditRow = { chain, n, at, body, action: step, domainId: DOMAIN, prev: head.hash, hash: linkHash(chain, n, head.hash, body), mac: null };
    head = row;
    return row;
  });
};

export const sealOf = (row: AuditRow, at: number = NOW): NamedCheckpoint => ({ chain: row.chain, n: row.n, hash: row.hash, at });

export async function* entriesOf(rows: readonly AuditRow[]): AsyncGenerator<AuditRow> {
  yield* await Promise.resolve([...rows].sort((a, b) => a.n - b.n));
}
