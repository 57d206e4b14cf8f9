import { auditText } from '../../core/hash-chain.ts';
import { parseId } from '../../core/ids.ts';
import type { DomainId } from '../../core/ids.ts';
import type { Json } from '../../core/json.ts';
import type { Statements } from '../sql/statements.ts';
import { encodeTime, joinRows } from '../sql/tables.ts';
import type { Query } from './connection.ts';
import type { EncodedApproval, EncodedEvent, RegistryOperation, SharedOperation, SingleOperation } from './operations.ts';

type Issue = Extract<SharedOperation, { kind: 'issue' }>;
type Approving<K extends EncodedApproval['kind']> = Issue & { readonly approval: Extract<EncodedApproval, { kind: K }> };
const of = <K extends EncodedApproval['kind']>(kind: K, operations: readonly Issue[]): readonly Approving<K>[] => operations.filter((operation): operation is Approving<K> => operation.approval?.kind === kind);

/** Issuances, by id, that would have too much wait for people. Those before them in the batch count. */
export const findCrowded = async (query: Query, statements: Statements['approvals'], operations: readonly Issue[]): Promise<ReadonlySet<string>> => {
  const asking = of('ask', operations);
  const crowded = new Set<string>();
  if (asking.length === 0) return crowded;
  const rows = new Map((await query(statements.crowd, joinRows(asking.map(({ approval }) => approval.claim)))).map((row) => [String(row.id), row]));
  const [byWorkload, bySession] = [new Map<string, number>(), new Map<string, number>()];
  for (const { id, approval } of asking) {
    const row = rows.get(approval.id);
    const [beside, within] = [byWorkload.get(approval.workload) ?? 0, bySession.get(approval.session) ?? 0];
    const { waiting, inSession, recent } = approval.bounds;
    // What was not counted has no room.
    const fits = row !== undefined && Number(row.waiting) + beside < waiting && Number(row.in_session) + within < inSession && Number(row.recent) + beside < recent;
    if (!fits) {
      crowded.add(id);
      continue;
    }
    byWorkload.set(approval.workload, beside + 1);
    bySession.set(approval.session, within + 1);
  }
  return crowded;
};

/** Issuances, by id, whose approval can be used up now. Of several in one batch the first asks for it, and the others get nothing. */
export const findRedeemable = async (query: Query, statements: Statements['approvals'], operations: readonly Issue[]): Promise<ReadonlySet<string>> => {
  const first = new Map<string, Approving<'redeem'>>();
  for (const operation of of('redeem', operations)) if (!first.has(operation.approval.id)) first.set(operation.approval.id, operation);
  if (first.size === 0) return new Set();
  const sorted = [...first.values()].sort((a, b) => (a.approval.id < b.approval.id ? -1 : 1));
  const found = new Set((await query(statements.redeemable, joinRows(sorted.map(({ approval }) => approval.row)))).map((row) => String(row.id)));
  return new Set(sorted.filter(({ approval }) => found.has(approval.id)).map(({ id }) => id));
};

/** Uses up the approvals of issuances that won: nothing after this can refuse them, and what was found cannot have changed since. */
export const redeem = async (query: Query, statements: Statements['approvals'], operations: readonly Issue[]): Promise<void> => {
  const rows = of('redeem', operations).map(({ approval }) => approval.row);
  if (rows.length === 0) return;
  const used = await query(statements.redeem, joinRows(rows));
  if (used.length !== rows.length) throw new Error('an approval was used up behind the back of this transaction');
};

const holds = async (query: Query, statements: Statements['retention'], { job, now }: Pick<Extract<SingleOperation, { kind: 'note-notice' }>, 'job' | 'now'>): Promise<boolean> =>
  (await query(statements.fence, JSON.stringify([{ ...job, now: encodeTime(now) }]))).length > 0;

/** Ends what is over, and gives what the audit log says of it. */
export const expireApprovals = async (query: Query, { approvals, retention }: Pick<Statements, 'approvals' | 'retention'>, operation: Extract<RegistryOperation, { kind: 'expire-approvals' }>): Promise<readonly EncodedEvent[]> => {
  if (!(await holds(query, retention, operation))) return [];
  const { now, limit } = operation;
  const rows = await query(approvals.expire, JSON.stringify([{ now: encodeTime(now), room: limit }]));
  return rows.map((row) => {
    const domainId = String(row.domain_id) as DomainId;
    const body = { approval: parseId('approval', String(row.id)) ?? null, session: String(row.session_id), workload: String(row.workload_id), names: JSON.parse(String(row.names)) as Json };
    return { at: now, action: 'approval.expired', domainId, text: auditText({ at: now, action: 'approval.expired', domainId, body }) };
  });
};

export const noteNotice = async (query: Query, { approvals, retention }: Pick<Statements, 'approvals' | 'retention'>, operation: Extract<SingleOperation, { kind: 'note-notice' }>): Promise<boolean> =>
  (await holds(query, retention, operation)) && (await query(approvals.notice, `[${operation.row}]`)).length > 0;
