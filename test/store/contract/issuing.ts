import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE } from '../../../src/core/duration.ts';
import { decisionOf } from '../../../src/core/ids.ts';
import type { SpiffeId, WorkloadId } from '../../../src/core/ids.ts';
import type { OwnStore } from '../../../src/store/create-store.ts';
import type { ChainLink, Target } from '../../../src/store/rows.ts';
import type { Issuance, RegistryChange } from '../../../src/store/store.ts';
import { DOMAIN, NOW, WORKLOAD, makeEvent, makeIssuance } from '../make-rows.ts';
import type { Parts } from '../make-rows.ts';
import { openStore } from '../place.ts';
import { inOneBatch } from './batch.ts';
import type { MakePlace, Place } from '../place.ts';

/** Two actors, each with what it showed when it joined. */
const CHAIN: readonly ChainLink[] = [
  { iss: 'https://sts.acme.example/prod', sub: 'spiffe://prod.acme.example/agents/planner' as SpiffeId, workloadId: WORKLOAD, evidence: { kind: 'oidc', subject: 'agent "ü" \u2028', attributes: { list: ['a', 'b'], n: 1, yes: true } } },
  { iss: 'https://sts.acme.example/prod', sub: 'spiffe://prod.acme.example/tools/mailer' as SpiffeId, workloadId: 'wkl_mailer' as WorkloadId, evidence: {} },
];

