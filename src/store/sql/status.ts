import { quote, statement, values } from './dialect.ts';
import type { Dialect } from './dialect.ts';
import type { Query } from './reads.ts';

const CLAIM = { id: 'text', domain_id: 'text', blocks: 'integer', block_order: 'text', until: 'time' } as const;

/** Statements of the status lists that write. */
export const statusStatements = (dialect: Dialect) => ({
  // One statement, so that no two processes are ever given one block: the domain's open list, or the one that is brought along,
  // gives its next block. Who meets a list that another transaction just closed starts over and opens one.
  claimBlock: statement(dialect, 'claim_block', `
    INSERT INTO status_list AS l (id, domain_id, open, blocks, claimed, block_order, until)
    SELECT x.id, x.domain_id, CASE WHEN x.blocks > 1 THEN true END, x.blocks, 1, x.block_order, x.until FROM ${values(dialect, CLAIM)} WHERE true
    ON CONFLICT (domain_id, open) DO UPDATE SET claimed = l.claimed + 1, open = CASE WHEN l.claimed + 1 < l.blocks THEN true END,
      until = CASE WHEN excluded.until > l.until THEN excluded.until ELSE l.until END
    RETURNING id, claimed, block_order`),
});

/**
 * Leases after one, by age, with what their status depends on: only for those that a status list tells of and that have not expired. A page is
 * so many leases whether or not any of them matters, so that no page takes long.
 */
export const listedLeases = (dialect: Dialect, after: string, limit: number, at: string): Query => {
  const matters = `p.status_list IS NOT NULL AND p.expires_at > ${dialect.engine === 'sqlite' ? '$3' : '$3::timestamptz'}`;
  return {
    sql: dialect.parameters(`
      SELECT p.id, p.domain_id AS "domainId", p.audience, p.resource_id AS "resourceId", p.kid, p.status_list AS "statusList", p.status_index AS "statusIndex", p.expires_at AS "expiresAt",
        s.model, s.fresh_at AS "freshAt", s.ended_at AS "endedAt", s.expires_at AS "sessionExpiresAt", s.began_version AS "beganVersion", h.path, h.expires_at AS "hopExpiresAt"
      FROM (SELECT ${['id', 'domain_id', 'audience', 'resource_id', 'kid', 'session_id', 'hop_id', 'status_list', 'status_index', 'expires_at'].map((column) => `l.${quote(column)}`).join(', ')}
        FROM lease l WHERE l.id > $1 ORDER BY l.id LIMIT $2) p
      LEFT JOIN session s ON s.id = p.session_id AND ${matters} LEFT JOIN hop h ON h.id = p.hop_id AND ${matters}
      ORDER BY p.id`),
    parameters: [after, limit, at],
  };
};
