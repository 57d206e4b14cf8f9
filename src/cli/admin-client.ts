import type { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { isObject } from '../core/json.ts';
import { findCredential, hasCredential } from './admin-credential.ts';
import type { AdminCredential, CredentialOptions } from './admin-credential.ts';
import type { CliContext } from './context.ts';
import { badInput, CliError, EXIT, failed } from './errors.ts';
import { createDispatcher, isSafeUrl, readText, send } from './http.ts';
import type { HttpRequest } from './http.ts';
import { failureOf } from './problem.ts';

/** Flags every command that talks to a server takes, before or after the command's name. */
export interface ServerOptions extends CredentialOptions { readonly server?: string }

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** The admin API (`/admin/v1`) as commands use it. Every refusal is thrown as a {@link CliError}. */
export interface AdminClient {
  get(path: string, query?: Query): Promise<unknown>;
  post(path: string, body: unknown): Promise<unknown>;
  put(path: string, body: unknown): Promise<unknown>;
  delete(path: string, query?: Query): Promise<unknown>;
  stream(path: string, query?: Query): Promise<Readable>;
}


const ANSWER_LIMIT = 32 * 1024 * 1024;

/** Runs one command's calls over one connection, which is closed whatever happens. */
export const withAdmin = <T>(context: CliContext, options: ServerOptions, work: (admin: AdminClient) => Promise<T>): Promise<T> => connect(context, options, false, work);

/** The same for what a person decides: their token is shown through the socket as well, which by itself says nobody's name. */
export const withPerson = <T>(context: CliContext, options: ServerOptions, work: (admin: AdminClient) => Promise<T>): Promise<T> => connect(context, options, true, work);

const connect = async <T>(context: CliContext, options: ServerOptions, asPerson: boolean, work: (admin: AdminClient) => Promise<T>): Promise<T> => {
  const server = parseServer(options.server ?? context.env['MAYFLY_SERVER'] ?? localSocket(context.env));
  const shows = server.socketPath === undefined || (asPerson && hasCredential(context, options));
  const credential = shows ? await findCredential(context, options) : undefined;
  const dispatcher = createDispatcher(server.socketPath);
  try {
    return await work(createAdminClient(server, credential, dispatcher));
  } finally {
    await dispatcher.destroy();
  }
};

/** Where `mayfly serve` puts its socket with the same environment and no configuration file. */
export const localSocket = (env: CliContext['env']): string => `unix://${env['MAYFLY_ADMIN_SOCKET'] ?? `${env['MAYFLY_DATA_DIR'] ?? './data'}/admin/mayfly.sock`}`;

interface Server { readonly name: string; readonly base: URL; readonly socketPath: string | undefined }

/** `unix:///path/admin.sock`, a bare path to a socket, or an https URL. */
export const parseServer = (text: string): Server => {
  if (text.startsWith('unix://')) return { name: text, base: new URL('http://localhost/'), socketPath: text.slice('unix://'.length) };
  if (/^[./]/.test(text)) return { name: text, base: new URL('http://localhost/'), socketPath: text };
  const base = URL.parse(text.endsWith('/') ? text : `${text}/`);
  if (base === null || !['http:', 'https:'].includes(base.protocol)) {
    throw badInput(`--server ${text} is neither a socket nor a URL`, 'give unix:///path/to/admin.sock, or the https URL of the server');
  }
  if (!isSafeUrl(base)) throw badInput(`--server ${text} would send the admin token over the network in clear`, 'use the https URL of the server');
  return { name: text, base, socketPath: undefined };
};

const createAdminClient = (server: Server, credential: AdminCredential | undefined, dispatcher: Dispatcher): AdminClient => {
  const call = async (method: HttpRequest['method'], path: string, query: Query, body?: unknown): Promise<Dispatcher.ResponseData> => {
    const url = new URL(`admin/v1/${path}`, server.base);
    for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value));
    const sent = body === undefined ? {} : { body: JSON.stringify(body) };
    const ask = async (): Promise<Dispatcher.ResponseData> => {
      const headers = {
        accept: 'application/json, application/x-ndjson',
        ...(await credential?.headersFor(method, url)),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      };
      return reach(server, send(dispatcher, { method, url, headers, ...sent }));
    };
    let response = await ask();
    if (credential?.hear(response.statusCode, response.headers) === true) {
      await response.body.dump();
      response = await ask();
      credential.hear(response.statusCode, response.headers);
    }
    if (response.statusCode >= 200 && response.statusCode < 300) return response;
    throw failureOf(response.statusCode, await reach(server, readText(response.body, ANSWER_LIMIT)));
  };
  const json = async (response: Promise<Dispatcher.ResponseData>): Promise<unknown> => {
    const text = await reach(server, readText((await response).body, ANSWER_LIMIT));
    return text === '' ? {} : parseJson(server, text);
  };
  return {
    get: (path, query = {}) => json(call('GET', path, query)),
    post: (path, body) => json(call('POST', path, {}, body)),
    put: (path, body) => json(call('PUT', path, {}, body)),
    delete: (path, query = {}) => json(call('DELETE', path, query)),
    stream: async (path, query = {}) => (await call('GET', path, query)).body,
  };
};

const parseJson = (server: Server, text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    throw failed(`what answers at ${server.name} is not Mayfly's admin API`, 'check --server or MAYFLY_SERVER');
  }
};

const reach = async <T>(server: Server, work: Promise<T>): Promise<T> => {
  try {
    return await work;
  } catch (fault) {
    const code = codeOf(fault);
    const mend = code === 'EACCES'
      ? 'run as the user the server runs as, or use --server with its https URL'
      : 'start the server with `mayfly serve`, or name another with --server or MAYFLY_SERVER';
    throw new CliError(`no server answers at ${server.name} (${code})`, mend, EXIT.failed, [], { cause: fault });
  }
};

const codeOf = (fault: unknown): string => {
  if (isObject(fault) && typeof fault['code'] === 'string') return fault['code'];
  return fault instanceof Error ? fault.message : String(fault);
};
