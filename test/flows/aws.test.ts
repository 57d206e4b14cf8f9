import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeProtectedHeader } from 'jose';
import { request } from 'undici';
import { createStrictSts } from '../../demo/strict-sts.ts';
import type { StrictSts, StsSession } from '../../demo/strict-sts.ts';
import { MINUTE, SECOND } from '../../src/core/duration.ts';
import { freePort } from '../../demo/free-port.ts';
import { ACCESS_TOKEN_TYPE, GRANT } from '../support/mayfly.ts';
import type { Answer } from '../support/mayfly.ts';
import { ROLE_ARN, trustPolicy } from '../support/strict-sts.ts';
import { FAR, OWNER, startWorld } from '../support/world.ts';
import { API, ceilingOf, claimsOf, DEPLOYER, issued, startLab, until } from './lab.ts';
import type { Lab } from './lab.ts';

const ACCOUNT = 'arn:aws:iam::123456789012:role';
const role = (name: string): string => `${ACCOUNT}/${name}`;
/** Roles of the account; `closed` is registered here and does not trust us, `unpermitted` the other way round. */
const [NARROWED, CLOSED, UNPERMITTED, HANGING, BRIEF_ROLE] = [role('narrowed'), role('closed'), role('unpermitted'), role('hanging'), role('brief')];
const BRIEF = 'spiffe://dev.127.0.0.1/ci/brief';
const AWS_TYPE = 'urn:mayfly:token-type:aws-credentials';
const READ_RELEASES = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: 's3:GetObject', Resource: 'arn:aws:s3:::releases/*' }] };
const OBJECT = 'arn:aws:s3:::releases/v1';

interface Keys { readonly Version: number; readonly LeaseId: string; readonly AccessKeyId: string; readonly SecretAccessKey: string; readonly SessionToken: string; readonly Expiration: string }
/** Whole seconds, as AWS writes times. */
const iso = (at: number): string => new Date(at).toISOString().replace('.000Z', 'Z');
const keysOf = (answer: Answer): Keys => JSON.parse(issued(answer)) as Keys;

const time = { now: Date.UTC(2026, 10, 22, 12) };
let lab: Lab;
let sts: StrictSts;
let adminUrl = '';
const silence = createServer(() => undefined);

