import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { verifyAudit } from '../../../src/audit/verify.ts';
import type { OwnStore } from '../../../src/store/create-store.ts';
import { StoreUnavailable } from '../../../src/store/store.ts';
import { DOMAIN, NOW, makeEvent, makeIssuance } from '../make-rows.ts';
import { codes, makeSealer, openStore } from '../place.ts';
import type { MakePlace, Place } from '../place.ts';

/** The database cannot commit: nothing was issued, and it goes on by itself when it can again. */
export const describeFailing = (makePlace: MakePlace): void => {
  describe('failing', () => {
    let place: Place;
    let store: OwnStore;
    beforeAll(async () => {
      place = await makePlace();
      store = await openStore(place, { limits: { transactionMs: 3_000, waitMs: 20_000, queued: 8 } });
    });
    afterAll(async () => {
      await store.close();
      await place.drop();
    });

    test('says unavailable while nothing can be committed, and recovers without a restart', async () => {
      expect(await store.issue(makeIssuance('before'))).toBe('committed');
      const heal = await place.breakWrites();
      await expect(store.issue(makeIssuance('during'))).rejects.toThrow(StoreUnavailable);
      await expect(store.consume([{ key: 'during', until: NOW }])).rejects.toThrow(StoreUnavailable);
      await expect(store.change({ at: NOW, by: 'a', revocations: [{ target: 'lease:during', domainId: DOMAIN, reason: 'r', purgeAfter: null }], audit: [makeEvent('during')] })).rejects.toThrow(StoreUnavailable);
      await expect(store.takeJob('during', 'a', NOW + 1, NOW)).rejects.toThrow(StoreUnavailable);
      await heal();
      await untilCommitted(() => store.issue(makeIssuance('after')));
      expect(await place.sql("SELECT n FROM audit WHERE action = 'during'")).toHaveLength(0);
      expect(await store.leaseStanding(makeIssuance('during').lease.id)).toBeUndefined();
      // What was refused consumed nothing.
      expect(await store.issue(makeIssuance('during'))).toBe('committed');
      expect(await store.consume([{ key: 'during', until: NOW }])).toBe(true);
    });

    test('turns away at once what exceeds the queue', async () => {
      const heal = await place.breakWrites();
      const outcomes = await Promise.allSettled(Array.from({ length: 20 }, (_, index) => store.issue(makeIssuance(`overflow-${index}`))));
      const reasons = outcomes.map((outcome) => (outcome.status === 'rejected' && outcome.reason instanceof StoreUnavailable ? outcome.reason.message : 'none'));
      expect(reasons.filter((reason) => reason === 'too many writes are waiting').length).toBeGreaterThanOrEqual(11);
      expect(reasons).not.toContain('none');
      await heal();
      await untilCommitted(() => store.issue(makeIssuance('after-overflow')));
    });

    test('keeps one unbroken chain through it all', async () => {
      const { verify } = await makeSealer();
      const report = await verifyAudit({ reads: store, verifyCheckpoint: verify, codes, outside: [], now: NOW });
      expect(report.findings).toEqual([]);
      expect(report.chains).toHaveLength(1);
    });

    test('refuses everything once it is closed', async () => {
      const closing = await openStore(place);
      await closing.close();
      await expect(closing.issue(makeIssuance('closed'))).rejects.toThrow(StoreUnavailable);
    });
  });
};

/** Polls with a cap: how soon a connection is tried again is not what is tested. */
export const untilCommitted = (issue: () => Promise<string>): Promise<void> =>
  until(async () => {
    try {
      return (await issue()) === 'committed';
    } catch (cause) {
      if (cause instanceof StoreUnavailable) return false;
      throw cause;
    }
  });

export const until = async (met: () => boolean | Promise<boolean>): Promise<void> => {
  for (let attempt = 0; attempt < 2000; attempt += 1) {
    if (await met()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('what was waited for did not happen');
};
