import type { ApprovalId, DomainId, HopId, IssuerId, LeaseId, PersonUrn, SessionId, WorkloadId } from '../core/ids.ts';

/** Rows of requests that wait for people (rows.ts). */

export type ApprovalStatus = 'pending' | 'approved' | 'denied' | 'redeemed' | 'expired';
/** One person's word for one name, with what was known of them: what a later look at it judges. */
export interface ApprovalVote {
  readonly name: string;
  readonly person: PersonUrn;
  /** Entry name, `iss` and `sub`: one person may be known by several entries of one issuer. */
  readonly issuer: string;
  /** That very entry: another may have its name by now. */
  readonly issuerId: IssuerId;
  readonly iss: string;
  readonly sub: string;
  readonly groups: readonly string[];
  readonly at: number;
}
/** A request that waits for a person, or did. */
export interface ApprovalRow {
  readonly id: ApprovalId;
  readonly domainId: DomainId;
  readonly sessionId: SessionId;
  readonly hopId: HopId;
  readonly workloadId: WorkloadId;
  /** Of the deferral code. */
  readonly leaseId: LeaseId;
  readonly codeHash: string;
  readonly jkt: string;
  /** The text that was hashed. */
  readonly frozen: string;
  readonly hash: string;
  readonly names: readonly string[];
  readonly status: ApprovalStatus;
  readonly revision: number;
  readonly votes: readonly ApprovalVote[];
  readonly closedBy: string | null;
  readonly reason: string | null;
  readonly askedAt: number;
  readonly expiresAt: number;
  readonly decidedAt: number | null;
  readonly redeemedAt: number | null;
  readonly redeemedLease: LeaseId | null;
  readonly noticeAt: number | null;
  readonly noticeAttempts: number;
}
