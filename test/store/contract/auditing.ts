import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { MINUTE } from '../../../src/core/duration.ts';
import { createAuditCodes } from '../../../src/core/audit-code.ts';
import { linkHash } from '../../../src/core/hash-chain.ts';
import type { ChainHead } from '../../../src/core/hash-chain.ts';
import { verifyAudit } from '../../../src/audit/verify.ts';
import type { AuditReport } from '../../../src/audit/verify.ts';
import type { OwnStore } from '../../../src/store/create-store.ts';
import type { CheckpointRow } from '../../../src/store/rows.ts';
import { DOMAIN, NOW, makeEvent, makeIssuance } from '../make-rows.ts';
import { codes, makeCodeKeys, makeSealer, noTail, openStore } from '../place.ts';
import type { MakePlace, Place, Sealer } from '../place.ts';

/** The audit chain, its checkpoints, and what verification finds after somebody with the database at hand was there. */
export const describeAuditing = (makePlace: MakePlace): void => {
  describe('auditing', () => {
    let place: Place;
    let store: OwnStore;
    let sealer: Sealer;
    beforeEach(async () => {
      place = await makePlace();
      store = await openStore(place);
      sealer = await makeSealer();
    });
    afterEach(async () => {
      await store.close();
      await place.drop();
    });

    const verify = (): Promise<AuditReport> => verifyAudit({ reads: store, verifyCheckpoint: sealer.verify, codes, outside: [], now: NOW });
    const found = async (): Promise<readonly string[]> => listed(await verify());

    test('opens a chain with an entry of its own, and chains only what was committed', async () => {
      await store.issue(makeIssuance('one'));
      await Promise.all([store.issue(makeIssuance('two')), store.issue(makeIssuance('lost', 'two', { lease: { replayKey: 'key one' } }))]);
      const [chain] = await store.auditChains();
      const entries = await store.audit(chain ?? '', 0, 10);
      expect(entries.map(({ n, action }) => [n, action])).toEqual([[1, 'chain.opened'], [2, 'exchange.issued'], [3, 'exchange.issued']]);
      expect(entries[1]).toMatchObject({ at: NOW, domainId: DOMAIN, prev: entries[0]?.hash });
      // One code for each commit, on its last entry.
      expect(entries.map(({ n, hash, mac }) => mac !== null && codes.proves(chain ?? '', { n, hash }, mac))).toEqual([false, true, true]);
      expect(await verify()).toMatchObject({ ok: true, entries: 3, unsealed: 3 });
    });

    test('seals the newest entry once, and again after something new', async () => {
      expect(await store.checkpoint(sealer.sign, NOW)).toBeUndefined();
      await store.append(makeEvent('one'));
      const first = await store.checkpoint(sealer.sign, NOW + 1);
      expect(first).toMatchObject({ n: 2, at: NOW + 1, kid: sealer.key.kid });
      expect(await store.checkpoint(sealer.sign, NOW + 2)).toBeUndefined();
      await store.append(makeEvent('two'));
      expect(await store.checkpoint(sealer.sign, NOW + 3)).toMatchObject({ n: 3 });
      expect((await store.checkpoints(first?.chain ?? ''))[0]).toEqual(first);
      expect(await verify()).toMatchObject({ ok: true, unsealed: 0, checkpoints: 2 });
    });

    test('seals nothing when signing fails, and can afterwards', async () => {
      await store.append(makeEvent('one'));
      await expect(store.checkpoint(() => Promise.reject(new Error('no key')), NOW)).rejects.toThrow('no key');
      expect(await store.checkpoint(sealer.sign, NOW)).toMatchObject({ n: 2 });
    });

    test('lets the next process seal a chain that stopped, and names its seal when it opens its own', async () => {
      await store.append(makeEvent('one'));
      await store.close();
      store = await openStore(place);
      const sealed = await store.sealStopped(sealer.sign, NOW + 2 * MINUTE, noTail);
      expect(sealed).toMatchObject([{ n: 2 }]);
      expect(await store.sealStopped(sealer.sign, NOW + 2 * MINUTE, noTail)).toEqual([]);
      await store.append(makeEvent('two'));
      const opened = (await store.audit((await store.auditChains()).find((chain) => chain !== sealed[0]?.chain) ?? '', 0, 1))[0];
      expect(JSON.parse(opened?.body ?? '')).toMatchObject({ action: 'chain.opened', body: { checkpoint: { chain: sealed[0]?.chain, n: 2, hash: sealed[0]?.hash, at: sealed[0]?.at } } });
      expect(await verify()).toMatchObject({ ok: true, checkpoints: 1 });
      await place.sql(`DELETE FROM checkpoint`);
      await place.sql(`DELETE FROM audit WHERE chain = '${sealed[0]?.chain ?? ''}'`);
      expect(await found()).toEqual(['missing 2']);
    });
  });

  describe('an audit log that somebody with the database at hand changed', () => {
    let place: Place;
    let store: OwnStore;
    let sealer: Sealer;
    let seal: CheckpointRow;
    /** Entries 1 to 6 are sealed, 7 and 8 are not. */
    beforeAll(async () => {
      place = await makePlace();
      store = await openStore(place);
      sealer = await makeSealer();
      for (let n = 2; n <= 6; n += 1) await store.append(makeEvent('step', { n }));
      const made = await store.checkpoint(sealer.sign, NOW);
      if (made === undefined) throw new Error('nothing was sealed');
      seal = made;
      for (let n = 7; n <= 8; n += 1) await store.append(makeEvent('step', { n }));
      for (const table of ['audit', 'checkpoint']) await place.sql(`CREATE TABLE kept_${table} AS SELECT * FROM ${table}`);
    });
    afterEach(async () => {
      for (const table of ['audit', 'checkpoint']) {
        await place.sql(`DELETE FROM ${table}`);
        await place.sql(`INSERT INTO ${table} SELECT * FROM kept_${table}`);
      }
    });
    afterAll(async () => {
      await store.close();
      await place.drop();
    });

    const verify = (outside: readonly string[] = []): Promise<AuditReport> => verifyAudit({ reads: store, verifyCheckpoint: sealer.verify, codes, outside, now: NOW });
    const found = async (outside: readonly string[] = []): Promise<readonly string[]> => listed(await verify(outside));

    test('shows nothing as long as nobody did', async () => {
      expect(await verify([seal.jws])).toMatchObject({ ok: true, findings: [], entries: 8, unsealed: 2, chains: [{ last: 8, sealedTo: 6 }] });
    });

    test.each([
      { name: 'an edited body', tamper: ["UPDATE audit SET body = replace(body, '\"n\":3', '\"n\":9') WHERE n = 3"], finds: ['edited 3'] },
      { name: 'an edited unsealed body', tamper: ["UPDATE audit SET body = replace(body, '\"n\":8', '\"n\":9') WHERE n = 8"], finds: ['edited 8'] },
      { name: 'an edited action beside the body', tamper: ["UPDATE audit SET action = 'harmless' WHERE n = 4"], finds: ['edited 4'] },
      { name: 'an edited time beside the body', tamper: ["UPDATE audit SET \"at\" = '2026-11-22T00:00:00.000+00:00' WHERE n = 4"], finds: ['edited 4'] },
      { name: 'an edited domain beside the body', tamper: ["UPDATE audit SET domain_id = 'dom_other' WHERE n = 4"], finds: ['edited 4'] },
      { name: 'a deletion', tamper: ['DELETE FROM audit WHERE n = 4'], finds: ['missing 4'] },
      { name: 'a deletion of several', tamper: ['DELETE FROM audit WHERE n IN (3, 4, 5)'], finds: ['missing 3-5'] },
      { name: 'a deletion at the start', tamper: ['DELETE FROM audit WHERE n <= 2'], finds: ['missing 1-2'] },
      { name: 'a start deleted as if it had been purged', tamper: ['DELETE FROM audit WHERE n <= 6'], finds: ['missing 1-6'] },
      { name: 'a deletion of the sealed end', tamper: ['DELETE FROM audit WHERE n >= 6'], finds: ['missing 6'] },
      { name: 'a deletion of all entries', tamper: ['DELETE FROM audit'], finds: ['missing 1-6'] },
      { name: 'two entries that changed places', tamper: ['UPDATE audit SET n = 100 WHERE n = 3', 'UPDATE audit SET n = 3 WHERE n = 4', 'UPDATE audit SET n = 4 WHERE n = 100'], finds: ['unlinked 3', 'unlinked 4', 'unlinked 5', 'moved 3', 'moved 4', 'forged 3', 'forged 4'] },
      { name: 'an inserted copy', tamper: ['UPDATE audit SET n = n + 100 WHERE n >= 5', 'UPDATE audit SET n = n - 99 WHERE n >= 100', 'INSERT INTO audit SELECT chain, 5, "at", body, action, domain_id, prev, hash, mac FROM audit WHERE n = 4'], finds: ['unlinked 5', 'contradicted 6', 'edited 5', 'moved 6', 'moved 7', 'moved 8', 'moved 9', 'forged 5', 'forged 6', 'forged 7-9'] },
      { name: 'a code copied from another entry', tamper: ["UPDATE audit SET mac = (SELECT a.mac FROM audit a WHERE a.n = 4) WHERE n = 3"], finds: ['forged 3'] },
      { name: 'an end without its code', tamper: ['UPDATE audit SET mac = NULL WHERE n = 8'], finds: ['forged 8'] },
      { name: 'an unsealed end without codes', tamper: ['UPDATE audit SET mac = NULL WHERE n > 4'], finds: ['forged 7-8'] },
      { name: 'a checkpoint that says something else', tamper: ["UPDATE checkpoint SET hash = 'other'"], finds: ['forged 6'] },
      { name: 'a checkpoint moved to another entry', tamper: ['UPDATE checkpoint SET n = 5'], finds: ['forged 5'] },
    ])('shows $name', async ({ tamper, finds }) => {
      for (const text of tamper) await place.sql(text);
      expect(await found()).toEqual(finds);
    });

    const rewrite = async (codeOf: (head: ChainHead) => string): Promise<void> => {
      let prev = '';
      for (const entry of await store.audit(seal.chain, 0, 100)) {
        const body = entry.body.replace('"n":3', '"n":9');
        const hash = linkHash(seal.chain, entry.n, prev, body);
        await place.sql(`UPDATE audit SET body = '${body}', prev = '${prev}', hash = '${hash}', mac = '${codeOf({ n: entry.n, hash })}' WHERE n = ${entry.n}`);
        prev = hash;
      }
    };

    test('shows a history rewritten with right hashes by its checkpoint, and without that one by its codes', async () => {
      await rewrite((head) => createAuditCodes(makeCodeKeys()).make(seal.chain, head));
      expect(await found()).toEqual(['contradicted 6', 'forged 7-8']);
      await place.sql('DELETE FROM checkpoint');
      expect(await found()).toEqual(['forged 1-8']);
    });

    test('shows a history that somebody who has the key as well rewrote with right codes by its checkpoint, and without that one by the copy kept outside', async () => {
      await rewrite((head) => codes.make(seal.chain, head));
      expect(await found()).toEqual(['contradicted 6']);
      await place.sql('DELETE FROM checkpoint');
      expect(await found()).toEqual([]);
      expect(await found([seal.jws])).toEqual(['contradicted 6']);
    });

    test('does not take a stranger\'s checkpoint, in the database or from outside', async () => {
      const stranger = await makeSealer();
      const { jws } = await stranger.sign({ chain: seal.chain, n: seal.n, hash: seal.hash, at: seal.at, before: null });
      expect(await found([jws])).toEqual(['forged 1']);
      await place.sql(`UPDATE checkpoint SET jws = '${jws}'`);
      expect(await found()).toEqual(['forged 6']);
    });
  });
};

const listed = (report: AuditReport): readonly string[] => report.findings.map(({ kind, n, to }) => `${kind} ${n}${to === n ? '' : `-${to}`}`);
