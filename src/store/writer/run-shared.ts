import type { IssuanceOutcome } from '../store.ts';
import { joinRows } from '../sql/tables.ts';
import type { Statements } from '../sql/statements.ts';
import type { Query } from './connection.ts';
import type { Append } from './chain-writer.ts';
import { openLedger } from './ledger.ts';
import type { Ledger } from './ledger.ts';
import { findCrowded, findRedeemable, redeem } from './run-approvals.ts';
import type { EncodedEvent, EncodedProof, Reply, SharedOperation } from './operations.ts';

/**
 * The group commit: everything in it commits together, each item wins or loses alone, and a loser leaves nothing behind.
 * Order: judge, one-time things, whether approvals hold, leases, budgets, then the sessions and hops of those that won, what they used, and the audit.
 * Other nodes do the same; sorted inserts keep two batches from waiting for each other.
 */
export const runShared = async (query: Query, append: Append, { issue: statements, approvals }: Pick<Statements, 'issue' | 'approvals'>, operations: readonly SharedOperation[]): Promise<readonly Reply[]> => {
  const items = operations.map((operation): Item => ({ operation, outcome: 'open', hasSession: false, hasHop: false }));
  await judge(query, statements, items);
  const ledger = await openLedger(query, statements, items.filter(isOpen).map((item) => item.operation));
  for (const item of items.filter(isOpen)) if (!ledger.fits(item.operation)) item.outcome = 'exhausted';
  const consumed = await consume(query, statements, items);
  await approve(query, approvals, items);
  await lease(query, statements, items);
  await reserve(query, statements, ledger, items);
  await giveBack(query, statements, items, consumed);
  await writeContext(query, statements, items);
  await useApprovals(query, approvals, items);
  await ledger.settle(items.filter((item) => item.outcome === 'committed').map((item) => item.operation));
  await append(items.flatMap((item) => (item.outcome === 'committed' ? eventsOf(item.operation) : [])));
  return items.map((item) => replyTo(item, ledger));
};

interface Item { readonly operation: SharedOperation; outcome: 'open' | 'exists' | IssuanceOutcome; hasSession: boolean; hasHop: boolean }
type Issue = Extract<SharedOperation, { kind: 'issue' }>;
type IssueItem = Item & { readonly operation: Issue };
type JudgedItem = Item & { readonly operation: Issue | Extract<SharedOperation, { kind: 'open' }> };

const isOpen = (item: Item): boolean => item.outcome === 'open';
const isIssue = (item: Item): item is IssueItem => item.operation.kind === 'issue';
const isJudged = (item: Item): item is JudgedItem => item.operation.kind === 'issue' || item.operation.kind === 'open';
const proofsOf = ({ operation }: Item): readonly EncodedProof[] => ('proofs' in operation ? operation.proofs : []);

const eventsOf = (operation: SharedOperation): readonly EncodedEvent[] => {
  if (operation.kind === 'consume') return [];
  return operation.kind === 'issue' && operation.approval?.kind === 'redeem' ? [operation.event, operation.approval.event] : [operation.event];
};

/** Whoever would crowd people loses, and whoever redeems what cannot be redeemed. Neither has written anything yet but one-time things, which are given back. */
const approve = async (query: Query, statements: Statements['approvals'], items: readonly Item[]): Promise<void> => {
  const concerned = items.filter(isIssue).filter(isOpen).filter((item) => item.operation.approval !== null);
  if (concerned.length === 0) return;
  const operations = concerned.map(({ operation }) => operation);
  const crowded = await findCrowded(query, statements, operations);
  const redeemable = await findRedeemable(query, statements, operations);
  for (const item of concerned) {
    if (crowded.has(item.operation.id)) item.outcome = 'crowded';
    else if (item.operation.approval?.kind === 'redeem' && !redeemable.has(item.operation.id)) item.outcome = 'unredeemable';
  }
};

/** Of those that won: what waits for people is written, what they agreed to is used up. */
const useApprovals = async (query: Query, statements: Statements['approvals'], items: readonly Item[]): Promise<void> => {
  const won = items.filter(isIssue).flatMap(({ operation, outcome }) => (operation.approval !== null && outcome === 'committed' ? [operation] : []));
  const rows = won.flatMap(({ approval }) => (approval?.kind === 'ask' ? [approval.row] : []));
  if (rows.length > 0) await query(statements.ask, joinRows(rows));
  await redeem(query, statements, won);
};

const judge = async (query: Query, statements: Statements['issue'], items: readonly Item[]): Promise<void> => {
  const judged = items.filter(isJudged);
  if (judged.length === 0) return;
  const verdicts = new Map((await query(statements.judge, joinRows(judged.map((item) => item.operation.claim)))).map((row) => [row.lease_id, row]));
  const opened = new Set<string>();
  for (const item of judged) {
    const verdict = verdicts.get(item.operation.id);
    if (verdict === undefined) throw new Error('the database did not judge an issuance');
    item.hasSession = Boolean(verdict.has_session);
    item.hasHop = Boolean(verdict.has_hop);
    if (!isFalse(verdict.revoked)) item.outcome = 'revoked';
    else if (item.operation.kind === 'open') item.outcome = item.hasSession || opened.has(item.operation.id) ? 'exists' : 'open';
    else if (!isFalse(verdict.ended)) item.outcome = 'ended';
    else if (isTrue(verdict.suspended)) item.outcome = 'suspended';
    if (item.operation.kind === 'open' && item.outcome === 'open') opened.add(item.operation.id);
  }
};

/** SQLite has no booleans. What is neither yes nor no counts as the answer that issues nothing, except where there is nothing to compare. */
export const isTrue = (value: unknown): boolean => value === true || value === 1 || value === 1n;
const isFalse = (value: unknown): boolean => value === false || value === 0 || value === 0n;

