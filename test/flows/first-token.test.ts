import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { API, DEPLOYER, OTHER_API, startWorld } from '../support/world.ts';
import type { World } from '../support/world.ts';
import { ACCESS_TOKEN_TYPE } from '../support/mayfly.ts';

let world: World;
beforeAll(async () => { world = await startWorld(); });
afterAll(async () => { await world.close(); });

describe('one CI job', () => {
  test('exchanges its platform token for a scoped token that jose verifies through discovery', async () => {
    const answer = await world.mayfly.exchange({ subject_token: await world.evidence(), audience: API, scope: 'deploy:read deploy:write' });
    expect(answer.body).toMatchObject({ token_type: 'Bearer', issued_token_type: ACCESS_TOKEN_TYPE, expires_in: 300, scope: 'deploy:read deploy:write' });
    expect(answer.headers['cache-control']).toBe('no-store');
    const issuer = `${world.mayfly.url}/dev`;
    const metadata = await (await fetch(`${world.mayfly.url}/.well-known/oauth-authorization-server/dev`)).json() as { issuer: string; jwks_uri: string };
    expect(metadata.issuer).toBe(issuer);
    const { payload } = await jwtVerify(String(answer.body['access_token']), createRemoteJWKSet(new URL(metadata.jwks_uri)), { issuer, audience: API, typ: 'at+jwt', algorithms: ['ES256'] });
    expect(payload).toMatchObject({ sub: DEPLOYER, client_id: DEPLOYER, scope: 'deploy:read deploy:write', authority: { model: 'bounded', principal: 'payments@acme.example', depth: 0 } });
    const lease = await world.mayfly.admin('GET', `leases/${String(payload.jti)}`);
    expect(lease.body).toMatchObject({ status: 'active', workload: 'ci/deployer', audience: API, owner: 'payments@acme.example' });
  });

  test('cannot use its platform token twice', async () => {
    const subject_token = await world.evidence();
    expect((await world.mayfly.exchange({ subject_token, audience: API })).status).toBe(200);
    const again = await world.mayfly.exchange({ subject_token, audience: API });
    expect(again.body['error']).toBe('invalid_request');
    expect(await world.mayfly.reason(again)).toBe('evidence_replayed');
  });

  test('gets the same answer for a target that does not exist and one that is not permitted', async () => {
    const unknown = await world.mayfly.exchange({ subject_token: await world.evidence(), audience: 'https://nowhere.example' });
    const forbidden = await world.mayfly.exchange({ subject_token: await world.evidence(), audience: OTHER_API });
    expect(await world.mayfly.reason(unknown)).toBe('target_unknown');
    expect(await world.mayfly.reason(forbidden)).toBe('target_denied');
    const { decision_id: _a, ...shownUnknown } = unknown.body;
    const { decision_id: _b, ...shownForbidden } = forbidden.body;
    expect(shownUnknown).toEqual(shownForbidden);
  });

  test('leaves out the scope it is not permitted, and says so', async () => {
    const answer = await world.mayfly.exchange({ subject_token: await world.evidence(), audience: API, scope: 'deploy:read deploy:admin' });
    expect(answer.body['scope']).toBe('deploy:read');
  });

  test('of another repository is no workload', async () => {
    const answer = await world.mayfly.exchange({ subject_token: await world.evidence('other-repository'), audience: API });
    expect(await world.mayfly.reason(answer)).toBe('workload_unknown');
  });

  test('that runs a stranger\'s change is refused by its event', async () => {
    const answer = await world.mayfly.exchange({ subject_token: await world.evidence('pull-request-target'), audience: API });
    expect(await world.mayfly.reason(answer)).toBe('evidence_event_not_allowed');
  });
});
