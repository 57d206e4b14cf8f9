import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { reckon } from './books.ts';
import type { Reckoning } from './books.ts';
import { createCalls } from './calls.ts';
import type { ApplyLoad } from './load.ts';
import type { Machine } from './machine.ts';
import { startNode } from './node.ts';
import type { MayflyNode } from './node.ts';
import type { Engine, Options } from './options.ts';
import type { Pool } from './pool.ts';
import type { Postgres } from './postgres.ts';
import { freePort } from '../demo/free-port.ts';
import { serve } from './processes.ts';
import type { Served } from './processes.ts';
import { measurePuts } from './puts.ts';
import { measureInTurn } from './rounds.ts';
import type { Delay, Row } from './rounds.ts';
import { baseManifest, extraPolicyManifest, policyManifest, workloadManifest } from './scenery.ts';
import type { ExtraPolicy } from './scenery.ts';

/** What every section measures with. */
export interface Bench {
  readonly options: Options;
  readonly machine: Machine;
  readonly folder: string;
  readonly postgres: Postgres | undefined;
  readonly load: ApplyLoad;
  readonly pool: Pool;
  readonly say: (line: string) => void;
}

export interface Exchanged { readonly rows: readonly Row[]; readonly books: readonly (Reckoning & { readonly name: string })[] }
export interface Scaled extends Exchanged { readonly puts: readonly Delay[] }

const WORKLOADS = 1000;
/** Per apply: what one request of the admin API takes. */
const BATCH = 10_000;

