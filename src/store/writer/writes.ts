import { auditText } from '../../core/hash-chain.ts';
import type { ChainHead, NamedCheckpoint } from '../../core/hash-chain.ts';
import type { AuditEvent, CheckpointRow } from '../rows.ts';
import { APPROVAL, BUDGET, CASCADE_TASK, CHECKPOINT, DENIAL, encodeRow, encodeTime, ENTRY, HOP, INSTANCE, LEASE, REPLAY, REVOCATION, SESSION, SIGNING_KEY, storable } from '../sql/tables.ts';
import type { Admission, ApprovalAnswer, BlockClaim, HeldJob, CascadeStep, Issuance, OneTime, RegistryChange, SignCheckpoint, StoreWrites } from '../store.ts';
import { CHAIN_ALIVE_MS, chainJob } from './chain-job.ts';
import type { Perform } from './group-commit.ts';
import type { EncodedApproval, EncodedEvent, EncodedProof, Operation, Replies, SealableHead } from './operations.ts';
import { createSignalWrites } from './signal-writes.ts';

/** The store's writes in terms of operations, each encoded here, once. */
export const createWrites = (perform: Perform): StoreWrites => {
  // The last entry of each chain that this process sealed; the database is not asked what it would rather have sealed.
  const sealed = new Map<string, number>();
  // Likewise the last checkpoint this process made: the next one names it, whether or not it is still there.
  let made: NamedCheckpoint | null = null;
  // Where each stopped chain ended whose end is not ours: looked at, and told of, once.
  const told = new Map<string, number>();

  const seal = async (head: SealableHead, newest: NamedCheckpoint | null, sign: SignCheckpoint, now: number): Promise<CheckpointRow> => {
    const checkpoint = { chain: head.chain, n: head.n, hash: head.hash, at: now };
    const row: CheckpointRow = { ...checkpoint, ...(await sign({ ...checkpoint, before: later(made, newest) })) };
    if (await perform({ kind: 'seal', row: encodeRow(CHECKPOINT, row) })) made = checkpoint;
    return row;
  };

  const findProven = async (chain: string, after: number): Promise<ChainHead | undefined> => {
    let found: ChainHead | undefined;
    // A transaction for each look: issuances go between.
    for (let from: number | null = after; from !== null; ) {
      const looked: Replies['proven'] = await perform({ kind: 'proven', chain, after: from });
      found = looked.head ?? found;
      from = looked.next;
    }
    return found;
  };

  return {
    ...createSignalWrites(perform),
    async issue(issuance) {
      const { admits } = issuance;
      return admits === undefined ? perform(encodeIssuance(issuance)) : (await perform(encodeAdmission(issuance, admits))).outcome;
    },
    open: ({ session, path, budgets, audit }) => perform({
      kind: 'open', id: session.id, session: encodeRow(SESSION, session), budgets: budgets.map((row) => encodeRow(BUDGET, row)), event: encodeEvent(audit),
      claim: JSON.stringify({ lease_id: session.id, session_id: session.id, path: JSON.stringify(path), now: encodeTime(session.startedAt), session_expires_at: encodeTime(session.expiresAt) }),
    }),
    async spend(id, amount, audit) {
      // INVARIANT: what was spent only rises, whoever calls.
      if (!Number.isSafeInteger(amount) || amount < 1) throw new RangeError('the amount of a spending is not a positive whole number');
      return (await perform({ kind: 'spend', session: id, amount, event: encodeEvent(audit) })) ?? undefined;
    },
    consume: (things) => perform({ kind: 'consume', proofs: things.map(encodeProof) }),
    async deny(denial, audit) { await perform({ kind: 'append', denial: encodeRow(DENIAL, denial), event: encodeEvent(audit) }); },
    async append(event) { await perform({ kind: 'append', denial: null, event: encodeEvent(event) }); },
    change: (change) => perform(encodeChange(change)),
    endSession: (id, { at, by, reason, domainId, purgeAfter }, audit) => perform({
      kind: 'end-session', id, at, by, reason, event: encodeEvent(audit),
      revocation: encodeRow(REVOCATION, { target: `session:${id}`, domainId, effect: 'revoked', at, by, reason: `ended: ${reason}`, purgeAfter }),
    }),
    answerApproval: (answer) => perform(encodeAnswer(answer)),
    expireApprovals: (now, limit, job) => perform({ kind: 'expire-approvals', now, limit, job }),
    noteNotice: (id, next, attempts, now, job) => perform({ kind: 'note-notice', row: JSON.stringify({ id, notice_at: next === null ? null : encodeTime(next), notice_attempts: attempts }), now, job }),
    takeJob: async (name, holder, until, now) => (await perform({ kind: 'take-job', name, holder, until, now })) ?? undefined,
    async releaseJob(name, holder) { await perform({ kind: 'release-job', name, holder }); },
    purge: (now, limit, job) => perform({ kind: 'purge', now, limit, name: job.name, fence: job.fence }),
    claimStatusBlock: (claim) => perform({ kind: 'claim-block', claim: encodeBlockClaim(claim) }),
    cascadeStep: (step, now, job) => perform(encodeStep(step, now, job)),
    async eraseHandle(id) { await perform({ kind: 'erase-handle', id }); },
    async checkpoint(sign, now) {
      const { head, newest } = await perform({ kind: 'own-head' });
      if (head === null) return undefined;
      await perform({ kind: 'take-job', name: chainJob(head.chain), holder: head.chain, until: now + CHAIN_ALIVE_MS, now });
      if (sealed.get(head.chain) === head.n) return undefined;
      const row = await seal(head, newest, sign, now);
      sealed.clear();
      sealed.set(head.chain, head.n);
      return row;
    },
    async sealStopped(sign, now, tell) {
      const rows: CheckpointRow[] = [];
      const { chains, newest } = await perform({ kind: 'stopped', now });
      for (const { chain, n, sealed: after } of chains) {
        if (told.get(chain) === n) continue;
        const proven = await findProven(chain, after);
        const provenTo = proven?.n ?? after;
        // Told before the seal, which may fail, and noted after it, so that it is tried again.
        if (provenTo < n) tell({ chain, n: provenTo + 1, to: n });
        if (proven !== undefined) rows.push(await seal({ chain, ...proven }, newest, sign, now));
        if (provenTo < n) told.set(chain, n);
      }
      return rows;
    },
  };
};

