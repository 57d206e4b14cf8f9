import { join } from 'node:path';
import { createCalls, leaseOf } from './calls.ts';
import type { MayflyNode } from './node.ts';
import { delayOf } from './rounds.ts';
import type { Delay } from './rounds.ts';
import { openNode } from './sections.ts';
import type { Bench } from './sections.ts';

const TIMES = 100;

/** Two nodes on one PostgreSQL: a lease is revoked at the first, and the second is asked until it says so. */
export const measureRevocation = async (bench: Bench): Promise<readonly Delay[]> => {
  if (!bench.options.engines.includes('postgresql')) return [];
  const first = await openNode(bench, 'postgresql');
  const second = await openNode(bench, 'postgresql', { beside: first, kekFile: join(first.folder, 'kek') });
  const calls = createCalls(bench.pool);
  const gateway = await calls.gatewayToken(second.url);
  const confirmed: number[] = [];
  const inactive: number[] = [];
  const snapshot: number[] = [];
  for (let workload = 0; workload < TIMES; workload += 1) {
    const token = await calls.exchange(first.url, workload);
    if (!(await calls.introspect(second.url, gateway, token))) throw new Error('a fresh token is not active');
    const asked = performance.now();
    await first.admin('POST', 'revocations', { kind: 'lease', id: leaseOf(token), reason: 'bench' });
    const done = performance.now();
    confirmed.push(done - asked);
    while (await calls.introspect(second.url, gateway, token));
    inactive.push(performance.now() - done);
    const version = await snapshotVersion(first);
    while ((await snapshotVersion(second)) < version);
    snapshot.push(performance.now() - done);
  }
  await second.stop();
  await first.stop();
  return [
    delayOf('revocation: asked to confirmed, at the node that was asked', confirmed),
    delayOf('revocation: confirmed there to inactive at the other node', inactive),
    delayOf('revocation: confirmed there to known in the other node\'s memory', snapshot),
  ];
};

const snapshotVersion = async (node: MayflyNode): Promise<number> => Number(/^mayfly_snapshot_version (\d+)$/m.exec(await node.metrics())?.[1]);
