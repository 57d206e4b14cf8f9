import { join, resolve } from 'node:path';
import type { Listen, ServerConfig } from '../config/server-config.ts';
import { StartRefused } from './refused.ts';

/** PostgreSQL where it is configured, else the file in the data folder. */
export const databaseUrlOf = (config: Pick<ServerConfig, 'database_url' | 'data_dir'>): string => config.database_url ?? `file:${resolve(config.data_dir, 'mayfly.db')}`;

export const adminSocketOf = (config: Pick<ServerConfig, 'admin' | 'data_dir'>): string => resolve(config.admin.socket ?? join(config.data_dir, 'admin', 'mayfly.sock'));

/** Callers must know the port before it is bound: port 0 is for tests, which name their external URL themselves. */
export const externalUrlOf = (config: ServerConfig): string => {
  if (config.external_url !== undefined) return config.external_url;
  const { listen, tls } = config;
  if (listen.kind === 'unix') throw new StartRefused([{ path: 'external_url', message: 'a server on a socket cannot know its URL', mend: 'set external_url' }]);
  if (listen.port === 0) throw new StartRefused([{ path: 'external_url', message: 'with port 0 the URL is not known in advance', mend: 'set external_url, or a port' }]);
  if (isEveryAddress(listen.host)) throw new StartRefused([{ path: 'external_url', message: `${listen.host} is no address callers can use`, mend: 'set external_url to the URL under which they reach this server' }]);
  return urlAt(listen, tls);
};

/** The URL of the admin listener, which proofs of possession must name; undefined where the configuration does not tell it: then none can be checked. */
export const adminUrlOf = ({ admin: { listen, external_url }, tls }: Pick<ServerConfig, 'admin' | 'tls'>): string | undefined => {
  if (external_url !== undefined) return external_url;
  return listen === undefined || listen.kind === 'unix' || listen.port === 0 || isEveryAddress(listen.host) ? undefined : urlAt(listen, tls);
};

const isEveryAddress = (host: string): boolean => ['0.0.0.0', '::'].includes(host);

const urlAt = ({ host, port }: Extract<Listen, { kind: 'tcp' }>, tls: ServerConfig['tls']): string =>
  `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
