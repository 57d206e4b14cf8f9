import { describe, expect, test } from '@jest/globals';
import { checkNamed, indexCheckpoints } from '../../src/audit/named.ts';
import type { NamedCheckpoint } from '../../src/core/hash-chain.ts';
import type { CheckpointRow } from '../../src/store/rows.ts';
import { CHAIN, NOW } from './make-chain.ts';

const row = (n: number, at: number): CheckpointRow => ({ chain: CHAIN, n, hash: `h${n}`, at, kid: 'k', jws: 'j' });
const OLD = NOW - 1;
const NAMED: NamedCheckpoint = { chain: CHAIN, n: 5, hash: 'h5', at: NOW };
const PURGED: NamedCheckpoint = { ...NAMED, at: OLD };

const check = (named: NamedCheckpoint, rows: readonly CheckpointRow[], fresh: readonly CheckpointRow[] = rows) =>
  checkNamed({ namings: [{ by: 'somebody', named }], stored: new Map(rows.length === 0 ? [] : [[CHAIN, indexCheckpoints(rows, NOW)]]), checkpoints: () => Promise.resolve(fresh), purgedBefore: NOW });

describe('checkNamed', () => {
  test.each([
    { name: 'one that is there', named: NAMED, rows: [row(5, NOW)] },
    { name: 'one that a purge may have taken', named: PURGED, rows: [row(8, OLD)] },
    { name: 'one that was stored after its chain was read', named: NAMED, rows: [], fresh: [row(5, NOW)] },
  ])('is content with $name', async ({ named, rows, fresh }) => {
    expect(await check(named, rows, fresh)).toEqual([]);
  });

  test.each([
    { name: 'one whose whole chain is gone', named: NAMED, rows: [], finds: 'missing' },
    { name: 'one that is gone, though a later one of its chain is there', named: NAMED, rows: [row(8, NOW)], finds: 'missing' },
    { name: 'one that is gone and not old enough for a purge', named: NAMED, rows: [row(8, OLD)], finds: 'missing' },
    { name: 'an old one of a chain without another as old', named: PURGED, rows: [row(8, NOW)], finds: 'missing' },
    { name: 'an old one after which a purge left none', named: PURGED, rows: [row(4, OLD)], finds: 'missing' },
    { name: 'one with another hash', named: { ...NAMED, hash: 'x' }, rows: [row(5, NOW)], finds: 'contradicted' },
    { name: 'one of another time', named: { ...NAMED, at: NOW + 1 }, rows: [row(5, NOW)], finds: 'contradicted' },
  ])('finds $name', async ({ named, rows, finds }) => {
    expect(await check(named, rows)).toMatchObject([{ kind: finds, chain: CHAIN, n: 5, to: 5 }]);
  });

  test('tells of one once, however many name it', async () => {
    const namings = ['a', 'b'].map((by) => ({ by, named: NAMED }));
    expect(await checkNamed({ namings, stored: new Map(), checkpoints: () => Promise.resolve([]), purgedBefore: NOW })).toHaveLength(1);
  });
});
