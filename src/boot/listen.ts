import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
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

const closeServer = (server: Server): Promise<void> => new Promise((resolve) => {
  server.close(() => { resolve(); });
  server.closeIdleConnections();
});

const isAlive = (path: string): Promise<boolean> => new Promise((resolve) => {
  const socket = connect(path);
  socket.once('connect', () => {
    socket.destroy();
    resolve(true);
  });
  socket.once('error', () => { resolve(false); });
});

/** INVARIANT: the folder is 0700 before the socket exists in it, so nobody else can connect in between (design section 11, Admin plane). */
const prepareSocket = async (path: string): Promise<void> => {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if ((statSync(folder).mode & 0o077) !== 0) throw new StartRefused([{ path: 'admin.socket', message: `the folder ${folder} is open to other users`, mend: `run chmod 700 ${folder}, or name another folder` }]);
  if (!existsSync(path)) return;
  if (await isAlive(path)) throw new StartRefused([{ path: 'admin.socket', message: `another server listens at ${path}`, mend: 'stop it, or choose another data_dir' }]);
  rmSync(path);
};

export const listen = async (where: Listen, app: RequestListener, tls?: { readonly cert_file: string; readonly key_file: string }): Promise<Listening> => {
  const server = tls === undefined ? createServer(app) : createTlsServer({ cert: readFileSync(tls.cert_file), key: readFileSync(tls.key_file), minVersion: 'TLSv1.2' }, app);
  server.requestTimeout = REQUEST_TIMEOUT;
  server.headersTimeout = REQUEST_TIMEOUT;
  server.keepAliveTimeout = KEEP_ALIVE;
  if (where.kind === 'unix') {
    await prepareSocket(where.path);
    await bind(server, { path: where.path });
    chmodSync(where.path, 0o600);
    return { address: `unix://${where.path}`, close: () => closeServer(server) };
  }
  await bind(server, { host: where.host, port: where.port });
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : where.port;
  const host = where.host.includes(':') ? `[${where.host}]` : where.host;
  return { address: `${tls === undefined ? 'http' : 'https'}://${host}:${port}`, close: () => closeServer(server) };
};
