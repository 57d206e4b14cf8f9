import { base64url } from './bytes.ts';
import type { Clock } from './clock.ts';
import type { Random } from './random.ts';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** Registry ids: made once, never reused, independent of names, which can be given again. */
export type DomainId = Branded<'DomainId'>;
export type IssuerId = Branded<'IssuerId'>;
export type ResourceId = Branded<'ResourceId'>;
export type WorkloadId = Branded<'WorkloadId'>;
export type PolicyId = Branded<'PolicyId'>;
/** `urn:mayfly:<domain>:person:<issuer name>:<percent-encoded sub>` (design section 1). */
export type PersonUrn = Branded<'PersonUrn'>;
/** First 128 bits, base64url, of a SHA-256 over what the session stands for: every node computes the same. Never begins with `-`, which a command line takes for an option. */
export type SessionId = Branded<'SessionId'>;
export type HopId = Branded<'HopId'>;
/** A lease's id; for tokens it is also the `jti`. */
export type LeaseId = Branded<'LeaseId'>;
export type DecisionId = Branded<'DecisionId'>;
/** A request that waits for a person. */
export type ApprovalId = Branded<'ApprovalId'>;
/** An event stream (SSF 1.0). */
export type StreamId = Branded<'StreamId'>;
/** `spiffe://<trust domain>/<path>`, SPIFFE-ID section 2. */
export type SpiffeId = Branded<'SpiffeId'>;

const PREFIXES = { domain: 'dom', issuer: 'iss', resource: 'res', workload: 'wkl', policy: 'pol', hop: 'hop', lease: 'lse', decision: 'dec', approval: 'apr', request: 'req', chain: 'chn', stream: 'str' } as const;
export type IdKind = keyof typeof PREFIXES;
interface IdOf { domain: DomainId; issuer: IssuerId; resource: ResourceId; workload: WorkloadId; policy: PolicyId; hop: HopId; lease: LeaseId; decision: DecisionId; approval: ApprovalId; request: string; chain: string; stream: StreamId }

/** `<prefix>_` + 12 hex digits of milliseconds + 80 random bits: ids sort by age, so index inserts stay at the end. */
export const newId = <K extends IdKind>(kind: K, clock: Clock, random: Random): IdOf[K] =>
  `${PREFIXES[kind]}_${clock.now().toString(16).padStart(12, '0')}${Buffer.from(random.bytes(10)).toString('hex')}` as IdOf[K];

const ID_PATTERN = /^[a-z]{3}_[0-9a-f]{32}$/;

/** Undefined unless `raw` has the form {@link newId} gives this kind. */
export const parseId = <K extends IdKind>(kind: K, raw: string): IdOf[K] | undefined =>
  ID_PATTERN.test(raw) && raw.startsWith(`${PREFIXES[kind]}_`) ? (raw as IdOf[K]) : undefined;

/** The decision that issued a lease has the lease's id under its own prefix: one is found by the other. */
export const decisionOf = (lease: LeaseId): DecisionId => `${PREFIXES.decision}${lease.slice(PREFIXES.lease.length)}` as DecisionId;
export const leaseOf = (decision: DecisionId): LeaseId => `${PREFIXES.lease}${decision.slice(PREFIXES.decision.length)}` as LeaseId;

/** The smallest id of a kind that can have been made at a time: those made before sort below it. */
export const firstIdAt = (kind: IdKind, at: number): string => `${PREFIXES[kind]}_${Math.max(0, at).toString(16).padStart(12, '0')}`;

const SESSION_ID_PATTERN = /^[A-Za-z0-9_-]{22}$/;
export const parseSessionId = (raw: string): SessionId | undefined => (SESSION_ID_PATTERN.test(raw) ? (raw as SessionId) : undefined);
export const sessionIdFromHash = (hash: Uint8Array): SessionId => base64url(hash.subarray(0, 16)).replace(/^-/, '_') as SessionId;

export const TRUST_DOMAIN_PATTERN = /^[a-z0-9._-]{1,255}$/;
const SPIFFE_ID_PATTERN = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/[A-Za-z0-9._-]+)+$/;

/** A workload's SPIFFE ID, or undefined. By pattern, not `URL`, which would mend what must be refused (SPIFFE-ID section 2). */
export const parseSpiffeId = (raw: string): SpiffeId | undefined =>
  raw.length <= 2048 && SPIFFE_ID_PATTERN.test(raw) && !/\/\.{1,2}(?:\/|$)/.test(raw) ? (raw as SpiffeId) : undefined;
