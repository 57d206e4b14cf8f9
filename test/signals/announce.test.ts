import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE } from '../../src/core/duration.ts';
import { newId } from '../../src/core/ids.ts';
import type { DomainId, StreamId } from '../../src/core/ids.ts';
import { systemRandom } from '../../src/core/random.ts';
import { createAnnounce, FenceLost } from '../../src/signals/announce.ts';
import { createReach } from '../../src/signals/reach.ts';
import type { OwnStore } from '../../src/store/create-store.ts';
import { encodeSignal } from '../../src/store/signals.ts';
import type { Enqueued, Fence } from '../../src/store/signals.ts';
import { DOMAIN, makeEntry, makeEvent, makeIssuance, NOW } from '../store/make-rows.ts';
import { fixedClock, openStore } from '../store/place.ts';

/** More than one page of sessions, more than one turn's transactions of pages. */
const SESSIONS = 330;

let folder: string;
let store: OwnStore;
let fence: Fence;
let stream: StreamId;
let overflowed: Enqueued['overflowed'][number][];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mayfly-announce-'));
  store = await openStore({ url: `file:${join(folder, 'mayfly.db')}` });
  await store.change({ at: NOW, by: 'a', entries: [makeEntry()], audit: [makeEvent('registry.applied')] });
});
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  for (const each of await store.streams()) await store.deleteStream(each, NOW);
  stream = newId('stream', fixedClock, systemRandom);
  await store.createStream({
    id: stream, version: 1, domainId: DOMAIN, workloadId: 'wkl_rx' as never, audience: 'spiffe://dev/rx', eventsRequested: null, method: 'push', endpointUrl: 'https://rx.example/', authorization: null, authorizationKekId: null,
    description: null, status: 'enabled', reason: null, createdAt: NOW, changedAt: NOW,
  }, 100);
  fence = { name: 'signals', fence: (await store.takeJob('signals', 'here', NOW + HOUR, NOW))?.fence ?? 0, now: NOW };
  overflowed = [];
});

/** Stops, as a killed process does, before its so-many-eth write reaches the database. */
interface Options { readonly writes?: number; readonly most?: number; readonly loaded?: (domainId: DomainId) => boolean }
const announceUntil = ({ writes = Number.POSITIVE_INFINITY, most, loaded = () => true }: Options = {}) => {
  let written = 0;
  const deps = {
    ...store,
    enqueue: (enqueuing: Parameters<OwnStore['enqueue']>[0]) => {
      written += 1;
      return written > writes ? Promise.reject(new Error('killed')) : store.enqueue(enqueuing);
    },
  };
  const viewOf = (id: DomainId) => (!loaded(id) ? undefined : { domain: { issuer: 'https://sts.acme.example/prod' }, entries: () => ({ workloads: [] }), workloadById: () => undefined }) as never;
  const reach = createReach({ store, viewOf, tokenKinds: new Set(['access_token']), handingOn: new Set(['handover_token']) });
  const announce = createAnnounce({ clock: fixedClock, store: deps, reach, encode: encodeSignal, viewOf, overflowed: (streams) => { overflowed.push(...streams); }, ...(most === undefined ? {} : { most }) });
  return async (): Promise<void> => {
    const newest = await store.registryVersion();
    await announce(fence, await store.streams(), newest);
  };
};
const issueMany = async (name: string, count: number): Promise<readonly string[]> => {
  const issuances = Array.from({ length: count }, (_, n) => makeIssuance(`${name}-${n}`));
  await Promise.all(issuances.map((issuance) => store.issue(issuance)));
  return issuances.map(({ session }) => session.id);
};
const revoke = async (target: `domain:${string}` | `session:${string}`): Promise<void> => {
  await store.change({ at: NOW + 1, by: 'a', revocations: [{ target, domainId: DOMAIN, reason: 'r', purgeAfter: null }], enable: target.startsWith('domain') ? [target] : [], audit: [] });
};
const toldOf = async (id = stream): Promise<readonly string[]> => {
  const row = await store.stream(id);
  if (row === undefined) throw new Error('no stream');
  return (await store.waitingEvents(row, 10_000)).map(({ dedupeKey }) => dedupeKey.replace('session/', ''));
};

