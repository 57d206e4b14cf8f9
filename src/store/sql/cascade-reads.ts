import type { CascadeSource, PageAfter } from '../cascades.ts';
import type { Dialect } from './dialect.ts';
import { fellUnder, SESSION_TARGETS } from './reads.ts';
import type { Query } from './reads.ts';
import { encodeTime } from './tables.ts';

/**
 * One page of a source, newest first, along an index that ends in the time. Its length bounds the rows that are looked at,
 * not those that rest on the target: no page takes longer because little is found.
 */
export const sourcePage = (dialect: Dialect, source: CascadeSource, at: number, limit: number, after: PageAfter | undefined): Query =>
  query(dialect, (bind) => {
    const { table, time, id, columns } = TABLES[source.kind];
    const behind = after === undefined ? '' : ` AND (${time}, ${id}) < (${bind(encodeTime(after.at))}, ${bind(after.id)})`;
    const now = bind(encodeTime(at));
    return `
      SELECT p.id, p.moment, p.session_id AS "sessionId",
        coalesce((SELECT s.expires_at > ${now} AND (s.ended_at IS NULL OR s.ended_at > ${now}) AND ${restsOn(dialect, source, bind, now)} FROM session s WHERE s.id = p.session_id), false) AS rests
      FROM (SELECT ${columns}, ${time} AS moment FROM ${table} t
        WHERE t.${source.by} = ${bind(source.value)} AND ${time} >= ${bind(encodeTime(source.since))}${behind} ORDER BY ${time} DESC, ${id} DESC LIMIT ${bind(limit)}) p
      ORDER BY p.moment DESC, p.id DESC`;
  });

/** What each kind is paged by; several instances of one session at one moment name it once. */
const TABLES: Readonly<Record<CascadeSource['kind'], { readonly table: string; readonly time: string; readonly id: string; readonly columns: string }>> = {
  sessions: { table: 'session', time: 't.started_at', id: 't.id', columns: 't.id, t.id AS session_id' },
  leases: { table: 'lease', time: 't.issued_at', id: 't.id', columns: 't.id, t.session_id, t.kid, t.expires_at' },
  instances: { table: 'instance', time: 't.expires_at', id: 't.session_id', columns: 't.session_id AS id, t.session_id' },
};

type Bind = (value: unknown) => string;

const restsOn = (dialect: Dialect, source: CascadeSource, bind: Bind, now: string): string => {
  // Whoever's session it is: those this workload holds are another source's.
  if (source.kind === 'leases') return source.kid === undefined ? `s.holder <> ${bind(source.value)}` : `p.kid = ${bind(source.kid)} AND p.expires_at > ${now}`;
  if (source.kind === 'instances' || source.issuer === undefined) return 'true';
  const target = bind(`issuer:${source.issuer}`);
  return `(s.issuer_id = ${bind(source.issuer)} OR EXISTS (SELECT 1 FROM hop h CROSS JOIN ${dialect.strings('h.path', 'e')} WHERE h.session_id = s.id AND e.value = ${target}))`;
};

/** Sessions, with the revocation under which each fell as a whole. */
export const sessionFalls = (dialect: Dialect, ids: readonly string[]): Query =>
  query(dialect, (bind) => `
    SELECT s.id, s.domain_id AS "domainId", s.issuer_id AS "issuerId", s.holder, s.model, s.principal, ${fellUnder(SESSION_TARGETS)} AS "fellUnder"
    FROM session s WHERE ${dialect.among('s.id', bind(JSON.stringify(ids)))}`);

/**
 * Sessions that go on from these in another domain: they are held by whom these are about (a person, or the first workload by its
 * name, as a session that goes on itself has them), begin after them, and are anchored in them.
 */
export const crossings = (dialect: Dialect, ids: readonly string[]): Query =>
  query(dialect, (bind) => `
    SELECT s.id FROM session o JOIN session s ON s.holder = CASE WHEN o.model = 'delegated' OR o.anchor LIKE 'crossing.%' THEN o.holder ELSE (SELECT min(h.actor) FROM hop h WHERE h.session_id = o.id AND h.parent_id IS NULL) END
      AND s.started_at >= o.started_at AND s.anchor = 'crossing.' || o.id
    WHERE ${dialect.among('o.id', bind(JSON.stringify(ids)))}`);

/** Leases of a session behind one of them, oldest first, along their index. What they fell under beside their hop is told by `fellUnder`. */
export const leasesOfSession = (dialect: Dialect, session: string, after: string, limit: number): Query =>
  query(dialect, (bind) => `${LEASE_FALLS} WHERE l.session_id = ${bind(session)} AND l.id > ${bind(after)} ORDER BY l.id LIMIT ${bind(limit)}`);

export const leaseFalls = (dialect: Dialect, ids: readonly string[]): Query => query(dialect, (bind) => `${LEASE_FALLS} WHERE ${dialect.among('l.id', bind(JSON.stringify(ids)))}`);

const LEASE_FALLS = `
  SELECT l.id, l.kind, l.session_id AS "sessionId", l.hop_id AS "hopId", l.handle, l.handle_kek_id AS "handleKekId", l.expires_at AS "expiresAt",
    ${fellUnder("SELECT 'lease:' || l.id AS value UNION ALL SELECT 'key:' || l.kid")} AS "fellUnder"
  FROM lease l JOIN session s ON s.id = l.session_id`;

/** Hops, with the revocation under which each fell. */
export const hopFalls = (dialect: Dialect, ids: readonly string[]): Query =>
  query(dialect, (bind) => `
    SELECT h.id, ${fellUnder(`SELECT p.value AS value FROM ${dialect.strings('h.path', 'p')}`)} AS "fellUnder"
    FROM hop h JOIN session s ON s.id = h.session_id WHERE ${dialect.among('h.id', bind(JSON.stringify(ids)))}`);

const query = (dialect: Dialect, compose: (bind: Bind) => string): Query => {
  const parameters: unknown[] = [];
  const sql = compose((value) => `$${parameters.push(value)}`);
  return { sql: dialect.parameters(sql), parameters };
};
