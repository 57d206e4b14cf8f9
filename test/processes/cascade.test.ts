import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { startNodes } from './nodes.ts';
import type { Nodes } from './nodes.ts';
import { createIntrospect, openSession, spend } from './session.ts';
import { runSql } from './sql.ts';
import { until } from './until.ts';

// Processes start slowly on a machine with more to do than it can; nothing here is about how fast.
jest.setTimeout(300_000);

const LEASES = 15_000;
/** Longer than a holder that is gone keeps the job. */
const TAKEN_OVER_MS = 90_000;

let nodes: Nodes;
beforeAll(async () => { nodes = await startNodes(); });
afterAll(() => nodes.close());

interface CarriedOut { readonly status: string; readonly leases: number; readonly sessions: number }
const sql = (text: string): ReturnType<typeof runSql> => runSql(nodes.place, text);
const progressOf = async (revocation: unknown): Promise<{ readonly leases: number; readonly done: boolean }> => {
  const [row] = await sql(`SELECT leases, due IS NULL AS done FROM cascade WHERE seq = ${String(revocation)}`);
  return { leases: Number(row?.['leases']), done: row?.['done'] === true };
};

/** As many more leases like one that was issued, under ids of the same age. */
const multiply = async (lease: string): Promise<void> => {
  const columns = (await sql("SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'lease' AND column_name NOT IN ('id', 'replay_key')")).map(({ name }) => `"${String(name)}"`).join(', ');
  await sql(`INSERT INTO lease (id, ${columns}) SELECT left(id, 16) || lpad(to_hex(n), 20, '0'), ${columns} FROM lease, generate_series(1, ${LEASES}) n WHERE id = '${lease}'`);
};

test('what follows a revocation goes on at another node when the one that carried it out is killed, and counts nothing twice', async () => {
  const introspect = await createIntrospect(nodes.b, nodes.platform.service(nodes.externalUrl), nodes.externalUrl);
  const { token, lease, session } = await openSession(nodes.b, nodes.job());
  const held = String((await spend(nodes.b, token)).body['access_token']);
  await multiply(lease);
  // Only the other can take the job, which it has for the first time.
  const release = nodes.wayOfB.hold(/^mayfly (?:reads|writer)$/);
  const { body } = await nodes.a.admin('POST', 'revocations', { kind: 'session', id: session, reason: 'stolen' });
  await until('node A is at it', async () => {
    const { leases, done } = await progressOf(body['revocation']);
    if (done) throw new Error('it was done too soon');
    return leases > 0;
  });
  await nodes.a.kill();
  const reached = (await progressOf(body['revocation'])).leases;
  expect(reached).toBeLessThan(LEASES);
  release();
  // Nothing of the session is active meanwhile, however far that is.
  await until('node B answers', async () => (await introspect(nodes.b, held)).body['active'] === false);
  await until('node B has carried it out', async () => (await progressOf(body['revocation'])).done, TAKEN_OVER_MS);
  const carriedOut = (await nodes.b.admin('GET', `revocations/${String(body['revocation'])}`)).body['carried_out'] as CarriedOut;
  expect(carriedOut).toMatchObject({ status: 'done', sessions: 1, leases: LEASES + 2 });
});
