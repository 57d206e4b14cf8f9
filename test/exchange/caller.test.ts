import { describe, expect, test } from '@jest/globals';
import { HOUR, SECOND } from '../../src/core/duration.ts';
import { refusal } from '../../src/core/refusal.ts';
import type { RefusalCode } from '../../src/core/refusal.ts';
import { err, ok } from '../../src/core/result.ts';
import type { WorkloadId } from '../../src/core/ids.ts';
import type { Evidence } from '../../src/attestation/evidence.ts';
import { createAuthenticate } from '../../src/exchange/caller.ts';
import type { CallerPorts } from '../../src/exchange/caller.ts';
import { evidenceFacts } from '../../src/exchange/facts.ts';
import type { ExchangeRequest } from '../../src/exchange/request.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import type { LeaseStanding } from '../../src/store/store.ts';
import type { OwnToken } from '../../src/tokens/verify.ts';
import { API, LEASE, NOW, OWN_TOKEN, USUAL, api, codeOf, deployer, domain, evidence, hop, other, permit, policy, request, session, standing, valueOf, viewOf, workload } from './world.ts';

const token = { kind: 'session', jti: LEASE, clientId: deployer.spiffeId, audience: domain.issuer, jkt: undefined, kid: 'kid-1', claims: {} } as unknown as OwnToken;

interface Setting { readonly evidence?: Evidence | RefusalCode; readonly token?: OwnToken | RefusalCode; readonly standing?: LeaseStanding | undefined; readonly view?: DomainView }
const authenticate = (setting: Setting = {}) => {
  const asked: string[] = [];
  const learnt: unknown[] = [];
  const answer = <T>(given: T | RefusalCode) => Promise.resolve(typeof given === 'string' ? err(refusal(given as RefusalCode, 'as told')) : ok(given));
  const ports: CallerPorts = {
    clock: { now: () => NOW },
    attest: (text, candidates) => {
      asked.push(`attest ${text}`, ...candidates('https://token.example').map(({ name }) => name));
      return answer(setting.evidence ?? evidence());
    },
    verifySessionToken: (text) => { asked.push(`verify ${text}`); return answer(setting.token ?? token); },
    leaseStanding: (id) => { asked.push(`lease ${id}`); return Promise.resolve('standing' in setting ? setting.standing : standing()); },
    join: (caller) => { asked.push('join'); return Promise.resolve(ok(caller)); },
  };
  const run = (change: Partial<ExchangeRequest> = {}) => createAuthenticate(ports)(request(change), setting.view ?? viewOf(), 7, (who, facts) => { learnt.push([who?.name, facts.subject]); });
  return { run, asked, learnt };
};

