import { expect, test } from '@jest/globals';
import { refuseOutcome } from '../../src/exchange/outcome.ts';

test.each([
  { outcome: 'replayed' as const, code: 'evidence_replayed' },
  { outcome: 'proof_replayed' as const, code: 'dpop_replayed' },
  { outcome: 'revoked' as const, code: 'revoked' },
  { outcome: 'ended' as const, code: 'session_ended' },
])('a commit that says $outcome is refused as $code, with a sentence for admins', ({ outcome, code }) => {
  expect(refuseOutcome(outcome)).toEqual({ code, detail: expect.stringMatching(/^[a-z].{10,}[^.]$/) });
});
