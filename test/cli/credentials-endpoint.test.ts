import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startCredentialsEndpoint } from '../../src/cli/credentials-endpoint.ts';
import type { CredentialsEndpoint } from '../../src/cli/credentials-endpoint.ts';

const AUTHORIZATION = 'the-token-of-the-file';
let held: string | undefined = '{"AccessKeyId":"ASIA"}';
let endpoint: CredentialsEndpoint;
beforeAll(async () => { endpoint = await startCredentialsEndpoint({ authorization: AUTHORIZATION, answer: () => held }); });
afterAll(async () => endpoint.close());

const ask = (headers: Readonly<Record<string, string>> = {}, { method = 'GET', path }: { readonly method?: string; readonly path?: string } = {}): Promise<{ readonly status: number; readonly body: unknown; readonly headers: object }> =>
  new Promise((resolve, reject) => {
    const url = new URL(path ?? endpoint.url, endpoint.url);
    const sent = request(url, { method, headers: { authorization: AUTHORIZATION, ...headers } }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: JSON.parse(Buffer.concat(chunks).toString('utf8')) }));
    });
    sent.on('error', reject);
    sent.end();
  });

describe('the container credentials endpoint', () => {
  test('answers its caller from what is held, and lets nobody keep it', async () => {
    expect(endpoint.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/credentials$/);
    expect(await ask()).toMatchObject({ status: 200, body: { AccessKeyId: 'ASIA' }, headers: { 'cache-control': 'no-store' } });
  });

  test.each([
    { name: 'without the token', headers: { authorization: '' }, code: 'AccessDenied' },
    { name: 'with another token', headers: { authorization: `${AUTHORIZATION}x` }, code: 'AccessDenied' },
    { name: 'with the token as Bearer, which no SDK sends', headers: { authorization: `Bearer ${AUTHORIZATION}` }, code: 'AccessDenied' },
    { name: 'from a page in a browser', headers: { origin: 'https://evil.example' }, code: 'ForeignCaller' },
    { name: 'from a page that names no origin', headers: { 'sec-fetch-site': 'cross-site' }, code: 'ForeignCaller' },
    { name: 'through a proxy', headers: { 'x-forwarded-for': '203.0.113.1' }, code: 'ForeignCaller' },
    { name: 'under another name (DNS rebinding)', headers: { host: 'evil.example' }, code: 'ForeignHost' },
    { name: 'under another port', headers: { host: '127.0.0.1:1' }, code: 'ForeignHost' },
  ])('refuses a caller $name', async ({ headers, code }) => {
    expect(await ask(headers)).toMatchObject({ status: 403, body: { Code: code, Message: expect.any(String) } });
  });

  test.each([{ name: 'another path', options: { path: '/' } }, { name: 'another method', options: { method: 'POST' } }])('has nothing under $name', async ({ options }) => {
    expect(await ask({}, options)).toMatchObject({ status: 404, body: { Code: 'NotFound' } });
  });

  test('says so when the keys have ended', async () => {
    held = undefined;
    expect(await ask()).toMatchObject({ status: 400, body: { Code: 'CredentialsExpired' } });
  });
});
