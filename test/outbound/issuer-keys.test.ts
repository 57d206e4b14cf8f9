import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { RequestListener, ServerResponse } from 'node:http';
import { SignJWT, compactVerify, errors, exportJWK, generateKeyPair } from 'jose';
import type { JSONWebKeySet } from 'jose';
import { HOUR, MINUTE, SECOND } from '../../src/core/duration.ts';
import { RefusalError } from '../../src/core/refusal.ts';
import { createGuardedFetch } from '../../src/outbound/fetch.ts';
import type { GuardedFetch } from '../../src/outbound/fetch.ts';
import { createIssuerKeys } from '../../src/outbound/issuer-keys.ts';
import type { IssuerKeys, KeySource } from '../../src/outbound/issuer-keys.ts';
import { makeCertificate } from '../support/certificate.ts';
import { listen } from '../support/listen.ts';
import type { Listening } from '../support/listen.ts';

const makeKey = async (kid: string) => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
  return { kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256' } };
};
type Key = Awaited<ReturnType<typeof makeKey>>;
const first = await makeKey('first');
const second = await makeKey('second');
const certificate = makeCertificate('issuer.test', 'keys.test');

let now = 1_800_000_000_000;
const clock = { now: () => now };
let server: Listening;
let fetch: GuardedFetch;
let issuer: string;
/** What the issuer publishes; tests change it. */
let discovery: (response: ServerResponse) => void;
let jwks: (response: ServerResponse) => void;
const json = (value: unknown) => (response: ServerResponse): void => void response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
const fails = (status: number, headers: Record<string, string> = {}) => (response: ServerResponse): void => void response.writeHead(status, headers).end();
const publish = (...keys: readonly Key[]): void => { jwks = json({ keys: keys.map(({ jwk }) => jwk) }); };
const fetchesOf = (path: string): number => server.requests.filter((request) => request === `GET ${path}`).length;

const handler: RequestListener = (request, response) => {
  if (request.url === '/a/.well-known/openid-configuration' || request.url === '/.well-known/ssf-configuration/a') discovery(response);
  else if (request.url === '/a/jwks') jwks(response);
  else fails(404)(response);
};

let keys: IssuerKeys;
let entries = 0;
let source: KeySource;
beforeAll(async () => {
  server = await listen(handler, { tls: certificate });
  fetch = createGuardedFetch({ ca: certificate.cert, lookup: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]) });
  issuer = `https://issuer.test:${server.port}/a`;
});
afterAll(async () => {
  await fetch.close();
  await server.close();
});
beforeEach(() => {
  server.requests.length = 0;
  entries += 1;
  source = { id: `iss_${entries}`, version: 1, domainId: 'dom_1', issuer, jwks: undefined, allowAddresses: ['127.0.0.1/32'] };
  discovery = json({ issuer, jwks_uri: `${issuer}/jwks` });
  publish(first);
  keys = createIssuerKeys({ fetch, clock, isDevelopment: () => false });
});

/** `verified`, or why not: the refusal's code, or jose's. */
const outcomeOf = async (key: Key, from: KeySource = source): Promise<string> => {
  const token = await new SignJWT({}).setProtectedHeader({ alg: 'ES256', kid: key.kid }).sign(key.privateKey);
  const found = await keys(from);
  if (!found.ok) return found.error.code;
  try {
    await compactVerify(token, found.value, { algorithms: ['ES256'] });
    return 'verified';
  } catch (error) {
    if (error instanceof RefusalError) return error.refusal.code;
    return error instanceof errors.JOSEError ? error.code : String(error);
  }
};
const detailOf = async (from: KeySource = source): Promise<string> => {
  const found = await keys(from);
  return found.ok ? 'ok' : found.error.detail;
};

