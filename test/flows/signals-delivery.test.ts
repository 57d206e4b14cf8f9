import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE } from '../../src/core/duration.ts';
import { spiffe } from './agents-lab.ts';
import { claimsOf, issued, until } from './lab.ts';
import { startSignalsLab } from './signals-lab.ts';
import type { SignalsLab } from './signals-lab.ts';

let lab: SignalsLab;
beforeAll(async () => { lab = await startSignalsLab(); });
afterAll(async () => { await lab.close(); });

/** A session of its own each time, of the CI runner. */
const openRun = async (at: SignalsLab = lab): Promise<{ readonly token: string; readonly sid: string; readonly jti: string }> => {
  const token = issued(await at.ask({ subject_token: at.agent('ci/runner') }));
  return { token, sid: String(claimsOf(token)['sid']), jti: String(claimsOf(token)['jti']) };
};

describe('an event that is pushed', () => {
  test('is a SET that jose verifies, about the session, and says why', async () => {
    const { receiver } = await lab.push();
    const { sid } = await openRun();
    await lab.revoke('session', sid);
    await until(() => Promise.resolve(receiver.deliveries.length > 0));
    const [set] = receiver.deliveries;
    expect(set?.header).toEqual({ alg: 'ES256', typ: 'secevent+jwt', kid: expect.any(String) });
    expect(set?.claims).toEqual({
      iss: lab.issuer, aud: spiffe('svc/api'), jti: expect.stringMatching(/^str_[0-9a-f]{32}-1$/), iat: expect.any(Number), txn: expect.stringMatching(/^revocation\/\d+$/),
      sub_id: { format: 'complex', session: { format: 'opaque', id: sid }, user: { format: 'iss_sub', iss: lab.issuer, sub: spiffe('ci/runner') } },
      events: { 'https://schemas.openid.net/secevent/caep/event-type/session-revoked': { event_timestamp: expect.any(Number), initiating_entity: 'admin', reason_admin: { en: 'agent quarantined' } } },
    });
    expect(receiver.requests[0]?.headers).toMatchObject({ 'content-type': 'application/secevent+jwt', accept: 'application/json' });
  });
});

describe('a receiver that was down', () => {
  test('gets every event once after de-duplication, in order, when it is back, also over a restart of the server', async () => {
    const { receiver } = await lab.push();
    await receiver.down();
    const sids: string[] = [];
    for (let run = 0; run < 6; run += 1) {
      const { sid } = await openRun();
      await lab.revoke('session', sid);
      sids.push(sid);
      if (run === 3) await lab.mayfly.restart();
    }
    await receiver.up();
    const last = await openRun();
    await lab.revoke('session', last.sid);
    sids.push(last.sid);
    await until(() => Promise.resolve(receiver.events().length >= sids.length));
    expect(receiver.events().map(({ subject }) => (subject['session'] as { id: string }).id)).toEqual(sids);
  }, 180_000);
});

