import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { compileFunction } from 'node:vm';
import { inflateSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { issued, startLab, until } from './lab.ts';
import type { Lab } from './lab.ts';

type StatusOf = (claims: object) => Promise<number>;

let lab: Lab;
beforeAll(async () => { lab = await startLab(); });
afterAll(async () => { await lab.close(); });

/** What docs/status-lists.md shows, for this issuer and with a clock of its own. */
const shown = (clock: { readonly now: () => number }): StatusOf => {
  const page = readFileSync(fileURLToPath(new URL('../../docs/status-lists.md', import.meta.url)), 'utf8');
  const code = /```js\n([^]*?)```/.exec(page)?.[1]?.replaceAll(/^import .*$/gm, '').replace('https://sts.acme.example/prod', lab.issuer) ?? '';
  const read = compileFunction(`${code}\nreturn statusOf;`, ['inflateSync', 'createRemoteJWKSet', 'jwtVerify', 'fetch', 'Date']) as (...given: readonly unknown[]) => StatusOf;
  return read(inflateSync, createRemoteJWKSet, jwtVerify, (...args: Parameters<typeof fetch>) => { fetched += 1; return fetch(...args); }, clock);
};
let fetched = 0;

test('the code of docs/status-lists.md fetches once in half a minute, and knows what was revoked', async () => {
  const time = { now: Date.now() };
  const statusOf = shown({ now: () => time.now });
  const [one, two] = [await lab.token(), await lab.token()].map((token) => decodeJwt(token));
  expect([await statusOf(one ?? {}), await statusOf(two ?? {})]).toEqual([0, 0]);
  expect((await lab.mayfly.admin('POST', 'revocations', { kind: 'lease', id: one?.jti, reason: 'test' })).status).toBe(200);
  expect(await statusOf(one ?? {})).toBe(0);
  expect(fetched).toBe(1);
  // Where looking took a while, the server looks again a few times as long after that.
  await until(async () => {
    time.now += 30_001;
    const before = fetched;
    const status = await statusOf(one ?? {});
    expect([await statusOf(two ?? {}), fetched - before]).toEqual([0, 1]);
    return status === 1;
  });
});

test('it takes no list of others, and no entry that is not there', async () => {
  const statusOf = shown(Date);
  const { status } = decodeJwt<{ status: { status_list: { idx: number; uri: string } } }>(await lab.token());
  const naming = (change: object): object => ({ status: { status_list: { ...status.status_list, ...change } } });
  expect(await statusOf(naming({ idx: 1_048_575 }))).toBe(0);
  await expect(statusOf(naming({ idx: 1_048_576 }))).rejects.toThrow('no such entry');
  await expect(statusOf(naming({ idx: -1 }))).rejects.toThrow('no such entry');
  await expect(statusOf(naming({ uri: 'https://evil.example/prod/status/x' }))).rejects.toThrow('the list of somebody else');
  await expect(statusOf(naming({ uri: `${lab.issuer}/status/AAAAAAAAAAAAAAAAAAAAAA` }))).rejects.toThrow('no status list: 404');
});

test('it goes on with what it has while the server is away, until that is over', async () => {
  const time = { now: Date.now() };
  const statusOf = shown({ now: () => time.now });
  const claims = decodeJwt(issued(await lab.exchange({ subject_token: lab.job() })));
  expect(await statusOf(claims)).toBe(0);
  await lab.mayfly.server.close();
  time.now += 4 * 60_000;
  expect(await statusOf(claims)).toBe(0);
  time.now += 120_000;
  await expect(statusOf(claims)).rejects.toThrow();
});
