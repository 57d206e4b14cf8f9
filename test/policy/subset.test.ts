import { preparsePolicySet, preparseSchema, statefulIsAuthorized } from '@cedar-policy/cedar-wasm/nodejs';
import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { systemRandom } from '../../src/core/random.ts';
import type { DetailFacts, PolicyEngine, Question } from '../../src/policy/decision.ts';
import { createPolicyEngineFactory } from '../../src/policy/engine.ts';
import { adminFactsOf, factsOf } from '../../src/policy/facts.ts';
import type { Facts } from '../../src/policy/facts.ts';
import type { Policy } from '../../src/registry/entries.ts';
import { adminQuestion, buildEngine, DEPLOY, DEPLOYER, domain, evidence, named, NOW, policy, question, resource, schema, workload } from './scene.ts';

const BUILDER = 'spiffe://prod.acme.example/ci/builder';
const OTHER = 'https://other.acme.example';

const principals = fc.constantFrom(
  'principal', 'principal is Workload', 'principal is Person', `principal == Workload::"${DEPLOYER}"`, `principal == Workload::"${BUILDER}"`, `principal in Workload::"${DEPLOYER}"`,
  `principal is Workload in Workload::"${DEPLOYER}"`, 'principal in Group::"staff"', 'principal is Person in Group::"staff"', 'principal == Person::"urn:mayfly:prod:person:okta:ada"', 'principal == Group::"staff"',
);
const resources = fc.constantFrom(
  'resource', 'resource is Scope', 'resource is Resource', `resource == Scope::"${DEPLOY}#deploy:read"`, `resource in Scope::"${DEPLOY}#deploy:write"`, `resource == Resource::"${DEPLOY}"`,
  `resource in Resource::"${DEPLOY}"`, `resource in Resource::"${OTHER}"`, `resource is Scope in Resource::"${DEPLOY}"`, `resource is Resource in Resource::"${DEPLOY}"`,
  'resource in Domain::"prod"', 'resource in Domain::"dev"', 'resource is Scope in Domain::"prod"', 'resource is Detail', `resource == Detail::"${DEPLOY}#payment"`, `resource in Detail::"${DEPLOY}#payment"`,
);
const actions = fc.constantFrom('action == Action::"issue"', 'action == Action::"delegate"', 'action in [Action::"issue", Action::"delegate"]', 'action in Action::"issue"');
const GITHUB = 'context.evidence.github_actions';
const condition = fc.constantFrom(
  'true', 'resource.owner == "payments@acme.example"', 'resource.provider == "aws-sts"', 'principal is Workload && principal.kind == "agent"', 'principal has owner && principal.owner == resource.owner',
  'context.evidence has github_actions', `context.evidence has github_actions && ${GITHUB}.ref == "refs/heads/main"`, `context.evidence has github_actions.environment && ${GITHUB}.environment like "l*"`,
  `(if context.evidence has github_actions then ${GITHUB}.ref else "none") == "none"`, `context.evidence has gitlab_ci || (context.evidence has github_actions && ${GITHUB} has ref_protected && ${GITHUB}.ref_protected)`,
  `{ ref: (if context.evidence has github_actions then ${GITHUB}.ref else "none"), Value: context.session.depth } == { ref: "refs/heads/main", Value: 1 }`,
  '(if context.session.depth > 0 then context.session else context.session).model == "bounded"', 'context.session has fresh_seconds && context.session.fresh_seconds < 60', 'context.session has purpose && context.session.purpose like "mend*"',
  'context.request has actor && context.request.actor like "*/builder"', 'principal is Person && principal.issuer == "okta"', 'principal is Person && principal in Group::"staff"',
  '(if context.session.depth > 0 then context else context).request.bound', '{ Value: context.session.depth } == { Value: 1 }', '{ Var: context.request.lifetime } == { Var: 300 }',
  'context.evidence has oidc && context.evidence.oidc.attributes.contains("team=payments")', 'context.session.depth > 0', 'context.session.age_seconds + 9223372036854775800 > 0', 'context.chain has first && context.chain.first like "*deployer"',
  'context.request.bound', 'context.request.time < datetime("2026-12-01")', 'context.request.lifetime < 600', 'resource in Domain::"prod"', `resource in Resource::"${DEPLOY}" && Resource::"${DEPLOY}" in Domain::"prod"`,
  `Workload::"${DEPLOYER}".owner == "payments@acme.example"`, `Domain::"prod".stage == "production"`, '[principal].contains(principal) && action == Action::"issue"',
  'resource is Detail && resource.numbers.hasTag("amount") && resource.numbers.getTag("amount") <= 100', 'resource is Detail && resource.type == "payment"', `Detail::"${DEPLOY}#payment".owner == "payments@acme.example"`,
  'resource is Detail && (resource.texts.hasTag("currency") && resource.texts.getTag("currency") == "EUR" || resource.sets.hasTag("actions"))',
  'resource is Detail && resource.sets.hasTag("actions") && ["initiate"].containsAll(resource.sets.getTag("actions"))', `DetailNumbers::"${DEPLOY}#payment".hasTag("amount")`,
);
/** Heads that match are likelier than chance would have it, so that conditions come to be evaluated. */
const statement = fc.tuple(fc.constantFrom('permit', 'permit', 'forbid'), fc.oneof(fc.constant('principal'), principals), actions, fc.oneof(fc.constant('resource'), resources), fc.constantFrom('when', 'unless'), condition)
  .map(([effect, principal, action, target, kind, body]) => `${effect}(${principal}, ${action}, ${target}) ${kind} { ${body} };`);

