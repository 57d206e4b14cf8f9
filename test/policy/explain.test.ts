import { describe, expect, test } from '@jest/globals';
import type { Question } from '../../src/policy/decision.ts';
import { buildEngine, DEPLOY, DEPLOYER, domain, engineOf, evidence, NOW, policy, question } from './scene.ts';

const HEAD = `principal == Workload::"${DEPLOYER}", action == Action::"issue", resource in Resource::"${DEPLOY}"`;
const whyOf = (conditions: string, change: Partial<Question> = {}): readonly string[] => {
  const engine = engineOf(`permit(${HEAD}) ${conditions};`);
  expect(engine.problems).toEqual([]);
  expect(engine.decide(question(change))).toMatchObject({ allow: false, errors: [] });
  return engine.nearMisses(question(change)).map(({ why }) => why);
};
const GITHUB = 'context.evidence.github_actions';

describe('the part that did not hold is told with the value the request has', () => {
  test.each<{ name: string; conditions: string; change?: Partial<Question>; why: string }>([
    {
      name: 'a comparison', conditions: `when { context.evidence has github_actions && ${GITHUB}.ref == "refs/heads/main" && ${GITHUB}.event_name == "push" }`, change: { evidence: evidence({ ref: 'refs/heads/dev' }) },
      why: `${GITHUB}.ref == "refs/heads/main" does not hold: ${GITHUB}.ref is "refs/heads/dev"`,
    },
    {
      name: 'two of three', conditions: `when { context.evidence has github_actions && ${GITHUB}.ref == "refs/heads/main" && context.session.depth > 0 }`, change: { evidence: evidence({ ref: 'refs/heads/dev' }) },
      why: `${GITHUB}.ref == "refs/heads/main" does not hold: ${GITHUB}.ref is "refs/heads/dev"; context.session.depth > 0 does not hold: context.session.depth is 0`,
    },
    {
      name: 'evidence that is not there, once', conditions: `when { context.evidence has gitlab_ci && context.evidence.gitlab_ci.ref == "main" }`,
      why: 'context.evidence has gitlab_ci does not hold: there is no context.evidence.gitlab_ci',
    },
    { name: 'an attribute deeper down', conditions: `when { context.evidence has github_actions.environment && ${GITHUB}.environment == "live" }`, why: `context.evidence has github_actions.environment does not hold: there is no ${GITHUB}.environment` },
    { name: 'a pattern', conditions: 'when { principal.name like "svc/*" }', why: 'principal.name like "svc/*" does not hold: principal.name is "ci/deployer"' },
    { name: 'a set', conditions: `when { ["aws-sts"].contains(resource.provider) }`, why: '["aws-sts"].contains(resource.provider) does not hold: resource.provider is "access-token"' },
    { name: 'either of two', conditions: 'when { context.request.bound || context.request.lifetime < 60 }', why: 'context.request.bound || (context.request.lifetime < 60) does not hold: context.request.bound is false, context.request.lifetime is 300' },
    { name: 'a date', conditions: 'when { context.request.time < datetime("2026-01-01") }', why: 'context.request.time < datetime("2026-01-01") does not hold: context.request.time is "2026-11-22T09:00:00.000Z"' },
    { name: 'an exception', conditions: 'when { true } unless { context.session.depth > 5 || principal.kind == "pipeline" }', why: 'principal.kind == "pipeline" holds, and the policy excludes it: principal.kind is "pipeline"' },
    { name: 'an entity', conditions: `when { resource == Scope::"${DEPLOY}#deploy:write" }`, why: `resource == Scope::"${DEPLOY}#deploy:write" does not hold: resource is Scope::"${DEPLOY}#deploy:read"` },
    { name: 'a text that looks like the end of one', conditions: 'when { principal.name == "} when { true };" }', why: 'principal.name == "} when { true };" does not hold: principal.name is "ci/deployer"' },
  ])('$name', ({ conditions, change, why }) => {
    expect(whyOf(conditions, change)).toEqual([why]);
  });
});

describe('a head that was close', () => {
  const other = `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource == Scope::"${DEPLOY}#deploy:read");`;
  test('tells the scope it permits', () => {
    expect(engineOf(other).nearMisses(question({ scope: 'deploy:write' }))).toEqual([
      { policy: { name: 'p1', version: 1 }, why: `it permits resource == Scope::"${DEPLOY}#deploy:read", not Scope::"${DEPLOY}#deploy:write"` },
    ]);
  });

  test('tells the action it permits', () => {
    expect(engineOf(other).nearMisses(question({ action: 'delegate' })).map(({ why }) => why)).toEqual(['it permits action == Action::"issue", not Action::"delegate"']);
  });

  test('tells of an expiry', () => {
    const engine = buildEngine(domain.id, [policy('p1', other, { expires: NOW - 1 })]);
    expect(engine.nearMisses(question()).map(({ why }) => why)).toEqual(['it expired at 2026-11-22T08:59:59.999Z']);
  });

  test('of another workload is not told', () => {
    expect(engineOf('permit(principal == Workload::"spiffe://prod.acme.example/ci/builder", action, resource);', 'permit(principal is Person, action, resource);').nearMisses(question())).toEqual([]);
  });
});

describe('the list', () => {
  test('has the nearest first and five at most', () => {
    const texts = Array.from({ length: 7 }, (_, at) => `permit(${HEAD}) when { ${Array.from({ length: 7 - at }, (_, part) => `context.session.depth == ${part + 1}`).join(' && ')} };`);
    expect(engineOf(...texts).nearMisses(question()).map(({ policy: { name } }) => name)).toEqual(['p7', 'p6', 'p5', 'p4', 'p3']);
  });

  test('is empty for what is allowed', () => {
    expect(engineOf(`permit(${HEAD});`, `permit(${HEAD}) when { context.session.depth == 9 };`).nearMisses(question())).toEqual([]);
  });

  test('is empty when only a forbid stands in the way, which the answer names', () => {
    const engine = engineOf(`permit(${HEAD});`, `permit(${HEAD}) when { context.session.depth == 9 };`, 'forbid(principal, action == Action::"issue", resource) when { context.request.lifetime > 60 };');
    expect(engine.decide(question()).policies).toEqual([{ name: 'p3', version: 1 }]);
    expect(engine.nearMisses(question())).toEqual([]);
  });

  test('is empty for a question that cannot be decided', () => {
    expect(engineOf(`permit(${HEAD}) when { context.session.depth == 9 };`).nearMisses(question({ scope: 'deploy:all' }))).toEqual([]);
  });
});
