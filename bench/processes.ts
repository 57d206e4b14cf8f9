import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** A server under test: its own process, its log in a file as a service manager would have it. */
export interface Served { readonly url: string; readonly pid: number; stop(): Promise<void> }

export interface ServeOptions {
  readonly pin: readonly string[];
  readonly script: readonly string[];
  readonly port: number;
  /** Holds stdout and stderr. */
  readonly logFile: string;
  readonly env?: Readonly<Record<string, string>>;
}

// A bench that fails must not leave servers behind.
const children = new Set<ChildProcess>();
process.once('exit', () => { for (const child of children) child.kill('SIGKILL'); });

const START_MS = 300_000;
/** What `npm start` gives its node; floors get it too, so that they stay comparable. */
const NODE_FLAGS = ['--max-semi-space-size=32'];

/** Starts a process and waits until it answers /healthz. */
export const serve = async ({ pin, script, port, logFile, env = {} }: ServeOptions): Promise<Served> => {
  const [command = '', ...parameters] = [...pin, process.execPath, ...NODE_FLAGS, ...script];
  const log = openSync(logFile, 'w');
  const child = spawn(command, parameters, { stdio: ['ignore', log, log], env: { ...process.env, ...env } });
  closeSync(log);
  children.add(child);
  const url = `http://127.0.0.1:${port}`;
  const until = Date.now() + START_MS;
  while (!(await answers(url))) {
    if (child.exitCode !== null || child.signalCode !== null || Date.now() > until) {
      child.kill('SIGKILL');
      throw new Error(`${script.join(' ')} did not start:\n${readFileSync(logFile, 'utf8').slice(-2000)}`);
    }
    await pause(100);
  }
  return { url, pid: child.pid ?? 0, stop: () => stop(child) };
};

const answers = (url: string): Promise<boolean> => fetch(`${url}/healthz`).then((response) => response.ok, () => false);

const GOODBYE_MS = 30_000;

const stop = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const last = setTimeout(() => child.kill('SIGKILL'), GOODBYE_MS);
  await ended;
  clearTimeout(last);
  children.delete(child);
};

/** Runs a process to its end and gives its standard output. */
export const run = async (pin: readonly string[], command: readonly string[], input = ''): Promise<{ readonly stdout: string; readonly stderr: string }> => {
  const [program = '', ...parameters] = [...pin, ...command];
  const child = spawn(program, parameters, { stdio: ['pipe', 'pipe', 'pipe'] });
  const out: string[] = [];
  const errors: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => out.push(chunk));
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => errors.push(chunk));
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${program} ${parameters.join(' ')} ended with ${code}: ${errors.join('')}`);
  return { stdout: out.join(''), stderr: errors.join('') };
};
