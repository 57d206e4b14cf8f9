import { describe, expect, test } from '@jest/globals';
import { sendLines } from '../../src/http/lines.ts';
import { listen } from '../support/listen.ts';

/** Serves these entries once; `handled` settles as the handler does. */
const serve = async (entries: AsyncIterable<unknown>) => {
  const handled = Promise.withResolvers<undefined>();
  handled.promise.catch(() => undefined);
  const listening = await listen((_request, response) => {
    sendLines(response, entries).then(() => { handled.resolve(undefined); }, (cause: unknown) => {
      handled.reject(cause);
      response.writeHead(503).end();
    });
  });
  return { ...listening, url: `http://127.0.0.1:${listening.port}`, handled: handled.promise };
};

async function* endless(onEnd: () => void): AsyncGenerator<{ readonly padding: string }> {
  try {
    for (;;) yield await Promise.resolve({ padding: 'x'.repeat(64 * 1024) });
  } finally {
    onEnd();
  }
}

describe('an export line by line', () => {
  test('has every entry, also when there is none', async () => {
    for (const entries of [[{ n: 1 }, { n: 2 }], []]) {
      const server = await serve((async function* () { yield* await Promise.resolve(entries); })());
      const response = await fetch(server.url);
      expect([response.headers.get('content-type'), await response.text()]).toEqual(['application/x-ndjson; charset=utf-8', entries.map((entry) => `${JSON.stringify(entry)}\n`).join('')]);
      await server.close();
    }
  });

  test('stops reading when the peer leaves', async () => {
    const ended = Promise.withResolvers<undefined>();
    const server = await serve(endless(() => { ended.resolve(undefined); }));
    const away = new AbortController();
    const response = await fetch(server.url, { signal: away.signal });
    await response.body?.getReader().read();
    away.abort();
    await ended.promise;
    await server.handled;
    await server.close();
  });

  test('that cannot begin is a fault, and one that breaks off is no whole answer', async () => {
    const broken = await serve((async function* () { yield await Promise.reject<unknown>(new Error('no database')); })());
    expect((await fetch(broken.url)).status).toBe(503);
    await expect(broken.handled).rejects.toThrow('no database');
    await broken.close();

    const breaking = await serve((async function* () {
      yield { n: 1 };
      yield await Promise.reject<unknown>(new Error('no database'));
    })());
    await expect(fetch(breaking.url).then((response) => response.text())).rejects.toThrow();
    await breaking.close();
  });
});
