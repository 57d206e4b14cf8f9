import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { hold, listOf, pick, textOf } from '../ask.ts';
import type { Json } from '../mayfly.ts';
import type { Step } from '../walk.ts';
import { logIn } from './log-in.ts';
import { ACCESS_TOKEN, DOCS, asActor, ceiling, evidenceOf, spend, spiffe, startBoundClient, tokenFileOf, tokenIn, until } from './scene.ts';
import type { Name, Scene } from './scene.ts';

/** Tokens of the chain that are good somewhere: which actor got which. */
interface Chain { readonly idToken: string; readonly sid: string; readonly sessions: Map<Name, string>; readonly resources: Map<Name, string>; handover: string }

/** From a person's login to the end of everything that grew out of it, step by step; throws at the first step that does not hold. */
export const walk = async (scene: Scene, manifest: string, step: Step): Promise<void> => {
  await register(scene, manifest, step);
  const chain = await delegate(scene, step);
  await handOn(scene, chain, step);
  await overreach(scene, chain, step);
  await publish(scene, chain, step);
  await listen(scene, step);
  await endByEvent(scene, chain, step);
  await showTree(scene, chain, step);
};

const register = async ({ mayfly, people, cluster, transmitter }: Scene, manifest: string, step: Step): Promise<void> => {
  step(`Running: Mayfly at ${mayfly.url}, an identity provider at ${people.issuer}, who transmits its events at ${transmitter.issuer}, and the platform of the agents at ${cluster.issuer}.`);
  const changes = listOf(await mayfly.ask(['apply', '-f', '-'], { stdin: manifest }), 'changes').length;
  hold(changes > 0, 'the manifest changed nothing');
  step(`Registered: ${changes} entries: whom to believe about people and about agents, who may do what, and who has to agree.`);
};

const delegate = async (scene: Scene, step: Step): Promise<Chain> => {
  const { mayfly, people } = scene;
  const idToken = await logIn(people, 'assistant', 'alice');
  step('Logged in: Alice, through the identity provider\'s own pages (authorization code with PKCE); its ID token is for the assistant\'s application.', pick(decodeJwt(idToken), 'iss', 'sub', 'aud', 'auth_time', 'groups'));

  const alone = await mayfly.exchange(idToken, { audience: DOCS, scope: 'docs:read' });
  hold(alone.status === 400, `Alice's token alone got ${alone.status}`);
  step(`No impersonation: Alice's token alone is refused. "${textOf(alone.body, 'error_description')}"`);

  const session = tokenIn(await mayfly.exchange(idToken, { ...await asActor(scene, 'planner'), authorization_details: ceiling('docs:read', 'docs:write') }));
  const claims = decodeJwt(session);
  hold(claims.sub === 'urn:mayfly:demo:person:corp:alice' && claims.aud === mayfly.issuer, `the session token says ${JSON.stringify(claims)}`);
  step('Delegated: the planner shows Alice\'s token and its own evidence, and gets a session token: worth nothing at any API, to be exchanged within its ceiling.', pick(claims, 'sub', 'act', 'authority', 'authorization_details'));
  return { idToken, sid: textOf(claims, 'sid'), sessions: new Map([['planner', session]]), resources: new Map(), handover: '' };
};

/** Two calls: narrowed by whoever hands on, taken up by the one it names with evidence of its own. */
const give = async (scene: Scene, from: string, to: Name, ...scopes: readonly string[]): Promise<string> =>
  tokenIn(await spend(scene, from, { requested_actor: spiffe(to), authorization_details: ceiling(...scopes) }));

const handOn = async (scene: Scene, chain: Chain, step: Step): Promise<void> => {
  const planner = sessionOf(chain, 'planner');
  chain.handover = await give(scene, planner, 'researcher', 'docs:read', 'docs:write');
  for (const [name, scope] of [['researcher', 'docs:read'], ['writer', 'docs:write']] as const) {
    const handover = name === 'researcher' ? chain.handover : await give(scene, planner, 'writer', 'docs:read', 'docs:write');
    const session = tokenIn(await spend(scene, handover, { ...await asActor(scene, name), authorization_details: ceiling(scope) }));
    chain.sessions.set(name, session);
    chain.resources.set(name, tokenIn(await spend(scene, session, { audience: DOCS, scope })));
  }
  const claims = decodeJwt(resourceOf(chain, 'writer'));
  step('Handed on: to two sub-agents. Each takes up a token that only it can, with its own evidence; each API token names Alice and every actor.', pick(claims, 'sub', 'aud', 'scope', 'act'));

  const searching = await give(scene, sessionOf(chain, 'researcher'), 'search', 'docs:read');
  chain.resources.set('search', tokenIn(await spend(scene, searching, { ...await asActor(scene, 'search'), audience: DOCS, scope: 'docs:read' })));
  step('And on: from the researcher to a tool that searches, with less again.', pick(decodeJwt(resourceOf(chain, 'search')), 'scope', 'act'));
};

