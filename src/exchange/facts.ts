import { z } from 'zod';
import type { Evidence } from '../attestation/evidence.ts';
import type { Attributes } from '../attestation/attributes.ts';

/**
 * What a decision saw of the evidence: kept with the lease as it is, so that a later decision in the session and `explain` see
 * the same. An alias and no interface: only so it is JSON to the compiler, and nobody has to copy it.
 */
export type EvidenceFacts = Readonly<{ kind: string; issuer: string; subject: string; attributes: Attributes }>;

/** The attributes are copied here, once, into an object with a prototype: written as JSON several times, it takes half as long. */
export const evidenceFacts = (evidence: Evidence): EvidenceFacts =>
  ({ kind: evidence.kind, issuer: evidence.issuerName, subject: evidence.subject, attributes: { ...evidence.attributes } });

const stored = z.object({
  kind: z.string(),
  issuer: z.string(),
  subject: z.string(),
  attributes: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.array(z.string())])),
});

/** Throws on anything but what was kept: a damaged row is a fault, never an empty set of facts. */
export const parseEvidenceFacts = (value: unknown): EvidenceFacts => stored.parse(value);
