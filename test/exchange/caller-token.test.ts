import { describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE, SECOND } from '../../src/core/duration.ts';
import type { DomainId, HopId, IssuerId, LeaseId, SpiffeId, WorkloadId } from '../../src/core/ids.ts';
import { openChildHop, openLogin, openRootHop, openTask } from '../../src/authority/session.ts';
import { bySessionId, bySessionToken } from '../../src/exchange/caller-token.ts';
import { evidenceFacts } from '../../src/exchange/facts.ts';
import type { ExchangeRequest } from '../../src/exchange/request.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import type { HopRow, SessionRow } from '../../src/store/rows.ts';
import type { LeaseStanding } from '../../src/store/store.ts';
import { startAsking, token } from './asking.ts';
import type { Outcome, Setting } from './asking.ts';
import { ISSUER_ID, LEASE, NOW, OWN_TOKEN, codeOf, deployer, domain, evidence, hop, linkOf, newHop, other, person, session, standing, valueOf, viewOf, workload } from './world.ts';

const TOKEN = { subjectKind: 'access-token', subjectToken: OWN_TOKEN } as const;
const spend = (setting: Setting = {}, change: Partial<ExchangeRequest> = {}) => {
  const { ports, asked, learnt, asking } = startAsking(setting);
  return { asked, learnt, spent: bySessionToken(ports)(asking({ ...TOKEN, ...change })) };
};
const code = async (setting?: Setting, change?: Partial<ExchangeRequest>): Promise<string> => codeOf(await spend(setting, change).spent);
interface Row { readonly name: string; readonly setting?: Setting; readonly change?: Partial<ExchangeRequest>; readonly code: string }

/** The deployer's login, task and first hops in them; evidence of another workload for the same domain. */
const login: SessionRow = { ...openLogin(domain, person(), NOW - MINUTE), beganVersion: 5 };
const task: SessionRow = { ...openTask(domain, deployer, person().urn, evidence(), 'once', 'mend the tests', NOW - MINUTE), beganVersion: 5 };
const LIMITS = { ...domain.limits, depth: 2, freshness: { delegated: 8 * HOUR, autonomous: HOUR } };
const ofOther = evidence({ attributes: { ...evidence().attributes, repository_id: '900' }, replayKey: 'replay-2', subject: 'repo:acme/other' });
const third = workload({ id: 'wkl_third' as WorkloadId, name: 'svc/third', spiffeId: 'spiffe://prod.acme.example/svc/third' as SpiffeId, match: { issuer: 'github', attributes: { repository_id: ['901'] } } });
const view: DomainView = { ...viewOf({ workloads: [deployer, other, third] }), domain: { ...domain, limits: LIMITS } };

