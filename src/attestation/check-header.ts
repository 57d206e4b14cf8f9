import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import type { Envelope } from './envelope.ts';
import type { PreparedIssuer } from './prepare.ts';

/** What the chosen issuer's entry says about the header: `alg`, `kid` and `typ` (evidence.md A0.2, RFC 8725 sections 3.1 and 3.11). */
export const checkHeaderFor = ({ entry, profile, algorithms }: PreparedIssuer, { header }: Envelope): Refusal | undefined => {
  if (!algorithms.includes(header.alg)) return refusal('evidence_alg_not_allowed', `alg ${header.alg}, allowed are ${algorithms.join(', ')}`);
  // A pinned set may hold one key without a name; a fetched one changes, and only a name says when it has to be fetched again.
  if (header.kid === undefined && entry.jwks === undefined) return refusal('evidence_key_unknown', 'the header names no kid');
  if (profile.types !== undefined && !profile.types.includes(mediaType(header.typ))) {
    return refusal('evidence_typ_wrong', `typ is none of ${profile.types.map((type) => (type === '' ? 'absent' : type)).join(', ')}`);
  }
  return undefined;
};

/** `typ` is a media type, compared without case and with `application/` implied (RFC 7515 section 4.1.9). */
const mediaType = (typ: string | undefined): string => (typ ?? '').toLowerCase().replace(/^application\/(?=[^/]+$)/, '');
