import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** A real server on a free loopback port. `close` also ends connections that a test left open on purpose. */
export interface Listening { readonly port: number; readonly requests: string[]; close(): Promise<void> }

export const listen = async (handler: RequestListener, options: { readonly tls?: { readonly key: string; readonly cert: string }; readonly host?: string } = {}): Promise<Listening> => {
  const requests: string[] = [];
  const recorded: RequestListener = (request, response) => {
    requests.push(`${request.method} ${request.url}`);
    handler(request, response);
  };
  const server: Server = options.tls === undefined ? createServer(recorded) : createTlsServer(options.tls, recorded);
  server.listen(0, options.host ?? '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { port: (server.address() as AddressInfo).port, requests, close };
};
