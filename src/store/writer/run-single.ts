import type { AuditCodes } from '../../core/audit-code.ts';
import { DAY } from '../../core/duration.ts';
import { firstIdAt } from '../../core/ids.ts';
import { CODED_PAGE } from '../sql/audit.ts';
import { encodeTime } from '../sql/tables.ts';
import type { Statements } from '../sql/statements.ts';
import type { ChainWriter } from './chain-writer.ts';
import { runCascadeStep } from './run-cascade-step.ts';
import type { Connection, Query } from './connection.ts';
import { readNewestCheckpoint } from './newest-checkpoint.ts';
import { runSignals } from './run-signals.ts';
import type { Reply, Replies, SingleOperation } from './operations.ts';
import { noteNotice } from './run-approvals.ts';

const LEASES_KEPT_MS = 90 * DAY;
const HISTORY_KEPT_MS = 400 * DAY;
const DEAD_CHAINS_KEPT_MS = DAY;
/** Events that were delivered: what is found again within this time is known to be told. */
const SIGNALS_KEPT_MS = 7 * DAY;

export interface SingleDeps { readonly chain: string; readonly chainWriter: ChainWriter; readonly connection: Connection; readonly statements: Statements; readonly codes: AuditCodes }

/** What a transaction of its own is for: jobs, retention, seals. */
export const runSingle = async (deps: SingleDeps, operation: SingleOperation): Promise<Reply> => {
  if (operation.kind === 'durability') return deps.connection.durability();
  if (operation.kind === 'cascade-step') return deps.chainWriter.transaction('none', (query, append) => runCascadeStep(query, append, deps.statements, operation));
  return deps.connection.transaction('none', (query) => run(query, deps, operation));
};

const run = async (query: Query, { chain, chainWriter, statements, codes }: SingleDeps, operation: Exclude<SingleOperation, { kind: 'durability' | 'cascade-step' }>): Promise<Reply> => {
  switch (operation.kind) {
    case 'take-job':
      return takeJob(query, statements, operation);
    case 'release-job':
      await query(statements.audit.releaseJob, JSON.stringify([{ name: operation.name, holder: operation.holder }]));
      return null;
    case 'erase-handle':
      await query(statements.registry.eraseHandle, JSON.stringify([operation.id]));
      return null;
    case 'claim-block':
      return claimBlock(query, statements.status, operation);
    case 'note-notice':
      return noteNotice(query, statements, operation);
    case 'seal':
      return (await query(statements.audit.seal, `[${operation.row}]`)).length > 0;
    case 'own-head': {
      const head = chainWriter.head();
      return { head: head.n === 0 ? null : { chain, ...head }, newest: await readNewestCheckpoint(query, statements.audit) };
    }
    case 'stopped': {
      const chains = await query(statements.audit.stopped, JSON.stringify([{ own: chain, now: encodeTime(operation.now) }]));
      return { chains: chains.map((row) => ({ chain: String(row.chain), n: Number(row.n), sealed: Number(row.sealed) })), newest: await readNewestCheckpoint(query, statements.audit) };
    }
    case 'proven':
      return findProven(query, statements, codes, operation);
    case 'purge':
      return purge(query, statements.retention, operation);
    case 'stream-create': case 'stream-choose': case 'stream-status': case 'stream-verify': case 'stream-pause': case 'stream-rewrap':
    case 'subject-exclude': case 'subject-include': case 'enqueue': case 'finish-events':
      return runSignals(query, statements, operation);
  }
};

type Take = Extract<SingleOperation, { kind: 'take-job' }>;
type Purge = Extract<SingleOperation, { kind: 'purge' }>;

const claimBlock = async (query: Query, statements: Statements['status'], { claim }: Extract<SingleOperation, { kind: 'claim-block' }>): Promise<Replies['claim-block']> => {
  const [row] = await query(statements.claimBlock, claim);
  const order: unknown = JSON.parse(String(row?.block_order));
  const block: unknown = Array.isArray(order) ? order[Number(row?.claimed) - 1] : undefined;
  if (row === undefined || typeof block !== 'number') throw new Error('the database gave no block of a status list');
  return { list: String(row.id), block };
};

const findProven = async (query: Query, statements: Statements, codes: AuditCodes, { chain, after }: Extract<SingleOperation, { kind: 'proven' }>): Promise<Replies['proven']> => {
  const rows = await query(statements.audit.coded, JSON.stringify([{ chain, after }]));
  const heads = rows.map((row) => ({ head: { n: Number(row.n), hash: String(row.hash) }, code: String(row.mac) }));
  const proven = heads.findLast(({ head, code }) => codes.proves(chain, head, code));
  return { head: proven?.head ?? null, next: heads.length < CODED_PAGE ? null : heads.at(-1)?.head.n ?? null };
};

const takeJob = async (query: Query, statements: Statements, { name, holder, until, now }: Take): Promise<Replies['take-job']> => {
  const times = { until: encodeTime(until), now: encodeTime(now) };
  const [taken] = await query(statements.audit.takeJob, JSON.stringify([{ name, holder, ...times }]), times.now);
  return taken === undefined ? null : { fence: Number(taken.fence) };
};

const purge = async (query: Query, statements: Statements['retention'], { now, limit, name, fence }: Purge): Promise<Replies['purge']> => {
  const held = await query(statements.fence, JSON.stringify([{ name, fence, now: encodeTime(now) }]));
  if (held.length === 0) return { deleted: 0, more: false };
  const bounds = { now: encodeTime(now), leases: encodeTime(now - LEASES_KEPT_MS), lease_ids: firstIdAt('lease', now - LEASES_KEPT_MS), history: encodeTime(now - HISTORY_KEPT_MS), jobs: encodeTime(now - DEAD_CHAINS_KEPT_MS), signals: encodeTime(now - SIGNALS_KEPT_MS) };
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
