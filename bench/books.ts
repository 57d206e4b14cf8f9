import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import Database from 'libsql';
import pg from 'pg';

/** What the database itself says, asked without any code of the server. */
export interface Books {
  /** Hash of the issued credential by lease id. */
  readonly hashes: ReadonlyMap<string, string>;
  /** Audit entries that tell of an issuance. */
  readonly audited: number;
}

const LEASES = 'SELECT id, credential_hash FROM lease';
const AUDITED = "SELECT count(*) AS n FROM audit WHERE action = 'exchange.issued'";

/** As of one moment: requests the load left behind may still be answered meanwhile. */
export const readBooks = async (databaseUrl: string): Promise<Books> => {
  const [leases, [audited]] = databaseUrl.startsWith('postgres') ? await askPostgres(databaseUrl) : askSqlite(databaseUrl);
  return { hashes: new Map(leases.map((row) => [String(row['id']), String(row['credential_hash'])])), audited: Number(audited?.['n']) };
};

type Rows = readonly Readonly<Record<string, unknown>>[];

const askSqlite = (path: string): readonly [Rows, Rows] => {
  const database = new Database(path);
  database.exec('BEGIN');
  const answers = [database.prepare(LEASES).all() as Rows, database.prepare(AUDITED).all() as Rows] as const;
  database.exec('COMMIT');
  database.close();
  return answers;
};

const askPostgres = async (url: string): Promise<readonly [Rows, Rows]> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  const answers = [(await client.query<Record<string, unknown>>(LEASES)).rows, (await client.query<Record<string, unknown>>(AUDITED)).rows] as const;
  await client.end();
  return answers;
};

export interface Reckoning { readonly received: number; readonly leases: number; readonly audited: number }

/** Every token a client received must be a lease with its hash, and every lease must have been audited; throws otherwise. */
export const reckon = async (answerFiles: readonly string[], databaseUrl: string): Promise<Reckoning> => {
  const { hashes, audited } = await readBooks(databaseUrl);
  const tokens = answerFiles.flatMap((file) => readFileSync(file, 'utf8').split('\n')).filter((line) => line !== '').map((line) => (JSON.parse(line) as { access_token: string }).access_token);
  const missing = tokens.filter((token) => hashes.get(leaseOf(token)) !== createHash('sha256').update(token).digest('base64url'));
  if (missing.length > 0) throw new Error(`${missing.length} of ${tokens.length} tokens that were received are not in the registry`);
  if (new Set(tokens.map(leaseOf)).size !== tokens.length) throw new Error('two answers carried one token');
  if (audited !== hashes.size) throw new Error(`${hashes.size} leases, but ${audited} audit entries of issuances`);
  return { received: tokens.length, leases: hashes.size, audited };
};

const leaseOf = (token: string): string => (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string }).jti;
