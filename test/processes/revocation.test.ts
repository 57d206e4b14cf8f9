import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import pg from 'pg';
import { PUBLIC_REFUSALS } from '../../src/http/problem.ts';
import type { Answer } from '../support/mayfly.ts';
import { API } from '../support/world.ts';
import { bothKnow, startNodes } from './nodes.ts';
import type { Nodes } from './nodes.ts';
import { createIntrospect, openSession, spend } from './session.ts';
import type { Introspect } from './session.ts';
import type { Server } from './server.ts';
import { until } from './until.ts';

// Processes start slowly on a machine with more to do than it can; nothing here is about how fast.
jest.setTimeout(300_000);

const ROUNDS = 200;
/** Rounds under way at once. */
const ABREAST = 5;
const WORKLOAD_ROUNDS = 20;

let nodes: Nodes;
let database: pg.Pool;
let introspect: Introspect;
beforeAll(async () => {
  nodes = await startNodes();
  database = new pg.Pool({ connectionString: nodes.place.databaseUrl, max: ABREAST });
  introspect = await createIntrospect(nodes.a, nodes.platform.service(nodes.externalUrl), nodes.externalUrl);
});
afterAll(async () => {
  await database.end();
  await nodes.close();
});

const revoke = async (at: Server, kind: string, id: string): Promise<void> => {
  const answer = await at.admin('POST', 'revocations', { kind, id, domain: 'dev', reason: 'stolen' });
  if (answer.status !== 200) throw new Error(`not revoked: ${JSON.stringify(answer.body)}`);
};
const enable = async (at: Server, kind: 'workload' | 'domain' = 'workload'): Promise<void> => {
  const answer = await at.admin('POST', 'enable', kind === 'domain' ? { kind, id: 'dev' } : { kind, id: 'ci/deployer', domain: 'dev' });
  if (answer.status !== 200) throw new Error(`not enabled: ${JSON.stringify(answer.body)}`);
  await until('both nodes know', async () => (await Promise.all([nodes.a, nodes.b].map(async (node) => (await node.exchange({ subject_token: nodes.job(), audience: API })).status))).every((status) => status === 200));
};

const count = async (where: string, value: string): Promise<number> => Number((await database.query<{ n: string }>(`SELECT count(*) AS n FROM lease WHERE ${where} = $1`, [value])).rows[0]?.n);
const issued = (answers: readonly Answer[]): readonly Answer[] => answers.filter(({ status }) => status === 200);
const tokenOf = (answer: Answer): string => String(answer.body['access_token']);

/** One session, spent at both nodes while one of them takes it back. */
const race = async (round: number): Promise<void> => {
  const [near, far] = round % 2 === 0 ? [nodes.a, nodes.b] : [nodes.b, nodes.a];
  const { token, lease, session } = await openSession(far, nodes.job());
  const held = tokenOf(await spend(near, token));
  const racing = [spend(far, token), spend(near, token)];
  const confirmed = revoke(near, round % 4 < 2 ? 'session' : 'lease', round % 4 < 2 ? session : lease);
  racing.push(spend(far, token), spend(near, token), spend(far, token));
  await confirmed;
  const known = count('session_id', session);
  const late = [spend(near, token), spend(far, token)];
  const asked = await Promise.all([introspect(near, held), introspect(far, held)]);
  expect(asked.map(({ body }) => body)).toEqual([{ active: false }, { active: false }]);
  const lateAnswers = await Promise.all(late);
  expect(issued(lateAnswers)).toEqual([]);
  const won = issued(await Promise.all(racing));
  // Whoever won had won before the confirmation, and what they got is worth nothing now.
  expect(await count('session_id', session)).toBe(await known);
  expect(await known).toBe(2 + won.length);
  expect((await Promise.all(won.map((answer) => introspect(far, tokenOf(answer))))).map(({ body }) => body)).toEqual(won.map(() => ({ active: false })));
  // Beyond the first of a minute, refusals are in the memory of the node that made them.
  expect(await Promise.all([near, far].map(async (node, index) => (await node.explain(lateAnswers[index] as Answer))['code']))).toEqual(['revoked', 'revoked']);
};

