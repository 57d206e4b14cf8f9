import { promisify } from 'node:util';
import { constants, deflate } from 'node:zlib';
import { seconds } from '../core/clock.ts';
import { base64url } from '../core/bytes.ts';
import { MINUTE, SECOND } from '../core/duration.ts';

/** Statuses of Token Status List section 7.1; whoever was never given an entry is valid like the rest. */
export const STATUS = { valid: 0, invalid: 1, suspended: 2 } as const;
export type Status = keyof typeof STATUS;

/** What a token carries: where to look, and at which entry (section 6.2). */
export interface StatusClaim { readonly status_list: { readonly idx: number; readonly uri: string } }

/** One entry of one list. */
export interface StatusEntry { readonly list: string; readonly index: number; readonly uri: string }

export const statusClaim = ({ index, uri }: Pick<StatusEntry, 'index' | 'uri'>): StatusClaim => ({ status_list: { idx: index, uri } });

export const statusListUri = (issuer: string, list: string): string => `${issuer}/status/${list}`;

const BITS = 2;
const PER_BYTE = 8 / BITS;

/** Section 4.1: entry 0 is the least significant bits of byte 0. `size` entries, all valid but those named. */
export const packStatuses = (size: number, statuses: Iterable<readonly [index: number, status: Status]>): Uint8Array => {
  if (size % PER_BYTE !== 0) throw new RangeError('a status list ends within a byte');
  const bytes = new Uint8Array(size / PER_BYTE);
  for (const [index, status] of statuses) {
    if (!Number.isInteger(index) || index < 0 || index >= size) throw new RangeError(`no entry ${index} in a list of ${size}`);
    const at = Math.floor(index / PER_BYTE);
    const shift = (index % PER_BYTE) * BITS;
    bytes[at] = ((bytes[at] ?? 0) & ~(0b11 << shift)) | (STATUS[status] << shift);
  }
  return bytes;
};

/** For how long verifiers keep a list before they fetch it again, and until when it counts at all (section 13.7). */
export const STATUS_LIST_TTL = 30 * SECOND;
export const STATUS_LIST_LIFE = 5 * MINUTE;

const compress = promisify(deflate);

/** Claims of a status list token (section 5.1); `at`: milliseconds, when the statuses were looked at. */
export const statusListClaims = async (list: { readonly issuer: string; readonly uri: string; readonly at: number }, bytes: Uint8Array): Promise<object> => ({
  iss: list.issuer,
  sub: list.uri,
  iat: seconds(list.at),
  exp: seconds(list.at + STATUS_LIST_LIFE),
  ttl: STATUS_LIST_TTL / SECOND,
  // Section 4.1: zlib (RFC 1950) at the highest level.
  status_list: { bits: BITS, lst: base64url(await compress(bytes, { level: constants.Z_BEST_COMPRESSION })) },
});
