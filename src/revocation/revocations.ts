import { MINUTE } from '../core/duration.ts';
import type { RevocationRow, Target } from '../store/rows.ts';

/** Whether a row still says something of a session that began at a registry version: lifted, a revocation ends what began before it, a suspension nothing. */
export const counts = ({ effect, seq, enabledSeq }: Pick<RevocationRow, 'effect' | 'seq' | 'enabledSeq'>, beganVersion: number): boolean =>
  enabledSeq === null || (effect === 'revoked' && seq > beganVersion);

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
    /** The first target of `path` that is blocked now, or that was revoked after the session began at registry version `beganVersion`. A suspension that was lifted counts no more. */
    find(path: readonly Target[], beganVersion: number): { readonly target: Target; readonly effect: RevocationRow['effect'] } | undefined {
      if (byTarget.size === 0) return undefined;
      let suspended: Target | undefined;
      for (const target of path) {
        const rows = byTarget.get(target);
        if (rows === undefined) continue;
        for (const row of rows.values()) {
          if (!counts(row, beganVersion)) continue;
          if (row.effect === 'revoked') return { target, effect: 'revoked' };
          suspended ??= target;
        }
      }
      return suspended === undefined ? undefined : { target: suspended, effect: 'suspended' };
    },
    /** Whether a person's login counts no more: all that were not later than a revocation of theirs, lifted or not (design section 5, People). */
    endsLogin(target: Target, authTime: number): boolean {
      for (const row of byTarget.get(target)?.values() ?? []) if (row.effect === 'revoked' && row.at >= authTime) return true;
      return false;
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
