import { randomInt } from 'node:crypto';
import { claimsOf, exchangeForm, signEvidence } from './evidence.ts';
import type { Pool } from './pool.ts';
import { DOMAIN, ISSUER, SCOPE, apiOf, spiffeOf } from './scenery.ts';

/** Single requests to a node, as its callers make them. */
const post = async (url: string, body: string, authorization?: string): Promise<Record<string, unknown>> => {
  const response = await fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/x-www-form-urlencoded', ...(authorization === undefined ? {} : { authorization }) } });
  const answer = (await response.json()) as Record<string, unknown>;
  if (!response.ok) throw new Error(`${url}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
};

export const createCalls = (pool: Pool) => {
  // Run ids are used once: each caller begins elsewhere.
  let run = randomInt(1e9, 1e12);
  const evidence = (workload: number, repositoryId?: string): string => {
    run += 1;
    return signEvidence(claimsOf(workload, String(run), Math.floor(Date.now() / 1000), repositoryId), pool.key);
  };
  const token = async (url: string, form: string): Promise<string> => String((await post(`${url}/${DOMAIN}/token`, form))['access_token']);
  return {
    /** A token for the team's API of this workload. */
    exchange: (url: string, workload: number): Promise<string> => token(url, exchangeForm(evidence(workload), apiOf(workload), SCOPE)),
    /** A session token over the team's API of this workload. */
    sessionToken: (url: string, workload: number): Promise<string> => token(url, new URLSearchParams({ ...GRANT, subject_token_type: JWT, subject_token: evidence(workload), authorization_details: ceilingOf(workload) }).toString()),
    /** A token of that API for a session token. */
    spend: (url: string, session: string): Promise<string> => token(url, spendForm(session, 0)),
    spendForm,
    /** Handed on to another workload of the team, and taken up by it. */
    async handOver(url: string, session: string, to: number): Promise<string> {
      const form = { ...GRANT, subject_token_type: ACCESS_TOKEN, authorization_details: ceilingOf(to) };
      const handed = await token(url, new URLSearchParams({ ...form, subject_token: session, requested_actor: spiffeOf(to) }).toString());
      return token(url, new URLSearchParams({ ...form, subject_token: handed, actor_token: evidence(to), actor_token_type: JWT }).toString());
    },
    /** The token with which the gateway introspects. */
    gatewayToken: (url: string): Promise<string> => token(url, exchangeForm(evidence(0, '999'), `${ISSUER}/introspect`, '')),
    introspect: async (url: string, tokenOfGateway: string, asked: string): Promise<boolean> =>
      (await post(`${url}/${DOMAIN}/introspect`, new URLSearchParams({ token: asked }).toString(), `Bearer ${tokenOfGateway}`))['active'] === true,
  };
};

export type Calls = ReturnType<typeof createCalls>;

const GRANT = { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange' };
const JWT = 'urn:ietf:params:oauth:token-type:jwt';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

const ceilingOf = (workload: number): string => JSON.stringify([{ type: 'urn:mayfly:ceiling', audience: apiOf(workload), scopes: [SCOPE] }]);
const spendForm = (session: string, workload: number): string => new URLSearchParams({ ...GRANT, subject_token_type: ACCESS_TOKEN, subject_token: session, audience: apiOf(workload), scope: SCOPE }).toString();

export const leaseOf = (token: string): string => (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string }).jti;
