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

/** The id of the lease so many places after an id, or of the last one: along the primary key alone, so that many that do not matter are passed by in no time. */
export const leaseAhead = (dialect: Dialect, after: string, many: number): Query => ({
  sql: dialect.parameters('SELECT max(p.id) AS id FROM (SELECT l.id FROM lease l WHERE l.id > $1 ORDER BY l.id LIMIT $2) p'), parameters: [after, many],
});

/**
 * Of the leases between two ids those that a status list tells of and that have not expired, with what their status depends on: the first
 * `limit` by age, as one JSON text. Rows in Prisma's form cost three times as much, and all that while the process does nothing else.
 */
export const listedLeases = (dialect: Dialect, range: { readonly after: string; readonly upTo: string; readonly at: string; readonly limit: number }): Query => ({
  sql: dialect.parameters(`
    SELECT ${dialect.arrays(LISTED.map((column) => `p.${quote(column)}`))} AS found
    FROM (
      SELECT ${LISTED_FROM.map(([name, column]) => `${column} AS ${quote(name)}`).join(', ')}
      FROM lease l JOIN session s ON s.id = l.session_id JOIN hop h ON h.id = l.hop_id
      WHERE l.id > $1 AND l.id <= $2 AND l.status_list IS NOT NULL AND l.expires_at > ${dialect.engine === 'sqlite' ? '$3' : '$3::timestamptz'}
      ORDER BY l.id LIMIT $4
    ) p`),
  parameters: [range.after, range.upTo, range.at, range.limit],
});

/** In this order in each array. */
const LISTED_FROM = [
  ['id', 'l.id'], ['domain_id', 'l.domain_id'], ['audience', 'l.audience'], ['resource_id', 'l.resource_id'], ['kid', 'l.kid'], ['status_list', 'l.status_list'], ['status_index', 'l.status_index'], ['expires_at', 'l.expires_at'],
  ['model', 's.model'], ['fresh_at', 's.fresh_at'], ['ended_at', 's.ended_at'], ['session_expires_at', 's.expires_at'], ['began_version', 's.began_version'], ['path', 'h.path'], ['hop_expires_at', 'h.expires_at'],
] as const;
const LISTED = LISTED_FROM.map(([name]) => name);