/** Gives the keys this transaction consumed. An item whose keys were not all free, or were asked for by an earlier item of the batch, was replayed. */
const consume = async (query: Query, statements: Statements['issue'], items: readonly Item[]): Promise<ReadonlySet<string>> => {
  const claimed = new Map<string, EncodedProof>();
  for (const item of items.filter(isOpen)) {
    const proofs = proofsOf(item);
    const keys = new Set(proofs.map((proof) => proof.key));
    if (keys.size < proofs.length || proofs.some((proof) => claimed.has(proof.key))) item.outcome = 'proof_replayed';
    else for (const proof of proofs) claimed.set(proof.key, proof);
  }
  if (claimed.size === 0) return new Set();
  const rows = [...claimed.values()].sort((a, b) => compare(a.key, b.key)).map((proof) => proof.row);
  const won = new Set((await query(statements.consume, joinRows(rows))).map((row) => String(row.key)));
  for (const item of items.filter(isOpen)) if (proofsOf(item).some((proof) => !won.has(proof.key))) item.outcome = 'proof_replayed';
  return won;
};

const lease = async (query: Query, statements: Statements['issue'], items: readonly Item[]): Promise<void> => {
  const issues = items.filter(isIssue).filter(isOpen).sort((a, b) => compare(a.operation.replayKey ?? '', b.operation.replayKey ?? ''));
  const written = issues.length === 0 ? [] : await query(statements.lease, joinRows(issues.map((item) => item.operation.lease)));
  const won = new Set(written.map((row) => row.id));
  for (const item of issues) item.outcome = won.delete(item.operation.id) ? 'committed' : 'replayed';
  const denials = items.flatMap((item) => (item.operation.kind === 'append' && item.operation.denial !== null ? [item.operation.denial] : []));
  if (denials.length > 0) await query(statements.denial, joinRows(denials));
  for (const item of items.filter(isOpen)) item.outcome = 'committed';
};

/** Only now is it known who won: a budget has room for those alone. Who does not fit behind them was not issued, and its lease goes again. */
const reserve = async (query: Query, statements: Statements['issue'], ledger: Ledger, items: readonly Item[]): Promise<void> => {
  const over = items.filter((item) => item.outcome === 'committed' && !ledger.reserve(item.operation));
  for (const item of over) item.outcome = 'exhausted';
  const leases = over.filter(isIssue).map((item) => item.operation.id);
  if (leases.length > 0) await query(statements.takeBack, JSON.stringify(leases));
};

/** Refused requests consume nothing: their other one-time things become free again in the same transaction. */
const giveBack = async (query: Query, statements: Statements['issue'], items: readonly Item[], consumed: ReadonlySet<string>): Promise<void> => {
  if (consumed.size === 0) return;
  const kept = new Set(items.filter((item) => item.outcome === 'committed').flatMap((item) => proofsOf(item).map((proof) => proof.key)));
  const freed = [...consumed].filter((key) => !kept.has(key));
  if (freed.length > 0) await query(statements.giveBack, JSON.stringify(freed));
};

/** Sessions and hops that are not there yet, of items that won. The first of a batch to bring one brings it. */
const writeContext = async (query: Query, statements: Statements['issue'], items: readonly Item[]): Promise<void> => {
  const won = items.filter(isIssue).filter((item) => item.outcome === 'committed');
  const opened = items.flatMap(({ operation, outcome }) => (operation.kind === 'open' && outcome === 'committed' ? [operation] : []));
  const sessions = new Map([
    ...opened.map(({ id, session }): [string, string] => [id, session]),
    ...won.filter((item) => !item.hasSession).map(({ operation }): [string, string] => [operation.sessionId, operation.session]),
  ].reverse());
  const hops = new Map(won.filter((item) => !item.hasHop).map(({ operation }): [string, string] => [operation.hopId, operation.hop]).reverse());
  const fresh = newestShown(won.filter(({ operation, hasSession }) => hasSession || sessions.get(operation.sessionId) !== operation.session));
  const budgets = opened.flatMap(({ budgets: rows }) => rows);
  if (sessions.size > 0) await query(statements.session, sorted(sessions));
  if (hops.size > 0) await query(statements.hop, sorted(hops));
  if (fresh.size > 0) await query(statements.refresh, sorted(fresh));
  if (budgets.length > 0) await query(statements.openBudgets, joinRows(budgets));
};

/** The newest of what was shown for each session: of several rows for one, which an update takes is anybody's guess. Encoded times sort by age. */
const newestShown = (items: readonly IssueItem[]): ReadonlyMap<string, string> =>
  new Map(items.flatMap(({ operation: { sessionId, fresh } }): (readonly [string, string])[] => (fresh === null ? [] : [[sessionId, fresh]])).sort(([, a], [, b]) => compare(a, b)));

const sorted = (rows: ReadonlyMap<string, string>): string => joinRows([...rows].sort(([a], [b]) => compare(a, b)).map(([, row]) => row));

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const replyTo = ({ operation, outcome }: Item, ledger: Ledger): Reply => {
  if (outcome === 'open') throw new Error('an item was neither committed nor refused');
  if (operation.kind === 'spend') return outcome === 'committed' ? ledger.spent(operation.session) : null;
  if (operation.kind === 'open') return outcome === 'committed' || outcome === 'exists' ? outcome : 'revoked';
  if (operation.kind === 'consume') return outcome === 'committed';
  if (operation.kind === 'append') return null;
  if (outcome === 'exists') throw new Error('an issuance was answered like the opening of a task');
  return outcome;
};
