import { describe, expect, test } from '@jest/globals';
import type { DomainId } from '../../src/core/ids.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { everyTurn } from '../support/every-turn.ts';
import { makeRevocation } from '../support/seed.ts';
import { createRegistry, DEV, domain, PROD } from './registry.ts';

const workload = (n: number, name: string, more: object = {}) => ({ kind: 'workload' as const, n, name, ...more });
const identify = (registry: ReturnType<typeof createRegistry>, repository: string, id: DomainId = DEV) => {
  const found = registry.snapshot.domainById(id)?.identify({ proves: 'workloads', issuerName: 'ci', attributes: { repository } } as never, undefined, 0);
  return found?.ok === true ? found.value.name : found?.error.code;
};

describe('entries', () => {
  test('are there after a refresh, whatever order their kinds come in', async () => {
    const registry = createRegistry();
    registry.write(workload(10, 'ci'), { kind: 'policy', n: 11, name: 'deploys' }, domain(1, 'dev'), { kind: 'resource', n: 12, name: 'https://api.example' });
    await registry.snapshot.refresh();
    const view = registry.snapshot.domain('dev');
    expect(view?.workloadByName('ci')).toBeDefined();
    expect(view?.resource('https://api.example')).toBeDefined();
    expect(registry.did.engines.at(-1)).toEqual(['deploys']);
    expect(registry.snapshot.version).toBe(4);
  });

  test('that ended are gone, and their name given again is the new one\'s, even within one delta', async () => {
    const registry = createRegistry();
    registry.write(domain(1, 'dev'), workload(10, 'ci'));
    await registry.snapshot.refresh();
    expect(identify(registry, 'ci')).toBe('ci');
    registry.write(workload(10, 'ci', { ended: true }), workload(11, 'ci'), workload(12, 'other'), workload(12, 'other', { ended: true }));
    await registry.snapshot.refresh();
    const view = registry.snapshot.domain('dev');
    expect(view?.workloadByName('ci')?.id).toMatch(/b$/);
    expect(view?.entries().workloads).toHaveLength(1);
    expect(view?.workloadByName('other')).toBeUndefined();
    expect(identify(registry, 'other')).toBe('workload_unknown');
  });

  test('whose newest version cannot be read leave no older one in force, and their domain not ready', async () => {
    const registry = createRegistry();
    registry.write(domain(1, 'dev'), workload(10, 'ci'), { kind: 'issuer', n: 13, name: 'ci' }, { kind: 'policy', n: 11, name: 'forbids' });
    await registry.snapshot.refresh();
    const view = registry.snapshot.domain('dev');
    expect(identify(registry, 'ci')).toBe('ci');
    registry.write(workload(10, 'ci', { broken: true }), { kind: 'issuer', n: 13, name: 'ci', broken: true }, { kind: 'policy', n: 11, name: 'forbids', broken: true });
    await registry.snapshot.refresh();
    expect(identify(registry, 'ci')).toBe('workload_unknown');
    expect(view?.issuersFor('https://ci.example', 'workloads')).toEqual([]);
    expect(view?.issuer('ci')).toBeUndefined();
    expect(view?.problems).toEqual(['workload ci: cannot be read', 'issuer ci: cannot be read', 'policy forbids: cannot be read']);
    expect(view?.policyProblems).toEqual(['policy forbids: cannot be read']);
    registry.write(workload(10, 'ci'), { kind: 'issuer', n: 13, name: 'ci', ended: true }, { kind: 'policy', n: 11, name: 'forbids' });
    await registry.snapshot.refresh();
    expect(view?.problems).toEqual([]);
    expect(identify(registry, 'ci')).toBe('ci');
  });

  test('find an issuer by name, by id and by iss, until it ends', async () => {
    const registry = createRegistry();
    registry.write(domain(1, 'dev'), { kind: 'issuer', n: 13, name: 'ci' });
    await registry.snapshot.refresh();
    const view = registry.snapshot.domain('dev');
    const issuer = view?.issuer('ci');
    expect(issuer && view?.issuerById(issuer.id)).toBe(issuer);
    expect(view?.issuersFor('https://ci.example', 'workloads')).toEqual([issuer]);
    expect(view?.issuersFor('https://ci.example', 'admins')).toEqual([]);
    registry.write({ kind: 'issuer', n: 13, name: 'ci', ended: true });
    await registry.snapshot.refresh();
    expect([view?.issuer('ci'), issuer && view?.issuerById(issuer.id), view?.issuersFor('https://ci.example', 'workloads')]).toEqual([undefined, undefined, []]);
  });

  test('of which one changes among thousands cost one decoding and no new index', async () => {
    const registry = createRegistry();
    registry.write(domain(1, 'dev'), domain(2, 'prod'), ...Array.from({ length: 3000 }, (_, n) => workload(100 + n, `w${n}`)));
    await registry.snapshot.refresh();
    const { indexes } = registry.did;
    expect(identify(registry, 'w7')).toBe('w7');
    registry.did.decoded.length = 0;
    const engines = registry.did.engines.length;
    registry.write(workload(107, 'w7', { body: { workloadKind: 'agent' } }));
    await registry.snapshot.refresh();
    expect(registry.did.decoded).toHaveLength(1);
    expect(registry.did.indexes).toBe(indexes);
    expect(registry.did.engines).toHaveLength(engines);
    expect(identify(registry, 'w7')).toBe('w7');
  });
});

