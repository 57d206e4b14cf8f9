import { readFile, writeFile } from 'node:fs/promises';
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import type { KeyObject, webcrypto } from 'node:crypto';
import type { CryptoKeyPair } from 'oauth4webapi';
import { isObject } from '../core/json.ts';
import { badInput } from './errors.ts';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;

/** The P-256 key a credential is bound to, from a file; made (PKCS#8 PEM, 0600) if the file does not exist, so that the caller keeps what it needs to use the credential. */
export const loadProofKey = async (file: string): Promise<CryptoKeyPair> => readProofKey(file, (await readIfThere(file)) ?? (await createKeyFile(file)));

/** One that is kept nowhere, for what nobody has to prove anything to use. */
export const createProofKey = (): CryptoKeyPair => readProofKey('the key that was made', makePem());

/** A P-256 private key as PKCS#8 PEM or as a JWK; `name` is where it came from. Nothing of the text is ever told. */
export const readProofKey = (name: string, text: string): CryptoKeyPair => {
  const privateKey = parseKey(name, text);
  return {
    privateKey: privateKey.toCryptoKey(P256, false, ['sign']),
    publicKey: createPublicKey(privateKey).toCryptoKey(P256, true, ['verify']),
  };
};

const readIfThere = async (file: string): Promise<string | undefined> => {
  try {
    return await readFile(file, 'utf8');
  } catch (fault) {
    if (isObject(fault) && fault['code'] === 'ENOENT') return undefined;
    throw badInput(`cannot read --dpop ${file}: ${isObject(fault) ? String(fault['code']) : String(fault)}`, 'name a file that you may read');
  }
};

const makePem = (): string => generateKeyPairSync('ec', { namedCurve: 'P-256', privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } }).privateKey;

const createKeyFile = async (file: string): Promise<string> => {
  const privateKey = makePem();
  try {
    await writeFile(file, privateKey, { mode: 0o600, flag: 'wx' });
  } catch (fault) {
    throw badInput(`cannot write --dpop ${file}: ${isObject(fault) ? String(fault['code']) : String(fault)}`, 'name a file in a folder that exists and that you may write');
  }
  return privateKey;
};

const parseKey = (name: string, text: string): KeyObject => {
  const mend = 'give a P-256 private key, as PKCS#8 PEM or as a JWK (`mayfly token --dpop FILE` makes one if there is no such file)';
  let key: KeyObject;
  try {
    key = createPrivateKey(text.trimStart().startsWith('{') ? { key: JSON.parse(text) as webcrypto.JsonWebKey, format: 'jwk' } : text);
  } catch {
    throw badInput(`${name} holds no private key`, mend);
  }
  if (key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key;
  throw badInput(`${name} holds a key of another kind`, mend);
};