describe('a revocation at one of two nodes', () => {
  test('leaves alone what it does not name: the twin of everything below', async () => {
    const { token } = await openSession(nodes.a, nodes.job());
    const answers = await Promise.all([spend(nodes.a, token), spend(nodes.b, token)]);
    expect(issued(answers)).toHaveLength(2);
    expect((await Promise.all(answers.map((answer, index) => introspect(index === 0 ? nodes.b : nodes.a, tokenOf(answer))))).map(({ body }) => body['active'])).toEqual([true, true]);
  });

  test(`against exchanges at both, ${ROUNDS} times: nothing is issued after it was confirmed, and nothing issued before is active`, async () => {
    for (let round = 0; round < ROUNDS; round += ABREAST) await Promise.all(Array.from({ length: ABREAST }, (_, index) => race(round + index)));
  });

  test('of a workload holds against evidence that would open new sessions', async () => {
    const workload = String((await nodes.a.admin('GET', 'workloads/dev/ci%2Fdeployer')).body['id']);
    for (let round = 0; round < WORKLOAD_ROUNDS; round += 1) {
      const attempt = (at: Server): Promise<Answer> => at.exchange({ subject_token: nodes.job(), audience: API });
      const racing = [attempt(nodes.a), attempt(nodes.b)];
      const confirmed = revoke(round % 2 === 0 ? nodes.a : nodes.b, 'workload', 'ci/deployer');
      racing.push(attempt(nodes.b), attempt(nodes.a), attempt(nodes.b));
      await confirmed;
      const known = count('workload_id', workload);
      expect(issued(await Promise.all([attempt(nodes.a), attempt(nodes.b)]))).toEqual([]);
      await Promise.all(racing);
      expect(await count('workload_id', workload)).toBe(await known);
      await enable(nodes.a);
    }
  });

  test('of the whole domain holds at the other, and so does its end: what is new begins at both, and what was stays ended at both', async () => {
    const { token } = await openSession(nodes.b, nodes.job());
    const held = tokenOf(await spend(nodes.a, token));
    await revoke(nodes.a, 'domain', 'dev');
    expect(issued(await Promise.all([nodes.a, nodes.b].flatMap((node) => [spend(node, token), node.exchange({ subject_token: nodes.job(), audience: API })])))).toEqual([]);
    await enable(nodes.b, 'domain');
    const late = await Promise.all([spend(nodes.a, token), spend(nodes.b, token)]);
    expect(issued(late)).toEqual([]);
    expect(await Promise.all([nodes.a, nodes.b].map(async (node, index) => (await node.explain(late[index] as Answer))['code']))).toEqual(['revoked', 'revoked']);
    // The one who asked before fell with the domain.
    introspect = await createIntrospect(nodes.a, nodes.platform.service(nodes.externalUrl), nodes.externalUrl);
    const fresh = tokenOf(await nodes.b.exchange({ subject_token: nodes.job(), audience: API }));
    for (const node of [nodes.a, nodes.b]) expect([(await introspect(node, held)).body, (await introspect(node, fresh)).body['active']]).toEqual([{ active: false }, true]);
  });

  test('holds at the other although its snapshot does not know it yet, because the commit does', async () => {
    const seen = await concluded(async () => {
      // What node B holds next is missing the next change and nothing else.
      await bothKnow(nodes.a, nodes.b);
      const release = nodes.wayOfB.hold(/^mayfly (?:reads|listen)$/);
      try {
        const twin = await nodes.b.exchangeOnce({ subject_token: nodes.job(), audience: API });
        await revoke(nodes.a, 'workload', 'ci/deployer');
        return [twin, await nodes.b.exchangeOnce({ subject_token: nodes.job(), audience: API })];
      } finally {
        release();
        await enable(nodes.a);
      }
    });
    expect(seen.map(({ status }) => status)).toEqual([200, 400]);
    expect(await nodes.b.explain(seen[1] as Answer)).toMatchObject({ code: 'revoked', detail: 'revoked before the commit' });
  });

  test('is seen by the other, which then refuses by itself', async () => {
    await revoke(nodes.a, 'workload', 'ci/deployer');
    await until('node B refuses from its snapshot', async () => {
      const answer = await nodes.b.exchange({ subject_token: nodes.job(), audience: API });
      expect(answer.status).not.toBe(200);
      return answer.status === 400 && String((await nodes.b.explain(answer))['detail']).startsWith('workload:');
    });
    await enable(nodes.a);
  });
});

describe('a node that has lost sight of the registry', () => {
  test('answers exchange and introspection with 503 past the bound, while the other goes on, and recovers', async () => {
    const { token } = await openSession(nodes.a, nodes.job());
    const held = tokenOf(await spend(nodes.a, token));
    const release = nodes.wayOfB.hold(/^mayfly/);
    try {
      const stale = PUBLIC_REFUSALS.snapshot_stale.sentence;
      await until('node B says so', async () => (await nodes.b.exchangeOnce({ subject_token: nodes.job(), audience: API })).body['error_description'] === stale);
      const answers = await Promise.all([nodes.b.exchangeOnce({ subject_token: nodes.job(), audience: API }), introspect(nodes.b, held, true)]);
      expect(answers.map(({ status, headers, body }) => [status, headers['retry-after'], body['error_description']])).toEqual([[503, '1', stale], [503, '1', stale]]);
      expect((await nodes.a.exchange({ subject_token: nodes.job(), audience: API })).status).toBe(200);
      expect((await introspect(nodes.a, held)).body['active']).toBe(true);
    } finally {
      release();
    }
    await until('node B answers again', async () => (await nodes.b.exchange({ subject_token: nodes.job(), audience: API })).status === 200 && (await introspect(nodes.b, held)).body['active'] === true);
  });
});

/** The bound may be reached before the attempt is made; then it says nothing, and is made again. */
const concluded = async (attempt: () => Promise<readonly Answer[]>): Promise<readonly Answer[]> => {
  let last: readonly Answer[] = [];
  for (let left = 10; left > 0; left -= 1) {
    const answers = await attempt();
    last = answers;
    if (answers.every(({ status }) => status !== 503)) return answers;
    expect(answers.filter(({ status }) => status !== 503).map(({ status }) => status)).toEqual(answers.length === 2 && answers[0]?.status === 200 ? [200] : []);
  }
  throw new Error(`node B was stale each time: ${JSON.stringify(last.map(({ body }) => body))}`);
};
