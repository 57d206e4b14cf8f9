import { describe, expect, test } from '@jest/globals';
import { checkPolicies, createPolicyValidator, parseStatement } from '../../src/policy/validate.ts';
import { schema } from './scene.ts';

const check = createPolicyValidator(schema);
const GOOD = 'permit(principal is Workload, action == Action::"issue", resource);';

describe('refuses what is not exactly one statement', () => {
  test.each([
    { name: 'nothing', cedar: '', message: 'holds no statement' },
    { name: 'a comment alone', cedar: '// later', message: 'holds no statement' },
    { name: 'two statements', cedar: `${GOOD}\n${GOOD}`, message: 'holds 2 statements' },
    { name: 'a statement and a template', cedar: `${GOOD} permit(principal == ?principal, action, resource);`, message: 'holds 2 statements' },
    { name: 'a template', cedar: 'permit(principal == ?principal, action == Action::"issue", resource);', message: 'expected a static policy' },
  ])('$name', ({ cedar, message }) => {
    const { effect, problems, valid } = check('p', cedar);
    expect({ effect, valid }).toEqual({ effect: undefined, valid: undefined });
    expect(problems).toEqual([expect.objectContaining({ policy: 'p', message: expect.stringContaining(message) })]);
    expect(parseStatement(cedar)).toBeUndefined();
    expect(check('p', `${GOOD} // one`)).toMatchObject({ effect: 'permit', problems: [] });
    expect(parseStatement(`${GOOD} // one`)?.effect).toBe('permit');
  });
});

describe('tells the place and Cedar\'s hint of', () => {
  test.each([
    { name: 'an attribute that does not exist', cedar: 'permit(principal is Workload, action == Action::"issue", resource)\nwhen { "é→" == principal.nam };', message: 'attribute `nam` on entity type `Workload` not found', help: 'did you mean `name`?', line: 2, column: 16 },
    { name: 'a scope written as an action', cedar: 'permit(principal, action == Action::"deploy:read", resource);', message: 'unrecognized action `Action::"deploy:read"`', help: 'a scope is a resource: write action == Action::"issue", resource == Scope::"<audience>#deploy:read"', line: 1, column: 29 },
    { name: 'a slip in an action', cedar: 'permit(principal, action == Action::"isue", resource);', message: 'unrecognized action `Action::"isue"`', help: 'did you mean `Action::"issue"`?', line: 1, column: 29 },
    { name: 'a slip in an admin action', cedar: 'permit(principal, action == Action::"admin::aply", resource);', message: 'unrecognized action `Action::"admin::aply"`', help: 'the admin actions are admin::list, ', line: 1, column: 29 },
    { name: 'evidence read without `has`', cedar: 'permit(principal, action == Action::"issue", resource) when { context.evidence.github_actions.ref == "x" };', message: 'unable to guarantee safety', help: 'try testing for the attribute\'s presence with `context.evidence has github_actions && ..`', line: 1, column: 63 },
    { name: 'a comparison of two types', cedar: 'permit(principal, action == Action::"issue", resource) when { context.session.depth == "1" };', message: 'the types Long and String are not compatible', help: 'must have compatible types', line: 1, column: 63 },
    { name: 'a text that does not parse', cedar: '\n\n  permit(principal, action, resource) when { 1 === 2 };', message: 'unexpected token', help: undefined, line: 3, column: 50 },
  ])('$name', ({ cedar, message, help, line, column }) => {
    const { problems } = check('p', cedar);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ policy: 'p', line, column, message: expect.stringContaining(message) });
    if (help !== undefined) expect(problems[0]?.help).toContain(help);
    expect(JSON.stringify(problems)).not.toContain('policy `');
  });

  test('one mistake in a head that admits many actions, once, with what to do', () => {
    const { problems } = check('p', 'forbid(principal, action, resource) when { context.session.depth > 3 };');
    expect(problems).toEqual([expect.objectContaining({ line: 1, column: 44, help: expect.stringContaining('narrow the head') })]);
  });

  test('every mistake in a policy', () => {
    expect(check('p', 'permit(principal is Workload, action == Action::"issue", resource) when { principal.nam == "x" && resource.ownr == "y" };').problems.map(({ column }) => column)).toEqual([75, 99]);
  });
});

