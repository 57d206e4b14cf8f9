import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import type { DecisionId, DomainId } from '../../src/core/ids.ts';
import { postgresReader, sqliteReader } from '../../src/store/connections.ts';
import type { Database } from '../../src/store/database.ts';
import { openReads } from '../../src/store/open.ts';
import type { KeyRow } from '../../src/store/rows.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { describeRegistries } from '../support/registries.ts';
import { makeRevocation } from '../support/seed.ts';
import { DOMAIN, makeEntry, NOW } from './make-rows.ts';

const clock = { now: () => NOW };

describeRegistries(clock, (registry) => {
  test('a fresh registry is at version 0 and holds nothing', async () => {
    expect(await registry().reads.registryVersion()).toBe(0);
    expect(await registry().reads.registryDelta(0)).toEqual({ version: 0, entries: [], keys: [], revocations: [], instances: [] });
    expect(await registry().reads.auditChains()).toEqual([]);
    await expect(registry().reads.ping()).resolves.toBeUndefined();
  });

  test('a denial is read as it was written', async () => {
    const denial = { id: 'dec_denied' as DecisionId, at: NOW, domainId: DOMAIN, workloadId: null, code: 'target_denied', detail: 'no permit', facts: { ref: 'refs/heads/main', n: 1 }, count: 61 };
    await registry().seed.denial(denial);
    expect(await registry().reads.denial(denial.id)).toEqual(denial);
  });

  test('entries are listed as they are now, by name and page', async () => {
    const row = (id: string, version: number, seq: number, name: string, more: object = {}) => ({ ...makeEntry({ id, version, name, kind: 'workload', ...more }), seq, changedAt: NOW, changedBy: 'ada' });
    const listed = [row('wkl_b', 2, 9002, 'b', { body: { newer: true } }), row('wkl_c', 1, 9003, 'c'), row('wkl_d', 1, 9004, 'd')];
    const others = [
      row('wkl_b', 1, 9001, 'b'), row('wkl_gone', 1, 9005, 'bb'), row('wkl_gone', 2, 9006, 'bb', { ended: true }), row('iss_b', 1, 9007, 'bc', { kind: 'issuer' }), row('wkl_other', 1, 9008, 'bd', { domainId: 'dom_other' }),
    ];
    for (const each of [...others, ...listed]) await registry().seed.entry(each);
    const filter = { kind: 'workload', domainId: DOMAIN } as const;
    expect(await registry().reads.entries(filter, { limit: 10, after: undefined })).toEqual(listed);
    expect(await registry().reads.entries(filter, { limit: 2, after: undefined })).toEqual(listed.slice(0, 2));
    expect(await registry().reads.entries(filter, { limit: 2, after: 'c' })).toEqual(listed.slice(2));
    expect(await registry().reads.entries({ ...filter, name: 'c' }, { limit: 1, after: undefined })).toEqual([listed[1]]);
    expect(await registry().reads.entries({ ...filter, name: 'bb' }, { limit: 1, after: undefined })).toEqual([]);
  });

  describe('what stood at a version', () => {
    const row = (id: string, version: number, seq: number, name: string, more: object = {}) => ({ ...makeEntry({ id, version, name, kind: 'workload', domainId: AT, body: { version }, ...more }), seq, changedAt: NOW, changedBy: 'ada' });
    const AT = 'dom_at' as DomainId;
    // Versions outgrow 32 bits long before a registry is old.
    const START = 5_000_000_000;
    const filter = { kind: 'workload', domainId: AT } as const;
    const stood = async (version: number, more: object = {}) => (await registry().reads.entriesAt(START + version, { ...filter, ...more })).map((entry) => `${entry.name} ${entry.id}@${entry.version}`);
    beforeAll(async () => {
      const rows = [
        row('wkl_at_a', 1, 1, 'a'), row('wkl_at_b', 1, 2, 'b'), row('iss_at', 1, 3, 'a', { kind: 'issuer' }), row('wkl_at_other', 1, 4, 'a', { domainId: 'dom_at_other' }),
        row('wkl_at_a', 2, 5, 'a'), row('wkl_at_b', 2, 6, 'b', { ended: true }), row('wkl_at_c', 1, 7, 'c'), row('wkl_at_b2', 1, 8, 'b'), row('wkl_at_a', 3, 9, 'a', { ended: true }),
      ];
      for (const each of rows) await registry().seed.entry({ ...each, seq: START + each.seq });
    });

    test.each([
      { version: 0, stands: [] },
      { version: 2, stands: ['a wkl_at_a@1', 'b wkl_at_b@1'] },
      { version: 5, stands: ['a wkl_at_a@2', 'b wkl_at_b@1'] },
      { version: 6, stands: ['a wkl_at_a@2'] },
      { version: 8, stands: ['a wkl_at_a@2', 'b wkl_at_b2@1', 'c wkl_at_c@1'] },
      { version: 9, stands: ['b wkl_at_b2@1', 'c wkl_at_c@1'] },
    ])('$version is what was there then, whatever was written since', async ({ version, stands }) => {
      expect(await stood(version)).toEqual(stands);
    });

    test('is told by names', async () => {
      expect(await stood(8, { names: ['c', 'a', 'd', 'a"b', "it's"] })).toEqual(['a wkl_at_a@2', 'c wkl_at_c@1']);
      expect(await stood(8, { names: [] })).toEqual([]);
    });

    test('is told page by page, and without a domain of all of them', async () => {
      const page = async (limit: number, after: string | undefined) => (await registry().reads.entriesAt(START + 8, filter, { limit, after })).map(({ name }) => name);
      expect([await page(2, undefined), await page(2, 'b'), await page(2, 'c')]).toEqual([['a', 'b'], ['c'], []]);
      const all = await registry().reads.entriesAt(START + 8, { kind: 'workload' });
      expect(all.filter(({ id }) => id.startsWith('wkl_at_')).map(({ domainId, name }) => `${domainId} ${name}`)).toEqual(['dom_at a', 'dom_at b', 'dom_at c', 'dom_at_other a']);
    });

    test('has of an entry what a plan needs', async () => {
      expect(await registry().reads.entriesAt(START + 3, { kind: 'issuer', domainId: AT })).toEqual([{ id: 'iss_at', version: 1, kind: 'issuer', domainId: AT, name: 'a', body: { version: 1 } }]);
    });
  });

  test('chains, their entries and their checkpoints are read in order', async () => {
    const entry = (chain: string, n: number) => ({ chain, n, at: NOW + n, body: '{"b":1, "a":2}', action: 'exchange.issued', domainId: DOMAIN, prev: `p${n}`, hash: `h${n}`, mac: n === 10 ? 'code' : null });
    const checkpoint = (chain: string, n: number) => ({ chain, n, hash: `h${n}`, at: NOW, kid: 'k', jws: 'a.b.c' });
    for (const row of [entry('chn_b', 1), entry('chn_a', 10), entry('chn_a', 2), entry('chn_a', 1)]) await registry().seed.audit(row);
    for (const row of [checkpoint('chn_a', 10), checkpoint('chn_a', 2), checkpoint('chn_purged', 7)]) await registry().seed.checkpoint(row);
    expect(await registry().reads.auditChains()).toEqual(['chn_a', 'chn_b', 'chn_purged']);
    expect(await registry().reads.audit('chn_a', 1, 1)).toEqual([entry('chn_a', 2)]);
    expect(await registry().reads.audit('chn_a', 1, 10)).toEqual([entry('chn_a', 2), entry('chn_a', 10)]);
    expect(await registry().reads.checkpoints('chn_a')).toEqual([checkpoint('chn_a', 2), checkpoint('chn_a', 10)]);
  });

  describe('the registry', () => {
    const key: KeyRow = { kid: 'kid-r', version: 1, seq: 2002, domainId: DOMAIN, purpose: 'access', algorithm: 'ES256', publicJwk: { kty: 'EC' }, sealed: 's', kekId: 'k', status: 'current', notBefore: NOW, notAfter: null, changedAt: NOW };
    const entry = (seq: number, version: number) => ({ ...makeEntry({ version, expiresAt: version === 1 ? null : NOW + 1 }), seq, changedAt: NOW + 2, changedBy: 'ada' });
    beforeAll(async () => {
      await registry().seed.version(2004);
      await registry().seed.entry(entry(2003, 2));
      await registry().seed.entry(entry(2001, 1));
      await registry().seed.entry(entry(2010, 3));
      await registry().seed.key(key);
      await registry().seed.revocation(makeRevocation(2000, 'workload:wkl_lifted', { enabledSeq: 2004, enabledAt: NOW + 3, enabledBy: 'bob' }));
      await registry().seed.revocation(makeRevocation(1999, 'workload:wkl_later', { enabledSeq: 2011, enabledAt: NOW + 4, enabledBy: 'bob', purgeAfter: NOW + 5 }));
    });

    test('tells what is above a version and not above its own, in order', async () => {
      const delta = await registry().reads.registryDelta(2000);
      expect(delta).toEqual({ version: 2004, entries: [entry(2001, 1), entry(2003, 2)], keys: [key], revocations: [makeRevocation(2000, 'workload:wkl_lifted', { enabledSeq: 2004, enabledAt: NOW + 3, enabledBy: 'bob' })], instances: [] });
      expect(await registry().reads.registryVersion()).toBe(2004);
      expect((await registry().reads.registryDelta(2003)).entries).toEqual([]);
    });

    test('tells all keys up to its version', async () => {
      await registry().seed.key({ ...key, kid: 'kid-later', seq: 2012 });
      expect(await registry().reads.keys()).toEqual({ version: 2004, keys: [key] });
    });

    test('shows a revocation that is lifted above its version as not lifted yet', async () => {
      expect((await registry().reads.registryDelta(1998)).revocations).toContainEqual(makeRevocation(1999, 'workload:wkl_later', { purgeAfter: NOW + 5 }));
    });

    test('keeps every version of an entry', async () => {
      expect(await registry().reads.entryHistory(DOMAIN)).toEqual([entry(2001, 1), entry(2003, 2), entry(2010, 3)]);
    });
  });

  test('a reading connection cannot write', async () => {
    const { database } = registry();
    const adapter = await (database.engine === 'sqlite' ? sqliteReader(database.path) : postgresReader(database.url, 1)).connect();
    const run = (sql: string): Promise<number> => adapter.executeRaw({ sql, args: [], argTypes: [] });
    await expect(run('SELECT count(*) FROM job')).resolves.toBeDefined();
    await expect(run("DELETE FROM job WHERE name = 'x'")).rejects.toThrow();
    await adapter.dispose();
  });
});

test.each<{ name: string; database: () => Database }>([
  { name: 'a server that is not there', database: () => ({ engine: 'postgresql', url: 'postgresql://mayfly:secret@127.0.0.1:1/mayfly' }) },
  { name: 'a file that is not there', database: () => ({ engine: 'sqlite', path: join(tmpdir(), 'mayfly-none', 'mayfly.db') }) },
])('a read of $name says that the store is unavailable, and no more', async ({ database }) => {
  const reads = await openReads(database(), clock);
  const failure: unknown = await reads.ping().catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(StoreUnavailable);
  expect(String((failure as StoreUnavailable).cause)).not.toContain('secret');
  await reads.close();
});
