import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { request } from 'undici';
import { freePort } from '../../demo/free-port.ts';
import { startSetReceiver } from '../support/set-receiver.ts';
import type { SetReceiver } from '../support/set-receiver.ts';
import { FAR, OWNER } from '../support/world.ts';
import { GROUNDS } from './places.ts';
import type { Ground, Place } from './places.ts';
import { startPlatform } from './platform.ts';
import type { Platform } from './platform.ts';
import { openSession } from './session.ts';
import { startServerProcess } from './server.ts';
import type { Server } from './server.ts';
import { until } from './until.ts';

// Processes start slowly on a machine with more to do than it can; nothing here is about how fast.
jest.setTimeout(300_000);

const RECEIVER = 'spiffe://dev.127.0.0.1/svc/deploy';
const KILLS = 4;
const PER_KILL = 5;

let platform: Platform;
beforeAll(async () => { platform = await startPlatform(); });
afterAll(() => platform.close());

describe.each(GROUNDS)('a server on $engine that is killed between a revocation and its delivery', ({ openGround }) => {
  let ground: Ground;
  let place: Place;
  let port: number;
  let url: string;
  let server: Server | undefined;
  let receiver: SetReceiver;
  const start = async (config: Readonly<Record<string, unknown>> = {}): Promise<Server> => {
    server = await startServerProcess({ folder: place.folder(), port, config: { ...place.config, ...config } });
    return server;
  };
  beforeAll(async () => {
    ground = await openGround();
    place = await ground.makePlace();
    port = await freePort();
    url = `http://127.0.0.1:${port}`;
    receiver = await startSetReceiver(`${url}/dev`, RECEIVER);
    const running = await start();
    await running.apply(platform.manifest);
    await running.apply({ policies: [{ domain: 'dev', name: 'deploy-listens', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${RECEIVER}", action == Action::"issue", resource in Resource::"${url}/dev/ssf");` }] });
    const answer = await running.exchange({ subject_token: platform.service(url), audience: `${url}/dev/ssf`, scope: 'ssf.manage' });
    const made = await request(`${url}/dev/ssf/streams`, {
      method: 'POST', headers: { authorization: `Bearer ${String(answer.body['access_token'])}`, 'content-type': 'application/json' },
      body: JSON.stringify({ delivery: { method: 'urn:ietf:rfc:8935', endpoint_url: receiver.url, authorization_header: 'Bearer the-receivers' } }),
    });
    expect([made.statusCode, await made.body.text()]).toEqual([201, expect.stringContaining('stream_id')]);
  });
  afterEach(async () => { await server?.kill(); });
  afterAll(async () => {
    await receiver.close();
    await place.drop();
    await ground.close();
  });

  const sidsHeard = (): readonly string[] => receiver.events().map(({ subject }) => (subject['session'] as { readonly id: string }).id);

  test(`loses none of ${KILLS * PER_KILL} and keeps their order: each comes once after de-duplication, with the receiver up, down, or in the midst of taking one`, async () => {
    const revoked: string[] = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      const running = kill === 0 && server !== undefined ? server : await start();
      if (kill % 2 === 1) await receiver.down();
      for (let each = 0; each < PER_KILL; each += 1) {
        const { session } = await openSession(running, platform.job(url));
        const answer = await running.admin('POST', 'revocations', { kind: 'session', id: session, domain: 'dev', reason: 'killed' });
        expect(answer.status).toBe(200);
        revoked.push(session);
      }
      // At once; or while the receiver has an event in its hands and has not confirmed it.
      if (kill === 2) {
        receiver.answer('hang');
        const before = receiver.requests.length;
        await until('the receiver is asked', () => receiver.requests.length > before);
      }
      await running.kill();
      receiver.answer('accept');
      if (kill % 2 === 1) await receiver.up();
    }
    const last = await start();
    await until('everything was delivered', () => new Set(sidsHeard()).size === revoked.length);
    expect(sidsHeard()).toEqual(revoked);
    expect(receiver.requests.every(({ headers }) => headers.authorization === 'Bearer the-receivers')).toBe(true);
    expect(JSON.stringify(last.log)).not.toContain('the-receivers');
  });

  test('serves receivers in any of its processes, while one of them delivers', async () => {
    const running = await start({ workers: 2 });
    const answer = await running.exchange({ subject_token: platform.service(url), audience: `${url}/dev/ssf`, scope: 'ssf.manage' });
    const call = async (path: string, body: object): Promise<Record<string, unknown>> => {
      const asked = await request(`${url}/dev/ssf/${path}`, { method: 'POST', headers: { authorization: `Bearer ${String(answer.body['access_token'])}`, 'content-type': 'application/json', connection: 'close' }, body: JSON.stringify(body) });
      return await asked.body.json() as Record<string, unknown>;
    };
    const id = String((await call('streams', {}))['stream_id']);
    const { session } = await openSession(running, platform.job(url));
    expect((await running.admin('POST', 'revocations', { kind: 'session', id: session, domain: 'dev', reason: 'x' })).status).toBe(200);
    let sets: Record<string, string> = {};
    await until('the event can be polled', async () => {
      sets = (await call(`poll/${id}`, {}))['sets'] as Record<string, string>;
      return Object.keys(sets).length > 0;
    });
    expect(Object.keys(sets)).toEqual([`${id}-1`]);
    expect(await call(`poll/${id}`, { returnImmediately: true, ack: [`${id}-1`] })).toEqual({ sets: {} });
    await until('the other receiver has it too', () => sidsHeard().includes(session));
  });
});
