import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { isLoopbackHost } from './address.ts';

export type UrlFault = 'url_malformed' | 'url_not_https' | 'url_userinfo';

/**
 * The only URLs that are ever called: https, or http to loopback where the caller allows it; no userinfo, no fragment, ASCII
 * without white space, and no path that a server could read differently (RFC 3986 section 7.6; GHSA-75r6-6jg8-pfcq).
 */
export const parseOutboundUrl = (raw: string, loopbackHttp: boolean): Result<URL, UrlFault> => {
  if (raw.length > 2048 || !PRINTABLE.test(raw) || !URL.canParse(raw)) return err('url_malformed');
  const url = new URL(raw);
  if (url.username !== '' || url.password !== '' || authorityOf(raw).includes('@')) return err('url_userinfo');
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopbackHttp && isLoopbackHost(url.hostname))) return err('url_not_https');
  // What was registered is what is called: a URL that parsing would mend (`..`, upper case, `0x7f.1`, default port) is refused.
  const asWritten = url.href === raw || (url.href === `${raw}/` && url.pathname === '/');
  if (!asWritten || url.hash !== '' || raw.includes('#') || url.pathname.includes('//') || url.pathname.includes('~~')) return err('url_malformed');
  return ok(url);
};

/** Printable ASCII without backslash, which URL parsers read as a slash. */
const PRINTABLE = /^[!-[\]-~]+$/;

const authorityOf = (raw: string): string => raw.split('/', 3)[2] ?? '';
