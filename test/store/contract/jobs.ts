import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DAY, HOUR, MINUTE } from '../../../src/core/duration.ts';
import { decisionOf } from '../../../src/core/ids.ts';
import { verifyAudit } from '../../../src/audit/verify.ts';
import type { OwnStore } from '../../../src/store/create-store.ts';
import type { Target } from '../../../src/store/rows.ts';
import { DOMAIN, NOW, makeEntry, makeEvent, makeIssuance } from '../make-rows.ts';
import { codes, makeSealer, openStore } from '../place.ts';
import type { MakePlace, Place } from '../place.ts';

/** Jobs with one owner, and what the retention job deletes. */
export const describeJobs = (makePlace: MakePlace): void => {
  describe('jobs and retention', () => {
    let place: Place;
    let store: OwnStore;
    beforeAll(async () => {
      place = await makePlace();
      store = await openStore(place);
      await store.change({ at: NOW, by: 'a', entries: [makeEntry()], audit: [makeEvent('registry.applied')] });
    });
    afterAll(async () => {
      await store.close();
      await place.drop();
    });

    const count = async (table: string): Promise<number> => Number((await place.sql(`SELECT count(*) AS n FROM ${table}`))[0]?.n);

    test('gives a job to one holder until its time is over or it lets go, and a higher fence to the next', async () => {
      expect(await store.takeJob('rotation', 'a', NOW + MINUTE, NOW)).toEqual({ fence: 1 });
      expect(await store.takeJob('rotation', 'b', NOW + MINUTE, NOW)).toBeUndefined();
      expect(await store.takeJob('rotation', 'a', NOW + 2 * MINUTE, NOW + 1)).toEqual({ fence: 1 });
      expect(await store.takeJob('rotation', 'b', NOW + 3 * MINUTE, NOW + 2 * MINUTE)).toEqual({ fence: 2 });
      await store.releaseJob('rotation', 'a');
      expect(await store.takeJob('rotation', 'a', NOW + 3 * MINUTE, NOW + 2 * MINUTE)).toBeUndefined();
      await store.releaseJob('rotation', 'b');
      expect(await store.takeJob('rotation', 'a', NOW + 3 * MINUTE, NOW + 2 * MINUTE)).toEqual({ fence: 3 });
    });

    test('gives a contested job to one of many', async () => {
      const taken = await Promise.all(Array.from({ length: 10 }, (_, index) => store.takeJob('contested', `holder-${index}`, NOW + MINUTE, NOW)));
      expect(taken.filter((job) => job !== undefined)).toHaveLength(1);
    });

    test('purges nothing under a fence that was lost', async () => {
      await store.consume([{ key: 'fenced', until: NOW }]);
      await store.takeJob('fenced', 'a', NOW + 2, NOW);
      await store.takeJob('fenced', 'b', NOW + MINUTE, NOW + 2);
      expect(await store.purge(NOW + 3, 100, { name: 'fenced', fence: 1 })).toEqual({ deleted: 0, more: false });
      expect((await store.purge(NOW + 3, 100, { name: 'fenced', fence: 2 })).deleted).toBeGreaterThan(0);
    });

    test('purges nothing after the holder\'s time', async () => {
      await store.consume([{ key: 'late', until: NOW }]);
      await store.takeJob('late', 'a', NOW + 2, NOW);
      expect(await store.purge(NOW + 2, 100, { name: 'late', fence: 1 })).toEqual({ deleted: 0, more: false });
    });

    test('deletes what is past its time, in batches of the limit, and keeps what is not', async () => {
      const LATER = NOW + 500 * DAY;
      const sealer = await makeSealer();
      const purge = (now: number, limit: number) => store.purge(now, limit, { name: 'retention', fence: 1 });
      await store.takeJob('retention', 'a', LATER + DAY, NOW);
      const old = ['p-1', 'p-2', 'p-3'].map((name) => makeIssuance(name, 'p-old'));
      for (const issuance of old) await store.issue(issuance);
      const kept = makeIssuance('p-kept', 'p-kept', { session: { expiresAt: LATER + HOUR }, hop: { expiresAt: LATER + HOUR }, lease: { expiresAt: LATER - 90 * DAY, replayUntil: NOW } });
      const replayable = makeIssuance('p-replayable', 'p-replayable', { lease: { replayUntil: LATER } });
      for (const issuance of [kept, replayable]) await store.issue(issuance);
      await store.consume([{ key: 'p-gone', until: NOW }, { key: 'p-stays', until: LATER }]);
      const revoke = (target: Target, purgeAfter: number | null) => ({ target, domainId: DOMAIN, reason: 'r', purgeAfter });
      await store.change({ at: NOW, by: 'a', revocations: [revoke('lease:gone', NOW + 1), revoke('lease:later', LATER), revoke('workload:never', null)], audit: [makeEvent('revocation.made')] });
      const denial = { id: decisionOf(makeIssuance('p-denied').lease.id), at: NOW, domainId: DOMAIN, workloadId: null, code: 'target_denied', detail: '', facts: {}, count: 1 };
      await store.deny(denial, makeEvent('exchange.denied'));
      await store.checkpoint(sealer.sign, NOW);
      await store.append(makeEvent('between'));
      const seal = await store.checkpoint(sealer.sign, NOW + 1);
      await store.append({ ...makeEvent('late'), at: LATER });
      await store.append({ ...makeEvent('late'), at: LATER });
      await store.checkpoint(sealer.sign, LATER);
      await store.append({ ...makeEvent('later'), at: LATER });

      const expired = await store.purge(NOW + 1, 1_000, { name: 'retention', fence: 1 });
      expect(expired.more).toBe(false);
      expect(await count('lease')).toBe(5);

      let deletions = 0;
      for (let more = true; more; ) {
        const round = await purge(LATER, 2);
        expect(round.deleted).toBeLessThanOrEqual(2 + (seal?.n ?? 0));
        deletions += round.deleted;
        more = round.more;
      }
      expect(deletions).toBeGreaterThan(10);
      expect((await place.sql('SELECT id FROM lease ORDER BY id')).map((row) => row.id)).toEqual([kept.lease.id, replayable.lease.id].sort());
      expect((await place.sql('SELECT id FROM session ORDER BY id')).map((row) => row.id)).toEqual([kept.session.id, replayable.session.id].sort());
      expect((await place.sql('SELECT id FROM hop ORDER BY id')).map((row) => row.id)).toEqual([kept.hop.id, replayable.hop.id].sort());
      expect((await place.sql('SELECT "key" FROM replay')).map((row) => row.key)).toEqual(['p-stays']);
      expect((await place.sql('SELECT target FROM revocation ORDER BY target')).map((row) => row.target)).toEqual(['lease:later', 'workload:never']);
      expect(await store.denial(denial.id)).toBeUndefined();
      // The entries under the old seals are gone, the last of these is not, and what is left verifies: it names the one that went.
      expect((await place.sql('SELECT n FROM audit ORDER BY n')).map((row) => Number(row.n))).toEqual([1, 2, 3].map((step) => (seal?.n ?? 0) + step));
      const report = await verifyAudit({ reads: store, verifyCheckpoint: sealer.verify, codes, outside: [], now: LATER });
      expect(report).toMatchObject({ ok: true, findings: [], entries: 3, unsealed: 1, checkpoints: 2 });
    });
  });
};
