import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { prepareFirstStart } from '../../src/boot/first-start.ts';
import { loadKeyEncryption } from '../../src/boot/kek.ts';
import { createNode } from '../../src/boot/node.ts';
import type { MayflyNode } from '../../src/boot/node.ts';
import { loadServerConfig } from '../../src/config/load.ts';
import { systemClock } from '../../src/core/clock.ts';
import { newId } from '../../src/core/ids.ts';
import type { DomainId } from '../../src/core/ids.ts';
import { systemRandom } from '../../src/core/random.ts';
import type { NewKeyRow } from '../../src/keys/signing-key.ts';
import { createStore } from '../../src/store/create-store.ts';
import type { OwnStore } from '../../src/store/create-store.ts';
import { prepareDatabase } from '../../src/store/prepare.ts';
import type { Store } from '../../src/store/store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { makeCodeKeys } from '../store/place.ts';
import { FAR, OWNER } from '../support/world.ts';

const EXTERNAL_URL = 'http://127.0.0.1:8420';
const LOCAL = { kind: 'local' } as const;
const MANY = 2_000;

type Step = 'entriesAt' | 'change';
/** What another writer does just before the `nth` next call of a step. */
interface Meanwhile { readonly step: Step; nth: number; readonly work: () => Promise<unknown> }

let node: MayflyNode;
let store: OwnStore;
let folder: string;
let meanwhiles: Meanwhile[] = [];
/** How many readings of a delta pretend that the registry went back. */
let wentBack = 0;
/** Keys of the change that is about to be written. */
let offered: readonly NewKeyRow[] = [];
const read = { rows: 0, calls: 0 };

const before = (step: Step, nth: number, work: Meanwhile['work']): void => { meanwhiles.push({ step, nth, work }); };
const arrive = async (step: Step): Promise<void> => {
  const waiting = meanwhiles.filter((each) => each.step === step);
  for (const each of waiting) each.nth -= 1;
  const due = waiting.filter(({ nth }) => nth === 0);
  meanwhiles = meanwhiles.filter((each) => !due.includes(each));
  for (const { work } of due) await work();
};

/** The store as it is, with what is read of the registry counted and other writers let in. */
const watched = (inner: Store): Store => ({
  ...inner,
  async entriesAt(...question) {
    await arrive('entriesAt');
    const rows = await inner.entriesAt(...question);
    read.calls += 1;
    read.rows += rows.length;
    return rows;
  },
  async registryDelta(after) {
    if (wentBack > 0 && after > 0) {
      wentBack -= 1;
      return { version: after - 1, entries: [], keys: [], revocations: [], instances: [] };
    }
    const delta = await inner.registryDelta(after);
    read.rows += delta.entries.length;
    return delta;
  },
  async change(change) {
    offered = change.keys ?? [];
    await arrive('change');
    return inner.change(change);
  },
});

const workload = (name: string, repository: string, more: object = {}) => ({ domain: 'dev', name, kind: 'pipeline', authority: 'bounded', owner: OWNER, expires: FAR, match: { issuer: 'github', repository_id: repository }, ...more });
const issuer = (name: string, more: object = {}) => ({ domain: 'dev', name, kind: 'github-actions', organization_id: '4711', owner: OWNER, expires: FAR, ...more });
const apply = (manifest: object, options: { readonly dryRun?: boolean; readonly prune?: boolean } = {}) => node.admin.registry.apply(manifest, { dryRun: false, prune: false, ...options }, LOCAL);
const applied = async (manifest: object, options = {}) => {
  const outcome = await apply(manifest, options);
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.error));
  return outcome.value;
};
const live = async (name: string) => (await store.entries({ kind: 'workload', domainId: devId(), name }, { limit: 1, after: undefined }))[0];
const devId = (): DomainId => {
  const view = node.snapshot.domain('dev');
  if (view === undefined) throw new Error('no domain dev');
  return view.domain.id;
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mayfly-writes-'));
  const config = loadServerConfig({ env: {}, overrides: { data_dir: folder } });
  if (!config.ok) throw new Error('no configuration');
  const url = join(folder, 'mayfly.db');
  const prepared = await prepareDatabase(url);
  store = await createStore({ url, clock: systemClock, random: systemRandom, codeKeys: makeCodeKeys() });
  const { encryption } = loadKeyEncryption(config.value, prepared, systemRandom);
  const deps = { config: config.value, externalUrl: EXTERNAL_URL, clock: systemClock, random: systemRandom, log: silentLog, metrics: createMetrics(), encryption };
  node = createNode({ ...deps, store: watched(store) });
  await node.snapshot.refresh();
  await prepareFirstStart({ ...deps, snapshot: node.snapshot, firstKeys: node.firstKeys, change: node.change });
  await applied({ issuers: [issuer('github')], workloads: Array.from({ length: MANY }, (_, n) => workload(`ci/w-${n}`, String(1_000 + n))) });
});
afterAll(async () => {
  await node.close();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});
