import { gunzipSync, inflateSync } from 'node:zlib';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { sha256 } from '../../src/core/bytes.ts';
import { HOUR, MINUTE, SECOND } from '../../src/core/duration.ts';
import { firstIdAt } from '../../src/core/ids.ts';
import type { LeaseId } from '../../src/core/ids.ts';
import { ok } from '../../src/core/result.ts';
import type { Result } from '../../src/core/result.ts';
import type { KeyRing } from '../../src/keys/key-ring.ts';
import { createRevocations } from '../../src/revocation/revocations.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import { createStatusLists } from '../../src/status/lists.ts';
import type { ServedList } from '../../src/status/lists.ts';
import type { RevocationRow, StatusListRow, Target } from '../../src/store/rows.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import type { ListedLease } from '../../src/store/store.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { signAs } from '../../src/tokens/sign.ts';
import { domain, resource } from '../credentials/make-order.ts';
import { DOMAIN, OTHER_DOMAIN, START, makeRing } from '../keys/make-ring.ts';

let ring: KeyRing;
beforeAll(async () => { ({ ring } = await makeRing([{ purpose: 'status' }])); });

const LIST = 'AAAAAAAAAAAAAAAAAAAAAA';
const api = resource({});
const listed = (index: number, change: Partial<ListedLease['lease']> = {}, more: Partial<Omit<ListedLease, 'lease'>> = {}): ListedLease => ({
  lease: { id: `${firstIdAt('lease', START)}${String(index).padStart(20, '0')}` as LeaseId, domainId: DOMAIN, audience: api.audience, resourceId: api.id, kid: 'k', expiresAt: START + 5 * MINUTE, statusList: LIST, statusIndex: index, ...change },
  session: { model: 'bounded', freshAt: null, beganVersion: 1 }, hop: { path: [`domain:${DOMAIN}`, `session:s${index}`] }, ended: false, ...more,
});

const start = (leases: readonly ListedLease[] = [listed(0), listed(1), listed(2)], pageSize = 1_000) => {
  const state = { now: START, version: 5, ring: ring as Pick<KeyRing, 'current'> };
  const revocations = createRevocations();
  const asked: string[] = [];
  const rows = new Map<string, StatusListRow>([[LIST, { id: LIST, domainId: DOMAIN, blocks: 2, until: START + HOUR }]]);
  /** Done before a page of leases is given. */
  const hooks: { before: () => Promise<void> } = { before: () => Promise.resolve() };
  const view = { domain, resource: (audience: string) => (audience === api.audience ? api : undefined) } as unknown as DomainView;
  const other = { ...view, domain: { ...domain, id: OTHER_DOMAIN, name: 'other', issuer: 'https://sts.acme.example/other' } } as DomainView;
  const lists = createStatusLists({
    clock: { now: () => state.now }, metrics: createMetrics(),
    snapshot: { get version() { return state.version; }, blockedBy: (path, began) => revocations.find(path, began), domainById: (id) => (id === DOMAIN ? view : undefined) },
    store: {
      async listedLeases(after) {
        asked.push(`leases after ${after.slice(0, 16)}`);
        await hooks.before();
        const rest = leases.filter(({ lease }) => lease.id > after);
        const page = rest.slice(0, pageSize);
        return { items: page.filter(({ lease }) => lease.expiresAt > state.now), next: rest.length > pageSize ? page.at(-1)?.lease.id : undefined };
      },
      statusList: (id) => { asked.push(`list ${id}`); return Promise.resolve(rows.get(id)); },
      statusLists: (id) => Promise.resolve([...rows.values()].filter(({ domainId }) => domainId === id)),
    },
    sign(claims) {
      const signed = signAs('status', claims, state.ring);
      return signed.ok ? ok(signed.value.token) : signed;
    },
  });
  const revoke = (target: Target, effect: RevocationRow['effect'] = 'revoked'): void => {
    state.version += 1;
    revocations.add({ seq: state.version, target, domainId: DOMAIN, effect, at: state.now, by: 'a', reason: 'r', enabledSeq: null, enabledAt: null, enabledBy: null, purgeAfter: null });
  };
  const passes = (): number => asked.filter((line) => line.startsWith('leases')).length;
  return { state, asked, rows, hooks, view, other, lists, revoke, passes, serve: (id = LIST) => lists.serve(view, id) };
};

const valueOf = <T>(result: Result<T, { readonly code: string }>): T => {
  if (!result.ok) throw new Error(result.error.code);
  return result.value;
};
const statusesOf = (served: ServedList, count = 3): readonly number[] => {
  const { status_list: { lst } } = decodeJwt<{ status_list: { lst: string } }>(served.token);
  const bytes = inflateSync(Buffer.from(lst, 'base64url'));
  return Array.from({ length: count }, (_, index) => ((bytes[index >> 2] ?? 0) >> (2 * (index % 4))) & 3);
};

