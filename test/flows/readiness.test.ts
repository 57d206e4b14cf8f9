import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import Database from 'libsql';
import { Agent, request } from 'undici';
import { freePort } from '../../demo/free-port.ts';
import { read, startMayfly } from '../support/mayfly.ts';
import type { Answer, Mayfly } from '../support/mayfly.ts';
import { OWNER } from '../support/world.ts';

let mayfly: Mayfly;
let port: number;
beforeAll(async () => {
  port = await freePort();
  mayfly = await startMayfly({ overrides: { admin: { listen: `127.0.0.1:${port}` } } });
  await mayfly.apply({ policies: [{ domain: 'dev', name: 'nobody-pays-salaries', cedar: 'forbid(principal, action, resource == Resource::"https://payroll.acme.example");', owner: OWNER }] });
});
afterAll(() => mayfly.close());

const ask = async (base: string, dispatcher?: Agent): Promise<Pick<Answer, 'status' | 'body'>> => {
  const { status, body } = await read(await request(`${base}/readyz`, dispatcher === undefined ? {} : { dispatcher }));
  return { status, body };
};
const askAll = async (): Promise<readonly Pick<Answer, 'status' | 'body'>[]> => {
  const socket = new Agent({ connect: { socketPath: mayfly.server.adminSocket.slice('unix://'.length) } });
  const answers = await Promise.all([ask(mayfly.url), ask(`http://127.0.0.1:${port}`), ask('http://admin', socket)]);
  await socket.destroy();
  return answers;
};

test('why a node is not ready is told to who opened the socket, and to nobody else, since it names what is registered', async () => {
  const ready = { status: 200, body: { status: 'ready' } };
  expect(await askAll()).toEqual([ready, ready, ready]);
  const database = new Database(join(mayfly.folder, 'mayfly.db'), { timeout: 10_000 });
  database.exec('UPDATE entry SET body = replace(body, \'forbid\', \'forbit\') WHERE name = \'nobody-pays-salaries\'');
  database.close();
  await mayfly.restart();
  const not = { status: 503, body: { status: 'not ready' } };
  expect(await askAll()).toEqual([not, not, { status: 503, body: { status: 'not ready', problems: [expect.stringContaining('nobody-pays-salaries')] } }]);
});
