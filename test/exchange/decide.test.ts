import { describe, expect, test } from '@jest/globals';
import { HOUR } from '../../src/core/duration.ts';
import { decideAim, decideAsk, frameQuestion } from '../../src/exchange/decide.ts';
import type { Aim } from '../../src/exchange/aim.ts';
import type { HopRow } from '../../src/store/rows.ts';
import { API, BILLING, NOW, USUAL, api, billing, caller, codeOf, deployer, erring, hop, permit, policy, secret, session, valueOf, viewOf } from './world.ts';

const view = viewOf();
const frameOf = (of = caller()) => frameQuestion(view, of, { bound: false, time: NOW, lifetime: 300 });
const decide = (resource: typeof api, scopes: readonly string[], on = view) => decideAsk(on, frameQuestion(on, caller(), { bound: false, time: NOW, lifetime: 300 }), { resource, scopes });
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
    const aimed: Aim = { kind: 'session', asks: [{ resource: billing, scopes: ['bills:read'] }, { resource: api, scopes: ['deploy:write'] }] };
    expect([codeOf(decideAim(broken, frameOf(), aimed, undefined)), codeOf(decideAim(view, frameOf(), aimed, undefined))]).toEqual(['policy_error', 'accepted']);
  });
});

describe('a ceiling', () => {
  const whole: Aim = { kind: 'session', asks: [{ resource: billing, scopes: ['bills:read'] }, { resource: api, scopes: ['deploy:read', 'deploy:admin'] }] };
  test('is decided pair by pair, each narrowed, and each policy is cited once', () => {
    const decided = valueOf(decideAim(view, frameOf(), whole, undefined));
    expect({ pairs: decided.pairs, denied: decided.denied }).toEqual({ pairs: [{ audience: BILLING, scopes: ['bills:read'] }, { audience: API, scopes: ['deploy:read'] }], denied: [`${API}#deploy:admin`] });
    expect(names(decided.policies)).toEqual([BILLS, DEPLOYS]);
  });

  test.each([
    { name: 'a target nothing is permitted at', ask: { resource: secret, scopes: ['salaries:read'] }, code: 'target_denied' },
    { name: 'scopes of which none is permitted', ask: { resource: api, scopes: ['deploy:admin'] }, code: 'scope_denied' },
    { name: 'a scope nobody registered', ask: { resource: api, scopes: ['nonsense'] }, code: 'scope_unknown' },
  ])('with a pair of $name is refused whole: $code', ({ ask, code }) => {
    expect(codeOf(decideAim(view, frameOf(), { kind: 'session', asks: [{ resource: billing, scopes: ['bills:read'] }, ask] }, undefined))).toBe(code);
  });
});

describe('the hop', () => {
  const spend = (scopes: readonly string[], held: HopRow, resource = api): string => codeOf(decideAim(view, frameOf(), { kind: 'resource', ask: { resource, scopes } }, held));
  test.each([
    { name: 'a scope it holds and a policy permits', scopes: ['deploy:read'], code: 'accepted' },
    { name: 'a scope a policy permits and it does not hold', scopes: ['deploy:write'], held: [{ audience: API, scopes: ['deploy:read'] }], code: 'ceiling_exceeded' },
    { name: 'a scope it holds and no policy permits any more', scopes: ['deploy:admin'], held: [{ audience: API, scopes: ['deploy:admin'] }], code: 'scope_denied' },
    { name: 'a target it does not hold', scopes: ['bills:read'], resource: billing, code: 'ceiling_exceeded' },
    { name: 'a target it holds and no policy permits any more', scopes: ['salaries:read'], resource: secret, held: [{ audience: secret.audience, scopes: ['salaries:read'] }], code: 'target_denied' },
  ])('and the policies bind both: $name: $code', ({ scopes, held, resource, code }) => {
    expect(spend(scopes, held === undefined ? hop : { ...hop, ceiling: held }, resource)).toBe(code);
  });

  test('shrinks first what is asked, and what it took away is told as left out', () => {
    const decided = valueOf(decideAim(view, frameOf(), { kind: 'resource', ask: { resource: api, scopes: ['deploy:read', 'deploy:admin', 'deploy:write'] } }, { ...hop, ceiling: [{ audience: API, scopes: ['deploy:read', 'deploy:admin'] }] }));
    expect(decided).toMatchObject({ pairs: [{ audience: API, scopes: ['deploy:read'] }], denied: [`${API}#deploy:admin`, `${API}#deploy:write`] });
  });
});

describe('the question', () => {
  test('is made of facts of the registry and the evidence, and of the session as it is', () => {
    expect(frameQuestion(view, caller({ session: { ...session, startedAt: NOW - HOUR - 999 } }), { bound: true, time: NOW, lifetime: 60 })).toEqual({
      domain: view.domain, workload: deployer, evidence: caller().evidence, chain: [deployer.spiffeId],
      session: { model: 'bounded', principal: deployer.owner, ageSeconds: 3600, depth: 0 }, request: { bound: true, time: NOW, lifetime: 60 },
    });
  });

  test('never gives a session an age below nothing, should a node\'s clock be behind', () => {
    expect(frameQuestion(view, caller({ session: { ...session, startedAt: NOW + 5000 } }), { bound: false, time: NOW, lifetime: 60 }).session.ageSeconds).toBe(0);
  });

  test('has the depth of the hop that is spent', () => {
    expect(frameOf(caller({ hop: { ...hop, depth: 2 } })).session.depth).toBe(2);
  });

  test('of the session\'s age is answered by the true one', () => {
    const aged = viewOf({ policies: [permit(API), policy(`forbid(principal, action == Action::"issue", resource) when { context.session.age_seconds >= 3600 };`)] });
    const at = (startedAt: number): string => codeOf(decideAsk(aged, frameQuestion(aged, caller({ session: { ...session, startedAt } }), { bound: false, time: NOW, lifetime: 300 }), { resource: api, scopes: [] }));
    expect([at(NOW - HOUR), at(NOW - HOUR + 1)]).toEqual(['target_denied', 'accepted']);
  });
});
