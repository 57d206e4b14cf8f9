import type { JSONWebKeySet } from 'jose';
import type { DomainId, IssuerId, PolicyId, ResourceId, SpiffeId, WorkloadId } from '../core/ids.ts';
import type { ActingEvent, SignalEffect } from './signals-schema.ts';

/**
 * The registry's rows as the rest of Mayfly sees them: checked, frozen, one object per current version.
 * How they look in YAML and on the admin API is in manifest.ts; `expires` is milliseconds.
 */
export type EntryKind = 'domain' | 'issuer' | 'resource' | 'workload' | 'policy';
export const STAGES = ['development', 'staging', 'production'] as const;
export type Stage = (typeof STAGES)[number];
export const AUTHORITY_MODELS = ['delegated', 'bounded', 'autonomous'] as const;
export type AuthorityModel = (typeof AUTHORITY_MODELS)[number];
export const WORKLOAD_KINDS = ['service', 'pipeline', 'agent', 'tool'] as const;
export type WorkloadKind = (typeof WORKLOAD_KINDS)[number];
/** Whom an issuer's tokens stand for; `domains`: another trust domain, for chains that come from there. */
export const ISSUER_PURPOSES = ['workloads', 'people', 'admins', 'domains'] as const;
export type IssuerPurpose = (typeof ISSUER_PURPOSES)[number];

/** A lint finding its owner accepts for a while. `until` is milliseconds. */
export interface AcceptedFinding { readonly rule: string; readonly reason: string; readonly until: number }

interface Row<Id> {
  readonly id: Id;
  /** Version of this entry, from 1. */
  readonly version: number;
  readonly owner: string;
  /** Absent: none. */
  readonly accept?: readonly AcceptedFinding[];
}

/** How far and how long authority reaches in a domain; milliseconds. */
export interface AuthorityLimits {
  /** Longest life of a session by model. */
  readonly sessionAge: Readonly<Record<AuthorityModel, number>>;
  /** How old a login (delegated) or the last evidence (autonomous) may be before the session is suspended. */
  readonly freshness: Readonly<Record<'delegated' | 'autonomous', number>>;
  /** Hand-overs below the first actor. */
  readonly depth: number;
}

export interface Domain extends Row<DomainId> {
  readonly kind: 'domain';
  readonly name: string;
  readonly stage: Stage;
  /** SPIFFE trust domain name. */
  readonly spiffe: string;
  /** Issuer URL, without trailing slash. */
  readonly issuer: string;
  readonly limits: AuthorityLimits;
}

/** Where the security events of an issuer come from, and what they do (docs/signals-in.md). */
export interface Signals {
  /** Exact `iss` of its events. */
  readonly transmitter: string;
  /** The one value `aud` must have. */
  readonly audience: string;
  /** Where its keys are; undefined: where the transmitter's own metadata says. */
  readonly jwksUri: string | undefined;
  readonly jwks: JSONWebKeySet | undefined;
  readonly algorithms: readonly string[];
  /** Undefined: events are pushed. `every` is milliseconds. */
  readonly poll: { readonly endpoint: string; readonly every: number } | undefined;
  /** Whether requests, theirs or ours, carry the secret of the server's configuration. */
  readonly authorized: boolean;
  readonly effects: Readonly<Record<ActingEvent, SignalEffect>>;
}

export interface Issuer extends Row<IssuerId> {
  readonly kind: 'issuer';
  readonly domainId: DomainId;
  readonly name: string;
  /** Attestor kind. */
  readonly attestor: string;
  readonly proves: IssuerPurpose;
  /** Exact `iss`. */
  readonly issuer: string;
  /** The one value `aud` must have. */
  readonly audience: string;
  readonly algorithms: readonly string[] | undefined;
  readonly replay: 'once' | 'within-session' | undefined;
  /** For an issuer that proves people: the applications whose tokens count, and the workloads that may act with them. */
  readonly audiences?: readonly { readonly clientId: string; readonly presenters: readonly string[] }[] | undefined;
  /** For an issuer that proves people: applications where approvers log in. No workload is a presenter of theirs. */
  readonly approverClients?: readonly string[] | undefined;
  /** Pinned keys: no network is used for this issuer. */
  readonly jwks: JSONWebKeySet | undefined;
  /** Its security events, if it has a transmitter of them. */
  readonly signals?: Signals | undefined;
  /** CIDRs beyond public addresses which the guarded fetch may connect to for this issuer. */
  readonly allowAddresses: readonly string[];
  /** The attestor kind's own block, as its `options` schema returned it. */
  readonly options: unknown;
  readonly expires: number;
}

