import { expect, test } from '@jest/globals';
import { refusal } from '../../src/core/refusal.ts';
import { refuseOutcome, tellCrossing } from '../../src/exchange/outcome.ts';

test.each([
  { outcome: 'replayed' as const, code: 'evidence_replayed' },
  { outcome: 'proof_replayed' as const, code: 'dpop_replayed' },
  { outcome: 'revoked' as const, code: 'revoked' },
  { outcome: 'ended' as const, code: 'session_ended' },
])('a commit that says $outcome is refused as $code, with a sentence for admins', ({ outcome, code }) => {
  expect(refuseOutcome(outcome)).toEqual({ code, detail: expect.stringMatching(/^[a-z].{10,}[^.]$/) });
});

test('a chain that may not go on here is told nothing of whether the target exists', () => {
  for (const code of ['target_unknown', 'target_expired', 'target_denied'] as const) expect(tellCrossing(refusal(code, 'as it was'))).toEqual(refusal('crossing_denied', 'as it was'));
  expect(tellCrossing(refusal('scope_denied', 'as it was')).code).toBe('scope_denied');
});
