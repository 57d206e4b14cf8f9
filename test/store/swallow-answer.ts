import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** A line to PostgreSQL that can break right after the server did what was asked and before the answer is heard. */
export interface BreakableLine {
  readonly url: string;
  /** Cuts the connection that sends the next statement with this text, when the server's answer to it comes. */
  swallowAnswerTo(text: string): void;
  close(): Promise<void>;
}

export const breakableLine = async (serverUrl: string): Promise<BreakableLine> => {
  const target = new URL(serverUrl);
  const sockets = new Set<Socket>();
  let swallowed: string | undefined;
  const server = createServer((client) => {
    const upstream = connect({ host: target.hostname, port: Number(target.port) });
    let doomed = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
    }
    client.on('data', (data) => {
      if (swallowed !== undefined && data.includes(swallowed)) {
        doomed = true;
        swallowed = undefined;
      }
      upstream.write(data);
    });
    upstream.on('data', (data) => {
      if (doomed) for (const socket of [client, upstream]) socket.destroy();
      else client.write(data);
    });
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = new URL(serverUrl);
  url.hostname = '127.0.0.1';
  url.port = String((server.address() as AddressInfo).port);
  return {
    url: url.href,
    swallowAnswerTo(text) { swallowed = text; },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
};
