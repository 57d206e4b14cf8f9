import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../core/clock.ts';
import { DAY } from '../core/duration.ts';
import { leaseOf } from '../core/ids.ts';
import type { HopId, LeaseId, SessionId } from '../core/ids.ts';
import { createCascadeReads } from './cascades.ts';
import type { CascadeReads } from './cascades.ts';
import { InvalidCursor } from './cursor.ts';
import type { PrismaClient } from './generated/postgresql/client.ts';
import { createApprovalReads } from './approval-reads.ts';
import { createListings } from './listings.ts';
import { toAudit, toCheckpoint, toDenial, toEntry, toHop, toInstance, toKey, toLease, toRevocation, toStanding, toStatusList } from './map.ts';
import type { EntryRow, RevocationRow } from './rows.ts';
import type { Dialect } from './sql/dialect.ts';
import { chainNames, currentEntries, entriesAt, liveInstances, sessionsWith } from './sql/reads.ts';
import { createSignalReads } from './signal-reads.ts';
import { encodeTime } from './sql/tables.ts';
import { StoreUnavailable } from './store.ts';
import type { SessionUses, StoreReads } from './store.ts';

/** What is used of the generated clients: the part in which both are of one type. */
export type PrismaReader = Pick<PrismaClient, 'registryVersion' | 'entry' | 'signingKey' | 'revocation' | 'cascade' | 'cascadeTask' | 'session' | 'hop' | 'instance' | 'budget' | 'lease' | 'statusList' | 'approval' | 'denial' | 'auditEntry' | 'checkpoint' | 'ssfStream' | 'ssfSubject' | 'ssfEvent' | 'ssfCursor' | '$queryRawUnsafe' | '$disconnect'>;

