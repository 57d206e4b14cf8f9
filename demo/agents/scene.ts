import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as oauth from 'oauth4webapi';
import { textOf } from '../ask.ts';
import type { DemoMayfly, Json, Reply } from '../mayfly.ts';
import { logIn } from './log-in.ts';
import type { IdentityProvider } from './log-in.ts';
import type { Receiver } from './receiver.ts';

export const DOCS = 'https://docs.acme.example';
export const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const JWT = 'urn:ietf:params:oauth:token-type:jwt';
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const TRUST_DOMAIN = 'spiffe://demo.mayfly.example';

/** Whoever takes part: Mayfly, the identity provider and who transmits its events, the platform of the agents, and two receivers. */
export interface Scene {
  readonly mayfly: DemoMayfly;
  readonly people: IdentityProvider;
  readonly transmitter: { readonly issuer: string };
  readonly cluster: { readonly issuer: string; readonly token_endpoint: string; readonly secret: string };
  readonly receivers: readonly { readonly name: 'docs' | 'siem'; readonly receiver: Receiver }[];
  readonly folder: string;
}

export const AGENTS = { planner: 'agents/planner', researcher: 'agents/researcher', writer: 'agents/writer', search: 'tools/search', docs: 'svc/docs', siem: 'svc/siem' } as const;
export type Name = keyof typeof AGENTS;
export const spiffe = (name: Name): string => `${TRUST_DOMAIN}/${AGENTS[name]}`;

/** What the platform says of one of its workloads, made out to Mayfly. */
export const evidenceOf = async ({ cluster, mayfly }: Scene, name: Name): Promise<string> => {
  const response = await fetch(cluster.token_endpoint, {
    method: 'POST', headers: { authorization: `Basic ${Buffer.from(`${name}:${cluster.secret}`).toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource: mayfly.issuer }), signal: AbortSignal.timeout(15_000),
  });
  return textOf(await response.json() as Json, 'access_token');
};

/** A person's token of one application, as a file for the command line. */
export const tokenFileOf = async ({ people, folder }: Scene, application: string, name: string): Promise<string> => {
  const file = join(folder, `${name}.token`);
  writeFileSync(file, await logIn(people, application, name), { mode: 0o600 });
  return file;
};

/** `authorization_details` of a session token. */
export const ceiling = (...scopes: readonly string[]): string => JSON.stringify([{ type: 'urn:mayfly:ceiling', audience: DOCS, scopes }]);

/** One actor's own evidence beside a token it takes up, renews or acts with. */
export const asActor = async (scene: Scene, name: Name): Promise<Readonly<Record<string, string>>> => ({ actor_token: await evidenceOf(scene, name), actor_token_type: JWT });

/** Exchange of a session token, alone or with what {@link asActor} gives. */
export const spend = ({ mayfly }: Scene, token: string, asked: Readonly<Record<string, string>>): Promise<Reply> => mayfly.exchange(token, { subject_token_type: ACCESS_TOKEN, ...asked });

/** The token in an answer that must have one. */
export const tokenIn = ({ status, body }: Reply): string => {
  if (status !== 200) throw new Error(`the token endpoint answered ${status} ${JSON.stringify(body)}`);
  return textOf(body, 'access_token');
};

/** Somebody else's client that proves possession of a key of its own (RFC 9449): npm `oauth4webapi`. */
export const startBoundClient = async ({ mayfly }: Scene, name: Name): Promise<(grant: 'exchange' | 'deferred', asked: Readonly<Record<string, string>>) => Promise<Reply>> => {
  const insecure = { [oauth.allowInsecureRequests]: true };
  const issuer = new URL(mayfly.issuer);
  const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' }));
  const client: oauth.Client = { client_id: spiffe(name) };
  const proof = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
  const grants = { exchange: TOKEN_EXCHANGE, deferred: 'urn:ietf:params:oauth:grant-type:deferred' };
  const ask = async (grant: keyof typeof grants, asked: Readonly<Record<string, string>>, again: boolean): Promise<Reply> => {
    const response = await oauth.genericTokenEndpointRequest(server, client, oauth.None(), grants[grant], new URLSearchParams(asked), { ...insecure, DPoP: proof });
    const body = await response.clone().json() as Json;
    // The server's nonce comes with its first answer, and the client keeps it.
    if (again && body['error'] === 'use_dpop_nonce') {
      await oauth.processGenericTokenEndpointResponse(server, client, response).catch(() => undefined);
      return ask(grant, asked, false);
    }
    return { status: response.status, body };
  };
  return (grant, asked) => ask(grant, asked, true);
};

/** Waits until something holds, a minute at most. */
export const until = async (what: string, holds: () => Promise<boolean> | boolean): Promise<void> => {
  const end = Date.now() + 60_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`${what}: not within a minute`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
};
