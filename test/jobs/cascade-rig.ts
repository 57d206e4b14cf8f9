import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from '@jest/globals';
import Libsql from 'libsql';
import pg from 'pg';
import { openChildHop, openRootHop, sessionId, sessionPath } from '../../src/authority/session.ts';
import type { NewSession } from '../../src/authority/session.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/duration.ts';
import { newId } from '../../src/core/ids.ts';
import type { DomainId, IssuerId, LeaseId, PersonUrn, SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import { systemRandom } from '../../src/core/random.ts';
import { cascadeJob } from '../../src/jobs/cascade.ts';
import { createTakeBack } from '../../src/jobs/take-back.ts';
import type { Patience, TakeBackDeps } from '../../src/jobs/take-back.ts';
import type { CascadeStanding } from '../../src/store/cascades.ts';
import type { OwnStore } from '../../src/store/create-store.ts';
import type { HopRow, LeaseRow, Target } from '../../src/store/rows.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { startPostgres } from '../support/postgres.ts';
import { makeEntry, makeEvent, makeIssuance, NOW } from '../store/make-rows.ts';
import { openStore } from '../store/place.ts';

export const DOMAIN = 'dom_cascade' as DomainId;
export const PLATFORM = 'iss_platform' as IssuerId;
export const workloadOf = (name: string): WorkloadId => `wkl_${name}` as WorkloadId;
export const personOf = (name: string): PersonUrn => `urn:mayfly:dev:person:corp:${name}` as PersonUrn;

/** A real store of either engine on a clock the test moves, what fills it, and the job with targets the test answers for. */
export interface Rig {
  readonly store: OwnStore;
  readonly time: { now: number };
  readonly sql: (text: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;
  readonly session: (name: string, change?: Partial<NewSession>) => NewSession;
  /** An actor's place: the session's first, or below the one that handed on to it. */
  readonly hop: (session: NewSession, workload: string, more?: { readonly below?: HopRow; readonly handover?: LeaseId; readonly issuer?: IssuerId }) => HopRow;
  readonly issue: (session: NewSession, hop: HopRow, change?: Partial<LeaseRow>) => Promise<LeaseId>;
  readonly revoke: (...targets: readonly Target[]) => Promise<number>;
  readonly enable: (target: Target) => Promise<void>;
  /** Runs the job, as another holder each time unless told, until it leaves something alone or `steps` were taken. */
  readonly carryOut: (options?: CarryOut) => Promise<void>;
  readonly standing: (seq: number) => Promise<CascadeStanding | undefined>;
  readonly audited: (action: string) => Promise<readonly Record<string, unknown>[]>;
}
export interface CarryOut { readonly revokers?: TakeBackDeps['revokers']; readonly steps?: number; readonly patience?: Patience; readonly change?: (store: OwnStore) => Partial<OwnStore> }

export const describeCascades = (tests: (rig: () => Rig) => void): void => {
  describe.each([{ engine: 'sqlite' as const }, { engine: 'postgresql' as const }])('on $engine', ({ engine }) => {
    let opened: (Rig & { close(): Promise<void> }) | undefined;
    beforeAll(async () => { opened = await openRig(engine); });
    afterAll(() => opened?.close());
    tests(() => {
      if (opened === undefined) throw new Error('the rig is made before the first test');
      return opened;
    });
  });
};

const openRig = async (engine: 'sqlite' | 'postgresql'): Promise<Rig & { close(): Promise<void> }> => {
  const place: Place = engine === 'sqlite' ? sqlitePlace() : await postgresPlace();
  const time = { now: NOW };
  const clock = { now: () => time.now };
  const store = await openStore(place, { clock });
  await store.change({ at: NOW, by: 'a', entries: [makeEntry({ id: DOMAIN, domainId: DOMAIN, name: 'cascade' })], audit: [] });
  let holders = 0;
  const actor = (name: string) => ({ id: workloadOf(name), spiffeId: `spiffe://dev/${name}` as SpiffeId, expires: NOW + 365 * DAY });

  const rig: Rig = {
    store, time, sql: place.sql,
    session: (name, change = {}) => {
      const whole: NewSession = {
        domainId: DOMAIN, issuerId: PLATFORM, holder: workloadOf('runner'), model: 'bounded', principal: 'payments@acme.example', anchor: name, facts: {}, startedAt: time.now, expiresAt: time.now + 8 * HOUR,
        endedAt: null, freshAt: null, id: sessionId(DOMAIN, PLATFORM, 'runner', name), ...change,
      };
      return whole;
    },
    hop(session, name, { below, handover, issuer = PLATFORM } = {}) {
      const workload = actor(name);
      const opening = { workload, issuerId: issuer, jkt: null, ceiling: [], link: { iss: 'https://sts', sub: workload.spiffeId, workloadId: workload.id, evidence: {} } };
      return below === undefined ? openRootHop(session, opening, time.now) : openChildHop(below, opening, handover ?? ('lse_none' as LeaseId), time.now);
    },
    async issue(session, hop, change = {}) {
      const id = newId('lease', clock, systemRandom);
      const { lease } = makeIssuance(id);
      const row: LeaseRow = { ...lease, id, kind: 'access_token', domainId: session.domainId, sessionId: session.id, hopId: hop.id, workloadId: hop.workloadId, issuedAt: time.now, expiresAt: time.now + 5 * MINUTE, ...change };
      const outcome = await store.issue({ session, hop, lease: row, proofs: [], audit: makeEvent('exchange.issued') });
      if (outcome !== 'committed') throw new Error(`not issued: ${outcome}`);
      return id;
    },
    revoke: async (...targets) => (await store.change({ at: time.now, by: 'ada', revocations: targets.map((target) => ({ target, domainId: DOMAIN, reason: 'lost', purgeAfter: null })), audit: [] })).version,
    async enable(target) { await store.change({ at: time.now, by: 'ada', enable: [target], audit: [] }); },
    async carryOut({ revokers = new Map(), steps = Number.POSITIVE_INFINITY, patience, change = () => ({}) } = {}) {
      let taken = 0;
      const job = cascadeJob({
        clock, log: silentLog, takeBack: createTakeBack({ clock, revokers, openHandle: (_lease, { sealed }) => `opened ${sealed}` }, patience),
        store: { ...store, ...change(store), cascadeStep: (...args) => { taken += 1; return store.cascadeStep(...args); } },
      });
      const holder = `node-${holders += 1}`;
      const held = await store.takeJob(job.name, holder, time.now + MINUTE, time.now);
      if (held === undefined) throw new Error('the job has another holder');
      try {
        await job.run(held.fence, () => taken >= steps);
      } finally {
        await store.releaseJob(job.name, holder);
      }
      time.now += SECOND;
    },
    standing: (seq) => store.cascade(seq),
    audited: async (action) => (await place.sql(`SELECT body FROM audit WHERE action = '${action}' ORDER BY n`)).map(({ body }) => (JSON.parse(String(body)) as { readonly body: Record<string, unknown> }).body),
  };
  return { ...rig, close: async () => { await store.close(); await place.drop(); } };
};

/** Everything a session rests on, for what stands in a path. */
export const pathOf = sessionPath;

interface Place { readonly url: string; readonly sql: Rig['sql']; readonly drop: () => Promise<void> }

const sqlitePlace = (): Place => {
  const folder = mkdtempSync(join(tmpdir(), 'mayfly-cascade-'));
  const path = join(folder, 'mayfly.db');
  return {
    url: `file:${path}`,
    sql(text: string) {
      const database = new Libsql(path, { timeout: 5_000 });
      try {
        return Promise.resolve(database.prepare(text).all() as Readonly<Record<string, unknown>>[]);
      } finally {
        database.close();
      }
    },
    drop: () => { rmSync(folder, { recursive: true, force: true }); return Promise.resolve(); },
  };
};

const postgresPlace = async (): Promise<Place> => {
  const postgres = await startPostgres();
  const { url } = await postgres.freshDatabase();
  return {
    url,
    async sql(text: string) {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      try {
        return (await client.query<Record<string, unknown>>(text)).rows;
      } finally {
        await client.end();
      }
    },
    drop: () => postgres.stop(),
  };
};