const PAYMENTS = [{ type: 'payment', fields: {} }];
const details: fc.Arbitrary<DetailFacts> = fc.record({
  type: fc.constant('payment'), texts: fc.constantFrom({}, { currency: 'EUR' }), numbers: fc.constantFrom({}, { amount: 100 }, { amount: 101 }), sets: fc.constantFrom({}, { actions: ['initiate'] }, { actions: ['initiate', 'status'] }),
});
const evidences = fc.constantFrom(undefined, evidence(), evidence({ ref: 'refs/heads/dev', environment: 'live' }), evidence({ team: 'payments' }, 'oidc'));
const questions: fc.Arbitrary<Question> = fc.record({
  workload: fc.constantFrom(workload(), named('ci/builder', { workloadKind: 'agent' })),
  resource: fc.constantFrom(resource({ details: PAYMENTS }), resource({ audience: OTHER, provider: 'aws-sts', owner: 'search@acme.example', details: PAYMENTS })),
  asked: fc.oneof(fc.record({ scope: fc.constantFrom(undefined, 'deploy:read', 'deploy:write') }), fc.record({ scope: fc.constant(undefined), detail: details })),
  action: fc.constantFrom('issue' as const, 'delegate' as const),
  person: fc.constantFrom(undefined, undefined, { urn: 'urn:mayfly:prod:person:okta:ada', issuer: 'okta', groups: ['staff'] }, { urn: 'urn:mayfly:prod:person:okta:eve', issuer: 'okta', groups: [] }),
  freshSeconds: fc.constantFrom(undefined, 10, 90), purpose: fc.constantFrom(undefined, 'mend the tests', 'other'), actor: fc.constantFrom(undefined, BUILDER, DEPLOYER),
  evidence: evidences, depth: fc.nat(1), ageSeconds: fc.constantFrom(1, 7, 8), bound: fc.boolean(), lifetime: fc.constantFrom(300, 900), time: fc.constantFrom(NOW - 1, NOW, NOW + 1),
}).map(({ depth, ageSeconds, freshSeconds, purpose, bound, lifetime, time, actor, asked, ...rest }) => question({ ...rest, ...asked, session: { ...question().session, depth, ageSeconds, freshSeconds, purpose }, request: { bound, lifetime, time, actor } }));

beforeAll(() => {
  expect(preparseSchema('subset.test', schema.text)).toEqual({ type: 'success' });
});

const policies = (texts: readonly string[], expiries: readonly number[]): readonly Policy[] =>
  texts.map((text, at) => policy(`p${at}`, text, text.startsWith('permit') ? { expires: NOW + (expiries[at % expiries.length] ?? 1) } : {}));

/** Cedar itself over every policy that has not expired, with the whole request, checked against the schema. */
const askCedar = (stored: readonly Policy[], facts: Facts): { allow: boolean; policies: readonly string[] } => {
  const { principal, action, resource: asked, context } = facts;
  const alive = stored.filter(({ effect, expires }) => effect === 'forbid' || (expires !== undefined && facts.time < expires));
  preparsePolicySet('subset.test', { staticPolicies: Object.fromEntries(alive.map(({ name, cedar }) => [name, cedar])) });
  const answer = statefulIsAuthorized({
    principal, action, resource: asked, context, preparsedSchemaName: 'subset.test', validateRequest: true, preparsedPolicySetId: 'subset.test',
    // The schema brings the actions and their groups.
    entities: facts.entities().filter(({ uid }) => !('type' in uid) || uid.type !== 'Action'),
  });
  if (answer.type !== 'success') throw new Error(JSON.stringify(answer.errors));
  const { decision, diagnostics } = answer.response;
  if (diagnostics.errors.length > 0) return { allow: false, policies: diagnostics.errors.map(({ policyId }) => policyId).sort() };
  return { allow: decision === 'allow', policies: [...diagnostics.reason].sort() };
};

const brief = (answer: ReturnType<PolicyEngine['decide']>): { allow: boolean; policies: readonly string[] } => ({ allow: answer.allow, policies: answer.policies.map(({ name }) => name).sort() });