const overreach = async (scene: Scene, chain: Chain, step: Step): Promise<void> => {
  const { mayfly } = scene;
  const { status, body } = await spend(scene, chain.handover, { ...await asActor(scene, 'researcher'), audience: DOCS, scope: 'docs:write' });
  hold(status === 400 && body['error'] === 'invalid_scope', `the researcher asked for docs:write and got ${status} ${JSON.stringify(body)}`);
  step(`Refused: the researcher, who was handed docs:write as well, asks for it. "${textOf(body, 'error_description')}"`);
  const explained = await mayfly.ask(['explain', textOf(body, 'decision_id')]);
  const questions = listOf(explained, 'policies_now').flatMap((each) => listOf(each, 'questions'));
  const refused = questions.filter((question) => question['permitted_now'] === false);
  hold(explained['code'] === 'scope_denied' && refused.some((question) => question['principal'] === spiffe('researcher')), `decision ${textOf(body, 'decision_id')} is not explained: ${JSON.stringify(explained)}`);
  step('Explained: everybody the request rests on was asked, and one said no.', ...questions.map((question) => `${textOf(question, 'principal')} ${textOf(question, 'action')}: ${question['permitted_now'] === true ? 'yes' : 'no'}`));
};

const publish = async (scene: Scene, chain: Chain, step: Step): Promise<void> => {
  const { mayfly } = scene;
  const refused = await mayfly.exchange(chain.idToken, { ...await asActor(scene, 'planner'), audience: DOCS, scope: 'docs:publish' });
  hold(refused.status === 400 && textOf(refused.body, 'error_description').includes('completion_mode'), `publishing without approval got ${refused.status} ${JSON.stringify(refused.body)}`);
  step(`To be approved: publishing. "${textOf(refused.body, 'error_description')}"`);

  const planner = await startBoundClient(scene, 'planner');
  const asked = { subject_token: chain.idToken, subject_token_type: 'urn:ietf:params:oauth:token-type:id_token', ...await asActor(scene, 'planner'), authorization_details: ceiling('docs:publish'), completion_mode: 'deferred' };
  const deferred = await planner('exchange', asked);
  const id = textOf(deferred.body, 'approval_id');
  hold(deferred.status === 400 && deferred.body['error'] === 'authorization_pending', `asking to publish got ${deferred.status} ${JSON.stringify(deferred.body)}`);
  step(`Waiting: the planner asks for it with a key of its own, and gets a code that works with that key. Request ${id}.`);

  const shown = await mayfly.ask(['approval', 'show', id]);
  step('Shown: what a person is told, from the registry and not from the agent.', pick(shown, 'who', 'on_behalf_of', 'what', 'chain'));
  const file = await tokenFileOf(scene, 'approvals', 'alice');
  const own = await mayfly.command(['--token-file', file, 'approval', 'approve', id, '--reason', 'mine']).then(() => 'approved', (fault: unknown) => String(fault));
  hold(own !== 'approved', 'Alice approved her own request');
  await mayfly.command(['--token-file', await tokenFileOf(scene, 'approvals', 'bob'), 'approval', 'approve', id, '--reason', 'release notes of today']);
  step('Approved: Alice may not, it is done for her; Bob, a docs lead, logs in and approves from the command line.');

  const redeemed = await planner('deferred', { deferral_code: textOf(deferred.body, 'deferral_code') });
  const session = tokenIn(redeemed);
  const again = await planner('deferred', { deferral_code: textOf(deferred.body, 'deferral_code') });
  hold(again.status === 400, 'an approval was redeemed twice');
  const token = tokenIn(await planner('exchange', { subject_token: session, subject_token_type: ACCESS_TOKEN, audience: DOCS, scope: 'docs:publish' }));
  chain.resources.set('planner', token);
  chain.sessions.set('planner', session);
  const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(`${mayfly.issuer}/jwks.json`)), { issuer: mayfly.issuer, audience: DOCS, typ: 'at+jwt' });
  hold(payload['scope'] === 'docs:publish' && decodeJwt(session)['sid'] === chain.sid, `the approved token says ${JSON.stringify(payload)}`);
  step('Redeemed: once, with the same key, for exactly what was approved; the token is bound to that key.', pick(payload, 'sub', 'scope', 'act', 'cnf'));
};

