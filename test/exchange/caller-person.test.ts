import { describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE } from '../../src/core/duration.ts';
import type { IssuerId, PersonUrn } from '../../src/core/ids.ts';
import { openLogin } from '../../src/authority/session.ts';
import { byPerson } from '../../src/exchange/caller-person.ts';
import { evidenceFacts } from '../../src/exchange/facts.ts';
import type { ExchangeRequest } from '../../src/exchange/request.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import { startAsking } from './asking.ts';
import type { Setting } from './asking.ts';
import { API, ISSUER_ID, NOW, PEOPLE_ID, codeOf, domain, evidence, linkOf, other, permit, person, policy, valueOf, viewOf, workload } from './world.ts';

const LIMITS = { ...domain.limits, freshness: { ...domain.limits.freshness, delegated: 8 * HOUR } };
const agent = workload({ authority: 'delegated' });
const within = (view: DomainView): DomainView => ({ ...view, domain: { ...domain, limits: LIMITS } });
const VIEW = within(viewOf({ workloads: [agent, other] }));
const act = (setting: Setting = {}, change: Partial<ExchangeRequest> = {}) => {
  const { ports, asked, learnt, asking } = startAsking({ view: VIEW, ...setting });
  return { asked, learnt, acting: byPerson(ports)(asking({ subjectToken: 'their token', actorToken: 'evidence', ...change }), 'evidence', change.subjectToken ?? 'their token') };
};
const code = async (setting?: Setting, change?: Partial<ExchangeRequest>): Promise<string> => codeOf(await act(setting, change).acting);

