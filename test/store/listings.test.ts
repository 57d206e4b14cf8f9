import { beforeAll, describe, expect, test } from '@jest/globals';
import { decisionOf } from '../../src/core/ids.ts';
import type { DecisionId, DomainId, HopId, LeaseId, PersonUrn, SessionId, WorkloadId } from '../../src/core/ids.ts';
import { InvalidCursor } from '../../src/store/cursor.ts';
import type { RevocationRow, Target } from '../../src/store/rows.ts';
import type { Issuance, Page } from '../../src/store/store.ts';
import { describeRegistries } from '../support/registries.ts';
import { makeRevocation } from '../support/seed.ts';
import { DOMAIN, ISSUER, makeIssuance, NOW, WORKLOAD } from './make-rows.ts';

describeRegistries({ now: () => NOW }, (registry) => {
  const addIssuance = async ({ session, hop, lease }: Issuance, beganVersion = 10): Promise<void> => {
    await registry().seed.session({ ...session, beganVersion });
    await registry().seed.hop(hop);
    await registry().seed.lease(lease);
  };
  let lastSeq = 1000;
  const revoke = (target: Target, more: Partial<RevocationRow> = {}): Promise<void> => registry().seed.revocation(makeRevocation(++lastSeq, target, more));

  describe('a lease', () => {
    test('is read with its session and hop as they were written', async () => {
      const issuance = makeIssuance('whole', 'whole', { lease: { jkt: 'thumb', handle: 'sealed', handleKekId: 'kek', ceiling: [{ audience: 'a', scopes: ['x', 'y'] }] }, hop: { jkt: 'thumb', parentId: 'hop_parent' as HopId, depth: 2 } });
      await addIssuance(issuance);
      expect(await registry().reads.leaseStanding(issuance.lease.id)).toEqual({ lease: issuance.lease, session: { ...issuance.session, beganVersion: 10 }, hop: issuance.hop, revokedBy: undefined, ended: false });
      expect(await registry().reads.leaseByDecision(decisionOf(issuance.lease.id))).toEqual(issuance.lease);
    });

    test('with every column that may be empty is read as empty', async () => {
      const issuance = makeIssuance('sparse', 'sparse', { lease: { resourceId: null, replayKey: null, replayUntil: null, kid: null, jkt: null, handle: null, handleKekId: null } });
      await addIssuance(issuance);
      expect((await registry().reads.leaseStanding(issuance.lease.id))?.lease).toEqual(issuance.lease);
    });

    test('that does not exist is undefined', async () => {
      expect(await registry().reads.leaseStanding('lse_none' as LeaseId)).toBeUndefined();
      expect(await registry().reads.leaseByDecision('dec_none' as DecisionId)).toBeUndefined();
      expect(await registry().reads.session('none' as SessionId)).toBeUndefined();
      expect(await registry().reads.denial('dec_none' as DecisionId)).toBeUndefined();
    });

    test.each<{ name: string; target: (issuance: Issuance) => Target }>([
      { name: 'lease', target: ({ lease }) => `lease:${lease.id}` },
      { name: 'signing key', target: ({ lease }) => `key:${lease.kid ?? ''}` },
      { name: 'hop', target: ({ hop }) => `hop:${hop.id}` },
      { name: 'parent hop', target: () => 'hop:hop_above' },
      { name: 'session', target: ({ session }) => `session:${session.id}` },
      { name: 'person', target: () => 'person:urn:mayfly:prod:person:corp:ada%20l' },
    ])('is revoked with its $name, and stands while another one is', async ({ name, target }) => {
      const own = makeIssuance(`own ${name}`, `own ${name}`, { lease: { kid: `kid own ${name}` } });
      const other = makeIssuance(`other ${name}`, `other ${name}`);
      const revoked = target(own);
      // Lease and key stand in no path.
      const path = /^(?:lease|key):/.test(revoked) ? own.hop.path : [...own.hop.path, revoked];
      await addIssuance({ ...own, hop: { ...own.hop, path } });
      await addIssuance(other);
      expect((await registry().reads.leaseStanding(own.lease.id))?.revokedBy).toBeUndefined();
      await revoke(revoked);
      expect((await registry().reads.leaseStanding(own.lease.id))?.revokedBy).toBe(revoked);
      expect((await registry().reads.leaseStanding(other.lease.id))?.revokedBy).toBeUndefined();
    });

    test.each([
      { name: 'an open revocation made before the session began', seq: 5, enabledSeq: null, stands: false },
      { name: 'an open revocation made after it', seq: 15, enabledSeq: null, stands: false },
      { name: 'a lifted revocation made after the session began', seq: 16, enabledSeq: 17, stands: false },
      { name: 'a lifted revocation made before it', seq: 6, enabledSeq: 7, stands: true },
      { name: 'a revocation made before it and lifted after it', seq: 8, enabledSeq: 18, stands: true },
    ])('under $name stands: $stands', async ({ seq, enabledSeq, stands }) => {
      const issuance = makeIssuance(`seq ${seq}`);
      await addIssuance(issuance, 10);
      await revoke(`session:${issuance.session.id}`, { seq, enabledSeq });
      expect((await registry().reads.leaseStanding(issuance.lease.id))?.revokedBy === undefined).toBe(stands);
      expect((await registry().reads.session(issuance.session.id))?.revokedBy === undefined).toBe(stands);
    });

    test('names the revocation that came first', async () => {
      const issuance = makeIssuance('twice');
      await addIssuance(issuance);
      await revoke(`session:${issuance.session.id}`, { seq: 31 });
      await revoke(`lease:${issuance.lease.id}`, { seq: 30 });
      expect((await registry().reads.leaseStanding(issuance.lease.id))?.revokedBy).toBe(`lease:${issuance.lease.id}`);
    });

    test.each([
      { name: 'ended session', parts: { session: { endedAt: NOW - 1 } }, ended: true },
      { name: 'session that expires now', parts: { session: { expiresAt: NOW } }, ended: true },
      { name: 'session that expires in a millisecond', parts: { session: { expiresAt: NOW + 1 } }, ended: false },
      { name: 'hop that expires now', parts: { hop: { expiresAt: NOW } }, ended: true },
      { name: 'hop that expires in a millisecond', parts: { hop: { expiresAt: NOW + 1 } }, ended: false },
    ])('of a $name is over: $ended', async ({ name, parts, ended }) => {
      const issuance = makeIssuance(name, name, parts);
      await addIssuance(issuance);
      expect((await registry().reads.leaseStanding(issuance.lease.id))?.ended).toBe(ended);
    });
  });

  describe('a listing', () => {
    const domain = 'dom_listed' as DomainId;
    const workload = 'wkl_listed' as WorkloadId;
    const HOLDER = 'urn:mayfly:prod:person:corp:li%20sted' as PersonUrn;
    // Five leases of three moments: ties in time are told apart by id.
    const listed = [0, 0, 1, 1, 2].map((age, index) => makeIssuance(`listed ${index}`, `listed ${index}`, {
      session: { domainId: domain, startedAt: NOW - age, ...(index === 3 ? { holder: HOLDER } : {}) }, lease: { domainId: domain, issuedAt: NOW - age, workloadId: index === 4 ? workload : WORKLOAD }, hop: { path: [] },
    }));
    const newestFirst = [...listed].sort((a, b) => b.lease.issuedAt - a.lease.issuedAt || (a.lease.id < b.lease.id ? 1 : -1)).map(({ lease }) => lease.id);
    beforeAll(async () => { for (const issuance of listed) await addIssuance(issuance); });

    const walk = async <T>(read: (after: string | undefined) => Promise<Page<T>>): Promise<readonly T[][]> => {
      const pages: T[][] = [];
      for (let after: string | undefined, more = true; more; more = after !== undefined) {
        const page = await read(after);
        pages.push([...page.items]);
        after = page.next;
      }
      return pages;
    };

    test('of leases goes from the newest to the oldest, page by page', async () => {
      const pages = await walk((after) => registry().reads.leases({ domainId: domain }, { limit: 2, after }));
      expect(pages.map((page) => page.length)).toEqual([2, 2, 1]);
      expect(pages.flat().map(({ lease }) => lease.id)).toEqual(newestFirst);
    });

    test('of all leases goes by their ids, which sort by age', async () => {
      const ids = (await walk((after) => registry().reads.leases({}, { limit: 3, after }))).flat().map(({ lease }) => lease.id);
      expect(ids).toEqual([...new Set(ids)].sort().reverse());
      expect(ids).toEqual(expect.arrayContaining(newestFirst));
    });

    test('whose last page is full has no next page', async () => {
      expect((await registry().reads.leases({ domainId: domain }, { limit: 5, after: undefined })).next).toBeUndefined();
      expect((await registry().reads.leases({ domainId: domain }, { limit: 4, after: undefined })).next).toBeDefined();
    });

    test('of sessions goes from the newest to the oldest, page by page', async () => {
      const pages = await walk((after) => registry().reads.sessions({ domainId: domain }, { limit: 2, after }));
      expect(pages.flat().map(({ session }) => session.id).sort()).toEqual(listed.map(({ session }) => session.id).sort());
      const starts = pages.flat().map(({ session }) => session.startedAt);
      expect(starts).toEqual([...starts].sort((a, b) => b - a));
    });

    test.each([
      { name: 'workload', filter: { workloadId: workload }, expected: [4] },
      { name: 'session', filter: { sessionId: listed[2]?.session.id as SessionId }, expected: [2] },
      { name: 'domain and workload', filter: { domainId: domain, workloadId: workload }, expected: [4] },
      { name: 'holder of the session', filter: { holder: HOLDER }, expected: [3] },
      { name: 'another domain and that workload', filter: { domainId: DOMAIN, workloadId: workload }, expected: [] },
    ])('of leases can be narrowed to one $name', async ({ filter, expected }) => {
      const { items } = await registry().reads.leases(filter, { limit: 10, after: undefined });
      expect(items.map(({ lease }) => lease.id)).toEqual(expected.map((index) => listed[index]?.lease.id));
    });

    test.each([{ name: 'a made-up word', after: 'nonsense' }, { name: 'nothing', after: '' }, { name: 'far too much', after: Buffer.from(`1.${'a'.repeat(300)}`).toString('base64url') }])('refuses $name as its cursor', async ({ after }) => {
      await expect(registry().reads.leases({}, { limit: 1, after })).rejects.toBeInstanceOf(InvalidCursor);
    });

    test('of what is active leaves out the expired, ended and revoked', async () => {
      const only = 'dom_active' as DomainId;
      const inDomain = { domainId: only };
      const live = makeIssuance('live', 'live', { lease: inDomain });
      await addIssuance(live);
      await addIssuance(makeIssuance('expired', 'expired', { lease: { ...inDomain, expiresAt: NOW } }));
      await addIssuance(makeIssuance('hop over', 'hop over', { lease: inDomain, hop: { expiresAt: NOW } }));
      await addIssuance(makeIssuance('session over', 'session over', { lease: inDomain, session: { expiresAt: NOW } }));
      await addIssuance(makeIssuance('session ended', 'session ended', { lease: inDomain, session: { endedAt: NOW } }));
      const revoked = makeIssuance('revoked', 'revoked', { lease: inDomain });
      await addIssuance(revoked);
      await revoke(`hop:${revoked.hop.id}`);
      const active = await registry().reads.leases({ domainId: only, activeAt: NOW }, { limit: 10, after: undefined });
      expect(active.items.map(({ lease }) => lease.id)).toEqual([live.lease.id]);
      expect((await registry().reads.leases({ domainId: only }, { limit: 10, after: undefined })).items).toHaveLength(6);
    });
  });

  describe('a hop', () => {
    test('is read as it was written; one that does not exist is undefined', async () => {
      const { session, hop } = makeIssuance('one hop');
      await registry().seed.session({ ...session, beganVersion: 3 });
      await registry().seed.hop(hop);
      expect(await registry().reads.hop(hop.id)).toEqual(hop);
      expect(await registry().reads.hop('hop_none' as HopId)).toBeUndefined();
    });
  });

  describe('what a session was used for', () => {
    // Ids sort by age: three uses of two kinds by one hop, one by another, and a session beside it.
    const session = makeIssuance('used').session;
    const [hop, child] = [makeIssuance('used').hop, { ...makeIssuance('used').hop, id: 'hop_used_child' as HopId, depth: 1 }];
    const lease = (age: string, more: Partial<Issuance['lease']> = {}): Issuance['lease'] => ({ ...makeIssuance(`use ${age}`, 'used').lease, id: `lse_${age}` as LeaseId, ...more });
    const rows = [
      lease('used4', { scope: 'b' }), lease('used1', { kind: 'session_token' }), lease('used3', { scope: 'a' }), lease('used2', { scope: 'a' }), lease('used5', { hopId: child.id, scope: 'a' }),
    ];
    beforeAll(async () => {
      await registry().seed.session({ ...session, beganVersion: 3 });
      for (const each of [hop, child]) await registry().seed.hop(each);
      for (const each of rows) await registry().seed.lease(each);
      await addIssuance(makeIssuance('used elsewhere'));
    });

    test('is told by hop, kind, audience and scope, the latest first, with what each hop was opened with', async () => {
      const { uses, more, opened } = await registry().reads.sessionUses(session.id, 10);
      const { audience } = rows[0] ?? lease('x');
      expect(uses).toEqual([
        { hopId: child.id, kind: 'access-token', audience, scope: 'a', count: 1, first: 'lse_used5', last: 'lse_used5' },
        { hopId: hop.id, kind: 'access-token', audience, scope: 'b', count: 1, first: 'lse_used4', last: 'lse_used4' },
        { hopId: hop.id, kind: 'access-token', audience, scope: 'a', count: 2, first: 'lse_used2', last: 'lse_used3' },
        { hopId: hop.id, kind: 'session_token', audience, scope: 'deploy:read deploy:write', count: 1, first: 'lse_used1', last: 'lse_used1' },
      ]);
      expect(more).toBe(false);
      expect(opened.map(({ id }) => id).sort()).toEqual(['lse_used1', 'lse_used5']);
    });

    test('is found from the workload: sessions that run, by its newest leases of a kind', async () => {
      const worker = 'wkl_worker' as WorkloadId;
      const issue = async (name: string, at: number, more: { readonly kind?: string; readonly session?: Partial<Issuance['session']>; readonly workloadId?: WorkloadId } = {}): Promise<SessionId> => {
        const issuance = makeIssuance(name, name, { session: more.session ?? {}, lease: { id: `lse_w${name}` as LeaseId, workloadId: more.workloadId ?? worker, kind: more.kind ?? 'handover_token', issuedAt: NOW + at } });
        await addIssuance(issuance);
        return issuance.session.id;
      };
      expect(await registry().reads.sessionsWith(worker, 'handover_token', 5, NOW)).toEqual({ sessions: [], more: false });
      const [oldest, second] = [await issue('w1', 1), await issue('w2', 2)];
      await issue('w3', 3, { kind: 'access_token' });
      await issue('w4', 4, { session: { endedAt: NOW } });
      await issue('w5', 5, { session: { expiresAt: NOW } });
      await issue('w6', 6, { workloadId: 'wkl_other' as WorkloadId });
      const asked = async (newest: number) => {
        const { sessions, more } = await registry().reads.sessionsWith(worker, 'handover_token', newest, NOW);
        return { sessions: [...sessions].sort(), more };
      };
      expect(await asked(6)).toEqual({ sessions: [oldest, second].sort(), more: false });
      expect(await asked(5)).toEqual({ sessions: [oldest, second].sort(), more: true });
      expect(await asked(4)).toEqual({ sessions: [second], more: true });
      expect(await asked(3)).toEqual({ sessions: [], more: true });
    });

    test('says that there is more where there is', async () => {
      const two = await registry().reads.sessionUses(session.id, 2);
      expect([two.uses.map(({ last }) => last), two.more]).toEqual([['lse_used5', 'lse_used4'], true]);
      expect((await registry().reads.sessionUses(session.id, 4)).more).toBe(false);
      expect(await registry().reads.sessionUses('none' as SessionId, 4)).toEqual({ uses: [], more: false, opened: [] });
    });
  });

  describe('revocations', () => {
    test('of some targets are read with their reasons, lifted ones too, in the order they were made', async () => {
      await revoke('session:told', { seq: 501, reason: 'gone' });
      await revoke('person:told', { seq: 500, effect: 'suspended', reason: 'lost device', enabledSeq: 502, enabledAt: NOW, enabledBy: 'ada' });
      await revoke('person:other', { seq: 503 });
      const rows = await registry().reads.revocationsOf(['session:told', 'person:told', 'hop:untold']);
      expect(rows.map(({ seq, target, effect, reason, enabledSeq }) => [seq, target, effect, reason, enabledSeq])).toEqual([[500, 'person:told', 'suspended', 'lost device', 502], [501, 'session:told', 'revoked', 'gone', null]]);
      expect(await registry().reads.revocationsOf([])).toEqual([]);
    });
  });

  describe('a session', () => {
    test('is read with its hops, oldest first', async () => {
      const { session, hop } = makeIssuance('family');
      const child = { ...hop, id: 'hop_child' as HopId, parentId: hop.id, createdAt: NOW + 1, path: [...hop.path, 'hop:hop_child' as const] };
      await registry().seed.session({ ...session, beganVersion: 3 });
      await registry().seed.hop(child);
      await registry().seed.hop(hop);
      expect(await registry().reads.session(session.id)).toEqual({ session: { ...session, beganVersion: 3 }, hops: [hop, child], budgets: [], revokedBy: undefined, suspendedBy: undefined });
    });

    test.each<{ name: string; target: Target; falls: boolean }>([
      { name: 'workload', target: 'workload:wkl_s1', falls: true },
      { name: 'issuer', target: 'issuer:iss_s1', falls: true },
      { name: 'domain', target: 'domain:dom_s1', falls: true },
      { name: 'person', target: 'person:urn:mayfly:prod:person:corp:bob', falls: true },
      { name: 'one hop', target: 'hop:hop_s1', falls: false },
    ])('falls with its $name: $falls', async ({ name, target, falls }) => {
      const mine = { holder: name === 'workload' ? 'wkl_s1' : WORKLOAD, principal: name === 'person' ? 'urn:mayfly:prod:person:corp:bob' : 'payments@acme.example', issuerId: name === 'issuer' ? 'iss_s1' : ISSUER, domainId: name === 'domain' ? 'dom_s1' : DOMAIN } as Partial<Issuance['session']>;
      const issuance = makeIssuance(`falls ${name}`, `falls ${name}`, { session: mine, hop: { path: ['hop:hop_s1'] } });
      await addIssuance(issuance);
      await revoke(target);
      expect((await registry().reads.session(issuance.session.id))?.revokedBy).toBe(falls ? target : undefined);
    });
  });
});
