import { describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE, SECOND } from '../../src/core/duration.ts';
import { decisionOf } from '../../src/core/ids.ts';
import type { SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import { openLogin, openRootHop } from '../../src/authority/session.ts';
import type { Caller } from '../../src/exchange/caller.ts';
import type { ExchangeRequest } from '../../src/exchange/request.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import type { DpopBinding } from '../../src/tokens/proof.ts';
import { startRig, storedFor } from './rig.ts';
import type { Setting } from './rig.ts';
import { API, BILLING, LEASE, NOW, ROLE, SECRET, USUAL, api, caller, deployer, domain, hop, linkOf, newHop, other, permit, person, placeOf, policy, session, viewOf, workload } from './world.ts';

const proof: DpopBinding = { jkt: 'thumbprint', replayKey: 'proof-1', replayUntil: NOW + MINUTE };
const outcomeOf = async (rig: ReturnType<typeof startRig>, change?: Partial<ExchangeRequest>, binding?: DpopBinding): Promise<string> => {
  const outcome = await rig.run(change, binding);
  return outcome.ok ? 'issued' : outcome.error.refusal.code;
};
const AUTHENTICATED = ['authenticate evidence at 11', 'admit'];
const DECIDED = [...AUTHENTICATED, 'blocked? 7', 'decide deploy:read'];

describe('an exchange', () => {
  test('takes its steps in order, each once, and asks the database for nothing but the commit', async () => {
    const rig = startRig();
    const outcome = await rig.run({ scopes: ['deploy:write', 'deploy:admin'] });
    expect(rig.log).toEqual([...AUTHENTICATED, 'blocked? 7', 'decide deploy:write', 'decide deploy:admin', 'provider access-token', 'commit']);
    const [issuance] = rig.issued;
    expect(outcome).toEqual({ ok: true, value: {
      credential: expect.objectContaining({ credential: 'credential-1' }), expiresIn: 300, scope: 'deploy:write', ceiling: undefined, decisionId: issuance === undefined ? '' : decisionOf(issuance.lease.id),
    } });
    expect(rig.denied).toEqual([]);
  });

  test('orders exactly what was decided, for the workload itself and no longer than the hop', async () => {
    const rig = startRig();
    await rig.run({ scopes: ['deploy:write', 'deploy:admin'] }, proof);
    const { session: opened } = caller();
    const [order] = rig.orders;
    expect(order).toMatchObject({
      sessionId: opened.id, hopId: rig.issued[0]?.hop.id, domain, workload: deployer, resource: api, scopes: ['deploy:write'], binding: proof,
      subject: { sub: deployer.spiffeId, act: undefined, model: 'bounded', principal: deployer.owner, depth: 0 }, attributes: caller().evidence.attributes, issuedAt: NOW, expiresAt: NOW + 300 * SECOND, hopExpiresAt: opened.expiresAt,
    });
    expect(rig.issued[0]?.hop).toEqual(openRootHop(opened, newHop({ jkt: 'thumbprint', ceiling: [{ audience: API, scopes: ['deploy:write'] }] }), NOW));
    expect(rig.issued[0]).toMatchObject({ lease: { id: order?.leaseId, jkt: 'thumbprint' }, proofs: [{ key: 'proof-1' }], audit: { body: { request: 'req_1' } } });
  });

  test('keeps with the lease what was asked, what was left out, what the evidence said, and by which policies', async () => {
    const rig = startRig();
    await rig.run({ scopes: ['deploy:write', 'deploy:admin'] });
    expect(rig.issued[0]?.lease.decision).toEqual({
      asked: { target: API, scopes: ['deploy:write', 'deploy:admin'], bound: false }, denied: [`${API}#deploy:admin`], evidence: { ...caller().evidence }, registry_version: 11, bound: false,
      policies: [{ name: USUAL[0]?.name, version: 3 }],
    });
  });

  test('for a session token has a ceiling and no scope, and no provider is asked', async () => {
    const rig = startRig();
    const outcome = await rig.run({ target: undefined, scopes: [], ceiling: [{ audience: API, scopes: ['deploy:admin', 'deploy:read'] }, { audience: BILLING, scopes: [] }] });
    const ceiling = [{ audience: BILLING, scopes: [] }, { audience: API, scopes: ['deploy:read'] }];
    expect(outcome).toMatchObject({ ok: true, value: { ceiling, scope: undefined, expiresIn: 300 } });
    expect(rig.log.slice(-2)).toEqual(['sign session token', 'commit']);
    expect(rig.issued[0]).toMatchObject({ lease: { ceiling }, hop: { ceiling } });
    // Its scopes are in the ceiling: a scope of its own would be worth something at a resource.
    expect(await startRig().run({ target: undefined, scopes: [], ceiling: [{ audience: API, scopes: ['deploy:read'] }] })).toMatchObject({ ok: true, value: { scope: undefined } });
  });

  test('within a hop keeps that hop, whatever is asked and by whichever key', async () => {
    const rig = startRig({ caller: caller({ hop, ceiling: hop.ceiling, hops: [hop], session, replayKey: null }) });
    expect(await outcomeOf(rig, { scopes: ['deploy:read'] }, proof)).toBe('issued');
    expect(rig.issued[0]?.hop).toBe(hop);
    expect(await outcomeOf(rig, { scopes: [], target: BILLING })).toBe('ceiling_exceeded');
  });

  describe('for somebody else', () => {
    const agent = workload({ authority: 'delegated' });
    const login = { ...openLogin(domain, person(), NOW), beganVersion: 5 };
    const acting = (change: Partial<Caller> = {}) => caller({
      workload: agent, session: login, person: { urn: person().urn, issuer: 'corp', groups: ['engineering'] }, login: { person: person().urn, authTime: person().authTime },
      freshness: { at: person().authTime, shown: true, within: HOUR }, ...change,
    });
    const may = (principal: string, action: string) => policy(`permit(${principal}, action == Action::"${action}", resource in Resource::"${API}");`);
    const view = viewOf({ workloads: [agent, other], policies: [may('principal in Group::"engineering"', 'delegate'), may(`principal == Workload::"${agent.spiffeId}"`, 'act'), may(`principal == Workload::"${agent.spiffeId}"`, 'delegate')] });

    test('asks for each of them in turn, and says in the credential whose it is and who acts', async () => {
      const rig = startRig({ view, caller: acting() });
      expect(await outcomeOf(rig)).toBe('issued');
      expect(rig.log.filter((step) => step.startsWith('decide'))).toEqual(['decide deploy:read', 'decide deploy:read']);
      expect(rig.orders[0]?.subject).toEqual({ sub: person().urn, act: { iss: domain.issuer, sub: agent.spiffeId }, model: 'delegated', principal: person().urn, depth: 0, authTime: person().authTime, acr: 'mfa' });
      expect(rig.issued[0]).toMatchObject({ session: { holder: person().urn }, login: { person: person().urn, authTime: person().authTime }, fresh: { at: person().authTime, after: NOW - HOUR } });
    });

    test('never outlives what must be fresh: the login\'s time is told as the end of the hop, too', async () => {
      const rig = startRig({ view, caller: acting({ freshness: { at: NOW - HOUR + 2 * MINUTE, shown: true, within: HOUR } }) });
      expect(await rig.run()).toMatchObject({ ok: true, value: { expiresIn: 120 } });
      expect(rig.orders[0]).toMatchObject({ expiresAt: NOW + 2 * MINUTE, hopExpiresAt: NOW + 2 * MINUTE });
      expect(await outcomeOf(startRig({ view, caller: acting({ freshness: { at: NOW - HOUR + SECOND - 1, shown: true, within: HOUR } }) }))).toBe('lifetime_exhausted');
    });

    test('refuses when one of them may not, whoever it is', async () => {
      expect(await outcomeOf(startRig({ view, caller: acting({ person: { urn: person().urn, issuer: 'corp', groups: ['sales'] } }) }))).toBe('target_denied');
      const gone = linkOf(workload({ id: 'wkl_gone' as WorkloadId, spiffeId: 'spiffe://prod.acme.example/agents/gone' as SpiffeId }));
      expect(await outcomeOf(startRig({ view, caller: acting({ chain: [gone, linkOf(agent)] }) }))).toBe('workload_unknown');
    });

    test('hands on what it holds, narrowed, in its own hop: the lease is of another kind and bound to no key', async () => {
      const held = { hop, hops: [hop], ceiling: hop.ceiling, showedEvidence: false, replayKey: null, jkt: 'thumbprint' };
      const rig = startRig({ view, caller: acting(held) });
      expect(await rig.run({ target: undefined, scopes: [], ceiling: [{ audience: API, scopes: ['deploy:read'] }], requestedActor: other.spiffeId }, proof)).toMatchObject({ ok: true });
      expect(rig.issued[0]).toMatchObject({ hop: { id: hop.id }, lease: { ceiling: [{ audience: API, scopes: ['deploy:read'] }], jkt: null }, audit: { body: { handed_on_to: other.spiffeId } } });
      // Person, agent, and the agent once more: may it hand this on, and to whom?
      expect(rig.log.filter((step) => step.startsWith('decide'))).toHaveLength(3);
      expect(await outcomeOf(startRig({ view, caller: acting(held) }), { target: undefined, scopes: [], ceiling: [{ audience: API, scopes: ['deploy:admin'] }], requestedActor: other.spiffeId }, proof)).toBe('ceiling_exceeded');
    });

    test('takes up what was handed on in a hop of its own, below the one it came from', async () => {
      const child = acting({ parent: { hop, handover: LEASE }, ceiling: [{ audience: API, scopes: ['deploy:read'] }], hops: [], chain: [linkOf(), linkOf(agent)], replayKey: 'replay-2' });
      const rig = startRig({ view: viewOf({ workloads: [deployer, agent], policies: [may('principal', 'delegate'), may('principal', 'act')] }), caller: child });
      expect(await outcomeOf(rig)).toBe('issued');
      expect(rig.issued[0]?.hop).toMatchObject({ parentId: hop.id, depth: 1, chain: [linkOf(), placeOf(agent)], path: expect.arrayContaining([...hop.path, `lease:${LEASE}`]) });
    });
  });

  test('seals what the provider needs to revoke, and nothing where it needs nothing', async () => {
    const rig = startRig({ handle: 'the handle' });
    await rig.run();
    const [issuance] = rig.issued;
    expect(rig.sealed).toEqual([[issuance?.lease.id, 'the handle']]);
    expect(issuance?.lease).toMatchObject({ handle: 'sealed the handle', handleKekId: 'kek-1' });
    const plain = startRig();
    await plain.run();
    expect([plain.sealed, plain.issued[0]?.lease.handle]).toEqual([[], null]);
  });
});

describe('a "no" ends it there, is recorded once, and nothing is issued', () => {
  const BOUND = viewOf({ policies: [...USUAL, permit(SECRET)] });
  const rows: readonly { readonly name: string; readonly setting?: Setting; readonly change?: Partial<ExchangeRequest>; readonly binding?: DpopBinding; readonly code: string; readonly done: readonly string[] }[] = [
    { name: 'who is not proven', setting: { caller: 'evidence_expired' }, code: 'evidence_expired', done: AUTHENTICATED.slice(0, 1) },
    { name: 'who asks too often', setting: { limited: 'rate_limited' }, code: 'rate_limited', done: AUTHENTICATED },
    { name: 'who owes a proof', setting: { caller: caller({ workload: workload({ bound: true }) }) }, code: 'dpop_required', done: AUTHENTICATED },
    { name: 'who owes a proof by another key', setting: { caller: caller({ jkt: 'other' }) }, binding: proof, code: 'token_binding_mismatch', done: AUTHENTICATED },
    { name: 'a target nobody registered', change: { target: 'https://nowhere.example' }, code: 'target_unknown', done: AUTHENTICATED },
    { name: 'a revoked path', setting: { revoked: [`workload:${deployer.id}`] }, code: 'revoked', done: [...AUTHENTICATED, 'blocked? 7'] },
    { name: 'a suspended path', setting: { suspended: [`workload:${deployer.id}`] }, code: 'suspended', done: [...AUTHENTICATED, 'blocked? 7'] },
    { name: 'a path that is suspended and revoked', setting: { suspended: [`domain:${domain.id}`], revoked: [`workload:${deployer.id}`] }, code: 'revoked', done: [...AUTHENTICATED, 'blocked? 7'] },
    { name: 'what no policy permits', change: { scopes: ['deploy:admin'] }, code: 'scope_denied', done: [...AUTHENTICATED, 'blocked? 7', 'decide deploy:admin', `decide ${API}`] },
    { name: 'what no policy permits, of a session token', setting: { caller: caller({ hop, ceiling: [{ audience: API, scopes: ['deploy:admin'] }] }) }, change: { scopes: ['deploy:admin'] }, code: 'scope_denied', done: [...AUTHENTICATED, 'blocked? 7', 'decide deploy:admin', `decide ${API}`] },
    { name: 'what the session token does not hold, before any policy is asked', setting: { caller: caller({ hop, ceiling: hop.ceiling }) }, change: { scopes: ['deploy:admin'] }, code: 'ceiling_exceeded', done: [...AUTHENTICATED, 'blocked? 7'] },
    { name: 'a permitted target that demands a proof', setting: { view: BOUND }, change: { target: SECRET, scopes: ['salaries:read'] }, code: 'dpop_required', done: [...AUTHENTICATED, 'blocked? 7', 'decide salaries:read'] },
    { name: 'a token type the target does not issue', change: { requestedTokenType: 'another' }, code: 'token_type_unsupported', done: DECIDED },
    { name: 'a session that ends within a second', setting: { caller: caller({ session: { ...caller().session, expiresAt: NOW + SECOND - 1 } }) }, code: 'lifetime_exhausted', done: DECIDED },
    { name: 'a hop that ends within a second', setting: { caller: caller({ hop: { ...hop, expiresAt: NOW + SECOND - 1 } }) }, code: 'lifetime_exhausted', done: DECIDED },
    { name: 'a provider that says no', setting: { provider: 'provider_denied' }, code: 'provider_denied', done: [...DECIDED, 'provider access-token'] },
    { name: 'evidence the commit knows to be used up', setting: { commits: ['replayed'] }, code: 'evidence_replayed', done: [...DECIDED, 'provider access-token', 'commit'] },
    { name: 'another token shown that the commit knows to be used up', setting: { commits: ['proof_replayed'] }, code: 'evidence_replayed', done: [...DECIDED, 'provider access-token', 'commit'] },
    { name: 'a proof the commit knows to be used up', setting: { commits: ['proof_replayed'] }, binding: proof, code: 'dpop_replayed', done: [...DECIDED, 'provider access-token', 'commit'] },
    { name: 'a path the commit knows to be revoked', setting: { commits: ['revoked'] }, code: 'revoked', done: [...DECIDED, 'provider access-token', 'commit'] },
    { name: 'a path the commit knows to be suspended', setting: { commits: ['suspended'] }, code: 'suspended', done: [...DECIDED, 'provider access-token', 'commit'] },
    { name: 'a budget the commit knows to be used up', setting: { commits: ['exhausted'] }, code: 'budget_exhausted', done: [...DECIDED, 'provider access-token', 'commit'] },
    { name: 'a session the commit knows to be over, read before', setting: { caller: caller({ hops: [] }), commits: ['ended'] }, code: 'session_ended', done: [...DECIDED, 'provider access-token', 'commit'] },
  ];
  test.each(rows)('$name: $code', async ({ setting, change, binding, code, done }) => {
    const rig = startRig(setting);
    const outcome = await rig.run(change, binding);
    expect(outcome).toEqual({ ok: false, error: { refusal: expect.objectContaining({ code }), decisionId: `dec_${'9'.repeat(32)}` } });
    expect(rig.log).toEqual([...done, 'deny']);
    expect(rig.issued).toEqual([]);
    expect(rig.denied.map((each) => each.code)).toEqual([code]);
    expect(rig.denied[0]?.context).toMatchObject({ domainId: domain.id, verified: code !== 'evidence_expired', workloadId: code === 'evidence_expired' ? null : deployer.id, facts: { asked: { target: change?.target ?? API } } });
    // What was made meanwhile has been seen by nobody.
    expect(JSON.stringify([outcome, rig.denied])).not.toContain('credential-');
  });

  test.each<{ readonly name: string; readonly setting?: Setting; readonly change?: Partial<ExchangeRequest>; readonly binding?: DpopBinding }>([
    { name: 'who owes a proof and has it', setting: { caller: caller({ workload: workload({ bound: true }) }) }, binding: proof },
    { name: 'who owes a proof by this key', setting: { caller: caller({ jkt: proof.jkt }) }, binding: proof },
    { name: 'a path beside what is revoked', setting: { revoked: ['workload:wkl_other'] } },
    { name: 'a path beside what is suspended', setting: { suspended: ['workload:wkl_other'] } },
    { name: 'a permitted target that demands a proof and gets it', setting: { view: BOUND }, change: { target: SECRET, scopes: ['salaries:read'] }, binding: proof },
    { name: 'the token type the target issues', change: { requestedTokenType: 'access-token-type' } },
    { name: 'a session that ends in a second', setting: { caller: caller({ session: { ...caller().session, expiresAt: NOW + SECOND } }) } },
  ])('twin: $name is issued', async ({ setting, change, binding }) => {
    const rig = startRig(setting);
    expect(await outcomeOf(rig, change, binding)).toBe('issued');
    expect(rig.denied).toEqual([]);
  });

  test('what a target demands is not told to who may not have it: it answers like a target that is denied', async () => {
    const rig = startRig();
    expect(await outcomeOf(rig, { target: SECRET, scopes: ['salaries:read'], requestedTokenType: 'another' })).toBe('target_denied');
  });
});

describe('what the commit does not confirm', () => {
  test('was not issued: nothing leaves, and the evidence can be shown again', async () => {
    const rig = startRig({ commits: [new StoreUnavailable('down')] });
    await expect(rig.run()).rejects.toThrow(StoreUnavailable);
    expect([rig.issued, rig.denied, rig.log.at(-1)]).toEqual([[], [], 'commit']);
    expect(await outcomeOf(rig)).toBe('issued');
  });

  test('of a fault is a fault, and nothing leaves', async () => {
    const rig = startRig({ commits: [new TypeError('a bug')] });
    await expect(rig.run()).rejects.toThrow(TypeError);
    expect(rig.issued).toEqual([]);
  });
});

describe('evidence that is used up', () => {
  test.each<{ readonly name: string; readonly commits: NonNullable<Setting['commits']> }>([
    { name: 'by an exchange of this process', commits: ['committed'] },
    { name: 'by one of another, of which the commit knew', commits: ['replayed'] },
  ])('$name makes nobody call a provider again', async ({ commits }) => {
    const rig = startRig({ commits });
    await rig.run();
    expect(await outcomeOf(rig)).toBe('evidence_replayed');
    expect(rig.log.filter((step) => step.startsWith('provider'))).toHaveLength(1);
    expect(rig.log.at(-1)).toBe('deny');
  });

  test.each(['revoked', 'proof_replayed', 'suspended', 'exhausted'] as const)('is not what a commit that says %s leaves behind', async (outcome) => {
    const rig = startRig({ commits: [outcome] });
    await rig.run();
    expect(await outcomeOf(rig)).toBe('issued');
  });

  test('is none that is good more than once', async () => {
    const rig = startRig({ caller: caller({ replayKey: null, replayUntil: null }) });
    expect([await outcomeOf(rig), await outcomeOf(rig)]).toEqual(['issued', 'issued']);
  });
});

describe('a run that began earlier', () => {
  const [LOCAL, AWS] = [{}, { target: ROLE, scopes: [] }];

  test('is looked up when the commit finds that its session ends sooner, and gets what is left of it', async () => {
    const rig = startRig({ stored: storedFor(2 * MINUTE) });
    expect(await rig.run(LOCAL)).toMatchObject({ ok: true, value: { expiresIn: 120, credential: { credential: 'credential-2' } } });
    expect(rig.log).toEqual([...DECIDED, 'provider access-token', 'commit', 'read session', 'provider access-token', 'commit']);
    expect(rig.issued).toHaveLength(1);
    expect(rig.issued[0]).toMatchObject({ session: storedFor(2 * MINUTE).session, lease: { expiresAt: NOW + 2 * MINUTE } });
    expect(rig.issued[0]?.lease.id).toBe(rig.orders[1]?.leaseId);
    expect(rig.denied).toEqual([]);
  });

  test('is looked up before a target is called, which is told its end, once', async () => {
    const rig = startRig({ stored: storedFor(2 * MINUTE) });
    expect(await rig.run(AWS)).toMatchObject({ ok: true, value: { expiresIn: 120 } });
    expect(rig.log).toEqual([...AUTHENTICATED, 'blocked? 7', `decide ${ROLE}`, 'read session', 'provider aws-sts', 'commit']);
    expect(rig.orders).toMatchObject([{ expiresAt: NOW + 2 * MINUTE, hopExpiresAt: NOW + 2 * MINUTE }]);
  });

  test.each<{ readonly name: string; readonly change: Partial<ExchangeRequest>; readonly stored: NonNullable<Setting['stored']>; readonly code: string; readonly providers: number; readonly commits: number }>([
    { name: 'whose session is over, a token', change: LOCAL, stored: storedFor(0), code: 'session_ended', providers: 1, commits: 1 },
    { name: 'whose session is over, AWS keys', change: AWS, stored: storedFor(0), code: 'session_ended', providers: 0, commits: 0 },
    { name: 'whose session was ended, a token', change: LOCAL, stored: storedFor(HOUR, { endedAt: NOW }), code: 'session_ended', providers: 1, commits: 1 },
    { name: 'whose session was ended, AWS keys', change: AWS, stored: storedFor(HOUR, { endedAt: NOW }), code: 'session_ended', providers: 0, commits: 0 },
    { name: 'whose session ends within a second, a token', change: LOCAL, stored: storedFor(SECOND - 1), code: 'lifetime_exhausted', providers: 1, commits: 1 },
    { name: 'whose session ends within a second, AWS keys', change: AWS, stored: storedFor(SECOND - 1), code: 'lifetime_exhausted', providers: 0, commits: 0 },
    { name: 'whose session is revoked, AWS keys', change: AWS, stored: { ...storedFor(HOUR), revokedBy: 'issuer:iss_x' }, code: 'revoked', providers: 0, commits: 0 },
    { name: 'whose session has an hour left, a token', change: LOCAL, stored: storedFor(HOUR), code: 'issued', providers: 1, commits: 1 },
    { name: 'whose session has an hour left, AWS keys', change: AWS, stored: storedFor(HOUR), code: 'issued', providers: 1, commits: 1 },
  ])('$name: $code, recorded once', async ({ change, stored, code, providers, commits }) => {
    const rig = startRig({ stored });
    expect(await outcomeOf(rig, change)).toBe(code);
    expect([rig.log.filter((step) => step.startsWith('provider')).length, rig.log.filter((step) => step === 'commit').length]).toEqual([providers, commits]);
    expect([rig.issued.length, rig.denied.length]).toEqual(code === 'issued' ? [1, 0] : [0, 1]);
  });

  test('that is denied a target to be called is not looked up for it: its answer must not differ from that for a target nobody has', async () => {
    const rig = startRig({ view: viewOf({ policies: [permit(API)] }), stored: storedFor(0) });
    expect(await outcomeOf(rig, AWS)).toBe('target_denied');
    expect(rig.log).not.toContain('read session');
  });

  test('whose session ended between the look and the commit gets nothing, and its target is not called again', async () => {
    const rig = startRig({ stored: storedFor(HOUR), commits: ['ended'] });
    expect(await outcomeOf(rig, AWS)).toBe('session_ended');
    expect(rig.log.slice(-4)).toEqual(['read session', 'provider aws-sts', 'commit', 'deny']);
  });

  test('is gone through twice at most, whatever the commit says', async () => {
    const rig = startRig({ stored: storedFor(HOUR), commits: ['ended', 'ended', 'ended'] });
    expect(await outcomeOf(rig, LOCAL)).toBe('session_ended');
    expect(rig.log.filter((step) => step === 'commit')).toHaveLength(2);
    expect(rig.denied).toHaveLength(1);
  });

  test('whose evidence was used meanwhile is told so, not that it is over', async () => {
    const rig = startRig({ stored: storedFor(2 * MINUTE), commits: ['ended', 'replayed'] });
    expect(await outcomeOf(rig, LOCAL)).toBe('evidence_replayed');
    expect(await outcomeOf(rig, LOCAL)).toBe('evidence_replayed');
    expect(rig.log.filter((step) => step.startsWith('provider'))).toHaveLength(2);
  });

  test('joins the hop that is there, with its end', async () => {
    const stored = storedFor(HOUR);
    const opened = openRootHop(stored.session, newHop({ ceiling: [{ audience: API, scopes: ['deploy:read'] }] }), NOW - HOUR);
    const there = { ...opened, expiresAt: NOW + MINUTE };
    const rig = startRig({ stored: { ...stored, hops: [{ ...opened, id: hop.id }, there] } });
    expect(await rig.run(LOCAL)).toMatchObject({ ok: true, value: { expiresIn: 60 } });
    expect(rig.issued[0]?.hop).toEqual(there);
  });

  test('spends a session token until its session is over, though the hop was to last longer', async () => {
    const spending = { hop: { ...hop, expiresAt: NOW + HOUR }, hops: [hop], replayKey: null };
    const [left, over] = [storedFor(2 * MINUTE).session, storedFor(SECOND - 1).session];
    expect(await startRig({ caller: caller({ ...spending, session: left }), stored: { session: left } }).run(LOCAL)).toMatchObject({ ok: true, value: { expiresIn: 120 } });
    expect(await outcomeOf(startRig({ caller: caller({ ...spending, session: over }), stored: { session: over } }), LOCAL)).toBe('lifetime_exhausted');
  });
});
