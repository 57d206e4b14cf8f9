import type { IssuerId, PersonUrn } from '../core/ids.ts';

/** A human known through an issuer that proves people, and one login of theirs. The token itself is not in it. */
export interface Person {
  /** `urn:mayfly:<domain>:person:<issuer name>:<percent-encoded sub>` (design section 1). */
  readonly urn: PersonUrn;
  readonly issuerId: IssuerId;
  readonly issuerName: string;
  readonly iss: string;
  readonly subject: string;
  readonly groups: readonly string[];
  /** Milliseconds: when the person logged in, not when the token was made (OpenID Connect Core section 2). */
  readonly authTime: number;
  readonly acr: string | undefined;
  /** The login this token tells of: later tokens of the same login join its session. */
  readonly anchor: string;
  /** The application the token was made for, and who may act with it here. */
  readonly clientId: string;
  readonly presenters: readonly string[];
  /** Set when the person's own token names who may act (RFC 8693 section 4.4). */
  readonly mayAct: { readonly iss: string | undefined; readonly sub: string } | undefined;
  /** Set when the issuer's rule is `once`. */
  readonly replayKey: string | undefined;
  readonly expiresAt: number;
  /** RFC 7638 thumbprint of the key the token is bound to. */
  readonly boundTo: string | undefined;
}

/** One subject has one URN, whatever characters its issuer chose: unreserved ones stay, all else is percent-encoded (RFC 3986 section 2.3, RFC 8141 section 2.2). */
export const personUrn = (domain: string, issuer: string, subject: string): PersonUrn => `urn:mayfly:${domain}:person:${issuer}:${encodeSubject(subject)}` as PersonUrn;

/** The domain, issuer name and subject of a person's URN; undefined unless it is written exactly as {@link personUrn} writes it. */
export const parsePersonUrn = (raw: string): { readonly domain: string; readonly issuer: string; readonly subject: string } | undefined => {
  const [, domain, issuer, encoded] = raw.length > MAX_URN ? [] : PERSON_URN.exec(raw) ?? [];
  if (domain === undefined || issuer === undefined || encoded === undefined) return undefined;
  try {
    const subject = decodeURIComponent(encoded);
    return personUrn(domain, issuer, subject) === raw ? { domain, issuer, subject } : undefined;
  } catch {
    return undefined;
  }
};

const MAX_URN = 2048;
const PERSON_URN = /^urn:mayfly:([a-z][a-z0-9-]{0,30}):person:([a-z][a-z0-9-]{0,62}):((?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+)$/;

const encodeSubject = (subject: string): string => encodeURIComponent(subject).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
