import type { ApprovalId, DecisionId, DomainId, HopId, LeaseId, PersonUrn, SessionId, WorkloadId } from '../core/ids.ts';
import type { NamedCheckpoint } from '../core/hash-chain.ts';
import type { JsonObject } from '../core/json.ts';
import type { CascadeReads } from './cascades.ts';
import type { EntryKind } from '../registry/entries.ts';
import type { ApprovalRow, ApprovalStatus, ApprovalVote } from './approval-rows.ts';
import type {
  AuditEvent, AuditRow, BudgetRow, CascadeRow, CascadeTaskRow, CheckpointRow, DenialRow, EntryRow, HopRow, InstanceRow, KeyRow, LeaseRow, RevocationRow, SessionRow, StandingEntry, StatusListRow, Target,
} from './rows.ts';
import type { SignalReads, SignalWrites } from './signals.ts';

/** The database did not confirm. Nothing was issued; the caller gets 503. */
export class StoreUnavailable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreUnavailable';
  }
}

/** A one-time thing: consumed by one atomic insert whose result is checked. `until`: milliseconds after which it cannot be accepted anyway. */
export interface OneTime { readonly key: string; readonly until: number }

/** All that one exchange writes; commits whole or not at all. */
export interface Issuance {
  readonly session: Omit<SessionRow, 'beganVersion'>;
  readonly hop: HopRow;
  readonly lease: LeaseRow;
  /** DPoP proof and the like; the evidence's own key is `lease.replayKey`. */
  readonly proofs: readonly OneTime[];
  readonly audit: AuditEvent;
  /** The person's login it rests on: nothing is issued for a login that is not later than a revocation of the person. */
  readonly login?: { readonly person: PersonUrn; readonly authTime: number } | undefined;
  /** What people said that it is issued on: nothing is, once what a word rests on is blocked, or was revoked since. */
  readonly words?: readonly Word[] | undefined;
  /** Evidence or login shown now, and the moment before which what was shown is too old. */
  readonly fresh?: { readonly at: number | null; readonly after: number } | undefined;
  /** What is charged to the budgets of a session, if it has any. */
  readonly charge?: { readonly session: SessionId; readonly agent: string; readonly resource: string | undefined } | undefined;
  /** A request that is put off until a person agrees, or the redemption of one. */
  readonly approval?: Asked | Redeemed | undefined;
  /** The instance of a template that takes its place in the session with this, where nobody knew yet that it has one. */
  readonly admits?: Admission | undefined;
}

/** Somebody's word for a request, by all it rests on, and when they gave it. */
export interface Word { readonly targets: readonly Target[]; readonly at: number }

/** Written with the lease of its deferral code, unless its workload or session keeps people busy already. */
export interface Asked { readonly kind: 'ask'; readonly row: ApprovalRow; readonly bounds: AskBounds }
/** How many may wait at once for one workload and one session, and how many one workload may ask for since a moment. */
export interface AskBounds { readonly waiting: number; readonly inSession: number; readonly recent: number; readonly since: number }
/** The one time an approval is used: whoever comes second, or after its end, gets nothing. */
export interface Redeemed { readonly kind: 'redeem'; readonly id: ApprovalId; readonly hash: string; readonly audit: AuditEvent }

/** `maxLive`: how many instances of the template may be live, counted in the commit. */
export interface Admission { readonly instance: Omit<InstanceRow, 'seq'>; readonly maxLive: number }

/** A task opened before anything is issued for it. */
export interface Opening { readonly session: Omit<SessionRow, 'beganVersion'>; readonly path: readonly Target[]; readonly budgets: readonly BudgetRow[]; readonly audit: AuditEvent }

/**
 * `replayed`: the evidence was used before; `proof_replayed`: one of `proofs` was. `revoked`: something on the path is revoked, or
 * the session began before a revocation. `ended`: session or hop is over, or ends before the lease would. `suspended`: what it rests
 * on is suspended, or was shown too long ago. `exhausted`: a budget of its task has no room left. `crowded`: too many of its
 * requests wait for people. `unredeemable`: the approval it redeems is used up, taken back or over. `full`: its template has
 * no room for another instance.
 */
export type IssuanceOutcome = 'committed' | 'replayed' | 'proof_replayed' | 'revoked' | 'ended' | 'suspended' | 'exhausted' | 'crowded' | 'unredeemable' | 'full';

/** What becomes of an approval, given it still is as `revision` says. Nothing, and false, if it is not, or is over. */
export interface ApprovalAnswer {
  readonly id: ApprovalId;
  readonly revision: number;
  readonly status: ApprovalStatus;
  readonly votes: readonly ApprovalVote[];
  readonly closedBy: string | null;
  readonly reason: string | null;
  readonly at: number;
  readonly audit: AuditEvent;
}
/** A job and the fence it was taken under. */
export interface HeldJob { readonly name: string; readonly fence: number }

