import { insertRows, statement } from './dialect.ts';
import type { Dialect } from './dialect.ts';
import { DENIAL, HOP, LEASE, REPLAY, SESSION, shape } from './tables.ts';

/** What is looked at before an issuance is written: its path, and the ends of rows that may not exist yet. */
export const CLAIM = shape({ lease_id: 'text', session_id: 'text', hop_id: 'text', path: 'text', lease_target: 'text', key_target: 'text', now: 'time', lease_expires_at: 'time', session_expires_at: 'time', hop_expires_at: 'time' });

/** Statements of the issuing transaction. All run under the registry lock (shared), each on a snapshot taken after it. */
export const issueStatements = (dialect: Dialect) => ({
  // A credential never outlives its hop or session, as the rows say they end, which another node may have written (design section 3, 3).
  // A session that is there counts with its own row: its end, its beginning, and its hop's path. A revocation that was
  // lifted still stands against sessions that began before it.
  judge: statement(dialect, 'judge', `
    SELECT x.lease_id, s.id IS NOT NULL AS has_session, h.id IS NOT NULL AS has_hop,
      EXISTS (SELECT 1 FROM ${dialect.strings('coalesce(h.path, x.path)', 'p')} JOIN revocation r ON r.target = p.value WHERE r.enabled_seq IS NULL OR r.seq > s.began_version)
      OR EXISTS (SELECT 1 FROM revocation r WHERE r.target IN (x.lease_target, x.key_target) AND (r.enabled_seq IS NULL OR r.seq > s.began_version)) AS revoked,
      (s.ended_at IS NOT NULL OR coalesce(s.expires_at, x.session_expires_at) <= x.now OR coalesce(h.expires_at, x.hop_expires_at) <= x.now
        OR x.lease_expires_at > coalesce(s.expires_at, x.session_expires_at) OR x.lease_expires_at > coalesce(h.expires_at, x.hop_expires_at)) AS ended
    FROM ${dialect.rows('$1', CLAIM)} LEFT JOIN session s ON s.id = x.session_id LEFT JOIN hop h ON h.id = x.hop_id`),
  consume: statement(dialect, 'consume', insertRows(dialect, REPLAY, 'ON CONFLICT ("key") DO NOTHING RETURNING "key"')),
  giveBack: statement(dialect, 'give_back', `DELETE FROM replay WHERE "key" IN (SELECT k.value FROM ${dialect.strings('$1', 'k')})`),
  lease: statement(dialect, 'lease', insertRows(dialect, LEASE, 'ON CONFLICT (replay_key) DO NOTHING RETURNING id')),
  session: statement(dialect, 'session', insertRows(dialect, SESSION, 'ON CONFLICT (id) DO NOTHING', { began_version: 'coalesce((SELECT max(version) FROM registry_version), 0)' })),
  hop: statement(dialect, 'hop', insertRows(dialect, HOP, 'ON CONFLICT (id) DO NOTHING')),
  denial: statement(dialect, 'denial', insertRows(dialect, DENIAL)),
});