/** Reads over Prisma, on either engine. A read that fails is {@link StoreUnavailable}. */
export const createReads = (prisma: PrismaReader, dialect: Dialect, clock: Clock): StoreReads => {
  const listings = createListings(prisma, dialect, clock);
  const approvals = createApprovalReads(prisma);
  const cascades = readingEach(createCascadeReads(prisma, dialect));
  const registryVersion = async (): Promise<number> => Number((await prisma.registryVersion.findFirst())?.version ?? 0);
  return {
    ...cascades,
    registryVersion: () => reading(registryVersion),
    registryDelta: (after) => reading(async () => {
      // INVARIANT: the version comes first. Changes appear in the order of their versions, so every row up to the one seen
      // is there already, and rows above it wait for the next delta; no transaction is needed.
      const version = await registryVersion();
      // Nothing is above it: the answer of nearly every poll.
      if (version <= after) return { version, entries: [], keys: [], revocations: [], instances: [] };
      const seq = { gt: after, lte: version };
      const [keys, revocations, instances] = await Promise.all([
        prisma.signingKey.findMany({ where: { seq }, orderBy: { seq: 'asc' } }),
        prisma.revocation.findMany({ where: { OR: [{ seq }, { enabledSeq: seq }] }, orderBy: { seq: 'asc' } }),
        prisma.instance.findMany({ where: { seq, expiresAt: { gt: new Date(clock.now() - INSTANCE_KEPT) } }, orderBy: { seq: 'asc' } }),
      ]);
      return {
        version, entries: await readEntries(prisma, after, version), keys: keys.map(toKey), revocations: revocations.map(toRevocation).map((row) => asOf(row, version)), instances: instances.map(toInstance),
      };
    }),
    keys: () => reading(async () => {
      const version = await registryVersion();
      return { version, keys: (await prisma.signingKey.findMany({ where: { seq: { lte: version } }, orderBy: { seq: 'asc' } })).map(toKey) };
    }),
    entriesAt: (version, filter, page) => reading(async () => {
      const { sql, parameters } = entriesAt(dialect, version, filter, page);
      return (await prisma.$queryRawUnsafe<Parameters<typeof toStanding>[0][]>(sql, ...parameters)).map(toStanding);
    }),
    entryHistory: (id) => reading(async () => (await prisma.entry.findMany({ where: { id }, orderBy: { version: 'asc' } })).map(toEntry)),
    entries: (filter, page) => reading(async () => {
      const { sql, parameters } = currentEntries(dialect, filter, page);
      const found = await prisma.$queryRawUnsafe<{ seq: bigint | number }[]>(sql, ...parameters);
      const rows = new Map((await prisma.entry.findMany({ where: { seq: { in: found.map(({ seq }) => BigInt(seq)) } } })).map((row) => [BigInt(row.seq), row]));
      return found.flatMap(({ seq }) => rows.get(BigInt(seq)) ?? []).map(toEntry);
    }),
    leaseStanding: (id) => reading(() => listings.lease(id)),
    leases: (filter, page) => reading(() => listings.leases(filter, page)),
    hop: (id) => reading(async () => {
      const row = await prisma.hop.findUnique({ where: { id } });
      return row === null ? undefined : toHop(row);
    }),
    listedLeases: (after, limit) => reading(() => listings.listedLeases(after, limit)),
    session: (id) => reading(() => listings.session(id)),
    sessionStandings: (ids) => reading(() => listings.sessionStandings(ids)),
    sessionEnd: (id) => reading(async () => {
      const row = await prisma.session.findUnique({ where: { id }, select: { endedAt: true, endedBy: true, endedReason: true } });
      return row === null || row.endedAt === null ? undefined : { at: row.endedAt.getTime(), by: row.endedBy ?? '', reason: row.endedReason ?? '' };
    }),
    sessionUses: (id, limit) => reading(() => readUses(prisma, id, limit)),
    sessionsWith: (workload, leaseKind, newest, now) => reading(async () => {
      const { sql, parameters } = sessionsWith(dialect, workload, leaseKind, newest, now);
      const rows = await prisma.$queryRawUnsafe<{ id: string | null; looked: bigint | number }[]>(sql, ...parameters);
      return { sessions: rows.flatMap(({ id }) => (id === null ? [] : [id as SessionId])), more: Number(rows[0]?.looked ?? 0) >= newest };
    }),
    revocationsOf: (targets) => reading(async () => (await prisma.revocation.findMany({ where: { target: { in: [...targets] } }, orderBy: { seq: 'asc' } })).map(toRevocation)),
    sessions: (filter, page) => reading(() => listings.sessions(filter, page)),
    approval: (id) => reading(() => approvals.approval(id)),
    approvalByCode: (codeHash) => reading(() => approvals.approvalByCode(codeHash)),
    approvals: (filter, page) => reading(() => approvals.approvals(filter, page)),
    standingApprovals: (hop, now) => reading(() => approvals.standingApprovals(hop, now)),
    dueNotices: (now, limit) => reading(() => approvals.dueNotices(now, limit)),
    instances: ({ domainId, templateId, id, name, liveAt }, limit) => reading(async () => {
      const rows = await prisma.instance.findMany({
        where: { domainId, ...(templateId === undefined ? {} : { templateId }), ...(id === undefined ? {} : { id }), ...(name === undefined ? {} : { name }), ...(liveAt === undefined ? {} : { expiresAt: { gt: new Date(liveAt) } }) },
        orderBy: { seq: 'desc' }, take: limit,
      });
      const ended = new Set((await prisma.session.findMany({ where: { id: { in: rows.map(({ sessionId }) => sessionId) }, endedAt: { not: null } }, select: { id: true } })).map((session) => session.id));
      return rows.map(toInstance).map((instance) => ({ instance, ended: ended.has(instance.sessionId) || instance.expiresAt <= clock.now() }));
    }),
    liveInstances: (templates, now) => reading(async () => {
      if (templates.length === 0) return new Map<string, number>();
      const { sql, parameters } = liveInstances(dialect, templates, encodeTime(now));
      return new Map((await prisma.$queryRawUnsafe<{ templateId: string; live: bigint | number }[]>(sql, ...parameters)).map(({ templateId, live }) => [templateId, Number(live)]));
    }),
    leaseByDecision: (id) => reading(async () => {
      const row = await prisma.lease.findUnique({ where: { id: leaseOf(id) } });
      return row === null ? undefined : toLease(row);
    }),
    statusList: (id) => reading(async () => {
      const row = await prisma.statusList.findUnique({ where: { id } });
      return row === null ? undefined : toStatusList(row);
    }),
    statusLists: (domainId) => reading(async () => (await prisma.statusList.findMany({ where: { domainId, until: { gt: new Date(clock.now()) } }, orderBy: { id: 'asc' } })).map(toStatusList)),
    denial: (id) => reading(async () => {
      const row = await prisma.denial.findUnique({ where: { id } });
      return row === null ? undefined : toDenial(row);
    }),
    auditChains: () => reading(async () => {
      const names = await Promise.all((['audit', 'checkpoint'] as const).map((table) => prisma.$queryRawUnsafe<{ chain: string }[]>(chainNames(table))));
      return [...new Set(names.flat().map((row) => row.chain))].sort();
    }),
    audit: (chain, after, limit) => reading(async () =>
      (await prisma.auditEntry.findMany({ where: { chain, n: { gt: after } }, orderBy: { n: 'asc' }, take: limit })).map(toAudit)),
    checkpoints: (chain) => reading(async () => (await prisma.checkpoint.findMany({ where: { chain }, orderBy: { n: 'asc' } })).map(toCheckpoint)),
    ...createSignalReads(prisma, dialect, reading),
    ping: () => reading(async () => {
      await prisma.registryVersion.findFirst();
    }),
  };
};

