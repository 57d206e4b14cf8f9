import type { Clock } from '../core/clock.ts';
import type { DomainId, LeaseId, ResourceId, SessionId } from '../core/ids.ts';
import { formatCursor, parseCursor } from './cursor.ts';
import type { Cursor } from './cursor.ts';
import type { Hop, Lease, Session } from './generated/postgresql/client.ts';
import { toBudget, toHop, toLease, toSession } from './map.ts';
import type { HopRow, SessionRow, Target } from './rows.ts';
import type { PrismaReader } from './reads.ts';
import type { Dialect } from './sql/dialect.ts';
import { leaseRevokedBy, leaseStandings, leaseSuspendedBy, sessionStandings } from './sql/reads.ts';
import type { Conditions, Query } from './sql/reads.ts';
import { leaseAhead, listedLeases } from './sql/status.ts';
import { decodeTime, encodeTime } from './sql/tables.ts';
import type { LeaseStanding, ListedLease, Page, PageRequest, SessionStanding, StoreReads } from './store.ts';

export interface Listings extends Pick<StoreReads, 'leases' | 'listedLeases' | 'session' | 'sessions' | 'sessionStandings'> { lease(id: LeaseId): Promise<LeaseStanding | undefined> }

/** Leases that do not matter are looked at by so many at once as would matter of those that do. */
const PASSED_BY = 10;

/** Reads that judge revocation. It is judged in the statement that reads the row, from the revocations alone (design, section 7). */
export const createListings = (prisma: PrismaReader, dialect: Dialect, clock: Clock): Listings => {
  const run = (query: Query): Promise<RawRow[]> => prisma.$queryRawUnsafe(query.sql, ...query.parameters);
  const standing = (row: RawRow): LeaseStanding => toLeaseStanding(row, clock.now());
  return {
    async lease(id) {
      const [row] = await run(leaseStandings(dialect, (where) => {
        where.add(`l.id = ${where.bind(id)}`);
        return '';
      }));
      return row && standing(row);
    },
    async leases(filter, page) {
      const rows = await run(leaseStandings(dialect, (where) => {
        if (filter.domainId !== undefined) where.add(`l.domain_id = ${where.bind(filter.domainId)}`);
        if (filter.workloadId !== undefined) where.add(`l.workload_id = ${where.bind(filter.workloadId)}`);
        if (filter.sessionId !== undefined) where.add(`l.session_id = ${where.bind(filter.sessionId)}`);
        if (filter.holder !== undefined) where.add(`s.holder = ${where.bind(filter.holder)}`);
        if (filter.activeAt !== undefined) addActive(where, filter.activeAt, dialect);
        // Ids sort by age, so a listing of everything walks the primary key, and one of a session its index, which ends in the id; a narrowed one another, which ends in the time.
        const byTime = filter.sessionId === undefined && (filter.domainId ?? filter.workloadId ?? filter.holder) !== undefined;
        return newestFirst(where, byTime ? 'l.issued_at' : undefined, 'l.id', page);
      }));
      return toPage(rows.map(standing), page, ({ lease }) => ({ at: lease.issuedAt, id: lease.id }));
    },
    async listedLeases(after, limit) {
      const now = clock.now();
      const ahead = leaseAhead(dialect, after, limit * PASSED_BY);
      const upTo = (await prisma.$queryRawUnsafe<{ id: string | null }[]>(ahead.sql, ...ahead.parameters))[0]?.id ?? undefined;
      if (upTo === undefined) return { items: [], next: undefined };
      const { sql, parameters } = listedLeases(dialect, { after, upTo, at: encodeTime(now), limit });
      const [row] = await prisma.$queryRawUnsafe<{ found: string }[]>(sql, ...parameters);
      const items = (JSON.parse(row?.found ?? '[]') as ListedValues[]).map((values) => toListedLease(values, now)).sort((a, b) => (a.lease.id < b.lease.id ? -1 : 1));
      return { items, next: items.length < limit ? upTo : items.at(-1)?.lease.id };
    },
    async session(id) {
      const [row] = await run(sessionStandings(dialect, (where) => {
        where.add(`s.id = ${where.bind(id)}`);
        return '';
      }));
      if (row === undefined) return undefined;
      const [hops, budgets] = await Promise.all([hopsOf(prisma, id), prisma.budget.findMany({ where: { sessionId: id }, orderBy: { kind: 'asc' } })]);
      return { ...toSessionStanding(row), hops, budgets: budgets.map(toBudget) };
    },
    async sessionStandings(ids) {
      if (ids.length === 0) return [];
      return (await run(sessionStandings(dialect, (where) => {
        where.add(dialect.among('s.id', where.bind(JSON.stringify(ids))));
        return '';
      }))).map(toSessionStanding);
    },
    async sessions(filter, page) {
      const rows = await run(sessionStandings(dialect, (where) => {
        if (filter.domainId !== undefined) where.add(`s.domain_id = ${where.bind(filter.domainId)}`);
        if (filter.holder !== undefined) where.add(`s.holder = ${where.bind(filter.holder)}`);
        return newestFirst(where, 's.started_at', 's.id', page);
      }));
      return toPage(rows.map(toSessionStanding), page, ({ session }) => ({ at: session.startedAt, id: session.id }));
    },
  };
};

