import { describe, expect, test } from '@jest/globals';
import type { Resource } from '../../src/registry/entries.ts';
import { createPlanner } from '../../src/registry/resolve.ts';
import { decoder, deps, errorOf, KEEP, manifest, rowsAfter, systemRow, valueOf, viewOf, withChange } from './world.ts';

const planner = createPlanner(deps);
const rows = [systemRow()];
type Rows = Parameters<typeof viewOf>[0];
const API = 'https://deploy.acme.example';
const PAYMENT = { type: 'payment', fields: { amount: { compare: 'max' }, actions: { values: ['status', 'initiate'] }, identifier: {}, folder: { compare: 'prefix', optional: true } } };
const plan = (details: unknown, at: readonly (string | number)[] = ['resources', 0, 'details'], on: Rows = rows) => planner.plan(withChange(manifest(), at, details), viewOf(on), KEEP);

describe('types of details', () => {
  test('are stored in one order, each field with its comparator written out', async () => {
    const made = valueOf(await plan([PAYMENT, { type: 'https://acme.example/query' }]));
    expect(made.entries.find(({ name }) => name === API)?.body['details']).toEqual([
      { type: 'https://acme.example/query', fields: {} },
      { type: 'payment', fields: { actions: { compare: 'subset', values: ['initiate', 'status'] }, amount: { compare: 'max' }, folder: { compare: 'prefix', optional: true }, identifier: { compare: 'exact' } } },
    ]);
    const again = valueOf(await plan([{ type: 'https://acme.example/query' }, { ...PAYMENT, fields: { ...PAYMENT.fields, actions: { compare: 'subset', values: ['initiate', 'status'] } } }], undefined, rowsAfter(made, rows)));
    expect(again.entries).toEqual([]);
  });

  test('are read back frozen, under names without a prototype', async () => {
    const made = valueOf(await plan([PAYMENT]));
    const row = rowsAfter(made, rows).find(({ name }) => name === API);
    if (row === undefined) throw new Error('no row');
    const [type] = (valueOf(decoder.decode(row)) as Resource).details ?? [];
    expect(type?.fields['amount']).toEqual({ compare: 'max', values: undefined, optional: false });
    expect([Object.getPrototypeOf(type?.fields), Object.isFrozen(type), Object.isFrozen(type?.fields), Object.isFrozen(type?.fields['actions']?.values)]).toEqual([null, true, true, true]);
    const bare = { ...row, body: { ...row.body, details: [{ type: 'payment', fields: { amount: {} } }] } };
    expect(errorOf(decoder.decode(bare)).why).toContain('amount');
  });

  const refused = (details: unknown, at: string, on?: readonly (string | number)[]) => ({ details, at, on });
  test.each([
    { name: 'a type twice', ...refused([PAYMENT, PAYMENT], 'resources[0].details[1].type') },
    { name: 'our own type', ...refused([{ ...PAYMENT, type: 'urn:mayfly:ceiling' }], 'resources[0].details[0].type') },
    { name: 'our own type in other case', ...refused([{ ...PAYMENT, type: 'URN:Mayfly:ceiling' }], 'resources[0].details[0].type') },
    { name: 'a type with a space', ...refused([{ ...PAYMENT, type: 'pay ment' }], 'resources[0].details[0].type') },
    { name: 'no types', ...refused([], 'resources[0].details') },
    { name: 'an unknown comparator', ...refused([{ type: 'p', fields: { amount: { compare: 'min' } } }], 'resources[0].details[0].fields.amount.compare') },
    { name: 'a field of its own that nothing compares', ...refused([{ type: 'p', fields: { amount: {} } }], 'resources[0].details[0].fields.amount.compare') },
    { name: 'a field called type', ...refused([{ type: 'p', fields: { type: { compare: 'exact' } } }], 'resources[0].details[0].fields.type') },
    { name: 'values of a number', ...refused([{ type: 'p', fields: { amount: { compare: 'max', values: ['1'] } } }], 'resources[0].details[0].fields.amount.values') },
    { name: 'a value twice', ...refused([{ type: 'p', fields: { actions: { values: ['a', 'a'] } } }], 'resources[0].details[0].fields.actions.values[1]') },
    { name: 'a value nobody could ask for', ...refused([{ type: 'p', fields: { actions: { values: ['a '] } } }], 'resources[0].details[0].fields.actions.values[0]') },
    { name: 'an unknown member', ...refused([{ type: 'p', fields: { amount: { compare: 'max', limit: 5 } } }], 'resources[0].details[0].fields.amount.limit') },
    { name: 'a target that issues no tokens', ...refused([PAYMENT], 'resources[1].details', ['resources', 1, 'details']) },
  ])('are refused: $name', async ({ details, at, on }) => {
    expect(errorOf(await plan(details, on)).map(({ path }) => path)).toEqual([at]);
  });
});
