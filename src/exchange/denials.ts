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
}

export interface Denials {
  record(refusal: Refusal, context: DenialContext): Promise<DecisionId>;
  /** One of the newest refusals of this process that have no row. */
  recent(id: DecisionId): DenialRow | undefined;
  /** Writes the counts of denials beyond the cap whose minute has passed; called by a job and at shutdown. */
  flush(): Promise<void>;
}

const KEPT_IN_MEMORY = 10_000;
/** Durable rows per workload and minute; the rest are counted, or a denied loop would fill the disk (design section 11). */
const ROWS_PER_MINUTE = 60;
/** One log line in this many for refusals of unverified requests. */
const SAMPLE = 100;

interface Window { readonly startedAt: number; rows: number; over: number; readonly domainId: DomainId; readonly workloadId: WorkloadId | null; lastCode: string }

export const createDenials = (deps: { readonly clock: Clock; readonly random: Random; readonly store: Pick<StoreWrites, 'deny'>; readonly log: Log }): Denials => {
  const recent = new LRUCache<DecisionId, DenialRow>({ max: KEPT_IN_MEMORY });
  const windows = new Map<string, Window>();
  let unverified = 0;

  const write = async (row: DenialRow): Promise<void> => {
    try {
      await deps.store.deny(row, { at: row.at, action: 'exchange.denied', domainId: row.domainId, body: { decision: row.id, code: row.code, detail: row.detail, workload: row.workloadId, count: row.count } });
    } catch (cause) {
      if (!(cause instanceof StoreUnavailable)) throw cause;
      // A "no" needs no database. It stays explainable from memory, and the log says that its row is missing.
      recent.set(row.id, row);
      deps.log.error({ decision: row.id, code: row.code }, 'denial could not be written');
    }
  };

  const countRow = (window: Window, now: number): DenialRow => ({
    id: newId('decision', deps.clock, deps.random),
    at: now,
    domainId: window.domainId,
    workloadId: window.workloadId,
    code: window.lastCode,
    detail: `${window.over} more denials in the minute from ${new Date(window.startedAt).toISOString()}`,
    facts: {},
    count: window.over,
  });

  const flush = async (now: number, all: boolean): Promise<void> => {
    const closed = [...windows].filter(([, window]) => all || window.startedAt + MINUTE <= now);
    for (const [key] of closed) windows.delete(key);
    await Promise.all(closed.filter(([, window]) => window.over > 0).map(([, window]) => write(countRow(window, now))));
  };

  return {
    async record(refused, context) {
      const now = deps.clock.now();
      const row: DenialRow = {
        id: newId('decision', deps.clock, deps.random), at: now, domainId: context.domainId, workloadId: context.workloadId,
        code: refused.code, detail: refused.detail, facts: context.facts, count: 1,
      };
      if (!context.verified) {
        recent.set(row.id, row);
        unverified += 1;
        if (unverified % SAMPLE === 1) deps.log.info({ decision: row.id, code: row.code, detail: row.detail, sampled: SAMPLE }, 'refused');
        return row.id;
      }
      const key = `${context.domainId} ${context.workloadId ?? ''}`;
      const window = windows.get(key);
      if (window === undefined || window.startedAt + MINUTE <= now) {
        if (window !== undefined && window.over > 0) await write(countRow(window, now));
        windows.set(key, { startedAt: now, rows: 1, over: 0, domainId: context.domainId, workloadId: context.workloadId, lastCode: row.code });
      } else if (window.rows < ROWS_PER_MINUTE) {
        window.rows += 1;
      } else {
        window.over += 1;
        window.lastCode = row.code;
        recent.set(row.id, row);
        return row.id;
      }
      await write(row);
      return row.id;
    },
    recent: (id) => recent.get(id),
    flush: () => flush(deps.clock.now(), true),
  };
};
