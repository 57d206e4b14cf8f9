import { describe, expect, test } from '@jest/globals';
import { sha256url } from '../../src/core/bytes.ts';
import { decisionOf } from '../../src/core/ids.ts';
import type { IssuedCredential } from '../../src/credentials/provider.ts';
import { describeIssuance } from '../../src/exchange/issuance.ts';
import type { IssuanceFacts } from '../../src/exchange/issuance.ts';
import { API, BILLING, ISSUER_ID, LEASE, NOW, OWNER, PEOPLE_ID, api, caller, deployer, domain, hop, other, person, session, viewOf } from './world.ts';

const issued: IssuedCredential = { kind: 'access_token', issuedTokenType: 't', tokenType: 'Bearer', credential: 'the.secret.credential', kid: 'kid-7', expiresAt: NOW + 1000, handle: 'the secret handle' };
const PAIRS = [{ audience: API, scopes: ['deploy:read', 'deploy:write'] }];
const describeOne = (change: Partial<IssuanceFacts> = {}) => describeIssuance({
  caller: caller(), hop, view: viewOf(), aim: { kind: 'resource', ask: { resource: api, scopes: ['deploy:read', 'deploy:write', 'deploy:admin'] } }, pairs: PAIRS, leaseId: LEASE,
  decision: { asked: 'x' }, issued, sealedHandle: undefined, issuedAt: NOW, binding: undefined, handsOnTo: undefined, requestId: 'req_1', ...change,
});

describe('the rows of an exchange', () => {
  test('of a resource token say who, for what, on whose authority, by which key, until when', () => {
    const { session: row, hop: hopRow, lease, proofs } = describeOne();
    expect([row, hopRow, proofs]).toEqual([caller().session, hop, []]);
    expect(lease).toEqual({
      id: LEASE, kind: 'access_token', domainId: domain.id, sessionId: session.id, hopId: hop.id, workloadId: deployer.id, owner: OWNER, issuerId: ISSUER_ID, resourceId: api.id,
      audience: API, scope: 'deploy:read deploy:write', ceiling: [], decision: { asked: 'x' }, replayKey: 'replay-1', replayUntil: caller().replayUntil, credentialHash: sha256url(issued.credential),
      kid: 'kid-7', jkt: null, statusList: null, statusIndex: null, handle: null, handleKekId: null, issuedAt: NOW, expiresAt: NOW + 1000,
    });
  });

  test('rest on the words they are issued on, and on none where nobody was asked', () => {
    const words = [{ targets: ['person:urn:mayfly:prod:person:corp:bob'], at: NOW - 1 }] as const;
    expect(describeOne({ words }).words).toEqual(words);
    expect([describeOne(), describeOne({ words: [] })].map((issuance) => issuance.words)).toEqual([undefined, undefined]);
  });

  test('of a session token hold its ceiling, no scope, and no resource', () => {
    const pairs = [...PAIRS, { audience: BILLING, scopes: [] }];
    const { lease } = describeOne({ aim: { kind: 'session', asks: [], renews: false }, pairs, issued: { ...issued, kind: 'session_token' } });
    expect(lease).toMatchObject({ kind: 'session_token', resourceId: null, audience: domain.issuer, scope: '', ceiling: pairs });
  });

  test('name the session it is in and what ends when, in the audit log as well', () => {
    const { audit } = describeOne();
    expect(audit).toEqual({
      at: NOW, action: 'exchange.issued', domainId: domain.id,
      body: {
        lease: LEASE, kind: 'access_token', decision: decisionOf(LEASE), session: session.id, hop: hop.id, workload: deployer.spiffeId, owner: OWNER, principal: OWNER,
        audience: API, scope: 'deploy:read deploy:write', expires: NOW + 1000, hash: sha256url(issued.credential), request: 'req_1',
      },
    });
  });

  test('hold the hash of the credential, and neither it nor its handle in clear', () => {
    const rows = JSON.stringify(describeOne({ sealedHandle: { sealed: 'sealed', kekId: 'kek-1' } }));
    expect(rows).toContain(sha256url(issued.credential));
    expect(rows).toContain('"handle":"sealed","handleKekId":"kek-1"');
    expect(rows).not.toContain('secret');
  });

  test('consume the proof of possession together with the evidence', () => {
    const { lease, proofs } = describeOne({ binding: { jkt: 'thumbprint', replayKey: 'proof-1', replayUntil: NOW + 5 } });
    expect([lease.jkt, lease.replayKey, proofs]).toEqual(['thumbprint', 'replay-1', [{ key: 'proof-1', until: NOW + 5 }]]);
  });

  test('consume what else was shown once, beside the proof', () => {
    const proofs = [{ key: 'their token', until: NOW + 7 }];
    expect(describeOne({ caller: caller({ proofs }) }).proofs).toEqual(proofs);
    expect(describeOne({ caller: caller({ proofs }), binding: { jkt: 'thumbprint', replayKey: 'proof-1', replayUntil: NOW + 5 } }).proofs).toEqual([...proofs, { key: 'proof-1', until: NOW + 5 }]);
  });

  test('of what is handed on are bound to no key, though one was proven, and say to whom', () => {
    const { lease, proofs, audit } = describeOne({ aim: { kind: 'session', asks: [], renews: false }, issued: { ...issued, kind: 'handover_token' }, handsOnTo: other.spiffeId, binding: { jkt: 'thumbprint', replayKey: 'proof-1', replayUntil: NOW + 5 } });
    expect([lease.kind, lease.jkt, proofs, audit.body['handed_on_to']]).toEqual(['handover_token', null, [{ key: 'proof-1', until: NOW + 5 }], other.spiffeId]);
  });

  test('name the issuer whose evidence was shown, which need not be the session\'s', () => {
    expect(describeOne({ caller: caller({ issuerId: PEOPLE_ID }) }).lease.issuerId).toBe(PEOPLE_ID);
  });

  test('of a run hold the commit to nothing more', () => {
    const rows = describeOne();
    expect([rows.login, rows.fresh, rows.charge]).toEqual([undefined, undefined, undefined]);
  });

  test('of a login hold it to the person and to how fresh it is; what was shown now makes it fresher, what is stored does not', () => {
    const login = { person: person().urn, authTime: NOW - 9 };
    const of = (shown: boolean) => describeOne({ caller: caller({ session: { ...session, model: 'delegated' }, login, freshness: { at: NOW - 9, shown, within: 100 } }) });
    expect([of(true).login, of(true).fresh, of(false).fresh, of(true).charge]).toEqual([login, { at: NOW - 9, after: NOW - 100 }, { at: null, after: NOW - 100 }, undefined]);
  });

  test.each([
    { name: 'its agent and its resource', aim: { kind: 'resource', ask: { resource: api, scopes: [] } }, charge: { agent: deployer.spiffeId, resource: API } },
    { name: 'its agent alone, where it is a session token', aim: { kind: 'session', asks: [], renews: true }, charge: { agent: deployer.spiffeId, resource: undefined } },
  ] as const)('of a task are charged $name', ({ aim, charge }) => {
    expect(describeOne({ caller: caller({ session: { ...session, model: 'autonomous' } }), aim }).charge).toEqual({ session: session.id, ...charge });
  });

  test('consume nothing for evidence that is good more than once', () => {
    expect(describeOne({ caller: caller({ replayKey: null, replayUntil: null }) }).lease).toMatchObject({ replayKey: null, replayUntil: null });
  });

  test('name no key where none of ours signed', () => {
    expect(describeOne({ issued: { ...issued, kid: undefined } }).lease.kid).toBeNull();
  });
});
