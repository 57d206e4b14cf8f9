/**
 * An http(s) URI for comparison as RFC 9449 section 4.3 asks: without query and fragment, after the syntax-based and
 * scheme-based normalisation of RFC 3986 sections 6.2.2 and 6.2.3. Undefined for anything that is not one: read by
 * pattern first, since `URL` would mend backslashes, spaces and user names that must be refused.
 */
export const normaliseHttpUri = (raw: string): string | undefined => {
  if (raw.length > MAX_LENGTH || !HTTP_URI.test(raw) || BAD_ESCAPE.test(raw)) return undefined;
  const bare = raw.replace(/[?#].*$/, '').replace(/%[0-9a-f]{2}/gi, normaliseEscape);
  if (!URL.canParse(bare)) return undefined;
  const url = new URL(bare);
  return `${url.protocol}//${url.host}${url.pathname}`;
};

const MAX_LENGTH = 2048;
/** RFC 3986 without user information: scheme, host, port, path, query, fragment. */
const HTTP_URI = /^https?:\/\/(?:[a-z0-9._~-]+|\[[0-9a-f:.]+\])(?::[0-9]{0,5})?(?:\/[a-z0-9._~!$&'()*+,;=:@%/-]*)?(?:\?[^#\s]*)?(?:#\S*)?$/i;
const BAD_ESCAPE = /%(?![0-9a-f]{2})/i;
const UNRESERVED = /^[A-Za-z0-9._~-]$/;

/** Section 6.2.2.1 and 6.2.2.2: upper-case digits, and no escape where none is needed. */
const normaliseEscape = (escape: string): string => {
  const character = String.fromCharCode(Number.parseInt(escape.slice(1), 16));
  return UNRESERVED.test(character) ? character : escape.toUpperCase();
};
