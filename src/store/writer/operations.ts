import type { ChainHead, NamedCheckpoint } from '../../core/hash-chain.ts';
import type { AskBounds, ClaimedBlock, HeldJob, IssuanceOutcome, RegistryOutcome } from '../store.ts';
import type { Durability } from './connection.ts';
import { SIGNAL_LANES } from './signal-operations.ts';
import type { SignalOperation, SignalReplies } from './signal-operations.ts';

/**
 * What travels to the writer: from the main thread to the writer thread, and from a worker process to the primary.
 * Rows are JSON text, encoded once where they were made, so that the one thread that commits for everybody only joins them.
 */
export interface EncodedEvent { readonly at: number; readonly action: string; readonly domainId: string; readonly text: string }
export interface EncodedProof { readonly key: string; readonly row: string }

/** What one issuance uses of its task. */
export interface Charge { readonly session: string; readonly agent: string; readonly resource: string | null }

/** What one issuance asks people for, or redeems; `claim` is looked at, `row` written. */
export type EncodedApproval =
  | { readonly kind: 'ask'; readonly id: string; readonly workload: string; readonly session: string; readonly claim: string; readonly row: string; readonly bounds: Pick<AskBounds, 'waiting' | 'inSession' | 'recent'> }
  | { readonly kind: 'redeem'; readonly id: string; readonly row: string; readonly event: EncodedEvent };

/** Several of these share one transaction. */
export type SharedOperation =
  | { readonly kind: 'issue'; readonly id: string; readonly sessionId: string; readonly hopId: string; readonly replayKey: string | null; readonly claim: string; readonly session: string; readonly hop: string; readonly lease: string; readonly proofs: readonly EncodedProof[]; readonly fresh: string | null; readonly charge: Charge | null; readonly approval: EncodedApproval | null; readonly event: EncodedEvent }
  | { readonly kind: 'open'; readonly id: string; readonly claim: string; readonly session: string; readonly budgets: readonly string[]; readonly event: EncodedEvent }
  | { readonly kind: 'spend'; readonly session: string; readonly amount: number; readonly event: EncodedEvent }
  | { readonly kind: 'consume'; readonly proofs: readonly EncodedProof[] }
  | { readonly kind: 'append'; readonly denial: string | null; readonly event: EncodedEvent };

/** These hold the registry lock alone; several share one transaction, in order. */
export type RegistryOperation =
  | { readonly kind: 'change'; readonly at: number; readonly by: string; readonly basedOn: number | null; readonly entries: readonly string[]; readonly keys: readonly string[]; readonly revocations: readonly string[]; readonly ends: readonly string[]; readonly enable: readonly string[]; readonly resume: readonly string[]; readonly once: readonly EncodedProof[]; readonly events: readonly EncodedEvent[] }
  | { readonly kind: 'admit'; readonly issue: Extract<SharedOperation, { kind: 'issue' }>; readonly asked: string; readonly instance: string }
  | { readonly kind: 'end-session'; readonly id: string; readonly at: number; readonly by: string; readonly reason: string; readonly revocation: string; readonly event: EncodedEvent }
  | { readonly kind: 'answer-approval'; readonly row: string; readonly event: EncodedEvent }
  | { readonly kind: 'expire-approvals'; readonly now: number; readonly limit: number; readonly job: HeldJob };

/** One transaction each. */
export type SingleOperation =
  | { readonly kind: 'take-job'; readonly name: string; readonly holder: string; readonly until: number; readonly now: number }
  | { readonly kind: 'release-job'; readonly name: string; readonly holder: string }
  | { readonly kind: 'purge'; readonly now: number; readonly limit: number; readonly name: string; readonly fence: number }
  | { readonly kind: 'cascade-step'; readonly now: number; readonly name: string; readonly fence: number; readonly seq: number; readonly step: string; readonly tasks: readonly string[]; readonly finished: Readonly<Record<'session' | 'lease', readonly string[]>>; readonly handles: readonly string[]; readonly events: readonly EncodedEvent[] }
  | { readonly kind: 'erase-handle'; readonly id: string }
  | { readonly kind: 'claim-block'; readonly claim: string }
  | { readonly kind: 'note-notice'; readonly row: string; readonly now: number; readonly job: HeldJob }
  | { readonly kind: 'own-head' }
  | { readonly kind: 'stopped'; readonly now: number }
  | { readonly kind: 'proven'; readonly chain: string; readonly after: number }
  | { readonly kind: 'seal'; readonly row: string }
  | { readonly kind: 'durability' }
  | SignalOperation;

export type Operation = SharedOperation | RegistryOperation | SingleOperation;

export interface SealableHead extends ChainHead { readonly chain: string }
/** A chain without a writer that has entries, up to `n`, after its last seal. */
export interface StoppedChain { readonly chain: string; readonly n: number; readonly sealed: number }

export interface Replies extends SignalReplies {
  readonly issue: IssuanceOutcome;
  readonly open: 'committed' | 'exists' | 'revoked';
  readonly spend: { readonly used: number; readonly most: number } | null;
  readonly consume: boolean;
  readonly append: null;
  readonly change: RegistryOutcome;
  /** `version`: of the registry once the instance is in it; null where nothing was added. */
  readonly admit: { readonly outcome: IssuanceOutcome; readonly version: number | null };
  readonly 'end-session': boolean;
  readonly 'answer-approval': boolean;
  readonly 'expire-approvals': number;
  readonly 'take-job': { readonly fence: number } | null;
  readonly 'release-job': null;
  readonly purge: { readonly deleted: number; readonly more: boolean };
  /** False: not the owner's any more, or taken already. */
  readonly 'cascade-step': boolean;
  readonly 'erase-handle': null;
  readonly 'claim-block': ClaimedBlock;
  readonly 'note-notice': boolean;
  readonly 'own-head': { readonly head: SealableHead | null; readonly newest: NamedCheckpoint | null };
  readonly stopped: { readonly chains: readonly StoppedChain[]; readonly newest: NamedCheckpoint | null };
  /** The newest entry that a code proves among those looked at; `next`: after which to look on. */
  readonly proven: { readonly head: ChainHead | null; readonly next: number | null };
  /** False: there was a checkpoint at this entry already. */
  readonly seal: boolean;
  readonly durability: Durability;
}
export type ReplyOf<O extends Operation> = Replies[O['kind']];
export type Reply = Replies[Operation['kind']];

export const laneOf = (operation: Operation): 'shared' | 'registry' | 'single' => LANES[operation.kind];
const LANES = {
  issue: 'shared', open: 'shared', spend: 'shared', consume: 'shared', append: 'shared', change: 'registry', admit: 'registry', 'end-session': 'registry', 'answer-approval': 'registry', 'expire-approvals': 'registry', 'note-notice': 'single', 'take-job': 'single', 'release-job': 'single',
  purge: 'single', 'cascade-step': 'single', 'erase-handle': 'single', 'claim-block': 'single', 'own-head': 'single', stopped: 'single', proven: 'single', seal: 'single', durability: 'single', ...SIGNAL_LANES,
} as const satisfies Record<Operation['kind'], string>;

export const isShared = (operation: Operation): operation is SharedOperation => laneOf(operation) === 'shared';
export const isRegistry = (operation: Operation): operation is RegistryOperation => laneOf(operation) === 'registry';

/** What crosses to the thread and back: one batch, one answer, in order. */
export interface Batch { readonly id: number; readonly operations: readonly Operation[] }
export type Answer = { readonly reply: Reply } | { readonly unavailable: string };
export interface Answers { readonly id: number; readonly answers: readonly Answer[] }
