import type { AuditCodeKeys } from '../../core/audit-code.ts';
import type { Clock } from '../../core/clock.ts';
import { SECOND } from '../../core/duration.ts';
import type { Random } from '../../core/random.ts';
import type { Database } from '../database.ts';
import type { StoreWrites } from '../store.ts';
import type { Durability } from './connection.ts';
import { createGroupCommit } from './group-commit.ts';
import type { GroupCommitLimits, Perform } from './group-commit.ts';
import { createWriterThread } from './writer-thread.ts';
import { createWrites } from './writes.ts';

export interface WriterDeps {
  readonly database: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly codeKeys: AuditCodeKeys;
  readonly limits?: Partial<WriterLimits>;
}
export interface WriterLimits extends GroupCommitLimits {
  /** Of one transaction, waiting for locks included. Shorter than `waitMs`, so that its failure can still be told. */
  readonly transactionMs: number;
}

/** The one writer of this process. */
export interface Writer {
  readonly writes: StoreWrites;
  readonly perform: Perform;
  /** What the committing connection says about fsync; throws `StoreUnavailable` when it is not durable. */
  durability(): Promise<Durability>;
  close(): Promise<void>;
}

const LIMITS: WriterLimits = { queued: 10_000, batched: 256, waitMs: 5 * SECOND, transactionMs: 4 * SECOND };

export const createWriter = ({ database, clock, random, codeKeys, limits }: WriterDeps): Writer => {
  const bounds = { ...LIMITS, ...limits };
  const thread = createWriterThread({ database, clock, random, codeKeys, transactionMs: bounds.transactionMs });
  const group = createGroupCommit(thread.commit, bounds);
  return {
    writes: createWrites(group.perform),
    perform: group.perform,
    durability: () => group.perform({ kind: 'durability' }),
    async close() {
      await group.drain();
      await thread.close();
    },
  };
};
