import { describe, expect, test } from '@jest/globals';
import type { Question } from '../../src/policy/decision.ts';
import { buildEngine, DEPLOY, DEPLOYER, domain, engineOf, evidence, named, NOW, otherDomain, policy, question, resource, workload } from './scene.ts';

const ANY = 'permit(principal, action == Action::"issue", resource);';
const OWN = `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource in Resource::"${DEPLOY}");`;
const ALLOWED = { allow: true, policies: [{ name: 'p1', version: 1 }], errors: [] };
const DENIED = { allow: false, policies: [], errors: [] };

describe('the answer', () => {
  test('is no when there is no policy', () => {
    expect(engineOf().decide(question())).toEqual(DENIED);
  });

  test('is yes when a permit holds, and names it with its version', () => {
    const engine = buildEngine(domain.id, [policy('deployer-deploys', OWN, { version: 7 })]);
    expect(engine.decide(question())).toEqual({ allow: true, policies: [{ name: 'deployer-deploys', version: 7 }], errors: [] });
  });

  test('is no when a forbid holds, however many permits do, and names the forbid', () => {
    const engine = engineOf(ANY, OWN, 'forbid(principal, action == Action::"issue", resource) when { principal is Workload && principal.owner == "payments@acme.example" };');
    expect(engine.decide(question())).toEqual({ allow: false, policies: [{ name: 'p3', version: 1 }], errors: [] });
    expect(engine.decide(question({ workload: workload({ owner: 'search@acme.example' }) })).allow).toBe(true);
  });

  test('names every permit that holds', () => {
    expect(engineOf(ANY, OWN).decide(question()).policies.map(({ name }) => name).sort()).toEqual(['p1', 'p2']);
  });
});

describe('scopes', () => {
  const engine = engineOf(`permit(principal, action == Action::"issue", resource == Scope::"${DEPLOY}#deploy:read");`);
  test.each([
    { name: 'permits the scope that is named', scope: 'deploy:read', allow: true },
    { name: 'denies another scope of the same resource', scope: 'deploy:write', allow: false },
    { name: 'denies the resource itself when a scope is named', scope: undefined, allow: false },
  ])('$name', ({ scope, allow }) => {
    expect(engine.decide(question({ scope }))).toMatchObject({ allow, errors: [] });
  });

  test('are decided one by one', () => {
    const several = engineOf(`permit(principal, action == Action::"issue", resource) when { resource is Scope && ["deploy:read", "deploy:list"].contains(resource.name) };`);
    const target = resource({ scopes: ['deploy:list', 'deploy:read', 'deploy:write'] });
    expect(target.scopes.map((scope) => several.decide(question({ resource: target, scope })).allow)).toEqual([true, true, false]);
  });

  test('belong to their resource, and it to its domain', () => {
    expect(engineOf(`permit(principal, action, resource in Resource::"${DEPLOY}");`).decide(question())).toEqual(ALLOWED);
    expect(engineOf('permit(principal, action, resource in Domain::"prod");').decide(question())).toEqual(ALLOWED);
    expect(engineOf('permit(principal, action, resource in Domain::"dev");').decide(question())).toEqual(DENIED);
    expect(engineOf('permit(principal, action, resource in Resource::"https://other.acme.example");').decide(question())).toEqual(DENIED);
  });

  test('leave the resource itself what it is: an owner, a provider, a domain with its stage', () => {
    const itself = engineOf('permit(principal, action, resource in Domain::"prod") when { principal is Workload && resource is Resource && resource.owner == principal.owner && resource.provider == "access-token" };');
    expect(itself.decide(question({ scope: undefined }))).toEqual(ALLOWED);
    expect(itself.decide(question({ scope: undefined, resource: resource({ owner: 'search@acme.example' }) }))).toEqual(DENIED);
    expect(engineOf('permit(principal, action, resource in Domain::"dev");').decide(question({ scope: undefined }))).toEqual(DENIED);
    for (const [stage, allow] of [['production', true], ['staging', false]] as const) expect(engineOf(`permit(principal, action, resource) when { Domain::"prod".stage == "${stage}" };`).decide(question())).toMatchObject({ allow, errors: [] });
  });

  test('of no resource are an error, not a no', () => {
    expect(engineOf(ANY).decide(question({ scope: 'deploy:all' }))).toMatchObject({ allow: false, errors: [expect.stringContaining('is no scope')] });
  });
});

