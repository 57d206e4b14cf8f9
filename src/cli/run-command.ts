import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { isObject } from '../core/json.ts';
import type { CliContext } from './context.ts';
import { tell } from './context.ts';

/** Passes signals on to a command, from before it starts until everything after it is done. */
export interface SignalRelay {
  /** A signal that came before there was a command to pass it to. */
  readonly early: () => NodeJS.Signals | undefined;
  attach(child: ChildProcess): void;
  stop(): void;
}

export const createSignalRelay = (context: Pick<CliContext, 'onSignal' | 'stdin'>): SignalRelay => {
  let child: ChildProcess | undefined;
  let early: NodeJS.Signals | undefined;
  const stop = context.onSignal((signal) => {
    if (child === undefined) early ??= signal;
    // A terminal sends its key signals to the whole process group: the command has them already.
    else if (!(isTerminal(context.stdin) && (signal === 'SIGINT' || signal === 'SIGQUIT'))) child.kill(signal);
  });
  return { early: () => early, attach(started) { child = started; }, stop };
};

const isTerminal = (stream: object): boolean => 'isTTY' in stream && stream.isTTY === true;

const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;

/** Runs a command with our standard streams; resolves with its exit code as a shell gives it (128 + n after signal n). */
export const runCommand = (context: CliContext, [program = '', ...args]: readonly string[], env: Record<string, string>, relay: SignalRelay): Promise<number> => {
  const early = relay.early();
  if (early !== undefined) return Promise.resolve(codeOfSignal(early));
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'inherit', env });
    relay.attach(child);
    child.once('error', (fault) => {
      tell(context, `error: cannot run ${program}: ${fault.message}\n  next: check the command after --`);
      resolve(isObject(fault) && fault['code'] === 'ENOENT' ? NOT_FOUND : NOT_EXECUTABLE);
    });
    child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : codeOfSignal(signal)));
  });
};

const codeOfSignal = (signal: NodeJS.Signals): number => 128 + constants.signals[signal];
