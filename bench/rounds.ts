import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ApplyLoad, Measured } from './load.ts';
import type { Pool } from './pool.ts';
import type { Served } from './processes.ts';

/** Something that answers exchanges. */
export interface Target {
  readonly name: string;
  readonly server: Pick<Served, 'url' | 'pid'>;
  /** Evidence is over this many workloads. */
  readonly workloads: number;
  /** It uses evidence up: each token is sent once and its answer kept. */
  readonly consumes: boolean;
}

export interface Row extends Measured { readonly name: string; readonly samples: readonly number[]; readonly answers: readonly string[] }

export interface RoundOptions { readonly seconds: number; readonly rounds: number; readonly connections: number; readonly folder: string; readonly say: (line: string) => void }

/** More evidence than the warm-up's rate could use up: servers become faster while they warm up. */
const SPARE = 1.7;
const LEAST_RATE = 2500;

/**
 * Loads the targets in turn, A B C A B C, so that what else the machine does meets all of them alike; the median of the
 * rounds counts. A first turn warms up and tells how much evidence the others need.
 */
export const measureInTurn = async (targets: readonly Target[], load: ApplyLoad, pool: Pool, { seconds, rounds, connections, folder, say }: RoundOptions): Promise<readonly Row[]> => {
  const answers = new Map<Target, string[]>(targets.map((target) => [target, []]));
  const turn = async (target: Target, bodies: string, duration: number): Promise<Measured> => {
    const own = answers.get(target) ?? [];
    const file = join(folder, `answers-${target.name.replaceAll(/[^a-z0-9]+/gi, '-')}-${own.length}.txt`);
    own.push(file);
    return load({ url: target.server.url, pid: target.server.pid, path: '/dev/token', bodies, answers: file, connections, seconds: duration, mode: target.consumes ? 'once' : 'again' });
  };
  const sizes = [...new Set(targets.map(({ workloads }) => workloads))];
  const mintFor = async (chunks: number, count: number): Promise<ReadonlyMap<number, readonly string[]>> => {
    const files = new Map<number, readonly string[]>();
    for (const workloads of sizes) files.set(workloads, await pool.mint(chunks, count, workloads));
    return files;
  };

  const warmUp = Math.min(seconds, 4);
  const first = await mintFor(1, warmUp * 4000);
  let fastest = 0;
  for (const target of targets) {
    const measured = await turn(target, first.get(target.workloads)?.[0] ?? '', warmUp);
    say(`  warm-up ${target.name}: ${Math.round(measured.perSecond)}/s`);
    if (target.consumes) fastest = Math.max(fastest, measured.perSecond);
  }
  const samples = new Map<Target, Measured[]>(targets.map((target) => [target, []]));
  const files = await mintFor(rounds, Math.ceil(Math.max(fastest * SPARE, LEAST_RATE) * seconds));
  for (let round = 0; round < rounds; round += 1) {
    for (const target of targets) {
      const measured = await turn(target, files.get(target.workloads)?.[round] ?? '', seconds);
      samples.get(target)?.push(measured);
      say(`  round ${round + 1} ${target.name}: ${Math.round(measured.perSecond)}/s, p50 ${measured.p50.toFixed(1)} ms, p99 ${measured.p99.toFixed(1)} ms${measured.cpuEach === undefined ? '' : `, ${Math.round(measured.cpuEach)} us of CPU each`}`);
    }
  }
  for (const file of [...first.values(), ...files.values()].flat()) rmSync(file);
  return targets.map((target) => {
    const own = samples.get(target) ?? [];
    const middle = (of: (measured: Measured) => number): number => median(own.map(of));
    return {
      name: target.name, samples: own.map(({ perSecond }) => Math.round(perSecond)), answers: target.consumes ? answers.get(target) ?? [] : [],
      perSecond: middle((one) => one.perSecond), p50: middle((one) => one.p50), p90: middle((one) => one.p90), p99: middle((one) => one.p99), cpuEach: own.some((one) => one.cpuEach === undefined) ? undefined : middle((one) => one.cpuEach ?? 0), accepted: own.reduce((sum, one) => sum + one.accepted, 0),
    };
  });
};

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] ?? 0 : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
};

export const percentile = (values: readonly number[], share: number): number => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0;

/** Milliseconds from asking to being answered, one call after the other. */
export interface Delay { readonly name: string; readonly p50: number; readonly p99: number; readonly count: number }

export const delayOf = (name: string, values: readonly number[]): Delay => ({ name, p50: percentile(values, 0.5), p99: percentile(values, 0.99), count: values.length });
