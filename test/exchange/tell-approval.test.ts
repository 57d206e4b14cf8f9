import { describe, expect, test } from '@jest/globals';
import type { Frozen } from '../../src/authority/approval.ts';
import { statusOf } from '../../src/exchange/tell-approval.ts';
import { createRevocations } from '../../src/revocation/revocations.ts';
import type { ApprovalRow } from '../../src/store/approval-rows.ts';
import type { RevocationRow, Target } from '../../src/store/rows.ts';

const ASKED = 10;
const row = (change: Partial<ApprovalRow> = {}): ApprovalRow => ({ status: 'pending', leaseId: 'lse_1', sessionId: 's', hopId: 'hop_1', expiresAt: 100, ...change }) as ApprovalRow;
const frozen = { path: ['domain:d', 'person:p'], registryVersion: ASKED } as unknown as Frozen;
const revocation = (target: string, change: Partial<RevocationRow> = {}): RevocationRow => ({ seq: ASKED + 1, target: target as Target, effect: 'revoked', at: 0, enabledSeq: null, purgeAfter: null, ...change }) as RevocationRow;

const status = (known: readonly RevocationRow[], change: Partial<ApprovalRow> = {}, now = 0, text: Frozen | null = frozen): string => {
  const revocations = createRevocations();
  for (const each of known) revocations.add(each);
  return statusOf(row(change), text ?? undefined, { blockedBy: (path, beganVersion) => revocations.find(path, beganVersion) }, now);
};

describe('what people are told of a request', () => {
  test('is what its row says while it is answered, and that it is over from its end on', () => {
    expect([status([]), status([], { status: 'approved' }), status([], {}, 100), status([], { status: 'denied' }, 100)]).toEqual(['pending', 'approved', 'expired', 'denied']);
  });

  test.each(['lease:lse_1', 'session:s', 'hop:hop_1', 'person:p', 'domain:d'])('is that it is cancelled once %s was revoked', (target) => {
    expect([status([revocation(target)]), status([revocation(target)], { status: 'approved' }), status([revocation(target)], { status: 'redeemed' })]).toEqual(['cancelled', 'cancelled', 'redeemed']);
    expect(status([revocation(target, { effect: 'suspended' })])).toBe('pending');
  });

  test('is that it is cancelled also once that was lifted, unless it was before they asked', () => {
    expect([status([revocation('person:p', { enabledSeq: ASKED + 2 })]), status([revocation('person:p', { seq: ASKED - 2, enabledSeq: ASKED - 1 })])]).toEqual(['cancelled', 'pending']);
  });

  test('of which the text is not that of the row goes by the row alone', () => {
    expect([status([revocation('lease:lse_1')], {}, 0, null), status([revocation('person:p')], {}, 0, null)]).toEqual(['cancelled', 'pending']);
  });
});
