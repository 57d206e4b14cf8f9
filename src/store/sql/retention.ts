import { statement, values } from './dialect.ts';
import type { Dialect, Statement } from './dialect.ts';

/** What a purge may need: the times before which things go, and how many rows may go. */
const BOUNDS = { now: 'time', leases: 'time', lease_ids: 'text', history: 'time', jobs: 'time', signals: 'time', room: 'integer' } as const;

/** Entries of one chain that go together. */
const STRETCH = { chain: 'text', until: 'bigint' } as const;

/** Statements of the purge. `rows` are plain deletions, in order; the audit goes by whole sealed stretches. */
export const retentionStatements = (dialect: Dialect) => {
  const bounds = values(dialect, BOUNDS);
  const room = `LIMIT (SELECT x.room FROM ${bounds})`;
  const bound = (column: keyof typeof BOUNDS): string => `(SELECT x.${column} FROM ${bounds})`;
  const stretch = (column: keyof typeof STRETCH): string => `(SELECT x.${column} FROM ${values(dialect, STRETCH)})`;
  /** Rows that a query names by their key. */
  const purge = (name: string, table: string, key: string, chosen: string): Statement => statement(dialect, name, `DELETE FROM ${table} WHERE ${dialect.amongThose(key, chosen)} RETURNING 1 AS gone`);
  const goneSessions = `
    SELECT s.id FROM (SELECT DISTINCT id FROM entry WHERE kind = 'domain') d JOIN session s ON s.domain_id = d.id AND s.started_at < ${bound('leases')}
    WHERE s.expires_at < ${bound('leases')} AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.session_id = s.id)
    ${room}`;
  return {
    /** Locks the job's row on PostgreSQL, so that nobody takes the job over before these deletions committed. */
    fence: statement(dialect, 'fence', `SELECT j.name FROM job j JOIN ${values(dialect, { name: 'text', fence: 'bigint', now: 'time' })} ON x.name = j.name AND x.fence = j.fence WHERE j.until > x.now${dialect.engine === 'sqlite' ? '' : ' FOR UPDATE OF j'}`),
    rows: [
      purge('purge_replay', 'replay', '"key"', `SELECT "key" FROM replay WHERE expires_at < ${bound('now')} ORDER BY expires_at ${room}`),
      // What expired before a time was issued before it, and ids sort by age: the primary key leads to the old ones.
      purge('purge_lease', 'lease', 'id', `SELECT id FROM lease WHERE id < ${bound('lease_ids')} AND expires_at < ${bound('leases')} AND (replay_until IS NULL OR replay_until < ${bound('now')}) ORDER BY id ${room}`),
      purge('purge_approval', 'approval', 'id', `SELECT id FROM approval WHERE asked_at < ${bound('leases')} AND expires_at < ${bound('leases')} ORDER BY asked_at ${room}`),
      // Hops first: a session row is what finds them. Sessions start before they expire, so the index on the start leads there.
      purge('purge_hop', 'hop', 'id', `SELECT h.id FROM hop h WHERE h.session_id IN (${goneSessions}) AND h.expires_at < ${bound('leases')} ${room}`),
      purge('purge_session', 'session', 'id', `${goneSessions.replace(room, `AND NOT EXISTS (SELECT 1 FROM hop h WHERE h.session_id = s.id) ${room}`)}`),
      purge('purge_instance', 'instance', 'seq', `SELECT seq FROM instance WHERE expires_at < ${bound('leases')} ORDER BY expires_at ${room}`),
      // What was not told of yet stays, where there is somebody to tell; likewise while its lift was not.
      purge('purge_revocation', 'revocation', 'seq', `SELECT r.seq FROM revocation r WHERE r.purge_after < ${bound('now')}
        AND (coalesce(r.enabled_seq, r.seq) <= (SELECT min(c.seq) FROM ssf_cursor c) OR NOT EXISTS (SELECT 1 FROM ssf_stream t WHERE t.domain_id = r.domain_id)) ORDER BY r.purge_after ${room}`),
      // The oldest of each stream: all of one that is deleted, of others what is done with and is no longer needed to know it again.
      statement(dialect, 'purge_ssf_event', `DELETE FROM ssf_event WHERE (stream_id, n) IN (SELECT e.stream_id, e.n
        FROM (SELECT t.id, t.status, t.floor, (SELECT min(m.n) FROM ssf_event m WHERE m.stream_id = t.id) + (SELECT x.room FROM ${bounds}) AS until FROM ssf_stream t) s
        JOIN ssf_event e ON e.stream_id = s.id AND e.n <= CASE WHEN s.floor < s.until THEN s.floor ELSE s.until END
        WHERE s.status = 'deleted' OR e."at" < ${bound('signals')} ${room}) RETURNING 1 AS gone`),
      purge('purge_ssf_stream', 'ssf_stream', 'id', `SELECT s.id FROM ssf_stream s WHERE s.status = 'deleted' AND NOT EXISTS (SELECT 1 FROM ssf_event e WHERE e.stream_id = s.id) ${room}`),
      purge('purge_cascade', '"cascade"', 'seq', `SELECT seq FROM "cascade" WHERE purge_after < ${bound('now')} AND due IS NULL ${room}`),
      purge('purge_denial', 'denial', 'id', `SELECT id FROM denial WHERE "at" < ${bound('history')} ORDER BY "at" ${room}`),
      purge('purge_status_list', 'status_list', 'id', `SELECT id FROM status_list WHERE until < ${bound('now')} ${room}`),
      purge('purge_job', 'job', 'name', `SELECT name FROM job WHERE name LIKE 'audit:%' AND until < ${bound('jobs')} ${room}`),
    ] satisfies readonly Statement[],
    /** Per chain with entries under an old checkpoint: its first entry, the last old checkpoint, and where a stretch of at most `room` entries ends. */
    sealed: statement(dialect, 'sealed', `
      SELECT o.chain, o.first, o.last,
        coalesce((SELECT max(c.n) FROM checkpoint c WHERE c.chain = o.chain AND c.n <= o.last AND c.n < o.first + x.room),
                 (SELECT min(c.n) FROM checkpoint c WHERE c.chain = o.chain AND c.n >= o.first)) AS until
      FROM (SELECT c.chain, max(c.n) AS last, (SELECT min(a.n) FROM audit a WHERE a.chain = c.chain) AS first
            FROM checkpoint c WHERE c."at" < ${bound('history')} GROUP BY c.chain) o CROSS JOIN ${bounds}
      WHERE o.first <= o.last ORDER BY o.chain LIMIT 1`),
    purgeAudit: statement(dialect, 'purge_audit', `DELETE FROM audit WHERE chain = ${stretch('chain')} AND n <= ${stretch('until')} RETURNING 1 AS gone`),
    /** Older seals of entries that are gone; the newest stays. */
    purgeSeals: statement(dialect, 'purge_seals', `DELETE FROM checkpoint WHERE chain = ${stretch('chain')} AND n < ${stretch('until')} RETURNING 1 AS gone`),
  };
};
