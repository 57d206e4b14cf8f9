import { describe, expect, test } from '@jest/globals';
import { HOUR } from '../../src/core/duration.ts';
import { decideAim, decideAsk, frameQuestions } from '../../src/exchange/decide.ts';
import type { Aim } from '../../src/exchange/aim.ts';
import type { Caller } from '../../src/exchange/caller.ts';
import type { PersonUrn, SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import type { CeilingPair } from '../../src/store/rows.ts';
import { API, BILLING, NOW, USUAL, api, billing, caller, codeOf, deployer, erring, evidence, hop, linkOf, other, permit, policy, secret, session, valueOf, viewOf, workload } from './world.ts';

const view = viewOf();
const PLAIN = { bound: false, time: NOW, lifetime: 300 };
const framesOf = (of = caller(), on = view, plain: Parameters<typeof frameQuestions>[2] = PLAIN) => valueOf(frameQuestions(on, of, plain));
const decide = (resource: typeof api, scopes: readonly string[], on = view) => decideAsk(on, framesOf(caller(), on), { resource, scopes });
const names = (policies: readonly { readonly name: string }[]): readonly string[] => policies.map(({ name }) => name);
const [DEPLOYS, BILLS] = USUAL.map(({ name }) => name);

describe('one ask', () => {
  test.each([
    { name: 'a permitted scope', resource: api, scopes: ['deploy:read'], code: 'accepted' },
    { name: 'the resource itself', resource: api, scopes: [], code: 'accepted' },
    { name: 'a registered scope that is not permitted', resource: api, scopes: ['deploy:admin'], code: 'scope_denied' },
    { name: 'an unregistered scope', resource: api, scopes: ['deploy:all'], code: 'scope_unknown' },
    { name: 'an unregistered scope beside a permitted one', resource: api, scopes: ['deploy:read', 'deploy:all'], code: 'scope_unknown' },
    // What is not permitted at all answers like what does not exist, whatever was asked of it.
    { name: 'a scope of a target nothing is permitted at', resource: secret, scopes: ['salaries:read'], code: 'target_denied' },
    { name: 'an unregistered scope of a target nothing is permitted at', resource: secret, scopes: ['nonsense'], code: 'target_denied' },
    { name: 'a target nothing is permitted at, itself', resource: secret, scopes: [], code: 'target_denied' },
  ])('of $name: $code', ({ resource, scopes, code }) => { expect(codeOf(decide(resource, scopes))).toBe(code); });

  test('is narrowed to what is permitted, and says what was left out and by which policies', () => {
    expect(valueOf(decide(api, ['deploy:admin', 'deploy:write', 'deploy:read']))).toEqual({ granted: ['deploy:write', 'deploy:read'], denied: ['deploy:admin'], policies: [{ name: DEPLOYS, version: 3 }] });
  });

  test('without a permit for the resource itself is refused there, though its scopes are permitted', () => {
    const scopesOnly = viewOf({ policies: [permit(API, `resource == Scope::"${API}#deploy:read"`)] });
    expect([codeOf(decide(api, [], scopesOnly)), codeOf(decide(api, ['deploy:read'], scopesOnly))]).toEqual(['target_denied', 'accepted']);
  });
});

describe('a policy that errs', () => {
  const broken = viewOf({ policies: [...USUAL, erring(`${API}#deploy:write`)] });
  test.each([
    { name: 'for the one scope that is asked', scopes: ['deploy:write'], code: 'policy_error' },
    { name: 'for one of the scopes that are asked, so that nobody overlooks it', scopes: ['deploy:read', 'deploy:write'], code: 'policy_error' },
    { name: 'for none of what is asked', scopes: ['deploy:read'], code: 'accepted' },
  ])('is a "no": $name', ({ scopes, code }) => { expect(codeOf(decide(api, scopes, broken))).toBe(code); });

  test('is told as one, and not as a target that does not exist, where it is met while looking whether anything is permitted', () => {
    const policies = [erring(`${API}#deploy:write`)];
    expect([codeOf(decide(api, ['deploy:admin'], viewOf({ policies }))), codeOf(decide(api, ['deploy:admin'], viewOf({ policies: [] })))]).toEqual(['policy_error', 'target_denied']);
  });

  test('says which it is, for the admin', () => {
    const rule = erring(`${API}#deploy:write`);
    expect(decide(api, ['deploy:write'], viewOf({ policies: [...USUAL, rule] }))).toMatchObject({ ok: false, error: { detail: expect.stringMatching(new RegExp(`^${rule.name}: .*overflow`)) } });
  });

  test('is one where a pair of a ceiling errs, though another does not', () => {
    const aimed: Aim = { kind: 'session', asks: [{ resource: billing, scopes: ['bills:read'] }, { resource: api, scopes: ['deploy:write'] }], renews: false };
    expect([codeOf(decideAim(broken, framesOf(), aimed, undefined)), codeOf(decideAim(view, framesOf(), aimed, undefined))]).toEqual(['policy_error', 'accepted']);
  });
});

describe('a ceiling', () => {
  const whole: Aim = { kind: 'session', asks: [{ resource: billing, scopes: ['bills:read'] }, { resource: api, scopes: ['deploy:read', 'deploy:admin'] }], renews: false };
  test('is decided pair by pair, each narrowed, and each policy is cited once', () => {
    const decided = valueOf(decideAim(view, framesOf(), whole, undefined));
    expect({ pairs: decided.pairs, denied: decided.denied }).toEqual({ pairs: [{ audience: BILLING, scopes: ['bills:read'] }, { audience: API, scopes: ['deploy:read'] }], denied: [`${API}#deploy:admin`] });
    expect(names(decided.policies)).toEqual([BILLS, DEPLOYS]);
  });

  test.each([
    { name: 'a target nothing is permitted at', ask: { resource: secret, scopes: ['salaries:read'] }, code: 'target_denied' },
    { name: 'scopes of which none is permitted', ask: { resource: api, scopes: ['deploy:admin'] }, code: 'scope_denied' },
    { name: 'a scope nobody registered', ask: { resource: api, scopes: ['nonsense'] }, code: 'scope_unknown' },
  ])('with a pair of $name is refused whole: $code', ({ ask, code }) => {
    expect(codeOf(decideAim(view, framesOf(), { kind: 'session', asks: [{ resource: billing, scopes: ['bills:read'] }, ask], renews: false }, undefined))).toBe(code);
  });
});

describe('the ceiling that is held', () => {
  const spend = (scopes: readonly string[], held: readonly CeilingPair[], resource = api): string => codeOf(decideAim(view, framesOf(), { kind: 'resource', ask: { resource, scopes } }, held));
  test.each([
    { name: 'a scope it holds and a policy permits', scopes: ['deploy:read'], code: 'accepted' },
    { name: 'a scope a policy permits and it does not hold', scopes: ['deploy:write'], held: [{ audience: API, scopes: ['deploy:read'] }], code: 'ceiling_exceeded' },
    { name: 'a scope it holds and no policy permits any more', scopes: ['deploy:admin'], held: [{ audience: API, scopes: ['deploy:admin'] }], code: 'scope_denied' },
    { name: 'a target it does not hold', scopes: ['bills:read'], resource: billing, code: 'ceiling_exceeded' },
    { name: 'a target it holds and no policy permits any more', scopes: ['salaries:read'], resource: secret, held: [{ audience: secret.audience, scopes: ['salaries:read'] }], code: 'target_denied' },
  ])('and the policies bind both: $name: $code', ({ scopes, held, resource, code }) => {
    expect(spend(scopes, held ?? hop.ceiling, resource)).toBe(code);
  });

  test('shrinks first what is asked, and what it took away is told as left out', () => {
    const decided = valueOf(decideAim(view, framesOf(), { kind: 'resource', ask: { resource: api, scopes: ['deploy:read', 'deploy:admin', 'deploy:write'] } }, [{ audience: API, scopes: ['deploy:read', 'deploy:admin'] }]));
    expect(decided).toMatchObject({ pairs: [{ audience: API, scopes: ['deploy:read'] }], denied: [`${API}#deploy:admin`, `${API}#deploy:write`] });
  });
});

describe('a ceiling that is renewed', () => {
  const renewed = (held: readonly CeilingPair[], on = view) =>
    decideAim(on, framesOf(caller(), on), { kind: 'session', asks: held.map(({ audience, scopes }) => ({ resource: [api, billing, secret].find((each) => each.audience === audience) ?? api, scopes })), renews: true }, held);

  test('goes on with what policies still permit of it, and tells what they took away', () => {
    const held = [{ audience: API, scopes: ['deploy:admin', 'deploy:read'] }, { audience: BILLING, scopes: ['bills:read'] }, { audience: secret.audience, scopes: ['salaries:read'] }];
    expect(renewed(held)).toMatchObject({ ok: true, value: { pairs: [{ audience: API, scopes: ['deploy:read'] }, { audience: BILLING, scopes: ['bills:read'] }], denied: [`${API}#deploy:admin`, `${secret.audience}#salaries:read`] } });
  });

  test('tells a target without scopes by its name', () => {
    expect(renewed([{ audience: BILLING, scopes: ['bills:read'] }, { audience: secret.audience, scopes: [] }])).toMatchObject({ ok: true, value: { denied: [secret.audience] } });
  });

  test('of which nothing is left is refused for what was found first', () => {
    expect(codeOf(renewed([{ audience: secret.audience, scopes: ['salaries:read'] }, { audience: API, scopes: ['deploy:admin'] }]))).toBe('target_denied');
    expect(codeOf(renewed([{ audience: API, scopes: ['deploy:admin'] }, { audience: secret.audience, scopes: ['salaries:read'] }]))).toBe('scope_denied');
  });

  test('of which a policy errs is refused whole, so that nobody overlooks it', () => {
    const held = [{ audience: BILLING, scopes: ['bills:read'] }, { audience: API, scopes: ['deploy:write'] }];
    expect([codeOf(renewed(held, viewOf({ policies: [...USUAL, erring(`${API}#deploy:write`)] }))), codeOf(renewed(held))]).toEqual(['policy_error', 'accepted']);
  });
});

describe('the question', () => {
  test('is made of facts of the registry and the evidence, and of the session as it is', () => {
    expect(framesOf(caller({ session: { ...session, startedAt: NOW - HOUR - 999 } }), view, { bound: true, time: NOW, lifetime: 60 })).toEqual([{
      action: 'issue', domain: view.domain, workload: deployer, evidence: caller().evidence, chain: [deployer.spiffeId], passed: [],
      session: { model: 'bounded', principal: deployer.owner, ageSeconds: 3600, depth: 0, freshSeconds: undefined, purpose: undefined }, request: { bound: true, time: NOW, lifetime: 60 },
    }]);
  });

  test('never gives a session an age below nothing, should a node\'s clock be behind', () => {
    expect(framesOf(caller({ session: { ...session, startedAt: NOW + 5000 } }))[0]?.session.ageSeconds).toBe(0);
  });

  test('has the depth of the chain that acts', () => {
    expect(framesOf(caller({ chain: [linkOf(other), linkOf(other), linkOf()] })).map((frame) => frame.session.depth)).toEqual([2, 2, 2, 2, 2]);
  });

  test('says how long ago what must be fresh was shown, and what a task is for', () => {
    const frames = framesOf(caller({ session: { ...session, model: 'autonomous', facts: { purpose: 'mend the tests' } }, freshness: { at: NOW - 90_500, shown: false, within: HOUR } }));
    expect(frames.map((frame) => [frame.session.freshSeconds, frame.session.purpose])).toEqual([[90, 'mend the tests']]);
  });

  test('of the session\'s age is answered by the true one', () => {
    const aged = viewOf({ policies: [permit(API), policy(`forbid(principal, action == Action::"issue", resource) when { context.session.age_seconds >= 3600 };`)] });
    const at = (startedAt: number): string => codeOf(decideAsk(aged, framesOf(caller({ session: { ...session, startedAt } }), aged), { resource: api, scopes: [] }));
    expect([at(NOW - HOUR), at(NOW - HOUR + 1)]).toEqual(['target_denied', 'accepted']);
  });
});

describe('everybody an exchange rests on is asked', () => {
  const [first, second] = ['first', 'second'].map((name) => workload({ id: `wkl_${name}` as WorkloadId, name: `agents/${name}`, spiffeId: `spiffe://prod.acme.example/agents/${name}` as SpiffeId, authority: 'delegated' }));
  if (first === undefined || second === undefined) throw new Error('two actors');
  const crowd = viewOf({ workloads: [deployer, other, first, second] });
  const PERSON = { urn: 'urn:mayfly:prod:person:corp:alice' as PersonUrn, issuer: 'corp', groups: ['engineering'] };
  const away = { iss: 'https://sts.acme.example/dev', sub: 'spiffe://dev.acme.example/agents/planner' as SpiffeId, stage: 'development' as const };
  const earlier = linkOf(first, evidence({ subject: 'agent:first' }));
  const asked = (of: Partial<Caller>, actor?: string): readonly string[] =>
    framesOf(caller({ workload: second, chain: [linkOf(second)], ...of }), crowd, { ...PLAIN, actor }).map((frame) => `${frame.person?.urn ?? frame.workload.name} ${frame.action}`);
  const delegated: Partial<Caller> = { session: { ...session, model: 'delegated', holder: PERSON.urn }, person: PERSON };

  test.each<{ readonly name: string; readonly of: Partial<Caller>; readonly actor?: string; readonly questions: readonly string[] }>([
    { name: 'a run of its own', of: {}, questions: ['agents/second issue'] },
    { name: 'a run that hands on', of: {}, actor: other.spiffeId, questions: ['agents/second issue', 'agents/second delegate'] },
    { name: 'an actor of a run', of: { chain: [earlier, linkOf(second)] }, questions: ['agents/first issue', 'agents/first delegate', 'agents/second act'] },
    { name: 'a task that is opened', of: { opensTask: true }, questions: ['agents/second issue', 'agents/second open'] },
    { name: 'an agent of a person', of: delegated, questions: [`${PERSON.urn} delegate`, 'agents/second act'] },
    { name: 'an agent of a person that hands on', of: delegated, actor: other.spiffeId, questions: [`${PERSON.urn} delegate`, 'agents/second act', 'agents/second delegate'] },
    { name: 'the second agent of a person', of: { ...delegated, chain: [earlier, linkOf(second)] }, questions: [`${PERSON.urn} delegate`, 'agents/first act', 'agents/first delegate', 'agents/second act'] },
    { name: 'a chain that comes from another domain', of: { ...delegated, person: undefined, chain: [away, linkOf(second)] }, questions: ['agents/second cross', 'agents/second act'] },
    { name: 'one that was handed on since', of: { ...delegated, person: undefined, chain: [away, away, linkOf(first), linkOf(second)] }, questions: ['agents/first cross', 'agents/first act', 'agents/first delegate', 'agents/second act'] },
    { name: 'a run that comes from another domain', of: { chain: [away, linkOf(second)] }, questions: ['agents/second cross', 'agents/second act'] },
  ])('by $name', ({ of, actor, questions }) => {
    expect(asked(of, actor)).toEqual(questions);
  });

  test('each about what itself showed: an actor before by the evidence it joined with, the person by none', () => {
    const frames = framesOf(caller({ workload: second, ...delegated, chain: [earlier, linkOf(second)] }), crowd);
    expect(frames.map((frame) => frame.evidence?.subject)).toEqual([undefined, 'agent:first', 'agent:first', caller().evidence.subject]);
    expect(new Set(frames.map((frame) => frame.chain.join(' ')))).toEqual(new Set([`${first.spiffeId} ${second.spiffeId}`]));
  });

  test('to whom authority is handed on is told to the policies on that alone', () => {
    const frames = framesOf(caller({ workload: second, ...delegated, chain: [earlier, linkOf(second)] }), crowd, { ...PLAIN, actor: other.spiffeId });
    expect(frames.map((frame) => frame.request.actor)).toEqual([undefined, undefined, undefined, undefined, other.spiffeId]);
  });

  test.each([
    { name: 'is not registered any more', workloads: [second], code: 'workload_unknown' },
    { name: 'has just expired', workloads: [second, { ...first, expires: NOW }], code: 'workload_unknown' },
    { name: 'expires in a millisecond', workloads: [second, { ...first, expires: NOW + 1 }], code: 'accepted' },
  ])('an actor before that $name: $code', ({ workloads, code }) => {
    expect(codeOf(frameQuestions(viewOf({ workloads, policies: [] }), caller({ workload: second, chain: [earlier, linkOf(second)] }), PLAIN))).toBe(code);
  });

  const may = (principal: string, action: string): ReturnType<typeof policy> => policy(`permit(${principal}, action == Action::"${action}", resource in Resource::"${API}");`);
  const is = (of: typeof deployer): string => `principal == Workload::"${of.spiffeId}"`;
  const ALL = { person: may('principal in Group::"engineering"', 'delegate'), firstActs: may(is(first), 'act'), firstDelegates: may(is(first), 'delegate'), secondActs: may(is(second), 'act') };
  test.each([...Object.keys(ALL), 'nobody'])('and each no is a no: without the permit of %s', (missing) => {
    const policies = Object.entries(ALL).flatMap(([name, rule]) => (name === missing ? [] : [rule]));
    const on = viewOf({ workloads: [first, second], policies });
    const decided = decideAsk(on, framesOf(caller({ workload: second, ...delegated, chain: [earlier, linkOf(second)] }), on), { resource: api, scopes: ['deploy:read'] });
    expect(codeOf(decided)).toBe(missing === 'nobody' ? 'accepted' : 'target_denied');
    if (missing === 'nobody') expect(names(valueOf(decided).policies)).toEqual(policies.map(({ name }) => name));
  });

  test('and where nobody is, nothing is permitted', () => {
    expect(codeOf(decideAsk(view, [], { resource: api, scopes: ['deploy:read'] }))).toBe('target_denied');
  });
});
