import fc from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { DAY } from '../../src/core/duration.ts';
import { verifyChain } from '../../src/audit/verify-chain.ts';
import type { ChainToVerify } from '../../src/audit/verify-chain.ts';
import type { AuditRow } from '../../src/store/rows.ts';
import { CHAIN_START } from '../../src/core/hash-chain.ts';
import { CHAIN, CODES, NOW, entriesOf, linkEntries, makeChain, makeCodes, sealOf } from './make-chain.ts';

const verify = (rows: readonly AuditRow[], rest: Partial<ChainToVerify> = {}) => verifyChain({ chain: CHAIN, entries: entriesOf(rows), seals: [], codes: CODES, purgedBefore: NOW - 400 * DAY, ...rest });
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

describe('verifyChain, asked who wrote it,', () => {
  // Codes at 3, 6, 9 and 10.
  const chain = makeChain(10);
  const sealed = [sealOf(at(chain, 4))];
  const forged = linkEntries(at(chain, 10), 3);
  const withCode = (rows: readonly AuditRow[], n: number, mac: string | null): readonly AuditRow[] => rows.map((row) => (row.n === n ? { ...row, mac } : row));
  const found = async (rows: readonly AuditRow[], rest: Partial<ChainToVerify> = {}): Promise<readonly string[]> => (await verify(rows, rest)).findings.map(({ kind, n, to }) => `${kind} ${n}-${to}`);

  test.each<{ readonly name: string; readonly rows: readonly AuditRow[]; readonly rest?: Partial<ChainToVerify>; readonly finds: readonly string[] }>([
    { name: 'a chain that was invented whole', rows: linkEntries(CHAIN_START, 5), finds: ['forged 1-5'] },
    { name: 'one that another installation wrote', rows: makeChain(10, makeCodes()), finds: ['forged 1-10'] },
    { name: 'entries behind the last code', rows: [...chain, ...forged], finds: ['forged 11-13'] },
    { name: 'entries behind the last seal', rows: [...chain.slice(0, 4), ...linkEntries(at(chain, 4), 2)], rest: { seals: sealed }, finds: ['forged 5-6'] },
    { name: 'entries with the code of another entry', rows: withCode([...chain, ...forged], 13, at(chain, 10).mac), finds: ['forged 11-13'] },
    { name: 'entries with a code made for another chain', rows: withCode([...chain, ...forged], 13, CODES.make('chn_other', at(forged, 13))), finds: ['forged 11-13'] },
    { name: 'entries with a stranger\'s code', rows: withCode([...chain, ...forged], 13, makeCodes().make(CHAIN, at(forged, 13))), finds: ['forged 11-13'] },
    { name: 'entries with an empty code', rows: withCode([...chain, ...forged], 13, ''), finds: ['forged 11-13'] },
    { name: 'an end whose code was taken away', rows: withCode(chain, 10, null), finds: ['forged 10-10'] },
    { name: 'a wrong code before a right one', rows: withCode(chain, 6, at(chain, 3).mac), finds: ['forged 6-6'] },
    { name: 'a wrong code on an entry that never had one', rows: withCode(chain, 5, at(chain, 6).mac), finds: ['forged 5-5'] },
    { name: 'a wrong code on a sealed entry', rows: withCode(chain, 3, 'x'), rest: { seals: sealed }, finds: ['forged 3-3'] },
    { name: 'the unsealed end of a chain whose key is not loaded any more', rows: chain, rest: { seals: sealed, codes: makeCodes() }, finds: ['forged 5-10'] },
  ])('finds $name', async ({ rows, rest, finds }) => {
    expect(await found(rows, rest)).toEqual(finds);
  });

  test.each<{ readonly name: string; readonly rows: readonly AuditRow[]; readonly rest?: Partial<ChainToVerify> }>([
    { name: 'a chain that ends with a code', rows: chain },
    { name: 'its beginning, as long as that ends with one', rows: chain.slice(0, 6) },
    { name: 'an end without a code that is sealed', rows: withCode(chain, 10, null), rest: { seals: [sealOf(at(chain, 10))] } },
    { name: 'a chain whose key is not loaded any more, sealed to its end', rows: chain, rest: { seals: [sealOf(at(chain, 10))], codes: makeCodes() } },
    { name: 'what is left of a purged chain', rows: chain.slice(4), rest: { seals: sealed, purgedBefore: NOW + 1 } },
  ])('takes $name for what was written', async ({ rows, rest }) => {
    expect(await found(rows, rest)).toEqual([]);
  });

  test('finds whatever is put in place of the unsealed end, with codes copied from wherever there are any', async () => {
    const copied = fc.constantFrom(null, ...chain.map(({ mac }) => mac));
    await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 10 }), fc.array(copied, { minLength: 1, maxLength: 6 }), async (kept, macs) => {
      const start = kept === 0 ? CHAIN_START : at(chain, kept);
      const rows = linkEntries(start, macs.length, CHAIN, 'invented').map((row, index) => ({ ...row, mac: macs[index] ?? null }));
      expect(await found([...chain.slice(0, kept), ...rows])).not.toEqual([]);
    }), { numRuns: 200 });
  });
});
