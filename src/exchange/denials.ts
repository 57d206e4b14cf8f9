import { LRUCache } from 'lru-cache';
import type { Clock } from '../core/clock.ts';
import { MINUTE } from '../core/duration.ts';
import { newId } from '../core/ids.ts';
import type { DecisionId, DomainId, WorkloadId } from '../core/ids.ts';
import type { JsonObject } from '../core/json.ts';
import type { Random } from '../core/random.ts';
import type { Refusal } from '../core/refusal.ts';
import type { DenialRow } from '../store/rows.ts';
import { StoreUnavailable } from '../store/store.ts';
import type { StoreWrites } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';

/** What was known when the request was refused. `verified`: the evidence's signature had verified, so the row cannot be forged by a stranger. */
export interface DenialContext {
  readonly domainId: DomainId;
  readonly workloadId: WorkloadId | null;
  readonly verified: boolean;
  readonly facts: JsonObject;
  /** Set when an admin's action was refused: the audit log then says whose and what. */
  readonly admin?: { readonly by: string; readonly verb: string };
}

export interface Denials {
  record(refusal: Refusal, context: DenialContext): Promise<DecisionId>;
  /** One of the newest refusals of this process that have no row. */
  recent(id: DecisionId): DenialRow | undefined;
  /** Writes the counts of denials beyond the cap; called by a job and at shutdown. A minute that still runs keeps its cap. */
  flush(): Promise<void>;
}

const KEPT_IN_MEMORY = 10_000;
/** Characters of them all: strangers choose what they ask for, up to the size of a request. */
const KEPT_TEXT = 32 * 1024 * 1024;
/** Durable rows per workload and minute; the rest are counted, or a denied loop would fill the disk (design section 11). */
const ROWS_PER_MINUTE = 60;
/** One log line in this many for refusals of unverified requests. */
const SAMPLE = 100;

interface Window { readonly startedAt: number; rows: number; over: number; readonly context: Pick<DenialContext, 'domainId' | 'workloadId' | 'admin'>; lastCode: string }

export const createDenials = (deps: { readonly clock: Clock; readonly random: Random; readonly store: Pick<StoreWrites, 'deny'>; readonly log: Log }): Denials => {
  // As text: kept as objects, its strings would keep the whole requests they were cut from.
  const kept = new LRUCache<DecisionId, string>({ max: KEPT_IN_MEMORY, maxSize: KEPT_TEXT, sizeCalculation: (text) => text.length });
  const windows = new Map<string, Window>();
  let unverified = 0;

  const keep = (row: DenialRow): void => { kept.set(row.id, JSON.stringify(row)); };

  const write = async (row: DenialRow, { admin }: Pick<DenialContext, 'admin'>): Promise<void> => {
    const said = { decision: row.id, code: row.code, detail: row.detail, count: row.count };
    try {
      await deps.store.deny(row, {
        at: row.at, domainId: row.domainId,
        ...(admin === undefined ? { action: 'exchange.denied', body: { ...said, workload: row.workloadId } } : { action: 'admin.denied', body: { ...said, by: admin.by, verb: admin.verb } }),
      });
    } catch (cause) {
      if (!(cause instanceof StoreUnavailable)) throw cause;
      // A "no" needs no database. It stays explainable from memory, and the log says that its row is missing.
      keep(row);
      deps.log.error({ decision: row.id, code: row.code }, 'denial could not be written');
    }
  };

  const isOver = (window: Window, now: number): boolean => window.startedAt + MINUTE <= now;

  /** Taken before anything is awaited, so that nobody else counts the same denials. */
  const writeCount = async (window: Window, now: number): Promise<void> => {
    const { over, context } = window;
    if (over === 0) return;
    window.over = 0;
    await write({
      id: newId('decision', deps.clock, deps.random), at: now, domainId: context.domainId, workloadId: context.workloadId, code: window.lastCode,
      detail: `${over} more denials in the minute from ${new Date(window.startedAt).toISOString()}`, facts: {}, count: over,
    }, context);
  };

  return {
    async record(refused, context) {
      const now = deps.clock.now();
      const row: DenialRow = {
        id: newId('decision', deps.clock, deps.random), at: now, domainId: context.domainId, workloadId: context.workloadId,
        code: refused.code, detail: refused.detail, facts: context.facts, count: 1,
      };
      if (!context.verified) {
        keep(row);
        unverified += 1;
        if (unverified % SAMPLE === 1) deps.log.info({ decision: row.id, code: row.code, detail: row.detail, sampled: SAMPLE }, 'refused');
        return row.id;
      }
      const key = context.admin === undefined ? `${context.domainId} ${context.workloadId ?? ''}` : `${context.domainId} admin ${context.admin.by}`;
      const window = windows.get(key);
      if (window === undefined || isOver(window, now)) {
        windows.set(key, { startedAt: now, rows: 1, over: 0, context: { domainId: context.domainId, workloadId: context.workloadId, ...(context.admin === undefined ? {} : { admin: context.admin }) }, lastCode: row.code });
        if (window !== undefined) await writeCount(window, now);
      } else if (window.rows < ROWS_PER_MINUTE) {
        window.rows += 1;
      } else {
        window.over += 1;
        window.lastCode = row.code;
        keep(row);
        return row.id;
      }
      await write(row, context);
      return row.id;
    },
    recent(id) {
      const text = kept.get(id);
      return text === undefined ? undefined : JSON.parse(text) as DenialRow;
    },
    async flush() {
      const now = deps.clock.now();
      const all = [...windows];
      for (const [key, window] of all) if (isOver(window, now)) windows.delete(key);
      await Promise.all(all.map(([, window]) => writeCount(window, now)));
    },
  };
};
