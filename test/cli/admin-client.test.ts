import { createHash, generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseServer } from '../../src/cli/admin-client.ts';
import { runCli, startPeer, withFolder } from './harness.ts';
import type { Peer } from './harness.ts';

const NO_LEASES = { body: { items: [] } };

describe('the server to talk to', () => {
  test.each([
    { name: 'a socket', text: 'unix:///run/mayfly.sock', socketPath: '/run/mayfly.sock' },
    { name: 'a socket beside us', text: 'unix://./data/admin/mayfly.sock', socketPath: './data/admin/mayfly.sock' },
    { name: 'a bare path', text: '/run/mayfly.sock', socketPath: '/run/mayfly.sock' },
    { name: 'https', text: 'https://sts.acme.example', socketPath: undefined },
    { name: 'http on loopback', text: 'http://127.0.0.1:8421', socketPath: undefined },
  ])('may be $name', ({ text, socketPath }) => {
    expect(parseServer(text).socketPath).toBe(socketPath);
  });

  test.each([
    { name: 'http to another machine, which would show the token to the network', server: 'http://sts.acme.example' },
    { name: 'http to a name that only begins like loopback', server: 'http://127.0.0.1.acme.example' },
    { name: 'another protocol', server: 'ftp://sts.acme.example' },
    { name: 'no address', server: 'acme' },
  ])('is never $name', async ({ server }) => {
    const { code, err } = await runCli(['lease', 'list', '--server', server], { env: { MAYFLY_ADMIN_TOKEN: 't' } });
    expect(code).toBe(2);
    expect(err).toContain('next: ');
  });

  test('is reached over its socket without a token', () => withFolder(async (folder) => {
    const peer = await startPeer(() => NO_LEASES, join(folder, 'admin.sock'));
    const { code } = await runCli(['lease', 'list'], { env: { MAYFLY_SERVER: peer.url, MAYFLY_ADMIN_TOKEN: 'not-for-the-socket' } });
    await peer.close();
    expect(code).toBe(0);
    expect(peer.received).toMatchObject([{ method: 'GET', path: '/admin/v1/leases' }]);
    expect(peer.received[0]?.headers.authorization).toBeUndefined();
  }));

  test('is found where serve puts its socket', () => withFolder(async (folder) => {
    const socket = join(folder, 'admin.sock');
    const peer = await startPeer(() => NO_LEASES, socket);
    const { code } = await runCli(['lease', 'list'], { env: { MAYFLY_ADMIN_SOCKET: socket } });
    await peer.close();
    expect(code).toBe(0);
  }));

  test('is shown the token of --token-file over HTTP, before the variable\'s', () => withFolder(async (folder) => {
    const peer = await startPeer(() => NO_LEASES);
    const file = join(folder, 'token');
    writeFileSync(file, 'from-file\n');
    await runCli(['--server', peer.url, '--token-file', file, 'lease', 'list'], { env: { MAYFLY_ADMIN_TOKEN: 'from-variable' } });
    await runCli(['lease', 'list', '--server', peer.url], { env: { MAYFLY_ADMIN_TOKEN: 'from-variable' } });
    await peer.close();
    expect(peer.received.map(({ headers }) => headers.authorization)).toEqual(['Bearer from-file', 'Bearer from-variable']);
  }));

  test('gets no request over HTTP without a token', async () => {
    const peer = await startPeer(() => NO_LEASES);
    const { code, err } = await runCli(['lease', 'list', '--server', peer.url]);
    await peer.close();
    expect(code).toBe(2);
    expect(err).toContain('--token-file');
    expect(peer.received).toEqual([]);
  });

  test('that is not there is told with what to start', () => withFolder(async (folder) => {
    const { code, err } = await runCli(['lease', 'list', '--server', join(folder, 'none.sock')]);
    expect(code).toBe(1);
    expect(err).toContain('ENOENT');
    expect(err).toContain('mayfly serve');
  }));

  test('that is something else is told as that', async () => {
    const peer = await startPeer(() => ({ body: '<html>' }));
    const { code, err } = await runCli(['lease', 'list', '--server', peer.url], { env: { MAYFLY_ADMIN_TOKEN: 't' } });
    await peer.close();
    expect(code).toBe(1);
    expect(err).toContain('not Mayfly\'s admin API');
  });

  test('is not followed to where it redirects, for the token would go along', async () => {
    const other = await startPeer(() => NO_LEASES);
    const peer = await startPeer(() => ({ status: 307, headers: { location: `${other.url}/admin/v1/leases` } }));
    const { code } = await runCli(['lease', 'list', '--server', peer.url], { env: { MAYFLY_ADMIN_TOKEN: 't' } });
    await Promise.all([peer.close(), other.close()]);
    expect(code).toBe(1);
    expect(other.received).toEqual([]);
  });
});