describe('discovery', () => {
  test('leads to the keys, once for many tokens', async () => {
    const outcomes = await Promise.all([first, first, first].map((key) => outcomeOf(key)));
    expect([...outcomes, await outcomeOf(first)]).toEqual(['verified', 'verified', 'verified', 'verified']);
    expect([fetchesOf('/a/.well-known/openid-configuration'), fetchesOf('/a/jwks')]).toEqual([1, 1]);
  });

  test('of a transmitter asks where SSF puts its metadata, between host and path, and nowhere else', async () => {
    const transmitter: KeySource = { ...source, metadata: 'ssf-configuration' };
    expect(await outcomeOf(first, transmitter)).toBe('verified');
    expect(server.requests).toEqual(['GET /.well-known/ssf-configuration/a', 'GET /a/jwks']);
    const root = issuer.replace(/\/a$/, '');
    expect(await detailOf({ ...transmitter, id: 'iss_root', issuer: root })).toContain('http 404');
    expect(server.requests.at(-1)).toBe('GET /.well-known/ssf-configuration');
    discovery = json({ issuer: root, jwks_uri: `${issuer}/jwks` });
    expect(await detailOf({ ...transmitter, id: 'iss_foreign' })).toContain('the document is of another issuer');
  });

  test('is not made where an admin said where the keys are; another place is another source', async () => {
    const named: KeySource = { ...source, metadata: 'ssf-configuration', jwksUri: `${issuer}/jwks` };
    expect(await outcomeOf(first, named)).toBe('verified');
    expect(server.requests).toEqual(['GET /a/jwks']);
    expect(await detailOf({ ...named, jwksUri: `${issuer}/other` })).toContain('http 404');
    expect(await detailOf({ ...named, id: 'iss_plain', jwksUri: 'http://127.0.0.1/jwks' })).toContain('url_not_https');
  });

  test('keeps at most 200 callers waiting for an issuer that does not answer', async () => {
    const asked = new Promise<ServerResponse>((resolve) => { discovery = resolve; });
    const waiting = Array.from({ length: 200 }, () => keys(source));
    expect(await keys(source)).toMatchObject({ ok: false, error: { code: 'issuer_keys_unavailable' } });
    json({ issuer, jwks_uri: `${issuer}/jwks` })(await asked);
    expect((await Promise.all(waiting)).filter(({ ok }) => ok)).toHaveLength(200);
    expect(await outcomeOf(first)).toBe('verified');
  });

  test('is not answered from the keys of an entry that had the same id and version, as in a database that was put back', async () => {
    expect(await outcomeOf(first)).toBe('verified');
    const other = { ...source, issuer: `${issuer}/other` };
    expect(await outcomeOf(first, other)).toBe('issuer_keys_unavailable');
    const pinned = (key: Key): KeySource => ({ ...source, jwks: { keys: [key.jwk] } });
    expect(await outcomeOf(first, pinned(first))).toBe('verified');
    expect(await outcomeOf(first, pinned(second))).toBe('ERR_JWKS_NO_MATCHING_KEY');
  });

  test('of an issuer with a trailing slash asks at the path without it', async () => {
    discovery = json({ issuer: `${issuer}/`, jwks_uri: `${issuer}/jwks` });
    expect(await outcomeOf(first, { ...source, issuer: `${issuer}/` })).toBe('verified');
    expect(await outcomeOf(first, { ...source, id: 'iss_other' })).toBe('issuer_keys_unavailable');
  });

  test('accepts a key URL on another host under the same guard', async () => {
    discovery = json({ issuer, jwks_uri: `https://keys.test:${server.port}/a/jwks` });
    expect(await outcomeOf(first)).toBe('verified');
  });

  test.each([
    { name: 'another issuer', change: { issuer: 'https://evil.test' }, detail: 'of another issuer' },
    { name: 'the issuer with a trailing slash', change: { issuer: 'SLASH' }, detail: 'of another issuer' },
    { name: 'no issuer', change: { issuer: undefined }, detail: 'of another issuer' },
    { name: 'no jwks_uri', change: { jwks_uri: undefined }, detail: 'no jwks_uri' },
    { name: 'a plain http jwks_uri', change: { jwks_uri: 'http://issuer.test/a/jwks' }, detail: 'url_not_https' },
    { name: 'a loopback jwks_uri', change: { jwks_uri: 'http://127.0.0.1/a/jwks' }, detail: 'url_not_https' },
    { name: 'a metadata service as jwks_uri', change: { jwks_uri: 'https://169.254.169.254/latest' }, detail: 'address_metadata' },
    { name: 'a private address as jwks_uri', change: { jwks_uri: 'https://10.0.0.1/jwks' }, detail: 'address_not_public' },
    { name: 'userinfo in the jwks_uri', change: { jwks_uri: 'https://a:b@issuer.test/jwks' }, detail: 'url_userinfo' },
  ])('is refused when it names $name', async ({ change, detail }) => {
    discovery = json({ issuer, jwks_uri: `${issuer}/jwks`, ...change, ...(change.issuer === 'SLASH' ? { issuer: `${issuer}/` } : {}) });
    expect(await detailOf()).toContain(detail);
    expect(fetchesOf('/a/jwks')).toBe(0);
  });

  test.each([
    { name: 'a redirect', reply: () => fails(302, { location: 'https://169.254.169.254/' }), detail: 'redirected' },
    { name: 'an error', reply: () => fails(500), detail: 'http 500' },
    { name: 'no JSON', reply: () => (response: ServerResponse) => void response.end('<html>'), detail: 'not JSON' },
    { name: 'no object', reply: () => json([]), detail: 'not a JSON object' },
    { name: 'more than 64 KB', reply: () => json({ issuer, jwks_uri: `${issuer}/jwks`, pad: 'a'.repeat(64 * 1024) }), detail: 'too_large' },
  ])('that answers with $name is refused', async ({ reply, detail }) => {
    discovery = reply();
    expect(await detailOf()).toContain(detail);
  });

  test('of just under 64 KB is read', async () => {
    discovery = json({ issuer, jwks_uri: `${issuer}/jwks`, pad: 'a'.repeat(63 * 1024) });
    expect(await outcomeOf(first)).toBe('verified');
  });

  test('is not made for an issuer with a query', async () => {
    expect(await detailOf({ ...source, issuer: `${issuer}?a=b` })).toContain('query or fragment');
    expect(server.requests).toEqual([]);
  });
});

