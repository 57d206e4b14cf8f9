import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { HOUR, MINUTE } from '../../src/core/duration.ts';
import type { Answer } from '../support/mayfly.ts';
import { createStatusVerifier, referenceOf } from '../support/status-verifier.ts';
import { ALICE, READ, agentsManifest, startAgentsLab } from './agents-lab.ts';
import type { AgentsLab } from './agents-lab.ts';
import { alterDatabase } from './database.ts';
import { API, ceilingOf, claimsOf, issued, until } from './lab.ts';

let lab: AgentsLab;
let verifier: ReturnType<typeof createStatusVerifier>;
beforeAll(async () => {
  lab = await startAgentsLab({ timed: true });
  verifier = createStatusVerifier(lab.issuer, () => lab.time.now);
});
afterAll(async () => { await lab.close(); });

const done = (answer: Answer): Answer => {
  if (answer.status !== 200) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
  return answer;
};
const revoke = async (kind: string, id: unknown, domain?: string): Promise<Answer> => done(await lab.mayfly.admin('POST', 'revocations', { kind, id, reason: 'test', ...(domain === undefined ? {} : { domain }) }));

const pass = async (milliseconds: number): Promise<void> => {
  lab.time.now += milliseconds;
  await until(async () => (await fetch(`${lab.mayfly.url}/readyz`)).status === 200);
};

/** A chain of three in a login of its own: tokens for the API from each of its actors. */
interface Chain { readonly sid: unknown; readonly session: string; readonly child: string; readonly own: string; readonly childs: string }
let logins = 0;
const startChain = async (): Promise<Chain> => {
  logins += 1;
  const session = await lab.session(READ, { subject_token: lab.idToken({ sid: `status-${logins}` }) });
  const child = issued(await lab.takeUp(issued(await lab.handOn(session, 'agents/searcher')), 'agents/searcher'));
  const [own, childs] = [issued(await lab.spend(session, { scope: 'deploy:read' })), issued(await lab.spend(child, { scope: 'deploy:read' }))];
  return { sid: claimsOf(session)['sid'], session, child, own, childs };
};

/** What the list says of a token; introspection must say the same. */
const judged = async (...tokens: readonly string[]): Promise<readonly string[]> => {
  const said: string[] = [];
  for (const token of tokens) {
    const status = await verifier.statusOf(token);
    expect({ status, active: (await lab.introspect(token))['active'] }).toEqual({ status, active: status === 'valid' });
    said.push(status);
  }
  return said;
};

/** What reaches the registry of a running server from elsewhere: a revocation with an effect, and its end. */
const insertRevocation = (target: string, effect: 'revoked' | 'suspended'): void => {
  alterDatabase(lab, `UPDATE registry_version SET version = version + 1;
    INSERT INTO revocation (seq, target, domain_id, effect, "at", "by", reason) SELECT version, '${target}', (SELECT id FROM entry WHERE kind = 'domain' AND name = 'dev' LIMIT 1), '${effect}', '${new Date(lab.time.now).toISOString().slice(0, -1)}+00:00', 'test', 'test' FROM registry_version;`);
};
const liftRevocation = (target: string): void => {
  alterDatabase(lab, `UPDATE registry_version SET version = version + 1;
    UPDATE revocation SET enabled_seq = (SELECT version FROM registry_version), enabled_at = "at", enabled_by = 'test' WHERE target = '${target}' AND enabled_seq IS NULL;`);
};
const untilStatus = (token: string, status: string): Promise<void> => until(async () => (await verifier.statusOf(token)) === status);

describe('every access token', () => {
  test('names an entry of a list of its issuer, its own alone', async () => {
    const { session, child, own, childs } = await startChain();
    const references = [session, child, own, childs].map(referenceOf);
    for (const { uri, idx } of references) {
      expect(uri).toMatch(new RegExp(`^${lab.issuer}/status/[A-Za-z0-9_-]{22}$`));
      expect(Number.isInteger(idx) && idx >= 0 && idx < 1_048_576).toBe(true);
    }
    expect(new Set(references.map(({ uri, idx }) => `${uri} ${idx}`)).size).toBe(4);
    expect(await verifier.statusOf(session)).toBe('valid');
    expect(await judged(own, childs)).toEqual(['valid', 'valid']);
  });

  test('of one evidence alone has one as well, and introspection shows it', async () => {
    const token = issued(await lab.ask({ subject_token: lab.agent('ci/runner'), scope: 'deploy:read' }));
    expect(await judged(token)).toEqual(['valid']);
    expect((await lab.introspect(token))['status']).toEqual({ status_list: referenceOf(token) });
  });
});