test('thousands of entries are taken in without keeping others from their turn, and seen all at once', async () => {
  const registry = createRegistry();
  registry.write(domain(1, 'dev'));
  await registry.snapshot.refresh();
  registry.write(...Array.from({ length: 3000 }, (_, n) => workload(100 + n, `w${n}`)));
  const seen: number[] = [];
  const look = (): void => { seen.push(registry.snapshot.domain('dev')?.entries().workloads.length ?? -1); };
  const looking = everyTurn(look);
  await registry.snapshot.refresh();
  looking.stop();
  expect(seen.length).toBeGreaterThan(10);
  expect(new Set(seen)).toEqual(new Set([0]));
  expect(registry.snapshot.domain('dev')?.entries().workloads).toHaveLength(3000);
});

describe('a domain', () => {
  test('whose own entry cannot be read is missing and told; once it can be, all that came before is in force with it', async () => {
    const registry = createRegistry();
    registry.write(domain(1, 'dev'), domain(2, 'prod', { broken: true }), { kind: 'policy', n: 11, name: 'forbids', domainId: PROD }, workload(10, 'ci', { domainId: PROD }), workload(12, 'old', { domainId: PROD }));
    await registry.snapshot.refresh();
    expect(registry.snapshot.domain('prod')).toBeUndefined();
    expect(registry.snapshot.problems).toEqual(['domain prod: cannot be read']);
    registry.write(workload(12, 'old', { domainId: PROD, ended: true }));
    await registry.snapshot.refresh();
    registry.write(domain(2, 'prod'));
    await registry.snapshot.refresh();
    expect(registry.snapshot.problems).toEqual([]);
    expect(registry.did.engines.at(-1)).toEqual(['forbids']);
    expect(identify(registry, 'ci', PROD)).toBe('ci');
    expect(registry.snapshot.domain('prod')?.workloadByName('old')).toBeUndefined();
    expect(registry.snapshot.domain('dev')?.problems).toEqual([]);
  });

  test('that ended is gone; one that takes its name in the same delta stays', async () => {
    const registry = createRegistry();
    registry.write(domain(1, 'dev'));
    await registry.snapshot.refresh();
    registry.write(domain(1, 'dev', { ended: true }), domain(3, 'dev'));
    await registry.snapshot.refresh();
    expect(registry.snapshot.domain('dev')?.domain.id).toMatch(/3$/);
    expect(registry.snapshot.domainById(DEV)).toBeUndefined();
    expect(registry.snapshot.domains()).toHaveLength(1);
  });

  test('sees its own entries only', async () => {
    const registry = createRegistry();
    registry.write(domain(1, 'dev'), domain(2, 'prod'), workload(10, 'ci', { domainId: PROD }));
    await registry.snapshot.refresh();
    expect(registry.snapshot.domain('dev')?.entries().workloads).toEqual([]);
    expect(identify(registry, 'ci', PROD)).toBe('ci');
    expect(identify(registry, 'ci', DEV)).toBe('workload_unknown');
  });
});

