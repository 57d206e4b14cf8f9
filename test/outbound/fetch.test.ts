import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { RequestListener } from 'node:http';
import { gzipSync } from 'node:zlib';
import { createGuardedFetch } from '../../src/outbound/fetch.ts';
import type { GuardedFetch, OutboundRequest } from '../../src/outbound/fetch.ts';
import { makeCertificate } from '../support/certificate.ts';
import { listen } from '../support/listen.ts';
import type { Listening } from '../support/listen.ts';

// 127.0.0.1 plays the public address (it is in `allowAddresses`), 127.0.0.2 a private one.
const PUBLIC = '127.0.0.1';
const PRIVATE = '127.0.0.2';
const certificate = makeCertificate('issuer.test', 'other.test');
const base: OutboundRequest = { allowAddresses: ['127.0.0.1/32'], allowLoopbackHttp: false, maxBytes: 1024, timeoutMs: 5000, accept: 'application/json' };

let handler: RequestListener = (_request, response) => response.end('ok');
let server: Listening;
let inside: Listening;
const opened: GuardedFetch[] = [];
const names = new Map<string, readonly string[]>([['issuer.test', [PUBLIC]], ['stranger.test', [PUBLIC]]]);
const open = (deps: Parameters<typeof createGuardedFetch>[0] = {}): GuardedFetch => {
  const fetch = createGuardedFetch({
    ca: certificate.cert,
    lookup: (name) => Promise.resolve((names.get(name) ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))),
    ...deps,
  });
  opened.push(fetch);
  return fetch;
};
const reasonOf = async (fetch: GuardedFetch, url: string, request: Partial<OutboundRequest> = {}): Promise<string> => {
  const result = await fetch(url, { ...base, ...request });
  return result.ok ? `http ${result.value.status}` : result.error.reason;
};

beforeAll(async () => {
  server = await listen((request, response) => handler(request, response), { tls: certificate });
  inside = await listen((_request, response) => response.end('secret'), { tls: certificate, host: PRIVATE });
});
afterEach(async () => {
  handler = (_request, response) => response.end('ok');
  await Promise.all(opened.splice(0).map((fetch) => fetch.close()));
});
afterAll(async () => {
  await server.close();
  await inside.close();
});

describe('a good call', () => {
  test('returns status, headers and body over TLS checked against the name', async () => {
    handler = (_request, response) => response.setHeader('x-test', 'yes').end('hello');
    const result = await open()(`https://issuer.test:${server.port}/a?b=c`, base);
    expect(result).toMatchObject({ ok: true, value: { status: 200, headers: { 'x-test': 'yes' } } });
    expect(result.ok && result.value.body.toString()).toBe('hello');
    expect(server.requests.at(-1)).toBe('GET /a?b=c');
  });

  test('posts a body and asks for no compression', async () => {
    const seen: unknown[] = [];
    handler = (request, response) => {
      request.on('data', (chunk: Buffer) => seen.push(chunk.toString()));
      request.on('end', () => response.end(JSON.stringify([request.headers['accept-encoding'], request.headers.accept, request.headers['content-type']])));
    };
    const result = await open()(`https://issuer.test:${server.port}/`, { ...base, method: 'POST', body: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } });
    expect(seen).toEqual(['a=b']);
    expect(server.requests.at(-1)).toBe('POST /');
    expect(result.ok && JSON.parse(result.value.body.toString())).toEqual(['identity', 'application/json', 'application/x-www-form-urlencoded']);
  });

  test('passes errors of the server on as they are', async () => {
    for (const status of [400, 503]) {
      handler = (_request, response) => response.writeHead(status).end();
      expect(await reasonOf(open(), `https://issuer.test:${server.port}/`)).toBe(`http ${status}`);
    }
  });

  test('reuses the connection, and with it the address judged for it', async () => {
    let lookups = 0;
    const fetch = open({ lookup: () => { lookups += 1; return Promise.resolve([{ address: PUBLIC, family: 4 }]); } });
    for (let calls = 0; calls < 20; calls += 1) expect(await reasonOf(fetch, `https://issuer.test:${server.port}/`)).toBe('http 200');
    expect(lookups).toBeLessThan(20);
  });

  test('uses no proxy, whatever the environment says', async () => {
    const proxy = await listen((_request, response) => response.end());
    const before = { ...process.env };
    Object.assign(process.env, { https_proxy: `http://${PUBLIC}:${proxy.port}`, HTTPS_PROXY: `http://${PUBLIC}:${proxy.port}`, NODE_USE_ENV_PROXY: '1' });
    expect(await reasonOf(open(), `https://issuer.test:${server.port}/`)).toBe('http 200');
    process.env = before;
    expect(proxy.requests).toEqual([]);
    await proxy.close();
  });
});

