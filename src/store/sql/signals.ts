import { insertRows, statement, values } from './dialect.ts';
import type { Dialect } from './dialect.ts';
import { SSF_EVENT, SSF_STREAM, SSF_SUBJECT, shape } from './tables.ts';

const CHOICE = { id: 'text', version: 'integer', events_requested: 'json', method: 'text', endpoint_url: 'text', secret: 'text', secret_kek_id: 'text', description: 'text', changed_at: 'time' } as const;
const STATUS = { id: 'text', version: 'integer', status: 'text', reason: 'text', changed_at: 'time' } as const;
const TALLY = { id: 'text', last_n: 'bigint', pending: 'bigint', lost: 'bigint', lost_since: 'time', notice: 'bigint', overflowed: 'boolean', status: 'text', reason: 'text', version: 'integer', changed_at: 'time' } as const;
const DONE = { stream_id: 'text', n: 'bigint', done_at: 'time', error: 'text' } as const;
const REWRAP = { id: 'text', was: 'text', secret: 'text', secret_kek_id: 'text' } as const;

/** Statements of the event streams. Every write to a stream's outbox locks its row first, so numbers appear in order. */
export const signalStatements = (dialect: Dialect) => {
  const lock = dialect.engine === 'sqlite' ? '' : ' FOR UPDATE';
  const one = <C extends Record<string, Parameters<typeof shape>[0][string]>>(columns: C): string => values(dialect, columns);
  return {
    /** A stream more, unless the workload has so many. */
    create: statement(dialect, 'ssf_create', insertRows(dialect, SSF_STREAM, 'RETURNING id', { began_seq: 'coalesce((SELECT max(version) FROM registry_version), 0)' })),
    owned: statement(dialect, 'ssf_owned', `SELECT count(*) AS n FROM ssf_stream s JOIN ${one({ domain_id: 'text', workload_id: 'text' })} ON s.domain_id = x.domain_id AND s.workload_id = x.workload_id WHERE s.status <> 'deleted'`),
    choose: statement(dialect, 'ssf_choose', `
      UPDATE ssf_stream SET version = ssf_stream.version + 1, events_requested = x.events_requested, method = x.method, endpoint_url = x.endpoint_url, secret = x.secret, secret_kek_id = x.secret_kek_id,
        description = x.description, changed_at = x.changed_at FROM ${one(CHOICE)} WHERE ssf_stream.id = x.id AND ssf_stream.version = x.version AND ssf_stream.status <> 'deleted' RETURNING ssf_stream.id`),
    /** What a disabled or deleted stream held is void. Enabled again, it keeps what comes from now on. */
    setStatus: statement(dialect, 'ssf_set_status', `
      UPDATE ssf_stream SET version = ssf_stream.version + 1, status = x.status, reason = x.reason, changed_at = x.changed_at,
        floor = CASE WHEN x.status IN ('disabled', 'deleted') THEN ssf_stream.last_n ELSE ssf_stream.floor END,
        pending = CASE WHEN x.status IN ('disabled', 'deleted') THEN 0 ELSE ssf_stream.pending END,
        notice = CASE WHEN x.status = 'paused' THEN ssf_stream.notice END,
        secret = CASE WHEN x.status <> 'deleted' THEN ssf_stream.secret END, secret_kek_id = CASE WHEN x.status <> 'deleted' THEN ssf_stream.secret_kek_id END,
        overflowed = (ssf_stream.overflowed AND x.status = 'paused'), lost = CASE WHEN x.status = 'paused' THEN ssf_stream.lost ELSE 0 END, lost_since = CASE WHEN x.status = 'paused' THEN ssf_stream.lost_since END
      FROM ${one(STATUS)} WHERE ssf_stream.id = x.id AND ssf_stream.version = x.version AND ssf_stream.status <> 'deleted' RETURNING ssf_stream.id`),
    /** Only if nobody verified it since `oldest`. */
    verify: statement(dialect, 'ssf_verify', `UPDATE ssf_stream SET verified_at = x.now FROM ${one({ id: 'text', now: 'time', oldest: 'time' })} WHERE ssf_stream.id = x.id AND (ssf_stream.verified_at IS NULL OR ssf_stream.verified_at <= x.oldest) RETURNING ssf_stream.id`),
    rewrap: statement(dialect, 'ssf_rewrap', `UPDATE ssf_stream SET secret = x.secret, secret_kek_id = x.secret_kek_id FROM ${one(REWRAP)} WHERE ssf_stream.id = x.id AND ssf_stream.secret = x.was RETURNING ssf_stream.id`),

    lock: statement(dialect, 'ssf_lock', `
      SELECT s.id, s.status, s.last_n, s.floor, s.pending, s.lost, s.lost_since, s.notice, s.overflowed, s.version, s.reason, s.changed_at FROM ssf_stream s
      WHERE s.id IN (SELECT i.value FROM ${dialect.strings('$1', 'i')}) ORDER BY s.id${lock}`),
    known: statement(dialect, 'ssf_known', `SELECT e.stream_id, e.dedupe_key FROM ${dialect.rows('$1', shape({ stream_id: 'text', dedupe_key: 'text' }))} JOIN ssf_event e ON e.stream_id = x.stream_id AND e.dedupe_key = x.dedupe_key`),
    insert: statement(dialect, 'ssf_insert', insertRows(dialect, SSF_EVENT, 'ON CONFLICT (stream_id, dedupe_key) DO NOTHING RETURNING stream_id, n')),
    tally: statement(dialect, 'ssf_tally', `
      UPDATE ssf_stream SET last_n = x.last_n, pending = x.pending, lost = x.lost, lost_since = x.lost_since, notice = x.notice, overflowed = x.overflowed, status = x.status, reason = x.reason, version = x.version, changed_at = x.changed_at
      FROM ${dialect.rows('$1', shape(TALLY))} WHERE ssf_stream.id = x.id`),
    done: statement(dialect, 'ssf_done', `
      UPDATE ssf_event SET done_at = x.done_at, error = x.error FROM ${dialect.rows('$1', shape(DONE))} WHERE ssf_event.stream_id = x.stream_id AND ssf_event.n = x.n AND ssf_event.done_at IS NULL RETURNING ssf_event.n`),
    /** The floor rises to just below the first that waits. */
    settle: statement(dialect, 'ssf_settle', `
      UPDATE ssf_stream SET pending = ssf_stream.pending - x.n, floor = coalesce((SELECT e.n FROM ssf_event e WHERE e.stream_id = ssf_stream.id AND e.n > ssf_stream.floor AND e.done_at IS NULL ORDER BY e.n LIMIT 1) - 1, ssf_stream.last_n)
      FROM ${one({ id: 'text', n: 'bigint' })} WHERE ssf_stream.id = x.id`),
    advance: statement(dialect, 'ssf_advance', `
      INSERT INTO ssf_cursor (domain_id, seq, position) SELECT x.domain_id, x.seq, x.position FROM ${one({ domain_id: 'text', seq: 'bigint', position: 'text' })} WHERE true ON CONFLICT (domain_id) DO UPDATE SET seq = excluded.seq, position = excluded.position`),
    rejoin: statement(dialect, 'ssf_rejoin', `DELETE FROM ssf_cursor WHERE domain_id IN (SELECT d.value FROM ${dialect.strings('$1', 'd')})`),

    exclude: statement(dialect, 'ssf_exclude', insertRows(dialect, SSF_SUBJECT, 'ON CONFLICT (stream_id, "key") DO NOTHING')),
    excluded: statement(dialect, 'ssf_excluded', `SELECT count(*) AS n FROM ssf_subject WHERE stream_id = (SELECT x.id FROM ${one({ id: 'text' })})`),
    include: statement(dialect, 'ssf_include', `DELETE FROM ssf_subject WHERE "key" = (SELECT x.subject_key FROM ${one({ id: 'text', subject_key: 'text' })}) AND stream_id = (SELECT x.id FROM ${one({ id: 'text', subject_key: 'text' })})`),
    forget: statement(dialect, 'ssf_forget', `DELETE FROM ssf_subject WHERE stream_id = (SELECT x.id FROM ${one({ id: 'text' })})`),
  };
};
