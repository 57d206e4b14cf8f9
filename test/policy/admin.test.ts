import { describe, expect, test } from '@jest/globals';
import { ADMIN_VERBS, isAdminVerb } from '../../src/policy/actions.ts';
import { adminQuestion, buildEngine, domain, engineOf, otherDomain, policy, systemDomain } from './scene.ts';

const VERBS = Object.keys(ADMIN_VERBS).filter(isAdminVerb);
const allowedVerbs = (cedar: string): readonly string[] => {
  const engine = engineOf(cedar);
  expect(engine.problems).toEqual([]);
  return VERBS.filter((verb) => engine.decideAdmin(adminQuestion({ verb })).allow);
};

describe('admin actions', () => {
  test('are permitted by name', () => {
    expect(allowedVerbs('permit(principal in Group::"platform", action in [Action::"admin::apply", Action::"admin::lint"], resource == Domain::"prod");')).toEqual(['lint', 'apply']);
  });

  test('are permitted all at once', () => {
    expect(allowedVerbs('permit(principal, action in Action::"admin", resource);')).toEqual(VERBS);
  });

  test('that change nothing are permitted all at once', () => {
    expect(allowedVerbs('permit(principal, action in Action::"admin-read", resource);')).toEqual(['list', 'show', 'explain', 'simulate', 'lint', 'audit']);
  });

  test('are not permitted by a permit for what workloads do', () => {
    expect(allowedVerbs('permit(principal, action in [Action::"issue", Action::"delegate"], resource);')).toEqual([]);
  });

  test.each([
    { name: 'an unknown verb', change: { verb: 'destroy' }, error: 'no admin action' },
    { name: 'a verb every object has', change: { verb: 'toString' }, error: 'no admin action' },
    { name: 'another domain than the policies\' own', change: { on: otherDomain }, error: 'say nothing about dev' },
    { name: 'policies of another domain', change: { domain: otherDomain, on: otherDomain }, error: 'policies of its own' },
    { name: 'a time that is none', change: { time: Number.POSITIVE_INFINITY }, error: 'is no time' },
  ])('are an error for $name', ({ change, error }) => {
    const engine = engineOf('permit(principal, action, resource);');
    expect(engine.decideAdmin(adminQuestion(change))).toMatchObject({ allow: false, policies: [], errors: [expect.stringContaining(error)] });
    expect(engine.decideAdmin(adminQuestion())).toMatchObject({ allow: true, errors: [] });
  });

  test('of the system domain reach every domain, one named by one', () => {
    const engine = buildEngine(systemDomain.id, [policy('p', 'permit(principal in Group::"platform", action == Action::"admin::apply", resource in Domain::"prod");')]);
    expect([domain, otherDomain, systemDomain].map((on) => engine.decideAdmin(adminQuestion({ domain: systemDomain, on })).allow)).toEqual([true, false, false]);
  });
});

describe('who the admin is', () => {
  test.each([
    { name: 'by group', head: 'principal in Group::"platform"', admin: { id: 'okta/eve', groups: ['sales'], issuer: 'okta' } },
    { name: 'by id', head: 'principal == Admin::"okta/ada"', admin: { id: 'okta/eve', groups: ['platform'], issuer: 'okta' } },
  ])('counts $name', ({ head, admin }) => {
    const engine = engineOf(`permit(${head}, action == Action::"admin::apply", resource);`);
    expect(engine.decideAdmin(adminQuestion()).allow).toBe(true);
    expect(engine.decideAdmin(adminQuestion({ admin }))).toEqual({ allow: false, policies: [], errors: [] });
  });

  test('counts by issuer', () => {
    const engine = engineOf('permit(principal, action in Action::"admin", resource) when { principal.issuer == "okta" };');
    const { admin } = adminQuestion();
    expect([admin, { ...admin, issuer: 'github' }].map((who) => engine.decideAdmin(adminQuestion({ admin: who })).allow)).toEqual([true, false]);
  });

  test('a forbid for a group wins over membership in another', () => {
    const engine = engineOf('permit(principal in Group::"platform", action in Action::"admin", resource);', 'forbid(principal in Group::"leavers", action in Action::"admin", resource);');
    const { admin } = adminQuestion();
    expect(engine.decideAdmin(adminQuestion({ admin: { ...admin, groups: ['platform', 'leavers'] } }))).toEqual({ allow: false, policies: [{ name: 'p2', version: 1 }], errors: [] });
    expect(engine.decideAdmin(adminQuestion()).allow).toBe(true);
  });
});