describe('the address', () => {
  test('is refused when the name points inward', async () => {
    names.set('inward.test', ['10.0.0.1']);
    expect(await reasonOf(open(), 'https://inward.test/')).toBe('address_not_public');
  });

  test('is refused when any one of several points inward', async () => {
    names.set('mixed.test', [PUBLIC, '10.0.0.1']);
    expect(await reasonOf(open(), `https://mixed.test:${server.port}/`)).toBe('address_not_public');
  });

  test('is refused for metadata services even when the range was allowed', async () => {
    names.set('metadata.test', ['169.254.169.254']);
    expect(await reasonOf(open(), 'https://metadata.test/latest/meta-data', { allowAddresses: ['169.254.0.0/16'] })).toBe('address_metadata');
  });

  test.each([
    { url: 'https://169.254.169.254/latest/meta-data', reason: 'address_metadata' },
    { url: 'https://[::ffff:a9fe:a9fe]/', reason: 'address_metadata' },
    { url: 'https://[fd00:ec2::254]/', reason: 'address_metadata' },
    { url: 'https://[::1]/', reason: 'address_not_public' },
    { url: 'https://10.0.0.1/', reason: 'address_not_public' },
    { url: 'https://127.0.0.2/', reason: 'address_not_public' },
    { url: 'https://[::ffff:7f00:2]/', reason: 'address_not_public' },
  ])('is refused as the literal $url', async ({ url, reason }) => {
    expect(await reasonOf(open(), url)).toBe(reason);
  });

  test('is judged again for every connection, so that a rebound name reaches nothing', async () => {
    const answers = [PUBLIC, PRIVATE];
    const fetch = open({ lookup: () => Promise.resolve([{ address: answers.shift() ?? PRIVATE, family: 4 }]) });
    handler = (_request, response) => response.setHeader('connection', 'close').end('ok');
    expect(await reasonOf(fetch, `https://issuer.test:${server.port}/`)).toBe('http 200');
    expect(await reasonOf(fetch, `https://issuer.test:${inside.port}/`)).toBe('address_not_public');
    expect(inside.requests).toEqual([]);
  });

  test('is connected to only as judged: the second answer of a name is never asked for', async () => {
    const asked: string[] = [];
    const fetch = open({ lookup: (name) => { asked.push(name); return Promise.resolve([{ address: asked.length === 1 ? PUBLIC : PRIVATE, family: 4 }]); } });
    expect(await reasonOf(fetch, `https://issuer.test:${server.port}/`)).toBe('http 200');
    expect(asked).toEqual(['issuer.test']);
  });

  test('of a connection opened under an allowance is not reached by a call without it', async () => {
    const fetch = open();
    expect(await reasonOf(fetch, `https://issuer.test:${server.port}/`)).toBe('http 200');
    expect(await reasonOf(fetch, `https://issuer.test:${server.port}/`, { allowAddresses: [] })).toBe('address_not_public');
  });

  test('of a name that does not resolve is a failure, not a fault', async () => {
    expect(await reasonOf(open(), 'https://nowhere.test/')).toBe('name_not_resolved');
    expect(await reasonOf(open({ lookup: () => Promise.reject(new Error('ENOTFOUND')) }), 'https://issuer.test/')).toBe('name_not_resolved');
  });

  test('does not replace the certificate check', async () => {
    expect(await reasonOf(open(), `https://stranger.test:${server.port}/`)).toBe('unreachable');
  });
});

