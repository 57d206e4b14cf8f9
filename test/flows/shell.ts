import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';

const MAYFLY = fileURLToPath(new URL('../../bin/mayfly.js', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** `bin/mayfly.js` in a process of its own, as a shell starts it: nothing of this process's environment but the way to programs. */
export interface Program {
  readonly process: ChildProcess;
  out(): string;
  err(): string;
  /** Resolves when its output so far holds this; rejects if it ends before. */
  says(text: string | RegExp): Promise<void>;
  readonly ended: Promise<number | null>;
}

export const mayflyProgram = (args: readonly string[], env: Readonly<Record<string, string>> = {}, cwd: string = ROOT): Program => {
  const child = spawn(process.execPath, [MAYFLY, ...args], { cwd, env: { PATH: process.env['PATH'] ?? '', HOME: cwd, ...env } });
  let [out, err] = ['', ''];
  const listeners = new Set<() => void>();
  const heard = (): void => { for (const listener of listeners) listener(); };
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
    heard();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString();
    heard();
  });
  const ended = new Promise<number | null>((resolve) => { child.once('close', resolve); });
  return {
    process: child, out: () => out, err: () => err, ended,
    says: (text) => new Promise((resolve, reject) => {
      const look = (): void => { if (typeof text === 'string' ? `${out}${err}`.includes(text) : text.test(`${out}${err}`)) resolve(); };
      listeners.add(look);
      look();
      void ended.then((code) => { reject(new Error(`ended with ${code} and did not say ${String(text)}: ${out}${err}`)); });
    }),
  };
};

/** Runs it to its end. */
export const runProgram = async (args: readonly string[], env?: Readonly<Record<string, string>>, cwd?: string): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> => {
  const program = mayflyProgram(args, env, cwd);
  const code = await program.ended;
  return { code, out: program.out(), err: program.err() };
};

/** What a GitHub runner offers its steps: a URL with a query already, and a token to ask it with. What it answers comes from the platform. */
export interface Runner { readonly env: Readonly<Record<string, string>>; readonly asked: readonly string[]; close(): Promise<void> }

const REQUEST_TOKEN = 'what-the-runner-gave-this-step';

export const startRunner = async (mint: (audience: string) => Promise<string>): Promise<Runner> => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://runner');
    const audience = url.searchParams.get('audience');
    if (request.headers.authorization !== `bearer ${REQUEST_TOKEN}` || url.searchParams.get('api-version') !== '2.0' || audience === null) {
      response.writeHead(401).end();
      return;
    }
    asked.push(audience);
    mint(audience).then(
      (value) => { response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ count: value.length, value })); },
      () => { response.writeHead(500).end(); },
    );
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  return {
    asked,
    env: { GITHUB_ACTIONS: 'true', ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/idtoken?api-version=2.0`, ACTIONS_ID_TOKEN_REQUEST_TOKEN: REQUEST_TOKEN },
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
};
