import pg from 'pg';
import { postgresOptions } from '../connections.ts';
import { postgresqlDialect } from '../sql/postgresql.ts';
import { TransactionFailed } from './connection.ts';
import type { Connection, Durability, Query, RegistryLock, Row, TransactionFault } from './connection.ts';

/** One client, replaced with growing pauses after it was lost. Between attempts every transaction fails at once. */
export const createPostgresConnection = (url: string, limits: { readonly transactionMs: number }): Connection => {
  let link: Promise<pg.Client> | undefined;
  let failures = 0;
  let pause: NodeJS.Timeout | undefined;
  let closed = false;
  let lastFault = 'not connected';

  const connect = (): Promise<pg.Client> => {
    const attempt = openClient(url, limits.transactionMs, () => { if (link === attempt) link = undefined; });
    link = attempt;
    attempt.then(() => { failures = 0; }, (cause: unknown) => {
      lastFault = describe(cause);
      if (link === attempt) link = undefined;
      rest();
    });
    return attempt;
  };

  /** No attempt is made while a pause runs, so that a database that is down is not asked by every request. */
  const rest = (): void => {
    if (closed) return;
    pause = setTimeout(() => { pause = undefined; }, Math.min(FIRST_PAUSE_MS * 2 ** failures, LONGEST_PAUSE_MS));
    failures += 1;
  };

  const connected = async (): Promise<pg.Client> => {
    if (closed || (link === undefined && pause !== undefined)) throw new TransactionFailed('failed', `postgresql: ${lastFault}`);
    try {
      return await (link ?? connect());
    } catch (cause) {
      throw new TransactionFailed('failed', `postgresql: ${describe(cause)}`, { cause });
    }
  };

  return {
    dialect: postgresqlDialect,
    async transaction(registry, work) {
      const client = await connected();
      return runTransaction(client, registry, work, limits.transactionMs);
    },
    durability: async () => readDurability(await connected()),
    async close() {
      closed = true;
      clearTimeout(pause);
      const client = await link?.catch(() => undefined);
      link = undefined;
      await client?.end();
    },
  };
};

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

/** 'mayf', 1: the two-part keys are a space of their own, apart from the migrations' lock. */
const REGISTRY_LOCK = '1835103590, 1';

// READ COMMITTED whatever the server's default: every statement after the lock must see what committed before it was granted.
const BEGIN: Record<RegistryLock, string> = {
  shared: `BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock_shared(${REGISTRY_LOCK})`,
  exclusive: `BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(${REGISTRY_LOCK})`,
  none: 'BEGIN ISOLATION LEVEL READ COMMITTED',
};

const runTransaction = async <T>(client: pg.Client, registry: RegistryLock, work: (query: Query) => Promise<T>, limitMs: number): Promise<T> => {
  const query: Query = async (statement, ...parameters) => {
    const { rows } = await client.query<Row>({ name: statement.name, text: statement.sql, values: [...parameters] });
    return rows;
  };
  let committing = false;
  // Ending a client that has a query under way cuts its connection, and the server rolls back what it had not committed.
  const limit = setTimeout(() => void client.end(), limitMs);
  try {
    await client.query(BEGIN[registry]);
    const result = await work(query);
    committing = true;
    const { command } = await client.query('COMMIT');
    // An aborted transaction answers COMMIT with ROLLBACK, and no error.
    if (command !== 'COMMIT') throw new TransactionFailed('failed', 'postgresql: the transaction was rolled back');
    return result;
  } catch (cause) {
    const fault = faultOf(cause, committing);
    await client.query('ROLLBACK').catch(() => void client.end());
    throw cause instanceof TransactionFailed ? cause : new TransactionFailed(fault, `postgresql: ${describe(cause)}`, { cause });
  } finally {
    clearTimeout(limit);
  }
};

const openClient = async (url: string, transactionMs: number, lost: () => void): Promise<pg.Client> => {
  const client = new pg.Client({ ...postgresOptions(url, 'writer'), connectionTimeoutMillis: CONNECT_MS, query_timeout: transactionMs });
  client.on('error', lost);
  client.on('end', lost);
  await client.connect();
  try {
    await client.query(settings(transactionMs));
    const found = await readDurability(client);
    if (found.fsync !== 'on' || found.synchronous_commit === 'off') throw new Error(`the server does not make commits durable: fsync=${found.fsync}, synchronous_commit=${found.synchronous_commit}`);
    return client;
  } catch (cause) {
    await client.end().catch(() => undefined);
    throw cause;
  }
};

const CONNECT_MS = 2_000;

// Every read of this connection is a lookup by key. Plans made while a table was empty would read it whole once it has
// grown. A node that dies within a transaction must not keep the registry lock: idle_in_transaction_session_timeout.
const settings = (transactionMs: number): string =>
  `SET TIME ZONE 'UTC'; SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;
   SET statement_timeout = ${transactionMs}; SET idle_in_transaction_session_timeout = ${transactionMs}`;

const readDurability = async (client: pg.Client): Promise<Durability & { readonly fsync: string; readonly synchronous_commit: string }> => {
  const { rows } = await client.query<{ fsync: string; synchronous_commit: string }>("SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit");
  const [found] = rows;
  if (found === undefined) throw new Error('the server does not tell its settings');
  return { fsync: found.fsync, synchronous_commit: found.synchronous_commit };
};

/** SQLSTATE classes in which the same rows would fail again, or alone would not: data, constraints, deadlock and serialization, limits (PostgreSQL appendix A). */
const REFUSES_A_ROW = /^(?:22|23|40|54)/;

const faultOf = (cause: unknown, committing: boolean): TransactionFault => {
  if (!(cause instanceof pg.DatabaseError)) return committing ? 'unknown' : 'failed';
  // FATAL ends the connection, perhaps after the commit was written.
  if (committing && cause.severity !== 'ERROR') return 'unknown';
  return REFUSES_A_ROW.test(cause.code ?? '') ? 'rejected' : 'failed';
};

/** SQLSTATE or system code, and the text only where it cannot quote a row. */
const describe = (cause: unknown): string => {
  if (cause instanceof pg.DatabaseError) return REFUSES_A_ROW.test(cause.code ?? '') ? `SQLSTATE ${cause.code}` : `SQLSTATE ${cause.code}: ${cause.message}`;
  return cause instanceof Error ? (cause.message === '' ? cause.name : cause.message) : 'unknown fault';
};
