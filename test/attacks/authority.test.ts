import { sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import Libsql from 'libsql';
import { HOUR } from '../../src/core/duration.ts';
import type { DomainId } from '../../src/core/ids.ts';
import { systemRandom } from '../../src/core/random.ts';
import { createKeyEncryption, parseKek } from '../../src/keys/kek.ts';
import { openSigningKey } from '../../src/keys/signing-key.ts';
import type { KeyRow } from '../../src/store/rows.ts';
import { ALICE, APP, BOTH, READ, agentId, spiffe, startAgentsLab } from '../flows/agents-lab.ts';
import type { AgentsLab } from '../flows/agents-lab.ts';
import { API, BILLING, ceilingOf, claimsOf, issued } from '../flows/lab.ts';
import { createSigningKey } from '../support/foreign-issuer.ts';
import { ACCESS_TOKEN_TYPE, GRANT, JWT_TYPE } from '../support/mayfly.ts';
import type { Answer } from '../support/mayfly.ts';
import { FAR, OWNER } from '../support/world.ts';

/** Attacks on the authority of agents: each is refused for its own reason, issues nothing, and differs in one thing from what is served. */
let lab: AgentsLab;
let stolen: { readonly key: KeyObject; readonly kid: string };
beforeAll(async () => {
  lab = await startAgentsLab({ change: (manifest) => ({
    ...manifest,
    // Known to the domain, and permitted nothing.
    workloads: [...manifest['workloads'] ?? [], { domain: 'dev', name: 'agents/idle', kind: 'agent', authority: 'delegated', owner: OWNER, expires: FAR, match: { issuer: 'platform', agent_id: IDLE } }],
  }) });
  stolen = stealKey();
});
afterAll(async () => { await lab.close(); });

const IDLE = 'feedfacecafe';
const SESSION_TYPE = 'urn:mayfly:token-type:session';

const reasonOf = async (answer: Answer): Promise<string> => (answer.status === 200 ? 'issued' : lab.mayfly.reason(answer));
const newestLease = async (): Promise<unknown> => ((await lab.mayfly.admin('GET', 'leases?limit=1')).body['items'] as readonly { readonly id: string }[])[0]?.id;
const refused = async (code: string, attempt: () => Promise<Answer>): Promise<void> => {
  const before = await newestLease();
  expect(await reasonOf(await attempt())).toBe(code);
  expect(await newestLease()).toBe(before);
};
const served = async (attempt: () => Promise<Answer>): Promise<void> => { expect(await reasonOf(await attempt())).toBe('issued'); };
/** `held`: what the attacker got rightfully. */
interface Attack { readonly name: string; readonly code: string; readonly held?: () => Promise<string>; readonly attack: (held: string) => Promise<Answer>; readonly twin: () => Promise<Answer> }
const staged = async ({ code, held, attack, twin }: Attack): Promise<void> => {
  const token = await held?.() ?? '';
  await refused(code, () => attack(token));
  await served(twin);
};

/** What somebody has who holds the database and the key-encryption key. */
const stealKey = (): typeof stolen => {
  const database = new Libsql(join(lab.mayfly.folder, 'mayfly.db'), { timeout: 10_000 });
  const row = database.prepare("SELECT k.* FROM signing_key k JOIN entry e ON e.kind = 'domain' AND e.name = 'dev' AND k.domain_id = e.id WHERE k.purpose = 'access' AND k.status = 'current'").get() as Record<string, string>;
  database.close();
  const encryption = createKeyEncryption({ current: parseKek(readFileSync(join(lab.mayfly.folder, 'kek'))), random: systemRandom });
  const key: KeyRow = {
    kid: row['kid'] ?? '', version: 1, seq: 1, domainId: row['domain_id'] as DomainId, purpose: 'access', algorithm: 'ES256', publicJwk: JSON.parse(row['public_jwk'] ?? '{}') as KeyRow['publicJwk'], sealed: row['sealed'] ?? '', kekId: row['kek_id'] ?? '',
    status: 'current', notBefore: 0, notAfter: null, changedAt: 0,
  };
  return { key: openSigningKey(key, encryption).privateKey, kid: key.kid };
};

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
/** Other claims under the signature of our own key. */
const resign = (token: string, change: (claims: Record<string, unknown>) => Record<string, unknown>): string => {
  const input = `${token.split('.')[0] ?? ''}.${encode(change(claimsOf(token)))}`;
  return `${input}.${sign('sha256', Buffer.from(input), { key: stolen.key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`;
};
/** The same claims under the signature of a key of the attacker's own. */
const resignForeign = async (token: string, change: (claims: Record<string, unknown>) => Record<string, unknown>): Promise<string> => {
  const { privateJwk } = await createSigningKey('ES256');
  const input = `${token.split('.')[0] ?? ''}.${encode(change(claimsOf(token)))}`;
  return `${input}.${sign('sha256', Buffer.from(input), { key: privateJwk as never, format: 'jwk', dsaEncoding: 'ieee-p1363' } as never).toString('base64url')}`;
};
const act = (...names: readonly Parameters<typeof spiffe>[0][]): object | undefined =>
  names.reduce<object | undefined>((inner, name) => ({ iss: lab.issuer, sub: spiffe(name), ...(inner === undefined ? {} : { act: inner }) }), undefined);

/** The planner's session token, and its searcher's below it. */
const chain = async (): Promise<{ readonly planner: string; readonly searcher: string }> => {
  const planner = await lab.session(BOTH, { subject_token: lab.idToken({ sid: `login-${Math.random()}` }) });
  return { planner, searcher: issued(await lab.takeUp(issued(await lab.handOn(planner, 'agents/searcher', BOTH)), 'agents/searcher', { authorization_details: ceilingOf(BOTH) })) };
};

describe('an actor chain (invariant 3)', () => {
  const forgeries: readonly { readonly name: string; readonly code?: string; readonly change: (claims: Record<string, unknown>) => Record<string, unknown> }[] = [
    { name: 'without its actors', code: 'token_malformed', change: ({ act: _act, ...claims }) => claims },
    { name: 'without its first actor', change: (claims) => ({ ...claims, act: act('agents/searcher') }) },
    { name: 'without its last actor', change: (claims) => ({ ...claims, client_id: spiffe('agents/planner'), act: act('agents/planner') }) },
    { name: 'whose client is not who acts', code: 'token_malformed', change: (claims) => ({ ...claims, act: act('agents/planner') }) },
    { name: 'in another order', change: (claims) => ({ ...claims, client_id: spiffe('agents/planner'), act: act('agents/searcher', 'agents/planner') }) },
    { name: 'with one more actor', change: (claims) => ({ ...claims, client_id: spiffe('tools/mailer'), act: act('agents/planner', 'agents/searcher', 'tools/mailer') }) },
    { name: 'of another subject', change: (claims) => ({ ...claims, sub: `${ALICE}2` }) },
    { name: 'of another client', code: 'token_malformed', change: (claims) => ({ ...claims, client_id: spiffe('tools/mailer') }) },
    { name: 'less deep than it is', change: (claims) => ({ ...claims, authority: { ...(claims['authority'] as object), depth: 0 } }) },
    { name: 'with a wider ceiling', change: (claims) => ({ ...claims, authorization_details: [{ type: 'urn:mayfly:ceiling', audience: API, scopes: ['deploy:admin'] }] }) },
    { name: 'with a right to hand on that nobody gave', change: (claims) => ({ ...claims, may_act: { iss: lab.issuer, sub: spiffe('tools/mailer') } }) },
    { name: 'that lasts longer', change: (claims) => ({ ...claims, exp: Number(claims['exp']) + 60 }) },
  ];
  test.each(forgeries)('$name is not the one that was issued, whoever signs it', async ({ code = 'token_unknown', change }) => {
    const { searcher } = await chain();
    await refused(code, () => lab.spend(resign(searcher, change), { scope: 'deploy:read' }));
    await refused('token_signature_invalid', async () => lab.spend(await resignForeign(searcher, change), { scope: 'deploy:read' }));
    await served(() => lab.spend(searcher, { scope: 'deploy:read' }));
  });

  test('made up whole under our own key is no lease of ours, with whatever evidence it comes', async () => {
    const { planner } = await chain();
    const made = resign(planner, (claims) => ({ ...claims, jti: `lse_${'0'.repeat(32)}`, act: act('agents/planner'), may_act: { iss: lab.issuer, sub: spiffe('tools/mailer') } }));
    await refused('token_unknown', () => lab.spend(made, { scope: 'deploy:read' }));
    await refused('token_unknown', () => lab.takeUp(made, 'tools/mailer'));
    await served(async () => lab.takeUp(issued(await lab.handOn(planner, 'tools/mailer')), 'tools/mailer'));
  });

  test.each<Attack>([
    { name: 'in a person\'s own token', code: 'evidence_claim_invalid', attack: () => lab.plan({ subject_token: lab.idToken({ act: { sub: spiffe('agents/planner') } }), scope: 'deploy:read' }), twin: () => lab.plan({ subject_token: lab.idToken(), scope: 'deploy:read' }) },
    {
      name: 'six deep in a person\'s own token', code: 'evidence_claim_invalid', twin: () => lab.plan({ scope: 'deploy:read' }),
      attack: () => lab.plan({ subject_token: lab.idToken({ act: act('agents/planner', 'agents/searcher', 'tools/mailer', 'tools/printer', 'agents/a5', 'agents/a6') }), scope: 'deploy:read' }),
    },
    { name: 'in an agent\'s evidence', code: 'evidence_claim_invalid', attack: () => lab.plan({ actor_token: lab.agent('agents/planner', { act: { sub: ALICE } }), scope: 'deploy:read' }), twin: () => lab.plan({ actor_token: lab.agent('agents/planner'), scope: 'deploy:read' }) },
    { name: 'as a right to act in an agent\'s evidence', code: 'evidence_claim_invalid', attack: () => lab.plan({ actor_token: lab.agent('agents/planner', { may_act: { sub: ALICE } }), scope: 'deploy:read' }), twin: () => lab.plan({ scope: 'deploy:read' }) },
    {
      name: 'in a token of the platform that says it is ours', code: 'token_signature_invalid', twin: async () => lab.spend((await chain()).searcher, { scope: 'deploy:read' }),
      held: async () => (await chain()).searcher,
      attack: (held) => lab.spend(lab.agent('agents/searcher', { ...claimsOf(held), iss: lab.issuer, aud: lab.issuer }, { header: { typ: 'at+jwt' } }), { scope: 'deploy:read' }),
    },
  ])('that its bearer made, $name, is refused', staged);

  test('grows no longer than the domain allows, and no domain can allow more than five', async () => {
    let token = await lab.session(READ);
    for (const name of ['agents/searcher', 'tools/mailer', 'agents/a5'] as const) token = issued(await lab.takeUp(issued(await lab.handOn(token, name)), name));
    const handed = issued(await lab.handOn(token, 'agents/a6'));
    await refused('depth_exceeded', () => lab.takeUp(handed, 'agents/a6'));
    await refused('depth_exceeded', () => lab.spend(handed, { actor_token: lab.agent('agents/a6'), scope: 'deploy:read' }));
    await served(() => lab.spend(token, { scope: 'deploy:read' }));
    const limits = (depth: number): Promise<Answer> => lab.mayfly.admin('PUT', 'domains/dev', { name: 'dev', stage: 'development', owner: 'local', limits: { depth } });
    expect([(await limits(6)).status, (await limits(5)).status]).toEqual([422, 200]);
    await served(() => lab.takeUp(handed, 'agents/a6'));
    expect((await limits(4)).status).toBe(200);
  });

  test.each<Attack>([
    { name: 'a resource token as subject', code: 'token_not_exchangeable', held: async () => issued(await lab.plan({ scope: 'deploy:read' })), attack: (held) => lab.spend(held, { scope: 'deploy:read' }), twin: async () => lab.spend(await lab.session(), { scope: 'deploy:read' }) },
    {
      name: 'a resource token as subject, with evidence of whom it was issued to', code: 'token_not_exchangeable',
      held: async () => issued(await lab.plan({ scope: 'deploy:read' })),
      attack: (held) => lab.spend(held, { actor_token: lab.agent('agents/planner'), scope: 'deploy:read' }), twin: async () => lab.spend(await lab.session(), { actor_token: lab.agent('agents/planner'), audience: '' }),
    },
    { name: 'a resource token handed on', code: 'token_not_exchangeable', held: async () => issued(await lab.plan({ scope: 'deploy:read' })), attack: (held) => lab.handOn(held, 'agents/searcher'), twin: async () => lab.handOn(await lab.session(), 'agents/searcher') },
    { name: 'a session token as actor', code: 'evidence_issuer_unknown', held: () => lab.session(), attack: (held) => lab.plan({ actor_token: held, scope: 'deploy:read' }), twin: () => lab.plan({ scope: 'deploy:read' }) },
    { name: 'a handed token as actor', code: 'evidence_issuer_unknown', held: async () => issued(await lab.handOn(await lab.session(), 'agents/searcher')), attack: (held) => lab.plan({ actor_token: held, scope: 'deploy:read' }), twin: () => lab.plan({ scope: 'deploy:read' }) },
    { name: 'a session token as a person\'s', code: 'evidence_issuer_unknown', held: () => lab.session(), attack: (held) => lab.plan({ subject_token: held, scope: 'deploy:read' }), twin: () => lab.plan({ scope: 'deploy:read' }) },
    {
      name: 'the parent\'s name with the child\'s token', code: 'client_id_mismatch',
      held: async () => (await chain()).searcher,
      attack: (held) => lab.spend(held, { client_id: spiffe('agents/planner'), scope: 'deploy:read' }), twin: async () => lab.spend((await chain()).searcher, { client_id: spiffe('agents/searcher'), scope: 'deploy:read' }),
    },
    {
      name: 'the child\'s evidence with the parent\'s token', code: 'actor_mismatch',
      held: async () => (await chain()).planner,
      attack: (held) => lab.spend(held, { actor_token: lab.agent('agents/searcher'), audience: '' }), twin: async () => lab.spend((await chain()).planner, { actor_token: lab.agent('agents/planner'), audience: '' }),
    },
    { name: 'a blank that is none of RFC 6749\'s', code: 'scope_malformed', held: () => lab.session(READ), attack: (held) => lab.spend(held, { scope: 'deploy:read\tdeploy:write' }), twin: async () => lab.spend(await lab.session(READ), { scope: 'deploy:read deploy:read' }) },
    { name: 'the parent\'s scope with the child\'s narrower token', code: 'ceiling_exceeded', held: async () => issued(await lab.takeUp(issued(await lab.handOn(await lab.session(), 'agents/searcher')), 'agents/searcher')), attack: (held) => lab.spend(held, { scope: 'deploy:write' }), twin: async () => lab.spend(await lab.session(), { scope: 'deploy:write' }) },
  ])('is not left by $name', staged);
});

describe('an issuer\'s word alone (invariant 4)', () => {
  test.each<Attack>([
    { name: 'a person who may delegate nothing', code: 'target_denied', attack: () => lab.plan({ subject_token: lab.idToken({ groups: ['sales'] }), scope: 'deploy:read' }), twin: () => lab.plan({ subject_token: lab.idToken({ groups: ['sales', 'engineering'] }), scope: 'deploy:read' }) },
    { name: 'groups the agent\'s platform claims for it', code: 'target_denied', attack: () => lab.plan({ subject_token: lab.idToken({ groups: undefined }), actor_token: lab.agent('agents/planner', { groups: ['engineering'] }), scope: 'deploy:read' }), twin: () => lab.plan({ actor_token: lab.agent('agents/planner', { groups: ['engineering'] }), scope: 'deploy:read' }) },
    { name: 'an agent that no policy permits anything, handed everything', code: 'target_denied', held: async () => issued(await handToIdle()), attack: (held) => lab.spend(held, { actor_token: idle(), scope: 'deploy:read' }), twin: async () => lab.spend(issued(await lab.handOn(await lab.session(), 'agents/searcher')), { actor_token: lab.agent('agents/searcher'), scope: 'deploy:read' }) },
    { name: 'a person\'s token that names who may act, and is for another application', code: 'presenter_not_listed', attack: () => lab.plan({ subject_token: lab.idToken({ aud: 'other-app', may_act: { iss: lab.issuer, sub: spiffe('agents/planner') } }), scope: 'deploy:read' }), twin: () => lab.plan({ subject_token: lab.idToken({ aud: APP, may_act: { iss: lab.issuer, sub: spiffe('agents/planner') } }), scope: 'deploy:read' }) },
    { name: 'a scope that the person\'s token claims', code: 'scope_denied', attack: () => lab.plan({ subject_token: lab.idToken({ scope: 'deploy:admin', authorization_details: JSON.parse(ceilingOf([{ audience: API, scopes: ['deploy:admin'] }])) as object }), scope: 'deploy:admin' }), twin: () => lab.plan({ subject_token: lab.idToken({ scope: 'deploy:admin' }), scope: 'deploy:read' }) },
    { name: 'the platform of agents, about a person', code: 'evidence_issuer_unknown', attack: () => lab.plan({ subject_token: lab.agent('agents/planner', { sub: 'alice', aud: APP, auth_time: 1, sid: 's', groups: ['engineering'] }), scope: 'deploy:read' }), twin: () => lab.plan({ scope: 'deploy:read' }) },
    { name: 'the provider of people, about an agent', code: 'evidence_issuer_unknown', attack: () => lab.plan({ actor_token: lab.idp.mint({ sub: 'agent:agents/planner', aud: lab.issuer, agent_id: agentId('agents/planner') }), scope: 'deploy:read' }), twin: () => lab.plan({ scope: 'deploy:read' }) },
  ])('is no permission: $name', staged);

  const idle = (): string => lab.agent('agents/planner', { agent_id: IDLE });
  const handToIdle = async (): Promise<Answer> => lab.spend(await lab.session(), { audience: '', authorization_details: ceilingOf(READ), requested_actor: spiffe('agents/planner').replace('planner', 'idle') });
});

describe('a person without an actor (invariant 5)', () => {
  const person = (values: Readonly<Record<string, string>>): Promise<Answer> => lab.mayfly.form('dev/token', { grant_type: GRANT, audience: API, scope: 'deploy:read', subject_token_type: JWT_TYPE, subject_token: lab.idToken(), ...values });
  test.each<{ readonly name: string; readonly code: string; readonly attack: () => Promise<Answer> }>([
    { name: 'alone', code: 'actor_missing', attack: () => person({}) },
    { name: 'with an actor that is nobody', code: 'parameter_invalid', attack: () => person({ actor_token: '', actor_token_type: JWT_TYPE }) },
    { name: 'with the name of an actor', code: 'actor_missing', attack: () => person({ client_id: spiffe('agents/planner') }) },
    { name: 'as its own actor', code: 'evidence_issuer_unknown', attack: async () => { const token = lab.idToken(); return person({ subject_token: token, actor_token: token, actor_token_type: JWT_TYPE }); } },
    { name: 'with a task of somebody else\'s', code: 'actor_missing', attack: () => person({ purpose: 'anything' }) },
    { name: 'as the actor of an agent', code: 'evidence_issuer_unknown', attack: () => person({ subject_token: lab.agent('agents/planner'), actor_token: lab.idToken(), actor_token_type: JWT_TYPE }) },
    { name: 'as an access token of ours', code: 'actor_missing', attack: () => person({ subject_token_type: ACCESS_TOKEN_TYPE }) },
  ])('is nobody who could act: $name', async ({ code, attack }) => {
    await refused(code, attack);
    await served(() => person({ actor_token: lab.agent('agents/planner'), actor_token_type: JWT_TYPE }));
  });
});

describe('authority that was taken back (invariant 9)', () => {
  const revoke = async (kind: 'session' | 'lease', id: unknown): Promise<void> => { expect((await lab.mayfly.admin('POST', 'revocations', { kind, id, reason: 'attack' })).status).toBe(200); };

  test('of a parent is none of its child, whatever the child still holds or shows', async () => {
    const { planner, searcher } = await chain();
    const twin = await chain();
    const waiting = issued(await lab.handOn(searcher, 'tools/mailer'));
    const sid = claimsOf(searcher)['sid'];
    // A session token stands for its hop.
    await revoke('lease', claimsOf(planner)['jti']);
    await refused('revoked', () => lab.spend(searcher, { scope: 'deploy:read' }));
    await refused('revoked', () => lab.spend(searcher, { actor_token: lab.agent('agents/searcher'), audience: '' }));
    await refused('revoked', () => lab.ask({ subject_token: String(sid), subject_token_type: SESSION_TYPE, actor_token: lab.agent('agents/searcher'), audience: '' }));
    await refused('revoked', () => lab.handOn(searcher, 'tools/mailer'));
    await refused('revoked', () => lab.takeUp(waiting, 'tools/mailer'));
    await served(() => lab.spend(twin.searcher, { scope: 'deploy:read' }));
    await served(() => lab.spend(twin.searcher, { actor_token: lab.agent('agents/searcher'), audience: '' }));
  });

  test('of a child is all the parent still has', async () => {
    const { planner, searcher } = await chain();
    await revoke('lease', claimsOf(searcher)['jti']);
    await refused('revoked', () => lab.spend(searcher, { scope: 'deploy:read' }));
    await served(() => lab.spend(planner, { scope: 'deploy:read' }));
  });

  test('of a session is never opened again, by whatever names it', async () => {
    const login = { sid: 'taken-back' };
    const subject_token = lab.idToken(login);
    const token = await lab.session(BOTH, { subject_token });
    const resource = issued(await lab.spend(token, { audience: BILLING, scope: 'bills:read' }));
    expect((await lab.introspect(resource))['active']).toBe(true);
    await revoke('session', claimsOf(token)['sid']);
    expect(await lab.introspect(resource)).toEqual({ active: false });
    for (const again of [subject_token, lab.idToken(login), lab.idToken({ ...login, auth_time: Math.floor(Date.now() / 1000) + 1, exp: Math.floor((Date.now() + HOUR) / 1000) })]) {
      await refused('revoked', () => lab.plan({ subject_token: again, scope: 'deploy:read' }));
    }
    await served(() => lab.plan({ subject_token: lab.idToken({ sid: 'another' }), scope: 'deploy:read' }));
  });
});