describe('a list', () => {
  test('is signed by a key for status lists, for half a minute, and says so in its own words and in HTTP\'s', async () => {
    const { own } = await startChain();
    const { uri } = referenceOf(own);
    const { claims, header, headers, bytes } = await verifier.fetchList(uri);
    expect(claims).toEqual({ iss: lab.issuer, sub: uri, iat: lab.time.now / 1000, exp: lab.time.now / 1000 + 300, ttl: 30, status_list: { bits: 2, lst: expect.stringMatching(/^[A-Za-z0-9_-]+$/) } });
    expect(bytes).toHaveLength(262_144);
    const keys = (await lab.mayfly.admin('GET', 'keys?domain=dev')).body['items'] as readonly { readonly kid: string; readonly purpose: string }[];
    expect(keys.find(({ kid }) => kid === header.kid)?.purpose).toBe('status');
    expect(Object.fromEntries(['cache-control', 'access-control-allow-origin', 'vary'].map((name) => [name, headers.get(name)]))).toEqual({ 'cache-control': 'public, max-age=30', 'access-control-allow-origin': '*', vary: 'Accept, Accept-Encoding' });
  });

  test.each([
    { name: 'for CWT', path: '', headers: { accept: 'application/statuslist+cwt' }, status: 406 },
    { name: 'for JWT after CWT', path: '', headers: { accept: 'application/statuslist+cwt, application/statuslist+jwt;q=0.5' }, status: 200 },
    { name: 'for anything', path: '', headers: { accept: '*/*' }, status: 200 },
    { name: 'for anything but this', path: '', headers: { accept: 'application/statuslist+jwt;q=0, */*;q=0' }, status: 406 },
    { name: 'as it was at another time', path: '?time=1686925000', headers: {}, status: 501 },
    { name: 'with another query', path: '?x=1', headers: {}, status: 200 },
  ])('is asked $name: $status', async ({ path, headers, status }) => {
    const { uri } = referenceOf((await startChain()).own);
    const response = await fetch(`${uri}${path}`, { headers });
    expect([response.status, response.headers.get('access-control-allow-origin')]).toEqual([status, '*']);
    if (status !== 200) expect(response.headers.get('cache-control')).toBe('no-store');
  });

  test.each([
    { name: 'that nobody made', path: 'dev/status/AAAAAAAAAAAAAAAAAAAAAA' }, { name: 'that could not be one', path: 'dev/status/x' }, { name: 'of no domain', path: 'nobody/status/AAAAAAAAAAAAAAAAAAAAAA' }, { name: 'of the system', path: 'system/status/AAAAAAAAAAAAAAAAAAAAAA' },
  ])('$name is not there', async ({ path }) => {
    expect((await fetch(`${lab.mayfly.url}/${path}`)).status).toBe(404);
  });

  test('of one domain is none of another\'s', async () => {
    await lab.mayfly.apply({ domains: [{ name: 'other', stage: 'development', owner: 'local' }] });
    const { uri } = referenceOf((await startChain()).own);
    expect((await fetch(uri)).status).toBe(200);
    expect((await fetch(uri.replace('/dev/', '/other/'))).status).toBe(404);
  });

  test('takes no other method, and tells which it takes', async () => {
    const { uri } = referenceOf((await startChain()).own);
    const response = await fetch(uri, { method: 'POST' });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET']);
  });

  test('is found without a token as well', async () => {
    const { uri } = referenceOf((await startChain()).own);
    const metadata = await (await fetch(`${lab.mayfly.url}/.well-known/oauth-authorization-server/dev`)).json() as Record<string, string>;
    const response = await fetch(String(metadata['status_list_aggregation_endpoint']));
    expect([response.headers.get('content-type'), response.headers.get('access-control-allow-origin')]).toEqual(['application/json; charset=utf-8', '*']);
    expect(((await response.json()) as { readonly status_lists: readonly string[] }).status_lists).toContain(uri);
    expect(await (await fetch(`${lab.mayfly.url}/other/status`)).json()).not.toEqual({ status_lists: expect.arrayContaining([uri]) });
  });
});

