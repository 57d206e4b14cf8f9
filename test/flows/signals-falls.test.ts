import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { read } from '../support/mayfly.ts';
import { verifySet } from '../support/set-receiver.ts';
import type { ReceivedSet } from '../support/set-receiver.ts';
import { alterDatabase } from './database.ts';
import { ALICE, BOTH, READ, spiffe } from './agents-lab.ts';
import { claimsOf, issued, until } from './lab.ts';
import { startSignalsLab } from './signals-lab.ts';
import type { SignalsLab } from './signals-lab.ts';

let lab: SignalsLab;
let logins = 0;
beforeAll(async () => { lab = await startSignalsLab(); });
afterAll(async () => { await lab.close(); });

const sidOf = (token: string): string => String(claimsOf(token)['sid']);
const jtiOf = (token: string): string => String(claimsOf(token)['jti']);
const run = async (): Promise<string> => issued(await lab.ask({ subject_token: lab.agent('ci/runner') }));
const login = (): { readonly subject_token: string } => ({ subject_token: lab.idToken({ sid: `login-${(logins += 1)}` }) });
const revokeByHolder = async (token: string): Promise<void> => { expect((await lab.mayfly.form('dev/revoke', { token })).status).toBe(200); };
const enable = async (kind: string, id: string): Promise<void> => { expect((await lab.mayfly.admin('POST', 'enable', { kind, id, domain: 'dev' })).status).toBe(200); };
/** As another node of the installation would write it. */
const writeRevocation = (target: string, effect: 'revoked' | 'suspended'): void => {
  const domain = "(SELECT id FROM entry WHERE kind = 'domain' AND name = 'dev')";
  alterDatabase(lab, `BEGIN; UPDATE registry_version SET version = version + 1;
    INSERT INTO revocation (seq, target, domain_id, effect, "at", "by", reason) SELECT version, '${target}', ${domain}, '${effect}', '${new Date().toISOString().slice(0, -1)}+00:00', 'signal:corp', 'risk' FROM registry_version; COMMIT;`);
};
const lift = (target: string): void => {
  alterDatabase(lab, `BEGIN; UPDATE registry_version SET version = version + 1;
    UPDATE revocation SET enabled_seq = (SELECT version FROM registry_version), enabled_at = '${new Date().toISOString().slice(0, -1)}+00:00', enabled_by = 'signal:corp' WHERE target = '${target}' AND enabled_seq IS NULL; COMMIT;`);
};

