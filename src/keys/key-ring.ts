import type { KeyObject } from 'node:crypto';
import type { JsonObject } from '../core/json.ts';
import type { KeyPurpose, KeyRow } from '../store/rows.ts';
import type { KeyAlgorithm, SigningKey } from './signing-key.ts';

/** A key as others see it in JWKS. */
export interface PublishedKey {
  readonly kid: string;
  readonly algorithm: KeyAlgorithm;
  readonly purpose: KeyPurpose;
  readonly publicJwk: JsonObject;
}

export interface VerifyingKey {
  readonly kid: string;
  readonly algorithm: KeyAlgorithm;
  readonly publicKey: KeyObject;
}

/** One domain's keys at one registry version. */
export interface KeyRing {
  /** The key that signs now; undefined: the domain is not ready. */
  current(purpose: KeyPurpose, algorithm: KeyAlgorithm): SigningKey | undefined;
  /** Before use, in use, and until the last thing it signed is over; never a revoked one. */
  published(now: number): readonly PublishedKey[];
  /** The key for something of ours presented back, `revoked`, or undefined for a kid this domain does not have for this purpose. */
  verifying(kid: string, purpose: KeyPurpose, now: number): VerifyingKey | 'revoked' | undefined;
}

/** A ring, and a sentence for each key that could not be opened: such a key neither signs nor verifies, and the domain is not ready. */
export interface OpenedRing { readonly ring: KeyRing; readonly problems: readonly string[] }

/** Opens the newest version of each row. `rows` are one domain's: a ring over two would let one domain's keys speak for the other. */
export const openKeyRing = (rows: readonly KeyRow[], open: (row: KeyRow) => SigningKey): OpenedRing => {
  if (new Set(rows.map((row) => row.domainId)).size > 1) throw new Error('a key ring of several domains');
  const newest = newestVersions(rows);
  const problems: string[] = [];
  const live = new Map<string, LiveKey>();
  for (const row of newest.filter(isLive)) {
    const key = tryOpen(row, open);
    if (typeof key === 'string') problems.push(key);
    else live.set(row.kid, { row, key });
  }
  const revoked = new Map(newest.filter((row) => row.status === 'revoked').map((row) => [row.kid, row]));
  const signing = new Map(
    [...live.values()]
      .filter(({ row }) => row.status === 'current')
      // Latest last, so that it wins should two keys of one kind ever be current.
      .sort((a, b) => a.row.notBefore - b.row.notBefore)
      .map(({ row, key }) => [`${row.purpose}/${row.algorithm}`, key]),
  );
  const ring: KeyRing = {
    current: (purpose, algorithm) => signing.get(`${purpose}/${algorithm}`),
    published: (now) => [...live.values()].filter(({ row }) => isPublished(row, now)).map(({ row }) => ({ kid: row.kid, algorithm: row.algorithm, purpose: row.purpose, publicJwk: row.publicJwk })),
    verifying(kid, purpose, now) {
      if (revoked.get(kid)?.purpose === purpose) return 'revoked';
      const found = live.get(kid);
      // A `next` key verifies too: another node may have learned of its promotion first.
      return found !== undefined && found.row.purpose === purpose && isPublished(found.row, now) ? found.key : undefined;
    },
  };
  return { ring, problems };
};

/** The highest version of each kid. */
export const newestVersions = (rows: readonly KeyRow[]): readonly KeyRow[] => {
  const newest = new Map<string, KeyRow>();
  for (const row of rows) {
    const known = newest.get(row.kid);
    if (known === undefined || known.version < row.version) newest.set(row.kid, row);
  }
  return [...newest.values()];
};

interface LiveKey { readonly row: KeyRow; readonly key: SigningKey }

const tryOpen = (row: KeyRow, open: (row: KeyRow) => SigningKey): SigningKey | string => {
  try {
    return open(row);
  } catch (error) {
    // KekError and the import of a key say what is wrong in words that hold no secret.
    return `key ${row.kid} (${row.purpose}, ${row.status}) does not open: ${error instanceof Error ? error.message : 'unknown error'}`;
  }
};

const LIVE = new Set(['next', 'current', 'retired']);
const isLive = (row: KeyRow): boolean => LIVE.has(row.status);
const isPublished = (row: KeyRow, now: number): boolean => isLive(row) && (row.notAfter === null || now < row.notAfter);