describe('by evidence', () => {
  test('the caller is the workload it fits, in the session of its run, from now on', async () => {
    const { run, asked, learnt } = authenticate();
    const caller = valueOf(await run());
    expect(caller).toMatchObject({
      workload: deployer, evidence: evidenceFacts(evidence()), hop: undefined, hops: undefined, beganVersion: 7, replayKey: 'replay-1', replayUntil: evidence().expiresAt + HOUR, jkt: null,
      session: { anchor: '815/9001/1', startedAt: NOW, principal: deployer.owner, model: 'bounded' },
    });
    expect(caller.path).toEqual([`domain:${domain.id}`, `issuer:${evidence().issuerId}`, `workload:${deployer.id}`, `session:${caller.session.id}`]);
    expect(asked).toEqual(['attest evidence']);
    expect(learnt).toEqual([[undefined, evidence().subject], ['ci/deployer', evidence().subject]]);
  });

  const AGED = viewOf({ policies: [...USUAL, policy('forbid(principal, action == Action::"issue", resource) when { context.session.age_seconds > 60 };')] });
  test.each([
    { name: 'nobody asks for the session\'s age, so no query is made', view: viewOf(), of: evidence(), hops: undefined, joins: 0 },
    { name: 'a policy asks for the session\'s age, so its row is read', view: AGED, of: evidence(), hops: undefined, joins: 1 },
    { name: 'the evidence is its own anchor, so the session is new for certain', view: viewOf(), of: evidence({ anchor: 'replay-1' }), hops: [], joins: 0 },
    { name: 'the evidence joins its session as often as it likes, so the session may be old', view: viewOf(), of: evidence({ replayKey: undefined }), hops: undefined, joins: 0 },
  ])('$name', async ({ view, of, hops, joins }) => {
    const { run, asked } = authenticate({ view, evidence: of });
    expect(valueOf(await run()).hops).toEqual(hops);
    expect(asked.filter((each) => each === 'join')).toHaveLength(joins);
  });

  test('that is good more than once leaves nothing to be consumed, and what is bound to a key says so', async () => {
    expect(valueOf(await authenticate({ evidence: evidence({ replayKey: undefined, boundTo: 'thumbprint' }) }).run())).toMatchObject({ replayKey: null, replayUntil: null, jkt: 'thumbprint' });
  });

  const rows: readonly { readonly name: string; readonly setting?: Setting; readonly change?: Partial<ExchangeRequest>; readonly code: string; readonly learnt: readonly unknown[] }[] = [
    { name: 'evidence that is not accepted, of which nothing is learnt', setting: { evidence: 'evidence_expired' }, code: 'evidence_expired', learnt: [] },
    { name: 'evidence of nobody', setting: { evidence: evidence({ attributes: { repository_id: '1' } }) }, code: 'workload_unknown', learnt: [[undefined, evidence().subject]] },
    { name: 'evidence of a workload that has just expired', setting: { view: viewOf({ workloads: [workload({ expires: NOW })] }) }, code: 'workload_expired', learnt: [[undefined, evidence().subject]] },
    { name: 'evidence of a workload that expires in a second', setting: { view: viewOf({ workloads: [workload({ expires: NOW + SECOND })] }) }, code: 'accepted', learnt: [[undefined, evidence().subject], ['ci/deployer', evidence().subject]] },
    { name: 'evidence of two workloads', setting: { view: viewOf({ workloads: [deployer, workload({ id: 'wkl_2' as WorkloadId, name: 'ci/twin' })] }) }, code: 'workload_ambiguous', learnt: [[undefined, evidence().subject]] },
    { name: 'another workload\'s client id', change: { clientId: other.spiffeId }, code: 'client_id_mismatch', learnt: [[undefined, evidence().subject]] },
    { name: 'its own client id', change: { clientId: deployer.spiffeId }, code: 'accepted', learnt: [[undefined, evidence().subject], ['ci/deployer', evidence().subject]] },
    { name: 'evidence of a person', setting: { evidence: evidence({ proves: 'people' }) }, code: 'workload_unknown', learnt: [[undefined, evidence().subject]] },
    ...(['delegated', 'autonomous'] as const).map((authority) => ({ name: `evidence alone of a ${authority} workload`, setting: { view: viewOf({ workloads: [workload({ authority })] }) }, code: 'model_mismatch', learnt: [[undefined, evidence().subject], ['ci/deployer', evidence().subject]] })),
  ];
  test.each(rows)('$name: $code', async ({ setting, change, code, learnt }) => {
    const it = authenticate(setting);
    expect(codeOf(await it.run(change))).toBe(code);
    expect(it.learnt).toEqual(learnt);
    if (code !== 'accepted') expect(it.asked).not.toContain('join');
  });
});

