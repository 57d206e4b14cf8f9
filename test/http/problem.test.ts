import { describe, expect, test } from '@jest/globals';
import { REFUSAL_CODES, refusal } from '../../src/core/refusal.ts';
import { PUBLIC_REFUSALS, describeRefusal } from '../../src/http/problem.ts';

/** RFC 6749 section 5.2: the characters an error and its description may have. */
const ALLOWED = /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/;

describe('what a caller sees of a refusal', () => {
  test.each(REFUSAL_CODES.map((code) => ({ code })))('of $code keeps to the characters of the standard', ({ code }) => {
    const { error, sentence } = PUBLIC_REFUSALS[code];
    expect(error).toMatch(ALLOWED);
    expect(sentence).toMatch(ALLOWED);
  });

  test('does not tell a target that does not exist from one that is not permitted', () => {
    expect(PUBLIC_REFUSALS.target_unknown).toEqual(PUBLIC_REFUSALS.target_denied);
    expect(PUBLIC_REFUSALS.ceiling_exceeded).toEqual(PUBLIC_REFUSALS.target_denied);
  });

  test('does not tell which check evidence failed', () => {
    const shown = REFUSAL_CODES.filter((code) => code.startsWith('evidence_') && code !== 'evidence_replayed').map((code) => PUBLIC_REFUSALS[code]);
    expect(new Set(shown.map((each) => JSON.stringify(each))).size).toBe(1);
    expect(PUBLIC_REFUSALS.workload_unknown).toEqual(shown[0]);
  });

  test('tells which parameter is meant, in the characters of the standard', () => {
    expect(describeRefusal(refusal('parameter_invalid', 'amount is not a whole number from 1'))).toBe(`${PUBLIC_REFUSALS.parameter_invalid.sentence} Here: amount is not a whole number from 1.`);
    expect(describeRefusal(refusal('parameter_repeated', 'a "scope"\\ of \u00fc\n'))).toBe(`${PUBLIC_REFUSALS.parameter_repeated.sentence} Here: a scope of .`);
  });

  test.each(REFUSAL_CODES.filter((code) => !code.startsWith('parameter_')).map((code) => ({ code })))('tells nothing of the detail of $code', ({ code }) => {
    expect(describeRefusal(refusal(code, 'what only an admin is told'))).toBe(PUBLIC_REFUSALS[code].sentence);
  });
});