describe('a session token alone', () => {
  test('is its workload\'s: within its hop and its own ceiling, as the database has it now', async () => {
    const ceiling = [{ audience: 'https://deploy.acme.example', scopes: ['deploy:read'] }];
    const { spent, asked, learnt } = spend({ token: token({ jkt: 'thumbprint' }), standing: standing({ ceiling }) });
    expect(valueOf(await spent)).toEqual({
      workload: deployer, evidence: evidenceFacts(evidence()), issuerId: ISSUER_ID, session, hop, parent: undefined, hops: [hop], ceiling, chain: [linkOf()], person: undefined, login: undefined, freshness: undefined,
      showedEvidence: false, opensTask: false, path: [...hop.path, `lease:${LEASE}`], beganVersion: session.beganVersion, replayKey: null, replayUntil: null, proofs: [], jkt: 'thumbprint',
    });
    expect(asked).toEqual(['verify token', `lease ${LEASE}`]);
    expect(learnt).toEqual([['ci/deployer', evidence().subject]]);
  });

  test('is used by a workload that may have been changed since: what it is now counts, and its earlier end', async () => {
    const now = workload({ version: 2, owner: 'search@acme.example', expires: NOW + SECOND });
    expect(valueOf(await spend({ view: viewOf({ workloads: [now] }) }).spent)).toMatchObject({ workload: now, session: { principal: deployer.owner, expiresAt: NOW + SECOND } });
  });

  test.each<Row>([
    { name: 'that does not verify', setting: { token: 'token_expired' }, code: 'token_expired' },
    { name: 'that is a resource token', setting: { token: 'token_not_exchangeable' }, code: 'token_not_exchangeable' },
    { name: 'with another client id', change: { clientId: other.spiffeId }, code: 'client_id_mismatch' },
    { name: 'with its own client id', change: { clientId: deployer.spiffeId }, code: 'accepted' },
    { name: 'without a lease', setting: { standing: undefined }, code: 'token_unknown' },
    { name: 'whose lease is of another kind', setting: { standing: standing({ kind: 'access_token' }) }, code: 'token_unknown' },
    { name: 'that is another token of the same lease', change: { subjectToken: `${OWN_TOKEN}2` }, code: 'token_unknown' },
    { name: 'that is revoked', setting: { standing: standing({}, { revokedBy: `hop:${hop.id}` }) }, code: 'revoked' },
    { name: 'of a session that is over', setting: { standing: standing({}, { ended: true }) }, code: 'session_ended' },
    { name: 'that is both', setting: { standing: standing({}, { ended: true, revokedBy: `hop:${hop.id}` }) }, code: 'revoked' },
    { name: 'that is suspended', setting: { standing: standing({}, { suspendedBy: `session:${session.id}` }) }, code: 'suspended' },
    { name: 'that is suspended and over', setting: { standing: standing({}, { suspendedBy: `session:${session.id}`, ended: true }) }, code: 'session_ended' },
    { name: 'of a workload that is not registered any more', setting: { view: viewOf({ workloads: [other] }) }, code: 'workload_unknown' },
    { name: 'of a workload that has just expired', setting: { view: viewOf({ workloads: [workload({ expires: NOW })] }) }, code: 'workload_expired' },
    { name: 'of a workload that expires in a millisecond', setting: { view: viewOf({ workloads: [workload({ expires: NOW + 1 })] }) }, code: 'accepted' },
    { name: 'that was handed on', setting: { standing: standing({ kind: 'handover_token' }) }, code: 'actor_missing' },
    { name: 'of a login that is old enough', setting: { view, standing: standing({}, { session: { ...login, freshAt: NOW - 8 * HOUR } }) }, code: 'suspended' },
    { name: 'of a login that is not quite', setting: { view, standing: standing({}, { session: { ...login, freshAt: NOW - 8 * HOUR + 1 } }) }, code: 'accepted' },
    { name: 'of a task whose workload showed nothing for long', setting: { view, standing: standing({}, { session: { ...task, freshAt: NOW - HOUR } }) }, code: 'suspended' },
    { name: 'of a task whose workload did just', setting: { view, standing: standing({}, { session: { ...task, freshAt: NOW - HOUR + 1 } }) }, code: 'accepted' },
  ])('$name: $code', async ({ setting, change, code: expected }) => {
    expect(await code(setting, change)).toBe(expected);
  });

  test('says who the person is and how fresh the login is, as the session has it', async () => {
    expect(valueOf(await spend({ view, standing: standing({}, { session: login }) }).spent)).toMatchObject({
      person: { urn: person().urn, issuer: 'corp', groups: ['engineering'] }, login: undefined, freshness: { at: person().authTime, within: 8 * HOUR, shown: false },
    });
  });

  test.each([{ name: 'missing', facts: {} }, { name: 'cut', facts: { issuer: 'corp' } }, { name: 'of another shape', facts: { issuer: 'corp', groups: 'engineering' } }])('of a login that is $name is a fault, never a person without groups', async ({ facts }) => {
    await expect(spend({ standing: standing({}, { session: { ...login, facts } }) }).spent).rejects.toThrow();
    expect(await code({ standing: standing({}, { session: login }) })).toBe('accepted');
  });

  test('names a workload in the trail even when it is refused, so that the refusal can be explained', async () => {
    const { spent, learnt } = spend({ standing: standing({}, { revokedBy: `session:${session.id}` }) });
    expect(codeOf(await spent)).toBe('revoked');
    expect(learnt).toEqual([['ci/deployer', evidence().subject]]);
  });

  test.each([
    { name: 'missing', decision: {} }, { name: 'cut', decision: { evidence: { kind: 'github-actions' } } }, { name: 'of another shape', decision: { evidence: { ...evidenceFacts(evidence()), attributes: { nested: {} } } } },
  ])('with stored facts that are $name is a fault, never an empty set of facts', async ({ decision }) => {
    await expect(spend({ standing: standing({ decision }) }).spent).rejects.toThrow();
    // Twin: the facts as they were written.
    expect(await code({ standing: standing({ decision: { evidence: { ...evidenceFacts(evidence()) } } }) })).toBe('accepted');
  });
});

