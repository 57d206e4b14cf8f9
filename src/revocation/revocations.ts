import type { RevocationRow, Target } from '../store/rows.ts';

/**
 * The revocations a node knows, by target. Asked before a decision to refuse early; the commit of the lease asks the
 * database again, so that what this view has not heard of yet cannot let anything out (design section 7).
 */
export const createRevocations = () => {
  const byTarget = new Map<Target, Map<number, RevocationRow>>();
  return {
    add(row: RevocationRow): void {
      const rows = byTarget.get(row.target) ?? new Map<number, RevocationRow>();
      rows.set(row.seq, row);
      byTarget.set(row.target, rows);
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
    /** Drops rows that cannot matter any more. */
    purge(now: number): void {
      for (const [target, rows] of byTarget) {
        for (const row of rows.values()) if (row.purgeAfter !== null && row.purgeAfter <= now) rows.delete(row.seq);
        if (rows.size === 0) byTarget.delete(target);
      }
    },
  };
};
export type Revocations = ReturnType<typeof createRevocations>;
