import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { authorityLimits } from '../../src/registry/limits.ts';
import { MINUTE, SECOND } from '../../src/core/duration.ts';
import { createStrictSts } from '../../demo/strict-sts.ts';
import type { StrictSts } from '../../demo/strict-sts.ts';
import { makePostgresPlace } from '../processes/places.ts';
import type { Place } from '../processes/places.ts';
import { startForeignIssuer } from '../support/foreign-issuer.ts';
import type { ForeignIssuer } from '../support/foreign-issuer.ts';
import { startMayfly } from '../support/mayfly.ts';
import type { Answer, Mayfly } from '../support/mayfly.ts';
import { startPostgres } from '../support/postgres.ts';
import type { Postgres } from '../support/postgres.ts';
import { ROLE_ARN, trustPolicy } from '../support/strict-sts.ts';
import { FAR, OWNER } from '../support/world.ts';
import { API, DEPLOY, DEPLOYER, claimsOf, issued, labManifest, until, untilLevel } from './lab.ts';

/** Two nodes over one PostgreSQL, an issuer and an STS, all on one clock that the test moves. */
const time = { now: Date.UTC(2026, 10, 22, 12) };
const clock = { now: () => time.now };
let postgres: Postgres;
let place: Place;
let platform: ForeignIssuer;
let sts: StrictSts;
let a: Mayfly;
let b: Mayfly;
beforeAll(async () => {
  postgres = await startPostgres();
  place = await makePostgresPlace(postgres);
  platform = await startForeignIssuer({ clock });
  a = await startMayfly({ clock, folder: place.folder('a'), overrides: place.config });
  b = await startMayfly({ clock, folder: place.folder('b'), overrides: { ...place.config, external_url: a.url } });
  sts = await createStrictSts({ issuerUrl: `${a.url}/dev`, clock, roles: [{ arn: ROLE_ARN, trust: trustPolicy(`${a.url}/dev`, DEPLOYER) }] });
  await a.apply(labManifest(platform.issuer));
  await a.apply({
    resources: [{ domain: 'dev', audience: ROLE_ARN, provider: 'aws-sts', endpoint: sts.url, owner: OWNER, expires: FAR }],
    policies: [{ domain: 'dev', name: 'deployer-aws', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource == Resource::"${ROLE_ARN}");` }],
  });
  await untilLevel(a, b);
});
afterAll(async () => {
  await b.close();
  await a.close();
  await sts.close();
  await platform.close();
  await place.drop();
  await postgres.stop();
});

const pass = async (milliseconds: number): Promise<void> => {
  time.now += milliseconds;
  for (const node of [a, b]) await until(async () => (await fetch(`${node.url}/readyz`)).status === 200);
};
const job = (run: number): string => platform.mint({ ...DEPLOY, aud: `${a.url}/dev`, run_id: String(run) });
const ask = (node: Mayfly, run: number, evidence = job(run)): Promise<Answer> => node.exchange({ subject_token: evidence, audience: API, scope: 'deploy:read' });
const sidOf = (answer: Answer): string => String(claimsOf(issued(answer))['sid']);
const RUNS = [1, 2, 3, 4, 5, 6, 7, 8];

test('nodes that race to open a session open one, and both find its end when it comes', async () => {
  const opened = await Promise.all(RUNS.map((run) => Promise.all([ask(a, run), ask(b, run)])));
  const ends = time.now + authorityLimits(undefined).sessionAge.bounded;
  for (const [one, other] of opened) {
    expect(sidOf(one)).toBe(sidOf(other));
    expect((await a.admin('GET', `sessions/${sidOf(one)}`)).body).toMatchObject({ status: 'active', started_at: new Date(time.now).toISOString(), expires_at: new Date(ends).toISOString() });
  }
  expect((await b.admin('GET', 'sessions')).body['items']).toHaveLength(RUNS.length);

  await pass(authorityLimits(undefined).sessionAge.bounded - 3 * MINUTE);
  const late = await Promise.all(RUNS.flatMap((run) => [ask(a, run), ask(b, run)]));
  expect(late.map(({ status, body }) => [status, body['expires_in']])).toEqual(late.map(() => [200, 180]));
  const keys = JSON.parse(issued(await b.exchange({ subject_token: job(1), audience: ROLE_ARN }))) as { readonly AccessKeyId: string; readonly Expiration: string };
  expect(Date.parse(keys.Expiration)).toBe(ends);
  expect(sts.calls).toHaveLength(1);

  // One piece of evidence at both nodes, which both have to look at the stored session for.
  const evidence = RUNS.map(job);
  const raced = await Promise.all(evidence.map((token, index) => Promise.all([ask(a, RUNS[index] ?? 0, token), ask(b, RUNS[index] ?? 0, token)])));
  expect(raced.map((pair) => pair.map(({ status }) => status).sort())).toEqual(RUNS.map(() => [200, 400]));
  const lost = raced.flatMap(([one, other]) => (one.status === 400 ? [a.reason(one)] : [b.reason(other)]));
  expect(new Set(await Promise.all(lost))).toEqual(new Set(['evidence_replayed']));

  await pass(3 * MINUTE - SECOND + 1);
  expect(await Promise.all([a, b].map(async (node) => node.reason(await ask(node, 1))))).toEqual(['lifetime_exhausted', 'lifetime_exhausted']);
  await pass(SECOND - 1);
  expect(await Promise.all([a, b].map(async (node) => node.reason(await ask(node, 1))))).toEqual(['session_ended', 'session_ended']);
  expect((await ask(b, 9)).status).toBe(200);
});
