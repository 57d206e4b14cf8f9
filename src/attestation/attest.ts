import type { Clock } from '../core/clock.ts';
import { SECOND } from '../core/duration.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Issuer } from '../registry/entries.ts';
import type { Attributes } from './attributes.ts';
import type { AttestorCatalogue } from './catalogue.ts';
import { checkClaims } from './check-claims.ts';
import type { CheckedClaims } from './check-claims.ts';
import { checkHeaderFor } from './check-header.ts';
import { openEnvelope } from './envelope.ts';
import type { Envelope } from './envelope.ts';
import type { Evidence } from './evidence.ts';
import { createPrepareIssuer } from './prepare.ts';
import type { PreparedIssuer } from './prepare.ts';
import { replayKeyOf } from './replay-key.ts';
import { selectIssuer } from './select-issuer.ts';
import { verifySignature } from './verify-signature.ts';
import type { IssuerKeys } from './verify-signature.ts';

/** Whose evidence is acceptable here: the domain's entries with exactly this `iss`, and what they must be trusted to prove. */
export interface Acceptance {
  readonly candidates: (iss: string) => readonly Issuer[];
  readonly purpose: Issuer['proves'];
}
export type Attest = (token: string, acceptance: Acceptance) => Promise<Result<Evidence, Refusal>>;

/** Untrusted bytes to verified attributes, in the order of evidence.md A0. Nothing is fetched for an issuer that is not configured. */
export const createAttest = ({ clock, catalogue, keys }: { clock: Clock; catalogue: AttestorCatalogue; keys: IssuerKeys }): Attest => {
  const prepare = createPrepareIssuer(catalogue);

  return async (token, { candidates, purpose }) => {
    const opened = openEnvelope(token);
    if (!opened.ok) return opened;
    const envelope = opened.value;

    const { iss } = envelope.claims;
    if (iss === undefined) return err(refusal('evidence_claim_missing', 'iss is required'));
    const entries = typeof iss === 'string' ? candidates(iss).filter((entry) => entry.proves === purpose) : [];
    const selected = selectIssuer(envelope, entries, prepare);
    if (!selected.ok) return selected;
    const issuer = selected.value;
    const { entry, attestor } = issuer;

    if (entry.expires <= clock.now()) return err(refusal('evidence_issuer_expired', `trusted issuer ${entry.name} has expired`));
    const wrongHeader = checkHeaderFor(issuer, envelope);
    if (wrongHeader !== undefined) return err(wrongHeader);

    const found = await keys(entry);
    if (!found.ok) return found;
    const unverified = await verifySignature(envelope, issuer.algorithms, found.value);
    if (unverified !== undefined) return err(unverified);

    const checked = checkClaims(envelope.claims, issuer, clock.now());
    if (!checked.ok) return checked;
    const attributes = attestor.attributes(envelope.claims, entry.options);
    return attributes.ok ? ok(evidenceOf(envelope, issuer, checked.value, attributes.value)) : attributes;
  };
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
