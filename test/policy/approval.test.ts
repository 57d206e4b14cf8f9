import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { HOUR, MINUTE } from '../../src/core/duration.ts';
import type { Answer, Question } from '../../src/policy/decision.ts';
import { createPolicyValidator } from '../../src/policy/validate.ts';
import { adminQuestion, DEPLOY, DEPLOYER, engineOf, question, schema } from './scene.ts';

const check = createPolicyValidator(schema);
const HEAD = `principal == Workload::"${DEPLOYER}", action == Action::"issue", resource`;
const permit = (annotations: string, head = HEAD, when = ''): string => `${annotations} permit(${head})${when};`;

describe('annotations', () => {
  test.each([
    { name: 'one name', written: '@approval("payments-leads")', demand: { names: ['payments-leads'], ttl: HOUR, byPrincipal: false } },
    { name: 'several names, sorted', written: '@approval("security, payments-leads")', demand: { names: ['payments-leads', 'security'], ttl: HOUR, byPrincipal: false } },
    { name: 'a time in minutes', written: '@approval("a") @approval_ttl("30m")', demand: { names: ['a'], ttl: 30 * MINUTE, byPrincipal: false } },
    { name: 'the longest time', written: '@approval("a") @approval_ttl("24h")', demand: { names: ['a'], ttl: 24 * HOUR, byPrincipal: false } },
    { name: 'the principal', written: '@approval("a") @approval_by_principal', demand: { names: ['a'], ttl: HOUR, byPrincipal: true } },
    { name: 'nothing', written: '@description("plain") @ticket("OPS-1")', demand: undefined },
  ])('ask for $name', ({ written, demand }) => {
    expect(check('p', permit(written))).toMatchObject({ effect: 'permit', problems: [], valid: { approval: demand } });
  });

  test.each([
    { name: 'a misspelt name, which would be a permit without approval', cedar: permit('@aproval("a")'), told: '@aproval is no annotation' },
    { name: 'another that nobody knows', cedar: permit('@require_approval("a")'), told: '@require_approval is no annotation' },
    { name: 'no name', cedar: permit('@approval'), told: 'is not a list of names' },
    { name: 'an empty name', cedar: permit('@approval("")'), told: 'is not a list of names' },
    { name: 'a name in capitals', cedar: permit('@approval("Leads")'), told: 'is not a list of names' },
    { name: 'one name twice', cedar: permit('@approval("a,a")'), told: 'is not a list of names' },
    { name: 'six names', cedar: permit('@approval("a,b,c,d,e,f")'), told: 'is not a list of names' },
    { name: 'no time', cedar: permit('@approval("a") @approval_ttl'), told: 'is not a time' },
    { name: 'a time in words', cedar: permit('@approval("a") @approval_ttl("one hour")'), told: 'is not a time' },
    { name: 'a time beyond a day', cedar: permit('@approval("a") @approval_ttl("25h")'), told: 'is not a time' },
    { name: 'a time of nothing', cedar: permit('@approval("a") @approval_ttl("0m")'), told: 'is not a time' },
    { name: 'a time in seconds', cedar: permit('@approval("a") @approval_ttl("90s")'), told: 'is not a time' },
    { name: 'a time without an approval', cedar: permit('@approval_ttl("1h")'), told: 'there is no @approval' },
    { name: 'a principal without an approval', cedar: permit('@approval_by_principal'), told: 'there is no @approval' },
    { name: 'a value for the principal', cedar: permit('@approval("a") @approval_by_principal("false")'), told: 'takes no value' },
    { name: 'an approval of a forbid', cedar: `@approval("a") forbid(${HEAD});`, told: 'cannot be approved away' },
    { name: 'an approval of approving', cedar: permit('@approval("a")', 'principal is Person, action == Action::"approve", resource'), told: 'nothing a request waits for' },
    { name: 'an approval of an admin action', cedar: permit('@approval("a")', 'principal is Admin, action in [Action::"admin::revoke", Action::"admin::list"], resource'), told: 'nothing a request waits for' },
    { name: 'an approval of all admin actions', cedar: permit('@approval("a")', 'principal is Admin, action in Action::"admin", resource'), told: 'nothing a request waits for' },
    { name: 'a workload that approves', cedar: 'permit(principal is Workload, action == Action::"approve", resource) when { principal.name == "x" };', told: '' },
  ])('are refused with $name', ({ cedar, told }) => {
    const { effect, valid, problems } = check('p', cedar);
    if (told === '') return expect(valid?.warnings.length ?? problems.length).toBeGreaterThan(0);
    expect([effect, valid]).toEqual([undefined, undefined]);
    expect(problems.map(({ message }) => message).join()).toContain(told);
    expect(problems.every(({ help, line }) => help !== undefined && line === 1)).toBe(true);
    return undefined;
  });
});

