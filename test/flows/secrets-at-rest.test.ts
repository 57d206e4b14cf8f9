import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { createStrictSts } from '../../demo/strict-sts.ts';
import type { StrictSts } from '../../demo/strict-sts.ts';
import { systemClock } from '../../src/core/clock.ts';
import { sha256url } from '../../src/core/bytes.ts';
import { systemRandom } from '../../src/core/random.ts';
import { createKeyEncryption, parseKek } from '../../src/keys/kek.ts';
import { openSigningKey } from '../../src/keys/signing-key.ts';
import { parseDatabase } from '../../src/store/database.ts';
import { openReads } from '../../src/store/open.ts';
import { createLog } from '../../src/telemetry/log.ts';
import { startPostgres } from '../support/postgres.ts';
import type { Postgres } from '../support/postgres.ts';
import { ROLE_ARN, trustPolicy } from '../support/strict-sts.ts';
import { FAR, OWNER } from '../support/world.ts';
import { API, DEPLOYER, claimsOf, issued, startLab } from './lab.ts';
import type { Lab } from './lab.ts';
import { createProver } from './prover.ts';

/** What a busy server was shown and what it gave out: names for the report, and what would give the secret away. */
type Secrets = Map<string, readonly Buffer[]>;

const inBytes = (bytes: Buffer): readonly Buffer[] => [bytes, ...(['hex', 'base64', 'base64url'] as const).map((form) => Buffer.from(bytes.toString(form)))];
const inText = (text: string): readonly Buffer[] => [text, JSON.stringify(text).slice(1, -1), encodeURIComponent(text)].map((spelt) => Buffer.from(spelt));
const half = (text: string): string => text.slice(Math.floor(text.length / 4), Math.floor((text.length * 3) / 4));

/** Headers of tokens are alike, and claims may be kept for what they say; as they were written, payload and signature are each one's own. */
const addToken = (secrets: Secrets, name: string, token: string): void => {
  const [, payload = '', signature = ''] = token.split('.');
  secrets.set(name, [...inText(half(payload)), ...inText(half(signature)), ...inBytes(Buffer.from(signature, 'base64url').subarray(0, 24))]);
};

const filesOf = (folder: string): Buffer => Buffer.concat(readdirSync(folder, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name !== 'kek').map((entry) => readFileSync(join(entry.parentPath, entry.name))));

/** Every row of every table, each as JSON. */
const rowsOf = async (url: string): Promise<Buffer> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const { rows: tables } = await client.query<{ name: string }>('SELECT quote_ident(table_name) AS name FROM information_schema.tables WHERE table_schema = \'public\'');
  const texts: string[] = [];
  for (const { name } of tables) texts.push(...(await client.query<{ line: object }>(`SELECT to_jsonb(t) AS line FROM ${name} t`)).rows.map(({ line }) => JSON.stringify(line)));
  await client.end();
  return Buffer.from(texts.join('\n'));
};

/** Everything a job, a resource server and an admin do in a day. */
const beBusy = async (lab: Lab, sts: StrictSts, secrets: Secrets): Promise<readonly string[]> => {
  const leases: string[] = [];
  const add = (name: string, token: string): string => {
    addToken(secrets, name, token);
    return token;
  };
  const keep = (name: string, token: string): string => {
    leases.push(String(claimsOf(token)['jti']));
    return add(name, token);
  };
  const evidence = add('evidence', lab.job());
  const token = keep('a resource token', issued(await lab.exchange({ subject_token: evidence, scope: 'deploy:read' })));
  await lab.exchange({ subject_token: evidence });
  await lab.exchange({ subject_token: add('denied evidence', lab.job()), scope: 'deploy:admin' });
  await lab.exchange({ subject_token: add('evidence of nobody', lab.job({ repository_id: '999', sub: 'opaque' })) });
  await lab.exchange({ subject_token: add('forged evidence', `${lab.job().slice(0, -8)}AAAAAAAA`) });
  const session = keep('a session token', await lab.session([{ audience: API, scopes: ['deploy:read'] }]));
  keep('a token bought with it', issued(await lab.spend(session, { scope: 'deploy:read' })));

  const prover = await createProver();
  secrets.set('the caller\'s own key', inBytes(Buffer.from(String(prover.key.privateJwk.d), 'base64url')));
  const htu = `${lab.issuer}/token`;
  const first = add('a proof without nonce', prover.prove({ htu }));
  const nonce = String((await lab.exchange({ subject_token: lab.job() }, { dpop: first })).headers['dpop-nonce']);
  const proof = add('a proof', prover.prove({ htu, nonce }));
  keep('a bound token', issued(await lab.exchange({ subject_token: lab.job() }, { dpop: proof })));
  await lab.exchange({ subject_token: lab.job() }, { dpop: proof });

  const aws = issued(await lab.exchange({ subject_token: lab.job(), audience: ROLE_ARN }));
  const keys = JSON.parse(aws) as Record<'SecretAccessKey' | 'SessionToken' | 'LeaseId', string>;
  secrets.set('an AWS secret key', inText(keys.SecretAccessKey)).set('an AWS session token', inText(keys.SessionToken));
  add('our token for AWS', String(sts.calls.at(-1)?.get('WebIdentityToken')));
  leases.push(keys.LeaseId);

  const caller = keep('a caller\'s token', issued(await lab.exchange({ subject_token: lab.service(), audience: `${lab.issuer}/introspect` })));
  await lab.mayfly.form('dev/introspect', { token }, { authorization: `Bearer ${caller}` });
  await lab.mayfly.form('dev/introspect', { token: session }, { authorization: `Bearer ${evidence}` });
  await lab.mayfly.form('dev/revoke', { token });
  await lab.mayfly.form('dev/revoke', { token: aws });
  await lab.mayfly.admin('POST', 'simulate', { domain: 'dev', token: add('evidence to simulate', lab.job()), audience: API });
  await lab.mayfly.admin('POST', 'revocations', { kind: 'session', id: String(claimsOf(session)['sid']), reason: 'over' });
  await lab.mayfly.admin('POST', 'keys/rotate', { domain: 'dev', purpose: 'access' });
  return [...leases, sha256url(token), sha256url(aws)];
};