beforeEach(() => {
  meanwhiles = [];
  wentBack = 0;
  read.rows = 0;
  read.calls = 0;
});

describe('what a write reads follows the manifest, not the registry', () => {
  // Domains `system` and `dev`, one issuer, the entry itself, and its new version for the snapshot.
  const HANDFUL = 6;

  test('a new entry, a change, no change and an end each read a handful of rows', async () => {
    const entry = workload('ci/one', '1');
    for (const put of [entry, { ...entry, owner: 'other@acme.example' }, { ...entry, owner: 'other@acme.example' }]) {
      read.rows = 0;
      expect(await node.admin.registry.put('workloads', put, LOCAL)).toMatchObject({ ok: true });
      expect(read.rows).toBeLessThanOrEqual(HANDFUL);
    }
    read.rows = 0;
    expect(await node.admin.registry.remove({ kind: 'workload', domain: 'dev', name: 'ci/one' }, 'left', LOCAL)).toMatchObject({ ok: true });
    expect(read.rows).toBeLessThanOrEqual(HANDFUL);
    expect(await live('ci/one')).toBeUndefined();
  });

  test('a prune reads the domain, and still ends exactly what the manifest does not name', async () => {
    const kept = Array.from({ length: MANY }, (_, n) => workload(`ci/w-${n}`, String(1_000 + n))).filter((_, n) => n !== 7);
    const manifest = { domains: [{ name: 'dev', stage: 'development', owner: 'local' }], issuers: [issuer('github')], workloads: kept };
    const plan = await applied(manifest, { prune: true, dryRun: true });
    expect(plan.changes.map(({ action, name }) => `${action} ${name}`)).toEqual(['end ci/w-7']);
    expect(read.rows).toBeGreaterThan(MANY);
    expect(plan.applied).toBe(false);
  });
});

describe('a plan is of one version, though others write while it is made', () => {
  const end = (kind: 'issuer' | 'workload', name: string) => () => node.admin.registry.remove({ kind, domain: 'dev', name }, 'gone', LOCAL);

  test('what another ends between two of its reads is not half seen: it is planned anew, and refused', async () => {
    await applied({ issuers: [issuer('leaving', { organization_id: '4712' })] });
    // Domains and issuers were read, the workload was not.
    before('entriesAt', 3, end('issuer', 'leaving'));
    const outcome = await node.admin.registry.put('workloads', workload('ci/late', '3', { match: { issuer: 'leaving', repository_id: '3' } }), LOCAL);
    expect(outcome).toMatchObject({ ok: false, error: { kind: 'problems', problems: [{ path: 'workloads[0].match.issuer', message: 'there is no issuer leaving in domain dev' }] } });
    expect(await live('ci/late')).toBeUndefined();
  });

  test('what another writes meanwhile is kept: the entry goes on from the newest version', async () => {
    await applied({ workloads: [workload('ci/both', '4')] });
    before('change', 1, () => node.admin.registry.put('workloads', workload('ci/both', '4', { owner: 'first@acme.example' }), LOCAL));
    expect(await node.admin.registry.put('workloads', workload('ci/both', '4', { owner: 'second@acme.example' }), LOCAL)).toMatchObject({ ok: true, value: { applied: true } });
    const row = await live('ci/both');
    expect(row).toMatchObject({ version: 3, owner: 'second@acme.example' });
    expect((await store.entryHistory(row?.id ?? '')).map(({ owner }) => owner)).toEqual([OWNER, 'first@acme.example', 'second@acme.example']);
  });

  test('an answer without a write is of the version it names', async () => {
    await applied({ workloads: [workload('ci/shown', '5')] });
    const version = await store.registryVersion();
    before('entriesAt', 3, end('workload', 'ci/shown'));
    expect(await applied({ workloads: [workload('ci/shown', '5', { owner: 'other@acme.example' })] }, { dryRun: true })).toMatchObject({ version, changes: [{ action: 'update', name: 'ci/shown' }] });
    expect(await live('ci/shown')).toBeUndefined();
  });
});

