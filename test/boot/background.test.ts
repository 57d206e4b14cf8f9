import { describe, expect, test } from '@jest/globals';
import { createFollow, createSignCheckpoint } from '../../src/boot/background.ts';
import type { MayflyNode } from '../../src/boot/node.ts';
import type { KeyRing } from '../../src/keys/key-ring.ts';
import { StoreUnavailable } from '../../src/store/store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { verifySigned } from '../../src/tokens/verify.ts';
import { START, makeRing } from '../keys/make-ring.ts';

const STATEMENT = { chain: 'chn_1', n: 7, hash: 'abc', at: START, before: null };
const nodeWith = (rings: Readonly<Record<string, KeyRing>>): Pick<MayflyNode, 'snapshot'> =>
  ({ snapshot: { domain: (name: string) => (rings[name] === undefined ? undefined : { ring: rings[name] }) } as unknown as MayflyNode['snapshot'] });

describe('a checkpoint', () => {
  test('is signed with the system domain\'s key for checkpoints, and a copy leaves the machine with the log', async () => {
    const { ring, keys } = await makeRing([{ purpose: 'checkpoint' }]);
    const lines: unknown[] = [];
    const sign = createSignCheckpoint(nodeWith({ system: ring }), { ...silentLog, info: (line: unknown) => { lines.push(line); } });
    const { kid, jws } = await sign(STATEMENT);
    expect(kid).toBe(keys[0]?.kid);
    expect(await verifySigned(jws, 'checkpoint', { ring, now: START })).toMatchObject({ ok: true, value: { chain: 'chn_1', n: 7 } });
    expect(lines).toEqual([{ chain: 'chn_1', n: 7, checkpoint: jws }]);
  });

  test.each([
    { name: 'without a system domain', rings: async () => ({ prod: (await makeRing([{ purpose: 'checkpoint' }])).ring }) },
    { name: 'with a key for something else', rings: async () => ({ system: (await makeRing([{ purpose: 'access' }])).ring }) },
  ])('is not made $name', async ({ rings }) => {
    await expect(createSignCheckpoint(nodeWith(await rings()), silentLog)(STATEMENT)).rejects.toThrow('no checkpoint key');
  });
});

describe('following the registry', () => {
  const followed = async (refresh: () => Promise<void>) => {
    const metrics = createMetrics();
    const node = { snapshot: { refresh, age: () => 2500, version: 42 } } as unknown as MayflyNode;
    const outcome = await createFollow({ node, metrics })().then(() => 'done', (cause: unknown) => cause);
    return [outcome, (await metrics.snapshotAge.get()).values[0]?.value, (await metrics.snapshotVersion.get()).values[0]?.value];
  };
  test('says how old what it knows is, in seconds, also when the registry cannot be read', async () => {
    expect(await followed(() => Promise.resolve())).toEqual(['done', 2.5, 42]);
    expect(await followed(() => Promise.reject(new StoreUnavailable('down')))).toEqual([expect.any(StoreUnavailable), 2.5, 42]);
  });
});