/** Sessions, hops, leases and one-time things. */
export const describeIssuing = (makePlace: MakePlace): void => {
  describe('issuing', () => {
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
    const revoke = (target: Target, extra: Partial<RegistryChange> = {}) =>
      store.change({ at: NOW, by: 'admin', revocations: [{ target, domainId: DOMAIN, reason: 'test', purgeAfter: null }], audit: [makeEvent('revocation.made', { target })], ...extra });
    const lift = (target: Target) => store.change({ at: NOW, by: 'admin', enable: [target], audit: [makeEvent('revocation.lifted', { target })] });
    /** On a path with a target of the test's own. */
    const restingOn = (target: Target, parts: Parts = {}): Parts => ({ ...parts, hop: { ...parts.hop, path: [`domain:${DOMAIN}`, target] } });

    test('reads back through Prisma every column that SQL by hand wrote', async () => {
      const issuance = makeIssuance('columns', 'columns', {
        session: { principal: 'ü \u2028 "quoted" \\ % \' \t', anchor: '815/1/1', facts: { issuer: 'corp', groups: ['engineering', 'ü"'] }, freshAt: NOW - 5 },
        hop: { jkt: 'thumbprint', parentId: makeIssuance('parent').hop.id, depth: 2, chain: CHAIN },
        lease: { jkt: 'thumbprint', statusList: 'list-1', statusIndex: 1_048_575, handle: 'sealed', handleKekId: 'kek-1', ceiling: [{ audience: 'a', scopes: ['x', 'y'], details: [{ type: 'payment', amount: 5 }] }], details: [{ type: 'ü\u2028', names: ['"'], amount: 2 ** 53 - 1 }], decision: { text: 'ü\u0000"', list: [1, null, { deep: true }] } },
      });
      expect(await store.issue(issuance)).toBe('committed');
      const version = await store.registryVersion();
      expect(await store.leaseStanding(issuance.lease.id)).toEqual({ lease: issuance.lease, session: { ...issuance.session, beganVersion: version }, hop: issuance.hop, revokedBy: undefined, suspendedBy: undefined, ended: false });
      expect(await store.session(issuance.session.id)).toMatchObject({ hops: [{ chain: CHAIN }], budgets: [] });
    });

    test('reads back absent values as null', async () => {
      const issuance = makeIssuance('nulls', 'nulls', { lease: { resourceId: null, replayKey: null, replayUntil: null, kid: null, jkt: null, handle: null, handleKekId: null } });
      expect(await store.issue(issuance)).toBe('committed');
      expect((await store.leaseStanding(issuance.lease.id))?.lease).toEqual(issuance.lease);
    });

    test('lets one of many parallel uses of one evidence win', async () => {
      const outcomes = await Promise.all(Array.from({ length: 20 }, (_, index) => store.issue(makeIssuance(`evidence-${index}`, 'evidence', { lease: { replayKey: 'one evidence' } }))));
      expect(outcomes.filter((outcome) => outcome === 'committed')).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome === 'replayed')).toHaveLength(19);
      expect(await count('lease', "replay_key = 'one evidence'")).toBe(1);
    });

    test('refuses evidence that an earlier transaction used', async () => {
      expect(await store.issue(makeIssuance('first', 'first', { lease: { replayKey: 'used' } }))).toBe('committed');
      expect(await store.issue(makeIssuance('second', 'second', { lease: { replayKey: 'used' } }))).toBe('replayed');
    });

    test('issues any number of leases that no single-use evidence pays for', async () => {
      const outcomes = await Promise.all(['a', 'b', 'c'].map((name) => store.issue(makeIssuance(`free-${name}`, 'free', { lease: { replayKey: null } }))));
      expect(outcomes).toEqual(['committed', 'committed', 'committed']);
    });

    test('lets losers of a batch lose alone and leaves nothing of theirs behind', async () => {
      await store.issue(makeIssuance('spent', 'spent', { lease: { replayKey: 'spent key' } }));
      await revoke('session:batch-revoked');
      const items: readonly (readonly [string, Issuance])[] = [
        ['committed', makeIssuance('batch-1')],
        ['replayed', makeIssuance('batch-2', 'batch-2', { lease: { replayKey: 'spent key' }, proofs: [{ key: 'proof of batch-2', until: NOW }] })],
        ['revoked', makeIssuance('batch-3', 'batch-3', restingOn('session:batch-revoked', { proofs: [{ key: 'proof of batch-3', until: NOW }] }))],
        ['ended', makeIssuance('batch-4', 'batch-4', { session: { expiresAt: NOW }, proofs: [{ key: 'proof of batch-4', until: NOW }] })],
        ['committed', makeIssuance('batch-5', 'batch-5', { proofs: [{ key: 'proof of batch-5', until: NOW }] })],
      ];
      expect(await Promise.all(items.map(([, item]) => store.issue(item)))).toEqual(items.map(([outcome]) => outcome));
      for (const [outcome, item] of items) {
        const written = outcome === 'committed' ? 1 : 0;
        expect(await count('lease', `id = '${item.lease.id}'`)).toBe(written);
        expect(await count('session', `id = '${item.session.id}'`)).toBe(written);
        expect(await count('hop', `id = '${item.hop.id}'`)).toBe(written);
        expect(await count('audit', `body LIKE '%${item.lease.id}%'`)).toBe(written);
      }
      expect((await place.sql(`SELECT "key" FROM replay WHERE "key" LIKE 'proof of batch-%'`)).map((row) => row.key)).toEqual(['proof of batch-5']);
    });

    test('commits the others of a batch when the database refuses one row', async () => {
      const twice = makeIssuance('same id');
      const again = makeIssuance('same id', 'same id', { lease: { replayKey: 'another key' } });
      expect(await store.issue(twice)).toBe('committed');
      const outcomes = await Promise.allSettled([store.issue(makeIssuance('beside-1')), store.issue(again), store.issue(makeIssuance('beside-2'))]);
      expect(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : (outcome.reason as Error).name))).toEqual(['committed', 'StoreUnavailable', 'committed']);
    });

    test('consumes one-time things together or not at all', async () => {
      expect(await store.consume([{ key: 'once-1', until: NOW }, { key: 'once-2', until: NOW }])).toBe(true);
      expect(await store.consume([{ key: 'once-3', until: NOW }, { key: 'once-2', until: NOW }])).toBe(false);
      expect(await store.consume([{ key: 'once-3', until: NOW }])).toBe(true);
      expect(await store.consume([{ key: 'once-4', until: NOW }, { key: 'once-4', until: NOW }])).toBe(false);
    });

    test('lets one of many parallel consumers of one thing win', async () => {
      const outcomes = await Promise.all(Array.from({ length: 20 }, () => store.consume([{ key: 'contested', until: NOW }])));
      expect(outcomes.filter((won) => won)).toHaveLength(1);
    });

    test('lets one of two consumers of one thing win within one batch', async () => {
      const consume = (...keys: readonly string[]) => () => store.consume(keys.map((key) => ({ key, until: NOW })));
      expect(await inOneBatch(store, 'consumers', [consume('batch-a'), consume('batch-a'), consume('batch-b', 'batch-a'), consume('batch-b')])).toEqual([true, false, false, true]);
    });

    test('lets one of two issuances with one proof win within one batch, and one of two with one evidence', async () => {
      const withProof = (name: string, proof: string, parts: Parts = {}) => () => store.issue(makeIssuance(name, name, { ...parts, proofs: [{ key: proof, until: NOW }] }));
      const sameEvidence = { lease: { replayKey: 'evidence of the batch' } };
      expect(await inOneBatch(store, 'proofs', [
        withProof('shared-1', 'shared proof'), withProof('shared-2', 'shared proof'), withProof('own-1', 'own proof 1', sameEvidence), withProof('own-2', 'own proof 2', sameEvidence),
      ])).toEqual(['committed', 'proof_replayed', 'committed', 'replayed']);
      expect((await place.sql('SELECT "key" FROM replay WHERE "key" LIKE \'own proof %\'')).map((row) => row.key)).toEqual(['own proof 1']);
    });

    test('lets nobody lose a proof to one who was revoked', async () => {
      await revoke('session:proof-revoked');
      const proofs = [{ key: 'proof of two', until: NOW }];
      expect(await inOneBatch(store, 'revoked', [() => store.issue(makeIssuance('two-1', 'two-1', restingOn('session:proof-revoked', { proofs }))), () => store.issue(makeIssuance('two-2', 'two-2', { proofs }))])).toEqual(['revoked', 'committed']);
    });

    test('commits consumers, issuances and denials in one batch, each with the audit it has', async () => {
      const issue = (name: string) => () => store.issue(makeIssuance(name));
      const outcomes = await inOneBatch<unknown>(store, 'mixed', [issue('mixed-1'), () => store.consume([{ key: 'mixed', until: NOW }]), issue('mixed-2'), () => store.append(makeEvent('mixed.event'))]);
      expect(outcomes).toEqual(['committed', true, 'committed', undefined]);
      for (const name of ['mixed-1', 'mixed-2']) expect(await count('audit', `body LIKE '%${makeIssuance(name).lease.id}%'`)).toBe(1);
      expect(await count('audit', "action = 'mixed.event'")).toBe(1);
    });

    test('refuses an issuance whose proof was used, and issues with a fresh one', async () => {
      await store.consume([{ key: 'dpop-1', until: NOW }]);
      expect(await store.issue(makeIssuance('dpop', 'dpop', { proofs: [{ key: 'dpop-1', until: NOW }] }))).toBe('proof_replayed');
      expect(await store.issue(makeIssuance('dpop', 'dpop', { proofs: [{ key: 'dpop-2', until: NOW }] }))).toBe('committed');
    });

    test('refuses what rests on something revoked before the commit', async () => {
      const name = 'rests';
      expect(await store.issue(makeIssuance('rests-1', name, restingOn('workload:w-rests')))).toBe('committed');
      await revoke('workload:w-rests');
      expect(await store.issue(makeIssuance('rests-2', name, restingOn('workload:w-rests')))).toBe('revoked');
      expect(await store.issue(makeIssuance('rests-3', 'rests-new', restingOn('workload:w-rests')))).toBe('revoked');
      expect(await store.issue(makeIssuance('rests-4', 'rests-other', restingOn('workload:w-other')))).toBe('committed');
    });

    test('goes by the path of the stored hop, whatever the caller says it is', async () => {
      expect(await store.issue(makeIssuance('path-1', 'path', restingOn('workload:w-path')))).toBe('committed');
      await revoke('workload:w-path');
      expect(await store.issue(makeIssuance('path-2', 'path', restingOn('workload:w-harmless')))).toBe('revoked');
    });

    test.each([
      { name: 'the lease itself', target: `lease:${makeIssuance('early').lease.id}`, issuance: makeIssuance('early') },
      { name: 'the key that signs it', target: 'key:kid-early', issuance: makeIssuance('early-key', 'early-key', { lease: { kid: 'kid-early' } }) },
    ] as const)('refuses a lease when $name was revoked', async ({ target, issuance }) => {
      await revoke(target);
      expect(await store.issue(issuance)).toBe('revoked');
    });

    test('keeps ended what began before a revocation that was lifted, and lets new sessions begin', async () => {
      const before = makeIssuance('lift-1', 'lift-old', restingOn('workload:w-lift'));
      expect(await store.issue(before)).toBe('committed');
      await revoke('workload:w-lift');
      await lift('workload:w-lift');
      expect(await store.issue(makeIssuance('lift-2', 'lift-old', restingOn('workload:w-lift')))).toBe('revoked');
      expect(await store.issue(makeIssuance('lift-3', 'lift-new', restingOn('workload:w-lift')))).toBe('committed');
      expect(await store.issue(makeIssuance('lift-4', 'lift-new', restingOn('workload:w-lift')))).toBe('committed');
      expect((await store.leaseStanding(before.lease.id))?.revokedBy).toBe('workload:w-lift');
    });

    test('never reopens a session that was ended, though its evidence could name it again', async () => {
      const issuance = makeIssuance('ended-1', 'ended');
      expect(await store.issue(issuance)).toBe('committed');
      expect(await store.endSession(issuance.session.id, { at: NOW + 1, by: 'staff/ada', reason: 'done \ud800\0ü', domainId: DOMAIN, purgeAfter: null }, makeEvent('session.ended'))).toBe(true);
      expect(await store.endSession(issuance.session.id, { at: NOW + 2, by: 'staff/bob', reason: 'again', domainId: DOMAIN, purgeAfter: null }, makeEvent('session.ended'))).toBe(false);
      expect(await store.issue(makeIssuance('ended-2', 'ended'))).toBe('revoked');
      expect(await store.session(issuance.session.id)).toMatchObject({ session: { endedAt: NOW + 1 }, revokedBy: `session:${issuance.session.id}` });
      expect(await store.sessionEnd(issuance.session.id)).toEqual({ at: NOW + 1, by: 'staff/ada', reason: 'done \ufffd\ufffdü' });
      expect(await store.issue(makeIssuance('running', 'running'))).toBe('committed');
      expect(await store.sessionEnd(makeIssuance('running', 'running').session.id)).toBeUndefined();
    });

    test('goes by the stored ends of session and hop', async () => {
      const within = { lease: { expiresAt: NOW + MINUTE } };
      expect(await store.issue(makeIssuance('ends-1', 'ends', { hop: { expiresAt: NOW + MINUTE }, ...within }))).toBe('committed');
      const later = (name: string, at: number): Issuance => makeIssuance(name, 'ends', { hop: { expiresAt: NOW + HOUR }, lease: { ...within.lease, issuedAt: at } });
      expect(await store.issue(later('ends-2', NOW + MINUTE))).toBe('ended');
      expect(await store.issue(later('ends-3', NOW + MINUTE - 1))).toBe('committed');
    });

    test('lets no credential outlive its hop or session as they are stored', async () => {
      const hop = { expiresAt: NOW + MINUTE };
      const longer = { hop: { expiresAt: NOW + HOUR } };
      expect(await store.issue(makeIssuance('out-1', 'out', { hop, lease: { expiresAt: NOW + MINUTE + 1 } }))).toBe('ended');
      expect(await store.issue(makeIssuance('out-2', 'out', { hop, lease: { expiresAt: NOW + MINUTE } }))).toBe('committed');
      // What another node believes of the hop's end does not lengthen it.
      expect(await store.issue(makeIssuance('out-3', 'out', { ...longer, lease: { expiresAt: NOW + MINUTE + 1 } }))).toBe('ended');
      expect(await store.issue(makeIssuance('out-4', 'out', { ...longer, lease: { expiresAt: NOW + MINUTE } }))).toBe('committed');
      const session = { expiresAt: NOW + MINUTE };
      expect(await store.issue(makeIssuance('out-5', 'out of session', { session, lease: { expiresAt: NOW + MINUTE + 1 } }))).toBe('ended');
      expect(await store.issue(makeIssuance('out-6', 'out of session', { session, lease: { expiresAt: NOW + MINUTE } }))).toBe('committed');
    });

    test('records a denial and its audit entry', async () => {
      const denial = { id: decisionOf(makeIssuance('denied').lease.id), at: NOW, domainId: DOMAIN, workloadId: WORKLOAD, code: 'target_denied', detail: 'no policy permits it', facts: { ref: 'refs/heads/main' }, count: 3 };
      await store.deny(denial, makeEvent('exchange.denied', { decision: denial.id }));
      expect(await store.denial(denial.id)).toEqual(denial);
      expect(await count('audit', `body LIKE '%${denial.id}%'`)).toBe(1);
      await store.deny({ ...denial, id: decisionOf(makeIssuance('denied-2').lease.id), workloadId: null }, makeEvent('exchange.denied'));
      expect((await store.denial(decisionOf(makeIssuance('denied-2').lease.id)))?.workloadId).toBeNull();
    });

    test('erases a sealed handle and nothing else', async () => {
      const issuance = makeIssuance('handle', 'handle', { lease: { handle: 'sealed', handleKekId: 'kek-1' } });
      await store.issue(issuance);
      await store.eraseHandle(issuance.lease.id);
      expect((await store.leaseStanding(issuance.lease.id))?.lease).toEqual({ ...issuance.lease, handle: null, handleKekId: null });
    });
  });
};
