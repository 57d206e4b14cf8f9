import { describe, expect, test } from '@jest/globals';
import { DAY, HOUR, MINUTE } from '../../src/core/duration.ts';
import type { DomainId } from '../../src/core/ids.ts';
import { rotationJob } from '../../src/jobs/rotation.ts';
import { DEFAULT_SCHEDULE } from '../../src/keys/key-plan.ts';
import { newestVersions } from '../../src/keys/key-ring.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import type { KeyRow } from '../../src/store/rows.ts';
import type { RegistryChange, RegistryOutcome } from '../../src/store/store.ts';
import { DOMAIN, OTHER_DOMAIN, START, makeEncryption } from '../keys/make-ring.ts';

/** Domains whose keys live in memory, as the registry would keep them: a change against another version writes nothing. */
const start = (...domains: readonly DomainId[]) => {
  const encryption = makeEncryption();
  const rows: KeyRow[] = [];
  const changes: RegistryChange[] = [];
  const outcomes: RegistryOutcome[] = [];
  const state = { now: START, version: 1, seen: 1 };
  const job = rotationJob({
    clock: { now: () => state.now }, encryption, wantedKeys: () => DEFAULT_SCHEDULE.wanted,
    snapshot: {
      get version() { return state.seen; },
      domains: () => domains.map((id) => ({ domain: { id }, problems: [], entries: () => ({ resources: [] }), keyRows: () => newestVersions(rows.filter(({ domainId }) => domainId === id)) }) as unknown as DomainView),
    },
    change(change) {
      changes.push(change);
      const conflict = change.basedOn !== state.version;
      if (!conflict) {
        state.version += 1;
        for (const key of change.keys ?? []) rows.push({ ...key, seq: state.version, changedAt: change.at });
      }
      state.seen = state.version;
      const outcome: RegistryOutcome = { status: conflict ? 'conflict' : 'committed', version: state.version };
      outcomes.push(outcome);
      return Promise.resolve(outcome);
    },
  });
  const kindsOf = (domain: DomainId): readonly string[] => newestVersions(rows.filter(({ domainId }) => domainId === domain)).map(({ purpose, status }) => `${purpose} ${status}`).sort();
  return { job, rows, changes, outcomes, state, kindsOf };
};
const FIRST = ['access current', 'aws current', 'checkpoint current', 'set current', 'status current'];

describe('the rotation of keys', () => {
  test('gives each domain its first keys, each in a change of its own', async () => {
    const it = start(DOMAIN, OTHER_DOMAIN);
    await it.job.run(1);
    expect([it.kindsOf(DOMAIN), it.kindsOf(OTHER_DOMAIN)]).toEqual([FIRST, FIRST]);
    expect(it.changes.map(({ basedOn, by }) => [basedOn, by])).toEqual([[1, 'key-rotation'], [2, 'key-rotation']]);
  });

  test('writes nothing while nothing is due', async () => {
    const it = start(DOMAIN);
    await it.job.run(1);
    it.state.now += DAY;
    await it.job.run(1);
    expect(it.changes).toHaveLength(1);
  });

  test('publishes the next key an hour before it signs, then lets it sign, then takes the old one away', async () => {
    const it = start(DOMAIN);
    await it.job.run(1);
    it.state.now = START + DEFAULT_SCHEDULE.period - DEFAULT_SCHEDULE.lead;
    await it.job.run(1);
    expect(it.kindsOf(DOMAIN)).toEqual(['access current', 'access next', 'aws current', 'aws next', 'checkpoint current', 'checkpoint next', 'set current', 'set next', 'status current', 'status next']);
    it.state.now += HOUR - 1;
    await it.job.run(1);
    expect(it.kindsOf(DOMAIN)).toContain('access next');
    it.state.now += 1;
    await it.job.run(1);
    expect(it.kindsOf(DOMAIN)).toEqual(['access current', 'access retired', 'aws current', 'aws retired', 'checkpoint current', 'checkpoint retired', 'set current', 'set retired', 'status current', 'status retired']);
    it.state.now += 70 * MINUTE;
    await it.job.run(1);
    expect(it.kindsOf(DOMAIN)).toEqual(['access current', 'access gone', 'aws current', 'aws gone', 'checkpoint current', 'checkpoint retired', 'set current', 'set retired', 'status current', 'status gone']);
    expect(it.rows.filter(({ status }) => status === 'gone').every(({ sealed }) => sealed === '')).toBe(true);
  });

  test('says in the audit log which key became what, and nothing secret', async () => {
    const it = start(DOMAIN);
    await it.job.run(1);
    const [change] = it.changes;
    expect(change?.audit).toEqual(it.rows.map(({ kid, purpose, algorithm, status }) => ({ at: START, action: 'key.rotated', domainId: DOMAIN, body: { by: 'key-rotation', kid, purpose, algorithm, status } })));
    expect(it.rows.length).toBe(5);
  });

  test('writes nothing over a registry that has moved, and plans anew the next time', async () => {
    const it = start(DOMAIN);
    it.state.version = 5;
    await it.job.run(1);
    expect([it.outcomes.map(({ status }) => status), it.rows]).toEqual([['conflict'], []]);
    await it.job.run(1);
    expect([it.outcomes.map(({ status }) => status), it.kindsOf(DOMAIN)]).toEqual([['conflict', 'committed'], FIRST]);
  });
});
