import type { Readable, Writable } from 'node:stream';
import type { Clock } from '../core/clock.ts';
import { systemClock } from '../core/clock.ts';

/** Runs `work` after so many milliseconds; the result takes that back. */
export type Schedule = (milliseconds: number, work: () => void) => () => void;

export const realSchedule: Schedule = (milliseconds, work) => {
  const timer = setTimeout(work, milliseconds);
  return () => clearTimeout(timer);
};

/** What a command may touch of the process it runs in; tests hand in their own. */
export interface ShellContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly clock: Clock;
  readonly schedule: Schedule;
  /** Calls back for every signal that asks the process to end, instead of ending it; the result stops that. */
  onSignal(listener: (signal: NodeJS.Signals) => void): () => void;
}

export interface CliContext extends ShellContext {
  /** Sets the exit code of a command that did its work and still has to say no, or passes on another program's. */
  finish(exitCode: number): void;
}

const ENDING_SIGNALS: readonly NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'];

/** The real process. A reader that went away (`mayfly lease list | head`) is no fault of ours. */
export const shellContext = (): ShellContext => {
  process.stdout.on('error', (fault: NodeJS.ErrnoException) => {
    if (fault.code !== 'EPIPE') throw fault;
    process.exit();
  });
  return {
    env: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    clock: systemClock,
    schedule: realSchedule,
    onSignal(listener) {
      for (const signal of ENDING_SIGNALS) process.on(signal, listener);
      return () => {
        for (const signal of ENDING_SIGNALS) process.removeListener(signal, listener);
      };
    },
  };
};

export const say = (context: Pick<ShellContext, 'stdout'>, text: string): void => {
  context.stdout.write(`${text}\n`);
};

/** Columns of the terminal the result goes to; undefined where it goes into a file or another program. */
export const terminalWidth = ({ stdout }: Pick<ShellContext, 'stdout'>): number | undefined =>
  ('columns' in stdout && typeof stdout.columns === 'number' && stdout.columns > 0 ? stdout.columns : undefined);

/** For people: progress, warnings and hints go to stderr, so that stdout holds the result alone. */
export const tell = (context: Pick<ShellContext, 'stderr'>, text: string): void => {
  context.stderr.write(`${text}\n`);
};
