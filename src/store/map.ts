import type { ApprovalId, DecisionId, DomainId, HopId, IssuerId, LeaseId, ResourceId, SessionId, SpiffeId, StreamId, WorkloadId } from '../core/ids.ts';
import { isObject } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { EntryKind } from '../registry/entries.ts';
import type * as Prisma from './generated/postgresql/client.ts';
import type { ApprovalRow, ApprovalStatus, ApprovalVote } from './approval-rows.ts';
import type { AuditRow, BudgetRow, CascadeProgress, CascadeRow, CascadeTaskRow, CeilingPair, ChainLink, CheckpointRow, DenialRow, Detail, EntryRow, HopRow, InstanceRow, KeyPurpose, KeyRow, KeyStatus, LeaseRow, RevocationRow, SessionRow, StandingEntry, StatusListRow, Target } from './rows.ts';
import type { SignalRow, StreamRow, SubjectRow } from './signal-rows.ts';

/*
 * Prisma's rows to the rows of rows.ts; no other file sees Prisma's. Ids and the values of closed sets were checked when they
 * were written, so their types are given back here by `as`.
 */

export const toEntry = (row: Prisma.Entry): EntryRow => ({
  id: row.id, version: row.version, seq: Number(row.seq), kind: row.kind as EntryKind, domainId: row.domainId as DomainId, name: row.name, body: object(row.body),
  owner: row.owner, expiresAt: optionalTime(row.expiresAt), ended: row.ended, changedAt: row.changedAt.getTime(), changedBy: row.changedBy,
});

/** A row of {@link entriesAt}. */
export const toStanding = (row: Pick<Prisma.Entry, 'id' | 'version' | 'kind' | 'domainId' | 'name' | 'body'>): StandingEntry =>
  ({ id: row.id, version: Number(row.version), kind: row.kind as EntryKind, domainId: row.domainId as DomainId, name: row.name, body: object(row.body) });

export const toKey = (row: Prisma.SigningKey): KeyRow => ({
  kid: row.kid, version: row.version, seq: Number(row.seq), domainId: row.domainId as DomainId, purpose: row.purpose as KeyPurpose, algorithm: row.algorithm as KeyRow['algorithm'],
  publicJwk: object(row.publicJwk), sealed: row.sealed, kekId: row.kekId, status: row.status as KeyStatus,
  notBefore: row.notBefore.getTime(), notAfter: optionalTime(row.notAfter), changedAt: row.changedAt.getTime(),
});

export const toRevocation = (row: Prisma.Revocation): RevocationRow => ({
  seq: Number(row.seq), target: row.target as Target, domainId: row.domainId as DomainId, effect: row.effect as RevocationRow['effect'], at: row.at.getTime(), by: row.by, reason: row.reason,
  enabledSeq: row.enabledSeq === null ? null : Number(row.enabledSeq), enabledAt: optionalTime(row.enabledAt), enabledBy: row.enabledBy, purgeAfter: optionalTime(row.purgeAfter),
});

export const toCascade = (row: Prisma.Cascade): CascadeRow => ({
  seq: Number(row.seq), target: row.target as Target, domainId: row.domainId as DomainId, at: row.at.getTime(), due: optionalTime(row.due), progress: progressOf(row.progress),
  steps: row.steps, sessions: row.sessions, leases: row.leases, takenBack: row.takenBack, honoured: row.honoured, honouredUntil: optionalTime(row.honouredUntil), doneAt: optionalTime(row.doneAt), purgeAfter: optionalTime(row.purgeAfter),
});

export const toCascadeTask = (row: Prisma.CascadeTask): CascadeTaskRow => ({ seq: Number(row.seq), kind: row.kind as CascadeTaskRow['kind'], ref: row.ref, attempts: row.attempts, due: row.due.getTime() });

export const toSession = (row: Prisma.Session): SessionRow => ({
  id: row.id as SessionId, domainId: row.domainId as DomainId, issuerId: row.issuerId as IssuerId, holder: row.holder as SessionRow['holder'],
  model: row.model as SessionRow['model'], principal: row.principal, anchor: row.anchor, facts: object(row.facts),
  startedAt: row.startedAt.getTime(), expiresAt: row.expiresAt.getTime(), endedAt: optionalTime(row.endedAt), freshAt: optionalTime(row.freshAt), beganVersion: Number(row.beganVersion),
});

export const toHop = (row: Prisma.Hop): HopRow => ({
  id: row.id as HopId, sessionId: row.sessionId as SessionId, parentId: row.parentId as HopId | null, actor: row.actor, workloadId: row.workloadId as WorkloadId, jkt: row.jkt,
  ceiling: list<CeilingPair>(row.ceiling), depth: row.depth, chain: list<ChainLink>(row.chain), path: list<Target>(row.path), createdAt: row.createdAt.getTime(), expiresAt: row.expiresAt.getTime(),
});

export const toInstance = (row: Prisma.Instance): InstanceRow => ({
  seq: Number(row.seq), id: row.id as WorkloadId, sessionId: row.sessionId as SessionId, templateId: row.templateId as WorkloadId, domainId: row.domainId as DomainId,
  name: row.name, spiffeId: row.spiffeId as SpiffeId, createdAt: row.createdAt.getTime(), expiresAt: row.expiresAt.getTime(),
});

export const toBudget = (row: Prisma.Budget): BudgetRow => ({ sessionId: row.sessionId as SessionId, kind: row.kind as BudgetRow['kind'], most: Number(row.most), used: Number(row.used) });