/** A filled node on a database of its own. */
export const openNode = async (bench: Bench, engine: Engine, more: { readonly workloads?: number; readonly workers?: number; readonly extra?: ExtraPolicy; readonly beside?: MayflyNode; readonly kekFile?: string; readonly nodeOptions?: string } = {}): Promise<MayflyNode> => {
  const folder = join(bench.folder, `node-${randomBytes(4).toString('hex')}`);
  mkdirSync(folder, { recursive: true });
  const kekFile = more.kekFile ?? join(folder, 'kek');
  if (more.kekFile === undefined && engine === 'postgresql') writeFileSync(kekFile, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  const databaseUrl = engine === 'sqlite' ? undefined : more.beside?.databaseUrl ?? await bench.postgres?.freshDatabase();
  const node = await startNode({
    machine: bench.machine, folder, databaseUrl, workers: more.workers ?? 1, ...(engine === 'sqlite' ? {} : { kekFile }),
    nodeOptions: more.nodeOptions ?? (bench.options.profile === '' ? '' : `--cpu-prof --cpu-prof-dir=${join(resolve(bench.options.profile), engine)}`),
  });
  if (more.beside !== undefined) return node;
  const workloads = more.workloads ?? WORKLOADS;
  await node.apply(baseManifest(bench.pool.jwks));
  for (let from = 0; from < workloads; from += BATCH) await node.apply(workloadManifest(from, Math.min(workloads, from + BATCH)));
  await node.apply(policyManifest());
  if (more.extra !== undefined) await node.apply(extraPolicyManifest(more.extra));
  await firstExchange(bench, node, workloads);
  return node;
};

const ATTEMPTS = 20;

/** Told and not measured: nothing is warm yet. What workloads are found by is made while the registry is read, not here. */
const firstExchange = async (bench: Bench, node: MayflyNode, workloads: number): Promise<void> => {
  const calls = createCalls(bench.pool);
  const startedAt = performance.now();
  for (let attempt = 1; ; attempt += 1) {
    const refused = await calls.exchange(node.url, 0).then(() => undefined, (cause: unknown) => cause);
    if (refused === undefined) break;
    if (attempt === ATTEMPTS) throw new Error('no first exchange', { cause: refused });
    bench.say(`  first exchange, attempt ${attempt}: ${refused instanceof Error ? refused.message : 'refused'}`);
    await pause(250);
  }
  bench.say(`  first exchange with ${workloads} workloads: after ${Math.round(performance.now() - startedAt)} ms`);
};

const serveFloor = async (bench: Bench, script: string, file: string): Promise<Served> => {
  const port = await freePort();
  const profile = bench.options.profile === '' ? {} : { env: { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${join(resolve(bench.options.profile), script)}` } };
  return serve({ pin: bench.machine.pin('server'), port, logFile: join(bench.folder, `${script}.log`), script: [join(import.meta.dirname, `${script}.ts`), String(port), file], ...profile });
};

const closeAll = async (servers: readonly Served[]): Promise<void> => { for (const server of servers) await server.stop(); };

/** Both floors and the full exchange on each engine, in turn. */
export const measureExchange = async (bench: Bench): Promise<Exchanged> => {
  bench.say('exchange');
  const bare = await serveFloor(bench, 'bare-floor', bench.pool.publicKeyFile);
  const floor = await serveFloor(bench, 'server-floor', bench.pool.jwksFile);
  const nodes: { readonly name: string; readonly node: MayflyNode }[] = [];
  for (const engine of bench.options.engines) {
    nodes.push({ name: `full exchange, ${engine}`, node: await openNode(bench, engine) });
    for (const extra of bench.options.extras) nodes.push({ name: `full exchange, ${engine}, a policy reads the ${extra}`, node: await openNode(bench, engine, { extra }) });
  }
  const rows = await measureInTurn([
    { name: 'bare floor', server: bare, workloads: WORKLOADS, consumes: false },
    { name: 'server floor', server: floor, workloads: WORKLOADS, consumes: false },
    ...nodes.map(({ name, node }) => ({ name, server: node, workloads: WORKLOADS, consumes: true })),
  ], bench.load, bench.pool, { ...bench.options, folder: bench.folder, say: bench.say });
  const books = await reckonAll(rows, nodes);
  await closeAll([bare, floor, ...nodes.map(({ node }) => node)]);
  return { rows, books };
};

/** One serving process for each core. */
export const measureWorkers = async (bench: Bench): Promise<Exchanged> => {
  bench.say(`one worker for each of ${bench.machine.cores} cores`);
  const nodes: { readonly name: string; readonly node: MayflyNode }[] = [];
  for (const engine of bench.options.engines) {
    nodes.push({ name: `full exchange, ${engine}, 1 worker`, node: await openNode(bench, engine) });
    nodes.push({ name: `full exchange, ${engine}, ${bench.machine.cores} workers`, node: await openNode(bench, engine, { workers: bench.machine.cores }) });
  }
  const rows = await measureInTurn(nodes.map(({ name, node }) => ({ name, server: node, workloads: WORKLOADS, consumes: true })), bench.load, bench.pool, { ...bench.options, folder: bench.folder, say: bench.say });
  const books = await reckonAll(rows, nodes);
  await closeAll(nodes.map(({ node }) => node));
  return { rows, books };
};

/** The same exchange, and one entry changed, beside few and beside many registered workloads. */
export const measureScale = async (bench: Bench): Promise<Scaled> => {
  const { small, large } = bench.options;
  const nodes: { readonly name: string; readonly node: MayflyNode; readonly workloads: number }[] = [];
  for (const engine of bench.options.engines) {
    for (const workloads of [small, large]) {
      bench.say(`registering ${workloads} workloads on ${engine}`);
      nodes.push({ name: `full exchange, ${engine}, ${workloads} workloads`, workloads, node: await openNode(bench, engine, { workloads }) });
    }
  }
  const puts: Delay[] = [];
  for (const { name, node, workloads } of nodes) puts.push(await measurePuts(node, `one put, ${name.replace('full exchange, ', '')}`, workloads));
  const rows = await measureInTurn(nodes.map(({ name, node, workloads }) => ({ name, server: node, workloads, consumes: true })), bench.load, bench.pool, { ...bench.options, folder: bench.folder, say: bench.say });
  const books = await reckonAll(rows, nodes);
  await closeAll(nodes.map(({ node }) => node));
  return { rows, books, puts };
};

const reckonAll = async (rows: readonly Row[], nodes: readonly { readonly name: string; readonly node: MayflyNode }[]): Promise<Exchanged['books']> => {
  const books = [];
  for (const { name, node } of nodes) books.push({ name, ...(await reckon(rows.find((row) => row.name === name)?.answers ?? [], node.databaseUrl)) });
  return books;
};

