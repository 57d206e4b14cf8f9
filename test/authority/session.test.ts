import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { HOUR, SECOND } from '../../src/core/duration.ts';
import type { HopId, IssuerId, SessionId, WorkloadId } from '../../src/core/ids.ts';
import { MAX_SESSION_AGE, joinHop, joinSession, openRootHop, openSession, sessionId, sessionPath } from '../../src/authority/session.ts';
import type { AuthorityModel } from '../../src/registry/entries.ts';
import { API, BILLING, NOW, OWNER, deployer, domain, evidence, session, workload } from '../exchange/world.ts';

const opened = openSession(domain, deployer, evidence(), NOW);
const CEILING = [{ audience: API, scopes: ['deploy:read'] }];
const root = openRootHop(opened, deployer, null, CEILING, NOW);

describe('the id of a session', () => {
  const [A, B, C, D] = ['dom_1', 'iss_1', 'wkl_1', '815/1/1'];
  test('is the first 128 bits of a hash over domain, issuer, workload and anchor, so that every node computes the same', () => {
    const hash = createHash('sha256').update(['dom_1', 'iss_1', 'wkl_1', '815/1/1'].join('\0')).digest();
    expect(sessionId(A, B, C, D)).toBe(hash.subarray(0, 16).toString('base64url'));
    expect(opened.id).toBe(sessionId(domain.id, evidence().issuerId, deployer.id, evidence().anchor));
  });

  test.each([
    { name: 'another domain', id: sessionId('dom_2', B, C, D) },
    { name: 'another issuer', id: sessionId(A, 'iss_2', C, D) },
    { name: 'another workload', id: sessionId(A, B, 'wkl_2', D) },
    { name: 'another run', id: sessionId(A, B, C, '815/1/2') },
    { name: 'a workload in the issuer\'s place', id: sessionId(A, C, B, D) },
    { name: 'an anchor that begins in the workload', id: sessionId(A, B, 'wkl_18', '15/1/1') },
  ])('is another with $name', ({ id }) => {
    expect(id).not.toBe(sessionId(A, B, C, D));
  });

  test('is never shared by two that differ', () => {
    const part = fc.stringMatching(/^[a-z0-9_]{1,6}$/);
    const whole = fc.tuple(part, part, part, fc.string({ maxLength: 6 }));
    fc.assert(fc.property(whole, whole, (one, other) => { expect(sessionId(...one) === sessionId(...other)).toBe(one.join('\0') === other.join('\0')); }));
  });
});

describe('a session that is opened', () => {
  test('belongs to the run the evidence names, and its workload\'s owner answers for it', () => {
    expect(opened).toEqual({
      id: opened.id, domainId: domain.id, issuerId: evidence().issuerId, workloadId: deployer.id, model: 'bounded', principal: OWNER, anchor: evidence().anchor, startedAt: NOW, expiresAt: NOW + 12 * HOUR, endedAt: null,
    });
  });

  test.each<{ readonly model: AuthorityModel; readonly hours: number }>([{ model: 'bounded', hours: 12 }, { model: 'delegated', hours: 12 }, { model: 'autonomous', hours: 24 }])('of a $model workload lives $hours hours', ({ model, hours }) => {
    expect([MAX_SESSION_AGE[model], openSession(domain, workload({ authority: model }), evidence(), NOW).expiresAt]).toEqual([hours * HOUR, NOW + hours * HOUR]);
  });

  test.each([
    { name: 'its workload expires sooner', expires: NOW + HOUR, end: NOW + HOUR },
    { name: 'its workload expires a second after it', expires: NOW + 12 * HOUR + SECOND, end: NOW + 12 * HOUR },
    { name: 'its workload expires a second before it', expires: NOW + 12 * HOUR - SECOND, end: NOW + 12 * HOUR - SECOND },
  ])('ends with what ends first: $name', ({ expires, end }) => {
    expect(openSession(domain, workload({ expires }), evidence(), NOW).expiresAt).toBe(end);
  });
});

describe('a session that is joined', () => {
  test('keeps all it was', () => { expect(joinSession(session, deployer)).toEqual(session); });
  test('ends with its workload, should that have been given an earlier end since, and not later for a later one', () => {
    expect([joinSession(session, { expires: NOW }).expiresAt, joinSession(session, { expires: session.expiresAt + HOUR }).expiresAt]).toEqual([NOW, session.expiresAt]);
  });
});

test('a session falls with its domain, its issuer, its workload or by itself', () => {
  expect(sessionPath({ id: 'S' as SessionId, domainId: domain.id, issuerId: 'iss_9' as IssuerId, workloadId: 'wkl_9' as WorkloadId })).toEqual([`domain:${domain.id}`, 'issuer:iss_9', 'workload:wkl_9', 'session:S']);
});

describe('the first hop of a session', () => {
  test('is the workload itself, with the ceiling that was decided, on the session\'s path and until its end', () => {
    expect(root).toEqual({
      id: root.id, sessionId: opened.id, parentId: null, actor: deployer.spiffeId, workloadId: deployer.id, jkt: null, ceiling: CEILING, depth: 0, path: [...sessionPath(opened), `hop:${root.id}`], createdAt: NOW, expiresAt: opened.expiresAt,
    });
    expect(root.id).toMatch(/^hop_[0-9a-f]{32}$/);
  });

  test('is the same whoever asks for the same, and whenever', () => {
    expect(openRootHop(joinSession(session, deployer), deployer, null, [{ audience: API, scopes: ['deploy:read'] }], NOW + HOUR).id).toBe(root.id);
  });

  test.each([
    { name: 'another ceiling', id: openRootHop(opened, deployer, null, [{ audience: API, scopes: ['deploy:read', 'deploy:write'] }], NOW).id },
    { name: 'another audience', id: openRootHop(opened, deployer, null, [{ audience: BILLING, scopes: ['deploy:read'] }], NOW).id },
    { name: 'no scope', id: openRootHop(opened, deployer, null, [{ audience: API, scopes: [] }], NOW).id },
    { name: 'a key', id: openRootHop(opened, deployer, 'thumbprint', CEILING, NOW).id },
    { name: 'another key', id: openRootHop(opened, deployer, 'thumbprint-2', CEILING, NOW).id },
    { name: 'another workload', id: openRootHop(opened, workload({ spiffeId: `${deployer.spiffeId}2` as typeof deployer.spiffeId }), null, CEILING, NOW).id },
    { name: 'another session', id: openRootHop({ ...opened, id: 'AAAAAAAAAAAAAAAAAAAAAA' as SessionId }, deployer, null, CEILING, NOW).id },
  ])('is another with $name', ({ id }) => {
    expect(id).not.toBe(root.id);
  });

  test('joins the one that is there, as it is there, and no other', () => {
    const there = { ...root, expiresAt: NOW + SECOND };
    expect(joinHop(root, [{ ...root, id: 'hop_x' as HopId }, there])).toBe(there);
    expect(joinHop(root, [{ ...root, id: 'hop_x' as HopId }])).toBe(root);
    expect(joinHop(root, [])).toBe(root);
  });
});
