import { z } from 'zod';
import type { Evidence } from '../attestation/evidence.ts';
import type { Attributes } from '../attestation/attributes.ts';
import type { JsonObject } from '../core/json.ts';

/** What a decision saw of the evidence: kept with the lease, so that a later decision in the session and `explain` see the same. */
export interface EvidenceFacts {
  readonly kind: string;
  readonly issuer: string;
  readonly subject: string;
  readonly attributes: Attributes;
}

export const evidenceFacts = (evidence: Evidence): EvidenceFacts =>
  ({ kind: evidence.kind, issuer: evidence.issuerName, subject: evidence.subject, attributes: evidence.attributes });

const stored = z.object({
  kind: z.string(),
  issuer: z.string(),
  subject: z.string(),
  attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])),
});

/** Throws on anything but what {@link factsJson} wrote: a damaged row is a fault, never an empty set of facts. */
export const parseEvidenceFacts = (value: unknown): EvidenceFacts => stored.parse(value);

export const factsJson = (facts: EvidenceFacts): JsonObject => ({ kind: facts.kind, issuer: facts.issuer, subject: facts.subject, attributes: { ...facts.attributes } });
