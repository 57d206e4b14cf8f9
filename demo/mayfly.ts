import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { realSchedule } from '../src/cli/context.ts';
import { run } from '../src/cli/main.ts';
import { systemClock } from '../src/core/clock.ts';
import type { Children } from './children.ts';

export type Json = Readonly<Record<string, unknown>>;
export interface Reply { readonly status: number; readonly body: Json }

/** Mayfly as the demo uses it: a server in a process of its own, the command line, and the HTTP calls jobs and resource servers make. */
export interface DemoMayfly {
  readonly url: string;
  /** The trust domain's issuer URL. */
  readonly issuer: string;
  /** What one `mayfly` command prints; throws with all it said unless it ends with 0. */
  command(args: readonly string[], options?: CommandOptions): Promise<string>;
  /** The same with `--json`, read. */
  ask(args: readonly string[], options?: CommandOptions): Promise<Json>;
  /** The one call of a job (RFC 8693). */
  exchange(evidence: string, asked: Readonly<Record<string, string>>): Promise<Reply>;
  /** The same where "no" is a fault: it is thrown with what an admin would see of it. */
  issue(evidence: string, asked: Readonly<Record<string, string>>): Promise<Json>;
  /** What a resource server asks about a token it received (RFC 7662). */
  introspect(token: string, own: string): Promise<Reply>;
}

interface CommandOptions { readonly env?: Readonly<Record<string, string>>; readonly stdin?: string }

const root = join(import.meta.dirname, '..');
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const JWT_TYPE = 'urn:ietf:params:oauth:token-type:jwt';
const TIMEOUT = 15_000;

/** `mayfly serve` on SQLite in `folder`. */
export const startMayfly = async (children: Children, folder: string, port: number, domain: string): Promise<DemoMayfly> => {
  const data = join(folder, 'data');
  await children.start('mayfly serve', [join(root, 'bin', 'mayfly.js'), 'serve', '--listen', `127.0.0.1:${port}`], { env: serverEnvironment(data), wanted: (line) => line.startsWith('mayfly is ready') });
  const url = `http://127.0.0.1:${port}`;
  const issuer = `${url}/${domain}`;
  const command: DemoMayfly['command'] = (args, options) => runCommand(args, { MAYFLY_DATA_DIR: data, MAYFLY_DOMAIN: domain, MAYFLY_ISSUER: issuer }, options);
  const exchange: DemoMayfly['exchange'] = (evidence, asked) => post(`${issuer}/token`, { grant_type: TOKEN_EXCHANGE, subject_token_type: JWT_TYPE, subject_token: evidence, ...asked });
  return {
    url, issuer, command, exchange,
    ask: async (args, options) => JSON.parse(await command([...args, '--json'], options)) as Json,
    async issue(evidence, asked) {
      const { status, body } = await exchange(evidence, asked);
      if (status === 200) return body;
      const why = typeof body['decision_id'] === 'string' ? `\nmayfly explain ${body['decision_id']}:\n${await command(['explain', body['decision_id']])}` : '';
      throw new Error(`the token endpoint answered ${status} ${JSON.stringify(body)}${why}`);
    },
    introspect: (token, own) => post(`${issuer}/introspect`, { token }, { authorization: `Bearer ${own}` }),
  };
};

/** What the user's own environment says about a server or a database does not count here. */
const serverEnvironment = (data: string): NodeJS.ProcessEnv =>
  ({ ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(MAYFLY_|DATABASE_URL$)/.test(name))), MAYFLY_DATA_DIR: data });

const runCommand = async (args: readonly string[], env: Readonly<Record<string, string>>, { env: more = {}, stdin = '' }: CommandOptions = {}): Promise<string> => {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const said = Promise.all([text(stdout), text(stderr)]);
  const code = await run(args, { env: { ...env, ...more }, stdin: Readable.from([Buffer.from(stdin)]), stdout, stderr, clock: systemClock, schedule: realSchedule, onSignal: () => () => undefined });
  stdout.end();
  stderr.end();
  const [out, err] = await said;
  if (code !== 0) throw new Error(`mayfly ${args.join(' ')} ended with ${code}:\n${err}${out}`.trimEnd());
  return out;
};

const post = async (url: string, form: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>> = {}): Promise<Reply> => {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(form), headers, signal: AbortSignal.timeout(TIMEOUT) });
  const body = await response.text();
  return { status: response.status, body: (body === '' ? {} : JSON.parse(body)) as Json };
};
