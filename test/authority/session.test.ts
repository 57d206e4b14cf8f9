import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { HOUR, SECOND } from '../../src/core/duration.ts';
import type { HopId, IssuerId, SessionId, WorkloadId } from '../../src/core/ids.ts';
import { endOf, freshnessOf, isStale, joinHop, joinSession, loginFacts, openChildHop, openLogin, openRootHop, openRun, openTask, sessionId, sessionPath } from '../../src/authority/session.ts';
import type { Target } from '../../src/store/rows.ts';
import { API, BILLING, ISSUER_ID, LEASE, NOW, OWNER, PEOPLE_ID, deployer, domain, evidence, linkOf, newHop, other, person, placeOf, session, workload } from '../exchange/world.ts';

const opened = openRun(domain, deployer, evidence(), NOW);
const CEILING = [{ audience: API, scopes: ['deploy:read'] }];
const root = openRootHop(opened, newHop({ ceiling: CEILING }), NOW);
const ALICE = person().urn;
const login = openLogin(domain, person(), NOW);
const task = openTask(domain, deployer, ALICE, evidence(), 'once', 'mend the tests', NOW);

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

describe('a run\'s session', () => {
  test('belongs to the run the evidence names, and its workload\'s owner answers for it', () => {
    expect(opened).toEqual({
      id: opened.id, domainId: domain.id, issuerId: evidence().issuerId, holder: deployer.id, model: 'bounded', principal: OWNER, anchor: evidence().anchor, facts: {}, startedAt: NOW, expiresAt: NOW + 12 * HOUR, endedAt: null, freshAt: null,
    });
  });

  test.each([
    { name: 'its workload expires sooner', expires: NOW + HOUR, end: NOW + HOUR },
    { name: 'its workload expires a second after it', expires: NOW + 12 * HOUR + SECOND, end: NOW + 12 * HOUR },
    { name: 'its workload expires a second before it', expires: NOW + 12 * HOUR - SECOND, end: NOW + 12 * HOUR - SECOND },
  ])('ends with what ends first: $name', ({ expires, end }) => {
    expect(openRun(domain, workload({ expires }), evidence(), NOW).expiresAt).toBe(end);
  });
});

describe('a person\'s session', () => {
  test('belongs to one login, is the same whichever agent comes, and the person answers for it', () => {
    expect(login).toEqual({
      id: sessionId(domain.id, PEOPLE_ID, ALICE, person().anchor), domainId: domain.id, issuerId: PEOPLE_ID, holder: ALICE, model: 'delegated', principal: ALICE, anchor: person().anchor,
      facts: { issuer: 'corp', subject: 'alice', groups: ['engineering'], acr: 'mfa' }, startedAt: NOW, expiresAt: NOW + 12 * HOUR, endedAt: null, freshAt: person().authTime,
    });
    expect(openLogin(domain, person({ anchor: 'sid.other' }), NOW).id).not.toBe(login.id);
    expect(openLogin(domain, person({ clientId: 'other-app', authTime: NOW }), NOW).id).toBe(login.id);
  });

  test('keeps no level of assurance that was not told', () => {
    expect(loginFacts(person({ acr: undefined }))).toEqual({ issuer: 'corp', subject: 'alice', groups: ['engineering'] });
  });
});

describe('a task', () => {
  test('belongs to its workload, for a purpose, and the person named in the registration answers for it', () => {
    expect(task).toEqual({
      id: sessionId(domain.id, ISSUER_ID, deployer.id, 'task.once'), domainId: domain.id, issuerId: ISSUER_ID, holder: deployer.id, model: 'autonomous', principal: ALICE, anchor: 'task.once',
      facts: { purpose: 'mend the tests', opened_by: 'exchange' }, startedAt: NOW, expiresAt: NOW + 24 * HOUR, endedAt: null, freshAt: NOW,
    });
    expect(openTask(domain, workload({ expires: NOW + HOUR }), ALICE, evidence(), 'once', '', NOW).expiresAt).toBe(NOW + HOUR);
  });

  test('never is the session of a run, though both were opened by the same evidence', () => {
    expect(openTask(domain, deployer, ALICE, evidence(), evidence().anchor, '', NOW).id).not.toBe(opened.id);
  });
});

test('a domain says how long sessions of each model live', () => {
  const limits = { ...domain.limits, sessionAge: { bounded: HOUR, delegated: 2 * HOUR, autonomous: 3 * HOUR } };
  const short = { ...domain, limits };
  expect([openRun(short, deployer, evidence(), NOW), openLogin(short, person(), NOW), openTask(short, deployer, ALICE, evidence(), 'once', '', NOW)].map(({ expiresAt }) => expiresAt)).toEqual([NOW + HOUR, NOW + 2 * HOUR, NOW + 3 * HOUR]);
});

