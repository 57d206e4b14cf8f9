import { existsSync, readFileSync } from 'node:fs';
import { parse, YAMLParseError } from 'yaml';
import { isObject } from '../core/json.ts';
import { err } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { parseServerConfig } from './server-config.ts';
import type { ConfigProblem, ServerConfig } from './server-config.ts';

/** What cannot be read, and where; never the parser's own message, which quotes the file: it may hold a database password. */
const whyUnreadable = (cause: unknown): string => {
  if (cause instanceof YAMLParseError) {
    const at = cause.linePos?.[0];
    return `the file is not YAML (${cause.code}${at === undefined ? '' : ` at line ${at.line}, column ${at.col}`})`;
  }
  if (isObject(cause) && 'syscall' in cause) return `the file cannot be read (${String(cause['code'])})`;
  return 'the file is not plain YAML: aliases are not resolved here';
};

type Environment = Readonly<Record<string, string | undefined>>;

/** What the environment may set, and where it lands; a set variable wins over the file. */
const VARIABLES: readonly (readonly [string, readonly string[]])[] = [
  ['MAYFLY_LISTEN', ['listen']],
  ['MAYFLY_EXTERNAL_URL', ['external_url']],
  ['MAYFLY_DATA_DIR', ['data_dir']],
  ['DATABASE_URL', ['database_url']],
  ['MAYFLY_KEK_FILE', ['kek', 'file']],
  ['MAYFLY_ADMIN_SOCKET', ['admin', 'socket']],
  ['MAYFLY_ADMIN_LISTEN', ['admin', 'listen']],
  ['MAYFLY_ADMIN_EXTERNAL_URL', ['admin', 'external_url']],
  ['MAYFLY_LOG_LEVEL', ['log_level']],
];

const setAt = (target: Record<string, unknown>, path: readonly string[], value: unknown): void => {
  const [head, ...rest] = path;
  if (head === undefined) return;
  if (rest.length === 0) {
    target[head] = value;
    return;
  }
  const child = target[head];
  const inner: Record<string, unknown> = isObject(child) ? { ...child } : {};
  setAt(inner, rest, value);
  target[head] = inner;
};

/** The one reader of server settings: file named by argument or MAYFLY_CONFIG, then the environment, then `overrides`. */
export const loadServerConfig = (options: { readonly file?: string | undefined; readonly env?: Environment; readonly overrides?: Readonly<Record<string, unknown>> }): Result<ServerConfig, readonly ConfigProblem[]> => {
  const env = options.env ?? process.env;
  const file = options.file ?? env['MAYFLY_CONFIG'];
  // Without prototype: a member named like one of Object's is an unknown setting like any other.
  const raw = Object.create(null) as Record<string, unknown>;
  if (file !== undefined) {
    if (!existsSync(file)) return err([{ path: file, message: 'the file does not exist' }]);
    try {
      const read: unknown = parse(readFileSync(file, 'utf8'), { maxAliasCount: 0, logLevel: 'error' });
      if (read !== null && !isObject(read)) return err([{ path: file, message: 'the file must hold one mapping' }]);
      for (const [name, value] of Object.entries(read ?? {})) raw[name] = value;
    } catch (cause) {
      return err([{ path: file, message: whyUnreadable(cause) }]);
    }
  }
  for (const [name, path] of VARIABLES) {
    const value = env[name];
    if (value !== undefined && value !== '') setAt(raw, path, value);
  }
  if (env['MAYFLY_KEK'] !== undefined && env['MAYFLY_KEK'] !== '') setAt(raw, ['kek', 'env'], 'MAYFLY_KEK');
  Object.assign(raw, options.overrides);
  return parseServerConfig(raw);
};

/** The text of the key-encryption key where the configuration names a variable; undefined where it names none. */
export const readKekVariable = (config: ServerConfig, env: Environment = process.env): string | undefined => (config.kek.env === undefined ? undefined : env[config.kek.env]);

/** The text of a secret for which the configuration names a variable. */
export const readSecretVariable = (name: string, env: Environment = process.env): string | undefined => env[name];
