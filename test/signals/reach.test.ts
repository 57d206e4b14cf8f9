import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { PersonUrn } from '../../src/core/ids.ts';
import { createReach } from '../../src/signals/reach.ts';
import type { OwnStore } from '../../src/store/create-store.ts';
import { DOMAIN, makeEntry, makeEvent, makeIssuance, NOW } from '../store/make-rows.ts';
import { openStore } from '../store/place.ts';

/** More than one page of sessions. */
const TASKS = 120;
const person = 'urn:mayfly:prod:person:corp:ada' as PersonUrn;

let folder: string;
let store: OwnStore;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mayfly-reach-'));
  store = await openStore({ url: `file:${join(folder, 'mayfly.db')}` });
  await store.change({ at: NOW, by: 'a', entries: [makeEntry()], audit: [makeEvent('registry.applied')] });
});
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

test('a person\'s logins and the tasks they are accountable for are found, page by page, though their domain is not loaded', async () => {
  const login = makeIssuance('login', 'login', { session: { model: 'delegated', holder: person, principal: person } });
  const tasks = Array.from({ length: TASKS }, (_, n) => makeIssuance(`task-${n}`, `task-${n}`, { session: { model: 'autonomous', principal: person } }));
  const others = makeIssuance('others', 'others', { session: { model: 'autonomous', principal: `${person}-other` } });
  for (const issuance of [login, ...tasks, others]) await store.issue(issuance);
  const seq = (await store.change({ at: NOW + 1, by: 'a', revocations: [{ target: `person:${person}`, domainId: DOMAIN, reason: 'left', purgeAfter: null }], audit: [] })).version;
  const [occurrence] = (await store.occurrences(seq - 1, 1)).occurrences;
  if (occurrence === undefined) throw new Error('nothing happened');
  const reach = createReach({ store, viewOf: () => undefined, tokenKinds: new Set(), handingOn: new Set() });
  const found: string[] = [];
  let pages = 0;
  for (let position: string | undefined; position !== ''; pages += 1) {
    const { falls, next } = await reach(occurrence, position ?? '');
    for (const fall of falls) if (fall.kind === 'session') found.push(fall.session.id);
    position = next;
  }
  expect(found.toSorted()).toEqual([login, ...tasks].map(({ session }) => session.id).toSorted());
  expect(pages).toBeGreaterThan(1);
});
