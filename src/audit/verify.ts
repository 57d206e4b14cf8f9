import { DAY } from '../core/duration.ts';
import type { AuditRow, CheckpointRow } from '../store/rows.ts';
import type { StoreReads } from '../store/store.ts';
import type { CheckpointStatement, VerifyCheckpoint } from './checkpoint.ts';
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
  /** Checkpoints (compact JWS) that were kept outside the database. */
  readonly outside: readonly string[];
  readonly now: number;
}

/** Audit entries are kept so long (design section 10); a stretch that is gone earlier was not purged. */
const HISTORY_KEPT_MS = 400 * DAY;
const PAGE = 1_000;

/** Verifies every chain against its checkpoints, those kept outside, and what later chains say about it. */
export const verifyAudit = async ({ reads, verifyCheckpoint, outside, now }: AuditToVerify): Promise<AuditReport> => {
  const strays: Finding[] = [];
  const kept = await readOutside(outside, verifyCheckpoint, strays);
  const stored = await reads.auditChains();
  const seals = new Map<string, readonly CheckpointStatement[]>();
  const reports: ChainReport[] = [];
  for (const chain of new Set([...stored, ...kept.map((statement) => statement.chain)])) {
    const own = await readSeals(await reads.checkpoints(chain), verifyCheckpoint, strays);
    seals.set(chain, own);
    const all = [...own, ...kept.filter((statement) => statement.chain === chain)];
    reports.push(await verifyChain({ chain, entries: readEntries(reads, chain), seals: all, purgedBefore: now - HISTORY_KEPT_MS }));
  }
  for (const { chain, names } of reports) if (names !== undefined) checkNamed(chain, names, seals.get(names.chain) ?? [], strays);
  const findings = [...strays, ...reports.flatMap((report) => report.findings)];
  return {
    ok: findings.length === 0,
    entries: sum(reports.map((report) => report.entries)),
    unsealed: sum(reports.map((report) => report.unsealed)),
    checkpoints: sum([...seals.values()].map((own) => own.length)),
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

/** A purge leaves a chain its newest seal, so a named checkpoint is there, or a later one of its chain. */
const checkNamed = (by: string, named: { readonly chain: string; readonly n: number; readonly hash: string }, seals: readonly CheckpointStatement[], strays: Finding[]): void => {
  const same = seals.find((seal) => seal.n === named.n);
  if (same === undefined && seals.some((seal) => seal.n > named.n)) return;
  if (same === undefined) strays.push({ kind: 'missing', chain: named.chain, n: named.n, to: named.n, detail: `the checkpoint that chain ${by} names is gone` });
  else if (same.hash !== named.hash) strays.push({ kind: 'contradicted', chain: named.chain, n: named.n, to: named.n, detail: `chain ${by} says another hash` });
};

const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
