import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, EmbeddedJWK, jwtVerify } from 'jose';
import { runCli, withFolder } from '../harness.ts';
import { AWS_TYPE, ROLE, startStsPeer } from '../sts-peer.ts';
import type { StsOptions } from '../sts-peer.ts';

const env = { MAYFLY_ID_TOKEN: 'e.y.J' };
const ask = async (args: readonly string[], options: StsOptions = {}) => {
  const peer = await startStsPeer(options);
  const outcome = await runCli(['token', '--issuer', peer.url, ...args], { env });
  await peer.close();
  return { ...outcome, peer };
};

describe('token', () => {
  test('exchanges the platform\'s token at the domain\'s token endpoint and prints the credential alone', async () => {
    const { code, out, err, peer } = await ask(['--audience', 'https://deploy.acme.example', '--scope', 'deploy:write'], { path: '/prod' });
    expect({ code, out, err }).toEqual({ code: 0, out: 'token-1\n', err: '' });
    // No client_id: which workload this is, the evidence says.
    expect(peer.asked).toEqual([{
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: 'e.y.J', subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', audience: 'https://deploy.acme.example', scope: 'deploy:write',
    }]);
  });

  test('calls a token of the domain itself by its own type, so that a session token can be exchanged, and no other token', async () => {
    const tokenOf = (iss: string): string => `e30.${Buffer.from(JSON.stringify({ iss })).toString('base64url')}.c2ln`;
    const peer = await startStsPeer();
    for (const iss of [peer.url, `${peer.url}/other`]) await runCli(['token', '--issuer', peer.url, '--audience', 'a'], { env: { MAYFLY_ID_TOKEN: tokenOf(iss) } });
    await peer.close();
    expect(peer.asked.map(({ subject_token_type: type }) => type)).toEqual(['urn:ietf:params:oauth:token-type:access_token', 'urn:ietf:params:oauth:token-type:jwt']);
  });

  test('passes on resource, client and kind', async () => {
    const { peer } = await ask(['--resource', 'https://a.example', '--client-id', 'spiffe://prod/ci', '--requested-token-type', 'urn:x:y', '--authorization-details', '[]']);
    expect(peer.asked).toMatchObject([{ resource: 'https://a.example', client_id: 'spiffe://prod/ci', requested_token_type: 'urn:x:y', authorization_details: '[]' }]);
  });

  test('asks for AWS keys when the audience is a role, and prints what credential_process wants', async () => {
    const { out, peer } = await ask(['--audience', ROLE]);
    expect(peer.asked).toMatchObject([{ audience: ROLE, requested_token_type: AWS_TYPE }]);
    expect(JSON.parse(out)).toMatchObject({ Version: 1, AccessKeyId: 'ASIA1', SecretAccessKey: 'secret', SessionToken: 'session', Expiration: expect.stringMatching(/^\d{4}-.*Z$/) });
  });

  test('prints the whole response, or shell variables', async () => {
    expect(JSON.parse((await ask(['--audience', 'a', '--output', 'json'])).out)).toMatchObject({ access_token: 'token-1', token_type: 'Bearer', expires_in: 300 });
    expect(JSON.parse((await ask(['--audience', ROLE, '--output', 'json'])).out)).toMatchObject({ token_type: 'N_A' });
    expect((await ask(['--audience', 'a', '-o', 'env'])).out).toBe('export MAYFLY_TOKEN=\'token-1\'\n');
    expect((await ask(['--audience', ROLE, '-o', 'env'])).out).toBe('export AWS_ACCESS_KEY_ID=\'ASIA1\'\nexport AWS_SECRET_ACCESS_KEY=\'secret\'\nexport AWS_SESSION_TOKEN=\'session\'\n');
  });

  test('quotes what a shell would run', async () => {
    const { out } = await ask(['--audience', 'a', '-o', 'env'], { refuse: () => ({ body: { access_token: 'a\'$(id)', token_type: 'Bearer', expires_in: 1 } }) });
    expect(out).toBe('export MAYFLY_TOKEN=\'a\'\\\'\'$(id)\'\n');
  });

  test('tells a refusal with its decision id, exit 1, and never the platform\'s token', async () => {
    const { code, out, err } = await ask(['--audience', 'a'], { refuse: () => ({ status: 400, body: { error: 'invalid_scope', error_description: 'None of the scopes is permitted.', decision_id: 'dec_1' } }) });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain('refused (invalid_scope): None of the scopes is permitted.');
    expect(err).toContain('mayfly explain dec_1');
    expect(err).not.toContain('e.y.J');
  });

  test.each([
    { name: 'no scope was given', args: ['--audience', 'a'], refusal: { error: 'invalid_target', error_description: 'Unknown or not permitted.' }, hint: /no --scope was given/, twin: ['--audience', 'a', '--scope', 's'] },
    { name: 'a proof is wanted', args: ['--audience', 'a'], refusal: { error: 'invalid_request', error_description: 'Proof of possession is required. Send a DPoP proof.' }, hint: /token --dpop KEY-FILE/, twin: undefined },
  ])('says what may be missing where $name', async ({ args, refusal: body, hint, twin }) => {
    const refuse = () => ({ status: 400, body });
    expect((await ask(args, { refuse })).err).toMatch(hint);
    if (twin !== undefined) expect((await ask(twin, { refuse })).err).not.toMatch(hint);
  });

  test('tells a server that cannot answer from one that is another', async () => {
    const { code, err } = await ask(['--audience', 'a'], { refuse: () => ({ status: 503, body: { error: 'temporarily_unavailable' } }) });
    expect(code).toBe(1);
    expect(err).toMatch(/cannot answer now \(status 503\)\n {2}next: run it again in a little while/);
  });

  test.each([
    { name: 'no issuer', args: ['--audience', 'a'], env },
    { name: 'an issuer that is no URL', args: ['--audience', 'a', '--issuer', 'prod'], env },
    { name: 'an issuer over plain http', args: ['--audience', 'a', '--issuer', 'http://sts.acme.example'], env },
    { name: 'nothing asked for', args: ['--issuer', 'https://sts.acme.example'], env },
    { name: 'no evidence', args: ['--audience', 'a', '--issuer', 'https://sts.acme.example'], env: {} },
  ])('calls $name bad input', async ({ args, env: variables }) => {
    const { code, err } = await runCli(['token', ...args], { env: variables });
    expect(code).toBe(2);
    expect(err).toContain('next: ');
  });

  test('says which issuer it cannot reach, or that it is another', async () => {
    const [peer, prod] = [await startStsPeer(), await startStsPeer({ path: '/prod' })];
    const slash = await runCli(['token', '--issuer', `${prod.url}/`, '--audience', 'a'], { env });
    await prod.close();
    const other = await runCli(['token', '--issuer', `${peer.url}/other`, '--audience', 'a'], { env });
    await peer.close();
    const gone = await runCli(['token', '--issuer', peer.url, '--audience', 'a'], { env });
    expect(other).toMatchObject({ code: 1, err: expect.stringContaining(`there is no trust domain at ${peer.url}/other`) });
    expect(slash).toMatchObject({ code: 1, err: expect.stringContaining(`what answers for ${prod.url}/ calls itself ${prod.url}`) });
    expect(gone).toMatchObject({ code: 1, err: expect.stringContaining('ECONNREFUSED') });
  });
});

