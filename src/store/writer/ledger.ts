import { joinRows } from '../sql/tables.ts';
import type { Statements } from '../sql/statements.ts';
import type { BudgetKind } from '../rows.ts';
import type { Query } from './connection.ts';
import type { SharedOperation } from './operations.ts';

/** The budgets of the tasks that one batch touches, locked until it commits, so that they hold across nodes. */
export interface Ledger {
  /** Whether what the operation uses fits at all, should none of the others come to use anything. */
  fits(operation: SharedOperation): boolean;
  /** Whether it still fits behind what was reserved before it; if so it is reserved. */
  reserve(operation: SharedOperation): boolean;
  /** Charges what the operations that committed used, and nothing of those that did not. */
  settle(committed: readonly SharedOperation[]): Promise<void>;
  /** What a task has spent, and may at most, after the last reservation. */
  spent(session: string): { readonly used: number; readonly most: number } | null;
}

interface Account { readonly most: number; used: number }
interface Use { readonly session: string; readonly kind: BudgetKind; readonly n: number; /** Counts once in a task, whoever uses it again. */ readonly value?: string }

export const openLedger = async (query: Query, statements: Statements['issue'], operations: readonly SharedOperation[]): Promise<Ledger> => {
  const uses = operations.flatMap(usesOf);
  const sessions = [...new Set(uses.map(({ session }) => session))].sort();
  const accounts = new Map<string, Account>();
  const known = new Set<string>();
  if (sessions.length > 0) {
    for (const row of await query(statements.budgets, JSON.stringify(sessions))) accounts.set(key(String(row.session_id), String(row.kind)), { most: Number(row.most), used: Number(row.used) });
    const once = uses.flatMap(({ session, kind, value }) => (value === undefined ? [] : [JSON.stringify({ session_id: session, kind, value })]));
    if (once.length > 0) for (const row of await query(statements.usesKnown, joinRows([...new Set(once)]))) known.add(key(String(row.session_id), String(row.kind), String(row.value)));
  }
  const before = new Set(known);

  /** Budgets a task does not have do not bind it; spending needs one. */
  const room = ({ session, kind, n, value }: Use): boolean => {
    if (value !== undefined && known.has(key(session, kind, value))) return true;
    const account = accounts.get(key(session, kind));
    return account === undefined ? kind !== 'spend' : account.used + n <= account.most;
  };
  const take = ({ session, kind, n, value }: Use): void => {
    if (value !== undefined && known.has(key(session, kind, value))) return;
    if (value !== undefined) known.add(key(session, kind, value));
    const account = accounts.get(key(session, kind));
    if (account !== undefined) account.used += n;
  };

  return {
    fits: (operation) => usesOf(operation).every(room),
    reserve(operation) {
      const own = usesOf(operation);
      if (!own.every(room)) return false;
      own.forEach(take);
      return true;
    },
    spent(session) {
      const account = accounts.get(key(session, 'spend'));
      return account === undefined ? null : { used: account.used, most: account.most };
    },
    async settle(committed) {
      const charges = new Map<string, Use>();
      const fresh = new Map<string, Use>();
      for (const use of committed.flatMap(usesOf)) {
        const { session, kind, n, value } = use;
        if (value !== undefined) {
          if (before.has(key(session, kind, value)) || fresh.has(key(session, kind, value))) continue;
          fresh.set(key(session, kind, value), use);
        }
        if (!accounts.has(key(session, kind))) continue;
        charges.set(key(session, kind), { session, kind, n: n + (charges.get(key(session, kind))?.n ?? 0) });
      }
      if (fresh.size > 0) await query(statements.uses, joinRows([...fresh.values()].map(({ session, kind, value }) => JSON.stringify({ session_id: session, kind, value }))));
      if (charges.size === 0) return;
      const charged = await query(statements.charge, joinRows([...charges.values()].map(({ session, kind, n }) => JSON.stringify({ session_id: session, kind, n }))));
      // INVARIANT: the rows are locked since they were read, so all of it fits. Anything else must not commit.
      if (charged.length !== charges.size) throw new Error('a budget was charged behind the back of this transaction');
    },
  };
};

const key = (...parts: readonly string[]): string => parts.join('\n');

const usesOf = (operation: SharedOperation): readonly Use[] => {
  if (operation.kind === 'spend') return [{ session: operation.session, kind: 'spend', n: operation.amount }];
  if (operation.kind !== 'issue' || operation.charge === null) return [];
  const { session, agent, resource } = operation.charge;
  const own: readonly Use[] = [{ session, kind: 'tokens', n: 1 }, { session, kind: 'agents', n: 1, value: agent }];
  return resource === null ? own : [...own, { session, kind: 'resources', n: 1, value: resource }];
};