describe('the list and introspection agree', () => {
  let bystander: Chain;
  beforeAll(async () => { bystander = await startChain(); });

  test('on a lease that was revoked', async () => {
    const chain = await startChain();
    await revoke('lease', claimsOf(chain.childs)['jti']);
    expect(await judged(chain.own, chain.childs, bystander.own)).toEqual(['valid', 'invalid', 'valid']);
  });

  test('on a hop that was revoked, and on who acted below it', async () => {
    const chain = await startChain();
    done(await lab.mayfly.form('dev/revoke', { token: chain.session }));
    expect(await judged(chain.own, chain.childs, bystander.own)).toEqual(['invalid', 'invalid', 'valid']);
    const [sessionToken, childToken] = [await verifier.statusOf(chain.session), await verifier.statusOf(chain.child)];
    expect([sessionToken, childToken]).toEqual(['invalid', 'invalid']);
    const below = await startChain();
    done(await lab.mayfly.form('dev/revoke', { token: below.child }));
    expect(await judged(below.own, below.childs)).toEqual(['valid', 'invalid']);
  });

  test('on a session that was revoked', async () => {
    const chain = await startChain();
    await revoke('session', chain.sid);
    expect(await judged(chain.own, chain.childs, bystander.childs)).toEqual(['invalid', 'invalid', 'valid']);
  });

  test('on a session that was ended', async () => {
    const chain = await startChain();
    done(await lab.mayfly.admin('POST', `sessions/${String(chain.sid)}/end`, { reason: 'test' }));
    // An end is no change of the registry: the list that was made just now is kept for a while.
    await pass(11_000);
    await untilStatus(chain.own, 'invalid');
    expect(await judged(chain.own, chain.childs, bystander.own)).toEqual(['invalid', 'invalid', 'valid']);
  });

  test('on a workload that was revoked, and goes on to be though it was let in again', async () => {
    const chain = await startChain();
    await revoke('workload', 'agents/searcher', 'dev');
    expect(await judged(chain.own, chain.childs)).toEqual(['valid', 'invalid']);
    done(await lab.mayfly.admin('POST', 'enable', { kind: 'workload', id: 'agents/searcher', domain: 'dev' }));
    const later = await startChain();
    expect(await judged(chain.childs, later.childs)).toEqual(['invalid', 'valid']);
    bystander = later;
  });

  test('on a person who was suspended, and is not any more', async () => {
    const chain = await startChain();
    const task = issued(await lab.ask({ subject_token: lab.agent('ci/runner'), scope: 'deploy:read' }));
    insertRevocation(`person:${ALICE}`, 'suspended');
    await untilStatus(chain.own, 'suspended');
    expect(await judged(chain.own, chain.childs, task)).toEqual(['suspended', 'suspended', 'valid']);
    expect(await lab.mayfly.reason(await lab.spend(chain.session, { scope: 'deploy:read' }))).toBe('suspended');
    liftRevocation(`person:${ALICE}`);
    await untilStatus(chain.own, 'valid');
    expect(await judged(chain.own, chain.childs)).toEqual(['valid', 'valid']);
  });

  test('on what is suspended and revoked: nothing comes back from that', async () => {
    const chain = await startChain();
    await revoke('lease', claimsOf(chain.own)['jti']);
    insertRevocation(`person:${ALICE}`, 'suspended');
    await untilStatus(chain.childs, 'suspended');
    expect(await judged(chain.own, chain.childs)).toEqual(['invalid', 'suspended']);
    liftRevocation(`person:${ALICE}`);
    await untilStatus(chain.childs, 'valid');
    expect(await judged(chain.own)).toEqual(['invalid']);
  });

  test('on a login that became too old under its tokens', async () => {
    const limits = (seconds: number): Promise<Answer> => lab.mayfly.apply({ domains: [{ name: 'dev', stage: 'development', owner: 'local', limits: { depth: 4, fresh_within: { delegated: seconds, autonomous: 3600 } } }] });
    const chain = await startChain();
    await limits(60);
    await pass(1_000);
    expect(await judged(chain.own, chain.childs)).toEqual(['suspended', 'suspended']);
    await limits(8 * 3600);
    expect(await judged(chain.own, chain.childs)).toEqual(['valid', 'valid']);
  });

  test('on a resource that is registered no more', async () => {
    const chain = await startChain();
    done(await lab.mayfly.admin('DELETE', `resources/dev/${encodeURIComponent(API)}?reason=test`));
    expect(await judged(chain.own)).toEqual(['invalid']);
    const manifest = agentsManifest('', '') as { readonly resources: readonly { readonly audience: string }[] };
    await lab.mayfly.apply({ resources: manifest.resources.filter(({ audience }) => audience === API) });
    // One that is registered anew under its audience is another one.
    const later = await startChain();
    expect(await judged(chain.own, later.own)).toEqual(['invalid', 'valid']);
  });

  test('on a person who was revoked', async () => {
    const chain = await startChain();
    const task = issued(await lab.ask({ subject_token: lab.agent('ci/runner'), scope: 'deploy:read' }));
    insertRevocation(`person:${ALICE}`, 'revoked');
    await untilStatus(chain.own, 'invalid');
    expect(await judged(chain.own, chain.childs, task)).toEqual(['invalid', 'invalid', 'valid']);
  });

  test('on everything a revoked key signed, with lists signed by another one', async () => {
    const before = issued(await lab.ask({ subject_token: lab.agent('ci/runner'), scope: 'deploy:read' }));
    const kidOf = async (purpose: string): Promise<string> => ((await lab.mayfly.admin('GET', 'keys?domain=dev')).body['items'] as readonly { readonly kid: string; readonly purpose: string; readonly status: string }[]).find((key) => key.purpose === purpose && key.status === 'current')?.kid ?? '';
    done(await lab.mayfly.admin('POST', `keys/${await kidOf('access')}/revoke`, { reason: 'test' }));
    const after = issued(await lab.ask({ subject_token: lab.agent('ci/runner'), scope: 'deploy:read' }));
    const fresh = createStatusVerifier(lab.issuer, () => lab.time.now);
    expect([await fresh.statusOf(before), await fresh.statusOf(after)]).toEqual(['invalid', 'valid']);
    const old = await kidOf('status');
    done(await lab.mayfly.admin('POST', `keys/${old}/revoke`, { reason: 'test' }));
    const { header } = await fresh.fetchList(referenceOf(after).uri);
    expect([header.kid === old, header.kid]).toEqual([false, await kidOf('status')]);
    expect(await judged(after)).toEqual(['valid']);
  });
});

