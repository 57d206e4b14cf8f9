import type { Attributes } from '../attestation/attributes.ts';
import type { DomainId } from '../core/ids.ts';
import type { Domain, Policy, Resource, Workload } from '../registry/entries.ts';

/** One of `authorization_details` by the types of its values. */
export interface DetailFacts {
  readonly type: string;
  readonly texts: Readonly<Record<string, string>>;
  readonly numbers: Readonly<Record<string, number>>;
  readonly sets: Readonly<Record<string, readonly string[]>>;
}

/** What one decision is made from. Every member is a fact from the registry or from verified evidence, never the caller's word. */
export interface Question {
  readonly domain: Domain;
  readonly action: 'issue' | 'delegate' | 'act' | 'cross' | 'approve' | 'open' | 'call';
  readonly workload: Workload;
  /** Set where a person's authority is asked about, not the workload's: then the person is the principal. */
  readonly person?: { readonly urn: string; readonly issuer: string; readonly groups: readonly string[] } | undefined;
  readonly resource: Resource;
  /** A registered scope of the resource; undefined: the resource itself. */
  readonly scope: string | undefined;
  /** Set where details are asked about, and neither a scope nor the resource itself. */
  readonly detail?: DetailFacts | undefined;
  readonly evidence: { readonly kind: string; readonly issuer: string; readonly subject: string; readonly attributes: Attributes } | undefined;
  /** SPIFFE IDs, innermost (first) actor first. */
  readonly chain: readonly string[];
  /** Actors of other domains the chain came through; none for one that began here. */
  readonly passed?: readonly { readonly iss: string; readonly stage: string }[] | undefined;
  readonly session: {
    readonly model: string; readonly principal: string; readonly ageSeconds: number; readonly depth: number;
    /** Since the login, or since the autonomous workload last showed evidence. */
    readonly freshSeconds?: number | undefined;
    /** What a task was opened for. */
    readonly purpose?: string | undefined;
  };
  /** `actor`: to whom authority is handed on. `approval`: the name somebody would approve it under. */
  readonly request: { readonly bound: boolean; readonly time: number; readonly lifetime: number; readonly actor?: string | undefined; readonly approval?: string | undefined };
}

export interface AdminQuestion {
  readonly domain: Domain;
  /** Without the prefix `admin::`. */
  readonly verb: string;
  readonly admin: { readonly id: string; readonly groups: readonly string[]; readonly issuer: string };
  /** The domain acted on; the system domain for installation-wide actions. */
  readonly on: Domain;
  readonly time: number;
}

export interface PolicyCitation { readonly name: string; readonly version: number }

/** What a permit asks of people before it counts: somebody for each name, within a time. */
export interface ApprovalDemand {
  /** Sorted. */
  readonly names: readonly string[];
  /** Milliseconds from asking: to approve, to redeem, and for what was issued on it to end. */
  readonly ttl: number;
  /** Whoever is accountable for the session may be among them. */
  readonly byPrincipal: boolean;
}

/** One answer of the policy engine. Anything but `allow: true` is a no. */
export interface Answer {
  readonly allow: boolean;
  /** Policies that determined it; empty for the default deny. */
  readonly policies: readonly PolicyCitation[];
  /** Set when Cedar reported a failure or any error: a denial and an alert, whatever else it said. */
  readonly errors: readonly string[];
  /** Set with `allow: false`: it would be a yes on this approval. Whoever does not look at it refuses. */
  readonly approval?: ApprovalDemand;
}

/** What `explain` adds for an admin: the permits that came closest, with the condition that did not hold. */
export interface NearMiss { readonly policy: PolicyCitation; readonly why: string }

export interface PolicyProblem {
  readonly policy: string;
  readonly message: string;
  /** Cedar's own hint, if it has one. */
  readonly help: string | undefined;
  /** 1-based, within the policy's text. */
  readonly line: number | undefined;
  readonly column: number | undefined;
}

/** The compiled policies of one domain at one registry version. */
export interface PolicyEngine {
  readonly domainId: DomainId;
  /** Empty when every stored policy validates; otherwise the domain is not ready. */
  readonly problems: readonly PolicyProblem[];
  /** Some policy asks for `context.session.age_seconds`; otherwise the question may leave the age of a session to the commit. */
  readonly readsSessionAge: boolean;
  decide(question: Question): Answer;
  decideAdmin(question: AdminQuestion): Answer;
  nearMisses(question: Question): readonly NearMiss[];
}

export type BuildPolicyEngine = (domainId: DomainId, policies: readonly Policy[]) => PolicyEngine;
