import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { decodeProtectedHeader } from 'jose';
import { HOUR, MINUTE } from '../../src/core/duration.ts';
import type { Answer } from '../support/mayfly.ts';
import { ALICE, READ, spiffe, startAgentsLab } from './agents-lab.ts';
import type { AgentName, AgentsLab } from './agents-lab.ts';
import { ceilingOf, claimsOf, issued } from './lab.ts';

// Hundreds of exchanges, one after the other.
jest.setTimeout(180_000);

const SESSION_TYPE = 'urn:mayfly:token-type:session';
/** Between two renewals: a minute before a token would end. */
const STEP = 4 * MINUTE;
const LOGIN_COUNTS = 3 * HOUR;
const SESSION_LASTS = 8 * HOUR;
const CHAIN = ['agents/planner', 'agents/searcher', 'tools/mailer'] as const satisfies readonly AgentName[];
type Actor = (typeof CHAIN)[number];

let lab: AgentsLab;
beforeAll(async () => {
  lab = await startAgentsLab({ timed: true, change: (manifest) => ({
    ...manifest, domains: [{ name: 'dev', stage: 'development', owner: 'local', limits: { depth: 4, session_age: { delegated: SESSION_LASTS / 1000 }, fresh_within: { delegated: LOGIN_COUNTS / 1000 } } }],
  }) });
});
afterAll(async () => { await lab.close(); });

const reasonOf = async (answer: Answer): Promise<string> => (answer.status === 200 ? 'issued' : lab.mayfly.reason(answer));
/** A node looks at its registry every 250 ms of real time; this call makes it look at once. */
const pass = async (milliseconds: number): Promise<void> => {
  lab.time.now += milliseconds;
  await lab.mayfly.admin('POST', 'enable', { kind: 'workload', id: 'agents/planner', domain: 'dev' });
};
const rotate = async (): Promise<void> => {
  const answer = await lab.mayfly.admin('POST', 'keys/rotate', { domain: 'dev', purpose: 'access' });
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
};
const login = (sid: string): Readonly<Record<string, string>> => ({ subject_token: lab.idToken({ sid, auth_time: lab.time.now / 1000 }) });

/** Whoever stands at this place of the chain and everybody before it, outermost who acts now. */
const actOf = (actor: Actor): object | undefined =>
  CHAIN.slice(0, CHAIN.indexOf(actor) + 1).reduce<object | undefined>((inner, name) => ({ iss: lab.issuer, sub: spiffe(name), ...(inner === undefined ? {} : { act: inner }) }), undefined);

/** A token of this chain and no other: for Alice, by all of them, for minutes, and signed by a key that verifiers can find. */
const checkToken = async (token: string, actor: Actor, sid: unknown): Promise<void> => {
  const claims = claimsOf(token);
  expect(claims).toMatchObject({ sid, sub: ALICE, client_id: spiffe(actor), act: actOf(actor), authority: { model: 'delegated', principal: ALICE, depth: CHAIN.indexOf(actor) } });
  expect(Number(claims['exp']) - Number(claims['iat'])).toBeLessThanOrEqual(300);
  const { keys } = (await (await fetch(`${lab.issuer}/jwks.json`)).json()) as { readonly keys: readonly { readonly kid: string }[] };
  expect(keys.map(({ kid }) => kid)).toContain(decodeProtectedHeader(token).kid);
};

