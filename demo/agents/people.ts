import { startProvider } from '../platform.ts';

/**
 * The organisation's identity provider, as a process of its own: `node demo/agents/people.ts`. People log in at it with a browser, and
 * an application gets an ID token that says who they are, when they logged in and which groups they are in.
 */
const PEOPLE: Readonly<Record<string, { readonly groups: readonly string[] }>> = { alice: { groups: ['engineering'] }, bob: { groups: ['docs-leads'] }, eve: { groups: ['sales'] } };
const REDIRECT = 'http://127.0.0.1/callback';
const SECRET = 'what-the-application-was-given';

const application = (name: string) => ({
  client_id: name, client_secret: SECRET, redirect_uris: [REDIRECT], response_types: ['code'] as const, grant_types: ['authorization_code' as const], require_auth_time: true,
});
const people = await startProvider({
  clients: [application('assistant'), application('approvals')].map((client) => ({ ...client, response_types: [...client.response_types], grant_types: [...client.grant_types] })),
  claims: { openid: ['sub', 'groups'] },
  scopes: ['openid'],
  // The ID token says it all: nobody asks the userinfo endpoint here.
  conformIdTokenClaims: false,
  findAccount: (_context, sub) => (Object.hasOwn(PEOPLE, sub) ? { accountId: sub, claims: () => ({ sub, groups: [...(PEOPLE[sub]?.groups ?? [])] }) } : undefined),
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
});
console.log(JSON.stringify({ issuer: people.issuer, secret: SECRET, redirect: REDIRECT }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void people.close());
