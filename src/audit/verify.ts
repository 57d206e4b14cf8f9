import { setImmediate } from 'node:timers/promises';
import type { AuditCodes } from '../core/audit-code.ts';
import { DAY } from '../core/duration.ts';
import type { AuditRow, CheckpointRow } from '../store/rows.ts';
import type { StoreReads } from '../store/store.ts';
import type { CheckpointStatement, VerifyCheckpoint } from './checkpoint.ts';
import { checkNamed, indexCheckpoints } from './named.ts';
import type { Naming, StoredCheckpoints } from './named.ts';
import { verifyChain } from './verify-chain.ts';
import type { ChainReport, Finding } from './verify-chain.ts';

export interface AuditReport {
  readonly ok: boolean;
  readonly entries: number;
  readonly unsealed: number;
  readonly checkpoints: number;
  readonly chains: readonly Omit<ChainReport, 'names'>[];
  /** Of all chains, and those of no chain. */
  readonly findings: readonly Finding[];
}

export interface AuditToVerify {
  readonly reads: Pick<StoreReads, 'auditChains' | 'audit' | 'checkpoints'>;
  readonly verifyCheckpoint: VerifyCheckpoint;
  readonly codes: Pick<AuditCodes, 'proves'>;
  /** Checkpoints (compact JWS) that were kept outside the database. */
  readonly outside: readonly string[];
  readonly now: number;
}

/** Audit entries are kept so long (design section 10); a stretch that is gone earlier was not purged. */
const HISTORY_KEPT_MS = 400 * DAY;
const PAGE = 1_000;

/** Verifies every chain against its codes and checkpoints, those kept outside, and what others say about it. */
export const verifyAudit = async ({ reads, verifyCheckpoint, codes, outside, now }: AuditToVerify): Promise<AuditReport> => {
  const strays: Finding[] = [];
  const kept = await readOutside(outside, verifyCheckpoint, strays);
  const stored = await reads.auditChains();
  const purgedBefore = now - HISTORY_KEPT_MS;
  const checkpoints = new Map<string, StoredCheckpoints>();
  const seals: (readonly CheckpointStatement[])[] = [];
  const reports: ChainReport[] = [];
  for (const chain of new Set([...stored, ...kept.map((statement) => statement.chain)])) {
    const rows = await reads.checkpoints(chain);
    checkpoints.set(chain, indexCheckpoints(rows, purgedBefore));
    const own = await readSeals(rows, verifyCheckpoint, strays);
    seals.push(own);
    const all = [...own, ...kept.filter((statement) => statement.chain === chain)];
    reports.push(await verifyChain({ chain, entries: readEntries(reads, chain), seals: all, codes, purgedBefore }));
  }
  const namings = [...reports.flatMap(namedByChain), ...[...seals.flat(), ...kept].flatMap(namedByCheckpoint)];
  const named = await checkNamed({ namings, stored: checkpoints, checkpoints: (chain) => reads.checkpoints(chain), purgedBefore });
  const findings = [...strays, ...named, ...reports.flatMap((report) => report.findings)];
  return {
    ok: findings.length === 0,
    entries: sum(reports.map((report) => report.entries)),
    unsealed: sum(reports.map((report) => report.unsealed)),
    checkpoints: sum(seals.map((own) => own.length)),
    chains: reports.map(({ names: _names, ...report }) => report),
    findings,
  };
};

async function* readEntries(reads: AuditToVerify['reads'], chain: string): AsyncGenerator<AuditRow> {
  for (let after = 0; ; ) {
    const page = await reads.audit(chain, after, PAGE);
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < PAGE) return;
    after = last.n;
    // On SQLite reading a page waits for nothing, and neither does checking it: whoever else wants something gets a turn here.
    await setImmediate();
  }
}

const readOutside = async (outside: readonly string[], verifyCheckpoint: VerifyCheckpoint, strays: Finding[]): Promise<readonly CheckpointStatement[]> => {
  const statements: CheckpointStatement[] = [];
  for (const [index, jws] of outside.entries()) {
    const statement = await verifyCheckpoint(jws);
    if (typeof statement === 'string') strays.push({ kind: 'forged', chain: '', n: index + 1, to: index + 1, detail: `outside checkpoint ${index + 1} proves nothing: ${statement}` });
    else statements.push(statement);
  }
  return statements;
};

/** The row repeats what its signature covers; one that says something else was changed. */
const readSeals = async (rows: readonly CheckpointRow[], verifyCheckpoint: VerifyCheckpoint, strays: Finding[]): Promise<readonly CheckpointStatement[]> => {
  const statements: CheckpointStatement[] = [];
  for (const row of rows) {
    const statement = await verifyCheckpoint(row.jws);
    const fault = typeof statement === 'string' ? statement : saysTheSame(row, statement) ? undefined : 'its row says something else';
    if (fault !== undefined) strays.push({ kind: 'forged', chain: row.chain, n: row.n, to: row.n, detail: `its checkpoint proves nothing: ${fault}` });
    else if (typeof statement !== 'string') statements.push(statement);
  }
  return statements;
};

const saysTheSame = (row: CheckpointRow, statement: CheckpointStatement): boolean =>
  row.chain === statement.chain && row.n === statement.n && row.hash === statement.hash && row.at === statement.at;

const namedByChain = ({ chain, names }: ChainReport): readonly Naming[] => (names === undefined ? [] : [{ by: `the first entry of ${chain}`, named: names }]);

const namedByCheckpoint = ({ chain, n, before }: CheckpointStatement): readonly Naming[] => (before === null ? [] : [{ by: `checkpoint ${n} of ${chain}`, named: before }]);

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
