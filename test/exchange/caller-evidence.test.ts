import { describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE, SECOND } from '../../src/core/duration.ts';
import type { DomainId, WorkloadId } from '../../src/core/ids.ts';
import { openTask, sessionPath } from '../../src/authority/session.ts';
import { byEvidence } from '../../src/exchange/caller-evidence.ts';
import { evidenceFacts } from '../../src/exchange/facts.ts';
import type { ExchangeRequest } from '../../src/exchange/request.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import type { SessionRow } from '../../src/store/rows.ts';
import { startAsking } from './asking.ts';
import type { Outcome, Setting } from './asking.ts';
import { API, ISSUER_ID, NOW, USUAL, api, codeOf, deployer, domain, evidence, hop, linkOf, other, permit, person, policy, session, valueOf, viewOf, workload } from './world.ts';

const showing = (setting: Setting = {}) => {
  const { ports, asked, learnt, asking } = startAsking(setting);
  return { asked, learnt, run: (change: Partial<ExchangeRequest> = {}): Outcome => byEvidence(ports)(asking(change), asking(change).request.subjectToken) };
};

describe('by evidence', () => {
  test('the caller is the workload it fits, in the session of its run, from now on', async () => {
    const { run, asked, learnt } = showing();
    const caller = valueOf(await run());
    expect(caller).toMatchObject({
      workload: deployer, evidence: evidenceFacts(evidence()), issuerId: ISSUER_ID, hop: undefined, parent: undefined, hops: undefined, ceiling: undefined, chain: [linkOf()], person: undefined, login: undefined, freshness: undefined,
      showedEvidence: true, opensTask: false, beganVersion: 7, replayKey: 'replay-1', replayUntil: evidence().expiresAt + HOUR, proofs: [], jkt: null,
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
    const { run, asked } = showing({ view, evidence: of });
    expect(valueOf(await run()).hops).toEqual(hops);
    expect(asked.filter((each) => each === 'join')).toHaveLength(joins);
  });

  test('that is good more than once leaves nothing to be consumed, and what is bound to a key says so', async () => {
    expect(valueOf(await showing({ evidence: evidence({ replayKey: undefined, boundTo: 'thumbprint' }) }).run())).toMatchObject({ replayKey: null, replayUntil: null, jkt: 'thumbprint' });
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
    ...(['delegated', 'autonomous'] as const).map((authority) => ({ name: `evidence alone of a ${authority} workload`, setting: { view: viewOf({ workloads: [workload({ authority })] }) }, code: `model_${authority}`, learnt: [[undefined, evidence().subject], ['ci/deployer', evidence().subject]] })),
    { name: 'a task named by a workload that acts for its run', change: { session: session.id }, code: 'model_bounded', learnt: [[undefined, evidence().subject], ['ci/deployer', evidence().subject]] },
    { name: 'a task opened by a workload that acts for its run', change: { purpose: 'mend' }, code: 'model_bounded', learnt: [[undefined, evidence().subject], ['ci/deployer', evidence().subject]] },
  ];
  test.each(rows)('$name: $code', async ({ setting, change, code, learnt }) => {
    const it = showing(setting);
    expect(codeOf(await it.run(change))).toBe(code);
    expect(it.learnt).toEqual(learnt);
    if (code !== 'accepted') expect(it.asked).not.toContain('join');
  });
});

test('only issuers that prove workloads are looked at', async () => {
  const view = viewOf({ resources: [api], policies: [permit(API)] });
  const purposes: string[] = [];
  await showing({ view: { ...view, issuersFor: (_iss, purpose) => { purposes.push(purpose); return []; } } }).run();
  expect(purposes).toEqual(['workloads']);
});

describe('a task', () => {
  const PRINCIPAL = { issuer: 'corp', sub: 'alice' };
  const fixer = workload({ authority: 'autonomous', principal: PRINCIPAL });
  const LIMITS = { ...domain.limits, freshness: { ...domain.limits.freshness, autonomous: 20 * MINUTE } };
  const plain = viewOf({ workloads: [fixer, other] });
  const view: DomainView = { ...plain, domain: { ...domain, limits: LIMITS } };
  const task: SessionRow = { ...openTask(domain, fixer, person().urn, evidence(), 'earlier', 'mend the tests', NOW - HOUR), beganVersion: 3 };
  const onTask = (found: Partial<SessionRow> = {}, more: Partial<NonNullable<Setting['session']>> = {}, setting: Setting = {}) =>
    showing({ view, session: { session: { ...task, ...found }, ...more }, ...setting });

  test('that runs is gone on with: within it as it is stored, and made fresh by the evidence shown now', async () => {
    const it = onTask({}, { hops: [hop] });
    expect(valueOf(await it.run({ session: task.id }))).toMatchObject({
      workload: fixer, session: task, hop: undefined, hops: [hop], ceiling: undefined, beganVersion: 3, freshness: { at: NOW, shown: true, within: 20 * MINUTE }, opensTask: false, replayKey: 'replay-1', path: sessionPath(task),
    });
    expect(it.asked).toEqual(['attest evidence', `session ${task.id}`]);
  });

  test('is opened by the evidence itself where the request says what for, and has to be permitted', async () => {
    const it = onTask();
    const caller = valueOf(await it.run({ purpose: 'mend the tests' }));
    const opened = openTask(view.domain, fixer, person().urn, evidence(), 'replay-1', 'mend the tests', NOW);
    expect(caller).toMatchObject({ session: opened, hops: [], beganVersion: 7, freshness: { at: NOW, shown: true, within: 20 * MINUTE }, opensTask: true, path: sessionPath(opened) });
    expect(it.asked).toEqual(['attest evidence']);
    // Twin: evidence that is good more than once opens one task, whoever shows it again.
    const again = evidence({ replayKey: undefined });
    expect(valueOf(await onTask({}, {}, { evidence: again }).run({ purpose: 'mend' })).session.id).toBe(openTask(domain, fixer, person().urn, again, again.anchor, '', NOW).id);
  });

  test.each<{ readonly name: string; readonly it: ReturnType<typeof showing>; readonly code: string }>([
    { name: 'that nobody opened', it: showing({ view, session: undefined }), code: 'session_unknown' },
    { name: 'of another workload', it: onTask({ holder: other.id }), code: 'session_unknown' },
    { name: 'of another domain', it: onTask({ domainId: 'dom_other' as DomainId }), code: 'session_unknown' },
    { name: 'that is a run', it: onTask({ model: 'bounded' }), code: 'session_unknown' },
    { name: 'that is revoked', it: onTask({}, { revokedBy: `session:${task.id}` }), code: 'revoked' },
    { name: 'that is suspended', it: onTask({}, { suspendedBy: `workload:${fixer.id}` }), code: 'suspended' },
    { name: 'that is both', it: onTask({}, { revokedBy: `session:${task.id}`, suspendedBy: `workload:${fixer.id}` }), code: 'revoked' },
    { name: 'that was ended', it: onTask({ endedAt: NOW - 1 }), code: 'session_ended' },
    { name: 'that ends now', it: onTask({ expiresAt: NOW }), code: 'session_ended' },
    { name: 'that ends in a millisecond', it: onTask({ expiresAt: NOW + 1 }), code: 'accepted' },
    { name: 'that is stale, which the evidence mends', it: onTask({ freshAt: NOW - HOUR }), code: 'accepted' },
  ])('$name: $code', async ({ it, code }) => {
    expect(codeOf(await it.run({ session: task.id }))).toBe(code);
  });

  test('of a workload without anybody accountable is a fault, never nobody\'s', async () => {
    await expect(showing({ view: viewOf({ workloads: [workload({ authority: 'autonomous' })] }) }).run({ purpose: 'mend' })).rejects.toThrow('no principal');
  });
});