describe('the URL', () => {
  test.each([
    { name: 'plain http', url: 'http://issuer.test/', reason: 'url_not_https' },
    { name: 'another scheme', url: 'file:///etc/passwd', reason: 'url_not_https' },
    { name: 'userinfo', url: 'https://user:pw@issuer.test/', reason: 'url_userinfo' },
    { name: 'empty userinfo', url: 'https://@issuer.test/', reason: 'url_userinfo' },
    { name: 'a fragment', url: 'https://issuer.test/#x', reason: 'url_malformed' },
    { name: 'an empty fragment', url: 'https://issuer.test/#', reason: 'url_malformed' },
    { name: 'a path that climbs', url: 'https://issuer.test/a/../b', reason: 'url_malformed' },
    { name: 'an encoded address', url: 'https://0x7f.1/', reason: 'url_malformed' },
    { name: 'a decimal address', url: 'https://2130706433/', reason: 'url_malformed' },
    { name: 'a non-ASCII name', url: 'https://ıssuer.test/', reason: 'url_malformed' },
    { name: 'a backslash', url: 'https://issuer.test\\@evil.test/', reason: 'url_malformed' },
    { name: 'a doubled slash', url: 'https://issuer.test//a', reason: 'url_malformed' },
    { name: 'a line break', url: 'https://issuer.test/\r\nx', reason: 'url_malformed' },
    { name: 'more than 2,048 characters', url: `https://issuer.test/${'a'.repeat(2029)}`, reason: 'url_malformed' },
    { name: 'nothing', url: '', reason: 'url_malformed' },
  ])('with $name is refused', async ({ url, reason }) => {
    expect(await reasonOf(open(), url)).toBe(reason);
  });

  test('may be plain http for loopback where development allows it, and only there', async () => {
    const plain = await listen((_request, response) => response.end('ok'));
    const development = { allowAddresses: [], allowLoopbackHttp: true };
    expect(await reasonOf(open(), `http://127.0.0.1:${plain.port}/`, development)).toBe('http 200');
    expect(await reasonOf(open(), `http://127.0.0.1:${plain.port}/`, { ...development, allowLoopbackHttp: false })).toBe('url_not_https');
    expect(await reasonOf(open(), `http://issuer.test:${plain.port}/`, development)).toBe('url_not_https');
    expect(await reasonOf(open(), 'http://10.0.0.1/', development)).toBe('url_not_https');
    expect(await reasonOf(open(), 'ftp://127.0.0.1/', development)).toBe('url_not_https');
    await plain.close();
  });

  test('that is plain http on loopback opens loopback to no https URL', async () => {
    const plain = await listen((_request, response) => response.end('ok'));
    const fetch = open();
    expect(await reasonOf(fetch, `http://127.0.0.1:${plain.port}/`, { allowAddresses: [], allowLoopbackHttp: true })).toBe('http 200');
    expect(await reasonOf(fetch, `https://issuer.test:${server.port}/`, { allowAddresses: [], allowLoopbackHttp: true })).toBe('address_not_public');
    await plain.close();
  });

  test('may be http://localhost there, unless that name points elsewhere', async () => {
    const plain = await listen((_request, response) => response.end('ok'));
    const development = { allowAddresses: [], allowLoopbackHttp: true };
    names.set('localhost', [PUBLIC]);
    expect(await reasonOf(open(), `http://localhost:${plain.port}/`, development)).toBe('http 200');
    names.set('localhost', ['10.0.0.1']);
    expect(await reasonOf(open(), `http://localhost:${plain.port}/`, development)).toBe('address_not_public');
    await plain.close();
  });
});

