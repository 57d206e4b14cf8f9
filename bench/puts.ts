import type { MayflyNode } from './node.ts';
import { delayOf } from './rounds.ts';
import type { Delay } from './rounds.ts';
import { DOMAIN, workloadManifest } from './scenery.ts';

const TIMES = 50;

/** One entry of very many gets a new owner, again and again: from asking to the answer that it is committed and known to the node. */
export const measurePuts = async (node: MayflyNode, name: string, workloads: number): Promise<Delay> => {
  const [entry] = workloadManifest(workloads - 1, workloads).workloads;
  if (entry === undefined) throw new Error('there is no workload to put');
  const took: number[] = [];
  for (let time = 0; time < TIMES; time += 1) {
    const startedAt = performance.now();
    const answer = await node.admin('PUT', `workloads/${DOMAIN}/${encodeURIComponent(entry.name)}`, { ...entry, owner: `owner-${time}@acme.example` });
    took.push(performance.now() - startedAt);
    if (answer['applied'] !== true) throw new Error(`the entry was not put: ${JSON.stringify(answer).slice(0, 2000)}`);
  }
  await node.apply({ workloads: [entry] });
  return delayOf(name, took);
};
