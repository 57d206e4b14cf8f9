import { isObject } from '../../core/json.ts';
import { rememberLast } from '../../core/remember.ts';
import type { ApprovalRow } from '../approval-rows.ts';
import type { AuditRow, BudgetRow, BudgetUseRow, CascadeRow, CascadeTaskRow, CheckpointRow, DenialRow, EntryRow, HopRow, InstanceRow, KeyRow, LeaseRow, RevocationRow, SessionRow } from '../rows.ts';
import type { SignalRow, StreamRow, SubjectRow } from '../signal-rows.ts';

/** Tables as hand-written SQL sees them: which column each property goes to, and in what form. */
export type ColumnType = 'text' | 'json' | 'integer' | 'bigint' | 'boolean' | 'time';
export interface Column { readonly name: string; readonly type: ColumnType }
export interface Table<Row> { readonly name: string; readonly columns: readonly Column[]; readonly properties: readonly (keyof Row & string)[] }

/** Columns of a JSON parameter that is no table's row. */
export const shape = (columns: Record<string, ColumnType>): readonly Column[] => Object.entries(columns).map(([name, type]) => ({ name, type }));

/** One row as the JSON text that reaches SQL, which takes an absent member for NULL. Put together as text: it is the larger part of handing a row over. */
export const encodeRow = <Row extends object>(table: Table<Row>, row: Row): string => {
  let members = '';
  let index = 0;
  for (const column of table.columns) {
    const property = table.properties[index++];
    const value: unknown = property === undefined ? null : row[property];
    if (value !== null && value !== undefined) members += `${members === '' ? '' : ','}"${column.name}":${encodeValue(column.type, value)}`;
  }
  return `{${members}}`;
};

/** Adds a member that is known only inside the transaction to a row that was encoded before it. */
export const withMember = (row: string, name: string, value: string | number): string => `{${JSON.stringify(name)}:${JSON.stringify(value)},${row.slice(1)}`;

export const joinRows = (rows: readonly string[]): string => `[${rows.join(',')}]`;

/** The text Prisma's libsql adapter writes into a DateTime column, in which times sort by age; PostgreSQL reads the same. */
export const encodeTime = rememberLast((milliseconds) => `${new Date(milliseconds).toISOString().slice(0, -1)}+00:00`);

/** A time as a hand-written statement reads it back: that text on SQLite, a `Date` on PostgreSQL. */
export const decodeTime = (value: unknown): number => (value instanceof Date ? value.getTime() : Date.parse(String(value)));

const encodeValue = (type: ColumnType, value: unknown): string => {
  if (type === 'json') return JSON.stringify(JSON.stringify(value));
  if (type === 'time' && typeof value === 'number') return `"${encodeTime(value)}"`;
  if (isObject(value) || type === 'time') throw new TypeError(`a value does not fit a column of type ${type}`);
  if (typeof value !== 'string') return JSON.stringify(value);
  return PLAIN.test(value) ? `"${value}"` : JSON.stringify(storable(value));
};

/** Stands in JSON as it is, as nearly every id, name and URL does. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/**
 * INVARIANT: every text column is UTF-8 without NUL, whoever chose the text. JSON can spell half a surrogate pair: SQLite would
 * store the broken bytes, and libsql ends the process that reads them; PostgreSQL refuses the row, as it does for NUL.
 */
export const storable = (value: string): string => value.toWellFormed().replaceAll('\0', '\ufffd');

const table = <Row>(name: string, columns: { readonly [P in keyof Row & string]-?: Column }): Table<Row> =>
  ({ name, columns: Object.values<Column>(columns), properties: Object.keys(columns) as (keyof Row & string)[] });

const text = (name: string): Column => ({ name, type: 'text' });
const json = (name: string): Column => ({ name, type: 'json' });
const integer = (name: string): Column => ({ name, type: 'integer' });
const bigint = (name: string): Column => ({ name, type: 'bigint' });
const boolean = (name: string): Column => ({ name, type: 'boolean' });
const time = (name: string): Column => ({ name, type: 'time' });

export const ENTRY = table<Omit<EntryRow, 'seq'>>('entry', {
  id: text('id'), version: integer('version'), kind: text('kind'), domainId: text('domain_id'), name: text('name'), body: json('body'), owner: text('owner'),
  expiresAt: time('expires_at'), ended: boolean('ended'), changedAt: time('changed_at'), changedBy: text('changed_by'),
});

export const SIGNING_KEY = table<Omit<KeyRow, 'seq'>>('signing_key', {
  kid: text('kid'), version: integer('version'), domainId: text('domain_id'), purpose: text('purpose'), algorithm: text('algorithm'), publicJwk: json('public_jwk'),
  sealed: text('sealed'), kekId: text('kek_id'), status: text('status'), notBefore: time('not_before'), notAfter: time('not_after'), changedAt: time('changed_at'),
});

export const REVOCATION = table<Omit<RevocationRow, 'seq' | 'enabledSeq' | 'enabledAt' | 'enabledBy'>>('revocation', { target: text('target'), domainId: text('domain_id'), effect: text('effect'), at: time('at'), by: text('by'), reason: text('reason'), purgeAfter: time('purge_after') });

export const CASCADE = table<CascadeRow>('cascade', {
  seq: bigint('seq'), target: text('target'), domainId: text('domain_id'), at: time('at'), due: time('due'), progress: json('progress'), steps: integer('steps'),
  sessions: integer('sessions'), leases: integer('leases'), takenBack: integer('taken_back'), honoured: integer('honoured'), honouredUntil: time('honoured_until'), doneAt: time('done_at'), purgeAfter: time('purge_after'),
});