describe('the policies chosen for a request, and the facts they are given', () => {
  test('decide as all policies do with all facts', () => {
    let allowed = 0;
    fc.assert(fc.property(fc.array(statement, { minLength: 1, maxLength: 7 }), fc.array(fc.constantFrom(0, 1, 5_000), { minLength: 1, maxLength: 3 }), fc.array(questions, { minLength: 1, maxLength: 4 }), (texts, expiries, asked) => {
      const stored = policies(texts, expiries);
      const engine = buildEngine(domain.id, stored);
      expect(engine.problems).toEqual([]);
      for (const one of asked) {
        const facts = factsOf(schema, one);
        if (!facts.ok) throw new Error(facts.error);
        const expected = askCedar(stored, facts.value);
        if (expected.allow) allowed += 1;
        expect(brief(engine.decide(one))).toEqual(expected);
      }
    }), { numRuns: 150, seed: 4711 });
    expect(allowed).toBeGreaterThan(20);
  });

  test('decide as all policies do for admins', () => {
    const adminStatement = fc.tuple(
      fc.constantFrom('permit', 'permit', 'forbid'),
      fc.constantFrom('principal', 'principal is Admin', 'principal == Admin::"okta/ada"', 'principal == Admin::"okta/eve"', 'principal in Group::"platform"', 'principal is Admin in Group::"security"'),
      fc.constantFrom('action == Action::"admin::apply"', 'action in Action::"admin"', 'action in Action::"admin-read"', 'action in [Action::"admin::list", Action::"admin::keys"]'),
      fc.constantFrom('resource', 'resource == Domain::"prod"', 'resource in Domain::"prod"', 'resource == Domain::"dev"', 'resource is Domain'),
      fc.constantFrom('principal.issuer == "okta"', 'resource.stage == "production"', 'context.request.time < datetime("2026-01-01")', 'true'),
    ).map(([effect, principal, action, target, body]) => `${effect}(${principal}, ${action}, ${target}) when { ${body} };`);
    const adminQuestions = fc.record({ verb: fc.constantFrom('apply', 'list', 'keys'), id: fc.constantFrom('okta/ada', 'okta/eve'), groups: fc.subarray(['platform', 'security']) })
      .map(({ verb, id, groups }) => adminQuestion({ verb, admin: { id, groups, issuer: 'okta' } }));
    fc.assert(fc.property(fc.array(adminStatement, { minLength: 1, maxLength: 5 }), fc.array(adminQuestions, { minLength: 1, maxLength: 3 }), (texts, asked) => {
      const stored = policies(texts, [5_000]);
      const engine = buildEngine(domain.id, stored);
      for (const one of asked) {
        const facts = adminFactsOf(one);
        if (!facts.ok) throw new Error(facts.error);
        expect(brief(engine.decideAdmin(one))).toEqual(askCedar(stored, facts.value));
      }
    }), { numRuns: 60, seed: 4711 });
  });
});

describe('sets that Cedar holds parsed', () => {
  const own = (name: string, version = 1): Policy => policy(name, `permit(principal == Workload::"spiffe://prod.acme.example/${name}", action == Action::"issue", resource) when { context.session.depth == ${version} };`, { version });
  const names = Array.from({ length: 12 }, (_, at) => `svc/s${at}`);
  const asks = (engine: PolicyEngine, depth: number): readonly string[] =>
    names.map((name) => engine.decide(question({ workload: named(name), session: { ...question().session, depth } }))).map(({ allow, policies: cited, errors }) => [allow, ...cited.map((policyOf) => `${policyOf.name}@${policyOf.version}`), ...errors].join(' '));

  test.each([
    { name: 'places for three sets', limits: { parsedPolicies: 100, parsedSets: 3, verdicts: 1 } },
    { name: 'room for two policies', limits: { parsedPolicies: 2, parsedSets: 50, verdicts: 1 } },
    { name: 'one place', limits: { parsedPolicies: 1, parsedSets: 1, verdicts: 1 } },
  ])('answer for their own workload when there are only $name', ({ limits }) => {
    const build = createPolicyEngineFactory({ schema, random: systemRandom, limits });
    const engine = build(domain.id, [...names.map((name) => own(name)), policy('brake', 'forbid(principal, action == Action::"issue", resource) when { context.session.depth > 5 };')]);
    const expected = names.map((name) => `true ${name}@1`);
    expect([asks(engine, 1), asks(engine, 1), asks(engine, 2)]).toEqual([expected, expected, names.map(() => 'false')]);
    expect(asks(engine, 6)).toEqual(names.map(() => 'false brake@1'));
  });

  test('are not mixed up between versions of a registry that are both still asked, nor between factories', () => {
    const before = buildEngine(domain.id, names.map((name) => own(name, 1)));
    const after = buildEngine(domain.id, names.map((name) => own(name, 2)));
    const elsewhere = createPolicyEngineFactory({ schema, random: systemRandom })(domain.id, names.map((name) => own(name, 3)));
    const round = (): readonly (readonly string[])[] => [asks(before, 1), asks(after, 2), asks(elsewhere, 3), asks(after, 1)];
    const expected = [1, 2, 3].map((version) => names.map((name) => `true ${name}@${version}`));
    expect(round()).toEqual([...expected, names.map(() => 'false')]);
    expect(round()).toEqual([...expected, names.map(() => 'false')]);
  });
});
