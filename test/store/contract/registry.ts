import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DAY, HOUR } from '../../../src/core/duration.ts';
import type { OwnStore } from '../../../src/store/create-store.ts';
import type { KeyRow } from '../../../src/store/rows.ts';
import { everyTurn } from '../../support/every-turn.ts';
import { DOMAIN, NOW, makeEntry, makeEvent } from '../make-rows.ts';
import { makeSealer, openStore } from '../place.ts';
import type { MakePlace, Place } from '../place.ts';

/** Entries, keys, revocations and their versions. */
export const describeRegistry = (makePlace: MakePlace): void => {
  describe('registry', () => {
    let place: Place;
    let store: OwnStore;
    beforeAll(async () => {
      place = await makePlace();
      store = await openStore(place);
    });
    afterAll(async () => {
      await store.close();
      await place.drop();
    });

    const committed = async (change: Parameters<OwnStore['change']>[0]): Promise<number> => {
      const outcome = await store.change(change);
      expect(outcome.status).toBe('committed');
      return outcome.version;
    };

    test('hands out versions in order: entries, keys, revocations, what is lifted', async () => {
      const from = await store.registryVersion();
      const { key } = await makeSealer();
      const written: Omit<KeyRow, 'seq' | 'changedAt'> = { ...key, notAfter: NOW + HOUR };
      const entries = [makeEntry(), makeEntry({ id: 'res_1', kind: 'resource', name: 'https://deploy.acme.example', expiresAt: null, ended: true })];
      const first = await committed({
        at: NOW, by: 'alice', basedOn: from, entries, keys: [written],
        revocations: [{ target: 'workload:w-1', domainId: DOMAIN, reason: 'left "us"', purgeAfter: NOW + HOUR }], audit: [makeEvent('registry.applied')],
      });
      expect(first).toBe(from + 4);
      const second = await committed({ at: NOW + 5, by: 'bob', enable: ['workload:w-1', 'workload:never-revoked'], audit: [makeEvent('revocation.lifted')] });
      expect(second).toBe(from + 5);
      const delta = await store.registryDelta(from);
      expect(delta.version).toBe(second);
      expect(delta.entries).toEqual(entries.map((entry, index) => ({ ...entry, seq: from + 1 + index, changedAt: NOW, changedBy: 'alice' })));
      expect(delta.keys).toEqual([{ ...written, seq: from + 3, changedAt: NOW }]);
      expect(delta.revocations).toEqual([{
        seq: from + 4, target: 'workload:w-1', domainId: DOMAIN, effect: 'revoked', at: NOW, by: 'alice', reason: 'left "us"', purgeAfter: NOW + HOUR, enabledSeq: second, enabledAt: NOW + 5, enabledBy: 'bob',
      }]);
    });

    test('lifts every open revocation of a target, each under a version of its own', async () => {
      const revocation = { target: 'issuer:twice', domainId: DOMAIN, reason: 'r', purgeAfter: null } as const;
      const from = await committed({ at: NOW, by: 'a', revocations: [revocation, revocation], audit: [] });
      expect(await committed({ at: NOW, by: 'a', enable: ['issuer:twice'], audit: [] })).toBe(from + 2);
      expect(await committed({ at: NOW, by: 'a', enable: ['issuer:twice'], audit: [] })).toBe(from + 2);
    });

    test('tells of a change with very many entries whole and in order, and lets others have their turn meanwhile', async () => {
      const from = await store.registryVersion();
      const entries = Array.from({ length: 1_201 }, (_, n) => makeEntry({ id: `wkl_many_${n}`, kind: 'workload', name: `many ${n}` }));
      const version = await committed({ at: NOW, by: 'a', basedOn: from, entries, audit: [] });
      const turns = everyTurn();
      const delta = await store.registryDelta(from);
      expect(turns.stop()).toBeGreaterThanOrEqual(2);
      expect(delta.version).toBe(version);
      expect(delta.entries.map(({ id, seq }) => [id, seq])).toEqual(entries.map(({ id }, n) => [id, from + 1 + n]));
    });

    test('refuses a change computed from a version that has moved, and writes nothing of it', async () => {
      const from = await store.registryVersion();
      const entry = makeEntry({ id: 'wkl_conflict', kind: 'workload', name: 'conflict' });
      const moved = await committed({ at: NOW, by: 'a', basedOn: from, revocations: [{ target: 'lease:x', domainId: DOMAIN, reason: 'r', purgeAfter: null }], audit: [] });
      expect(await store.change({ at: NOW, by: 'a', basedOn: from, entries: [entry], audit: [makeEvent('must.not.appear')] })).toEqual({ status: 'conflict', version: moved });
      expect(await store.entryHistory('wkl_conflict')).toEqual([]);
      expect(await place.sql("SELECT n FROM audit WHERE action = 'must.not.appear'")).toHaveLength(0);
      expect(await store.change({ at: NOW, by: 'a', basedOn: moved, entries: [entry], audit: [] })).toEqual({ status: 'committed', version: moved + 1 });
    });

    test('lets one of several changes computed from the same version win', async () => {
      const from = await store.registryVersion();
      const outcomes = await Promise.all(['a', 'b', 'c'].map((name) => store.change({ at: NOW, by: name, basedOn: from, entries: [makeEntry({ id: `pol_${name}`, kind: 'policy', name })], audit: [] })));
      expect(outcomes.map((outcome) => outcome.status)).toEqual(['committed', 'conflict', 'conflict']);
    });

    test('ends what began before and blocks nothing after, without lifting what somebody else blocked', async () => {
      const person = { target: 'person:urn:p-1', domainId: DOMAIN, reason: 'session-revoked 1', purgeAfter: NOW + HOUR } as const;
      const from = await committed({ at: NOW, by: 'admin', revocations: [{ ...person, reason: 'left' }], audit: [] });
      const version = await committed({ at: NOW + 5, by: 'https://idp.example', ends: [person], audit: [] });
      expect(version).toBe(from + 2);
      expect((await store.registryDelta(from - 1)).revocations).toEqual([
        { ...person, seq: from, effect: 'revoked', at: NOW, by: 'admin', reason: 'left', enabledSeq: null, enabledAt: null, enabledBy: null },
        { ...person, seq: from + 1, effect: 'revoked', at: NOW + 5, by: 'https://idp.example', enabledSeq: from + 2, enabledAt: NOW + 5, enabledBy: 'https://idp.example' },
      ]);
    });

    test('resumes the suspensions of one who made them, those older than the word that ends them, and nothing else', async () => {
      const target = 'person:urn:p-2';
      const row = { target, domainId: DOMAIN, reason: 'r', purgeAfter: null } as const;
      const from = await store.registryVersion();
      await committed({ at: NOW + 9, by: 'mdm', revocations: [{ ...row, effect: 'suspended', at: NOW }, { ...row, effect: 'suspended', at: NOW + 2 }, row], audit: [] });
      await committed({ at: NOW + 9, by: 'other', revocations: [{ ...row, effect: 'suspended', at: NOW }], audit: [] });
      await committed({ at: NOW + 9, by: 'mdm', revocations: [{ ...row, target: 'person:urn:p-3', effect: 'suspended', at: NOW }], audit: [] });
      expect(await committed({ at: NOW + 10, by: 'mdm', resume: [{ target, by: 'mdm', until: NOW + 1 }], audit: [] })).toBe(from + 6);
      const { revocations } = await store.registryDelta(from);
      expect(revocations.map(({ seq, at, by, effect, enabledSeq }) => [seq - from, at - NOW, by, effect, enabledSeq === null ? null : enabledSeq - from])).toEqual([
        [1, 0, 'mdm', 'suspended', 6], [2, 2, 'mdm', 'suspended', null], [3, 9, 'mdm', 'revoked', null], [4, 0, 'other', 'suspended', null], [5, 0, 'mdm', 'suspended', null],
      ]);
    });

    test('makes a change that is paid with a one-time thing once, whoever asks and however often', async () => {
      const from = await store.registryVersion();
      const change = { at: NOW, by: 'a', ends: [{ target: 'person:urn:p-4', domainId: DOMAIN, reason: 'r', purgeAfter: null }], once: [{ key: 'set.1', until: NOW + HOUR }], audit: [makeEvent('paid.once')] } as const;
      // On PostgreSQL two nodes are asked at once; on SQLite one process writes for all.
      const other = place.engine === 'postgresql' ? await openStore(place) : store;
      const outcomes = await Promise.all([store, other, store, other].map((node) => node.change(change)));
      if (other !== store) await other.close();
      expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['committed', 'replayed', 'replayed', 'replayed']);
      expect(await store.change(change)).toEqual({ status: 'replayed', version: from + 2 });
      expect((await store.registryDelta(from)).revocations).toHaveLength(1);
      expect(await place.sql("SELECT n FROM audit WHERE action = 'paid.once'")).toHaveLength(1);
      expect(await store.consume([{ key: 'set.1', until: NOW + HOUR }])).toBe(false);
    });

    test('pays nothing for a change that is not made: neither of two one-time things when one was used, nor for a conflict', async () => {
      await store.consume([{ key: 'set.used', until: NOW + HOUR }]);
      expect((await store.change({ at: NOW, by: 'a', once: [{ key: 'set.free', until: NOW + HOUR }, { key: 'set.used', until: NOW + HOUR }], audit: [makeEvent('must.not.appear')] })).status).toBe('replayed');
      expect((await store.change({ at: NOW, by: 'a', basedOn: 1, once: [{ key: 'set.free', until: NOW + HOUR }], audit: [makeEvent('must.not.appear')] })).status).toBe('conflict');
      expect(await place.sql("SELECT n FROM audit WHERE action = 'must.not.appear'")).toHaveLength(0);
      expect((await store.change({ at: NOW, by: 'a', once: [{ key: 'set.free', until: NOW + HOUR }], audit: [makeEvent('paid')] })).status).toBe('committed');
    });

    test('keeps a suspension that was lifted as long as what else is purged, and a revocation that was lifted for good', async () => {
      const row = { domainId: DOMAIN, reason: 'r', purgeAfter: null } as const;
      const from = await committed({ at: NOW, by: 'mdm', revocations: [{ ...row, target: 'workload:s-lifted', effect: 'suspended' }, { ...row, target: 'workload:s-resumed', effect: 'suspended' }, { ...row, target: 'workload:s-open', effect: 'suspended' }, { ...row, target: 'workload:r-lifted' }], audit: [] });
      await committed({ at: NOW + DAY, by: 'mdm', enable: ['workload:s-lifted', 'workload:r-lifted'], resume: [{ target: 'workload:s-resumed', by: 'mdm', until: NOW }], audit: [] });
      const gone = NOW + DAY + 90 * DAY;
      // A node that comes back within that time hears of the lift, and from when on it may forget it.
      expect((await store.registryDelta(from)).revocations.map(({ target, enabledAt, purgeAfter }) => [target, enabledAt, purgeAfter])).toEqual([
        ['workload:s-lifted', NOW + DAY, gone], ['workload:s-resumed', NOW + DAY, gone], ['workload:r-lifted', NOW + DAY, null],
      ]);
      const { fence = 0 } = (await store.takeJob('retention', 'a', gone + HOUR, NOW)) ?? {};
      const kept = async (now: number): Promise<readonly unknown[]> => {
        for (let more = true; more; ) more = (await store.purge(now, 1_000, { name: 'retention', fence })).more;
        return (await place.sql("SELECT target FROM revocation WHERE target LIKE 'workload:_-%' AND target <> 'workload:w-1' ORDER BY target")).map(({ target }) => target);
      };
      expect(await kept(gone)).toEqual(['workload:r-lifted', 'workload:s-lifted', 'workload:s-open', 'workload:s-resumed']);
      expect(await kept(gone + 1)).toEqual(['workload:r-lifted', 'workload:s-open']);
    });

    test('tells its own process of a change', async () => {
      const told = new Promise<void>((resolve) => { store.onRegistryChange(resolve); });
      await committed({ at: NOW, by: 'a', revocations: [{ target: 'lease:told', domainId: DOMAIN, reason: 'r', purgeAfter: null }], audit: [] });
      await told;
    });
  });
};
