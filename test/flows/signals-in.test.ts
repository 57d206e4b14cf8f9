import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { DAY, SECOND } from '../../src/core/duration.ts';
import { createSigningKey, hmacTexts, malleate } from '../support/foreign-issuer.ts';
import { CAEP, RISC, SSF, startTransmitter } from '../support/foreign-transmitter.ts';
import type { ForeignTransmitter } from '../support/foreign-transmitter.ts';
import { ACCESS_TOKEN_TYPE, JWT_TYPE, read } from '../support/mayfly.ts';
import type { Answer } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';
import { ALICE, APP, READ, spiffe, startAgentsLab } from './agents-lab.ts';
import type { AgentsLab } from './agents-lab.ts';
import { alterDatabase } from './database.ts';
import { API, ceilingOf, claimsOf, issued, until } from './lab.ts';

type Claims = Readonly<Record<string, unknown>>;
let lab: AgentsLab;
let tx: ForeignTransmitter;
let stranger: ForeignTransmitter;
let corp: Record<string, unknown>;
let audience: string;
const folder = mkdtempSync(join(tmpdir(), 'mayfly-signals-'));
const secretFile = join(folder, 'quiet');

const signals = (more: object = {}): object => ({ transmitter: tx.issuer, ...more });
beforeAll(async () => {
  const clock = { now: () => lab.time.now };
  tx = await startTransmitter({ clock });
  stranger = await startTransmitter({ clock });
  lab = await startAgentsLab({
    timed: true,
    mayfly: { overrides: { signals: { secrets: { 'dev/quiet': { file: secretFile } } } } },
    change: (manifest) => ({
      ...manifest,
      issuers: [
        ...(manifest['issuers'] ?? []).map((entry) => {
          if ((entry as { name: string }).name !== 'corp') return { ...entry, claims: { agent_id: { claim: 'agent_id', immutable: true, required: true }, subject: { claim: 'sub', immutable: true } }, signals: { transmitter: stranger.issuer, jwks_uri: stranger.jwksUri } };
          corp = entry as Record<string, unknown>;
          return { ...entry, signals: signals() };
        }),
        { domain: 'dev', name: 'quiet', kind: 'oidc', proves: 'people', issuer: `${stranger.issuer}/idp`, audiences: [{ client_id: 'quiet-app', presenters: ['agents/planner'] }], owner: OWNER, expires: FAR },
      ],
      workloads: [...(manifest['workloads'] ?? []), { domain: 'dev', name: 'ci/by-subject', kind: 'agent', authority: 'bounded', owner: OWNER, expires: FAR, match: { issuer: 'platform', subject: 'host-7' } }],
      policies: [...(manifest['policies'] ?? []), { domain: 'dev', name: 'by-subject', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${spiffe('ci/runner').replace('ci/runner', 'ci/by-subject')}", action == Action::"issue", resource == Scope::"${API}#deploy:read");` }],
    }),
  });
  audience = `${lab.issuer}/ssf/events/corp`;
});
afterAll(async () => {
  await lab.close();
  await Promise.all([tx.close(), stranger.close()]);
  rmSync(folder, { recursive: true, force: true });
});

/** Moves the clock on and waits until the node has looked at its registry again. */
const pass = async (milliseconds: number): Promise<void> => {
  lab.time.now += milliseconds;
  await until(async () => (await fetch(`${lab.mayfly.url}/readyz`)).status === 200);
};
const now = (): number => Math.floor(lab.time.now / 1000);

const issSub = (sub: string, iss = lab.idp.issuer): object => ({ format: 'iss_sub', iss, sub });
const set = (claims: Claims = {}, options?: Parameters<ForeignTransmitter['mint']>[1]): string =>
  tx.mint({ aud: audience, sub_id: issSub('alice'), events: { [`${CAEP}session-revoked`]: { event_timestamp: now() } }, ...claims }, options);
/** An event about Alice unless said otherwise. */
const event = (type: string, payload: object = {}, claims: Claims = {}): string => set({ events: { [type]: payload }, ...claims });
const NOT_COMPLIANT = { previous_status: 'compliant', current_status: 'not-compliant' };
const COMPLIANT = { previous_status: 'not-compliant', current_status: 'compliant' };
const RISK = (level: string): object => ({ principal: 'USER', current_level: level });

const push = async (body: string, { headers = {}, issuer = 'corp' }: { readonly headers?: Readonly<Record<string, string>>; readonly issuer?: string } = {}): Promise<Answer> =>
  read(await request(`${lab.mayfly.url}/dev/ssf/events/${issuer}`, { method: 'POST', body, headers: { 'content-type': 'application/secevent+jwt', accept: 'application/json', ...headers } }));
const taken = async (body: string, options?: Parameters<typeof push>[1]): Promise<void> => {
  expect(await push(body, options)).toMatchObject({ status: 202, body: {} });
};

let logins = 0;
/** A login of a person a moment ago, with a session token and a resource token of the planner. */
const login = async (sub: string): Promise<{ readonly sid: string; readonly session: string; readonly tokens: readonly string[]; readonly idToken: string }> => {
  // Later than whatever was said before.
  await pass(SECOND);
  const sid = `sid-${++logins}`;
  const idToken = lab.idToken({ sub, sid, auth_time: now() });
  const session = issued(await lab.plan({ subject_token: idToken, audience: '', authorization_details: ceilingOf(READ) }));
  const resource = issued(await lab.spend(session, { scope: 'deploy:read' }));
  const child = issued(await lab.takeUp(issued(await lab.handOn(session, 'agents/searcher')), 'agents/searcher'));
  return { sid, session, idToken, tokens: [resource, issued(await lab.spend(child, { scope: 'deploy:read' }))] };
};
const active = async (tokens: readonly string[]): Promise<readonly unknown[]> => Promise.all(tokens.map(async (token) => (await lab.introspect(token))['active']));
const ALIVE = [true, true];
const DEAD = [false, false];
const reasonOf = async (answer: Answer): Promise<string> => (answer.status === 200 ? 'issued' : lab.mayfly.reason(answer));
const show = async (idToken: string): Promise<string> => reasonOf(await lab.plan({ subject_token: idToken, scope: 'deploy:read' }));
const audited = async (action: string): Promise<readonly Record<string, unknown>[]> => {
  const text = String((await lab.mayfly.admin('GET', 'audit?limit=10000')).body['text']);
  const entries = text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(String((JSON.parse(line) as { body: string }).body)) as { readonly action: string; readonly body: Record<string, unknown> });
  return entries.filter((entry) => entry.action === action).map(({ body }) => body);
};

describe('a security event about a person', () => {
  test('ends every session that rests on them at once, and nobody else\'s; a login after it works, one before it does not', async () => {
    const [alice, bob] = [await login('alice'), await login('bob')];
    const task = String((await lab.mayfly.admin('POST', 'sessions', { domain: 'dev', workload: 'ops/fixer', purpose: 'incident 42' })).body['session']);
    const autonomous = issued(await lab.ask({ subject_token: lab.agent('ops/fixer'), session: task, scope: 'deploy:read' }));
    const early = lab.idToken({ sub: 'alice', sid: 'never-shown', auth_time: now() });
    expect(await active([...alice.tokens, ...bob.tokens, autonomous])).toEqual([true, true, true, true, true]);
    await pass(SECOND);
    await taken(set());
    expect(await active([...alice.tokens, ...bob.tokens, autonomous])).toEqual([false, false, true, true, false]);
    expect(await reasonOf(await lab.spend(alice.session, { scope: 'deploy:read' }))).toBe('revoked');
    expect(await show(early)).toBe('revoked');
    expect(await reasonOf(await lab.ask({ subject_token: lab.agent('ops/fixer'), session: task, scope: 'deploy:read' }))).toBe('revoked');
    await pass(SECOND);
    expect(await active((await login('alice')).tokens)).toEqual(ALIVE);
    const next = String((await lab.mayfly.admin('POST', 'sessions', { domain: 'dev', workload: 'ops/fixer', purpose: 'incident 43' })).body['session']);
    expect(await reasonOf(await lab.ask({ subject_token: lab.agent('ops/fixer'), session: next, scope: 'deploy:read' }))).toBe('issued');
    expect(await active(alice.tokens)).toEqual(DEAD);
  });

  test('is recorded: who said what of whom, and what became of it', async () => {
    const alice = await login('alice');
    const body = set({ txn: 'tx-42' });
    await taken(body);
    expect(await active(alice.tokens)).toEqual(DEAD);
    const { jti } = claimsOf(body);
    expect((await audited('signal.received')).at(-1)).toMatchObject({
      issuer: 'corp', transmitter: tx.issuer, by: tx.issuer, jti, txn: 'tx-42', event: `${CAEP}session-revoked`, outcome: 'ended', about: [ALICE], targets: [`person:${ALICE}`],
      leases: expect.any(Number), happened: now() * 1000,
    });
    expect(Number((await audited('signal.received')).at(-1)?.['leases'])).toBeGreaterThanOrEqual(3);
  });

  interface Row { readonly name: string; readonly type: string; readonly payload?: object; readonly falls: boolean; readonly outcome: string }
  const rows: readonly Row[] = [
    { name: 'session-revoked', type: `${CAEP}session-revoked`, falls: true, outcome: 'ended' },
    { name: 'the sessions-revoked of older transmitters', type: `${RISC}sessions-revoked`, falls: true, outcome: 'ended' },
    { name: 'credential-compromise', type: `${RISC}credential-compromise`, payload: { credential_type: 'password' }, falls: true, outcome: 'ended' },
    { name: 'risk-level-change to HIGH', type: `${CAEP}risk-level-change`, payload: RISK('HIGH'), falls: true, outcome: 'ended' },
    { name: 'risk-level-change to MEDIUM', type: `${CAEP}risk-level-change`, payload: RISK('MEDIUM'), falls: false, outcome: 'ignored' },
    { name: 'account-enabled', type: `${RISC}account-enabled`, falls: false, outcome: 'ignored' },
    { name: 'token-claims-change', type: `${CAEP}token-claims-change`, payload: { claims: {} }, falls: false, outcome: 'ignored' },
    { name: 'an event nobody knows', type: 'https://idp.example/secevent/coffee-break', falls: false, outcome: 'ignored' },
    { name: 'the name of a known event at another base', type: 'https://idp.example/session-revoked', falls: false, outcome: 'ignored' },
  ];
  test.each(rows)('of type $name', async ({ type, payload, falls, outcome }) => {
    const alice = await login('alice');
    await taken(event(type, payload));
    expect(await active(alice.tokens)).toEqual(falls ? DEAD : ALIVE);
    expect((await audited('signal.received')).at(-1)).toMatchObject({ outcome, event: type });
    await pass(SECOND);
    expect(await show(lab.idToken({ sub: 'alice', sid: `later-${type}`, auth_time: now() }))).toBe('issued');
  });

  test('of type account-disabled keeps blocking: neither account-enabled nor a later event of another kind lifts it', async () => {
    const carol = await login('carol');
    await taken(event(`${RISC}account-disabled`, { reason: 'hijacking' }, { sub_id: issSub('carol') }));
    expect(await active(carol.tokens)).toEqual(DEAD);
    await pass(SECOND);
    const fresh = (): string => lab.idToken({ sub: 'carol', sid: 'later', auth_time: now() });
    expect(await show(fresh())).toBe('revoked');
    for (const type of [`${RISC}account-enabled`, `${CAEP}session-revoked`]) await taken(event(type, {}, { sub_id: issSub('carol') }));
    await taken(event(`${CAEP}device-compliance-change`, COMPLIANT, { sub_id: issSub('carol') }));
    await taken(event(`${CAEP}risk-level-change`, RISK('LOW'), { sub_id: issSub('carol') }));
    await pass(SECOND);
    expect(await show(fresh())).toBe('revoked');
    expect(await active(carol.tokens)).toEqual(DEAD);
  });
});

describe('a device that is not compliant', () => {
  const about = (device: string, sub = 'dave'): Claims => ({ sub_id: { format: 'complex', user: issSub(sub), device: { format: 'opaque', id: device } } });
  const change = (payload: object, claims: Claims): string => event(`${CAEP}device-compliance-change`, payload, claims);

  test('suspends what rests on the person until it is compliant again', async () => {
    const dave = await login('dave');
    await taken(change(NOT_COMPLIANT, { sub_id: issSub('dave') }));
    expect(await active(dave.tokens)).toEqual(DEAD);
    expect(await reasonOf(await lab.spend(dave.session, { scope: 'deploy:read' }))).toBe('suspended');
    expect(await show(lab.idToken({ sub: 'dave', sid: 'other', auth_time: now() }))).toBe('suspended');
    await pass(SECOND);
    await taken(change(COMPLIANT, { sub_id: issSub('dave') }));
    expect(await active(dave.tokens)).toEqual(ALIVE);
    expect((await audited('signal.received')).at(-1)).toMatchObject({ outcome: 'resumed' });
  });

  test('is lifted by word of the same device alone, and by no older word', async () => {
    const dave = await login('dave');
    await taken(change(NOT_COMPLIANT, about('laptop')));
    await taken(change(COMPLIANT, about('phone')));
    await taken(change(COMPLIANT, { sub_id: issSub('dave') }));
    await taken(change({ ...COMPLIANT, event_timestamp: now() - 10 }, about('laptop')));
    await taken(event(`${CAEP}risk-level-change`, RISK('LOW'), about('laptop')));
    await taken(change(COMPLIANT, about('laptop', 'erin')));
    expect(await active(dave.tokens)).toEqual(DEAD);
    await taken(change({ ...COMPLIANT, event_timestamp: now() }, about('laptop')));
    expect(await active(dave.tokens)).toEqual(ALIVE);
  });

  test('and a session that was revoked meanwhile stays revoked', async () => {
    const dave = await login('dave');
    await taken(change(NOT_COMPLIANT, about('laptop')));
    await taken(set({ sub_id: issSub('dave') }));
    await taken(change(COMPLIANT, about('laptop')));
    expect(await active(dave.tokens)).toEqual(DEAD);
    await pass(SECOND);
    expect(await active((await login('dave')).tokens)).toEqual(ALIVE);
  });

  test('may be a workload\'s own: what acts under that subject is suspended, and no other workload', async () => {
    const of = (body: Claims, aud = `${lab.issuer}/ssf/events/platform`): string => stranger.mint({ aud, ...body });
    const evidence = (): string => lab.agent('ci/runner', { sub: 'host-7', agent_id: 'none' });
    const host = issued(await lab.ask({ subject_token: evidence(), scope: 'deploy:read' }));
    const runner = issued(await lab.ask({ subject_token: lab.agent('ci/runner'), scope: 'deploy:read' }));
    const platform = String(claimsOf(evidence())['iss']);
    const compliance = (payload: object, iss = platform): string => of({ sub_id: { format: 'complex', device: issSub('host-7', iss) }, events: { [`${CAEP}device-compliance-change`]: payload } });
    await taken(compliance(NOT_COMPLIANT, stranger.issuer), { issuer: 'platform' });
    expect(await active([host, runner])).toEqual([true, true]);
    await taken(compliance(NOT_COMPLIANT), { issuer: 'platform' });
    expect(await active([host, runner])).toEqual([false, true]);
    expect(await reasonOf(await lab.ask({ subject_token: evidence(), scope: 'deploy:read' }))).toBe('suspended');
    await taken(compliance(COMPLIANT), { issuer: 'platform' });
    expect(await active([host, runner])).toEqual([true, true]);
  });
});

describe('an event about one session', () => {
  const about = (session: object): Claims => ({ sub_id: { format: 'complex', user: issSub('frank'), session } });

  test('ends that login and what grew out of it, and leaves the person\'s others', async () => {
    const [first, second] = [await login('frank'), await login('frank')];
    await taken(set(about({ format: 'opaque', id: first.sid })));
    expect([await active(first.tokens), await active(second.tokens)]).toEqual([DEAD, ALIVE]);
    expect(await show(first.idToken)).toBe('revoked');
    expect(await show(second.idToken)).toBe('issued');
    await taken(set(about({ format: 'iss_sub', iss: lab.idp.issuer, sub: second.sid })));
    expect(await active(second.tokens)).toEqual(DEAD);
  });

  test.each([
    { name: 'another person\'s login', session: async () => ({ format: 'opaque', id: (await login('grace')).sid }) },
    { name: 'a session nobody knows', session: () => Promise.resolve({ format: 'opaque', id: 'unheard-of' }) },
    { name: 'a session in a form that cannot be compared', session: () => Promise.resolve({ format: 'uri', uri: 'urn:session:1' }) },
  ])('ends all of the person\'s when it names $name', async ({ session }) => {
    const [first, second] = [await login('frank'), await login('frank')];
    const grace = await login('grace');
    await taken(set(about(await session())));
    expect([await active(first.tokens), await active(second.tokens), await active(grace.tokens)]).toEqual([DEAD, DEAD, ALIVE]);
  });
});

describe('an event about somebody who cannot be told', () => {
  test.each([
    { name: 'an e-mail address', subject: () => ({ format: 'email', email: 'alice' }) },
    { name: 'a phone number', subject: () => ({ format: 'phone_number', phone_number: '+12065550100' }) },
    { name: 'an opaque id', subject: () => ({ format: 'opaque', id: 'alice' }) },
    { name: 'a person\'s URN', subject: () => ({ format: 'uri', uri: ALICE }) },
    { name: 'the sub of another issuer', subject: () => issSub('alice', 'https://other.example') },
    { name: 'the sub at the transmitter\'s own iss', subject: () => issSub('alice', tx.issuer) },
    { name: 'the issuer with a slash too many', subject: () => issSub('alice', `${lab.idp.issuer}/`) },
    { name: 'another person', subject: () => issSub('Alice') },
    { name: 'an e-mail address within a complex subject', subject: () => ({ format: 'complex', user: { format: 'email', email: 'alice' }, tenant: issSub('alice') }) },
    { name: 'aliases, none of which is hers at this issuer', subject: () => ({ format: 'aliases', identifiers: [{ format: 'email', email: 'alice' }, issSub('alice', 'https://other.example')] }) },
    { name: 'a format nobody knows', subject: () => ({ format: 'did-you-know', iss: lab.idp.issuer, sub: 'alice' }) },
  ])('is acknowledged and does nothing: $name', async ({ subject }) => {
    const alice = await login('alice');
    await taken(set({ sub_id: subject() }));
    expect(await active(alice.tokens)).toEqual(ALIVE);
    await taken(set({ sub_id: { format: 'aliases', identifiers: [{ format: 'email', email: 'nobody' }, issSub('alice')] } }));
    expect(await active(alice.tokens)).toEqual(DEAD);
  });

  test('is recorded as unmatched and counted', async () => {
    await taken(set({ sub_id: { format: 'email', email: 'alice@acme.example' } }));
    expect((await audited('signal.received')).at(-1)).toMatchObject({ outcome: 'unmatched' });
    const metrics = (await lab.mayfly.admin('GET', '../../metrics')).body['text'];
    expect(String(metrics)).toMatch(/mayfly_signals_received_total\{domain="dev",issuer="corp",event="session-revoked",outcome="unmatched"\} \d+/);
  });
});

describe('a token that comes again', () => {
  test('is acknowledged again and has its effect once: a login in between stands', async () => {
    const alice = await login('alice');
    const body = set();
    await taken(body);
    expect(await active(alice.tokens)).toEqual(DEAD);
    await pass(SECOND);
    const fresh = await login('alice');
    await taken(body);
    await taken(malleate(body));
    expect(await active(fresh.tokens)).toEqual(ALIVE);
    // Another token under a jti that was used says nothing new either (RFC 8417 section 2.2).
    await taken(set({ jti: claimsOf(body)['jti'] }));
    expect(await active(fresh.tokens)).toEqual(ALIVE);
    expect((await audited('signal.repeated')).map(({ jti }) => jti)).toEqual(Array(3).fill(claimsOf(body)['jti']));
    expect((await audited('signal.received')).filter(({ jti }) => jti === claimsOf(body)['jti'])).toHaveLength(1);
  });

  test('from many sides at once has one effect', async () => {
    await login('alice');
    const body = set();
    expect((await Promise.all(Array.from({ length: 10 }, () => push(body)))).map(({ status }) => status)).toEqual(Array(10).fill(202));
    expect((await audited('signal.received')).filter(({ jti }) => jti === claimsOf(body)['jti'])).toHaveLength(1);
  });

  test('after the database did not take it has its effect then: 503 has consumed nothing', async () => {
    const alice = await login('alice');
    const body = set();
    alterDatabase(lab, 'ALTER TABLE revocation RENAME TO gone');
    const answer = await push(body);
    alterDatabase(lab, 'ALTER TABLE gone RENAME TO revocation');
    expect({ status: answer.status, retry: answer.headers['retry-after'] }).toEqual({ status: 503, retry: '1' });
    expect(await active(alice.tokens)).toEqual(ALIVE);
    await taken(body);
    expect(await active(alice.tokens)).toEqual(DEAD);
  });
});

describe('refused', () => {
  const REVOKED = { [`${CAEP}session-revoked`]: {} };
  interface Row { readonly name: string; readonly err: string; readonly code: string; readonly body: () => string | Promise<string> }
  const rows: readonly Row[] = [
    { name: 'another iss', err: 'invalid_issuer', code: 'set_issuer_wrong', body: () => set({ iss: 'https://evil.example' }) },
    { name: 'the iss of the identity provider whose transmitter is another', err: 'invalid_issuer', code: 'set_issuer_wrong', body: () => set({ iss: lab.idp.issuer }) },
    { name: 'iss with a slash too many', err: 'invalid_issuer', code: 'set_issuer_wrong', body: () => set({ iss: `${tx.issuer}/` }) },
    { name: 'no iss', err: 'invalid_request', code: 'set_claim_missing', body: () => set({ iss: undefined }) },
    { name: 'another transmitter\'s token, whole', err: 'invalid_issuer', code: 'set_issuer_wrong', body: () => stranger.mint({ aud: audience, sub_id: issSub('alice'), events: REVOKED }) },
    { name: 'another aud', err: 'invalid_audience', code: 'set_audience_wrong', body: () => set({ aud: 'https://rx.example' }) },
    { name: 'the audience of evidence', err: 'invalid_audience', code: 'set_audience_wrong', body: () => set({ aud: lab.issuer }) },
    { name: 'ours among other audiences', err: 'invalid_audience', code: 'set_audience_wrong', body: () => set({ aud: [audience, 'https://rx.example'] }) },
    { name: 'no aud', err: 'invalid_request', code: 'set_claim_missing', body: () => set({ aud: undefined }) },
    { name: 'typ JWT', err: 'invalid_request', code: 'set_typ_wrong', body: () => set({}, { header: { typ: 'JWT' } }) },
    { name: 'no typ', err: 'invalid_request', code: 'set_typ_wrong', body: () => set({}, { header: { typ: undefined } }) },
    { name: 'typ at+jwt', err: 'invalid_request', code: 'set_typ_wrong', body: () => set({}, { header: { typ: 'at+jwt' } }) },
    { name: 'typ logout+jwt', err: 'invalid_request', code: 'set_typ_wrong', body: () => set({}, { header: { typ: 'logout+jwt' } }) },
    { name: 'alg none', err: 'invalid_request', code: 'set_alg_not_allowed', body: () => `${set({}, { header: { alg: 'none' } }).split('.').slice(0, 2).join('.')}.AA` },
    { name: 'alg none without a signature', err: 'invalid_request', code: 'set_malformed', body: () => `${set({}, { header: { alg: 'none' } }).split('.').slice(0, 2).join('.')}.` },
    { name: 'HS256 with the public key', err: 'invalid_request', code: 'set_alg_not_allowed', body: () => hmacTexts(JSON.stringify({ typ: 'secevent+jwt', alg: 'HS256', kid: tx.key.kid }), JSON.stringify(claimsOf(set())), JSON.stringify(tx.key.publicJwk)) },
    { name: 'an algorithm that is not listed', err: 'invalid_request', code: 'set_alg_not_allowed', body: () => set({}, { header: { alg: 'ES384' } }) },
    { name: 'another key under the transmitter\'s kid', err: 'authentication_failed', code: 'set_signature_invalid', body: async () => set({}, { key: await createSigningKey('ES256', tx.key.kid) }) },
    { name: 'another key', err: 'invalid_key', code: 'set_key_unknown', body: async () => set({}, { key: await createSigningKey('ES256') }) },
    { name: 'the key of the identity provider', err: 'invalid_key', code: 'set_key_unknown', body: () => set({}, { key: lab.idp.key() }) },
    { name: 'no kid', err: 'invalid_key', code: 'set_key_unknown', body: () => set({}, { header: { kid: undefined } }) },
    { name: 'a kid that is a path', err: 'invalid_key', code: 'set_key_unknown', body: () => set({}, { header: { kid: '../../x' } }) },
    { name: 'a changed payload', err: 'authentication_failed', code: 'set_signature_invalid', body: () => { const [header, , signature] = set().split('.'); return `${String(header)}.${Buffer.from(JSON.stringify({ ...claimsOf(set()), jti: 'other' })).toString('base64url')}.${String(signature)}`; } },
    { name: 'a signature of zeros', err: 'authentication_failed', code: 'set_signature_invalid', body: () => `${set().split('.').slice(0, 2).join('.')}.${Buffer.alloc(64).toString('base64url')}` },
    ...['jwk', 'jku', 'x5u', 'x5c', 'crit', 'b64', 'zip'].map((name): Row => ({ name: `the header ${name}`, err: 'invalid_request', code: 'set_header_not_allowed', body: () => set({}, { header: { [name]: name === 'jwk' ? tx.key.publicJwk : 'http://127.0.0.1/keys' } }) })),
    { name: 'an encrypted token', err: 'invalid_request', code: 'set_malformed', body: () => 'a.b.c.d.e' },
    { name: 'a token in JSON serialization', err: 'invalid_request', code: 'set_malformed', body: () => { const [header, payload, signature] = set().split('.'); return JSON.stringify({ protected: header, payload, signature }); } },
    { name: 'a token with a line break at its end', err: 'invalid_request', code: 'set_malformed', body: () => `${set()}\n` },
    { name: 'nothing', err: 'invalid_request', code: 'set_malformed', body: () => '' },
    { name: 'a member written twice', err: 'invalid_request', code: 'set_malformed', body: () => { const claims = JSON.stringify(claimsOf(set())); return tx.mint({}).split('.')[0] + `.${Buffer.from(claims.replace('{', '{"aud":"x",')).toString('base64url')}.AAAA`; } },
    { name: 'two events', err: 'invalid_request', code: 'set_events_wrong', body: () => set({ events: { ...REVOKED, [`${RISC}account-disabled`]: {} } }) },
    { name: 'a known and an unknown event', err: 'invalid_request', code: 'set_events_wrong', body: () => set({ events: { 'https://idp.example/x': {}, ...REVOKED } }) },
    { name: 'no event', err: 'invalid_request', code: 'set_events_wrong', body: () => set({ events: {} }) },
    { name: 'no events', err: 'invalid_request', code: 'set_claim_missing', body: () => set({ events: undefined }) },
    { name: 'events as a list', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ events: [`${CAEP}session-revoked`] }) },
    { name: 'an event that is no object', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ events: { [`${CAEP}session-revoked`]: true } }) },
    { name: 'sub', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ sub: 'alice' }) },
    { name: 'exp', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ exp: now() + 300 }) },
    { name: 'no jti', err: 'invalid_request', code: 'set_claim_missing', body: () => set({ jti: undefined }) },
    { name: 'a jti that is no text', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ jti: 7 }) },
    { name: 'an empty jti', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ jti: '' }) },
    { name: 'a jti of 257 characters', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ jti: 'x'.repeat(257) }) },
    { name: 'a jti with a terminal\'s commands in it', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ jti: 'a\u001b[2Jb' }) },
    { name: 'no iat', err: 'invalid_request', code: 'set_claim_missing', body: () => set({ iat: undefined }) },
    { name: 'iat as text', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ iat: String(now()) }) },
    { name: 'iat more than a minute ahead', err: 'invalid_request', code: 'set_time_wrong', body: () => set({ iat: now() + 61 }) },
    { name: 'iat 30 days back', err: 'invalid_request', code: 'set_time_wrong', body: () => set({ iat: now() - 30 * DAY / SECOND }) },
    { name: 'no sub_id', err: 'invalid_request', code: 'set_claim_missing', body: () => set({ sub_id: undefined }) },
    { name: 'the subject within the event, as drafts had it', err: 'invalid_request', code: 'set_claim_missing', body: () => set({ sub_id: undefined, events: { [`${CAEP}session-revoked`]: { subject: issSub('alice') } } }) },
    { name: 'sub_id as text', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ sub_id: 'alice' }) },
    { name: 'sub_id without a format', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ sub_id: { iss: lab.idp.issuer, sub: 'alice' } }) },
    { name: 'iss_sub without sub', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ sub_id: { format: 'iss_sub', iss: lab.idp.issuer } }) },
    { name: 'iss_sub with a list', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ sub_id: { format: 'iss_sub', iss: lab.idp.issuer, sub: ['alice'] } }) },
    { name: 'iss_sub with one member more', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ sub_id: { ...issSub('alice'), email: 'alice@acme.example' } }) },
    { name: 'complex subjects in one another', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ sub_id: { format: 'complex', user: { format: 'complex', user: issSub('alice') } } }) },
    { name: 'aliases in one another', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ sub_id: { format: 'aliases', identifiers: [{ format: 'aliases', identifiers: [issSub('alice')] }] } }) },
    { name: '21 aliases', err: 'invalid_request', code: 'set_claim_invalid', body: () => set({ sub_id: { format: 'aliases', identifiers: Array(21).fill(issSub('alice')) } }) },
    { name: 'an event_timestamp that is no time', err: 'invalid_request', code: 'set_claim_invalid', body: () => event(`${CAEP}session-revoked`, { event_timestamp: 'yesterday' }) },
    { name: 'a level nobody knows', err: 'invalid_request', code: 'set_claim_invalid', body: () => event(`${CAEP}risk-level-change`, RISK('high')) },
    { name: 'a risk without a principal', err: 'invalid_request', code: 'set_claim_invalid', body: () => event(`${CAEP}risk-level-change`, { current_level: 'HIGH' }) },
    { name: 'a status nobody knows', err: 'invalid_request', code: 'set_claim_invalid', body: () => event(`${CAEP}device-compliance-change`, { ...NOT_COMPLIANT, current_status: 'broken' }) },
    { name: 'a compromise of nothing', err: 'invalid_request', code: 'set_claim_invalid', body: () => event(`${RISC}credential-compromise`) },
    { name: 'a token of more than 16 KiB', err: 'invalid_request', code: 'set_too_large', body: () => set({ padding: 'x'.repeat(16 * 1024) }) },
    { name: 'an ID token of the identity provider', err: 'invalid_request', code: 'set_typ_wrong', body: () => lab.idToken() },
    { name: 'an access token of ours', err: 'invalid_request', code: 'set_typ_wrong', body: async () => issued(await lab.plan({ scope: 'deploy:read', subject_token: lab.idToken({ sub: 'henry', auth_time: now() }) })) },
  ];

  test('is what differs in one thing from a token that is taken, and it does nothing', async () => {
    const alice = await login('alice');
    const told = (await audited('signal.received')).length;
    const wrong: unknown[] = [];
    for (const { name, err, code, body } of rows) {
      const answer = await push(await body());
      const seen = { name, status: answer.status, err: answer.body['err'], code: await lab.mayfly.reason(answer) };
      if (seen.status !== 400 || seen.err !== err || seen.code !== code || typeof answer.body['description'] !== 'string' || answer.headers['cache-control'] !== 'no-store') wrong.push({ ...seen, expected: [err, code] });
    }
    expect(wrong).toEqual([]);
    expect(await active(alice.tokens)).toEqual(ALIVE);
    expect(await audited('signal.received')).toHaveLength(told);
    for (const twin of [set(), set({ aud: [audience] }), set({ iat: now() + 60 }), set({ iat: now() - 30 * DAY / SECOND + 1 }), set({ jti: 'x'.repeat(256) }), set({}, { header: { typ: 'application/SecEvent+JWT' } }), set({ padding: 'x'.repeat(8 * 1024) })]) await taken(twin);
    expect(await active(alice.tokens)).toEqual(DEAD);
  });

  test('is a body that is no token by its type, packed, or larger than anybody needs', async () => {
    const alice = await login('alice');
    for (const headers of [{ 'content-type': 'application/jwt' }, { 'content-type': 'application/json' }, { 'content-type': 'application/secevent+jwt-x' }, { 'content-encoding': 'gzip' }] as const) {
      const answer = await push(set(), { headers });
      expect([answer.status, answer.body['err'], await lab.mayfly.reason(answer)]).toEqual([400, 'invalid_request', 'set_malformed']);
    }
    expect((await push(set({ padding: 'x'.repeat(5 * 1024 * 1024) }))).status).toBe(413);
    expect((await read(await request(`${lab.mayfly.url}/dev/ssf/events/corp?token=${set()}`, { method: 'POST', body: set(), headers: { 'content-type': 'application/secevent+jwt' } }))).status).toBe(400);
    expect((await read(await request(`${lab.mayfly.url}/dev/ssf/events/corp`, { method: 'GET' }))).status).toBe(405);
    expect(await active(alice.tokens)).toEqual(ALIVE);
    await taken(set(), { headers: { 'content-type': 'Application/SecEvent+JWT; charset=utf-8' } });
    expect(await active(alice.tokens)).toEqual(DEAD);
  });

  test('is whatever comes for an issuer without a transmitter, or one that does not exist, with one answer', async () => {
    const alice = await login('alice');
    const answers = [];
    for (const issuer of ['quiet', 'nobody', 'CORP', '__proto__']) {
      const answer = await push(set(), { issuer });
      answers.push([answer.status, answer.body['err'], answer.body['description'], await lab.mayfly.reason(answer)]);
    }
    expect(answers).toEqual(Array(4).fill([400, 'access_denied', expect.any(String), 'set_receiver_unknown']));
    const unknown = await read(await request(`${lab.mayfly.url}/nowhere/ssf/events/corp`, { method: 'POST', body: set(), headers: { 'content-type': 'application/secevent+jwt' } }));
    expect(unknown.status).toBe(404);
    expect(await active(alice.tokens)).toEqual(ALIVE);
  });

  test('is a security event shown as evidence, as a person\'s token, as an actor\'s, or to introspection', async () => {
    // Signed by the very keys whose ID tokens and evidence count, and made out to the audiences these have.
    const asPerson = (typ = 'secevent+jwt', more: Claims = {}): string => lab.idp.mint({ aud: APP, sub: 'alice', auth_time: now(), sid: 'x', groups: ['engineering'], events: REVOKED, sub_id: issSub('alice'), ...more }, { header: { typ } });
    expect(await show(asPerson())).toBe('evidence_typ_wrong');
    expect(await show(asPerson('JWT'))).toBe('issued');
    expect(await show(asPerson('JWT', { exp: undefined }))).toBe('evidence_claim_missing');
    expect(await reasonOf(await lab.plan({ actor_token: lab.agent('agents/planner', {}, { header: { typ: 'secevent+jwt' } }), scope: 'deploy:read', subject_token: lab.idToken({ auth_time: now() }) }))).toBe('evidence_typ_wrong');
    expect(await reasonOf(await lab.ask({ subject_token: lab.agent('ci/runner', {}, { header: { typ: 'secevent+jwt' } }), scope: 'deploy:read' }))).toBe('evidence_typ_wrong');
    expect(await reasonOf(await lab.ask({ subject_token: set(), subject_token_type: JWT_TYPE, scope: 'deploy:read' }))).toBe('evidence_issuer_unknown');
    expect(await reasonOf(await lab.ask({ subject_token: set(), subject_token_type: ACCESS_TOKEN_TYPE, scope: 'deploy:read' }))).toMatch(/^token_/);
    expect((await lab.mayfly.form('dev/introspect', { token: set() }, { authorization: `Bearer ${set()}` })).status).toBe(401);
    expect(await lab.introspect(set())).toEqual({ active: false });
  });
});