describe('an agent that acts for a person', () => {
  test('is itself, in the session of their login, on their authority, with its own evidence used up', async () => {
    const { acting, asked, learnt } = act();
    const session = openLogin(VIEW.domain, person(), NOW);
    expect(valueOf(await acting)).toEqual({
      workload: agent, evidence: evidenceFacts(evidence()), issuerId: ISSUER_ID, session, hop: undefined, parent: undefined, hops: undefined, ceiling: undefined, chain: [linkOf(agent)],
      person: { urn: person().urn, issuer: 'corp', groups: ['engineering'] }, login: { person: person().urn, authTime: person().authTime }, freshness: { at: person().authTime, shown: true, within: 8 * HOUR },
      showedEvidence: true, opensTask: false, path: [`domain:${domain.id}`, `issuer:${PEOPLE_ID}`, `person:${person().urn}`, `session:${session.id}`, `issuer:${ISSUER_ID}`, `workload:${agent.id}`], beganVersion: 7,
      replayKey: 'replay-1', replayUntil: evidence().expiresAt + HOUR, proofs: [], jkt: null,
    });
    expect(asked).toEqual(['attest evidence', 'person their token']);
    expect(learnt).toEqual([[undefined, evidence().subject], ['ci/deployer', evidence().subject]]);
  });

  test.each<{ readonly name: string; readonly setting?: Setting; readonly change?: Partial<ExchangeRequest>; readonly code: string }>([
    { name: 'with evidence that is not accepted', setting: { evidence: 'evidence_expired' }, code: 'evidence_expired' },
    { name: 'with evidence of nobody', setting: { evidence: evidence({ attributes: {} }) }, code: 'workload_unknown' },
    { name: 'with a token that is not the person\'s', setting: { person: 'evidence_signature_invalid' }, code: 'evidence_signature_invalid' },
    { name: 'with a token of an application it does not present', setting: { person: person({ presenters: ['agents/other'] }) }, code: 'presenter_not_listed' },
    { name: 'with a token of an application nobody presents', setting: { person: person({ presenters: [] }) }, code: 'presenter_not_listed' },
    { name: 'with a token of an application that one of a longer name presents', setting: { person: person({ presenters: ['ci/deployer2'] }) }, code: 'presenter_not_listed' },
    { name: 'with a token of an application it presents beside others', setting: { person: person({ presenters: ['agents/other', 'ci/deployer'] }) }, code: 'accepted' },
    { name: 'where the token names another actor', setting: { person: person({ mayAct: { iss: undefined, sub: other.spiffeId } }) }, code: 'actor_mismatch' },
    { name: 'where the token names it at another issuer', setting: { person: person({ mayAct: { iss: 'https://elsewhere.example', sub: agent.spiffeId } }) }, code: 'actor_mismatch' },
    { name: 'where the token names it', setting: { person: person({ mayAct: { iss: domain.issuer, sub: agent.spiffeId } }) }, code: 'accepted' },
    { name: 'whose login is as old as may not be', setting: { person: person({ authTime: NOW - 8 * HOUR }) }, code: 'login_too_old' },
    { name: 'whose login is just young enough', setting: { person: person({ authTime: NOW - 8 * HOUR + 1 }) }, code: 'accepted' },
    { name: 'revoked since this login', setting: { loginsEnded: person().authTime }, code: 'revoked' },
    { name: 'revoked before this login', setting: { loginsEnded: person().authTime - 1 }, code: 'accepted' },
    { name: 'of another person that was revoked', setting: { loginsEnded: NOW, person: person({ urn: `${person().urn}2` as PersonUrn }) }, code: 'accepted' },
    { name: 'registered for its own runs', setting: { view: within(viewOf({ workloads: [workload()] })) }, code: 'model_bounded' },
    { name: 'registered for tasks', setting: { view: within(viewOf({ workloads: [workload({ authority: 'autonomous', principal: { issuer: 'corp', sub: 'alice' } })] })) }, code: 'model_autonomous' },
    { name: 'that says it is another', change: { clientId: other.spiffeId }, code: 'client_id_mismatch' },
    { name: 'that says who it is', change: { clientId: agent.spiffeId }, code: 'accepted' },
    { name: 'whose evidence and person are bound to different keys', setting: { evidence: evidence({ boundTo: 'own-key' }), person: person({ boundTo: 'their-key' }) }, code: 'token_binding_mismatch' },
  ])('$name: $code', async ({ setting, change, code: expected }) => {
    expect(await code(setting, change)).toBe(expected);
  });

  test('is told nothing of its model before it is one of the presenters', async () => {
    expect(await code({ view: within(viewOf({ workloads: [workload()] })), person: person({ presenters: ['agents/other'] }) })).toBe('presenter_not_listed');
  });

  test.each([
    { name: 'the person\'s token', own: undefined, theirs: 'key' }, { name: 'its evidence', own: 'key', theirs: undefined }, { name: 'both, to the same', own: 'key', theirs: 'key' },
  ])('owes a proof where $name is bound to a key', async ({ own, theirs }) => {
    expect(valueOf(await act({ evidence: evidence({ boundTo: own }), person: person({ boundTo: theirs }) }).acting).jkt).toBe('key');
  });

  test('uses up the person\'s token as well, where its issuer says once', async () => {
    expect(valueOf(await act({ person: person({ replayKey: 'theirs' }) }).acting)).toMatchObject({ replayKey: 'replay-1', proofs: [{ key: 'theirs', until: person().expiresAt + HOUR }] });
  });

  test('is in one session with every token of the same login, and in others with other logins', async () => {
    const at = async (of: ReturnType<typeof person>): Promise<string> => valueOf(await act({ person: of }).acting).session.id;
    const [first, again, fresh, bob, elsewhere] = await Promise.all([
      at(person()), at(person({ authTime: NOW - MINUTE / 2, groups: [], clientId: 'another' })), at(person({ anchor: 'sid.login-2' })), at(person({ urn: 'urn:mayfly:prod:person:corp:bob' as PersonUrn })), at(person({ issuerId: 'iss_x' as IssuerId })),
    ]);
    expect(again).toBe(first);
    expect(new Set([first, fresh, bob, elsewhere]).size).toBe(4);
  });

  test('is looked up in the session only where a policy asks for its age', async () => {
    const aged = within(viewOf({ workloads: [agent], policies: [permit(API), policy('forbid(principal, action == Action::"act", resource) when { context.session.age_seconds > 60 };')] }));
    const [asking, plain] = [act({ view: aged }), act()];
    await Promise.all([asking.acting, plain.acting]);
    expect([asking.asked.includes('join'), plain.asked.includes('join')]).toEqual([true, false]);
  });
});
