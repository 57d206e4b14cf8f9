import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { sha256 } from '../../../src/core/bytes.ts';
import { DAY, HOUR } from '../../../src/core/duration.ts';
import type { SpiffeId, WorkloadId } from '../../../src/core/ids.ts';
import type { OwnStore } from '../../../src/store/create-store.ts';
import type { Target } from '../../../src/store/rows.ts';
import type { Issuance } from '../../../src/store/store.ts';
import { DOMAIN, NOW, makeEvent, makeIssuance } from '../make-rows.ts';
import type { Parts } from '../make-rows.ts';
import { openStore } from '../place.ts';
import type { MakePlace, Place } from '../place.ts';

/** Instances of templates: admitted with their first lease, counted across nodes, told of under a registry version. */
export const describeInstances = (makePlace: MakePlace): void => {
  describe('instances', () => {
    let place: Place;
    let store: OwnStore;
    let other: OwnStore;
    beforeAll(async () => {
      place = await makePlace();
      store = await openStore(place);
      // SQLite has one writing process; on PostgreSQL this is another node.
      other = place.engine === 'sqlite' ? store : await openStore(place);
    });
    afterAll(async () => {
      if (other !== store) await other.close();
      await store.close();
      await place.drop();
    });

    const workloadId = (name: string): WorkloadId => `wkl_${sha256(name).toString('hex').slice(0, 32)}` as WorkloadId;
    const count = async (table: string, where: string): Promise<number> => Number((await place.sql(`SELECT count(*) AS n FROM ${table} WHERE ${where}`))[0]?.n);
    const revoke = (target: Target) => store.change({ at: NOW, by: 'a', revocations: [{ target, domainId: DOMAIN, reason: 'test', purgeAfter: null }], audit: [makeEvent('revocation.made')] });
    let made = 0;
    /** The first lease of an instance in a session that is there already, as a child's is. */
    const admission = async (template: string, name: string, maxLive: number, parts: Parts & { readonly in?: string } = {}): Promise<Issuance> => {
      made += 1;
      const sessionName = parts.in ?? `${template} ${name}`;
      const opening = makeIssuance(`open ${made}`, sessionName, { session: { expiresAt: NOW + HOUR, ...parts.session } });
      expect(await store.issue(opening)).toBe('committed');
      const issuance = makeIssuance(`${template} ${name} ${made}`, sessionName, { ...parts, session: { expiresAt: NOW + HOUR, ...parts.session } });
      return {
        ...issuance,
        admits: {
          maxLive, instance: {
            id: workloadId(`${template} ${name}`), sessionId: issuance.session.id, templateId: workloadId(template), domainId: DOMAIN, name: `${template}/${name}`, spiffeId: `spiffe://prod.acme.example/${template}/${name}` as SpiffeId,
            createdAt: NOW, expiresAt: issuance.session.expiresAt,
          },
        },
      };
    };
    const admit = async (...asked: Parameters<typeof admission>) => store.issue(await admission(...asked));

    test('are read back with every column, under one registry version more, and nothing else is told again', async () => {
      const issuance = await admission('columns', 'p-1', 10);
      const before = await store.registryVersion();
      expect(await store.issue(issuance)).toBe('committed');
      const delta = await store.registryDelta(before);
      expect(delta).toEqual({ version: before + 1, entries: [], keys: [], revocations: [], instances: [{ ...issuance.admits?.instance, seq: before + 1 }] });
      expect((await store.leaseStanding(issuance.lease.id))?.lease).toEqual(issuance.lease);
    });

    test('take one place in a session however often they come, and move no version for it', async () => {
      expect(await admit('once', 'p-1', 1)).toBe('committed');
      const before = await store.registryVersion();
      expect([await admit('once', 'p-1', 1), await admit('once', 'p-1', 1)]).toEqual(['committed', 'committed']);
      expect(await store.registryVersion()).toBe(before);
      expect(await count('instance', "name = 'once/p-1'")).toBe(1);
    });

    test('take a place in each session', async () => {
      expect([await admit('each', 'p-1', 2, { in: 'each-1' }), await admit('each', 'p-1', 2, { in: 'each-2' }), await admit('each', 'p-1', 2, { in: 'each-3' })]).toEqual(['committed', 'committed', 'full']);
    });

    test('beyond the most are refused, and leave nothing behind: no lease, no audit, evidence and proofs unused', async () => {
      expect(await admit('full', 'p-1', 1)).toBe('committed');
      const refused = await admission('full', 'p-2', 1, { proofs: [{ key: 'proof of a crowd', until: NOW + HOUR }] });
      const [entries, version] = [await count('audit', 'true'), await store.registryVersion()];
      expect(await store.issue(refused)).toBe('full');
      expect([await count('lease', `id = '${refused.lease.id}'`), await count('instance', "name = 'full/p-2'"), await count('replay', `"key" = 'proof of a crowd'`), await count('audit', 'true') - entries, await store.registryVersion() - version]).toEqual([0, 0, 0, 0, 0]);
      expect(await admit('another', 'p-2', 1)).toBe('committed');
      const { admits, ...unbounded } = refused;
      expect(await store.issue({ ...unbounded, admits: { instance: admits?.instance ?? never(), maxLive: 2 } })).toBe('committed');
    });

    test('are never more than the most, whichever nodes they come to at once', async () => {
      const asked: Issuance[] = [];
      for (let index = 0; index < 12; index += 1) asked.push(await admission('crowd', `p-${index}`, 5));
      const outcomes = await Promise.all(asked.map((issuance, index) => (index % 2 === 0 ? store : other).issue(issuance)));
      expect([outcomes.filter((outcome) => outcome === 'committed').length, outcomes.filter((outcome) => outcome === 'full').length]).toEqual([5, 7]);
      expect(await count('instance', "template_id = '" + workloadId('crowd') + "'")).toBe(5);
      expect((await store.liveInstances([workloadId('crowd'), workloadId('nobody')], NOW)).get(workloadId('crowd'))).toBe(5);
    });

    test.each<{ readonly name: string; readonly refused: string; readonly parts: () => Promise<Parts> }>([
      { name: 'revoked', refused: 'revoked', parts: async () => { await revoke('workload:of-a-path'); return { hop: { path: ['workload:of-a-path'] } }; } },
      { name: 'shown evidence that was used', refused: 'replayed', parts: async () => { await store.issue(makeIssuance('used by another', 'used by another', { lease: { replayKey: 'used key' } })); return { lease: { replayKey: 'used key' } }; } },
      { name: 'over', refused: 'ended', parts: () => Promise.resolve({ hop: { expiresAt: NOW } }) },
    ])('that are refused for what else they rest on ($name) take no place', async ({ name, refused, parts }) => {
      const issuance = await admission(`refused ${name}`, 'p-1', 1, await parts());
      const hop = makeIssuance(`hop of ${name}`, `hop of ${name}`).hop;
      const fresh = { ...issuance, hop: { ...issuance.hop, id: hop.id }, lease: { ...issuance.lease, hopId: hop.id } };
      const version = await store.registryVersion();
      expect(await store.issue(fresh)).toBe(refused);
      expect([await count('instance', `name = 'refused ${name}/p-1'`), await store.registryVersion()]).toEqual([0, version]);
      expect(await admit(`refused ${name}`, 'p-2', 1)).toBe('committed');
    });

    test.each<{ readonly name: string; readonly free: (issuance: Issuance) => Promise<unknown> }>([
      { name: 'its session ends', free: ({ session }) => store.endSession(session.id, { at: NOW, by: 'admin', reason: 'done', domainId: DOMAIN, purgeAfter: null }, makeEvent('session.ended')) },
      { name: 'its session is revoked', free: ({ session }) => revoke(`session:${session.id}`) },
      { name: 'the person its session is for is revoked', free: ({ session }) => revoke(`person:${session.principal}`) },
      { name: 'it is revoked', free: ({ admits }) => revoke(`workload:${admits?.instance.id ?? ''}`) },
    ])('make room when $name', async ({ name, free }) => {
      const template = `room ${name}`;
      const first = await admission(template, 'p-1', 1, { session: { principal: `urn:${name}` } });
      expect([await store.issue(first), await admit(template, 'p-2', 1)]).toEqual(['committed', 'full']);
      await free(first);
      expect((await store.liveInstances([workloadId(template)], NOW)).get(workloadId(template))).toBeUndefined();
      expect([await admit(template, 'p-3', 1), await admit(template, 'p-4', 1)]).toEqual(['committed', 'full']);
    });

    test('make room when their session is over', async () => {
      expect(await admit('time', 'p-1', 1, { session: { expiresAt: NOW + HOUR / 2 } })).toBe('committed');
      const later = await admission('time', 'p-2', 1, { session: { expiresAt: NOW + DAY }, hop: { expiresAt: NOW + DAY } });
      const at = (now: number): Issuance => ({ ...later, lease: { ...later.lease, id: `${later.lease.id.slice(0, -1)}${now === NOW + HOUR / 2 ? 'e' : 'f'}` as Issuance['lease']['id'], replayKey: `time ${now}`, issuedAt: now, expiresAt: now + 60_000 } });
      expect([await store.issue(at(NOW + HOUR / 2 - 1)), await store.issue(at(NOW + HOUR / 2))]).toEqual(['full', 'committed']);
    });

    test('are found by template, id and name, newest first, and told whether they are over', async () => {
      for (const name of ['p-1', 'p-2', 'p-3']) expect(await admit('found', name, 10)).toBe('committed');
      const ended = await admission('found', 'p-4', 10);
      await store.issue(ended);
      await store.endSession(ended.session.id, { at: NOW, by: 'admin', reason: 'done', domainId: DOMAIN, purgeAfter: null }, makeEvent('session.ended'));
      const found = await store.instances({ domainId: DOMAIN, templateId: workloadId('found') }, 3);
      expect(found.map(({ instance, ended: over }) => [instance.name, over])).toEqual([['found/p-4', true], ['found/p-3', false], ['found/p-2', false]]);
      expect((await store.instances({ domainId: DOMAIN, id: workloadId('found p-1') }, 10)).map(({ instance }) => instance.name)).toEqual(['found/p-1']);
      expect((await store.instances({ domainId: DOMAIN, name: 'found/p-1' }, 10)).map(({ instance }) => instance.id)).toEqual([workloadId('found p-1')]);
      expect(await store.instances({ domainId: workloadId('x') as unknown as typeof DOMAIN, name: 'found/p-1' }, 10)).toEqual([]);
    });

    test('go ninety days after their session', async () => {
      expect(await admit('old', 'p-1', 1)).toBe('committed');
      await store.takeJob('retention', 'a', NOW + 500 * DAY, NOW);
      const purge = async (now: number): Promise<number> => {
        await store.purge(now, 10_000, { name: 'retention', fence: 1 });
        return count('instance', "name = 'old/p-1'");
      };
      expect([await purge(NOW + HOUR + 90 * DAY), await purge(NOW + HOUR + 90 * DAY + 1)]).toEqual([1, 0]);
    });
  });
};

const never = (): never => { throw new Error('nothing is admitted'); };