describe('a session that is joined', () => {
  test('keeps all it was', () => { expect(joinSession(session, deployer)).toEqual(session); });
  test('ends with its workload, should that have been given an earlier end since, and not later for a later one', () => {
    expect([joinSession(session, { id: deployer.id, expires: NOW }).expiresAt, joinSession(session, { id: deployer.id, expires: session.expiresAt + HOUR }).expiresAt]).toEqual([NOW, session.expiresAt]);
  });
  test('does not end with an actor whose session it is not', () => {
    expect(joinSession(session, { id: other.id, expires: NOW })).toEqual(session);
    expect(joinSession({ ...login, beganVersion: 5 }, { id: deployer.id, expires: NOW }).expiresAt).toBe(login.expiresAt);
  });
});

describe('a session falls', () => {
  const base = { id: 'S' as SessionId, domainId: domain.id, issuerId: 'iss_9' as IssuerId, principal: 'someone' };
  test.each<{ readonly name: string; readonly of: Parameters<typeof sessionPath>[0]; readonly path: readonly Target[] }>([
    { name: 'of a run, with its workload', of: { ...base, model: 'bounded', holder: 'wkl_9' as WorkloadId }, path: ['workload:wkl_9'] },
    { name: 'of a person, with the person', of: { ...base, model: 'delegated', holder: ALICE, principal: ALICE }, path: [`person:${ALICE}`] },
    { name: 'of a task, with its workload and with who is accountable for it', of: { ...base, model: 'autonomous', holder: 'wkl_9' as WorkloadId, principal: ALICE }, path: ['workload:wkl_9', `person:${ALICE}`] },
  ])('$name, as with its domain, its issuer or by itself', ({ of, path }) => {
    expect(sessionPath(of)).toEqual([`domain:${domain.id}`, 'issuer:iss_9', ...path, 'session:S']);
  });
});