describe('the reply', () => {
  test.each([300, 301, 302, 303, 307, 308, 399])('is not followed when it is a %i, not even to a public address', async (status) => {
    handler = (_request, response) => response.writeHead(status, { location: `https://issuer.test:${server.port}/elsewhere` }).end();
    const before = server.requests.length;
    expect(await reasonOf(open(), `https://issuer.test:${server.port}/`)).toBe('redirected');
    expect(server.requests.length).toBe(before + 1);
  });

  test('that redirects to a private address reaches nothing there', async () => {
    handler = (_request, response) => response.writeHead(302, { location: `https://${PRIVATE}:${inside.port}/` }).end();
    expect(await reasonOf(open(), `https://issuer.test:${server.port}/`)).toBe('redirected');
    expect(inside.requests).toEqual([]);
  });

  test('of exactly the cap is read, of one byte more refused', async () => {
    handler = (_request, response) => response.end(Buffer.alloc(1024));
    expect(await reasonOf(open(), `https://issuer.test:${server.port}/`)).toBe('http 200');
    handler = (_request, response) => response.end(Buffer.alloc(1025));
    expect(await reasonOf(open(), `https://issuer.test:${server.port}/`)).toBe('too_large');
  });

  test('that announces more than the cap is not waited for', async () => {
    handler = (_request, response) => { response.writeHead(200, { 'content-length': '1025' }).flushHeaders(); };
    expect(await reasonOf(open(), `https://issuer.test:${server.port}/`)).toBe('too_large');
  });

  test('is cut off at the cap when it announces no length', async () => {
    let sent = 0;
    handler = (_request, response) => {
      const more = (): void => {
        while (!response.destroyed && sent < 64 * 1024 * 1024) {
          sent += 65536;
          if (!response.write(Buffer.alloc(65536))) return void response.once('drain', more);
        }
      };
      more();
    };
    expect(await reasonOf(open(), `https://issuer.test:${server.port}/`)).toBe('too_large');
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });

  test('is refused when compressed, whatever its size', async () => {
    handler = (_request, response) => response.setHeader('content-encoding', 'gzip').end(gzipSync('ok'));
    expect(await reasonOf(open(), `https://issuer.test:${server.port}/`)).toBe('encoded');
    handler = (_request, response) => response.setHeader('content-encoding', 'identity').end('ok');
    expect(await reasonOf(open(), `https://issuer.test:${server.port}/`)).toBe('http 200');
  });

  test('that trickles in is given up at the time cap', async () => {
    handler = (_request, response) => {
      response.write('a');
      const drip = setInterval(() => response.write('a'), 20);
      response.on('close', () => clearInterval(drip));
    };
    expect(await reasonOf(open(), `https://issuer.test:${server.port}/`, { timeoutMs: 300 })).toBe('timed_out');
  });

  test('that never starts is given up at the time cap', async () => {
    handler = () => undefined;
    expect(await reasonOf(open(), `https://issuer.test:${server.port}/`, { timeoutMs: 300 })).toBe('timed_out');
  });

  test('that never comes because the name is never resolved is given up at the time cap', async () => {
    const before = performance.now();
    expect(await reasonOf(open({ lookup: () => new Promise(() => undefined) }), 'https://issuer.test/', { timeoutMs: 300 })).toBe('timed_out');
    // undici by itself would wait for its connector, five seconds.
    expect(performance.now() - before).toBeLessThan(4800);
  });

  test('that is still to come when all is closed comes no more', async () => {
    const asked = new Promise<void>((resolve) => { handler = () => { resolve(); }; });
    const fetch = open();
    const outcome = reasonOf(fetch, `https://issuer.test:${server.port}/`);
    await asked;
    await fetch.close();
    expect(await outcome).toBe('unreachable');
  });

  test('with oversized headers is refused', async () => {
    handler = (_request, response) => response.setHeader('x-large', 'a'.repeat(20_000)).end();
    expect(await reasonOf(open(), `https://issuer.test:${server.port}/`)).toBe('unreachable');
  });
});

test('tells no path, query or body in a failure', async () => {
  const result = await open()(`https://stranger.test:${server.port}/path?token=hunter2`, { ...base, method: 'POST', body: 'hunter2' });
  expect(result.ok).toBe(false);
  expect(JSON.stringify(result)).not.toContain('hunter2');
});
