import { afterAll, beforeAll, expect, test } from '@jest/globals';
import * as client from 'openid-client';
import { GRANT, JWT_TYPE } from '../support/mayfly.ts';
import { API, DEPLOYER, SERVICE, claimsOf, startLab } from './lab.ts';
import type { Lab } from './lab.ts';

let lab: Lab;
beforeAll(async () => { lab = await startLab(); });
afterAll(async () => { await lab.close(); });

const discover = (id: string, authentication: client.ClientAuth = client.None(), algorithm: 'oauth2' | 'oidc' = 'oauth2'): Promise<client.Configuration> =>
  client.discovery(new URL(lab.issuer), id, undefined, authentication, { algorithm, execute: [client.allowInsecureRequests] });
const exchange = (config: client.Configuration, subject_token: string, audience: string, options?: client.DPoPOptions) =>
  client.genericGrantRequest(config, GRANT, { subject_token, subject_token_type: JWT_TYPE, audience, ...(audience === API ? { scope: 'deploy:read' } : {}) }, options);

test.each(['oauth2', 'oidc'] as const)('openid-client finds the domain by its %s metadata, exchanges evidence, introspects and revokes', async (algorithm) => {
  const deployer = await discover(DEPLOYER, client.None(), algorithm);
  expect(deployer.serverMetadata()).toMatchObject({ issuer: lab.issuer, token_endpoint: `${lab.issuer}/token` });
  const { access_token: token, scope } = await exchange(deployer, lab.job(), API);
  expect(scope).toBe('deploy:read');

  const own = await exchange(await discover(SERVICE), lab.service(), `${lab.issuer}/introspect`);
  const service = await discover(SERVICE, (_server, _client, _body, headers) => { headers.set('authorization', `Bearer ${own.access_token}`); });
  expect(await client.tokenIntrospection(service, token)).toMatchObject({ active: true, sub: DEPLOYER, scope: 'deploy:read' });
  await client.tokenRevocation(deployer, token);
  expect(await client.tokenIntrospection(service, token)).toEqual({ active: false });
});

test('openid-client takes our nonce and gets a bound token', async () => {
  const config = await discover(DEPLOYER);
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));
  const answer = await exchange(config, lab.job(), API, { DPoP });
  expect(answer.token_type).toBe('dpop');
  expect(claimsOf(answer.access_token)).toMatchObject({ cnf: { jkt: await DPoP.calculateThumbprint() } });
});

test('openid-client tells what was refused', async () => {
  const config = await discover(DEPLOYER);
  await expect(exchange(config, lab.job({ aud: 'https://other.example' }), API)).rejects.toMatchObject({ error: 'invalid_request', status: 400 });
  await expect(exchange(config, lab.job(), 'https://nowhere.example')).rejects.toMatchObject({ error: 'invalid_target', status: 400 });
});
