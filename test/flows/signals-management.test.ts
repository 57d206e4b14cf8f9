import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { read } from '../support/mayfly.ts';
import type { Answer, Headers } from '../support/mayfly.ts';
import { spiffe } from './agents-lab.ts';
import { issued, PLAIN_TEXT } from './lab.ts';
import { createProver, hashOf } from './prover.ts';
import { startSignalsLab } from './signals-lab.ts';
import type { SignalsLab } from './signals-lab.ts';

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/';
const SUPPORTED = ['session-revoked', 'credential-change', 'risk-level-change'].map((name) => CAEP + name);
const PUSH = 'urn:ietf:rfc:8935';
const POLL = 'urn:ietf:rfc:8936';
const ENDPOINT = 'https://rx.acme.example/events';

let lab: SignalsLab;
let manage: string;
let readOnly: string;
let other: string;
beforeAll(async () => {
  lab = await startSignalsLab();
  [manage, readOnly, other] = await Promise.all([lab.token(), lab.token('svc/api', 'ssf.read'), lab.token('ci/runner')]);
});
afterAll(async () => { await lab.close(); });

const as = (token: string): Headers => ({ authorization: `Bearer ${token}` });
const call = (method: string, path: string, body?: unknown, token: string = manage): Promise<Answer> => lab.ssf(method, path, body, as(token));
const create = async (body: object = {}, token?: string): Promise<Record<string, unknown>> => {
  const answer = await call('POST', 'streams', body, token);
  expect(answer.status).toBe(201);
  return answer.body;
};
const drop = (id: unknown, token?: string): Promise<Answer> => call('DELETE', `streams?stream_id=${String(id)}`, undefined, token);
const refused = async (answer: Answer, code: string, status: number): Promise<void> => {
  expect([await lab.mayfly.reason(answer), answer.status]).toEqual([code, status]);
  expect(answer.headers['cache-control']).toBe('no-store');
  expect(String(answer.body['error_description'])).toMatch(PLAIN_TEXT);
};

describe('the transmitter', () => {
  test('tells what it is and where, at the place SSF 1.0 section 7.2 gives', async () => {
    const answer = await fetch(`${lab.mayfly.url}/.well-known/ssf-configuration/dev`);
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    expect(await answer.json()).toEqual({
      spec_version: '1_0', issuer: lab.issuer, jwks_uri: `${lab.issuer}/jwks.json`, delivery_methods_supported: [PUSH, POLL], configuration_endpoint: `${lab.issuer}/ssf/streams`, status_endpoint: `${lab.issuer}/ssf/status`,
      add_subject_endpoint: `${lab.issuer}/ssf/subjects/add`, remove_subject_endpoint: `${lab.issuer}/ssf/subjects/remove`, verification_endpoint: `${lab.issuer}/ssf/verify`,
      critical_subject_members: ['session', 'application'], authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:6749' }], default_subjects: 'ALL',
    });
    expect((await fetch(`${lab.mayfly.url}/.well-known/ssf-configuration/nowhere`)).status).toBe(404);
    expect((await fetch(`${lab.mayfly.url}/.well-known/ssf-configuration/system`)).status).toBe(404);
  });
});

