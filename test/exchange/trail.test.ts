import { describe, expect, test } from '@jest/globals';
import { evidenceFacts } from '../../src/exchange/facts.ts';
import { openTrail } from '../../src/exchange/trail.ts';
import { API, deployer, domain, evidence, other, request } from './world.ts';

const facts = evidenceFacts(evidence());
const { kind, issuer, subject, attributes } = facts;

describe('what is known of a request', () => {
  test('is what it asked for, before anything was proven, and a stranger can have written it', () => {
    const trail = openTrail(domain.id, request({ clientId: 'spiffe://x/y' }), true);
    const asked = { target: API, scopes: ['deploy:read'], bound: true, client_id: 'spiffe://x/y' };
    expect(trail.asked).toEqual(asked);
    expect(trail.context()).toEqual({ domainId: domain.id, workloadId: null, verified: false, facts: { asked, workload: null } });
  });

  test('of a session token is its ceiling', () => {
    expect(openTrail(domain.id, request({ target: undefined, scopes: [], ceiling: [{ audience: API, scopes: ['a'] }] }), false).asked).toEqual({ target: null, scopes: [], bound: false, ceiling: [{ audience: API, scopes: ['a'] }] });
  });

  test('holds no token', () => {
    const trail = openTrail(domain.id, request({ subjectToken: 'a.secret.token' }), false);
    trail.learn(deployer, facts);
    expect(JSON.stringify(trail.context())).not.toContain('secret');
  });

  test('is verified from its evidence on, with the facts that explain it', () => {
    const trail = openTrail(domain.id, request(), false);
    trail.learn(undefined, facts);
    expect(trail.context()).toMatchObject({ workloadId: null, verified: true, facts: { workload: null, evidence: { kind, issuer, subject, attributes } } });
    trail.learn(deployer, facts);
    expect(trail.context()).toMatchObject({ workloadId: deployer.id, verified: true, facts: { workload: 'ci/deployer' } });
  });

  test('keeps the workload that was found when more is learnt without one, and takes another that was found later', () => {
    const trail = openTrail(domain.id, request(), false);
    trail.learn(deployer, facts);
    trail.learn(undefined, { ...facts, subject: 'another' });
    expect(trail.context()).toMatchObject({ workloadId: deployer.id, facts: { evidence: { subject: 'another' } } });
    trail.learn(other, facts);
    expect(trail.context().workloadId).toBe(other.id);
  });
});
