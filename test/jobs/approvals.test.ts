import { describe, expect, test } from '@jest/globals';
import { freeze } from '../../src/authority/approval.ts';
import type { Frozen } from '../../src/authority/approval.ts';
import { DAY, HOUR, MINUTE, SECOND } from '../../src/core/duration.ts';
import type { ApprovalId, LeaseId } from '../../src/core/ids.ts';
import { err, ok } from '../../src/core/result.ts';
import { approvalExpiryJob, approvalNoticesJob } from '../../src/jobs/approvals.ts';
import { parseWebhookSecret } from '../../src/outbound/webhook.ts';
import type { WebhookMessage } from '../../src/outbound/webhook.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import type { ApprovalRow } from '../../src/store/approval-rows.ts';
import type { Target } from '../../src/store/rows.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

const START = Date.UTC(2026, 10, 22, 12);
const ID = `apr_${'a'.repeat(32)}` as ApprovalId;
const CODE = `lse_${'a'.repeat(32)}` as LeaseId;
const KEY = parseWebhookSecret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');

const frozen = (expiresAt: number) => freeze({
  approval: ID, domain: 'dom_1', session: 's', place: { kind: 'hop' }, workload: 'wkl_1', actor: 'spiffe://dev/a', issuer: 'iss_1', key: 'jkt', crossing: null, chain: [{ iss: 'i', sub: 'spiffe://dev/a', workloadId: 'wkl_1', evidence: {} }],
  person: null, login: null, parties: [], evidence: { kind: 'oidc', issuer: 'p', subject: 'a', attributes: {} }, shownAt: START, showedEvidence: true, opensTask: false, model: 'bounded', principal: 'x', startedAt: START, freshAt: null, purpose: null,
  held: null, path: ['domain:dom_1'], asked: { target: 'a', scopes: [], ceiling: null, details: null, tokenType: null, handOnTo: null, clientId: null }, forHop: false, lifetime: 300, granted: [{ audience: 'a', scopes: [] }],
  needs: [{ audience: 'a', scope: null, names: ['leads'] }], byPrincipal: false, policies: [], registryVersion: 1, askedAt: START, expiresAt,
} as unknown as Frozen);

/** One approval, a receiver that answers as told, and a clock that the test moves. */
const start = (change: Partial<ApprovalRow> = {}, more: { readonly stage?: string; readonly known?: boolean; readonly target?: boolean; readonly revoked?: Target } = {}) => {
  const time = { now: START };
  const expiresAt = change.expiresAt ?? START + HOUR;
  const { text, hash } = frozen(expiresAt);
  let row = { id: ID, leaseId: CODE, domainId: 'dom_1', frozen: text, hash, names: ['leads'], votes: [], status: 'pending', askedAt: START, expiresAt, noticeAt: START, noticeAttempts: 0, ...change } as unknown as ApprovalRow;
  const posted: { readonly at: number; readonly message: WebhookMessage; readonly loopback: boolean }[] = [];
  const heard = { ok: false };
  const view = { domain: { name: 'dev', stage: more.stage ?? 'production', issuer: 'https://sts.example/dev' }, workloadById: () => undefined, resource: () => undefined } as unknown as DomainView;
  const due = (now: number): readonly ApprovalRow[] => (row.noticeAt !== null && row.noticeAt <= now ? [row] : []);
  const metrics = createMetrics();
  if (KEY === undefined) throw new Error('no key');
  const job = approvalNoticesJob({
    clock: { now: () => time.now }, log: silentLog, metrics,
    store: {
      dueNotices: (now) => Promise.resolve(due(now)),
      noteNotice: (id, next, attempts, _now, { fence }) => {
        expect([id, fence]).toEqual([ID, 7]);
        row = { ...row, noticeAt: next, noticeAttempts: attempts };
        return Promise.resolve(true);
      },
    },
    snapshot: {
      domainById: () => (more.known === false ? undefined : view),
      blockedBy: (path) => (more.revoked !== undefined && path.includes(more.revoked) ? { target: more.revoked, effect: 'revoked' } : undefined),
    },
    webhooks: new Map(more.target === false ? [] : [['dev', { url: 'https://hooks.example', key: KEY, allowAddresses: [] }]]),
    post: (_target, message, loopback) => { posted.push({ at: time.now, message, loopback }); return Promise.resolve(heard.ok ? ok(200) : err('http 500')); },
  });
  const outcomes = async (): Promise<Record<string, number>> => Object.fromEntries((await metrics.approvalNotices.get()).values.map(({ labels, value }) => [String(labels.outcome), value]));
  return { job, time, posted, heard, outcomes, get row() { return row; }, run: () => job.run(7), isDue: async () => (await job.idle?.()) !== true };
};

