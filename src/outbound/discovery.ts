import type { JSONWebKeySet } from 'jose';
import { SECOND } from '../core/duration.ts';
import { isObject } from '../core/json.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import type { GuardedFetch } from './fetch.ts';
import { readKeySet } from './key-set.ts';

/** Where an issuer's keys come from. A registry entry is one; this folder knows no more of it. */
export interface DiscoverySource {
  readonly issuer: string;
  readonly allowAddresses: readonly string[];
  /** Whose metadata names the keys: an OpenID provider's unless this says a transmitter's. */
  readonly metadata?: 'openid-configuration' | 'ssf-configuration';
  /** Where the keys are, told by an admin: no metadata is asked for. */
  readonly jwksUri?: string | undefined;
}

const MAX_DISCOVERY_BYTES = 64 * 1024;
const MAX_JWKS_BYTES = 256 * 1024;
const TIMEOUT = 5 * SECOND;

/**
 * The published keys of an issuer: OpenID Connect Discovery 1.0 section 4, or SSF 1.0 section 7.2, then the JWK set it names. The
 * error is a text for the audit log. `issuer` must come back byte for byte (section 4.3; SSF 7.2.3), or keys of one issuer could be
 * passed off as another's.
 */
export const discoverKeys = async (source: DiscoverySource, fetch: GuardedFetch, development: boolean): Promise<Result<JSONWebKeySet, string>> => {
  // A public issuer's document cannot send us to loopback: only an issuer that is itself there may name a plain http key URL, or an admin.
  const allowLoopbackHttp = development && (source.jwksUri ?? source.issuer).startsWith('http://');
  const getJson = async (url: string, maxBytes: number): Promise<Result<unknown, string>> => {
    const reply = await fetch(url, { allowAddresses: source.allowAddresses, allowLoopbackHttp, maxBytes, timeoutMs: TIMEOUT, accept: 'application/json, application/jwk-set+json' });
    if (!reply.ok) return err(reply.error.detail);
    return reply.value.status === 200 ? parseJson(reply.value.body) : err(`http ${reply.value.status}`);
  };

  const found = source.jwksUri === undefined ? await findKeys(source, getJson) : ok(source.jwksUri);
  if (!found.ok) return found;

  const document = await getJson(found.value, MAX_JWKS_BYTES);
  if (!document.ok) return err(`jwks: ${document.error}`);
  const keys = readKeySet(document.value);
  if (keys === undefined) return err('jwks: not a JWK set');
  // An emptied list is an accident at the issuer far more often than a statement, and must not replace good keys.
  return keys.keys.length === 0 ? err('jwks: no usable key') : ok(keys);
};

const findKeys = async (source: DiscoverySource, getJson: (url: string, maxBytes: number) => Promise<Result<unknown, string>>): Promise<Result<string, string>> => {
  if (/[?#]/.test(source.issuer)) return err('discovery: the issuer has a query or fragment');
  const metadata = await getJson(metadataUrl(source), MAX_DISCOVERY_BYTES);
  if (!metadata.ok) return err(`discovery: ${metadata.error}`);
  if (!isObject(metadata.value)) return err('discovery: not a JSON object');
  const { issuer, jwks_uri: jwksUri } = metadata.value;
  if (issuer !== source.issuer) return err('discovery: the document is of another issuer');
  return typeof jwksUri === 'string' ? ok(jwksUri) : err('discovery: no jwks_uri');
};

/** OpenID Connect appends to the issuer's path; SSF 1.0 section 7.2 puts its name between host and path, as RFC 8615 wants it. */
const metadataUrl = ({ issuer, metadata }: DiscoverySource): string => {
  const base = issuer.replace(/\/$/, '');
  if (metadata !== 'ssf-configuration') return `${base}/.well-known/openid-configuration`;
  const [, origin = '', path = ''] = /^([a-z]+:\/\/[^/]+)(.*)$/.exec(base) ?? [];
  return `${origin}/.well-known/ssf-configuration${path}`;
};

const parseJson = (body: Buffer): Result<unknown, string> => {
  try {
    return ok(JSON.parse(body.toString('utf8')));
  } catch {
    return err('not JSON');
  }
};
