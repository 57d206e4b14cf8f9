import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { systemClock } from '../src/core/clock.ts';
import type { LeaseId, SessionId } from '../src/core/ids.ts';
import { parseDatabase } from '../src/store/database.ts';
import { openReads } from '../src/store/open.ts';
import type { OpenReads } from '../src/store/open.ts';
import { createCalls, leaseOf } from './calls.ts';
import type { Calls } from './calls.ts';
import { openFiller } from './cascade-tree.ts';
import type { Filler, Root } from './cascade-tree.ts';
import { readCpuSeconds } from './cpu-time.ts';
import type { Measured } from './load.ts';
import type { MayflyNode } from './node.ts';
import { handOverManifest, linkOf } from './scenery.ts';
import { openNode } from './sections.ts';
import type { Bench } from './sections.ts';

/** A session tree revoked beside so many leases of others. */
export interface Cascaded {
  readonly name: string;
  readonly leases: number;
  readonly hops: number;
  /** Until the revocation was confirmed, which is when every lease is inactive; from then until all that follows was carried out. */
  readonly confirmedMs: number;
  readonly doneMs: number;
  /** Microseconds of the server's CPU for each lease. */
  readonly cpuEach: number | undefined;
  /** Exchanges of other sessions, undisturbed and while another such cascade goes on. */
  readonly alone: Pick<Measured, 'perSecond' | 'p50' | 'p99'>;
  readonly meanwhile: Pick<Measured, 'perSecond' | 'p50' | 'p99'>;
  readonly doneUnderLoadMs: number;
}

const SPENDERS = 200;
const DEEPEST = 5;
const SAMPLED_EACH = 20;
const LOADED_SHARE = 4;
const GIVE_UP_MS = 300_000;

/** Revokes trees of hops five deep, once in quiet and once under load, among few and among ten times as many leases. */
export const measureCascade = async (bench: Bench): Promise<readonly Cascaded[]> => {
  const rows: Cascaded[] = [];
  for (const engine of bench.options.engines) {
    const node = await openNode(bench, engine);
    await node.apply(handOverManifest());
    const filler = openFiller(node.databaseUrl);
    const reads = await openReads(parseDatabase(node.databaseUrl), systemClock);
    const scene: Scene = { bench, node, filler, reads, calls: createCalls(bench.pool) };
    let others = 0;
    for (const wanted of [bench.options.tree, 10 * bench.options.tree]) {
      bench.say(`cascade, ${engine}, beside ${wanted} leases of others`);
      const fillingAt = performance.now();
      await filler.addOthers(await readRoot(reads, await scene.calls.sessionToken(node.url, linkOf(0))), wanted - others);
      bench.say(`  ${wanted - others} leases of others written in ${((performance.now() - fillingAt) / 1000).toFixed(1)} s`);
      others = wanted;
      rows.push({ name: `${engine}, beside ${wanted} leases of others`, ...(await measureOne(scene)) });
    }
    await filler.close();
    await reads.close();
    await node.stop();
  }
  return rows;
};

interface Scene { readonly bench: Bench; readonly node: MayflyNode; readonly filler: Filler; readonly reads: OpenReads; readonly calls: Calls }

const measureOne = async (scene: Scene): Promise<Omit<Cascaded, 'name'>> => {
  const { bench, node } = scene;
  const quiet = await growTree(scene, bench.options.tree);
  const cpuBefore = readCpuSeconds(node.pid);
  const { confirmedMs, done } = await revoke(scene, quiet);
  const doneMs = await done;
  const cpuAfter = readCpuSeconds(node.pid);
  await checkInactive(scene, quiet);
  bench.say(`  ${quiet.leases} leases: confirmed after ${Math.round(confirmedMs)} ms, carried out after ${(doneMs / 1000).toFixed(1)} s, every one inactive`);

  // Long enough that it goes on for as long as the load does.
  const loaded = await growTree(scene, Math.ceil(bench.options.tree / LOADED_SHARE));
  const load = await openLoad(scene);
  const alone = await load();
  const begun = await revoke(scene, loaded);
  const [meanwhile, doneUnderLoadMs] = await Promise.all([load(), begun.done]);
  await checkInactive(scene, loaded);
  bench.say(`  exchanges of others: ${Math.round(alone.perSecond)}/s, p99 ${alone.p99.toFixed(1)} ms; meanwhile ${Math.round(meanwhile.perSecond)}/s, p99 ${meanwhile.p99.toFixed(1)} ms, carried out after ${(doneUnderLoadMs / 1000).toFixed(1)} s`);
  return { leases: quiet.leases, hops: quiet.hops, confirmedMs, doneMs, cpuEach: cpuBefore === undefined || cpuAfter === undefined ? undefined : ((cpuAfter - cpuBefore) * 1e6) / quiet.leases, alone, meanwhile, doneUnderLoadMs };
};