describe('a stream', () => {
  test('is made with what the receiver wants, read, changed in part, replaced, and deleted', async () => {
    const made = await create({ events_requested: [SUPPORTED[0], `${CAEP}device-compliance-change`], delivery: { method: PUSH, endpoint_url: ENDPOINT, authorization_header: 'Bearer s3cret-of-the-receiver' }, description: 'SIEM' });
    const id = made['stream_id'];
    const shown = {
      stream_id: expect.stringMatching(/^str_[0-9a-f]{32}$/), iss: lab.issuer, aud: spiffe('svc/api'), events_supported: SUPPORTED, events_requested: [SUPPORTED[0], `${CAEP}device-compliance-change`], events_delivered: [SUPPORTED[0]],
      delivery: { method: PUSH, endpoint_url: ENDPOINT }, min_verification_interval: 30, description: 'SIEM',
    };
    expect(made).toEqual(shown);
    expect((await call('GET', `streams?stream_id=${String(id)}`)).body).toEqual(shown);
    expect((await call('GET', 'streams')).body).toContainEqual(shown);

    const patched = await call('PATCH', 'streams', { stream_id: id, events_requested: [SUPPORTED[2]] });
    expect([patched.status, patched.body]).toEqual([200, { ...shown, events_requested: [SUPPORTED[2]], events_delivered: [SUPPORTED[2]] }]);
    const replaced = await call('PUT', 'streams', { stream_id: id, iss: lab.issuer, aud: spiffe('svc/api'), events_supported: SUPPORTED, delivery: { method: POLL } });
    expect([replaced.status, replaced.body]).toEqual([200, { stream_id: id, iss: lab.issuer, aud: spiffe('svc/api'), events_supported: SUPPORTED, events_delivered: SUPPORTED, delivery: { method: POLL, endpoint_url: `${lab.issuer}/ssf/poll/${String(id)}` }, min_verification_interval: 30 }]);
    const gone = await drop(id);
    expect([gone.status, gone.body]).toEqual([204, {}]);
    await refused(await call('GET', `streams?stream_id=${String(id)}`), 'not_found', 404);
  });

  test('polls unless it says otherwise, and takes as its own what it read', async () => {
    const made = await create();
    expect(made['delivery']).toEqual({ method: POLL, endpoint_url: `${lab.issuer}/ssf/poll/${String(made['stream_id'])}` });
    expect((await call('PUT', 'streams', made)).status).toBe(200);
    await drop(made['stream_id']);
  });

  test('is its workload\'s: to another it does not exist, whatever it asks', async () => {
    const { stream_id: id } = await create();
    const subject = { format: 'opaque', id: 'x' };
    for (const [method, path, body] of [
      ['GET', `streams?stream_id=${String(id)}`], ['PATCH', 'streams', { stream_id: id }], ['PUT', 'streams', { stream_id: id }], ['DELETE', `streams?stream_id=${String(id)}`], ['GET', `status?stream_id=${String(id)}`],
      ['POST', 'status', { stream_id: id, status: 'disabled' }], ['POST', 'subjects/add', { stream_id: id, subject }], ['POST', 'subjects/remove', { stream_id: id, subject }], ['POST', 'verify', { stream_id: id }], ['POST', `poll/${String(id)}`, { returnImmediately: true }],
    ] as const) await refused(await call(method, path, body, other), 'not_found', 404);
    expect((await call('GET', 'streams', undefined, other)).body).toEqual([]);
    expect((await call('GET', `status?stream_id=${String(id)}`)).body).toEqual({ stream_id: id, status: 'enabled' });
    await drop(id);
  });

  test('is one of ten a workload may have', async () => {
    const made: unknown[] = [];
    for (let each = 0; each < 10; each += 1) made.push((await create({}, other))['stream_id']);
    await refused(await call('POST', 'streams', {}, other), 'stream_limit', 409);
    expect((await create())['stream_id']).toBeDefined();
    await drop(made[0], other);
    made.push((await create({}, other))['stream_id']);
    for (const id of made.slice(1)) await drop(id, other);
  });

  test('has a status that is read and changed, with a reason', async () => {
    const { stream_id: id } = await create();
    expect(await call('POST', 'status', { stream_id: id, status: 'paused', reason: 'maintenance' })).toMatchObject({ status: 200, body: { stream_id: id, status: 'paused', reason: 'maintenance' } });
    expect((await call('GET', `status?stream_id=${String(id)}`, undefined, readOnly)).body).toEqual({ stream_id: id, status: 'paused', reason: 'maintenance' });
    expect((await call('POST', 'status', { stream_id: id, status: 'enabled' })).body).toEqual({ stream_id: id, status: 'enabled' });
    await refused(await call('POST', 'status', { stream_id: id, status: 'gone' }), 'stream_malformed', 400);
    await refused(await call('POST', 'status', { stream_id: id, status: 'deleted' }), 'stream_malformed', 400);
    await refused(await call('POST', 'status', { stream_id: id, status: 'paused', reason: 7 }), 'stream_malformed', 400);
    await drop(id);
  });

  test('takes subjects in the forms of RFC 9493 and SSF, whether or not anybody is known by them', async () => {
    const { stream_id: id } = await create();
    for (const subject of [{ format: 'email', email: 'nobody@acme.example' }, { format: 'iss_sub', iss: lab.issuer, sub: spiffe('ci/runner') }, { format: 'complex', user: { format: 'iss_sub', iss: lab.issuer, sub: 'x' } }]) {
      expect((await call('POST', 'subjects/add', { stream_id: id, subject, verified: false })).status).toBe(200);
      expect((await call('POST', 'subjects/remove', { stream_id: id, subject })).status).toBe(204);
    }
    await refused(await call('POST', 'subjects/add', { stream_id: id, subject: { format: 'iss_sub', iss: lab.issuer } }), 'subject_malformed', 400);
    await refused(await call('POST', 'subjects/remove', { stream_id: id, subject: { format: 'shoe_size', size: '44' } }), 'subject_malformed', 400);
    await refused(await call('POST', 'subjects/add', { stream_id: id, subject: { format: 'opaque', id: 'x' }, verified: 'yes' }), 'subject_malformed', 400);
    await drop(id);
  });
});

