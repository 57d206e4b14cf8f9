import type { IssuerId } from '../core/ids.ts';
import type { IssuerPurpose } from '../registry/entries.ts';
import type { Attributes } from './attributes.ts';

/** The outcome of attestation: bytes that were verified, turned into attributes. The token itself is not in it. */
export interface Evidence {
  readonly issuerId: IssuerId;
  readonly issuerName: string;
  readonly proves: IssuerPurpose;
  readonly kind: string;
  /** `iss` of the token. */
  readonly iss: string;
  readonly subject: string;
  readonly attributes: Attributes;
  /** Set when the issuer's rule is `once`: consumed in the commit of the lease it pays for. */
  readonly replayKey: string | undefined;
  /** Session anchor (design: session identity). */
  readonly anchor: string;
  /** Milliseconds. */
  readonly issuedAt: number;
  readonly expiresAt: number;
  readonly jti: string | undefined;
  /** RFC 7638 thumbprint of the key the platform bound its token to: whoever presents it must prove that key. */
  readonly boundTo: string | undefined;
}
