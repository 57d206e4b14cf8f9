import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createCalls } from './calls.ts';
import type { Measured } from './load.ts';
import { median } from './rounds.ts';
import { openNode } from './sections.ts';
import type { Bench } from './sections.ts';

export interface Introspected { readonly name: string; readonly perSecond: number; readonly p50: number; readonly p99: number }

const TOKENS = 500;

/** RFC 7662 by a resource server, over tokens that are active; each answer is judged in the database. */
export const measureIntrospection = async (bench: Bench): Promise<readonly Introspected[]> => {
  const { options, folder, pool, load, say } = bench;
  const calls = createCalls(pool);
  const rows: Introspected[] = [];
  for (const engine of options.engines) {
    const node = await openNode(bench, engine);
    const bodies = join(folder, 'introspect.txt');
    const tokens: string[] = [];
    for (let workload = 0; workload < TOKENS; workload += 1) tokens.push(`token=${await calls.exchange(node.url, workload)}`);
    writeFileSync(bodies, `${tokens.join('\n')}\n`);
    const authorization = `Bearer ${await calls.gatewayToken(node.url)}`;
    const samples: Measured[] = [];
    for (let round = 0; round <= options.rounds; round += 1) {
      samples.push(await load({ url: node.url, pid: node.pid, path: '/dev/introspect', bodies, answers: join(folder, 'introspected.txt'), connections: options.connections, seconds: options.seconds, mode: 'again', authorization }));
    }
    await node.stop();
    const warm = samples.slice(1);
    const row = { name: `introspection, ${engine}`, perSecond: median(warm.map((one) => one.perSecond)), p50: median(warm.map((one) => one.p50)), p99: median(warm.map((one) => one.p99)) };
    say(`  ${row.name}: ${Math.round(row.perSecond)}/s`);
    rows.push(row);
  }
  return rows;
};
