import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as oauth from 'oauth4webapi';
import { MINUTE } from '../../src/core/duration.ts';
import { listen } from '../support/listen.ts';
import type { Listening } from '../support/listen.ts';
import type { Answer, Headers } from '../support/mayfly.ts';
import { malleate } from '../support/foreign-issuer.ts';
import { FAR, OWNER } from '../support/world.ts';
import { alterDatabase } from './database.ts';
import { API, BILLING, BILLING_CLAIMS, DEPLOYER, SERVICE, SPIFFE, claimsOf, issued, startLab, startTimedLab } from './lab.ts';
import type { Lab } from './lab.ts';
import { createProver, hashOf } from './prover.ts';
import type { Prover } from './prover.ts';

const ROLE = 'arn:aws:iam::123456789012:role/deploy';
const insecure = { [oauth.allowInsecureRequests]: true };

let lab: Lab;
let sts: Listening & { readonly bodies: string[] };
let prover: Prover;
beforeAll(async () => {
  lab = await startLab();
  sts = await startSts();
  prover = await createProver();
  await lab.mayfly.apply({
    resources: [{ domain: 'dev', audience: ROLE, provider: 'aws-sts', endpoint: `http://127.0.0.1:${sts.port}`, owner: OWNER, expires: FAR }],
    policies: [{ domain: 'dev', name: 'deployer-aws', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource == Resource::"${ROLE}");` }],
  });
});
afterAll(async () => {
  await lab.close();
  await sts.close();
});

/** An STS that takes every call and keeps what it was sent. */
const startSts = async (): Promise<Listening & { readonly bodies: string[] }> => {
  const bodies: string[] = [];
  const listening = await listen((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      bodies.push(Buffer.concat(chunks).toString());
      response.setHeader('content-type', 'text/xml');
      response.end(`<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken><Expiration>${new Date(Date.now() + 900_000).toISOString()}</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`);
    });
  });
  return Object.assign(listening, { bodies });
};

const endpointOf = (at: Lab): string => `${at.issuer}/introspect`;
/** What the deploy API authenticates with here. */
const callerToken = async (at: Lab = lab, headers?: Headers): Promise<string> => issued(await at.exchange({ subject_token: at.service(), audience: endpointOf(at) }, headers));
const introspect = (token: string, caller: string, at: Lab = lab): Promise<Answer> => at.mayfly.form('dev/introspect', { token }, { authorization: `Bearer ${caller}` });
const revoke = (kind: string, id: string): Promise<Answer> => lab.mayfly.admin('POST', 'revocations', { kind, id, domain: 'dev', reason: 'a test' });

describe('a resource server', () => {
  test('asks with a standard client, its own token as credential', async () => {
    const server = await oauth.processDiscoveryResponse(new URL(lab.issuer), await oauth.discoveryRequest(new URL(lab.issuer), { algorithm: 'oauth2', ...insecure }));
    const client: oauth.Client = { client_id: SERVICE };
    const evidence = lab.service();
    const own = await oauth.processGenericTokenEndpointResponse(server, client, await oauth.genericTokenEndpointRequest(server, client, oauth.None(), 'urn:ietf:params:oauth:grant-type:token-exchange',
      { subject_token: evidence, subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', audience: String(server.introspection_endpoint) }, insecure));
    const byToken: oauth.ClientAuth = (_server, _client, _body, headers) => { headers.set('authorization', `Bearer ${own.access_token}`); };
    const ask = async (token: string): Promise<oauth.IntrospectionResponse> => oauth.processIntrospectionResponse(server, client, await oauth.introspectionRequest(server, client, byToken, token, insecure));

    const token = await lab.token({ scope: 'deploy:read deploy:write' });
    const { authority, sid, ...shown } = await ask(token);
    expect(shown).toEqual({
      active: true, token_type: 'Bearer', iss: lab.issuer, sub: DEPLOYER, client_id: DEPLOYER, aud: API, scope: 'deploy:read deploy:write',
      exp: claimsOf(token)['exp'], iat: claimsOf(token)['iat'], jti: claimsOf(token)['jti'], status: claimsOf(token)['status'],
    });
    expect({ authority, sid }).toEqual({ authority: { model: 'bounded', principal: OWNER, depth: 0 }, sid: claimsOf(token)['sid'] });
    expect(await ask('not a token')).toEqual({ active: false });
  });

  test('learns the key a token is bound to', async () => {
    const token = issued(await lab.exchange({ subject_token: lab.job() }, await proofHeader()));
    expect((await introspect(token, await callerToken())).body).toMatchObject({ active: true, token_type: 'DPoP', cnf: { jkt: prover.jkt } });
  });

  test('may name the kind of token, rightly or wrongly', async () => {
    const token = await lab.token();
    for (const token_type_hint of ['access_token', 'refresh_token', 'nonsense']) {
      const answer = await lab.mayfly.form('dev/introspect', { token, token_type_hint }, { authorization: `Bearer ${await callerToken()}` });
      expect(answer.body['active']).toBe(true);
    }
  });

  const proofHeader = async (): Promise<Headers> => {
    const htu = `${lab.issuer}/token`;
    const { headers } = await lab.mayfly.exchange({ subject_token: 'x', audience: API }, { dpop: prover.prove({ htu }) });
    return { dpop: prover.prove({ htu, nonce: String(headers['dpop-nonce']) }) };
  };
});

describe('inactive, and nothing else', () => {
  const ROWS: readonly { readonly name: string; readonly token: () => Promise<string> | string }[] = [
    { name: 'a token of an API somebody else serves', token: () => lab.token({ audience: BILLING, scope: 'bills:read' }) },
    { name: 'a session token, even for who serves its target', token: () => lab.session([{ audience: API, scopes: ['deploy:read'] }]) },
    { name: 'the caller\'s own token for this endpoint', token: () => callerToken() },
    { name: 'a platform\'s token', token: () => lab.job() },
    { name: 'a forged signature', token: async () => `${(await lab.token()).slice(0, -6)}AAAAAA` },
    { name: 'a token whose other signature (r, n - s) holds as well', token: async () => malleate(await lab.token()) },
    { name: 'a token of which no lease is known, as after a restored copy', token: async () => {
      const token = await lab.token();
      alterDatabase(lab, `DELETE FROM lease WHERE id = '${String(claimsOf(token)['jti'])}'`);
      return token;
    } },
    { name: 'a token with a byte more', token: async () => `${await lab.token()}A` },
    { name: 'a token with a blank', token: async () => ` ${await lab.token()}` },
    { name: 'our JWT for AWS', token: () => awsToken() },
    { name: 'AWS keys', token: async () => issued(await lab.exchange({ subject_token: lab.job(), audience: ROLE })) },
    { name: 'a checkpoint-like text', token: () => 'eyJ0eXAiOiJKV1QifQ.e30.AA' },
    { name: 'rubbish', token: () => '\u0000\ud83d\ude00' },
    { name: '60 KiB of rubbish', token: () => 'x'.repeat(60 * 1024) },
    { name: 'a revoked token', token: async () => {
      const token = await lab.token();
      await revoke('lease', String(claimsOf(token)['jti']));
      return token;
    } },
    { name: 'a token of a revoked session', token: async () => {
      const token = await lab.token();
      await revoke('session', String(claimsOf(token)['sid']));
      return token;
    } },
    { name: 'a token bought with a revoked session token', token: async () => {
      const session = await lab.session([{ audience: API, scopes: ['deploy:read'] }]);
      const token = issued(await lab.spend(session, { scope: 'deploy:read' }));
      await revoke('lease', String(claimsOf(session)['jti']));
      return token;
    } },
  ];
  test.each(ROWS)('is $name', async ({ token }) => {
    const caller = await callerToken();
    const answer = await introspect(await token(), caller);
    expect({ status: answer.status, body: answer.body, cache: answer.headers['cache-control'] }).toEqual({ status: 200, body: { active: false }, cache: 'no-store' });
    expect((await introspect(await lab.token(), caller)).body['active']).toBe(true);
  });

  const awsToken = async (): Promise<string> => {
    issued(await lab.exchange({ subject_token: lab.job(), audience: ROLE }));
    return String(new URLSearchParams(sts.bodies.at(-1)).get('WebIdentityToken'));
  };

  test('our JWT for AWS buys nothing here either', async () => {
    const token = await awsToken();
    expect(claimsOf(token)).toMatchObject({ iss: lab.issuer, sub: DEPLOYER });
    await lab.refused({ code: 'evidence_issuer_unknown', error: 'invalid_request' }, () => lab.exchange({ subject_token: token }));
    await lab.refused({ code: 'token_typ_wrong', error: 'invalid_request' }, () => lab.spend(token));
    expect(await lab.mayfly.reason(await introspect(await lab.token(), token))).toBe('token_typ_wrong');
  });

  test('is a token after five minutes, and what it was bought with after the revocation of its workload or issuer', async () => {
    const later = await startTimedLab();
    try {
      const token = await later.token();
      await later.pass(5 * MINUTE - 1000);
      expect((await introspect(token, await callerToken(later), later)).body['active']).toBe(true);
      await later.pass(1000);
      expect((await introspect(token, await callerToken(later), later)).body).toEqual({ active: false });

      const fresh = await later.token();
      await later.mayfly.admin('POST', 'revocations', { kind: 'workload', id: 'ci/deployer', domain: 'dev', reason: 'a test' });
      expect((await introspect(fresh, await callerToken(later), later)).body).toEqual({ active: false });
      await later.mayfly.admin('POST', 'enable', { kind: 'workload', id: 'ci/deployer', domain: 'dev' });
      expect((await introspect(fresh, await callerToken(later), later)).body).toEqual({ active: false });
      expect((await introspect(await later.token(), await callerToken(later), later)).body['active']).toBe(true);
    } finally {
      await later.close();
    }
  });

  test('is a token of a resource whose registration has run out, until it is renewed', async () => {
    const later = await startTimedLab();
    try {
      const audience = 'https://brief.acme.example';
      const resource = { domain: 'dev', audience, served_by: ['svc/deploy'], owner: OWNER, expires: '2026-11-22T12:02:00Z' };
      await later.mayfly.apply({ resources: [resource], policies: [{ domain: 'dev', name: 'deployer-brief', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource == Resource::"${audience}");` }] });
      const token = await later.token({ audience });
      await later.pass(2 * MINUTE - 1000);
      expect((await introspect(token, await callerToken(later), later)).body['active']).toBe(true);
      await later.pass(1000);
      expect((await introspect(token, await callerToken(later), later)).body).toEqual({ active: false });
      await later.refused({ code: 'target_expired', error: 'invalid_target' }, () => later.exchange({ subject_token: later.job(), audience }));
      await later.mayfly.apply({ resources: [{ ...resource, expires: FAR }] });
      expect((await introspect(token, await callerToken(later), later)).body['active']).toBe(true);
    } finally {
      await later.close();
    }
  });

  test('is a token of a resource no longer registered, or no longer served by the caller', async () => {
    const audience = 'https://brief.acme.example';
    const resource = { domain: 'dev', audience, served_by: ['svc/deploy'], owner: OWNER, expires: FAR };
    await lab.mayfly.apply({ resources: [resource], policies: [{ domain: 'dev', name: 'deployer-brief', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource == Resource::"${audience}");` }] });
    const token = await lab.token({ audience });
    const caller = await callerToken();
    expect((await introspect(token, caller)).body['active']).toBe(true);
    await lab.mayfly.apply({ resources: [{ ...resource, served_by: ['svc/billing'] }] });
    expect((await introspect(token, caller)).body).toEqual({ active: false });
    await lab.mayfly.apply({ resources: [resource] });
    expect((await introspect(token, caller)).body['active']).toBe(true);
    await lab.mayfly.admin('DELETE', `resources/dev/${encodeURIComponent(audience)}?reason=test`);
    expect((await introspect(token, caller)).body).toEqual({ active: false });
    // Registered anew it is another resource, and revives nothing.
    await lab.mayfly.apply({ resources: [resource] });
    expect((await introspect(token, caller)).body).toEqual({ active: false });
    expect((await introspect(await lab.token({ audience }), caller)).body['active']).toBe(true);
  });
});

describe('who asks', () => {
  const BARE = ['Bearer realm="mayfly"', 'DPoP algs="ES256 ES384 PS256 RS256 Ed25519 EdDSA"'];
  const challengeOf = (answer: Answer): readonly string[] => [answer.headers['www-authenticate'] ?? []].flat();

  test('without any credential gets a challenge that names no error', async () => {
    const answer = await lab.mayfly.form('dev/introspect', { token: await lab.token() });
    expect({ status: answer.status, challenge: challengeOf(answer).join(', ') }).toEqual({ status: 401, challenge: BARE.join(', ') });
    expect(await lab.mayfly.reason(answer)).toBe('token_missing');
  });

  const CREDENTIALS: readonly { readonly name: string; readonly code: string; readonly authorization: () => Promise<string | string[]> | string }[] = [
    { name: 'a password', code: 'token_malformed', authorization: () => `Basic ${Buffer.from('a:b').toString('base64')}` },
    { name: 'a scheme alone', code: 'token_malformed', authorization: () => 'Bearer' },
    { name: 'two credentials', code: 'token_malformed', authorization: async () => [`Bearer ${await callerToken()}`, 'Bearer x'] },
    { name: 'rubbish', code: 'token_malformed', authorization: () => 'Bearer x' },
    { name: 'a token for its API', code: 'token_audience_wrong', authorization: async () => `Bearer ${issued(await lab.exchange({ subject_token: lab.service(), audience: API }))}` },
    { name: 'a session token', code: 'token_audience_wrong', authorization: async () => `Bearer ${await lab.session([{ audience: API, scopes: [] }], { evidence: lab.service() })}` },
    { name: 'its evidence', code: 'token_typ_wrong', authorization: () => `Bearer ${lab.service({ aud: endpointOf(lab) })}` },
    { name: 'an unbound token as if it were bound', code: 'token_scheme_wrong', authorization: async () => `DPoP ${await callerToken()}` },
    { name: 'a token whose other signature (r, n - s) holds as well', code: 'token_unknown', authorization: async () => `Bearer ${malleate(await callerToken())}` },
    { name: 'a revoked token', code: 'revoked', authorization: async () => {
      const token = await callerToken();
      await revoke('lease', String(claimsOf(token)['jti']));
      return `Bearer ${token}`;
    } },
  ];
  test.each(CREDENTIALS)('with $name is nobody', async ({ code, authorization }) => {
    const token = await lab.token();
    const answer = await lab.mayfly.form('dev/introspect', { token }, { authorization: await authorization() });
    expect({ status: answer.status, error: answer.body['error'] }).toEqual({ status: 401, error: 'invalid_token' });
    expect(challengeOf(answer).join(', ')).toMatch(/^Bearer realm="mayfly", error="invalid_token"/);
    expect(await lab.mayfly.reason(answer)).toBe(code);
    expect((await introspect(token, await callerToken())).body['active']).toBe(true);
  });

  test('of a workload that may not ask gets no token to ask with', async () => {
    await lab.refused({ code: 'target_denied', error: 'invalid_target' }, () => lab.exchange({ subject_token: lab.job(), audience: endpointOf(lab) }));
  });

  test('sees only what it serves', async () => {
    const billing = issued(await lab.exchange({ subject_token: lab.service(BILLING_CLAIMS), audience: endpointOf(lab) }));
    expect(claimsOf(billing)['sub']).toBe(`${SPIFFE}/svc/billing`);
    expect((await introspect(await lab.token(), billing)).body).toEqual({ active: false });
    expect((await introspect(await lab.token({ audience: BILLING, scope: 'bills:read' }), billing)).body['active']).toBe(true);
  });

  test('is asked again after its workload was revoked', async () => {
    const caller = await callerToken();
    await revoke('workload', 'svc/deploy');
    expect(await lab.mayfly.reason(await introspect(await lab.token(), caller))).toBe('revoked');
    await lab.mayfly.admin('POST', 'enable', { kind: 'workload', id: 'svc/deploy', domain: 'dev' });
    expect(await lab.mayfly.reason(await introspect(await lab.token(), caller))).toBe('revoked');
    expect((await introspect(await lab.token(), await callerToken())).body['active']).toBe(true);
  });

  test('with a bound token proves its key, by a standard client, for this token and once', async () => {
    const token = await lab.token();
    const tokenUrl = `${lab.issuer}/token`;
    const refused = await lab.mayfly.exchange({ subject_token: 'x', audience: API }, { dpop: prover.prove({ htu: tokenUrl }) });
    const asNonce = String(refused.headers['dpop-nonce']);
    const caller = await callerToken(lab, { dpop: prover.prove({ htu: tokenUrl, nonce: asNonce }) });
    const ask = (dpop: string | undefined, scheme = 'DPoP', credential = caller): Promise<Answer> =>
      lab.mayfly.form('dev/introspect', { token }, { authorization: `${scheme} ${credential}`, ...(dpop === undefined ? {} : { dpop }) });
    const htu = endpointOf(lab);
    const ath = hashOf(caller);
    const first = await ask(prover.prove({ htu, ath }));
    expect([first.status, first.body['error']]).toEqual([401, 'use_dpop_nonce']);
    expect(challengeOf(first).join(', ')).toContain('DPoP algs="ES256 ES384 PS256 RS256 Ed25519 EdDSA", error="use_dpop_nonce"');
    const nonce = String(first.headers['dpop-nonce']);
    const thief = await createProver();
    const rows: readonly (readonly [string, Promise<Answer>])[] = [
      ['dpop_required', ask(undefined)],
      ['token_scheme_wrong', ask(undefined, 'Bearer')],
      ['token_scheme_wrong', ask(prover.prove({ htu, ath, nonce }), 'Bearer')],
      ['dpop_nonce_stale', ask(prover.prove({ htu, ath, nonce: asNonce }))],
      ['dpop_ath_mismatch', ask(prover.prove({ htu, nonce }))],
      ['dpop_ath_mismatch', ask(prover.prove({ htu, nonce, ath: hashOf(token) }))],
      ['token_binding_mismatch', ask(thief.prove({ htu, nonce, ath }))],
      ['dpop_htu_mismatch', ask(prover.prove({ htu: tokenUrl, nonce, ath }))],
      ['dpop_htm_mismatch', ask(prover.prove({ htu, nonce, ath, htm: 'GET' }))],
    ];
    for (const [code, answer] of rows) expect([code, (await answer).status]).toEqual([await lab.mayfly.reason(await answer), 401]);
    const proof = prover.prove({ htu, nonce, ath });
    expect((await ask(proof)).body['active']).toBe(true);
    expect(await lab.mayfly.reason(await ask(proof))).toBe('dpop_replayed');

    const keys = await oauth.generateKeyPair('ES256');
    const handle = oauth.DPoP({}, keys);
    const server: oauth.AuthorizationServer = { issuer: lab.issuer, token_endpoint: tokenUrl };
    const own = async (): Promise<oauth.TokenEndpointResponse> => oauth.processGenericTokenEndpointResponse(server, { client_id: SERVICE }, await oauth.genericTokenEndpointRequest(server, { client_id: SERVICE }, oauth.None(),
      'urn:ietf:params:oauth:grant-type:token-exchange', { subject_token: lab.service(), subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', audience: htu }, { DPoP: handle, ...insecure }));
    await expect(own()).rejects.toMatchObject({ error: 'use_dpop_nonce' });
    const { access_token } = await own();
    const call = (): Promise<Response> => oauth.protectedResourceRequest(access_token, 'POST', new URL(htu), new Headers(), new URLSearchParams({ token }), { DPoP: handle, ...insecure });
    await expect(call()).rejects.toMatchObject({ cause: expect.arrayContaining([expect.objectContaining({ scheme: 'dpop', parameters: expect.objectContaining({ error: 'use_dpop_nonce' }) })]) });
    expect(await (await call()).json()).toMatchObject({ active: true });
  });
});

describe('the request', () => {
  const send = async (values: readonly (readonly [string, string])[], path = 'dev/introspect'): Promise<Answer> => lab.mayfly.form(path, values, { authorization: `Bearer ${await callerToken()}` });
  test.each([
    { name: 'no token', values: [] as const, code: 'parameter_missing' },
    { name: 'an empty token', values: [['token', '']] as const, code: 'parameter_missing' },
    { name: 'two tokens', values: [['token', 'a'], ['token', 'b']] as const, code: 'parameter_repeated' },
  ])('is refused with $name', async ({ values, code }) => {
    const answer = await send(values);
    expect([answer.status, answer.body['error'], await lab.mayfly.reason(answer)]).toEqual([400, 'invalid_request', code]);
  });

  test('is refused with the token in the query', async () => {
    const answer = await send([['token', 'x']], 'dev/introspect?token=x');
    expect(await lab.mayfly.reason(answer)).toBe('credential_in_query');
  });

  test('is no GET', async () => {
    const response = await fetch(`${endpointOf(lab)}?token=x`, { headers: { authorization: `Bearer ${await callerToken()}` } });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
  });
});
