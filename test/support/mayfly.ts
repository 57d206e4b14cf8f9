import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { freePort } from '../../demo/free-port.ts';
import { patiently } from './patiently.ts';
import type { Clock } from '../../src/core/clock.ts';
import { startServer } from '../../src/main.ts';
import type { RunningServer } from '../../src/main.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import type { Log } from '../../src/telemetry/log.ts';

export interface Answer { readonly status: number; readonly body: Record<string, unknown>; readonly headers: Readonly<Record<string, string | string[] | undefined>> }

/** A list sends the header once for each value. */
export type Headers = Readonly<Record<string, string | string[]>>;

/** A real server in this process, reached over real HTTP and its real admin socket. */
export interface Mayfly {
  readonly url: string;
  readonly folder: string;
  readonly server: RunningServer;
  admin(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown): Promise<Answer>;
  /** Registers a manifest; throws unless it was applied. */
  apply(manifest: object): Promise<Answer>;
  /** POST of a form; `values` may repeat a name. */
  form(path: string, values: Readonly<Record<string, string>> | readonly (readonly [string, string])[], headers?: Headers): Promise<Answer>;
  exchange(values: Readonly<Record<string, string>>, headers?: Headers, domain?: string): Promise<Answer>;
  /** The internal reason code behind a refusal. */
  reason(answer: Answer): Promise<string>;
  /** Ends the server and starts it anew on the same store. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** What a server's metrics say of its process that lags most. */
export const snapshotVersionIn = ({ body }: Answer): number => Number(/^mayfly_snapshot_version (\d+)$/m.exec(String(body['text']))?.[1]);

export const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const JWT_TYPE = 'urn:ietf:params:oauth:token-type:jwt';
export const ACCESS_TOKEN_TYPE = 'urn:ietf:params:oauth:token-type:access_token';

export const read = async (response: Awaited<ReturnType<typeof request>>): Promise<Answer> => {
  const text = await response.body.text();
  let body: unknown;
  try {
    body = text === '' ? {} : JSON.parse(text);
  } catch {
    body = { text };
  }
  return { status: response.statusCode, headers: response.headers, body: body as Record<string, unknown> };
};

export interface MayflyOptions { readonly overrides?: Readonly<Record<string, unknown>>; readonly clock?: Clock; readonly log?: Log; readonly folder?: string; readonly port?: number }

export const startMayfly = async (options: MayflyOptions = {}): Promise<Mayfly> => {
  const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'mayfly-test-'));
  const port = options.port ?? await freePort();
  const url = `http://127.0.0.1:${port}`;
  const start = (): Promise<RunningServer> => startServer({
    log: options.log ?? silentLog,
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    overrides: { data_dir: folder, listen: `127.0.0.1:${port}`, external_url: url, limits: { per_address: 100_000, per_workload: 100_000, in_flight: 1000 }, ...options.overrides },
  });
  let server = await start();
  const socket = new Agent({ connect: { socketPath: server.adminSocket.slice('unix://'.length) } });

  const admin: Mayfly['admin'] = async (method, path, body) => read(await request(`http://admin/admin/v1/${path}`, {
    method, dispatcher: socket, ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  }));
  const formOnce: Mayfly['form'] = async (path, values, headers = {}) => read(await request(`${url}/${path}`, {
    method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams((Array.isArray(values) ? values : Object.entries(values)) as [string, string][]).toString(),
  }));
  // By a clock that the test moves, nothing is stale unless the test made it so.
  const form: Mayfly['form'] = options.clock === undefined ? (...asked) => patiently(() => formOnce(...asked)) : formOnce;
  return {
    url, folder, admin, form,
    get server() { return server; },
    async apply(manifest) {
      const answer = await admin('POST', 'apply', { manifest, dry_run: false, prune: false });
      if (answer.status !== 200 || answer.body['applied'] !== true) throw new Error(`apply: ${JSON.stringify(answer.body, null, 1)}`);
      return answer;
    },
    exchange: (values, headers, domain = 'dev') => form(`${domain}/token`, { grant_type: GRANT, subject_token_type: JWT_TYPE, ...values }, headers),
    async reason(answer) {
      const decision = answer.body['decision_id'];
      if (typeof decision !== 'string') throw new Error(`no decision id: ${answer.status} ${JSON.stringify(answer.body)}`);
      const explained = await admin('GET', `decisions/${decision}`);
      return String(explained.body['code']);
    },
    async restart() {
      await server.close();
      server = await start();
    },
    async close() {
      await socket.destroy();
      await server.close();
      if (options.folder === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
};