/** Ids sort by age: the smallest of a hop is the lease it was opened with. */
const readUses = async (prisma: PrismaReader, sessionId: SessionId, limit: number): Promise<SessionUses> => {
  const groups = await prisma.lease.groupBy({ by: ['hopId', 'kind', 'audience', 'scope'], where: { sessionId }, _count: { id: true }, _min: { id: true }, _max: { id: true }, orderBy: { _max: { id: 'desc' } }, take: limit + 1 });
  const openings = await prisma.lease.groupBy({ by: ['hopId'], where: { sessionId }, _min: { id: true }, orderBy: { _min: { id: 'asc' } }, take: limit });
  const opened = await prisma.lease.findMany({ where: { id: { in: openings.flatMap(({ _min }) => _min.id ?? []) } } });
  const uses = groups.slice(0, limit).map(({ hopId, kind, audience, scope, _count, _min, _max }) =>
    ({ hopId: hopId as HopId, kind, audience, scope, count: _count.id, first: _min.id as LeaseId, last: _max.id as LeaseId }));
  return { uses, more: groups.length > limit, opened: opened.map(toLease) };
};
/** Instances are known a while beyond their session, so that one can still be named to be revoked. */
export const INSTANCE_KEPT = DAY;

/** Entries are many, and those of a page are turned into rows while everything else waits: on SQLite the reading itself too. */
const PAGE = 500;

const readEntries = async (prisma: PrismaReader, after: number, upTo: number): Promise<readonly EntryRow[]> => {
  const rows: EntryRow[] = [];
  for (let from = after; ;) {
    const page = await prisma.entry.findMany({ where: { seq: { gt: from, lte: upTo } }, orderBy: { seq: 'asc' }, take: PAGE });
    for (const row of page) rows.push(toEntry(row));
    if (page.length < PAGE) return rows;
    from = rows.at(-1)?.seq ?? upTo;
    await setImmediate();
  }
};

/** A revocation as it stood at a version: one lifted later is not lifted yet. */
const asOf = (row: RevocationRow, version: number): RevocationRow =>
  row.enabledSeq !== null && row.enabledSeq > version ? { ...row, enabledSeq: null, enabledAt: null, enabledBy: null } : row;

/** Faults of the database become {@link StoreUnavailable}. */
/** The same reads, each of which fails as {@link StoreUnavailable}. */
const readingEach = (reads: CascadeReads): CascadeReads =>
  Object.fromEntries(Object.entries(reads).map(([name, read]) => [name, (...args: readonly unknown[]) => reading(() => (read as (...given: readonly unknown[]) => Promise<unknown>)(...args))])) as unknown as CascadeReads;

const reading = async <T>(read: () => Promise<T>): Promise<T> => {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof InvalidCursor) throw cause;
    throw new StoreUnavailable('the registry could not be read', { cause });
  }
};
