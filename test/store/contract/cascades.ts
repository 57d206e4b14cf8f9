import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DAY, HOUR, MINUTE } from '../../../src/core/duration.ts';
import type { LeaseId } from '../../../src/core/ids.ts';
import type { OwnStore } from '../../../src/store/create-store.ts';
import type { CascadeStep } from '../../../src/store/store.ts';
import { DOMAIN, NOW, makeEntry, makeEvent, makeIssuance } from '../make-rows.ts';
import { openStore } from '../place.ts';
import type { MakePlace, Place } from '../place.ts';

/** What begins with a revocation, and the steps that carry it out. */
export const describeCascadeRows = (makePlace: MakePlace): void => {
  describe('cascades', () => {
    let place: Place;
    let store: OwnStore;
    let fence: number;
    beforeAll(async () => {
      place = await makePlace();
      store = await openStore(place);
      fence = (await store.takeJob('cascade', 'a', NOW + DAY, NOW))?.fence ?? -1;
    });
    afterAll(async () => {
      await store.close();
      await place.drop();
    });

    const begin = async (purgeAfter: number | null = NOW + HOUR): Promise<number> =>
      (await store.change({ at: NOW, by: 'a', revocations: [{ target: 'workload:w', domainId: DOMAIN, reason: 'r', purgeAfter }], audit: [] })).version;
    const take = (seq: number, steps: number, more: Partial<CascadeStep> = {}): Promise<boolean> => store.cascadeStep({
      cascade: { seq, steps }, due: NOW + MINUTE, progress: {}, sessions: 0, leases: 0, takenBack: 0, honoured: 0, honouredUntil: null, tasks: [], finished: [], handles: [], audit: [], ...more,
    }, NOW + 1, { name: 'cascade', fence });
    const rowOf = async (seq: number) => (await store.cascade(seq))?.cascade;
    const none = { sessions: 0, leases: 0, takenBack: 0, honoured: 0, honouredUntil: null, doneAt: null };

    test('begin with each revocation, in its commit, and with no suspension', async () => {
      const { version } = await store.change({
        at: NOW, by: 'a', audit: [],
        revocations: [{ target: 'workload:w-1', domainId: DOMAIN, reason: 'r', purgeAfter: null }, { target: 'workload:w-2', domainId: DOMAIN, effect: 'suspended', reason: 'r', purgeAfter: null }, { target: 'lease:l-1', domainId: DOMAIN, reason: 'r', purgeAfter: NOW + HOUR }],
      });
      const whole = { domainId: DOMAIN, at: NOW, due: NOW, progress: {}, steps: 0, ...none };
      expect(await rowOf(version - 2)).toEqual({ seq: version - 2, target: 'workload:w-1', purgeAfter: null, ...whole });
      expect(await rowOf(version - 1)).toBeUndefined();
      expect(await rowOf(version)).toEqual({ seq: version, target: 'lease:l-1', purgeAfter: NOW + HOUR, ...whole });
      expect((await store.revocations({}, { limit: 3, after: undefined })).items.map(({ revocation, cascade }) => [revocation.seq, cascade?.cascade.seq])).toEqual([
        [version, version], [version - 1, undefined], [version - 2, version - 2],
      ]);
    });

    test('do not begin with a change that meets another', async () => {
      const before = await place.sql('SELECT seq FROM cascade');
      expect((await store.change({ at: NOW, by: 'a', basedOn: 999_999, revocations: [{ target: 'workload:no', domainId: DOMAIN, reason: 'r', purgeAfter: null }], audit: [] })).status).toBe('conflict');
      expect(await place.sql('SELECT seq FROM cascade')).toHaveLength(before.length);
    });

    test('add up step by step, with what is left to do, until one is the last', async () => {
      const seq = await begin();
      const issuance = makeIssuance('handled', 'handled', { lease: { handle: 'sealed', handleKekId: 'kek' } });
      await store.issue(issuance);
      const progress = { find: { source: 1, after: { at: NOW, id: 'ü"\u2028' } } };
      expect(await take(seq, 0, { progress, sessions: 1, leases: 10, takenBack: 2, honoured: 3, honouredUntil: NOW + HOUR, tasks: [{ kind: 'session', ref: 's-2', attempts: 0, due: NOW }, { kind: 'session', ref: 's-1', attempts: 0, due: NOW }, { kind: 'lease', ref: 'l-1', attempts: 1, due: NOW + HOUR }] })).toBe(true);
      expect(await rowOf(seq)).toMatchObject({ due: NOW + MINUTE, progress, steps: 1, sessions: 1, leases: 10, takenBack: 2, honoured: 3, honouredUntil: NOW + HOUR, doneAt: null });
      expect(await store.cascadeTasks(seq, 'session', 10)).toEqual(['s-1', 's-2'].map((ref) => ({ seq, kind: 'session', ref, attempts: 0, due: NOW })));
      expect(await store.dueTasks(seq, NOW, 10)).toEqual({ due: [], next: NOW + HOUR });
      expect(await store.cascade(seq)).toMatchObject({ unwalked: 2, unreached: 1 });

      // An earlier end does not shorten what was told; a task that is named again is the same task.
      expect(await take(seq, 1, { leases: 5, honoured: 1, honouredUntil: NOW, handles: [issuance.lease.id], tasks: [{ kind: 'lease', ref: 'l-1', attempts: 2, due: NOW }], finished: [{ kind: 'session', ref: 's-1' }, { kind: 'lease', ref: 's-2' }] })).toBe(true);
      expect(await rowOf(seq)).toMatchObject({ steps: 2, sessions: 1, leases: 15, honoured: 4, honouredUntil: NOW + HOUR });
      expect((await store.cascadeTasks(seq, 'session', 10)).map(({ ref }) => ref)).toEqual(['s-2']);
      expect(await store.dueTasks(seq, NOW, 10)).toEqual({ due: [{ seq, kind: 'lease', ref: 'l-1', attempts: 2, due: NOW }], next: NOW });
      expect((await store.leaseStanding(issuance.lease.id))?.lease).toMatchObject({ handle: null, handleKekId: null });

      expect(await take(seq, 2, { due: null, honouredUntil: NOW + 2 * HOUR, finished: [{ kind: 'session', ref: 's-2' }, { kind: 'lease', ref: 'l-1' }], audit: [makeEvent('revocation.carried_out', { seq })] })).toBe(true);
      expect(await rowOf(seq)).toMatchObject({ due: null, doneAt: NOW + 1, honouredUntil: NOW + 2 * HOUR });
      expect((await place.sql('SELECT body FROM audit WHERE action = \'revocation.carried_out\'')).map(({ body }) => String(body))).toEqual([expect.stringContaining(`{"seq":${seq}}`)]);
      expect(await take(seq, 3)).toBe(false);
    });

    test('are looked after in turn, and not once they are done', async () => {
      await place.sql('UPDATE cascade SET due = NULL');
      const [first, second] = [await begin(), await begin()];
      const due = async (): Promise<readonly number[]> => (await store.dueCascades(NOW + HOUR, 5)).map(({ seq }) => seq);
      expect(await due()).toEqual([first, second]);
      await take(first, 0);
      expect(await due()).toEqual([second, first]);
      expect(await store.dueCascades(NOW - 1, 5)).toEqual([]);
      await take(second, 0, { due: null });
      expect(await due()).toEqual([first]);
    });

    test('go with their revocation, once they are done', async () => {
      const purged = async (): Promise<readonly unknown[]> => {
        await store.purge(NOW + HOUR + 1, 1_000, { name: 'cascade', fence });
        return (await Promise.all([done, open, kept].map(rowOf))).map((row) => row !== undefined);
      };
      const [done, open, kept] = [await begin(), await begin(), await begin(null)];
      for (const seq of [done, kept]) await take(seq, 0, { due: null });
      expect(await purged()).toEqual([false, true, true]);
      await take(open, 0, { due: null });
      expect(await purged()).toEqual([false, false, true]);
    });

    test('find nothing where there is nothing', async () => {
      expect(await store.cascade(0)).toBeUndefined();
      expect(await store.revocation(0)).toBeUndefined();
      expect(await store.sessionOfHop('hop_none' as never)).toBeUndefined();
      expect(await store.leaseFalls(['lse_none' as LeaseId])).toEqual([]);
      expect(await store.sourcePage({ kind: 'sessions', by: 'holder', value: 'nobody', since: 0 }, NOW, 10, undefined)).toEqual({ sessions: [], next: undefined });
    });

    test('name the sessions of a source page by page, and no row twice', async () => {
      await store.change({ at: NOW, by: 'a', entries: [makeEntry({ id: 'dom_x', version: 1 })], audit: [] });
      const names = ['1', '2', '3', '4', '5'];
      for (const name of names) await store.issue(makeIssuance(`paged-${name}`, `paged-${name}`, { session: { model: 'autonomous', principal: 'urn:paged', startedAt: NOW - Number(name) % 2, ...(name === '4' ? { endedAt: NOW } : {}) } }));
      // An owner who has a person's name answers for it, and is nobody it rests on.
      await store.issue(makeIssuance('paged-owner', 'paged-owner', { session: { model: 'bounded', principal: 'urn:paged', startedAt: NOW } }));
      const found: string[] = [];
      let after: Awaited<ReturnType<OwnStore['sourcePage']>>['next'];
      do {
        const page = await store.sourcePage({ kind: 'sessions', by: 'person', value: 'urn:paged', since: NOW - HOUR }, NOW, 2, after);
        found.push(...page.sessions);
        after = page.next;
      } while (after !== undefined);
      expect(found.sort()).toEqual(names.filter((name) => name !== '4').map((name) => makeIssuance('', `paged-${name}`).session.id).sort());
    });
  });
};
