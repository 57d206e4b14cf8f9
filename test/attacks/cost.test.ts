import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ACCESS_TOKEN_TYPE } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { API, MORE_APIS, SCOPES, startOddWorld } from './odd-world.ts';
import type { OddWorld } from './odd-world.ts';

const details = (pairs: readonly (readonly [string, readonly string[]])[]): string => JSON.stringify(pairs.map(([audience, scopes]) => ({ type: 'urn:mayfly:ceiling', audience, scopes })));
const ASKED = 'https://a.acme.example/';

describe('one request that asks for very much', () => {
  let world: OddWorld;
  beforeAll(async () => { world = await startOddWorld(); });
  afterAll(async () => { await world.close(); });

  const session = (authorization_details: string) => world.exchange({ authorization_details });

  test('gets at most 128 decisions', async () => {
    const [first = '', second = ''] = MORE_APIS;
    expect((await session(details([[API, SCOPES], [first, SCOPES]]))).status).toBe(200);
    const more = await session(details([[API, SCOPES], [first, SCOPES], [second, []]]));
    expect(await world.mayfly.reason(more)).toBe('details_malformed');
  });

  test('cannot ask for the same over and over and leave the work to whoever explains it', async () => {
    const again = await session(details([...Array.from({ length: 31 }, () => [API, Array.from({ length: 8 }, () => 's1')] as const), [API, ['unregistered']]]));
    expect(await world.mayfly.reason(again)).toBe('details_malformed');
  });

  test('gets a session token that is not too long to be spent', async () => {
    // The most that fits: names of a thousand characters.
    const long = Array.from({ length: 9 }, (_, at) => `${ASKED}${at}/${'x'.repeat(1024 - ASKED.length - 2)}`);
    const of = { domain: 'dev', owner: OWNER, expires: FAR };
    await world.mayfly.apply({
      resources: long.map((audience) => ({ ...of, audience })),
      policies: long.map((audience, at) => ({ ...of, name: `long-${at}`, cedar: `permit(principal == Workload::"spiffe://dev.127.0.0.1/odd", action == Action::"issue", resource == Resource::"${audience}");` })),
    });
    const asked = details(long.map((audience) => [audience, []]));
    const answer = await session(asked);
    expect(asked.length).toBeGreaterThan(9_500);
    expect(answer.status).toBe(200);
    const spent = await world.mayfly.exchange({ subject_token: String(answer.body['access_token']), subject_token_type: ACCESS_TOKEN_TYPE, audience: String(long[0]) });
    expect(spent.status).toBe(200);
    expect(await world.mayfly.reason(await session(asked.replace('[', `[${' '.repeat(1000)}`)))).toBe('details_malformed');
  });
});
