import type { Evidence } from '../attestation/evidence.ts';
import { openSession, sessionPath } from '../authority/session.ts';
import type { Clock } from '../core/clock.ts';
import { HOUR } from '../core/duration.ts';
import type { LeaseId, SessionId } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Issuer, Workload } from '../registry/entries.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { HopRow, SessionRow, Target } from '../store/rows.ts';
import type { LeaseStanding } from '../store/store.ts';
import type { OwnToken } from '../tokens/verify.ts';
import type { EvidenceFacts } from './facts.ts';
import { evidenceFacts, parseEvidenceFacts } from './facts.ts';
import type { ExchangeRequest } from './request.ts';

/** Who asks, proven: the workload, the session it exercises, and the hop whose ceiling binds it if it came with a session token. */
export interface Caller {
  readonly workload: Workload;
  readonly evidence: EvidenceFacts;
  readonly session: Omit<SessionRow, 'beganVersion'>;
  readonly hop: HopRow | undefined;
  /** Revocation targets known so far. */
  readonly path: readonly Target[];
  /** Registry version at which the session began; a new one begins now. */
  readonly beganVersion: number;
  /** One-time key of the evidence, and until when it must be remembered. */
  readonly replayKey: string | null;
  readonly replayUntil: number | null;
  /** Key the presented token is bound to. */
  readonly jkt: string | null;
}

export interface CallerPorts {
  readonly clock: Clock;
  attest(token: string, candidates: (iss: string) => readonly Issuer[], view: DomainView): Promise<Result<Evidence, Refusal>>;
  verifySessionToken(token: string, view: DomainView): Promise<Result<OwnToken, Refusal>>;
  leaseStanding(id: LeaseId): Promise<LeaseStanding | undefined>;
  session(id: SessionId): Promise<{ readonly session: SessionRow; readonly revokedBy: Target | undefined } | undefined>;
}

/** Evidence is remembered this long after it expired: clocks differ, and a purge may lag (design section 5, Replay). */
const REPLAY_MARGIN = HOUR;

/** Evidence that is its own anchor and is used once opens a session nobody else can name: no need to look for it. */
const mayJoin = ({ anchor, replayKey }: Evidence): boolean => anchor !== replayKey;

export type Authenticate = (request: ExchangeRequest, view: DomainView, snapshotVersion: number, learnt: (workload: Workload | undefined, evidence: EvidenceFacts) => void) => Promise<Result<Caller, Refusal>>;

export const createAuthenticate = (ports: CallerPorts): Authenticate => {
  const byEvidence: Authenticate = async (request, view, snapshotVersion, learnt) => {
    const now = ports.clock.now();
    const evidence = await ports.attest(request.subjectToken, (iss) => view.issuersFor(iss, 'workloads'), view);
    if (!evidence.ok) return evidence;
    const facts = evidenceFacts(evidence.value);
    learnt(undefined, facts);
    const workload = view.identify(evidence.value, request.clientId, now);
    if (!workload.ok) return workload;
    learnt(workload.value, facts);
    // Design section 5: the one-shot exchange fits the bounded model; the other models ask for more than evidence.
    if (workload.value.authority !== 'bounded') return err(refusal('model_mismatch', `a ${workload.value.authority} workload cannot exchange evidence alone`));
    const opened = openSession(view.domain, workload.value, evidence.value, now);
    // A run's later evidence joins the session its first one opened, with that one's age and end. The commit holds to the
    // stored end in any case, so the row is read here only where a policy asks for the age: this path is kept free of queries.
    const running = view.engine.readsSessionAge && mayJoin(evidence.value) ? await ports.session(opened.id) : undefined;
    if (running?.revokedBy !== undefined) return err(refusal('revoked', `${running.revokedBy} is revoked`));
    if (running !== undefined && (running.session.endedAt !== null || running.session.expiresAt <= now)) return err(refusal('session_ended', 'the session of this run is over'));
    const session = running?.session ?? opened;
    return ok({
      workload: workload.value,
      evidence: facts,
      session,
      hop: undefined,
      path: sessionPath(session),
      beganVersion: running?.session.beganVersion ?? snapshotVersion,
      replayKey: evidence.value.replayKey ?? null,
      replayUntil: evidence.value.replayKey === undefined ? null : evidence.value.expiresAt + REPLAY_MARGIN,
      jkt: evidence.value.boundTo ?? null,
    });
  };

  const bySessionToken: Authenticate = async (request, view, _snapshotVersion, learnt) => {
    const token = await ports.verifySessionToken(request.subjectToken, view);
    if (!token.ok) return token;
    if (request.clientId !== undefined && request.clientId !== token.value.clientId) return err(refusal('client_id_mismatch', 'client_id is not the workload the session token was issued to'));
    const standing = await ports.leaseStanding(token.value.jti);
    if (standing === undefined || standing.lease.kind !== 'session_token') return err(refusal('token_unknown', 'no lease of a session token with this jti'));
    const facts = parseEvidenceFacts(standing.lease.decision['evidence']);
    const workload = view.workloadById(standing.lease.workloadId);
    learnt(workload, facts);
    if (standing.revokedBy !== undefined) return err(refusal('revoked', `${standing.revokedBy} is revoked`));
    if (standing.ended) return err(refusal('session_ended', 'the session or hop is over'));
    if (workload === undefined) return err(refusal('workload_unknown', 'the workload is no longer registered'));
    if (workload.expires <= ports.clock.now()) return err(refusal('workload_expired', 'the workload registration has expired'));
    return ok({
      workload,
      evidence: facts,
      session: standing.session,
      hop: standing.hop,
      path: [...standing.hop.path, `lease:${standing.lease.id}`],
      beganVersion: standing.session.beganVersion,
      replayKey: null,
      replayUntil: null,
      jkt: token.value.jkt ?? null,
    });
  };

  return (request, view, snapshotVersion, learnt) =>
    request.subjectKind === 'evidence' ? byEvidence(request, view, snapshotVersion, learnt) : bySessionToken(request, view, snapshotVersion, learnt);
};
