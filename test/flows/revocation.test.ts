import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as oauth from 'oauth4webapi';
import { MINUTE } from '../../src/core/duration.ts';
import type { Answer } from '../support/mayfly.ts';
import { API, BILLING, DEPLOYER, SERVICE, claimsOf, issued, startLab, startTimedLab } from './lab.ts';
import type { CeilingPair, Lab } from './lab.ts';

const BOTH: readonly CeilingPair[] = [{ audience: API, scopes: ['deploy:read'] }, { audience: BILLING, scopes: ['bills:read'] }];
const insecure = { [oauth.allowInsecureRequests]: true };

let lab: Lab;
beforeAll(async () => { lab = await startLab(); });
afterAll(async () => { await lab.close(); });

const revoke = (values: Readonly<Record<string, string>> | readonly (readonly [string, string])[]): Promise<Answer> => lab.mayfly.form('dev/revoke', values);
const statusOf = async (token: string): Promise<unknown> => (await lab.mayfly.admin('GET', `leases/${String(claimsOf(token)['jti'])}`)).body['status'];
const admin = (kind: string, id: string, more: object = { domain: 'dev' }): Promise<Answer> => lab.mayfly.admin('POST', 'revocations', { kind, id, reason: 'lost laptop', ...more });

describe('whoever holds a token', () => {
  test('revokes it with a standard client, and it is dead at once', async () => {
    const server = await oauth.processDiscoveryResponse(new URL(lab.issuer), await oauth.discoveryRequest(new URL(lab.issuer), { algorithm: 'oauth2', ...insecure }));
    const [token, other] = [await lab.token(), await lab.token()];
    const client: oauth.Client = { client_id: DEPLOYER };
    await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, oauth.None(), token, insecure));
    expect([await statusOf(token), await statusOf(other)]).toEqual(['revoked', 'active']);
    // RFC 7009 section 2.2: again, and for what was never a token, is no error.
    for (const text of [token, 'never a token']) await oauth.processRevocationResponse(await oauth.revocationRequest(server, client, oauth.None(), text, insecure));
  });

  test('needs no client id, and no hint or any', async () => {
    for (const more of [{}, { token_type_hint: 'access_token' }, { token_type_hint: 'refresh_token' }, { token_type_hint: 'nonsense' }]) {
      const token = await lab.token();
      const answer = await revoke({ token, ...more });
      expect([answer.status, answer.body, await statusOf(token)]).toEqual([200, {}, 'revoked']);
    }
  });

  test('of a session token ends all that was bought with it, and nothing of another session', async () => {
    const run = { run_id: '6001' };
    const session = await lab.session(BOTH, { evidence: lab.job(run) });
    const bought = [issued(await lab.spend(session, { scope: 'deploy:read' })), issued(await lab.spend(session, { audience: BILLING, scope: 'bills:read' }))];
    const beside = issued(await lab.exchange({ subject_token: lab.job(run) }));
    const other = await lab.session(BOTH);
    expect((await revoke({ token: session, client_id: DEPLOYER })).status).toBe(200);
    expect(await Promise.all([session, ...bought, beside, other].map(statusOf))).toEqual(['revoked', 'revoked', 'revoked', 'active', 'active']);
    await lab.refused({ code: 'revoked', error: 'invalid_request' }, () => lab.spend(session, { scope: 'deploy:read' }));
    // A new session token of this run with that ceiling would be the same hop, which is final.
    await lab.refused({ code: 'revoked', error: 'invalid_request' }, () => lab.mayfly.exchange({ subject_token: lab.job(run), authorization_details: JSON.stringify(BOTH.map((pair) => ({ type: 'urn:mayfly:ceiling', ...pair }))) }));
    expect((await lab.spend(other, { scope: 'deploy:read' })).status).toBe(200);
  });

  test('under another client\'s name is refused, and the token lives', async () => {
    const token = await lab.token();
    for (const client_id of [SERVICE, 'nobody', `${DEPLOYER}/`]) {
      const answer = await revoke({ token, client_id });
      expect([answer.status, answer.body['error'], await lab.mayfly.reason(answer)]).toEqual([400, 'invalid_client', 'token_other_client']);
      expect(await statusOf(token)).toBe('active');
    }
    expect((await revoke({ token, client_id: DEPLOYER })).status).toBe(200);
    expect(await statusOf(token)).toBe('revoked');
  });

  test.each([
    { name: 'a changed signature', forge: (token: string) => `${token.slice(0, -6)}AAAAAA` },
    { name: 'other claims', forge: (token: string) => token.replace(/\.[^.]+\./, `.${Buffer.from(JSON.stringify({ ...claimsOf(token), sub: SERVICE })).toString('base64url')}.`) },
    { name: 'its id in the form of AWS keys', forge: (token: string) => JSON.stringify({ Version: 1, LeaseId: claimsOf(token)['jti'] }) },
    { name: 'its id alone', forge: (token: string) => String(claimsOf(token)['jti']) },
    { name: 'a blank before it', forge: (token: string) => ` ${token}` },
  ])('cannot be imitated with $name', async ({ forge }) => {
    const token = await lab.token();
    expect((await revoke({ token: forge(token) })).status).toBe(200);
    expect(await statusOf(token)).toBe('active');
  });

  test.each([
    { name: 'no token', values: [['client_id', DEPLOYER]] as const, code: 'parameter_missing' },
    { name: 'an empty token', values: [['token', '']] as const, code: 'parameter_missing' },
    { name: 'two tokens', values: [['token', 'a'], ['token', 'b']] as const, code: 'parameter_repeated' },
    { name: 'two client ids', values: [['token', 'a'], ['client_id', 'b'], ['client_id', 'c']] as const, code: 'parameter_repeated' },
  ])('sends a right form: $name is refused', async ({ values, code }) => {
    const answer = await revoke(values);
    expect([answer.status, answer.body['error'], await lab.mayfly.reason(answer)]).toEqual([400, 'invalid_request', code]);
  });

  test('cannot put the token into the query', async () => {
    const token = await lab.token();
    const answer = await lab.mayfly.form(`dev/revoke?token=${token}`, { token });
    expect(await lab.mayfly.reason(answer)).toBe('credential_in_query');
    expect(await statusOf(token)).toBe('active');
  });
});

