/**
 * A sentence with the mend when `issuer` cannot be an issuer identifier (OpenID Connect Discovery section 3): https, no user
 * info, query or fragment, and spelled as every URL parser spells it, because it is compared byte for byte. Plain http is let
 * through for a loopback address only; whether the domain's stage allows that is the registry's question.
 */
export const problemOfIssuerUrl = (issuer: string): string | undefined => {
  if (issuer.length > MAX_ISSUER_LENGTH) return `must have at most ${MAX_ISSUER_LENGTH} characters`;
  if (!URL.canParse(issuer)) return 'must be a URL such as https://issuer.example';
  const url = new URL(issuer);
  if (url.protocol !== 'https:' && !isLoopbackIssuer(issuer)) return 'must begin with https://';
  if (url.username !== '' || url.password !== '') return 'must not contain a user name or password';
  if (/[?#]/.test(issuer)) return 'must have no query and no fragment';
  if (url.href !== issuer && url.href !== `${issuer}/`) return `must be written exactly as the token's iss; did you mean ${url.href}`;
  return undefined;
};

/** Plain http to this machine, as used in development. */
export const isLoopbackIssuer = (issuer: string): boolean => /^http:\/\/(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?(?:\/|$)/.test(issuer);

const MAX_ISSUER_LENGTH = 512;