const later = (own: NamedCheckpoint | null, stored: NamedCheckpoint | null): NamedCheckpoint | null => (own === null || (stored !== null && stored.at > own.at) ? stored : own);

const encodeIssuance = ({ session, hop, lease, proofs, audit, login, words = [], fresh, charge, approval }: Issuance): Extract<Operation, { kind: 'issue' }> => ({
  kind: 'issue', id: lease.id, sessionId: session.id, hopId: hop.id, replayKey: lease.replayKey,
  claim: JSON.stringify({
    lease_id: lease.id, session_id: session.id, hop_id: hop.id, path: JSON.stringify(hop.path), key_target: lease.kid === null ? null : `key:${lease.kid}`,
    now: encodeTime(lease.issuedAt), lease_expires_at: encodeTime(lease.expiresAt), session_expires_at: encodeTime(session.expiresAt), hop_expires_at: encodeTime(hop.expiresAt),
    person_target: login && `person:${login.person}`, auth_time: login && encodeTime(login.authTime),
    words: words.length === 0 ? undefined : JSON.stringify(words.flatMap(({ targets, at }) => targets.map((target) => ({ target: storable(target), since: encodeTime(at) })))),
    fresh_after: fresh && encodeTime(fresh.after), fresh_at: fresh === undefined || fresh.at === null ? undefined : encodeTime(fresh.at),
  }),
  session: encodeRow(SESSION, session), hop: encodeRow(HOP, hop), lease: encodeRow(LEASE, lease), proofs: proofs.map(encodeProof),
  fresh: fresh === undefined || fresh.at === null ? null : JSON.stringify({ id: session.id, fresh_at: encodeTime(fresh.at) }),
  charge: charge === undefined ? null : { session: charge.session, agent: charge.agent, resource: charge.resource ?? null },
  approval: approval === undefined ? null : encodeApproval(approval, { hop, lease }), event: encodeEvent(audit),
});

