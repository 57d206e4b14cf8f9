import { describe, expect, test } from '@jest/globals';
import { checkExternalUrl, prepareFirstStart } from '../../src/boot/first-start.ts';
import { StartRefused } from '../../src/boot/refused.ts';
import { systemRandom } from '../../src/core/random.ts';
import type { DomainView } from '../../src/snapshot/domain-view.ts';
import type { Snapshot } from '../../src/snapshot/snapshot.ts';
import type { RegistryChange } from '../../src/store/store.ts';

/** A registry with these domains, to which others may write between reading and writing. */
const start = async (externalUrl: string, { there = [], movesAt = Number.POSITIVE_INFINITY }: { readonly there?: readonly string[]; readonly movesAt?: number } = {}) => {
  const changes: RegistryChange[] = [];
  const state = { version: 0 };
  await prepareFirstStart({
    clock: { now: () => 1_000_000 }, random: systemRandom, externalUrl,
    snapshot: { get version() { return state.version; }, domain: (name: string) => (there.includes(name) ? {} : undefined) } as unknown as Snapshot,
    firstKeys: (domain) => Promise.resolve([{ kid: `key of ${domain}` } as never]),
    change(change) {
      changes.push(change);
      if (changes.length >= movesAt) return Promise.resolve({ status: 'conflict', version: 9 });
      state.version += 1;
      return Promise.resolve({ status: 'committed', version: state.version });
    },
  });
  return changes;
};
const entriesOf = (changes: readonly RegistryChange[]) => changes.flatMap(({ entries }) => entries ?? []);

describe('the first start', () => {
  test('makes the reserved domain, and on a laptop one to begin with, each with its keys in one change', async () => {
    const changes = await start('http://127.0.0.1:8420');
    expect(entriesOf(changes).map(({ name, body }) => [name, body['stage'], body['issuer'], body['spiffe']])).toEqual([
      ['system', 'development', 'http://127.0.0.1:8420/system', 'system.127.0.0.1'], ['dev', 'development', 'http://127.0.0.1:8420/dev', 'dev.127.0.0.1'],
    ]);
    expect(changes.map(({ keys, entries, basedOn }) => [keys?.[0]?.kid, basedOn, entries?.length])).toEqual(entriesOf(changes).map(({ id }, index) => [`key of ${id}`, index, 1]));
    expect(changes.map(({ audit, by }) => [by, audit[0]?.action])).toEqual([['first-start', 'registry.create'], ['first-start', 'registry.create']]);
  });

  test('with an https external URL makes the reserved domain alone: what is for everybody is written by somebody', async () => {
    expect(entriesOf(await start('https://sts.acme.example')).map(({ name, body }) => [name, body['stage']])).toEqual([['system', 'production']]);
  });

  test('makes no name that no trust domain can have', async () => {
    expect(entriesOf(await start('http://[::1]:8420')).map(({ body }) => body['spiffe'])).toEqual(['system.---1-', 'dev.---1-']);
  });

  test('is one only while the registry is empty', async () => {
    expect(await start('http://127.0.0.1:8420', { there: ['system'] })).toEqual([]);
  });

  test('of a second node that was too late writes nothing more', async () => {
    expect(await start('http://127.0.0.1:8420', { movesAt: 1 })).toHaveLength(1);
  });
});

describe('an external URL', () => {
  const snapshot = (...issuers: readonly string[]): Pick<Snapshot, 'domains'> => ({ domains: () => issuers.map((issuer) => ({ domain: { name: issuer.split('/').at(-1), issuer } }) as unknown as DomainView) });
  test('under which every domain was created is taken', () => {
    expect(() => checkExternalUrl('https://sts.acme.example', snapshot('https://sts.acme.example/prod', 'https://sts.acme.example/system'))).not.toThrow();
    expect(() => checkExternalUrl('https://sts.acme.example', snapshot())).not.toThrow();
  });

  test.each([
    { name: 'of another host', url: 'https://other.acme.example' },
    { name: 'of another scheme', url: 'http://sts.acme.example' },
    { name: 'of another port', url: 'https://sts.acme.example:8443' },
    { name: 'with a path', url: 'https://sts.acme.example/sts' },
  ])('$name is a reason not to start, told with what to set', ({ url }) => {
    let problems: readonly { readonly mend?: string }[] = [];
    try {
      checkExternalUrl(url, snapshot('https://sts.acme.example/prod'));
    } catch (cause) {
      if (!(cause instanceof StartRefused)) throw cause;
      problems = cause.problems;
    }
    expect(problems).toEqual([{ path: 'external_url', message: expect.stringContaining(`${url}/prod`), mend: 'set external_url to https://sts.acme.example' }]);
  });
});
