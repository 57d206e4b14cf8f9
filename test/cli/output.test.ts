import { describe, expect, test } from '@jest/globals';
import { asTime, column, printable, renderDetails, renderTable } from '../../src/cli/output.ts';

describe('what a terminal gets', () => {
  test.each([
    { name: 'an escape sequence', value: 'a\u001b[2Jb', shown: 'a\\u001b[2Jb' },
    { name: 'a one-byte control sequence', value: 'a\u009b2Jb', shown: 'a\\u009b2Jb' },
    { name: 'a line break that would forge a row', value: 'a\nb', shown: 'a\\u000ab' },
    { name: 'a change of direction', value: 'a\u202eb', shown: 'a\\u202eb' },
    { name: 'such a mark inside an object', value: { 'k\u001b': ['v\u001b'] }, shown: 'k\\u001b=v\\u001b' },
  ])('shows $name and does not obey it', ({ value, shown }) => {
    expect(printable(value)).toBe(shown);
  });

  test('leaves ordinary text of any language as it is', () => {
    expect(printable('Bäcker – 東京 😀')).toBe('Bäcker – 東京 😀');
  });

  test.each([undefined, null, '', []])('shows %p as absent', (value) => {
    expect(printable(value)).toBe('-');
  });

  test('lines up a table without borders', () => {
    expect(renderTable([column('name'), column('expires', 'until')], [{ name: 'ci/deployer', until: '2027-05-01' }, { name: 'x' }])).toBe('NAME         EXPIRES\nci/deployer  2027-05-01\nx            -');
  });

  test('indents details and keeps the lines of a policy', () => {
    expect(renderDetails({ name: 'p', cedar: 'permit(\n);', match: { issuer: 'github' } })).toBe('name: p\ncedar: |\n  permit(\n  );\nmatch:\n  issuer: github');
  });

  test('puts what is inside the items of a list below them, and leaves flat items on a line', () => {
    const decisions = [{ scope: 'deploy:write', allow: false, nearest: [{ policy: 'a', why: 'x' }, { policy: 'b', why: 'y' }] }];
    expect(renderDetails({ decisions })).toBe('decisions:\n  - scope: deploy:write\n    allow: false\n    nearest:\n      - policy=a why=x\n      - policy=b why=y');
  });

  test('reads times in either form', () => {
    expect(asTime(1_800_000_000_000)).toBe('2027-01-15T08:00:00.000Z');
    expect(asTime('2027-01-15T08:00:00Z')).toBe('2027-01-15T08:00:00Z');
  });
});
