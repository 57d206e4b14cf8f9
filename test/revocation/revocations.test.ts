import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MINUTE } from '../../src/core/duration.ts';
import { createRevocations } from '../../src/revocation/revocations.ts';
import type { RevocationRow, Target } from '../../src/store/rows.ts';
import { makeRevocation } from '../support/seed.ts';

const WORKLOAD: Target = 'workload:wkl_1';
const knowing = (...rows: readonly RevocationRow[]) => {
  const revocations = createRevocations();
  for (const row of rows) revocations.add(row);
  return revocations;
};
const lifted = (seq: number, enabledSeq: number): RevocationRow => makeRevocation(seq, WORKLOAD, { enabledSeq, enabledAt: 1, enabledBy: 'ada' });

describe('what a node knows to be revoked', () => {
  test('blocks what began before it and what begins after it', () => {
    const revocations = knowing(makeRevocation(5, WORKLOAD));
    expect(revocations.find(['domain:dom_1', WORKLOAD], 4)?.target).toBe(WORKLOAD);
    expect(revocations.find(['domain:dom_1', WORKLOAD], 9)?.target).toBe(WORKLOAD);
    expect(revocations.find(['domain:dom_1', 'workload:wkl_2'], 9)).toBeUndefined();
  });

  test('once lifted lets anew begin, and revives nothing', () => {
    const revocations = knowing(makeRevocation(5, WORKLOAD));
    revocations.add(lifted(5, 7));
    expect(revocations.find([WORKLOAD], 4)?.target).toBe(WORKLOAD);
    expect(revocations.find([WORKLOAD], 7)).toBeUndefined();
  });

  test('lifted one of two still blocks', () => {
    expect(knowing(lifted(5, 7), makeRevocation(6, WORKLOAD)).find([WORKLOAD], 9)?.target).toBe(WORKLOAD);
  });

  test('suspends for as long as it stands, and leaves nothing behind', () => {
    const suspension = (more: Partial<RevocationRow> = {}): RevocationRow => makeRevocation(5, WORKLOAD, { effect: 'suspended', ...more });
    expect(knowing(suspension()).find([WORKLOAD], 4)).toEqual({ target: WORKLOAD, effect: 'suspended' });
    expect(knowing(suspension({ enabledSeq: 7, enabledAt: 1, enabledBy: 'ada' })).find([WORKLOAD], 4)).toBeUndefined();
    expect(knowing(suspension(), makeRevocation(6, 'hop:hop_1')).find([WORKLOAD, 'hop:hop_1'], 4)).toEqual({ target: 'hop:hop_1', effect: 'revoked' });
  });

  test('ends logins up to its moment, lifted or not, and no later one', () => {
    const PERSON: Target = 'person:urn:mayfly:prod:person:corp:alice';
    for (const more of [{}, { enabledSeq: 7, enabledAt: 2000, enabledBy: 'ada' }]) {
      const revocations = knowing(makeRevocation(5, PERSON, { at: 1000, ...more }));
      expect([999, 1000, 1001].map((authTime) => revocations.endsLogin(PERSON, authTime))).toEqual([true, true, false]);
    }
    expect(knowing(makeRevocation(5, PERSON, { effect: 'suspended', at: 1000 })).endsLogin(PERSON, 1)).toBe(false);
  });

  test('names the first of a path', () => {
    expect(knowing(makeRevocation(6, 'hop:hop_1'), makeRevocation(5, WORKLOAD)).find([WORKLOAD, 'hop:hop_1'], 9)?.target).toBe(WORKLOAD);
  });

  test('forgets what cannot matter any more, and only that', () => {
    const revocations = knowing(makeRevocation(1, 'lease:lse_1', { purgeAfter: 1000 }), makeRevocation(2, 'lease:lse_2', { purgeAfter: 5 * MINUTE }), makeRevocation(3, WORKLOAD));
    revocations.purge(999);
    expect(revocations.size).toBe(3);
    revocations.purge(1000);
    expect(revocations.size).toBe(2);
    expect(revocations.find(['lease:lse_1'], 0)).toBeUndefined();
    revocations.purge(10 * MINUTE);
    expect(revocations.find(['lease:lse_2'], 0)).toBeUndefined();
    expect(revocations.find([WORKLOAD], 0)?.target).toBe(WORKLOAD);
    expect(revocations.size).toBe(1);
  });

  test('forgets a row that came after the last look, whenever it is due', () => {
    const revocations = knowing(makeRevocation(1, 'lease:lse_1', { purgeAfter: 1000 }));
    revocations.purge(1000);
    revocations.add(makeRevocation(2, 'lease:lse_2', { purgeAfter: 2000 }));
    revocations.purge(2000);
    expect(revocations.size).toBe(0);
  });

  test('any set of rows blocks exactly where one of them is open or younger than the session', () => {
    const rows = fc.array(fc.record({ seq: fc.integer({ min: 1, max: 50 }), target: fc.constantFrom<Target>('workload:a', 'workload:b', 'lease:c'), open: fc.boolean() }), { maxLength: 20 });
    fc.assert(fc.property(rows, fc.integer({ min: 0, max: 60 }), (made, began) => {
      const unique = [...new Map(made.map((row) => [row.seq, row])).values()].map(({ seq, target, open }) => makeRevocation(seq, target, open ? {} : { enabledSeq: seq + 100 }));
      const revocations = knowing(...unique);
      for (const target of ['workload:a', 'workload:b', 'lease:c'] as const) {
        const blocked = unique.some((row) => row.target === target && (row.enabledSeq === null || row.seq > began));
        expect(revocations.find([target], began)?.target === target).toBe(blocked);
      }
    }));
  });
});
