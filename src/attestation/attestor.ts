import type { JWTPayload } from 'jose';
import type { z } from 'zod';
import type { Refusal } from '../core/refusal.ts';
import type { Result } from '../core/result.ts';
import type { Attributes, AttributeTable } from './attributes.ts';

/** How one issuer entry's tokens are verified: the rules of evidence.md A0 that differ from platform to platform. */
export interface EvidenceProfile {
  /** Allowed JWS algorithms; never `none`, never symmetric. */
  readonly algorithms: readonly string[];
  /** Allowed `typ` header values, lower case, `''` meaning absent. Undefined: any. */
  readonly types?: readonly string[];
  /** Claims that must be present besides iss, aud, exp, iat and sub. */
  readonly requiredClaims: readonly string[];
  /** Cap on exp - iat, seconds. */
  readonly maxLifetime: number;
  /** `once`: consumed by the lease it pays for. `within-session`: later uses join the session the first one opened. */
  readonly replay: 'once' | 'within-session';
  /** `jti` required and used as replay key, else the SHA-256 of `header.payload`. */
  readonly replayKey: 'jti' | 'hash';
}

/** A claim value that tells entries with one `iss` apart; a token without exactly this value is not for the entry. */
export interface Discriminator { readonly claim: string; readonly value: string }

/** Data of an attestor kind's own block in an issuer entry, checked once at registration. */
export interface Attestor<Options = unknown> {
  readonly kind: string;
  /** The kind's own fields in an issuer entry (strict: unknown keys are refused by the caller). */
  readonly options: z.ZodType<Options>;
  /** Issuer URL when the entry names none; undefined: the entry must. Every entry's URL is checked by `issuerAllowed`. */
  readonly defaultIssuer?: string;
  /** A sentence with the mend when the issuer URL cannot be one of this platform's; undefined if it can. */
  issuerAllowed(issuer: string): string | undefined;
  /** The attributes this kind can yield; for `oidc` they follow from the options. */
  attributeTable(options: Options): AttributeTable;
  profile(options: Options): EvidenceProfile;
  discriminator(options: Options): Discriminator | undefined;
  /** Platform rules, then normalised attributes. `claims` are verified. */
  attributes(claims: JWTPayload, options: Options): Result<Attributes, Refusal>;
  /** What the session stands for, such as `repository_id/run_id/run_attempt`; undefined: the replay key. */
  anchor(attributes: Attributes, claims: JWTPayload, options: Options): string | undefined;
}