const encodeApproval = (approval: NonNullable<Issuance['approval']>, { hop, lease }: Pick<Issuance, 'hop' | 'lease'>): EncodedApproval => {
  const now = encodeTime(lease.issuedAt);
  if (approval.kind === 'redeem') return { kind: 'redeem', id: approval.id, row: JSON.stringify({ id: approval.id, hash: approval.hash, now, hop_id: hop.id, redeemed_lease: lease.id }), event: encodeEvent(approval.audit) };
  const { row, bounds: { since, ...bounds } } = approval;
  return { kind: 'ask', id: row.id, workload: row.workloadId, session: row.sessionId, claim: JSON.stringify({ id: row.id, workload_id: row.workloadId, session_id: row.sessionId, now, since: encodeTime(since) }), row: encodeRow(APPROVAL, row), bounds };
};

const encodeAnswer = ({ id, revision, status, votes, closedBy, reason, at, audit }: ApprovalAnswer): Extract<Operation, { kind: 'answer-approval' }> => ({
  kind: 'answer-approval', event: encodeEvent(audit),
  row: JSON.stringify({ id, revision, status, votes: JSON.stringify(votes), closed_by: closedBy === null ? null : storable(closedBy), reason: reason === null ? null : storable(reason), at: encodeTime(at) }),
});

const encodeAdmission = (issuance: Issuance, { instance, maxLive }: Admission): Extract<Operation, { kind: 'admit' }> => ({
  kind: 'admit', issue: encodeIssuance(issuance), instance: encodeRow(INSTANCE, instance),
  asked: JSON.stringify({ id: instance.id, session_id: instance.sessionId, template_id: instance.templateId, max_live: maxLive, now: encodeTime(issuance.lease.issuedAt) }),
});

const encodeChange = (change: RegistryChange): Extract<Operation, { kind: 'change' }> => {
  const { at, by } = change;
  return {
    kind: 'change', at, by: storable(by), basedOn: change.basedOn ?? null, enable: change.enable ?? [], events: change.audit.map(encodeEvent),
    entries: (change.entries ?? []).map((entry) => encodeRow(ENTRY, { ...entry, changedAt: at, changedBy: by })),
    keys: (change.keys ?? []).map((key) => encodeRow(SIGNING_KEY, { ...key, changedAt: at })),
    revocations: (change.revocations ?? []).map((revocation) => encodeRow(REVOCATION, { effect: 'revoked', ...revocation, at: revocation.effect === 'suspended' ? revocation.at ?? at : at, by })),
    ends: (change.ends ?? []).map((revocation) => encodeRow(REVOCATION, { ...revocation, effect: 'revoked', at, by })),
    resume: (change.resume ?? []).map((resumption) => JSON.stringify({ target: resumption.target, by: storable(resumption.by), until: encodeTime(resumption.until) })),
    once: (change.once ?? []).map(encodeProof),
  };
};

const encodeBlockClaim = ({ domainId, list, order, until }: BlockClaim): string =>
  JSON.stringify([{ id: list, domain_id: domainId, blocks: order.length, block_order: JSON.stringify(order), until: encodeTime(until) }]);

const encodeStep = ({ cascade, due, progress, tasks, finished, handles, audit, ...counts }: CascadeStep, now: number, job: HeldJob): Extract<Operation, { kind: 'cascade-step' }> => ({
  kind: 'cascade-step', now, ...job, seq: cascade.seq, handles, events: audit.map(encodeEvent),
  step: JSON.stringify({
    seq: cascade.seq, steps: cascade.steps, due: due === null ? null : encodeTime(due), done_at: due === null ? encodeTime(now) : null, progress: JSON.stringify(progress), sessions: counts.sessions, leases: counts.leases,
    taken_back: counts.takenBack, honoured: counts.honoured, honoured_until: counts.honouredUntil === null ? null : encodeTime(counts.honouredUntil),
  }),
  tasks: tasks.map((task) => encodeRow(CASCADE_TASK, { ...task, seq: cascade.seq })),
  finished: { session: refsOf('session', finished), lease: refsOf('lease', finished) },
});

const refsOf = (kind: 'session' | 'lease', finished: CascadeStep['finished']): readonly string[] => finished.filter((task) => task.kind === kind).map(({ ref }) => ref);

const encodeProof = (thing: OneTime): EncodedProof => ({ key: thing.key, row: encodeRow(REPLAY, thing) });

const encodeEvent = (event: AuditEvent): EncodedEvent => ({ at: event.at, action: event.action, domainId: event.domainId, text: auditText(event) });
