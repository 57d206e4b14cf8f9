import type { z } from 'zod';
import type { ActClaim } from '../tokens/claims.ts';
import type { Detail } from '../store/rows.ts';
import type { DpopBinding } from '../tokens/proof.ts';
import type { StatusEntry } from '../tokens/status-list.ts';
import type { HopId, LeaseId, SessionId, SpiffeId } from '../core/ids.ts';
import type { Refusal } from '../core/refusal.ts';
import type { Result } from '../core/result.ts';
import type { KeyKind } from '../keys/key-plan.ts';
import type { Domain, Resource, Workload } from '../registry/entries.ts';
import type { ChainLink } from '../store/rows.ts';

/** Everything a provider may put into a credential. Decided and narrowed already; a provider can only shorten. */
export interface Order {
  readonly leaseId: LeaseId;
  readonly sessionId: SessionId;
  readonly hopId: HopId;
  readonly domain: Domain;
  readonly workload: Workload;
  readonly resource: Resource;
  readonly scopes: readonly string[];
  /** `authorization_details`, of types the resource understands; undefined: none. */
  readonly details?: readonly Detail[] | undefined;
  /** Members `sub`, `act`, `may_act`, `client_id`, `authority` of the token, built by the authority rules. */
  readonly subject: {
    readonly sub: string; readonly act: ActClaim | undefined; readonly model: string; readonly principal: string; readonly depth: number;
    /** Of a person's session: when they logged in (milliseconds), and how. */
    readonly authTime: number | undefined; readonly acr: string | undefined;
  };
  /** Every actor from the session's first to this one. */
  readonly chain: readonly ChainLink[];
  /** To whom authority is handed on. */
  readonly handsOnTo: SpiffeId | undefined;
  readonly binding: DpopBinding | undefined;
  /** Attributes of the evidence, for session tags and the like. */
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Milliseconds: when it is issued, when it must end, and the end of the hop, which nothing outlives. */
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly hopExpiresAt: number;
}

export interface IssuedCredential {
  /** Lease kind, such as `access_token` or `aws-credentials`. */
  readonly kind: string;
  readonly issuedTokenType: string;
  readonly tokenType: 'Bearer' | 'DPoP' | 'N_A';
  /** The credential as the caller gets it in `access_token`. */
  readonly credential: string;
  /** The key that signed it, if one of ours did. */
  readonly kid: string | undefined;
  /** Milliseconds; when the target stops honouring it. */
  readonly expiresAt: number;
  /** What the target's API needs to revoke it; kept encrypted and erased at the end. */
  readonly handle: string | undefined;
  /** The entry of a status list that it names; only access tokens do. */
  readonly status?: StatusEntry;
}

export type RevokeOutcome = { readonly kind: 'revoked' } | { readonly kind: 'recorded'; readonly honouredUntil: number; readonly note: string };

export interface Provider<Options = unknown> {
  readonly kind: string;
  /** Kind of the leases of what it issues, which no other provider gives. */
  readonly leaseKind: string;
  /** `requested_token_type` values it answers; the first is its default. */
  readonly tokenTypes: readonly [string, ...string[]];
  /** The kind's own fields in a resource entry. */
  readonly options: z.ZodType<Options>;
  /** Whether issuing calls the target: what was asked of it there cannot be taken back, so the session's stored end is looked up before. */
  readonly callsTarget: boolean;
  /** A sentence with the mend when the entry cannot work (audience form or reserved, development-only options); undefined if it can. */
  check(resource: { readonly audience: string; readonly scopes: readonly string[]; readonly options: Options }, domain: Pick<Domain, 'stage' | 'issuer'>): string | undefined;
  /** The kind of our keys that signs what it issues for a resource, if one does: the domain has such a key as long as a live resource wants it. */
  signsWith?(options: Options): KeyKind;
  /** Lifetimes in seconds. A session shorter than `minimum` must be enforced by other means (design section 11, AWS). */
  readonly lifetime: { readonly default: number; readonly minimum: number; readonly maximum: number };
  issue(order: Order, options: Options): Promise<Result<IssuedCredential, Refusal>>;
  /** May be asked again for the same credential: the answer can come and what notes it fail. Rejects when the target could not be reached. */
  readonly revoke?: (handle: string | undefined, lease: { readonly id: LeaseId; readonly expiresAt: number }) => Promise<RevokeOutcome>;
}