describe('a decision', () => {
  const told = ({ allow, approval, policies }: Answer): object => ({ allow, names: approval?.names, ttl: approval?.ttl, by: approval?.byPrincipal, policies: policies.map(({ name }) => name).toSorted() });
  const decide = (policies: readonly string[], change: Partial<Question> = {}): object => told(engineOf(...policies).decide(question(change)));
  const plain = permit('');
  const leads = permit('@approval("leads") @approval_ttl("2h") @approval_by_principal');
  const security = permit('@approval("security") @approval_ttl("30m")');

  test('is a no that names the approval when every permit asks for one', () => {
    expect(decide([leads])).toEqual({ allow: false, names: ['leads'], ttl: 2 * HOUR, by: true, policies: ['p1'] });
  });

  test('takes all names, the shortest time, and the principal only where all let them', () => {
    expect(decide([leads, security])).toEqual({ allow: false, names: ['leads', 'security'], ttl: 30 * MINUTE, by: false, policies: ['p1', 'p2'] });
  });

  test('is a plain yes beside a permit that asks nobody', () => {
    expect(decide([leads, plain])).toEqual({ allow: true, policies: ['p1', 'p2'] });
    // Fixed to no principal and no resource it is evaluated in another set.
    expect(decide([leads, 'permit(principal, action == Action::"issue", resource);'])).toMatchObject({ allow: true });
    expect(decide([leads, permit('', HEAD, ' when { context.request.bound }')])).toMatchObject({ allow: false, names: ['leads'] });
  });

  test('is a plain no where a forbid holds, whoever would approve', () => {
    expect(decide([leads, `forbid(principal, action, resource == Scope::"${DEPLOY}#deploy:read");`])).toEqual({ allow: false, policies: ['p2'] });
  });

  test('of an admin is a no: nobody could be asked', () => {
    const engine = engineOf('@approval("leads") permit(principal, action, resource);');
    expect(told(engine.decideAdmin(adminQuestion()))).toMatchObject({ allow: false });
    expect(told(engineOf('permit(principal, action, resource);').decideAdmin(adminQuestion()))).toMatchObject({ allow: true });
  });
});

describe('approving', () => {
  const lead = { urn: 'urn:mayfly:prod:person:corp:bob', issuer: 'corp', groups: ['payments-leads'] };
  const engine = engineOf('permit(principal in Group::"payments-leads", action == Action::"approve", resource) when { context.request has approval && context.request.approval == "payments-leads" };');
  const asked = (change: Partial<Question> = {}, request: Partial<Question['request']> = { approval: 'payments-leads' }): Question => {
    const usual = question({ action: 'approve', person: lead, ...change });
    return { ...usual, request: { ...usual.request, ...request } };
  };

  test('is decided for a person, by their groups and the name', () => {
    expect(engine.decide(asked()).allow).toBe(true);
    expect(engine.decide(asked({ person: { ...lead, groups: ['sales'] } })).allow).toBe(false);
    expect(engine.decide(asked({}, { approval: 'security' })).allow).toBe(false);
    expect(engine.decide(asked({}, {})).allow).toBe(false);
  });

  test('is refused to a workload whatever a policy says', () => {
    const open = engineOf('permit(principal, action, resource);');
    expect(open.decide(asked({ person: undefined }))).toMatchObject({ allow: false, errors: ['a workload never approves'] });
    expect(open.decide(asked()).allow).toBe(true);
  });
});

test('the policies of docs/approvals.md are valid, ask for what they say, and let whom they say', () => {
  const page = readFileSync(new URL('../../docs/approvals.md', import.meta.url), 'utf8');
  const documents = [...page.matchAll(/^ *```yaml\n([^]*?)^ *```$/gm)].flatMap(([, text = '']) => parseAllDocuments(text).map((document) => document.toJS() as { readonly policies?: readonly { readonly name: string; readonly cedar: string }[] }));
  const [pays, approves] = documents.flatMap(({ policies = [] }) => policies).map(({ name, cedar }) => check(name, cedar));
  expect(pays).toMatchObject({ problems: [], valid: { approval: { names: ['payments-leads'], ttl: 30 * MINUTE, byPrincipal: false } } });
  expect(approves).toMatchObject({ problems: [], valid: { approval: undefined, warnings: [] } });
});
