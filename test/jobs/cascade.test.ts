import { expect, test } from '@jest/globals';
import { HOUR, MINUTE, SECOND } from '../../src/core/duration.ts';
import type { NewSession } from '../../src/authority/session.ts';
import type { DomainId, IssuerId, LeaseId, WorkloadId } from '../../src/core/ids.ts';
import type { Provider, RevokeOutcome } from '../../src/credentials/provider.ts';
import type { HopRow, Target } from '../../src/store/rows.ts';
import { revokersOf } from '../../src/jobs/take-back.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { describeCascades, DOMAIN, personOf, workloadOf } from './cascade-rig.ts';
import type { Rig } from './cascade-rig.ts';

type Revoke = NonNullable<Provider['revoke']>;

/** Targets of three kinds, and what they were asked: one takes back, one goes on honouring, one is as the test says. */
const targets = (answer: () => Promise<RevokeOutcome> = () => Promise.reject(new Error('down'))) => {
  const asked: (readonly [string, string | undefined])[] = [];
  const note = (revoke: (...args: Parameters<Revoke>) => Promise<RevokeOutcome>): Revoke => (handle, lease) => {
    asked.push([lease.id, handle]);
    return revoke(handle, lease);
  };
  return {
    asked,
    revokers: new Map<string, Revoke>([
      ['database-login', note(() => Promise.resolve({ kind: 'revoked' }))],
      ['aws-credentials', note((_handle, { expiresAt }) => Promise.resolve({ kind: 'recorded', honouredUntil: expiresAt, note: '' }))],
      ['shaky', note(answer)],
    ]),
  };
};