/** How the value a child asks for is held against its parent's (authority/details.ts). */
export const DETAIL_COMPARATORS = ['exact', 'subset', 'max', 'prefix'] as const;
export type DetailComparator = (typeof DETAIL_COMPARATORS)[number];

export interface DetailField {
  readonly compare: DetailComparator;
  /** The only values there are; undefined: any. */
  readonly values: readonly string[] | undefined;
  /** Whether a detail may leave it out, and so be bounded by nothing there. */
  readonly optional: boolean;
}

/** A type of `authorization_details` that a resource understands (RFC 9396 section 2). */
export interface DetailType { readonly type: string; readonly fields: Readonly<Record<string, DetailField>> }

export interface Resource extends Row<ResourceId> {
  readonly kind: 'resource';
  readonly domainId: DomainId;
  readonly audience: string;
  /** Provider kind; `access-token` unless named. */
  readonly provider: string;
  readonly scopes: readonly string[];
  /** Types of details that can be asked for; absent: none. */
  readonly details?: readonly DetailType[] | undefined;
  /** Names of workloads that may introspect its tokens. */
  readonly servedBy: readonly string[];
  /** Refuses exchanges without a DPoP proof. */
  readonly bound: boolean;
  /** Lifetime of its credentials, seconds; undefined: the provider's default. */
  readonly lifetime: number | undefined;
  /** The provider kind's own block, as its `options` schema returned it. */
  readonly options: unknown;
  readonly expires: number;
}

export interface MatchRule {
  readonly issuer: string;
  /** Attribute name to allowed values; an array means any of them. A string with `*` is a glob that crosses neither `/` nor `:`. */
  readonly attributes: Readonly<Record<string, readonly (string | number | boolean)[]>>;
}

/** One segment of an instance's name: a word, or the value an attribute of its evidence has. */
export type TemplateSegment = { readonly text: string } | { readonly attribute: string };

/** What makes an entry a template: whoever matches it gets a name of its own below the template's. */
export interface Template {
  readonly path: readonly TemplateSegment[];
  /** Instances that may be live at once, over all sessions. */
  readonly maxLive: number;
}

/** The template that a workload nobody registered is an instance of. */
export interface InstanceOf { readonly id: WorkloadId; readonly name: string; readonly spiffeId: SpiffeId }

export interface Workload extends Row<WorkloadId> {
  readonly kind: 'workload';
  readonly domainId: DomainId;
  readonly name: string;
  readonly spiffeId: SpiffeId;
  readonly workloadKind: WorkloadKind;
  readonly authority: AuthorityModel;
  /** Of an autonomous workload: the person who is accountable for it, as an issuer that proves people knows them. */
  readonly principal?: { readonly issuer: string; readonly sub: string } | undefined;
  readonly match: MatchRule;
  /** Set for a template, which never acts itself. Its `authority` is the model of the sessions its instances may act in. */
  readonly template?: Template | undefined;
  /** Set for an instance of a template. */
  readonly instanceOf?: InstanceOf | undefined;
  readonly bound: boolean;
  readonly expires: number;
}

export interface Policy extends Row<PolicyId> {
  readonly kind: 'policy';
  readonly domainId: DomainId;
  readonly name: string;
  readonly cedar: string;
  readonly effect: 'permit' | 'forbid';
  /** Undefined only for a forbid. */
  readonly expires: number | undefined;
}

export type Entry = Domain | Issuer | Resource | Workload | Policy;