beforeAll(async () => {
  const clock = { now: () => time.now };
  adminUrl = `127.0.0.1:${await freePort()}`;
  lab = await startLab({ clock, overrides: { admin: { listen: adminUrl } } });
  await new Promise<void>((resolve) => { silence.listen(0, '127.0.0.1', resolve); });
  const open = [ROLE_ARN, NARROWED, UNPERMITTED, HANGING];
  // AWS reads our discovery document and our keys over HTTP, as it would from anywhere.
  sts = await createStrictSts({ issuerUrl: lab.issuer, clock, roles: [...open.map((arn) => ({ arn, trust: trustPolicy(lab.issuer, DEPLOYER) })), { arn: CLOSED, trust: trustPolicy(lab.issuer, `${DEPLOYER}-of-another`) }, { arn: BRIEF_ROLE, trust: trustPolicy(lab.issuer, BRIEF) }] });
  const resource = (audience: string, more: object = {}): object => ({ domain: 'dev', audience, provider: 'aws-sts', endpoint: sts.url, owner: OWNER, expires: FAR, ...more });
  await lab.mayfly.apply({
    resources: [
      resource(ROLE_ARN), resource(NARROWED, { session_policy: READ_RELEASES }), resource(CLOSED), resource(UNPERMITTED), resource(BRIEF_ROLE),
      resource(HANGING, { endpoint: `http://127.0.0.1:${(silence.address() as AddressInfo).port}` }),
    ],
    policies: [ROLE_ARN, NARROWED, CLOSED, HANGING].map((arn, index) => ({
      domain: 'dev', name: `deployer-aws-${index}`, owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource == Resource::"${arn}");`,
    })),
  });
});
afterAll(async () => {
  silence.closeAllConnections();
  silence.close();
  await sts.close();
  await lab.close();
});

const ask = (audience: string, evidence = lab.job(), more: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  lab.exchange({ subject_token: evidence, audience, requested_token_type: AWS_TYPE, ...more });
const sessionOf = ({ AccessKeyId }: Keys): StsSession => {
  const found = sts.sessions.find(({ accessKeyId }) => accessKeyId === AccessKeyId);
  if (found === undefined) throw new Error('AWS does not know these keys');
  return found;
};
const lastJwt = (): string => String(sts.calls.at(-1)?.get('WebIdentityToken'));
/** A token with which the deploy API introspects. */
const reader = async (): Promise<string> => issued(await lab.exchange({ subject_token: lab.service(), audience: `${lab.issuer}/introspect` }));
const leaseOf = async (id: string): Promise<Record<string, unknown>> => (await lab.mayfly.admin('GET', `leases/${id}`)).body;
const pass = async (milliseconds: number): Promise<void> => {
  time.now += milliseconds;
  await until(async () => (await fetch(`${lab.mayfly.url}/readyz`)).status === 200);
};

interface AuditEvent { readonly action: string; readonly body: Record<string, unknown> }
const audit = async (): Promise<readonly AuditEvent[]> => {
  const { body } = await lab.mayfly.admin('GET', 'audit');
  const lines = String(body['text']).trim().split('\n').map((line) => JSON.parse(line) as { readonly body: string });
  return lines.map(({ body: text }) => JSON.parse(text) as AuditEvent);
};
const auditedRevocation = async (target: string): Promise<Record<string, unknown> | undefined> =>
  (await audit()).findLast(({ action, body }) => action === 'revocation.made' && body['target'] === target)?.body;

describe('a CI job of a foreign platform', () => {
  test('gets AWS keys without any AWS secret, its token checked by nobody but real parties', async () => {
    const world = await startWorld();
    const aws = await createStrictSts({ issuerUrl: `${world.mayfly.url}/dev`, clock: { now: () => Date.now() }, roles: [{ arn: ROLE_ARN, trust: trustPolicy(`${world.mayfly.url}/dev`, DEPLOYER) }] });
    try {
      await world.mayfly.apply({
        resources: [{ domain: 'dev', audience: ROLE_ARN, provider: 'aws-sts', endpoint: aws.url, owner: OWNER, expires: FAR }],
        policies: [{ domain: 'dev', name: 'deployer-aws', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource == Resource::"${ROLE_ARN}");` }],
      });
      const answer = await world.mayfly.exchange({ subject_token: await world.evidence(), audience: ROLE_ARN, requested_token_type: AWS_TYPE });
      expect(answer.body).toMatchObject({ token_type: 'N_A', issued_token_type: AWS_TYPE });
      const { AccessKeyId } = keysOf(answer);
      expect(aws.permits(AccessKeyId, 's3:PutObject', OBJECT)).toBe(true);
    } finally {
      await aws.close();
      await world.close();
    }
  });
});

