import { Worker } from 'node:worker_threads';
import type { AuditCodeKeys } from '../../core/audit-code.ts';
import type { Clock } from '../../core/clock.ts';
import { newId } from '../../core/ids.ts';
import type { Random } from '../../core/random.ts';
import type { Database } from '../database.ts';
import { StoreUnavailable } from '../store.ts';
import type { Commit } from './group-commit.ts';
import type { Answer, Answers } from './operations.ts';
import type { WriterData } from './thread.ts';

export interface WriterThread {
  readonly commit: Commit;
  close(): Promise<void>;
}

/** Starts the committing thread and, should it die, a new one at the next commit: a writer of its own, with a chain of its own. */
export const createWriterThread = (deps: { readonly database: Database; readonly clock: Clock; readonly random: Random; readonly codeKeys: AuditCodeKeys; readonly transactionMs: number }): WriterThread => {
  let running: Running | undefined;
  let sent = 0;

  const start = (): Running => {
    const data: WriterData = { chain: newId('chain', deps.clock, deps.random), database: deps.database, codeKeys: deps.codeKeys, transactionMs: deps.transactionMs };
    const worker = new Worker(new URL('./thread.ts', import.meta.url), { workerData: data, name: 'mayfly-writer' });
    const pending = new Map<number, Pending>();
    const started: Running = { worker, pending, ended: new Promise((resolve) => worker.once('exit', resolve)) };
    worker.on('message', ({ id, answers }: Answers) => {
      pending.get(id)?.resolve(answers);
      pending.delete(id);
    });
    const fail = (cause?: unknown): void => {
      if (running === started) running = undefined;
      for (const { reject } of pending.values()) reject(new StoreUnavailable('the writer thread ended', { cause }));
      pending.clear();
    };
    worker.on('error', fail);
    worker.on('exit', () => { fail(); });
    return started;
  };

  return {
    commit: (operations) =>
      new Promise((resolve, reject) => {
        running ??= start();
        sent += 1;
        running.pending.set(sent, { resolve, reject });
        running.worker.postMessage({ id: sent, operations });
      }),
    async close() {
      running?.worker.postMessage('close');
      await running?.ended;
    },
  };
};

interface Pending { readonly resolve: (answers: readonly Answer[]) => void; readonly reject: (cause: Error) => void }
interface Running { readonly worker: Worker; readonly pending: Map<number, Pending>; readonly ended: Promise<unknown> }