describe('token --dpop', () => {
  const wantsNonce: StsOptions['refuse'] = (_form, proof) =>
    proof !== undefined && decodeJwt(proof)['nonce'] === 'n1' ? { body: { access_token: 'bound', token_type: 'DPoP', expires_in: 300 } } : { status: 400, body: { error: 'use_dpop_nonce' }, headers: { 'dpop-nonce': 'n1' } };

  test('proves a key it makes, with the server\'s nonce and the same evidence', () => withFolder(async (folder) => {
    const file = join(folder, 'key.pem');
    const { code, out, peer } = await ask(['--audience', 'a', '--dpop', file], { refuse: wantsNonce });
    expect({ code, out }).toEqual({ code: 0, out: 'bound\n' });
    expect(peer.asked.map(({ subject_token: evidence }) => evidence)).toEqual(['e.y.J', 'e.y.J']);
    const proof = peer.proofs[1] ?? '';
    const { payload } = await jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt', algorithms: ['ES256'] });
    expect(payload).toMatchObject({ htm: 'POST', htu: `${peer.url}/token`, nonce: 'n1' });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(decodeProtectedHeader(proof).jwk).not.toHaveProperty('d');
  }));

  test('keeps the key of the file', () => withFolder(async (folder) => {
    const file = join(folder, 'key.pem');
    const thumbprints = [];
    for (let round = 0; round < 2; round += 1) {
      const { peer } = await ask(['--audience', 'a', '--dpop', file], { refuse: wantsNonce });
      const { jwk } = decodeProtectedHeader(peer.proofs[0] ?? '');
      thumbprints.push(await calculateJwkThumbprint(jwk ?? {}));
    }
    expect(new Set(thumbprints).size).toBe(1);
  }));

  test('refuses a file that holds something else', () => withFolder(async (folder) => {
    const file = join(folder, 'key.pem');
    writeFileSync(file, 'not a key');
    expect(await ask(['--audience', 'a', '--dpop', file])).toMatchObject({ code: 2, peer: { asked: [] } });
  }));
});
