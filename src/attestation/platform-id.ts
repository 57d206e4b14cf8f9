import { z } from 'zod';

/**
 * A platform's numeric id as the tokens carry it, a string. No conversion of numbers: above 2^53 YAML would already have
 * changed the id, and a schema that transforms cannot be shown in OpenAPI.
 */
export const platformId = z
  .string({ error: ({ input }) => (typeof input === 'number' ? `must be in quotes: "${input}"` : undefined) })
  .regex(/^[1-9][0-9]{0,19}$/, 'must be a numeric id, not a name');

/** As tokens carry it: decimal digits in a string. A number would be another type than the platform's, so not the platform's token. */
export const isPlatformId = (value: unknown): value is string => typeof value === 'string' && /^[0-9]{1,20}$/.test(value);
