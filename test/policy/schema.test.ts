import { checkParseSchema } from '@cedar-policy/cedar-wasm/nodejs';
import { describe, expect, test } from '@jest/globals';
import type { AttributeTable } from '../../src/attestation/attributes.ts';
import { createPolicySchema } from '../../src/policy/schema.ts';
import { createPolicyValidator } from '../../src/policy/validate.ts';
import { schema } from './scene.ts';

const table = (name: string): ReadonlyMap<string, AttributeTable> => new Map([['tpm', { [name]: { immutable: true, type: 'String', required: true, doc: '' } }]]);

describe('the schema', () => {
  test('is one Cedar accepts', () => {
    expect(checkParseSchema(schema.text)).toEqual({ type: 'success' });
  });

  test('has a record of generic evidence even when no attestor is known', () => {
    expect(checkParseSchema(createPolicySchema(new Map()).text)).toEqual({ type: 'success' });
  });

  test('gives each attribute its type and asks for `has` unless it is required', () => {
    const check = createPolicyValidator(createPolicySchema(new Map([['ci-x', {
      run: { immutable: true, type: 'String', required: true, doc: '' }, attempt: { immutable: false, type: 'Long', required: false, doc: '' },
      fork: { immutable: false, type: 'Bool', required: true, doc: '' }, labels: { immutable: false, type: 'Set<String>', required: true, doc: '' },
    }]])));
    const problems = (condition: string): readonly string[] =>
      check('p', `permit(principal, action == Action::"issue", resource) when { context.evidence has ci_x && ${condition} };`).problems.map(({ message }) => message);
    expect(problems('context.evidence.ci_x.run == "1" && !context.evidence.ci_x.fork && context.evidence.ci_x.labels.contains("a")')).toEqual([]);
    expect(problems('context.evidence.ci_x.attempt == 1')).toEqual([expect.stringContaining('optional attribute `evidence.ci_x.attempt`')]);
    expect(problems('context.evidence.ci_x has attempt && context.evidence.ci_x.attempt == 1')).toEqual([]);
    expect(problems('context.evidence.ci_x.run == 1')).toEqual([expect.stringContaining('not compatible')]);
  });

  test.each([
    { name: 'a name that hides the evidence issuer', attribute: 'issuer' },
    { name: 'a name that hides the evidence subject', attribute: 'subject' },
    { name: 'a name that is no identifier', attribute: 'run-id' },
    { name: 'a name that would end the record', attribute: 'x": String, "y' },
  ])('refuses $name', ({ attribute }) => {
    expect(() => createPolicySchema(table(attribute))).toThrow(JSON.stringify(attribute).slice(1, 4));
    expect(checkParseSchema(createPolicySchema(table('run_id')).text)).toEqual({ type: 'success' });
  });

  test('refuses two kinds that would share a record', () => {
    expect(() => createPolicySchema(new Map([['a-b', {}], ['a_b', {}]]))).toThrow('a_b');
  });

  test('has the same record for generic evidence whatever one entry maps', () => {
    expect(createPolicySchema(new Map([['oidc', { colour: { immutable: false, type: 'String', required: true, doc: '' } }]])).text).toBe(createPolicySchema(new Map()).text);
  });
});
