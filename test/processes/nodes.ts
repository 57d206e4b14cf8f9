import { freePort } from '../../demo/free-port.ts';
import { startPostgres } from '../support/postgres.ts';
import { makePostgresPlace } from './places.ts';
import type { Place } from './places.ts';
import { startDatabaseProxy } from './database-proxy.ts';
import type { DatabaseProxy } from './database-proxy.ts';
import { startPlatform } from './platform.ts';
import type { Platform } from './platform.ts';
import { startServerProcess } from './server.ts';
import type { Server } from './server.ts';
import { until } from './until.ts';

/** Two nodes of one installation over one PostgreSQL, as behind a balancer: callers know both by one URL. */
export interface Nodes {
  readonly place: Place;
  readonly platform: Platform;
  readonly externalUrl: string;
  readonly a: Server;
  readonly b: Server;
  /** The way node B takes to the database. */
  readonly wayOfB: DatabaseProxy;
  /** Evidence of another run each time. */
  job(claims?: Readonly<Record<string, unknown>>): string;
  close(): Promise<void>;
}

/** Resolves when both are at one version of the registry. */
export const bothKnow = (a: Server, b: Server): Promise<void> =>
  until('both nodes are at one version', async () => {
    const versions = await Promise.all([a.snapshotVersion(), b.snapshotVersion()]);
    return versions[0] === versions[1];
  });

/** Both start at the same moment, on an empty database. */
export const startNodes = async (): Promise<Nodes> => {
  const postgres = await startPostgres();
  const place = await makePostgresPlace(postgres);
  const [platform, wayOfB, portA, portB] = [await startPlatform(), await startDatabaseProxy(place.databaseUrl), await freePort(), await freePort()];
  const externalUrl = `http://127.0.0.1:${portA}`;
  const [a, b] = await Promise.all([
    startServerProcess({ folder: place.folder('a'), port: portA, externalUrl, config: place.config }),
    startServerProcess({ folder: place.folder('b'), port: portB, externalUrl, config: { ...place.config, database_url: wayOfB.url } }),
  ]);
  const close = async (): Promise<void> => {
    await Promise.all([a.kill(), b.kill()]);
    await wayOfB.close();
    await platform.close();
    await place.drop();
    await postgres.stop();
  };
  try {
    await a.apply(platform.manifest);
    await bothKnow(a, b);
  } catch (cause) {
    await close();
    throw cause;
  }
  return { place, platform, externalUrl, a, b, wayOfB, job: (claims) => platform.job(externalUrl, claims), close };
};
