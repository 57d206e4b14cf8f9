/** The audience AWS expects of a web identity token unless the IAM provider lists another. */
export const AWS_DEFAULT_AUDIENCE = 'sts.amazonaws.com';
/** Prefix of audiences that only tokens for AWS may carry, for IAM providers that shall not share the default one. */
export const AWS_AUDIENCE_PREFIX = 'urn:mayfly:aws:';

/**
 * A cloud that trusts this domain's issuer verifies signature, issuer and audience, not `typ`: an access token with such an
 * audience would be good there, past every rule of its provider (RFC 8725 section 3.12). No access token ever carries one.
 */
export const isProviderAudience = (audience: string): boolean => RESERVED.some((pattern) => pattern.test(audience));

const RESERVED: readonly RegExp[] = [
  /^(?:[a-z]+:\/\/)?(?:[^/@]+\.)?amazonaws\.(?:com|com\.cn|eu)(?:[:/].*)?$/i,
  /^arn:aws/i,
  /^urn:mayfly:/i,
  // Workload identity federation of Azure and Google Cloud takes any registered issuer in the same way.
  /^api:\/\/azuread/i,
  /^(?:https:)?\/\/iam\.googleapis\.com(?:\/.*)?$/i,
];