describe('conditions read', () => {
  const when = (condition: string): boolean => {
    const answer = engineOf(`permit(principal is Workload, action == Action::"issue", resource) when { ${condition} };`).decide(rich);
    expect(answer.errors).toEqual([]);
    return answer.allow;
  };
  const rich = question({
    chain: ['spiffe://prod.acme.example/agent/planner', DEPLOYER],
    session: { model: 'autonomous', principal: 'ada@acme.example', ageSeconds: 90, depth: 2 },
    request: { bound: true, time: NOW, lifetime: 600 },
    evidence: evidence({ environment: 'live' }),
  });
  test.each([
    { name: 'the workload', yes: 'principal.name like "ci/*" && principal.kind == "pipeline" && principal.model == "bounded" && principal.stage == "production"', no: 'principal.kind == "agent"' },
    { name: 'the resource behind a scope', yes: 'resource.provider == "access-token" && resource.owner == principal.owner', no: 'resource.provider == "aws-sts"' },
    { name: 'evidence', yes: 'context.evidence has github_actions && context.evidence.github_actions.ref == "refs/heads/main"', no: 'context.evidence has github_actions && context.evidence.github_actions.ref == "refs/heads/dev"' },
    { name: 'evidence that need not be there', yes: 'context.evidence has github_actions.environment && context.evidence.github_actions.environment == "live"', no: 'context.evidence has github_actions.head_ref' },
    { name: 'the trusted issuer of the evidence', yes: 'context.evidence has github_actions && context.evidence.github_actions.issuer == "github"', no: 'context.evidence has gitlab_ci' },
    { name: 'the chain', yes: 'context.chain.actors.contains("spiffe://prod.acme.example/agent/planner") && context.chain.length == 2 && context.chain has first && context.chain.first == "spiffe://prod.acme.example/agent/planner"', no: 'context.chain.length < 2' },
    { name: 'the session', yes: 'context.session.model == "autonomous" && context.session.principal == "ada@acme.example" && context.session.age_seconds <= 90 && context.session.depth == 2', no: 'context.session.age_seconds < 90' },
    { name: 'the request', yes: 'context.request.bound && context.request.lifetime == 600', no: 'context.request.lifetime < 600' },
    { name: 'the date', yes: 'context.request.time < datetime("2026-11-23")', no: 'context.request.time < datetime("2026-11-22")' },
    { name: 'the time of day', yes: 'context.request.time.toTime() >= duration("9h")', no: 'context.request.time.toTime() > duration("9h")' },
  ])('$name', ({ yes, no }) => {
    expect([when(yes), when(no)]).toEqual([true, false]);
  });

  test('generic evidence as name=value pairs, lists by member', () => {
    const engine = engineOf('permit(principal, action == Action::"issue", resource) when { context.evidence has oidc && context.evidence.oidc.attributes.containsAll(["team=payments", "role=deploy", "level=3", "human=false"]) };');
    const attributes = { team: 'payments', role: ['deploy', 'read'], level: 3, human: false };
    expect(engine.decide(question({ evidence: evidence(attributes, 'oidc') }))).toEqual(ALLOWED);
    expect(engine.decide(question({ evidence: evidence({ ...attributes, role: ['read'] }, 'oidc') }))).toEqual(DENIED);
  });

  test('numbers and lists of evidence as what they are', () => {
    const engine = engineOf('permit(principal, action == Action::"issue", resource) when { context.evidence has gitlab_ci.runner_id && context.evidence.gitlab_ci.runner_id == 7 && context.evidence has gitlab_ci.groups_direct && context.evidence.gitlab_ci.groups_direct.contains("acme") };');
    const gitlab = { project_id: '20', namespace_id: '72', project_path: 'acme/app', namespace_path: 'acme', pipeline_id: '574', job_id: '302', pipeline_source: 'push', ref: 'main', ref_type: 'branch', ref_protected: true };
    const decide = (attributes: NonNullable<Question['evidence']>['attributes']) => engine.decide(question({ evidence: evidence({ ...gitlab, ...attributes }, 'gitlab-ci') }));
    expect(decide({ runner_id: 7, groups_direct: ['acme'] })).toEqual(ALLOWED);
    expect(decide({ runner_id: 8, groups_direct: ['acme'] })).toEqual(DENIED);
    expect(decide({ runner_id: 7, groups_direct: [] })).toEqual(DENIED);
    for (const runner_id of ['7', 7.5, Number.MAX_SAFE_INTEGER + 1]) expect(decide({ runner_id, groups_direct: ['acme'] })).toMatchObject({ allow: false, errors: [expect.stringContaining('not of type Long')] });
    for (const groups_direct of ['acme', ['acme', 7] as unknown as string[]]) expect(decide({ runner_id: 7, groups_direct })).toMatchObject({ allow: false, errors: [expect.stringContaining('not of type Set<String>')] });
  });

  test('nothing of evidence that is not there', () => {
    const engine = engineOf('permit(principal, action == Action::"issue", resource) unless { context.evidence has github_actions };');
    expect(engine.decide(question({ evidence: undefined }))).toEqual(ALLOWED);
    expect(engine.decide(question())).toEqual(DENIED);
  });
});

