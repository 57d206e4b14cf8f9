import type { HopId, IssuerId, LeaseId, SessionId } from '../core/ids.ts';
import { formatCursor, InvalidCursor, parseCursor } from './cursor.ts';
import { toCascade, toCascadeTask, toRevocation } from './map.ts';
import type { PrismaReader } from './reads.ts';
import type { CascadeRow, CascadeTaskRow, RevocationRow, SessionRow } from './rows.ts';
import { crossings, hopFalls, leaseFalls, leasesOfSession, sessionFalls, sourcePage } from './sql/cascade-reads.ts';
import type { Dialect } from './sql/dialect.ts';
import type { Query } from './sql/reads.ts';
import { decodeTime } from './sql/tables.ts';
import type { Page, PageRequest } from './store.ts';

/** Where sessions that rest on a target are found: by an index of the sessions themselves, or by leases of theirs. */
export type CascadeSource =
  | { readonly kind: 'sessions'; readonly by: 'person' | 'holder' | 'domain_id'; readonly value: string; readonly since: number; /** Only those that it, or an actor in them, was proven by. */ readonly issuer?: IssuerId }
  /** Those in which instances of a template live. */
  | { readonly kind: 'instances'; readonly by: 'template_id'; readonly value: string; readonly since: number }
  | { readonly kind: 'leases'; readonly by: 'workload_id' | 'domain_id'; readonly value: string; readonly since: number; /** Only those of leases that this key signed. */ readonly kid?: string };

/** Where a page goes on: behind this row. */
export interface PageAfter { readonly at: number; readonly id: string }

/** Sessions a page of a source names, and where the next page begins; undefined: there is none. */
export interface SourcePage { readonly sessions: readonly SessionId[]; readonly next: PageAfter | undefined }

/** `fellUnder`: seq of the revocation under which it fell first; undefined: under none. */
export interface SessionFall extends Pick<SessionRow, 'id' | 'domainId' | 'issuerId' | 'holder' | 'model' | 'principal'> { readonly fellUnder: number | undefined }
/** Of a lease without regard to its hop. */
export interface LeaseFall {
  readonly id: LeaseId;
  readonly kind: string;
  readonly sessionId: SessionId;
  readonly hopId: HopId;
  readonly handle: string | null;
  readonly handleKekId: string | null;
  readonly expiresAt: number;
  readonly fellUnder: number | undefined;
}

/** What was carried out of it, and what is left: sessions that nobody walked through yet, and leases whose target could not be reached. */
export interface CascadeStanding { readonly cascade: CascadeRow; readonly unwalked: number; readonly unreached: number }
/** A suspension has no cascade. */
export interface RevocationStanding { readonly revocation: RevocationRow; readonly cascade: CascadeStanding | undefined }

export interface CascadeReads {
  /** Those to look after now, the longest untouched first. */
  dueCascades(now: number, limit: number): Promise<readonly CascadeRow[]>;
  cascadeTasks(seq: number, kind: CascadeTaskRow['kind'], limit: number): Promise<readonly CascadeTaskRow[]>;
  /** Tasks that are due, and when the next one is. */
  dueTasks(seq: number, now: number, limit: number): Promise<{ readonly due: readonly CascadeTaskRow[]; readonly next: number | undefined }>;
  /** Sessions of a source that are not over at a time. */
  sourcePage(source: CascadeSource, at: number, limit: number, after: PageAfter | undefined): Promise<SourcePage>;
  sessionOfHop(id: HopId): Promise<SessionId | undefined>;
  sessionFalls(ids: readonly SessionId[]): Promise<readonly SessionFall[]>;
  /** By id, behind one of them; ids sort by age. */
  leasesOfSession(session: SessionId, after: string, limit: number): Promise<readonly LeaseFall[]>;
  leaseFalls(ids: readonly LeaseId[]): Promise<readonly LeaseFall[]>;
  /** Sessions of other domains in which chains of these go on. */
  crossings(ids: readonly SessionId[]): Promise<readonly SessionId[]>;
  hopFalls(ids: readonly HopId[]): Promise<ReadonlyMap<HopId, number | undefined>>;
  cascade(seq: number): Promise<CascadeStanding | undefined>;
  revocation(seq: number): Promise<RevocationStanding | undefined>;
  /** Newest first. */
  revocations(filter: { readonly domainId?: string; readonly target?: string }, page: PageRequest): Promise<Page<RevocationStanding>>;
}

