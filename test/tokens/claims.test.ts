import { describe, expect, test } from '@jest/globals';
import { HOUR, SECOND } from '../../src/core/duration.ts';
import { buildResourceClaims, buildSessionClaims, CEILING_TYPE, ClaimsFault, findClaimsProblem, isSessionToken, lintClaims } from '../../src/tokens/claims.ts';
import type { ActClaim, TokenClaims } from '../../src/tokens/claims.ts';
import { START } from '../keys/make-ring.ts';
import { API, CHILD, ISSUER, JKT, LEASE, makeFacts, SESSION, WORKLOAD } from './forge.ts';

const claims = buildResourceClaims(makeFacts(), { audience: API, scopes: ['deploy:read', 'deploy:write'] });
const act = (sub: string, inner?: ActClaim): ActClaim => ({ iss: ISSUER, sub, ...(inner === undefined ? {} : { act: inner }) });
const chain = (depth: number): ActClaim => (depth === 1 ? act(WORKLOAD) : act(WORKLOAD, chain(depth - 1)));

test('builds the claims of RFC 9068 and nothing beside them', () => {
  expect(claims).toEqual({
    iss: ISSUER, sub: WORKLOAD, aud: API, iat: START / SECOND, exp: START / SECOND + 300, jti: LEASE, client_id: WORKLOAD, scope: 'deploy:read deploy:write', sid: SESSION,
    status: { status_list: { idx: 7, uri: `${ISSUER}/status/AAAAAAAAAAAAAAAAAAAAAA` } }, authority: { model: 'bounded', principal: 'payments@acme.example', depth: 0 },
  });
  expect(lintClaims(claims)).toBe(claims);
});

test('leaves authorization_details out when there are none', () => {
  expect(lintClaims(buildSessionClaims(makeFacts({ authorizationDetails: [] })))).not.toHaveProperty('authorization_details');
});

test('leaves scope out when there is none', () => {
  expect(lintClaims(buildResourceClaims(makeFacts(), { audience: API, scopes: [] }))).not.toHaveProperty('scope');
});

test('builds a session token for the issuer alone', () => {
  const session = buildSessionClaims(makeFacts({ authorizationDetails: [{ type: CEILING_TYPE, audience: API, scopes: ['deploy:read'] }], mayAct: { iss: ISSUER, sub: CHILD } }));
  expect(lintClaims(session)).toMatchObject({ aud: ISSUER, may_act: { sub: CHILD } });
  expect(session).not.toHaveProperty('scope');
  expect(isSessionToken(session)).toBe(true);
  expect(isSessionToken(claims)).toBe(false);
});

test('rounds times down to whole seconds', () => {
  expect(buildResourceClaims(makeFacts({ issuedAt: START + 999 }), { audience: API, scopes: [] }).iat).toBe(START / SECOND);
});

