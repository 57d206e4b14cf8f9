import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { makePostgresPlace } from '../processes/places.ts';
import type { Place } from '../processes/places.ts';
import { ACCESS_TOKEN_TYPE, GRANT, JWT_TYPE, startMayfly } from '../support/mayfly.ts';
import type { Answer, Mayfly } from '../support/mayfly.ts';
import { startPostgres } from '../support/postgres.ts';
import type { Postgres } from '../support/postgres.ts';
import { READ } from './agents-lab.ts';
import { API, ceilingOf, claimsOf, issued, until, untilLevel } from './lab.ts';
import { POOL, TEMPLATE, instance, startTemplatesLab } from './templates-lab.ts';
import type { TemplatesLab } from './templates-lab.ts';

/** Two nodes over one PostgreSQL; the lab talks to the first. */
let postgres: Postgres;
let place: Place;
let at: TemplatesLab;
let other: Mayfly;
beforeAll(async () => {
  postgres = await startPostgres();
  place = await makePostgresPlace(postgres);
  at = await startTemplatesLab({ mayfly: { folder: place.folder('a'), overrides: place.config } });
  other = await startMayfly({ folder: place.folder('b'), overrides: { ...place.config, external_url: at.lab.mayfly.url } });
  await untilLevel(at.lab.mayfly, other);
});
afterAll(async () => {
  await other.close();
  await at.lab.close();
  await place.drop();
  await postgres.stop();
});

/** At the other node. */
const spend = (token: string, values: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  other.form('dev/token', { grant_type: GRANT, subject_token: token, subject_token_type: ACCESS_TOKEN_TYPE, ...(values['actor_token'] === undefined ? {} : { actor_token_type: JWT_TYPE }), audience: API, ...values });
const takeUp = (handover: string, evidence: string): Promise<Answer> => spend(handover, { actor_token: evidence, audience: '', authorization_details: ceilingOf(READ) });
const reasonOf = async (answer: Answer): Promise<string> => (answer.status === 200 ? 'issued' : other.reason(answer));

test('an instance admitted at one node acts at another at once, and hands on there', async () => {
  const token = issued(await at.use('p-1'));
  const spent = await spend(token, { scope: 'deploy:read' });
  expect(claimsOf(issued(spent))['client_id']).toBe(instance('p-1'));
  const further = issued(await spend(token, { audience: '', authorization_details: ceilingOf(READ), requested_actor: TEMPLATE }));
  const child = issued(await takeUp(further, at.pod('p-2')));
  expect(claimsOf(issued(await at.lab.spend(child, { scope: 'deploy:read' })))).toMatchObject({ client_id: instance('p-2'), act: { sub: instance('p-2'), act: { sub: instance('p-1') } } });
  await at.end(token);
});

test('is known at the other node, and revoked there is refused at both', async () => {
  const token = issued(await at.use('p-3'));
  await until(async () => (await other.admin('GET', `workloads/dev/${encodeURIComponent(`${POOL}/p-3`)}`)).status === 200);
  const id = String((await other.admin('GET', `workloads/dev/${encodeURIComponent(`${POOL}/p-3`)}`)).body['id']);
  // The other node knows it, for it can be revoked there; the first one refuses it from the commit on.
  const waiting = issued(await at.handTo(await at.session(), TEMPLATE));
  expect((await other.admin('POST', 'revocations', { kind: 'workload', id, reason: 'rogue' })).status).toBe(200);
  expect([await at.reasonOf(await at.lab.spend(token, { scope: 'deploy:read' })), await at.reasonOf(await at.takeUp(waiting, at.pod('p-3'))), await reasonOf(await takeUp(waiting, at.pod('p-3')))]).toEqual(['revoked', 'revoked', 'revoked']);
  await at.end(token);
});

test('no more than the most are live, whichever nodes they come to', async () => {
  const handover = issued(await at.handTo(await at.session(), TEMPLATE));
  const answers = await Promise.all(Array.from({ length: 10 }, (_, pod) => (pod % 2 === 0 ? at.takeUp(handover, at.pod(`many-${pod}`)) : takeUp(handover, at.pod(`many-${pod}`)))));
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, ...Array<number>(8).fill(429)]);
  const refused = answers.filter(({ status }) => status === 429);
  expect(new Set(await Promise.all(refused.map((answer) => at.reasonOf(answer))))).toEqual(new Set(['instances_exhausted']));
});
