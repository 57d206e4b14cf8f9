import { beforeAll, describe, expect, test } from '@jest/globals';
import Libsql from 'libsql';
import pg from 'pg';
import type { IssuerId } from '../../src/core/ids.ts';
import type { CascadeSource } from '../../src/store/cascades.ts';
import type { Database } from '../../src/store/database.ts';
import { crossings, hopFalls, leaseFalls, leasesOfSession, sessionFalls, sourcePage } from '../../src/store/sql/cascade-reads.ts';
import { retentionStatements } from '../../src/store/sql/retention.ts';
import { postgresqlDialect } from '../../src/store/sql/postgresql.ts';
import { sqliteDialect } from '../../src/store/sql/sqlite.ts';
import type { Dialect } from '../../src/store/sql/dialect.ts';
import type { Query } from '../../src/store/sql/reads.ts';
import { describeRegistries } from '../support/registries.ts';
import { NOW } from './make-rows.ts';

const LEASES = 60_000;
const SESSIONS = 20_000;
const MOMENT = '2026-11-22T12:00:00.123+00:00';

/** As many rows of every table as make a planner take its indexes, by the engine's own counting. */
const fill = (n: (most: number) => string, text: (number: string) => string, moment: (number: string) => string): readonly string[] => [
  `INSERT INTO session (id, domain_id, issuer_id, holder, model, principal, person, anchor, facts, started_at, expires_at, began_version)
    SELECT 's' || ${text('n')}, 'd' || n % 4, 'i' || n % 20, 'w' || n % 100, 'bounded', 'p' || n % 500, 'p' || n % 500, 'a', '{}', ${moment('n')}, '2026-11-22T20:00:00.000+00:00', 1 FROM ${n(SESSIONS)}`,
  `INSERT INTO hop (id, session_id, actor, workload_id, ceiling, depth, chain, path, created_at, expires_at)
    SELECT 'h' || ${text('n')}, 's' || ${text('n')}, 'x', 'w' || n % 100, '[]', 0, '[]', '["session:s' || ${text('n')} || '","hop:h' || ${text('n')} || '"]', ${moment('n')}, '2026-11-22T20:00:00.000+00:00' FROM ${n(SESSIONS)}`,
  `INSERT INTO lease (id, kind, domain_id, session_id, hop_id, workload_id, owner, issuer_id, audience, scope, ceiling, decision, credential_hash, kid, issued_at, expires_at)
    SELECT 'l' || ${text('n')}, 'access_token', 'd' || n % 4, 's' || ${text(`n % ${SESSIONS}`)}, 'h' || ${text(`n % ${SESSIONS}`)}, 'w' || n % 100, 'o', 'i' || n % 20, 'a', '', '[]', '{}', 'h', 'k' || n % 3, ${moment('n')}, '2026-11-22T12:05:00.000+00:00' FROM ${n(LEASES)}`,
  `INSERT INTO revocation (seq, target, domain_id, effect, "at", "by", reason, purge_after) SELECT n + 1, 'session:s' || ${text('n')}, 'd0', 'revoked', '${MOMENT}', 'a', 'r', CASE WHEN n % 4 > 0 THEN ${moment('n')} END FROM ${n(SESSIONS)}`,
  `INSERT INTO cascade (seq, target, domain_id, "at", due, progress, steps, sessions, leases, taken_back, honoured)
    SELECT n + 1, 'session:s' || ${text('n')}, 'd0', '${MOMENT}', CASE WHEN n % 100 = 0 THEN ${moment('n')} END, '{}', 0, 0, 0, 0, 0 FROM ${n(SESSIONS)}`,
  'ANALYZE',
];

const onSqlite = fill(
  (most) => `(WITH RECURSIVE count(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM count WHERE n < ${most - 1}) SELECT n FROM count)`,
  (number) => `printf('%06d', ${number})`, (number) => `strftime('%Y-%m-%dT%H:%M:%S', '2026-11-22 10:00:00', '+' || (${number} % 7200) || ' seconds') || '.000+00:00'`,
);
const onPostgres = fill(
  (most) => `(SELECT generate_series(0, ${most - 1}) AS n) x`,
  (number) => `lpad((${number})::text, 6, '0')`, (number) => `timestamptz '2026-11-22 10:00:00+00' + make_interval(secs => ${number} % 7200)`,
);

/** Each on a connection of its own: those of the registry are closed before any hook of the tests. */
const fillDatabase = async (database: Database): Promise<void> => {
  if (database.engine === 'sqlite') return onFile(database.path, (file) => { for (const text of onSqlite) file.exec(text); });
  await onServer(database.url, async (client) => { for (const text of onPostgres) await client.query(text); });
};

const explain = async (database: Database, { sql, parameters }: Query): Promise<string> => {
  if (database.engine === 'sqlite') return onFile(database.path, (file) => (file.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...parameters) as { detail: string }[]).map(({ detail }) => detail).join('\n'));
  return onServer(database.url, async (client) => (await client.query<Record<'QUERY PLAN', string>>(`EXPLAIN ${sql}`, [...parameters])).rows.map((row) => row['QUERY PLAN']).join('\n'));
};

