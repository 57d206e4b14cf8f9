import { DAY, HOUR, MINUTE } from '../core/duration.ts';
import { badInput } from './errors.ts';

const UNITS: Readonly<Record<string, number>> = { m: MINUTE, h: HOUR, d: DAY };

/** A moment in RFC 3339, or a span from now such as `90m`, `8h` or `2d`; the API takes the moment, in UTC. */
export const parseDeadline = (text: string, now: number): string => {
  const [, count, unit] = /^([1-9]\d{0,5})([mhd])$/.exec(text) ?? [];
  if (count !== undefined && unit !== undefined) return new Date(now + Number(count) * (UNITS[unit] ?? 0)).toISOString();
  const at = RFC_3339.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(at)) return new Date(at).toISOString();
  throw badInput(`--deadline ${text} is neither a moment nor a span`, 'give RFC 3339 with its offset, such as 2027-01-15T18:00:00Z, or a span such as 90m, 8h or 2d');
};

const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2})$/;
