import { expect, test } from '@jest/globals';
import { DAY, HOUR, MINUTE } from '../../src/core/duration.ts';
import type { WantedKeys } from '../../src/credentials/wanted-keys.ts';
import { rotationJob } from '../../src/jobs/rotation.ts';
import { DEFAULT_SCHEDULE } from '../../src/keys/key-plan.ts';
import { newestVersions } from '../../src/keys/key-ring.ts';
import type { Resource } from '../../src/registry/entries.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import type { KeyRow } from '../../src/store/rows.ts';
import type { RegistryChange } from '../../src/store/store.ts';
import { domain, resource } from '../credentials/make-order.ts';
import { makeEncryption, START, stored } from '../keys/make-ring.ts';

const encryption = makeEncryption();
const ACCESS = DEFAULT_SCHEDULE.wanted.filter(({ purpose }) => purpose === 'access');
/** The rule of `credentials/wanted-keys.ts`, over what these resources say. */
const wantedKeys: WantedKeys = (resources) => (resources.some(({ options }) => options === 'RS256') ? [...ACCESS, { purpose: 'access', algorithm: 'RS256' }] : ACCESS);

/** A domain whose keys are what the job wrote. */
const makeDomain = (by = encryption) => {
  const state = { now: START, rows: [] as readonly KeyRow[], resources: [] as readonly Resource[], problems: [] as readonly string[] };
  const changes: RegistryChange[] = [];
  const view = {
    domain, keyRows: () => state.rows, entries: () => ({ issuers: [], resources: state.resources, workloads: [], policies: [] }),
    get problems() { return state.problems; },
  } as unknown as DomainView;
  const job = rotationJob({
    clock: { now: () => state.now }, snapshot: { version: 7, domains: () => [view] }, encryption: by, wantedKeys,
    change(change) {
      changes.push(change);
      state.rows = newestVersions([...state.rows, ...(change.keys ?? []).map((row) => stored(row, state.now))]);
      return Promise.resolve({ status: 'committed', version: 8 });
    },
  });
  const kinds = (): string[] => state.rows.map(({ algorithm, status }) => `${algorithm} ${status}`).sort();
  return { state, changes, kinds, run: () => job.run(1) };
};
const wantsRs256 = resource({ options: 'RS256' });

test('keeps an RS256 key going as long as a resource wants it, and retires it when none does', async () => {
  const { state, kinds, run } = makeDomain();
  state.resources = [wantsRs256];
  await run();
  expect(kinds()).toEqual(['ES256 current', 'RS256 current']);
  state.now = START + 30 * DAY - HOUR;
  await run();
  expect(kinds()).toEqual(['ES256 current', 'ES256 next', 'RS256 current', 'RS256 next']);
  state.now = START + 30 * DAY;
  await run();
  expect(kinds()).toEqual(['ES256 current', 'ES256 retired', 'RS256 current', 'RS256 retired']);
  state.resources = [];
  await run();
  expect(kinds()).toEqual(['ES256 current', 'ES256 retired', 'RS256 retired', 'RS256 retired']);
  state.now += 70 * MINUTE;
  await run();
  expect(kinds()).toEqual(['ES256 current', 'ES256 gone', 'RS256 gone', 'RS256 gone']);
});

test('writes against the version it looked at, and says in the log what it did to which key', async () => {
  const { changes, run } = makeDomain();
  await run();
  expect(changes).toMatchObject([{ by: 'key-rotation', basedOn: 7, audit: [{ action: 'key.rotated', domainId: domain.id, body: { purpose: 'access', algorithm: 'ES256', status: 'current' } }] }]);
  await run();
  expect(changes).toHaveLength(1);
});

test('makes no key where the key-encryption key of the others is missing, which would make the domain unready on every other node', async () => {
  const stranger = makeDomain(makeEncryption());
  const { state, run } = makeDomain();
  await run();
  stranger.state.rows = state.rows;
  stranger.state.now = START + 30 * DAY;
  await expect(stranger.run()).rejects.toThrow(/sealed under key-encryption key .*kek\.previous_files/);
  expect(stranger.changes).toEqual([]);
  state.now = START + 30 * DAY;
  await run();
  expect(state.rows).toHaveLength(2);
});

test('takes no key away while something of the domain cannot be read: that may be what wants it', async () => {
  const { state, kinds, run } = makeDomain();
  state.resources = [wantsRs256];
  await run();
  [state.resources, state.problems] = [[], ['resource https://deploy.acme.example: there is no option named surprise']];
  await run();
  expect(kinds()).toEqual(['ES256 current', 'RS256 current']);
  state.now = START + 30 * DAY - HOUR;
  await run();
  expect(kinds()).toEqual(['ES256 current', 'ES256 next', 'RS256 current', 'RS256 next']);
  state.problems = [];
  await run();
  expect(kinds()).toEqual(['ES256 current', 'ES256 next', 'RS256 gone', 'RS256 retired']);
});
