import { describe, expect, test } from '@jest/globals';
import { detailFacts, detailRules, narrowDetails, normaliseDetails, readDetail } from '../../src/authority/details.ts';
import type { DetailField, DetailType } from '../../src/registry/entries.ts';
import type { Detail } from '../../src/store/rows.ts';

const field = (compare: DetailField['compare'], change: Partial<DetailField> = {}): DetailField => ({ compare, values: undefined, optional: false, ...change });
const payment: DetailType = {
  type: 'payment',
  fields: { actions: field('subset', { values: ['initiate', 'status'] }), amount: field('max'), creditor: field('exact', { optional: true }), currency: field('exact', { values: ['EUR', 'USD'] }), folder: field('prefix', { optional: true }) },
};
const rules = detailRules([payment, { type: 'query', fields: {} }]);
const pay = (change: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> =>
  Object.fromEntries(Object.entries({ type: 'payment', actions: ['initiate'], amount: 100, currency: 'EUR', ...change }).filter(([, value]) => value !== undefined));
const said = (raw: Readonly<Record<string, unknown>>): string => {
  const read = readDetail(raw, rules);
  return read.ok ? 'understood' : read.error.unknown ? 'unknown' : 'refused';
};
const valid = (change: Readonly<Record<string, unknown>> = {}): Detail => {
  const read = readDetail(pay(change), rules);
  if (!read.ok) throw new Error(read.error.why);
  return read.value;
};

describe('a detail', () => {
  test.each<{ readonly name: string; readonly change: Readonly<Record<string, unknown>>; readonly is: string }>([
    { name: 'every field there has to be', change: {}, is: 'understood' },
    { name: 'an optional one besides', change: { creditor: 'DE02' }, is: 'understood' },
    { name: 'another type', change: { type: 'transfer' }, is: 'unknown' },
    { name: 'its type in other case', change: { type: 'Payment' }, is: 'unknown' },
    { name: 'its type with a space', change: { type: 'payment ' }, is: 'unknown' },
    { name: 'no type', change: { type: undefined }, is: 'unknown' },
    { name: 'a type that every object has', change: { type: 'constructor' }, is: 'unknown' },
    { name: 'a field nobody registered', change: { purpose: 'rent' }, is: 'refused' },
    { name: 'a field in other case', change: { Amount: 1 }, is: 'refused' },
    { name: 'a common field of RFC 9396 that its type does not list', change: { locations: ['https://pay.example'] }, is: 'refused' },
    { name: 'a field that every object has', change: { toString: 'x' }, is: 'refused' },
    { name: 'a field missing', change: { amount: undefined }, is: 'refused' },
    { name: 'an amount as text', change: { amount: '100' }, is: 'refused' },
    { name: 'an amount below nothing', change: { amount: -1 }, is: 'refused' },
    { name: 'an amount of minus nothing', change: { amount: -0 }, is: 'refused' },
    { name: 'a fraction', change: { amount: 0.5 }, is: 'refused' },
    { name: 'an amount too large to be exact', change: { amount: 2 ** 53 }, is: 'refused' },
    { name: 'the largest exact amount', change: { amount: 2 ** 53 - 1 }, is: 'understood' },
    { name: 'an amount in a list', change: { amount: [1] }, is: 'refused' },
    { name: 'a value that is not among those there are', change: { currency: 'GBP' }, is: 'refused' },
    { name: 'one that is, in other case', change: { currency: 'eur' }, is: 'refused' },
    { name: 'one that is, with a space after it', change: { currency: 'EUR ' }, is: 'refused' },
    { name: 'text with a character nobody sees', change: { creditor: 'DE\u200b02' }, is: 'refused' },
    { name: 'text with half a character', change: { creditor: 'DE\ud800' }, is: 'refused' },
    { name: 'empty text', change: { creditor: '' }, is: 'refused' },
    { name: 'text where a list has to be', change: { actions: 'initiate' }, is: 'refused' },
    { name: 'an empty list', change: { actions: [] }, is: 'refused' },
    { name: 'a list with a wildcard', change: { actions: ['*'] }, is: 'refused' },
    { name: 'a list with a list', change: { actions: [['initiate']] }, is: 'refused' },
    { name: 'a list with a number', change: { actions: ['initiate', 1] }, is: 'refused' },
    { name: 'a path', change: { folder: '/invoices/2026' }, is: 'understood' },
    { name: 'the root', change: { folder: '/' }, is: 'understood' },
    { name: 'a path without a slash before it', change: { folder: 'invoices' }, is: 'refused' },
    { name: 'a path with a slash after it', change: { folder: '/invoices/' }, is: 'refused' },
    { name: 'a path that climbs', change: { folder: '/invoices/../payroll' }, is: 'refused' },
    { name: 'a path that stays where it is', change: { folder: '/invoices/.' }, is: 'refused' },
    { name: 'a path with an empty segment', change: { folder: '/invoices//2026' }, is: 'refused' },
    { name: 'a path with an escape', change: { folder: '/invoices/%2e%2e' }, is: 'refused' },
    { name: 'a path with a wildcard', change: { folder: '/invoices/*' }, is: 'refused' },
    { name: 'a path with a dot in a name', change: { folder: '/invoices/a..b/.hidden' }, is: 'understood' },
  ])('with $name is $is', ({ change, is }) => { expect(said(pay(change))).toBe(is); });

  test('has one spelling: fields in order, each member once', () => {
    expect(JSON.stringify(valid({ actions: ['status', 'initiate', 'status'], amount: 1e2 }))).toBe('{"type":"payment","actions":["initiate","status"],"amount":100,"currency":"EUR"}');
  });

  test('is told to policies by the types of its values', () => {
    expect(detailFacts(valid({ folder: '/a' }))).toEqual({ type: 'payment', texts: { currency: 'EUR', folder: '/a' }, numbers: { amount: 100 }, sets: { actions: ['initiate'] } });
  });
});

describe('a child', () => {
  const parent = { actions: ['initiate', 'status'], amount: 100, currency: 'EUR', creditor: 'DE02', folder: '/invoices' };
  test.each([
    { name: 'the same', child: parent, within: true },
    { name: 'less of everything', child: { ...parent, actions: ['status'], amount: 99, folder: '/invoices/2026' }, within: true },
    { name: 'nothing of an amount', child: { ...parent, amount: 0 }, within: true },
    { name: 'one more', child: { ...parent, amount: 101 }, within: false },
    { name: 'another currency', child: { ...parent, currency: 'USD' }, within: false },
    { name: 'another creditor', child: { ...parent, creditor: 'DE03' }, within: false },
    { name: 'a creditor in other case', child: { ...parent, creditor: 'de02' }, within: false },
    { name: 'no creditor, which would be any', child: { ...parent, creditor: undefined }, within: false },
    { name: 'no folder, which would be every one', child: { ...parent, folder: undefined }, within: false },
    { name: 'the folder above', child: { ...parent, folder: '/' }, within: false },
    { name: 'a folder that only begins like it', child: { ...parent, folder: '/invoices-old' }, within: false },
    { name: 'a folder in other case', child: { ...parent, folder: '/Invoices/2026' }, within: false },
  ])('with $name is within: $within', ({ child, within }) => {
    expect(narrowDetails([valid(child)], [valid(parent)], rules)).toHaveLength(within ? 1 : 0);
  });

  test('may bound what its parent left open', () => {
    expect(narrowDetails([valid({ creditor: 'DE02', folder: '/a' })], [valid()], rules)).toHaveLength(1);
    expect(narrowDetails([valid({ folder: '/a' })], [valid({ folder: '/' })], rules)).toHaveLength(1);
  });

  test('is covered by one parent whole, never by two in part', () => {
    const [euros, dollars] = [valid({ amount: 50 }), valid({ amount: 500, currency: 'USD' })];
    expect(narrowDetails([valid({ amount: 500 })], [euros, dollars], rules)).toEqual([]);
    expect(narrowDetails([valid({ actions: ['initiate', 'status'] })], [valid({ actions: ['initiate'] }), valid({ actions: ['status'] })], rules)).toEqual([]);
  });

  test('of another type, or under rules that do not know it, is within nothing', () => {
    expect(narrowDetails([{ type: 'query' }], [valid()], rules)).toEqual([]);
    expect(narrowDetails([{ type: 'query' }], [{ type: 'query' }], rules)).toEqual([{ type: 'query' }]);
    expect(narrowDetails([{ type: 'query' }], [{ type: 'query' }], new Map())).toEqual([]);
  });

  test('is within nothing once its parent no longer reads', () => {
    const stricter = detailRules([{ ...payment, fields: { ...payment.fields, currency: field('exact', { values: ['USD'] }) } }]);
    expect(narrowDetails([valid()], [valid()], stricter)).toEqual([]);
  });
});

describe('a list of details', () => {
  test('holds each once, and none that another gives already', () => {
    expect(normaliseDetails([valid({ amount: 50 }), valid(), valid({ amount: 100 }), { type: 'query' }, { type: 'query' }], rules)).toEqual([valid(), { type: 'query' }]);
  });

  test('has one order', () => {
    const one = valid({ creditor: 'A' }), other = valid({ creditor: 'B' });
    expect(normaliseDetails([other, one], rules)).toEqual(normaliseDetails([one, other], rules));
  });
});
