import { DAY } from '../../core/duration.ts';
import { encodeTime, joinRows, storable, withMember } from '../sql/tables.ts';
import type { Statement } from '../sql/dialect.ts';
import type { Statements } from '../sql/statements.ts';
import type { IssuanceOutcome, RegistryOutcome } from '../store.ts';
import type { Append } from './chain-writer.ts';
import type { Query } from './connection.ts';
import type { EncodedEvent, RegistryOperation, Reply } from './operations.ts';
import { expireApprovals } from './run-approvals.ts';
import { isTrue, runShared } from './run-shared.ts';

/**
 * As long as revocations of sessions, and leases: whoever looks at what a suspension held up still finds it.
 * INVARIANT: longer than any node goes without reading the registry. One that has not read of the lift when its row goes never does, and holds the target to be suspended until it starts anew.
 */
const LIFTED_KEPT = 90 * DAY;

/** Runs changes one after the other in one transaction that holds the registry lock alone; versions appear in this order. */
export const runRegistry = async (query: Query, append: Append, all: Pick<Statements, 'registry' | 'issue' | 'approvals' | 'retention' | 'cascade'>, operations: readonly RegistryOperation[], notifies: boolean): Promise<readonly Reply[]> => {
  const events: EncodedEvent[] = [];
  const replies: Reply[] = [];
  const statements = all.registry;
  const before = await readVersion(query, statements);
  let version = before;
  for (const operation of operations) {
    if (operation.kind === 'end-session') {
      const ended = await query(statements.endSession, JSON.stringify([{ id: operation.id, ended_at: encodeTime(operation.at), ended_by: storable(operation.by), ended_reason: storable(operation.reason) }]));
      if (ended.length > 0) {
        await query(statements.revocations, joinRows([withMember(operation.revocation, 'seq', ++version)]));
        events.push(operation.event);
      }
      replies.push(ended.length > 0);
      continue;
    }
    if (operation.kind === 'answer-approval') {
      const answered = await query(all.approvals.answer, `[${operation.row}]`);
      if (answered.length > 0) events.push(operation.event);
      replies.push(answered.length > 0);
      continue;
    }
    if (operation.kind === 'expire-approvals') {
      const expired = await expireApprovals(query, all, operation);
      events.push(...expired);
      replies.push(expired.length);
      continue;
    }
    if (operation.kind === 'admit') {
      const { outcome, added } = await admit(query, all, operation, version + 1, events);
      if (added) version += 1;
      replies.push({ outcome, version: added ? version : null });
      continue;
    }
    const outcome = await applyChange(query, statements, operation, version);
    if (outcome.status === 'committed') events.push(...operation.events);
    version = outcome.version;
    replies.push(outcome);
  }
  if (version !== before) await query(statements.setVersion, JSON.stringify([{ version }]));
  if (version !== before) await query(all.cascade.begin, JSON.stringify([{ after: before }]));
  await append(events);
  if (version !== before && notifies) await query(statements.notify, String(version));
  return replies;
};

type Admit = Extract<RegistryOperation, { kind: 'admit' }>;

/**
 * An issuance whose actor is an instance of a template that may not have its place in the session yet: what is issued and the place
 * are in one transaction, so that a refusal takes no place, and nobody acts without one.
 */
const admit = async (query: Query, { registry, ...issuing }: Pick<Statements, 'registry' | 'issue' | 'approvals'>, operation: Admit, seq: number, events: EncodedEvent[]): Promise<{ readonly outcome: IssuanceOutcome; readonly added: boolean }> => {
  const [asked] = await query(registry.admission, `[${operation.asked}]`);
  if (asked === undefined) throw new Error('the database did not count the instances of a template');
  const known = isTrue(asked.known);
  if (!known && !isTrue(asked.room)) return { outcome: 'full', added: false };
  const [outcome] = await runShared(query, (more) => { events.push(...more); return Promise.resolve(); }, issuing, [operation.issue]);
  if (typeof outcome !== 'string') throw new Error('an issuance was answered like something else');
  const added = outcome === 'committed' && !known;
  if (added) await query(registry.instance, joinRows([withMember(operation.instance, 'seq', seq)]));
  return { outcome: outcome as IssuanceOutcome, added };
};

type Change = Extract<RegistryOperation, { kind: 'change' }>;

const readVersion = async (query: Query, statements: Statements['registry']): Promise<number> => Number((await query(statements.version))[0]?.version ?? 0);

const applyChange = async (query: Query, statements: Statements['registry'], change: Change, from: number): Promise<RegistryOutcome> => {
  if (change.basedOn !== null && change.basedOn !== from) return { status: 'conflict', version: from };
  if (!(await pay(query, statements, change.once))) return { status: 'replayed', version: from };
  let version = from;
  const write = async (statement: Statement, rows: readonly string[]): Promise<void> => {
    if (rows.length > 0) await query(statement, joinRows(rows.map((row) => withMember(row, 'seq', ++version))));
  };
  await write(statements.entries, change.entries);
  await write(statements.keys, change.keys);
  await write(statements.revocations, change.revocations);
  const before = version;
  await write(statements.revocations, change.ends);
  const ends = change.ends.map((_row, index) => before + 1 + index);
  const open = change.enable.length === 0 ? [] : await query(statements.open, JSON.stringify(change.enable));
  const suspended = change.resume.length === 0 ? [] : await query(statements.suspended, joinRows(change.resume));
  // What is named twice is lifted once: each under a version of its own.
  const lifting = new Set([...ends, ...[...open, ...suspended].map((row) => Number(row.seq))]);
  const lifted = [...lifting].map((seq) => ({ seq, enabled_seq: ++version, enabled_at: encodeTime(change.at), enabled_by: change.by, purge_after: encodeTime(change.at + LIFTED_KEPT) }));
  if (lifted.length > 0) await query(statements.lift, JSON.stringify(lifted));
  return { status: 'committed', version };
};

/** Spends all of them or none; false when one was spent before. */
const pay = async (query: Query, statements: Statements['registry'], once: Change['once']): Promise<boolean> => {
  if (once.length === 0) return true;
  const won = (await query(statements.once, joinRows(once.map(({ row }) => row)))).map((row) => String(row.key));
  if (won.length === once.length) return true;
  if (won.length > 0) await query(statements.unspend, JSON.stringify(won));
  return false;
};
