import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Issuer } from '../registry/entries.ts';
import type { Envelope } from './envelope.ts';
import type { PreparedIssuer, PrepareIssuer } from './prepare.ts';

/**
 * Picks the one entry whose keys may verify the token, by its still unverified `iss` and discriminator claim. They choose
 * among configured entries and do nothing else: the signature then has to hold under that entry's keys alone, so a lie
 * here only picks keys under which the token does not verify.
 */
export const selectIssuer = (envelope: Envelope, candidates: readonly Issuer[], prepare: PrepareIssuer): Result<PreparedIssuer, Refusal> => {
  const { claims } = envelope;
  const named = candidates.filter((entry) => entry.issuer === claims.iss);
  if (named.length === 0) return err(refusal('evidence_issuer_unknown', 'no trusted issuer with exactly this iss and purpose'));
  const fitting = named.map(prepare).filter((issuer) => issuer !== undefined && isFor(issuer, claims));
  if (fitting.length === 0) return err(refusal('evidence_issuer_unknown', `trusted issuers with this iss (${namesOf(named)}) are for other values of their telling claim`));
  // Entries of several domains, as an admin's token may be for: each domain has an audience of its own.
  const [only, second] = fitting.length === 1 ? fitting : fitting.filter((issuer) => isAddressed(issuer, claims));
  if (only === undefined) return err(refusal('evidence_audience_wrong', `aud is that of none of the trusted issuers with this iss: ${namesOf(named)}`));
  if (second !== undefined) return err(refusal('evidence_issuer_ambiguous', `more than one trusted issuer could accept this token: ${namesOf(named)}`));
  return ok(only);
};

const isFor = ({ discriminator }: PreparedIssuer, claims: Envelope['claims']): boolean =>
  discriminator === undefined || (Object.hasOwn(claims, discriminator.claim) && claims[discriminator.claim] === discriminator.value);

const isAddressed = (issuer: PreparedIssuer | undefined, { aud }: Envelope['claims']): boolean => issuer?.entry.audience === (Array.isArray(aud) && aud.length === 1 ? aud[0] : aud);

const namesOf = (entries: readonly Issuer[]): string => entries.map((entry) => entry.name).join(', ');