describe('keys of a role', () => {
  test('come in the form of credential_process, for as long as Mayfly decided', async () => {
    const answer = await ask(ROLE_ARN);
    expect(answer).toMatchObject({ status: 200, body: { token_type: 'N_A', issued_token_type: AWS_TYPE, expires_in: 1195 } });
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.body).not.toHaveProperty('scope');
    const keys = keysOf(answer);
    expect(keys).toMatchObject({ Version: 1, AccessKeyId: expect.stringMatching(/^ASIA/), Expiration: iso(time.now + 1195 * SECOND) });
    expect(sts.permits(keys.AccessKeyId, 's3:PutObject', OBJECT)).toBe(true);
  });

  test('carry who holds them: subject, session tags, source identity and a session name that names the lease', async () => {
    const keys = keysOf(await ask(ROLE_ARN, lab.job({ run_id: '4242' })));
    const { identity, sessionName, role: assumed } = sessionOf(keys);
    expect(assumed.arn).toBe(ROLE_ARN);
    expect(identity).toMatchObject({ subject: DEPLOYER, audience: 'sts.amazonaws.com', sourceIdentity: 'ci=deployer', transitive: [] });
    expect(identity.tags).toMatchObject({ domain: 'dev', workload: 'ci/deployer', lease_id: keys.LeaseId, repository_id: '815', ref: 'refs/heads/main', run_id: '4242' });
    expect(sessionName).toBe(`ci=deployer@${keys.LeaseId}`);
  });

  test('are registered: kind, owner, whose authority, resource, end, the key that vouched', async () => {
    const keys = keysOf(await ask(ROLE_ARN));
    expect(await leaseOf(keys.LeaseId)).toMatchObject({
      id: keys.LeaseId, kind: 'aws-credentials', status: 'active', workload: 'ci/deployer', spiffe_id: DEPLOYER, issuer: 'github', owner: OWNER, principal: OWNER, audience: ROLE_ARN, scope: '',
      expires_at: new Date(Date.parse(keys.Expiration)).toISOString(), key: decodeProtectedHeader(lastJwt()).kid,
    });
  });

  test('leave no trace of themselves in the registry and the audit log', async () => {
    const keys = keysOf(await ask(ROLE_ARN));
    const kept = JSON.stringify([await leaseOf(keys.LeaseId), await audit()]);
    for (const secret of [keys.SecretAccessKey, keys.SessionToken, keys.AccessKeyId, lastJwt()]) expect(kept).not.toContain(secret);
  });

  test('do no more than the resource\'s session policy lets them', async () => {
    const keys = keysOf(await ask(NARROWED));
    expect(sts.permits(keys.AccessKeyId, 's3:GetObject', OBJECT)).toBe(true);
    expect(sts.permits(keys.AccessKeyId, 's3:PutObject', OBJECT)).toBe(false);
    const wide = keysOf(await ask(ROLE_ARN));
    expect(sts.permits(wide.AccessKeyId, 's3:PutObject', OBJECT)).toBe(true);
  });

  test('come from the AWS type by default: the resource has no other', async () => {
    const answer = await lab.exchange({ subject_token: lab.job(), audience: ROLE_ARN });
    expect(answer.body['issued_token_type']).toBe(AWS_TYPE);
    await lab.refused({ code: 'token_type_unsupported', error: 'invalid_request' }, () => ask(ROLE_ARN, lab.job(), { requested_token_type: ACCESS_TOKEN_TYPE }));
  });

  test('can be had for a session token whose ceiling holds the role, and not beyond it', async () => {
    const session = await lab.session([{ audience: ROLE_ARN, scopes: [] }]);
    const keys = keysOf(await lab.spend(session, { audience: ROLE_ARN }));
    expect(sts.permits(keys.AccessKeyId, 's3:GetObject', OBJECT)).toBe(true);
    await lab.refused({ code: 'ceiling_exceeded', error: 'invalid_target' }, () => lab.spend(session, { audience: NARROWED }));
  });
});

