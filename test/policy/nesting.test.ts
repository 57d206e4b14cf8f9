import { describe, expect, test } from '@jest/globals';
import { findTooDeep, MAX_LENGTH, MAX_LINKS, MAX_NESTING } from '../../src/policy/nesting.ts';
import { createPolicyValidator } from '../../src/policy/validate.ts';
import { engineOf, question, schema } from './scene.ts';

const check = createPolicyValidator(schema);
const HEAD = 'permit(principal, action == Action::"issue", resource) when { ';
const within = (condition: string): string => `${HEAD}${condition} };`;
/** The braces of `when` are one level, the word itself one link. */
const DEPTH = MAX_NESTING - 1;
const LINKS = MAX_LINKS - 1;

/** Each at the limit, and the same with one more. */
const SHAPES: readonly { readonly name: string; readonly of: (more: number) => string }[] = [
  { name: 'parentheses', of: (more) => `${'('.repeat(DEPTH + more)}true${')'.repeat(DEPTH + more)}` },
  { name: 'negations of negations', of: (more) => `${'!('.repeat(DEPTH + more)}true${')'.repeat(DEPTH + more)}` },
  { name: 'sets', of: (more) => `${'['.repeat(DEPTH + more)}1${']'.repeat(DEPTH + more)} == ${'['.repeat(DEPTH)}1${']'.repeat(DEPTH)}` },
  { name: 'records', of: (more) => `${'{a: '.repeat(DEPTH + more)}1${'}'.repeat(DEPTH + more)} == ${'{a: '.repeat(DEPTH)}1${'}'.repeat(DEPTH)}` },
  { name: 'a chain of and', of: (more) => `true${' && true'.repeat(LINKS + more)}` },
  { name: 'a chain of or', of: (more) => `true${' || true'.repeat(LINKS + more)}` },
  { name: 'a sum', of: (more) => `1${' + 1'.repeat(LINKS + more)} > 0` },
  { name: 'alternatives', of: (more) => `${'if true then true else '.repeat(LINKS + more)}true` },
  { name: 'both limits at once', of: (more) => `${'!(true && '.repeat(DEPTH)}true${' && true'.repeat(LINKS - 2 * DEPTH + more)}${')'.repeat(DEPTH)}` },
];

describe('a policy that would exhaust Cedar\'s stack', () => {
  test.each(SHAPES)('is refused before Cedar reads it: $name', ({ of }) => {
    expect(check('p', within(of(1))).problems).toEqual([expect.objectContaining({ message: expect.stringMatching(/nested|operators/), line: 1 })]);
  });

  test.each(SHAPES)('is read and evaluated up to the limit: $name', ({ of }) => {
    const answer = engineOf(within(of(0))).decide(question());
    expect(answer.errors).toEqual([]);
  });

  test.each(['&&', '||', '.', '+', '-', '*', '!', '@', 'if', 'has', 'when', 'unless'])('is refused for too many %s', (link) => {
    expect(findTooDeep(`${link} `.repeat(MAX_LINKS))).toBeUndefined();
    expect(findTooDeep(`${link} `.repeat(MAX_LINKS + 1))?.message).toContain('operators');
  });

  test.each(['(', '[', '{'])('is refused for too many %s', (bracket) => {
    expect(findTooDeep(bracket.repeat(MAX_NESTING))).toBeUndefined();
    expect(findTooDeep(bracket.repeat(MAX_NESTING + 1))?.message).toContain('nested');
  });

  test.each([
    { name: 'a string', text: `"${'('.repeat(900)}" == "${'&&'.repeat(900)}\\"${'!'.repeat(300)}"` },
    { name: 'a comment', text: `true // ${'((('.repeat(400)}\n` },
  ])('is not seen in $name', ({ text }) => {
    expect(check('p', within(text)).problems).toEqual([]);
  });

  test.each([
    { name: 'ended by a carriage return', text: `true //\r ${'('.repeat(400)}` },
    { name: 'after closing brackets that were never opened', text: `${')'.repeat(400)}${'('.repeat(400)}` },
  ])('is seen behind a comment $name', ({ text }) => {
    expect(check('p', within(text)).problems).toEqual([expect.objectContaining({ message: expect.stringContaining('nested') })]);
  });

  test('is refused by length alone', () => {
    const long = (length: number): string => `${HEAD}"" == "${'x'.repeat(length - HEAD.length - 11)}" };`;
    expect(check('p', long(MAX_LENGTH + 1)).problems).toEqual([expect.objectContaining({ message: expect.stringContaining('characters') })]);
    expect(check('p', long(MAX_LENGTH - 5)).problems).toEqual([]);
  });
});