describe('what a stream says of itself', () => {
  test('a verification with a state is acknowledged, and so is that the stream changed', async () => {
    const stream = { sub_id: { format: 'opaque', id: 'stream-1' } };
    await taken(event(`${SSF}verification`, { state: 'VGhpcyBpcyBhbiBleGFtcGxl' }, stream));
    expect((await audited('signal.received')).at(-1)).toMatchObject({ outcome: 'verified' });
    await taken(event(`${SSF}stream-updated`, { status: 'paused', reason: 'license is not valid' }, stream));
    expect((await audited('signal.received')).at(-1)).toMatchObject({ outcome: 'ignored' });
  });
});

describe('an issuer\'s entry', () => {
  const setEntry = (block: object | undefined): Promise<unknown> => lab.mayfly.apply({ issuers: [{ ...corp, ...(block === undefined ? {} : { signals: block }) }] });
  afterAll(async () => { await setEntry(signals()); });

  test('says what each event does', async () => {
    await setEntry(signals({ events: { 'session-revoked': 'ignore', 'account-disabled': 'end_sessions', 'risk-level-change': 'suspend', 'device-compliance-change': 'block' } }));
    const ivan = await login('ivan');
    const about = { sub_id: issSub('ivan') };
    await taken(set(about));
    expect(await active(ivan.tokens)).toEqual(ALIVE);
    await taken(event(`${CAEP}risk-level-change`, RISK('HIGH'), about));
    expect(await active(ivan.tokens)).toEqual(DEAD);
    await taken(event(`${CAEP}risk-level-change`, RISK('MEDIUM'), about));
    expect(await active(ivan.tokens)).toEqual(ALIVE);
    await taken(event(`${RISC}account-disabled`, {}, about));
    expect(await active(ivan.tokens)).toEqual(DEAD);
    await pass(SECOND);
    expect(await active((await login('ivan')).tokens)).toEqual(ALIVE);
    await taken(event(`${CAEP}device-compliance-change`, NOT_COMPLIANT, about));
    await taken(event(`${CAEP}device-compliance-change`, COMPLIANT, about));
    await pass(SECOND);
    expect(await show(lab.idToken({ sub: 'ivan', sid: 'last', auth_time: now() }))).toBe('revoked');
  });

  test('is shown with what was settled, and tells by lint what it ignores', async () => {
    await setEntry(signals({ events: { 'session-revoked': 'ignore' } }));
    expect((await lab.mayfly.admin('GET', 'issuers/dev/corp')).body).toMatchObject({ signals: { transmitter: tx.issuer, audience, authorization: 'none', events: { 'session-revoked': 'ignore' } } });
    const findings = (await lab.mayfly.admin('GET', 'lint')).body['findings'] as readonly { readonly rule: string; readonly name: string }[];
    expect(findings.filter(({ rule, name }) => rule === 'signals-ignored' && name === 'corp')).toHaveLength(1);
  });

  test('without a signals block takes nothing any more, and another key counts as soon as it is registered', async () => {
    const alice = await login('alice');
    await setEntry(undefined);
    expect(await lab.mayfly.reason(await push(set()))).toBe('set_receiver_unknown');
    await setEntry(signals({ jwks: { keys: [stranger.key.publicJwk] } }));
    expect(await lab.mayfly.reason(await push(set({}, { header: { kid: 'other' } })))).toBe('set_key_unknown');
    expect(await active(alice.tokens)).toEqual(ALIVE);
    await taken(set({}, { key: stranger.key }));
    expect(await active(alice.tokens)).toEqual(DEAD);
  });

  test('may demand the secret of the server\'s configuration: without it on this node nothing is taken, with it only what carries it', async () => {
    const quiet = { domain: 'dev', name: 'quiet', kind: 'oidc', proves: 'people', issuer: `${stranger.issuer}/idp`, audiences: [{ client_id: 'quiet-app', presenters: ['agents/planner'] }], owner: OWNER, expires: FAR };
    await lab.mayfly.apply({ issuers: [{ ...quiet, signals: { transmitter: stranger.issuer, jwks_uri: stranger.jwksUri, authorization: 'secret' } }] });
    const body = (): string => stranger.mint({ aud: `${lab.issuer}/ssf/events/quiet`, sub_id: issSub('zoe', `${stranger.issuer}/idp`), events: { [`${CAEP}session-revoked`]: {} } });
    const unready = await push(body(), { issuer: 'quiet', headers: { authorization: 'Bearer agreed' } });
    expect([unready.status, await lab.mayfly.reason(unready)]).toEqual([503, 'set_secret_missing']);
    writeFileSync(secretFile, 'agreed\n', { mode: 0o600 });
    for (const headers of [{}, { authorization: 'Bearer guessed' }, { authorization: 'agreed' }, { authorization: 'Bearer agreed x' }] as const) {
      const answer = await push(body(), { issuer: 'quiet', headers });
      expect([answer.status, answer.body['err'], await lab.mayfly.reason(answer)]).toEqual([401, 'authentication_failed', 'set_unauthenticated']);
    }
    await taken(body(), { issuer: 'quiet', headers: { authorization: 'Bearer agreed' } });
  });

  test('that polls takes no pushes, and fetches what waits', async () => {
    const alice = await login('alice');
    await setEntry(signals({ poll: { endpoint: tx.pollUrl, every: 5 }, authorization: 'none' }));
    expect(await lab.mayfly.reason(await push(set()))).toBe('set_receiver_unknown');
    const body = set();
    const jti = String(claimsOf(body)['jti']);
    tx.offer({ [jti]: body, bad: 'no token' });
    await until(async () => (await active(alice.tokens)).every((each) => each === false));
    await until(() => Promise.resolve(tx.queue.size === 0));
    expect([...tx.errors]).toEqual([['bad', { err: 'invalid_request', description: expect.any(String) }]]);
    expect((await audited('signal.received')).at(-1)).toMatchObject({ jti, outcome: 'ended' });
  });
});
