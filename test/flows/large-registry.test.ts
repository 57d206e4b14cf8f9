import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { systemClock } from '../../src/core/clock.ts';
import { newId } from '../../src/core/ids.ts';
import type { DomainId } from '../../src/core/ids.ts';
import { systemRandom } from '../../src/core/random.ts';
import { createStore } from '../../src/store/create-store.ts';
import { makeCodeKeys } from '../store/place.ts';
import { startForeignIssuer } from '../support/foreign-issuer.ts';
import type { ForeignIssuer } from '../support/foreign-issuer.ts';
import { freePort } from '../../demo/free-port.ts';
import { startMayfly } from '../support/mayfly.ts';
import type { Answer, Mayfly } from '../support/mayfly.ts';
import { API, FAR, OWNER } from '../support/world.ts';

// Nothing here is about how fast: bench/ measures that.
jest.setTimeout(300_000);

const MANY = 30_000;
const BATCH = 10_000;
const nameOf = (n: number): string => `ci/pipeline-${n}`;
const spiffeIdOf = (n: number): string => `spiffe://dev.127.0.0.1/${nameOf(n)}`;
const repositoryOf = (n: number): string => String(1_000_000 + n);
const workload = (n: number, more: object = {}) => ({ name: nameOf(n), kind: 'pipeline', authority: 'bounded', owner: OWNER, expires: FAR, match: { issuer: 'github', repository_id: repositoryOf(n), ref: 'refs/heads/main' }, ...more });
const pathOf = (n: number): string => `workloads/dev/${encodeURIComponent(nameOf(n))}`;

let folder: string;
let platform: ForeignIssuer;
let mayfly: Mayfly;
const base = () => ({
  issuers: [{ domain: 'dev', name: 'github', kind: 'github-actions', issuer: platform.issuer, jwks: platform.jwks(), organization_id: '4711', owner: OWNER, expires: FAR }],
  resources: [{ domain: 'dev', audience: API, scopes: ['deploy:write'], owner: OWNER, expires: FAR }],
  policies: [{ domain: 'dev', name: 'pipelines-deploy', owner: OWNER, expires: FAR, cedar: `permit(principal, action == Action::"issue", resource in Resource::"${API}") when { principal is Workload && principal.kind == "pipeline" };` }],
});

/** As applies of 10,000 at a time would have left them, without going through the admin API for each test run. */
const fill = async (domainId: DomainId): Promise<void> => {
  const store = await createStore({ url: join(folder, 'mayfly.db'), clock: systemClock, random: systemRandom, codeKeys: makeCodeKeys(), limits: { waitMs: 60_000, transactionMs: 50_000 } });
  for (let from = 0; from < MANY; from += BATCH) {
    const entries = Array.from({ length: BATCH }, (_, at) => from + at).map((n) => ({
      id: newId('workload', systemClock, systemRandom), version: 1, kind: 'workload' as const, domainId, name: nameOf(n), body: { ...workload(n), spiffe_id: spiffeIdOf(n), bound: false },
      owner: OWNER, expiresAt: Date.parse(FAR), ended: false,
    }));
    expect(await store.change({ at: systemClock.now(), by: 'test', entries, audit: [] })).toMatchObject({ status: 'committed' });
  }
  await store.close();
};

let run = 0;
const exchange = (repository: string): Promise<Answer> => {
  run += 1;
  const evidence = platform.mint({
    sub: 'repo:acme/shop:ref:refs/heads/main', repository: 'acme/shop', repository_id: repository, repository_owner: 'acme', repository_owner_id: '4711',
    event_name: 'push', ref: 'refs/heads/main', run_id: String(run), run_attempt: '1', actor: 'octocat', aud: `${mayfly.url}/dev`,
  });
  return mayfly.exchange({ subject_token: evidence, audience: API, scope: 'deploy:write' });
};
const subjectOf = (answer: Answer): unknown => (JSON.parse(Buffer.from(String(answer.body['access_token']).split('.')[1] ?? '', 'base64url').toString()) as { readonly sub: string }).sub;
const refused = async (repository: string): Promise<string> => mayfly.reason(await exchange(repository));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mayfly-large-'));
  const port = await freePort();
  platform = await startForeignIssuer();
  mayfly = await startMayfly({ folder, port });
  await mayfly.apply(base());
  const { body } = await mayfly.admin('GET', 'domains/dev');
  await mayfly.close();
  await fill(body['id'] as DomainId);
  mayfly = await startMayfly({ folder, port });
});
afterAll(async () => {
  await mayfly.close();
  await platform.close();
  rmSync(folder, { recursive: true, force: true });
});

