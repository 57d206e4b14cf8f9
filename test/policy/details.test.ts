import { describe, expect, test } from '@jest/globals';
import type { DetailFacts, Question } from '../../src/policy/decision.ts';
import { createPolicyValidator } from '../../src/policy/validate.ts';
import { DEPLOY, DEPLOYER, engineOf, question, resource, schema } from './scene.ts';

const PAYMENT = `Detail::"${DEPLOY}#payment"`;
const HEAD = `principal == Workload::"${DEPLOYER}", action == Action::"issue"`;
const BOUNDED = `permit(${HEAD}, resource == ${PAYMENT}) when {
  resource.numbers.hasTag("amount") && resource.numbers.getTag("amount") <= 500 &&
  resource.texts.hasTag("currency") && resource.texts.getTag("currency") == "EUR" &&
  resource.sets.hasTag("actions") && ["initiate", "status"].containsAll(resource.sets.getTag("actions"))
};`;
const api = resource({ details: [{ type: 'payment', fields: {} }, { type: 'transfer', fields: {} }] });
const pay = (change: Partial<DetailFacts> = {}): DetailFacts => ({ type: 'payment', texts: { currency: 'EUR' }, numbers: { amount: 500 }, sets: { actions: ['initiate'] }, ...change });
const asked = (detail: DetailFacts, change: Partial<Question> = {}): Question => question({ resource: api, scope: undefined, detail, ...change });
const decide = (cedar: string, detail: DetailFacts, change: Partial<Question> = {}): boolean => {
  const engine = engineOf(cedar);
  expect(engine.problems).toEqual([]);
  const { allow, errors } = engine.decide(asked(detail, change));
  expect(errors).toEqual([]);
  return allow;
};

describe('a permit', () => {
  test.each([
    { name: 'the amount it allows', detail: pay(), allow: true },
    { name: 'nothing of it', detail: pay({ numbers: { amount: 0 } }), allow: true },
    { name: 'one more', detail: pay({ numbers: { amount: 501 } }), allow: false },
    { name: 'no amount', detail: pay({ numbers: {} }), allow: false },
    { name: 'another currency', detail: pay({ texts: { currency: 'USD' } }), allow: false },
    { name: 'the currency in other case', detail: pay({ texts: { currency: 'eur' } }), allow: false },
    { name: 'one action more', detail: pay({ sets: { actions: ['initiate', 'cancel'] } }), allow: false },
    { name: 'another type with the same values', detail: pay({ type: 'transfer' }), allow: false },
  ])('that bounds details is asked about $name: $allow', ({ detail, allow }) => {
    expect(decide(BOUNDED, detail)).toBe(allow);
  });

  test.each([
    { name: 'the resource', cedar: `permit(${HEAD}, resource in Resource::"${DEPLOY}");` },
    { name: 'the domain', cedar: `permit(${HEAD}, resource in Domain::"prod");` },
    { name: 'every scope', cedar: `permit(${HEAD}, resource is Scope);` },
    { name: 'a scope called like the type', cedar: `permit(${HEAD}, resource == Scope::"${DEPLOY}#payment");` },
    { name: 'another type', cedar: `permit(${HEAD}, resource == Detail::"${DEPLOY}#transfer");` },
    { name: 'the type at another resource', cedar: `permit(${HEAD}, resource == Detail::"https://other.acme.example#payment");` },
    { name: 'the type in other case', cedar: `permit(${HEAD}, resource == Detail::"${DEPLOY}#Payment");` },
    { name: 'handing on', cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"delegate", resource == ${PAYMENT});` },
  ])('for $name says nothing about details', ({ cedar }) => {
    expect([decide(cedar, pay()), decide(`permit(${HEAD}, resource == ${PAYMENT});`, pay())]).toEqual([false, true]);
  });

  test('of several allows what one of them does, and a forbid wins', () => {
    const engine = engineOf(BOUNDED, `permit(${HEAD}, resource is Detail) when { resource.type == "payment" && resource.numbers.hasTag("amount") && resource.numbers.getTag("amount") == 777 };`, `forbid(principal, action, resource == ${PAYMENT}) when { resource.texts.hasTag("creditor") && resource.texts.getTag("creditor") == "EVE" };`);
    const at = (detail: DetailFacts): boolean => engine.decide(asked(detail)).allow;
    expect([at(pay()), at(pay({ numbers: { amount: 777 } })), at(pay({ numbers: { amount: 776 } })), at(pay({ texts: { currency: 'EUR', creditor: 'EVE' } })), at(pay({ texts: { currency: 'EUR', creditor: 'BOB' } }))]).toEqual([true, true, false, false, true]);
  });

  test('is not remembered from one amount for another', () => {
    const engine = engineOf(BOUNDED);
    // The same entries each time: by them answers are remembered.
    const one = asked(pay());
    const at = (amount: number): boolean => engine.decide({ ...one, detail: pay({ numbers: { amount } }) }).allow;
    expect([at(500), at(501), at(500), at(501)]).toEqual([true, false, true, false]);
  });
});

describe('a question about details', () => {
  test.each([
    { name: 'of a type the resource has not', change: { resource: resource() } },
    { name: 'and a scope at once', change: { scope: 'deploy:read' } },
    { name: 'of a resource with # in its audience', change: { resource: resource({ audience: 'https://x.example#y', details: [{ type: 'payment', fields: {} }] }) } },
  ])('$name is never decided', ({ change }) => {
    expect(engineOf('permit(principal, action, resource);').decide(asked(pay(), change))).toMatchObject({ allow: false, errors: [expect.any(String)] });
    expect(engineOf('permit(principal, action, resource);').decide(asked(pay())).allow).toBe(true);
  });

  test('that is denied is explained with its values', () => {
    const engine = engineOf(BOUNDED);
    expect(engine.nearMisses(asked(pay({ numbers: { amount: 501 }, sets: {} }))).map(({ why }) => why)).toEqual([
      'resource.numbers.getTag("amount") <= 500 does not hold: resource.numbers.amount is 501; resource.sets.hasTag("actions") does not hold: there is no resource.sets.actions',
    ]);
  });
});

describe('a policy about details', () => {
  const problems = (condition: string): readonly string[] => createPolicyValidator(schema)('p', `permit(${HEAD}, resource == ${PAYMENT}) when { ${condition} };`).problems.map(({ message }) => message);
  test.each([
    { name: 'reads a field without asking whether it is there', condition: 'resource.numbers.getTag("amount") <= 5' },
    { name: 'takes a number for text', condition: 'resource.numbers.hasTag("amount") && resource.numbers.getTag("amount") == "5"' },
    { name: 'asks in one bag and reads from another', condition: 'resource.texts.hasTag("amount") && resource.numbers.getTag("amount") <= 5' },
    { name: 'takes a field for an attribute', condition: 'resource.amount <= 5' },
  ])('that $name is refused', ({ condition }) => {
    expect(problems(condition)).toHaveLength(1);
    expect(problems('resource.numbers.hasTag("amount") && resource.numbers.getTag("amount") <= 5')).toEqual([]);
  });
});