describe('the key set', () => {
  test.each([
    { name: 'a redirect', reply: () => fails(302, { location: '/a/jwks' }), detail: 'redirected' },
    { name: 'an error', reply: () => fails(500), detail: 'http 500' },
    { name: '5 MB', reply: () => (response: ServerResponse) => void response.end(`{"keys":[],"pad":"${'a'.repeat(5 * 1024 * 1024)}"}`), detail: 'too_large' },
    { name: 'more than 256 KB', reply: () => json({ keys: [first.jwk], pad: 'a'.repeat(256 * 1024) }), detail: 'too_large' },
    { name: 'no keys member', reply: () => json({}), detail: 'not a JWK set' },
    { name: 'an empty list', reply: () => json({ keys: [] }), detail: 'no usable key' },
    { name: 'nothing but a symmetric key', reply: () => json({ keys: [{ kty: 'oct', k: 'AAAA', kid: 'first' }] }), detail: 'no usable key' },
  ])('that is $name is refused', async ({ reply, detail }) => {
    jwks = reply();
    expect(await detailOf()).toContain(detail);
  });

  test('just under 256 KB is read', async () => {
    jwks = json({ keys: [first.jwk], pad: 'a'.repeat(255 * 1024) });
    expect(await outcomeOf(first)).toBe('verified');
  });

  test('of one entry is never used for another, even of the same issuer', async () => {
    expect(await outcomeOf(first)).toBe('verified');
    publish(second);
    const other: KeySource = { ...source, id: 'iss_other' };
    expect(await outcomeOf(second, other)).toBe('verified');
    expect(await outcomeOf(first, other)).toBe('ERR_JWKS_NO_MATCHING_KEY');
    expect(await outcomeOf(first)).toBe('verified');
  });

  test('is fetched anew for a new version of the entry', async () => {
    await outcomeOf(first);
    expect(await outcomeOf(first, { ...source, version: 2 })).toBe('verified');
    expect(fetchesOf('/a/jwks')).toBe(2);
    expect(await outcomeOf(first, { ...source, version: 2, allowAddresses: [] })).toBe('issuer_keys_unavailable');
  });
});

