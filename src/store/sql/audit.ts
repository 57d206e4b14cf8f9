import { insertRows, statement, values } from './dialect.ts';
import type { Dialect } from './dialect.ts';
import { AUDIT, CHECKPOINT } from './tables.ts';

/** Entries with a code that are looked at in one transaction. */
export const CODED_PAGE = 1_000;

const TAIL = { chain: 'text', after: 'bigint' } as const;

/** Statements of the audit chains and of the jobs, whose rows also tell which chains still have a writer. */
export const auditStatements = (dialect: Dialect) => ({
  append: statement(dialect, 'audit', insertRows(dialect, AUDIT)),
  head: statement(dialect, 'head', `SELECT n, hash FROM audit WHERE chain = $1 ORDER BY n DESC LIMIT 1`),
  newestCheckpoint: statement(dialect, 'newest_checkpoint', 'SELECT chain, n, hash, "at" FROM checkpoint WHERE "at" = (SELECT max("at") FROM checkpoint) ORDER BY chain DESC, n DESC LIMIT 1'),
  seal: statement(dialect, 'seal', insertRows(dialect, CHECKPOINT, 'ON CONFLICT (chain, n) DO NOTHING RETURNING n')),
  // Chain by chain through the primary key: a DISTINCT would read every entry. A chain without a living job row has stopped.
  stopped: statement(dialect, 'stopped', `
    WITH RECURSIVE chains(chain) AS (
      SELECT min(chain) FROM audit
      UNION ALL
      SELECT (SELECT min(a.chain) FROM audit a WHERE a.chain > chains.chain) FROM chains WHERE chains.chain IS NOT NULL
    ), ends AS (
      SELECT chain, (SELECT max(a.n) FROM audit a WHERE a.chain = chains.chain) AS n, coalesce((SELECT max(c.n) FROM checkpoint c WHERE c.chain = chains.chain), 0) AS sealed
      FROM chains WHERE chain IS NOT NULL
    )
    SELECT ends.chain, ends.n, ends.sealed FROM ends CROSS JOIN ${values(dialect, { own: 'text', now: 'time' })}
    WHERE ends.chain <> x.own AND ends.n > ends.sealed
      ${dialect.engine === 'sqlite' ? '' : `AND NOT EXISTS (SELECT 1 FROM job j WHERE j.name = 'audit:' || ends.chain AND j.until > x.now)`}`),
  // What may carry a code, oldest first: what is sealed by then is not read again.
  coded: statement(dialect, 'coded', `
    SELECT n, hash, mac FROM audit WHERE chain = (SELECT x.chain FROM ${values(dialect, TAIL)}) AND n > (SELECT x.after FROM ${values(dialect, TAIL)}) AND mac IS NOT NULL
    ORDER BY n LIMIT ${CODED_PAGE}`),
  takeJob: statement(dialect, 'take_job', `
    INSERT INTO job AS j (name, holder, until, fence) SELECT x.name, x.holder, x.until, 1 FROM ${values(dialect, { name: 'text', holder: 'text', until: 'time', now: 'time' })} WHERE true
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until,
      fence = CASE WHEN j.holder = excluded.holder AND j.until > $2${dialect.engine === 'sqlite' ? '' : '::timestamptz'} THEN j.fence ELSE j.fence + 1 END
    WHERE j.holder = excluded.holder OR j.until <= $2${dialect.engine === 'sqlite' ? '' : '::timestamptz'}
    RETURNING fence`),
  // The row stays: its fence must go on rising.
  releaseJob: statement(dialect, 'release_job', `UPDATE job SET until = '1970-01-01T00:00:00.000+00:00' FROM ${values(dialect, { name: 'text', holder: 'text' })} WHERE job.name = x.name AND job.holder = x.holder`),
});