export const toLease = (row: Prisma.Lease): LeaseRow => ({
  id: row.id as LeaseId, kind: row.kind, domainId: row.domainId as DomainId, sessionId: row.sessionId as SessionId, hopId: row.hopId as HopId, workloadId: row.workloadId as WorkloadId,
  owner: row.owner, issuerId: row.issuerId as IssuerId, resourceId: row.resourceId as ResourceId | null, audience: row.audience, scope: row.scope, ceiling: list<CeilingPair>(row.ceiling),
  ...(row.details === null ? {} : { details: list<Detail>(row.details) }), decision: object(row.decision), replayKey: row.replayKey, replayUntil: optionalTime(row.replayUntil),
  credentialHash: row.credentialHash, kid: row.kid, jkt: row.jkt, statusList: row.statusList, statusIndex: row.statusIndex, handle: row.handle, handleKekId: row.handleKekId,
  issuedAt: row.issuedAt.getTime(), expiresAt: row.expiresAt.getTime(),
});

export const toStatusList = (row: Pick<Prisma.StatusList, 'id' | 'domainId' | 'blocks' | 'until'>): StatusListRow =>
  ({ id: row.id, domainId: row.domainId as DomainId, blocks: row.blocks, until: row.until.getTime() });
/** `frozen` stays the text that was hashed. */
export const toApproval = (row: Prisma.Approval): ApprovalRow => ({
  id: row.id as ApprovalId, domainId: row.domainId as DomainId, sessionId: row.sessionId as SessionId, hopId: row.hopId as HopId, workloadId: row.workloadId as WorkloadId, leaseId: row.leaseId as LeaseId,
  codeHash: row.codeHash, jkt: row.jkt, frozen: row.frozen, hash: row.hash, names: list<string>(row.names), status: row.status as ApprovalStatus, revision: row.revision, votes: list<ApprovalVote>(row.votes),
  closedBy: row.closedBy, reason: row.reason, askedAt: row.askedAt.getTime(), expiresAt: row.expiresAt.getTime(), decidedAt: optionalTime(row.decidedAt), redeemedAt: optionalTime(row.redeemedAt),
  redeemedLease: row.redeemedLease as LeaseId | null, noticeAt: optionalTime(row.noticeAt), noticeAttempts: row.noticeAttempts,
});

export const toDenial = (row: Prisma.Denial): DenialRow => ({
  id: row.id as DecisionId, at: row.at.getTime(), domainId: row.domainId as DomainId, workloadId: row.workloadId as WorkloadId | null,
  code: row.code, detail: row.detail, facts: object(row.facts), count: row.count,
});

/** `body` stays the text that was hashed. */
export const toAudit = (row: Prisma.AuditEntry): AuditRow => ({
  chain: row.chain, n: Number(row.n), at: row.at.getTime(), body: row.body, action: row.action, domainId: row.domainId, prev: row.prev, hash: row.hash, mac: row.mac,
});

export const toCheckpoint = (row: Prisma.Checkpoint): CheckpointRow => ({
  chain: row.chain, n: Number(row.n), hash: row.hash, at: row.at.getTime(), kid: row.kid, jws: row.jws,
});

export const toStream = (row: Prisma.SsfStream): StreamRow => ({
  id: row.id as StreamId, version: row.version, domainId: row.domainId as DomainId, workloadId: row.workloadId as WorkloadId, audience: row.audience,
  eventsRequested: row.eventsRequested === null ? null : list<string>(row.eventsRequested), method: row.method as StreamRow['method'], endpointUrl: row.endpointUrl,
  authorization: row.authorization, authorizationKekId: row.authorizationKekId, description: row.description, status: row.status as StreamRow['status'], reason: row.reason,
  createdAt: row.createdAt.getTime(), changedAt: row.changedAt.getTime(), verifiedAt: optionalTime(row.verifiedAt), beganSeq: Number(row.beganSeq),
  lastN: Number(row.lastN), floor: Number(row.floor), pending: Number(row.pending), notice: row.notice === null ? null : Number(row.notice), overflowed: row.overflowed, lost: Number(row.lost), lostSince: optionalTime(row.lostSince),
});

export const toSubject = (row: Prisma.SsfSubject): SubjectRow => ({ streamId: row.streamId as StreamId, key: row.key, subject: object(row.subject), since: row.since.getTime() });

export const toSignal = (row: Prisma.SsfEvent): SignalRow => ({
  streamId: row.streamId as StreamId, n: Number(row.n), dedupeKey: row.dedupeKey, type: row.type, subject: object(row.subject), payload: object(row.payload), txn: row.txn,
  at: row.at.getTime(), doneAt: optionalTime(row.doneAt), error: row.error,
});

const optionalTime = (value: Date | null): number | null => value && value.getTime();

/** A row that is torn here must not keep the job, or a listing, from all others. */
const progressOf = (text: string): CascadeProgress => {
  try {
    return object(text);
  } catch {
    return { damaged: true };
  }
};

const object = (text: string): JsonObject => {
  const value: unknown = JSON.parse(text);
  if (!isObject(value)) throw new TypeError('a stored JSON column does not hold an object');
  return value as JsonObject;
};

const list = <T>(text: string): readonly T[] => {
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value)) throw new TypeError('a stored JSON column does not hold an array');
  return value as readonly T[];
};
