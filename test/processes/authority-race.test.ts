import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import pg from 'pg';
import { freePort } from '../../demo/free-port.ts';
import type { Answer } from '../support/mayfly.ts';
import { claimsOf, helperOf, personOf, startAgents, tokenOf } from './agents.ts';
import type { Agents } from './agents.ts';
import { bothKnow, startNodes } from './nodes.ts';
import type { Nodes } from './nodes.ts';
import { makeSqlitePlace } from './places.ts';
import type { Place } from './places.ts';
import { startServerProcess } from './server.ts';
import type { Server } from './server.ts';
import { runSql } from './sql.ts';

// Processes start slowly on a machine with more to do than it can; nothing here is about how fast.
jest.setTimeout(600_000);

const ROUNDS = 500;
/** Rounds under way at once. */
const ABREAST = 10;
/** Whose refusals are looked into: the reason is told by an admin call of its own. */
const EXPLAINED = 10;
const KINDS = ['session', 'hop', 'person', 'workload'] as const;
/** Each is revoked once; one more stays. */
const HELPERS = Math.ceil(ROUNDS / KINDS.length);

const issued = (answers: readonly Answer[]): readonly Answer[] => answers.filter(({ status }) => status === 200);

/** Two processes that answer, which may be behind one address, and what they know. */
interface Scene { readonly agents: Agents; readonly a: Server; readonly b: Server; readonly sql: (text: string) => Promise<readonly Readonly<Record<string, unknown>>[]> }

interface Chain { readonly root: string; readonly child: string; readonly waiting: string; readonly held: readonly string[]; readonly person: string; readonly helper: string }

/** A person, their planner and its helper, each with tokens out, and one more token on its way from hand to hand. */
const openChain = async ({ agents }: Scene, at: Server, number: number, helper = helperOf(HELPERS)): Promise<Chain> => {
  const person = `person-${number}`;
  const root = await agents.plan(at, person);
  const [handed, waiting] = await Promise.all([agents.handOn(at, root, helper), agents.handOn(at, root, helper)]);
  const child = tokenOf(await agents.takeUp(at, handed, helper));
  return { root, child, waiting, held: [tokenOf(await agents.spend(at, child))], person, helper };
};

const revoke = async (at: Server, kind: (typeof KINDS)[number], { root, person, helper }: Chain): Promise<void> => {
  const { sid, jti } = claimsOf(root);
  // A session token stands for its hop.
  const named = { session: { kind: 'session', id: sid }, hop: { kind: 'lease', id: jti }, person: { kind: 'person', id: personOf(person) }, workload: { kind: 'workload', id: helper, domain: 'dev' } }[kind];
  const answer = await at.admin('POST', 'revocations', { ...named, reason: 'stolen' });
  if (answer.status !== 200) throw new Error(`not revoked: ${JSON.stringify(answer.body)}`);
};

/** Leases of the helper in this chain: by its hop, which its session token's lease names. */
const countOf = async ({ sql }: Scene, { child }: Chain): Promise<number> =>
  Number((await sql(`SELECT count(*) AS n FROM lease WHERE session_id = '${claimsOf(child).sid}' AND hop_id = (SELECT hop_id FROM lease WHERE id = '${claimsOf(child).jti}')`))[0]?.['n']);

/** One chain, spent at both while one of them takes something of it back: the helper's parent, its session, its person or itself. */
const race = async (scene: Scene, number: number): Promise<void> => {
  const { agents } = scene;
  const [near, far] = number % 2 === 0 ? [scene.a, scene.b] : [scene.b, scene.a];
  const kind = KINDS[number % KINDS.length] ?? 'session';
  const chain = await openChain(scene, far, number, kind === 'workload' ? helperOf(Math.floor(number / KINDS.length)) : undefined);
  const racing = [agents.spend(far, chain.child), agents.spend(near, chain.child)];
  const confirmed = revoke(near, kind, chain);
  racing.push(agents.spend(far, chain.child));
  await confirmed;
  const known = await countOf(scene, chain);
  const late = await Promise.all([agents.spend(near, chain.child), agents.spend(far, chain.child), agents.takeUp(far, chain.waiting, chain.helper)]);
  expect(issued(late)).toEqual([]);
  const won = issued(await Promise.all(racing)).map(tokenOf);
  // Whoever won had won before the confirmation, and what they got is worth nothing now.
  expect(await countOf(scene, chain)).toBe(known);
  expect(known).toBe(2 + won.length);
  for (const token of [...chain.held, ...won]) expect(await agents.introspect(far, token)).toEqual({ active: false });
  if (number % EXPLAINED === 0) expect(await Promise.all([near, far, far].map((node, index) => node.reason(late[index] as Answer)))).toEqual(['revoked', 'revoked', 'revoked']);
};