describe('a question that cannot be decided is a denial with the reason in its errors', () => {
  const engine = engineOf(ANY);
  const table: readonly { name: string; change: Partial<Question>; error: string }[] = [
    { name: 'an action that is not in the schema', change: { action: 'deploy:read' as Question['action'] }, error: 'no action is called' },
    { name: 'an admin action asked as a workload', change: { action: 'admin::apply' as Question['action'] }, error: 'no action is called' },
    { name: 'a workload of another domain', change: { workload: workload({ domainId: otherDomain.id }) }, error: 'is not of domain' },
    { name: 'a resource of another domain', change: { resource: resource({ domainId: otherDomain.id }) }, error: 'is not of domain' },
    { name: 'a question of another domain', change: { domain: otherDomain }, error: 'has policies of its own' },
    { name: 'evidence of an unknown kind', change: { evidence: evidence({}, 'tpm') }, error: 'no attestor kind is called' },
    { name: 'evidence named as an object has members by nature', change: { evidence: evidence({}, 'constructor') }, error: 'no attestor kind is called' },
    { name: 'a required attribute that is missing', change: { evidence: { ...evidence(), attributes: { ref: 'refs/heads/main' } } }, error: 'is missing' },
    { name: 'an attribute of the wrong type', change: { evidence: evidence({ ref: ['refs/heads/main'] }) }, error: 'is not of type String' },
    { name: 'an optional attribute of the wrong type', change: { evidence: evidence({ ref_protected: 'true' }) }, error: 'is not of type Bool' },
    { name: 'a pair that could be read two ways', change: { evidence: evidence({ 'a=b': 'c' }, 'oidc') }, error: 'equals sign' },
    { name: 'a time that is none', change: { request: { bound: false, time: Number.NaN, lifetime: 300 } }, error: 'is no time' },
  ];
  test.each(table)('$name', ({ change, error }) => {
    expect(engine.decide(question(change))).toMatchObject({ allow: false, policies: [], errors: [expect.stringContaining(error)] });
    expect(engine.decide(question())).toEqual(ALLOWED);
  });

  test('facts that cannot be read', () => {
    const request = { bound: false, lifetime: 300, get time(): number { throw new Error('clock broken'); } };
    expect(engine.decide(question({ request }))).toEqual({ allow: false, policies: [], errors: ['no answer from Cedar: clock broken'] });
  });

  test.each([
    { name: 'a number Cedar cannot hold', ageSeconds: 1e20 },
    { name: 'a fraction', ageSeconds: 1.5 },
  ])('$name', ({ ageSeconds }) => {
    const reading = engineOf('permit(principal, action == Action::"issue", resource) when { context.session.age_seconds > 1 };');
    const session = question().session;
    expect(reading.decide(question({ session: { ...session, ageSeconds } }))).toMatchObject({ allow: false, policies: [], errors: [expect.stringContaining('no answer from Cedar')] });
    expect(reading.decide(question({ session: { ...session, ageSeconds: 2 } }))).toEqual(ALLOWED);
  });
});

