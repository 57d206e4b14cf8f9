import { formatCursor, parseCursor } from './cursor.ts';
import { toApproval } from './map.ts';
import type { PrismaReader } from './reads.ts';
import type { ApprovalStatus } from './approval-rows.ts';
import type { StoreReads } from './store.ts';

export type ApprovalReads = Pick<StoreReads, 'approval' | 'approvalByCode' | 'approvals' | 'standingApprovals' | 'dueNotices'>;

export const createApprovalReads = (prisma: Pick<PrismaReader, 'approval'>): ApprovalReads => ({
  async approval(id) {
    const row = await prisma.approval.findUnique({ where: { id } });
    return row === null ? undefined : toApproval(row);
  },
  async approvalByCode(codeHash) {
    const row = await prisma.approval.findUnique({ where: { codeHash } });
    return row === null ? undefined : toApproval(row);
  },
  async approvals({ domainId, workloadId, sessionId, status, now }, page) {
    const after = page.after === undefined ? undefined : parseCursor(page.after);
    const at = after && new Date(after.at);
    const rows = await prisma.approval.findMany({
      where: {
        ...(domainId === undefined ? {} : { domainId }), ...(workloadId === undefined ? {} : { workloadId }), ...(sessionId === undefined ? {} : { sessionId }),
        AND: [status === undefined ? {} : standingAs(status, new Date(now)), at === undefined ? {} : { OR: [{ askedAt: { lt: at } }, { askedAt: at, id: { lt: after?.id ?? '' } }] }],
      },
      orderBy: [{ askedAt: 'desc' }, { id: 'desc' }], take: page.limit + 1,
    });
    const items = rows.slice(0, page.limit).map(toApproval);
    const last = items.at(-1);
    return { items, next: last !== undefined && rows.length > items.length ? formatCursor({ at: last.askedAt, id: last.id }) : undefined };
  },
  standingApprovals: async (hopId, now) => (await prisma.approval.findMany({ where: { hopId, status: 'redeemed', expiresAt: { gt: new Date(now) } }, orderBy: { id: 'asc' }, take: MOST_STANDING })).map(toApproval),
  dueNotices: async (now, limit) => (await prisma.approval.findMany({ where: { noticeAt: { lte: new Date(now) } }, orderBy: { noticeAt: 'asc' }, take: limit })).map(toApproval),
});

/** A hop has the one it was opened by, and a few that it was given since. */
const MOST_STANDING = 100;

/** The job that ends what is over comes later than the moment it is over. */
const standingAs = (status: ApprovalStatus | 'open', now: Date): object => {
  if (status === 'open') return { status: { in: ['pending', 'approved'] }, expiresAt: { gt: now } };
  if (status === 'pending' || status === 'approved') return { status, expiresAt: { gt: now } };
  return status === 'expired' ? { OR: [{ status }, { status: { in: ['pending', 'approved'] }, expiresAt: { lte: now } }] } : { status };
};
