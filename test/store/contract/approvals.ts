import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DAY, HOUR, MINUTE } from '../../../src/core/duration.ts';
import type { ApprovalId } from '../../../src/core/ids.ts';
import { sha256 } from '../../../src/core/bytes.ts';
import type { OwnStore } from '../../../src/store/create-store.ts';
import type { ApprovalRow, ApprovalVote } from '../../../src/store/approval-rows.ts';
import type { Target } from '../../../src/store/rows.ts';
import type { AskBounds, Issuance, StoreWrites } from '../../../src/store/store.ts';
import { DOMAIN, ISSUER, NOW, WORKLOAD, makeEvent, makeIssuance } from '../make-rows.ts';
import { openStore } from '../place.ts';
import type { MakePlace, Place } from '../place.ts';

const WIDE: AskBounds = { waiting: 1_000, inSession: 1_000, recent: 1_000, since: NOW - HOUR };
const approvalId = (name: string): ApprovalId => `apr_${sha256(name).toString('hex').slice(0, 32)}` as ApprovalId;

export const makeApproval = (name: string, issuance: Issuance, change: Partial<ApprovalRow> = {}): ApprovalRow => ({
  id: approvalId(name), domainId: DOMAIN, sessionId: issuance.session.id, hopId: issuance.hop.id, workloadId: WORKLOAD, leaseId: issuance.lease.id, codeHash: `code ${name}`, jkt: 'thumbprint',
  frozen: '{"text":"ü\\u0000 \\"quoted\\""}', hash: `hash ${name}`, names: ['leads', 'security'], status: 'pending', revision: 1, votes: [], closedBy: null, reason: null,
  askedAt: NOW, expiresAt: NOW + HOUR, decidedAt: null, redeemedAt: null, redeemedLease: null, noticeAt: NOW + MINUTE, noticeAttempts: 0, ...change,
});

const VOTE = { name: 'leads', person: 'urn:mayfly:prod:person:corp:bob' as ApprovalVote['person'], issuer: 'corp', issuerId: ISSUER, iss: 'https://idp.acme.example', sub: 'bob', groups: ['leads'], at: NOW } satisfies ApprovalVote;

