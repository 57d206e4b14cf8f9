import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import express from 'express';
import { refusal } from '../../src/core/refusal.ts';
import { err, ok } from '../../src/core/result.ts';
import { createStatusAggregationRoute, createStatusListRoute } from '../../src/http/routes/status.ts';
import { handler } from '../../src/http/route.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import { STALENESS_BOUND } from '../../src/snapshot/snapshot.ts';
import type { StatusLists } from '../../src/status/lists.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { domain } from '../credentials/make-order.ts';
import { listen } from '../support/listen.ts';
import type { Listening } from '../support/listen.ts';

let server: Listening | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

interface Setting { readonly age?: number; readonly problems?: readonly string[]; readonly serve?: StatusLists['serve']; readonly all?: StatusLists['all'] }
const start = async ({ age = 0, problems = [], serve, all }: Setting = {}) => {
  const asked: string[] = [];
  const deps = {
    snapshot: { age: () => age, domain: (name: string) => (name === 'prod' ? { domain, problems } as unknown as DomainView : undefined) },
    statusLists: {
      serve: serve ?? ((_view: DomainView, id: string) => { asked.push(id); return Promise.resolve(ok({ token: 'a.b.c', gzipped: undefined, maxAge: 7 })); }),
      all: all ?? (() => { asked.push('all'); return Promise.resolve({ status_lists: ['https://x.example'] }); }),
    },
  };
  const app = express();
  app.get('/:domain/status', handler(createStatusAggregationRoute(deps)));
  app.get('/:domain/status/:list', handler(createStatusListRoute(deps)));
  server = await listen(app);
  const { port } = server;
  return { asked, get: async (path: string, headers: Record<string, string> = {}) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
    return { status: response.status, headers: response.headers, text: await response.text() };
  } };
};

describe.each([{ path: '/prod/status/one', what: 'a list' }, { path: '/prod/status', what: 'the list of lists' }])('$what', ({ path }) => {
  test.each<{ readonly name: string; readonly setting: Setting; readonly status: number; readonly error?: string }>([
    { name: 'from a registry as old as may be', setting: { age: STALENESS_BOUND }, status: 200 },
    { name: 'from one that is older', setting: { age: STALENESS_BOUND + 1 }, status: 503, error: 'temporarily_unavailable' },
    { name: 'of a domain that is not ready', setting: { problems: ['policy x'] }, status: 503, error: 'temporarily_unavailable' },
    { name: 'from a database that does not answer', setting: { serve: () => Promise.reject(new StoreUnavailable('down')), all: () => Promise.reject(new StoreUnavailable('down')) }, status: 503, error: 'temporarily_unavailable' },
  ])('$name is answered with $status, to pages of every origin', async ({ setting, status, error }) => {
    const it = await start(setting);
    const answer = await it.get(path);
    expect([answer.status, answer.headers.get('access-control-allow-origin'), answer.headers.get('cross-origin-resource-policy')]).toEqual([status, '*', 'cross-origin']);
    if (error === undefined) return;
    expect([(JSON.parse(answer.text) as { readonly error: string }).error, answer.headers.get('cache-control'), Number(answer.headers.get('retry-after')) > 0]).toEqual([error, 'no-store', true]);
  });
});

describe('the answer', () => {
  test('may be kept for as long as the list still counts', async () => {
    const it = await start();
    const answer = await it.get('/prod/status/one');
    expect([answer.text, answer.headers.get('content-type'), answer.headers.get('cache-control'), it.asked]).toEqual(['a.b.c', 'application/statuslist+jwt', 'public, max-age=7', ['one']]);
  });

  test.each([
    { name: 'who takes it packed', accepts: 'gzip', encoding: 'gzip' },
    { name: 'who takes it packed in another way alone', accepts: 'br', encoding: null },
    { name: 'who takes it anyhow but so', accepts: 'gzip;q=0, identity', encoding: null },
  ])('is for $name what that takes', async ({ accepts, encoding }) => {
    const it = await start({ serve: () => Promise.resolve(ok({ token: 'a.b.c', gzipped: gzipSync('a.b.c'), maxAge: 7 })) });
    const answer = await it.get('/prod/status/one', { 'accept-encoding': accepts });
    expect([answer.text, answer.headers.get('content-encoding'), answer.headers.get('content-type')]).toEqual(['a.b.c', encoding, 'application/statuslist+jwt']);
  });

  test.each([
    { name: 'CWT', path: '/prod/status/one', headers: { accept: 'application/statuslist+cwt' }, status: 406 },
    { name: 'a former time', path: '/prod/status/one?time=1', headers: {}, status: 501 },
    { name: 'another domain', path: '/nobody/status/one', headers: {}, status: 404 },
    { name: 'JWT', path: '/prod/status/one', headers: { accept: 'application/statuslist+jwt' }, status: 200 },
  ])('to who asks for $name is $status, and looks at nothing for it unless it is 200', async ({ path, headers, status }) => {
    const it = await start();
    expect((await it.get(path, headers)).status).toBe(status);
    expect(it.asked).toHaveLength(status === 200 ? 1 : 0);
  });

  test('is a plain no where there is no such list', async () => {
    const it = await start({ serve: () => Promise.resolve(err(refusal('not_found', 'no list'))) });
    const answer = await it.get('/prod/status/one');
    expect([answer.status, answer.headers.get('cache-control'), answer.text.includes('no list')]).toEqual([404, 'no-store', false]);
  });

  test('is no answer where something is wrong here', async () => {
    const it = await start({ serve: () => Promise.reject(new Error('bug')) });
    expect((await it.get('/prod/status/one')).status).toBe(500);
  });
});
