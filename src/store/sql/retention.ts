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
  const goneSessions = `
    SELECT s.id FROM (SELECT DISTINCT id FROM entry WHERE kind = 'domain') d JOIN session s ON s.domain_id = d.id AND s.started_at < ${bound('leases')}
    WHERE s.expires_at < ${bound('leases')} AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.session_id = s.id)
    ${room}`;
  return {
    /** Locks the job's row on PostgreSQL, so that nobody takes the job over before these deletions committed. */
    fence: statement(dialect, 'fence', `SELECT j.name FROM job j JOIN ${values(dialect, { name: 'text', fence: 'bigint', now: 'time' })} ON x.name = j.name AND x.fence = j.fence WHERE j.until > x.now${dialect.engine === 'sqlite' ? '' : ' FOR UPDATE OF j'}`),
    rows: [
      statement(dialect, 'purge_replay', `DELETE FROM replay WHERE "key" IN (SELECT "key" FROM replay WHERE expires_at < ${bound('now')} ORDER BY expires_at ${room}) RETURNING 1 AS gone`),
      // What expired before a time was issued before it, and ids sort by age: the primary key leads to the old ones.
      statement(dialect, 'purge_lease', `DELETE FROM lease WHERE id IN (SELECT id FROM lease WHERE id < ${bound('lease_ids')} AND expires_at < ${bound('leases')} AND (replay_until IS NULL OR replay_until < ${bound('now')}) ORDER BY id ${room}) RETURNING 1 AS gone`),
      statement(dialect, 'purge_approval', `DELETE FROM approval WHERE id IN (SELECT id FROM approval WHERE asked_at < ${bound('leases')} AND expires_at < ${bound('leases')} ORDER BY asked_at ${room}) RETURNING 1 AS gone`),
      // Hops first: a session row is what finds them. Sessions start before they expire, so the index on the start leads there.
      statement(dialect, 'purge_hop', `DELETE FROM hop WHERE id IN (SELECT h.id FROM hop h WHERE h.session_id IN (${goneSessions}) AND h.expires_at < ${bound('leases')} ${room}) RETURNING 1 AS gone`),
      statement(dialect, 'purge_session', `DELETE FROM session WHERE id IN (${goneSessions.replace(room, `AND NOT EXISTS (SELECT 1 FROM hop h WHERE h.session_id = s.id) ${room}`)}) RETURNING 1 AS gone`),
      statement(dialect, 'purge_instance', `DELETE FROM instance WHERE seq IN (SELECT seq FROM instance WHERE expires_at < ${bound('leases')} ORDER BY expires_at ${room}) RETURNING 1 AS gone`),
      // What was not told of yet stays, where there is somebody to tell; likewise while its lift was not.
      statement(dialect, 'purge_revocation', `DELETE FROM revocation WHERE ${dialect.amongThose('seq', `SELECT r.seq FROM revocation r WHERE r.purge_after < ${bound('now')}
        AND (coalesce(r.enabled_seq, r.seq) <= (SELECT min(c.seq) FROM ssf_cursor c) OR NOT EXISTS (SELECT 1 FROM ssf_stream t WHERE t.domain_id = r.domain_id)) ORDER BY r.purge_after ${room}`)} RETURNING 1 AS gone`),
      // The oldest of each stream: all of one that is deleted, of others what is done with and is no longer needed to know it again.
      statement(dialect, 'purge_ssf_event', `DELETE FROM ssf_event WHERE (stream_id, n) IN (SELECT e.stream_id, e.n
        FROM (SELECT t.id, t.status, t.floor, (SELECT min(m.n) FROM ssf_event m WHERE m.stream_id = t.id) + (SELECT x.room FROM ${bounds}) AS until FROM ssf_stream t) s
        JOIN ssf_event e ON e.stream_id = s.id AND e.n <= CASE WHEN s.floor < s.until THEN s.floor ELSE s.until END
        WHERE s.status = 'deleted' OR e."at" < ${bound('signals')} ${room}) RETURNING 1 AS gone`),
      statement(dialect, 'purge_ssf_stream', `DELETE FROM ssf_stream WHERE id IN (SELECT s.id FROM ssf_stream s WHERE s.status = 'deleted' AND NOT EXISTS (SELECT 1 FROM ssf_event e WHERE e.stream_id = s.id) ${room}) RETURNING 1 AS gone`),
      statement(dialect, 'purge_cascade', `DELETE FROM "cascade" WHERE seq IN (SELECT seq FROM "cascade" WHERE purge_after < ${bound('now')} AND due IS NULL ${room}) RETURNING 1 AS gone`),
      statement(dialect, 'purge_denial', `DELETE FROM denial WHERE id IN (SELECT id FROM denial WHERE "at" < ${bound('history')} ORDER BY "at" ${room}) RETURNING 1 AS gone`),
      statement(dialect, 'purge_status_list', `DELETE FROM status_list WHERE id IN (SELECT id FROM status_list WHERE until < ${bound('now')} ${room}) RETURNING 1 AS gone`),
      statement(dialect, 'purge_job', `DELETE FROM job WHERE name IN (SELECT name FROM job WHERE name LIKE 'audit:%' AND until < ${bound('jobs')} ${room}) RETURNING 1 AS gone`),
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