describeCascades((rig) => {
  let runs = 0;
  /** A tree of three actors and a second first one, each with a lease, beside a session of the same makeup. */
  const tree = async (change: Parameters<Rig['session']>[1] = {}) => {
    const { session, hop, issue } = rig();
    const own = session(`run-${runs += 1}`, change);
    const planner = hop(own, 'planner');
    const plan = await issue(own, planner, { kind: 'session_token' });
    const handover = await issue(own, planner, { kind: 'handover_token' });
    const searcher = hop(own, 'searcher', { below: planner, handover, issuer: 'iss_other' as IssuerId });
    const search = await issue(own, searcher);
    const tool = hop(own, 'tool', { below: searcher, handover: 'lse_second' as LeaseId });
    const use = await issue(own, tool, { kid: 'kid-tool' });
    const second = hop(own, 'second');
    const beside = await issue(own, second);
    return { session: own, hops: { planner, searcher, tool, second }, leases: { plan, handover, search, use, beside } };
  };
  type Tree = Awaited<ReturnType<typeof tree>>;
  const counts = async (seq: number): Promise<readonly unknown[]> => {
    const standing = await rig().standing(seq);
    return [standing?.cascade.sessions, standing?.cascade.leases, standing?.cascade.due === null];
  };

  test.each<{ name: string; target: (fallen: Tree) => Target; falls: readonly [number, number] }>([
    { name: 'session: everything in it', target: ({ session }) => `session:${session.id}`, falls: [1, 5] },
    { name: 'hop: it and all below it', target: ({ hops }) => `hop:${hops.searcher.id}`, falls: [0, 2] },
    { name: 'first hop: all but what is beside it', target: ({ hops }) => `hop:${hops.planner.id}`, falls: [0, 4] },
    { name: 'handed token: it and what was taken up with it', target: ({ leases }) => `lease:${leases.handover}`, falls: [0, 3] },
    { name: 'lease: it alone', target: ({ leases }) => `lease:${leases.search}`, falls: [0, 1] },
  ])('of a $name', async ({ target, falls }) => {
    const [fallen, other] = [await tree(), await tree()];
    const seq = await rig().revoke(target(fallen));
    await rig().carryOut();
    expect(await counts(seq)).toEqual([...falls, true]);
    for (const id of Object.values(other.leases)) expect((await rig().store.leaseStanding(id))?.revokedBy).toBeUndefined();
  });

  test.each<{ name: string; change: Parameters<Rig['session']>[1]; other: Parameters<Rig['session']>[1]; target: Target; falls: readonly [number, number] }>([
    { name: 'workload: what it holds, whoever acts in it', change: { holder: workloadOf('held') }, other: {}, target: `workload:${workloadOf('held')}`, falls: [1, 5] },
    { name: 'person who is logged in', change: { model: 'delegated', holder: personOf('alice'), principal: personOf('alice') }, other: { model: 'delegated', holder: personOf('bob'), principal: personOf('bob') }, target: `person:${personOf('alice')}`, falls: [1, 5] },
    { name: 'person who is accountable for a task', change: { model: 'autonomous', principal: personOf('carol') }, other: { model: 'autonomous', principal: personOf('dave') }, target: `person:${personOf('carol')}`, falls: [1, 5] },
    { name: 'issuer of the session', change: { issuerId: 'iss_idp' as IssuerId }, other: {}, target: 'issuer:iss_idp', falls: [1, 5] },
  ])('of a $name', async ({ change, other, target, falls }) => {
    await tree(change);
    await tree(other);
    const seq = await rig().revoke(target);
    await rig().carryOut();
    expect(await counts(seq)).toEqual([...falls, true]);
  });

  test('of a workload that acts in sessions of others: it and all below it, in each of them, and nothing of its siblings', async () => {
    const { session, hop, issue } = rig();
    const sessions = await Promise.all(['a', 'b'].map(async (name) => {
      const own = session(`guest-${name}`);
      const host = hop(own, `host-${name}`);
      await issue(own, host);
      for (const handover of ['lse_one', 'lse_two']) {
        const guest = hop(own, 'guest', { below: host, handover: handover as LeaseId });
        await issue(own, guest);
        await issue(own, guest);
        await issue(own, hop(own, 'below', { below: guest, handover: 'lse_x' as LeaseId }));
      }
      await issue(own, hop(own, 'sibling', { below: host }));
      return own;
    }));
    const seq = await rig().revoke(`workload:${workloadOf('guest')}`);
    await rig().carryOut();
    expect(await counts(seq)).toEqual([0, 6 * sessions.length, true]);
  });

  test('of the issuer that proved an actor: that actor and all below it, in sessions others began', async () => {
    const { session, hop, issue } = rig();
    const own = session('proven');
    const host = hop(own, 'host');
    await issue(own, host);
    const guest = hop(own, 'proven-guest', { below: host, issuer: 'iss_guests' as IssuerId });
    await issue(own, guest);
    await issue(own, hop(own, 'below', { below: guest }));
    const seq = await rig().revoke('issuer:iss_guests');
    await rig().carryOut();
    expect(await counts(seq)).toEqual([0, 2, true]);
  });

  test('of a signing key: what it signed, and nothing else of its sessions', async () => {
    const { session, hop, issue } = rig();
    for (const name of ['signed-1', 'signed-2']) {
      const own = session(name);
      await issue(own, hop(own, 'runner'), { kid: 'kid-leaked' });
      await issue(own, hop(own, 'runner'));
    }
    const seq = await rig().revoke('key:kid-leaked');
    await rig().carryOut();
    expect(await counts(seq)).toEqual([0, 2, true]);
  });

  test('of what goes on in another domain: there too, and on from there, whatever of it was taken back', async () => {
    const far = { domainId: 'dom_far' as DomainId, issuerId: 'iss_near' as IssuerId };
    const cross = async (from: NewSession, parent: HopRow, subject: string, name = 'once') => {
      const { session, hop, issue } = rig();
      const own = session(`from-${from.id}-${name}`, { ...far, holder: subject as WorkloadId, anchor: `crossing.${from.id}`, model: from.model, principal: from.principal });
      const first = hop(own, 'elsewhere');
      const place = { ...first, path: [...new Set([...parent.path, ...first.path])] };
      await issue(own, place);
      return { session: own, hop: place };
    };
    const delegated = { model: 'delegated', holder: personOf('eve'), principal: personOf('eve') } as const;
    const [run, login] = [await tree(), await tree(delegated)];
    const second = await cross((await cross(run.session, run.hops.searcher, run.hops.planner.actor)).session, run.hops.searcher, run.hops.planner.actor);
    await cross(login.session, login.hops.second, personOf('eve'));
    // Whatever it was that it came with, it is in its path there.
    const left = await rig().issue(login.session, login.hops.second, { kind: 'crossing_token' });
    await cross(login.session, { ...login.hops.second, path: [...login.hops.second.path, `lease:${left}`] }, personOf('eve'), 'twice');
    const seqs = [await rig().revoke(`hop:${run.hops.searcher.id}`), await rig().revoke(`session:${run.session.id}`), await rig().revoke(`lease:${left}`), await rig().revoke(`person:${personOf('eve')}`)];
    await rig().carryOut();
    // Of the run the searcher, its tool, and twice elsewhere; then what was left; of the person one token with what came of it, then everything, counted once.
    expect(await Promise.all(seqs.map(counts))).toEqual([[0, 4, true], [1, 3, true], [0, 2, true], [3, 6, true]]);
    expect((await rig().store.leases({ sessionId: second.session.id }, { limit: 5, after: undefined })).items.map(({ revokedBy }) => revokedBy)).toEqual([`hop:${run.hops.searcher.id}`]);
  });

  test('counts what is alive: not what expired, and not what fell before', async () => {
    const { session, hops, leases } = await tree();
    await rig().issue(session, hops.second, { expiresAt: rig().time.now + MINUTE });
    rig().time.now += MINUTE;
    const first = await rig().revoke(`hop:${hops.searcher.id}`);
    const second = await rig().revoke(`lease:${leases.plan}`);
    const third = await rig().revoke(`session:${session.id}`);
    const fourth = await rig().revoke(`session:${session.id}`);
    await rig().carryOut();
    expect(await Promise.all([first, second, third, fourth].map(counts))).toEqual([[0, 2, true], [0, 1, true], [1, 2, true], [0, 0, true]]);
  });

  test('leaves alone what began after the block was lifted, though nobody came to it before', async () => {
    const { session, hop, issue } = rig();
    const before = session('before', { holder: workloadOf('blocked') });
    await issue(before, hop(before, 'blocked'));
    const seq = await rig().revoke(`workload:${workloadOf('blocked')}`);
    await rig().enable(`workload:${workloadOf('blocked')}`);
    const after = session('after', { holder: workloadOf('blocked') });
    const fresh = await issue(after, hop(after, 'blocked'), { kind: 'database-login', handle: 'sealed', handleKekId: 'kek' });
    const { asked, revokers } = targets();
    await rig().carryOut({ revokers });
    expect(await counts(seq)).toEqual([1, 1, true]);
    expect(asked).toEqual([]);
    expect((await rig().store.leaseStanding(fresh))?.lease.handle).toBe('sealed');
  });

  test('follows no suspension, which is lifted again', async () => {
    const { session } = await tree();
    const { version } = await rig().store.change({ at: rig().time.now, by: 'a', revocations: [{ target: `session:${session.id}`, domainId: DOMAIN, effect: 'suspended', reason: 'r', purgeAfter: null }], audit: [] });
    expect(await rig().standing(version)).toBeUndefined();
    expect(await rig().store.revocation(version)).toMatchObject({ revocation: { effect: 'suspended' }, cascade: undefined });
  });

  test('takes back at its target what can be, tells of what is honoured on and until when, and erases handles', async () => {
    const { session, hop, issue, store } = rig();
    const own = session('targets');
    const place = hop(own, 'runner');
    const at = rig().time.now;
    const login = await issue(own, place, { kind: 'database-login', handle: 'secret', handleKekId: 'kek' });
    const keys = [await issue(own, place, { kind: 'aws-credentials', expiresAt: at + HOUR }), await issue(own, place, { kind: 'aws-credentials', expiresAt: at + 2 * HOUR, handle: 'useless', handleKekId: 'kek' })];
    const token = await issue(own, place, { handle: 'stray', handleKekId: 'kek' });
    const { asked, revokers } = targets();
    const seq = await rig().revoke(`session:${own.id}`);
    await rig().carryOut({ revokers });
    expect((await rig().standing(seq))?.cascade).toMatchObject({ sessions: 1, leases: 4, takenBack: 1, honoured: 2, honouredUntil: at + 2 * HOUR, due: null });
    expect([...asked].sort()).toEqual([[login, 'opened secret'], [keys[0], undefined], [keys[1], 'opened useless']].sort());
    for (const id of [login, ...keys, token]) expect((await store.leaseStanding(id))?.lease).toMatchObject({ handle: null, handleKekId: null });
    const told = (await rig().audited('revocation.at_targets')).filter(({ target }) => target === `session:${own.id}`);
    const honoured = keys.map((lease, index) => ({ lease, until: at + (index + 1) * HOUR })).sort((a, b) => (a.lease < b.lease ? -1 : 1));
    expect(told).toEqual([{ revocation: seq, target: `session:${own.id}`, taken_back: [login], honoured }]);
    expect((await rig().audited('revocation.carried_out')).at(-1)).toEqual({ revocation: seq, target: `session:${own.id}`, sessions: 1, leases: 4, taken_back: 1, honoured: 2 });
  });

  test('tries a target that fails or hangs again, later each time, until it answers, and keeps the handle so long', async () => {
    const { session, hop, issue, store, time } = rig();
    const own = session('shaky');
    const lease = await issue(own, hop(own, 'runner'), { kind: 'shaky', handle: 'h', handleKekId: 'kek', expiresAt: time.now + HOUR });
    const good = await issue(own, hop(own, 'runner'), { kind: 'database-login', handle: 'g', handleKekId: 'kek' });
    let answer = (): Promise<RevokeOutcome> => Promise.reject(new Error('secret of the target'));
    const { asked, revokers } = targets(() => answer());
    const seq = await rig().revoke(`session:${own.id}`);
    const attempts = async (): Promise<number> => {
      await rig().carryOut({ revokers, patience: { call: 20, all: HOUR } });
      return asked.filter(([id]) => id === lease).length;
    };
    expect(await attempts()).toBe(1);
    // The one did not wait for the other.
    expect((await store.leaseStanding(good))?.lease.handle).toBeNull();
    expect(await rig().standing(seq)).toMatchObject({ cascade: { leases: 2, takenBack: 1, doneAt: null, progress: { walked: true, unreached: true } }, unreached: 1 });
    expect(await attempts()).toBe(1);
    time.now += 30 * SECOND;
    answer = () => new Promise<never>(() => undefined);
    expect(await attempts()).toBe(2);
    time.now += 30 * SECOND;
    expect(await attempts()).toBe(2);
    time.now += 30 * SECOND;
    answer = () => Promise.resolve({ kind: 'revoked' });
    expect((await store.leaseStanding(lease))?.lease.handle).toBe('h');
    expect(await attempts()).toBe(3);
    expect(await rig().standing(seq)).toMatchObject({ cascade: { leases: 2, takenBack: 2, honoured: 0, due: null }, unreached: 0 });
    expect((await store.leaseStanding(lease))?.lease.handle).toBeNull();
  });

  test('lets go of what no target could be asked about once it has expired: it was honoured until then', async () => {
    const { session, hop, issue, store, time } = rig();
    const own = session('given-up');
    const expiresAt = time.now + 2 * MINUTE;
    const lease = await issue(own, hop(own, 'runner'), { kind: 'shaky', handle: 'h', handleKekId: 'kek', expiresAt });
    const { revokers } = targets();
    const seq = await rig().revoke(`lease:${lease}`);
    for (let minute = 0; minute < 4; minute += 1) {
      await rig().carryOut({ revokers });
      time.now += MINUTE;
    }
    expect(await rig().standing(seq)).toMatchObject({ cascade: { leases: 1, takenBack: 0, honoured: 1, honouredUntil: expiresAt, due: null }, unreached: 0 });
    expect((await store.leaseStanding(lease))?.lease.handle).toBeNull();
  });

  test('goes on where it was killed, under whatever holder, and counts each lease once', async () => {
    const { session, hop, issue, time } = rig();
    const sessions = Array.from({ length: 3 }, (_, n) => session(`long-${n}`, { model: 'delegated', holder: personOf('long'), principal: personOf('long') }));
    await Promise.all(sessions.flatMap((own, n) => Array.from({ length: n === 1 ? 1_300 : 300 }, () => issue(own, hop(own, `w-${n}`), { kind: n === 2 ? 'aws-credentials' : 'access_token' }))));
    const { asked, revokers } = targets();
    const seq = await rig().revoke(`person:${personOf('long')}`);
    const seen: number[] = [];
    for (let more = true; more; more = (await rig().standing(seq))?.cascade.due !== null) {
      await rig().carryOut({ revokers, steps: 1 });
      seen.push((await rig().standing(seq))?.cascade.leases ?? 0);
      time.now += 1;
    }
    expect(seen.length).toBeGreaterThan(3);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(await rig().standing(seq)).toMatchObject({ cascade: { sessions: 3, leases: 1_900, honoured: 300 }, unwalked: 0 });
    expect(new Set(asked.map(([id]) => id)).size).toBe(300);
  });

  test('takes no step of a cascade for another holder, nor the same step twice', async () => {
    const { session } = await tree();
    const seq = await rig().revoke(`session:${session.id}`);
    const { store, time } = rig();
    const [row] = (await store.dueCascades(time.now, 10)).filter((each) => each.seq === seq);
    if (row === undefined) throw new Error('nothing is due');
    const step = { cascade: row, due: time.now, progress: {}, sessions: 0, leases: 7, takenBack: 0, honoured: 0, honouredUntil: null, tasks: [], finished: [], handles: [], audit: [] };
    const taken = await store.takeJob('cascade', 'old', time.now + SECOND, time.now);
    time.now += 2 * SECOND;
    const again = await store.takeJob('cascade', 'new', time.now + MINUTE, time.now);
    const attempt = (fence: number | undefined) => store.cascadeStep(step, time.now, { name: 'cascade', fence: fence ?? -1 });
    expect(await attempt(taken?.fence)).toBe(false);
    expect(await attempt(again?.fence)).toBe(true);
    expect(await attempt(again?.fence)).toBe(false);
    expect((await rig().standing(seq))?.cascade.leases).toBe(7);
    await store.releaseJob('cascade', 'new');
  });

  test('is not kept waiting by one that cannot be carried out, which is tried again', async () => {
    const [bad, good] = [await tree(), await tree()];
    const [first, second] = [await rig().revoke(`session:${bad.session.id}`), await rig().revoke(`session:${good.session.id}`)];
    const failing: NonNullable<Parameters<Rig['carryOut']>[0]>['change'] = (store) => ({ leasesOfSession: (id, after, limit) => (id === bad.session.id ? Promise.reject(new Error('a row that cannot be read')) : store.leasesOfSession(id, after, limit)) });
    await rig().carryOut({ change: failing });
    expect([await counts(first), await counts(second)]).toEqual([[0, 0, false], [1, 5, true]]);
    rig().time.now += MINUTE;
    await rig().carryOut();
    expect(await counts(first)).toEqual([1, 5, true]);
  });

  test('is looked for again where even looking for it failed the first time', async () => {
    await tree({ model: 'autonomous', principal: personOf('frank') });
    const seq = await rig().revoke(`person:${personOf('frank')}`);
    await rig().carryOut({ change: () => ({ sourcePage: () => Promise.reject(new Error('a row that cannot be read')) }) });
    expect(await counts(seq)).toEqual([0, 0, false]);
    rig().time.now += MINUTE;
    await rig().carryOut();
    expect(await counts(seq)).toEqual([1, 5, true]);
  });

  test('is not kept waiting by one that the database cannot read, as long as it answers otherwise', async () => {
    const [bad, good] = [await tree(), await tree()];
    const [first, second] = [await rig().revoke(`hop:${bad.hops.searcher.id}`), await rig().revoke(`session:${good.session.id}`)];
    const path = String((await rig().sql(`SELECT path FROM hop WHERE id = '${bad.hops.tool.id}'`))[0]?.path);
    const setPath = (text: string) => rig().sql(`UPDATE hop SET path = '${text}' WHERE id = '${bad.hops.tool.id}' RETURNING id`);
    await setPath('torn');
    await rig().carryOut();
    expect([await counts(first), await counts(second)]).toEqual([[0, 0, false], [1, 5, true]]);
    await setPath(path);
    rig().time.now += MINUTE;
    await rig().carryOut();
    expect(await counts(first)).toEqual([0, 2, true]);
  });

  test.each([
    { name: 'a session', make: async () => rig().revoke(`session:${(await tree()).session.id}`) },
    { name: 'a person', make: async () => { await tree({ model: 'autonomous', principal: personOf('gail') }); return rig().revoke(`person:${personOf('gail')}`); } },
  ])('of $name begins anew where it cannot be read how far it came, and keeps no other waiting', async ({ make }) => {
    const [bad, good] = [await make(), await rig().revoke(`session:${(await tree()).session.id}`)];
    await rig().carryOut({ steps: 1 });
    await rig().sql(`UPDATE cascade SET progress = 'torn', due = '${new Date(rig().time.now).toISOString().replace('Z', '+00:00')}' WHERE seq = ${bad} RETURNING seq`);
    await rig().carryOut();
    expect([(await counts(bad))[2], (await counts(good))[2]]).toEqual([true, true]);
    expect((await rig().standing(bad))?.cascade.progress).not.toHaveProperty('damaged');
  });

  test('waits where the database does not answer, and is nobody\'s loss', async () => {
    const { session } = await tree();
    const seq = await rig().revoke(`session:${session.id}`);
    const down = () => Promise.reject(new StoreUnavailable('down'));
    await expect(rig().carryOut({ change: () => ({ leasesOfSession: down, ping: down }) })).rejects.toThrow(StoreUnavailable);
    await rig().carryOut();
    expect(await counts(seq)).toEqual([1, 5, true]);
  });

  test('is not kept waiting by a longer one before it', async () => {
    const { session, hop, issue } = rig();
    await rig().carryOut();
    const long = session('first-and-long');
    await Promise.all(Array.from({ length: 1_100 }, () => issue(long, hop(long, 'runner'))));
    const first = await rig().revoke(`session:${long.id}`);
    const { leases } = await tree();
    const second = await rig().revoke(`lease:${leases.search}`);
    await rig().carryOut({ steps: 2 });
    expect([(await counts(first))[2], (await counts(second))[2]]).toEqual([false, true]);
    await rig().carryOut();
    expect(await counts(first)).toEqual([1, 1_100, true]);
  });
});

test('targets are called of the kinds of lease that have one, each by its own provider', () => {
  const answer: Revoke = () => Promise.resolve({ kind: 'revoked' });
  const provider = (leaseKind: string, callsTarget: boolean, revoke: Revoke | undefined): Provider => ({ leaseKind, callsTarget, ...(revoke === undefined ? {} : { revoke }) }) as Provider;
  const revokers = revokersOf([provider('keys', true, answer), provider('access_token', false, answer), provider('certificate', true, undefined)]);
  expect([...revokers]).toEqual([['keys', answer]]);
});
