import type { Crossing } from '../attestation/attest-crossing.ts';
import type { Presented } from '../attestation/envelope.ts';
import type { Evidence } from '../attestation/evidence.ts';
import type { Person } from '../attestation/person.ts';
import type { Frozen } from '../authority/approval.ts';
import type { NewSession } from '../authority/session.ts';
import type { Clock } from '../core/clock.ts';
import { HOUR } from '../core/duration.ts';
import type { IssuerId, LeaseId, PersonUrn, SessionId } from '../core/ids.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Issuer, Workload } from '../registry/entries.ts';
import type { DomainView } from '../snapshot/domain-view.ts';
import type { ApprovalRow } from '../store/approval-rows.ts';
import type { CeilingPair, ChainLink, HopRow, Target } from '../store/rows.ts';
import type { LeaseStanding, OneTime, StoreReads } from '../store/store.ts';
import type { DpopBinding } from '../tokens/proof.ts';
import type { OwnToken } from '../tokens/verify.ts';
import { evidenceFacts } from './facts.ts';
import type { EvidenceFacts } from './facts.ts';
import type { ExchangeRequest } from './request.ts';
import type { JoinStored } from './stored-session.ts';

/** The person a delegated session is for, as the newest thing known of their login says. */
export interface PersonFacts { readonly urn: PersonUrn; readonly issuer: string; readonly groups: readonly string[] }

/** Who asks, proven: the workload, the session it exercises, whom it acts for, and what binds it. */
export interface Caller {
  readonly workload: Workload;
  readonly evidence: EvidenceFacts;
  /** Entry of the issuer of that evidence. */
  readonly issuerId: IssuerId;
  readonly session: NewSession;
  /** The hop it acts in already; undefined: it opens one. */
  readonly hop: HopRow | undefined;
  /** Who handed authority on to it, and by which token. */
  readonly parent: { readonly hop: HopRow; readonly handover: LeaseId } | undefined;
  /** Hops of the session as they are stored; undefined while nobody looked whether the session is there already. */
  readonly hops: readonly HopRow[] | undefined;
  /** What its token holds; undefined: it came with evidence alone, and only policies bind it. */
  readonly ceiling: readonly CeilingPair[] | undefined;
  /** Every actor from the session's first to this one, each with what it showed last. */
  readonly chain: readonly ChainLink[];
  readonly person: PersonFacts | undefined;
  /** The login shown now. */
  readonly login: { readonly person: PersonUrn; readonly authTime: number } | undefined;
  /** When what must be fresh was shown last (`shown`: now), and how long that counts; milliseconds. */
  readonly freshness: { readonly at: number; readonly shown: boolean; readonly within: number } | undefined;
  /** Whether it showed evidence now: a session token alone begets no other (design section 5). */
  readonly showedEvidence: boolean;
  /** What is opened with this request has to be permitted as such. */
  readonly opensTask: boolean;
  /** The token it came with from another domain, as it goes on here (the lease of it there). */
  readonly crossing?: LeaseId | undefined;
  /** Revocation targets known so far. */
  readonly path: readonly Target[];
  /** Registry version at which the session began; a new one begins now. */
  readonly beganVersion: number;
  /** One-time key of the evidence, and until when it must be remembered; those of other tokens shown. */
  readonly replayKey: string | null;
  readonly replayUntil: number | null;
  readonly proofs: readonly OneTime[];
  /** Key a presented token is bound to. */
  readonly jkt: string | null;
  /** The request is one that people were asked about, come back. */
  readonly redeems?: Approved;
}

/** A request that was put off, as it was frozen. */
export interface Approved { readonly row: ApprovalRow; readonly frozen: Frozen }

export interface CallerPorts {
  readonly clock: Clock;
  attest(token: Presented, candidates: (iss: string) => readonly Issuer[], view: DomainView): Promise<Result<Evidence, Refusal>>;
  attestPerson(token: Presented, view: DomainView): Promise<Result<Person, Refusal>>;
  attestCrossing(token: Presented, view: DomainView): Promise<Result<Crossing, Refusal>>;
  /** A domain of this installation. */
  domainByIssuer(iss: string): DomainView | undefined;
  verifySessionToken(token: string, view: DomainView): Promise<Result<OwnToken, Refusal>>;
  /** Whether a person was revoked since this login. */
  readonly endsLogin: (person: PersonUrn, authTime: number) => boolean;
  readonly store: Pick<StoreReads, 'session'> & { leaseStanding(id: LeaseId): Promise<LeaseStanding | undefined> };
  readonly join: JoinStored;
  /** Brings what this node knows of the registry up to date. */
  catchUp?(): Promise<void>;
}

/** One request on its way to a caller; `learnt` keeps what was proven for whoever asks why it was refused. */
export interface Asking {
  readonly request: ExchangeRequest;
  readonly view: DomainView;
  readonly binding: DpopBinding | undefined;
  readonly snapshotVersion: number;
  readonly learnt: (workload: Workload | undefined, evidence: EvidenceFacts) => void;
}
export type Authenticate = (asking: Asking) => Promise<Result<Caller, Refusal>>;

/** Evidence is remembered this long after it expired: clocks differ, and a purge may lag (design section 5, Replay). */
const REPLAY_MARGIN = HOUR;

/** Evidence of the workload that acts, and the workload it is. */
export interface Actor { readonly workload: Workload; readonly evidence: Evidence; readonly facts: EvidenceFacts }

/** Whoever acts shows evidence of its own: as subject in the bounded and autonomous models, as actor in all others. */
export const identifyActor = async (ports: Pick<CallerPorts, 'attest' | 'clock'>, token: Presented, { request, view, learnt }: Asking): Promise<Result<Actor, Refusal>> => {
  const evidence = await ports.attest(token, (iss) => view.issuersFor(iss, 'workloads'), view);
  if (!evidence.ok) return evidence;
  const facts = evidenceFacts(evidence.value);
  learnt(undefined, facts);
  const workload = view.identify(evidence.value, request.clientId, ports.clock.now());
  if (!workload.ok) return workload;
  learnt(workload.value, facts);
  return ok({ workload: workload.value, evidence: evidence.value, facts });
};

/** What is used up with evidence that may be shown once. */
export const replayOf = ({ replayKey, expiresAt }: Pick<Evidence, 'replayKey' | 'expiresAt'>): Pick<Caller, 'replayKey' | 'replayUntil'> =>
  ({ replayKey: replayKey ?? null, replayUntil: replayKey === undefined ? null : expiresAt + REPLAY_MARGIN });

/** The key a proof is owed by. One proof shows possession of one key: tokens bound to two can never be proven together. */
export const oneKey = (...bound: readonly (string | null | undefined)[]): Result<string | null, Refusal> => {
  const [jkt = null, ...others] = new Set(bound.filter((each) => each !== null && each !== undefined));
  return others.length > 0 ? err(refusal('token_binding_mismatch', 'what is shown together is bound to different keys')) : ok(jkt);
};

export type FindSession = (id: SessionId) => ReturnType<StoreReads['session']>;