test('a list is there until the last token of its last block has expired, and then no more', async () => {
  const { uri } = referenceOf(issued(await lab.ask({ subject_token: lab.agent('ci/runner'), scope: 'deploy:read' })));
  // A block is good for a day, its last token for an hour more.
  await pass(25 * HOUR);
  expect((await fetch(uri)).status).toBe(200);
  // Full: this process can have claimed a block of it up to now, and none from now on.
  alterDatabase(lab, 'UPDATE status_list SET open = NULL');
  await pass(25 * HOUR + 10 * MINUTE);
  expect((await fetch(uri)).status).toBe(404);
  const next = referenceOf(issued(await lab.ask({ subject_token: lab.agent('ci/runner'), scope: 'deploy:read' })));
  expect(next.uri).not.toBe(uri);
  expect((await fetch(next.uri)).status).toBe(200);
});

test('tokens and lists outlive a restart, and no entry is given twice', async () => {
  const given = new Set<string>();
  const take = async (): Promise<string> => {
    const token = issued(await lab.ask({ subject_token: lab.agent('ci/runner'), audience: '', authorization_details: ceilingOf(READ) }));
    const { idx, uri } = referenceOf(token);
    expect(given.has(`${uri} ${idx}`)).toBe(false);
    given.add(`${uri} ${idx}`);
    return token;
  };
  const before = await take();
  await lab.mayfly.restart();
  expect(await verifier.statusOf(before)).toBe('valid');
  for (let turn = 0; turn < 5; turn += 1) await take();
});

test('no token leaves without an entry of a status list, and nothing is used up by asking', async () => {
  alterDatabase(lab, "CREATE TRIGGER no_blocks BEFORE INSERT ON status_list BEGIN SELECT RAISE(ABORT, 'no block'); END");
  await lab.mayfly.restart();
  const leases = async (): Promise<number> => ((await lab.mayfly.admin('GET', 'leases?limit=1000')).body['items'] as readonly unknown[]).length;
  const before = await leases();
  const [evidence, other] = [lab.agent('ci/runner'), lab.agent('ci/runner')];
  for (const values of [{ subject_token: evidence, scope: 'deploy:read' }, { subject_token: other, audience: '', authorization_details: ceilingOf(READ) }]) {
    const refused = await lab.ask(values);
    expect([refused.status, refused.body['error'], refused.body['access_token'], refused.headers['retry-after']]).toEqual([503, 'temporarily_unavailable', undefined, '1']);
    expect(await lab.mayfly.reason(refused)).toBe('store_unavailable');
  }
  expect(await leases()).toBe(before);
  alterDatabase(lab, 'DROP TRIGGER no_blocks');
  expect(await verifier.statusOf(issued(await lab.ask({ subject_token: evidence, scope: 'deploy:read' })))).toBe('valid');
  issued(await lab.ask({ subject_token: other, audience: '', authorization_details: ceilingOf(READ) }));
});