describe('a plan that took long is not thrown away for what it does not look at', () => {
  /** Domains, issuers, the workload. */
  const READS = 3;
  const revoke = () => store.change({ at: systemClock.now(), by: 'ada', revocations: [{ target: 'lease:lse_any', domainId: devId(), reason: 'r', purgeAfter: null }], audit: [] });
  const addPolicy = (name: string) => store.change({ at: systemClock.now(), by: 'ada', audit: [], entries: [{
    id: newId('policy', systemClock, systemRandom), version: 1, kind: 'policy', domainId: devId(), name, body: { name, cedar: 'forbid(principal, action, resource);', effect: 'forbid', owner: OWNER }, owner: OWNER, expiresAt: null, ended: false,
  }] });
  const put = (owner: string) => node.admin.registry.put('workloads', workload('ci/calm', '6', { owner }), LOCAL);

  test('revocations meanwhile let it be written as it is', async () => {
    before('change', 1, revoke);
    before('change', 2, revoke);
    expect(await put('first@acme.example')).toMatchObject({ ok: true, value: { applied: true } });
    expect(read.calls).toBe(READS);
    expect(await live('ci/calm')).toMatchObject({ version: 1, owner: 'first@acme.example' });
  });

  test('an entry among them makes it be planned anew', async () => {
    before('change', 1, revoke);
    before('change', 1, () => addPolicy('forbids'));
    expect(await put('second@acme.example')).toMatchObject({ ok: true, value: { applied: true } });
    expect(read.calls).toBe(2 * READS);
  });

  test('keys among them make it be planned anew if it makes keys itself: a domain has one of a kind', async () => {
    const resource = { domain: 'dev', audience: 'https://legacy.acme.example', algorithm: 'RS256', owner: OWNER, expires: FAR };
    before('change', 1, () => store.change({ at: systemClock.now(), by: 'another node', audit: [], keys: offered }));
    expect(await apply({ resources: [resource] })).toMatchObject({ ok: true, value: { applied: true } });
    expect(offered).toEqual([]);
    expect((await store.keys()).keys.filter(({ algorithm }) => algorithm === 'RS256')).toHaveLength(1);
  });

  test('a registry that went back makes it be planned anew: it was made from another one', async () => {
    await revoke();
    // The snapshot's reading, and the one that asks what came since.
    before('change', 1, async () => { await revoke(); wentBack = 2; });
    expect(await put('third@acme.example')).toMatchObject({ ok: true, value: { applied: true } });
    expect(read.calls).toBe(2 * READS);
  });

  test('who is second every time is told so', async () => {
    for (let attempt = 1; attempt <= 5; attempt += 1) before('change', attempt, () => addPolicy(`forbids-${attempt}`));
    expect(await put('fourth@acme.example')).toMatchObject({ ok: false, error: { kind: 'refused', refusal: { code: 'conflict' } } });
    expect(await live('ci/calm')).toMatchObject({ owner: 'third@acme.example' });
  });
});
