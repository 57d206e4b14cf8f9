import { open } from 'node:fs/promises';
import { isObject } from '../core/json.ts';
import type { ServerConfig } from './server-config.ts';

/** The value of a configured secret; undefined where none is configured, or what is there cannot be one. */
export type SecretOf = (domain: string, issuer: string) => Promise<string | undefined>;

const MOST = 8 * 1024;
/** What an Authorization header may hold (RFC 9110 section 5.5), without the white space around it. */
const VALUE = /^[!-~](?:[ -~]*[!-~])?$/;

/**
 * Secrets that transmitters of security events share with this server, each for the one issuer entry it is configured for: an
 * admin of the registry names no files, and no issuer uses another's. A file may be replaced while the server runs.
 */
export const createSecrets = (secrets: ServerConfig['signals']['secrets'], env: Readonly<Record<string, string | undefined>> = process.env): SecretOf => async (domain, issuer) => {
  const name = `${domain}/${issuer}`;
  const source = Object.hasOwn(secrets, name) ? secrets[name] : undefined;
  if (source === undefined) return undefined;
  const value = ('env' in source ? env[source.env] : await readSmall(source.file))?.trim();
  if (value === undefined || value.length > MOST || !VALUE.test(value)) return undefined;
  return value.includes(' ') ? value : `Bearer ${value}`;
};

const readSmall = async (path: string): Promise<string | undefined> => {
  try {
    const file = await open(path, 'r');
    try {
      const buffer = Buffer.alloc(MOST + 1);
      const { bytesRead } = await file.read(buffer, 0, MOST + 1, 0);
      return bytesRead > MOST ? undefined : buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (cause) {
    // Missing or not ours to read: the same as not configured. Whoever needs it says so.
    if (isObject(cause) && typeof cause['code'] === 'string') return undefined;
    throw cause;
  }
};
