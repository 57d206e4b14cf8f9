import { z } from 'zod';
import { trustDomain } from './fields.ts';
import { domainSchema, issuerSchema, policySchema, resourceSchema, workloadSchema } from './schemas.ts';
import { storedSignals } from './signals-schema.ts';

/**
 * Bodies as they are stored: a manifest entry without its `domain` (a column), with what was settled at registration
 * written out, so that a later default never moves an identity.
 */
export const storedDomain = domainSchema.extend({ spiffe: trustDomain, issuer: z.string().min(1) });
export const storedIssuer = issuerSchema.omit({ domain: true }).extend({ issuer: z.string().min(1), audience: z.string().min(1), signals: storedSignals });
export const storedResource = resourceSchema.omit({ domain: true });
export const storedWorkload = workloadSchema.omit({ domain: true }).extend({ spiffe_id: z.string() });
export const storedPolicy = policySchema.omit({ domain: true }).extend({ effect: z.enum(['permit', 'forbid']) });
