import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { listenForChanges } from '../../src/store/listen.ts';
import { startPostgres } from '../support/postgres.ts';
import type { Postgres } from '../support/postgres.ts';

let postgres: Postgres;
beforeAll(async () => { postgres = await startPostgres(); });
afterAll(() => postgres.stop());

describe('the listener for registry changes', () => {
  test('calls back once it listens, at each notice, and again after its connection was cut', async () => {
    const { url, drop } = await postgres.freshDatabase();
    const other = new pg.Client({ connectionString: url });
    await other.connect();
    const calls = countCalls();
    const listener = listenForChanges(url, calls.changed);
    await calls.reach(1);
    await other.query("SELECT pg_notify('mayfly_registry', '7')");
    await calls.reach(2);
    await other.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mayfly listen' AND datname = current_database()");
    // What was announced in the gap is lost, so coming back is a call as well.
    await calls.reach(3);
    await other.query("SELECT pg_notify('mayfly_registry', '8')");
    await calls.reach(4);
    await listener.close();
    const listening = async (): Promise<number | null> => (await other.query("SELECT 1 FROM pg_stat_activity WHERE application_name = 'mayfly listen' AND datname = current_database()")).rowCount;
    while ((await listening()) !== 0);
    expect(calls.made()).toBe(4);
    await other.end();
    await drop();
  });

  test('closes while its server cannot be reached', async () => {
    const calls = countCalls();
    const listener = listenForChanges('postgresql://127.0.0.1:1/none', calls.changed);
    await listener.close();
    expect(calls.made()).toBe(0);
  });
});

const countCalls = () => {
  let made = 0;
  let check: () => void = () => undefined;
  return {
    changed: (): void => {
      made += 1;
      check();
    },
    made: () => made,
    reach: (count: number): Promise<void> => new Promise((resolve) => {
      check = () => { if (made >= count) resolve(); };
      check();
    }),
  };
};
