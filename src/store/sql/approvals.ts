import { insertRows, statement, values } from './dialect.ts';
import type { Dialect } from './dialect.ts';
import { leaseRevokedBy } from './reads.ts';
import { APPROVAL, shape } from './tables.ts';

const CROWD = shape({ id: 'text', workload_id: 'text', session_id: 'text', now: 'time', since: 'time' });
const REDEEMED = shape({ id: 'text', hash: 'text', now: 'time', hop_id: 'text', redeemed_lease: 'text' });
const ANSWER = { id: 'text', revision: 'integer', status: 'text', votes: 'text', closed_by: 'text', reason: 'text', at: 'time' } as const;
const OVER = { now: 'time', room: 'integer' } as const;
const NOTICE = { id: 'text', notice_at: 'time', notice_attempts: 'integer' } as const;

/** Over the table `approval`: not decided, or not used, yet. */
const OPEN = "status IN ('pending', 'approved')";

/** Over `approval` and what is redeemed, `x`: the text that was approved is the text that is redeemed, and the code was not cancelled. */
const REDEEMABLE = `approval.id = x.id AND approval.hash = x.hash AND approval.status = 'approved' AND approval.expires_at > x.now
      AND NOT EXISTS (SELECT 1 FROM revocation r WHERE r.target = 'lease:' || approval.lease_id AND r.effect = 'revoked')`;

/** Over `approval a` and the present, `x.now`: it still waits. What was taken back, itself or anything it rests on, waits for nobody. */
const waits = (dialect: Dialect): string => `a.status = 'pending' AND a.expires_at > x.now
        AND (SELECT ${leaseRevokedBy(dialect)} FROM lease l JOIN session s ON s.id = l.session_id JOIN hop h ON h.id = l.hop_id WHERE l.id = a.lease_id) IS NULL`;

/** Statements of approvals: the first four within the issuing transaction. */
export const approvalStatements = (dialect: Dialect) => ({
  // Nodes that count at the same moment do not see each other's: the bound is one of courtesy to people, not of authority.
  crowd: statement(dialect, 'crowd', `
    SELECT x.id,
      (SELECT count(*) FROM approval a WHERE a.workload_id = x.workload_id AND ${waits(dialect)}) AS waiting,
      (SELECT count(*) FROM approval a WHERE a.session_id = x.session_id AND ${waits(dialect)}) AS in_session,
      (SELECT count(*) FROM approval a WHERE a.workload_id = x.workload_id AND a.asked_at > x.since) AS recent
    FROM ${dialect.rows('$1', CROWD)}`),
  ask: statement(dialect, 'ask', insertRows(dialect, APPROVAL)),
  // Kept from everybody else until this transaction ends: whether the lease it is for has room in its budgets is known only later.
  redeemable: statement(dialect, 'redeemable', `SELECT approval.id FROM ${dialect.rows('$1', REDEEMED)} JOIN approval ON ${REDEEMABLE} ORDER BY approval.id${dialect.engine === 'sqlite' ? '' : ' FOR UPDATE OF approval'}`),
  // INVARIANT: the one statement that uses an approval up.
  redeem: statement(dialect, 'redeem', `
    UPDATE approval SET status = 'redeemed', revision = approval.revision + 1, redeemed_at = x.now, redeemed_lease = x.redeemed_lease, hop_id = x.hop_id
    FROM ${dialect.rows('$1', REDEEMED)}
    WHERE ${REDEEMABLE}
    RETURNING approval.id`),
  answer: statement(dialect, 'answer_approval', `
    UPDATE approval SET status = x.status, votes = x.votes, closed_by = x.closed_by, reason = x.reason, decided_at = x."at", revision = approval.revision + 1
    FROM ${values(dialect, ANSWER)}
    WHERE approval.id = x.id AND approval.revision = x.revision AND approval.${OPEN} AND approval.expires_at > x."at"
    RETURNING approval.id`),
  expire: statement(dialect, 'expire_approvals', `
    UPDATE approval SET status = 'expired', revision = revision + 1, notice_at = NULL
    WHERE id IN (SELECT a.id FROM approval a WHERE a.${OPEN} AND a.expires_at <= (SELECT x.now FROM ${values(dialect, OVER)}) ORDER BY a.expires_at LIMIT (SELECT x.room FROM ${values(dialect, OVER)}))
    RETURNING id, domain_id, session_id, workload_id, names, votes`),
  notice: statement(dialect, 'notice', `UPDATE approval SET notice_at = x.notice_at, notice_attempts = x.notice_attempts FROM ${values(dialect, NOTICE)} WHERE approval.id = x.id RETURNING approval.id`),
});
