import type { Clock } from '../core/clock.ts';
import { leaseOf } from '../core/ids.ts';
import { InvalidCursor } from './cursor.ts';
import type { PrismaClient } from './generated/postgresql/client.ts';
import { createListings } from './listings.ts';
import { toAudit, toCheckpoint, toDenial, toEntry, toKey, toLease, toRevocation } from './map.ts';
import type { RevocationRow } from './rows.ts';
import type { Dialect } from './sql/dialect.ts';
import { chainNames, currentEntries } from './sql/reads.ts';
import { StoreUnavailable } from './store.ts';
import type { StoreReads } from './store.ts';

/** What is used of the generated clients: the part in which both are of one type. */
export type PrismaReader = Pick<PrismaClient, 'registryVersion' | 'entry' | 'signingKey' | 'revocation' | 'session' | 'hop' | 'lease' | 'denial' | 'auditEntry' | 'checkpoint' | '$queryRawUnsafe' | '$disconnect'>;

/** Reads over Prisma, on either engine. A read that fails is {@link StoreUnavailable}. */
export const createReads = (prisma: PrismaReader, dialect: Dialect, clock: Clock): StoreReads => {
  const listings = createListings(prisma, dialect, clock);
  const registryVersion = async (): Promise<number> => Number((await prisma.registryVersion.findFirst())?.version ?? 0);
  return {
    registryVersion: () => reading(registryVersion),
    registryDelta: (after) => reading(async () => {
      // INVARIANT: the version comes first. Changes appear in the order of their versions, so every row up to the one seen
      // is there already, and rows above it wait for the next delta; no transaction is needed.
      const version = await registryVersion();
      // Nothing is above it: the answer of nearly every poll.
      if (version <= after) return { version, entries: [], keys: [], revocations: [] };
      const seq = { gt: after, lte: version };
      const [entries, keys, revocations] = await Promise.all([
        prisma.entry.findMany({ where: { seq }, orderBy: { seq: 'asc' } }),
        prisma.signingKey.findMany({ where: { seq }, orderBy: { seq: 'asc' } }),
        prisma.revocation.findMany({ where: { OR: [{ seq }, { enabledSeq: seq }] }, orderBy: { seq: 'asc' } }),
      ]);
      return { version, entries: entries.map(toEntry), keys: keys.map(toKey), revocations: revocations.map(toRevocation).map((row) => asOf(row, version)) };
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
    session: (id) => reading(() => listings.session(id)),
    sessions: (filter, page) => reading(() => listings.sessions(filter, page)),
    leaseByDecision: (id) => reading(async () => {
      const row = await prisma.lease.findUnique({ where: { id: leaseOf(id) } });
      return row === null ? undefined : toLease(row);
    }),
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
    ping: () => reading(async () => {
      await prisma.registryVersion.findFirst();
    }),
  };
};

/** A revocation as it stood at a version: one lifted later is not lifted yet. */
const asOf = (row: RevocationRow, version: number): RevocationRow =>
  row.enabledSeq !== null && row.enabledSeq > version ? { ...row, enabledSeq: null, enabledAt: null, enabledBy: null } : row;

const reading = async <T>(read: () => Promise<T>): Promise<T> => {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof InvalidCursor) throw cause;
    throw new StoreUnavailable('the registry could not be read', { cause });
  }
};