describe('a session token with its actor\'s evidence is renewed', () => {
  const RENEW = { actorToken: 'evidence' };
  const fresh = evidence({ subject: 'repo:acme/shop:ref:refs/heads/later' });
  test('in its hop, with the hop\'s ceiling and chain, by what the evidence says now', async () => {
    const { spent, asked, learnt } = spend({ evidence: fresh, standing: standing({ ceiling: [] }) }, RENEW);
    expect(valueOf(await spent)).toMatchObject({
      workload: deployer, evidence: evidenceFacts(fresh), issuerId: ISSUER_ID, session, hop, parent: undefined, hops: [hop], ceiling: hop.ceiling, chain: [linkOf(deployer, fresh)], showedEvidence: true,
      path: hop.path, beganVersion: session.beganVersion, replayKey: 'replay-1', replayUntil: fresh.expiresAt + HOUR, freshness: undefined,
    });
    expect(asked).toEqual(['verify token', `lease ${LEASE}`, 'attest evidence']);
    expect(learnt).toEqual([[undefined, fresh.subject], ['ci/deployer', fresh.subject]]);
  });

  const child = openChildHop({ ...openRootHop(task, newHop({ workload: other }), NOW), chain: [linkOf(other)] }, newHop(), 'lse_before' as LeaseId, NOW);
  test.each<Row>([
    { name: 'by another workload', setting: { evidence: ofOther }, code: 'actor_mismatch' },
    { name: 'by evidence that is not accepted', setting: { evidence: 'evidence_expired' }, code: 'evidence_expired' },
    { name: 'by evidence of nobody', setting: { evidence: evidence({ attributes: {} }) }, code: 'workload_unknown' },
    { name: 'by evidence of an issuer the hop does not rest on, so that revoking it would end nothing', setting: { evidence: evidence({ issuerId: 'iss_new' as IssuerId }) }, code: 'actor_mismatch' },
    { name: 'by evidence of an issuer the hop rests on, though the session does not', setting: { evidence: evidence({ issuerId: 'iss_new' as IssuerId }), standing: standing({}, { hop: { ...hop, path: [...hop.path, 'issuer:iss_new'] } }) }, code: 'accepted' },
    { name: 'by evidence of another run of its workload', setting: { evidence: evidence({ anchor: '815/9002/1' }) }, code: 'actor_mismatch' },
    { name: 'by evidence that does not say of which run it is', setting: { evidence: evidence({ anchor: 'replay-1' }) }, code: 'accepted' },
    { name: 'by evidence of another run, of a task or below another actor', setting: { view, evidence: evidence({ anchor: '815/9002/1' }), standing: standing({}, { session: task, hop: child }) }, code: 'accepted' },
    { name: 'of a session that is revoked', setting: { standing: standing({}, { revokedBy: `session:${session.id}` }) }, code: 'revoked' },
    { name: 'of a session that is over', setting: { standing: standing({}, { ended: true }) }, code: 'session_ended' },
    { name: 'of a session that is suspended by an admin, which evidence does not lift', setting: { standing: standing({}, { suspendedBy: `workload:${deployer.id}` }) }, code: 'suspended' },
    { name: 'of a login that is too old, which only the person can mend', setting: { view, standing: standing({}, { session: { ...login, freshAt: NOW - 8 * HOUR } }) }, code: 'suspended' },
    { name: 'of a task that is stale, by its own workload, which mends it', setting: { view, standing: standing({}, { session: { ...task, freshAt: NOW - HOUR } }) }, code: 'accepted' },
    { name: 'of a task that is stale, by an actor below it', setting: { view, standing: standing({}, { session: { ...task, freshAt: NOW - HOUR }, hop: child }) }, code: 'suspended' },
    { name: 'of a task that is fresh, by an actor below it', setting: { view, standing: standing({}, { session: task, hop: child }) }, code: 'accepted' },
  ])('$name: $code', async ({ setting, code: expected }) => {
    expect(await code(setting, RENEW)).toBe(expected);
  });

  test('and its evidence keeps the task fresh if it is the task\'s own workload that shows it', async () => {
    const at = async (of: HopRow) => valueOf(await spend({ view, evidence: fresh, standing: standing({}, { session: task, hop: of }) }, RENEW).spent).freshness;
    expect(await at(hop)).toEqual({ at: fresh.issuedAt, shown: true, within: HOUR });
    expect(await at(child)).toEqual({ at: task.freshAt, shown: false, within: HOUR });
  });

  test('keeps everybody before it in the chain, with what they showed', async () => {
    expect(valueOf(await spend({ evidence: fresh, standing: standing({}, { session: task, hop: child }) }, RENEW).spent).chain).toEqual([linkOf(other), linkOf(deployer, fresh)]);
  });

  const keyed = (held: string | null, shown: string | undefined, boundTo: string | undefined): Setting => ({ token: token({ jkt: shown }), evidence: evidence({ boundTo }), standing: standing({}, { hop: { ...hop, jkt: held } }) });
  test.each<{ readonly name: string; readonly held: string | null; readonly shown: string | undefined; readonly boundTo?: string; readonly jkt: string | null }>([
    { name: 'the hop\'s key', held: 'hop-key', shown: undefined, jkt: 'hop-key' },
    { name: 'the token\'s key, where the hop has none', held: null, shown: 'token-key', jkt: 'token-key' },
    { name: 'the evidence\'s key, where neither has one', held: null, shown: undefined, boundTo: 'own-key', jkt: 'own-key' },
    { name: 'the one key all of them have', held: 'key', shown: 'key', boundTo: 'key', jkt: 'key' },
    { name: 'no key, where there is none', held: null, shown: undefined, jkt: null },
  ])('and owes a proof by $name', async ({ held, shown, boundTo, jkt }) => {
    expect(valueOf(await spend(keyed(held, shown, boundTo), RENEW).spent).jkt).toBe(jkt);
  });

  test.each([
    { name: 'the hop and its evidence', held: 'hop-key', shown: undefined, boundTo: 'own-key' },
    { name: 'the token and its evidence', held: null, shown: 'token-key', boundTo: 'own-key' },
    { name: 'the hop and the token', held: 'hop-key', shown: 'token-key', boundTo: undefined },
  ])('never where $name are bound to different keys: one proof shows one key', async ({ held, shown, boundTo }) => {
    expect(await code(keyed(held, shown, boundTo), RENEW)).toBe('token_binding_mismatch');
  });
});

