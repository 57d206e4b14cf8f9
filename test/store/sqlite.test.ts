import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createExecute } from '../../src/store/writer/execute.ts';
import type { Operation } from '../../src/store/writer/operations.ts';
import { createSqliteConnection } from '../../src/store/writer/sqlite-connection.ts';
import { createWrites } from '../../src/store/writer/writes.ts';
import { migrate } from '../../src/store/migrate.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { NOW, makeIssuance } from './make-rows.ts';
import { codes, openStore } from './place.ts';
import type { MakePlace, Place } from './place.ts';
import { describeStore } from './store-contract.ts';

const makePlace: MakePlace = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'mayfly-store-'));
  const path = join(folder, 'mayfly.db');
  const open = (): Database.Database => new Database(path, { timeout: 5_000 });
  return {
    engine: 'sqlite',
    url: `file:${path}`,
    sql(text) {
      const database = open();
      try {
        return Promise.resolve(database.prepare(text).all() as Readonly<Record<string, unknown>>[]);
      } finally {
        database.close();
      }
    },
    breakWrites() {
      const holder = open();
      holder.exec('BEGIN IMMEDIATE');
      return Promise.resolve(() => {
        holder.exec('ROLLBACK');
        holder.close();
        return Promise.resolve();
      });
    },
    drop: () => rm(folder, { recursive: true }),
  };
};

describeStore(makePlace);

describe('SQLite', () => {
  let place: Place;
  beforeAll(async () => { place = await makePlace(); });
  afterAll(() => place.drop());

  test('commits with write-ahead log and full synchronisation', async () => {
    const store = await openStore(place);
    expect(await store.durability()).toEqual({ journal_mode: 'wal', synchronous: 2 });
    await store.close();
  });

  test('issues nothing on a full disk, and goes on when there is room', async () => {
    const path = place.url.slice('file:'.length);
    await migrate({ engine: 'sqlite', path });
    const connection = createSqliteConnection(path, { busyMs: 1_000 });
    const execute = createExecute('chn_full', connection, codes);
    const issue = async (name: string) => {
      const operations: Operation[] = [];
      await createWrites(((operation: Operation) => {
        operations.push(operation);
        return Promise.resolve('committed');
      }) as Parameters<typeof createWrites>[0]).issue(makeIssuance(name, name, { lease: { detail: 'x'.repeat(9_000) } as object, session: { principal: 'x'.repeat(9_000) } }));
      return (await execute(operations))[0];
    };
    const limitPages = (pages: number) => connection.transaction('none', (query) => query({ name: `limit-${pages}`, sql: `PRAGMA max_page_count = ${pages}` }));

    expect(await issue('room')).toEqual({ reply: 'committed' });
    await limitPages(1);
    expect(await issue('full')).toEqual({ unavailable: 'sqlite: database or disk is full' });
    expect(await place.sql(`SELECT id FROM lease WHERE id = '${makeIssuance('full').lease.id}'`)).toHaveLength(0);
    await limitPages(1_000_000);
    expect(await issue('full')).toEqual({ reply: 'committed' });
    expect((await place.sql("SELECT n FROM audit WHERE chain = 'chn_full' ORDER BY n")).map((row) => row.n)).toEqual([1, 2, 3]);
    await connection.close();
  });

  describe('whose file is taken away under the server', () => {
    const LOSSES: readonly { readonly name: string; readonly take: (path: string) => Promise<unknown> }[] = [
      { name: 'moved', take: (path) => rename(path, `${path}.away`) },
      { name: 'replaced by an older copy', take: async (path) => {
        await copyFile(path, `${path}.old`);
        await rename(path, `${path}.away`);
        await rename(`${path}.old`, path);
      } },
    ];
    test.each(LOSSES)('confirms nothing, uses up nothing and decides nothing while it is $name, and goes on when it is back', async ({ take }) => {
      const own = await makePlace();
      const path = own.url.slice('file:'.length);
      const store = await openStore(own);
      try {
        expect(await store.issue(makeIssuance('before'))).toBe('committed');
        await take(path);
        for (const _ of [1, 2]) await expect(store.issue(makeIssuance('during'))).rejects.toThrow(StoreUnavailable);
        await expect(store.consume([{ key: 'during', until: NOW }])).rejects.toThrow('removed or replaced');
        await expect(store.ping()).rejects.toThrow(StoreUnavailable);
        await expect(store.registryDelta(0)).rejects.toThrow(StoreUnavailable);
        await rename(`${path}.away`, path);
        await store.ping();
        expect(await store.issue(makeIssuance('during'))).toBe('committed');
        expect(await store.consume([{ key: 'during', until: NOW }])).toBe(true);
        expect(await own.sql('SELECT id FROM lease')).toHaveLength(2);
      } finally {
        await store.close();
        await own.drop();
      }
    });

    test.each([
      { name: 'the file', suffixes: ['', '-wal', '-shm'] },
      { name: 'its log alone', suffixes: ['-wal'] },
    ])('gives the place of what is gone for good to nothing new: $name', async ({ suffixes }) => {
      const own = await makePlace();
      const path = own.url.slice('file:'.length);
      const store = await openStore(own);
      try {
        expect(await store.issue(makeIssuance('before'))).toBe('committed');
        for (const suffix of suffixes) await rm(`${path}${suffix}`);
        for (const name of ['one', 'two', 'three']) await expect(store.issue(makeIssuance(name))).rejects.toThrow('removed or replaced');
        for (const suffix of suffixes) expect([suffix, existsSync(`${path}${suffix}`)]).toEqual([suffix, false]);
      } finally {
        await store.close();
        await own.drop();
      }
    });
  });

  test('writes times as the text Prisma writes', async () => {
    const store = await openStore(place);
    await store.issue(makeIssuance('text'));
    expect(await place.sql(`SELECT issued_at, typeof(issued_at) AS type FROM lease WHERE id = '${makeIssuance('text').lease.id}'`)).toEqual([{ issued_at: new Date(NOW).toISOString().replace('Z', '+00:00'), type: 'text' }]);
    await store.close();
  });
});
