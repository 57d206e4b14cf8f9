import { beforeAll, describe, expect, test } from '@jest/globals';
import { MINUTE } from '../../src/core/duration.ts';
import type { SpiffeId } from '../../src/core/ids.ts';
import { signSessionToken, SESSION_TOKEN_SECONDS } from '../../src/exchange/session-token.ts';
import type { Ticket } from '../../src/exchange/mint.ts';
import type { KeyRing } from '../../src/keys/key-ring.ts';
import { verifyToken } from '../../src/tokens/verify.ts';
import { makeOrder } from '../credentials/make-order.ts';
import { makeRing } from '../keys/make-ring.ts';
import { API, BILLING, NOW, codeOf, domain, person, valueOf } from './world.ts';

let ring: KeyRing;
let kid: string;
beforeAll(async () => {
  const made = await makeRing();
  ring = made.ring;
  kid = made.keys[0]?.kid ?? '';
});

const { resource: _resource, scopes: _scopes, ...rest } = makeOrder();
const ticket = (change: Partial<Ticket> = {}): Ticket => ({ ...rest, domain, handsOnTo: undefined, ...change });
const CEILING = [{ audience: API, scopes: ['deploy:read'] }, { audience: BILLING, scopes: [] }];
const STATUS = { list: 'list-1', index: 3, uri: `${domain.issuer}/status/list-1` };
const proof = { jkt: 'A'.repeat(43), replayKey: 'proof', replayUntil: NOW };

describe('a session token', () => {
  test('is for the domain\'s own issuer, with the ceiling it may be exchanged within, and verifies as nothing else', async () => {
    const issued = valueOf(signSessionToken(ticket(), CEILING, ring, STATUS));
    expect(issued).toMatchObject({ kind: 'session_token', issuedTokenType: 'urn:ietf:params:oauth:token-type:access_token', tokenType: 'Bearer', kid, expiresAt: rest.expiresAt, handle: undefined, status: STATUS });
    const context = { issuer: domain.issuer, ring, now: NOW };
    const { claims, kind } = valueOf(await verifyToken(issued.credential, { kind: 'session' }, context));
    expect({ kind, ...claims }).toMatchObject({
      kind: 'session', aud: domain.issuer, jti: rest.leaseId, sid: rest.sessionId, client_id: rest.workload.spiffeId, sub: rest.subject.sub, exp: NOW / 1000 + SESSION_TOKEN_SECONDS,
      status: { status_list: { idx: 3, uri: STATUS.uri } }, authorization_details: CEILING.map((pair) => ({ type: 'urn:mayfly:ceiling', ...pair })), authority: { model: 'bounded', principal: rest.subject.principal, depth: 0 },
    });
    expect(claims).not.toHaveProperty('scope');
    expect(claims).not.toHaveProperty('cnf');
    expect(codeOf(await verifyToken(issued.credential, { kind: 'audience', audience: API }, context))).toBe('token_audience_wrong');
  });

  test('is bound to the key that was proven', async () => {
    const issued = valueOf(signSessionToken(ticket({ binding: proof }), CEILING, ring, STATUS));
    expect(issued.tokenType).toBe('DPoP');
    expect(valueOf(await verifyToken(issued.credential, { kind: 'session' }, { issuer: domain.issuer, ring, now: NOW })).jkt).toBe(proof.jkt);
  });

  test('says for whom it is and who acts, since when they are logged in, and how', async () => {
    const act = { iss: domain.issuer, sub: rest.workload.spiffeId, act: { iss: domain.issuer, sub: 'spiffe://prod.acme.example/agents/planner' } };
    const subject = { ...rest.subject, sub: person().urn, act, model: 'delegated', principal: person().urn, depth: 1, authTime: NOW - MINUTE, acr: 'mfa' };
    const { claims } = valueOf(await verifyToken(valueOf(signSessionToken(ticket({ subject }), CEILING, ring, STATUS)).credential, { kind: 'session' }, { issuer: domain.issuer, ring, now: NOW }));
    expect(claims).toMatchObject({ sub: person().urn, client_id: rest.workload.spiffeId, act, auth_time: NOW / 1000 - 60, acr: 'mfa', authority: { model: 'delegated', principal: person().urn, depth: 1 } });
    expect(claims).not.toHaveProperty('may_act');
  });

  test('that is handed on names who may act, is another kind of lease, and is bound to no key, whoever proved one', async () => {
    const child = 'spiffe://prod.acme.example/agents/child' as SpiffeId;
    const issued = valueOf(signSessionToken(ticket({ handsOnTo: child, binding: proof }), CEILING, ring, STATUS));
    expect(issued).toMatchObject({ kind: 'handover_token', tokenType: 'Bearer' });
    const { claims, jkt } = valueOf(await verifyToken(issued.credential, { kind: 'session' }, { issuer: domain.issuer, ring, now: NOW }));
    expect([jkt, claims.may_act, claims.client_id, claims.aud]).toEqual([undefined, { iss: domain.issuer, sub: child }, rest.workload.spiffeId, domain.issuer]);
    expect(claims).not.toHaveProperty('cnf');
  });

  test('lives five minutes, and less where it was ordered so', async () => {
    expect(SESSION_TOKEN_SECONDS).toBe(300);
    const issued = valueOf(signSessionToken(ticket({ expiresAt: NOW + MINUTE }), CEILING, ring, STATUS));
    const at = async (now: number): Promise<string> => codeOf(await verifyToken(issued.credential, { kind: 'session' }, { issuer: domain.issuer, ring, now }));
    expect([issued.expiresAt, await at(NOW + MINUTE - 1), await at(NOW + MINUTE)]).toEqual([NOW + MINUTE, 'accepted', 'token_expired']);
  });

  test('is refused when the domain has no key to sign with', () => {
    expect(codeOf(signSessionToken(ticket(), CEILING, { current: () => undefined }, STATUS))).toBe('domain_not_ready');
  });
});
