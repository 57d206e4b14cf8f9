import { decodeJwt } from 'jose';
import { ACCESS_TOKEN_TYPE } from '../support/mayfly.ts';
import type { Answer } from '../support/mayfly.ts';
import { API } from '../support/world.ts';
import { patiently } from '../support/patiently.ts';
import type { Server } from './server.ts';

/** A session token with which the API's tokens can be had, as often as wanted. */
export const openSession = async (server: Server, evidence: string): Promise<{ readonly token: string; readonly lease: string; readonly session: string }> => {
  const answer = await server.exchange({ subject_token: evidence, authorization_details: JSON.stringify([{ type: 'urn:mayfly:ceiling', audience: API, scopes: ['deploy:read'] }]) });
  const token = answer.body['access_token'];
  if (typeof token !== 'string') throw new Error(`no session: ${answer.status} ${JSON.stringify(answer.body)}`);
  const claims = decodeJwt(token);
  return { token, lease: String(claims.jti), session: String(claims['sid']) };
};

export const spend = (server: Server, sessionToken: string): Promise<Answer> =>
  server.exchange({ subject_token: sessionToken, subject_token_type: ACCESS_TOKEN_TYPE, audience: API, scope: 'deploy:read' });

/** `once`: takes the first answer. */
export type Introspect = (at: Server, token: string, once?: boolean) => Promise<Answer>;

/** Asks as the API's own service, which shows its token for the endpoint. */
export const createIntrospect = async (server: Server, evidence: string, url: string): Promise<Introspect> => {
  const answer = await server.exchange({ subject_token: evidence, audience: `${url}/dev/introspect` });
  const own = answer.body['access_token'];
  if (typeof own !== 'string') throw new Error(`the service got no token: ${JSON.stringify(answer.body)}`);
  return (at, token, once = false) => {
    const ask = (): Promise<Answer> => at.form('dev/introspect', { token }, { authorization: `Bearer ${own}` });
    return once ? ask() : patiently(ask);
  };
};
