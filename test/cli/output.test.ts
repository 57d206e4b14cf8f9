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

  describe('of a width', () => {
    const columns = [column('lease', 'id'), column('kind'), column('audience'), column('why')];
    const item = { id: 'lse_01a2150b058ccde1f0cd1f0dd3d3c436', kind: 'access_token', audience: 'https://deploy.acme.example', why: 'keys fetched without TLS can be replaced on the way; only for development' };

    test('gets the table where it fits, to the last column', () => {
      const table = renderTable(columns, [item]);
      const needed = Math.max(...table.split('\n').map((line) => line.length));
      expect(renderTable(columns, [item], needed)).toBe(table);
      expect(renderTable(columns, [item], needed - 1)).not.toBe(table);
    });

    test('gets a paragraph for each item where it does not, no line of it longer, with all that is there', () => {
      expect(renderTable(columns, [item, { id: 'lse_2', kind: 'aws-credentials' }], 80)).toBe([
        'lease: lse_01a2150b058ccde1f0cd1f0dd3d3c436   kind: access_token',
        '  audience: https://deploy.acme.example',
        '  why: keys fetched without TLS can be replaced on the way; only for development',
        'lease: lse_2   kind: aws-credentials',
      ].join('\n'));
    });

    test('breaks what is longer than a line between its words', () => {
      expect(renderTable([column('why')], [item], 40)).toBe('why: keys fetched without TLS can be\n  replaced on the way; only for\n  development');
    });

    test('shows escapes there too and does not obey them', () => {
      expect(renderTable(columns, [{ ...item, kind: 'a\u001b[2J' }], 40)).toContain('kind: a\\u001b[2J');
    });
  });

  test('indents details and keeps the lines of a policy', () => {
    expect(renderDetails({ name: 'p', cedar: 'permit(\n);', match: { issuer: 'github' } })).toBe('name: p\ncedar: |\n  permit(\n  );\nmatch:\n  issuer: github');
  });

  test('puts what is inside the items of a list below them, and leaves flat items on a line', () => {
    const decisions = [{ scope: 'deploy:write', allow: false, nearest: [{ policy: 'a', why: 'x' }, { policy: 'b', why: 'y' }] }];
    expect(renderDetails({ decisions })).toBe('decisions:\n  - scope: deploy:write\n    allow: false\n    nearest:\n      - policy=a why=x\n      - policy=b why=y');
  });

  test('puts a flat item that would be a long line below itself as well', () => {
    const leases = [{ id: 'lse_1', audience: 'https://deploy.acme.example', session: 'xbUuf1zRijsa2kYLv5dvKA', owner: 'payments@acme.example' }];
    expect(renderDetails({ leases })).toBe('leases:\n  - id: lse_1\n    audience: https://deploy.acme.example\n    session: xbUuf1zRijsa2kYLv5dvKA\n    owner: payments@acme.example');
  });

  test('reads times in either form', () => {
    expect(asTime(1_800_000_000_000)).toBe('2027-01-15T08:00:00.000Z');
    expect(asTime('2027-01-15T08:00:00Z')).toBe('2027-01-15T08:00:00Z');
  });
});
