import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { stringify } from 'yaml';
import type { AuditReport } from '../../src/audit/verify.ts';
import { GRANT, JWT_TYPE, snapshotVersionIn } from '../support/mayfly.ts';
import type { Answer } from '../support/mayfly.ts';
import { patiently } from '../support/patiently.ts';
import { until } from './until.ts';

/** `mayfly serve` as a process of its own, reached over HTTP and its admin socket like any other. */
export interface Server {
  /** Where this node listens, which need not be its external URL. */
  readonly at: string;
  readonly process: ChildProcess;
  /** What it told its terminal so far. */
  readonly told: readonly string[];
  /** What it wrote to its log so far. */
  readonly log: readonly LogLine[];
  admin(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<Answer>;
  /** GET on the admin socket outside the admin API. */
  look(path: string): Promise<Answer>;
  /** Resolves when every process of it knows the manifest. */
  apply(manifest: object): Promise<void>;
  /** Of the process that lags most. */
  snapshotVersion(): Promise<number>;
  form(path: string, values: Readonly<Record<string, string>>, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  exchange(values: Readonly<Record<string, string>>, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  /** As exchange, but takes the first answer. */
  exchangeOnce(values: Readonly<Record<string, string>>, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  explain(answer: Answer): Promise<Record<string, unknown>>;
  /** The internal reason code of a refusal that it knows: a process with too much to do is asked again for what it holds in its memory. */
  reason(answer: Answer): Promise<unknown>;
  verifyAudit(): Promise<AuditReport>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with how it ended. */
  stop(): Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
}

export interface LogLine { readonly msg?: string; readonly level?: string; readonly [member: string]: unknown }

export interface ServerOptions {
  readonly folder: string;
  readonly port: number;
  /** What callers call it, when that is not where it listens. */
  readonly externalUrl?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  /** Runs before `node` in the same command, such as `unshare -m`. */
  readonly under?: readonly string[];
}

const MAYFLY = fileURLToPath(new URL('../../bin/mayfly.js', import.meta.url));

export class DidNotStart extends Error {
  readonly code: number | null;
  constructor(code: number | null, output: string) {
    super(`the server ended with code ${code}: ${output}`);
    this.name = 'DidNotStart';
    this.code = code;
  }
}

/** Resolves when it says that it is ready, or that it is not and why. */
export const startServerProcess = async ({ folder, port, externalUrl, config = {}, under = [] }: ServerOptions): Promise<Server> => {
  const at = `http://127.0.0.1:${port}`;
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `mayfly-${port}.yaml`);
  const limits = { per_address: 1_000_000, per_workload: 1_000_000, in_flight: 1_000 };
  writeFileSync(file, stringify({ listen: `127.0.0.1:${port}`, external_url: externalUrl ?? at, data_dir: folder, limits, ...config }));
  const [command = '', ...args] = [...under, process.execPath, MAYFLY, 'serve', '--config', file];
  const { PATH = '', HOME = '', TMPDIR } = process.env;
  const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], env: { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }) } });
  const log: LogLine[] = [];
  const complaints: string[] = [];
  createInterface(child.stdout).on('line', (line) => { log.push(readLine(line)); });
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
  // Its last words may be read after it is gone. A worker that outlives a killed primary holds the pipe open: only who waits for words waits for this.
  const silent = once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>;
  const ready = new Promise<void>((resolve) => {
    createInterface(child.stderr).on('line', (line) => {
      complaints.push(line);
      if (/^mayfly is (?:not )?ready/.test(line)) resolve();
    });
  });
  const outcome = await Promise.race([ready, silent]);
  if (outcome !== undefined) throw new DidNotStart(outcome[0], `${complaints.join('\n')}\n${log.filter(({ level }) => level === 'error').map((line) => JSON.stringify(line)).join('\n')}`);

  const web = new Agent({ connections: 64 });
  // More connections at once than the socket's backlog holds are refused by the kernel (EAGAIN), not queued.
  const socket = new Agent({ connections: 32, connect: { socketPath: join(folder, 'admin', 'mayfly.sock') } });
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    child.kill(signal);
    const [code, by] = await (signal === 'SIGTERM' ? silent : exited);
    await Promise.all([web.destroy(), socket.destroy()]);
    return { code, signal: by };
  };
  const onSocket = (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<Answer> =>
    read(request(`http://admin/${path}`, { method, dispatcher: socket, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }) }));
  const admin: Server['admin'] = (method, path, body) => onSocket(method, `admin/v1/${path}`, body);
  const explain: Server['explain'] = async (answer) => (await admin('GET', `decisions/${String(answer.body['decision_id'])}`)).body;
  const snapshotVersion: Server['snapshotVersion'] = async () => snapshotVersionIn(await onSocket('GET', 'metrics'));
  const form: Server['form'] = (path, values, headers = {}) =>
    read(request(`${at}/${path}`, { method: 'POST', dispatcher: web, headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers }, body: new URLSearchParams(values).toString() }));
  const exchangeOnce: Server['exchangeOnce'] = (values, headers) => form('dev/token', { grant_type: GRANT, subject_token_type: JWT_TYPE, ...values }, headers);
  return {
    at, process: child, told: complaints, log, admin, form, exchangeOnce,
    look: (path) => onSocket('GET', path),
    async apply(manifest) {
      const answer = await admin('POST', 'apply', { manifest, dry_run: false, prune: false });
      if (answer.body['applied'] !== true) throw new Error(`apply: ${JSON.stringify(answer.body)}`);
      await until('all of its processes know it', async () => await snapshotVersion() >= Number(answer.body['version']));
    },
    snapshotVersion,
    exchange: (values, headers) => patiently(() => exchangeOnce(values, headers)),
    explain,
    async reason(answer) {
      let code: unknown;
      await until('the decision is found', async () => (code = (await explain(answer))['code']) !== 'not_found');
      return code;
    },
    verifyAudit: async () => (await admin('POST', 'audit/verify', { checkpoints: [] })).body as unknown as AuditReport,
    async kill() { await end('SIGKILL'); },
    stop: () => end('SIGTERM'),
  };
};

const readLine = (line: string): LogLine => {
  try {
    return JSON.parse(line) as LogLine;
  } catch {
    return { msg: line };
  }
};

const read = async (asked: ReturnType<typeof request>): Promise<Answer> => {
  const response = await asked;
  const text = await response.body.text();
  let body: unknown;
  try {
    body = text === '' ? {} : JSON.parse(text);
  } catch {
    body = { text };
  }
  return { status: response.statusCode, headers: response.headers, body: body as Record<string, unknown> };
};
