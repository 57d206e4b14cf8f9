import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readKekVariable } from '../config/load.ts';
import type { ServerConfig } from '../config/server-config.ts';
import type { AuditCodeKeys } from '../core/audit-code.ts';
import { createKeyEncryption, parseKek } from '../keys/kek.ts';
import type { Kek, KeyEncryption } from '../keys/kek.ts';
import type { Random } from '../core/random.ts';
import { StartRefused } from './refused.ts';

const NEXT = 'run `mayfly keys init`, keep a copy where the database is not, and name the file with MAYFLY_KEK_FILE or kek.file on every node';

/** The message of a KekError or of the system names what is wrong and holds nothing of the key. */
const readKek = (path: string, source: () => string | Uint8Array, mend = NEXT): Kek => {
  try {
    return parseKek(source());
  } catch (cause) {
    throw new StartRefused([{ path, message: cause instanceof Error ? cause.message : 'cannot be read', mend }], { cause });
  }
};
const readFile = (file: string): Kek => readKek(`kek ${file}`, () => readFileSync(file));
const readPrevious = (file: string): Kek => readKek(`kek.previous_files ${file}`, () => readFileSync(file), 'put the file back, or remove it from kek.previous_files once `mayfly keys list` shows its id nowhere');

/** Of every key-encryption key that is loaded: what was written before it was changed counts as long as the old one is there. */
export const auditCodeKeys = (encryption: Pick<KeyEncryption, 'deriveEach'>): AuditCodeKeys => encryption.deriveEach('audit-mac');

/**
 * The key-encryption key from variable or file. It is made only where losing it loses nothing: on SQLite, when the database
 * holds no keys yet. On PostgreSQL other nodes need the same one, so making one here would be wrong (design section 11, Keys).
 */
export const loadKeyEncryption = (config: ServerConfig, database: { readonly engine: 'sqlite' | 'postgresql'; readonly holdsKeys: boolean }, random: Random): { readonly encryption: KeyEncryption; readonly created: string | undefined } => {
  const old = config.kek.previous_files.map(readPrevious);
  const variable = readKekVariable(config);
  if (config.kek.env !== undefined) {
    if (variable === undefined || variable === '') throw new StartRefused([{ path: 'kek.env', message: `the variable ${config.kek.env} is not set`, mend: NEXT }]);
    return { encryption: createKeyEncryption({ current: readKek(`kek.env ${config.kek.env}`, () => variable), old, random }), created: undefined };
  }
  const file = config.kek.file ?? join(config.data_dir, 'kek');
  if (existsSync(file)) return { encryption: createKeyEncryption({ current: readFile(file), old, random }), created: undefined };
  if (database.holdsKeys) throw new StartRefused([{ path: 'kek', message: `${file} does not exist, and the database holds keys sealed under it`, mend: 'put the key-encryption key back from its copy' }]);
  if (database.engine === 'postgresql' || config.kek.file !== undefined) throw new StartRefused([{ path: 'kek', message: `${file} does not exist`, mend: `run \`mayfly keys init -o ${file}\` once, keep a copy where the database is not, and give every node the same file` }]);
  const text = Buffer.from(random.bytes(32)).toString('base64');
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, `${text}\n`, { mode: 0o600, flag: 'wx' });
  return { encryption: createKeyEncryption({ current: parseKek(text), old, random }), created: file };
};