describe('a configuration is refused', () => {
  test.each([
    { name: 'with an endpoint that is no URL', body: { delivery: { method: PUSH, endpoint_url: 'rx' } }, code: 'stream_endpoint_refused' },
    { name: 'with plain http to somewhere else', body: { delivery: { method: PUSH, endpoint_url: 'http://rx.acme.example/' } }, code: 'stream_endpoint_refused' },
    { name: 'with a metadata service', body: { delivery: { method: PUSH, endpoint_url: 'https://169.254.169.254/' } }, code: 'stream_endpoint_refused' },
    { name: 'with a private address', body: { delivery: { method: PUSH, endpoint_url: 'https://10.1.2.3/' } }, code: 'stream_endpoint_refused' },
    { name: 'with https to this host', body: { delivery: { method: PUSH, endpoint_url: 'https://[::1]/' } }, code: 'stream_endpoint_refused' },
    { name: 'with a password in the URL', body: { delivery: { method: PUSH, endpoint_url: 'https://a:b@rx.acme.example/' } }, code: 'stream_endpoint_refused' },
    { name: 'with push to nowhere', body: { delivery: { method: PUSH } }, code: 'stream_malformed' },
    { name: 'with a method nobody knows', body: { delivery: { method: 'urn:ietf:rfc:1' } }, code: 'stream_malformed' },
    { name: 'with an authorization that would add headers', body: { delivery: { method: PUSH, endpoint_url: ENDPOINT, authorization_header: 'Bearer x\r\nhost: y' } }, code: 'stream_malformed' },
    { name: 'with an authorization to be polled with', body: { delivery: { method: POLL, authorization_header: 'Bearer x' } }, code: 'stream_malformed' },
    { name: 'with events that are no list', body: { events_requested: 'all' }, code: 'stream_malformed' },
    { name: 'with very many events', body: { events_requested: Array.from({ length: 65 }, (_, n) => `https://e.example/${n}`) }, code: 'stream_malformed' },
    { name: 'that is no object', body: [], code: 'stream_malformed' },
  ])('$name', async ({ body, code }) => { await refused(await call('POST', 'streams', body), code, 400); });

  test.each(['iss', 'aud', 'events_supported', 'events_delivered', 'min_verification_interval'])('that says otherwise of %s, which is the transmitter\'s', async (name) => {
    const { stream_id: id } = await create();
    for (const method of ['PATCH', 'PUT']) await refused(await call(method, 'streams', { stream_id: id, [name]: ['https://else.example'] }), 'stream_malformed', 400);
    expect((await call('PATCH', 'streams', { stream_id: id, description: 'the twin' })).status).toBe(200);
    await drop(id);
  });

  test('that is no JSON, or comes under another name', async () => {
    const send = async (body: string, type: string): Promise<Answer> => read(await request(`${lab.issuer}/ssf/streams`, { method: 'POST', headers: { ...as(manage), 'content-type': type }, body }));
    expect((await send('{', 'application/json')).status).toBe(400);
    await refused(await send('{}', 'text/plain'), 'stream_malformed', 400);
    const twin = await send('{}', 'application/json');
    expect(twin.status).toBe(201);
    await drop(twin.body['stream_id']);
  });

  test('in a place there is none', async () => {
    for (const id of ['', 'str_0', `str_${'0'.repeat(32)}`, '../x']) await refused(await call('PATCH', 'streams', { stream_id: id }), 'not_found', 404);
    await refused(await call('PATCH', 'streams', {}), 'not_found', 404);
    await refused(await call('GET', 'status'), 'not_found', 404);
  });
});