describe('a token that was handed on', () => {
  const TAKE = { actorToken: 'evidence' };
  const CEILING = [{ audience: 'https://deploy.acme.example', scopes: ['deploy:read'] }];
  const named = (sub: string = other.spiffeId, iss: string = domain.issuer) => token({ claims: { may_act: { iss, sub } } as never });
  const handed = (more: Partial<LeaseStanding> = {}): LeaseStanding => standing({ kind: 'handover_token', ceiling: CEILING }, more);
  const SETTING: Setting = { view, evidence: ofOther, token: named(), standing: handed() };

  test('is taken up by the actor it names, in a hop of its own below the one it came from, within what the token holds', async () => {
    const { spent, learnt } = spend(SETTING, TAKE);
    expect(valueOf(await spent)).toMatchObject({
      workload: other, evidence: evidenceFacts(ofOther), issuerId: ISSUER_ID, session, hop: undefined, parent: { hop, handover: LEASE }, hops: [], ceiling: CEILING, chain: [linkOf(), linkOf(other, ofOther)], showedEvidence: true,
      path: [...hop.path, `lease:${LEASE}`, `issuer:${ISSUER_ID}`, `workload:${other.id}`], beganVersion: session.beganVersion, replayKey: 'replay-2', jkt: null,
    });
    expect(learnt.at(-1)).toEqual(['svc/deploy', ofOther.subject]);
  });

  test('its parent stands in the chain with what it showed when it handed on, and never with nothing', async () => {
    const renewed = evidenceFacts(evidence({ attributes: { ...evidence().attributes, ref: 'refs/heads/next' } }));
    const decided = (decision: LeaseStanding['lease']['decision']): Setting => ({ ...SETTING, standing: standing({ kind: 'handover_token', ceiling: CEILING, decision }) });
    expect(valueOf(await spend(decided({ evidence: renewed }), TAKE).spent).chain).toEqual([{ ...linkOf(), evidence: renewed }, linkOf(other, ofOther)]);
    await expect(spend(decided({}), TAKE).spent).rejects.toThrow('expected object');
  });

  const deep = openChildHop(hop, newHop({ workload: third, link: linkOf(third) }), LEASE, NOW);
  test.each<Row>([
    { name: 'by who handed it on', setting: { evidence: evidence() }, code: 'actor_mismatch' },
    { name: 'by another actor than it names', setting: { token: named(third.spiffeId) }, code: 'actor_mismatch' },
    { name: 'by the actor it names at another issuer', setting: { token: named(other.spiffeId, 'https://elsewhere.example') }, code: 'actor_mismatch' },
    { name: 'that names nobody', setting: { token: token() }, code: 'actor_mismatch' },
    { name: 'by an actor that handed it on further up', setting: { token: named(deployer.spiffeId), evidence: evidence(), standing: handed({ hop: deep }) }, code: 'actor_mismatch' },
    { name: 'of a run, by its second actor', setting: { standing: handed({ hop: deep }) }, code: 'accepted' },
    { name: 'of a login, by its third actor of two', setting: { standing: handed({ session: login, hop: deep }) }, code: 'depth_exceeded' },
    { name: 'of a login, by its second actor of two', setting: { standing: handed({ session: login }) }, code: 'accepted' },
    { name: 'and is revoked', setting: { standing: handed({ revokedBy: `lease:${LEASE}` }) }, code: 'revoked' },
    { name: 'of a session that is over', setting: { standing: handed({ ended: true }) }, code: 'session_ended' },
    { name: 'of a session that is suspended', setting: { standing: handed({ suspendedBy: `session:${session.id}` }) }, code: 'suspended' },
    { name: 'of a task that is stale', setting: { standing: handed({ session: { ...task, freshAt: NOW - HOUR } }) }, code: 'suspended' },
    { name: 'of a task that is fresh', setting: { standing: handed({ session: task }) }, code: 'accepted' },
    { name: 'with another client id', change: { clientId: deployer.spiffeId }, code: 'client_id_mismatch' },
    { name: 'with the client id of who takes it up', change: { clientId: other.spiffeId }, code: 'accepted' },
    { name: 'that is not the one that was issued', change: { subjectToken: `${OWN_TOKEN}2` }, code: 'token_unknown' },
  ])('$name: $code', async ({ setting, change, code: expected }) => {
    expect(await code({ ...SETTING, ...setting }, { ...TAKE, ...change })).toBe(expected);
  });

  test('owes a proof by the key its actor\'s evidence is bound to', async () => {
    expect(valueOf(await spend({ ...SETTING, evidence: { ...ofOther, boundTo: 'own-key' } }, TAKE).spent).jkt).toBe('own-key');
    expect(await code({ ...SETTING, evidence: { ...ofOther, boundTo: 'own-key' }, token: { ...named(), jkt: 'other-key' } }, TAKE)).toBe('token_binding_mismatch');
  });
});