describe('the first hop of a session', () => {
  test('is the workload itself, with the ceiling that was decided, on the session\'s path and until its end', () => {
    expect(root).toEqual({
      id: root.id, sessionId: opened.id, parentId: null, actor: deployer.spiffeId, workloadId: deployer.id, jkt: null, ceiling: CEILING, depth: 0, chain: [placeOf()], path: [...sessionPath(opened), `hop:${root.id}`], createdAt: NOW, expiresAt: opened.expiresAt,
    });
    expect(root.id).toMatch(/^hop_[0-9a-f]{32}$/);
  });

  test('of a person\'s session rests on the agent and the issuer of its evidence as well, and ends with the agent', () => {
    const hop = openRootHop(login, newHop({ workload: workload({ expires: NOW + HOUR }) }), NOW);
    expect(hop.path).toEqual([`domain:${domain.id}`, `issuer:${PEOPLE_ID}`, `person:${ALICE}`, `session:${login.id}`, `issuer:${ISSUER_ID}`, `workload:${deployer.id}`, `hop:${hop.id}`]);
    expect(hop.expiresAt).toBe(NOW + HOUR);
  });

  test('is the same whoever asks for the same, and whenever', () => {
    expect(openRootHop(joinSession(session, deployer), newHop({ ceiling: [{ audience: API, scopes: ['deploy:read'] }] }), NOW + HOUR).id).toBe(root.id);
  });

  test.each([
    { name: 'another ceiling', id: openRootHop(opened, newHop({ ceiling: [{ audience: API, scopes: ['deploy:read', 'deploy:write'] }] }), NOW).id },
    { name: 'another audience', id: openRootHop(opened, newHop({ ceiling: [{ audience: BILLING, scopes: ['deploy:read'] }] }), NOW).id },
    { name: 'no scope', id: openRootHop(opened, newHop({ ceiling: [{ audience: API, scopes: [] }] }), NOW).id },
    { name: 'a key', id: openRootHop(opened, newHop({ jkt: 'thumbprint', ceiling: CEILING }), NOW).id },
    { name: 'another key', id: openRootHop(opened, newHop({ jkt: 'thumbprint-2', ceiling: CEILING }), NOW).id },
    { name: 'another workload', id: openRootHop(opened, newHop({ workload: workload({ spiffeId: `${deployer.spiffeId}2` as typeof deployer.spiffeId }), ceiling: CEILING }), NOW).id },
    { name: 'evidence of another issuer', id: openRootHop(opened, newHop({ issuerId: 'iss_other', ceiling: CEILING }), NOW).id },
    { name: 'another session', id: openRootHop({ ...opened, id: 'AAAAAAAAAAAAAAAAAAAAAA' as SessionId }, newHop({ ceiling: CEILING }), NOW).id },
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

describe('a hop that was handed on to', () => {
  const given = { workload: other, ceiling: CEILING, issuerId: 'iss_other', link: linkOf(other) };
  const child = openChildHop({ ...root, chain: [linkOf()] }, newHop(given), LEASE, NOW + SECOND);
  test('rests on all its parent rests on, on the token it was handed, and on itself; its chain goes on, with what its parent showed', () => {
    expect(child).toEqual({
      id: child.id, sessionId: root.sessionId, parentId: root.id, actor: other.spiffeId, workloadId: other.id, jkt: null, ceiling: CEILING, depth: 1, chain: [linkOf(), placeOf(other)],
      path: [...root.path, `lease:${LEASE}`, 'issuer:iss_other', `workload:${other.id}`, `hop:${child.id}`], createdAt: NOW + SECOND, expiresAt: root.expiresAt,
    });
  });

  test('ends with its own workload where that ends sooner, and never later than its parent', () => {
    const ends = (expires: number): number => openChildHop(root, newHop({ ...given, workload: { ...other, expires } }), LEASE, NOW).expiresAt;
    expect([ends(NOW + HOUR), ends(root.expiresAt + HOUR)]).toEqual([NOW + HOUR, root.expiresAt]);
  });

  test.each([
    { name: 'another hand-over', id: openChildHop(root, newHop(given), `${LEASE}2` as typeof LEASE, NOW).id },
    { name: 'another parent', id: openChildHop({ ...root, id: 'hop_x' as HopId }, newHop(given), LEASE, NOW).id },
    { name: 'a key', id: openChildHop(root, newHop({ ...given, jkt: 'thumbprint' }), LEASE, NOW).id },
    { name: 'evidence of another issuer', id: openChildHop(root, newHop({ ...given, issuerId: ISSUER_ID }), LEASE, NOW).id },
    { name: 'a smaller ceiling', id: openChildHop(root, newHop({ ...given, ceiling: [] }), LEASE, NOW).id },
    { name: 'no parent', id: openRootHop(opened, newHop(given), NOW).id },
  ])('is another with $name', ({ id }) => {
    expect(id).not.toBe(child.id);
    expect(openChildHop(root, newHop(given), LEASE, NOW + HOUR).id).toBe(child.id);
  });
});

describe('what must be fresh', () => {
  const LIMITS = { ...domain.limits, freshness: { delegated: 8 * HOUR, autonomous: HOUR } };
  test.each([
    { name: 'of a run is nothing', of: { ...opened, freshAt: NOW }, freshness: undefined },
    { name: 'of a person is the login', of: login, freshness: { at: person().authTime, within: 8 * HOUR } },
    { name: 'of a task is the workload\'s evidence', of: task, freshness: { at: NOW, within: HOUR } },
    { name: 'of a session that has no such time is nothing', of: { ...task, freshAt: null }, freshness: undefined },
  ])('$name', ({ of, freshness }) => {
    expect(freshnessOf(of, LIMITS)).toEqual(freshness);
  });

  test.each([
    { name: 'a login, a millisecond before its time', of: { ...login, freshAt: NOW - 8 * HOUR + 1 }, stale: false },
    { name: 'a login at its time', of: { ...login, freshAt: NOW - 8 * HOUR }, stale: true },
    { name: 'evidence of a task, a millisecond before its time', of: { ...task, freshAt: NOW - HOUR + 1 }, stale: false },
    { name: 'evidence of a task at its time', of: { ...task, freshAt: NOW - HOUR }, stale: true },
    { name: 'a run, however old', of: { ...opened, freshAt: 0 }, stale: false },
  ])('counts no more when it is too old: $name: $stale', ({ of, stale }) => {
    expect(isStale(of, LIMITS, NOW)).toBe(stale);
  });

  test.each([
    { name: 'the hop', hop: NOW + 1, session: NOW + 2, freshness: { at: NOW, within: 3 } },
    { name: 'the session', hop: NOW + 2, session: NOW + 1, freshness: { at: NOW, within: 3 } },
    { name: 'what must be fresh', hop: NOW + 2, session: NOW + 3, freshness: { at: NOW, within: 1 } },
    { name: 'the hop, where nothing must be fresh', hop: NOW + 1, session: NOW + 2, freshness: undefined },
  ])('is one of the ends nothing outlives: $name', ({ hop, session: end, freshness }) => {
    expect(endOf({ expiresAt: hop }, { expiresAt: end }, freshness)).toBe(NOW + 1);
  });
});