export const CASCADE_TASK = table<CascadeTaskRow>('cascade_task', { seq: bigint('seq'), kind: text('kind'), ref: text('ref'), attempts: integer('attempts'), due: time('due') });

export const SESSION = table<Omit<SessionRow, 'beganVersion'>>('session', {
  id: text('id'), domainId: text('domain_id'), issuerId: text('issuer_id'), holder: text('holder'), model: text('model'), principal: text('principal'),
  anchor: text('anchor'), facts: json('facts'), startedAt: time('started_at'), expiresAt: time('expires_at'), endedAt: time('ended_at'), freshAt: time('fresh_at'),
});

export const HOP = table<HopRow>('hop', {
  id: text('id'), sessionId: text('session_id'), parentId: text('parent_id'), actor: text('actor'), workloadId: text('workload_id'), jkt: text('jkt'),
  ceiling: json('ceiling'), depth: integer('depth'), chain: json('chain'), path: json('path'), createdAt: time('created_at'), expiresAt: time('expires_at'),
});

export const INSTANCE = table<Omit<InstanceRow, 'seq'>>('instance', {
  id: text('id'), sessionId: text('session_id'), templateId: text('template_id'), domainId: text('domain_id'), name: text('name'), spiffeId: text('spiffe_id'),
  createdAt: time('created_at'), expiresAt: time('expires_at'),
});

export const LEASE = table<LeaseRow>('lease', {
  id: text('id'), kind: text('kind'), domainId: text('domain_id'), sessionId: text('session_id'), hopId: text('hop_id'), workloadId: text('workload_id'),
  owner: text('owner'), issuerId: text('issuer_id'), resourceId: text('resource_id'), audience: text('audience'), scope: text('scope'), ceiling: json('ceiling'),
  details: json('details'), decision: json('decision'), replayKey: text('replay_key'), replayUntil: time('replay_until'),
  credentialHash: text('credential_hash'), kid: text('kid'), jkt: text('jkt'), statusList: text('status_list'), statusIndex: integer('status_index'), handle: text('handle'), handleKekId: text('handle_kek_id'),
  issuedAt: time('issued_at'), expiresAt: time('expires_at'),
});

export const APPROVAL = table<ApprovalRow>('approval', {
  id: text('id'), domainId: text('domain_id'), sessionId: text('session_id'), hopId: text('hop_id'), workloadId: text('workload_id'), leaseId: text('lease_id'),
  codeHash: text('code_hash'), jkt: text('jkt'), frozen: text('frozen'), hash: text('hash'), names: json('names'), status: text('status'), revision: integer('revision'), votes: json('votes'),
  closedBy: text('closed_by'), reason: text('reason'), askedAt: time('asked_at'), expiresAt: time('expires_at'), decidedAt: time('decided_at'), redeemedAt: time('redeemed_at'),
  redeemedLease: text('redeemed_lease'), noticeAt: time('notice_at'), noticeAttempts: integer('notice_attempts'),
});

export const BUDGET = table<BudgetRow>('budget', { sessionId: text('session_id'), kind: text('kind'), most: bigint('most'), used: bigint('used') });

export const BUDGET_USE = table<BudgetUseRow>('budget_use', { sessionId: text('session_id'), kind: text('kind'), value: text('value') });

export const REPLAY = table<{ readonly key: string; readonly until: number }>('replay', { key: text('key'), until: time('expires_at') });

export const DENIAL = table<DenialRow>('denial', {
  id: text('id'), at: time('at'), domainId: text('domain_id'), workloadId: text('workload_id'), code: text('code'), detail: text('detail'), facts: json('facts'), count: integer('count'),
});

export const AUDIT = table<AuditRow>('audit', {
  chain: text('chain'), n: bigint('n'), at: time('at'), body: text('body'), action: text('action'), domainId: text('domain_id'), prev: text('prev'), hash: text('hash'), mac: text('mac'),
});

export const CHECKPOINT = table<CheckpointRow>('checkpoint', { chain: text('chain'), n: bigint('n'), hash: text('hash'), at: time('at'), kid: text('kid'), jws: text('jws') });

export const SSF_STREAM = table<Omit<StreamRow, 'beganSeq'>>('ssf_stream', {
  id: text('id'), version: integer('version'), domainId: text('domain_id'), workloadId: text('workload_id'), audience: text('audience'), eventsRequested: json('events_requested'), method: text('method'),
  endpointUrl: text('endpoint_url'), authorization: text('secret'), authorizationKekId: text('secret_kek_id'), description: text('description'), status: text('status'), reason: text('reason'),
  createdAt: time('created_at'), changedAt: time('changed_at'), verifiedAt: time('verified_at'),
  lastN: bigint('last_n'), floor: bigint('floor'), pending: bigint('pending'), notice: bigint('notice'), overflowed: boolean('overflowed'), lost: bigint('lost'), lostSince: time('lost_since'),
});

export const SSF_SUBJECT = table<SubjectRow>('ssf_subject', { streamId: text('stream_id'), key: text('key'), subject: json('subject'), since: time('since') });

export const SSF_EVENT = table<SignalRow>('ssf_event', {
  streamId: text('stream_id'), n: bigint('n'), dedupeKey: text('dedupe_key'), type: text('type'), subject: json('subject'), payload: json('payload'), txn: text('txn'), at: time('at'), doneAt: time('done_at'), error: text('error'),
});
