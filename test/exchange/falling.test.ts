import { describe, expect, test } from '@jest/globals';
import { HOUR } from '../../src/core/duration.ts';
import type { DomainId, SessionId, WorkloadId } from '../../src/core/ids.ts';
import { findFalling, findFallingWith, honouredEntries, restsOn, tellFallen } from '../../src/exchange/falling.ts';
import type { Search } from '../../src/exchange/falling.ts';
import type { Target } from '../../src/store/rows.ts';
import type { LeaseStanding, StoreReads } from '../../src/store/store.ts';
import { DOMAIN, NOW, makeIssuance } from '../store/make-rows.ts';

const standing = (name: string, more: { readonly kind?: string; readonly kid?: string | null; readonly path?: readonly Target[]; readonly revokedBy?: Target } = {}): LeaseStanding => {
  const { session, hop, lease } = makeIssuance(name);
  return {
    session: { ...session, beganVersion: 1 }, ended: false, revokedBy: more.revokedBy, suspendedBy: undefined,
    hop: { ...hop, path: more.path ?? hop.path },
    lease: { ...lease, kind: more.kind ?? 'access_token', kid: more.kid === undefined ? lease.kid : more.kid },
  };
};

/** Pages over these, newest first as given, and keeps what it was asked. */
const storeOf = (...all: readonly LeaseStanding[]) => {
  const asked: (Parameters<StoreReads['leases']>[0] & { readonly limit: number })[] = [];
  const leases: StoreReads['leases'] = (filter, { limit, after }) => {
    if (limit < 1) throw new RangeError('a page of nothing leads nowhere');
    asked.push({ ...filter, limit });
    const from = Number(after ?? 0);
    const next = from + limit < all.length ? String(from + limit) : undefined;
    return Promise.resolve({ items: all.slice(from, from + limit), next });
  };
  return { store: { leases }, asked };
};

const OF_DOMAIN: Search = { target: `domain:${DOMAIN}`, filter: { domainId: DOMAIN } };
const names = (found: { readonly standings: readonly LeaseStanding[] }): readonly string[] => found.standings.map(({ lease }) => lease.id);

describe('what rests on a target', () => {
  const one = standing('one', { kid: 'kid-9' });
  test.each<{ readonly name: string; readonly target: Target }>([
    { name: 'its hop', target: `hop:${one.hop.id}` },
    { name: 'whatever its hop rests on', target: `domain:${DOMAIN}` },
    { name: 'itself', target: `lease:${one.lease.id}` },
    { name: 'the key that signed it', target: 'key:kid-9' },
  ])('is a lease: $name', ({ target }) => {
    expect(restsOn(one, target)).toBe(true);
  });

  test.each<{ readonly name: string; readonly target: Target }>([
    { name: 'another lease', target: 'lease:lse_x' },
    { name: 'another key', target: 'key:kid-1' },
    { name: 'a session by the name of a hop', target: `session:${one.hop.id}` },
    { name: 'no key, though there is none', target: 'key:null' },
  ])('is not: $name', ({ target }) => {
    expect(restsOn({ ...one, lease: { ...one.lease, kid: target === 'key:null' ? null : 'kid-9' } }, target)).toBe(false);
  });
});