describe('who may', () => {
  test.each([
    { name: 'a token for an API', token: async () => issued(await lab.ask({ subject_token: lab.agent('ci/runner') })), code: 'token_audience_wrong' },
    { name: 'a token for introspection', token: async () => issued(await lab.ask({ subject_token: lab.agent('svc/api'), audience: `${lab.issuer}/introspect` })), code: 'token_audience_wrong' },
    { name: 'a session token', token: () => lab.session(), code: 'token_audience_wrong' },
    { name: 'a platform\'s token', token: () => lab.agent('svc/api'), code: 'token_typ_wrong' },
  ])('not $name', async ({ token, code }) => {
    const answer = await call('GET', 'streams', undefined, await token());
    expect(answer.status).toBe(401);
    expect(String(answer.headers['www-authenticate'])).toContain('invalid_token');
    expect(await lab.mayfly.reason(answer)).toBe(code);
  });

  test('not one without a token, who is told how', async () => {
    const answer = await read(await request(`${lab.issuer}/ssf/streams`));
    expect([answer.status, answer.headers['www-authenticate']]).toEqual([401, expect.arrayContaining(['Bearer realm="mayfly"'])]);
  });

  test('reads only with ssf.read, and manages with ssf.manage, which reads as well', async () => {
    const { stream_id: id } = await create();
    const onlyManage = await lab.token('svc/api', 'ssf.manage');
    for (const token of [readOnly, onlyManage, manage]) {
      expect((await call('GET', 'streams', undefined, token)).status).toBe(200);
      expect((await call('GET', `status?stream_id=${String(id)}`, undefined, token)).status).toBe(200);
      expect((await call('POST', `poll/${String(id)}`, { returnImmediately: true }, token)).status).toBe(200);
    }
    for (const [method, path, body] of [
      ['POST', 'streams', {}], ['PATCH', 'streams', { stream_id: id }], ['PUT', 'streams', { stream_id: id }], ['DELETE', `streams?stream_id=${String(id)}`], ['POST', 'status', { stream_id: id, status: 'paused' }],
      ['POST', 'subjects/add', { stream_id: id, subject: { format: 'opaque', id: 'x' } }], ['POST', 'subjects/remove', { stream_id: id, subject: { format: 'opaque', id: 'x' } }], ['POST', 'verify', { stream_id: id }],
    ] as const) {
      const answer = await call(method, path, body, readOnly);
      await refused(answer, 'token_scope_missing', 403);
      expect(answer.body['error']).toBe('insufficient_scope');
    }
    expect((await drop(id, onlyManage)).status).toBe(204);
  });

  test('not with a token that has no scope, though a policy permits the endpoint', async () => {
    const bare = issued(await lab.ask({ subject_token: lab.agent('svc/api'), audience: `${lab.issuer}/ssf` }));
    await refused(await call('GET', 'streams', undefined, bare), 'token_scope_missing', 403);
  });

  test('not with a token that was revoked', async () => {
    const token = await lab.token();
    expect((await call('GET', 'streams', undefined, token)).status).toBe(200);
    expect((await lab.mayfly.form('dev/revoke', { token })).status).toBe(200);
    expect((await call('GET', 'streams', undefined, token)).status).toBe(401);
  });

  test('gets no token for it where no policy says so, and cannot register the audience for something else', async () => {
    await refused(await lab.plan({ audience: `${lab.issuer}/ssf`, scope: 'ssf.read' }), 'target_denied', 400);
    const answer = await lab.mayfly.admin('POST', 'apply', { manifest: { resources: [{ domain: 'dev', audience: `${lab.issuer}/ssf`, scopes: ['ssf.manage'], owner: 'local', expires: '2030-01-01' }] }, dry_run: false, prune: false });
    expect(JSON.stringify(answer.body)).toContain('is reserved for trust domain dev itself');
  });

  test('with a bound token only together with a proof by its key for this very endpoint', async () => {
    const prover = await createProver();
    const htu = `${lab.issuer}/token`;
    const nonceOf = ({ headers }: Answer): string => String(headers['dpop-nonce']);
    const asking = { subject_token: lab.agent('svc/api'), audience: `${lab.issuer}/ssf`, scope: 'ssf.manage' };
    const first = await lab.ask({ ...asking, subject_token: lab.agent('svc/api') }, { dpop: prover.prove({ htu }) });
    const token = issued(await lab.ask(asking, { dpop: prover.prove({ htu, nonce: nonceOf(first) }) }));
    expect((await call('GET', 'streams', undefined, token)).status).toBe(401);
    const at = `${lab.issuer}/ssf/streams`;
    const show = (claims: Readonly<Record<string, unknown>>): Promise<Answer> => lab.ssf('GET', 'streams', undefined, { authorization: `DPoP ${token}`, dpop: prover.prove({ htm: 'GET', htu: at, ath: hashOf(token), ...claims }) });
    const nonce = nonceOf(await show({}));
    expect((await show({ nonce, htu: `${lab.issuer}/ssf/status` })).status).toBe(401);
    expect((await show({ nonce })).status).toBe(200);
  });
});

test('whatever happens to a stream is in the audit log, and the receiver\'s secret is nowhere', async () => {
  const secret = 'Bearer only-the-receiver-knows';
  const { stream_id: id } = await create({ delivery: { method: PUSH, endpoint_url: ENDPOINT, authorization_header: secret } });
  await call('POST', 'status', { stream_id: id, status: 'paused' });
  await drop(id);
  const audit = JSON.stringify((await lab.mayfly.admin('GET', 'audit')).body);
  for (const action of ['stream.created', 'stream.status', 'stream.deleted']) expect(audit).toContain(action);
  expect(audit).not.toContain('only-the-receiver-knows');
});