interface Tree { readonly session: SessionId; readonly leases: number; readonly hops: number; readonly sampled: readonly string[] }

/** A chain that the server made itself, hand-over by hand-over, with tokens at every depth; the rest of the tree is written beside it. */
const growTree = async ({ node, filler, reads, calls }: Scene, leases: number): Promise<Tree> => {
  const first = await calls.sessionToken(node.url, linkOf(0));
  const root = await readRoot(reads, first);
  const sampled: string[] = [];
  let token = first;
  for (let depth = 0; ; depth += 1) {
    for (let count = 0; count < SAMPLED_EACH; count += 1) sampled.push(await calls.spend(node.url, token));
    if (depth === DEEPEST) break;
    token = await calls.handOver(node.url, token, linkOf(depth + 1));
  }
  const real = await countLeases(reads, root.session.id);
  return { session: root.session.id, leases, hops: await filler.growTree(root, leases - real) + DEEPEST, sampled };
};

const readRoot = async (reads: OpenReads, token: string): Promise<Root> => {
  const standing = await reads.leaseStanding(leaseOf(token) as LeaseId);
  if (standing === undefined) throw new Error('a token is not in the registry');
  return standing;
};

const countLeases = async (reads: OpenReads, sessionId: SessionId): Promise<number> => (await reads.leases({ sessionId }, { limit: 1000, after: undefined })).items.length;

/** Begins it; `done` resolves with the time from the confirmation until all was carried out, and throws unless all of the tree fell. */
const revoke = async ({ node }: Scene, tree: Tree): Promise<{ readonly confirmedMs: number; readonly done: Promise<number> }> => {
  const asked = performance.now();
  const { revocation } = await node.admin('POST', 'revocations', { kind: 'session', id: tree.session, reason: 'bench' });
    const confirmedAt = performance.now();
  const watch = async (): Promise<number> => {
    for (;;) {
      const { carried_out: carriedOut } = (await node.admin('GET', `revocations/${String(revocation)}`)) as { readonly carried_out: { readonly status: string; readonly leases: number } };
      const elapsed = performance.now() - confirmedAt;
      if (carriedOut.status === 'done') {
        if (carriedOut.leases !== tree.leases) throw new Error(`${carriedOut.leases} of ${tree.leases} leases fell`);
        return elapsed;
      }
      if (elapsed > GIVE_UP_MS) throw new Error('the cascade does not come to an end');
      await pause(50);
    }
  };
  return { confirmedMs: confirmedAt - asked, done: watch() };
};

const JUDGED = 1000;
/** Every member is judged in the database, and the tokens are shown to the server as a resource server would. */
const checkInactive = async ({ node, reads, calls }: Scene, { session, sampled }: Tree): Promise<void> => {
  for (let after = ''; ; ) {
    const page = await reads.leasesOfSession(session, after, JUDGED);
    const hops = await reads.hopFalls([...new Set(page.map(({ hopId }) => hopId))]);
    if (page.some((lease) => (lease.fellUnder ?? hops.get(lease.hopId)) === undefined)) throw new Error('a lease of a revoked session is active');
    if (page.length < JUDGED) break;
    after = page.at(-1)?.id ?? after;
  }
  const gateway = await calls.gatewayToken(node.url);
  for (const token of sampled) if (await calls.introspect(node.url, gateway, token)) throw new Error('a token of a revoked session is active');
};

/** Exchanges of session tokens of others, again and again. */
const openLoad = async ({ bench, node, calls }: Scene): Promise<() => Promise<Measured>> => {
  const bodies = join(bench.folder, 'spent.txt');
  const forms: string[] = [];
  for (let workload = 0; workload < SPENDERS; workload += 1) forms.push(calls.spendForm(await calls.sessionToken(node.url, workload), workload));
  writeFileSync(bodies, `${forms.join('\n')}\n`);
  const load = (seconds: number): Promise<Measured> =>
    bench.load({ url: node.url, pid: node.pid, path: '/dev/token', bodies, answers: join(bench.folder, 'spent-answers.txt'), connections: bench.options.connections, seconds, mode: 'again' });
  await load(Math.min(2, bench.options.seconds));
  return () => load(bench.options.seconds);
};