const onFile = <T>(path: string, use: (file: Libsql.Database) => T): T => {
  const file = new Libsql(path);
  try {
    return use(file);
  } finally {
    file.close();
  }
};

const onServer = async <T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
};

describeRegistries({ now: () => NOW }, (registry) => {
  let dialect: Dialect;
  beforeAll(async () => {
    const { database } = registry();
    dialect = database.engine === 'sqlite' ? sqliteDialect : postgresqlDialect;
    await fillDatabase(database);
  });
  const planOf = (query: Query): Promise<string> => explain(registry().database, query);

  const since = NOW - 3_600_000;
  const sources: readonly { readonly name: string; readonly index: RegExp; readonly source: CascadeSource }[] = [
    { name: 'a person', index: /session_person_started_at_idx/, source: { kind: 'sessions', by: 'person', value: 'p1', since } },
    { name: 'who holds them', index: /session_holder_started_at_idx/, source: { kind: 'sessions', by: 'holder', value: 'w1', since } },
    { name: 'a domain', index: /session_domain_id_started_at_idx/, source: { kind: 'sessions', by: 'domain_id', value: 'd1', since } },
    { name: 'an issuer', index: /session_domain_id_started_at_idx/, source: { kind: 'sessions', by: 'domain_id', value: 'd1', since, issuer: 'i1' as IssuerId } },
    { name: 'a workload that acts in them', index: /lease_workload_id_issued_at_idx/, source: { kind: 'leases', by: 'workload_id', value: 'w1', since } },
    { name: 'a key', index: /lease_domain_id_issued_at_idx/, source: { kind: 'leases', by: 'domain_id', value: 'd1', since, kid: 'k1' } },
  ];
  const wholeTable = /SCAN (?:TABLE )?(?:l|s|h|t|r|lease|session|hop|revocation|cascade)\b(?! USING)|Seq Scan on (?:lease|session|hop|revocation|cascade)/;

  describe('what a cascade reads', () => {
    test.each(sources)('of sessions that rest on $name goes along an index, from any page on', async ({ index, source }) => {
      for (const after of [undefined, { at: NOW - 1_800_000, id: 'l010000' }]) {
        const plan = await planOf(sourcePage(dialect, source, NOW, 100, after));
        expect(plan).toMatch(index);
        expect(plan).not.toMatch(wholeTable);
      }
    });

    test('of a session\'s leases goes along their own index, in its order', async () => {
      const plan = await planOf(leasesOfSession(dialect, 's000001', 'l000001', 100));
      expect(plan).toMatch(/lease_session_id_id_idx/);
      expect(plan).not.toMatch(wholeTable);
      expect(plan).not.toMatch(/TEMP B-TREE|Sort/);
    });

    test.each([
      { name: 'leases', query: () => leaseFalls(dialect, ['l000001', 'l000002']) },
      { name: 'hops', query: () => hopFalls(dialect, ['h000001', 'h000002']) },
      { name: 'sessions', query: () => sessionFalls(dialect, ['s000001', 's000002']) },
    ])('of single $name goes by their ids', async ({ query }) => {
      const plan = await planOf(query());
      expect(plan).not.toMatch(wholeTable);
      expect(plan).toMatch(/revocation_target_idx/);
    });

    test('of where a chain goes on goes by who holds it', async () => {
      const plan = await planOf(crossings(dialect, ['s000001', 's000002']));
      expect(plan).toMatch(/session_holder_started_at_idx/);
      expect(plan).toMatch(/hop_session_id_idx/);
      expect(plan).not.toMatch(wholeTable);
    });

    test('of what is due goes along its index', async () => {
      const sql = dialect.parameters('SELECT seq FROM cascade WHERE due <= $1 ORDER BY due, steps, seq LIMIT 1');
      expect(await planOf({ sql, parameters: [MOMENT] })).toMatch(/cascade_due_idx/);
    });
  });

  describe('a purge', () => {
    test.each([
      { table: 'revocation', index: /revocation_purge_after_idx/ }, { table: 'lease', index: /lease_pkey|sqlite_autoindex_lease_1/ }, { table: 'hop', index: /hop_pkey|sqlite_autoindex_hop_1/ },
      { table: 'session', index: /session_pkey|sqlite_autoindex_session_1/ },
    ])('of the table $table finds what goes by index, and takes it by its key', async ({ table, index }) => {
      const purge = retentionStatements(dialect).rows.find(({ name }) => name === `purge_${table}`);
      const bounds = { now: MOMENT, leases: MOMENT, lease_ids: 'l000500', room: 500 };
      const plan = await planOf({ sql: purge?.sql ?? '', parameters: [JSON.stringify([bounds])] });
      expect(plan).toMatch(index);
      expect(plan).not.toMatch(wholeTable);
    });
  });
});
