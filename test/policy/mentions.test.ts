import { describe, expect, test } from '@jest/globals';
import { readsSessionAge } from '../../src/policy/mentions.ts';
import { parseStatement } from '../../src/policy/validate.ts';

const reads = (...conditions: readonly string[]): boolean =>
  readsSessionAge(conditions.flatMap((condition) => parseStatement(`permit(principal, action, resource) ${condition};`) ?? []));

describe('whether an answer depends on the age of a session', () => {
  test.each([
    { name: 'the age', condition: 'when { context.session.age_seconds > 5 }', is: true },
    { name: 'the age in an unless', condition: 'unless { context.session.age_seconds < 5 }', is: true },
    { name: 'the age behind an or', condition: 'when { context.session.depth == 0 || context.session.age_seconds < 5 }', is: true },
    { name: 'the whole session', condition: 'when { context.session == {age_seconds: 1} }', is: true },
    { name: 'the whole context', condition: 'when { context == {session: {}} }', is: true },
    { name: 'another member', condition: 'when { context.session.depth == 0 }', is: false },
    { name: 'the time of the request', condition: 'when { context.request.lifetime < 5 }', is: false },
    { name: 'nothing', condition: '', is: false },
  ])('$name', ({ condition, is }) => {
    expect(reads(condition)).toBe(is);
    expect(reads('', condition)).toBe(is);
  });
});