describe('a list', () => {
  test('says of each lease what was judged of it, and that all other entries are valid', async () => {
    const it = start([
      listed(0), listed(1, { kid: 'bad' }), listed(2, {}, { ended: true }), listed(3), listed(4, {}, { session: { model: 'delegated', freshAt: START - domain.limits.freshness.delegated, beganVersion: 1 } }),
      listed(5, { statusList: 'another' }, { ended: true }), listed(6, { audience: 'https://gone.example' }), listed(7, {}, { session: { model: 'bounded', freshAt: null, beganVersion: 9 } }),
    ]);
    it.revoke('key:bad');
    it.revoke('session:s3', 'suspended');
    expect(statusesOf(valueOf(await it.serve()), 9)).toEqual([0, 1, 1, 2, 2, 0, 1, 0, 0]);
    expect(inflateSync(Buffer.from(decodeJwt<{ status_list: { lst: string } }>(valueOf(await it.serve()).token).status_list.lst, 'base64url'))).toHaveLength(2 * 4_096 / 4);
  });

  test('is made from leases not older than any token may be', async () => {
    const it = start();
    await it.serve();
    expect(it.asked).toContain(`leases after ${firstIdAt('lease', START - 65 * MINUTE)}`);
  });

  test('is made page by page, and others have their turn between two', async () => {
    const it = start([listed(0), listed(1, {}, { ended: true }), listed(2, {}, { ended: true })], 1);
    let turns = 0;
    const spin = (): void => { turns += 1; if (it.passes() < 3) setImmediate(spin); };
    setImmediate(spin);
    expect(statusesOf(valueOf(await it.serve()))).toEqual([0, 1, 1]);
    expect([it.passes(), turns >= 2]).toEqual([3, true]);
  });

  test.each([
    { name: 'that nobody made', id: 'BBBBBBBBBBBBBBBBBBBBBB', asks: 1 },
    { name: 'whose name could be none', id: '../../etc/passwd', asks: 0 },
    { name: 'whose name is too long', id: `${LIST}A`, asks: 0 },
  ])('$name is not there, and costs no look at leases', async ({ id, asks }) => {
    const it = start();
    expect(await it.serve(id)).toMatchObject({ ok: false, error: { code: 'not_found' } });
    expect(it.asked).toHaveLength(asks);
  });

  test('of one domain is none of another\'s, though it is at hand', async () => {
    const it = start();
    await it.serve();
    expect(await it.lists.serve(it.other, LIST)).toMatchObject({ ok: false, error: { code: 'not_found' } });
    expect((await it.serve()).ok).toBe(true);
  });

  test('is there until its time is over, also when it is at hand, and longer when that was prolonged', async () => {
    const it = start();
    it.rows.set(LIST, { id: LIST, domainId: DOMAIN, blocks: 2, until: START + 2 * SECOND });
    it.state.now = START + 2 * SECOND - 1;
    expect((await it.serve()).ok).toBe(true);
    it.state.now += 1;
    expect(await it.serve()).toMatchObject({ ok: false, error: { code: 'not_found' } });
    it.rows.set(LIST, { id: LIST, domainId: DOMAIN, blocks: 2, until: START + HOUR });
    expect((await it.serve()).ok).toBe(true);
  });

  test('is sent packed as well where that is worth it, and says the same', async () => {
    const it = start([listed(0, {}, { ended: true })]);
    expect(valueOf(await it.serve()).gzipped).toBeUndefined();
    const large = start(Array.from({ length: 4_096 }, (_, index) => listed(index, {}, { ended: (sha256(String(index))[0] ?? 0) < 80 })), 5_000);
    const served = valueOf(await large.serve());
    expect(served.gzipped === undefined ? '' : gunzipSync(served.gzipped).toString()).toBe(served.token);
    expect(served.gzipped?.length).toBeLessThan(served.token.length);
  });

  test('is not there without a key to sign it, and is as soon as there is one', async () => {
    const it = start();
    it.state.ring = { current: () => undefined };
    expect(await it.serve()).toMatchObject({ ok: false, error: { code: 'domain_not_ready' } });
    it.state.ring = ring;
    it.state.version += 1;
    expect((await it.serve()).ok).toBe(true);
  });
});

