import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { claimsOf } from '../flows/lab.ts';
import type { Answer } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { apiOf, startPlane } from './plane.ts';
import type { Plane } from './plane.ts';

const SESSION_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const JWT_TYPE = 'urn:ietf:params:oauth:token-type:jwt';
const HERE = 'spiffe://dev.127.0.0.1/ci';

let plane: Plane;
let dev: string;
beforeAll(async () => {
  plane = await startPlane();
  dev = `${plane.mayfly.url}/dev`;
  const common = { owner: OWNER, expires: FAR };
  const policy = (domain: string, name: string, cedar: string): object => ({ domain, name, cedar, ...common });
  await plane.mayfly.apply({
    issuers: [{ domain: 'dev', name: 'other', kind: 'mayfly', proves: 'domains', issuer: `${plane.mayfly.url}/other`, stage: 'development', ...common }],
    resources: [{ domain: 'other', audience: dev, provider: 'domain', ...common }],
    policies: [
      policy('other', 'leaves', `permit(principal == Workload::"spiffe://other.127.0.0.1/ci", action in [Action::"issue", Action::"delegate"], resource == Resource::"${dev}");`),
      policy('dev', 'comes', `permit(principal == Workload::"${HERE}", action in [Action::"cross", Action::"act"], resource in Resource::"${apiOf('dev')}");`),
    ],
  });
});
afterAll(async () => { await plane.close(); });

const tokenIn = ({ body }: Answer): string => String(body['access_token']);

/** A chain of `other` that went on in `dev`: its session there and here, and what it got here. */
const cross = async (): Promise<{ readonly from: string; readonly sid: string; readonly lease: string }> => {
  const own = tokenIn(await plane.mayfly.exchange({ subject_token: plane.evidence('other'), authorization_details: JSON.stringify([{ type: 'urn:mayfly:ceiling', audience: dev, scopes: [] }]) }, {}, 'other'));
  const crossing = tokenIn(await plane.mayfly.exchange({ subject_token: own, subject_token_type: SESSION_TOKEN, audience: dev, requested_actor: HERE }, {}, 'other'));
  const token = tokenIn(await plane.mayfly.exchange({ subject_token: crossing, actor_token: plane.evidence('dev'), actor_token_type: JWT_TYPE, audience: apiOf('dev'), scope: 'read' }));
  return { from: String(claimsOf(own)['sid']), sid: String(claimsOf(token)['sid']), lease: String(claimsOf(token)['jti']) };
};
const listed = async (sid: string): Promise<unknown> =>
  ((await plane.ops('GET', 'sessions?domain=dev')).body['items'] as readonly Readonly<Record<string, unknown>>[]).find(({ id }) => id === sid)?.['status'];

describe('a session that came from another trust domain', () => {
  test('is shown as revoked when the one it came from is, and why is told to whoever may see that domain', async () => {
    const { from, sid, lease } = await cross();
    expect([(await plane.devOps('GET', `sessions/${sid}`)).body['status'], await listed(sid)]).toEqual(['active', 'active']);
    expect((await plane.ops('POST', 'revocations', { kind: 'session', id: from, reason: 'what other keeps to itself' })).status).toBe(200);

    const shown = (await plane.ops('GET', `sessions/${sid}`)).body;
    expect([shown['status'], await listed(sid), (await plane.ops('GET', `leases/${lease}`)).body['status']]).toEqual(['revoked', 'revoked', 'revoked']);
    expect(shown).toMatchObject({ revoked_by: `session:${from}`, because: { target: `session:${from}`, reason: 'what other keeps to itself' }, hops: [{ status: 'revoked', because: { reason: 'what other keeps to itself' } }] });

    const confined = await plane.devOps('GET', `sessions/${sid}`);
    expect(confined.body).toMatchObject({ status: 'revoked', because: { target: `session:${from}`, by: 'another trust domain' }, hops: [{ status: 'revoked', because: { by: 'another trust domain' } }] });
    expect(JSON.stringify(confined.body)).not.toContain('keeps to itself');
  });

  test('is shown as ended when it was ended here, whatever became of the other', async () => {
    const { from, sid } = await cross();
    await plane.ops('POST', `sessions/${sid}/end`, { reason: 'done' });
    await plane.ops('POST', 'revocations', { kind: 'session', id: from, reason: 'x' });
    expect((await plane.ops('GET', `sessions/${sid}`)).body).toMatchObject({ status: 'ended', because: { reason: 'done' } });
  });
});
