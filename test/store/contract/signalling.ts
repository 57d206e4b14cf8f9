import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { DAY, HOUR, MINUTE, SECOND } from '../../../src/core/duration.ts';
import { newId } from '../../../src/core/ids.ts';
import type { DomainId, StreamId, WorkloadId } from '../../../src/core/ids.ts';
import { systemRandom } from '../../../src/core/random.ts';
import type { OwnStore } from '../../../src/store/create-store.ts';
import type { SignalRow, StreamRow } from '../../../src/store/signal-rows.ts';
import { encodeSignal } from '../../../src/store/signals.ts';
import type { EncodedSignal, Fence, NewStream } from '../../../src/store/signals.ts';
import { DOMAIN, NOW, WORKLOAD, makeEntry, makeEvent, makeIssuance } from '../make-rows.ts';
import { fixedClock, openStore } from '../place.ts';
import type { MakePlace, Place } from '../place.ts';

const MANY = 1_000_000;

/** Event streams: their rows, their outboxes, and what happened since somebody looked. */
export const describeSignalling = (makePlace: MakePlace): void => {
  describe('event streams', () => {
    let place: Place;
    let store: OwnStore;
    let fence: Fence;
    beforeAll(async () => {
      place = await makePlace();
      store = await openStore(place);
      await store.change({ at: NOW, by: 'a', entries: [makeEntry()], audit: [makeEvent('registry.applied')] });
    });
    beforeEach(async () => {
      const taken = await store.takeJob('signals', 'here', NOW + HOUR, NOW);
      fence = { name: 'signals', fence: taken?.fence ?? 0, now: NOW };
    });
    afterAll(async () => {
      await store.close();
      await place.drop();
    });

    const newStream = (parts: Partial<NewStream> = {}): NewStream => ({
      id: newId('stream', fixedClock, systemRandom), version: 1, domainId: DOMAIN, workloadId: WORKLOAD, audience: 'spiffe://prod.acme.example/svc/"x"', eventsRequested: ['https://e/1', 'ü'], method: 'push',
      endpointUrl: 'https://rx.example/events', authorization: 'v1.sealed', authorizationKekId: 'kek-1', description: 'a "b" \u2028', status: 'enabled', reason: null, createdAt: NOW, changedAt: NOW + 1, ...parts,
    });
    const create = async (parts: Partial<NewStream> = {}): Promise<StreamId> => {
      const stream = newStream(parts);
      expect(await store.createStream(stream, 1000)).toBe(true);
      return stream.id;
    };
    const row = async (id: StreamId): Promise<StreamRow> => {
      const found = await store.stream(id);
      if (found === undefined) throw new Error('no stream');
      return found;
    };
    const signal = (streamId: StreamId, dedupeKey: string, parts: Partial<SignalRow> = {}): EncodedSignal => ({
      streamId, dedupeKey, row: encodeSignal({ streamId, dedupeKey, type: 'https://e/1', subject: { format: 'opaque', id: 'ü "x"' }, payload: { n: 1, nothing: null }, txn: null, at: NOW, doneAt: null, error: null, ...parts }),
    });
    const enqueue = (events: readonly EncodedSignal[], most = MANY, more: object = {}) => store.enqueue({ at: NOW, fence, events, most, ...more });
    const waiting = async (id: StreamId, limit = 100) => (await store.waitingEvents(await row(id), limit)).map(({ n, dedupeKey }) => [n, dedupeKey]);

    test('reads back what was written of a stream, and from which registry version on it listens', async () => {
      const stream = newStream();
      expect(await store.createStream(stream, 1000)).toBe(true);
      const read = { ...stream, verifiedAt: null, beganSeq: await store.registryVersion(), lastN: 0, floor: 0, pending: 0, notice: null, overflowed: false, lost: 0, lostSince: null };
      expect(await store.stream(stream.id)).toEqual(read);
      expect(await store.streams({ domainId: DOMAIN, workloadId: WORKLOAD })).toContainEqual(read);
      expect(await store.streams({ domainId: DOMAIN, workloadId: 'wkl_other' as WorkloadId })).toEqual([]);
      const poll = newStream({ eventsRequested: null, method: 'poll', endpointUrl: null, authorization: null, authorizationKekId: null, description: null });
      await store.createStream(poll, 1000);
      expect(await store.stream(poll.id)).toMatchObject(poll);
    });

    test('gives a workload so many streams and no more', async () => {
      const workloadId = 'wkl_few' as WorkloadId;
      expect(await store.createStream(newStream({ workloadId }), 1)).toBe(true);
      expect(await store.createStream(newStream({ workloadId }), 1)).toBe(false);
      expect(await store.streams({ domainId: DOMAIN, workloadId })).toHaveLength(1);
    });

    test('takes a change from the version that was read, once', async () => {
      const id = await create();
      const choice = { eventsRequested: null, method: 'poll', endpointUrl: null, authorization: null, authorizationKekId: null, description: 'new' } as const;
      const [first, second] = await Promise.all([store.chooseStream({ id, version: 1 }, choice, NOW + 5), store.chooseStream({ id, version: 1 }, choice, NOW + 5)]);
      expect([first, second].filter(Boolean)).toHaveLength(1);
      expect(await row(id)).toMatchObject({ ...choice, version: 2, changedAt: NOW + 5 });
      expect(await store.setStreamStatus({ id, version: 1 }, 'paused', 'later', NOW + 6)).toBe(false);
      expect(await store.setStreamStatus({ id, version: 2 }, 'paused', 'later', NOW + 6)).toBe(true);
      expect(await row(id)).toMatchObject({ status: 'paused', reason: 'later', version: 3, changedAt: NOW + 6 });
    });

    test('numbers events in their order, in each stream for itself, and reads back what was written', async () => {
      const [a, b] = [await create(), await create()];
      expect(await enqueue([signal(a, 'one', { txn: 'revocation/7' }), signal(b, 'one'), signal(a, 'two')])).toEqual({ added: 3, overflowed: [] });
      await enqueue([signal(a, 'three')]);
      expect(await waiting(a)).toEqual([[1, 'one'], [2, 'two'], [3, 'three']]);
      expect(await waiting(b)).toEqual([[1, 'one']]);
      expect(await waiting(a, 2)).toHaveLength(2);
      expect(await store.event(a, 1)).toEqual({ streamId: a, n: 1, dedupeKey: 'one', type: 'https://e/1', subject: { format: 'opaque', id: 'ü "x"' }, payload: { n: 1, nothing: null }, txn: 'revocation/7', at: NOW, doneAt: null, error: null });
      expect(await row(a)).toMatchObject({ lastN: 3, pending: 3, floor: 0 });
    });

    test('tells a stream of one thing once, in one batch and over many, also after it was delivered', async () => {
      const id = await create();
      expect(await enqueue([signal(id, 'same'), signal(id, 'same'), signal(id, 'other')])).toMatchObject({ added: 2 });
      await store.finishEvents(id, [{ n: 1 }], NOW, fence);
      expect(await enqueue([signal(id, 'same')])).toMatchObject({ added: 0 });
      expect(await row(id)).toMatchObject({ lastN: 2, pending: 1 });
      const many = await Promise.all(Array.from({ length: 5 }, () => store.enqueue({ at: NOW, events: [signal(id, 'raced')], most: MANY })));
      expect(many.map((each) => each?.added).sort()).toEqual([0, 0, 0, 0, 1]);
      expect(await waiting(id)).toEqual([[2, 'other'], [3, 'raced']]);
    });

    test('writes nothing under a fence that was lost: neither events nor how far it got', async () => {
      const id = await create();
      const before = await store.signalCursors();
      const lost = { ...fence, fence: fence.fence - 1 };
      expect(await store.enqueue({ at: NOW, fence: lost, events: [signal(id, 'late')], most: MANY, cursor: { seq: 99_999, position: 'x' } })).toBeUndefined();
      expect(await store.finishEvents(id, [{ n: 1 }], NOW, lost)).toBeUndefined();
      expect(await store.pauseStream({ id, version: 1 }, 'r', true, lost)).toBe(false);
      expect(await store.enqueue({ at: NOW, fence: { ...fence, now: NOW + 2 * HOUR }, events: [signal(id, 'late')], most: MANY })).toBeUndefined();
      expect(await store.signalCursors()).toEqual(before);
      expect(await row(id)).toMatchObject({ lastN: 0, status: 'enabled' });
      expect(await enqueue([signal(id, 'late')], MANY, { cursor: { seq: 7, position: 'p' } })).toMatchObject({ added: 1 });
      expect((await store.signalCursors()).all).toEqual({ seq: 7, position: 'p' });
      await enqueue([], MANY, { cursor: { seq: 8, position: '' } });
      expect((await store.signalCursors()).all).toEqual({ seq: 8, position: '' });
    });

    test('knows of domains by themselves how far they were told, until they go on with the others', async () => {
      const [one, two] = ['dom_one' as DomainId, 'dom_two' as DomainId];
      const at = (seq: number, position = '') => ({ seq, position });
      await enqueue([], MANY, { cursor: at(5) });
      await enqueue([], MANY, { cursor: at(5), of: one });
      await enqueue([], MANY, { cursor: at(6, 'p'), of: two });
      await enqueue([], MANY, { cursor: at(9) });
      await enqueue([], MANY, { cursor: at(7), of: one });
      expect(await store.signalCursors()).toEqual({ all: at(9), held: new Map([[one, at(7)], [two, at(6, 'p')]]) });
      await enqueue([], MANY, { cursor: at(9), rejoin: [one, 'dom_never' as DomainId] });
      expect(await store.signalCursors()).toEqual({ all: at(9), held: new Map([[two, at(6, 'p')]]) });
      await enqueue([], MANY, { rejoin: [two] });
      expect(await store.signalCursors()).toEqual({ all: at(9), held: new Map() });
    });

    test('finishes events in any order, once, and moves on over what is finished', async () => {
      const id = await create();
      await enqueue(['a', 'b', 'c', 'd'].map((key) => signal(id, key)));
      expect(await store.finishEvents(id, [{ n: 3 }, { n: 2, error: 'invalid_key' }], NOW + 9)).toBe(2);
      expect(await row(id)).toMatchObject({ floor: 0, pending: 2 });
      expect(await store.event(id, 2)).toMatchObject({ doneAt: NOW + 9, error: 'invalid_key' });
      expect(await store.finishEvents(id, [{ n: 1 }, { n: 2 }, { n: 77 }], NOW + 10)).toBe(1);
      expect(await row(id)).toMatchObject({ floor: 3, pending: 1 });
      expect(await store.event(id, 2)).toMatchObject({ doneAt: NOW + 9, error: 'invalid_key' });
      expect(await store.finishEvents(id, [{ n: 4 }], NOW)).toBe(1);
      expect(await row(id)).toMatchObject({ floor: 4, pending: 0, lastN: 4 });
      await enqueue([signal(id, 'e')]);
      expect(await waiting(id)).toEqual([[5, 'e']]);
    });

    test('pauses a stream that would hold too much, says so on it, and counts what it does not keep', async () => {
      const id = await create();
      expect(await enqueue(['a', 'b', 'c', 'd'].map((key) => signal(id, key)), 2)).toEqual({ added: 2, overflowed: [{ streamId: id, lost: 2 }] });
      expect(await row(id)).toMatchObject({ status: 'paused', reason: 'more than 2 events wait', overflowed: true, lost: 2, lostSince: NOW, notice: 3, pending: 3, lastN: 3, version: 2 });
      expect(await store.event(id, 3)).toMatchObject({ type: 'https://schemas.openid.net/secevent/ssf/event-type/stream-updated', subject: { format: 'opaque', id }, payload: { status: 'paused', reason: 'more than 2 events wait' } });
      expect(await store.enqueue({ at: NOW + 5, fence, events: [signal(id, 'e')], most: 2 })).toEqual({ added: 0, overflowed: [{ streamId: id, lost: 1 }] });
      expect(await row(id)).toMatchObject({ lost: 3, lostSince: NOW, version: 2 });
      await store.setStreamStatus({ id, version: 2 }, 'enabled', null, NOW + 6);
      expect(await row(id)).toMatchObject({ status: 'enabled', overflowed: false, lost: 0, lostSince: null, notice: null, pending: 3 });
      expect(await enqueue([signal(id, 'f')])).toMatchObject({ added: 1 });
    });

    test('pauses a stream for another reason, which goes on keeping what comes', async () => {
      const id = await create();
      expect(await store.pauseStream({ id, version: 1 }, 'the receiver refuses', false, fence)).toBe(true);
      expect(await store.pauseStream({ id, version: 1 }, 'again', false, fence)).toBe(false);
      expect(await row(id)).toMatchObject({ status: 'paused', reason: 'the receiver refuses', overflowed: false, notice: 1, version: 2, changedAt: NOW });
      expect(await enqueue([signal(id, 'kept')])).toMatchObject({ added: 1 });
      expect(await row(id)).toMatchObject({ pending: 2, lost: 0 });
    });

    test('holds nothing for a stream that is disabled, and nothing of it comes later', async () => {
      const id = await create();
      await enqueue([signal(id, 'void')]);
      await store.setStreamStatus({ id, version: 1 }, 'disabled', null, NOW);
      expect(await row(id)).toMatchObject({ floor: 1, pending: 0 });
      expect(await enqueue([signal(id, 'while-disabled')])).toEqual({ added: 0, overflowed: [] });
      // A delivery that was under way.
      expect(await store.finishEvents(id, [{ n: 1 }], NOW)).toBe(0);
      await store.setStreamStatus({ id, version: 2 }, 'enabled', null, NOW);
      await enqueue([signal(id, 'after')]);
      expect(await waiting(id)).toEqual([[2, 'after']]);
      expect(await row(id)).toMatchObject({ pending: 1 });
    });

    test('shows nothing of a deleted stream, and purges its events and then itself', async () => {
      const id = await create();
      await enqueue([signal(id, 'a'), signal(id, 'b')]);
      await store.excludeSubject({ streamId: id, key: 'k', subject: { format: 'opaque', id: 'x' }, since: NOW }, 10);
      expect(await store.deleteStream({ id, version: 1 }, NOW)).toBe(true);
      expect(await store.deleteStream({ id, version: 2 }, NOW)).toBe(false);
      expect(await store.stream(id)).toBeUndefined();
      expect((await store.streams()).map((stream) => stream.id)).not.toContain(id);
      expect(await enqueue([signal(id, 'c')])).toMatchObject({ added: 0 });
      expect(await place.sql(`SELECT secret, secret_kek_id FROM ssf_stream WHERE id = '${id}'`)).toEqual([{ secret: null, secret_kek_id: null }]);
      expect(await place.sql(`SELECT 1 AS one FROM ssf_subject WHERE stream_id = '${id}'`)).toEqual([]);
      for (let more = true; more; ) more = (await store.purge(NOW, 1, { name: 'signals', fence: fence.fence })).more;
      expect(await place.sql(`SELECT 1 AS one FROM ssf_event WHERE stream_id = '${id}'`)).toEqual([]);
      expect(await place.sql(`SELECT 1 AS one FROM ssf_stream WHERE id = '${id}'`)).toEqual([]);
    });

    test('purges what was delivered long ago, and nothing that waits', async () => {
      const id = await create();
      const LATER = NOW + 8 * DAY;
      await enqueue([signal(id, 'old'), signal(id, 'waits'), signal(id, 'out-of-order')]);
      await enqueue([signal(id, 'new', { at: LATER })]);
      await store.finishEvents(id, [{ n: 1 }, { n: 3 }, { n: 4 }], NOW);
      await store.takeJob('purger', 'here', LATER + DAY, NOW);
      const purge = async (): Promise<void> => { for (let more = true; more; ) more = (await store.purge(LATER, 100, { name: 'purger', fence: 1 })).more; };
      await purge();
      const left = async () => (await place.sql(`SELECT n FROM ssf_event WHERE stream_id = '${id}' ORDER BY n`)).map(({ n }) => Number(n));
      expect(await left()).toEqual([2, 3, 4]);
      await store.finishEvents(id, [{ n: 2 }], NOW);
      await purge();
      expect(await left()).toEqual([4]);
    });

    test('excludes subjects, each once, and so many and no more', async () => {
      const [id, other] = [await create(), await create()];
      const subject = { streamId: id, key: 'k1', subject: { format: 'iss_sub', iss: 'https://i', sub: 'ü' }, since: NOW + 5 } as const;
      expect(await store.excludeSubject(subject, 2)).toBe(true);
      expect(await store.excludeSubject({ ...subject, since: NOW + 99 }, 2)).toBe(true);
      await store.excludeSubject({ ...subject, streamId: other }, 2);
      expect(await store.excludedSubjects([id])).toEqual([subject]);
      expect(await store.excludeSubject({ ...subject, key: 'k2' }, 2)).toBe(true);
      expect(await store.excludeSubject({ ...subject, key: 'k3' }, 2)).toBe(false);
      await store.includeSubject(id, 'k1');
      expect((await store.excludedSubjects([id, other])).map(({ streamId, key }) => [streamId, key]).sort()).toEqual([[id, 'k2'], [other, 'k1']].sort());
    });

    test('verifies a stream so often and no oftener', async () => {
      const id = await create();
      const verify = (now: number) => store.verifyStream(id, now, now - 30 * SECOND);
      expect(await verify(NOW)).toBe(true);
      expect(await verify(NOW + 30 * SECOND - 1)).toBe(false);
      expect(await verify(NOW + 30 * SECOND)).toBe(true);
      expect(await row(id)).toMatchObject({ verifiedAt: NOW + 30 * SECOND });
    });

    test('takes a secret sealed anew only in place of the one it was made from', async () => {
      const id = await create();
      expect(await store.rewrapStream(id, 'v1.other', { sealed: 'v1.new', kekId: 'kek-2' })).toBe(false);
      expect(await store.rewrapStream(id, 'v1.sealed', { sealed: 'v1.new', kekId: 'kek-2' })).toBe(true);
      expect(await row(id)).toMatchObject({ authorization: 'v1.new', authorizationKekId: 'kek-2', version: 1 });
    });

    test('tells what happened in the registry in order, in as many pieces as one asks for', async () => {
      const from = await store.registryVersion();
      const made = (name: string, effect: 'revoked' | 'suspended' = 'revoked') => ({ target: `workload:${name}`, domainId: DOMAIN, effect, reason: 'r', purgeAfter: null }) as const;
      await store.change({ at: NOW, by: 'a', revocations: [made('s-1', 'suspended'), made('s-2')], audit: [] });
      await store.change({ at: NOW, by: 'a', entries: [makeEntry({ id: 'res_between', kind: 'resource', name: 'between' })], audit: [] });
      await store.change({ at: NOW + 1, by: 'b', enable: ['workload:s-1'], revocations: [made('s-3')], audit: [] });
      const all = await store.occurrences(from, 100);
      expect(all.upTo).toBe(from + 5);
      expect(all.occurrences.map(({ seq, kind, revocation }) => [seq - from, kind, revocation.target])).toEqual([[1, 'made', 'workload:s-1'], [2, 'made', 'workload:s-2'], [4, 'made', 'workload:s-3'], [5, 'lifted', 'workload:s-1']]);
      const pieces: number[] = [];
      for (let after = from; ; ) {
        const { upTo, occurrences } = await store.occurrences(after, 1);
        pieces.push(...occurrences.map(({ seq }) => seq - from));
        if (upTo === after) break;
        after = upTo;
      }
      expect(pieces).toEqual([1, 2, 4, 5]);
      expect(await store.occurrences(from + 5, 1)).toEqual({ upTo: from + 5, occurrences: [] });
      const until = await store.occurrences(from, 100, from + 2);
      expect([until.upTo - from, until.occurrences.map(({ seq, kind }) => [seq - from, kind])]).toEqual([2, [[1, 'made'], [2, 'made']]]);
    });

    test('keeps a revocation that was not told of yet, and purges it when it was', async () => {
      await create();
      await enqueue([], MANY, { cursor: { seq: await store.registryVersion(), position: '' } });
      await store.change({ at: NOW, by: 'a', revocations: [{ target: 'lease:untold', domainId: DOMAIN, reason: 'r', purgeAfter: NOW + 1 }, { target: 'lease:nobody-listens', domainId: 'dom_silent' as typeof DOMAIN, reason: 'r', purgeAfter: NOW + 1 }], audit: [] });
      const left = async () => (await place.sql(`SELECT target FROM revocation WHERE target IN ('lease:untold', 'lease:nobody-listens')`)).map(({ target }) => target);
      const purge = async (): Promise<void> => { for (let more = true; more; ) more = (await store.purge(NOW + MINUTE, 100, { name: 'signals', fence: fence.fence })).more; };
      await purge();
      expect(await left()).toEqual(['lease:untold']);
      await enqueue([], MANY, { cursor: { seq: await store.registryVersion(), position: '' } });
      await purge();
      expect(await left()).toEqual([]);
    });

    test('keeps a suspension whose lift was not told of yet, though it was itself', async () => {
      await create();
      const target = 'workload:lift-untold';
      const seq = (await store.change({ at: NOW, by: 'a', revocations: [{ target, domainId: DOMAIN, effect: 'suspended', reason: 'r', purgeAfter: NOW + 1 }], audit: [] })).version;
      const lifted = (await store.change({ at: NOW, by: 'a', enable: [target], audit: [] })).version;
      const left = async (cursor: number) => {
        await enqueue([], MANY, { cursor: { seq: cursor, position: '' } });
        for (let more = true; more; ) more = (await store.purge(NOW + MINUTE, 100, { name: 'signals', fence: fence.fence })).more;
        return place.sql(`SELECT seq FROM revocation WHERE target = '${target}'`);
      };
      expect(await left(seq)).toHaveLength(1);
      expect(await left(lifted)).toEqual([]);
    });

    test('finds the sessions of others that a workload joined, newest first and page by page', async () => {
      const [guest, host] = ['wkl_guest' as WorkloadId, 'wkl_host' as WorkloadId];
      const join = (name: string, holder: WorkloadId, at: number) => makeIssuance(name, name, { session: { holder }, lease: { workloadId: guest, issuedAt: at } });
      const all = [join('j-old', host, NOW - DAY), join('j-1', host, NOW + 1), join('j-own', guest, NOW + 2), join('j-2', host, NOW + 3)];
      for (const issuance of all) await store.issue(issuance);
      const found: string[] = [];
      let after: string | undefined;
      do {
        const page = await store.sessionsJoined(guest, NOW, 1, after);
        found.push(...page.sessions);
        after = page.next;
      } while (after !== undefined);
      expect(found).toEqual([all[3]?.session.id, all[1]?.session.id]);
      expect((await store.hopsOf(found as never)).map(({ sessionId }) => sessionId).sort()).toEqual([...found].sort());
      expect(await store.hop(all[1]?.hop.id as never)).toMatchObject({ sessionId: all[1]?.session.id });
    });
  });
};
