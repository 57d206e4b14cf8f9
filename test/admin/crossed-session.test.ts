import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createRecordAdmin } from '../../src/admin/records.ts';
import type { SessionId } from '../../src/core/ids.ts';
import { ok } from '../../src/core/result.ts';
import type { SessionStanding } from '../../src/store/store.ts';
import { claimsOf } from '../flows/lab.ts';
import { makeIssuance } from '../store/make-rows.ts';
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

  test('is shown as revoked when it is here alone, with the reason that is told here', async () => {
    const { sid } = await cross();
    expect((await plane.devOps('POST', 'revocations', { kind: 'session', id: sid, reason: 'our own' })).status).toBe(200);
    expect((await plane.devOps('GET', `sessions/${sid}`)).body).toMatchObject({ status: 'revoked', because: { reason: 'our own' } });
    expect(await listed(sid)).toBe('revoked');
  });

  test('is shown as ended when it was ended here, whatever became of the other', async () => {
    const { from, sid } = await cross();
    await plane.ops('POST', `sessions/${sid}/end`, { reason: 'done' });
    await plane.ops('POST', 'revocations', { kind: 'session', id: from, reason: 'x' });
    expect((await plane.ops('GET', `sessions/${sid}`)).body).toMatchObject({ status: 'ended', because: { reason: 'done' } });
  });
});

describe('what a session says it came from', () => {
  const NAMES = ['first', 'second', 'third'] as const;
  const idOf = (name: string): SessionId => makeIssuance(name).session.id;
  const standing = (name: string, facts: SessionStanding['session']['facts'], change: Partial<SessionStanding> = {}): SessionStanding =>
    ({ session: { ...makeIssuance(name).session, beganVersion: 1, facts }, revokedBy: undefined, suspendedBy: undefined, ...change });
  /** Each came from the one before it; a fourth, beside the third, is revoked itself. */
  const statusOf = async (first: Partial<SessionStanding>, known: object = { charged: 'x' }): Promise<unknown> => {
    const all = NAMES.map((name, at) => standing(name, at === 0 ? {} : { from: 'https://sts.example', session: idOf(NAMES[at - 1] ?? ''), ...known }, at === 0 ? first : {}));
    const records = createRecordAdmin({
      clock: { now: () => 0 }, authorize: () => Promise.resolve(ok(undefined)), snapshot: { domain: () => undefined, domainById: () => undefined },
      store: {
        sessions: () => Promise.resolve({ items: [...all.slice(2), standing('fourth', { from: 'https://sts.example', session: idOf('second'), ...known }, { revokedBy: 'key:k' })], next: undefined }),
        sessionStandings: (ids: readonly SessionId[]) => Promise.resolve(all.filter(({ session }) => ids.includes(session.id))),
      },
    } as unknown as Parameters<typeof createRecordAdmin>[0]);
    const listing = await records.sessions({ domain: undefined, workload: undefined, session: undefined, active: false, limit: 10, after: undefined }, { kind: 'local' });
    if (!listing.ok) throw new Error(listing.error.detail);
    expect(listing.value.items[1]).toMatchObject({ status: 'revoked', revoked_by: 'key:k' });
    return listing.value.items[0]?.['status'];
  };

  test('counts through every domain it went through', async () => {
    expect([await statusOf({}), await statusOf({ revokedBy: 'domain:d' }), await statusOf({ suspendedBy: 'domain:d' })]).toEqual(['active', 'revoked', 'suspended']);
  });

  test('counts for nothing where another installation says it', async () => {
    expect(await statusOf({ revokedBy: 'domain:d' }, {})).toBe('active');
  });
});