describe('a revocation of many sessions', () => {
  test('is told of each of them once, though the one who tells dies again and again in the midst of it', async () => {
    const sids = await issueMany('many', SESSIONS);
    await revoke(`domain:${DOMAIN}`);
    let deaths = 0;
    for (let done = false; !done; ) {
      await announceUntil({ writes: 1 })().then(() => { done = true; }, (cause: unknown) => {
        expect(String(cause)).toContain('killed');
        deaths += 1;
      });
    }
    expect(deaths).toBeGreaterThan(2);
    const told = await toldOf();
    expect(new Set(told)).toEqual(new Set(sids));
    expect(told).toHaveLength(sids.length);
    await announceUntil()();
    expect(await toldOf()).toHaveLength(sids.length);
  });

  test('is told in order with those before and after it', async () => {
    const [first = '', last = ''] = await issueMany('order', 2);
    const many = await issueMany('order-many', 3);
    await revoke(`session:${first}`);
    for (const sid of many) await revoke(`session:${sid}`);
    await revoke(`session:${last}`);
    await announceUntil()();
    expect(await toldOf()).toEqual([first, ...many, last]);
  });

  test('beyond what a stream may hold is counted, and somebody hears of it', async () => {
    const sids = await issueMany('beyond', 5);
    for (const sid of sids) await revoke(`session:${sid}`);
    await announceUntil({ most: 3 })();
    expect(overflowed.reduce((sum, { lost }) => sum + lost, 0)).toBe(2);
    expect(await store.stream(stream)).toMatchObject({ status: 'paused', overflowed: true, lost: 2, reason: 'more than 3 events wait' });
  });
});

test('an ended session is told of once, though the one who tells dies before it is written', async () => {
  const [sid = ''] = await issueMany('ended', 1);
  await store.endSession(sid as never, { at: NOW + 2, by: 'staff/ada', reason: 'done', domainId: DOMAIN, purgeAfter: null }, makeEvent('session.ended'));
  await expect(announceUntil({ writes: 0 })()).rejects.toThrow('killed');
  expect(await toldOf()).toEqual([]);
  await announceUntil()();
  expect(await toldOf()).toEqual([sid]);
  await announceUntil()();
  expect(await toldOf()).toEqual([sid]);
});

test('who lost the job tells nothing, and the next one all of it', async () => {
  const [sid = ''] = await issueMany('fence', 1);
  await revoke(`session:${sid}`);
  const lost = fence;
  await store.releaseJob('signals', 'here');
  const taken = await store.takeJob('signals', 'there', NOW + HOUR, NOW);
  await expect(announceUntil()()).rejects.toBeInstanceOf(FenceLost);
  expect(await toldOf()).toEqual([]);
  fence = { ...lost, fence: taken?.fence ?? 0 };
  await announceUntil()();
  expect(await toldOf()).toEqual([sid]);
  await store.releaseJob('signals', 'there');
});

test('a stream that begins later hears nothing of before, and one that was there hears on', async () => {
  const [before = '', after = ''] = await issueMany('begins', 2);
  await revoke(`session:${before}`);
  const late = newId('stream', fixedClock, systemRandom);
  const row = await store.stream(stream);
  if (row === undefined) throw new Error('no stream');
  await store.createStream({ ...row, id: late }, 100);
  await revoke(`session:${after}`);
  await announceUntil()();
  expect(await toldOf()).toEqual([before, after]);
  expect((await store.waitingEvents({ id: late, floor: 0 }, 10)).map(({ dedupeKey }) => dedupeKey)).toEqual([`session/${after}`]);
});

