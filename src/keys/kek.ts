import { createCipheriv, createDecipheriv, createHash, createSecretKey, hkdfSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { Random } from '../core/random.ts';

/** One key-encryption key. A `KeyObject`, so that no printing or serialising of it can show the bytes. */
export interface Kek {
  /** First 8 bytes, hex, of SHA-256 over a label and the key: names it without telling anything of it. */
  readonly id: string;
  readonly key: KeyObject;
}

/** A sealed value and the id of the KEK it is sealed under; a `KeyRow` is one. */
export interface Sealed { readonly sealed: string; readonly kekId: string }

/** Seals secrets at rest (AES-256-GCM) under the current KEK and opens what any loaded KEK sealed. */
export interface KeyEncryption {
  /** Id of the KEK that seals. */
  readonly currentId: string;
  /** Whether that KEK is loaded. */
  has(kekId: string): boolean;
  /** `context` names the row the value belongs to; a value moved to another row does not open. */
  seal(plaintext: Uint8Array, context: string): Sealed;
  open(value: Sealed, context: string): Buffer;
  /** A 32-byte secret of its own for `label` (HKDF-SHA-256, RFC 5869), the same on every node with this KEK. */
  derive(label: string): Uint8Array;
  /** The same secret of the current KEK, then those of the others that are loaded. */
  deriveEach(label: string): readonly [KeyObject, ...KeyObject[]];
}

/** Tells an admin what is wrong with a KEK or a sealed value. `unknown`: sealed under a KEK that is not loaded; `damaged`: not the bytes that were sealed for this row. */
export class KekError extends Error {
  readonly kind: 'malformed' | 'unknown' | 'damaged';
  constructor(kind: 'malformed' | 'unknown' | 'damaged', message: string) {
    super(message);
    this.name = 'KekError';
    this.kind = kind;
  }
}

/** Reads a KEK: 32 raw bytes, or their base64 / base64url text with surrounding white space. Throws {@link KekError} `malformed`. */
export const parseKek = (source: string | Uint8Array): Kek => {
  const bytes = typeof source === 'string' ? decodeText(source) : decodeBytes(source);
  if (bytes.length !== KEY_BYTES) throw new KekError('malformed', `a key-encryption key has 32 bytes or their base64, this one has ${bytes.length} bytes`);
  if (new Set(bytes).size < MIN_DISTINCT_BYTES) throw new KekError('malformed', 'a key-encryption key must be random bytes, this one repeats itself');
  const id = createHash('sha256').update('mayfly-kek-id\0').update(bytes).digest('hex').slice(0, 16);
  return { id, key: createSecretKey(bytes) };
};

/** `old` are KEKs that only open, until `keys rewrap` has left nothing sealed under them. */
export const createKeyEncryption = (deps: { readonly current: Kek; readonly old?: readonly Kek[]; readonly random: Random }): KeyEncryption => {
  const { current, random } = deps;
  const keks = new Map([current, ...(deps.old ?? [])].map((kek) => [kek.id, kek.key]));
  const others = [...keks].filter(([id]) => id !== current.id).map(([, key]) => key);
  return {
    currentId: current.id,
    has: (kekId) => keks.has(kekId),
    seal(plaintext, context) {
      const nonce = random.bytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, current.key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(Buffer.from(context));
      const body = Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
      return { sealed: `${VERSION}${body.toString('base64url')}`, kekId: current.id };
    },
    open(value, context) {
      const key = keks.get(value.kekId);
      if (key === undefined) throw new KekError('unknown', `sealed under key-encryption key ${value.kekId}, and loaded is ${[...keks.keys()].join(', ')}: name that key's file in kek.previous_files and restart`);
      return decrypt(key, value, context);
    },
    derive: (label) => derive(current.key, label),
    deriveEach: (label) => [createSecretKey(derive(current.key, label)), ...others.map((key) => createSecretKey(derive(key, label)))],
  };
};

const CIPHER = 'aes-256-gcm';
const VERSION = 'v1.';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** 32 random bytes have fewer distinct values than this once in far more than 2^64 draws. */
const MIN_DISTINCT_BYTES = 16;

const derive = (key: KeyObject, label: string): Uint8Array => new Uint8Array(hkdfSync('sha256', key, '', `mayfly/${label}`, KEY_BYTES));

const decodeText = (text: string): Buffer => {
  const trimmed = text.trim();
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(trimmed)) throw new KekError('malformed', 'a key-encryption key in text form must be base64');
  return Buffer.from(trimmed, 'base64');
};

/** A file may hold raw bytes or text. 32 printable bytes are a password, not a key: random ones look so once in 10^13. */
const decodeBytes = (bytes: Uint8Array): Buffer => {
  const buffer = Buffer.from(bytes);
  const printable = buffer.every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x0a || byte === 0x0d || byte === 0x09);
  return printable ? decodeText(buffer.toString('latin1')) : buffer;
};

const decrypt = (key: KeyObject, value: Sealed, context: string): Buffer => {
  const damaged = (): KekError => new KekError('damaged', `the value sealed under key-encryption key ${value.kekId} for ${context} is damaged or belongs to another row`);
  if (!value.sealed.startsWith(VERSION)) throw damaged();
  const body = Buffer.from(value.sealed.slice(VERSION.length), 'base64url');
  if (body.length < NONCE_BYTES + TAG_BYTES) throw damaged();
  const decipher = createDecipheriv(CIPHER, key, body.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(body.subarray(body.length - TAG_BYTES));
  const plaintext = decipher.update(body.subarray(NONCE_BYTES, body.length - TAG_BYTES));
  try {
    return Buffer.concat([plaintext, decipher.final()]);
  } catch {
    throw damaged();
  }
};
