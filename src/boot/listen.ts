import { chmodSync, existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { RequestListener, Server, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import type { Listen } from '../config/server-config.ts';
import { SECOND } from '../core/duration.ts';
import { isObject } from '../core/json.ts';
import { StartRefused } from './refused.ts';
import type { StartProblem } from './refused.ts';
import type { Tls } from './tls.ts';

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

const shown = ({ host, port }: { readonly host: string; readonly port: number }): string => `${host.includes(':') ? `[${host}]` : host}:${port}`;

/** Fails as `listen` would if the address cannot be had: asked before a first start writes down what is to be found there. */
export const ensureFree = async (where: Listen, setting: Setting): Promise<void> => {
  if (where.kind === 'unix' || where.port === 0) return;
  const probe = createServer();
  await bind(probe, { host: where.host, port: where.port }).catch(explainBind(setting, shown(where)));
  await new Promise((resolve) => { probe.close(resolve); });
};

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

/** The setting that says where to listen: problems name it. */
export type Setting = 'listen' | 'admin.listen' | 'admin.socket';

/** INVARIANT: the folder is 0700 before the socket exists in it, so nobody else can connect in between (design section 11, Admin plane). */
export const prepareSocket = async (path: string, setting: Setting): Promise<void> => {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if ((statSync(folder).mode & 0o077) !== 0) throw new StartRefused([{ path: setting, message: `the folder ${folder} is open to other users`, mend: `run chmod 700 ${folder}, or name another folder` }]);
  if (!existsSync(path)) return;
  if (await isAlive(path)) throw new StartRefused([{ path: setting, message: `another server listens at ${path}`, mend: 'stop it, or choose another data_dir' }]);
  rmSync(path);
};

export interface ListenOptions {
  readonly setting: Setting;
  readonly tls?: Tls | undefined;
  /** One of several processes at the same address: the primary has prepared the place. */
  readonly shared?: boolean;
}

export const listen = async (where: Listen, app: RequestListener, { setting, tls, shared = false }: ListenOptions): Promise<Listening> => {
  const server = openServer(tls);
  const close = prepareClose(server);
  server.on('request', app);
  server.requestTimeout = REQUEST_TIMEOUT;
  server.headersTimeout = REQUEST_TIMEOUT;
  server.keepAliveTimeout = KEEP_ALIVE;
  if (where.kind === 'unix') {
    if (!shared) await prepareSocket(where.path, setting);
    await bind(server, { path: where.path }).catch(explainBind(setting, where.path));
    chmodSync(where.path, 0o600);
    return { address: `unix://${where.path}`, close };
  }
  await bind(server, { host: where.host, port: where.port }).catch(explainBind(setting, shown(where)));
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : where.port;
  return { address: `${tls === undefined ? 'http' : 'https'}://${shown({ host: where.host, port })}`, close };
};

const openServer = (tls: Tls | undefined): Server => {
  const checks = { connectionsCheckingInterval: SLOW_CHECK };
  if (tls === undefined) return createServer(checks);
  try {
    return createTlsServer({ ...checks, cert: tls.cert, key: tls.key, minVersion: 'TLSv1.2' });
  } catch (cause) {
    // What only OpenSSL finds, such as a key that is too short; its reasons hold nothing of the key.
    throw new StartRefused([{ path: 'tls', message: `the certificate cannot be served (${isObject(cause) ? String(cause['reason'] ?? cause['code']) : 'unknown fault'})`, mend: 'have another one issued' }], { cause });
  }
};

const BIND_PROBLEMS: ReadonlyMap<unknown, Omit<StartProblem, 'path'>> = new Map([
  ['EADDRINUSE', { message: 'is in use', mend: 'stop what listens there, or choose another address (--listen, or the configuration)' }],
  ['EADDRNOTAVAIL', { message: 'is no address of this machine', mend: 'choose one it has, such as 127.0.0.1' }],
  ['ENOTFOUND', { message: 'cannot be resolved', mend: 'write an address of this machine, such as 127.0.0.1' }],
  ['EAI_AGAIN', { message: 'cannot be resolved', mend: 'write an address of this machine, such as 127.0.0.1' }],
  ['EACCES', { message: 'may not be used by this user', mend: 'choose a port above 1023, or a folder this user may write' }],
  ['EPERM', { message: 'may not be used by this user', mend: 'choose a port above 1023, or a folder this user may write' }],
]);

const explainBind = (setting: Setting, at: string) => (cause: unknown): never => {
  const problem = isObject(cause) ? BIND_PROBLEMS.get(cause['code']) : undefined;
  if (problem === undefined) throw cause;
  throw new StartRefused([{ ...problem, path: setting, message: `${at} ${problem.message}` }], { cause });
};