export interface NewEntryVersion {
  readonly id: string;
  readonly version: number;
  readonly kind: EntryKind;
  readonly domainId: DomainId;
  readonly name: string;
  readonly body: JsonObject;
  readonly owner: string;
  readonly expiresAt: number | null;
  readonly ended: boolean;
}
/** `at`: when that happened which a suspension stands for; undefined: now. A revocation's moment is always its commit. */
export interface NewRevocation { readonly target: Target; readonly domainId: DomainId; readonly effect?: RevocationRow['effect']; readonly at?: number; readonly reason: string; readonly purgeAfter: number | null }

/** Suspensions of a target made by this one, of what happened up to `until`. */
export interface Resumption { readonly target: Target; readonly by: string; readonly until: number }

/** One atomic change of registry, keys and revocations, ordered with every other by the registry lock. */
export interface RegistryChange {
  readonly at: number;
  readonly by: string;
  /** The registry version the change was computed from; when it has moved, nothing is written and `conflict` is returned. Undefined: not checked (a revocation never waits for a re-plan). */
  readonly basedOn?: number;
  readonly entries?: readonly NewEntryVersion[];
  readonly keys?: readonly Omit<KeyRow, 'seq' | 'changedAt'>[];
  readonly revocations?: readonly NewRevocation[];
  /** Revocations that end what began before them and block nothing after: lifted in the same step, and with them no other. */
  readonly ends?: readonly Omit<NewRevocation, 'effect' | 'at'>[];
  /** Targets whose open revocations are lifted. */
  readonly enable?: readonly Target[];
  readonly resume?: readonly Resumption[];
  /** One-time things the change is paid with: when one was used before, nothing is written and `replayed` is returned. */
  readonly once?: readonly OneTime[];
  readonly audit: readonly AuditEvent[];
}
export interface RegistryOutcome { readonly status: 'committed' | 'conflict' | 'replayed'; readonly version: number }

/** Everything with a version above the asked one, in order. */
export interface RegistryDelta {
  readonly version: number;
  readonly entries: readonly EntryRow[];
  readonly keys: readonly KeyRow[];
  readonly revocations: readonly RevocationRow[];
  /** Of sessions that are not long over. */
  readonly instances: readonly InstanceRow[];
}

/** An instance in one session; `ended`: the session is over. */
export interface InstanceStanding { readonly instance: InstanceRow; readonly ended: boolean }

/** What one step of a cascade adds to it; commits whole, or not at all. */
export interface CascadeStep {
  /** As it was read: a step that another took from there is not taken again. */
  readonly cascade: Pick<CascadeRow, 'seq' | 'steps'>;
  /** When it is looked after next; null: it is done. */
  readonly due: number | null;
  readonly progress: CascadeRow['progress'];
  /** How many more fell, and what became of them at their targets. */
  readonly sessions: number;
  readonly leases: number;
  readonly takenBack: number;
  readonly honoured: number;
  readonly honouredUntil: number | null;
  /** What is left to do, and what no longer is. */
  readonly tasks: readonly Omit<CascadeTaskRow, 'seq'>[];
  readonly finished: readonly Pick<CascadeTaskRow, 'kind' | 'ref'>[];
  /** Leases whose handle is of no more use. */
  readonly handles: readonly LeaseId[];
  readonly audit: readonly AuditEvent[];
}

export interface Page<T> { readonly items: readonly T[]; readonly next: string | undefined }
export interface PageRequest { readonly limit: number; readonly after: string | undefined }

/** A session with what it rests on that is revoked, or suspended, if anything is. */
export interface SessionStanding { readonly session: SessionRow; readonly revokedBy: Target | undefined; readonly suspendedBy: Target | undefined }

export interface SessionEnd { readonly at: number; readonly by: string; readonly reason: string }

/** Leases of one hop that are alike, as one line. */
export interface HopUse { readonly hopId: HopId; readonly kind: string; readonly audience: string; readonly scope: string; readonly count: number; readonly first: LeaseId; readonly last: LeaseId }
/** `opened`: of each hop the lease it was opened with, while that is kept. `more`: there were other uses before these. */
export interface SessionUses { readonly uses: readonly HopUse[]; readonly more: boolean; readonly opened: readonly LeaseRow[] }

/** A lease with all that its being active depends on, read in one statement. `revokedBy` names the first revoked target on its path. */
export interface LeaseStanding extends SessionStanding { readonly lease: LeaseRow; readonly hop: HopRow; readonly ended: boolean }

/** Signs a statement that a chain had this hash at this entry, and which checkpoint was the newest before; runs in the process that holds the keys. */
export type SignCheckpoint = (statement: NamedCheckpoint & { readonly before: NamedCheckpoint | null }) => Promise<{ readonly kid: string; readonly jws: string }>;