describe('a policy that errs denies, whatever the others say', () => {
  const OVERFLOWS = 'context.session.age_seconds + 9223372036854775807 > 0';
  test.each([
    { name: 'a forbid Cedar skips', cedar: `forbid(principal, action == Action::"issue", resource) when { ${OVERFLOWS} };` },
    { name: 'a permit beside one that holds', cedar: `permit(principal, action == Action::"issue", resource) when { ${OVERFLOWS} };` },
    { name: 'a permit of this workload alone', cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource) when { ${OVERFLOWS} };` },
  ])('$name', ({ cedar }) => {
    const engine = engineOf(ANY, cedar);
    expect(engine.problems).toEqual([]);
    const session = question().session;
    expect(engine.decide(question())).toMatchObject({ allow: false, policies: [{ name: 'p2', version: 1 }], errors: [expect.stringContaining('p2: ')] });
    // The same with a sum that fits: the forbid holds, a permit joins in.
    expect(engine.decide(question({ session: { ...session, ageSeconds: 0 } }))).toMatchObject({ allow: !cedar.startsWith('forbid'), errors: [] });
  });

  test('again each time it is asked', () => {
    const engine = engineOf(ANY, `forbid(principal, action == Action::"issue", resource) when { ${OVERFLOWS} };`);
    expect([engine.decide(question()), engine.decide(question())].map(({ errors }) => errors.length)).toEqual([1, 1]);
  });
});

describe('stored policies that are not valid', () => {
  test.each([
    { name: 'do not parse', broken: policy('broken', 'forbid(principal, action, resource) when {') },
    { name: 'read an attribute the schema does not have', broken: policy('broken', 'forbid(principal, action, resource) when { context.evidence.github_actions.colour == "red" };') },
    { name: 'say the opposite of their entry', broken: policy('broken', ANY, { effect: 'forbid' }) },
    { name: 'are permits without an expiry', broken: policy('broken', ANY, { expires: undefined }) },
    { name: 'have a name twice', broken: policy('p1', ANY) },
  ])('deny everything in their domain when they $name', ({ broken }) => {
    const engine = buildEngine(domain.id, [policy('p1', ANY), broken]);
    expect(engine.problems.map((problem) => problem.policy)).toContain(broken.name);
    const answer = engine.decide(question());
    expect(answer).toMatchObject({ allow: false, policies: [] });
    expect(answer.errors).toHaveLength(engine.problems.length);
    expect(buildEngine(domain.id, [policy('p1', ANY)]).decide(question())).toEqual(ALLOWED);
  });
});

test('a resource whose scopes could be another\'s by name is an error where a scope is asked', () => {
  const target = resource({ audience: `${DEPLOY}#deploy:read`, scopes: ['a'] });
  expect(engineOf(ANY).decide(question({ resource: target, scope: 'a' }))).toMatchObject({ allow: false, errors: [expect.stringContaining('has a #')] });
  expect(engineOf(ANY).decide(question({ resource: target, scope: undefined }))).toEqual(ALLOWED);
});

describe('a verdict already given', () => {
  const engine = engineOf('permit(principal is Workload, action == Action::"issue", resource) when { principal.owner == resource.owner && context.evidence has github_actions && context.evidence.github_actions.ref == "refs/heads/main" };');
  const asked = question();
  test.each<{ name: string; change: Partial<Question> }>([
    { name: 'the workload', change: { workload: workload({ owner: 'search@acme.example' }) } },
    { name: 'the resource', change: { resource: resource({ owner: 'search@acme.example' }) } },
    { name: 'the evidence', change: { evidence: evidence({ ref: 'refs/heads/dev' }) } },
    { name: 'the presence of evidence', change: { evidence: undefined } },
    { name: 'the action', change: { action: 'delegate' } },
  ])('is not given again when $name changed', ({ change }) => {
    const answers = [asked, { ...asked, ...change }, asked, { ...asked, ...change }].map((one) => engine.decide(one).allow);
    expect(answers).toEqual([true, false, true, false]);
  });
});

test.each([
  { name: 'another version', again: policy('p1', OWN, { version: 2 }) },
  { name: 'another name', again: policy('p2', OWN) },
])('the same text under $name is cited as that', ({ again }) => {
  const asked = question();
  expect(buildEngine(domain.id, [policy('p1', OWN)]).decide(asked).policies).toEqual([{ name: 'p1', version: 1 }]);
  expect(buildEngine(domain.id, [again]).decide(asked).policies).toEqual([{ name: again.name, version: again.version }]);
});

describe('expiry', () => {
  test.each([
    { name: 'a permit for everybody', cedar: ANY },
    { name: 'a permit of one workload', cedar: OWN },
    { name: 'a permit of one resource', cedar: `permit(principal, action, resource in Resource::"${DEPLOY}");` },
  ])('ends $name at its moment', ({ cedar }) => {
    const engine = buildEngine(domain.id, [policy('p1', cedar, { expires: NOW }), policy('p2', cedar, { expires: NOW + 10 })]);
    const at = (time: number): readonly string[] => engine.decide(question({ request: { bound: false, time, lifetime: 300 } })).policies.map(({ name }) => name).sort();
    expect([NOW - 1, NOW, NOW + 9, NOW + 10, NOW - 1].map(at)).toEqual([['p1', 'p2'], ['p2'], ['p2'], [], ['p1', 'p2']]);
  });

  test('never ends a forbid, even one that was given a date', () => {
    const engine = buildEngine(domain.id, [policy('p1', ANY), policy('p2', 'forbid(principal, action, resource);', { expires: NOW - 1 })]);
    expect(engine.decide(question())).toEqual({ allow: false, policies: [{ name: 'p2', version: 1 }], errors: [] });
  });
});

describe('a policy of one workload', () => {
  const engine = engineOf(OWN);
  test.each([
    { name: 'permits it', change: {}, allow: true },
    { name: 'does not permit another', change: { workload: named('ci/builder') }, allow: false },
    { name: 'does not permit it elsewhere', change: { resource: resource({ audience: 'https://other.acme.example' }) }, allow: false },
    { name: 'does not permit another action', change: { action: 'delegate' as const }, allow: false },
  ])('$name', ({ change, allow }) => {
    expect(engine.decide(question(change))).toMatchObject({ allow, errors: [] });
  });
});