describe('rotation', () => {
  test('is noticed by the first unknown kid, and costs one fetch for many', async () => {
    await outcomeOf(first);
    now += 31 * SECOND;
    publish(first, second);
    expect(await Promise.all([outcomeOf(second), outcomeOf(second), outcomeOf(first)])).toEqual(['verified', 'verified', 'verified']);
    expect(fetchesOf('/a/jwks')).toBe(2);
  });

  test('is looked for at most every 30 seconds, however many kids are made up', async () => {
    await outcomeOf(first);
    const forged = { ...second, kid: 'made-up' };
    now += 29 * SECOND;
    expect(await outcomeOf(forged)).toBe('ERR_JWKS_NO_MATCHING_KEY');
    expect(fetchesOf('/a/jwks')).toBe(1);
    now += 1 * SECOND;
    for (let tries = 0; tries < 5; tries += 1) expect(await outcomeOf(forged)).toBe('ERR_JWKS_NO_MATCHING_KEY');
    expect(fetchesOf('/a/jwks')).toBe(2);
  });

  test('is not what several keys under one kid are: they cost no fetch', async () => {
    publish(first, { ...second, jwk: { ...second.jwk, kid: 'first' } });
    expect(await outcomeOf(first)).toBe('ERR_JWKS_MULTIPLE_MATCHING_KEYS');
    now += 31 * SECOND;
    expect(await outcomeOf(first)).toBe('ERR_JWKS_MULTIPLE_MATCHING_KEYS');
    expect(fetchesOf('/a/jwks')).toBe(1);
  });

  test('keeps at most 200 callers waiting for a key that may be new', async () => {
    await outcomeOf(first);
    now += 31 * SECOND;
    const asked = new Promise<ServerResponse>((resolve) => { jwks = resolve; });
    const waiting = Array.from({ length: 200 }, () => outcomeOf(second));
    const response = await asked;
    expect(await outcomeOf(second)).toBe('issuer_keys_unavailable');
    expect(await outcomeOf(first)).toBe('verified');
    json({ keys: [first.jwk, second.jwk] })(response);
    expect(new Set(await Promise.all(waiting))).toEqual(new Set(['verified']));
  });

  test('during an outage refuses the new key as unavailable, and keeps the old one', async () => {
    await outcomeOf(first);
    now += 31 * SECOND;
    jwks = fails(500);
    expect(await outcomeOf(second)).toBe('issuer_keys_unavailable');
    expect(await outcomeOf(first)).toBe('verified');
    now += 31 * SECOND;
    publish(first, second);
    expect(await outcomeOf(second)).toBe('verified');
  });

  test('to an empty list does not replace good keys', async () => {
    await outcomeOf(first);
    now += 11 * MINUTE;
    jwks = json({ keys: [] });
    expect(await outcomeOf(first)).toBe('verified');
  });

  test('that takes a key away is believed after ten minutes', async () => {
    publish(first, second);
    expect(await outcomeOf(second)).toBe('verified');
    publish(first);
    now += 7 * MINUTE;
    expect(await outcomeOf(second)).toBe('verified');
    now += 3 * MINUTE;
    expect(await outcomeOf(second)).toBe('ERR_JWKS_NO_MATCHING_KEY');
  });
});

