import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { runCli } from '../cli/harness.ts';
import type { Outcome } from '../cli/harness.ts';
import { calculateJwkThumbprint } from 'jose';
import { createSigningKey, hmacTexts, startForeignIssuer } from '../support/foreign-issuer.ts';
import type { Claims, ForeignIssuer } from '../support/foreign-issuer.ts';
import { freePort } from '../../demo/free-port.ts';
import { read, startMayfly } from '../support/mayfly.ts';
import type { Answer, Headers, Mayfly } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { bare, createProver, hashOf } from './prover.ts';
import type { Prover } from './prover.ts';

/** A server whose admins come from one login provider, and an admin who holds a key. */
interface Office {
  readonly mayfly: Mayfly;
  readonly port: number;
  readonly staff: ForeignIssuer;
  /** A login of Ada's that is bound to her key. */
  login(claims?: Claims): string;
  call(method: 'GET' | 'HEAD' | 'POST', path: string, headers: Headers, body?: string): Promise<Answer>;
  close(): Promise<void>;
}

const prover: Prover = await createProver();
const FIRST = 'permit(principal, action in Action::"admin", resource);';

const openOffice = async (admin: (port: number) => object): Promise<Office> => {
  const staff = await startForeignIssuer();
  const port = await freePort();
  const mayfly = await startMayfly({ overrides: { admin: admin(port) } });
  await mayfly.apply({
    issuers: [{ domain: 'system', name: 'staff', kind: 'oidc', proves: 'admins', issuer: staff.issuer, jwks: staff.jwks(), owner: OWNER, expires: FAR }],
    policies: [{ domain: 'system', name: 'staff-administers', cedar: FIRST, owner: OWNER, expires: FAR, accept: [{ rule: 'permit-open', reason: 'a test', until: FAR }] }],
  });
  return {
    mayfly, port, staff,
    login: (claims = {}) => staff.mint({ sub: 'ada', aud: `${mayfly.url}/system/admin`, cnf: { jkt: prover.jkt }, ...claims }),
    call: async (method, path, headers, body) => read(await request(`http://127.0.0.1:${port}/admin/v1/${path}`, {
      method, headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body }),
    })),
    async close() {
      await mayfly.close();
      await staff.close();
    },
  };
};

let office: Office;
let nonce: string;
let base: string;
beforeAll(async () => {
  office = await openOffice((port) => ({ listen: `127.0.0.1:${port}` }));
  base = `http://127.0.0.1:${office.port}/admin/v1`;
  const token = office.login();
  const answer = await office.call('GET', 'domains', { authorization: `DPoP ${token}`, dpop: prover.prove({ htm: 'GET', htu: `${base}/domains`, ath: hashOf(token) }) });
  nonce = String(answer.headers['dpop-nonce']);
});
afterAll(async () => { await office.close(); });

const proofFor = (token: string, claims: Claims = {}, header: Claims = {}): string => prover.prove({ htm: 'GET', htu: `${base}/domains`, ath: hashOf(token), nonce, ...claims }, header);
const show = (token: string, dpop: string | readonly string[] | undefined, scheme = 'DPoP', more: Headers = {}): Promise<Answer> =>
  office.call('GET', 'domains', { authorization: `${scheme} ${token}`, ...(dpop === undefined ? {} : { dpop: typeof dpop === 'string' ? dpop : [...dpop] }), ...more });

