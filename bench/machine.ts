import { spawnSync } from 'node:child_process';
import { availableParallelism, cpus, loadavg, platform } from 'node:os';

/** Where processes run: the client on the last core, what is measured on all the others (Linux with taskset and more than one core). */
export interface Machine {
  readonly cores: number;
  readonly model: string;
  /** Arguments in front of a command that keep it on these cores; empty where nothing can be pinned. */
  pin(who: 'client' | 'server'): readonly string[];
  /** As the report tells it. */
  readonly pinning: string;
  load(): string;
}

const runs = (command: string, ...parameters: readonly string[]): boolean => spawnSync(command, parameters, { stdio: 'ignore' }).error === undefined;

export const hasWrk = (): boolean => runs('wrk', '--version');

export const inspectMachine = (): Machine => {
  const cores = availableParallelism();
  const pinned = platform() === 'linux' && cores > 1 && runs('taskset', '--version');
  const server = cores === 2 ? '0' : `0-${cores - 2}`;
  return {
    cores,
    model: cpus()[0]?.model ?? 'unknown',
    pin: (who) => (pinned ? ['taskset', '-c', who === 'client' ? String(cores - 1) : server] : []),
    pinning: pinned ? `server on core ${server}, client and PostgreSQL on core ${cores - 1}` : 'nothing is pinned',
    load: () => loadavg().map((value) => value.toFixed(1)).join(' '),
  };
};
