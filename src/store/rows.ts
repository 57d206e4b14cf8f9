import type { DecisionId, DomainId, HopId, IssuerId, LeaseId, PersonUrn, ResourceId, SessionId, SpiffeId, WorkloadId } from '../core/ids.ts';
import type { Json, JsonObject } from '../core/json.ts';
import type { AuthorityModel, EntryKind, Stage } from '../registry/entries.ts';

/** Rows as the rest of Mayfly sees them. Times are milliseconds, JSON columns are parsed, absent is null. */

/** What a revocation names and a path is made of: `<kind>:<id>`. */
export type RevocationKind = 'lease' | 'hop' | 'session' | 'workload' | 'person' | 'issuer' | 'domain' | 'key';
export type Target = `${RevocationKind}:${string}`;

export interface EntryRow {
  readonly id: string;
  readonly version: number;
  readonly seq: number;
  readonly kind: EntryKind;
  readonly domainId: DomainId;
  readonly name: string;
  readonly body: JsonObject;
  readonly owner: string;
  readonly expiresAt: number | null;
  readonly ended: boolean;
  readonly changedAt: number;
  readonly changedBy: string;
}

/** Of an entry that stands, what a plan is made from. */
export type StandingEntry = Pick<EntryRow, 'id' | 'version' | 'kind' | 'domainId' | 'name' | 'body'>;

export type KeyPurpose = 'access' | 'aws' | 'set' | 'status' | 'checkpoint';
export type KeyStatus = 'next' | 'current' | 'retired' | 'gone' | 'revoked';
export interface KeyRow {
  readonly kid: string;
  readonly version: number;
  readonly seq: number;
  readonly domainId: DomainId;
  readonly purpose: KeyPurpose;
  readonly algorithm: 'ES256' | 'RS256';
  readonly publicJwk: JsonObject;
  readonly sealed: string;
  readonly kekId: string;
  readonly status: KeyStatus;
  readonly notBefore: number;
  readonly notAfter: number | null;
  readonly changedAt: number;
}

export interface RevocationRow {
  readonly seq: number;
  readonly target: Target;
  readonly domainId: DomainId;
  /** A lifted suspension leaves nothing behind; a lifted revocation still ends what began before it. */
  readonly effect: 'revoked' | 'suspended';
  readonly at: number;
  readonly by: string;
  readonly reason: string;
  readonly enabledSeq: number | null;
  readonly enabledAt: number | null;
  readonly enabledBy: string | null;
  readonly purgeAfter: number | null;
}

/** How far a cascade has come: first it finds the sessions that rest on its target, then it walks through them. */
export interface CascadeProgress {
  /** Which of its sources is read, and the row it was read up to; absent once all are. */
  readonly find?: { readonly source: number; readonly after?: { readonly at: number; readonly id: string } };
  /** The session that is walked through, and the lease it was walked up to. */
  readonly walk?: { readonly session: SessionId; readonly after: string };
  /** All sessions to walk through are named as tasks. */
  readonly named?: boolean;
  /** Every session was walked through. */
  readonly walked?: boolean;
  /** Some target could not be reached. */
  readonly unreached?: boolean;
  /** What was written here cannot be read. It begins anew: what was done before is done again, and counted again. */
  readonly damaged?: boolean;
}

/** What follows a revocation. */
export interface CascadeRow {
  readonly seq: number;
  readonly target: Target;
  readonly domainId: DomainId;
  readonly at: number;
  readonly due: number | null;
  readonly progress: CascadeProgress;
  readonly steps: number;
  readonly sessions: number;
  readonly leases: number;
  readonly takenBack: number;
  readonly honoured: number;
  readonly honouredUntil: number | null;
  readonly doneAt: number | null;
  readonly purgeAfter: number | null;
}

/** `ref`: a session to walk through, or a lease whose target could not be reached. */
export interface CascadeTaskRow { readonly seq: number; readonly kind: 'session' | 'lease'; readonly ref: string; readonly attempts: number; readonly due: number }

export interface SessionRow {
  readonly id: SessionId;
  readonly domainId: DomainId;
  readonly issuerId: IssuerId;
  /** Whose session it is; of one that came from another domain, its subject there. */
  readonly holder: WorkloadId | PersonUrn | SpiffeId;
  readonly model: AuthorityModel;
  readonly principal: string;
  readonly anchor: string;
  /** What decisions see of the person's login (groups, acr) or of the task (purpose). */
  readonly facts: JsonObject;
  readonly startedAt: number;
  readonly expiresAt: number;
  readonly endedAt: number | null;
  /** When the person logged in, or the autonomous workload last showed evidence; null where nothing has to be fresh. */
  readonly freshAt: number | null;
  /** Set by the store in the commit. */
  readonly beganVersion: number;
}