describe('refresh', () => {
  test('asked while one read is under way waits for one that begins afterwards, and many share it', async () => {
    const registry = createRegistry();
    registry.write(domain(1, 'dev'));
    const release = registry.hold();
    const first = registry.snapshot.refresh();
    registry.write(workload(10, 'ci'));
    const late = [registry.snapshot.refresh(), registry.snapshot.refresh(), registry.snapshot.refresh()];
    release();
    await first;
    expect(registry.snapshot.domain('dev')?.workloadByName('ci')).toBeUndefined();
    await Promise.all(late);
    expect(registry.snapshot.domain('dev')?.workloadByName('ci')).toBeDefined();
    expect(registry.did.reads).toEqual([0, 1]);
  });

  test('never joins a read that began before it was asked, also at the moment one read ends', async () => {
    const registry = createRegistry();
    registry.write(domain(1, 'dev'));
    const release = registry.hold();
    const first = registry.snapshot.refresh();
    const queued = registry.snapshot.refresh();
    release();
    // Each commits and asks in one of the moments around the end of the first read.
    const asked: Promise<void>[] = [];
    const seen: boolean[] = [];
    for (let turn = 0; turn < 12; turn += 1) {
      registry.write(workload(20 + turn, `w${turn}`));
      const name = `w${turn}`;
      asked.push(registry.snapshot.refresh().then(() => { seen.push(registry.snapshot.domain('dev')?.workloadByName(name) !== undefined); }));
      await Promise.resolve();
    }
    await Promise.all([first, queued, ...asked]);
    expect(seen).toEqual(Array.from({ length: 12 }, () => true));
  });

  test('rejects when the store does, leaves all as it was, and works again after', async () => {
    const registry = createRegistry();
    registry.write(domain(1, 'dev'));
    await registry.snapshot.refresh();
    registry.write(workload(10, 'ci'));
    registry.fail(true);
    await expect(registry.snapshot.refresh()).rejects.toThrow(StoreUnavailable);
    expect(registry.snapshot.version).toBe(1);
    registry.fail(false);
    await registry.snapshot.refresh();
    expect(identify(registry, 'ci')).toBe('ci');
  });

  test('of one that fails does not fail those who wait behind it', async () => {
    const registry = createRegistry();
    registry.write(domain(1, 'dev'));
    const release = registry.hold();
    registry.fail(true);
    const first = registry.snapshot.refresh();
    const second = registry.snapshot.refresh();
    const failed = expect(first).rejects.toThrow(StoreUnavailable);
    release();
    await failed;
    registry.fail(false);
    await second;
    expect(registry.snapshot.domain('dev')).toBeDefined();
  });

  test('is as old as its last successful read was when it began, and endlessly old before one', async () => {
    const registry = createRegistry();
    expect(registry.snapshot.age()).toBe(Number.POSITIVE_INFINITY);
    registry.write(domain(1, 'dev'));
    const release = registry.hold();
    const reading = registry.snapshot.refresh();
    registry.clock.time = 700;
    release();
    await reading;
    expect(registry.snapshot.age()).toBe(700);
    registry.fail(true);
    registry.clock.time = 3000;
    await registry.snapshot.refresh().catch(() => undefined);
    expect(registry.snapshot.age()).toBe(3000);
  });

  test('starts over when the database is an older one: what it does not hold is forgotten, and no later change is missed', async () => {
    const registry = createRegistry();
    registry.write(domain(1, 'dev'), workload(10, 'kept'));
    registry.revoke(makeRevocation(3, 'workload:kept'));
    registry.write(workload(11, 'lost'));
    await registry.snapshot.refresh();
    registry.putBack(2);
    await registry.snapshot.refresh();
    expect([identify(registry, 'kept'), identify(registry, 'lost')]).toEqual(['kept', 'workload_unknown']);
    expect(registry.snapshot.revokedBy(['workload:kept'], 0)).toBeUndefined();
    registry.write(workload(12, 'new'));
    await registry.snapshot.refresh();
    expect(identify(registry, 'new')).toBe('new');
  });

  test('knows a revocation even where an entry of the same delta cannot be taken in', async () => {
    const registry = createRegistry();
    registry.write(domain(1, 'dev'));
    await registry.snapshot.refresh();
    registry.write(workload(10, 'ci', { body: { match: null } as never }));
    expect(identify(registry, 'nothing')).toBe('workload_unknown');
    registry.revoke(makeRevocation(registry.version + 1, 'session:s'));
    await expect(registry.snapshot.refresh()).rejects.toThrow(TypeError);
    expect(registry.snapshot.revokedBy(['session:s'], 0)).toBe('session:s');
  });
});