describe('the id of a session', () => {
  const { id } = session;
  const byId = (setting: Setting = {}, change: Partial<ExchangeRequest> = {}): Outcome => {
    const { ports, asking } = startAsking({ session: { session, hops: [hop] }, ...setting });
    return bySessionId(ports)(asking({ subjectKind: 'session', subjectToken: id, ...change }), 'evidence');
  };
  const found = (more: Partial<SessionRow> = {}, rest: Partial<NonNullable<Setting['session']>> = {}): Setting => ({ session: { session: { ...session, ...more }, hops: [hop], ...rest } });
  const bound: HopRow = { ...hop, id: 'hop_bound' as HopId, jkt: 'key' };
  const binding = (jkt: string): NonNullable<Setting['binding']> => ({ jkt, replayKey: 'proof', replayUntil: NOW });

  test('and evidence of one of its actors go on in that one\'s hop', async () => {
    expect(valueOf(await byId())).toMatchObject({ workload: deployer, session, hop, ceiling: hop.ceiling, showedEvidence: true, beganVersion: session.beganVersion, replayKey: 'replay-1', jkt: null });
  });

  test.each<Row>([
    { name: 'that is none', change: { subjectToken: 'not an id' }, code: 'session_unknown' },
    { name: 'that nobody has', setting: { session: undefined }, code: 'session_unknown' },
    { name: 'of another domain', setting: found({ domainId: 'dom_other' as DomainId }), code: 'session_unknown' },
    { name: 'in which another workload acts', setting: { evidence: ofOther }, code: 'session_unknown' },
    { name: 'with evidence that is not accepted', setting: { evidence: 'evidence_expired' }, code: 'evidence_expired' },
    { name: 'that is revoked', setting: found({}, { revokedBy: `session:${id}` }), code: 'revoked' },
    { name: 'that is suspended', setting: found({}, { suspendedBy: `session:${id}` }), code: 'suspended' },
    { name: 'that was ended', setting: found({ endedAt: NOW - 1 }), code: 'session_ended' },
    { name: 'that ends now', setting: found({ expiresAt: NOW }), code: 'session_ended' },
    { name: 'that ends in a millisecond', setting: found({ expiresAt: NOW + 1 }), code: 'accepted' },
    { name: 'whose hop ends now', setting: found({}, { hops: [{ ...hop, expiresAt: NOW }] }), code: 'session_ended' },
    { name: 'whose hop ends in a millisecond', setting: found({}, { hops: [{ ...hop, expiresAt: NOW + 1 }] }), code: 'accepted' },
    { name: 'of a login that is too old', setting: { view, session: { session: { ...login, freshAt: NOW - 8 * HOUR }, hops: [hop] } }, code: 'suspended' },
    { name: 'of a task that is stale, by its own workload', setting: { view, session: { session: { ...task, freshAt: NOW - HOUR }, hops: [hop] } }, code: 'accepted' },
    { name: 'of a hop with a key, without a proof', setting: found({}, { hops: [bound] }), code: 'token_binding_required' },
    { name: 'of a hop with a key, with another proof', setting: { ...found({}, { hops: [bound] }), binding: binding('other') }, code: 'token_binding_mismatch' },
    { name: 'of a hop with a key, with a proof by it and evidence bound to another', setting: { ...found({}, { hops: [bound] }), binding: binding('key'), evidence: evidence({ boundTo: 'own-key' }) }, code: 'token_binding_mismatch' },
    { name: 'of a hop with a key, with a proof by it', setting: { ...found({}, { hops: [bound] }), binding: binding('key') }, code: 'accepted' },
  ])('$name: $code', async ({ setting, change, code: expected }) => {
    expect(codeOf(await byId(setting, change))).toBe(expected);
  });

  test('nobody looks a session up for a text that is no id', async () => {
    const { ports, asked, asking } = startAsking({ session: { session, hops: [hop] } });
    await bySessionId(ports)(asking({ subjectKind: 'session', subjectToken: `${id}A` }), 'evidence');
    expect(asked).toEqual(['attest evidence']);
  });

  test('of several hops takes the actor\'s own, with the key that was proven, the newest of them', async () => {
    const [older, newer] = [{ ...hop, id: 'hop_older' as HopId }, { ...hop, id: 'hop_newer' as HopId }];
    const theirs: HopRow = { ...hop, id: 'hop_theirs' as HopId, workloadId: other.id };
    const hops = [older, bound, newer, theirs];
    const at = async (setting: Setting): Promise<string | undefined> => valueOf(await byId({ ...found({}, { hops }), ...setting })).hop?.id;
    expect(await Promise.all([at({}), at({ binding: binding('key') }), at({ evidence: ofOther })])).toEqual(['hop_newer', 'hop_bound', 'hop_theirs']);
  });

  test('is of the session that was asked for', async () => {
    const { ports, asked, asking } = startAsking({ session: undefined });
    await bySessionId(ports)(asking({ subjectKind: 'session', subjectToken: 'B'.repeat(22) }), 'evidence');
    expect(asked).toEqual(['attest evidence', `session ${'B'.repeat(22)}`]);
  });
});

