import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, errors, jwtVerify } from 'jose';
import type { JSONWebKeySet, JWTPayload } from 'jose';

/** An error as AWS STS names it. */
export class StsFault extends Error {
  readonly code: string;
  readonly status: number;
  constructor(code: string, message: string, status = 400) {
    super(message);
    this.name = 'StsFault';
    this.code = code;
    this.status = status;
  }
}

export interface WebIdentity {
  readonly subject: string;
  readonly audience: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly transitive: readonly string[];
  readonly sourceIdentity: string | undefined;
}

export interface IdentityProvider {
  readonly issuerUrl: string;
  readonly clientIds: readonly string[];
  /** Gets a JSON document as AWS would: discovery, then the keys it names. */
  readonly fetchJson: (url: string) => Promise<unknown>;
}

const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512'];

/** Verifies a web identity token against the keys its issuer publishes, and reads what AWS reads of it. */
export const verifyWebIdentity = async (token: string, provider: IdentityProvider, now: number): Promise<WebIdentity> => {
  const unverified = open(token);
  if (unverified.iss !== provider.issuerUrl) throw new StsFault('InvalidIdentityToken', `No OpenIDConnect provider found in your account for ${String(unverified.iss)}`);
  const claims = await verify(token, await fetchKeys(provider), now);
  for (const name of ['exp', 'iat', 'nbf'] as const) {
    if (claims[name] !== undefined && !Number.isInteger(claims[name])) throw new StsFault('InvalidIdentityToken', `${name} is not an integer`);
  }
  const audience = [claims.aud].flat().find((aud) => aud !== undefined && provider.clientIds.includes(aud));
  if (audience === undefined) throw new StsFault('InvalidIdentityToken', 'Incorrect token audience');
  if (claims.sub === undefined || claims.sub === '') throw new StsFault('InvalidIdentityToken', 'Missing a required claim: sub');
  return { subject: claims.sub, audience, ...readTags(claims), sourceIdentity: readSourceIdentity(claims) };
};

const open = (token: string): JWTPayload => {
  try {
    const { alg, typ, kid } = decodeProtectedHeader(token);
    // Stricter than AWS, which does not look: an access token of ours must never open a role.
    if (alg === undefined || !ALGORITHMS.includes(alg) || typ !== 'JWT' || kid === undefined) throw new Error('header');
    return decodeJwt(token);
  } catch {
    throw new StsFault('InvalidIdentityToken', 'The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)');
  }
};

const fetchKeys = async ({ issuerUrl, fetchJson }: IdentityProvider): Promise<JSONWebKeySet> => {
  try {
    const discovery = (await fetchJson(`${issuerUrl}/.well-known/openid-configuration`)) as { issuer?: unknown; jwks_uri?: unknown };
    if (discovery.issuer !== issuerUrl || typeof discovery.jwks_uri !== 'string') throw new Error('discovery');
    return (await fetchJson(discovery.jwks_uri)) as JSONWebKeySet;
  } catch {
    throw new StsFault('IDPCommunicationError', 'Couldn\'t retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements');
  }
};

const verify = async (token: string, keys: JSONWebKeySet, now: number): Promise<JWTPayload> => {
  try {
    const { payload } = await jwtVerify(token, createLocalJWKSet(keys), { algorithms: ALGORITHMS, requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat'], currentDate: new Date(now) });
    if ((payload.iat ?? 0) * 1000 > now + 300_000) throw new Error('iat');
    return payload;
  } catch (error) {
    if (error instanceof errors.JWTExpired) throw new StsFault('ExpiredTokenException', 'Token expired: current date/time must be before the expiration date/time');
    throw new StsFault('InvalidIdentityToken', 'Couldn\'t verify the token with the keys of your identity provider');
  }
};

const CHARACTERS = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

const readTags = (claims: JWTPayload): Pick<WebIdentity, 'tags' | 'transitive'> => {
  const block = (claims['https://aws.amazon.com/tags'] ?? {}) as { principal_tags?: Record<string, unknown>; transitive_tag_keys?: unknown };
  const entries = Object.entries(block.principal_tags ?? {});
  const transitive = Array.isArray(block.transitive_tag_keys) ? (block.transitive_tag_keys as string[]) : [];
  if (entries.length > 50) throw new StsFault('ValidationError', 'more than 50 session tags');
  if (new Set(entries.map(([key]) => key.toLowerCase())).size !== entries.length) throw new StsFault('InvalidIdentityToken', 'duplicate tag keys');
  const tags = entries.map(([key, value]): [string, string] => {
    const [only] = Array.isArray(value) && value.length === 1 ? (value as unknown[]) : [];
    if (typeof only !== 'string') throw new StsFault('InvalidIdentityToken', `tag ${key} has not exactly one value`);
    if (key.length < 1 || key.length > 128 || only.length > 256 || !CHARACTERS.test(key) || !CHARACTERS.test(only) || key.toLowerCase().startsWith('aws:')) throw new StsFault('ValidationError', `tag ${key} is outside the limits`);
    return [key, only];
  });
  if (!transitive.every((key) => tags.some(([name]) => name === key))) throw new StsFault('InvalidIdentityToken', 'a transitive key is no tag');
  return { tags: Object.fromEntries(tags), transitive };
};

const readSourceIdentity = (claims: JWTPayload): string | undefined => {
  const value = claims['https://aws.amazon.com/source_identity'];
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || !/^[\w+=,.@-]{2,64}$/.test(value) || value.toLowerCase().startsWith('aws:')) throw new StsFault('ValidationError', 'source identity is outside the limits');
  return value;
};
