import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import type { Listen } from '../config/server-config.ts';
import { SECOND } from '../core/duration.ts';
import { StartRefused } from './refused.ts';

export interface Listening {
  /** As in `http://127.0.0.1:8420` or `unix:///path`. */
  readonly address: string;
  /** Takes no new requests and waits for those under way. */
  close(): Promise<void>;
}

/** Slow senders hold a connection no longer than this. */
const REQUEST_TIMEOUT = 15 * SECOND;
/** How often they are looked for. */
const SLOW_CHECK = 5 * SECOND;
/** How long a server that closes waits for requests under way: what the store and a provider may take, and a sender at its slowest. */
export const LONGEST_GOODBYE = 20 * SECOND;
/** A balancer closes idle connections before we do, so that none is cut under a request (commonly 60 s). */
const KEEP_ALIVE = 65 * SECOND;

const bind = (server: Server, target: { readonly host: string; readonly port: number } | { readonly path: string }): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(target, () => {
      server.off('error', reject);
      resolve();
    });
  });

/** Gives the function that closes the server: every answer still to come ends its connection, so that a busy one does not go on for ever. */
const prepareClose = (server: Server): (() => Promise<void>) => {
  const underWay = new Set<ServerResponse>();
  let closing = false;
  const endAfter = (response: ServerResponse): void => { if (!response.headersSent) response.setHeader('Connection', 'close'); };
  server.on('request', (_request, response: ServerResponse) => {
    underWay.add(response);
    if (closing) endAfter(response);
    response.once('close', () => {
      underWay.delete(response);
      // Its headers may have gone out before the closing began, and promised to keep the connection.
      if (closing) setImmediate(() => { server.closeIdleConnections(); });
    });
  });
  return () => new Promise((resolve) => {
    closing = true;
    underWay.forEach(endAfter);
    const cut = setTimeout(() => { server.closeAllConnections(); }, LONGEST_GOODBYE);
    server.close(() => {
      clearTimeout(cut);
      resolve();
    });
    server.closeIdleConnections();
  });
};

const isAlive = (path: string): Promise<boolean> => new Promise((resolve) => {
  const socket = connect(path);
  socket.once('connect', () => {
    socket.destroy();
    resolve(true);
  });
  socket.once('error', () => { resolve(false); });
});

/** INVARIANT: the folder is 0700 before the socket exists in it, so nobody else can connect in between (design section 11, Admin plane). */
export const prepareSocket = async (path: string): Promise<void> => {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if ((statSync(folder).mode & 0o077) !== 0) throw new StartRefused([{ path: 'admin.socket', message: `the folder ${folder} is open to other users`, mend: `run chmod 700 ${folder}, or name another folder` }]);
  if (!existsSync(path)) return;
  if (await isAlive(path)) throw new StartRefused([{ path: 'admin.socket', message: `another server listens at ${path}`, mend: 'stop it, or choose another data_dir' }]);
  rmSync(path);
};

export interface ListenOptions {
  readonly tls?: { readonly cert_file: string; readonly key_file: string } | undefined;
  /** One of several processes at the same address: the primary has prepared the place. */
  readonly shared?: boolean;
}

export const listen = async (where: Listen, app: RequestListener, { tls, shared = false }: ListenOptions = {}): Promise<Listening> => {
  const checks = { connectionsCheckingInterval: SLOW_CHECK };
  const server = tls === undefined ? createServer(checks) : createTlsServer({ ...checks, cert: readFileSync(tls.cert_file), key: readFileSync(tls.key_file), minVersion: 'TLSv1.2' });
  const close = prepareClose(server);
  server.on('request', app);
  server.requestTimeout = REQUEST_TIMEOUT;
  server.headersTimeout = REQUEST_TIMEOUT;
  server.keepAliveTimeout = KEEP_ALIVE;
  if (where.kind === 'unix') {
    if (!shared) await prepareSocket(where.path);
    await bind(server, { path: where.path });
    chmodSync(where.path, 0o600);
    return { address: `unix://${where.path}`, close };
  }
  await bind(server, { host: where.host, port: where.port });
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : where.port;
  const host = where.host.includes(':') ? `[${where.host}]` : where.host;
  return { address: `${tls === undefined ? 'http' : 'https'}://${host}:${port}`, close };
};