const listen = async (scene: Scene, step: Step): Promise<void> => {
  const { mayfly, receivers } = scene;
  for (const { name, receiver } of receivers) {
    const own = textOf(await mayfly.issue(await evidenceOf(scene, name), { audience: `${mayfly.issuer}/ssf`, scope: 'ssf.manage' }), 'access_token');
    const response = await fetch(`${mayfly.issuer}/ssf/streams`, {
      method: 'POST', headers: { authorization: `Bearer ${own}`, 'content-type': 'application/json' }, signal: AbortSignal.timeout(15_000),
      body: JSON.stringify({ delivery: { method: 'urn:ietf:rfc:8935', endpoint_url: receiver.url } }),
    });
    hold(response.status === 201, `${name} got no stream: ${response.status} ${await response.text()}`);
  }
  step('Listening: the documentation API and the SIEM have made themselves streams of security events (SSF 1.0).');
};

const endByEvent = async (scene: Scene, chain: Chain, step: Step): Promise<void> => {
  const { mayfly, transmitter, receivers } = scene;
  const api = async (): Promise<string> => textOf(await mayfly.issue(await evidenceOf(scene, 'docs'), { audience: `${mayfly.issuer}/introspect` }), 'access_token');
  const activeOf = async (token: string, own: string): Promise<unknown> => (await mayfly.introspect(token, own)).body['active'];
  const before = await api();
  for (const [name, token] of chain.resources) hold(await activeOf(token, before) === true, `the token of ${name} is not active before`);

  const sent = await (await fetch(`${transmitter.issuer}/sessions/alice/revoke`, { method: 'POST', signal: AbortSignal.timeout(20_000) })).json() as Json;
  hold(sent['status'] === 202, `the event was answered with ${String(sent['status'])}`);
  step(`Taken back: the identity provider's transmitter says that Alice's session was revoked (CAEP, event ${textOf(sent, 'jti')}); it was accepted with 202, and had taken effect.`);

  const after = await api();
  for (const [name, token] of chain.resources) hold(await activeOf(token, after) === false, `the token of ${name} is still active`);
  // The planner's is bound to its key, so it is not even looked at without a proof; the others are refused for what they rest on.
  for (const name of ['researcher', 'writer'] as const) {
    const { status, body } = await spend(scene, sessionOf(chain, name), { audience: DOCS, scope: 'docs:read' });
    hold(status === 400 && body['access_token'] === undefined, `the session token of ${name} still buys something: ${status}`);
  }
  step(`Inactive: all ${chain.resources.size} API tokens of the chain, and no session token buys anything any more.`);

  const told = (): readonly (readonly [string, Json])[] => receivers.flatMap(({ name, receiver }) => [...receiver.events.values()].filter((event) => isAbout(event, chain.sid)).map((event): [string, Json] => [name, event]));
  await until('every receiver hears of the session', () => new Set(told().map(([name]) => name)).size === receivers.length);
  hold(told().length === receivers.length, `${receivers.length} receivers heard of the session ${told().length} times`);
  step('Told: each receiver has its own signed copy, once.', ...told().map(([name, event]) => `${name}: ${pick(event, 'iss', 'aud', 'events', 'sub_id')}`));
};

const isAbout = (event: Json, sid: string): boolean => JSON.stringify(event['sub_id'] ?? {}).includes(sid) && JSON.stringify(event['events'] ?? {}).includes('session-revoked');

const showTree = async ({ mayfly }: Scene, chain: Chain, step: Step): Promise<void> => {
  const session = await mayfly.ask(['session', 'show', chain.sid]);
  hold(session['status'] === 'revoked' && listOf(session, 'hops').length >= 3, `the session is ${String(session['status'])}`);
  step('Accounted for: who acted for whom, by which decision, with what, until when, and why it is over.', ...(await mayfly.command(['session', 'show', chain.sid])).trimEnd().split('\n'));
  const audit = await mayfly.ask(['audit', 'verify']);
  hold(audit['ok'] === true, `the audit chain does not hold: ${JSON.stringify(audit)}`);
  step(`Audited: ${String(audit['entries'])} entries, each with the hash of the one before it; the chain was verified.`);
};

const sessionOf = (chain: Chain, name: Name): string => found(chain.sessions.get(name), name);
const resourceOf = (chain: Chain, name: Name): string => found(chain.resources.get(name), name);
const found = (token: string | undefined, name: Name): string => {
  if (token === undefined) throw new Error(`${name} has no token`);
  return token;
};
