import { SECOND } from '../../core/duration.ts';
import { StoreUnavailable } from '../store.ts';
import type { StoreWrites } from '../store.ts';
import type { Channel } from './channel.ts';
import type { Perform } from './group-commit.ts';
import type { Answer, Operation, Reply } from './operations.ts';
import { createWrites } from './writes.ts';

export interface RemoteLimits { readonly queued: number; readonly waitMs: number }
/** Longer than the primary's own limit, so that its answer is heard. */
const LIMITS: RemoteLimits = { queued: 10_000, waitMs: 6 * SECOND };

export interface RemoteWrites {
  /** Sealing stays with the primary: here it gives nothing. */
  readonly writes: StoreWrites;
  /** Calls back when the primary announces a registry change; the one who made it waits for what the listener returns. */
  onRegistryChange(listener: () => void | Promise<void>): void;
}

/** The writes of a worker process on SQLite: the primary commits them, with those of everybody else. */
export const createRemoteWrites = (channel: Channel, limits: RemoteLimits = LIMITS): RemoteWrites => {
  const waiting = new Map<number, (answer: Answer) => void>();
  const listeners: (() => void | Promise<void>)[] = [];
  let sent = 0;
  let open = true;

  channel.onMessage((message) => {
    if (message.mayfly === 'written') waiting.get(message.id)?.(message.answer);
    if (message.mayfly !== 'registry') return;
    const seen = (): void => { channel.send({ mayfly: 'registry-seen', id: message.id }); };
    // INVARIANT: a listener that failed says nothing. The change is confirmed once this process's snapshot is too old to answer from.
    Promise.all(listeners.map(async (listener) => listener())).then(seen, () => undefined);
  });
  channel.onClose(() => {
    open = false;
    for (const answer of waiting.values()) answer({ unavailable: 'the primary process is gone' });
  });

  const perform = (operation: Operation): Promise<Reply> =>
    new Promise((resolve, reject) => {
      if (!open) { reject(new StoreUnavailable('the primary process is gone')); return; }
      if (waiting.size >= limits.queued) { reject(new StoreUnavailable('too many writes are waiting')); return; }
      sent += 1;
      const id = sent;
      const settle = (answer: Answer): void => {
        clearTimeout(timer);
        waiting.delete(id);
        if ('unavailable' in answer) reject(new StoreUnavailable(answer.unavailable));
        else resolve(answer.reply);
      };
      const timer = setTimeout(() => { settle({ unavailable: 'the primary process did not answer in time' }); }, limits.waitMs);
      waiting.set(id, settle);
      channel.send({ mayfly: 'write', id, operation });
    });

  return {
    writes: { ...createWrites(perform as Perform), checkpoint: () => Promise.resolve(undefined), sealStopped: () => Promise.resolve([]) },
    onRegistryChange(listener) { listeners.push(listener); },
  };
};

export interface RemoteLink {
  /** Resolves when the worker has taken the change in, is gone, or had its time: past that its snapshot is stale, which stops it. */
  announce(version: number): Promise<void>;
}

/** The primary's end: commits what the worker sends, answers after the commit. */
export const serveRemoteWrites = (channel: Channel, perform: Perform, limits: { readonly announceMs: number } = { announceMs: 2 * SECOND }): RemoteLink => {
  const announced = new Map<number, () => void>();
  let count = 0;
  let open = true;

  const answer = async (id: number, operation: Operation): Promise<void> => {
    if (KEPT_BY_PRIMARY.has(operation.kind)) { channel.send({ mayfly: 'written', id, answer: { unavailable: 'only the primary seals' } }); return; }
    const outcome = await perform(operation).then((reply): Answer => ({ reply }), (cause: unknown): Answer => ({ unavailable: cause instanceof StoreUnavailable ? cause.message : 'the primary failed' }));
    channel.send({ mayfly: 'written', id, answer: outcome });
  };

  channel.onMessage((message) => {
    if (message.mayfly === 'write') void answer(message.id, message.operation);
    if (message.mayfly === 'registry-seen') announced.get(message.id)?.();
  });
  channel.onClose(() => {
    open = false;
    for (const done of announced.values()) done();
  });

  return {
    announce: (version) =>
      new Promise((resolve) => {
        if (!open) { resolve(); return; }
        count += 1;
        const id = count;
        const done = (): void => {
          clearTimeout(timer);
          announced.delete(id);
          resolve();
        };
        const timer = setTimeout(done, limits.announceMs);
        announced.set(id, done);
        channel.send({ mayfly: 'registry', id, version });
      }),
  };
};

const KEPT_BY_PRIMARY: ReadonlySet<Operation['kind']> = new Set<Operation['kind']>(['own-head', 'stopped', 'proven', 'seal']);
