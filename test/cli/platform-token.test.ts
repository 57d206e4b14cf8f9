import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { startForeignIssuer } from '../../demo/foreign-issuer.ts';
import { findEvidence } from '../../src/cli/platform-token.ts';
import { startPeer, withFolder } from './harness.ts';
import type { Reply } from './harness.ts';

const ISSUER = 'https://sts.acme.example/prod';

/** The runner's token service, which gives what the platform's issuer made out to the audience of the query. */
const startRunner = async (answer: (audience: string) => Promise<Reply>) => {
  const peer = await startPeer(({ query }) => answer(query['audience'] ?? ''));
  const env = { ACTIONS_ID_TOKEN_REQUEST_URL: `${peer.url}/idtoken?api-version=2.0`, ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'runner' };
  return { ...peer, env };
};

describe('in GitHub Actions', () => {
  test('the token is asked for, made out to the issuer, anew each time', async () => {
    const foreign = await startForeignIssuer();
    const runner = await startRunner(async (audience) => ({ body: { count: 1, value: await foreign.token('deploy', audience) } }));
    const find = findEvidence({ env: runner.env }, {}, ISSUER);
    const [first, second] = [await find(), await find()];
    const keys = createRemoteJWKSet(new URL(`${foreign.issuer}/.well-known/jwks`));
    const { payload, protectedHeader } = await jwtVerify(first.token, keys, { issuer: foreign.issuer, audience: ISSUER, typ: 'JWT', algorithms: ['RS256'] });
    await Promise.all([runner.close(), foreign.close()]);
    expect(protectedHeader.typ).toBe('JWT');
    expect(payload).toMatchObject({ aud: ISSUER, repository_id: '815', event_name: 'push' });
    expect(second.token).not.toBe(first.token);
    expect(runner.received[0]).toMatchObject({ method: 'GET', query: { 'api-version': '2.0', audience: ISSUER } });
    expect(runner.received[0]?.headers.authorization).toBe('bearer runner');
  });

  test.each([
    { name: 'an error', reply: { status: 403, body: { message: 'no' } }, says: 'status 403' },
    { name: 'no token', reply: { body: { count: 0 } }, says: 'holds no token' },
    { name: 'no JSON', reply: { body: '<html>' }, says: 'not JSON' },
    { name: 'a flood', reply: { body: { value: 'x'.repeat(70_000) } }, says: 'longer than' },
  ])('$name from the token service is a failure', async ({ reply, says }) => {
    const runner = await startRunner(() => Promise.resolve(reply));
    await expect(findEvidence({ env: runner.env }, {}, ISSUER)()).rejects.toThrow(says);
    await runner.close();
  });

  test('a token service that is not https is not asked', async () => {
    const env = { ACTIONS_ID_TOKEN_REQUEST_URL: 'http://pipelines.actions.example/idtoken', ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'runner' };
    await expect(findEvidence({ env }, {}, ISSUER)()).rejects.toThrow('no https URL');
  });

  test('a job without the permission is told to ask for it', () => {
    expect(() => findEvidence({ env: { GITHUB_ACTIONS: 'true' } }, {}, ISSUER)).toThrow(expect.objectContaining({ exitCode: 2, mend: expect.stringContaining('id-token: write') }));
  });
});

describe('in GitLab CI', () => {
  test('the token is in MAYFLY_ID_TOKEN', async () => {
    await expect(findEvidence({ env: { MAYFLY_ID_TOKEN: 'e.y.J\n' } }, {}, ISSUER)()).resolves.toEqual({ token: 'e.y.J', source: 'MAYFLY_ID_TOKEN' });
  });

  test('or where --subject-token-env says, even in GitHub Actions', async () => {
    const env = { OTHER: 'o', MAYFLY_ID_TOKEN: 'm', ACTIONS_ID_TOKEN_REQUEST_URL: 'https://x', ACTIONS_ID_TOKEN_REQUEST_TOKEN: 't' };
    await expect(findEvidence({ env }, { subjectTokenEnv: 'OTHER' }, ISSUER)()).resolves.toMatchObject({ token: 'o' });
  });

  test('a job without it is told what to write', () => {
    expect(() => findEvidence({ env: { GITLAB_CI: 'true' } }, {}, ISSUER)).toThrow(expect.objectContaining({ exitCode: 2, mend: expect.stringContaining(`aud: ${ISSUER}`) }));
    expect(() => findEvidence({ env: {} }, { subjectTokenEnv: 'OTHER' }, ISSUER)).toThrow(expect.objectContaining({ exitCode: 2, mend: expect.stringContaining('OTHER') }));
  });
});

describe('from a file', () => {
  test('the token is read anew each time, since platforms write a new one', () => withFolder(async (folder) => {
    const file = join(folder, 'token');
    writeFileSync(file, 'one\n');
    const find = findEvidence({ env: {} }, { subjectTokenFile: file }, ISSUER);
    await expect(find()).resolves.toMatchObject({ token: 'one' });
    writeFileSync(file, 'two\n');
    await expect(find()).resolves.toMatchObject({ token: 'two' });
    writeFileSync(file, '\n');
    await expect(find()).rejects.toThrow('is empty');
  }));

  test('that is not there, or beside a variable, is bad input', async () => {
    await expect(findEvidence({ env: {} }, { subjectTokenFile: '/nowhere/token' }, ISSUER)()).rejects.toMatchObject({ exitCode: 2 });
    expect(() => findEvidence({ env: { A: 'a' } }, { subjectTokenFile: 'f', subjectTokenEnv: 'A' }, ISSUER)).toThrow(expect.objectContaining({ exitCode: 2 }));
  });
});

test('elsewhere a person is told the ways there are', () => {
  expect(() => findEvidence({ env: {} }, {}, ISSUER)).toThrow(expect.objectContaining({ exitCode: 2, mend: expect.stringContaining('--subject-token-file') }));
});
