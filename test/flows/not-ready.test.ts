import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import Database from 'libsql';
import { startMayfly } from '../support/mayfly.ts';
import type { Mayfly } from '../support/mayfly.ts';

let mayfly: Mayfly;
beforeEach(async () => { mayfly = await startMayfly(); });
afterEach(async () => { await mayfly.close(); });

const ready = async (): Promise<number> => (await fetch(`${mayfly.url}/readyz`)).status;
/** Changes the database of the stopped server, and starts it again. */
const restartAfter = async (sql: string): Promise<void> => {
  await mayfly.server.close();
  const database = new Database(join(mayfly.folder, 'mayfly.db'), { timeout: 10_000 });
  database.exec(sql);
  database.close();
  await mayfly.restart();
};

test('a server is ready, and stays so when nothing but its owner changed', async () => {
  expect([await ready(), mayfly.server.problems]).toEqual([200, []]);
  await restartAfter("UPDATE entry SET body = json_set(body, '$.owner', 'somebody') WHERE kind = 'domain' AND name = 'dev'");
  expect([await ready(), mayfly.server.problems]).toEqual([200, []]);
});

test.each([
  { name: 'a domain it cannot read, which is missing', sql: "UPDATE entry SET body = json_set(body, '$.stage', 'orbit') WHERE kind = 'domain' AND name = 'dev'", says: /^domain dev: stage/, metadata: 404 },
  { name: 'a damaged key', sql: "UPDATE signing_key SET sealed = replace(sealed, 'v1.', 'v1.A') WHERE purpose = 'access'", says: /domain dev: key .* \(access, current\) does not open: .*damaged/, metadata: 200 },
])('a server with $name, says so and is not ready', async ({ sql, says, metadata }) => {
  await restartAfter(sql);
  expect(await ready()).toBe(503);
  expect(mayfly.server.problems).toEqual(expect.arrayContaining([expect.stringMatching(says)]));
  expect((await fetch(`${mayfly.url}/dev/.well-known/openid-configuration`)).status).toBe(metadata);
});