test('a chain of three goes on for eight hours on tokens of five minutes: over new keys, a restart, an old login and a new one, until its session is as old as it may be', async () => {
  const began = lab.time.now;
  const first = await lab.session(READ, login('long'));
  const sid = claimsOf(first)['sid'];
  const tokens = new Map<Actor, string>([['agents/planner', first]]);
  tokens.set('agents/searcher', issued(await lab.takeUp(issued(await lab.handOn(first, 'agents/searcher')), 'agents/searcher')));
  tokens.set('tools/mailer', issued(await lab.takeUp(issued(await lab.handOn(tokens.get('agents/searcher') ?? '', 'tools/mailer')), 'tools/mailer')));
  const signedBy = new Set<unknown>();
  let resource = '';

  const renewLive = (actor: Actor): Promise<Answer> => lab.spend(tokens.get(actor) ?? '', { actor_token: lab.agent(actor), audience: '' });
  const renewById = (actor: Actor): Promise<Answer> => lab.ask({ subject_token: String(sid), subject_token_type: SESSION_TYPE, actor_token: lab.agent(actor), audience: '' });
  const renewAll = async (renew: (actor: Actor) => Promise<Answer>): Promise<void> => {
    for (const actor of CHAIN) {
      tokens.set(actor, issued(await renew(actor)));
      await checkToken(tokens.get(actor) ?? '', actor, sid);
    }
    resource = issued(await lab.spend(tokens.get('tools/mailer') ?? '', { scope: 'deploy:read' }));
    await checkToken(resource, 'tools/mailer', sid);
    signedBy.add(decodeProtectedHeader(resource).kid);
  };
  const workUntil = async (elapsed: number): Promise<void> => {
    while (lab.time.now + STEP < began + elapsed) {
      await pass(STEP);
      if ((lab.time.now - began) % HOUR < STEP) await rotate();
      await renewAll(renewLive);
    }
  };
  const reasons = async (attempt: (actor: Actor) => Promise<Answer>): Promise<readonly string[]> => Promise.all(CHAIN.map(async (actor) => reasonOf(await attempt(actor))));

  await workUntil(LOGIN_COUNTS);
  expect((await lab.introspect(resource))['active']).toBe(true);
  // The login is as old as it may be: nobody of the chain goes on, and no token of it outlived it.
  await pass(began + LOGIN_COUNTS - lab.time.now);
  expect(await reasons(renewById)).toEqual(['suspended', 'suspended', 'suspended']);
  expect(await lab.introspect(resource)).toEqual({ active: false });
  expect(await reasonOf(await lab.plan({ ...login('another'), scope: 'deploy:read' }))).toBe('issued');
  expect(await reasons(renewById)).toEqual(['suspended', 'suspended', 'suspended']);
  // The person logs in anew, in the same session of their provider, which signs with a new key meanwhile.
  await lab.idp.rotate();
  await pass(MINUTE);
  expect(await reasonOf(await lab.plan({ ...login('long'), scope: 'deploy:read' }))).toBe('issued');
  await renewAll(renewById);

  await workUntil(4 * HOUR + 30 * MINUTE);
  // Nobody answers for twenty minutes: every token is over when the broker is back, and the session is not.
  lab.time.now += 20 * MINUTE;
  await lab.mayfly.restart();
  expect(await reasons(renewLive)).toEqual(['token_expired', 'token_expired', 'token_expired']);
  await renewAll(renewById);

  await workUntil(6 * HOUR);
  // This time the person logs in before their login is too old, and nobody stops working.
  expect(await reasonOf(await lab.plan({ ...login('long'), scope: 'deploy:read' }))).toBe('issued');
  await renewAll(renewLive);
  await workUntil(SESSION_LASTS);
  expect(claimsOf(resource)['exp']).toBe((began + SESSION_LASTS) / 1000);
  expect((await lab.introspect(resource))['active']).toBe(true);

  // As old as it may be, it ends, whatever is shown.
  await pass(began + SESSION_LASTS - lab.time.now);
  expect(await lab.introspect(resource)).toEqual({ active: false });
  expect(await reasons(renewById)).toEqual(['session_ended', 'session_ended', 'session_ended']);
  expect(await reasonOf(await lab.plan({ ...login('long'), scope: 'deploy:read' }))).toBe('session_ended');
  expect(await reasonOf(await lab.plan({ ...login('next'), scope: 'deploy:read' }))).toBe('issued');

  // It was one session with three actors all along, signed for by several keys in turn, and the log of it is whole.
  const shown = (await lab.mayfly.admin('GET', `sessions/${String(sid)}`)).body;
  const hops = (shown['hops'] as readonly { readonly actor: string; readonly depth: number }[]).map(({ actor, depth }) => [depth, actor] as const);
  expect(hops.toSorted(([a], [b]) => a - b)).toEqual(CHAIN.map((name, depth) => [depth, spiffe(name)]));
  expect(shown).toMatchObject({ status: 'ended', person: ALICE });
  expect(signedBy.size).toBeGreaterThanOrEqual(3);
  expect((await lab.mayfly.admin('POST', 'audit/verify', { checkpoints: [] })).body).toMatchObject({ ok: true, findings: [] });
  expect(await reasonOf(await lab.ask({ subject_token: String(sid), subject_token_type: SESSION_TYPE, actor_token: lab.agent('agents/planner'), audience: '', authorization_details: ceilingOf(READ) }))).toBe('session_ended');
});
