import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';
import type { Configuration } from 'oidc-provider';

/** A party that is not ours: npm `oidc-provider` with its own key, endpoints, JWKS and discovery. */
export interface Platform { readonly issuer: string; readonly close: () => Promise<void> }

/** What every one of them has; the rest says whose tokens it makes out. */
export const startProvider = async (configuration: Configuration, port = 0): Promise<Platform> => {
  const server = createServer();
  await new Promise<void>((resolve) => { server.listen(port, '127.0.0.1', resolve); });
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'RS256', kid: randomUUID() }] },
    enabledJWA: { idTokenSigningAlgValues: ['RS256'] },
    routes: { jwks: '/.well-known/jwks' },
    cookies: { keys: [randomUUID()] },
    ...configuration,
  });
  const answer = provider.callback();
  server.on('request', (request, response) => { void answer(request, response); });
  return {
    issuer,
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
};

export interface Jobs {
  /** Client ids; each is one job, agent or service. */
  readonly names: readonly string[];
  readonly secret: string;
  /** Seconds. */
  readonly lifetime: number;
  /** What its token says, beside `iss`, `aud`, `iat`, `exp` and `jti`. */
  readonly claimsOf: (name: string, own: Readonly<Record<string, unknown>>) => Record<string, unknown>;
}

/** Whoever runs here asks its platform's token endpoint (client_credentials, RFC 8707 `resource` = whom the token is for). */
export const jobsConfiguration = ({ names, secret, lifetime, claimsOf }: Jobs): Configuration => ({
  clients: names.map((name) => ({ client_id: name, client_secret: secret, grant_types: ['client_credentials'], redirect_uris: [], response_types: [] })),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, resource) => ({ scope: '', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: lifetime, jwt: { sign: { alg: 'RS256' } } }),
    },
  },
  formats: {
    customizers: {
      jwt(_context, token, structured) {
        const { client_id: _client, scope: _scope, ...own } = structured.payload;
        structured.header = { typ: 'JWT' };
        structured.payload = { ...own, ...claimsOf(token.clientId ?? '', own) };
      },
    },
  },
  ttl: { ClientCredentials: lifetime },
});