describe('looking for it', () => {
  test('finds what rests on the target and has not fallen already', async () => {
    const [here, fallen, elsewhere] = [standing('here'), standing('fallen', { revokedBy: 'session:x' }), standing('elsewhere', { path: ['domain:dom_other'] })];
    const { store, asked } = storeOf(here, fallen, elsewhere);
    const found = await findFalling(store, [OF_DOMAIN], NOW);
    expect([names(found), found.more]).toEqual([[here.lease.id], false]);
    expect(asked).toEqual([{ domainId: DOMAIN, activeAt: NOW, limit: 1000 }]);
  });

  test.each([
    { count: 2000, more: false }, { count: 2001, more: true },
  ])('of $count leases looks at 2,000, and says whether there are more: $more', async ({ count, more }) => {
    const { store, asked } = storeOf(...Array.from({ length: count }, (_, index) => standing(`s-${index}`)));
    const found = await findFalling(store, [OF_DOMAIN], NOW);
    expect([found.standings.length, found.more]).toEqual([2000, more]);
    expect(asked).toHaveLength(2);
  });

  test('of many targets has no more room than of one', async () => {
    const { store, asked } = storeOf(...Array.from({ length: 1500 }, (_, index) => standing(`m-${index}`)));
    const found = await findFalling(store, [OF_DOMAIN, OF_DOMAIN, OF_DOMAIN], NOW);
    expect([found.standings.length, found.more]).toEqual([1500, true]);
    expect(asked.map(({ limit }) => limit)).toEqual([1000, 1000, 500]);
    const few = storeOf(standing('few'));
    expect((await findFalling(few.store, [OF_DOMAIN, OF_DOMAIN, OF_DOMAIN], NOW)).more).toBe(false);
  });

  test.each([
    { count: 200, more: false }, { count: 201, more: true },
  ])('of $count targets looks for 200, and says whether there are more: $more', async ({ count, more }) => {
    const { store, asked } = storeOf();
    const searches = Array.from({ length: count }, (_, index): Search => ({ target: `workload:wkl_${index}`, filter: { domainId: DOMAIN, workloadId: `wkl_${index}` as WorkloadId } }));
    expect(await findFalling(store, searches, NOW)).toEqual({ standings: [], more });
    expect(asked).toHaveLength(200);
  });

  test('counts a lease that rests on two of the targets once', async () => {
    const one = standing('both');
    const found = await findFalling(storeOf(one).store, [OF_DOMAIN, { target: `hop:${one.hop.id}`, filter: { domainId: 'dom_x' as DomainId } }], NOW);
    expect(names(found)).toEqual([one.lease.id]);
  });

  test('for nothing asks nobody', async () => {
    const { store, asked } = storeOf(standing('here'));
    expect(await findFalling(store, [], NOW)).toEqual({ standings: [], more: false });
    expect(asked).toEqual([]);
  });
});

describe('looking for what rests on entries', () => {
  const worker = 'wkl_00000000000000000000000000000001' as WorkloadId;
  const handing = (sessions: readonly string[], more = false) => {
    const own = standing('own', { path: [`workload:${worker}`] });
    const { store, asked } = storeOf(own, standing('below', { path: [`workload:${worker}`, 'hop:hop_x'] }), standing('beside'));
    return { asked, store: { ...store, instances: () => Promise.resolve([]), sessionsWith: () => Promise.resolve({ sessions: sessions as readonly SessionId[], more }) } };
  };

  test('looks where a workload handed on as well, and for an issuer in its whole domain', async () => {
    const { store, asked } = handing(['s1', 's2']);
    const found = await findFallingWith(store, [{ target: `workload:${worker}`, domainId: DOMAIN }, { target: 'issuer:iss_1', domainId: DOMAIN }], NOW);
    expect([found.standings.length, found.more]).toEqual([2, false]);
    expect(asked.map(({ limit: _limit, activeAt: _activeAt, ...filter }) => filter)).toEqual([{ domainId: DOMAIN, workloadId: worker }, { domainId: DOMAIN }, { sessionId: 's1' }, { sessionId: 's2' }]);
  });

  test('says that there may be more where it did not look at all its hand-overs', async () => {
    expect((await findFallingWith(handing([], true).store, [{ target: `workload:${worker}`, domainId: DOMAIN }], NOW)).more).toBe(true);
    expect((await findFallingWith(handing([]).store, [{ target: `workload:${worker}`, domainId: DOMAIN }], NOW)).more).toBe(false);
    expect((await findFallingWith(handing(Array.from({ length: 200 }, (_, index) => `s${index}`)).store, [{ target: `workload:${worker}`, domainId: DOMAIN }], NOW)).more).toBe(true);
  });
});

describe('what the target goes on honouring', () => {
  const note = (kind: string): string | undefined => (kind === 'aws-credentials' ? 'AWS does' : undefined);
  const keys = standing('keys', { kind: 'aws-credentials' });
  const until = keys.lease.expiresAt;

  test('is told with its end, and a token that we can call inactive is not', () => {
    const falling = { standings: [standing('token'), keys], more: false };
    expect(honouredEntries(falling, note)).toEqual({ honoured: [{ lease: keys.lease.id, audience: keys.lease.audience, until }] });
    expect(tellFallen(falling, note)).toEqual({ leases: 2, more: false, endsByItself: [{ lease: keys.lease.id, audience: keys.lease.audience, until, note: 'AWS does' }] });
    expect(until).toBeLessThan(NOW + HOUR);
  });

  test('is nothing where nothing is', () => {
    expect(honouredEntries({ standings: [standing('token')], more: false }, note)).toEqual({});
  });

  test('is said to be incomplete where not all was looked at', () => {
    expect(honouredEntries({ standings: [], more: true }, note)).toEqual({ more: true });
    expect(tellFallen({ standings: [], more: true }, note)).toEqual({ leases: 0, more: true, endsByItself: [] });
  });
});
