import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Processes of the demo: each is ended with it, whatever happens. */
export interface Children {
  /** Starts a program and resolves with the first line of its output that `wanted` accepts; rejects if it ends or takes too long. */
  start(name: string, args: readonly string[], options: StartOptions): Promise<string>;
  /** Asks all of them to end, and insists after a while. */
  endAll(): Promise<void>;
}

export interface StartOptions { readonly env?: NodeJS.ProcessEnv; readonly wanted: (line: string) => boolean }

const READY_WITHIN = 60_000;
const END_WITHIN = 10_000;
/** Of what a program said, this much is told when it fails. */
const LAST_LINES = 8;

export const createChildren = (): Children => {
  const running = new Map<string, ChildProcess>();
  let ending = false;
  return {
    start(name, args, { env = process.env, wanted }) {
      if (ending) return Promise.reject(new Error('the demo is ending'));
      const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
      running.set(name, child);
      const said: string[] = [];
      return new Promise((resolve, reject) => {
        const fail = (why: string): void => reject(new Error(`${name} ${why}${said.length === 0 ? '' : `; it said:\n${said.join('\n')}`}`));
        const slow = setTimeout(() => fail(`was not ready within ${READY_WITHIN / 1000} s`), READY_WITHIN);
        const hear = (line: string): void => {
          said.push(line);
          if (said.length > LAST_LINES) said.shift();
          if (!wanted(line)) return;
          clearTimeout(slow);
          resolve(line);
        };
        readLines(child, hear);
        child.once('error', (fault) => fail(`could not be started: ${fault.message}`));
        child.once('exit', (code, signal) => {
          running.delete(name);
          clearTimeout(slow);
          fail(`ended (${signal ?? `exit ${code ?? '?'}`})`);
        });
      });
    },
    async endAll() {
      ending = true;
      await Promise.all([...running.values()].map(end));
    },
  };
};

const readLines = (child: ChildProcess, hear: (line: string) => void): void => {
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) hear(line);
    });
  }
};

const end = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const insist = setTimeout(() => child.kill('SIGKILL'), END_WITHIN);
  await ended;
  clearTimeout(insist);
};
