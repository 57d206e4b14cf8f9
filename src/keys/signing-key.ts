import { createPrivateKey, createPublicKey, generateKeyPair } from 'node:crypto';
import type { KeyObject, webcrypto } from 'node:crypto';
import { promisify } from 'node:util';
import { calculateJwkThumbprint } from 'jose';
import type { DomainId } from '../core/ids.ts';
import { canonicalJson } from '../core/json.ts';
import type { JsonObject } from '../core/json.ts';
import type { KeyPurpose, KeyRow, KeyStatus } from '../store/rows.ts';
import type { KeyEncryption } from './kek.ts';

/** A key row as a registry change takes it: the store adds `seq` and `changedAt`. */
export type NewKeyRow = Omit<KeyRow, 'seq' | 'changedAt'>;
export type KeyAlgorithm = KeyRow['algorithm'];

/** A key in memory, ready to use. */
export interface SigningKey {
  readonly kid: string;
  readonly purpose: KeyPurpose;
  readonly algorithm: KeyAlgorithm;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** A key that a plan wants made. */
export interface KeySpec {
  readonly domainId: DomainId;
  readonly purpose: KeyPurpose;
  readonly algorithm: KeyAlgorithm;
  readonly status: Extract<KeyStatus, 'current' | 'next'>;
  readonly notBefore: number;
}

/** Makes a key pair; `kid` is its RFC 7638 thumbprint, the PKCS#8 is sealed for this row. No `kid` begins with `-`, which a command line takes for an option. */
export const generateSigningKey = async (spec: KeySpec, encryption: Pick<KeyEncryption, 'seal'>): Promise<NewKeyRow> => {
  const { privateKey, publicKey } = await generatePair(spec.algorithm);
  const publicJwk = publicMembers(publicKey.export({ format: 'jwk' }));
  const kid = await calculateJwkThumbprint(publicJwk, 'sha256');
  if (kid.startsWith('-')) return generateSigningKey(spec, encryption);
  const identity = { ...spec, kid };
  const sealed = encryption.seal(privateKey.export({ type: 'pkcs8', format: 'der' }), context(identity));
  return { ...identity, version: 1, publicJwk, ...sealed, notAfter: null };
};

/** Opens a row's private key. Throws `KekError` when it cannot, and when the row's public key is not the sealed one's. */
export const openSigningKey = (row: KeyRow, encryption: Pick<KeyEncryption, 'open'>): SigningKey => {
  const der = encryption.open(row, context(row));
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  const publicKey = createPublicKey(privateKey);
  // INVARIANT: nobody without the KEK can make us publish or trust a key: what is published is derived from what was sealed.
  if (canonicalJson(publicMembers(publicKey.export({ format: 'jwk' }))) !== canonicalJson(row.publicJwk)) throw new Error(`the public key of ${row.kid} is not that of its private key`);
  return { kid: row.kid, purpose: row.purpose, algorithm: row.algorithm, privateKey, publicKey };
};

/** {@link openSigningKey}, done once for each row object: a snapshot keeps its rows, and RSA import is slow. */
export const createKeyOpener = (encryption: Pick<KeyEncryption, 'open'>): ((row: KeyRow) => SigningKey) => {
  const opened = new WeakMap<KeyRow, SigningKey>();
  return (row) => {
    const known = opened.get(row);
    if (known !== undefined) return known;
    const key = openSigningKey(row, encryption);
    opened.set(row, key);
    return key;
  };
};

/** The row's next version with the private key sealed under the current KEK; undefined when it is already, or is erased. */
export const rewrapSigningKey = (row: KeyRow, encryption: KeyEncryption): NewKeyRow | undefined => {
  if (row.sealed === '' || row.kekId === encryption.currentId) return undefined;
  const der = encryption.open(row, context(row));
  const sealed = encryption.seal(der, context(row));
  der.fill(0);
  return changeKeyRow(row, sealed);
};

/** A row's next version; rows are never changed in place. */
export const changeKeyRow = (row: KeyRow, change: Partial<Pick<KeyRow, 'status' | 'notBefore' | 'notAfter' | 'sealed' | 'kekId'>>): NewKeyRow => {
  const { seq: _seq, changedAt: _changedAt, ...kept } = row;
  return { ...kept, version: row.version + 1, ...change };
};

/** The sealed value's row: swapping two rows' values, or giving a key another domain or purpose, makes it unopenable. */
const context = (row: Pick<KeyRow, 'domainId' | 'purpose' | 'algorithm' | 'kid'>): string => `signing-key/${row.domainId}/${row.purpose}/${row.algorithm}/${row.kid}`;

const generate = promisify(generateKeyPair);
const RSA_BITS = 2048;

const generatePair = (algorithm: KeyAlgorithm): Promise<{ readonly privateKey: KeyObject; readonly publicKey: KeyObject }> =>
  algorithm === 'ES256' ? generate('ec', { namedCurve: 'P-256' }) : generate('rsa', { modulusLength: RSA_BITS, publicExponent: 0x10001 });

const publicMembers = (jwk: webcrypto.JsonWebKey): JsonObject => {
  const { kty = '', crv = '', x = '', y = '', n = '', e = '' } = jwk;
  return kty === 'EC' ? { kty, crv, x, y } : { kty, n, e };
};
