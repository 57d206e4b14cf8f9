import { join } from 'node:path';
import { readCpuSeconds } from './cpu-time.ts';
import type { Machine } from './machine.ts';
import { run } from './processes.ts';

/** One stretch of load against one server. Latencies in milliseconds. */
export interface Measured {
  readonly perSecond: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly accepted: number;
  /** Microseconds of CPU the server used for each; undefined where the system does not tell. */
  readonly cpuEach: number | undefined;
}

export interface LoadOptions {
  readonly pid: number;
  readonly url: string;
  readonly path: string;
  readonly bodies: string;
  readonly answers: string;
  readonly connections: number;
  readonly seconds: number;
  /** `once`: each body is sent once and every answer is kept. */
  readonly mode: 'once' | 'again';
  readonly authorization?: string;
}

/** What the load generators print. */
interface Raw { readonly accepted: number; readonly refused: number; readonly exhausted: number; readonly errors: number; readonly micros: number; readonly p50: number; readonly p90: number; readonly p99: number }

export type ApplyLoad = (options: LoadOptions) => Promise<Measured>;

/** Anything but answers of status 200 makes the stretch worthless, so it is thrown. */
export const createLoad = (machine: Machine, useWrk: boolean): ApplyLoad => async (options) => {
  const { pid, url, path, bodies, answers, connections, seconds, mode, authorization = '-' } = options;
  const common = [path, bodies, answers, mode, authorization];
  const command = useWrk
    ? ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '-s', join(import.meta.dirname, 'load.lua'), url, '--', ...common]
    : [process.execPath, join(import.meta.dirname, 'cannon.ts'), url, String(connections), String(seconds), ...common];
  const cpuBefore = readCpuSeconds(pid);
  const { stdout, stderr } = await run(machine.pin('client'), command);
  const cpuAfter = readCpuSeconds(pid);
  const line = stdout.split('\n').find((candidate) => candidate.startsWith('{'));
  if (line === undefined) throw new Error(`no figures from the load generator: ${stdout}${stderr}`);
  const raw = JSON.parse(line) as Raw;
  if (raw.exhausted > 0) throw new Error('the pool of evidence was used up: the figures are worthless');
  if (raw.refused > 0 || raw.errors > 0) throw new Error(`${raw.refused} refusals and ${raw.errors} broken connections: ${stderr}`);
  const cpuEach = cpuBefore === undefined || cpuAfter === undefined ? undefined : ((cpuAfter - cpuBefore) * 1e6) / raw.accepted;
  return { perSecond: raw.accepted / (raw.micros / 1e6), p50: raw.p50 / 1000, p90: raw.p90 / 1000, p99: raw.p99 / 1000, accepted: raw.accepted, cpuEach };
};
