import type { ChildProcess } from 'node:child_process';
import type { Worker as ClusterWorker } from 'node:cluster';
import { isObject } from '../../core/json.ts';
import type { Answer, Operation } from './operations.ts';

/** What a worker process and the primary say to each other about the store. */
export type StoreMessage =
  | { readonly mayfly: 'write'; readonly id: number; readonly operation: Operation }
  | { readonly mayfly: 'written'; readonly id: number; readonly answer: Answer }
  | { readonly mayfly: 'registry'; readonly id: number; readonly version: number }
  | { readonly mayfly: 'registry-seen'; readonly id: number };

/** One end of a two-way line. */
export interface Channel {
  send(message: StoreMessage): void;
  onMessage(listener: (message: StoreMessage) => void): void;
  onClose(listener: () => void): void;
}

/** The IPC line of a forked child or cluster worker (held by the primary), or of this process (held by the child). */
export const ipcChannel = (end: NodeJS.Process | ChildProcess | ClusterWorker): Channel => {
  const emitter: NodeJS.EventEmitter = end;
  return {
    send(message) {
      // A line that closed meanwhile is told by 'disconnect'.
      if (end.send === undefined || ('connected' in end && end.connected === false)) return;
      (end as ChildProcess).send(message, ignore);
    },
    onMessage(listener) {
      emitter.on('message', (message: unknown) => { if (isStoreMessage(message)) listener(message); });
    },
    onClose(listener) {
      emitter.once('disconnect', listener);
    },
  };
};

const KINDS: ReadonlySet<unknown> = new Set<StoreMessage['mayfly']>(['write', 'written', 'registry', 'registry-seen']);

/** Other parts of the server use the same line. */
const isStoreMessage = (message: unknown): message is StoreMessage => isObject(message) && KINDS.has(message.mayfly) && typeof message.id === 'number';

const ignore = (): void => undefined;
