import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import type { JWTPayload } from 'jose';

/** Who hears of what falls: takes security event tokens (RFC 8935), verifies them with jose, and keeps each once by its `jti`. */
export interface Receiver { readonly url: string; readonly events: ReadonlyMap<string, JWTPayload>; close(): Promise<void> }

export const startReceiver = async (issuer: string, audience: string): Promise<Receiver> => {
  const events = new Map<string, JWTPayload>();
  const keys = createRemoteJWKSet(new URL(`${issuer}/jwks.json`));
  const take = async (request: IncomingMessage): Promise<boolean> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const verified = await jwtVerify(Buffer.concat(chunks).toString(), keys, { issuer, audience, typ: 'secevent+jwt' }).catch(() => undefined);
    if (verified?.payload.jti === undefined) return false;
    events.set(verified.payload.jti, verified.payload);
    return true;
  };
  const server = createServer((request, response) => {
    take(request).then((taken) => response.writeHead(taken ? 202 : 400).end(taken ? undefined : '{"err":"invalid_request"}'), () => response.destroy());
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`, events,
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
};
