import type { AuditCodeKeys } from '../core/audit-code.ts';
import type { Clock } from '../core/clock.ts';
import type { Random } from '../core/random.ts';
import { parseDatabase } from './database.ts';
import { listenForChanges } from './listen.ts';
import { openReads } from './open.ts';
import type { Store } from './store.ts';
import type { Channel } from './writer/channel.ts';
import type { Durability } from './writer/connection.ts';
import type { Perform } from './writer/group-commit.ts';
import type { Operation, Replies, Reply } from './writer/operations.ts';
import { createRemoteWrites, serveRemoteWrites } from './writer/remote.ts';
import type { RemoteLink } from './writer/remote.ts';
import { createWriter } from './writer/writer.ts';
import type { WriterLimits } from './writer/writer.ts';
import { createWrites } from './writer/writes.ts';

export interface StoreOptions {
  /** `postgresql://...`, or the path of an SQLite file, with or without `file:`. */
  readonly url: string;
  readonly clock: Clock;
  readonly random: Random;
  /** Prove which audit entries this installation wrote. */
  readonly codeKeys: AuditCodeKeys;
  /** For reading, on PostgreSQL. */
  readonly connections?: number;
  readonly limits?: Partial<WriterLimits>;
}

/** The store of a process that writes itself. */
export interface OwnStore extends Store {
  /** Commits for a worker process, and tells it of registry changes (SQLite has one writing process). */
  serve(channel: Channel): void;
  /** The settings durability rests on, read from the committing connection. */
  durability(): Promise<Durability>;
}

/** Opens a prepared database (prepare.ts) for reading and writing, and makes sure that commits are durable. */
export const createStore = async ({ url, clock, random, codeKeys, connections, limits = {} }: StoreOptions): Promise<OwnStore> => {
  const database = parseDatabase(url);
  const reads = await openReads(database, clock, connections);
  const writer = createWriter({ database, clock, random, codeKeys, limits });
  const links = new Set<RemoteLink>();
  const listeners: (() => void)[] = [];
  const changed = (): void => { listeners.forEach((listener) => { listener(); }); };

  let unsealed = 0;

  // INVARIANT: a change is confirmed to whoever made it only after every worker took it in, or can no longer answer from an older snapshot.
  const perform = (async (operation) => {
    const reply = await writer.perform(operation);
    unsealed = operation.kind === 'seal' ? 0 : unsealed + entriesOf(operation, reply);
    const version = versionMade(operation, reply);
    if (version === undefined || links.size + listeners.length === 0) return reply;
    if (database.engine === 'sqlite') changed();
    await Promise.all([...links].map((link) => link.announce(version)));
    return reply;
  }) as Perform;

  const close = async (): Promise<void> => {
    await listening?.close();
    await writer.close();
    await reads.close();
  };
  const listening = database.engine === 'postgresql' ? listenForChanges(database.url, changed) : undefined;
  try {
    await patiently(() => writer.durability());
  } catch (cause) {
    await close();
    throw cause;
  }

  return {
    ...reads,
    ...createWrites(perform),
    engine: database.engine,
    unsealed: () => unsealed,
    onRegistryChange(listener) { listeners.push(listener); },
    serve(channel) {
      const link = serveRemoteWrites(channel, perform);
      links.add(link);
      channel.onClose(() => { links.delete(link); });
    },
    durability: () => writer.durability(),
    close,
  };
};

/** The registry version that an operation made; undefined where it made none. */
const versionMade = (operation: Operation, reply: Reply): number | undefined => {
  if (operation.kind === 'admit') return (reply as Replies['admit']).version ?? undefined;
  const outcome = operation.kind === 'change' ? reply as Replies['change'] : undefined;
  return outcome?.status === 'committed' ? outcome.version : undefined;
};

const entriesOf = (operation: Operation, reply: Reply): number => {
  if (operation.kind === 'admit') return (reply as Replies['admit']).outcome === 'committed' ? 1 : 0;
  if (operation.kind === 'issue') return reply === 'committed' ? 1 : 0;
  if (operation.kind === 'expire-approvals') return Number(reply);
  if (operation.kind === 'append' || operation.kind === 'end-session' || operation.kind === 'answer-approval') return 1;
  if (operation.kind === 'cascade-step') return reply === true ? operation.events.length : 0;
  return operation.kind === 'change' ? operation.events.length : 0;
};

/** Nobody waits for an answer yet, and on a busy machine the committing thread may need longer to come up than a caller is made to wait. */
const patiently = async (ask: () => Promise<unknown>, tries = 6): Promise<void> => {
  for (let left = tries; left > 1; left -= 1) {
    if (await ask().then(() => true, () => false)) return;
  }
  await ask();
};

/** The store of a worker process beside a primary: reads the file itself, and hands what it writes to the primary, which also migrates. */
export const createWorkerStore = async ({ url, clock, primary, connections }: Pick<StoreOptions, 'url' | 'clock' | 'connections'> & { readonly primary: Channel }): Promise<Omit<Store, 'onRegistryChange'> & { onRegistryChange(listener: () => void | Promise<void>): void }> => {
  const database = parseDatabase(url);
  const reads = await openReads(database, clock, connections);
  const remote = createRemoteWrites(primary);
  return { ...reads, ...remote.writes, engine: database.engine, unsealed: () => 0, onRegistryChange: (listener) => { remote.onRegistryChange(listener); }, close: () => reads.close() };
};
