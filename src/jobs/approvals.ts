import { thaw } from '../authority/approval.ts';
import type { Clock } from '../core/clock.ts';
import { HOUR, MINUTE, SECOND } from '../core/duration.ts';
import { statusOf, tellApproval } from '../exchange/tell-approval.ts';
import type { PostWebhook, WebhookTarget } from '../outbound/webhook.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { Snapshot } from '../snapshot/snapshot.ts';
import type { ApprovalRow } from '../store/approval-rows.ts';
import type { HeldJob, StoreReads, StoreWrites } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Job } from './run.ts';

const EXPIRY = 'approval-expiry';
const NOTICES = 'approval-notices';
const BATCH = 200;
const BATCHES = 20;

/** Writes down that requests nobody agreed to, or came back for, are over. They count for nothing from that moment on in any case. */
export const approvalExpiryJob = ({ clock, store }: { readonly clock: Clock; readonly store: Pick<StoreWrites, 'expireApprovals'> }): Job => ({
  name: EXPIRY,
  every: 30 * SECOND,
  lease: 5 * MINUTE,
  async run(fence) {
    for (let batch = 0; batch < BATCHES; batch += 1) if ((await store.expireApprovals(clock.now(), BATCH, { name: EXPIRY, fence })) < BATCH) return;
  },
});

export interface NoticesDeps {
  readonly clock: Clock;
  readonly store: Pick<StoreReads, 'dueNotices'> & Pick<StoreWrites, 'noteNotice'>;
  readonly snapshot: Pick<Snapshot, 'domainById' | 'blockedBy'>;
  /** By name of the trust domain. */
  readonly webhooks: ReadonlyMap<string, WebhookTarget>;
  readonly post: PostWebhook;
  readonly log: Log;
  readonly metrics: Pick<Metrics, 'approvalNotices'>;
}

/** After so long the webhook is tried again; the last one over and over, until the request is over. */
const PAUSES = [5 * SECOND, 15 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR] as const;
/** At once: each may take as long as the webhook is waited for. */
const TOGETHER = 20;

/**
 * Tells the webhook of a domain that a request waits for people, until it says that it heard. What is due is kept with the request
 * itself, so a server that stops loses none; one told twice has the same id.
 */
export const approvalNoticesJob = (deps: NoticesDeps): Job => {
  const { clock, store, snapshot, webhooks, log, metrics } = deps;

  const tell = async (row: ApprovalRow, view: DomainView, job: HeldJob): Promise<void> => {
    const { name, stage } = view.domain;
    const target = webhooks.get(name);
    const frozen = thaw(row);
    const now = clock.now();
    const status = statusOf(row, frozen.ok ? frozen.value : undefined, snapshot, now);
    // Answered, over or taken back, nothing anybody could do about it, or nowhere to tell.
    if (target === undefined || !frozen.ok || status !== 'pending') {
      if (target === undefined || !frozen.ok) metrics.approvalNotices.inc({ domain: name, outcome: 'given_up' });
      await store.noteNotice(row.id, null, row.noticeAttempts, now, job);
      return;
    }
    const posted = await deps.post(target, { id: row.id, contentType: 'application/cloudevents+json; charset=utf-8', body: eventOf(view, row, tellApproval(view, row, frozen.value, status)) }, stage === 'development');
    const attempts = row.noticeAttempts + 1;
    const pause = PAUSES[Math.min(row.noticeAttempts, PAUSES.length - 1)] ?? HOUR;
    // From when it was tried: how long the webhook took to say no does not count on top.
    const next = posted.ok ? null : now + pause;
    const givenUp = next !== null && next >= row.expiresAt;
    metrics.approvalNotices.inc({ domain: name, outcome: posted.ok ? 'delivered' : givenUp ? 'given_up' : 'failed' });
    if (!posted.ok) log.warn({ domain: name, approval: row.id, attempts, why: posted.error, again: !givenUp }, 'the approval webhook was not told');
    await store.noteNotice(row.id, givenUp ? null : next, attempts, clock.now(), job);
  };

  return {
    name: NOTICES,
    every: SECOND,
    lease: MINUTE,
    idle: async () => (await store.dueNotices(clock.now(), 1)).length === 0,
    async run(fence) {
      const job = { name: NOTICES, fence };
      const due = await store.dueNotices(clock.now(), TOGETHER);
      await Promise.all(due.map((row) => {
        const view = snapshot.domainById(row.domainId);
        return view === undefined ? store.noteNotice(row.id, clock.now() + MINUTE, row.noticeAttempts, clock.now(), job) : tell(row, view, job);
      }));
    },
  };
};

/** CloudEvents 1.0, JSON format. */
const eventOf = ({ domain }: DomainView, { id, askedAt }: ApprovalRow, data: object): string => JSON.stringify({
  specversion: '1.0', id, source: domain.issuer, type: 'mayfly.approval.asked', subject: id, time: new Date(askedAt).toISOString(), datacontenttype: 'application/json', data,
});
