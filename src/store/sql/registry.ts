import { insertRows, statement, values } from './dialect.ts';
import type { Dialect } from './dialect.ts';
import { countsAsLive } from './reads.ts';
import { ENTRY, INSTANCE, REPLAY, REVOCATION, SIGNING_KEY, shape } from './tables.ts';
import type { Column, Table } from './tables.ts';

const SEQ: Column = { name: 'seq', type: 'bigint' };
const RESUMPTION = { target: 'text', by: 'text', until: 'time' } as const;
/** What is asked before an instance is admitted. */
const ADMISSION = { id: 'text', session_id: 'text', template_id: 'text', max_live: 'integer', now: 'time' } as const;
const LIFT = { seq: 'bigint', enabled_seq: 'bigint', enabled_at: 'time', enabled_by: 'text', purge_after: 'time' } as const;

/** Statements of a registry change, which holds the registry lock alone. */
export const registryStatements = (dialect: Dialect) => {
  const versioned = <Row>(table: Table<Row>): string => insertRows(dialect, { name: table.name, columns: [SEQ, ...table.columns] });
  return {
    version: statement(dialect, 'version', 'SELECT coalesce(max(version), 0) AS version FROM registry_version'),
    setVersion: statement(dialect, 'set_version', `INSERT INTO registry_version (id, version) SELECT 1, x.version FROM ${values(dialect, { version: 'bigint' })} WHERE true ON CONFLICT (id) DO UPDATE SET version = excluded.version`),
    entries: statement(dialect, 'entries', versioned(ENTRY)),
    keys: statement(dialect, 'keys', versioned(SIGNING_KEY)),
    revocations: statement(dialect, 'revocations', versioned(REVOCATION)),
    open: statement(dialect, 'open_revocations', `SELECT seq FROM revocation WHERE enabled_seq IS NULL AND target IN (SELECT t.value FROM ${dialect.strings('$1', 't')}) ORDER BY seq`),
    suspended: statement(dialect, 'open_suspensions', `SELECT r.seq FROM ${dialect.rows('$1', shape(RESUMPTION))} JOIN revocation r ON r.target = x.target WHERE r.effect = 'suspended' AND r.enabled_seq IS NULL AND r."by" = x."by" AND r."at" <= x."until" ORDER BY r.seq`),
    once: statement(dialect, 'once', insertRows(dialect, REPLAY, 'ON CONFLICT ("key") DO NOTHING RETURNING "key"')),
    unspend: statement(dialect, 'unspend', `DELETE FROM replay WHERE "key" IN (SELECT k.value FROM ${dialect.strings('$1', 'k')})`),
    /** A lifted revocation still ends what began before it, and is kept; a lifted suspension says nothing any more. */
    lift: statement(dialect, 'lift', `
      UPDATE revocation SET enabled_seq = x.enabled_seq, enabled_at = x.enabled_at, enabled_by = x.enabled_by,
        purge_after = CASE WHEN revocation.effect = 'suspended' THEN coalesce(revocation.purge_after, x.purge_after) ELSE revocation.purge_after END
      FROM ${dialect.rows('$1', shape(LIFT))} WHERE revocation.seq = x.seq`),
    // The registry lock is held alone, so that no two nodes count the same free place.
    admission: statement(dialect, 'admission', `
      SELECT EXISTS (SELECT 1 FROM instance i WHERE i.id = x.id AND i.session_id = x.session_id) AS known,
        (SELECT count(*) FROM instance i JOIN session s ON s.id = i.session_id WHERE i.template_id = x.template_id AND i.expires_at > x.now AND ${countsAsLive()}) < x.max_live AS room
      FROM ${values(dialect, ADMISSION)}`),
    instance: statement(dialect, 'instance', versioned(INSTANCE)),
    endSession: statement(dialect, 'end_session', `UPDATE session SET ended_at = x.ended_at, ended_by = x.ended_by, ended_reason = x.ended_reason FROM ${values(dialect, { id: 'text', ended_at: 'time', ended_by: 'text', ended_reason: 'text' })} WHERE session.id = x.id AND session.ended_at IS NULL RETURNING session.id`),
    eraseHandle: statement(dialect, 'erase_handle', `UPDATE lease SET handle = NULL, handle_kek_id = NULL WHERE id IN (SELECT i.value FROM ${dialect.strings('$1', 'i')})`),
    notify: statement(dialect, 'notify', `SELECT pg_notify('mayfly_registry', $1)`),
  };
};
