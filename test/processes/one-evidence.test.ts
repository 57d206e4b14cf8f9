import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';
import pg from 'pg';
import { GRANT, JWT_TYPE } from '../support/mayfly.ts';
import type { Answer } from '../support/mayfly.ts';
import { API } from '../support/world.ts';
import type { ClientAnswer, ClientRequest } from './client-process.ts';
import { startClients } from './clients.ts';
import type { Clients } from './clients.ts';
import { leaseOf } from './load.ts';
import { startNodes } from './nodes.ts';
import type { Nodes } from './nodes.ts';

// Processes start slowly on a machine with more to do than it can; nothing here is about how fast.
jest.setTimeout(300_000);

const CONTESTED = 24;
/** Of each client, beside what both send. */
const OWN = 48;

let nodes: Nodes;
let clients: Clients;
beforeAll(async () => { [nodes, clients] = await Promise.all([startNodes(), startClients()]); });
afterAll(async () => {
  await clients.close();
  await nodes.close();
});

const exchangeAt = (node: { readonly at: string }, evidence: string, headers: Readonly<Record<string, string>> = {}): ClientRequest =>
  ({ url: `${node.at}/dev/token`, form: { grant_type: GRANT, subject_token_type: JWT_TYPE, subject_token: evidence, audience: API, scope: 'deploy:read' }, headers });

/** Beyond sixty in a minute a refusal is known to the node alone that made it. */
const reasonOf = async (answer: ClientAnswer): Promise<unknown> => {
  const reasons = await Promise.all([nodes.a, nodes.b].map(async (node) => (await node.explain(answer as Answer))['code']));
  return reasons.find((reason) => reason !== 'not_found');
};

/** What both send, spread evenly among what each sends alone: first to last third, every third. */
const mix = (contested: readonly ClientRequest[], own: readonly ClientRequest[]): readonly ClientRequest[] =>
  contested.flatMap((request, index) => [...own.slice(2 * index, 2 * index + 1), request, ...own.slice(2 * index + 1, 2 * index + 2)]);

/** Both clients meet at the same evidence on different nodes, and each talks to both nodes equally often. */
const race = async (evidence: readonly (readonly [string, string])[]) => {
  const nodeOf = (client: number, index: number) => ((client + index) % 2 === 0 ? nodes.a : nodes.b);
  const requestsOf = (client: 0 | 1): readonly ClientRequest[] =>
    mix(evidence.map((twins, index) => exchangeAt(nodeOf(client, index), twins[client])), Array.from({ length: OWN }, (_, index) => exchangeAt(nodeOf(client, index), nodes.job())));
  const answers = await clients.send(requestsOf(0), requestsOf(1));
  const isContested = (index: number): boolean => index % 3 === 1;
  const [contested, own] = [true, false].map((wanted) => answers.map((of) => of.filter((_, index) => isContested(index) === wanted)));
  return { pairs: evidence.map((_, index) => [contested?.[0]?.[index], contested?.[1]?.[index]] as [ClientAnswer, ClientAnswer]), own: own?.flat() ?? [] };
};

const leasesIn = async (sql: string, parameters: readonly unknown[]): Promise<number> => {
  const client = new pg.Client({ connectionString: nodes.place.databaseUrl });
  await client.connect();
  const { rows } = await client.query<{ n: string }>(sql, [...parameters]);
  await client.end();
  return Number(rows[0]?.n);
};

const expectOneEach = async ({ pairs, own }: Awaited<ReturnType<typeof race>>): Promise<void> => {
  expect(own.filter(({ status }) => status !== 200)).toEqual([]);
  const won = pairs.map((pair) => pair.filter(({ status }) => status === 200));
  expect(won.map((winners) => winners.length)).toEqual(pairs.map(() => 1));
  const lost = pairs.flat().filter(({ status }) => status !== 200);
  expect(await Promise.all(lost.map(reasonOf))).toEqual(lost.map(() => 'evidence_replayed'));
  const leases = [...won.flat(), ...own].map((answer) => leaseOf(answer as Answer));
  expect(await leasesIn('SELECT count(*) AS n FROM lease WHERE id = ANY($1)', [leases])).toBe(pairs.length + 2 * OWN);
};

describe('two clients at two nodes over one PostgreSQL', () => {
  test('get one token for the same evidence, and harm nobody else', async () => {
    const before = await leasesIn('SELECT count(*) AS n FROM lease', []);
    await expectOneEach(await race(Array.from({ length: CONTESTED }, () => {
      const evidence = nodes.job();
      return [evidence, evidence] as const;
    })));
    expect(await leasesIn('SELECT count(*) AS n FROM lease', [])).toBe(before + CONTESTED + 2 * OWN);
  });

  test('get one token for two tokens of one jti', async () => {
    await expectOneEach(await race(Array.from({ length: CONTESTED }, () => {
      const jti = randomUUID();
      return [nodes.job({ jti }), nodes.job({ jti })] as const;
    })));
  });

  test('get one token for one DPoP proof, and what the loser sent is not used up', async () => {
    const prove = await makeProver();
    const contested = await Promise.all(Array.from({ length: CONTESTED }, async () => ({ proof: await prove(), evidence: [nodes.job(), nodes.job()] as const })));
    const requestsOf = (client: 0 | 1): readonly ClientRequest[] => contested.map(({ proof, evidence }, index) => exchangeAt((client + index) % 2 === 0 ? nodes.a : nodes.b, evidence[client], { dpop: proof }));
    const answers = await clients.send(requestsOf(0), requestsOf(1));
    const pairs = contested.map(({ evidence }, index) => ([0, 1] as const).map((client) => ({ answer: answers[client][index] as ClientAnswer, evidence: evidence[client] })));
    expect(pairs.map((pair) => pair.filter(({ answer }) => answer.status === 200).length)).toEqual(contested.map(() => 1));
    const lost = pairs.flat().filter(({ answer }) => answer.status !== 200);
    expect(await Promise.all(lost.map(({ answer }) => reasonOf(answer)))).toEqual(lost.map(() => 'dpop_replayed'));
    const again = await Promise.all(lost.map(async ({ evidence }) => nodes.b.exchange({ subject_token: evidence, audience: API }, { dpop: await prove() })));
    expect(again.map(({ status }) => status)).toEqual(lost.map(() => 200));
  });
});

/** Proofs by one key with a nonce that node A gave and both nodes know (RFC 9449 section 8). */
const makeProver = async (): Promise<() => Promise<string>> => {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = await exportJWK(publicKey);
  const prove = (nonce?: string): Promise<string> =>
    new SignJWT({ htm: 'POST', htu: `${nodes.externalUrl}/dev/token`, jti: randomUUID(), ...(nonce === undefined ? {} : { nonce }) }).setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk }).setIssuedAt().sign(privateKey);
  const asked = await nodes.a.exchange({ subject_token: nodes.job(), audience: API }, { dpop: await prove() });
  const nonce = asked.headers['dpop-nonce'];
  if (typeof nonce !== 'string') throw new Error(`no nonce: ${JSON.stringify(asked.body)}`);
  return () => prove(nonce);
};
