import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { ADMIN_VERBS } from '../../src/policy/actions.ts';
import type { Question } from '../../src/policy/decision.ts';
import { MAX_LENGTH, MAX_LINKS, MAX_NESTING } from '../../src/policy/nesting.ts';
import { createPolicyValidator } from '../../src/policy/validate.ts';
import { adminQuestion, buildEngine, domain, evidence, named, otherDomain, policy, question, resource, schema, workload } from './scene.ts';

const page = readFileSync(new URL('../../docs/policy-cookbook.md', import.meta.url), 'utf8');
const recipes = new Map([...page.matchAll(/^## (\d+)\. .*?^```cedar\n(.*?)^```$/gms)].map(([, number, cedar]) => [Number(number), cedar ?? '']));
const recipe = (number: number): string => recipes.get(number) ?? '';

/** A forbid allows nothing by itself, so it is tried beside a permit for everything. */
const decides = (number: number, asked: Question): boolean => {
  const everything = recipe(number).includes('forbid') ? [policy('everything', 'permit(principal, action, resource);')] : [];
  const answer = buildEngine(domain.id, [policy('recipe', recipe(number)), ...everything]).decide(asked);
  expect(answer.errors).toEqual([]);
  expect(answer.policies.map(({ name }) => name)).toEqual(answer.allow ? [everything.length > 0 ? 'everything' : 'recipe'] : everything.length > 0 ? ['recipe'] : []);
  return answer.allow;
};

const check = createPolicyValidator(schema);
test('holds fifteen policies, each valid and none that can never apply', () => {
  expect([...recipes.keys()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
  expect([...recipes].map(([number, cedar]) => { const { problems, valid } = check('p', cedar); return [number, problems, valid?.warnings]; })).toEqual([...recipes.keys()].map((number) => [number, [], []]));
});

const { session, request } = question();
const live = evidence({ environment: 'production' });
const buildfarm = { kind: 'oidc', issuer: 'buildfarm', subject: 'job-1', attributes: { pool: 'trusted', branch: 'main', labels: ['a', 'b'] } };
const aws = resource({ audience: 'arn:aws:iam::123456789012:role/deploy', provider: 'aws-sts', scopes: [] });

const delegated = { ...session, model: 'delegated', principal: 'urn:mayfly:prod:person:corp:alice', freshSeconds: 60 };
const byPerson = (person: object = {}): Partial<Question> => ({ action: 'delegate', session: delegated, evidence: undefined, person: { urn: 'urn:mayfly:prod:person:corp:alice', issuer: 'corp', groups: ['engineering'], ...person } });
const task = { ...session, model: 'autonomous', freshSeconds: 60, purpose: 'INC-4711: checkout errors' };
const fromDev = [{ iss: 'https://sts.acme.example/dev', stage: 'development' }];

describe('allows what it is for and denies the same with one thing changed', () => {
  test.each<{ name: string; number: number; allowed: Partial<Question>; denied: Partial<Question> }>([
    { name: '1, another scope', number: 1, allowed: { scope: 'deploy:write' }, denied: { scope: 'deploy:read' } },
    { name: '1, another workload', number: 1, allowed: { scope: 'deploy:write' }, denied: { workload: named('ci/builder') } },
    { name: '2, another branch', number: 2, allowed: {}, denied: { evidence: evidence({ ref: 'refs/heads/dev' }) } },
    { name: '2, another event', number: 2, allowed: {}, denied: { evidence: evidence({ event_name: 'schedule' }) } },
    { name: '2, another resource', number: 2, allowed: {}, denied: { resource: resource({ audience: 'https://other.acme.example' }) } },
    { name: '3, no environment', number: 3, allowed: { evidence: live }, denied: { evidence: evidence() } },
    { name: '3, another kind of workload', number: 3, allowed: { evidence: live }, denied: { workload: workload({ workloadKind: 'service' }) } },
    { name: '4, another team\'s resource', number: 4, allowed: {}, denied: { resource: resource({ owner: 'search@acme.example' }) } },
    { name: '4, another team\'s workload', number: 4, allowed: {}, denied: { workload: workload({ owner: 'search@acme.example' }) } },
    { name: '5, no proof', number: 5, allowed: { resource: aws, scope: undefined, request: { ...request, bound: true } }, denied: { request: { ...request, bound: false } } },
    { name: '5, an AWS role', number: 5, allowed: { scope: undefined }, denied: { resource: aws } },
    { name: '6, writing', number: 6, allowed: {}, denied: { scope: 'deploy:write' } },
    { name: '6, an agent', number: 6, allowed: {}, denied: { workload: workload({ workloadKind: 'agent' }) } },
    { name: '6, the resource itself', number: 6, allowed: {}, denied: { scope: undefined } },
    { name: '7, in the freeze', number: 7, allowed: { scope: 'deploy:write', request: { ...request, time: Date.UTC(2026, 11, 17, 23, 59, 59) } }, denied: { request: { ...request, time: Date.UTC(2026, 11, 18) } } },
    { name: '7, writing in it', number: 7, allowed: { request: { ...request, time: Date.UTC(2026, 11, 24) } }, denied: { scope: 'deploy:write' } },
    { name: '8, too deep', number: 8, allowed: { session: { ...session, depth: 3 } }, denied: { session: { ...session, depth: 4 } } },
    { name: '8, too old', number: 8, allowed: { session: { ...session, model: 'delegated', ageSeconds: 3600 } }, denied: { session: { ...session, model: 'delegated', ageSeconds: 3601 } } },
    { name: '9, another pool', number: 9, allowed: { evidence: buildfarm }, denied: { evidence: { ...buildfarm, attributes: { ...buildfarm.attributes, pool: 'shared' } } } },
    { name: '11, another group', number: 11, allowed: byPerson(), denied: byPerson({ groups: ['sales'] }) },
    { name: '11, an old login', number: 11, allowed: byPerson(), denied: { session: { ...delegated, freshSeconds: 3600 } } },
    { name: '11, the agent itself', number: 11, allowed: byPerson(), denied: { action: 'act', person: undefined } },
    { name: '12, another stage', number: 12, allowed: { evidence: live }, denied: { domain: { ...domain, stage: 'staging' } } },
    { name: '12, another branch', number: 12, allowed: { evidence: live }, denied: { evidence: evidence({ environment: 'production', ref: 'refs/heads/dev' }) } },
    { name: '13, another purpose', number: 13, allowed: { session: task }, denied: { session: { ...task, purpose: 'tidying up' } } },
    { name: '13, stale evidence', number: 13, allowed: { session: task }, denied: { session: { ...task, freshSeconds: 600 } } },
    { name: '13, a run of its own', number: 13, allowed: { session: task }, denied: { session } },
    { name: '14, writing', number: 14, allowed: { action: 'cross', passed: fromDev }, denied: { scope: 'deploy:write' } },
    { name: '14, through development', number: 14, allowed: { action: 'act', scope: 'deploy:write', passed: [] }, denied: { passed: fromDev } },
    { name: '15, to an agent', number: 15, allowed: { action: 'delegate', request: { ...request, actor: 'spiffe://prod.acme.example/tools/mailer' } }, denied: { request: { ...request, actor: 'spiffe://prod.acme.example/agents/coder' } } },
    { name: '9, another issuer', number: 9, allowed: { evidence: buildfarm }, denied: { evidence: { ...buildfarm, issuer: 'laptops' } } },
  ])('$name', ({ number, allowed, denied }) => {
    expect([decides(number, question(allowed)), decides(number, question({ ...allowed, ...denied }))]).toEqual([true, false]);
  });

  test.each([
    { name: '10, changing something', denied: { verb: 'apply' } },
    { name: '10, somebody else', denied: { admin: { id: 'okta/eve', groups: ['platform'], issuer: 'okta' } } },
  ])('$name', ({ denied }) => {
    const engine = buildEngine(domain.id, [policy('recipe', recipe(10))]);
    const allowed = adminQuestion({ verb: 'audit', admin: { id: 'okta/ada', groups: ['auditors'], issuer: 'okta' } });
    expect([allowed, { ...allowed, ...denied }].map((asked) => engine.decideAdmin(asked))).toEqual([{ allow: true, policies: [{ name: 'recipe', version: 1 }], errors: [] }, { allow: false, policies: [], errors: [] }]);
  });

  test('10, another domain', () => {
    const engine = buildEngine(otherDomain.id, [policy('recipe', recipe(10))]);
    expect(engine.decideAdmin(adminQuestion({ domain: otherDomain, on: otherDomain, verb: 'audit', admin: { id: 'okta/ada', groups: ['auditors'], issuer: 'okta' } }))).toEqual({ allow: false, policies: [], errors: [] });
  });
});

test('lists the admin verbs there are', () => {
  const rows = [...page.matchAll(/^\| `(\w+)` \| (.+?) \| (yes|no) \|$/gm)].map(([, verb, doc, changes]) => [verb, { reads: changes === 'no', doc }]);
  expect(Object.fromEntries(rows)).toEqual(ADMIN_VERBS);
});

test('tells the limits there are', () => {
  expect(page).toContain(`at most ${MAX_LENGTH.toLocaleString('en-US')} characters, brackets ${MAX_NESTING} deep and ${MAX_LINKS} operators`);
});