describe('the authorization of a receiver', () => {
  test('comes with every push, and is in no answer and in clear in no file', async () => {
    const secret = 'Bearer k7Q-only-the-receiver-knows';
    const receiver = await lab.receiver();
    const made = await lab.ssf('POST', 'streams', { delivery: { method: 'urn:ietf:rfc:8935', endpoint_url: receiver.url, authorization_header: secret } });
    const id = String(made.body['stream_id']);
    await lab.revoke('session', (await openRun()).sid);
    await until(() => Promise.resolve(receiver.deliveries.length > 0));
    expect(new Set(receiver.requests.map(({ headers }) => headers.authorization))).toEqual(new Set([secret]));
    const answers = [made, await lab.ssf('GET', `streams?stream_id=${id}`), await lab.ssf('GET', 'streams'), await lab.ssf('PATCH', 'streams', { stream_id: id, description: 'x' }), await lab.ssf('GET', `status?stream_id=${id}`)];
    expect(answers.map(({ status }) => status)).toEqual([201, 200, 200, 200, 200]);
    expect(JSON.stringify(answers)).not.toContain('only-the-receiver-knows');
    const files = readdirSync(lab.mayfly.folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const bytes = Buffer.concat(files.map((entry) => readFileSync(join(entry.parentPath, entry.name))));
    expect(bytes.includes(id)).toBe(true);
    expect(bytes.includes('only-the-receiver-knows')).toBe(false);
    // A change that does not name the delivery keeps it; one that does gives it anew or not at all.
    await lab.revoke('session', (await openRun()).sid);
    await until(() => Promise.resolve(receiver.deliveries.length > 1));
    expect(receiver.requests.at(-1)?.headers.authorization).toBe(secret);
    await lab.ssf('PATCH', 'streams', { stream_id: id, delivery: { method: 'urn:ietf:rfc:8935', endpoint_url: receiver.url } });
    await lab.revoke('session', (await openRun()).sid);
    await until(() => Promise.resolve(receiver.deliveries.length > 2));
    expect(receiver.requests.at(-1)?.headers.authorization).toBeUndefined();
    await lab.ssf('DELETE', `streams?stream_id=${id}`);
  });
});

describe('a receiver that hangs', () => {
  test('holds up its own stream and no other', async () => {
    const [slow, quick] = [await lab.push(), await lab.push()];
    slow.receiver.answer('hang');
    const sids = [(await openRun()).sid, (await openRun()).sid];
    for (const sid of sids) await lab.revoke('session', sid);
    await until(() => Promise.resolve(quick.receiver.events().length === 2));
    expect(new Set(slow.receiver.requests.map(({ body }) => body)).size).toBe(1);
    expect(slow.receiver.deliveries).toEqual([]);
    await slow.receiver.down();
    for (const { id } of [slow, quick]) await lab.ssf('DELETE', `streams?stream_id=${id}`);
  });
});

describe('a stream beyond its limits', () => {
  let timed: SignalsLab;
  beforeAll(async () => { timed = await startSignalsLab({ timed: true }); });
  afterAll(async () => { await timed.close(); });
  const pass = async (milliseconds: number): Promise<void> => {
    timed.time.now += milliseconds;
    await until(async () => (await fetch(`${timed.mayfly.url}/readyz`)).status === 200);
  };
  const statusOf = async (id: string): Promise<Record<string, unknown>> => (await timed.ssf('GET', `status?stream_id=${id}`)).body;

  test('of 72 hours is paused with a word about it, and when its receiver enables it hears what was kept, and how much was not', async () => {
    // The clock jumps while deliveries are under way, so one may come twice: it is told by its jti.
    const { id, receiver } = await timed.push();
    await receiver.down();
    const { sid } = await openRun(timed);
    await timed.revoke('session', sid);
    const metrics = async (): Promise<string> => String((await timed.mayfly.admin('GET', '../../metrics')).body['text']);
    await until(async () => (await metrics()).includes(`mayfly_ssf_failures_total{domain="dev",stream="${id}",reason="unreachable"}`));
    await pass(HOUR);
    expect(await statusOf(id)).toEqual({ stream_id: id, status: 'enabled' });
    await pass(72 * HOUR);
    await until(async () => (await statusOf(id))['status'] === 'paused');
    expect(await statusOf(id)).toEqual({ stream_id: id, status: 'paused', reason: 'an event waits longer than 72 hours' });
    for (let each = 0; each < 2; each += 1) await timed.revoke('session', (await openRun(timed)).sid);
    await until(async () => (await metrics()).includes(`mayfly_ssf_lost_events_total{stream="${id}"} 2`));
    expect(await metrics()).toContain(`mayfly_ssf_pauses_total{domain="dev",stream="${id}"} 1`);
    await receiver.up();
    await until(async () => {
      await pass(MINUTE);
      return receiver.events().length > 0;
    });
    expect(receiver.events().map(({ type, event, subject }) => [type, event, subject])).toEqual([['stream-updated', { status: 'paused', reason: 'an event waits longer than 72 hours' }, { format: 'opaque', id }]]);
    expect((await timed.ssf('POST', 'status', { stream_id: id, status: 'enabled' })).status).toBe(200);
    await until(() => Promise.resolve(receiver.events().length > 2));
    expect(receiver.events().slice(1).map(({ type, event }) => [type, event['reason'] ?? event['reason_admin']])).toEqual([
      ['session-revoked', { en: 'agent quarantined' }], ['stream-updated', expect.stringMatching(/^2 events since 2026-11-25T\d\d:\d\d:\d\d\.\d{3}Z were not kept$/)],
    ]);
    const after = await openRun(timed);
    await timed.revoke('session', after.sid);
    await until(() => Promise.resolve(receiver.events().length > 3));
    await timed.ssf('DELETE', `streams?stream_id=${id}`);
  }, 180_000);

  test('of a receiver that refuses is paused after five times, told why, and goes on where it stood', async () => {
    const { id, receiver } = await timed.push();
    receiver.answer({ status: 400, body: { err: 'invalid_key', description: 'kid unknown' } });
    const sids = [(await openRun(timed)).sid, (await openRun(timed)).sid];
    for (const sid of sids) await timed.revoke('session', sid);
    await until(async () => {
      await pass(MINUTE);
      return (await statusOf(id))['status'] === 'paused';
    });
    expect(receiver.requests.length).toBeGreaterThanOrEqual(5);
    expect(await statusOf(id)).toEqual({ stream_id: id, status: 'paused', reason: 'the receiver refuses an event: invalid_key' });
    receiver.answer('accept');
    await timed.ssf('POST', 'status', { stream_id: id, status: 'enabled' });
    await until(() => Promise.resolve(receiver.events().filter(({ type }) => type === 'session-revoked').length === 2));
    expect(receiver.events().filter(({ type }) => type === 'session-revoked').map(({ subject }) => (subject['session'] as { id: string }).id)).toEqual(sids);
    await timed.ssf('DELETE', `streams?stream_id=${id}`);
  }, 180_000);
});
