import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { StartRefused } from '../../src/boot/refused.ts';
import type { StartProblem } from '../../src/boot/refused.ts';
import { loadTls } from '../../src/boot/tls.ts';
import { makeCertificate } from '../support/certificate.ts';

const folder = mkdtempSync(join(tmpdir(), 'mayfly-test-'));
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });
let files = 0;
const save = (content: string | Uint8Array): string => {
  const file = join(folder, `${++files}.pem`);
  writeFileSync(file, content);
  return file;
};

const [own, other] = [makeCertificate('localhost'), makeCertificate('localhost')];
const sealed = (type: 'pkcs8' | 'sec1') => createPrivateKey(own.key).export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase: 's3cr3t' });
const nowhere = join(folder, 'nowhere.pem');
const directory = join(folder, 'directory');
mkdirSync(directory);

const problemsOf = (cert_file: string, key_file: string): readonly StartProblem[] => {
  try {
    loadTls({ cert_file, key_file });
  } catch (fault) {
    if (fault instanceof StartRefused) return fault.problems;
    throw fault;
  }
  return [];
};

describe('certificate and key', () => {
  test.each([
    { name: 'that belong together', cert: own.cert, key: own.key },
    { name: 'with a chain behind the certificate', cert: `${own.cert}\n${other.cert}`, key: own.key },
    { name: 'in the older form of EC keys', cert: own.cert, key: createPrivateKey(own.key).export({ type: 'sec1', format: 'pem' }) },
  ])('$name are taken as they are', ({ cert, key }) => {
    const loaded = loadTls({ cert_file: save(cert), key_file: save(key) });
    expect([loaded?.cert.toString(), loaded?.key.toString()]).toEqual([cert, key]);
  });

  test('are not needed', () => {
    expect(loadTls(undefined)).toBeUndefined();
  });

  const CERT = { path: 'tls.cert_file' };
  const KEY = { path: 'tls.key_file' };
  test.each([
    { name: 'no certificate file', cert: () => nowhere, key: () => save(own.key), told: [{ ...CERT, message: `the file ${nowhere} cannot be read (ENOENT)` }] },
    { name: 'no key file', cert: () => save(own.cert), key: () => nowhere, told: [{ ...KEY, message: `the file ${nowhere} cannot be read (ENOENT)` }] },
    { name: 'neither', cert: () => nowhere, key: () => nowhere, told: [CERT, KEY] },
    { name: 'a folder', cert: () => directory, key: () => save(own.key), told: [{ ...CERT, message: `the file ${directory} cannot be read (EISDIR)` }] },
    { name: 'a certificate that is none', cert: () => save('not a certificate'), key: () => save(own.key), told: [{ ...CERT, message: expect.stringContaining('no certificate in PEM') }] },
    { name: 'a certificate that is cut off', cert: () => save(own.cert.slice(0, 200)), key: () => save(own.key), told: [CERT] },
    { name: 'a certificate that is broken inside', cert: () => save(own.cert.replace(/\n.{20}/, `\n${'A'.repeat(20)}`)), key: () => save(own.key), told: [CERT] },
    { name: 'a broken certificate in the chain', cert: () => save(`${own.cert}\n${other.cert.replace(/\n.{20}/, `\n${'A'.repeat(20)}`)}`), key: () => save(own.key), told: [{ ...CERT, message: expect.stringContaining('certificate 2') }] },
    { name: 'a certificate in DER', cert: () => save(new X509Certificate(own.cert).raw), key: () => save(own.key), told: [CERT] },
    { name: 'the two the wrong way round', cert: () => save(own.key), key: () => save(own.cert), told: [CERT, KEY] },
    { name: 'a key that is none', cert: () => save(own.cert), key: () => save('not a key'), told: [{ ...KEY, message: expect.stringContaining('no private key in PEM') }] },
    { name: 'a public key', cert: () => save(own.cert), key: () => save(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' })), told: [KEY] },
    { name: 'a key under a passphrase, in the older form', cert: () => save(own.cert), key: () => save(sealed('sec1')), told: [{ ...KEY, message: expect.stringContaining('passphrase') }] },
    { name: 'a key under a passphrase', cert: () => save(own.cert), key: () => save(sealed('pkcs8')), told: [{ ...KEY, message: expect.stringContaining('passphrase') }] },
    { name: 'the key of another certificate', cert: () => save(own.cert), key: () => save(other.key), told: [{ ...KEY, message: expect.stringContaining('not the key of the certificate') }] },
    { name: 'the key of the second certificate', cert: () => save(`${own.cert}\n${other.cert}`), key: () => save(other.key), told: [KEY] },
  ])('are refused: $name', ({ cert, key, told }) => {
    const problems = problemsOf(cert(), key());
    expect(problems).toMatchObject(told);
    expect(problems).toHaveLength(told.length);
    for (const { mend, message } of problems) expect([typeof mend, message.includes('s3cr3t') || message.includes('BEGIN')]).toEqual(['string', false]);
  });
});
