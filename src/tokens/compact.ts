import { isObject } from '../core/json.ts';

/** A compact JWS whose form is right and whose signature nobody has looked at yet. */
export interface CompactJws {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
}

/**
 * Reads a compact JWS strictly (RFC 7515 section 7.1, RFC 8725 section 3): size first, three segments in canonical
 * base64url (one value has one spelling), two JSON objects without a repeated member name. Otherwise a string says what is wrong.
 */
export const readCompact = (text: string, maxLength: number): CompactJws | string => {
  if (text.length > maxLength) return `longer than ${maxLength} characters`;
  const parts = COMPACT.exec(text);
  if (parts === null) return 'not three base64url segments';
  const [header, payload, signature] = parts.slice(1).map(decodeCanonical);
  if (header === undefined || payload === undefined || signature === undefined) return 'not canonical base64url';
  const [headerObject, payloadObject] = [readObject(header), readObject(payload)];
  if (headerObject === undefined) return 'header is not one JSON object with distinct members';
  if (payloadObject === undefined) return 'payload is not one JSON object with distinct members';
  return { header: headerObject, payload: payloadObject };
};

/** A JSON object of UTF-8 bytes in which no object has two members of one name; undefined for anything else. */
export const readObject = (bytes: Uint8Array): Record<string, unknown> | undefined => {
  const value = readJson(bytes);
  return isObject(value) ? value : undefined;
};

/** The same for any JSON value. */
export const readJson = (bytes: Uint8Array): unknown => {
  try {
    const text = utf8.decode(bytes);
    const value: unknown = JSON.parse(text);
    return isAmbiguous(text, namesIn(value)) ? undefined : value;
  } catch {
    return undefined;
  }
};

const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const decodeCanonical = (segment: string): Buffer | undefined => {
  const bytes = Buffer.from(segment, 'base64url');
  return bytes.toString('base64url') === segment ? bytes : undefined;
};

const STRINGS = /"[^"\\]*(?:\\.[^"\\]*)*"/g;

/**
 * `JSON.parse` lets the last of two equal names win, other parsers the first: members as written (colons outside strings)
 * against members that came out. And V8 can take an escaped name for the beginning of how it is written, if it read one like
 * that before (`\u0` for `iss`, nodejs/node#63785): such a name holds a backslash, which no member of ours does.
 */
const isAmbiguous = (text: string, names: readonly string[]): boolean =>
  text.replace(STRINGS, '').split(':').length - 1 !== names.length || names.some((name) => name.includes('\\'));

const namesIn = (value: unknown): readonly string[] => {
  if (typeof value !== 'object' || value === null) return [];
  const inner = Object.values(value).flatMap(namesIn);
  return Array.isArray(value) ? inner : [...Object.keys(value), ...inner];
};
