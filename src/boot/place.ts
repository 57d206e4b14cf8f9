import { join, resolve } from 'node:path';
import type { ServerConfig } from '../config/server-config.ts';
import { StartRefused } from './refused.ts';

/** PostgreSQL where it is configured, else the file in the data folder. */
export const databaseUrlOf = (config: Pick<ServerConfig, 'database_url' | 'data_dir'>): string => config.database_url ?? `file:${resolve(config.data_dir, 'mayfly.db')}`;

export const adminSocketOf = (config: Pick<ServerConfig, 'admin' | 'data_dir'>): string => resolve(config.admin.socket ?? join(config.data_dir, 'admin', 'mayfly.sock'));

/** Callers must know the port before it is bound: port 0 is for tests, which name their external URL themselves. */
export const externalUrlOf = (config: ServerConfig): string => {
  if (config.external_url !== undefined) return config.external_url;
  if (config.listen.kind === 'unix') throw new StartRefused([{ path: 'external_url', message: 'a server on a socket cannot know its URL', mend: 'set external_url' }]);
  if (config.listen.port === 0) throw new StartRefused([{ path: 'external_url', message: 'with port 0 the URL is not known in advance', mend: 'set external_url, or a port' }]);
  const host = ['0.0.0.0', '::'].includes(config.listen.host) ? undefined : config.listen.host;
  if (host === undefined) throw new StartRefused([{ path: 'external_url', message: `${config.listen.host} is no address callers can use`, mend: 'set external_url to the URL under which they reach this server' }]);
  return `${config.tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${config.listen.port}`;
};
