import { seconds } from '../core/clock.ts';
import type { Refusal } from '../core/refusal.ts';
import type { Result } from '../core/result.ts';
import type { KeyRing } from '../keys/key-ring.ts';
import type { KeyAlgorithm } from '../keys/signing-key.ts';
import { ClaimsFault } from './claims.ts';
import { signAs } from './sign.ts';
import type { SignedToken } from './sign.ts';

/** What AWS STS shall learn: the provider has brought names and values into the form AWS allows. */
export interface AwsTokenFacts {
  readonly issuer: string;
  /** SPIFFE ID of the workload; trust policies match it, CloudTrail shows it. */
  readonly subject: string;
  /** A client id of the IAM OIDC provider. */
  readonly audience: string;
  readonly jti: string;
  /** Milliseconds. */
  readonly issuedAt: number;
  readonly principalTags: Readonly<Record<string, string>>;
  readonly transitiveTagKeys: readonly string[];
  readonly sourceIdentity: string | undefined;
}

export const AWS_TOKEN_SECONDS = 60;

/**
 * A JWT for `AssumeRoleWithWebIdentity`: `typ` JWT and a key of its own, so that none of our endpoints takes it for an
 * access token. Session tags and source identity travel inside it, since that call has no parameters for them.
 */
export const signAwsToken = (facts: AwsTokenFacts, ring: Pick<KeyRing, 'current'>, algorithm: KeyAlgorithm = 'ES256'): Result<SignedToken, Refusal> => {
  const problem = findProblem(facts);
  if (problem !== undefined) throw new ClaimsFault(problem);
  const iat = seconds(facts.issuedAt);
  const tags = Object.entries(facts.principalTags);
  return signAs('aws', {
    iss: facts.issuer, sub: facts.subject, aud: facts.audience, iat, exp: iat + AWS_TOKEN_SECONDS, jti: facts.jti,
    ...(tags.length === 0 ? {} : { 'https://aws.amazon.com/tags': { principal_tags: Object.fromEntries(tags.map(([key, value]) => [key, [value]])), transitive_tag_keys: facts.transitiveTagKeys } }),
    ...(facts.sourceIdentity === undefined ? {} : { 'https://aws.amazon.com/source_identity': facts.sourceIdentity }),
  }, ring, algorithm);
};

/** The limits AWS documents for session tags and `SourceIdentity`; a breach would fail the whole call with a vaguer message. */
const TAG_KEY = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u;
const TAG_VALUE = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u;
const SOURCE_IDENTITY = /^[\w+=,.@-]{2,64}$/;
const MAX_TAGS = 50;

const findProblem = (facts: AwsTokenFacts): string | undefined => {
  const keys = Object.keys(facts.principalTags);
  if ([facts.issuer, facts.subject, facts.audience, facts.jti].includes('')) return 'iss, sub, aud or jti is empty';
  if (keys.length > MAX_TAGS) return `more than ${MAX_TAGS} session tags`;
  if (new Set(keys.map((key) => key.toLowerCase())).size !== keys.length) return 'session tag keys differ in case only';
  if (!keys.every((key) => TAG_KEY.test(key)) || !Object.values(facts.principalTags).every((value) => TAG_VALUE.test(value))) return 'a session tag has a form that AWS refuses';
  if (!facts.transitiveTagKeys.every((key) => keys.includes(key))) return 'a transitive tag key is no tag';
  if (facts.sourceIdentity !== undefined && !SOURCE_IDENTITY.test(facts.sourceIdentity)) return 'the source identity has a form that AWS refuses';
  return undefined;
};