describe('the lint', () => {
  const delegated = { ...claims, sub: 'urn:mayfly:prod:person:okta:ann', act: act(WORKLOAD), authority: { ...claims.authority, model: 'delegated' } };

  test.each([
    { name: 'act by the client', change: { act: act(WORKLOAD), sub: CHILD } },
    { name: 'act nested five deep', change: { act: chain(5) } },
    { name: 'a person with an actor', change: delegated },
    { name: 'a bound key', change: { cnf: { jkt: JKT } } },
    { name: 'one hour of life', change: { exp: claims.iat + HOUR / SECOND } },
    { name: 'authorization_details', change: { authorization_details: [{ type: 'payment' }] } },
    { name: 'auth_time and acr', change: { auth_time: claims.iat, acr: 'urn:x' } },
    { name: 'the first entry of a status list', change: { status: { status_list: { idx: 0, uri: 'https://sts.acme.example/prod/status/1' } } } },
  ])('passes $name', ({ change }) => {
    const set = { ...claims, ...change };
    expect(lintClaims(set)).toBe(set);
  });

  test.each([
    { name: 'two audiences', change: { aud: [API, 'https://other.example'] } },
    { name: 'one audience in an array', change: { aud: [API] } },
    { name: 'no audience', change: { aud: undefined } },
    { name: 'exp equal to iat', change: { exp: claims.iat } },
    { name: 'exp before iat', change: { exp: claims.iat - 1 } },
    { name: 'more than one hour of life', change: { exp: claims.iat + HOUR / SECOND + 1 } },
    { name: 'exp as text', change: { exp: String(claims.exp) } },
    { name: 'a fraction of a second', change: { iat: claims.iat + 0.5 } },
    { name: 'an exp that is no number', change: { exp: Number.NaN } },
    { name: 'no exp', change: { exp: undefined } },
    { name: 'no client_id', change: { client_id: undefined } },
    { name: 'a client_id that is no SPIFFE ID', change: { client_id: 'ci', sub: 'ci' } },
    { name: 'a client_id that does not act', change: { client_id: CHILD } },
    { name: 'an actor that is not the client', change: { act: act(CHILD) } },
    { name: 'a person without an actor', change: { ...delegated, act: undefined } },
    { name: 'act without iss', change: { act: { sub: WORKLOAD } } },
    { name: 'act without sub', change: { act: { iss: ISSUER } } },
    { name: 'may_act without iss', change: { may_act: { sub: CHILD } } },
    { name: 'may_act without sub', change: { may_act: { iss: ISSUER } } },
    { name: 'authority without model', change: { authority: { principal: 'a', depth: 0 } } },
    { name: 'authority with more members', change: { authority: { ...claims.authority, admin: true } } },
    { name: 'cnf with more members', change: { cnf: { jkt: JKT, jwk: {} } } },
    { name: 'act with more members', change: { act: { ...act(WORKLOAD), scope: 'x' } } },
    { name: 'act nested six deep', change: { act: chain(6) } },
    { name: 'act as text', change: { act: WORKLOAD } },
    { name: 'may_act with an inner act', change: { may_act: { ...act(CHILD), act: act(WORKLOAD) } } },
    { name: 'an empty scope', change: { scope: '' } },
    { name: 'a scope twice', change: { scope: 'a a' } },
    { name: 'two spaces in scope', change: { scope: 'a  b' } },
    { name: 'a quote in scope', change: { scope: 'a"b' } },
    { name: 'a scope on a session token', change: { aud: ISSUER } },
    { name: 'a ceiling on a resource token', change: { authorization_details: [{ type: CEILING_TYPE }] } },
    { name: 'empty authorization_details', change: { authorization_details: [] } },
    { name: 'details without a type', change: { authorization_details: [{ locations: [] }] } },
    { name: 'a short thumbprint', change: { cnf: { jkt: JKT.slice(1) } } },
    { name: 'a long thumbprint', change: { cnf: { jkt: `${JKT}A` } } },
    { name: 'a thumbprint with a line feed', change: { cnf: { jkt: `${JKT}\n` } } },
    { name: 'details of which one has no type', change: { authorization_details: [{ type: 'payment' }, {}] } },
    { name: 'an empty cnf', change: { cnf: {} } },
    { name: 'a jti that is no lease', change: { jti: 'x' } },
    { name: 'a sid that is no session', change: { sid: 'x' } },
    { name: 'no authority', change: { authority: undefined } },
    { name: 'authority without principal', change: { authority: { model: 'bounded', depth: 0 } } },
    { name: 'a subject of 2,049 characters', change: { sub: 'x'.repeat(2049) } },
    { name: 'a negative depth', change: { authority: { ...claims.authority, depth: -1 } } },
    { name: 'no status', change: { status: undefined } },
    { name: 'a status of another kind', change: { status: { revoked: false } } },
    { name: 'a status of two kinds', change: { status: { ...claims.status, revoked: false } } },
    { name: 'a status list without an entry', change: { status: { status_list: { uri: ISSUER } } } },
    { name: 'a status list without a place', change: { status: { status_list: { idx: 0 } } } },
    { name: 'a negative entry of a status list', change: { status: { status_list: { idx: -1, uri: ISSUER } } } },
    { name: 'an entry of a status list as text', change: { status: { status_list: { idx: '0', uri: ISSUER } } } },
    { name: 'a status list with more members', change: { status: { status_list: { idx: 0, uri: ISSUER, bits: 2 } } } },
    { name: 'an unknown claim', change: { admin: true } },
  ])('throws on $name', ({ change }) => {
    expect(() => lintClaims({ ...claims, ...change } as unknown as TokenClaims)).toThrow(ClaimsFault);
  });

  test.each(['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id', 'sid', 'authority'])('knows that %s is required', (name) => {
    expect(findClaimsProblem({ ...claims, [name]: undefined })).toBe(`${name} is missing or not as it must be`);
  });

  test.each(['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'client_id', 'scope', 'act', 'may_act', 'cnf', 'authorization_details', 'auth_time', 'acr', 'status', 'sid', 'authority'])('takes nothing of another type for %s, and never fails over it', (name) => {
    const others: readonly unknown[] = [null, true, -1, '', [], {}, { length: 1 }];
    const taken = others.filter((value) => findClaimsProblem({ ...claims, act: act(WORKLOAD), [name]: value }) !== `${name} is missing or not as it must be`);
    expect(taken).toEqual([]);
  });

  test('asks for a status of what is signed, not of what is verified: tokens of an earlier version had none', () => {
    const { status: _status, ...former } = claims;
    expect(findClaimsProblem(former)).toBeUndefined();
    expect(() => lintClaims(former)).toThrow('status is missing');
  });

  test('tells what is wrong without telling the value', () => {
    expect(findClaimsProblem({ ...claims, scope: 'secret"' })).toBe('scope is missing or not as it must be');
  });
});
