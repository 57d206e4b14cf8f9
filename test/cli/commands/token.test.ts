import { existsSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, EmbeddedJWK, jwtVerify } from 'jose';
import type { Schedule } from '../../../src/cli/context.ts';
import { runCli, withFolder } from '../harness.ts';
import type { CliOptions, Reply } from '../harness.ts';
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
    { name: 'a proof is wanted', args: ['--audience', 'a'], refusal: { error: 'invalid_request', error_description: 'Proof of possession is required. Send a DPoP proof.' }, hint: /`--dpop KEY-FILE` sends one/, twin: undefined },
    { name: 'a person has to agree', args: ['--audience', 'a'], refusal: { error: 'invalid_request', error_description: 'A person has to agree to this first. Ask again with completion_mode=deferred and a DPoP proof.' }, hint: /`--deferred` asks again and waits/, twin: undefined },
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

describe('token --deferred', () => {
  const PENDING = { error: 'authorization_pending', deferral_code: 'mfd_secret', expires_in: 1800, interval: 5, approval_id: 'apr_1' };
  const CODE = { grant_type: 'urn:ietf:params:oauth:grant-type:deferred', deferral_code: 'mfd_secret' };
  const WAITING = { status: 400, body: { error: 'authorization_pending', expires_in: 1790, interval: 5, approval_id: 'apr_1' } };
  const ISSUED = { body: { access_token: 'bound', token_type: 'DPoP', expires_in: 300 } };
  /** Answers to the polls, one after the other; the request itself is put off. */
  const answering = (...polls: readonly Reply[]): NonNullable<StsOptions['refuse']> => {
    const left = [...polls];
    return (form) => (form['grant_type'] === CODE.grant_type ? left.shift() : { status: 400, body: PENDING });
  };
  /** No waiting: what would be waited for is written down. */
  const patiently = () => {
    const waited: number[] = [];
    const schedule: Schedule = (milliseconds, work) => {
      waited.push(milliseconds / 1000);
      setImmediate(work);
      return () => undefined;
    };
    return { waited, schedule };
  };
  const wait = (args: readonly string[], refuse: StsOptions['refuse'], more: Partial<CliOptions> = {}) => withFolder(async (folder) => {
    const { waited, schedule } = patiently();
    const peer = await startStsPeer(refuse === undefined ? {} : { refuse });
    const outcome = await runCli(['token', '--issuer', peer.url, '--deferred', ...args.map((arg) => arg.replace('KEY', join(folder, 'key.pem')))], { env, schedule, ...more });
    await peer.close();
    return { ...outcome, peer, waited, key: existsSync(join(folder, 'key.pem')) };
  });
  const ASK = ['--audience', 'a', '--scope', 's', '--dpop', 'KEY'];
  const jktOf = (proof: string | undefined): Promise<string> => calculateJwkThumbprint(decodeProtectedHeader(proof ?? '').jwk ?? {});

  test('says for what it waits, asks with the code and the same key as often as it is told, and prints what it got alone', async () => {
    const { code, out, err, peer, waited, key } = await wait(ASK, answering(WAITING, WAITING, ISSUED));
    expect({ code, out, waited, key }).toEqual({ code: 0, out: 'bound\n', waited: [5, 5, 5], key: true });
    expect(peer.asked).toEqual([{ grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', subject_token: 'e.y.J', subject_token_type: 'urn:ietf:params:oauth:token-type:jwt', audience: 'a', scope: 's', completion_mode: 'deferred' }, CODE, CODE, CODE]);
    expect(new Set(await Promise.all(peer.proofs.map(jktOf))).size).toBe(1);
    expect(err).toMatch(/^waiting for a person to agree to apr_1, until 2\d{3}-.*Z\n {2}.*`mayfly approval show apr_1`.*`mayfly approval approve apr_1`.*\n.*Ctrl-C.*\napr_1 is approved\n$/);
    expect(err).not.toContain('mfd_secret');
    expect(peer.revoked).toEqual([]);
  });

  test('gets at once what needs nobody', async () => {
    const { code, out, err, peer } = await wait(ASK, () => ISSUED);
    expect({ code, out, err }).toEqual({ code: 0, out: 'bound\n', err: '' });
    expect(peer.asked).toMatchObject([{ completion_mode: 'deferred' }]);
  });

  test('does not wait unless it is told to', async () => {
    const { code, err, peer } = await ask(['--audience', 'a'], { refuse: () => ({ status: 400, body: PENDING }) });
    expect({ code, asked: peer.asked.length }).toEqual({ code: 1, asked: 1 });
    expect(peer.asked[0]).not.toHaveProperty('completion_mode');
    expect(err).not.toContain('mfd_secret');
  });

  test('asks less often once it was too often, or nobody answered, and never more often again', async () => {
    const { code, waited } = await wait(ASK, answering({ status: 400, body: { error: 'slow_down', interval: 10 } }, WAITING, { status: 400, body: { error: 'slow_down' } }, { status: 503, body: {} }, { status: 429, body: { error: 'temporarily_unavailable' } }, WAITING, ISSUED));
    expect({ code, waited }).toEqual({ code: 0, waited: [5, 10, 10, 15, 20, 25, 25] });
  });

  test.each([
    { name: 'a person says no', error: 'access_denied', says: 'A person said no to this request.' },
    { name: 'the time is over', error: 'expired_token', says: 'The time for this request is over. Ask anew.' },
    { name: 'the code is nobody\'s', error: 'invalid_grant', says: 'This code is not valid.' },
  ])('ends with 1 and what was said where $name', async ({ error, says }) => {
    const { code, out, err, peer } = await wait(ASK, answering(WAITING, { status: 400, body: { error, error_description: says, decision_id: 'dec_1' } }));
    expect({ code, out, asked: peer.asked.length }).toEqual({ code: 1, out: '', asked: 3 });
    expect(err).toContain(`refused (${error}): ${says}`);
    expect(err).toContain('mayfly explain dec_1');
    expect(err).not.toContain('mfd_secret');
  });

  test('ends with 1 when the time is over and nobody answers', async () => {
    const { code, out, err } = await wait(ASK, (form) => (form['grant_type'] === CODE.grant_type ? { status: 503, body: {} } : { status: 400, body: { ...PENDING, expires_in: 0 } }));
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toContain('nobody agreed to apr_1 in time');
  });

  test.each([
    { name: 'between two questions', polls: [] as Reply[], revoked: ['mfd_secret'] },
    { name: 'while the credential comes', polls: [ISSUED], revoked: ['bound'] },
  ])('ends by a signal $name: as a shell says it, and nothing is left behind', async ({ polls, revoked }) => {
    let [signalled, listening] = [(_name: NodeJS.Signals): void => undefined, 0];
    const left = answering(...polls);
    const { code, out, err, peer } = await wait(ASK, (form, proof) => {
      if (form['grant_type'] === CODE.grant_type) signalled('SIGINT');
      return left(form, proof);
    }, {
      onSignal: (listener) => {
        signalled = listener;
        listening += 1;
        return () => { listening -= 1; };
      },
      schedule: (_milliseconds, work) => {
        if (polls.length === 0) setImmediate(() => signalled('SIGINT'));
        else setImmediate(work);
        return () => undefined;
      },
    });
    expect({ code, out, listening, revoked: peer.revoked }).toEqual({ code: 130, out: '', listening: 0, revoked });
    expect(err).toContain('stopped by SIGINT');
  });

  test('takes AWS keys, which are bound to nothing, with a key of its own', async () => {
    const { code, out, peer } = await wait(['--audience', ROLE], answering({ body: { access_token: '{}', token_type: 'N_A', expires_in: 900 } }));
    expect({ code, out }).toEqual({ code: 0, out: '{}\n' });
    expect(new Set(await Promise.all(peer.proofs.map(jktOf))).size).toBe(1);
  });

  test('wants a key for a token, which nobody could use without it', async () => {
    const { code, err, peer } = await wait(['--audience', 'a'], undefined);
    expect({ code, asked: peer.asked }).toEqual({ code: 2, asked: [] });
    expect(err).toContain('--dpop KEY-FILE');
  });
});
