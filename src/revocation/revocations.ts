import { MINUTE } from '../core/duration.ts';
import type { RevocationRow, Target } from '../store/rows.ts';

/**
 * The revocations a node knows, by target. Asked before a decision to refuse early; the commit of the lease asks the
 * database again, so that what this view has not heard of yet cannot let anything out (design section 7).
 */
export const createRevocations = () => {
  const byTarget = new Map<Target, Map<number, RevocationRow>>();
  let nextPurge = Number.POSITIVE_INFINITY;
  return {
    add(row: RevocationRow): void {
      const rows = byTarget.get(row.target) ?? new Map<number, RevocationRow>();
      rows.set(row.seq, row);
      byTarget.set(row.target, rows);
      if (row.purgeAfter !== null) nextPurge = Math.min(nextPurge, row.purgeAfter);
    },
    /** The first target of `path` that is blocked now, or that was revoked after the session began at registry version `beganVersion`. */
    find(path: readonly Target[], beganVersion: number): Target | undefined {
      return path.find((target) => {
        const rows = byTarget.get(target);
        if (rows === undefined) return false;
        for (const row of rows.values()) if (row.enabledSeq === null || row.seq > beganVersion) return true;
        return false;
      });
    },
    /** Drops rows that cannot matter any more. Called with every poll, so it looks through them at most once a minute. */
    purge(now: number): void {
      if (now < nextPurge) return;
      nextPurge = now + MINUTE;
      for (const [target, rows] of byTarget) {
        for (const row of rows.values()) if (row.purgeAfter !== null && row.purgeAfter <= now) rows.delete(row.seq);
        if (rows.size === 0) byTarget.delete(target);
      }
    },
    /** How many are known. */
    get size() {
      return [...byTarget.values()].reduce((sum, rows) => sum + rows.size, 0);
    },
  };
};
export type Revocations = ReturnType<typeof createRevocations>;