/** Holds an answer to a "no" that says what is wrong with the proof and nothing else, and that an admin can ask about. */
const refused = async (answer: Answer, code: string, error: string): Promise<void> => {
  expect([answer.status, answer.body['code'], answer.headers['cache-control']]).toEqual([401, code, 'no-store']);
  expect(await office.mayfly.reason(answer)).toBe(code);
  expect(answer.headers['content-type']).toContain('application/problem+json');
  const challenges = [answer.headers['www-authenticate']].flat().join(', ');
  expect(challenges).toMatch(/^Bearer realm="mayfly-admin".*, DPoP algs="ES256 /);
  expect(challenges).toContain(`DPoP algs="ES256 ES384 PS256 RS256 Ed25519 EdDSA", error="${error}"`);
  expect(answer.headers['dpop-nonce']).toEqual(error === 'use_dpop_nonce' ? expect.stringMatching(/^[\w-]{22}$/) : undefined);
};

describe('a login that is bound to a key', () => {
  const otherKey = createSigningKey('ES256');
  interface Row { readonly name: string; readonly code: string; readonly error?: string; readonly dpop: (token: string) => string | readonly string[] | undefined | Promise<string> }
  const ROWS: readonly Row[] = [
    { name: 'no proof', code: 'dpop_required', error: 'invalid_request', dpop: () => undefined },
    { name: 'two proofs in two headers', code: 'dpop_repeated', dpop: (token) => [proofFor(token), proofFor(token)] },
    { name: 'two proofs in one header', code: 'dpop_repeated', dpop: (token) => `${proofFor(token)}, ${proofFor(token)}` },
    { name: 'no JWS', code: 'dpop_malformed', dpop: () => 'proof' },
    { name: 'the login itself', code: 'dpop_typ_wrong', dpop: (token) => token },
    { name: 'the typ of a token', code: 'dpop_typ_wrong', dpop: (token) => proofFor(token, {}, { typ: 'JWT' }) },
    { name: 'alg none', code: 'dpop_alg_not_allowed', dpop: (token) => proofFor(token, {}, { alg: 'none' }) },
    { name: 'an HMAC', code: 'dpop_alg_not_allowed', dpop: (token) => hmacTexts(JSON.stringify({ typ: 'dpop+jwt', alg: 'HS256', jwk: bare(prover.key.publicJwk) }), JSON.stringify({ jti: 'a', htm: 'GET', htu: `${base}/domains`, iat: 1, nonce, ath: hashOf(token) }), 'secret') },
    { name: 'its private key', code: 'dpop_key_invalid', dpop: (token) => proofFor(token, {}, { jwk: { ...bare(prover.key.publicJwk), d: prover.key.privateJwk.d } }) },
    { name: 'a signature by another key than it carries', code: 'dpop_signature_invalid', dpop: async (token) => prover.prove({ htm: 'GET', htu: `${base}/domains`, ath: hashOf(token), nonce }, {}, await otherKey) },
    { name: 'no jti', code: 'dpop_claim_missing', dpop: (token) => proofFor(token, { jti: undefined }) },
    { name: 'no htm', code: 'dpop_claim_missing', dpop: (token) => proofFor(token, { htm: undefined }) },
    { name: 'another method', code: 'dpop_htm_mismatch', dpop: (token) => proofFor(token, { htm: 'POST' }) },
    { name: 'another call', code: 'dpop_htu_mismatch', dpop: (token) => proofFor(token, { htu: `${base}/policies` }) },
    { name: 'another host', code: 'dpop_htu_mismatch', dpop: (token) => proofFor(token, { htu: 'https://admin.sts.example/admin/v1/domains' }) },
    { name: 'the public listener', code: 'dpop_htu_mismatch', dpop: (token) => proofFor(token, { htu: `${office.mayfly.url}/admin/v1/domains` }) },
    { name: 'no nonce', code: 'dpop_nonce_missing', error: 'use_dpop_nonce', dpop: (token) => proofFor(token, { nonce: undefined }) },
    { name: 'a nonce of its own making', code: 'dpop_nonce_stale', error: 'use_dpop_nonce', dpop: (token) => proofFor(token, { nonce: 'AAAAAAAAAAAAAAAAAAAAAA' }) },
    { name: 'the nonce of the token endpoint', code: 'dpop_nonce_stale', error: 'use_dpop_nonce', dpop: async (token) => proofFor(token, { nonce: await tokenNonce() }) },
    { name: 'no hash of the login', code: 'dpop_ath_mismatch', dpop: (token) => proofFor(token, { ath: undefined }) },
    { name: 'the hash of another login', code: 'dpop_ath_mismatch', dpop: (token) => proofFor(token, { ath: hashOf(office.login()) }) },
    { name: 'another key', code: 'token_binding_mismatch', error: 'invalid_token', dpop: async (token) => (await createProver()).prove({ htm: 'GET', htu: `${base}/domains`, ath: hashOf(token), nonce }) },
  ];
  test.each(ROWS)('is refused with $name', async ({ code, error = 'invalid_dpop_proof', dpop }) => {
    const token = office.login();
    await refused(await show(token, await dpop(token)), code, error);
    expect((await show(token, proofFor(token))).status).toBe(200);
  });

  test('is no bearer token, with a proof or without', async () => {
    const token = office.login();
    await refused(await show(token, undefined, 'Bearer'), 'token_scheme_wrong', 'invalid_token');
    await refused(await show(token, proofFor(token), 'Bearer'), 'token_scheme_wrong', 'invalid_token');
    expect((await show(token, proofFor(token))).status).toBe(200);
  });

  test('is refused beside another credential', async () => {
    const token = office.login();
    const answer = await office.call('GET', 'domains', { authorization: [`DPoP ${token}`, `Bearer ${token}`], dpop: proofFor(token) });
    expect([answer.status, answer.body['code']]).toEqual([401, 'admin_unauthenticated']);
  });

  test.each([{ name: 'Host', headers: { host: 'evil.example' } }, { name: 'X-Forwarded-Host', headers: { 'x-forwarded-host': 'evil.example', forwarded: 'host=evil.example' } }])('is proven for the configured URL, whatever $name says', async ({ headers }) => {
    const token = office.login();
    await refused(await show(token, proofFor(token, { htu: 'http://evil.example/admin/v1/domains' }), 'DPoP', headers), 'dpop_htu_mismatch', 'invalid_dpop_proof');
    expect((await show(token, proofFor(token), 'DPoP', headers)).status).toBe(200);
  });

  test('is proven anew for each call: a proof is used once, however often it is sent at once', async () => {
    const token = office.login();
    const once = proofFor(token);
    const answers = await Promise.all(Array.from({ length: 8 }, () => show(token, once)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    for (const answer of answers.filter(({ status }) => status !== 200)) await refused(answer, 'dpop_replayed', 'invalid_dpop_proof');
    await refused(await show(token, once), 'dpop_replayed', 'invalid_dpop_proof');
    expect((await show(token, proofFor(token))).status).toBe(200);
  });

  test('gets a nonce with each answer, and its proof is about the path alone', async () => {
    const token = office.login();
    const answer = await office.call('GET', 'domains?limit=5', { authorization: `DPoP ${token}`, dpop: proofFor(token) });
    expect([answer.status, answer.headers['dpop-nonce'], answer.headers['cache-control']]).toEqual([200, expect.stringMatching(/^[\w-]{22}$/), 'no-store']);
    const again = proofFor(token, { nonce: String(answer.headers['dpop-nonce']), htu: `${base}/policies/system/staff%2dadministers` });
    expect((await office.call('GET', 'policies/system/staff-administers', { authorization: `DPoP ${token}`, dpop: again })).status).toBe(200);
    expect((await office.call('HEAD', 'domains', { authorization: `DPoP ${token}`, dpop: proofFor(token, { htm: 'HEAD' }) })).status).toBe(200);
  });

  test('is asked for its proof before the body is read', async () => {
    const token = office.login();
    const apply = (dpop: string, body: string) => office.call('POST', 'apply', { authorization: `DPoP ${token}`, dpop }, body);
    const proof = (claims: Claims = {}): string => proofFor(token, { htm: 'POST', htu: `${base}/apply`, ...claims });
    await refused(await apply(proof({ nonce: undefined }), '{'), 'dpop_nonce_missing', 'use_dpop_nonce');
    expect((await apply(proof(), '{')).status).toBe(400);
    expect(await apply(proof(), '{"manifest":{},"dry_run":true}')).toMatchObject({ status: 200, body: { applied: false } });
  });

  test('of an issuer whose logins are for one call is not spent by the wish for a nonce', async () => {
    const strict = await startForeignIssuer();
    try {
      await office.mayfly.apply({ issuers: [{ domain: 'system', name: 'strict', kind: 'oidc', proves: 'admins', issuer: strict.issuer, jwks: strict.jwks(), replay: 'once', owner: OWNER, expires: FAR }] });
      const token = strict.mint({ sub: 'ada', aud: `${office.mayfly.url}/system/admin`, cnf: { jkt: prover.jkt } });
      await refused(await show(token, proofFor(token, { nonce: undefined })), 'dpop_nonce_missing', 'use_dpop_nonce');
      expect((await show(token, proofFor(token))).status).toBe(200);
      expect((await show(token, proofFor(token))).body['code']).toBe('admin_unauthenticated');
    } finally {
      await strict.close();
    }
  });

  test('bound in another way than by a key is nobody\'s', async () => {
    const token = office.login({ cnf: { 'x5t#S256': 'a'.repeat(43) } });
    expect((await show(token, proofFor(token))).body['code']).toBe('admin_unauthenticated');
  });

  test('that somebody tries without its key is in the audit log, and the asking for a nonce is not', async () => {
    const denied = async (): Promise<readonly string[]> => String((await office.mayfly.admin('GET', 'audit')).body['text']).split('\n').filter((line) => line.includes('admin.denied'));
    const token = office.login({ sub: 'grace' });
    const before = (await denied()).length;
    await show(token, proofFor(token, { nonce: undefined }));
    expect(await denied()).toHaveLength(before);
    await show(token, undefined, 'Bearer');
    const lines = await denied();
    expect(lines).toHaveLength(before + 1);
    expect(lines.at(-1)).toContain('staff/grace');
    expect(lines.at(-1)).toContain('token_scheme_wrong');
  });
});

const tokenNonce = async (): Promise<string> => {
  const { headers } = await office.mayfly.exchange({ subject_token: 'x', audience: 'https://api.example' }, { dpop: prover.prove({ htu: `${office.mayfly.url}/dev/token` }) });
  return String(headers['dpop-nonce']);
};

describe('a login that is bound to no key', () => {
  test('must not pretend, with a proof or without', async () => {
    const token = office.login({ cnf: undefined });
    await refused(await show(token, proofFor(token)), 'token_scheme_wrong', 'invalid_token');
    await refused(await show(token, undefined), 'token_scheme_wrong', 'invalid_token');
    expect((await show(token, undefined, 'Bearer')).status).toBe(200);
  });
});

test('a stranger is told which credentials are taken, and nothing of proofs', async () => {
  const answer = await office.call('GET', 'domains', { authorization: 'DPoP x', dpop: 'y' });
  expect([answer.status, answer.body['code'], answer.headers['dpop-nonce']]).toEqual([401, 'admin_unauthenticated', undefined]);
  expect([answer.headers['www-authenticate']].flat().join(', ')).toBe('Bearer realm="mayfly-admin", DPoP algs="ES256 ES384 PS256 RS256 Ed25519 EdDSA"');
});

/** Sends a request line as it stands; gives the status. */
const sendRaw = (line: string, headers: readonly string[]): Promise<string> => new Promise((resolve, reject) => {
  const socket = connect(office.port, '127.0.0.1');
  socket.once('error', reject);
  socket.once('data', (data) => {
    socket.destroy();
    resolve(String(data).split('\r\n', 1)[0] ?? '');
  });
  socket.write([line, 'Host: mayfly', ...headers, '', ''].join('\r\n'));
});

describe('a request line', () => {
  test.each([
    { name: 'a whole URL', target: 'http://evil.example/admin/v1/domains', htu: () => 'http://evil.example/admin/v1/domains', status: 401 },
    { name: 'a whole URL, proven for our own', target: 'http://evil.example/admin/v1/domains', htu: () => `${base}/domains`, status: 200 },
    { name: 'a path that is no URI', target: '/admin/v1/workloads/dev/a|b', htu: () => `${base}/workloads/dev/a|b`, status: 401 },
    { name: 'the same path, escaped', target: '/admin/v1/workloads/dev/a%7Cb', htu: () => `${base}/workloads/dev/a%7Cb`, status: 404 },
  ])('with $name is answered with $status and no fault', async ({ target, htu, status }) => {
    const token = office.login();
    expect(await sendRaw(`GET ${target} HTTP/1.1`, [`Authorization: DPoP ${token}`, `DPoP: ${proofFor(token, { htu: htu() })}`])).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });
});

describe('the URL of the admin listener', () => {
  const tryAt = async (place: Office, url: string): Promise<Answer> => {
    const token = place.login();
    const send = (claims: Claims): Promise<Answer> => place.call('GET', 'domains', { authorization: `DPoP ${token}`, dpop: prover.prove({ htm: 'GET', htu: `${url}/admin/v1/domains`, ath: hashOf(token), ...claims }) });
    const first = await send({});
    return first.headers['dpop-nonce'] === undefined ? first : send({ nonce: first.headers['dpop-nonce'] });
  };

  test('is what the configuration says, such as a proxy\'s', async () => {
    const proxied = await openOffice((port) => ({ listen: `127.0.0.1:${port}`, external_url: 'https://admin.sts.acme.example/ops/' }));
    try {
      expect((await tryAt(proxied, 'https://admin.sts.acme.example/ops')).status).toBe(200);
      for (const url of [`http://127.0.0.1:${proxied.port}`, 'https://admin.sts.acme.example', 'http://admin.sts.acme.example/ops']) {
        expect((await tryAt(proxied, url)).body).toMatchObject({ code: 'dpop_htu_mismatch', detail: 'htu is not https://admin.sts.acme.example/ops/admin/v1/domains' });
      }
    } finally {
      await proxied.close();
    }
  });

  test('has to be configured where the listener cannot know it; until then bound logins are refused and others are not', async () => {
    const open = await openOffice((port) => ({ listen: `0.0.0.0:${port}` }));
    try {
      expect((await tryAt(open, `http://0.0.0.0:${open.port}`)).body).toMatchObject({ code: 'dpop_htu_mismatch', detail: expect.stringContaining('admin.external_url') });
      expect((await open.call('GET', 'domains', { authorization: `Bearer ${open.login({ cnf: undefined })}` })).status).toBe(200);
    } finally {
      await open.close();
    }
  });
});

describe('the command line', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mayfly-test-'));
  afterAll(() => { rmSync(folder, { recursive: true, force: true }); });
  const save = (name: string, text: string): string => {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  };
  /** With the key as whoever made the login may hold it. */
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = JSON.stringify(privateKey.export({ format: 'jwk' }));
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const bound = async (): Promise<string> => save('token', office.login({ cnf: { jkt: await calculateJwkThumbprint(publicKey.export({ format: 'jwk' })) } }));
  const mayfly = (args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> => runCli([...args, '--server', `http://127.0.0.1:${office.port}`], { env });

  test.each([
    { name: 'a JWK', key: jwk }, { name: 'PKCS#8 PEM', key: String(pem) },
  ])('proves a bound login with its key as $name, from a file or the environment', async ({ key }) => {
    const token = await bound();
    expect(await mayfly(['domain', 'list', '--token-file', token, '--dpop-key', save('key', key)])).toMatchObject({ code: 0, out: expect.stringContaining('system') });
    expect(await mayfly(['domain', 'list', '--token-file', token], { MAYFLY_ADMIN_DPOP_KEY: key })).toMatchObject({ code: 0, out: expect.stringContaining('system') });
    // Names with escapes, a body, and an answer that is a stream.
    expect(await mayfly(['policy', 'show', 'staff-administers', '--domain', 'system', '--token-file', token, '--dpop-key', save('key', key)])).toMatchObject({ code: 0 });
    expect(await mayfly(['audit', 'export', '--token-file', token, '--dpop-key', save('key', key)])).toMatchObject({ code: 0, out: expect.stringContaining('"action"') });
  });

  test('applies a file of many megabytes with it', async () => {
    const resources = Array.from({ length: 12_000 }, (_, at) => `  - { domain: dev, audience: 'https://api${at}.acme.example/${'x'.repeat(400)}', owner: ${OWNER}, expires: ${FAR} }`);
    const file = save('many.yaml', `resources:\n${resources.join('\n')}\n`);
    const outcome = await mayfly(['apply', '-f', file, '--dry-run', '--json', '--token-file', await bound(), '--dpop-key', save('key', jwk)]);
    expect([outcome.code, outcome.err]).toEqual([0, '']);
    expect((JSON.parse(outcome.out) as { changes: unknown[] }).changes).toHaveLength(12_000);
  }, 60_000);

  test('says what is missing or too much', async () => {
    const other = save('other', JSON.stringify(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })));
    const [token, key] = [await bound(), save('key', jwk)];
    const without = await mayfly(['domain', 'list', '--token-file', token]);
    expect([without.code, without.err]).toEqual([1, expect.stringMatching(/token_scheme_wrong[^]*decision: dec_[^]*next: .*--dpop-key FILE/)]);
    const wrong = await mayfly(['domain', 'list', '--token-file', token, '--dpop-key', other]);
    expect([wrong.code, wrong.err]).toEqual([1, expect.stringContaining('token_binding_mismatch')]);
    const unbound = await mayfly(['domain', 'list', '--dpop-key', key], { MAYFLY_ADMIN_TOKEN: office.login({ cnf: undefined }) });
    expect([unbound.code, unbound.err]).toEqual([1, expect.stringContaining('token_scheme_wrong')]);
    expect((await mayfly(['domain', 'list'], { MAYFLY_ADMIN_TOKEN: office.login({ cnf: undefined }) })).code).toBe(0);
    const elsewhere = await runCli(['domain', 'list', '--server', `http://localhost:${office.port}`, '--token-file', token, '--dpop-key', key]);
    expect([elsewhere.code, elsewhere.err]).toEqual([1, expect.stringMatching(/htu is not http:\/\/127\.0\.0\.1[^]*admin\.external_url/)]);
  });

  test.each([
    { name: 'that is not there', key: () => join(folder, 'nowhere') },
    { name: 'that is a public one', key: () => save('public', JSON.stringify(publicKey.export({ format: 'jwk' }))) },
    { name: 'of another kind', key: () => save('rsa', JSON.stringify(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }))) },
    { name: 'that is no JSON', key: () => save('broken', '{"d":"s3cr3t"') },
  ])('takes no key $name, and shows nothing of it', async ({ key }) => {
    const { code, err } = await mayfly(['domain', 'list', '--token-file', await bound(), '--dpop-key', key()]);
    expect([code, err]).toEqual([2, expect.stringContaining('next: ')]);
    expect(err).not.toContain('s3cr3t');
  });
});
