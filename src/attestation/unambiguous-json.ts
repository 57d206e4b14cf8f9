import { isObject } from '../core/json.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';

/** Deeper nesting than any platform's claims; a cap keeps the walk below from being a way to fill the stack. */
const MAX_DEPTH = 32;

/**
 * Parses a JSON object in which no member name occurs twice (RFC 7519 section 4, RFC 8259 section 4). `JSON.parse` would
 * silently take the last of two, another parser the first, and the two would disagree about who the token is for.
 * The members written in the text are counted and compared with the members that came out: far cheaper than a second parser,
 * and it sees through escapes (`"iss"` and `"\u0069ss"`). The error is a reason without any of the content.
 * V8 can take an escaped name for the beginning of how it is written, if it read one like that before: `\u0` for `iss`
 * (nodejs/node#63785). Such a name holds a backslash, which no claim's does.
 */
export const parseUnambiguousObject = (bytes: Uint8Array): Result<Record<string, unknown>, string> => {
  let value: unknown;
  let text: string;
  try {
    text = strictUtf8.decode(bytes);
    value = JSON.parse(text);
  } catch {
    return err('not JSON in UTF-8');
  }
  if (!isObject(value)) return err('not a JSON object');
  const written = countWrittenMembers(text);
  if (written === undefined) return err('nested too deeply');
  const names = namesIn(value);
  if (names.some((name) => name.includes('\\'))) return err('a member name has a backslash in it');
  return written === names.length ? ok(value) : err('a member name occurs twice');
};

/** Refuses malformed UTF-8 instead of replacing it, and leaves a byte order mark for JSON.parse to refuse. */
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

const QUOTE = 0x22, BACKSLASH = 0x5c, COLON = 0x3a;
const OPENING = new Set([0x7b, 0x5b]), CLOSING = new Set([0x7d, 0x5d]);

/** Colons outside strings, which in text that JSON.parse accepted is one per member; undefined past {@link MAX_DEPTH}. */
const countWrittenMembers = (json: string): number | undefined => {
  let members = 0;
  let depth = 0;
  for (let at = 0; at < json.length; at += 1) {
    const char = json.charCodeAt(at);
    if (char === QUOTE) at = closingQuote(json, at);
    else if (char === COLON) members += 1;
    else if (OPENING.has(char)) depth += 1;
    else if (CLOSING.has(char)) depth -= 1;
    if (depth > MAX_DEPTH) return undefined;
  }
  return members;
};

const closingQuote = (json: string, opening: number): number => {
  let at = opening + 1;
  while (at < json.length && json.charCodeAt(at) !== QUOTE) at += json.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
};

const namesIn = (value: unknown): readonly string[] => {
  if (typeof value !== 'object' || value === null) return [];
  const inner = Object.values(value).flatMap(namesIn);
  return Array.isArray(value) ? inner : [...Object.keys(value), ...inner];
};