describe('a token that is bound to a key', () => {
  const key = JSON.stringify(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }));
  const env = { MAYFLY_ADMIN_TOKEN: 'e.y.J', MAYFLY_ADMIN_DPOP_KEY: key };
  const proofOf = (headers: Peer['received'][number]['headers']) => {
    const [header, claims] = String(headers['dpop']).split('.').slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>);
    return { header, claims };
  };
  const wantsNonce = { status: 401, headers: { 'www-authenticate': 'DPoP algs="ES256", error="use_dpop_nonce"', 'dpop-nonce': 'first' } };

  test('is shown with a proof for each request, and asks for a nonce once in a command', async () => {
    const peer = await startPeer(({ headers, query }) => {
      if (proofOf(headers).claims?.['nonce'] === undefined) return wantsNonce;
      return { headers: { 'dpop-nonce': query['after'] === undefined ? 'second' : 'third' }, body: { items: [], ...(query['after'] === undefined ? { next: 'page2' } : {}) } };
    });
    const { code } = await runCli(['lease', 'list', '--all', '--server', peer.url], { env });
    await peer.close();
    expect(code).toBe(0);
    const proofs = peer.received.map(({ headers }) => proofOf(headers));
    expect(proofs.map(({ claims }) => claims?.['nonce'])).toEqual([undefined, 'first', 'second']);
    expect(new Set(proofs.map(({ claims }) => claims?.['jti'])).size).toBe(3);
    for (const { header, claims } of proofs) {
      expect(claims).toMatchObject({ htm: 'GET', htu: `${peer.url}/admin/v1/leases`, ath: createHash('sha256').update('e.y.J').digest('base64url') });
      expect([header?.['typ'], Object.keys(header?.['jwk'] as object).sort()]).toEqual(['dpop+jwt', ['crv', 'kty', 'x', 'y']]);
    }
    expect(peer.received.map(({ headers }) => headers.authorization)).toEqual(['DPoP e.y.J', 'DPoP e.y.J', 'DPoP e.y.J']);
  });

  test('is not shown over and over to a server that is never content', async () => {
    const peer = await startPeer(() => wantsNonce);
    const { code } = await runCli(['lease', 'list', '--server', peer.url], { env });
    await peer.close();
    expect([code, peer.received.length]).toEqual([1, 2]);
  });

  test('is nothing for the socket', () => withFolder(async (folder) => {
    const peer = await startPeer(() => NO_LEASES, join(folder, 'admin.sock'));
    const { code } = await runCli(['lease', 'list', '--server', peer.url, '--dpop-key', join(folder, 'nowhere')], { env });
    await peer.close();
    expect(code).toBe(0);
    expect([peer.received[0]?.headers.authorization, peer.received[0]?.headers['dpop']]).toEqual([undefined, undefined]);
  }));
});

describe('a refusal', () => {
  const refuse = async (status: number, body: object) => {
    const peer = await startPeer(() => ({ status, body, headers: { 'content-type': 'application/problem+json' } }));
    const outcome = await runCli(['lease', 'show', 'lse_1', '--server', peer.url], { env: { MAYFLY_ADMIN_TOKEN: 't' } });
    await peer.close();
    return outcome;
  };

  test('says what happened, what to do, and the ids to ask with', async () => {
    const { code, out, err } = await refuse(403, { type: 'about:blank', title: 'Forbidden', status: 403, code: 'admin_denied', detail: 'No policy permits this to you.', mend: 'Ask the owner of the domain.', decision_id: 'dec_1', request_id: 'req_1' });
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err).toBe('error: No policy permits this to you. (admin_denied)\n  decision: dec_1\n  request: req_1\n  next: Ask the owner of the domain.\n');
  });

  test('without a mend still says what to do', async () => {
    expect((await refuse(403, { code: 'admin_denied', decision_id: 'dec_1' })).err).toContain('next: ask why with `mayfly explain dec_1`');
    expect((await refuse(404, { code: 'not_found' })).err).toContain('next: look it up');
    expect((await refuse(503, {})).err).toContain('next: the server cannot reach its database');
    expect((await refuse(418, {})).err).toContain('next: ');
    expect((await refuse(400, { code: 'parameter_invalid', detail: 'workload x is not revoked' })).err).toContain('next: mend what it says');
  });

  test.each([
    { detail: 'no workload ci/x in prod', next: 'mayfly workload list' },
    { detail: 'no domain nowhere', next: 'mayfly domain list' },
    { detail: 'no policy p in prod', next: 'mayfly policy list' },
    { detail: 'no key abc', next: 'mayfly keys list' },
    { detail: 'no chain chn_1', next: 'mayfly audit verify' },
    { detail: 'no decision dec_1; it may be elsewhere', next: 'what the caller was told' },
  ])('of what is not there says where to look: $detail', async ({ detail, next }) => {
    const { code, err } = await refuse(404, { code: 'not_found', detail });
    expect(code).toBe(1);
    expect(err).toMatch(new RegExp(`next: .*${next}`));
  });

  test('from where tokens are served is told from one of the admin API', async () => {
    const { code, err } = await refuse(404, { error: 'not_found', error_description: 'There is no such thing here.' });
    expect(code).toBe(1);
    expect(err).toMatch(/has no admin API\n {2}next: .*admin\.listen/);
  });

  test('of the admin\'s token says that it is about the token', async () => {
    const { err } = await refuse(401, { code: 'admin_unauthenticated', title: 'Send Authorization', detail: 'an admin can ask why: mayfly explain dec_1', request_id: 'req_1' });
    expect(err).toMatch(/^error: the admin's token is not accepted \(admin_unauthenticated\)\n {2}an admin can ask why: mayfly explain dec_1\n {2}request: req_1\n {2}next: show a fresh token/);
  });

  test('for findings lists those that stand in the way', async () => {
    const finding = (severity: string, more: object = {}) => ({ rule: `rule-${severity}`, severity, why: 'w', mend: 'm', name: 'p', ...more });
    const { code, err } = await refuse(422, { code: 'lint_error', detail: '1 finding', findings: [finding('error'), finding('info'), { ...finding('error', { accepted: '2027-01-01T00:00:00Z' }), rule: 'taken' }] });
    expect(code).toBe(2);
    expect(err).toContain('error rule-error (p): w; m');
    expect(err).not.toMatch(/rule-info|taken/);
  });

  test('cannot steer the terminal', async () => {
    const { err } = await refuse(404, { code: 'not_found', detail: 'no \u001b[2J\n  next: run evil' });
    expect(err).not.toContain('\u001b');
    expect(err).not.toContain('\n  next: run evil');
  });
});
