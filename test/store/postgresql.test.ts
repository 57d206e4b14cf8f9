import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { MINUTE } from '../../src/core/duration.ts';
import { verifyAudit } from '../../src/audit/verify.ts';
import type { OwnStore } from '../../src/store/create-store.ts';
import type { Target } from '../../src/store/rows.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { startPostgres } from '../support/postgres.ts';
import type { Postgres } from '../support/postgres.ts';
import { until, untilCommitted } from './contract/failing.ts';
import { DOMAIN, NOW, makeEntry, makeEvent, makeIssuance } from './make-rows.ts';
import { codes, makeSealer, noTail, openStore } from './place.ts';
import type { MakePlace, Place, Sealer } from './place.ts';
import { describeStore } from './store-contract.ts';
import { breakableLine } from './swallow-answer.ts';

let server: Postgres;
beforeAll(async () => { server = await startPostgres(); });
afterAll(() => server.stop());

const query = async (url: string, text: string): Promise<readonly Readonly<Record<string, unknown>>[]> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
};

const makePlace: MakePlace = async () => {
  const { url, drop } = await server.freshDatabase();
  const name = new URL(url).pathname.slice(1);
  return {
    engine: 'postgresql',
    url,
    sql: (text) => query(url, text),
    async breakWrites() {
      await query(server.url, `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
      await query(server.url, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`);
      return async () => { await query(server.url, `ALTER DATABASE ${name} ALLOW_CONNECTIONS true`); };
    },
    drop,
  };
};

describeStore(makePlace);

