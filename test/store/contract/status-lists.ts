import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE } from '../../../src/core/duration.ts';
import { firstIdAt } from '../../../src/core/ids.ts';
import type { DomainId, LeaseId } from '../../../src/core/ids.ts';
import type { OwnStore } from '../../../src/store/create-store.ts';
import type { ListedLease } from '../../../src/store/store.ts';
import { DOMAIN, NOW, RESOURCE, makeEvent, makeIssuance } from '../make-rows.ts';
import type { Parts } from '../make-rows.ts';
import { openStore } from '../place.ts';
import type { MakePlace, Place } from '../place.ts';

/** Blocks of status lists, and what a list is made from. */
export const describeStatusLists = (makePlace: MakePlace): void => {
  describe('status lists', () => {
    let place: Place;
    let store: OwnStore;
    let other: OwnStore;
    beforeAll(async () => {
      place = await makePlace();
      store = await openStore(place);
      other = await openStore(place);
    });
    afterAll(async () => {
      await other.close();
      await store.close();
      await place.drop();
    });

    const UNTIL = NOW + HOUR;
    const domain = (name: string): DomainId => `dom_${name}` as DomainId;
    const claim = (by: OwnStore, name: string, list: string, order: readonly number[], until = UNTIL) => by.claimStatusBlock({ domainId: domain(name), list, order, until });

    test('give their blocks in the order that was drawn when they were made, whoever asks', async () => {
      expect(await claim(store, 'order', 'order-1', [2, 0, 1])).toEqual({ list: 'order-1', block: 2 });
      expect(await claim(other, 'order', 'order-2', [0, 1, 2])).toEqual({ list: 'order-1', block: 0 });
      expect(await claim(store, 'order', 'order-3', [0, 1, 2])).toEqual({ list: 'order-1', block: 1 });
    });

    test('close when they are full, and another one opens', async () => {
      await claim(store, 'full', 'full-1', [1, 0]);
      expect(await claim(store, 'full', 'full-2', [1, 0])).toEqual({ list: 'full-1', block: 0 });
      expect(await claim(store, 'full', 'full-3', [0])).toEqual({ list: 'full-3', block: 0 });
      expect(await claim(store, 'full', 'full-4', [1, 0])).toEqual({ list: 'full-4', block: 1 });
      expect((await place.sql("SELECT id, open, claimed FROM status_list WHERE domain_id = 'dom_full' ORDER BY id")).map((row) => [row.id, Boolean(row.open), Number(row.claimed)])).toEqual([['full-1', false, 2], ['full-3', false, 1], ['full-4', true, 1]]);
    });

    test('belong to one domain', async () => {
      expect(await claim(store, 'own-a', 'own-1', [0, 1])).toEqual({ list: 'own-1', block: 0 });
      expect(await claim(store, 'own-b', 'own-2', [0, 1])).toEqual({ list: 'own-2', block: 0 });
      expect(await store.statusLists(domain('own-a'))).toEqual([{ id: 'own-1', domainId: 'dom_own-a', blocks: 2, until: UNTIL }]);
    });

    test('never give one block twice, however many processes ask at once, while lists close and open', async () => {
      const claims = Array.from({ length: 120 }, (_, index) => claim(index % 2 === 0 ? store : other, 'raced', `raced-${index}`, [3, 1, 0, 2]));
      const given = await Promise.all(claims);
      expect(new Set(given.map(({ list, block }) => `${list}/${block}`)).size).toBe(120);
      // Four blocks each, all of them: no list was left behind half given away.
      const lists = Map.groupBy(given, ({ list }) => list);
      expect(lists.size).toBe(30);
      for (const blocks of lists.values()) expect(blocks.map(({ block }) => block).sort()).toEqual([0, 1, 2, 3]);
    });

    test('are kept until the last token of any of their blocks has expired, and not longer', async () => {
      await claim(store, 'kept', 'kept-1', [0, 1, 2], UNTIL);
      await claim(store, 'kept', 'kept-2', [0, 1, 2], UNTIL - MINUTE);
      expect((await store.statusList('kept-1'))?.until).toBe(UNTIL);
      await claim(store, 'kept', 'kept-3', [0, 1, 2], UNTIL + MINUTE);
      expect(await store.statusList('kept-1')).toEqual({ id: 'kept-1', domainId: 'dom_kept', blocks: 3, until: UNTIL + MINUTE });
      expect(await store.statusList('kept-2')).toBeUndefined();
      await store.takeJob('retention', 'a', NOW + 3 * HOUR, NOW);
      const purge = async (now: number): Promise<readonly string[]> => {
        while ((await store.purge(now, 100, { name: 'retention', fence: 1 })).more);
        return (await place.sql("SELECT id FROM status_list WHERE domain_id = 'dom_kept'")).map((row) => String(row.id));
      };
      expect(await purge(UNTIL + MINUTE)).toEqual(['kept-1']);
      expect(await purge(UNTIL + MINUTE + 1)).toEqual([]);
      // What is asked for next opens a list anew, under an id of its own.
      expect(await claim(store, 'kept', 'kept-4', [1, 0])).toEqual({ list: 'kept-4', block: 1 });
    });

    test('are not told of any more when their time is over', async () => {
      await claim(store, 'over', 'over-1', [0], NOW);
      await claim(store, 'over', 'over-2', [0], NOW + 1);
      expect((await store.statusLists(domain('over'))).map(({ id }) => id)).toEqual(['over-2']);
    });

    describe('are made from leases', () => {
      const listed = (index: number, parts: Parts = {}): Parts => ({ ...parts, lease: { statusList: 'leases-1', statusIndex: index, ...parts.lease } });
      const readAll = async (limit: number): Promise<{ readonly items: readonly ListedLease[]; readonly pages: number }> => {
        const items: ListedLease[] = [];
        let pages = 0;
        for (let after: string | undefined = ''; after !== undefined; pages += 1) {
          const page: { readonly items: readonly ListedLease[]; readonly next: string | undefined } = await store.listedLeases(after, limit);
          expect(page.items.length).toBeLessThanOrEqual(limit);
          items.push(...page.items);
          after = page.next;
        }
        return { items, pages };
      };
      const rows = [
        makeIssuance('s-live', 's-live', listed(7, { session: { model: 'delegated', freshAt: NOW - MINUTE } })),
        makeIssuance('s-none', 's-none'),
        makeIssuance('s-expiring', 's-expiring', listed(8, { lease: { expiresAt: NOW } })),
        makeIssuance('s-other', 's-other', listed(7, { lease: { statusList: 'leases-2', resourceId: null, kid: null } })),
        makeIssuance('s-ended', 's-ended', listed(9)),
      ];
      let began: number;
      beforeAll(async () => {
        began = await store.registryVersion();
        for (const row of rows) expect(await store.issue(row)).toBe('committed');
        await store.endSession(rows[4]?.session.id ?? ('' as never), { at: NOW, by: 'admin', reason: 'done', domainId: DOMAIN, purgeAfter: null }, makeEvent('session.ended'));
      });

      test('that have an entry and have not expired, with all that their status depends on', async () => {
        const { items } = await readAll(1_000);
        const [live, , , another, ended] = rows;
        expect(new Map<string | undefined, unknown>(items.map((item) => [item.lease.id, item]))).toEqual(new Map<string | undefined, unknown>([
          [live?.lease.id, {
            lease: { id: live?.lease.id, domainId: DOMAIN, audience: live?.lease.audience, resourceId: RESOURCE, kid: 'kid-1', expiresAt: NOW + 5 * MINUTE, statusList: 'leases-1', statusIndex: 7 },
            session: { model: 'delegated', freshAt: NOW - MINUTE, beganVersion: began }, hop: { path: live?.hop.path }, ended: false,
          }],
          [another?.lease.id, expect.objectContaining({ lease: expect.objectContaining({ statusList: 'leases-2', resourceId: null, kid: null }), ended: false })],
          [ended?.lease.id, expect.objectContaining({ ended: true })],
        ]));
      });

      test('page by page, in the order of their age', async () => {
        const whole = await readAll(1_000);
        const paged = await readAll(2);
        expect(paged.items).toEqual(whole.items);
        expect(whole.items.map(({ lease }) => lease.id)).toEqual(whole.items.map(({ lease }) => lease.id).sort());
        expect(paged.pages).toBe(3);
        expect(await store.listedLeases(firstIdAt('lease', NOW + 1), 10)).toEqual({ items: [], next: undefined });
      });

      test('passing by those that do not matter, so many at a time', async () => {
        const dead = Array.from({ length: 45 }, (_, index) => makeIssuance(`s-dead-${index}`, 's-dead', { lease: { id: `${firstIdAt('lease', NOW + 1)}${String(index).padStart(20, '0')}` as LeaseId, statusList: 'leases-1', statusIndex: index, expiresAt: NOW } }));
        for (const row of dead) expect(await store.issue(row)).toBe('committed');
        const pages: (readonly [number, string | undefined])[] = [];
        for (let after: string | undefined = firstIdAt('lease', NOW + 1); after !== undefined; after = pages.at(-1)?.[1]) {
          const { items, next } = await store.listedLeases(after, 2);
          pages.push([items.length, next]);
        }
        expect(pages).toEqual([[0, dead[19]?.lease.id], [0, dead[39]?.lease.id], [0, dead[44]?.lease.id], [0, undefined]]);
      });
    });
  });
};
