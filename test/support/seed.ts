import { PrismaLibSql } from '@prisma/adapter-libsql';
import { PrismaPg } from '@prisma/adapter-pg';
import type { DomainId } from '../../src/core/ids.ts';
import { postgresPool } from '../../src/store/connections.ts';
import type { Database } from '../../src/store/database.ts';
import { PrismaClient as PostgresqlClient } from '../../src/store/generated/postgresql/client.ts';
import { PrismaClient as SqliteClient } from '../../src/store/generated/sqlite/client.ts';
import type { AuditRow, CheckpointRow, DenialRow, EntryRow, HopRow, KeyRow, LeaseRow, RevocationRow, SessionRow, Target } from '../../src/store/rows.ts';

/** Writes rows through Prisma alone, so that what reads them is tested against something other than our own SQL. */
export interface Seed {
  version(version: number): Promise<void>;
  entry(row: EntryRow): Promise<void>;
  key(row: KeyRow): Promise<void>;
  revocation(row: RevocationRow): Promise<void>;
  session(row: SessionRow): Promise<void>;
  hop(row: HopRow): Promise<void>;
  lease(row: LeaseRow): Promise<void>;
  denial(row: DenialRow): Promise<void>;
  audit(row: AuditRow): Promise<void>;
  checkpoint(row: CheckpointRow): Promise<void>;
  close(): Promise<void>;
}

export const openSeed = (database: Database): Seed => {
  const prisma = database.engine === 'postgresql'
    ? new PostgresqlClient({ adapter: new PrismaPg(postgresPool(database.url, 'seed', { max: 1 }), { disposeExternalPool: true }) })
    : (new SqliteClient({ adapter: new PrismaLibSql({ url: `file:${encodeURIComponent(database.path)}` }) }) as unknown as PostgresqlClient);
  return {
    version: async (version) => { await prisma.registryVersion.upsert({ where: { id: 1 }, create: { id: 1, version }, update: { version } }); },
    entry: async (row) => { await prisma.entry.create({ data: { ...row, body: JSON.stringify(row.body), expiresAt: date(row.expiresAt), changedAt: new Date(row.changedAt) } }); },
    key: async (row) => { await prisma.signingKey.create({ data: { ...row, publicJwk: JSON.stringify(row.publicJwk), notBefore: new Date(row.notBefore), notAfter: date(row.notAfter), changedAt: new Date(row.changedAt) } }); },
    revocation: async (row) => { await prisma.revocation.create({ data: { ...row, at: new Date(row.at), enabledAt: date(row.enabledAt), purgeAfter: date(row.purgeAfter) } }); },
    session: async (row) => { await prisma.session.create({ data: { ...row, facts: JSON.stringify(row.facts), startedAt: new Date(row.startedAt), expiresAt: new Date(row.expiresAt), endedAt: date(row.endedAt), freshAt: date(row.freshAt) } }); },
    hop: async (row) => { await prisma.hop.create({ data: { ...row, ceiling: JSON.stringify(row.ceiling), chain: JSON.stringify(row.chain), path: JSON.stringify(row.path), createdAt: new Date(row.createdAt), expiresAt: new Date(row.expiresAt) } }); },
    lease: async ({ details, ...row }) => { await prisma.lease.create({ data: { ...row, ...(details === undefined ? {} : { details: JSON.stringify(details) }), ceiling: JSON.stringify(row.ceiling), decision: JSON.stringify(row.decision), replayUntil: date(row.replayUntil), issuedAt: new Date(row.issuedAt), expiresAt: new Date(row.expiresAt) } }); },
    denial: async (row) => { await prisma.denial.create({ data: { ...row, at: new Date(row.at), facts: JSON.stringify(row.facts) } }); },
    audit: async (row) => { await prisma.auditEntry.create({ data: { ...row, at: new Date(row.at) } }); },
    checkpoint: async (row) => { await prisma.checkpoint.create({ data: { ...row, at: new Date(row.at) } }); },
    close: () => prisma.$disconnect(),
  };
};

/** An open revocation, unless said otherwise. */
export const makeRevocation = (seq: number, target: Target, more: Partial<RevocationRow> = {}): RevocationRow => ({
  seq, target, domainId: 'dom_any' as DomainId, effect: 'revoked', at: MADE, by: 'ada', reason: 'lost laptop', enabledSeq: null, enabledAt: null, enabledBy: null, purgeAfter: null, ...more,
});

const MADE = Date.UTC(2026, 10, 22, 12);
const date = (milliseconds: number | null): Date | null => (milliseconds === null ? null : new Date(milliseconds));
