import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { verifyAudit } from '../../../src/audit/verify.ts';
import { createAuditCodes } from '../../../src/core/audit-code.ts';
import type { AuditCodeKeys } from '../../../src/core/audit-code.ts';
import { MINUTE } from '../../../src/core/duration.ts';
import { CHAIN_START } from '../../../src/core/hash-chain.ts';
import type { OwnStore } from '../../../src/store/create-store.ts';
import type { AuditRow, CheckpointRow } from '../../../src/store/rows.ts';
import type { SignCheckpoint, UnprovenTail } from '../../../src/store/store.ts';
import { forgeEntries } from '../../support/forge-audit.ts';
import { NOW, makeEvent } from '../make-rows.ts';
import { codes, makeCodeKeys, makeSealer, noTail, openStore } from '../place.ts';
import type { MakePlace, Place, Sealer } from '../place.ts';

const INVENTED = 'chn_invented';
/** Of somebody who makes up a key, not having ours. */
const strangersCodes = createAuditCodes(makeCodeKeys());
/** When a chain whose process ended is held for stopped. */
const LATER = NOW + 2 * MINUTE;

/** Somebody with the database at hand, but without the key-encryption key, adds to the log what nobody did, or takes a chain away whole. */
export const describeForging = (makePlace: MakePlace): void => {
  describe('an audit log that somebody with the database at hand added to', () => {
    let place: Place;
    let store: OwnStore;
    let sealer: Sealer;
    let open: OwnStore[];
    beforeEach(async () => {
      place = await makePlace();
      sealer = await makeSealer();
      open = [];
      store = await start();
    });
    afterEach(async () => {
      for (const each of open) await each.close();
      await place.drop();
    });

    const start = async (codeKeys?: AuditCodeKeys): Promise<OwnStore> => {
      const started = await openStore(place, codeKeys === undefined ? {} : { codeKeys });
      open.push(started);
      return started;
    };
    const verify = (judge = codes, outside: readonly string[] = []) => verifyAudit({ reads: store, verifyCheckpoint: sealer.verify, codes: judge, outside, now: NOW });
    const found = async (judge = codes, outside: readonly string[] = []): Promise<readonly string[]> =>
      (await verify(judge, outside)).findings.map(({ kind, chain, n, to }) => `${kind} ${chain} ${n}-${to}`);
    const forge = async (statements: readonly string[]): Promise<void> => { for (const statement of statements) await place.sql(statement); };
    const removeChain = (chain: string): Promise<void> => forge([`DELETE FROM audit WHERE chain = '${chain}'`, `DELETE FROM checkpoint WHERE chain = '${chain}'`]);
    const sealStopped = async (by: OwnStore = store): Promise<{ readonly seals: readonly string[]; readonly tails: readonly UnprovenTail[] }> => {
      const tails: UnprovenTail[] = [];
      const seals = await by.sealStopped(sealer.sign, LATER, (tail) => { tails.push(tail); });
      return { seals: seals.map(({ chain, n }) => `${chain} ${n}`), tails };
    };
    const write = async (to: OwnStore, entries: number): Promise<AuditRow> => {
      const before = new Set(await store.auditChains());
      for (let n = 0; n < entries; n += 1) await to.append(makeEvent('step', { n }));
      const chain = (await store.auditChains()).find((name) => !before.has(name)) ?? '';
      const last = (await store.audit(chain, 0, 1_000)).at(-1);
      if (last === undefined) throw new Error('nothing was written');
      return last;
    };
    /** A process that wrote and ended before it could seal. */
    const leaveChain = async (entries = 2, codeKeys?: AuditCodeKeys): Promise<AuditRow> => {
      const left = await start(codeKeys);
      const last = await write(left, entries);
      await left.close();
      return last;
    };

    test.each([
      { name: 'without codes', codeOf: () => null },
      { name: 'with codes under a made-up key', codeOf: (head: { readonly n: number; readonly hash: string }) => strangersCodes.make(INVENTED, head) },
    ])('shows an invented chain $name, and never seals it', async ({ codeOf }) => {
      await write(store, 2);
      await forge(forgeEntries(INVENTED, CHAIN_START, 3, codeOf));
      expect(await sealStopped()).toEqual({ seals: [], tails: [{ chain: INVENTED, n: 1, to: 3 }] });
      expect(await found()).toEqual([`forged ${INVENTED} 1-3`]);
    });

    test('seals a chain that was left behind, and finds nothing wrong with it', async () => {
      const honest = await leaveChain(3);
      expect(await sealStopped()).toEqual({ seals: [`${honest.chain} 4`], tails: [] });
      expect(await verify()).toMatchObject({ ok: true, findings: [], unsealed: 0 });
    });

    test('takes a chain that was left behind for what it is before anybody sealed it', async () => {
      await leaveChain(3);
      expect(await verify()).toMatchObject({ ok: true, findings: [], unsealed: 4 });
    });

    test('seals a chain that was added to up to its last honest entry, tells of the rest once, and shows it', async () => {
      const honest = await leaveChain(2);
      await forge(forgeEntries(honest.chain, honest, 2));
      expect(await sealStopped()).toEqual({ seals: [`${honest.chain} 3`], tails: [{ chain: honest.chain, n: 4, to: 5 }] });
      expect(await sealStopped()).toEqual({ seals: [], tails: [] });
      expect(await found()).toEqual([`forged ${honest.chain} 4-5`]);
      await forge(forgeEntries(honest.chain, { n: 5, hash: 'more' }, 1));
      expect(await sealStopped()).toEqual({ seals: [], tails: [{ chain: honest.chain, n: 4, to: 6 }] });
      await place.sql(`DELETE FROM audit WHERE chain = '${honest.chain}' AND n > 3`);
      expect(await verify()).toMatchObject({ ok: true, findings: [] });
    });

    test('is not fooled by a code of another chain or of another entry', async () => {
      const other = await leaveChain(2);
      const honest = await leaveChain(2);
      for (const copied of [other.mac, honest.mac]) {
        await forge(forgeEntries(honest.chain, honest, 1, () => copied));
        expect((await found())).toEqual([`forged ${honest.chain} 4-4`]);
        expect((await sealStopped(await start())).tails).toEqual([{ chain: honest.chain, n: 4, to: 4 }]);
        await place.sql(`DELETE FROM audit WHERE chain = '${honest.chain}' AND n = 4`);
      }
      expect(await found()).toEqual([]);
    });

    test('seals what is honest however much was added to it, and in however many looks', async () => {
      const left = await start();
      await left.change({ at: NOW, by: 'a', audit: Array.from({ length: 2_500 }, (_, n) => makeEvent('step', { n })) });
      await left.close();
      const [chain = ''] = (await store.auditChains());
      const honest = (await store.audit(chain, 2_500, 10)).at(-1);
      if (honest === undefined) throw new Error('nothing was written');
      // More codes that prove nothing than are looked at in one transaction, before the one that does.
      await place.sql(`UPDATE audit SET mac = 'x' WHERE n <= 1100`);
      await forge(forgeEntries(chain, honest, 300, () => 'x'));
      expect(await sealStopped()).toEqual({ seals: [`${chain} ${honest.n}`], tails: [{ chain, n: honest.n + 1, to: honest.n + 300 }] });
    });

    test('goes on with other chains when one was forged, and tells of a forged one though nothing can be signed', async () => {
      await forge(forgeEntries('chn_0', CHAIN_START, 1));
      const honest = await leaveChain(1);
      await forge(forgeEntries(honest.chain, honest, 1));
      const tails: UnprovenTail[] = [];
      await expect(store.sealStopped(() => Promise.reject(new Error('no key')), LATER, (tail) => { tails.push(tail); })).rejects.toThrow('no key');
      const tail = { chain: honest.chain, n: 3, to: 3 };
      expect(tails).toEqual([{ chain: 'chn_0', n: 1, to: 1 }, tail]);
      expect(await sealStopped()).toEqual({ seals: [`${honest.chain} 2`], tails: [tail] });
    });

    test('shows entries put behind those of a chain that is being written', async () => {
      const last = await write(store, 2);
      await forge(forgeEntries(last.chain, last, 2));
      expect(await found()).toEqual([`forged ${last.chain} 4-5`]);
      // What its writer seals is what it wrote.
      expect(await store.checkpoint(sealer.sign, NOW)).toMatchObject({ n: 3, hash: last.hash });
      expect(await found()).toEqual([`forged ${last.chain} 4-5`]);
    });

    test('counts codes made before the key-encryption key was changed as long as that one is loaded, and seals their chains', async () => {
      const [old, next] = [makeCodeKeys(), makeCodeKeys()];
      const both: AuditCodeKeys = [next[0], old[0]];
      const before = await leaveChain(2, old);
      const changed = await start(both);
      const after = await write(changed, 1);
      expect(await found(createAuditCodes(both))).toEqual([]);
      expect(await found(createAuditCodes(next))).toEqual([`forged ${before.chain} 1-3`]);
      expect(await sealStopped(await start(next))).toEqual({ seals: [`${after.chain} 2`], tails: [{ chain: before.chain, n: 1, to: 3 }] });
      expect((await sealStopped(changed)).seals).toEqual([`${before.chain} 3`]);
      // What is sealed needs its code no more.
      expect(await found(createAuditCodes(next))).toEqual([]);
    });

    test('misses a chain that vanished whole, its checkpoints too, from between two that live', async () => {
      const [first, second, third] = [await start(), await start(), await start()];
      await write(first, 1);
      await write(third, 1);
      const gone = await write(second, 1);
      await first.checkpoint(sealer.sign, NOW + 1);
      await second.checkpoint(sealer.sign, NOW + 2);
      await third.checkpoint(sealer.sign, NOW + 3);
      expect(await found()).toEqual([]);
      await removeChain(gone.chain);
      expect(await found()).toEqual([`missing ${gone.chain} 2-2`]);
    });

    test('misses it too when the checkpoint that named it went before, though its chain has later ones', async () => {
      const [first, second] = [await start(), await start()];
      const stays = await write(first, 1);
      const gone = await write(second, 1);
      await second.checkpoint(sealer.sign, NOW + 1);
      await first.checkpoint(sealer.sign, NOW + 2);
      await first.append(makeEvent('more'));
      await first.checkpoint(sealer.sign, NOW + 3);
      await place.sql(`DELETE FROM checkpoint WHERE chain = '${stays.chain}' AND n = 2`);
      await removeChain(gone.chain);
      expect(await found()).toEqual([`missing ${stays.chain} 2-2`]);
    });

    test('names the checkpoint a process made last even when that was taken away at once', async () => {
      const honest = await leaveChain(1);
      expect((await sealStopped()).seals).toEqual([`${honest.chain} 2`]);
      await removeChain(honest.chain);
      expect(await found()).toEqual([]);
      await write(store, 1);
      await store.checkpoint(sealer.sign, LATER + 1);
      expect(await found()).toEqual([`missing ${honest.chain} 2-2`]);
    });

    test('takes no checkpoint that was moved in time for the newest unseen', async () => {
      const [first, second] = [await start(), await start()];
      const old = await write(first, 1);
      await first.checkpoint(sealer.sign, NOW + 1);
      const times = { before: `'${new Date(NOW + 1).toISOString()}'`, after: `'${new Date(NOW + 9).toISOString()}'` };
      await place.sql(`UPDATE checkpoint SET "at" = ${times.after} WHERE chain = '${old.chain}'`);
      await write(second, 1);
      await second.checkpoint(sealer.sign, NOW + 2);
      await place.sql(`UPDATE checkpoint SET "at" = ${times.before} WHERE chain = '${old.chain}'`);
      expect(await found()).toEqual([`contradicted ${old.chain} 2-2`]);
    });

    test('does not let a planted checkpoint spoil those it makes', async () => {
      const honest = await write(store, 1);
      const future = `'${new Date(NOW + MINUTE).toISOString()}'`;
      for (const [chain, hash] of [['x'.repeat(5_000), 'h'], ['chn_planted', 'h'.repeat(5_000)]]) {
        await place.sql(`INSERT INTO checkpoint (chain, n, hash, "at", kid, jws) VALUES ('${chain}', 1, '${hash}', ${future}, 'k', 'j')`);
      }
      const seal = await store.checkpoint(sealer.sign, NOW);
      expect(await sealer.verify(seal?.jws ?? '')).toEqual({ chain: honest.chain, n: 2, hash: honest.hash, at: NOW, before: null });
    });

    test('compares with copies kept outside, which name what was there', async () => {
      const [first, second] = [await start(), await start()];
      await write(first, 1);
      const gone = await write(second, 1);
      await second.checkpoint(sealer.sign, NOW + 1);
      const copy = await first.checkpoint(sealer.sign, NOW + 2) as CheckpointRow;
      expect(await found(codes, [copy.jws])).toEqual([]);
      // The one that names it goes as well: only the copy is left to tell.
      await removeChain(gone.chain);
      await place.sql('DELETE FROM checkpoint');
      expect(await found()).toEqual([]);
      expect(await found(codes, [copy.jws])).toEqual([`missing ${gone.chain} 2-2`]);
    });

    test('lets two processes that seal the same chain at once agree on one checkpoint', async () => {
      const honest = await leaveChain(1);
      const [first, second] = [await start(), await start()];
      const whileTheOtherDoes: SignCheckpoint = async (statement) => {
        await second.sealStopped(sealer.sign, LATER - 1, noTail);
        return sealer.sign(statement);
      };
      await first.sealStopped(whileTheOtherDoes, LATER, noTail);
      for (const [index, each] of [first, second].entries()) {
        await write(each, 1);
        await each.checkpoint(sealer.sign, LATER + 10 + index);
      }
      expect(await store.checkpoints(honest.chain)).toMatchObject([{ at: LATER - 1 }]);
      expect(await found()).toEqual([]);
    });
  });
};
