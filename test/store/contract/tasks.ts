import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { HOUR } from '../../../src/core/duration.ts';
import type { PersonUrn, SessionId } from '../../../src/core/ids.ts';
import type { OwnStore } from '../../../src/store/create-store.ts';
import type { BudgetKind, Target } from '../../../src/store/rows.ts';
import type { Issuance, IssuanceOutcome, Opening } from '../../../src/store/store.ts';
import { DOMAIN, NOW, makeEvent, makeIssuance } from '../make-rows.ts';
import { openStore } from '../place.ts';
import type { MakePlace, Place } from '../place.ts';
import { inOneBatch } from './batch.ts';

const PRINCIPAL = 'urn:mayfly:prod:person:corp:alice' as PersonUrn;
const SESSION = { model: 'autonomous', principal: PRINCIPAL, facts: { purpose: 'mend the tests' }, freshAt: NOW } as const;

/** Tasks, and what they may use: opened before anything is issued for them, charged in the commit that issues. */
export const describeTasks = (makePlace: MakePlace): void => {
  describe('tasks', () => {
    let place: Place;
    let store: OwnStore;
    let far: OwnStore;
    beforeAll(async () => {
      place = await makePlace();
      [store, far] = [await openStore(place), await openStore(place)];
    });
    afterAll(async () => {
      await store.close();
      await far.close();
      await place.drop();
    });

    type Budgets = Readonly<Partial<Record<BudgetKind, number>>>;
    const opening = (task: string, budgets: Budgets = {}, path: readonly Target[] = []): Opening => {
      const { session } = makeIssuance(task, task, { session: SESSION });
      return { session, path: [`session:${session.id}`, ...path], budgets: Object.entries(budgets).map(([kind, most]) => ({ sessionId: session.id, kind: kind as BudgetKind, most, used: 0 })), audit: makeEvent('session.opened', { session: session.id }) };
    };
    const open = async (task: string, budgets: Budgets): Promise<SessionId> => {
      const opened = opening(task, budgets);
      expect(await store.open(opened)).toBe('committed');
      return opened.session.id;
    };
    const issuance = (name: string, task: string, charge: Partial<NonNullable<Issuance['charge']>> = {}, lease: Partial<Issuance['lease']> = {}): Issuance => {
      const made = makeIssuance(name, task, { session: SESSION, lease });
      return { ...made, charge: { session: made.session.id, agent: 'spiffe://prod.acme.example/ops/fixer', resource: undefined, ...charge } };
    };
    const issue = (name: string, task: string, charge?: Partial<NonNullable<Issuance['charge']>>, on: OwnStore = store): Promise<IssuanceOutcome> => on.issue(issuance(name, task, charge));
    const usedOf = async (session: SessionId): Promise<Readonly<Record<string, number>>> => Object.fromEntries(((await store.session(session))?.budgets ?? []).map(({ kind, used }) => [kind, used]));
    const spent = (amount: number) => makeEvent('session.spent', { amount });
    const events = async (action: string, containing: string): Promise<number> => (await place.sql(`SELECT n FROM audit WHERE action = '${action}' AND body LIKE '%${containing}%'`)).length;

    describe('opening', () => {
      test('writes session, budgets and audit, as Prisma reads them back', async () => {
        const opened = opening('opened', { tokens: 3, agents: 2, resources: 1, spend: 5_000_000_000 });
        expect(await store.open(opened)).toBe('committed');
        const found = await store.session(opened.session.id);
        expect(found?.session).toEqual({ ...opened.session, beganVersion: await store.registryVersion() });
        expect([...found?.budgets ?? []].sort((a, b) => (a.kind < b.kind ? -1 : 1))).toEqual([...opened.budgets].sort((a, b) => (a.kind < b.kind ? -1 : 1)));
        expect(await events('session.opened', opened.session.id)).toBe(1);
      });

      test('is done once: a second time nothing of it is written', async () => {
        const session = await open('once', { tokens: 1 });
        expect(await store.open(opening('once', { tokens: 9, spend: 9 }))).toBe('exists');
        expect((await store.session(session))?.budgets).toEqual([{ sessionId: session, kind: 'tokens', most: 1, used: 0 }]);
        expect(await events('session.opened', session)).toBe(1);
      });

      test('is done once within one batch', async () => {
        const { session } = opening('twice');
        expect(await inOneBatch(store, 'twice', [() => store.open(opening('twice', { tokens: 1 })), () => store.open(opening('twice', { tokens: 9, spend: 9 }))])).toEqual(['committed', 'exists']);
        expect((await store.session(session.id))?.budgets).toEqual([{ sessionId: session.id, kind: 'tokens', most: 1, used: 0 }]);
        expect(await events('session.opened', session.id)).toBe(1);
      });

      test('is refused for what rests on something revoked, and permitted again when that is lifted', async () => {
        const target: Target = `person:${PRINCIPAL}-left`;
        await store.change({ at: NOW, by: 'a', revocations: [{ target, domainId: DOMAIN, reason: 'left', purgeAfter: null }], audit: [] });
        const [session, twin] = [opening('refused', {}, [target]).session.id, opening('beside').session.id];
        expect(await inOneBatch(store, 'refused', [() => store.open(opening('refused', { tokens: 1 }, [target])), () => store.open(opening('beside'))])).toEqual(['revoked', 'committed']);
        expect([await store.session(session), await events('session.opened', session), await events('session.opened', twin)]).toEqual([undefined, 0, 1]);
        await store.change({ at: NOW, by: 'a', enable: [target], audit: [] });
        expect(await store.open(opening('refused', {}, [target]))).toBe('committed');
      });

      test('gives an issuance the session that is there, whatever the caller says of it', async () => {
        const session = await open('there', { tokens: 2 });
        expect(await store.issue({ ...issuance('there-1', 'there'), session: { ...issuance('there-1', 'there').session, expiresAt: NOW + 2 * HOUR, facts: { purpose: 'another' } } })).toBe('committed');
        expect((await store.session(session))?.session).toMatchObject({ facts: { purpose: 'mend the tests' }, expiresAt: NOW + HOUR });
      });
    });

    describe('a budget', () => {
      test('has room for so many, and who does not fit writes nothing', async () => {
        const session = await open('tokens', { tokens: 2 });
        expect([await issue('tokens-1', 'tokens'), await issue('tokens-2', 'tokens'), await issue('tokens-3', 'tokens')]).toEqual(['committed', 'committed', 'exhausted']);
        const { lease } = issuance('tokens-3', 'tokens');
        expect([await store.leaseStanding(lease.id), await events('exchange.issued', lease.id), await usedOf(session)]).toEqual([undefined, 0, { tokens: 2 }]);
      });

      test('lets fail alone, within one batch, who does not fit: its evidence and proofs stay unused', async () => {
        const session = await open('batch', { tokens: 2 });
        const proved = (name: string, task: string): Issuance => ({ ...issuance(name, task), proofs: [{ key: `budget proof ${name}`, until: NOW }] });
        const acts = [proved('batch-1', 'batch'), proved('batch-2', 'batch'), proved('batch-3', 'batch'), makeIssuance('batch-beside')].map((one) => () => store.issue(one));
        expect(await inOneBatch(store, 'budget', acts)).toEqual(['committed', 'committed', 'exhausted', 'committed']);
        expect(await usedOf(session)).toEqual({ tokens: 2 });
        expect((await place.sql("SELECT \"key\" FROM replay WHERE \"key\" LIKE 'budget proof %' ORDER BY \"key\"")).map((row) => row.key)).toEqual(['budget proof batch-1', 'budget proof batch-2']);
        await open('batch-2', { tokens: 1 });
        expect(await store.issue({ ...proved('batch-3', 'batch-2'), hop: issuance('batch-3', 'batch-2').hop })).toBe('committed');
      });

      test('is not charged by who loses for another reason, nor has that one kept anybody out', async () => {
        const session = await open('losers', { tokens: 2 });
        await store.consume([{ key: 'losers proof', until: NOW }]);
        expect(await issue('losers-0', 'losers')).toBe('committed');
        const acts = [
          { ...issuance('losers-1', 'losers'), proofs: [{ key: 'losers proof', until: NOW }] }, issuance('losers-2', 'losers', {}, { replayKey: issuance('losers-0', 'losers').lease.replayKey }), issuance('losers-3', 'losers'),
        ].map((one) => () => store.issue(one));
        expect(await inOneBatch(store, 'losers', acts)).toEqual(['proof_replayed', 'replayed', 'committed']);
        expect(await usedOf(session)).toEqual({ tokens: 2 });
      });

      test('counts an agent once and a resource once, whoever comes again, within a batch and after it', async () => {
        const session = await open('distinct', { agents: 2, resources: 2 });
        const acts = [
          ['a', 'x'], ['a', 'x'], ['b', undefined], ['a', 'y'],
        ].map(([agent = '', resource], index) => () => issue(`distinct-${index}`, 'distinct', { agent, resource }));
        expect(await inOneBatch(store, 'distinct', acts)).toEqual(['committed', 'committed', 'committed', 'committed']);
        expect(await usedOf(session)).toEqual({ agents: 2, resources: 2 });
        expect([await issue('distinct-5', 'distinct', { agent: 'b', resource: 'y' }), await issue('distinct-6', 'distinct', { agent: 'c', resource: 'x' }), await issue('distinct-7', 'distinct', { agent: 'a', resource: 'z' })])
          .toEqual(['committed', 'exhausted', 'exhausted']);
        expect(await usedOf(session)).toEqual({ agents: 2, resources: 2 });
      });

      test('takes nothing of a request that fits one of its kinds and not another', async () => {
        const session = await open('both', { tokens: 5, agents: 1, resources: 1 });
        expect(await inOneBatch(store, 'both', [() => issue('both-1', 'both', { agent: 'a', resource: 'x' }), () => issue('both-2', 'both', { agent: 'b', resource: 'x' }), () => issue('both-3', 'both', { agent: 'a', resource: 'y' })])).toEqual(['committed', 'exhausted', 'exhausted']);
        expect(await usedOf(session)).toEqual({ tokens: 1, agents: 1, resources: 1 });
        // What was not issued made nobody known: the agent still counts.
        expect(await place.sql(`SELECT value FROM budget_use WHERE session_id = '${session}' ORDER BY value`)).toEqual([{ value: 'a' }, { value: 'x' }]);
      });

      test('binds its own task alone, and none that has none', async () => {
        await open('own', { tokens: 1 });
        await open('free', {});
        expect(await issue('own-1', 'own')).toBe('committed');
        expect([await issue('own-2', 'own'), await issue('free-1', 'free'), await issue('free-2', 'free')]).toEqual(['exhausted', 'committed', 'committed']);
      });

      test('is never exceeded by two writers that both ask for all of it at once', async () => {
        const session = await open('two', { tokens: 15, agents: 6 });
        const ask = (side: OwnStore, name: string) => Array.from({ length: 20 }, (_, index) => issue(`two-${name}-${index}`, 'two', { agent: `agent ${index % 8}` }, side));
        const outcomes = await Promise.all([...ask(store, 'near'), ...ask(far, 'far')]);
        const committed = outcomes.filter((outcome) => outcome === 'committed').length;
        const leases = Number((await place.sql(`SELECT count(*) AS n FROM lease WHERE session_id = '${session}'`))[0]?.n);
        const agents = Number((await place.sql(`SELECT count(*) AS n FROM budget_use WHERE session_id = '${session}' AND kind = 'agents'`))[0]?.n);
        expect([committed, leases, await usedOf(session)]).toEqual([15, 15, { tokens: 15, agents }]);
        expect(agents).toBeLessThanOrEqual(6);
        expect(outcomes.filter((outcome) => outcome === 'exhausted')).toHaveLength(25);
      });
    });

    describe('spending', () => {
      test('only rises, and over the limit is refused with nothing charged and nothing recorded', async () => {
        const session = await open('spend', { spend: 100 });
        expect(await store.spend(session, 60, spent(60))).toEqual({ used: 60, most: 100 });
        expect(await store.spend(session, 41, { ...spent(41), body: { must: 'not appear' } })).toBeUndefined();
        expect([await usedOf(session), await events('session.spent', 'not appear')]).toEqual([{ spend: 60 }, 0]);
        expect(await store.spend(session, 40, spent(40))).toEqual({ used: 100, most: 100 });
        expect(await store.spend(session, 1, spent(1))).toBeUndefined();
      });

      test.each([0, -1, -100, 0.5, Number.NaN, 2 ** 53])('of %d is no spending', async (amount) => {
        const session = await open(`no spending ${amount}`, { spend: 100 });
        await expect(store.spend(session, amount, spent(0))).rejects.toThrow('amount');
        expect(await usedOf(session)).toEqual({ spend: 0 });
        expect(await store.spend(session, 1, spent(1))).toEqual({ used: 1, most: 100 });
      });

      test('needs a budget: without one there is nothing to spend', async () => {
        const session = await open('no budget', { tokens: 5 });
        expect(await store.spend(session, 1, spent(1))).toBeUndefined();
        expect(await store.spend('AAAAAAAAAAAAAAAAAAAAAA' as SessionId, 1, spent(1))).toBeUndefined();
      });

      test('of large amounts is exact', async () => {
        const session = await open('large', { spend: 2 ** 53 - 1 });
        expect(await store.spend(session, 2 ** 53 - 2, spent(1))).toEqual({ used: 2 ** 53 - 2, most: 2 ** 53 - 1 });
        expect(await store.spend(session, 2, spent(2))).toBeUndefined();
        expect(await store.spend(session, 1, spent(1))).toEqual({ used: 2 ** 53 - 1, most: 2 ** 53 - 1 });
      });

      test('by two writers at once lets through as much as there is, and no more', async () => {
        const session = await open('race', { spend: 100 });
        const spends = await Promise.all(Array.from({ length: 30 }, (_, index) => (index % 2 === 0 ? store : far).spend(session, 9, spent(9))));
        expect(spends.filter((each) => each !== undefined)).toHaveLength(11);
        expect(Math.max(...spends.map((each) => each?.used ?? 0))).toBe(99);
        expect(await usedOf(session)).toEqual({ spend: 99 });
      });
    });
  });
};
