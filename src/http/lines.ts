import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';

/**
 * JSON lines, read no faster than the peer takes them; a peer that leaves ends the reading. A fault before the first line is
 * thrown, one after it cuts the connection: an export that ended early must not look like a whole one.
 */
export const sendLines = async (response: ServerResponse, entries: AsyncIterable<unknown>): Promise<void> => {
  const iterator = entries[Symbol.asyncIterator]();
  const first = await iterator.next();
  const lines = async function* (): AsyncGenerator<string> {
    try {
      for (let next = first; next.done !== true; next = await iterator.next()) yield `${JSON.stringify(next.value)}\n`;
    } finally {
      await iterator.return?.();
    }
  };
  response.setHeader('Content-Type', 'application/x-ndjson; charset=utf-8');
  // Whatever ends it now has destroyed the response, which is all that can still be told.
  await pipeline(lines, response).catch(() => undefined);
};