/** Entries `n` to `to` that end a stopped chain and that nothing shows to be ours: they are never sealed. */
export interface UnprovenTail { readonly chain: string; readonly n: number; readonly to: number }

/** Asks for a block of the domain's open status list; `list` and `order` (its block numbers, shuffled) make one where none is open. */
export interface BlockClaim {
  readonly domainId: DomainId;
  readonly list: string;
  readonly order: readonly number[];
  /** When the last token that the block may be used for has expired. */
  readonly until: number;
}
/** A block that is this process's alone, for ever. */
export interface ClaimedBlock { readonly list: string; readonly block: number }

/** An unexpired lease that a status list tells of, with what its status depends on. */
export interface ListedLease {
  readonly lease: Pick<LeaseRow, 'id' | 'domainId' | 'audience' | 'resourceId' | 'kid' | 'expiresAt'> & { readonly statusList: string; readonly statusIndex: number };
  readonly session: Pick<SessionRow, 'model' | 'freshAt' | 'beganVersion'>;
  readonly hop: Pick<HopRow, 'path'>;
  readonly ended: boolean;
}

/** Writes. Each resolves after its own transaction was confirmed durable, or throws {@link StoreUnavailable}. */
export interface StoreWrites extends SignalWrites {
  /** Group commit: shares a transaction with whatever else arrived while the last one was in flight. */
  issue(issuance: Issuance): Promise<IssuanceOutcome>;
  /** Opens a task; `exists` when a session of this id is there already. */
  open(opening: Opening): Promise<'committed' | 'exists' | 'revoked'>;
  /** Adds to what a task has spent; undefined when its budget has no room, or it has none. */
  spend(id: SessionId, amount: number, audit: AuditEvent): Promise<{ readonly used: number; readonly most: number } | undefined>;
  /** True if every key was unused; none is consumed otherwise. */
  consume(things: readonly OneTime[]): Promise<boolean>;
  deny(denial: DenialRow, audit: AuditEvent): Promise<void>;
  append(event: AuditEvent): Promise<void>;
  change(change: RegistryChange): Promise<RegistryOutcome>;
  /**
   * Ends a session and revokes it in one commit, so that whatever rests on it, in other domains too, falls as with any revocation.
   * False when it had ended before: the first end counts.
   */
  endSession(id: SessionId, end: SessionEnd & Pick<NewRevocation, 'domainId' | 'purgeAfter'>, audit: AuditEvent): Promise<boolean>;
  answerApproval(answer: ApprovalAnswer): Promise<boolean>;
  /** Ends approvals whose time is over, each with an audit entry, at most `limit`; how many. Checks the fence. */
  expireApprovals(now: number, limit: number, job: HeldJob): Promise<number>;
  /** When the webhook is to be told next of an approval; null: it was, or gives up. Checks the fence. */
  noteNotice(id: ApprovalId, next: number | null, attempts: number, now: number, job: HeldJob): Promise<boolean>;
  /** Takes or keeps a job; undefined when another holder has it. */
  takeJob(name: string, holder: string, until: number, now: number): Promise<{ readonly fence: number } | undefined>;
  releaseJob(name: string, holder: string): Promise<void>;
  /** Deletes at most `limit` rows that are past their time; false in `more` when nothing was left. Checks the fence. */
  purge(now: number, limit: number, job: HeldJob): Promise<{ readonly deleted: number; readonly more: boolean }>;
  /** Takes one step of a cascade; false when the job has another owner by now, or the step was taken. Checks the fence. */
  cascadeStep(step: CascadeStep, now: number, job: HeldJob): Promise<boolean>;
  /** Signs and stores a checkpoint at the writer's newest entry; undefined if nothing is new since the last. */
  checkpoint(sign: SignCheckpoint, now: number): Promise<CheckpointRow | undefined>;
  /** Seals the chains whose writer stopped before it could, each at its newest entry that a code proves; tells of the rest, once. */
  sealStopped(sign: SignCheckpoint, now: number, tell: (tail: UnprovenTail) => void): Promise<readonly CheckpointRow[]>;
  /** One statement for each block, whoever asks: no block is ever given twice. */
  claimStatusBlock(claim: BlockClaim): Promise<ClaimedBlock>;
  /** Erases sealed revocation handles of leases that are over or revoked. */
  eraseHandle(id: LeaseId): Promise<void>;
}

