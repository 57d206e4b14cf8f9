import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { HOUR } from '../../src/core/duration.ts';
import { newId } from '../../src/core/ids.ts';
import type { StreamId } from '../../src/core/ids.ts';
import { systemRandom } from '../../src/core/random.ts';
import { createAnnounce } from '../../src/signals/announce.ts';
import { createReach } from '../../src/signals/reach.ts';
import { createTransmit } from '../../src/signals/transmit.ts';
import type { OwnStore } from '../../src/store/create-store.ts';
import { encodeSignal } from '../../src/store/signals.ts';
import { DOMAIN, makeEntry, makeEvent, makeIssuance, NOW } from '../store/make-rows.ts';
import { fixedClock, openStore } from '../store/place.ts';

let folder: string;
let store: OwnStore;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mayfly-transmit-'));
  store = await openStore({ url: `file:${join(folder, 'mayfly.db')}` });
  await store.change({ at: NOW, by: 'a', entries: [makeEntry()], audit: [makeEvent('registry.applied')] });
});
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const begin = async (): Promise<StreamId> => {
  const id = newId('stream', fixedClock, systemRandom);
  await store.createStream({
    id, version: 1, domainId: DOMAIN, workloadId: 'wkl_rx' as never, audience: 'spiffe://dev/rx', eventsRequested: null, method: 'push', endpointUrl: 'https://rx.example/', authorization: null, authorizationKekId: null,
    description: null, status: 'enabled', reason: null, createdAt: NOW, changedAt: NOW,
  }, 100);
  return id;
};
const revoked = async (name: string): Promise<string> => {
  const issuance = makeIssuance(name);
  await store.issue(issuance);
  await store.change({ at: NOW + 1, by: 'a', revocations: [{ target: `session:${issuance.session.id}`, domainId: DOMAIN, reason: 'r', purgeAfter: null }], audit: [] });
  return `session/${issuance.session.id}`;
};
const toldOf = async (id: StreamId) => (await store.waitingEvents({ id, floor: 0 }, 10)).map(({ dedupeKey }) => dedupeKey);
/** A turn in which something happens right after the streams were read. */
const turn = async (meanwhile: () => Promise<void> = () => Promise.resolve()): Promise<void> => {
  const viewOf = () => ({ domain: { issuer: 'https://sts.acme.example/prod' }, workloadById: () => undefined }) as never;
  let reads = 0;
  const streams = async () => {
    const read = await store.streams();
    reads += 1;
    if (reads === 1) await meanwhile();
    return read;
  };
  const transmit = createTransmit({
    clock: fixedClock, store: { ...store, streams },
    announce: createAnnounce({ clock: fixedClock, store, encode: encodeSignal, viewOf, overflowed: () => undefined, reach: createReach({ store, viewOf, tokenKinds: new Set(), handingOn: new Set() }) }),
    watch: { look: () => Promise.resolve(), known: (all) => Promise.resolve(all), forget: () => undefined },
    deliver: { begin: () => undefined, settled: () => Promise.resolve(), stop: () => Promise.resolve() },
  });
  await transmit.turn({ name: 'signals', fence: (await store.takeJob('signals', 'here', NOW + HOUR, NOW))?.fence ?? 0 });
};

test('a stream that begins while the others are told hears of all that comes after it', async () => {
  const first = await begin();
  const before = await revoked('before');
  let late = first;
  let after = '';
  await turn(async () => {
    late = await begin();
    after = await revoked('after');
  });
  await turn();
  expect(await toldOf(first)).toEqual([before, after]);
  expect(await toldOf(late)).toEqual([after]);
});