const raceAll = async (scene: Scene): Promise<void> => {
  for (let from = 0; from < ROUNDS; from += ABREAST) await Promise.all(Array.from({ length: ABREAST }, (_, index) => race(scene, from + index)));
};

const standing = async (scene: Scene): Promise<void> => {
  const chain = await openChain(scene, scene.a, ROUNDS);
  const answers = await Promise.all([scene.agents.spend(scene.a, chain.child), scene.agents.spend(scene.b, chain.child), scene.agents.takeUp(scene.b, chain.waiting, chain.helper)]);
  expect(issued(answers)).toHaveLength(3);
  expect((await scene.agents.introspect(scene.b, chain.held[0] ?? ''))['active']).toBe(true);
};

describe('two nodes on one PostgreSQL', () => {
  let nodes: Nodes;
  let database: pg.Pool;
  let scene: Scene;
  beforeAll(async () => {
    nodes = await startNodes();
    database = new pg.Pool({ connectionString: nodes.place.databaseUrl, max: ABREAST });
    scene = { agents: await startAgents(nodes.externalUrl, HELPERS + 1), a: nodes.a, b: nodes.b, sql: async (text) => (await database.query<Record<string, unknown>>(text)).rows };
    await nodes.a.apply(scene.agents.manifest);
    await bothKnow(nodes.a, nodes.b);
  });
  afterAll(async () => {
    await scene.agents.close();
    await database.end();
    await nodes.close();
  });

  test('serve a chain that nobody took back: the twin of everything below', () => standing(scene));

  test(`revoking against exchanges, ${ROUNDS} times: nothing is issued after it was confirmed, and nothing issued before is active`, () => raceAll(scene));

  test('refuse a child whose parent was revoked between the check and the commit of its exchange', async () => {
    for (let attempt = 0, code: unknown; code !== 'revoked before the commit'; attempt += 1) {
      if (attempt === 10) throw new Error('the revocation never came in between');
      const chain = await openChain(scene, nodes.b, ROUNDS);
      const release = nodes.wayOfB.hold(/^mayfly writer$/);
      try {
        const waiting = scene.agents.spendOnce(nodes.b, chain.child);
        // Its own check has looked at the database by the time another reader behind it was answered.
        await scene.agents.introspect(nodes.b, chain.held[0] ?? '');
        await revoke(nodes.a, 'hop', chain);
        release();
        const answer = await waiting;
        // One that waited longer than a commit may is told 503, and nothing was decided.
        expect([400, 503]).toContain(answer.status);
        if (answer.status === 400) code = (await nodes.b.explain(answer))['detail'];
      } finally {
        release();
      }
      expect(await countOf(scene, chain)).toBe(2);
    }
  });
});

describe('one server with two serving processes on SQLite', () => {
  let place: Place;
  let server: Server;
  let scene: Scene;
  beforeAll(async () => {
    place = await makeSqlitePlace();
    server = await startServerProcess({ folder: place.folder(), port: await freePort(), config: { workers: 2 } });
    scene = { agents: await startAgents(server.at, HELPERS + 1), a: server, b: server, sql: (text) => runSql(place, text) };
    await server.apply(scene.agents.manifest);
  });
  afterAll(async () => {
    await scene.agents.close();
    await server.kill();
    await place.drop();
  });

  test('serves a chain that nobody took back: the twin of what follows', () => standing(scene));

  test(`revoking against exchanges, ${ROUNDS} times: nothing is issued after it was confirmed, and nothing issued before is active`, () => raceAll(scene));
});
