import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { read } from '../support/mayfly.ts';
import type { Answer } from '../support/mayfly.ts';
import { verifySet } from '../support/set-receiver.ts';
import type { ReceivedSet } from '../support/set-receiver.ts';
import { spiffe } from './agents-lab.ts';
import { claimsOf, issued, until } from './lab.ts';
import { startSignalsLab } from './signals-lab.ts';
import type { SignalsLab } from './signals-lab.ts';

let lab: SignalsLab;
beforeAll(async () => { lab = await startSignalsLab(); });
afterAll(async () => { await lab.close(); });

const poll = async (id: string, body: object = {}, signal?: AbortSignal): Promise<Answer> => read(await request(`${lab.issuer}/ssf/poll/${id}`, {
  method: 'POST', headers: { authorization: `Bearer ${await lab.token('svc/api', 'ssf.read')}`, 'content-type': 'application/json' }, body: JSON.stringify(body), ...(signal === undefined ? {} : { signal }),
}));
const setsOf = async (answer: Answer): Promise<readonly ReceivedSet[]> => {
  expect(answer.status).toBe(200);
  const sets = Object.entries(answer.body['sets'] as Record<string, string>);
  const verified = await Promise.all(sets.map(([, set]) => verifySet(set, lab.issuer, spiffe('svc/api'))));
  // RFC 8936 section 2.3: a SET stands under its own jti.
  expect(verified.map(({ jti }) => jti)).toEqual(sets.map(([jti]) => jti));
  return verified;
};
const sidOf = ({ subject }: ReceivedSet): unknown => (subject['session'] as { readonly id: string }).id;
/** Ends so many sessions, one after the other, and waits until all are in the outbox. */
const endSome = async (id: string, count: number): Promise<readonly string[]> => {
  const sids: string[] = [];
  for (let each = 0; each < count; each += 1) {
    const sid = String(claimsOf(issued(await lab.ask({ subject_token: lab.agent('ci/runner') })))['sid']);
    await lab.revoke('session', sid);
    sids.push(sid);
  }
  const last = sids.at(-1);
  await until(async () => (await setsOf(await poll(id, { returnImmediately: true }))).some((set) => sidOf(set) === last));
  return sids;
};

describe('a poll', () => {
  test('hands out what waits, in order, until it is acknowledged', async () => {
    const id = await lab.poll();
    const sids = await endSome(id, 3);
    const first = await setsOf(await poll(id, { returnImmediately: true }));
    expect(first.map(sidOf)).toEqual(sids);
    expect((await setsOf(await poll(id, { returnImmediately: true }))).map(({ jti }) => jti)).toEqual(first.map(({ jti }) => jti));
    const rest = await setsOf(await poll(id, { returnImmediately: true, ack: [first[0]?.jti, first[1]?.jti] }));
    expect(rest.map(sidOf)).toEqual([sids[2]]);
    expect((await poll(id, { maxEvents: 0, ack: [rest[0]?.jti] })).body).toEqual({ sets: {} });
    expect((await poll(id, { returnImmediately: true })).body).toEqual({ sets: {} });
  });

  test('hands out no more than is asked for, and says that there is more', async () => {
    const id = await lab.poll();
    const sids = await endSome(id, 3);
    const answer = await poll(id, { returnImmediately: true, maxEvents: 2 });
    expect((await setsOf(answer)).map(sidOf)).toEqual(sids.slice(0, 2));
    expect(answer.body['moreAvailable']).toBe(true);
    expect((await poll(id, { returnImmediately: true, maxEvents: 3 })).body).not.toHaveProperty('moreAvailable');
    expect((await poll(id, { maxEvents: 0 })).body).toEqual({ sets: {} });
  });

  test('acknowledges nothing but events of its own stream', async () => {
    const [id, other] = [await lab.poll(), await lab.poll()];
    await endSome(id, 1);
    const [event] = await setsOf(await poll(id, { returnImmediately: true }));
    const jti = String(event?.jti);
    for (const ack of [[`${other}-1`], ['1'], [`${jti}0`], [`${id}-01`], [`${id}-1 `], [`${id}--1`], []]) {
      expect(await setsOf(await poll(id, { returnImmediately: true, ack }))).toHaveLength(1);
    }
    await poll(other, { returnImmediately: true, ack: [jti] });
    expect(await setsOf(await poll(id, { returnImmediately: true }))).toHaveLength(1);
    expect(await setsOf(await poll(id, { returnImmediately: true, ack: [jti] }))).toEqual([]);
  });

  test('that reports an error gets the event no more, and it is counted', async () => {
    const id = await lab.poll();
    await endSome(id, 1);
    const [event] = await setsOf(await poll(id, { returnImmediately: true }));
    expect((await poll(id, { returnImmediately: true, setErrs: { [String(event?.jti)]: { err: 'invalid_key', description: 'unknown kid' }, nonsense: { err: 'invalid_key' } } })).body).toEqual({ sets: {} });
    const metrics = String((await lab.mayfly.admin('GET', '../../metrics')).body['text']);
    expect(metrics).toContain(`mayfly_ssf_failures_total{domain="dev",stream="${id}",reason="invalid_key"} 1`);
    expect(metrics).toContain(`mayfly_ssf_deliveries_total{domain="dev",stream="${id}"} 1`);
  });

  test('waits for an event unless told otherwise', async () => {
    const id = await lab.poll();
    const waiting = poll(id);
    const sid = String(claimsOf(issued(await lab.ask({ subject_token: lab.agent('ci/runner') })))['sid']);
    await lab.revoke('session', sid);
    expect((await setsOf(await waiting)).map(sidOf)).toEqual([sid]);
  });

  test('that waits gives way to a newer one of the same stream', async () => {
    const id = await lab.poll();
    const older = poll(id);
    const newer = new AbortController();
    const gone = poll(id, {}, newer.signal).catch(() => undefined);
    expect((await older).body).toEqual({ sets: {} });
    newer.abort();
    await gone;
  });

  test.each([
    { name: 'maxEvents below nothing', body: { maxEvents: -1 } }, { name: 'maxEvents as text', body: { maxEvents: '10' } }, { name: 'ack as a text', body: { ack: 'x' } }, { name: 'ack of numbers', body: { ack: [1] } },
    { name: 'setErrs as a list', body: { setErrs: [] } }, { name: 'an error without a code', body: { setErrs: { x: { description: 'y' } } } }, { name: 'returnImmediately as text', body: { returnImmediately: 'true' } }, { name: 'a list', body: [] },
  ])('is refused with $name', async ({ body }) => {
    const id = await lab.poll();
    const answer = await poll(id, body);
    expect([answer.status, await lab.mayfly.reason(answer)]).toEqual([400, 'stream_malformed']);
    expect((await lab.ssf('DELETE', `streams?stream_id=${id}`)).status).toBe(204);
  });

  test('of a stream that pushes finds nothing', async () => {
    const { id } = await lab.push();
    expect((await poll(id, { returnImmediately: true })).status).toBe(404);
  });
});
