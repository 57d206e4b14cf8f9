import { formatCursor, parseCursor } from './cursor.ts';
import type { DomainId, SessionId } from '../core/ids.ts';
import { toHop, toRevocation, toSignal, toStream, toSubject } from './map.ts';
import type { PrismaReader } from './reads.ts';
import type { Dialect } from './sql/dialect.ts';
import { joinedSessions } from './sql/reads.ts';
import { decodeTime, encodeTime } from './sql/tables.ts';
import type { Occurrence, SignalCursor, SignalReads } from './signals.ts';

/** Reads of the event streams; `reading` translates what the database throws. */
export const createSignalReads = (prisma: PrismaReader, dialect: Dialect, reading: <T>(read: () => Promise<T>) => Promise<T>): SignalReads => ({
  streams: (of) => reading(async () =>
    (await prisma.ssfStream.findMany({ where: { status: { not: 'deleted' }, ...of }, orderBy: { id: 'asc' } })).map(toStream)),
  stream: (id) => reading(async () => {
    const row = await prisma.ssfStream.findUnique({ where: { id } });
    return row === null || row.status === 'deleted' ? undefined : toStream(row);
  }),
  excludedSubjects: (streamIds) => reading(async () => (await prisma.ssfSubject.findMany({ where: { streamId: { in: [...streamIds] } } })).map(toSubject)),
  waitingEvents: ({ id, floor }, limit) => reading(async () =>
    (await prisma.ssfEvent.findMany({ where: { streamId: id, n: { gt: floor }, doneAt: null }, orderBy: { n: 'asc' }, take: limit })).map(toSignal)),
  event: (streamId, n) => reading(async () => {
    const row = await prisma.ssfEvent.findUnique({ where: { streamId_n: { streamId, n } } });
    return row === null ? undefined : toSignal(row);
  }),
  signalCursors: () => reading(async () => {
    const rows = await prisma.ssfCursor.findMany();
    const cursors = new Map(rows.map(({ domainId, seq, position }) => [domainId as DomainId | '', { seq: Number(seq), position }]));
    const all = cursors.get('');
    cursors.delete('');
    return { all, held: cursors as ReadonlyMap<DomainId, SignalCursor> };
  }),
  occurrences: (after, limit, newest = Number.MAX_SAFE_INTEGER) => reading(async () => {
    // INVARIANT: the version comes first. Versions appear in their order, so all up to it is there.
    const version = Math.min(newest, Number((await prisma.registryVersion.findFirst())?.version ?? 0));
    if (version <= after) return { upTo: after, occurrences: [] };
    const seq = { gt: after, lte: version };
    const [made, lifted] = await Promise.all([
      prisma.revocation.findMany({ where: { seq }, orderBy: { seq: 'asc' }, take: limit }),
      prisma.revocation.findMany({ where: { enabledSeq: seq }, orderBy: { enabledSeq: 'asc' }, take: limit }),
    ]);
    const all: Occurrence[] = [
      ...made.map((row): Occurrence => ({ seq: Number(row.seq), kind: 'made', revocation: toRevocation(row) })),
      ...lifted.map((row): Occurrence => ({ seq: Number(row.enabledSeq), kind: 'lifted', revocation: toRevocation(row) })),
    ].sort((a, b) => a.seq - b.seq);
    const occurrences = all.slice(0, limit);
    const last = occurrences.at(-1);
    return { upTo: made.length < limit && lifted.length < limit && all.length <= limit ? version : last?.seq ?? version, occurrences };
  }),
  hopsOf: (sessions) => reading(async () => (sessions.length === 0 ? [] : (await prisma.hop.findMany({ where: { sessionId: { in: [...sessions] } }, orderBy: [{ createdAt: 'asc' }, { id: 'asc' }] })).map(toHop))),
  sessionsJoined: (workload, since, limit, after) => reading(async () => {
    const from = after === undefined ? undefined : parseCursor(after);
    const { sql, parameters } = joinedSessions(dialect, workload, encodeTime(since), limit, from === undefined ? undefined : { at: encodeTime(from.at), id: from.id });
    const rows = await prisma.$queryRawUnsafe<{ readonly id: string; readonly issuedAt: unknown; readonly sessionId: SessionId; readonly holder: string }[]>(sql, ...parameters);
    const last = rows.at(-1);
    return {
      sessions: [...new Set(rows.filter(({ holder }) => holder !== workload).map(({ sessionId }) => sessionId))],
      next: last === undefined || rows.length < limit ? undefined : formatCursor({ at: decodeTime(last.issuedAt), id: last.id }),
    };
  }),
});