/** One member of `authorization_details` (RFC 9396 section 2), as its type's rule reads it (authority/details.ts): flat, and in one spelling. */
export type DetailValue = string | number | readonly string[];
export interface Detail { readonly type: string; readonly [field: string]: DetailValue }

/** An audience with its scopes and details, as in `authorization_details` of type `urn:mayfly:ceiling`. Without `details`: none. */
export interface CeilingPair { readonly audience: string; readonly scopes: readonly string[]; readonly details?: readonly Detail[] }

/** One actor of a chain that this domain recognised. */
export interface OwnLink {
  /** The domain that recognised it. */
  readonly iss: string;
  readonly sub: SpiffeId;
  readonly workloadId: WorkloadId;
  /** What it showed last when it handed on, which a decision about who came after it sees. A hop has none of its own actor: that is with each of its leases. */
  readonly evidence?: JsonObject;
}

/** An actor that another domain recognised, and of what stage that domain is. It is not decided about here: the crossing is. */
export interface ForeignLink {
  readonly iss: string;
  readonly sub: SpiffeId;
  readonly stage: Stage;
}
export type ChainLink = OwnLink | ForeignLink;

export interface HopRow {
  readonly id: HopId;
  readonly sessionId: SessionId;
  readonly parentId: HopId | null;
  readonly actor: string;
  readonly workloadId: WorkloadId;
  readonly jkt: string | null;
  readonly ceiling: readonly CeilingPair[];
  readonly depth: number;
  /** From the session's first actor to this one. */
  readonly chain: readonly ChainLink[];
  readonly path: readonly Target[];
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** A workload that matched a template and was handed authority: within one session, with whose end it ends. */
export interface InstanceRow {
  /** Registry version. */
  readonly seq: number;
  /** The same in every session (registry/template.ts). */
  readonly id: WorkloadId;
  readonly sessionId: SessionId;
  readonly templateId: WorkloadId;
  readonly domainId: DomainId;
  readonly name: string;
  readonly spiffeId: SpiffeId;
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** What a task may use: credentials issued, distinct agents and resources, and whatever unit its spend is counted in. */
export type BudgetKind = 'tokens' | 'agents' | 'resources' | 'spend';
export interface BudgetRow { readonly sessionId: SessionId; readonly kind: BudgetKind; readonly most: number; readonly used: number }
export interface BudgetUseRow { readonly sessionId: SessionId; readonly kind: 'agents' | 'resources'; readonly value: string }

export interface LeaseRow {
  readonly id: LeaseId;
  readonly kind: string;
  readonly domainId: DomainId;
  readonly sessionId: SessionId;
  readonly hopId: HopId;
  readonly workloadId: WorkloadId;
  readonly owner: string;
  readonly issuerId: IssuerId;
  readonly resourceId: ResourceId | null;
  readonly audience: string;
  /** Space-separated, as in the token. */
  readonly scope: string;
  readonly ceiling: readonly CeilingPair[];
  /** The `authorization_details` of a resource token; absent where it has none. */
  readonly details?: readonly Detail[] | undefined;
  readonly decision: JsonObject;
  readonly replayKey: string | null;
  readonly replayUntil: number | null;
  readonly credentialHash: string;
  readonly kid: string | null;
  readonly jkt: string | null;
  /** The entry of a status list that tells of it; only access tokens have one. */
  readonly statusList: string | null;
  readonly statusIndex: number | null;
  readonly handle: string | null;
  readonly handleKekId: string | null;
  readonly issuedAt: number;
  readonly expiresAt: number;
}

/** Of a status list, what whoever serves it must know. */
export interface StatusListRow {
  readonly id: string;
  readonly domainId: DomainId;
  readonly blocks: number;
  /** When the last token that any of its blocks may still be used for has expired. */
  readonly until: number;
}

export interface DenialRow {
  readonly id: DecisionId;
  readonly at: number;
  readonly domainId: DomainId;
  readonly workloadId: WorkloadId | null;
  readonly code: string;
  readonly detail: string;
  readonly facts: JsonObject;
  readonly count: number;
}

/** What happened, before it is chained. `body` must hold no secret. */
export interface AuditEvent {
  readonly at: number;
  /** Such as `exchange.issued`, `revocation.made`, `registry.applied`, `key.rotated`. */
  readonly action: string;
  readonly domainId: DomainId;
  /** Members that are undefined are not written. */
  readonly body: { readonly [name: string]: Json | undefined };
}

export interface AuditRow {
  readonly chain: string;
  readonly n: number;
  readonly at: number;
  readonly body: string;
  readonly action: string;
  readonly domainId: string;
  readonly prev: string;
  readonly hash: string;
  /** On the last entry of each commit: the code that shows who wrote the chain up to here (core/audit-code.ts). */
  readonly mac: string | null;
}

export interface CheckpointRow {
  readonly chain: string;
  readonly n: number;
  readonly hash: string;
  readonly at: number;
  readonly kid: string;
  readonly jws: string;
}
