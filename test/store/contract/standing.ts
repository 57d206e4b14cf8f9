import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE } from '../../../src/core/duration.ts';
import type { PersonUrn } from '../../../src/core/ids.ts';
import type { OwnStore } from '../../../src/store/create-store.ts';
import type { Target } from '../../../src/store/rows.ts';
import type { Issuance, NewRevocation, RegistryChange } from '../../../src/store/store.ts';
import { DOMAIN, NOW, makeEntry, makeEvent, makeIssuance } from '../make-rows.ts';
import type { Parts } from '../make-rows.ts';
import { openStore } from '../place.ts';
import type { MakePlace, Place } from '../place.ts';
import { inOneBatch } from './batch.ts';

/** What a session rests on while it lasts: nothing of it suspended, the person's login not taken back, and all of it fresh. */
export const describeStanding = (makePlace: MakePlace): void => {
  describe('standing', () => {
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

    const take = (target: Target, effect?: NewRevocation['effect'], at = NOW) =>
      store.change({ at, by: 'admin', revocations: [{ target, domainId: DOMAIN, reason: 'test', purgeAfter: null, ...(effect === undefined ? {} : { effect }) }], audit: [makeEvent('revocation.made', { target })] });
    const lift = (target: Target) => store.change({ at: NOW, by: 'admin', enable: [target], audit: [makeEvent('revocation.lifted', { target })] });
    const restingOn = (target: Target, parts: Parts = {}): Parts => ({ ...parts, hop: { ...parts.hop, path: [`domain:${DOMAIN}`, target] } });

    describe('a suspension', () => {
      test('holds what rests on it, and leaves nothing behind when it is lifted', async () => {
        const target: Target = 'workload:w-held';
        const before = makeIssuance('held-1', 'held', restingOn(target));
        expect(await store.issue(before)).toBe('committed');
        await take(target, 'suspended');
        expect(await store.issue(makeIssuance('held-2', 'held', restingOn(target)))).toBe('suspended');
        expect(await store.issue(makeIssuance('held-3', 'held-new', restingOn(target)))).toBe('suspended');
        expect(await store.issue(makeIssuance('held-4', 'held-beside', restingOn('workload:w-free')))).toBe('committed');
        expect(await store.leaseStanding(before.lease.id)).toMatchObject({ revokedBy: undefined, suspendedBy: target, ended: false });
        await lift(target);
        expect(await store.leaseStanding(before.lease.id)).toMatchObject({ revokedBy: undefined, suspendedBy: undefined });
        // Twin: a revocation that is lifted goes on to hold what began before it.
        expect(await store.issue(makeIssuance('held-2', 'held', restingOn(target)))).toBe('committed');
      });

      test('is written as one, and a revocation as a revocation, in the registry as well', async () => {
        const from = await store.registryVersion();
        await take('workload:w-effect', 'suspended');
        await take('workload:w-effect', 'revoked');
        await take('workload:w-effect');
        expect((await store.registryDelta(from)).revocations.map(({ effect }) => effect)).toEqual(['suspended', 'revoked', 'revoked']);
      });

      test('of a session that is revoked as well is told as the revocation', async () => {
        const target: Target = 'workload:w-both';
        const before = makeIssuance('both-1', 'both', restingOn(target));
        expect(await store.issue(before)).toBe('committed');
        await take(target, 'suspended');
        await take(target);
        expect(await store.issue(makeIssuance('both-2', 'both', restingOn(target)))).toBe('revoked');
        expect(await store.leaseStanding(before.lease.id)).toMatchObject({ revokedBy: target, suspendedBy: target });
      });

      test('goes by the path of the stored hop, whatever the caller says it is', async () => {
        expect(await store.issue(makeIssuance('path-1', 'path', restingOn('workload:w-path')))).toBe('committed');
        await take('workload:w-path', 'suspended');
        expect(await store.issue(makeIssuance('path-2', 'path', restingOn('workload:w-harmless')))).toBe('suspended');
      });

      test('lets its losers lose alone, with nothing used up', async () => {
        await take('workload:w-batch', 'suspended');
        const proofs = [{ key: 'proof of the suspended', until: NOW }];
        const held = makeIssuance('held-batch', 'held-batch', restingOn('workload:w-batch', { proofs }));
        expect(await inOneBatch(store, 'suspended', [() => store.issue(held), () => store.issue(makeIssuance('held-beside-batch', 'held-beside-batch', { proofs }))])).toEqual(['suspended', 'committed']);
        expect(await place.sql(`SELECT id FROM session WHERE id = '${held.session.id}'`)).toEqual([]);
      });

      test.each([
        { name: 'its session', target: (of: Issuance): Target => `session:${of.session.id}` },
        { name: 'its domain', target: (): Target => `domain:${DOMAIN}` },
        { name: 'its issuer', target: (of: Issuance): Target => `issuer:${of.session.issuerId}` },
        { name: 'its workload', target: (of: Issuance): Target => `workload:${of.session.holder}` },
      ])('of $name is told of a session', async ({ name, target }) => {
        const issuance = makeIssuance(`told ${name}`);
        expect(await store.issue(issuance)).toBe('committed');
        const on = target(issuance);
        await take(on, 'suspended');
        expect(await store.session(issuance.session.id)).toMatchObject({ revokedBy: undefined, suspendedBy: on });
        await lift(on);
        expect(await store.session(issuance.session.id)).toMatchObject({ revokedBy: undefined, suspendedBy: undefined });
      });
    });

    describe('a login', () => {
      const PERSON = 'urn:mayfly:prod:person:corp:alice' as PersonUrn;
      const withLogin = (name: string, authTime: number, person = PERSON): Issuance => ({ ...makeIssuance(name, name, { session: { model: 'delegated', holder: person, principal: person } }), login: { person, authTime } });

      test('that is not later than a revocation of the person is worth nothing, though no path names the person', async () => {
        expect(await store.issue(withLogin('login-0', NOW - 1))).toBe('committed');
        await take(`person:${PERSON}`, undefined, NOW);
        expect([await store.issue(withLogin('login-1', NOW - 1)), await store.issue(withLogin('login-2', NOW)), await store.issue(withLogin('login-3', NOW + 1))]).toEqual(['revoked', 'revoked', 'committed']);
        expect(await store.issue(withLogin('login-4', NOW, `${PERSON}2` as PersonUrn))).toBe('committed');
      });

      test('stays so when the revocation is lifted', async () => {
        await lift(`person:${PERSON}`);
        expect([await store.issue(withLogin('login-5', NOW)), await store.issue(withLogin('login-6', NOW + 1))]).toEqual(['revoked', 'committed']);
      });

      test('outlives a suspension of the person that is lifted', async () => {
        const bob = `${PERSON}-bob` as PersonUrn;
        const held = (name: string): Issuance => ({ ...withLogin(name, NOW - 1, bob), ...{ hop: { ...withLogin(name, NOW - 1, bob).hop, path: [`person:${bob}`] } } });
        await take(`person:${bob}`, 'suspended');
        expect(await store.issue(held('bob-1'))).toBe('suspended');
        await lift(`person:${bob}`);
        expect(await store.issue(held('bob-1'))).toBe('committed');
      });
    });

    describe('a word that somebody gave', () => {
      const ADA = 'person:urn:mayfly:prod:person:corp:ada' as Target;
      const BEN = 'person:urn:mayfly:prod:person:corp:ben' as Target;
      const ELI = 'person:urn:mayfly:prod:person:corp:eli' as Target;
      const on = (name: string, at: number, targets: readonly Target[], more: Issuance['words'] = []): Issuance => ({ ...makeIssuance(name), words: [{ targets, at }, ...more] });
      const outcomes = (...items: readonly Issuance[]) => Promise.all(items.map((item) => store.issue(item)));

      test('is worth nothing once who gave it is revoked, though no path names them, and that of another stands', async () => {
        expect(await store.issue(on('word-0', NOW - 1, [ADA]))).toBe('committed');
        await take(ADA, undefined, NOW);
        expect(await outcomes(on('word-1', NOW - 1, [`issuer:x`, ADA]), on('word-2', NOW + 1, [ADA]), on('word-3', NOW - 1, [BEN]), makeIssuance('word-4'))).toEqual(['revoked', 'revoked', 'committed', 'committed']);
        // Any one of several words, whichever comes first.
        expect(await outcomes(on('word-5', NOW + 1, [BEN], [{ targets: [ADA], at: NOW }]), on('word-6', NOW, [ADA], [{ targets: [BEN], at: NOW + 1 }]))).toEqual(['revoked', 'revoked']);
        expect((await place.sql(`SELECT id FROM lease WHERE id = '${makeIssuance('word-1').lease.id}'`))).toEqual([]);
      });

      test('stays so when the revocation is lifted, and counts if it is of later', async () => {
        await lift(ADA);
        expect(await outcomes(on('word-7', NOW - 1, [ADA]), on('word-8', NOW, [ADA]), on('word-9', NOW + 1, [ADA]))).toEqual(['revoked', 'revoked', 'committed']);
        // Each word by its own time.
        expect(await outcomes(on('word-10', NOW - 1, [BEN], [{ targets: [ADA], at: NOW + 1 }]), on('word-11', NOW + 1, [BEN], [{ targets: [ADA], at: NOW - 1 }]))).toEqual(['committed', 'revoked']);
      });

      test.each(['issuer:iss-words', 'domain:dom-words'] as const)('is worth nothing once %s is revoked, which proved them', async (target) => {
        expect(await store.issue(on(`proof-1-${target}`, NOW - 1, [target, BEN]))).toBe('committed');
        await take(target, undefined, NOW);
        expect(await outcomes(on(`proof-2-${target}`, NOW + 1, [target, BEN]), on(`proof-3-${target}`, NOW - 1, [`${target}2`, BEN]))).toEqual(['revoked', 'committed']);
      });

      test('rests on the entry that proved them, and not on the one that has its name by now', async () => {
        const entry = (id: string, version: number, ended: boolean) => makeEntry({ id, version, kind: 'issuer', name: 'corp', ended });
        const change = (at: number, change: Partial<RegistryChange>) => store.change({ at, by: 'admin', audit: [makeEvent('issuer.change')], ...change });
        await change(NOW, { entries: [entry('iss-first', 1, false)] });
        expect(await store.issue(on('entry-1', NOW, ['issuer:iss-first', ELI]))).toBe('committed');
        await change(NOW + 1, { entries: [entry('iss-first', 2, true)], revocations: [{ target: 'issuer:iss-first', domainId: DOMAIN, reason: 'removed', purgeAfter: null }] });
        await change(NOW + 2, { entries: [entry('iss-second', 1, false)] });
        expect(await outcomes(on('entry-2', NOW, ['issuer:iss-first', ELI]), on('entry-3', NOW + 3, ['issuer:iss-first', ELI]), on('entry-4', NOW + 3, ['issuer:iss-second', ELI]))).toEqual(['revoked', 'revoked', 'committed']);
        // Nor does a lift bring it back.
        await lift('issuer:iss-first');
        expect(await store.issue(on('entry-5', NOW, ['issuer:iss-first', ELI]))).toBe('revoked');
      });

      test('is worth nothing while who gave it is suspended, and outlives that', async () => {
        await take(BEN, 'suspended', NOW);
        expect(await outcomes(on('paused-1', NOW - 1, [BEN]), on('paused-2', NOW + 1, [BEN]))).toEqual(['revoked', 'revoked']);
        await lift(BEN);
        expect(await outcomes(on('paused-3', NOW - 1, [BEN]), on('paused-4', NOW + 1, [BEN]))).toEqual(['committed', 'committed']);
      });

      test('of one in a batch is asked of that one alone', async () => {
        expect(await inOneBatch(store, 'words', [on('words-1', NOW, [ADA]), on('words-2', NOW, [BEN]), makeIssuance('words-3')].map((item) => () => store.issue(item)))).toEqual(['revoked', 'committed', 'committed']);
      });
    });

    describe('freshness', () => {
      const fresh = (name: string, session: string, shown: number | null, after = NOW - HOUR): Issuance => ({ ...makeIssuance(name, session, { session: { model: 'autonomous', freshAt: shown ?? NOW - 2 * HOUR } }), fresh: { at: shown, after } });
      const freshAt = async (session: string): Promise<number | null | undefined> => (await store.session(makeIssuance('x', session).session.id))?.session.freshAt;

      test('only rises, by what is shown', async () => {
        for (const [name, shown, expected] of [['rises-1', NOW - MINUTE, NOW - MINUTE], ['rises-2', NOW - 2 * MINUTE, NOW - MINUTE], ['rises-3', NOW, NOW], ['rises-4', null, NOW]] as const) {
          expect(await store.issue(fresh(name, 'rises', shown))).toBe('committed');
          expect(await freshAt('rises')).toBe(expected);
        }
      });

      test('of one batch rises to the newest of all that was shown, in whatever order', async () => {
        expect(await inOneBatch(store, 'fresh', [NOW - 5, NOW - 1, NOW - 3].map((shown, index) => () => store.issue(fresh(`new-${index}`, 'fresh-new', shown))))).toEqual(['committed', 'committed', 'committed']);
        expect(await freshAt('fresh-new')).toBe(NOW - 1);
        expect(await inOneBatch(store, 'fresh again', [NOW + 1, NOW + 9, NOW + 4].map((shown, index) => () => store.issue(fresh(`again-${index}`, 'fresh-new', shown))))).toEqual(['committed', 'committed', 'committed']);
        expect(await freshAt('fresh-new')).toBe(NOW + 9);
      });

      test('is not raised by who is refused', async () => {
        expect(await store.issue(fresh('refused-1', 'refused', NOW - MINUTE))).toBe('committed');
        expect(await store.issue({ ...fresh('refused-2', 'refused', NOW), lease: { ...fresh('refused-2', 'refused', NOW).lease, replayKey: 'key refused-1' } })).toBe('replayed');
        expect(await freshAt('refused')).toBe(NOW - MINUTE);
      });

      test('that ran out suspends, until something fresh is shown', async () => {
        expect(await store.issue(fresh('stale-1', 'stale', NOW - HOUR))).toBe('committed');
        expect(await store.issue(fresh('stale-2', 'stale', null, NOW - HOUR + 1))).toBe('suspended');
        expect(await store.issue(fresh('stale-3', 'stale', null, NOW - HOUR))).toBe('committed');
        expect(await store.issue(fresh('stale-4', 'stale', NOW - HOUR, NOW - HOUR + 1))).toBe('suspended');
        expect(await store.issue(fresh('stale-5', 'stale', NOW, NOW - HOUR + 1))).toBe('committed');
        expect(await store.issue(fresh('stale-6', 'stale', null, NOW - HOUR + 1))).toBe('committed');
      });

      test('of a session that has no such time is not asked for', async () => {
        expect(await store.issue(makeIssuance('ageless-1', 'ageless'))).toBe('committed');
        expect(await store.issue({ ...makeIssuance('ageless-2', 'ageless'), fresh: { at: NOW, after: NOW - 1 } })).toBe('committed');
        expect(await freshAt('ageless')).toBeNull();
      });
    });
  });
};
