import { openChildHop } from '../src/authority/session.ts';
import { HOUR, MINUTE, SECOND } from '../src/core/duration.ts';
import { newId, sessionIdFromHash } from '../src/core/ids.ts';
import type { SpiffeId } from '../src/core/ids.ts';
import { sha256 } from '../src/core/bytes.ts';
import { systemRandom } from '../src/core/random.ts';
import { parseDatabase } from '../src/store/database.ts';
import type { HopRow, LeaseRow, SessionRow } from '../src/store/rows.ts';
import { HOP, LEASE, SESSION, encodeRow, joinRows } from '../src/store/sql/tables.ts';
import { buildStatements } from '../src/store/sql/statements.ts';
import type { Connection } from '../src/store/writer/connection.ts';
import { createPostgresConnection } from '../src/store/writer/postgresql-connection.ts';
import { createSqliteConnection } from '../src/store/writer/sqlite-connection.ts';

/** Rows as the store writes them, past the server: what a year of exchanges would have left behind. */
export interface Filler {
  /** Hops five deep below a session's first, and so many active leases spread over all of them. Gives the hops. */
  growTree(root: Root, leases: number): Promise<number>;
  /** Leases of sessions of others, fifty to a session, half of them over. */
  addOthers(like: Root, leases: number): Promise<void>;
  close(): Promise<void>;
}
/** A session with its first hop and a lease in it, as the server wrote them. */
export interface Root { readonly session: SessionRow; readonly hop: HopRow; readonly lease: LeaseRow }

const DEPTH = 5;
/** Children of each hop: some nine thousand hops in a tree of a hundred thousand leases. */
const fanOutOf = (leases: number): number => Math.max(1, Math.floor((leases / 12) ** (1 / DEPTH)));
const BATCH = 2_000;
const PER_SESSION = 50;
const OTHERS_SPAN = 6 * HOUR;

export const openFiller = (url: string): Filler => {
  const database = parseDatabase(url);
  const connection: Connection = database.engine === 'sqlite' ? createSqliteConnection(database.path, { busyMs: 30 * SECOND }) : createPostgresConnection(database.url, { transactionMs: MINUTE });
  const statements = buildStatements(connection.dialect).issue;
  let made = 0;

  const write = async (sessions: readonly SessionRow[], hops: readonly HopRow[], leases: readonly LeaseRow[]): Promise<void> => {
    await connection.transaction('shared', async (query) => {
      if (sessions.length > 0) await query(statements.session, joinRows(sessions.map((row) => encodeRow(SESSION, row))));
      if (hops.length > 0) await query(statements.hop, joinRows(hops.map((row) => encodeRow(HOP, row))));
      if (leases.length > 0) await query(statements.lease, joinRows(leases.map((row) => encodeRow(LEASE, row))));
    });
  };
  const leaseOf = ({ lease }: Root, hop: Pick<HopRow, 'id' | 'sessionId' | 'workloadId'>, issuedAt: number, expiresAt: number): LeaseRow => {
    made += 1;
    const id = newId('lease', { now: () => issuedAt }, systemRandom);
    return { ...lease, id, kind: 'access_token', sessionId: hop.sessionId, hopId: hop.id, workloadId: hop.workloadId, replayKey: `bench ${url} ${made} ${id}`, replayUntil: issuedAt + HOUR, credentialHash: sha256(id).toString('base64url'), issuedAt, expiresAt };
  };

  return {
    async growTree(root, leases) {
      const now = Date.now();
      const hops = growHops(root, fanOutOf(leases), now);
      for (let from = 0; from < hops.length; from += BATCH) await write([], hops.slice(from, from + BATCH), []);
      const all = [root.hop, ...hops];
      for (let from = 0; from < leases; from += BATCH) {
        await write([], [], Array.from({ length: Math.min(BATCH, leases - from) }, (_, at) => leaseOf(root, all[(from + at) % all.length] ?? root.hop, now, now + 55 * MINUTE)));
      }
      return all.length;
    },
    async addOthers(root, leases) {
      const now = Date.now();
      for (let from = 0; from < leases; from += BATCH) {
        const sessions = Array.from({ length: Math.ceil(Math.min(BATCH, leases - from) / PER_SESSION) }, (_, at) => otherSession(root, now - Math.floor(OTHERS_SPAN * ((from + at * PER_SESSION) / leases))));
        const rows = sessions.flatMap(({ session, hop }) => Array.from({ length: PER_SESSION }, (_, at) => leaseOf(root, hop, session.startedAt, at % 2 === 0 ? session.startedAt + 5 * MINUTE : now + 55 * MINUTE)));
        await write(sessions.map(({ session }) => session), sessions.map(({ hop }) => hop), rows.slice(0, leases - from));
      }
    },
    close: () => connection.close(),
  };
};

const growHops = ({ hop: root }: Root, fanOut: number, now: number): readonly HopRow[] => {
  const hops: HopRow[] = [];
  let parents: readonly HopRow[] = [root];
  for (let depth = 1; depth <= DEPTH; depth += 1) {
    parents = parents.flatMap((parent) => Array.from({ length: fanOut }, () => {
      const workload = { id: newId('workload', { now: () => now }, systemRandom), spiffeId: `spiffe://dev.127.0.0.1/tree/${depth}` as SpiffeId, expires: root.expiresAt };
      const link = { iss: root.chain[0]?.iss ?? '', sub: workload.spiffeId, workloadId: workload.id, evidence: {} };
      return openChildHop(parent, { workload, issuerId: 'iss_tree', jkt: null, ceiling: parent.ceiling, link }, newId('lease', { now: () => now }, systemRandom), now);
    }));
    hops.push(...parents);
  }
  return hops;
};

const otherSession = ({ session, hop }: Root, startedAt: number): { readonly session: SessionRow; readonly hop: HopRow } => {
  const id = sessionIdFromHash(systemRandom.bytes(16));
  const hopId = newId('hop', { now: () => startedAt }, systemRandom);
  return {
    session: { ...session, id, anchor: id, startedAt },
    hop: { ...hop, id: hopId, sessionId: id, path: [...hop.path.filter((target) => !/^(?:session|hop):/.test(target)), `session:${id}`, `hop:${hopId}`], createdAt: startedAt },
  };
};