describe.each([{ engine: 'sqlite' }, { engine: 'postgresql' }])('after a busy day on $engine', ({ engine }) => {
  const kek = randomBytes(32);
  const lines: string[] = [];
  let postgres: Postgres | undefined;
  let folder: string;
  let url: string;
  let lab: Lab;
  let sts: StrictSts;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'mayfly-rest-'));
    writeFileSync(join(folder, 'kek'), kek.toString('base64'), { mode: 0o600 });
    if (engine === 'postgresql') postgres = await startPostgres();
    url = postgres === undefined ? `file:${join(folder, 'mayfly.db')}` : (await postgres.freshDatabase()).url;
    lab = await startLab({ folder, log: createLog('debug', { write: (line) => { lines.push(line); } }), overrides: { database_url: url, kek: { file: join(folder, 'kek') } } });
    sts = await createStrictSts({ issuerUrl: lab.issuer, clock: systemClock, roles: [{ arn: ROLE_ARN, trust: trustPolicy(lab.issuer, DEPLOYER) }] });
    await lab.mayfly.apply({
      resources: [{ domain: 'dev', audience: ROLE_ARN, provider: 'aws-sts', endpoint: sts.url, owner: OWNER, expires: FAR }],
      policies: [{ domain: 'dev', name: 'aws', owner: OWNER, expires: FAR, cedar: `permit(principal == Workload::"${DEPLOYER}", action == Action::"issue", resource == Resource::"${ROLE_ARN}");` }],
    });
  });
  afterAll(async () => {
    await lab.close();
    await sts.close();
    await postgres?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('neither database nor log holds a token, a proof, evidence, keys of others, or a key of ours in the clear', async () => {
    const secrets: Secrets = new Map([['the key-encryption key', inBytes(kek)]]);
    const known = await beBusy(lab, sts, secrets);

    const encryption = createKeyEncryption({ current: parseKek(kek), random: systemRandom });
    const reads = await openReads(parseDatabase(url), systemClock);
    const { keys } = await reads.registryDelta(0);
    await reads.close();
    expect(keys.length).toBeGreaterThan(5);
    for (const row of keys) {
      const { privateKey } = openSigningKey(row, encryption);
      secrets.set(`private key ${row.kid}`, inBytes(Buffer.from(String(privateKey.export({ format: 'jwk' }).d), 'base64url')));
    }

    const atRest = engine === 'sqlite' ? filesOf(folder) : await rowsOf(url);
    const log = Buffer.from(lines.join('\n'));
    // What must be there is found, so what is not found is not there.
    expect(known.filter((text) => !atRest.includes(text))).toEqual([]);
    expect(known.length).toBeGreaterThan(7);
    expect(log.includes('"decision":"dec_')).toBe(true);
    const heldBy = (place: Buffer): readonly string[] => [...secrets].filter(([, needles]) => needles.some((needle) => place.includes(needle))).map(([name]) => name);
    expect({ atRest: heldBy(atRest), log: heldBy(log) }).toEqual({ atRest: [], log: [] });
    expect([...secrets.values()].flat().every((needle) => needle.length >= 16)).toBe(true);
  });
});
