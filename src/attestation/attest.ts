import type { Clock } from '../core/clock.ts';
import { SECOND } from '../core/duration.ts';
import type { Refusal } from '../core/refusal.ts';
import { ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Attributes } from './attributes.ts';
import { checkClaims } from './check-claims.ts';
import type { CheckedClaims } from './check-claims.ts';
import type { Envelope, Presented } from './envelope.ts';
import type { Evidence } from './evidence.ts';
import type { PreparedIssuer } from './prepare.ts';
import { replayKeyOf } from './replay-key.ts';
import type { Acceptance, VerifyEvidence } from './verify-evidence.ts';

export type Attest = (token: Presented, acceptance: Acceptance) => Promise<Result<Evidence, Refusal>>;

/** Untrusted bytes to verified attributes, in the order of evidence.md A0. */
export const createAttest = ({ clock, verify }: { readonly clock: Clock; readonly verify: VerifyEvidence }): Attest => async (token, acceptance) => {
  const verified = await verify(token, acceptance);
  if (!verified.ok) return verified;
  const { envelope, issuer } = verified.value;
  const checked = checkClaims(envelope.claims, issuer, clock.now());
  if (!checked.ok) return checked;
  const attributes = issuer.attestor.attributes(envelope.claims, issuer.entry.options);
  return attributes.ok ? ok(evidenceOf(envelope, issuer, checked.value, attributes.value)) : attributes;
};

const evidenceOf = (envelope: Envelope, { entry, attestor, profile, replay }: PreparedIssuer, claims: CheckedClaims, attributes: Attributes): Evidence => {
  const replayKey = replayKeyOf(envelope, entry.issuer, claims.jti, profile.replayKey);
  return {
    issuerId: entry.id,
    issuerName: entry.name,
    proves: entry.proves,
    kind: attestor.kind,
    iss: entry.issuer,
    subject: claims.subject,
    attributes,
    replayKey: replay === 'once' ? replayKey : undefined,
    anchor: attestor.anchor(attributes, envelope.claims, entry.options) ?? replayKey,
    issuedAt: claims.issuedAt * SECOND,
    expiresAt: claims.expiresAt * SECOND,
    jti: claims.jti,
    boundTo: claims.boundTo,
  };
};