/** What a stream that begins now is told of what `happen` does: everything before an event of our own that follows it. */
const told = async (happen: () => Promise<void> | void): Promise<readonly ReceivedSet[]> => {
  const id = await lab.poll();
  let token: string | undefined;
  const poll = async (): Promise<readonly ReceivedSet[]> => {
    // One for all polls after it happened: each is a session, and what falls would fill more than one answer holds.
    token ??= await lab.token();
    const answer = await read(await request(`${lab.issuer}/ssf/poll/${id}`, { method: 'POST', headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' }, body: '{"returnImmediately":true}' }));
    return Promise.all(Object.values(answer.body['sets'] as Record<string, string>).map((set) => verifySet(set, lab.issuer, spiffe('svc/api'))));
  };
  await happen();
  // Only once the other node's rows are seen here does a row of ours come after them.
  await until(async () => (await fetch(`${lab.mayfly.url}/readyz`)).status === 200);
  const last = await run();
  await revokeByHolder(last);
  let sets: readonly ReceivedSet[] = [];
  await until(async () => {
    sets = await poll();
    return sets.some(({ subject }) => subject['jti'] === jtiOf(last));
  });
  await lab.ssf('DELETE', `streams?stream_id=${id}`);
  return sets.filter(({ subject }) => subject['jti'] !== jtiOf(last));
};
const inShort = (sets: readonly ReceivedSet[]): readonly unknown[] => sets.map(({ type, subject }) => ({ type, ...subject }));

const user = (sub: string) => ({ format: 'iss_sub', iss: lab.issuer, sub });
const whole = (token: string, sub: string) => ({ type: 'session-revoked', format: 'complex', session: { format: 'opaque', id: sidOf(token) }, user: user(sub) });
const actor = (token: string, sub: string, name: Parameters<typeof spiffe>[0]) => ({ ...whole(token, sub), application: user(spiffe(name)) });

describe('session-revoked', () => {
  test('of a run, once, whoever revokes it and however often', async () => {
    const token = await run();
    expect(inShort(await told(async () => {
      await lab.revoke('session', sidOf(token));
      await lab.revoke('session', sidOf(token));
    }))).toEqual([whole(token, spiffe('ci/runner'))]);
  });

  test('of a session that was ended, once, also when it is revoked afterwards', async () => {
    const token = await run();
    const sets = await told(async () => {
      expect((await lab.mayfly.admin('POST', `sessions/${sidOf(token)}/end`, { reason: 'done' })).status).toBe(200);
      await until(async () => String((await lab.mayfly.admin('GET', `sessions/${sidOf(token)}`)).body['status']) !== 'active');
      await lab.revoke('session', sidOf(token));
    });
    expect(inShort(sets)).toEqual([whole(token, spiffe('ci/runner'))]);
  });

  test('of a single token, by its jti, with the holder as who did it', async () => {
    const token = await run();
    const sets = await told(() => revokeByHolder(token));
    expect(inShort(sets)).toEqual([{ type: 'session-revoked', format: 'jwt_id', iss: lab.issuer, jti: jtiOf(token) }]);
    expect(sets[0]?.event).toMatchObject({ initiating_entity: 'user', reason_admin: { en: 'revoked by its holder (RFC 7009)' } });
  });

  test('of one actor of a session, and of those it handed on to: others of the session go on', async () => {
    const session = await lab.session(BOTH, login());
    const handover = issued(await lab.handOn(session, 'agents/searcher'));
    const searcher = issued(await lab.takeUp(handover, 'agents/searcher'));
    const second = issued(await lab.takeUp(issued(await lab.handOn(searcher, 'tools/printer')), 'tools/printer'));
    expect(sidOf(second)).toBe(sidOf(session));
    const sets = await told(() => revokeByHolder(searcher));
    expect(inShort(sets)).toEqual([actor(session, ALICE, 'agents/searcher'), actor(session, ALICE, 'tools/printer')]);
    expect((await lab.spend(session, { scope: 'deploy:read' })).status).toBe(200);
  });

  test('of what was taken up with a token that was handed on and then taken back', async () => {
    const session = await lab.session(BOTH, login());
    const handover = issued(await lab.handOn(session, 'agents/searcher'));
    issued(await lab.takeUp(handover, 'agents/searcher'));
    expect(inShort(await told(() => revokeByHolder(handover)))).toEqual([actor(session, ALICE, 'agents/searcher')]);
  });

  test('of every session of a workload that is revoked, and of its place in those of others, and of nobody else\'s', async () => {
    const [one, two] = [await run(), await run()];
    const session = await lab.session(READ, login());
    const child = issued(await lab.takeUp(issued(await lab.handOn(session, 'agents/searcher')), 'agents/searcher'));
    const sets = await told(async () => {
      await lab.revoke('workload', 'agents/searcher');
      await enable('workload', 'agents/searcher');
    });
    expect(inShort(sets)).toEqual(expect.arrayContaining([actor(child, ALICE, 'agents/searcher')]));
    expect(sets.every(({ subject }) => 'application' in subject)).toBe(true);

    const runs = await told(async () => {
      await lab.revoke('workload', 'ci/runner');
      await enable('workload', 'ci/runner');
    });
    const sids = inShort(runs).map((set) => (set as ReturnType<typeof whole>).session.id);
    expect(sids).toEqual(expect.arrayContaining([sidOf(one), sidOf(two)]));
    expect(sids).not.toContain(sidOf(session));
    expect(new Set(sids).size).toBe(sids.length);
  });

  test('of every session of a person, and of those they are accountable for', async () => {
    const session = await lab.session(READ, login());
    const opened = await lab.mayfly.admin('POST', 'sessions', { domain: 'dev', workload: 'ops/fixer', purpose: 'mend it', budgets: {} });
    const task = String(opened.body['session']);
    const token = issued(await lab.ask({ subject_token: lab.agent('ops/fixer'), session: task, scope: 'deploy:read' }));
    const bystander = await run();
    const sets = inShort(await told(() => { writeRevocation(`person:${ALICE}`, 'revoked'); }));
    expect(sets).toEqual(expect.arrayContaining([whole(session, ALICE), whole(token, spiffe('ops/fixer'))]));
    expect(sets.map((set) => (set as ReturnType<typeof whole>).session.id)).not.toContain(sidOf(bystander));
    lift(`person:${ALICE}`);
  });

  test('of every session that rests on an issuer', async () => {
    const before = await run();
    const sets = await told(async () => {
      await lab.revoke('issuer', 'platform');
      await enable('issuer', 'platform');
    });
    expect(inShort(sets)).toEqual(expect.arrayContaining([whole(before, spiffe('ci/runner'))]));
  });

  test('of every session of a domain, to those who listen in it', async () => {
    const before = await run();
    const sets = await told(async () => {
      await lab.revoke('domain', 'dev');
      await enable('domain', 'dev');
    });
    expect(inShort(sets)).toEqual(expect.arrayContaining([whole(before, spiffe('ci/runner'))]));
  });

  test('never of what fell before the stream began, nor of a key', async () => {
    const token = await run();
    await lab.revoke('session', sidOf(token));
    const { items } = (await lab.mayfly.admin('GET', 'keys?domain=dev')).body as { readonly items: readonly { readonly kid: string; readonly purpose: string; readonly status: string }[] };
    const kid = items.find(({ purpose, status }) => purpose === 'access' && status === 'current')?.kid ?? '';
    expect(await told(async () => { expect((await lab.mayfly.admin('POST', `keys/${kid}/revoke`, { reason: 'test' })).status).toBe(200); })).toEqual([]);
  });
});

describe('risk-level-change', () => {
  test('when a session is suspended, and when that is lifted', async () => {
    const token = await run();
    const sets = await told(async () => {
      writeRevocation(`session:${sidOf(token)}`, 'suspended');
      lift(`session:${sidOf(token)}`);
      await Promise.resolve();
    });
    expect(sets.map(({ type, event }) => [type, event['principal'], event['current_level'], event['initiating_entity']])).toEqual([['risk-level-change', 'SESSION', 'HIGH', 'system'], ['risk-level-change', 'SESSION', 'LOW', 'system']]);
    expect(sets[0]?.subject).toMatchObject({ session: { id: sidOf(token) }, user: user(spiffe('ci/runner')) });
  });

  test('when a person is suspended', async () => {
    const sets = await told(() => { writeRevocation(`person:${ALICE}`, 'suspended'); });
    expect(sets.map(({ type, subject, event }) => [type, subject, event['principal'], event['current_level']])).toEqual([['risk-level-change', user(ALICE), 'USER', 'HIGH']]);
    lift(`person:${ALICE}`);
  });
});

describe('a stream', () => {
  test('hears only what it asked for', async () => {
    const { id, receiver } = await lab.push(undefined, { events_requested: ['https://schemas.openid.net/secevent/caep/event-type/risk-level-change'] });
    const all = await lab.push();
    const token = await run();
    await lab.revoke('session', sidOf(token));
    await until(() => Promise.resolve(all.receiver.deliveries.length > 0));
    expect(receiver.deliveries).toEqual([]);
    for (const stream of [id, all.id]) await lab.ssf('DELETE', `streams?stream_id=${stream}`);
  });

  test('is told whatever the receiver asks about its subjects for an hour, so that nobody silences it at the moment it matters', async () => {
    const { id, receiver } = await lab.push();
    const token = await run();
    expect((await lab.ssf('POST', 'subjects/remove', { stream_id: id, subject: { format: 'complex', session: { format: 'opaque', id: sidOf(token) } } })).status).toBe(204);
    await lab.revoke('session', sidOf(token));
    await until(() => Promise.resolve(receiver.deliveries.length > 0));
    const past = new Date(Date.now() - 1000).toISOString().slice(0, -1);
    const other = await run();
    await lab.ssf('POST', 'subjects/remove', { stream_id: id, subject: { format: 'complex', session: { format: 'opaque', id: sidOf(other) } } });
    alterDatabase(lab, `UPDATE ssf_subject SET since = '${past}+00:00'`);
    await lab.revoke('session', sidOf(other));
    const last = await run();
    await lab.revoke('session', sidOf(last));
    await until(() => Promise.resolve(receiver.deliveries.length > 1));
    expect(receiver.events().map(({ subject }) => (subject['session'] as { id: string }).id)).toEqual([sidOf(token), sidOf(last)]);
    // Added again it is told of again.
    const again = await run();
    const subject = { format: 'complex', session: { format: 'opaque', id: sidOf(again) } };
    await lab.ssf('POST', 'subjects/remove', { stream_id: id, subject });
    alterDatabase(lab, `UPDATE ssf_subject SET since = '${past}+00:00'`);
    await lab.ssf('POST', 'subjects/add', { stream_id: id, subject });
    await lab.revoke('session', sidOf(again));
    await until(() => Promise.resolve(receiver.deliveries.length > 2));
    await lab.ssf('DELETE', `streams?stream_id=${id}`);
  });

  test('is verified on request, with the state it was given, and not twice in a moment', async () => {
    const { id, receiver } = await lab.push();
    expect((await lab.ssf('POST', 'verify', { stream_id: id, state: 'VGhpcy4=' })).status).toBe(204);
    await until(() => Promise.resolve(receiver.deliveries.length > 0));
    expect(receiver.deliveries.map(({ type, event, subject }) => [type, event, subject])).toEqual([['verification', { state: 'VGhpcy4=' }, { format: 'opaque', id }]]);
    const soon = await lab.ssf('POST', 'verify', { stream_id: id });
    expect([soon.status, soon.headers['retry-after'], await lab.mayfly.reason(soon)]).toEqual([429, '30', 'rate_limited']);
    const { id: other, receiver: second } = await lab.push();
    expect((await lab.ssf('POST', 'verify', { stream_id: other })).status).toBe(204);
    await until(() => Promise.resolve(second.deliveries.length > 0));
    expect(second.deliveries.map(({ event }) => event)).toEqual([{}]);
    await lab.ssf('POST', 'status', { stream_id: other, status: 'disabled' });
    alterDatabase(lab, 'UPDATE ssf_stream SET verified_at = NULL');
    const disabled = await lab.ssf('POST', 'verify', { stream_id: other });
    expect([disabled.status, await lab.mayfly.reason(disabled)]).toEqual([400, 'stream_disabled']);
    for (const stream of [id, other]) await lab.ssf('DELETE', `streams?stream_id=${stream}`);
  });
});
