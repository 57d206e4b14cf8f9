import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { freePort } from '../../demo/free-port.ts';

/**
 * A way to PostgreSQL that can be blocked for one node, or for some of its connections: what is sent meanwhile waits, as
 * on a network that lost its way. Connections are told apart by the application_name of their first message.
 */
export interface DatabaseProxy {
  /** The database's URL by this way. */
  readonly url: string;
  /** Nothing passes on connections whose application_name fits, also new ones, until the result is called. */
  hold(names: RegExp): () => void;
  /** Cuts every connection and refuses new ones, as a database that was stopped, until the result is called. */
  refuse(): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

interface Link { readonly name: string; readonly client: Socket; readonly database: Socket }

export const startDatabaseProxy = async (databaseUrl: string): Promise<DatabaseProxy> => {
  const target = new URL(databaseUrl);
  const links = new Set<Link>();
  const held = new Set<RegExp>();

  const settle = (link: Link): void => {
    const waits = [...held].some((names) => names.test(link.name));
    for (const socket of [link.client, link.database]) {
      if (waits) socket.pause();
      else socket.resume();
    }
  };

  const server = createServer((client) => {
    client.once('data', (chunk) => {
      const first = Buffer.from(chunk);
      client.pause();
      const database = connect(Number(target.port), target.hostname);
      const link: Link = { name: applicationName(first), client, database };
      links.add(link);
      const end = (): void => {
        links.delete(link);
        client.destroy();
        database.destroy();
      };
      for (const socket of [client, database]) socket.on('error', end).on('close', end);
      client.on('data', (sent) => database.write(sent));
      database.on('data', (sent) => client.write(sent));
      database.once('connect', () => {
        database.write(first);
        settle(link);
      });
    });
    client.on('error', () => undefined);
  });
  const port = await freePort();
  await listen(server, port);
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = String(port);

  const cut = (): void => { for (const { client, database } of [...links]) { client.destroy(); database.destroy(); } };
  const stop = (): Promise<void> => new Promise((resolve) => {
    server.close(() => { resolve(); });
    cut();
  });
  return {
    url: url.href,
    hold(names) {
      held.add(names);
      links.forEach(settle);
      return () => {
        held.delete(names);
        links.forEach(settle);
      };
    },
    async refuse() {
      await stop();
      return () => listen(server, port);
    },
    close: stop,
  };
};

const listen = (server: ReturnType<typeof createServer>, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });

/** Of a StartupMessage (PostgreSQL docs, 54.7): length, version, then names and values that end in zero bytes. */
const applicationName = (startup: Buffer): string => {
  const members = startup.subarray(8).toString('utf8').split('\0');
  return members[members.indexOf('application_name') + 1] ?? '';
};
