import { insertRows, statement } from './dialect.ts';
import type { Dialect } from './dialect.ts';
import { BUDGET, BUDGET_USE, DENIAL, HOP, LEASE, REPLAY, SESSION, shape } from './tables.ts';

/** What is looked at before an issuance is written: its path, the login, words or evidence it rests on, and the ends of rows that may not exist yet. */
export const CLAIM = shape({
  lease_id: 'text', session_id: 'text', hop_id: 'text', path: 'text', key_target: 'text', now: 'time', lease_expires_at: 'time', session_expires_at: 'time', hop_expires_at: 'time',
  person_target: 'text', auth_time: 'time', words: 'text', fresh_at: 'time', fresh_after: 'time',
});

/** Members of `words`: what somebody's word rests on, and when they gave it. */
const WORD = shape({ target: 'text', since: 'time' });

const USE_COLUMNS = BUDGET_USE.columns;

/** Over a session `s` that may not exist yet: a revocation that still counts. One that was lifted stands against sessions that began before it, a lifted suspension against nothing. */
const COUNTS = "(r.enabled_seq IS NULL OR (r.effect = 'revoked' AND r.seq > s.began_version))";

/** Statements of the issuing transaction. All run under the registry lock (shared), each on a snapshot taken after it. */
export const issueStatements = (dialect: Dialect) => ({
  // A credential never outlives its hop or session, as the rows say they end, which another node may have written (design section 3, 3).
  // A session that is there counts with its own row: its end, its beginning, and its hop's path.
  judge: statement(dialect, 'judge', `
    SELECT x.lease_id, s.id IS NOT NULL AS has_session, h.id IS NOT NULL AS has_hop,
      EXISTS (SELECT 1 FROM ${dialect.strings('coalesce(h.path, x.path)', 'p')} JOIN revocation r ON r.target = p.value WHERE r.effect = 'revoked' AND ${COUNTS})
      OR EXISTS (SELECT 1 FROM revocation r WHERE r.target IN ('lease:' || x.lease_id, x.key_target) AND ${COUNTS})
      OR EXISTS (SELECT 1 FROM revocation r WHERE r.target = x.person_target AND r.effect = 'revoked' AND r."at" >= x.auth_time)
      OR (x.words IS NOT NULL AND EXISTS (SELECT 1 FROM ${dialect.objects('x.words', 'w', WORD)} JOIN revocation r ON r.target = w.target WHERE r.enabled_seq IS NULL OR (r.effect = 'revoked' AND r."at" >= w.since))) AS revoked,
      EXISTS (SELECT 1 FROM ${dialect.strings('coalesce(h.path, x.path)', 'p')} JOIN revocation r ON r.target = p.value WHERE r.effect = 'suspended' AND r.enabled_seq IS NULL)
      OR (coalesce(x.fresh_at, s.fresh_at) < x.fresh_after AND coalesce(s.fresh_at, x.fresh_at) < x.fresh_after) AS suspended,
      (s.ended_at IS NOT NULL OR coalesce(s.expires_at, x.session_expires_at) <= x.now OR coalesce(h.expires_at, x.hop_expires_at) <= x.now
        OR x.lease_expires_at > coalesce(s.expires_at, x.session_expires_at) OR x.lease_expires_at > coalesce(h.expires_at, x.hop_expires_at)) AS ended
    FROM ${dialect.rows('$1', CLAIM)} LEFT JOIN session s ON s.id = x.session_id LEFT JOIN hop h ON h.id = x.hop_id`),
  consume: statement(dialect, 'consume', insertRows(dialect, REPLAY, 'ON CONFLICT ("key") DO NOTHING RETURNING "key"')),
  giveBack: statement(dialect, 'give_back', `DELETE FROM replay WHERE "key" IN (SELECT k.value FROM ${dialect.strings('$1', 'k')})`),
  lease: statement(dialect, 'lease', insertRows(dialect, LEASE, 'ON CONFLICT (replay_key) DO NOTHING RETURNING id')),
  takeBack: statement(dialect, 'take_back', `DELETE FROM lease WHERE id IN (SELECT k.value FROM ${dialect.strings('$1', 'k')})`),
  session: statement(dialect, 'session', insertRows(dialect, SESSION, 'ON CONFLICT (id) DO NOTHING', { began_version: 'coalesce((SELECT max(version) FROM registry_version), 0)', person: "CASE WHEN x.model <> 'bounded' THEN x.principal END" })),
  hop: statement(dialect, 'hop', insertRows(dialect, HOP, 'ON CONFLICT (id) DO NOTHING')),
  refresh: statement(dialect, 'refresh', `UPDATE session SET fresh_at = x.fresh_at FROM ${dialect.rows('$1', shape({ id: 'text', fresh_at: 'time' }))} WHERE session.id = x.id AND session.fresh_at < x.fresh_at`),
  denial: statement(dialect, 'denial', insertRows(dialect, DENIAL)),
  budgets: statement(dialect, 'budgets', `SELECT b.session_id, b.kind, b.most, b.used FROM budget b WHERE b.session_id IN (SELECT i.value FROM ${dialect.strings('$1', 'i')}) ORDER BY b.session_id, b.kind${dialect.engine === 'sqlite' ? '' : ' FOR UPDATE'}`),
  usesKnown: statement(dialect, 'uses_known', `SELECT u.session_id, u.kind, u.value FROM ${dialect.rows('$1', USE_COLUMNS)} JOIN budget_use u ON u.session_id = x.session_id AND u.kind = x.kind AND u.value = x.value`),
  uses: statement(dialect, 'uses', insertRows(dialect, BUDGET_USE, 'ON CONFLICT (session_id, kind, value) DO NOTHING')),
  charge: statement(dialect, 'charge', `UPDATE budget SET used = budget.used + x.n FROM ${dialect.rows('$1', shape({ session_id: 'text', kind: 'text', n: 'bigint' }))} WHERE budget.session_id = x.session_id AND budget.kind = x.kind AND budget.used + x.n <= budget.most RETURNING budget.kind`),
  openBudgets: statement(dialect, 'open_budgets', insertRows(dialect, BUDGET, 'ON CONFLICT (session_id, kind) DO NOTHING')),
});