describe('the cache', () => {
  test('is refreshed ahead of its end without anybody waiting', async () => {
    await outcomeOf(first);
    now += 9 * MINUTE;
    let release: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      jwks = (response) => {
        release = () => json({ keys: [first.jwk, second.jwk] })(response);
        resolve();
      };
    });
    expect(await outcomeOf(first)).toBe('verified'); // while the issuer has not answered yet
    await asked;
    expect(await outcomeOf(first)).toBe('verified');
    release();
    expect(await outcomeOf(second)).toBe('verified');
    expect(fetchesOf('/a/jwks')).toBe(2);
  });

  test('outlives an outage by an hour and no longer', async () => {
    await outcomeOf(first);
    jwks = fails(503);
    now += 10 * MINUTE + HOUR - SECOND;
    expect(await outcomeOf(first)).toBe('verified');
    now += SECOND;
    expect(await outcomeOf(first)).toBe('issuer_keys_unavailable');
    expect(await detailOf()).toContain('http 503');
    now += 5 * SECOND;
    publish(first);
    expect(await outcomeOf(first)).toBe('verified');
  });

  test('outlives an outage by the configured bound', async () => {
    keys = createIssuerKeys({ fetch, clock, isDevelopment: () => false, staleIfError: 0 });
    await outcomeOf(first);
    jwks = fails(503);
    now += 10 * MINUTE;
    expect(await outcomeOf(first)).toBe('issuer_keys_unavailable');
  });

  test('without keys asks a failing issuer again only after a pause', async () => {
    jwks = fails(500);
    const refused = await keys(source);
    expect(refused).toMatchObject({ ok: false, error: { code: 'issuer_keys_unavailable', retryAfter: 5 } });
    await keys(source);
    expect(fetchesOf('/a/jwks')).toBe(1);
    now += 5 * SECOND;
    publish(first);
    expect(await outcomeOf(first)).toBe('verified');
  });
});

describe('pinned keys', () => {
  const pinned = (set: JSONWebKeySet): KeySource => ({ ...source, jwks: set });

  test('need no network', async () => {
    expect(await outcomeOf(first, pinned({ keys: [first.jwk] }))).toBe('verified');
    expect(await outcomeOf(second, pinned({ keys: [first.jwk] }))).toBe('ERR_JWKS_NO_MATCHING_KEY');
    expect(server.requests).toEqual([]);
  });

  test('that hold none usable are a refusal', async () => {
    expect(await outcomeOf(first, pinned({ keys: [{ kty: 'oct', k: 'AAAA', kid: 'first' }] }))).toBe('issuer_keys_unavailable');
    expect(await outcomeOf(first, pinned({} as JSONWebKeySet))).toBe('issuer_keys_unavailable');
  });

  test('follow a new version of the entry', async () => {
    await outcomeOf(first, pinned({ keys: [first.jwk] }));
    expect(await outcomeOf(second, { ...pinned({ keys: [second.jwk] }), version: 2 })).toBe('verified');
  });
});

describe('a plain http issuer on loopback', () => {
  test('is asked in a development domain, and in no other', async () => {
    const plain = await listen(handler);
    const local: KeySource = { ...source, issuer: `http://127.0.0.1:${plain.port}/a`, allowAddresses: [] };
    discovery = json({ issuer: local.issuer, jwks_uri: `${local.issuer}/jwks` });
    expect(await outcomeOf(first, local)).toBe('issuer_keys_unavailable');
    expect(plain.requests).toEqual([]);
    keys = createIssuerKeys({ fetch, clock, isDevelopment: (domainId) => domainId === 'dom_1' });
    expect(await outcomeOf(first, local)).toBe('verified');
    await plain.close();
  });

  test('is the only one there that may have its keys on loopback', async () => {
    const plain = await listen(handler);
    discovery = json({ issuer, jwks_uri: `http://127.0.0.1:${plain.port}/a/jwks` });
    keys = createIssuerKeys({ fetch, clock, isDevelopment: () => true });
    expect(await outcomeOf(first)).toBe('issuer_keys_unavailable');
    expect(plain.requests).toEqual([]);
    await plain.close();
  });
});

test('refuses a signature by another key under a known kid', async () => {
  expect(await outcomeOf({ ...second, kid: 'first' })).toBe('ERR_JWS_SIGNATURE_VERIFICATION_FAILED');
  expect(await outcomeOf(first)).toBe('verified');
});
