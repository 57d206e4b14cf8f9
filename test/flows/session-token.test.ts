import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/duration.ts';
import { ACCESS_TOKEN_TYPE, GRANT, JWT_TYPE } from '../support/mayfly.ts';
import type { Answer } from '../support/mayfly.ts';
import { malleate } from '../support/foreign-issuer.ts';
import { FAR, OWNER } from '../support/world.ts';
import { alterDatabase } from './database.ts';
import { API, BILLING, DEPLOYER, FORBIDDEN, SERVICE, SPIFFE, VAULT, ceilingOf, claimsOf, issued, startLab, startTimedLab } from './lab.ts';
import type { CeilingPair, Lab, Refused } from './lab.ts';

const BOTH: readonly CeilingPair[] = [{ audience: API, scopes: ['deploy:read', 'deploy:write'] }, { audience: BILLING, scopes: ['bills:read'] }];

let lab: Lab;
beforeAll(async () => { lab = await startLab(); });
afterAll(async () => { await lab.close(); });

/** Evidence for a session token of these pairs. */
const ask = (ceiling: readonly CeilingPair[], more: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  lab.mayfly.exchange({ subject_token: lab.job(), authorization_details: ceilingOf(ceiling), ...more });

describe('a session token', () => {
  test('is for the domain alone, has no scope, and tells its ceiling', async () => {
    const answer = await ask(BOTH);
    expect(answer.body).toMatchObject({ token_type: 'Bearer', issued_token_type: ACCESS_TOKEN_TYPE, expires_in: 300 });
    expect(answer.body['scope']).toBeUndefined();
    expect(answer.body['authorization_details']).toEqual(JSON.parse(ceilingOf([...BOTH].sort((a, b) => (a.audience < b.audience ? -1 : 1)))));
    expect(claimsOf(issued(answer))).toMatchObject({ iss: lab.issuer, aud: lab.issuer, sub: DEPLOYER, client_id: DEPLOYER, authorization_details: answer.body['authorization_details'] });
    expect(claimsOf(issued(answer))).not.toHaveProperty('scope');
  });

  test('buys a token for each of its targets, more than once, all in one session', async () => {
    const session = await lab.session(BOTH);
    const first = await lab.spend(session, { scope: 'deploy:read deploy:write' });
    const again = await lab.spend(session, { scope: 'deploy:read' });
    const bills = await lab.spend(session, { audience: BILLING, scope: 'bills:read' });
    expect([first, again, bills].map(({ body }) => body['scope'])).toEqual(['deploy:read deploy:write', 'deploy:read', 'bills:read']);
    const { sid } = claimsOf(session);
    for (const answer of [first, again, bills]) {
      const claims = claimsOf(issued(answer));
      expect(claims).toMatchObject({ sid, sub: DEPLOYER, client_id: DEPLOYER });
      expect(claims).not.toHaveProperty('authorization_details');
    }
    const shown = await lab.mayfly.admin('GET', `sessions/${String(sid)}`);
    expect(shown.body).toMatchObject({ status: 'active', workload: 'ci/deployer', hops: [{ depth: 0, actor: DEPLOYER }] });
    expect(shown.body['leases']).toHaveLength(4);
  });

  test('is given only the permitted part of a pair, and says so', async () => {
    const answer = await ask([{ audience: API, scopes: ['deploy:read', 'deploy:admin'] }]);
    expect(answer.body['authorization_details']).toEqual([{ type: 'urn:mayfly:ceiling', audience: API, scopes: ['deploy:read'] }]);
    await lab.refused({ code: 'ceiling_exceeded', error: 'invalid_target' }, () => lab.spend(issued(answer), { scope: 'deploy:admin' }));
  });

  test('needs evidence of its own kind of target, and leaves the evidence usable when it is refused', async () => {
    const rows: readonly (Refused & { readonly ceiling: readonly CeilingPair[]; readonly more?: Readonly<Record<string, string>> })[] = [
      { ceiling: [...BOTH, { audience: FORBIDDEN, scopes: ['salaries:read'] }], code: 'target_denied', error: 'invalid_target' },
      { ceiling: [...BOTH, { audience: 'https://nowhere.example', scopes: [] }], code: 'target_unknown', error: 'invalid_target' },
      { ceiling: [{ audience: API, scopes: ['deploy:admin'] }], code: 'scope_denied', error: 'invalid_scope' },
      { ceiling: [{ audience: API, scopes: ['deploy:read', 'nonsense'] }], code: 'scope_unknown', error: 'invalid_scope' },
      { ceiling: [{ audience: lab.issuer, scopes: [] }], code: 'target_unknown', error: 'invalid_target' },
      { ceiling: [{ audience: `${lab.issuer}/introspect`, scopes: [] }], code: 'target_denied', error: 'invalid_target' },
      { ceiling: [{ audience: VAULT, scopes: ['secrets:read'] }], code: 'dpop_required', error: 'invalid_request' },
      { ceiling: BOTH, more: { scope: 'deploy:read' }, code: 'scope_malformed', error: 'invalid_scope' },
      { ceiling: BOTH, more: { requested_token_type: JWT_TYPE }, code: 'token_type_unsupported', error: 'invalid_request' },
      { ceiling: BOTH, more: { audience: API }, code: 'details_unsupported', error: 'invalid_authorization_details' },
    ];
    for (const { ceiling, more = {}, ...expected } of rows) {
      const evidence = lab.job();
      await lab.refused(expected, () => lab.mayfly.exchange({ subject_token: evidence, authorization_details: ceilingOf(ceiling), ...more }));
      expect((await lab.mayfly.exchange({ subject_token: evidence, authorization_details: ceilingOf(BOTH) })).status).toBe(200);
    }
  });
});

interface SpendRow extends Refused { readonly name: string; readonly values: () => Readonly<Record<string, string>>; readonly ceiling?: readonly CeilingPair[] }

describe('spending it', () => {
  const NOT_HELD = { code: 'ceiling_exceeded', error: 'invalid_target' };
  const ROWS: readonly SpendRow[] = [
    { name: 'a target outside the ceiling', values: () => ({ audience: BILLING, scope: 'bills:read' }), ceiling: [{ audience: API, scopes: ['deploy:read'] }], ...NOT_HELD },
    { name: 'a permitted scope outside the ceiling', values: () => ({ scope: 'deploy:write' }), ceiling: [{ audience: API, scopes: ['deploy:read'] }], ...NOT_HELD },
    { name: 'the target without scope, when only scopes are held', values: () => ({}), ...NOT_HELD },
    { name: 'a scope, when only the target without scope is held', values: () => ({ scope: 'deploy:read' }), ceiling: [{ audience: API, scopes: [] }], ...NOT_HELD },
    { name: 'a scope held at another target', values: () => ({ audience: API, scope: 'bills:read' }), code: 'scope_unknown', error: 'invalid_scope' },
    { name: 'an unregistered scope beside a held one', values: () => ({ scope: 'deploy:read nonsense' }), code: 'scope_unknown', error: 'invalid_scope' },
    { name: 'a held scope in other case', values: () => ({ scope: 'Deploy:Read' }), code: 'scope_unknown', error: 'invalid_scope' },
    { name: 'a target that does not exist', values: () => ({ audience: 'https://nowhere.example' }), code: 'target_unknown', error: 'invalid_target' },
    { name: 'a target nobody may have', values: () => ({ audience: FORBIDDEN, scope: 'salaries:read' }), ...NOT_HELD },
    { name: 'no target', values: () => ({ audience: '' }), code: 'target_missing', error: 'invalid_target' },
    { name: 'itself again', values: () => ({ audience: lab.issuer }), code: 'details_malformed', error: 'invalid_authorization_details' },
    { name: 'itself again with the same ceiling', values: () => ({ audience: '', authorization_details: ceilingOf(BOTH) }), code: 'actor_missing', error: 'invalid_request' },
    { name: 'a smaller session token', values: () => ({ audience: lab.issuer, authorization_details: ceilingOf([{ audience: API, scopes: ['deploy:read'] }]) }), code: 'actor_missing', error: 'invalid_request' },
    { name: 'another workload\'s client id', values: () => ({ scope: 'deploy:read', client_id: SERVICE }), code: 'client_id_mismatch', error: 'invalid_client' },
    { name: 'a token type the target does not issue', values: () => ({ scope: 'deploy:read', requested_token_type: 'urn:ietf:params:oauth:token-type:id_token' }), code: 'token_type_unsupported', error: 'invalid_request' },
    { name: 'it as evidence', values: () => ({ scope: 'deploy:read', subject_token_type: JWT_TYPE }), code: 'evidence_issuer_unknown', error: 'invalid_request' },
    { name: 'it as an ID token', values: () => ({ scope: 'deploy:read', subject_token_type: 'urn:ietf:params:oauth:token-type:id_token' }), code: 'evidence_issuer_unknown', error: 'invalid_request' },
  ];
  test.each(ROWS)('is refused for $name, and does not end it', async ({ values, ceiling = BOTH, ...expected }) => {
    const session = await lab.session(ceiling);
    await lab.refused(expected, () => lab.spend(session, values()));
    const [first] = ceiling;
    expect((await lab.spend(session, { ...(first === undefined || first.scopes.length === 0 ? {} : { scope: first.scopes.join(' ') }) })).status).toBe(200);
  });

  test('with its own client id is accepted', async () => {
    expect((await lab.spend(await lab.session(BOTH), { scope: 'deploy:read', client_id: DEPLOYER })).status).toBe(200);
  });

  test('a resource token buys nothing, so an API that receives one cannot spend the authority behind it', async () => {
    const token = await lab.token({ scope: 'deploy:read' });
    await lab.refused({ code: 'token_not_exchangeable', error: 'invalid_request' }, () => lab.spend(token, { scope: 'deploy:read' }));
  });

  test.each([
    { name: 'another signature', forge: (token: string) => `${token.slice(0, -8)}AAAAAAAA`, code: 'token_signature_invalid' },
    { name: 'the other signature (r, n - s) that holds as well', forge: malleate, code: 'token_unknown' },
    { name: 'a wider ceiling', forge: (token: string) => withClaims(token, (claims) => ({ ...claims, authorization_details: [{ type: 'urn:mayfly:ceiling', audience: API, scopes: ['deploy:admin'] }] })), code: 'token_signature_invalid' },
    { name: 'the typ of evidence', forge: (token: string) => withHeader(token, (header) => ({ ...header, typ: 'JWT' })), code: 'token_typ_wrong' },
    { name: 'no algorithm', forge: (token: string) => withHeader(token, (header) => ({ ...header, alg: 'none' })), code: 'token_signature_invalid' },
    { name: 'a key of its own', forge: (token: string) => withHeader(token, (header) => ({ ...header, jwk: { kty: 'EC' } })), code: 'token_malformed' },
    { name: 'another key\'s name', forge: (token: string) => withHeader(token, (header) => ({ ...header, kid: '../../x' })), code: 'token_signature_invalid' },
    { name: 'blanks around it', forge: (token: string) => ` ${token}`, code: 'token_malformed' },
    { name: 'a line break after it', forge: (token: string) => `${token}\n`, code: 'token_malformed' },
  ])('is refused with $name', async ({ forge, code }) => {
    const session = await lab.session(BOTH);
    await lab.refused({ code, error: 'invalid_request' }, () => lab.spend(forge(session), { scope: 'deploy:read' }));
    expect((await lab.spend(session, { scope: 'deploy:read' })).status).toBe(200);
  });

  test('is refused when its lease is not known, as after a restored copy', async () => {
    const [lost, session] = [await lab.session(BOTH), await lab.session(BOTH)];
    alterDatabase(lab, `DELETE FROM lease WHERE id = '${String(claimsOf(lost)['jti'])}'`);
    await lab.refused({ code: 'token_unknown', error: 'invalid_request' }, () => lab.spend(lost, { scope: 'deploy:read' }));
    expect((await lab.spend(session, { scope: 'deploy:read' })).status).toBe(200);
  });

  test('never gives more than was asked, held and permitted, in whatever order and number scopes are asked', async () => {
    const session = await lab.session([{ audience: API, scopes: ['deploy:write', 'deploy:read'] }]);
    const scope = fc.constantFrom('deploy:read', 'deploy:write', 'deploy:admin');
    await fc.assert(fc.asyncProperty(fc.array(scope, { minLength: 1, maxLength: 6 }), async (asked) => {
      const answer = await lab.spend(session, { scope: asked.join(' ') });
      const wanted = [...new Set(asked)].filter((each) => each !== 'deploy:admin');
      if (wanted.length === 0) return expect(await lab.mayfly.reason(answer)).toBe('ceiling_exceeded');
      expect(new Set(String(answer.body['scope']).split(' '))).toEqual(new Set(wanted));
      expect(claimsOf(issued(answer))['scope']).toBe(answer.body['scope']);
    }), { numRuns: 30 });
  });
});

const withHeader = (token: string, change: (header: Record<string, unknown>) => object): string => {
  const [header, ...rest] = token.split('.');
  return [encode(change(JSON.parse(Buffer.from(String(header), 'base64url').toString()) as Record<string, unknown>)), ...rest].join('.');
};
const withClaims = (token: string, change: (claims: Record<string, unknown>) => object): string => {
  const [header, , signature] = token.split('.');
  return [header, encode(change(claimsOf(token))), signature].join('.');
};
const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('authority taken back', () => {
  const revoke = (kind: string, id: string): Promise<Answer> => lab.mayfly.admin('POST', 'revocations', { kind, id, reason: 'a test', ...(kind === 'workload' || kind === 'issuer' ? { domain: 'dev' } : {}) });
  const statuses = async (sid: unknown): Promise<readonly string[]> =>
    ((await lab.mayfly.admin('GET', `sessions/${String(sid)}`)).body['leases'] as readonly { readonly status: string }[]).map(({ status }) => status);

  test.each([
    { name: 'the session', run: '5001', target: (claims: Record<string, unknown>) => ['session', String(claims['sid'])] as const, lift: undefined },
    { name: 'the session token itself', run: '5002', target: (claims: Record<string, unknown>) => ['lease', String(claims['jti'])] as const, lift: undefined },
    { name: 'the workload', run: '5003', target: () => ['workload', 'ci/deployer'] as const, lift: 'workload' },
    { name: 'the issuer', run: '5004', target: () => ['issuer', 'github'] as const, lift: 'issuer' },
  ])('revoking $name ends what was bought with it and buys nothing more, also with new evidence of the same run', async ({ name, run: run_id, target, lift }) => {
    const run = { run_id };
    const session = await lab.session(BOTH, { evidence: lab.job(run) });
    expect((await lab.spend(session, { scope: 'deploy:read' })).status).toBe(200);
    const claims = claimsOf(session);
    const [kind, id] = target(claims);
    const revoked = await revoke(kind, id);
    expect(revoked.status).toBe(200);
    expect(revoked.body['leases']).toBeGreaterThanOrEqual(2);
    await lab.refused({ code: 'revoked', error: 'invalid_request' }, () => lab.spend(session, { scope: 'deploy:read' }));
    expect(new Set(await statuses(claims['sid']))).toEqual(new Set(['revoked']));
    // A hop is one actor with one ceiling: revoking it leaves the run its other hops.
    if (name === 'the session token itself') return;
    await lab.refused({ code: 'revoked', error: 'invalid_request' }, () => lab.exchange({ subject_token: lab.job(run) }));
    if (lift === undefined) {
      expect((await lab.exchange({ subject_token: lab.job() })).status).toBe(200);
      return;
    }
    await lab.refused({ code: 'revoked', error: 'invalid_request' }, () => lab.exchange({ subject_token: lab.job() }));
    expect((await lab.mayfly.admin('POST', 'enable', { kind: lift, id, domain: 'dev' })).status).toBe(200);
    await lab.refused({ code: 'revoked', error: 'invalid_request' }, () => lab.spend(session, { scope: 'deploy:read' }));
    await lab.refused({ code: 'revoked', error: 'invalid_request' }, () => lab.exchange({ subject_token: lab.job(run) }));
    expect(new Set(await statuses(claims['sid']))).toEqual(new Set(['revoked']));
    expect((await lab.exchange({ subject_token: lab.job() })).status).toBe(200);
  });

  test('revoking one resource token leaves the session and its other tokens', async () => {
    const session = await lab.session(BOTH);
    const [one, other] = [issued(await lab.spend(session, { scope: 'deploy:read' })), issued(await lab.spend(session, { scope: 'deploy:write' }))];
    expect((await revoke('lease', String(claimsOf(one)['jti']))).body).toMatchObject({ leases: 1 });
    expect((await lab.mayfly.admin('GET', `leases/${String(claimsOf(one)['jti'])}`)).body['status']).toBe('revoked');
    expect((await lab.mayfly.admin('GET', `leases/${String(claimsOf(other)['jti'])}`)).body['status']).toBe('active');
    expect((await lab.spend(session, { scope: 'deploy:read' })).status).toBe(200);
  });

  test('removing the workload ends it; registering it anew revives nothing', async () => {
    const entry = { kind: 'pipeline', authority: 'bounded', owner: OWNER, expires: FAR, match: { issuer: 'github', repository_id: '950' } };
    const put = (): Promise<Answer> => lab.mayfly.admin('PUT', `workloads/dev/${encodeURIComponent('ci/brief')}`, entry);
    await put();
    await lab.mayfly.apply({ policies: [{ domain: 'dev', name: 'brief-deploys', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${SPIFFE}/ci/brief", action == Action::"issue", resource in Resource::"${API}");` }] });
    const brief = { repository_id: '950', repository: 'acme/r950', sub: 'repo:acme/r950:ref:refs/heads/main' };
    const session = await lab.session([{ audience: API, scopes: ['deploy:read'] }], { evidence: lab.job(brief) });
    expect((await lab.spend(session, { scope: 'deploy:read' })).status).toBe(200);
    expect((await lab.mayfly.admin('DELETE', `workloads/dev/${encodeURIComponent('ci/brief')}?reason=gone`)).status).toBe(200);
    await lab.refused({ code: 'revoked', error: 'invalid_request' }, () => lab.spend(session, { scope: 'deploy:read' }));
    await lab.refused({ code: 'workload_unknown', error: 'invalid_request' }, () => lab.exchange({ subject_token: lab.job(brief), scope: 'deploy:read' }));
    expect((await put()).status).toBe(200);
    await lab.refused({ code: 'revoked', error: 'invalid_request' }, () => lab.spend(session, { scope: 'deploy:read' }));
    expect((await lab.exchange({ subject_token: lab.job(brief), scope: 'deploy:read' })).status).toBe(200);
  });

  test('a policy withdrawn counts for the next token of a session that is running', async () => {
    const name = 'deployer-bills';
    const session = await lab.session(BOTH);
    expect((await lab.spend(session, { audience: BILLING, scope: 'bills:read' })).status).toBe(200);
    const { body } = await lab.mayfly.admin('GET', `policies/dev/${name}`);
    await lab.mayfly.admin('DELETE', `policies/dev/${name}?reason=test`);
    await lab.refused({ code: 'target_denied', error: 'invalid_target' }, () => lab.spend(session, { audience: BILLING, scope: 'bills:read' }));
    await lab.mayfly.apply({ policies: [{ domain: 'dev', name, owner: OWNER, expires: FAR, cedar: body['cedar'] }] });
    expect((await lab.spend(session, { audience: BILLING, scope: 'bills:read' })).status).toBe(200);
  });
});

describe('a run', () => {
  let later: Lab;
  beforeAll(async () => {
    later = await startTimedLab();
    await later.mayfly.apply({ policies: [{ domain: 'dev', name: 'bills-only-early', owner: OWNER, cedar: `forbid(principal, action == Action::"issue", resource in Resource::"${BILLING}") when { context.session.age_seconds > 3600 };` }] });
  });
  afterAll(async () => { await later.close(); });

  test('is one session however often its job comes, with one age and one end', async () => {
    const run = { run_id: '77' };
    const bills = (): Promise<Answer> => later.exchange({ subject_token: later.job(run), audience: BILLING, scope: 'bills:read' });
    const first = await bills();
    const { sid } = claimsOf(issued(first));
    await later.pass(HOUR);
    expect(claimsOf(issued(await bills()))['sid']).toBe(sid);
    await later.pass(SECOND);
    await later.refused({ code: 'target_denied', error: 'invalid_target' }, bills);
    expect((await later.exchange({ subject_token: later.job(), audience: BILLING, scope: 'bills:read' })).status).toBe(200);

    await later.pass(11 * HOUR - 2 * MINUTE);
    const last = await later.exchange({ subject_token: later.job(run) });
    expect(last.body['expires_in']).toBe(119);
    const session = await later.session([{ audience: API, scopes: [] }], { evidence: later.job(run) });
    expect(claimsOf(session)['sid']).toBe(sid);
    await later.pass(2 * MINUTE);
    await later.refused({ code: 'token_expired', error: 'invalid_request' }, () => later.spend(session));
    await later.refused({ code: 'session_ended', error: 'invalid_request' }, () => later.exchange({ subject_token: later.job(run) }));
    expect((await later.exchange({ subject_token: later.job() })).status).toBe(200);
    await later.pass(DAY);
    await later.refused({ code: 'session_ended', error: 'invalid_request' }, () => later.exchange({ subject_token: later.job(run) }));
  });

  test('a session token outlives neither its own five minutes nor the clock', async () => {
    const session = await later.session([{ audience: API, scopes: ['deploy:read'] }]);
    await later.pass(5 * MINUTE - SECOND);
    expect((await later.spend(session, { scope: 'deploy:read' })).status).toBe(200);
    await later.pass(SECOND);
    await later.refused({ code: 'token_expired', error: 'invalid_request' }, () => later.spend(session, { scope: 'deploy:read' }));
  });
});

test('a session token is asked for with a form, as any other token', async () => {
  const answer = await lab.mayfly.form('dev/token', { grant_type: GRANT, subject_token: lab.job(), subject_token_type: JWT_TYPE, audience: lab.issuer, authorization_details: ceilingOf(BOTH) });
  expect(claimsOf(issued(answer))['aud']).toBe(lab.issuer);
});
