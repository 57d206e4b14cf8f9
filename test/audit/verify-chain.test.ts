import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { DAY } from '../../src/core/duration.ts';
import { verifyChain } from '../../src/audit/verify-chain.ts';
import type { ChainToVerify } from '../../src/audit/verify-chain.ts';
import type { AuditRow } from '../../src/store/rows.ts';
import { CHAIN, NOW, entriesOf, makeChain, sealOf } from './make-chain.ts';

const verify = (rows: readonly AuditRow[], rest: Partial<ChainToVerify> = {}) => verifyChain({ chain: CHAIN, entries: entriesOf(rows), seals: [], purgedBefore: NOW - 400 * DAY, ...rest });
const at = (rows: readonly AuditRow[], n: number): AuditRow => {
  const row = rows.find((candidate) => candidate.n === n);
  if (row === undefined) throw new Error(`no entry ${n}`);
  return row;
};

describe('verifyChain', () => {
  const chain = makeChain(10);
  const seals = [sealOf(at(chain, 4)), sealOf(at(chain, 8))];

  test('finds nothing wrong with a chain as it was written, and says how far it is sealed', async () => {
    expect(await verify(chain, { seals })).toEqual({ chain: CHAIN, entries: 10, last: 10, sealedTo: 8, unsealed: 2, findings: [], names: undefined });
  });

  test('finds any one change to the sealed part', async () => {
    const entry = fc.integer({ min: 1, max: 8 });
    const text = fc.string({ minLength: 1, maxLength: 5 });
    const change: fc.Arbitrary<(rows: readonly AuditRow[]) => readonly AuditRow[]> = fc.oneof(
      fc.tuple(entry, fc.constantFrom('body', 'action', 'domainId', 'prev', 'hash'), text).map(([n, column, added]) => (rows: readonly AuditRow[]) => rows.map((row) => (row.n === n ? { ...row, [column]: `${row[column as 'body']}${added}` } : row))),
      fc.tuple(entry, fc.integer({ min: 1, max: 1_000_000 })).map(([n, later]) => (rows: readonly AuditRow[]) => rows.map((row) => (row.n === n ? { ...row, at: row.at + later } : row))),
      entry.map((n) => (rows: readonly AuditRow[]) => rows.filter((row) => row.n !== n)),
      fc.tuple(entry, entry).filter(([a, b]) => a !== b).map(([a, b]) => (rows: readonly AuditRow[]) => rows.map((row) => (row.n === a ? { ...row, n: b } : row.n === b ? { ...row, n: a } : row))),
      fc.tuple(entry, entry).map(([place, copied]) => (rows: readonly AuditRow[]) => [...rows.map((row) => (row.n >= place ? { ...row, n: row.n + 1 } : row)), { ...at(rows, copied), n: place }]),
      entry.map((n) => (rows: readonly AuditRow[]) => rows.filter((row) => row.n < n)),
    );
    await fc.assert(fc.asyncProperty(change, async (apply) => {
      expect((await verify(apply(chain), { seals })).findings).not.toEqual([]);
    }), { numRuns: 300 });
  });

  test('cannot miss entries after the last seal, and counts them as unsealed instead', async () => {
    expect(await verify(chain.slice(0, 9), { seals })).toMatchObject({ findings: [], unsealed: 1 });
  });

  test('takes a start that is gone for purged only if its seal is old enough', async () => {
    const rest = chain.slice(4);
    expect((await verify(rest, { seals, purgedBefore: NOW + 1 })).findings).toEqual([]);
    expect((await verify(rest, { seals, purgedBefore: NOW })).findings).toEqual([{ kind: 'missing', chain: CHAIN, n: 1, to: 4, detail: 'entries are gone' }]);
    expect((await verify(chain.slice(5), { seals, purgedBefore: NOW + 1 })).findings).toMatchObject([{ kind: 'missing', n: 1, to: 5 }]);
  });

  test('wants what is left of a purged chain to follow its seal', async () => {
    const [first, ...others] = chain.slice(4);
    const seal = { ...sealOf(at(chain, 4)), hash: 'another' };
    expect((await verify(first === undefined ? [] : [first, ...others], { seals: [seal], purgedBefore: NOW + 1 })).findings).toMatchObject([{ kind: 'unlinked', n: 5 }]);
  });

  test('misses all entries of a chain of which only a recent seal is left', async () => {
    expect((await verify([], { seals })).findings).toMatchObject([{ kind: 'missing', n: 1, to: 8 }]);
    expect((await verify([], { seals, purgedBefore: NOW + 1 })).findings).toEqual([]);
  });

  test('reports two seals of one entry that say different things', async () => {
    expect((await verify(chain, { seals: [...seals, { ...sealOf(at(chain, 4)), hash: 'another' }] })).findings).toMatchObject([{ kind: 'contradicted', n: 4 }]);
  });

  test('limits its findings, however much was changed', async () => {
    const rows = makeChain(1_500).map((row) => ({ ...row, hash: `${row.hash}x` }));
    expect((await verify(rows)).findings).toHaveLength(1_000);
  });
});