describe('PostgreSQL', () => {
  let place: Place;
  let near: OwnStore;
  let far: OwnStore;
  let sealer: Sealer;
  beforeAll(async () => {
    place = await makePlace();
    near = await openStore(place);
    far = await openStore(place);
    sealer = await makeSealer();
  });
  afterAll(async () => {
    await near.close();
    await far.close();
    await place.drop();
  });

  const leasesOf = async (session: string): Promise<number> => Number((await place.sql(`SELECT count(*) AS n FROM lease WHERE session_id = '${session}'`))[0]?.n);

  test('commits with fsync and synchronous_commit', async () => {
    expect(await near.durability()).toEqual({ fsync: 'on', synchronous_commit: 'on' });
  });

  test('does not open where commits are not durable', async () => {
    const lax = await makePlace();
    await query(lax.url, `ALTER DATABASE ${new URL(lax.url).pathname.slice(1)} SET synchronous_commit = off`);
    await expect(openStore(lax)).rejects.toThrow('the server does not make commits durable');
    await lax.drop();
  });

  test('lets the same evidence win once on two nodes, and harms nothing that came with it', async () => {
    const rounds = Array.from({ length: 10 }, (_, round) => round);
    const outcomes = await Promise.all(rounds.flatMap((round) => [near, far].map(async (node, side) => ({
      contested: await node.issue(makeIssuance(`two-${round}-${side}`, `two-${round}`, { lease: { replayKey: `two ${round}` }, proofs: [{ key: `two-proof ${round} ${side}`, until: NOW }] })),
      beside: await node.issue(makeIssuance(`beside-${round}-${side}`)),
    }))));
    for (const round of rounds) expect(outcomes.slice(2 * round, 2 * round + 2).map(({ contested }) => contested).sort()).toEqual(['committed', 'replayed']);
    expect(outcomes.map(({ beside }) => beside)).toEqual(outcomes.map(() => 'committed'));
    expect(await place.sql("SELECT 1 FROM replay WHERE key LIKE 'two-proof%'")).toHaveLength(rounds.length);
  });

  test('does not let batches of two nodes wait for each other, in whatever order their requests came', async () => {
    const keys = Array.from({ length: 30 }, (_, index) => index);
    const issueAll = (node: OwnStore, order: readonly number[], side: string) =>
      Promise.all(order.map((index) => node.issue(makeIssuance(`crossed-${index}-${side}`, `crossed-${index}`, { lease: { replayKey: `crossed ${index}` }, proofs: [{ key: `crossed-proof ${index}`, until: NOW }] }))));
    const [ahead, back] = await Promise.all([issueAll(near, keys, 'near'), issueAll(far, keys.toReversed(), 'far')]);
    for (const index of keys) expect([ahead[index], back.toReversed()[index]].sort()).toEqual(['committed', 'proof_replayed']);
  });

  test('lets nothing commit after a revocation was confirmed, on any node', async () => {
    for (let round = 0; round < 8; round += 1) {
      const target: Target = `workload:raced-${round}`;
      const session = `raced-${round}`;
      let confirmed = false;
      let committed = 0;
      const issueUntilRefused = async (node: OwnStore, side: string): Promise<void> => {
        for (let index = 0; ; index += 1) {
          const late = confirmed;
          const outcome = await node.issue(makeIssuance(`raced-${round}-${side}-${index}`, session, { hop: { path: [target] } }));
          if (late) expect(outcome).toBe('revoked');
          if (outcome !== 'committed') return;
          committed += 1;
        }
      };
      const racing = [issueUntilRefused(near, 'a'), issueUntilRefused(near, 'b'), issueUntilRefused(far, 'c'), issueUntilRefused(far, 'd')];
      await until(() => committed > 5);
      await far.change({ at: NOW, by: 'admin', revocations: [{ target, domainId: DOMAIN, reason: 'race', purgeAfter: null }], audit: [makeEvent('revocation.made')] });
      confirmed = true;
      const atConfirmation = await leasesOf(makeIssuance('x', session).session.id);
      await Promise.all(racing);
      expect(await leasesOf(makeIssuance('x', session).session.id)).toBe(atConfirmation);
      expect(atConfirmation).toBe(committed);
    }
  });

  test.each([
    { name: 'a revocation', take: (): Promise<unknown> => far.change({ at: NOW, by: 'admin', revocations: [{ target: 'workload:gated', domainId: DOMAIN, reason: 'race', purgeAfter: null }], audit: [] }) },
    { name: 'the end of the session', take: (): Promise<unknown> => far.endSession(makeIssuance('x', 'gated-end').session.id, { at: NOW, by: 'admin', reason: 'race', domainId: DOMAIN, purgeAfter: null }, makeEvent('session.ended')) },
  ])('lets $name wait for an issuance that was judged before it', async ({ name, take }) => {
    const session = name === 'a revocation' ? 'gated' : 'gated-end';
    const hop = { path: ['workload:gated'] } as const;
    if (session === 'gated-end') await near.change({ at: NOW, by: 'admin', enable: ['workload:gated'], audit: [] });
    expect(await near.issue(makeIssuance(`${session}-1`, session, { hop }))).toBe('committed');
    const gated = makeIssuance(`${session}-2`, session, { hop });
    const gate = new pg.Client({ connectionString: place.url });
    await gate.connect();
    await gate.query('SELECT pg_advisory_lock(42)');
    await gate.query('CREATE OR REPLACE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(42); RETURN NEW; END $$');
    await gate.query(`CREATE TRIGGER gate BEFORE INSERT ON lease FOR EACH ROW WHEN (NEW.id = '${gated.lease.id}') EXECUTE FUNCTION wait_at_gate()`);
    const waits = async (lock: string): Promise<boolean> => (await place.sql(`SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND ${lock}`)).length > 0;

    const issued = near.issue(gated);
    await until(() => waits('objid = 42'));
    let taken = false;
    const taking = take().then(async () => {
      taken = true;
      return leasesOf(gated.session.id);
    });
    await until(async () => taken || (await waits("mode = 'ExclusiveLock' AND objid = 1")));
    await gate.query('SELECT pg_advisory_unlock(42)');
    expect(await issued).toBe('committed');
    expect(await taking).toBe(2);
    expect(await near.issue(makeIssuance(`${session}-3`, session, { hop }))).toBe(session === 'gated' ? 'revoked' : 'ended');
    await gate.query('DROP TRIGGER gate ON lease');
    await gate.end();
  });

  test('judges an issuance that waited for a revocation by what that revocation left', async () => {
    expect(await near.issue(makeIssuance('waited-1', 'waited', { hop: { path: ['workload:waited'] } }))).toBe('committed');
    const gate = new pg.Client({ connectionString: place.url });
    await gate.connect();
    await gate.query('SELECT pg_advisory_lock(43)');
    await gate.query('CREATE FUNCTION wait_at_second_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(43); RETURN NEW; END $$');
    await gate.query("CREATE TRIGGER second_gate BEFORE INSERT ON revocation FOR EACH ROW WHEN (NEW.target = 'workload:waited') EXECUTE FUNCTION wait_at_second_gate()");
    const waits = async (lock: string): Promise<boolean> => (await place.sql(`SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND ${lock}`)).length > 0;

    const revoked = far.change({ at: NOW, by: 'admin', revocations: [{ target: 'workload:waited', domainId: DOMAIN, reason: 'race', purgeAfter: null }], audit: [] });
    await until(() => waits('objid = 43'));
    const issued = near.issue(makeIssuance('waited-2', 'waited', { hop: { path: ['workload:waited'] } }));
    await until(() => waits("mode = 'ShareLock' AND objid = 1"));
    await gate.query('SELECT pg_advisory_unlock(43)');
    expect((await revoked).status).toBe('committed');
    expect(await issued).toBe('revoked');
    await gate.query('DROP TRIGGER second_gate ON revocation');
    await gate.end();
  });

  test('keeps session and hop as the node wrote them that was first, though both saw none', async () => {
    const { session, hop, lease } = makeIssuance('second', 'contended', { session: { expiresAt: NOW + 50 * MINUTE }, hop: { expiresAt: NOW + 40 * MINUTE } });
    const [ends, hopEnds] = [NOW + 30 * MINUTE, NOW + 20 * MINUTE].map((at) => new Date(at).toISOString());
    const first = new pg.Client({ connectionString: place.url });
    await first.connect();
    await first.query('BEGIN');
    await first.query(`INSERT INTO session (id, domain_id, issuer_id, holder, model, principal, anchor, facts, started_at, expires_at, began_version)
      VALUES ('${session.id}', '${session.domainId}', '${session.issuerId}', '${session.holder}', 'bounded', 'p', '${session.anchor}', '{}', now(), '${ends}', 0)`);
    await first.query(`INSERT INTO hop (id, session_id, actor, workload_id, ceiling, depth, chain, path, created_at, expires_at)
      VALUES ('${hop.id}', '${session.id}', '${hop.actor}', '${hop.workloadId}', '[]', 0, '[]', '[]', now(), '${hopEnds}')`);
    const issued = near.issue({ ...makeIssuance('second', 'contended'), session, hop, lease });
    await until(async () => (await place.sql('SELECT 1 FROM pg_locks WHERE locktype = \'transactionid\' AND NOT granted')).length > 0);
    await first.query('COMMIT');
    await first.end();
    expect(await issued).toBe('committed');
    const stored = await near.session(session.id);
    expect([stored?.session.expiresAt, stored?.hops.map(({ expiresAt }) => expiresAt)]).toEqual([NOW + 30 * MINUTE, [NOW + 20 * MINUTE]]);
  });

  test('shows versions in order while two nodes change the registry', async () => {
    const from = await near.registryVersion();
    let last = from;
    let watching = true;
    const watch = async (): Promise<void> => {
      const seen = new Set<number>();
      while (watching) {
        const delta = await far.registryDelta(last);
        for (const row of delta.entries) seen.add(row.seq);
        last = delta.version;
      }
      for (const row of (await far.registryDelta(last)).entries) seen.add(row.seq);
      expect([...seen]).toEqual(Array.from({ length: 40 }, (_, index) => from + 1 + index));
    };
    const watched = watch();
    const change = (node: OwnStore, side: string, index: number) => node.change({ at: NOW, by: side, entries: [makeEntry({ id: `wkl_${side}_${index}`, kind: 'workload', name: `${side}-${index}` })], audit: [makeEvent('registry.applied')] });
    const runs = [near, far].map(async (node, side) => {
      for (let index = 0; index < 20; index += 1) await change(node, `s${side}`, index);
    });
    await Promise.all(runs);
    watching = false;
    await watched;
  });

  test('tells the other node of a change', async () => {
    const told = new Promise<void>((resolve) => { near.onRegistryChange(resolve); });
    await far.change({ at: NOW, by: 'a', revocations: [{ target: 'lease:told', domainId: DOMAIN, reason: 'r', purgeAfter: null }], audit: [] });
    await told;
  });

  test('leaves a living chain to its writer, and seals it for one that stopped', async () => {
    await near.append(makeEvent('near'));
    await far.append(makeEvent('far'));
    const own = await near.checkpoint(sealer.sign, NOW);
    expect(await near.sealStopped(sealer.sign, NOW + 1, noTail)).toEqual([]);
    const stopped = await near.sealStopped(sealer.sign, NOW + 2 * MINUTE, noTail);
    expect(stopped.map((row) => row.chain)).not.toContain(own?.chain);
    expect(stopped.length).toBeGreaterThan(0);
  });

  test('takes an unanswered commit for not issued, and goes on with the chain where it really ends', async () => {
    const line = await breakableLine(place.url);
    const store = await openStore({ url: line.url });
    expect(await store.issue(makeIssuance('answered'))).toBe('committed');
    // With the zero that ends it: READ COMMITTED is said before.
    line.swallowAnswerTo('COMMIT\0');
    await expect(store.issue(makeIssuance('unanswered'))).rejects.toThrow(StoreUnavailable);
    await untilCommitted(() => store.issue(makeIssuance('after-unanswered')));
    // This time the server had committed; the evidence is spent and the caller has nothing.
    expect(await store.issue(makeIssuance('unanswered-again', 'unanswered', { lease: { replayKey: 'key unanswered' } }))).toBe('replayed');
    await store.close();
    await line.close();
  });

  test('goes on with the chain where it really ends when the unanswered commit did not happen', async () => {
    const store = await openStore(place);
    expect(await store.issue(makeIssuance('kept'))).toBe('committed');
    await place.sql(`CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$`);
    await place.sql(`CREATE CONSTRAINT TRIGGER die AFTER INSERT ON lease DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.id = '${makeIssuance('dies').lease.id}') EXECUTE FUNCTION die()`);
    await expect(store.issue(makeIssuance('dies'))).rejects.toThrow(StoreUnavailable);
    await place.sql('DROP TRIGGER die ON lease');
    await untilCommitted(() => store.issue(makeIssuance('dies')));
    await store.close();
  });

  test('recovers after its connection was cut, with another store none the wiser', async () => {
    await query(server.url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mayfly writer'");
    await untilCommitted(() => near.issue(makeIssuance('cut-near')));
    await untilCommitted(() => far.issue(makeIssuance('cut-far')));
  });

  test('keeps every chain unbroken through all of this', async () => {
    const report = await verifyAudit({ reads: near, verifyCheckpoint: sealer.verify, codes, outside: [], now: NOW });
    expect(report.findings).toEqual([]);
    expect(report.entries).toBeGreaterThan(100);
  });
});