describe('an admin', () => {
  test('sees what fell, once', async () => {
    const session = await lab.session(BOTH, { evidence: lab.job({ run_id: '6100' }) });
    await lab.spend(session, { scope: 'deploy:read' });
    const first = await admin('session', String(claimsOf(session)['sid']), {});
    expect(first.body).toMatchObject({ revoked: `session:${String(claimsOf(session)['sid'])}`, leases: 2, ends_by_itself: [] });
    expect((await admin('session', String(claimsOf(session)['sid']), {})).body['leases']).toBe(0);
    const { body } = await lab.mayfly.admin('GET', `sessions/${String(claimsOf(session)['sid'])}`);
    expect(body).toMatchObject({ status: 'revoked', revoked_by: `session:${String(claimsOf(session)['sid'])}` });
  });

  test('revokes a session for good: later evidence of the run, even after a restart, opens nothing', async () => {
    const run = { run_id: '6200' };
    const token = issued(await lab.exchange({ subject_token: lab.job(run) }));
    await admin('session', String(claimsOf(token)['sid']), {});
    const evidence = lab.job(run);
    await lab.refused({ code: 'revoked', error: 'invalid_request' }, () => lab.exchange({ subject_token: evidence }));
    await lab.mayfly.restart();
    await lab.refused({ code: 'revoked', error: 'invalid_request' }, () => lab.exchange({ subject_token: evidence }));
    expect((await lab.exchange({ subject_token: lab.job({ run_id: '6200', run_attempt: '2' }) })).status).toBe(200);
    expect((await lab.mayfly.admin('POST', 'enable', { kind: 'session', id: claimsOf(token)['sid'] })).status).toBe(400);
  });

  test.each([
    { kind: 'lease', id: 'lse_01a2019b3b9b5e2c1d8300f2a7ffa2ae' }, { kind: 'lease', id: 'nonsense' }, { kind: 'session', id: 'nonsense' },
    { kind: 'workload', id: 'ci/nobody' }, { kind: 'issuer', id: 'nobody' }, { kind: 'domain', id: 'nowhere' },
  ])('is told that there is no $kind $id', async ({ kind, id }) => {
    const answer = await admin(kind, id);
    expect([answer.status, answer.body['code']]).toEqual([404, 'not_found']);
  });

  test('cannot lift what only ends: a lease, a session', async () => {
    for (const kind of ['lease', 'session']) expect((await lab.mayfly.admin('POST', 'enable', { kind, id: 'dev', domain: 'dev' })).status).toBe(400);
  });

  test('revokes again what was enabled, and the second time counts like the first', async () => {
    const token = await lab.token();
    await admin('workload', 'ci/deployer');
    await lab.mayfly.admin('POST', 'enable', { kind: 'workload', id: 'ci/deployer', domain: 'dev' });
    const between = await lab.token();
    await admin('workload', 'ci/deployer');
    await lab.refused({ code: 'revoked', error: 'invalid_request' }, () => lab.exchange({ subject_token: lab.job() }));
    await lab.mayfly.admin('POST', 'enable', { kind: 'workload', id: 'ci/deployer', domain: 'dev' });
    expect(await Promise.all([token, between, await lab.token()].map(statusOf))).toEqual(['revoked', 'revoked', 'active']);
  });

  test('is named in the audit log with target and reason', async () => {
    const token = await lab.token();
    await admin('lease', String(claimsOf(token)['jti']), {});
    await lab.mayfly.form('dev/revoke', { token: await lab.token() });
    const { body } = await lab.mayfly.admin('GET', 'audit');
    const entries = String(body['text']).trim().split('\n').map((line) => JSON.parse(line) as { readonly action: string; readonly body: string });
    const made = entries.filter(({ action }) => action === 'revocation.made').map((entry) => entry.body);
    expect(made.some((entry) => entry.includes(`lease:${String(claimsOf(token)['jti'])}`) && entry.includes('lost laptop') && entry.includes('local'))).toBe(true);
    expect(made.some((entry) => entry.includes(DEPLOYER) && entry.includes('RFC 7009'))).toBe(true);
    expect((await lab.mayfly.admin('POST', 'audit/verify', {})).body).toMatchObject({ ok: true });
  });

  test('of the whole domain ends everything in it; when it is enabled what is new begins, and what was stays ended', async () => {
    const doomed = await startLab();
    const status = async (token: string): Promise<unknown> => (await doomed.mayfly.admin('GET', `leases/${String(claimsOf(token)['jti'])}`)).body['status'];
    const caller = async (): Promise<string> => issued(await doomed.exchange({ subject_token: doomed.service(), audience: `${doomed.issuer}/introspect` }));
    const introspect = (token: string, as: string): Promise<Answer> => doomed.mayfly.form('dev/introspect', { token }, { authorization: `Bearer ${as}` });
    const everythingEnded = async (): Promise<void> => {
      expect(await Promise.all([token, session, bought].map(status))).toEqual(['revoked', 'revoked', 'revoked']);
      await doomed.refused({ code: 'revoked', error: 'invalid_request' }, () => doomed.spend(session, { scope: 'deploy:read' }));
      await doomed.refused({ code: 'revoked', error: 'invalid_request' }, () => doomed.exchange({ subject_token: doomed.job(run) }));
      expect([(await introspect(token, service)).status, await doomed.mayfly.reason(await introspect(token, service))]).toEqual([401, 'revoked']);
    };
    const run = { run_id: '6300' };
    const session = await doomed.session([{ audience: API, scopes: ['deploy:read'] }], { evidence: doomed.job(run) });
    const [token, bought, service] = [await doomed.token(), issued(await doomed.spend(session, { scope: 'deploy:read' })), await caller()];
    expect((await introspect(token, service)).body['active']).toBe(true);
    try {
      expect((await doomed.mayfly.admin('POST', 'revocations', { kind: 'domain', id: 'dev', reason: 'compromised' })).body).toMatchObject({ leases: 4 });
      await everythingEnded();
      await doomed.refused({ code: 'revoked', error: 'invalid_request' }, () => doomed.exchange({ subject_token: doomed.job() }));
      const enabled = await doomed.mayfly.admin('POST', 'enable', { kind: 'domain', id: 'dev' });
      expect([enabled.status, enabled.body['enabled']]).toEqual([200, expect.stringMatching(/^domain:dom_/)]);
      await everythingEnded();
      const [fresh, again] = [await doomed.token(), await caller()];
      expect((await introspect(fresh, again)).body['active']).toBe(true);
      for (const old of [token, bought]) expect((await introspect(old, again)).body).toEqual({ active: false });
      await doomed.mayfly.restart();
      await everythingEnded();
      expect((await introspect(await doomed.token(), await caller())).body['active']).toBe(true);
    } finally {
      await doomed.close();
    }
  });

  test('of a signing key ends what it signed and takes it out of the key set', async () => {
    const doomed = await startLab();
    try {
      const [token, session] = [await doomed.token(), await doomed.session([{ audience: API, scopes: [] }])];
      const kid = String((JSON.parse(Buffer.from(String(token.split('.')[0]), 'base64url').toString()) as { readonly kid: string }).kid);
      expect((await doomed.mayfly.admin('POST', `keys/${kid}/revoke`, { reason: 'leaked' })).status).toBe(200);
      const { keys } = await (await fetch(`${doomed.issuer}/jwks.json`)).json() as { readonly keys: readonly { readonly kid: string }[] };
      expect(keys.map((key) => key.kid)).not.toContain(kid);
      expect((await doomed.mayfly.admin('GET', `leases/${String(claimsOf(token)['jti'])}`)).body['status']).toBe('revoked');
      await doomed.refused({ code: 'revoked', error: 'invalid_request' }, () => doomed.spend(session));
      const fresh = await doomed.token();
      expect((await doomed.mayfly.admin('GET', `leases/${String(claimsOf(fresh)['jti'])}`)).body['status']).toBe('active');
    } finally {
      await doomed.close();
    }
  });
});

test('an expired token is revoked without an error and without a trace', async () => {
  const later = await startTimedLab();
  try {
    const token = await later.token();
    await later.pass(5 * MINUTE);
    expect((await later.mayfly.form('dev/revoke', { token, client_id: DEPLOYER })).status).toBe(200);
    expect((await later.mayfly.admin('GET', `leases/${String(claimsOf(token)['jti'])}`)).body['status']).toBe('ended');
  } finally {
    await later.close();
  }
});
