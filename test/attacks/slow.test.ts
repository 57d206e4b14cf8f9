import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { API, startOddWorld } from './odd-world.ts';
import type { OddWorld } from './odd-world.ts';

const IN_FLIGHT = 4;

describe('senders that never finish', () => {
  let world: OddWorld;
  const sockets: Socket[] = [];
  beforeAll(async () => { world = await startOddWorld({ overrides: { limits: { per_address: 100_000, per_workload: 100_000, in_flight: IN_FLIGHT } } }); });
  afterAll(async () => {
    for (const socket of sockets) socket.destroy();
    await world.close();
  });

  /** Begins a request and leaves it open; resolves when the server has said that it reads the body. */
  const begin = (path: string): Promise<void> => new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(world.mayfly.url).port), '127.0.0.1');
    sockets.push(socket);
    socket.once('error', reject);
    socket.once('data', (data) => {
      if (String(data).startsWith('HTTP/1.1 100 ')) resolve();
      else reject(new Error(String(data)));
    });
    socket.write(`POST ${path} HTTP/1.1\r\nHost: mayfly\r\nExpect: 100-continue\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 5000\r\n\r\n`);
  });

  test('keep nobody else out', async () => {
    for (const path of ['/dev/token', '/dev/introspect', '/dev/revoke']) await Promise.all(Array.from({ length: IN_FLIGHT + 1 }, () => begin(path)));
    expect((await world.exchange({ audience: API })).status).toBe(200);
    expect((await fetch(`${world.mayfly.url}/dev/jwks.json`)).status).toBe(200);
  });
});
