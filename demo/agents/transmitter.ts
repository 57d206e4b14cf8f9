import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignJWT, exportJWK, generateKeyPair } from 'jose';

/**
 * Who tells others what the identity provider knows, as a process of its own with a key of its own (SSF 1.0, RFC 8935):
 * `node demo/agents/transmitter.ts IDP_ISSUER AUDIENCE`, where events are pushed to AUDIENCE. `POST /sessions/<sub>/revoke` is what its
 * console would do; the answer is what the receiver answered. One line of JSON says where it is.
 */
const [idp = '', audience = ''] = process.argv.slice(2);
const SESSION_REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked';
const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
const jwk = { ...(await exportJWK(publicKey)), kid: 'signals-1', alg: 'ES256', use: 'sig' };

const push = async (issuer: string, sub: string): Promise<{ readonly status: number; readonly jti: string }> => {
  const jti = randomUUID();
  const set = await new SignJWT({ jti, sub_id: { format: 'iss_sub', iss: idp, sub }, events: { [SESSION_REVOKED]: { event_timestamp: Math.floor(Date.now() / 1000), initiating_entity: 'admin', reason_admin: { en: 'account taken over' } } } })
    .setProtectedHeader({ alg: 'ES256', typ: 'secevent+jwt', kid: jwk.kid }).setIssuer(issuer).setAudience(audience).setIssuedAt().sign(privateKey);
  const { status } = await fetch(audience, { method: 'POST', headers: { 'content-type': 'application/secevent+jwt', accept: 'application/json' }, body: set, signal: AbortSignal.timeout(15_000) });
  return { status, jti };
};

const server = createServer((request, response) => {
  const json = (status: number, body: unknown): void => void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  const sub = /^\/sessions\/([\w-]+)\/revoke$/.exec(request.url ?? '')?.[1];
  if (request.url === '/jwks') json(200, { keys: [jwk] });
  else if (request.method === 'POST' && sub !== undefined) push(issuer, sub).then((sent) => json(200, sent), (fault: unknown) => json(502, { error: String(fault) }));
  else json(404, {});
});
await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
console.log(JSON.stringify({ issuer }));
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { server.close(); server.closeAllConnections(); });
