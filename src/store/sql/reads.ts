import { quote } from './dialect.ts';
import type { Dialect } from './dialect.ts';
import { encodeTime, HOP, LEASE, SESSION } from './tables.ts';
import type { Column } from './tables.ts';

/** One SQL text with its numbered parameters. */
export interface Query { readonly sql: string; readonly parameters: readonly unknown[] }

/** Collects conditions and the values they bind. */
export interface Conditions { bind(value: unknown): string; add(condition: string): void }

/** Leases with session, hop and the earliest standing revocation on their path: one statement, so all of it is of one moment. */
export const leaseStandings = (dialect: Dialect, choose: (conditions: Conditions) => string): Query =>
  build(dialect, (conditions) => {
    const rest = choose(conditions);
    return { select: `SELECT ${LEASE_COLUMNS}, ${SESSION_COLUMNS}, ${HOP_COLUMNS}, ${leaseRevokedBy(dialect)} AS "revokedBy", ${leaseSuspendedBy(dialect)} AS "suspendedBy" FROM lease l JOIN session s ON s.id = l.session_id JOIN hop h ON h.id = l.hop_id`, rest };
  });

/** Sessions with the earliest standing revocation of what they rest on. */
export const sessionStandings = (dialect: Dialect, choose: (conditions: Conditions) => string): Query =>
  build(dialect, (conditions) => {
    const rest = choose(conditions);
    return { select: `SELECT ${SESSION_COLUMNS}, ${revokedBy(SESSION_TARGETS)} AS "revokedBy", ${suspendedBy(SESSION_TARGETS)} AS "suspendedBy" FROM session s`, rest };
  });

/** Over the tables l, s and h: the target of the revocation under which the lease fell first, or null. */
export const leaseRevokedBy = (dialect: Dialect): string =>
  revokedBy(`SELECT p.value AS value FROM ${dialect.strings('h.path', 'p')} UNION ALL SELECT 'lease:' || l.id UNION ALL SELECT 'key:' || l.kid`);

/** Over the tables l, s and h: the target of a suspension of what the lease rests on, or null. */
export const leaseSuspendedBy = (dialect: Dialect): string => suspendedBy(`SELECT p.value AS value FROM ${dialect.strings('h.path', 'p')}`);

// Whose session it is, and the person accountable for it: in the delegated model the same.
export const SESSION_TARGETS = `SELECT 'session:' || s.id AS value UNION ALL SELECT 'workload:' || s.holder UNION ALL SELECT 'person:' || s.principal
  UNION ALL SELECT 'issuer:' || s.issuer_id UNION ALL SELECT 'domain:' || s.domain_id`;

// One index probe per target, by a scalar subquery, which no planner turns around: PostgreSQL takes every JSON array for a
// hundred members, and as a join it walks all revocations instead. One that was lifted still stands against the sessions
// that began before it.
const STANDING = "(SELECT min(r.seq) FROM revocation r WHERE r.target = t.value AND r.effect = 'revoked' AND (r.enabled_seq IS NULL OR r.seq > s.began_version))";

const revokedBy = (targets: string): string => `(SELECT f.target FROM (SELECT t.value AS target, ${STANDING} AS seq FROM (${targets}) t) f WHERE f.seq IS NOT NULL ORDER BY f.seq LIMIT 1)`;

/** Over the session s: the seq of the revocation under which what rests on these targets fell first, or null. */
export const fellUnder = (targets: string): string => `(SELECT min(f.seq) FROM (SELECT ${STANDING} AS seq FROM (${targets}) t) f)`;

const suspendedBy = (targets: string): string =>
  `(SELECT f.target FROM (SELECT t.value AS target, (SELECT min(r.seq) FROM revocation r WHERE r.target = t.value AND r.effect = 'suspended' AND r.enabled_seq IS NULL) AS seq
    FROM (${targets}) t) f WHERE f.seq IS NOT NULL ORDER BY f.seq LIMIT 1)`;

/** Sessions that a workload's leases belong to and that are not its own: of `limit` leases, the newest first, along the index on workload and time. */
export const joinedSessions = (dialect: Dialect, workload: string, since: string, limit: number, after: { readonly at: string; readonly id: string } | undefined): Query => {
  const parameters: unknown[] = [workload, since, limit, ...(after === undefined ? [] : [after.at, after.id])];
  const from = after === undefined ? '' : 'AND (l.issued_at, l.id) < ($4, $5)';
  return {
    sql: dialect.parameters(`SELECT p.id, p.issued_at AS "issuedAt", p.session_id AS "sessionId", s.holder FROM (SELECT l.id, l.issued_at, l.session_id FROM lease l WHERE l.workload_id = $1 AND l.issued_at > $2 ${from}
      ORDER BY l.issued_at DESC, l.id DESC LIMIT $3) p JOIN session s ON s.id = p.session_id ORDER BY p.issued_at DESC, p.id DESC`),
    parameters,
  };
};

/** Over an instance `i` and its session `s`: nothing that both rest on ended before its time. What fell by a hop or hand-over alone counts until the session is over. */
export const countsAsLive = (): string => `s.ended_at IS NULL AND ${revokedBy(`${SESSION_TARGETS} UNION ALL SELECT 'workload:' || i.id UNION ALL SELECT 'workload:' || i.template_id`)} IS NULL`;

