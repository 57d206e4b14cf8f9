import type { Stage } from './entries.ts';

const LOOPBACK = /^(?:localhost|127\.0\.0\.1|\[::1\])$/;

/**
 * Why a URL cannot be a trusted issuer's, or undefined. `iss` is compared byte for byte, so what a URL parser would
 * mend is refused; userinfo, query, fragment and path tricks have no place in one (RFC 8414 section 2, evidence.md A0).
 */
export const issuerUrlProblem = (written: string, stage: Stage): { readonly message: string; readonly mend: string } | undefined => {
  const url = URL.canParse(written) ? new URL(written) : undefined;
  if (url === undefined) return { message: 'is not a URL', mend: 'write the `iss` of its tokens, such as https://token.actions.githubusercontent.com' };
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && LOOPBACK.test(url.hostname))) return { message: 'is not an https URL', mend: 'use https; plain http is for loopback addresses in development domains only' };
  if (url.protocol === 'http:' && stage !== 'development') return { message: `is plain http, which a ${stage} domain does not accept`, mend: 'use https, or a development domain for loopback issuers' };
  if (url.username !== '' || url.password !== '' || /[?#@]/.test(written)) return { message: 'has user information, a query or a fragment', mend: 'remove everything but scheme, host and path' };
  if (/\/\/|~~|\/\.{1,2}(?:\/|$)/.test(written.slice(url.protocol.length + 2)) || !isVerbatim(url, written)) {
    return { message: 'is not in the plain form that tokens are compared with', mend: `write the exact \`iss\`, host in lower case, such as ${url.href}` };
  }
  return undefined;
};

/** The parser changed nothing but the slash it adds to an empty path. */
const isVerbatim = (url: URL, written: string): boolean => url.href === written || url.href === `${written}/`;
