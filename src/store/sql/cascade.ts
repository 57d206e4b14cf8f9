import { insertRows, quote, statement, values } from './dialect.ts';
import type { Dialect } from './dialect.ts';
import { CASCADE, CASCADE_TASK } from './tables.ts';
import type { ColumnType } from './tables.ts';

const STEP = {
  seq: 'bigint', steps: 'integer', due: 'time', done_at: 'time', progress: 'text', sessions: 'integer', leases: 'integer', taken_back: 'integer', honoured: 'integer', honoured_until: 'time',
} as const satisfies Record<string, ColumnType>;

const table = quote(CASCADE.name);

/** Statements that begin a cascade in the commit of its revocation, and those of its steps, under the job's fence. */
export const cascadeStatements = (dialect: Dialect) => ({
  /** Of every revocation above a version. A suspension is lifted again: nothing follows it. */
  begin: statement(dialect, 'begin_cascades', `
    INSERT INTO ${table} (seq, target, domain_id, "at", due, progress, steps, sessions, leases, taken_back, honoured, purge_after)
    SELECT r.seq, r.target, r.domain_id, r."at", r."at", '{}', 0, 0, 0, 0, 0, r.purge_after FROM revocation r WHERE r.seq > (SELECT x.after FROM ${values(dialect, { after: 'bigint' })}) AND r.effect = 'revoked'`),
  /** Adds to the counts once: a step that was taken already, under whatever fence, changes nothing. */
  step: statement(dialect, 'cascade_step', `
    UPDATE ${table} SET due = x.due, done_at = x.done_at, progress = x.progress, steps = ${table}.steps + 1, sessions = ${table}.sessions + x.sessions, leases = ${table}.leases + x.leases,
      taken_back = ${table}.taken_back + x.taken_back, honoured = ${table}.honoured + x.honoured,
      honoured_until = CASE WHEN x.honoured_until IS NULL OR ${table}.honoured_until > x.honoured_until THEN ${table}.honoured_until ELSE x.honoured_until END
    FROM ${values(dialect, STEP)} WHERE ${table}.seq = x.seq AND ${table}.steps = x.steps AND ${table}.due IS NOT NULL RETURNING ${table}.seq`),
  tasks: statement(dialect, 'cascade_tasks', insertRows(dialect, CASCADE_TASK, 'ON CONFLICT (seq, kind, ref) DO UPDATE SET attempts = excluded.attempts, due = excluded.due')),
  finish: statement(dialect, 'finish_tasks', `DELETE FROM cascade_task WHERE seq = (SELECT x.seq FROM ${values(dialect, { seq: 'bigint' })}) AND kind = $2 AND ${dialect.among('ref', '$3')}`),
});
