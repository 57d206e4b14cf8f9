import { expect, test } from '@jest/globals';
import { showEntry } from '../../src/admin/show-entry.ts';
import type { DomainId } from '../../src/core/ids.ts';
import type { EntryRow, Target } from '../../src/store/rows.ts';

const NOW = 1_000_000;
const row = (more: Partial<EntryRow> = {}): EntryRow => ({
  id: 'wkl_1', version: 2, seq: 7, kind: 'workload', domainId: 'dom_1' as DomainId, name: 'ci/x', body: { name: 'ci/x' }, owner: 'o', expiresAt: NOW + 1, ended: false, changedAt: 0, changedBy: 'local', ...more,
});
const statusOf = (entry: EntryRow, revoked: readonly Target[] = []): unknown =>
  showEntry({ snapshot: { version: 7, revokedBy: (path) => path.find((target) => revoked.includes(target)) } }, entry, 'prod', NOW)['status'];

test.each<{ readonly name: string; readonly entry: EntryRow; readonly revoked?: readonly Target[]; readonly status: string }>([
  { name: 'nothing speaks against it', entry: row(), status: 'live' },
  { name: 'it has no end', entry: row({ expiresAt: null }), status: 'live' },
  { name: 'its end is reached', entry: row({ expiresAt: NOW }), status: 'expired' },
  { name: 'it is revoked', entry: row(), revoked: ['workload:wkl_1'], status: 'revoked' },
  { name: 'it is revoked and its end is reached', entry: row({ expiresAt: NOW }), revoked: ['workload:wkl_1'], status: 'revoked' },
  { name: 'its domain is revoked', entry: row({ kind: 'policy', id: 'pol_1' }), revoked: ['domain:dom_1'], status: 'revoked' },
  { name: 'another of that id is revoked', entry: row({ kind: 'issuer' }), revoked: ['workload:wkl_1'], status: 'live' },
  { name: 'it was ended', entry: row({ ended: true }), revoked: ['workload:wkl_1'], status: 'ended' },
])('an entry is $status where $name', ({ entry, revoked, status }) => {
  expect(statusOf(entry, revoked)).toBe(status);
});
