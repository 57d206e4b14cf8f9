import type { Clock } from '../core/clock.ts';
import { refusal } from '../core/refusal.ts';
import type { Refusal } from '../core/refusal.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { Issuer } from '../registry/entries.ts';
import type { AttestorCatalogue } from './catalogue.ts';
import { checkHeaderFor } from './check-header.ts';
import { openEnvelope } from './envelope.ts';
import type { Envelope, Presented } from './envelope.ts';
import { createPrepareIssuer } from './prepare.ts';
import type { PreparedIssuer } from './prepare.ts';
import { selectIssuer } from './select-issuer.ts';
import { verifySignature } from './verify-signature.ts';
import type { IssuerKeys } from './verify-signature.ts';

/** Whose evidence is acceptable here: the domain's entries with exactly this `iss`, and what they must be trusted to prove. */
export interface Acceptance {
  readonly candidates: (iss: string) => readonly Issuer[];
  readonly purpose: Issuer['proves'];
}

/** A token whose signature holds under the one entry it can be for. What its claims say is still to be checked. */
export interface VerifiedEvidence { readonly envelope: Envelope; readonly issuer: PreparedIssuer }
export type VerifyEvidence = (token: Presented, acceptance: Acceptance) => Promise<Result<VerifiedEvidence, Refusal>>;
export interface VerifyEvidenceDeps { readonly clock: Clock; readonly catalogue: AttestorCatalogue; readonly keys: IssuerKeys }

/** Steps 1 to 4 of evidence.md A0, the same for whatever a token proves. Nothing is fetched for an issuer that is not configured. */
export const createVerifyEvidence = ({ clock, catalogue, keys }: VerifyEvidenceDeps): VerifyEvidence => {
  const prepare = createPrepareIssuer(catalogue);

  return async (token, { candidates, purpose }) => {
    const opened = typeof token === 'string' ? openEnvelope(token) : ok(token);
    if (!opened.ok) return opened;
    const envelope = opened.value;

    const { iss } = envelope.claims;
    if (iss === undefined) return err(refusal('evidence_claim_missing', 'iss is required'));
    const entries = typeof iss === 'string' ? candidates(iss).filter((entry) => entry.proves === purpose) : [];
    const selected = selectIssuer(envelope, entries, prepare);
    if (!selected.ok) return selected;
    const issuer = selected.value;

    if (issuer.entry.expires <= clock.now()) return err(refusal('evidence_issuer_expired', `trusted issuer ${issuer.entry.name} has expired`));
    const wrongHeader = checkHeaderFor(issuer, envelope);
    if (wrongHeader !== undefined) return err(wrongHeader);

    const found = await keys(issuer.entry);
    if (!found.ok) return found;
    const unverified = await verifySignature(envelope, issuer.algorithms, found.value);
    return unverified === undefined ? ok({ envelope, issuer }) : err(unverified);
  };
};
