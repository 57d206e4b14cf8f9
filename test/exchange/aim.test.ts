import { describe, expect, test } from '@jest/globals';
import { aim, withinCeiling } from '../../src/exchange/aim.ts';
import type { Aim } from '../../src/exchange/aim.ts';
import type { SpiffeId } from '../../src/core/ids.ts';
import type { ExchangeRequest } from '../../src/exchange/request.ts';
import type { CeilingPair } from '../../src/store/rows.ts';
import { API, BILLING, NOW, SECRET, api, billing, codeOf, domain, request, resource, valueOf, viewOf } from './world.ts';

const OLD = 'https://old.acme.example';
const BRIEF = 'https://brief.acme.example';
const view = viewOf({ resources: [api, billing, resource({ audience: OLD, expires: NOW }), resource({ audience: BRIEF, expires: NOW + 1 })] });
const pair = (audience: string, ...scopes: readonly string[]): CeilingPair => ({ audience, scopes });
type AimingCaller = Parameters<typeof aim>[1];
const EVIDENCE: AimingCaller = { showedEvidence: true, ceiling: undefined };
/** A session token alone, and one with its actor's evidence. */
const TOKEN: AimingCaller = { showedEvidence: false, ceiling: [pair(API, 'deploy:read', 'deploy:write'), pair(BILLING)] };
const RENEWAL: AimingCaller = { ...TOKEN, showedEvidence: true };
const at = (change: Partial<ExchangeRequest>, by: AimingCaller = EVIDENCE): string => codeOf(aim(request(change), by, view, NOW));
const CHILD = 'spiffe://prod.acme.example/agents/child' as SpiffeId;
const SESSION: Partial<ExchangeRequest> = { target: undefined, scopes: [], ceiling: [pair(API, 'deploy:read')] };

describe('a request for a resource', () => {
  test.each([
    { name: 'a registered one', change: {}, code: 'accepted' },
    { name: 'one that nobody registered', change: { target: SECRET }, code: 'target_unknown' },
    { name: 'a registered one with a slash more', change: { target: `${API}/` }, code: 'target_unknown' },
    { name: 'one whose registration has just expired', change: { target: OLD }, code: 'target_expired' },
    { name: 'one whose registration expires in a millisecond', change: { target: BRIEF }, code: 'accepted' },
    { name: 'a ceiling beside a target', change: { ceiling: [pair(API)] }, code: 'details_unsupported' },
    { name: 'a ceiling beside a target that nobody registered', change: { target: SECRET, ceiling: [pair(API)] }, code: 'details_unsupported' },
    { name: 'a session token in hand', change: {}, by: TOKEN, code: 'accepted' },
    { name: 'a session token in hand and evidence', change: {}, by: RENEWAL, code: 'accepted' },
    { name: 'another actor, and a target that nobody registered', change: { requestedActor: CHILD, target: SECRET }, by: TOKEN, code: 'target_unknown' },
  ])('$name: $code', ({ change, by, code }) => { expect(at(change, by)).toBe(code); });

  test('keeps the scopes as they were asked, registered or not: that is for the decision', () => {
    expect(aim(request({ scopes: ['deploy:write', 'nonsense'] }), EVIDENCE, view, NOW)).toEqual({ ok: true, value: { kind: 'resource', ask: { resource: api, scopes: ['deploy:write', 'nonsense'] } } });
  });
});