describe(`a server with ${MANY} workloads`, () => {
  test('answers the first exchange after its start, and finds whose evidence it is', async () => {
    for (const n of [0, 12_345, MANY - 1]) {
      const answer = await exchange(repositoryOf(n));
      expect(answer).toMatchObject({ status: 200 });
      expect(subjectOf(answer)).toBe(spiffeIdOf(n));
    }
    expect(await refused(repositoryOf(MANY))).toBe('workload_unknown');
  });

  test('takes one entry, a change of it and its end, each recorded and in force at once', async () => {
    const n = MANY + 1;
    expect(await refused(repositoryOf(n))).toBe('workload_unknown');
    expect(await mayfly.admin('PUT', pathOf(n), workload(n))).toMatchObject({ status: 200, body: { applied: true, changes: [{ action: 'create', name: nameOf(n) }] } });
    expect(subjectOf(await exchange(repositoryOf(n)))).toBe(spiffeIdOf(n));
    const moved = { match: { issuer: 'github', repository_id: '7', ref: 'refs/heads/main' } };
    expect(await mayfly.admin('PUT', pathOf(n), workload(n, moved))).toMatchObject({ status: 200, body: { applied: true, changes: [{ action: 'update', name: nameOf(n), fields: ['match.repository_id'] }] } });
    expect([await refused(repositoryOf(n)), subjectOf(await exchange('7'))]).toEqual(['workload_unknown', spiffeIdOf(n)]);
    expect((await mayfly.admin('GET', pathOf(n))).body).toMatchObject({ version: 2, ...moved, status: 'live' });
    expect(await mayfly.admin('DELETE', `${pathOf(n)}?reason=done`)).toMatchObject({ status: 200, body: { applied: true, changes: [{ action: 'end', name: nameOf(n) }] } });
    expect([await refused('7'), (await mayfly.admin('GET', pathOf(n))).status]).toEqual(['workload_unknown', 404]);
    const { body } = await mayfly.admin('GET', 'audit');
    const audited = String(body['text']).trim().split('\n').map((line) => JSON.parse(line) as { readonly action: string; readonly body: string }).filter(({ action }) => action.startsWith('registry.'));
    expect(audited.slice(-3).map((entry) => [entry.action, (JSON.parse(entry.body) as { body: { name: string } }).body.name])).toEqual([['registry.create', nameOf(n)], ['registry.update', nameOf(n)], ['registry.end', nameOf(n)]]);
  });

  test('knows which of its names was meant', async () => {
    expect(await mayfly.admin('DELETE', 'workloads/dev/ci%2Fpipelin-29999?reason=x')).toMatchObject({ status: 422, body: { problems: [{ mend: 'did you mean "ci/pipeline-29999"?' }] } });
  });

  test('with prune ends exactly what the manifest leaves out, and nothing for a dry run', async () => {
    const gone = new Set([1, 15_000, MANY - 2]);
    const workloads = Array.from({ length: MANY }, (_, n) => n).filter((n) => !gone.has(n)).map((n) => ({ domain: 'dev', ...workload(n) }));
    const manifest = { domains: [{ name: 'dev', stage: 'development', owner: 'local' }], ...base(), workloads };
    const ends = [...gone].map((n) => ({ action: 'end', kind: 'workload', domain: 'dev', name: nameOf(n) })).sort((a, b) => (a.name < b.name ? -1 : 1));
    expect((await mayfly.admin('POST', 'apply', { manifest, dry_run: true, prune: true })).body).toMatchObject({ applied: false, changes: ends });
    expect(subjectOf(await exchange(repositoryOf(15_000)))).toBe(spiffeIdOf(15_000));
    expect((await mayfly.admin('POST', 'apply', { manifest, dry_run: false, prune: true })).body).toMatchObject({ applied: true, changes: ends });
    for (const n of gone) expect(await refused(repositoryOf(n))).toBe('workload_unknown');
    for (const n of [0, 2, 15_001, MANY - 1]) expect(subjectOf(await exchange(repositoryOf(n)))).toBe(spiffeIdOf(n));
  });
});