/** Requests that wait for people. */
export const describeApprovals = (makePlace: MakePlace): void => {
  describe('approvals', () => {
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

    const count = async (table: string, where: string): Promise<number> => Number((await place.sql(`SELECT count(*) AS n FROM ${table} WHERE ${where}`))[0]?.n);
    const asking = (name: string, session = name, change: Partial<ApprovalRow> = {}, bounds: AskBounds = WIDE): Issuance => {
      const issuance = makeIssuance(`ask ${name}`, session, { lease: { kind: 'deferral' } });
      return { ...issuance, approval: { kind: 'ask', row: makeApproval(name, issuance, change), bounds } };
    };
    const ask = async (name: string, session = name, change: Partial<ApprovalRow> = {}): Promise<ApprovalRow> => {
      const issuance = asking(name, session, change);
      expect(await store.issue(issuance)).toBe('committed');
      if (issuance.approval?.kind !== 'ask') throw new Error('asks nobody');
      return issuance.approval.row;
    };
    const answer = (row: Pick<ApprovalRow, 'id' | 'revision'>, change: Partial<Parameters<StoreWrites['answerApproval']>[0]> = {}): Promise<boolean> =>
      store.answerApproval({ id: row.id, revision: row.revision, status: 'approved', votes: [VOTE], closedBy: null, reason: null, at: NOW, audit: makeEvent('approval.approved', { approval: row.id }), ...change });
    const approved = async (name: string, change: Partial<ApprovalRow> = {}): Promise<ApprovalRow> => {
      const row = await ask(name, name, change);
      expect(await answer(row)).toBe(true);
      return row;
    };
    const redeeming = (row: ApprovalRow, name: string, change: Partial<ApprovalRow> = {}): Issuance => {
      const issuance = makeIssuance(`redeem ${name}`, `redeem ${row.id}`, { lease: { replayKey: null, replayUntil: null }, proofs: [{ key: `proof ${name}`, until: NOW + HOUR }] });
      return { ...issuance, approval: { kind: 'redeem', id: row.id, hash: change.hash ?? row.hash, audit: makeEvent('approval.redeemed', { approval: row.id, by: name }) } };
    };

    test('read back through Prisma every column that SQL by hand wrote', async () => {
      const row = await ask('columns', 'columns', { closedBy: 'ü\u2028"', reason: 'why', decidedAt: NOW + 1, redeemedAt: NOW + 2, redeemedLease: makeIssuance('x').lease.id, votes: [VOTE], noticeAttempts: 3, status: 'denied' });
      expect(await store.approval(row.id)).toEqual(row);
      expect(await store.approvalByCode('code columns')).toEqual(row);
      expect(await store.approvalByCode('code nothing')).toBeUndefined();
      expect(await store.approval(approvalId('nothing'))).toBeUndefined();
    });

    test('read back absent values as null', async () => {
      const row = await ask('nulls', 'nulls', { noticeAt: null });
      expect(await store.approval(row.id)).toEqual(row);
    });

    test('are not written where the request itself is refused', async () => {
      const spent = makeIssuance('spent evidence', 'spent', { lease: { replayKey: 'spent by a lease' } });
      expect(await store.issue(spent)).toBe('committed');
      const replayed = asking('replayed');
      expect(await store.issue({ ...replayed, lease: { ...replayed.lease, replayKey: 'spent by a lease' } })).toBe('replayed');
      expect(await store.approval(approvalId('replayed'))).toBeUndefined();
    });

    test('use evidence up: what was deferred pays for nothing else', async () => {
      const row = asking('evidence');
      const used = { ...row, lease: { ...row.lease, replayKey: 'spent by a deferral' } };
      expect(await store.issue(used)).toBe('committed');
      expect(await store.issue(makeIssuance('again', 'again', { lease: { replayKey: 'spent by a deferral' } }))).toBe('replayed');
    });

    test('never crowd people: so many wait for one workload and one session, and so many are asked for in a time', async () => {
      const [waiting] = [await count('approval', "status = 'pending'")];
      const inSession = { ...WIDE, inSession: 2 };
      expect(await store.issue(asking('crowd-1', 'crowd', {}, inSession))).toBe('committed');
      expect(await store.issue(asking('crowd-2', 'crowd', {}, inSession))).toBe('committed');
      const refused = asking('crowd-3', 'crowd', {}, inSession);
      expect(await store.issue({ ...refused, proofs: [{ key: 'crowded proof', until: NOW }] })).toBe('crowded');
      expect(await count('lease', `id = '${refused.lease.id}'`)).toBe(0);
      expect(await count('replay', `"key" = 'crowded proof'`)).toBe(0);
      expect(await store.issue(asking('crowd-4', 'crowd-elsewhere', {}, inSession))).toBe('committed');
      expect(await store.issue(asking('crowd-5', 'crowd-5', {}, { ...WIDE, waiting: waiting + 3 }))).toBe('crowded');
      expect(await store.issue(asking('crowd-5', 'crowd-5', {}, { ...WIDE, waiting: waiting + 4 }))).toBe('committed');
      const asked = await count('approval', 'true');
      expect(await store.issue(asking('crowd-6', 'crowd-6', {}, { ...WIDE, recent: asked }))).toBe('crowded');
      expect(await store.issue(asking('crowd-6', 'crowd-6', {}, { ...WIDE, recent: asked + 1 }))).toBe('committed');
      // Asked at once they share a batch, and each counts for those behind it.
      const together = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => store.issue(asking(`crowd-${name}`, 'crowd-together', {}, inSession))));
      expect(together.filter((outcome) => outcome === 'committed')).toHaveLength(2);
    });

    test.each(['lease', 'session', 'hop', 'person'] as const)('crowd nobody once the %s they rest on was revoked', async (kind) => {
      const name = `given-back-${kind}`;
      const alone = (which: string): Issuance => {
        const asked = asking(`${name}-${which}`, `${name}-${which}`, { workloadId: `wkl_${kind}` as ApprovalRow['workloadId'] }, { ...WIDE, waiting: 1 });
        return { ...asked, hop: { ...asked.hop, path: [...asked.hop.path, `person:${which}-of-${kind}`] } };
      };
      const first = alone('1');
      expect(await store.issue(first)).toBe('committed');
      expect(await store.issue(alone('2'))).toBe('crowded');
      const target: Target = kind === 'lease' ? `lease:${first.lease.id}` : kind === 'hop' ? `hop:${first.hop.id}` : kind === 'session' ? `session:${first.session.id}` : `person:1-of-${kind}`;
      const revoke = (effect?: 'suspended') => store.change({ at: NOW, by: 'test', revocations: [{ target, domainId: DOMAIN, reason: 'r', purgeAfter: null, ...(effect === undefined ? {} : { effect }) }], audit: [makeEvent('revocation.made')] });
      // What is suspended may still be answered.
      await revoke('suspended');
      expect(await store.issue(alone('2'))).toBe('crowded');
      await revoke();
      expect(await store.issue(alone('3'))).toBe('committed');
      expect(await store.issue(alone('4'))).toBe('crowded');
    });

    test('leave their place in their session as well once they are taken back', async () => {
      const [room, name] = [{ ...WIDE, inSession: 1 }, 'place-in-session'];
      const first = asking(`${name}-1`, name, {}, room);
      expect(await store.issue(first)).toBe('committed');
      expect(await store.issue(asking(`${name}-2`, name, {}, room))).toBe('crowded');
      await store.change({ at: NOW, by: 'test', revocations: [{ target: `lease:${first.lease.id}`, domainId: DOMAIN, reason: 'r', purgeAfter: null }], audit: [makeEvent('revocation.made')] });
      expect(await store.issue(asking(`${name}-3`, name, {}, room))).toBe('committed');
    });

    test('are answered once as they were seen, and not after their end', async () => {
      const row = await ask('answered');
      expect(await answer({ ...row, revision: 2 })).toBe(false);
      expect(await answer(row, { status: 'pending' })).toBe(true);
      expect(await answer(row)).toBe(false);
      expect(await store.approval(row.id)).toMatchObject({ status: 'pending', revision: 2, votes: [VOTE], decidedAt: NOW });
      expect(await answer({ ...row, revision: 2 }, { at: NOW + HOUR })).toBe(false);
      expect(await answer({ ...row, revision: 2 }, { status: 'denied', closedBy: 'bob', reason: 'no' })).toBe(true);
      expect(await store.approval(row.id)).toMatchObject({ status: 'denied', closedBy: 'bob', reason: 'no', revision: 3 });
      expect(await answer({ ...row, revision: 3 })).toBe(false);
      expect(await count('audit', `action = 'approval.approved' AND body LIKE '%${row.id}%'`)).toBe(2);
    });

    test('are redeemed by one of many at once, and the losers leave nothing behind', async () => {
      const row = await approved('contested');
      const issuances = Array.from({ length: 20 }, (_, at) => redeeming(row, `contested-${at}`));
      const outcomes = await Promise.all(issuances.map((issuance) => store.issue(issuance)));
      expect(outcomes.filter((outcome) => outcome === 'committed')).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome === 'unredeemable')).toHaveLength(19);
      const winner = issuances[outcomes.indexOf('committed')];
      expect(await store.approval(row.id)).toMatchObject({ status: 'redeemed', redeemedAt: NOW, redeemedLease: winner?.lease.id, hopId: winner?.hop.id, revision: 3 });
      expect(await count('lease', `session_id = '${winner?.session.id ?? ''}'`)).toBe(1);
      expect(await count('replay', `"key" LIKE 'proof contested-%'`)).toBe(1);
      expect(await count('audit', `action = 'approval.redeemed' AND body LIKE '%${row.id}%'`)).toBe(1);
      expect((await store.standingApprovals(winner?.hop.id ?? row.hopId, NOW)).map(({ id }) => id)).toEqual([row.id]);
      expect(await store.standingApprovals(winner?.hop.id ?? row.hopId, NOW + HOUR)).toEqual([]);
    });

    test('are redeemed by one of many that come to several nodes at once', async () => {
      // SQLite has one writing process.
      const nodes = place.engine === 'sqlite' ? [store, store] : [store, await openStore(place)];
      const rows = [];
      for (const name of ['nodes-1', 'nodes-2', 'nodes-3']) rows.push(await approved(name));
      const outcomes = await Promise.all(rows.flatMap((row) => Array.from({ length: 10 }, (_, at) => (nodes[at % 2] ?? store).issue(redeeming(row, `nodes ${row.id} ${at}`)))));
      for (const [at] of rows.entries()) expect(outcomes.slice(at * 10, at * 10 + 10).toSorted()).toEqual(['committed', ...Array.from({ length: 9 }, () => 'unredeemable')]);
      if (nodes[1] !== store) await nodes[1]?.close();
    });

    test.each<{ readonly name: string; readonly make: (name: string) => Promise<ApprovalRow>; readonly hash?: string; readonly revoke?: boolean }>([
      { name: 'pending', make: (name) => ask(name) },
      { name: 'denied', make: async (name) => { const row = await ask(name); await answer(row, { status: 'denied' }); return row; } },
      { name: 'over', make: async (name) => { const row = await ask(name, name, { expiresAt: NOW + 1 }); await answer(row); await place.sql(`UPDATE approval SET expires_at = asked_at WHERE id = '${row.id}'`); return row; } },
      { name: 'of another text', make: (name) => approved(name), hash: 'hash of another' },
      { name: 'cancelled', make: (name) => approved(name), revoke: true },
    ])('are not redeemed while $name, and nothing is used up', async ({ name, make, hash, revoke }) => {
      const row = await make(`not ${name}`);
      if (revoke === true) await store.change({ at: NOW, by: 'holder', revocations: [{ target: `lease:${row.leaseId}`, domainId: DOMAIN, reason: 'r', purgeAfter: null }], audit: [makeEvent('revocation.made')] });
      const before = await store.approval(row.id);
      const issuance = redeeming(row, `not ${name}`, hash === undefined ? {} : { hash });
      expect(await store.issue(issuance)).toBe('unredeemable');
      expect(await store.approval(row.id)).toEqual(before);
      expect(await count('lease', `id = '${issuance.lease.id}'`)).toBe(0);
      expect(await count('replay', `"key" = 'proof not ${name}'`)).toBe(0);
    });

    test('are not used up by a redemption that is refused', async () => {
      const row = await approved('kept');
      const issuance = redeeming(row, 'kept');
      await store.consume([{ key: 'proof kept', until: NOW }]);
      expect(await store.issue(issuance)).toBe('proof_replayed');
      expect(await store.issue({ ...issuance, session: { ...issuance.session, expiresAt: NOW }, proofs: [] })).toBe('ended');
      expect(await store.approval(row.id)).toMatchObject({ status: 'approved', revision: 2 });
      expect(await store.issue({ ...issuance, proofs: [] })).toBe('committed');
      expect(await store.issue({ ...redeeming(row, 'kept-again'), proofs: [] })).toBe('unredeemable');
    });

    test('are not used up by a redemption that has no room in a budget, or whose evidence was used, though both are found out last', async () => {
      const row = await approved('no-room');
      const issuance = redeeming(row, 'no-room');
      const task = makeIssuance('task', 'no-room-task', { session: { model: 'autonomous', freshAt: NOW } }).session;
      expect(await store.open({ session: task, path: [`session:${task.id}`], budgets: [{ sessionId: task.id, kind: 'tokens', most: 1, used: 0 }], audit: makeEvent('session.opened') })).toBe('committed');
      const charge = { session: task.id, agent: 'spiffe://prod.acme.example/ops/fixer', resource: undefined };
      // One batch: the first has the room, and the second finds that out after its lease was written.
      const [other, refused] = await Promise.all([store.issue({ ...makeIssuance('has-room', 'no-room'), charge }), store.issue({ ...issuance, charge })]);
      expect([other, refused]).toEqual(['committed', 'exhausted']);
      const used = makeIssuance('used', 'used', { lease: { replayKey: 'used evidence' } });
      expect(await store.issue(used)).toBe('committed');
      expect(await store.issue({ ...issuance, lease: { ...issuance.lease, replayKey: 'used evidence', replayUntil: NOW + HOUR } })).toBe('replayed');
      expect(await store.approval(row.id)).toMatchObject({ status: 'approved', revision: 2 });
      expect(await store.issue(issuance)).toBe('committed');
      expect(await store.approval(row.id)).toMatchObject({ status: 'redeemed' });
    });

    test('are listed newest first, a page at a time, as they stand at a moment', async () => {
      const later = (minutes: number): Partial<ApprovalRow> => ({ askedAt: NOW + minutes * MINUTE, expiresAt: NOW + minutes * MINUTE + HOUR });
      const rows = [];
      for (const at of [1, 2, 3]) rows.unshift(await ask(`listed-${at}`, 'listed', later(at)));
      const sessionId = rows[0]?.sessionId;
      if (sessionId === undefined) throw new Error('nothing was asked');
      const list = (change: object, limit = 10, after?: string) => store.approvals({ sessionId, now: NOW, ...change }, { limit, after });
      const first = await list({}, 2);
      expect(first.items.map(({ id }) => id)).toEqual(rows.slice(0, 2).map(({ id }) => id));
      expect((await list({}, 2, first.next)).items.map(({ id }) => id)).toEqual(rows.slice(2).map(({ id }) => id));
      expect((await list({ status: 'pending', now: NOW + HOUR + 2 * MINUTE })).items.map(({ id }) => id)).toEqual([rows[0]?.id]);
      expect((await list({ status: 'expired', now: NOW + HOUR + 2 * MINUTE })).items.map(({ id }) => id)).toEqual(rows.slice(1).map(({ id }) => id));
      expect((await list({ status: 'redeemed' })).items).toEqual([]);
      expect(await answer(rows[0] ?? first.items[0] as ApprovalRow, { status: 'approved' })).toBe(true);
      expect((await list({ status: 'open', now: NOW + HOUR + MINUTE })).items.map(({ id, status }) => [id, status])).toEqual([[rows[0]?.id, 'approved'], [rows[1]?.id, 'pending']]);
      expect((await list({ domainId: 'dom_x' })).items).toEqual([]);
    });

    test('end when their time is over, each with an entry, by the job that holds the fence', async () => {
      const row = await ask('ending', 'ending', { expiresAt: NOW + 10 * DAY });
      const held = { name: 'approvals', fence: 1 };
      await store.takeJob('approvals', 'a', NOW + 20 * DAY, NOW);
      expect(await store.expireApprovals(NOW + 10 * DAY, 1_000, { name: 'approvals', fence: 2 })).toBe(0);
      expect(await store.approval(row.id)).toMatchObject({ status: 'pending' });
      expect(await store.expireApprovals(NOW + 10 * DAY, 1, held)).toBe(1);
      expect(await store.expireApprovals(NOW + 10 * DAY, 1_000, held)).toBeGreaterThan(0);
      expect(await store.expireApprovals(NOW + 10 * DAY, 1_000, held)).toBe(0);
      expect(await store.approval(row.id)).toMatchObject({ status: 'expired', noticeAt: null });
      expect(await count('audit', `action = 'approval.expired' AND body LIKE '%${row.id}%' AND domain_id = '${DOMAIN}'`)).toBe(1);
    });

    test('are due to be told of at their time, oldest first, until the job that holds the fence says otherwise', async () => {
      await place.sql('UPDATE approval SET notice_at = NULL');
      const [second, first] = [await ask('told-2', 'told', { noticeAt: NOW + 2 }), await ask('told-1', 'told', { noticeAt: NOW + 1 })];
      await store.takeJob('notices', 'a', NOW + DAY, NOW);
      const held = { name: 'notices', fence: 1 };
      const due = async (now: number, limit = 10): Promise<readonly string[]> => (await store.dueNotices(now, limit)).map(({ id }) => id);
      expect(await due(NOW)).toEqual([]);
      expect(await due(NOW + 2)).toEqual([first.id, second.id]);
      expect(await due(NOW + 2, 1)).toEqual([first.id]);
      expect(await store.noteNotice(first.id, null, 1, NOW, { name: 'notices', fence: 9 })).toBe(false);
      expect(await store.noteNotice(first.id, null, 1, NOW, held)).toBe(true);
      expect(await store.noteNotice(second.id, NOW + MINUTE, 4, NOW, held)).toBe(true);
      expect(await due(NOW + MINUTE)).toEqual([second.id]);
      expect(await store.approval(second.id)).toMatchObject({ noticeAt: NOW + MINUTE, noticeAttempts: 4, revision: 1 });
    });

    test('go with the leases, 90 days after their end', async () => {
      const row = await ask('old', 'old');
      await store.takeJob('purge', 'a', NOW + 200 * DAY, NOW);
      const purge = (now: number) => store.purge(now, 10_000, { name: 'purge', fence: 1 });
      await purge(NOW + HOUR + 90 * DAY);
      expect(await store.approval(row.id)).toBeDefined();
      await purge(NOW + HOUR + 90 * DAY + 1);
      expect(await store.approval(row.id)).toBeUndefined();
    });
  });
};
