import { z } from 'zod';

/** A platform's numeric id as the tokens carry it, a string. YAML turns unquoted digits into a number, which is taken too. */
export const platformId = z
  .union([z.string().regex(/^[1-9][0-9]{0,19}$/, 'must be a numeric id, not a name'), z.int().positive()])
  .transform((value) => String(value));

/** As tokens carry it: decimal digits in a string. A number would be another type than the platform's, so not the platform's token. */
export const isPlatformId = (value: unknown): value is string => typeof value === 'string' && /^[0-9]{1,20}$/.test(value);