describe('of a valid policy tells', () => {
  test('effect and annotations', () => {
    const { effect, valid } = check('p', `@reason("holidays") @reviewed ${GOOD.replace('permit', 'forbid')}`);
    expect(effect).toBe('forbid');
    expect([...(valid?.annotations ?? [])]).toEqual([['reason', 'holidays'], ['reviewed', '']]);
  });

  const AUD = 'https://deploy.acme.example';
  test.each([
    { name: 'nothing fixed', head: 'principal, action == Action::"issue", resource', principal: undefined, resource: undefined },
    { name: 'a workload', head: 'principal == Workload::"w", action == Action::"issue", resource', principal: 'Workload::"w"', resource: undefined },
    { name: 'a workload by in', head: 'principal is Workload in Workload::"w", action == Action::"issue", resource', principal: 'Workload::"w"', resource: undefined },
    { name: 'a person', head: 'principal == Person::"urn:x", action == Action::"issue", resource', principal: 'Person::"urn:x"', resource: undefined },
    { name: 'a group, which has members', head: 'principal in Group::"g", action == Action::"issue", resource', principal: undefined, resource: undefined },
    { name: 'a type', head: 'principal is Workload, action == Action::"issue", resource is Scope', principal: undefined, resource: undefined },
    { name: 'a scope', head: `principal, action == Action::"issue", resource == Scope::"${AUD}#a"`, principal: undefined, resource: `Scope::"${AUD}#a"` },
    { name: 'a resource and its scopes', head: `principal, action == Action::"issue", resource in Resource::"${AUD}"`, principal: undefined, resource: `Resource::"${AUD}"` },
    { name: 'the scopes of a resource', head: `principal, action == Action::"issue", resource is Scope in Resource::"${AUD}"`, principal: undefined, resource: `Resource::"${AUD}"` },
    { name: 'a domain, which has members', head: 'principal, action == Action::"issue", resource in Domain::"prod"', principal: undefined, resource: undefined },
    { name: 'an admin', head: 'principal == Admin::"okta/ada", action in Action::"admin", resource == Domain::"prod"', principal: 'Admin::"okta/ada"', resource: undefined },
  ])('$name in its head', ({ head, principal, resource }) => {
    expect(check('p', `permit(${head});`).valid?.head).toEqual({ principal, resource });
  });

  test('that it can never apply, as a warning', () => {
    const { effect, valid } = check('p', 'permit(principal is Admin, action == Action::"issue", resource);');
    expect(effect).toBe('permit');
    expect(valid?.warnings.map(({ message }) => message).join()).toContain('applicable action');
    expect(check('p', GOOD).valid?.warnings).toEqual([]);
  });
});

test('warns of an @id that is not the policy\'s name, which decides nothing', () => {
  expect(check('p', `@id("other") ${GOOD}`)).toMatchObject({ effect: 'permit', problems: [], valid: { warnings: [{ message: 'is called "other" in its @id', line: 1, column: 1 }] } });
  expect(check('p', `@id("p") ${GOOD}`).valid?.warnings).toEqual([]);
});

test('checks many and keeps their order, whatever their names', () => {
  const checks = checkPolicies(schema, [{ name: '1', cedar: GOOD }, { name: '0', cedar: 'permit(' }, { name: '__proto__', cedar: GOOD.replace('permit', 'forbid') }, { name: '2', cedar: GOOD.replace('issue', 'isue') }]);
  expect(checks.map(({ effect, problems }) => [effect, problems.map(({ policy }) => policy)])).toEqual([['permit', []], [undefined, ['0']], ['forbid', []], [undefined, ['2']]]);
});
