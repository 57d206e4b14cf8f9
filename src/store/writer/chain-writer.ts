import type { AuditCodes } from '../../core/audit-code.ts';
import { CHAIN_OPENED, CHAIN_START, auditText, linkHash } from '../../core/hash-chain.ts';
import type { ChainHead } from '../../core/hash-chain.ts';
import { SYSTEM_DOMAIN } from '../../core/reserved.ts';
import { AUDIT, encodeRow, encodeTime, joinRows } from '../sql/tables.ts';
import type { Statements } from '../sql/statements.ts';
import { CHAIN_ALIVE_MS, chainJob } from './chain-job.ts';
import { TransactionFailed } from './connection.ts';
import type { Connection, Query, RegistryLock } from './connection.ts';
import { readNewestCheckpoint } from './newest-checkpoint.ts';
import type { EncodedEvent } from './operations.ts';

/** Transactions whose audit entries continue this writer's chain. */
export interface ChainWriter {
  transaction<T>(registry: RegistryLock, work: (query: Query, append: Append) => Promise<T>): Promise<T>;
  /** The newest entry that was confirmed, from memory: what the database says now is what a checkpoint has to be able to contradict. */
  head(): ChainHead;
}
/** At most once per transaction. */
export type Append = (events: readonly EncodedEvent[]) => Promise<void>;

export const createChainWriter = (chain: string, connection: Connection, statements: Statements['audit'], codes: AuditCodes): ChainWriter => {
  let head = CHAIN_START;
  // What the head is if one of the commits whose answer never came did happen.
  let doubtful: readonly ChainHead[] = [];

  const settle = async (query: Query): Promise<void> => {
    if (doubtful.length === 0) return;
    const [row] = await query(statements.head, chain);
    const found = row === undefined ? CHAIN_START : { n: Number(row.n), hash: String(row.hash) };
    const confirmed = [head, ...doubtful].find((candidate) => candidate.n === found.n && candidate.hash === found.hash);
    if (confirmed === undefined) throw new TransactionFailed('failed', 'the audit chain ends in an entry that its writer did not write');
    head = confirmed;
  };

  return {
    head: () => head,
    async transaction(registry, work) {
      let next: ChainHead | undefined;
      try {
        const result = await connection.transaction(registry, async (query) => {
          await settle(query);
          next = head;
          return work(query, async (events) => { next = await append(query, statements, codes, chain, head, events); });
        });
        head = next ?? head;
        doubtful = [];
        return result;
      } catch (cause) {
        if (cause instanceof TransactionFailed && cause.fault === 'unknown' && next !== undefined && next.n > head.n) doubtful = [...doubtful, next];
        throw cause;
      }
    },
  };
};

const append = async (query: Query, statements: Statements['audit'], codes: AuditCodes, chain: string, head: ChainHead, events: readonly EncodedEvent[]): Promise<ChainHead> => {
  const [first] = events;
  if (first === undefined) return head;
  const opening = head.n === 0 ? [await openChain(query, statements, chain, first.at)] : [];
  let { n, hash } = head;
  const entries = [...opening, ...events];
  const rows = entries.map((event, index) => {
    const prev = hash;
    n += 1;
    hash = linkHash(chain, n, prev, event.text);
    // INVARIANT: what a commit adds ends with a code: no reader ever sees an entry of ours that none speaks for.
    const mac = index === entries.length - 1 ? codes.make(chain, { n, hash }) : null;
    return encodeRow(AUDIT, { chain, n, at: event.at, body: event.text, action: event.action, domainId: event.domainId, prev, hash, mac });
  });
  await query(statements.append, joinRows(rows));
  return { n, hash };
};

/** A chain's first entry names the newest checkpoint of any chain, so that a chain that vanishes whole is missed by the next one. */
const openChain = async (query: Query, statements: Statements['audit'], chain: string, at: number): Promise<EncodedEvent> => {
  const newest = await readNewestCheckpoint(query, statements);
  const alive = { name: chainJob(chain), holder: chain, until: encodeTime(at + CHAIN_ALIVE_MS), now: encodeTime(at) };
  await query(statements.takeJob, JSON.stringify([alive]), alive.now);
  const event = { at, action: CHAIN_OPENED, domainId: SYSTEM_DOMAIN, body: { checkpoint: newest === null ? null : { ...newest } } };
  return { at, action: event.action, domainId: SYSTEM_DOMAIN, text: auditText(event) };
};