describe('telling the webhook', () => {
  test('is nothing to do until something is due', async () => {
    const world = start({ noticeAt: START + 1 });
    expect(await world.isDue()).toBe(false);
    world.time.now += 1;
    expect(await world.isDue()).toBe(true);
  });

  test('is done once when it is heard', async () => {
    const world = start();
    world.heard.ok = true;
    await world.run();
    expect(world.row).toMatchObject({ noticeAt: null, noticeAttempts: 1 });
    expect(world.posted).toEqual([{ at: START, loopback: false, message: { id: ID, contentType: expect.stringContaining('application/cloudevents+json'), body: expect.any(String) } }]);
    expect(JSON.parse(world.posted[0]?.message.body ?? '')).toMatchObject({ specversion: '1.0', id: ID, source: 'https://sts.example/dev', data: { who: { spiffe_id: 'spiffe://dev/a' } } });
    expect(await world.outcomes()).toEqual({ delivered: 1 });
  });

  test('is tried again with growing pauses, and given up when the request is over first', async () => {
    const world = start();
    const pauses: number[] = [];
    for (let tries = 0; tries < 20 && world.row.noticeAt !== null; tries += 1) {
      world.time.now = world.row.noticeAt;
      await world.run();
      if (world.row.noticeAt !== null) pauses.push(world.row.noticeAt - world.time.now);
    }
    expect(pauses).toEqual([5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE]);
    expect(await world.outcomes()).toEqual({ failed: 6, given_up: 1 });
    expect(new Set(world.posted.map(({ message }) => `${message.id} ${message.body}`)).size).toBe(1);
  });

  test('goes on for a day where the request lasts so long', async () => {
    const world = start({ expiresAt: START + DAY });
    for (let tries = 0; tries < 40 && world.row.noticeAt !== null; tries += 1) {
      world.time.now = world.row.noticeAt;
      await world.run();
    }
    expect(world.posted.length).toBeGreaterThan(25);
    expect(world.posted.every(({ at }) => at < START + DAY)).toBe(true);
  });

  test.each<{ readonly name: string; readonly change: Partial<ApprovalRow>; readonly more?: Parameters<typeof start>[1]; readonly outcome: Record<string, number> }>([
    { name: 'answered', change: { status: 'approved' }, outcome: {} },
    { name: 'denied', change: { status: 'denied' }, outcome: {} },
    { name: 'over', change: { expiresAt: START }, outcome: {} },
    { name: 'cancelled', change: {}, more: { revoked: `lease:${CODE}` }, outcome: {} },
    { name: 'of a session that fell', change: {}, more: { revoked: 'domain:dom_1' as Target }, outcome: {} },
    { name: 'not what was asked', change: { hash: 'x' }, outcome: { given_up: 1 } },
    { name: 'of a domain without webhook', change: {}, more: { target: false }, outcome: { given_up: 1 } },
  ])('tells nobody of one that is $name', async ({ change, more, outcome }) => {
    const world = start(change, more);
    await world.run();
    expect([world.posted, world.row.noticeAt, await world.outcomes()]).toEqual([[], null, outcome]);
  });

  test('waits for a domain that is not loaded', async () => {
    const world = start({}, { known: false });
    await world.run();
    expect([world.posted, world.row.noticeAt]).toEqual([[], START + MINUTE]);
  });

  test('calls plain http to this host from development domains alone', async () => {
    const world = start({}, { stage: 'development' });
    await world.run();
    expect(world.posted[0]?.loopback).toBe(true);
  });
});

test('ends what is over in batches, and leaves the rest to the next run', async () => {
  const asked: number[] = [];
  const job = (left: number) => approvalExpiryJob({ clock: { now: () => START }, store: { expireApprovals: (now, limit, { name, fence }) => {
    expect([now, name, fence]).toEqual([START, 'approval-expiry', 3]);
    const ended = Math.min(left, limit);
    left -= ended;
    asked.push(ended);
    return Promise.resolve(ended);
  } } });
  await job(450).run(3);
  expect(asked).toEqual([200, 200, 50]);
  asked.length = 0;
  await job(100_000).run(3);
  expect(asked).toHaveLength(20);
});
