import { createHmac, createPrivateKey, randomUUID, sign as signBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import type { JSONWebKeySet, JWK } from 'jose';
import { seconds, systemClock } from '../../src/core/clock.ts';
import type { Clock } from '../../src/core/clock.ts';

/**
 * An issuer that holds real keys and will put anything at all into a token. It signs bytes itself: a library that refuses to
 * make a broken token is no use for testing who accepts one.
 */
export interface ForeignIssuer {
  /** `iss` of its tokens. */
  readonly issuer: string;
  /** Where `/.well-known/openid-configuration` and `/.well-known/jwks` are served; the same as `issuer` unless `iss` was given. */
  readonly url: string;
  readonly fetches: { discovery: number; jwks: number };
  /** Public keys as they are served now. */
  jwks(): JSONWebKeySet;
  /** Current signing key. */
  key(): SigningKey;
  /** Signs with a new key from now on; the old public key stays in the set unless `dropOld`. */
  rotate(options?: { readonly alg?: SigningAlg; readonly dropOld?: boolean }): Promise<SigningKey>;
  /** A token of `claims` over `iss`, `iat`, `exp` (5 minutes) and a fresh `jti`. A claim or header member set to undefined is left out. */
  mint(claims: Claims, options?: MintOptions): string;
  /** Signs these very texts, whatever they are. */
  mintRaw(header: string, payload: string, key?: SigningKey): string;
  /** How both endpoints answer from now on. */
  answer(mode: AnswerMode): void;
  close(): Promise<void>;
}

export type Claims = Readonly<Record<string, unknown>>;
export type SigningAlg = 'RS256' | 'ES256';
export interface SigningKey { readonly alg: SigningAlg; readonly kid: string; readonly publicJwk: JWK; readonly privateJwk: JWK }
export interface MintOptions { readonly header?: Claims; readonly key?: SigningKey; readonly lifetime?: number }
/** `foreign`: the discovery document names another issuer. `hang`: the reply never comes. */
export type AnswerMode = 'normal' | 'error' | 'redirect' | 'huge' | 'empty' | 'not-json' | 'foreign' | 'hang';

export interface ForeignIssuerOptions {
  readonly clock?: Clock;
  readonly alg?: SigningAlg;
  /** Appended to the origin, such as `/_services/token`. */
  readonly path?: string;
  /** `iss` of its tokens, when that is to be a platform's real URL; the endpoints stay on loopback. */
  readonly iss?: string;
}

export const startForeignIssuer = async ({ clock = systemClock, alg = 'RS256', path = '', iss }: ForeignIssuerOptions = {}): Promise<ForeignIssuer> => {
  let signing = await createSigningKey(alg);
  let published = [signing];
  let mode: AnswerMode = 'normal';
  const fetches = { discovery: 0, jwks: 0 };
  const jwks = (): JSONWebKeySet => ({ keys: published.map((key) => key.publicJwk) });

  const server = createServer((request, response) => {
    const asked = routeOf(request, path);
    if (asked === undefined) return void response.writeHead(404).end();
    fetches[asked] += 1;
    const body = asked === 'jwks' ? jwks() : { issuer: mode === 'foreign' ? `${origin}/other` : base, jwks_uri: `${base}/.well-known/jwks`, id_token_signing_alg_values_supported: [signing.alg] };
    reply(response, mode, body);
  });
  const origin = await listen(server);
  const base = `${origin}${path}`;

  return {
    issuer: iss ?? base,
    url: base,
    fetches,
    jwks,
    key: () => signing,
    async rotate({ alg: newAlg = signing.alg, dropOld = false } = {}) {
      signing = await createSigningKey(newAlg);
      published = dropOld ? [signing] : [...published, signing];
      return signing;
    },
    mint(claims, { header, key = signing, lifetime = 300 } = {}) {
      const now = seconds(clock.now());
      const payload = { iss: iss ?? base, iat: now, exp: now + lifetime, jti: randomUUID(), ...claims };
      return signTexts(JSON.stringify({ typ: 'JWT', alg: key.alg, kid: key.kid, ...header }), JSON.stringify(payload), key);
    },
    mintRaw: (header, payload, key = signing) => signTexts(header, payload, key),
    answer(next) {
      mode = next;
    },
    close: () => new Promise((resolve, reject) => {
      server.closeAllConnections();
      server.close((error) => (error === undefined ? resolve() : reject(error)));
    }),
  };
};

export const createSigningKey = async (alg: SigningAlg, kid: string = randomUUID()): Promise<SigningKey> => {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, kid, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }, privateJwk: await exportJWK(privateKey) };
};

/** base64url segments of these texts with a real signature over them by this key, whatever `alg` the header claims. */
export const signTexts = (header: string, payload: string, key: SigningKey): string => {
  const input = `${encode(header)}.${encode(payload)}`;
  const privateKey = createPrivateKey({ key: key.privateJwk, format: 'jwk' });
  return `${input}.${signBytes('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
};

/** The same with an HMAC, as a confused verifier would check it. */
export const hmacTexts = (header: string, payload: string, secret: string | Uint8Array): string => {
  const input = `${encode(header)}.${encode(payload)}`;
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
};

const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The other signature (r, n - s) that holds for the same ES256 token. */
export const malleate = (token: string): string => {
  const [header, payload, signature] = token.split('.');
  const bytes = Buffer.from(String(signature), 'base64url');
  const s = BigInt(`0x${bytes.subarray(32).toString('hex')}`);
  const twin = Buffer.from((P256_ORDER - s).toString(16).padStart(64, '0'), 'hex');
  return `${String(header)}.${String(payload)}.${Buffer.concat([bytes.subarray(0, 32), twin]).toString('base64url')}`;
};

const encode = (text: string): string => Buffer.from(text).toString('base64url');

const routeOf = ({ url }: IncomingMessage, path: string): 'discovery' | 'jwks' | undefined => {
  if (url === `${path}/.well-known/openid-configuration`) return 'discovery';
  return url === `${path}/.well-known/jwks` ? 'jwks' : undefined;
};

const FIVE_MEGABYTES = 5 * 1024 * 1024;

const reply = (response: ServerResponse, mode: AnswerMode, body: object): void => {
  if (mode === 'hang') return;
  if (mode === 'error') return void response.writeHead(500).end();
  if (mode === 'redirect') return void response.writeHead(302, { location: 'http://169.254.169.254/' }).end();
  response.writeHead(200, { 'content-type': 'application/json' });
  if (mode === 'not-json') response.end('<html>sign in</html>');
  else if (mode === 'huge') response.end(JSON.stringify({ ...body, padding: 'x'.repeat(FIVE_MEGABYTES) }));
  else response.end(JSON.stringify(mode === 'empty' ? { ...body, keys: [] } : body));
};

const listen = (server: Server): Promise<string> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
  });