describe('by session token', () => {
  const SPEND = { subjectKind: 'session-token', subjectToken: OWN_TOKEN } as const;
  const spend = (setting: Setting = {}, change: Partial<ExchangeRequest> = {}) => {
    const it = authenticate(setting);
    return { ...it, spent: it.run({ ...SPEND, ...change }) };
  };

  test('the caller is who the token was issued to, within its hop, as the database has it now', async () => {
    const { spent, asked, learnt } = spend({ token: { ...token, jkt: 'thumbprint' } });
    expect(valueOf(await spent)).toEqual({
      workload: deployer, evidence: evidenceFacts(evidence()), session, hop, hops: [hop], path: [...hop.path, `lease:${LEASE}`], beganVersion: session.beganVersion, replayKey: null, replayUntil: null, jkt: 'thumbprint',
    });
    expect(asked).toEqual(['verify token', `lease ${LEASE}`]);
    expect(learnt).toEqual([['ci/deployer', evidence().subject]]);
  });

  test('the workload may have been changed since: what it is now counts, and its earlier end', async () => {
    const now = workload({ version: 2, owner: 'search@acme.example', expires: NOW + SECOND });
    expect(valueOf(await spend({ view: viewOf({ workloads: [now] }) }).spent)).toMatchObject({ workload: now, session: { principal: deployer.owner, expiresAt: NOW + SECOND } });
  });

  test.each<{ readonly name: string; readonly setting?: Setting; readonly change?: Partial<ExchangeRequest>; readonly code: string }>([
    { name: 'a token that does not verify', setting: { token: 'token_expired' }, code: 'token_expired' },
    { name: 'a resource token', setting: { token: 'token_not_exchangeable' }, code: 'token_not_exchangeable' },
    { name: 'another client id', change: { clientId: other.spiffeId }, code: 'client_id_mismatch' },
    { name: 'its own client id', change: { clientId: deployer.spiffeId }, code: 'accepted' },
    { name: 'a token without a lease', setting: { standing: undefined }, code: 'token_unknown' },
    { name: 'a token whose lease is of another kind', setting: { standing: standing({ kind: 'access_token' }) }, code: 'token_unknown' },
    { name: 'another token of the same lease', change: { subjectToken: `${OWN_TOKEN}2` }, code: 'token_unknown' },
    { name: 'a revoked token', setting: { standing: standing({}, { revokedBy: `hop:${hop.id}` }) }, code: 'revoked' },
    { name: 'a token of a session that is over', setting: { standing: standing({}, { ended: true }) }, code: 'session_ended' },
    { name: 'a token that is both', setting: { standing: standing({}, { ended: true, revokedBy: `hop:${hop.id}` }) }, code: 'revoked' },
    { name: 'a workload that is not registered any more', setting: { view: viewOf({ workloads: [other] }) }, code: 'workload_unknown' },
    { name: 'a workload that has just expired', setting: { view: viewOf({ workloads: [workload({ expires: NOW })] }) }, code: 'workload_expired' },
    { name: 'a workload that expires in a millisecond', setting: { view: viewOf({ workloads: [workload({ expires: NOW + 1 })] }) }, code: 'accepted' },
  ])('$name: $code', async ({ setting, change, code }) => {
    expect(codeOf(await spend(setting, change).spent)).toBe(code);
  });

  test('is not tried with evidence, nor the other way round', async () => {
    expect((await spendKinds('evidence')).asked[0]).toBe('attest token');
    expect((await spendKinds('session-token')).asked[0]).toBe('verify token');
  });
  const spendKinds = async (subjectKind: 'evidence' | 'session-token') => {
    const it = spend({}, { subjectKind });
    await it.spent;
    return it;
  };

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
    expect(codeOf(await spend({ standing: standing({ decision: { evidence: { ...evidenceFacts(evidence()) } } }) }).spent)).toBe('accepted');
  });
});

test('only issuers that prove workloads are looked at', async () => {
  const view = viewOf({ resources: [api], policies: [permit(API)] });
  const purposes: string[] = [];
  const { run } = authenticate({ view: { ...view, issuersFor: (_iss, purpose) => { purposes.push(purpose); return []; } } });
  await run();
  expect(purposes).toEqual(['workloads']);
});
