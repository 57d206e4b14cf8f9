import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { ServerConfig } from '../config/server-config.ts';
import { isObject } from '../core/json.ts';
import { err, ok } from '../core/result.ts';
import type { Result } from '../core/result.ts';
import { StartRefused } from './refused.ts';
import type { StartProblem } from './refused.ts';

/** What a listener shows its callers, as its files hold it. */
export interface Tls { readonly cert: Buffer; readonly key: Buffer }

/** The files of `tls`, read and held against each other before anything is started; every problem is told at once. Undefined where none are configured. */
export const loadTls = (files: ServerConfig['tls']): Tls | undefined => {
  if (files === undefined) return undefined;
  const cert = read('tls.cert_file', files.cert_file);
  const key = read('tls.key_file', files.key_file);
  const certificate = cert.ok ? parseChain(cert.value, files.cert_file) : cert;
  const privateKey = key.ok ? parseKey(key.value, files.key_file) : key;
  const problems = [certificate, privateKey].flatMap((part) => (part.ok ? [] : [part.error]));
  if (certificate.ok && privateKey.ok && !certificate.value.checkPrivateKey(privateKey.value)) {
    problems.push({ path: 'tls.key_file', message: `${files.key_file} is not the key of the certificate in ${files.cert_file}`, mend: 'name the private key the certificate was issued for; of a chain the server\'s own certificate comes first' });
  }
  if (problems.length > 0 || !cert.ok || !key.ok) throw new StartRefused(problems);
  return { cert: cert.value, key: key.value };
};

type Part<T> = Result<T, StartProblem>;

const read = (path: string, file: string): Part<Buffer> => {
  try {
    return ok(readFileSync(file));
  } catch (cause) {
    return err({ path, message: `the file ${file} cannot be read (${codeOf(cause)})`, mend: 'name a PEM file that the user the server runs as may read' });
  }
};

const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The server's own certificate, which comes first; those behind it must be certificates too, or callers get a broken chain. */
const parseChain = (pem: Buffer, file: string): Part<X509Certificate> => {
  const mend = 'write the certificate chain as PEM, the server\'s own certificate first';
  const chain: X509Certificate[] = [];
  for (const text of pem.toString('latin1').match(CERTIFICATES) ?? []) {
    try {
      chain.push(new X509Certificate(text));
    } catch {
      return err({ path: 'tls.cert_file', message: `certificate ${chain.length + 1} in ${file} cannot be read`, mend });
    }
  }
  const [own] = chain;
  return own === undefined ? err({ path: 'tls.cert_file', message: `${file} holds no certificate in PEM`, mend }) : ok(own);
};

/** PKCS#8 (RFC 7468 section 11) and the older form of OpenSSL. */
const SEALED = /^(?:-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED)/m;

const parseKey = (pem: Buffer, file: string): Part<KeyObject> => {
  try {
    return ok(createPrivateKey(pem));
  } catch {
    return SEALED.test(pem.toString('latin1'))
      ? err({ path: 'tls.key_file', message: `the key in ${file} is under a passphrase, and nobody is there to type it`, mend: 'write the key without one, readable for the user the server runs as alone' })
      : err({ path: 'tls.key_file', message: `${file} holds no private key in PEM`, mend: 'write the private key of the certificate as PEM, such as PKCS#8' });
  }
};

const codeOf = (cause: unknown): string => (isObject(cause) && typeof cause['code'] === 'string' ? cause['code'] : 'unknown fault');
