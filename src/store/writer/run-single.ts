import { DAY } from '../../core/duration.ts';
import { firstIdAt } from '../../core/ids.ts';
import { encodeTime } from '../sql/tables.ts';
import type { Statements } from '../sql/statements.ts';
import type { ChainWriter } from './chain-writer.ts';
import type { Connection, Query } from './connection.ts';
import type { Reply, Replies, SealableHead, SingleOperation } from './operations.ts';

const LEASES_KEPT_MS = 90 * DAY;
const HISTORY_KEPT_MS = 400 * DAY;
const DEAD_CHAINS_KEPT_MS = DAY;

/** What a transaction of its own is for: jobs, retention, seals. */
export const runSingle = async (chain: string, chainWriter: ChainWriter, connection: Connection, statements: Statements, operation: SingleOperation): Promise<Reply> => {
  if (operation.kind === 'durability') return connection.durability();
  if (operation.kind === 'heads' && operation.own) return ownHead(chain, chainWriter);
  return connection.transaction('none', (query) => run(query, chain, statements, operation));
};

const run = async (query: Query, chain: string, statements: Statements, operation: Exclude<SingleOperation, { kind: 'durability' }>): Promise<Reply> => {
  switch (operation.kind) {
    case 'take-job':
      return takeJob(query, statements, operation);
    case 'release-job':
      await query(statements.audit.releaseJob, JSON.stringify([{ name: operation.name, holder: operation.holder }]));
      return null;
    case 'erase-handle':
      await query(statements.registry.eraseHandle, JSON.stringify([operation.id]));
      return null;
    case 'seal':
      await query(statements.audit.seal, `[${operation.row}]`);
      return null;
    case 'heads':
      return (await query(statements.audit.stopped, JSON.stringify([{ own: chain, now: encodeTime(operation.now) }]))).map(headOf);
    case 'purge':
      return purge(query, statements.retention, operation);
  }
};

type Take = Extract<SingleOperation, { kind: 'take-job' }>;
type Purge = Extract<SingleOperation, { kind: 'purge' }>;

const ownHead = (chain: string, chainWriter: ChainWriter): Replies['heads'] => {
  const head = chainWriter.head();
  return head.n === 0 ? [] : [{ chain, ...head }];
};

const headOf = (row: Readonly<Record<string, unknown>>): SealableHead => ({ chain: String(row.chain), n: Number(row.n), hash: String(row.hash) });

const takeJob = async (query: Query, statements: Statements, { name, holder, until, now }: Take): Promise<Replies['take-job']> => {
  const times = { until: encodeTime(until), now: encodeTime(now) };
  const [taken] = await query(statements.audit.takeJob, JSON.stringify([{ name, holder, ...times }]), times.now);
  return taken === undefined ? null : { fence: Number(taken.fence) };
};

const purge = async (query: Query, statements: Statements['retention'], { now, limit, name, fence }: Purge): Promise<Replies['purge']> => {
  const held = await query(statements.fence, JSON.stringify([{ name, fence, now: encodeTime(now) }]));
  if (held.length === 0) return { deleted: 0, more: false };
  const bounds = { now: encodeTime(now), leases: encodeTime(now - LEASES_KEPT_MS), lease_ids: firstIdAt('lease', now - LEASES_KEPT_MS), history: encodeTime(now - HISTORY_KEPT_MS), jobs: encodeTime(now - DEAD_CHAINS_KEPT_MS) };
  let deleted = 0;
  const withRoom = (): string => JSON.stringify([{ ...bounds, room: limit - deleted }]);
  for (const statement of statements.rows) {
    if (deleted >= limit) return { deleted, more: true };
    deleted += (await query(statement, withRoom())).length;
  }
  if (deleted >= limit) return { deleted, more: true };
  const [stretch] = await query(statements.sealed, withRoom());
  if (stretch === undefined) return { deleted, more: false };
  const gone = JSON.stringify([{ chain: stretch.chain, until: Number(stretch.until) }]);
  deleted += (await query(statements.purgeAudit, gone)).length + (await query(statements.purgeSeals, gone)).length;
  return { deleted, more: true };
};
