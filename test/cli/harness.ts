import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { realSchedule } from '../../src/cli/context.ts';
import type { ShellContext } from '../../src/cli/context.ts';
import { run } from '../../src/cli/main.ts';
import { systemClock } from '../../src/core/clock.ts';

export interface Outcome { readonly code: number; readonly out: string; readonly err: string }

export interface CliOptions extends Partial<Pick<ShellContext, 'schedule' | 'onSignal'>> { readonly env?: Readonly<Record<string, string>>; readonly stdin?: string; readonly columns?: number }

/** The command line in this process, with nothing of the real shell; `columns`: its output is a terminal of that width. */
export const runCli = async (args: readonly string[], { env = {}, stdin = '', columns, schedule = realSchedule, onSignal = () => () => undefined }: CliOptions = {}): Promise<Outcome> => {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const texts = [collect(stdout), collect(stderr)];
  const code = await run(args, { env, stdin: Readable.from([Buffer.from(stdin)]), stdout: columns === undefined ? stdout : Object.assign(stdout, { columns }), stderr, clock: systemClock, schedule, onSignal });
  stdout.end();
  stderr.end();
  const [out = '', err = ''] = await Promise.all(texts);
  return { code, out, err };
};

const collect = async (stream: Readable): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
};

export interface Received { readonly method: string; readonly path: string; readonly query: Readonly<Record<string, string>>; readonly headers: IncomingMessage['headers']; readonly body: string }
export interface Reply { readonly status?: number; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> }

/** An HTTP peer that keeps what it got and answers as told. */
export interface Peer { readonly url: string; readonly socket: string | undefined; readonly received: readonly Received[]; close(): Promise<void> }

export const startPeer = async (answer: (request: Received) => Reply | Promise<Reply>, socket?: string): Promise<Peer> => {
  const received: Received[] = [];
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://peer');
    const got = { method: request.method ?? '', path: url.pathname, query: Object.fromEntries(url.searchParams), headers: request.headers, body: await collect(request) };
    received.push(got);
    const { status = 200, body = {}, headers = {} } = await answer(got);
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };
  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>((resolve) => { if (socket === undefined) server.listen(0, '127.0.0.1', resolve); else server.listen(socket, resolve); });
  return {
    url: socket === undefined ? `http://127.0.0.1:${(server.address() as AddressInfo).port}` : `unix://${socket}`,
    socket, received,
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
  };
};

/** A folder that goes when `use` ends. */
export const withFolder = async <T>(use: (folder: string) => Promise<T>): Promise<T> => {
  const folder = mkdtempSync(join(tmpdir(), 'mayfly-test-'));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
};