/** What the cascade walks along and what is told of it: by index, page by page. */
export const createCascadeReads = (prisma: PrismaReader, dialect: Dialect): CascadeReads => {
  const run = <Row>({ sql, parameters }: Query): Promise<Row[]> => prisma.$queryRawUnsafe<Row[]>(sql, ...parameters);
  const standings = async (seqs: readonly number[]): Promise<ReadonlyMap<number, CascadeStanding>> => {
    const where = { seq: { in: seqs.map(BigInt) } };
    const [rows, left] = await Promise.all([prisma.cascade.findMany({ where }), prisma.cascadeTask.groupBy({ by: ['seq', 'kind'], where, _count: { ref: true } })]);
    const countOf = (seq: number, kind: CascadeTaskRow['kind']): number => left.find((group) => Number(group.seq) === seq && group.kind === kind)?._count.ref ?? 0;
    return new Map(rows.map(toCascade).map((cascade) => [cascade.seq, { cascade, unwalked: countOf(cascade.seq, 'session'), unreached: countOf(cascade.seq, 'lease') }]));
  };
  const withCascades = async (rows: readonly RevocationRow[]): Promise<readonly RevocationStanding[]> => {
    const found = await standings(rows.map(({ seq }) => seq));
    return rows.map((revocation) => ({ revocation, cascade: found.get(revocation.seq) }));
  };
  return {
    cascade: async (seq) => (await standings([seq])).get(seq),
    dueCascades: async (now, limit) => (await prisma.cascade.findMany({ where: { due: { lte: new Date(now) } }, orderBy: [{ due: 'asc' }, { steps: 'asc' }, { seq: 'asc' }], take: limit })).map(toCascade),
    cascadeTasks: async (seq, kind, limit) => (await prisma.cascadeTask.findMany({ where: { seq, kind }, orderBy: { ref: 'asc' }, take: limit })).map(toCascadeTask),
    async dueTasks(seq, now, limit) {
      const [due, next] = await Promise.all([
        prisma.cascadeTask.findMany({ where: { seq, kind: 'lease', due: { lte: new Date(now) } }, orderBy: { ref: 'asc' }, take: limit }),
        prisma.cascadeTask.findFirst({ where: { seq, kind: 'lease' }, orderBy: { due: 'asc' } }),
      ]);
      return { due: due.map(toCascadeTask), next: next?.due.getTime() };
    },
    async sourcePage(source, at, limit, after) {
      const rows = await run<{ id: string; moment: unknown; sessionId: SessionId; rests: unknown }>(sourcePage(dialect, source, at, limit, after));
      const last = rows.length < limit ? undefined : rows.at(-1);
      return { sessions: [...new Set(rows.filter(({ rests }) => Boolean(rests)).map(({ sessionId }) => sessionId))], next: last && { at: decodeTime(last.moment), id: last.id } };
    },
    sessionOfHop: async (id) => (await prisma.hop.findUnique({ where: { id }, select: { sessionId: true } }))?.sessionId as SessionId | undefined,
    sessionFalls: async (ids) => (await run<Fallen<SessionFall>>(sessionFalls(dialect, ids))).map(withSeq),
    leasesOfSession: async (session, after, limit) => (await run<Fallen<LeaseFall> & { readonly expiresAt: unknown }>(leasesOfSession(dialect, session, after, limit))).map(toLeaseFall),
    leaseFalls: async (ids) => (await run<Fallen<LeaseFall> & { readonly expiresAt: unknown }>(leaseFalls(dialect, ids))).map(toLeaseFall),
    hopFalls: async (ids) => new Map((await run<Fallen<{ readonly id: HopId }>>(hopFalls(dialect, ids))).map(withSeq).map((hop) => [hop.id, hop.fellUnder])),
    crossings: async (ids) => (await run<{ id: SessionId }>(crossings(dialect, ids))).map(({ id }) => id),
    async revocation(seq) {
      const row = await prisma.revocation.findUnique({ where: { seq } });
      return row === null ? undefined : (await withCascades([toRevocation(row)]))[0];
    },
    async revocations({ domainId, target }, page) {
      const after = page.after === undefined ? undefined : parseCursor(page.after);
      const rows = await prisma.revocation.findMany({
        where: { ...(domainId === undefined ? {} : { domainId }), ...(target === undefined ? {} : { target }), ...(after === undefined ? {} : { seq: { lt: seqOf(after.id) } }) }, orderBy: { seq: 'desc' }, take: page.limit + 1,
      });
      const items = rows.slice(0, page.limit).map(toRevocation);
      const last = rows.length > items.length ? items.at(-1) : undefined;
      return { items: await withCascades(items), next: last && formatCursor({ at: last.at, id: String(last.seq) }) };
    },
  };
};

type Fallen<Fall> = Omit<Fall, 'fellUnder' | 'expiresAt'> & { readonly fellUnder: bigint | number | null };

const withSeq = <Row extends { readonly fellUnder: bigint | number | null }>(row: Row): Omit<Row, 'fellUnder'> & { readonly fellUnder: number | undefined } =>
  ({ ...row, fellUnder: row.fellUnder === null ? undefined : Number(row.fellUnder) });

const toLeaseFall = (row: Fallen<LeaseFall> & { readonly expiresAt: unknown }): LeaseFall => ({ ...withSeq(row), expiresAt: decodeTime(row.expiresAt) });

const seqOf = (id: string): bigint => {
  if (!/^\d{1,15}$/.test(id)) throw new InvalidCursor();
  return BigInt(id);
};