/** A row of a hand-written statement: `<table>.<property>` as Prisma types it, and the target that revokes it. */
type RawRow = Readonly<Record<string, unknown>> & { readonly revokedBy: Target | null; readonly suspendedBy: Target | null };

const addActive = (where: Conditions, at: number, dialect: Dialect): void => {
  const now = where.bind(encodeTime(at));
  where.add(`l.expires_at > ${now} AND h.expires_at > ${now} AND s.expires_at > ${now} AND s.ended_at IS NULL AND ${leaseRevokedBy(dialect)} IS NULL AND ${leaseSuspendedBy(dialect)} IS NULL`);
};

/** Keyset paging: as quick on page thousand as on the first, and rows that arrive meanwhile shift nothing. One row more tells whether there is a next page. */
const newestFirst = (where: Conditions, time: string | undefined, id: string, page: PageRequest): string => {
  const after = page.after === undefined ? undefined : parseCursor(page.after);
  if (after && time === undefined) where.add(`${id} < ${where.bind(after.id)}`);
  if (after && time !== undefined) where.add(`(${time}, ${id}) < (${where.bind(encodeTime(after.at))}, ${where.bind(after.id)})`);
  return `ORDER BY ${time === undefined ? '' : `${time} DESC, `}${id} DESC LIMIT ${where.bind(page.limit + 1)}`;
};

const toPage = <T>(rows: readonly T[], page: PageRequest, cursor: (row: T) => Cursor): Page<T> => {
  const items = rows.slice(0, page.limit);
  const last = items.at(-1);
  return { items, next: last !== undefined && rows.length > items.length ? formatCursor(cursor(last)) : undefined };
};

const toLeaseStanding = (row: RawRow, now: number): LeaseStanding => {
  const lease = toLease(part<Lease>(row, 'lease'));
  const hop = toHop(part<Hop>(row, 'hop'));
  const { session, revokedBy, suspendedBy } = toSessionStanding(row);
  return { lease, session, hop, revokedBy, suspendedBy, ended: isOver(session, hop, now) };
};

/** As {@link listedLeases} gives them: texts, numbers and null. */
type ListedValues = readonly [id: string, domainId: string, audience: string, resourceId: string | null, kid: string | null, statusList: string, statusIndex: number, expiresAt: string,
  model: string, freshAt: string | null, endedAt: string | null, sessionExpiresAt: string, beganVersion: number, path: string, hopExpiresAt: string];

const toListedLease = ([id, domainId, audience, resourceId, kid, statusList, statusIndex, expiresAt, model, freshAt, endedAt, sessionExpiresAt, beganVersion, path, hopExpiresAt]: ListedValues, now: number): ListedLease => ({
  lease: { id: id as LeaseId, domainId: domainId as DomainId, audience, resourceId: resourceId as ResourceId | null, kid, expiresAt: decodeTime(expiresAt), statusList, statusIndex },
  session: { model: model as SessionRow['model'], freshAt: freshAt === null ? null : decodeTime(freshAt), beganVersion },
  hop: { path: JSON.parse(path) as readonly Target[] },
  ended: isOver({ endedAt: endedAt === null ? null : decodeTime(endedAt), expiresAt: decodeTime(sessionExpiresAt) }, { expiresAt: decodeTime(hopExpiresAt) }, now),
});

const isOver = (session: Pick<SessionRow, 'endedAt' | 'expiresAt'>, hop: Pick<HopRow, 'expiresAt'>, now: number): boolean => session.endedAt !== null || session.expiresAt <= now || hop.expiresAt <= now;

const toSessionStanding = (row: RawRow): SessionStanding => ({ session: toSession(part<Session>(row, 'session')), revokedBy: row.revokedBy ?? undefined, suspendedBy: row.suspendedBy ?? undefined });

/** The members of one table, as Prisma's own row of that table. */
const part = <T>(row: RawRow, table: string): T =>
  Object.fromEntries(Object.entries(row).filter(([name]) => name.startsWith(`${table}.`)).map(([name, value]) => [name.slice(table.length + 1), value])) as T;

const hopsOf = async (prisma: PrismaReader, id: SessionId): Promise<readonly HopRow[]> =>
  (await prisma.hop.findMany({ where: { sessionId: id }, orderBy: [{ createdAt: 'asc' }, { depth: 'asc' }, { id: 'asc' }] })).map(toHop);
