import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { LeaseId } from '../../src/core/ids.ts';
import { roleSessionName, sessionTags, sourceIdentity } from '../../src/credentials/aws-names.ts';

const LEASE = `lse_${'0'.repeat(32)}` as LeaseId;
const NAME = /^[\w+=,.@-]{2,64}$/;
/** Workload names: paths of SPIFFE IDs. */
const workloads = fc.array(fc.stringMatching(/^[A-Za-z0-9._-]{1,40}$/), { minLength: 1, maxLength: 6 }).map((segments) => segments.join('/'));

describe('names of AWS sessions', () => {
  test('are accepted by AWS for every workload', () => {
    fc.assert(fc.property(workloads, (name) => {
      expect(roleSessionName(name, LEASE)).toMatch(NAME);
      expect(sourceIdentity(name)).toMatch(NAME);
    }), { numRuns: 200 });
  });

  test('are accepted by AWS even for names no workload can have', () => {
    for (const name of ['a', 'with space', 'ünïcödé', '', '/'.repeat(100)]) {
      expect(roleSessionName(name, LEASE)).toMatch(NAME);
      expect(sourceIdentity(name)).toMatch(NAME);
    }
  });

  test('differ for workloads that differ, also when shortened', () => {
    fc.assert(fc.property(workloads, workloads, (a, b) => {
      fc.pre(a !== b);
      expect(sourceIdentity(a)).not.toBe(sourceIdentity(b));
    }), { numRuns: 200 });
    expect(sourceIdentity('ci/deployer')).not.toBe(sourceIdentity('ci-deployer'));
    expect(sourceIdentity(`${'a'.repeat(80)}b`)).not.toBe(sourceIdentity(`${'a'.repeat(80)}c`));
  });

  test('hold the whole lease id', () => {
    expect(roleSessionName('a'.repeat(200), LEASE).endsWith(`@${LEASE}`)).toBe(true);
  });
});

describe('session tags', () => {
  test('leave out what AWS cannot carry, and never alter it', () => {
    expect(sessionTags({}, { plain: 'refs/heads/main', star: 'a*b', long: 'x'.repeat(257), just: 'x'.repeat(256), empty: '', count: 7, yes: true, list: ['a'], none: undefined }, ['plain', 'star', 'long', 'just', 'empty', 'count', 'yes', 'list', 'none', 'absent']))
      .toEqual({ plain: 'refs/heads/main', just: 'x'.repeat(256), count: '7', yes: 'true' });
  });

  test('let no attribute replace a fixed one, in whatever case', () => {
    expect(sessionTags({ lease_id: 'real' }, { lease_id: 'forged', LEASE_ID: 'forged' }, ['lease_id', 'LEASE_ID'])).toEqual({ lease_id: 'real' });
  });

  test('come from own attributes only', () => {
    expect(sessionTags({}, {}, ['constructor', 'toString', '__proto__'])).toEqual({});
  });
});