describe('leases that are over', () => {
  const at = (time: number, expiresAt: number): ListedLease => listed(time % 1_000, { id: `${firstIdAt('lease', time)}${'0'.repeat(20)}` as LeaseId, expiresAt }, { ended: true });
  const placesOf = (asked: readonly string[]): readonly string[] => asked.filter((line) => line.startsWith('leases')).map((line) => line.slice('leases after '.length));

  test('are passed by once, where all before them are over too, and never those that a commit may still come before', async () => {
    const times = [50 * MINUTE, 40 * MINUTE, 6 * MINUTE, 4 * MINUTE, 1].map((ago) => START - ago);
    const it = start([...times.slice(0, 4).map((time) => at(time, START)), at(times[4] ?? 0, START + HOUR)], 1);
    await it.serve();
    it.asked.length = 0;
    it.state.version += 1;
    await it.serve();
    expect(placesOf(it.asked)).toEqual([times[2], times[3]].map((time) => firstIdAt('lease', time ?? 0)));
  });

  test('are looked at again where one before them is not over', async () => {
    const times = [50 * MINUTE, 40 * MINUTE, 30 * MINUTE].map((ago) => START - ago);
    const it = start([at(times[0] ?? 0, START + HOUR), at(times[1] ?? 0, START), at(times[2] ?? 0, START + HOUR)], 1);
    await it.serve();
    it.asked.length = 0;
    it.state.version += 1;
    await it.serve();
    expect(placesOf(it.asked)).toEqual([START - 65 * MINUTE, times[0], times[1]].map((time) => firstIdAt('lease', time ?? 0)));
  });
});

describe('what was looked at', () => {
  test('serves everybody who asks meanwhile, and signs once', async () => {
    const it = start();
    const served = await Promise.all(Array.from({ length: 20 }, () => it.serve()));
    expect(new Set(served.map((each) => valueOf(each).token)).size).toBe(1);
    expect(it.passes()).toBe(1);
  });

  test('is kept for ten seconds, and says for how long it may be kept elsewhere', async () => {
    const it = start();
    const first = valueOf(await it.serve());
    it.state.now = START + 10 * SECOND;
    const second = valueOf(await it.serve());
    expect([second.token, first.maxAge, second.maxAge, it.passes()]).toEqual([first.token, 30, 20, 1]);
    it.state.now += 1;
    const third = valueOf(await it.serve());
    expect([third.token === first.token, third.maxAge, it.passes()]).toEqual([false, 30, 2]);
    expect(decodeJwt(third.token)).toMatchObject({ iat: START / 1000 + 10, exp: START / 1000 + 310 });
  });

  test('is looked at anew after a change of the registry', async () => {
    const it = start();
    expect(statusesOf(valueOf(await it.serve()))).toEqual([0, 0, 0]);
    it.revoke('session:s1');
    expect(statusesOf(valueOf(await it.serve()))).toEqual([0, 1, 0]);
  });

  test('is looked at anew for who asks after a change that came while somebody looked', async () => {
    const it = start();
    let go: () => void = () => undefined;
    it.hooks.before = () => new Promise((resolve) => { go = resolve; });
    const before = it.serve();
    while (it.passes() === 0) await new Promise((resolve) => { setImmediate(resolve); });
    it.state.version += 1;
    const after = it.serve();
    await new Promise((resolve) => { setImmediate(resolve); });
    it.hooks.before = () => Promise.resolve();
    go();
    await Promise.all([before, after]);
    expect(it.passes()).toBe(2);
  });

  test('leaves four parts of five to others where it takes long, whatever is revoked meanwhile', async () => {
    const it = start();
    it.hooks.before = () => { it.state.now += 2 * SECOND; return Promise.resolve(); };
    const first = valueOf(await it.serve());
    it.revoke('session:s1');
    it.state.now = START + 2 * SECOND + 8 * SECOND - 1;
    expect(valueOf(await it.serve()).token).toBe(first.token);
    it.state.now += 1;
    expect(statusesOf(valueOf(await it.serve()))).toEqual([0, 1, 0]);
    expect(it.passes()).toBe(2);
  });

  test('is never served when it is older than verifiers may keep it', async () => {
    const it = start();
    it.hooks.before = () => { it.state.now += 20 * SECOND; return Promise.resolve(); };
    await it.serve();
    it.state.now = START + 30 * SECOND;
    await it.serve();
    expect(it.passes()).toBe(1);
    it.state.now += 1;
    await it.serve();
    expect(it.passes()).toBe(2);
  });

  test('is nobody\'s guess: when the database does not answer, there is no list, and the next who asks tries again', async () => {
    const it = start();
    it.hooks.before = () => Promise.reject(new StoreUnavailable('down'));
    await expect(Promise.all([it.serve(), it.serve()])).rejects.toThrow(StoreUnavailable);
    it.hooks.before = () => Promise.resolve();
    expect((await it.serve()).ok).toBe(true);
    it.revoke('session:s0');
    it.hooks.before = () => Promise.reject(new StoreUnavailable('down'));
    await expect(it.serve()).rejects.toThrow(StoreUnavailable);
  });
});

test('tells where every list of a domain is, and of no other', async () => {
  const it = start();
  it.rows.set('BBBBBBBBBBBBBBBBBBBBBB', { id: 'BBBBBBBBBBBBBBBBBBBBBB', domainId: OTHER_DOMAIN, blocks: 1, until: START + 1 });
  expect(await it.lists.all(it.view)).toEqual({ status_lists: [`${domain.issuer}/status/${LIST}`] });
});