describe('a request for a session token', () => {
  test.each([
    { name: 'a ceiling and no target', change: SESSION, code: 'accepted' },
    { name: 'a ceiling and the domain\'s own issuer', change: { ...SESSION, target: domain.issuer }, code: 'accepted' },
    { name: 'neither target nor ceiling', change: { ...SESSION, ceiling: undefined }, code: 'target_missing' },
    { name: 'the domain\'s own issuer without a ceiling', change: { ...SESSION, target: domain.issuer, ceiling: undefined }, code: 'details_malformed' },
    { name: 'the domain\'s own issuer with a slash more, which is another target', change: { ...SESSION, target: `${domain.issuer}/`, ceiling: undefined }, code: 'target_unknown' },
    { name: 'a session token in place of evidence', change: SESSION, by: TOKEN, code: 'actor_missing' },
    { name: 'a session token and evidence', change: SESSION, by: RENEWAL, code: 'accepted' },
    { name: 'a session token and evidence, and no ceiling: the one that is held', change: { ...SESSION, ceiling: undefined }, by: RENEWAL, code: 'accepted' },
    { name: 'a session token alone, and no ceiling', change: { ...SESSION, ceiling: undefined }, by: TOKEN, code: 'target_missing' },
    { name: 'a session token to hand on', change: { ...SESSION, requestedActor: CHILD }, by: TOKEN, code: 'accepted' },
    { name: 'a session token to hand on at the domain\'s own issuer', change: { ...SESSION, target: domain.issuer, requestedActor: CHILD }, by: TOKEN, code: 'accepted' },
    { name: 'a session token to hand on, of which nothing is said', change: { ...SESSION, ceiling: undefined, requestedActor: CHILD }, by: TOKEN, code: 'details_malformed' },
    { name: 'scopes beside what is renewed', change: { ...SESSION, ceiling: undefined, scopes: ['deploy:read'] }, by: RENEWAL, code: 'scope_malformed' },
    { name: 'scopes beside the ceiling', change: { ...SESSION, scopes: ['deploy:read'] }, code: 'scope_malformed' },
    { name: 'a pair of which nobody registered the target', change: { ...SESSION, ceiling: [pair(API), pair(SECRET)] }, code: 'target_unknown' },
    { name: 'a pair whose target has expired', change: { ...SESSION, ceiling: [pair(API), pair(OLD)] }, code: 'target_expired' },
    { name: 'a pair of the domain\'s own issuer', change: { ...SESSION, ceiling: [pair(domain.issuer)] }, code: 'target_unknown' },
  ])('$name: $code', ({ change, by, code }) => { expect(at(change, by)).toBe(code); });

  test('asks once for each audience, whatever order and however often it was named', () => {
    const aimed: Aim = valueOf(aim(request({ ...SESSION, ceiling: [pair(API, 'deploy:write'), pair(BILLING), pair(API, 'deploy:read', 'deploy:write')] }), EVIDENCE, view, NOW));
    expect(aimed).toEqual({ kind: 'session', asks: [{ resource: billing, scopes: [] }, { resource: api, scopes: ['deploy:read', 'deploy:write'] }], renews: false });
  });

  test('that is renewed goes on with what it holds, as far as it is still registered', () => {
    const renewed = (...held: readonly CeilingPair[]) => aim(request({ ...SESSION, ceiling: undefined }), { showedEvidence: true, ceiling: held }, view, NOW);
    expect(renewed(pair(API, 'deploy:read'), pair(SECRET, 'salaries:read'), pair(OLD))).toEqual({ ok: true, value: { kind: 'session', asks: [{ resource: api, scopes: ['deploy:read'] }], renews: true } });
    expect(codeOf(renewed(pair(SECRET, 'salaries:read'), pair(OLD)))).toBe('target_unknown');
  });

  test('that is renewed with a ceiling asks for exactly that, and each pair of it counts', () => {
    expect(valueOf(aim(request(SESSION), RENEWAL, view, NOW))).toEqual({ kind: 'session', asks: [{ resource: api, scopes: ['deploy:read'] }], renews: false });
    expect(at({ ...SESSION, ceiling: [pair(API, 'deploy:read'), pair(OLD)] }, RENEWAL)).toBe('target_expired');
  });
});

describe('the hop\'s ceiling', () => {
  const held = [pair(API, 'deploy:read', 'deploy:write'), pair(BILLING)];
  test.each([
    { name: 'what is held', resource: api, scopes: ['deploy:read'], held, code: 'accepted' },
    { name: 'an audience that is not held', resource: api, scopes: ['deploy:read'], held: [pair(BILLING)], code: 'ceiling_exceeded' },
    { name: 'no scope at all, where scopes are held', resource: api, scopes: [], held, code: 'ceiling_exceeded' },
    { name: 'no scope at all, where that is what is held', resource: billing, scopes: [], held, code: 'accepted' },
    { name: 'a scope, where the audience alone is held', resource: billing, scopes: ['bills:read'], held, code: 'ceiling_exceeded' },
    { name: 'a registered scope that is not held', resource: api, scopes: ['deploy:admin'], held, code: 'ceiling_exceeded' },
    { name: 'an unregistered scope beside one that is held', resource: api, scopes: ['deploy:read', 'nonsense'], held, code: 'scope_unknown' },
    { name: 'an unregistered scope at an audience that is not held', resource: api, scopes: ['nonsense'], held: [pair(BILLING)], code: 'ceiling_exceeded' },
    { name: 'nothing at all', resource: api, scopes: ['deploy:read'], held: [], code: 'ceiling_exceeded' },
  ])('of $name: $code', ({ resource: of, scopes, held: ceiling, code }) => {
    expect(codeOf(withinCeiling({ resource: of, scopes }, ceiling))).toBe(code);
  });

  test('leaves out what is not held, and adds nothing', () => {
    expect(withinCeiling({ resource: api, scopes: ['deploy:admin', 'deploy:read'] }, held)).toEqual({ ok: true, value: { resource: api, scopes: ['deploy:read'] } });
  });
});
