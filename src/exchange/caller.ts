import type { Evidence } from '../attestation/evidence.ts';
import { joinSession, openSession, sessionPath } from '../authority/session.ts';
import { sameSecret, sha256url } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { HOUR } from '../core/duration.ts';
import type { LeaseId } from '../core/ids.ts';
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
import type { JoinStored } from './stored-session.ts';

/** Who asks, proven: the workload, the session it exercises, and the hop whose ceiling binds it if it came with a session token. */
export interface Caller {
  readonly workload: Workload;
  readonly evidence: EvidenceFacts;
  readonly session: Omit<SessionRow, 'beganVersion'>;
  readonly hop: HopRow | undefined;
  /** Hops of the session as they are stored; undefined while nobody looked whether the session is there already. */
  readonly hops: readonly HopRow[] | undefined;
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
  readonly join: JoinStored;
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
    const session = openSession(view.domain, workload.value, evidence.value, now);
    const caller: Caller = {
      workload: workload.value,
      evidence: facts,
      session,
      hop: undefined,
      hops: mayJoin(evidence.value) ? undefined : [],
      path: sessionPath(session),
      beganVersion: snapshotVersion,
      replayKey: evidence.value.replayKey ?? null,
      replayUntil: evidence.value.replayKey === undefined ? null : evidence.value.expiresAt + REPLAY_MARGIN,
      jkt: evidence.value.boundTo ?? null,
    };
    // A policy that asks for the session's age must see the true one; all others are decided without a query.
    return view.engine.readsSessionAge ? ports.join(caller) : ok(caller);
  };

  const bySessionToken: Authenticate = async (request, view, _snapshotVersion, learnt) => {
    const token = await ports.verifySessionToken(request.subjectToken, view);
    if (!token.ok) return token;
    if (request.clientId !== undefined && request.clientId !== token.value.clientId) return err(refusal('client_id_mismatch', 'client_id is not the workload the session token was issued to'));
    const standing = await ports.leaseStanding(token.value.jti);
    // The very token that was issued: an ECDSA signature has a twin, and a stolen signing key could put another ceiling under this jti.
    if (standing === undefined || standing.lease.kind !== 'session_token' || !sameSecret(standing.lease.credentialHash, sha256url(request.subjectToken))) {
      return err(refusal('token_unknown', 'no lease of this session token'));
    }
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
      session: joinSession(standing.session, workload),
      hop: standing.hop,
      hops: [standing.hop],
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