export interface StoreReads extends SignalReads, CascadeReads {
  registryVersion(): Promise<number>;
  /** Whoever waits for this process gets a turn now and then while it reads a large one. */
  registryDelta(after: number): Promise<RegistryDelta>;
  /** All versions of all signing keys, and the registry version they are of. */
  keys(): Promise<Pick<RegistryDelta, 'version' | 'keys'>>;
  /** What stood at a registry version that was reached: of one kind, by domain and name. With `page` as in {@link entries}, of one domain. */
  entriesAt(version: number, filter: { readonly kind: EntryKind; readonly domainId?: DomainId; readonly names?: readonly string[] }, page?: PageRequest): Promise<readonly StandingEntry[]>;
  entryHistory(id: string): Promise<readonly EntryRow[]>;
  /** Newest versions of what has not ended in one domain, by name; `after` is the last name of the page before. */
  entries(filter: { readonly kind: EntryKind; readonly domainId: DomainId; readonly name?: string }, page: PageRequest): Promise<readonly EntryRow[]>;
  leaseStanding(id: LeaseId): Promise<LeaseStanding | undefined>;
  leases(filter: { readonly domainId?: DomainId; readonly sessionId?: SessionId; readonly workloadId?: WorkloadId; readonly holder?: SessionRow['holder']; readonly activeAt?: number }, page: PageRequest): Promise<Page<LeaseStanding>>;
  hop(id: HopId): Promise<HopRow | undefined>;
  /** Those of them that there are, in no order. */
  sessionStandings(ids: readonly SessionId[]): Promise<readonly SessionStanding[]>;
  session(id: SessionId): Promise<(SessionStanding & { readonly hops: readonly HopRow[]; readonly budgets: readonly BudgetRow[] }) | undefined>;
  /** Who ended a session before its time, and why. */
  sessionEnd(id: SessionId): Promise<SessionEnd | undefined>;
  /** What the hops of a session were used for so far, latest use first. */
  sessionUses(id: SessionId, limit: number): Promise<SessionUses>;
  /** Running sessions in which a workload was issued leases of a kind, by its `newest` leases; `more`: it has older ones, which nobody looked at. */
  sessionsWith(workload: WorkloadId, leaseKind: string, newest: number, now: number): Promise<{ readonly sessions: readonly SessionId[]; readonly more: boolean }>;
  /** All revocations and suspensions of these targets that are kept, lifted ones too. */
  revocationsOf(targets: readonly Target[]): Promise<readonly RevocationRow[]>;
  sessions(filter: { readonly domainId?: DomainId; readonly holder?: SessionRow['holder'] }, page: PageRequest): Promise<Page<SessionStanding>>;
  /** Instances of a template or with an id or name, newest first. */
  instances(filter: { readonly domainId: DomainId; readonly templateId?: WorkloadId; readonly id?: string; readonly name?: string; readonly liveAt?: number }, limit: number): Promise<readonly InstanceStanding[]>;
  /** How many instances each of these templates has that count against its `max_live`. */
  liveInstances(templates: readonly WorkloadId[], now: number): Promise<ReadonlyMap<string, number>>;
  leaseByDecision(id: DecisionId): Promise<LeaseRow | undefined>;
  /** After an id, at most `limit` of the leases that status lists tell of and that have not expired, by age; `next`: after which to look on. There may be more though there were none. */
  listedLeases(after: string, limit: number): Promise<{ readonly items: readonly ListedLease[]; readonly next: string | undefined }>;
  statusList(id: string): Promise<StatusListRow | undefined>;
  /** Of a domain, those whose tokens may not all have expired. */
  statusLists(domainId: DomainId): Promise<readonly StatusListRow[]>;
  denial(id: DecisionId): Promise<DenialRow | undefined>;
  approval(id: ApprovalId): Promise<ApprovalRow | undefined>;
  approvalByCode(codeHash: string): Promise<ApprovalRow | undefined>;
  /** Newest first. `status`: as it is at `now`, when what is still open may be over; `open`: pending or approved. */
  approvals(filter: { readonly domainId?: DomainId; readonly workloadId?: WorkloadId; readonly sessionId?: SessionId; readonly status?: ApprovalStatus | 'open'; readonly now: number }, page: PageRequest): Promise<Page<ApprovalRow>>;
  /** Redeemed approvals that stand for a hop and are not over. */
  standingApprovals(hop: HopId, now: number): Promise<readonly ApprovalRow[]>;
  /** Approvals of which the webhook is to be told by now, oldest first. */
  dueNotices(now: number, limit: number): Promise<readonly ApprovalRow[]>;
  auditChains(): Promise<readonly string[]>;
  /** Entries of one chain above `after`, in order. */
  audit(chain: string, after: number, limit: number): Promise<readonly AuditRow[]>;
  checkpoints(chain: string): Promise<readonly CheckpointRow[]>;
  /** Cheap: for readiness. */
  ping(): Promise<void>;
}

export interface Store extends StoreWrites, StoreReads {
  readonly engine: 'sqlite' | 'postgresql';
  /** Audit entries this process wrote since it last sealed its chain. */
  unsealed(): number;
  /** Calls back soon after another process changed the registry (LISTEN or IPC); polling stays the rule. */
  onRegistryChange(listener: () => void): void;
  close(): Promise<void>;
}