/** How many instances of each template count against its `max_live`. */
export const liveInstances = (dialect: Dialect, templates: readonly string[], now: string): Query =>
  build(dialect, (where) => {
    where.add(dialect.among('i.template_id', where.bind(JSON.stringify(templates))));
    where.add(`i.expires_at > ${where.bind(now)} AND ${countsAsLive()}`);
    return { select: 'SELECT i.template_id AS "templateId", count(*) AS live FROM instance i JOIN session s ON s.id = i.session_id', rest: 'GROUP BY i.template_id' };
  });

/** Sequence numbers of what is registered now, by name: along the index on kind, domain and name. */
export const currentEntries = (dialect: Dialect, filter: { readonly kind: string; readonly domainId: string; readonly name?: string }, page: { readonly limit: number; readonly after: string | undefined }): Query =>
  build(dialect, (where) => {
    where.add(`e.kind = ${where.bind(filter.kind)} AND e.domain_id = ${where.bind(filter.domainId)} AND NOT e.ended`);
    where.add('NOT EXISTS (SELECT 1 FROM entry later WHERE later.id = e.id AND later.version > e.version)');
    if (filter.name !== undefined) where.add(`e.name = ${where.bind(filter.name)}`);
    if (page.after !== undefined) where.add(`e.name > ${where.bind(page.after)}`);
    return { select: 'SELECT e.seq FROM entry e', rest: `ORDER BY e.name LIMIT ${where.bind(page.limit)}` };
  });

/**
 * What stood at a registry version, by domain and name. Rows are added, each under a version above all before, and never changed or
 * removed: what stood at one version can be asked for in several statements, and whatever was committed between them is not in it.
 */
export const entriesAt = (dialect: Dialect, version: number, filter: { readonly kind: string; readonly domainId?: string; readonly names?: readonly string[] }, page?: { readonly limit: number; readonly after: string | undefined }): Query =>
  build(dialect, (where) => {
    where.add(`e.kind = ${where.bind(filter.kind)}`);
    if (filter.domainId !== undefined) where.add(`e.domain_id = ${where.bind(filter.domainId)}`);
    if (filter.names !== undefined) where.add(dialect.among('e.name', where.bind(JSON.stringify(filter.names))));
    if (page?.after !== undefined) where.add(`e.name > ${where.bind(page.after)}`);
    // A scalar subquery is one index probe for each row; a join over all entries would be made anew for every page. And `>=`, since
    // PostgreSQL takes `=` for so rare that it would read a whole domain to find a page of it.
    const at = where.bind(version);
    where.add(`NOT e.ended AND e.seq <= ${at} AND e.version >= (SELECT max(v.version) FROM entry v WHERE v.id = e.id AND v.seq <= ${at})`);
    return { select: `SELECT ${STANDING_COLUMNS} FROM entry e`, rest: `ORDER BY e.domain_id, e.name${page === undefined ? '' : ` LIMIT ${where.bind(page.limit)}`}` };
  });

/**
 * Sessions that still run among the newest leases of a workload, and how many of those were looked at: what it costs is bounded, however
 * many leases a workload has. A row without a session when there is none.
 */
export const sessionsWith = (dialect: Dialect, workload: string, leaseKind: string, newest: number, now: number): Query => {
  const looked = '(SELECT n.session_id, n.kind FROM lease n WHERE n.workload_id = $1 ORDER BY n.issued_at DESC LIMIT $2)';
  return {
    sql: dialect.parameters(`SELECT f.id, c.looked FROM (SELECT count(*) AS looked FROM ${looked} l) c
      LEFT JOIN (SELECT DISTINCT s.id FROM ${looked} l JOIN session s ON s.id = l.session_id WHERE l.kind = $3 AND s.ended_at IS NULL AND s.expires_at > $4) f ON true`),
    parameters: [workload, newest, leaseKind, encodeTime(now)],
  };
};

/** Names of all chains by one index probe each: `DISTINCT` would read the whole log. */
export const chainNames = (table: 'audit' | 'checkpoint'): string =>
  `WITH RECURSIVE found(chain) AS (SELECT min(chain) FROM ${table} UNION ALL SELECT (SELECT min(a.chain) FROM ${table} a WHERE a.chain > found.chain) FROM found WHERE found.chain IS NOT NULL)
  SELECT chain FROM found WHERE chain IS NOT NULL`;

const build = (dialect: Dialect, compose: (conditions: Conditions) => { readonly select: string; readonly rest: string }): Query => {
  const parameters: unknown[] = [];
  const added: string[] = [];
  const { select, rest } = compose({ bind: (value) => `$${parameters.push(value)}`, add: (condition) => { added.push(condition); } });
  return { sql: dialect.parameters(`${select} WHERE ${['true', ...added].join(' AND ')} ${rest}`), parameters };
};

/** Columns named as Prisma names them, so that the same mappers read them. */
const named = (alias: string, prefix: string, table: { readonly columns: readonly Column[]; readonly properties: readonly string[] }): string =>
  table.columns.map((column, index) => `${alias}.${quote(column.name)} AS "${prefix}.${table.properties[index] ?? ''}"`).join(', ');

const LEASE_COLUMNS = named('l', 'lease', LEASE);
const HOP_COLUMNS = named('h', 'hop', HOP);
const STANDING_COLUMNS = 'e.id, e.version, e.kind, e.domain_id AS "domainId", e.name, e.body';
// The beginning is the one column of a session that the inserting statement computes.
const SESSION_COLUMNS = `${named('s', 'session', SESSION)}, s.began_version AS "session.beganVersion"`;