describe('a session that ends before AWS can end one', () => {
  test('gets keys that AWS itself cuts off at its end', async () => {
    const end = time.now + 10 * MINUTE;
    await lab.mayfly.apply({
      workloads: [{ domain: 'dev', name: 'ci/brief', kind: 'pipeline', authority: 'bounded', owner: OWNER, expires: iso(end), match: { issuer: 'github', repository_id: '903' } }],
      policies: [{ domain: 'dev', name: 'brief-aws', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${BRIEF}", action == Action::"issue", resource == Resource::"${BRIEF_ROLE}");` }],
    });
    const job = (): string => lab.job({ repository_id: '903', repository: 'acme/brief', sub: 'repo:acme/brief:ref:refs/heads/main' });
    const answer = await ask(BRIEF_ROLE, job());
    const keys = keysOf(answer);
    expect(answer.body['expires_in']).toBe(600);
    const { durationSeconds, policy } = sessionOf(keys);
    expect({ durationSeconds, expiration: keys.Expiration }).toEqual({ durationSeconds: 900, expiration: iso(end) });
    expect(policy?.Statement[0]).toMatchObject({ Effect: 'Allow', Condition: { DateLessThan: { 'aws:CurrentTime': iso(end) } } });
    expect(sts.permits(keys.AccessKeyId, 's3:PutObject', OBJECT)).toBe(true);
    const long = keysOf(await ask(ROLE_ARN));
    await pass(10 * MINUTE);
    expect(sts.permits(keys.AccessKeyId, 's3:PutObject', OBJECT)).toBe(false);
    expect(sts.permits(long.AccessKeyId, 's3:PutObject', OBJECT)).toBe(true);
    expect(sessionOf(long).policy).toBeUndefined();
    await lab.refused({ code: 'workload_expired', error: 'invalid_request' }, () => ask(BRIEF_ROLE, job()));
  });
});

describe('who gets no keys', () => {
  test.each([
    { name: 'for a role no policy gives it', audience: UNPERMITTED, more: {}, code: 'target_denied', error: 'invalid_target' },
    { name: 'for a role that is not registered', audience: role('nowhere'), more: {}, code: 'target_unknown', error: 'invalid_target' },
    // Twin: the same request without a scope, above.
    { name: 'with a scope, since a role has none', audience: ROLE_ARN, more: { scope: 's3:GetObject' }, code: 'scope_unknown', error: 'invalid_scope' },
  ])('a job that asks $name', async ({ audience, more, code, error }) => {
    const calls = sts.calls.length;
    await lab.refused({ code, error }, () => ask(audience, lab.job(), more));
    expect(sts.calls.length).toBe(calls);
  });

  test('a resource with scopes cannot be registered for a role', async () => {
    const answer = await lab.mayfly.admin('POST', 'apply', { manifest: { resources: [{ domain: 'dev', audience: role('scoped'), provider: 'aws-sts', scopes: ['s3:GetObject'], owner: OWNER, expires: FAR }] } });
    expect(answer).toMatchObject({ status: 422, body: { code: 'manifest_invalid', problems: [{ path: 'resources[0]' }] } });
  });
});

describe('when AWS says no', () => {
  const retryAfter = (answer: Answer): string | undefined => answer.headers['retry-after'] as string | undefined;
  test.each([
    { name: 'that the trust policy does not admit the workload', audience: CLOSED, code: 'provider_denied', error: 'invalid_target', status: 400 },
    { name: 'AccessDenied', fail: ['AccessDenied', 403], code: 'provider_denied', error: 'invalid_target', status: 400 },
    { name: 'IDPRejectedClaim', fail: ['IDPRejectedClaim', 403], code: 'provider_denied', error: 'invalid_target', status: 400 },
    { name: 'InvalidIdentityToken', fail: ['InvalidIdentityToken', 400], code: 'provider_misconfigured', error: 'server_error', status: 500 },
    { name: 'ValidationError', fail: ['ValidationError', 400], code: 'provider_misconfigured', error: 'server_error', status: 500 },
    { name: 'PackedPolicyTooLarge', fail: ['PackedPolicyTooLarge', 400], code: 'provider_bad_request', error: 'invalid_target', status: 400 },
    { name: 'IDPCommunicationError', fail: ['IDPCommunicationError', 400], code: 'provider_unavailable', error: 'temporarily_unavailable', status: 503, retry: '10' },
    { name: 'that it throttles, with a time', fail: ['Throttling', 400], headers: { 'retry-after': '17' }, code: 'provider_throttled', error: 'temporarily_unavailable', status: 429, retry: '17' },
    { name: 'that it throttles, without one', fail: ['Throttling', 400], code: 'provider_throttled', error: 'temporarily_unavailable', status: 429, retry: '5' },
    { name: 'something that is no answer of AWS', answer: [500, '<html>boom</html>'], code: 'provider_unavailable', error: 'temporarily_unavailable', status: 503, retry: '10' },
    { name: 'yes, without keys', answer: [200, '<AssumeRoleWithWebIdentityResponse/>'], code: 'provider_unavailable', error: 'temporarily_unavailable', status: 503, retry: '10' },
    { name: 'nothing at all', audience: HANGING, code: 'provider_unavailable', error: 'temporarily_unavailable', status: 503, retry: '10' },
  ] as const)('answers $code to $name, and takes the same evidence again', async (row) => {
    const evidence = lab.job();
    if ('fail' in row) sts.failNext(row.fail[0], row.fail[1], 'headers' in row ? row.headers : {});
    if ('answer' in row) sts.answerNext(row.answer[0], row.answer[1]);
    const answer = await lab.refused(row, () => ask('audience' in row ? row.audience : ROLE_ARN, evidence));
    expect(retryAfter(answer)).toBe('retry' in row ? row.retry : undefined);
    issued(await ask(ROLE_ARN, evidence));
    await lab.refused({ code: 'evidence_replayed', error: 'invalid_request' }, () => ask(ROLE_ARN, evidence));
  });

  test('tells admins what AWS said, and nothing of what was sent', async () => {
    sts.failNext('AccessDenied', 403);
    const answer = await ask(ROLE_ARN);
    const explained = JSON.stringify((await lab.mayfly.admin('GET', `decisions/${String(answer.body['decision_id'])}`)).body);
    expect(explained).toContain('AccessDenied');
    expect(explained).not.toContain(lastJwt().split('.')[2]);
  });
});

describe('the JWT we show to AWS', () => {
  let jwt = '';
  let lease = '';
  beforeAll(async () => {
    lease = keysOf(await ask(ROLE_ARN)).LeaseId;
    jwt = lastJwt();
  });

  test('lives a minute and names its lease, with a key of its own', async () => {
    const claims = claimsOf(jwt);
    expect(claims).toMatchObject({ iss: lab.issuer, sub: DEPLOYER, aud: 'sts.amazonaws.com', jti: lease });
    expect(Number(claims['exp']) - Number(claims['iat'])).toBe(60);
    expect(decodeProtectedHeader(jwt).typ).toBe('JWT');
    expect(decodeProtectedHeader(jwt).kid).not.toBe(decodeProtectedHeader(await lab.token()).kid);
  });

  test('is no evidence', async () => {
    await lab.refused({ code: 'evidence_issuer_unknown', error: 'invalid_request' }, () => lab.exchange({ subject_token: jwt }));
    // Twin: evidence of the platform.
    issued(await lab.exchange({ subject_token: lab.job() }));
  });

  test('is no session token', async () => {
    const spend = (subject: string): Promise<Answer> => lab.mayfly.form('dev/token', { grant_type: GRANT, subject_token: subject, subject_token_type: ACCESS_TOKEN_TYPE, audience: API, scope: 'deploy:read' });
    await lab.refused({ code: 'token_typ_wrong', error: 'invalid_request' }, () => spend(jwt));
    issued(await spend(await lab.session([{ audience: API, scopes: ['deploy:read'] }])));
  });

  test('lets nobody introspect, and introspection knows nothing of it', async () => {
    const introspect = (token: string, bearer: string): Promise<Answer> => lab.mayfly.form('dev/introspect', { token }, { authorization: `Bearer ${bearer}` });
    const token = await lab.token();
    expect((await introspect(token, jwt)).status).toBe(401);
    expect((await introspect(token, await reader())).body).toMatchObject({ active: true });
    expect((await introspect(jwt, await reader())).body).toEqual({ active: false });
  });

  test('revokes nothing', async () => {
    expect((await lab.mayfly.form('dev/revoke', { token: jwt })).status).toBe(200);
    expect(await leaseOf(lease)).toMatchObject({ status: 'active' });
  });

  test('is no admin', async () => {
    const answer = await request(`http://${adminUrl}/admin/v1/leases`, { headers: { authorization: `Bearer ${jwt}` } });
    expect(answer.statusCode).toBe(401);
    await answer.body.dump();
  });
});

describe('taking keys back', () => {
  test('by their holder: nothing more is issued on them, and the audit log says until when AWS honours them', async () => {
    const answer = await ask(ROLE_ARN);
    const keys = keysOf(answer);
    expect((await lab.mayfly.form('dev/revoke', { token: issued(answer) })).status).toBe(200);
    expect(await leaseOf(keys.LeaseId)).toMatchObject({ status: 'revoked', revoked_by: `lease:${keys.LeaseId}` });
    expect(await auditedRevocation(`lease:${keys.LeaseId}`)).toMatchObject({ by: DEPLOYER, lease: keys.LeaseId, honoured: [{ lease: keys.LeaseId, audience: ROLE_ARN, until: Date.parse(keys.Expiration) }] });
  });

  test('needs the keys themselves, not the name of their lease', async () => {
    const keys = keysOf(await ask(ROLE_ARN));
    expect((await lab.mayfly.form('dev/revoke', { token: JSON.stringify({ ...keys, SecretAccessKey: 'guessed' }) })).status).toBe(200);
    expect(await leaseOf(keys.LeaseId)).toMatchObject({ status: 'active' });
    expect((await lab.mayfly.form('dev/revoke', { token: JSON.stringify(keys) })).status).toBe(200);
    expect(await leaseOf(keys.LeaseId)).toMatchObject({ status: 'revoked' });
  });

  test('by an admin: the answer says what AWS still honours and until when', async () => {
    const keys = keysOf(await ask(ROLE_ARN));
    const answer = await lab.mayfly.admin('POST', 'revocations', { kind: 'lease', id: keys.LeaseId, reason: 'laptop lost' });
    const honoured = { lease: keys.LeaseId, audience: ROLE_ARN };
    expect(answer.body).toMatchObject({ leases: 1, ends_by_itself: [{ ...honoured, until: new Date(Date.parse(keys.Expiration)).toISOString(), note: expect.stringContaining('AWS honours these keys until') }] });
    expect(await auditedRevocation(`lease:${keys.LeaseId}`)).toMatchObject({ by: 'local', reason: 'laptop lost', honoured: [{ ...honoured, until: Date.parse(keys.Expiration) }] });
  });

  test('with the session token they came from, by its holder', async () => {
    const session = await lab.session([{ audience: ROLE_ARN, scopes: [] }, { audience: API, scopes: ['deploy:read'] }]);
    const keys = keysOf(await lab.spend(session, { audience: ROLE_ARN }));
    const token = issued(await lab.spend(session, { scope: 'deploy:read' }));
    expect((await lab.mayfly.form('dev/revoke', { token: session })).status).toBe(200);
    const { hop } = await leaseOf(keys.LeaseId) as { hop: string };
    expect(await leaseOf(keys.LeaseId)).toMatchObject({ status: 'revoked', revoked_by: `hop:${hop}` });
    expect(await leaseOf(String(claimsOf(token)['jti']))).toMatchObject({ status: 'revoked' });
    // The access token is over everywhere that asks; only the keys live on.
    expect((await auditedRevocation(`hop:${hop}`))?.['honoured']).toEqual([{ lease: keys.LeaseId, audience: ROLE_ARN, until: Date.parse(keys.Expiration) }]);
  });

  test('of an access token records nothing that lives on', async () => {
    const token = await lab.token();
    const lease = String(claimsOf(token)['jti']);
    expect((await lab.mayfly.form('dev/revoke', { token })).status).toBe(200);
    const told = await auditedRevocation(`lease:${lease}`);
    expect(told).toMatchObject({ lease });
    expect(told).not.toHaveProperty('honoured');
  });
});

test('a ceiling names a role by its ARN and no scope', async () => {
  const answer = await lab.mayfly.form('dev/token', { grant_type: GRANT, subject_token: lab.job(), subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', authorization_details: ceilingOf([{ audience: ROLE_ARN, scopes: ['s3:GetObject'] }]) });
  expect(answer.body['error']).toBe('invalid_scope');
});
