import { systemRandom } from '../../src/core/random.ts';
import { parseId } from '../../src/core/ids.ts';
import type { DomainId } from '../../src/core/ids.ts';
import { createKeyEncryption, parseKek } from '../../src/keys/kek.ts';
import type { KeyEncryption } from '../../src/keys/kek.ts';
import { openKeyRing } from '../../src/keys/key-ring.ts';
import type { KeyRing } from '../../src/keys/key-ring.ts';
import { generateSigningKey, openSigningKey } from '../../src/keys/signing-key.ts';
import type { KeySpec, NewKeyRow, SigningKey } from '../../src/keys/signing-key.ts';
import type { KeyRow } from '../../src/store/rows.ts';

export const START = Date.UTC(2026, 10, 22, 12);

const domainIdOf = (digit: string): DomainId => {
  const id = parseId('domain', `dom_${digit.repeat(32)}`);
  if (id === undefined) throw new Error('not a domain id');
  return id;
};
export const DOMAIN = domainIdOf('0');
export const OTHER_DOMAIN = domainIdOf('1');

export const makeEncryption = (): KeyEncryption => createKeyEncryption({ current: parseKek(systemRandom.bytes(32)), random: systemRandom });

/** The row as the store gives it back. */
export const stored = (row: NewKeyRow, at = START): KeyRow => ({ ...row, seq: 1, changedAt: at });

export const makeRow = async (encryption: KeyEncryption, spec: Partial<KeySpec> = {}): Promise<KeyRow> =>
  stored(await generateSigningKey({ domainId: DOMAIN, purpose: 'access', algorithm: 'ES256', status: 'current', notBefore: START, ...spec }, encryption));

/** A ring over real keys; each spec is a current ES256 access key unless it says otherwise. */
export const makeRing = async (specs: readonly Partial<KeySpec>[] = [{}]): Promise<{ readonly ring: KeyRing; readonly rows: readonly KeyRow[]; readonly keys: readonly SigningKey[]; readonly encryption: KeyEncryption }> => {
  const encryption = makeEncryption();
  const rows = await Promise.all(specs.map((spec) => makeRow(encryption, spec)));
  const open = (row: KeyRow): SigningKey => openSigningKey(row, encryption);
  return { ring: openKeyRing(rows, open).ring, rows, keys: rows.map(open), encryption };
};