describe('while a domain of listeners is not loaded', () => {
  const ELSEWHERE = 'dom_elsewhere' as DomainId;
  let elsewhere: StreamId;
  beforeEach(async () => {
    const row = await store.stream(stream);
    if (row === undefined) throw new Error('no stream');
    elsewhere = newId('stream', fixedClock, systemRandom);
    await store.createStream({ ...row, id: elsewhere, domainId: ELSEWHERE }, 100);
  });
  const issueElsewhere = async (name: string, count: number): Promise<readonly string[]> => {
    const issuances = Array.from({ length: count }, (_, n) => makeIssuance(`${name}-${n}`, `${name}-${n}`, { session: { domainId: ELSEWHERE }, lease: { domainId: ELSEWHERE } }));
    for (const issuance of issuances) await store.issue(issuance);
    return issuances.map(({ session }) => session.id);
  };
  const unloaded = { loaded: (id: DomainId) => id !== ELSEWHERE };

  test('the others are told, and it is told of all that happened, in order, once it is', async () => {
    const [here = '', after = '', last = ''] = await issueMany('held', 3);
    const [first = '', second = '', third = ''] = await issueElsewhere('held-there', 3);
    for (const sid of [first, here, second]) await revoke(`session:${sid}`);
    await announceUntil(unloaded)();
    expect([await toldOf(), await toldOf(elsewhere)]).toEqual([[here], []]);
    await revoke(`session:${after}`);
    // Who takes over goes on where the other stopped.
    await announceUntil(unloaded)();
    expect([await toldOf(), await toldOf(elsewhere)]).toEqual([[here, after], []]);
    await announceUntil()();
    expect([await toldOf(), await toldOf(elsewhere)]).toEqual([[here, after], [first, second]]);
    for (const sid of [third, last]) await revoke(`session:${sid}`);
    await announceUntil()();
    expect([await toldOf(), await toldOf(elsewhere)]).toEqual([[here, after, last], [first, second, third]]);
    expect((await store.signalCursors()).held.size).toBe(0);
  });

  test('nothing is passed over and nothing told twice, though the one who tells dies before every write', async () => {
    const own = await issueMany('held-dying', 8);
    const there = await issueElsewhere('held-dying-there', 8);
    const untilDone = async (options: Options): Promise<void> => {
      for (let done = false; !done; ) await announceUntil({ ...options, writes: 1 })().then(() => { done = true; }, (cause: unknown) => { expect(String(cause)).toContain('killed'); });
    };
    for (let n = 0; n < 4; n += 1) for (const sids of [own, there]) await revoke(`session:${sids[n] ?? ''}`);
    await untilDone(unloaded);
    for (let n = 4; n < 8; n += 1) for (const sids of [own, there]) await revoke(`session:${sids[n] ?? ''}`);
    await untilDone({});
    expect([await toldOf(), await toldOf(elsewhere)]).toEqual([own, there]);
  });

  test('many revocations that it is behind take no room from the others, and none of them is passed over', async () => {
    const there = await issueElsewhere('held-many', 60);
    for (const sid of there) await revoke(`session:${sid}`);
    const [before = '', after = ''] = await issueMany('held-room', 2);
    await revoke(`session:${before}`);
    await announceUntil(unloaded)();
    await revoke(`session:${after}`);
    await announceUntil()();
    expect(await toldOf()).toEqual([before, after]);
    expect((await toldOf(elsewhere)).length).toBeLessThan(there.length);
    while ((await store.signalCursors()).held.size > 0) await announceUntil()();
    expect(await toldOf(elsewhere)).toEqual(there);
  });

  test('no revocation is purged that it was not told of', async () => {
    const [sid = ''] = await issueElsewhere('held-purged', 1);
    await store.change({ at: NOW + 1, by: 'a', revocations: [{ target: `session:${sid}`, domainId: ELSEWHERE, reason: 'r', purgeAfter: NOW + 2 }], audit: [] });
    const [other = ''] = await issueMany('held-purging', 1);
    await revoke(`session:${other}`);
    await announceUntil(unloaded)();
    for (let more = true; more; ) more = (await store.purge(NOW + MINUTE, 1_000, fence)).more;
    await announceUntil()();
    expect(await toldOf(elsewhere)).toEqual([sid]);
  });

  test('it is forgotten that it was behind when it has no streams left', async () => {
    const [sid = ''] = await issueElsewhere('held-left', 1);
    await revoke(`session:${sid}`);
    await announceUntil(unloaded)();
    expect([...(await store.signalCursors()).held.keys()]).toEqual([ELSEWHERE]);
    await store.deleteStream({ id: elsewhere, version: 1 }, NOW);
    await announceUntil(unloaded)();
    expect((await store.signalCursors()).held.size).toBe(0);
  });

  test('and no other has streams, nothing is told and nothing passed over', async () => {
    await store.deleteStream({ id: stream, version: 1 }, NOW);
    const [sid = '', later = ''] = await issueElsewhere('held-alone', 2);
    await revoke(`session:${sid}`);
    await announceUntil(unloaded)();
    expect(await toldOf(elsewhere)).toEqual([]);
    await announceUntil()();
    expect(await store.signalCursors()).toEqual({ all: { seq: await store.registryVersion(), position: '' }, held: new Map() });
    await revoke(`session:${later}`);
    await announceUntil()();
    expect(await toldOf(elsewhere)).toEqual([sid, later]);
  });
});
