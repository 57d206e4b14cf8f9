import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import pg from 'pg';
import { API, DEPLOYER, FAR, OWNER } from '../support/world.ts';
import { startNodes } from './nodes.ts';
import type { Nodes } from './nodes.ts';
import type { Server } from './server.ts';
import { createIntrospect } from './session.ts';
import { until } from './until.ts';

// Processes start slowly on a machine with more to do than it can; nothing here is about how fast.
jest.setTimeout(300_000);

const EACH = 20;

let nodes: Nodes;
let database: pg.Pool;
beforeAll(async () => {
  nodes = await startNodes();
  database = new pg.Pool({ connectionString: nodes.place.databaseUrl, max: 2 });
});
afterAll(async () => {
  await database.end();
  await nodes.close();
});

const rows = async <T extends object>(sql: string): Promise<readonly T[]> => (await database.query<T & pg.QueryResultRow>(sql)).rows;

/** As an admin does: who comes second is told so and looks again. Gives the version the write made. */
const put = async (at: Server, path: string, body: object): Promise<number> => {
  for (let left = 200; left > 0; left -= 1) {
    const answer = await at.admin('PUT', path, body);
    if (answer.status === 200) return Number(answer.body['version']);
    if (answer.status !== 409) throw new Error(`PUT ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
  }
  throw new Error(`PUT ${path}: always second`);
};

const workload = (repository: string, owner = OWNER) => ({ kind: 'service', authority: 'bounded', owner, expires: FAR, match: { issuer: 'github', repository_id: repository } });

describe('two nodes that started together on an empty database', () => {
  test('made one system domain and one of each other, and both answer by it', async () => {
    expect(await rows('SELECT name, count(*)::int AS n, count(DISTINCT id)::int AS ids FROM entry WHERE kind = \'domain\' GROUP BY name ORDER BY name')).toEqual([{ name: 'dev', n: 1, ids: 1 }, { name: 'system', n: 1, ids: 1 }]);
    const keys = await Promise.all([nodes.a, nodes.b].map(async ({ at }) => (await (await fetch(`${at}/dev/jwks.json`)).json()) as { keys: { kid: string }[] }));
    expect(keys[0]?.keys.length).toBeGreaterThan(0);
    expect(keys[0]).toEqual(keys[1]);
  });
});

describe('registry writes at two nodes at once', () => {
  test('get versions in order, and none is lost', async () => {
    const writes = await Promise.all([nodes.a, nodes.b].flatMap((node, side) =>
      Array.from({ length: EACH }, (_, index) => put(node, `workloads/dev/svc%2F${'ab'.charAt(side)}-${index}`, workload(String(10_000 * (side + 1) + index))))));
    expect(new Set(writes).size).toBe(2 * EACH);
    const seqs = await rows<{ seq: string }>('SELECT seq FROM entry UNION ALL SELECT seq FROM signing_key UNION ALL SELECT seq FROM revocation UNION ALL SELECT enabled_seq FROM revocation WHERE enabled_seq IS NOT NULL ORDER BY seq');
    expect(seqs.map(({ seq }) => Number(seq))).toEqual(seqs.map((_, index) => index + 1));
    expect(Number((await rows<{ version: string }>('SELECT version FROM registry_version'))[0]?.version)).toBe(seqs.length);
    for (const node of [nodes.a, nodes.b]) {
      await until('every workload is listed', async () => {
        const { items } = (await node.admin('GET', 'workloads?domain=dev&limit=500')).body as { readonly items: readonly { readonly name: string }[] };
        return items.filter(({ name }) => /^svc\/[ab]-\d+$/.test(name)).length === 2 * EACH;
      });
    }
  });

  test('that both want a kind of key the domain has not make one, and each node\'s tokens verify by the keys of the other', async () => {
    const audience = (side: string, index: number): string => `https://${side}-${index}.legacy.example`;
    await nodes.a.apply({ policies: [{ domain: 'dev', name: 'deployer-anywhere', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource) when { resource is Resource };` }] });
    await Promise.all([nodes.a, nodes.b].flatMap((node, side) => Array.from({ length: 3 }, (_, index) =>
      put(node, `resources/dev/${encodeURIComponent(audience('ab'.charAt(side), index))}`, { algorithm: 'RS256', served_by: ['svc/deploy'], owner: OWNER, expires: FAR }))));
    expect(await rows('SELECT purpose, status, count(*)::int AS n FROM signing_key WHERE algorithm = \'RS256\' GROUP BY purpose, status')).toEqual([{ purpose: 'access', status: 'current', n: 1 }]);
    const introspect = await createIntrospect(nodes.a, nodes.platform.service(nodes.externalUrl), nodes.externalUrl);
    const held: string[] = [];
    for (const [node, other, target] of [[nodes.a, nodes.b, audience('b', 0)], [nodes.b, nodes.a, audience('a', 0)]] as const) {
      await until('the node knows the resource of the other', async () => (await node.admin('GET', `resources/dev/${encodeURIComponent(target)}`)).status === 200);
      const answer = await node.exchange({ subject_token: nodes.job(), audience: target });
      expect(answer).toMatchObject({ status: 200 });
      const keys = createRemoteJWKSet(new URL(`${other.at}/dev/jwks.json`));
      expect(await jwtVerify(String(answer.body['access_token']), keys, { issuer: `${nodes.externalUrl}/dev`, audience: target, typ: 'at+jwt', algorithms: ['RS256'] })).toMatchObject({ payload: { sub: DEPLOYER } });
      held.push(String(answer.body['access_token']));
    }
    const usual = String((await nodes.b.exchange({ subject_token: nodes.job(), audience: API })).body['access_token']);
    const said = async (): Promise<readonly unknown[]> => (await Promise.all([nodes.a, nodes.b].flatMap((node) => [...held, usual].map((token) => introspect(node, token))))).map(({ body }) => body['active']);
    expect(await said()).toEqual([true, true, true, true, true, true]);
    expect((await nodes.a.admin('POST', `keys/${decodeProtectedHeader(held[0] ?? '').kid ?? ''}/revoke`, { reason: 'leaked' })).status).toBe(200);
    expect(await said()).toEqual([false, false, true, false, false, true]);
  });

  test('of one entry make one history without gaps', async () => {
    const made = await Promise.all([nodes.a, nodes.b].flatMap((node, side) => Array.from({ length: EACH }, (_, index) => put(node, 'workloads/dev/svc%2Fcontested', workload('777', `team-${side}-${index}@acme.example`)))));
    expect(made).toHaveLength(2 * EACH);
    const history = await rows<{ version: number; owner: string }>('SELECT version, owner FROM entry WHERE name = \'svc/contested\' ORDER BY seq');
    expect(history.map(({ version }) => Number(version))).toEqual(history.map((_, index) => index + 1));
    expect(new Set(history.map(({ owner }) => owner)).size).toBe(2 * EACH);
    expect(await rows('SELECT count(DISTINCT id)::int AS n FROM entry WHERE name = \'svc/contested\'')).toEqual([{ n: 1 }]);
  });
});
