import { StoreUnavailable } from '../store.ts';
import { laneOf } from './operations.ts';
import type { Answer, Operation, Reply, ReplyOf } from './operations.ts';

/** Hands an operation to whoever commits; resolves after its own transaction was confirmed, rejects with {@link StoreUnavailable} otherwise. */
export type Perform = <O extends Operation>(operation: O) => Promise<ReplyOf<O>>;

/** Sends a batch to the committing thread. The answers come in the order of the operations; a rejection is an answer to all of them. */
export type Commit = (operations: readonly Operation[]) => Promise<readonly Answer[]>;

export interface GroupCommitLimits {
  readonly queued: number;
  readonly batched: number;
  /** From asking to giving up, whatever the reason. */
  readonly waitMs: number;
}

export interface GroupCommit {
  readonly perform: Perform;
  /** Refuses new operations and resolves when those accepted are answered. */
  readonly drain: () => Promise<void>;
}

/** One transaction in flight; what arrives meanwhile shares the next, in order, as far as it is of one lane. */
export const createGroupCommit = (commit: Commit, limits: GroupCommitLimits): GroupCommit => {
  const queue: Waiting[] = [];
  let flying = false;
  let draining: (() => void) | undefined;

  const fly = (): void => {
    if (flying) return;
    const batch = takeBatch(queue, limits.batched);
    if (batch.length === 0) {
      draining?.();
      return;
    }
    flying = true;
    commit(batch.map((waiting) => waiting.operation))
      .then((answers) => { batch.forEach((waiting, index) => { settle(waiting, answers[index]); }); },
        (cause: unknown) => { batch.forEach((waiting) => { waiting.reject(cause instanceof StoreUnavailable ? cause : new StoreUnavailable('the writer stopped', { cause })); }); })
      .finally(() => { flying = false; fly(); });
  };

  const enqueue = (operation: Operation): Promise<Reply> =>
    new Promise((resolve, reject) => {
      if (draining !== undefined) { reject(new StoreUnavailable('the store is closed')); return; }
      if (queue.length >= limits.queued) { reject(new StoreUnavailable('too many writes are waiting')); return; }
      const done = (): void => { clearTimeout(timer); };
      const waiting: Waiting = { operation, resolve: (reply) => { done(); resolve(reply); }, reject: (cause) => { done(); reject(cause); } };
      // One that was not sent yet never will be; one under way may still commit, and then counts as not issued.
      const timer = setTimeout(() => {
        const position = queue.indexOf(waiting);
        if (position >= 0) queue.splice(position, 1);
        reject(new StoreUnavailable('the database did not confirm in time'));
      }, limits.waitMs);
      queue.push(waiting);
      fly();
    });

  return {
    perform: enqueue as Perform,
    drain: () => new Promise((resolve) => { draining = resolve; fly(); }),
  };
};

interface Waiting { readonly operation: Operation; readonly resolve: (reply: Reply) => void; readonly reject: (cause: Error) => void }

const takeBatch = (queue: Waiting[], limit: number): Waiting[] => {
  const [first] = queue;
  if (first === undefined) return [];
  const lane = laneOf(first.operation);
  const end = lane === 'single' ? 1 : queue.findIndex((waiting) => laneOf(waiting.operation) !== lane);
  return queue.splice(0, Math.min(limit, end === -1 ? queue.length : end));
};

const settle = (waiting: Waiting, answer: Answer | undefined): void => {
  if (answer === undefined) waiting.reject(new StoreUnavailable('the writer gave no answer'));
  else if ('unavailable' in answer) waiting.reject(new StoreUnavailable(answer.unavailable));
  else waiting.resolve(answer.reply);
};
