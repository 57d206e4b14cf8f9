import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { createSecrets } from '../../src/config/secrets.ts';

const folder = mkdtempSync(join(tmpdir(), 'mayfly-secrets-'));
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

describe('a secret shared with a transmitter', () => {
  test.each([
    { name: 'a token by itself', text: 'abc.def', value: 'Bearer abc.def' },
    { name: 'a token with a line break at its end', text: 'abc\n', value: 'Bearer abc' },
    { name: 'a whole header value', text: 'Basic dXNlcjpwYXNz', value: 'Basic dXNlcjpwYXNz' },
    { name: 'nothing', text: '\n', value: undefined },
    { name: 'two lines', text: 'abc\ndef', value: undefined },
    { name: 'what no header may hold', text: 'geheim-ä', value: undefined },
    { name: '8 KiB', text: 'a'.repeat(8 * 1024), value: `Bearer ${'a'.repeat(8 * 1024)}` },
    { name: 'more than 8 KiB', text: 'a'.repeat(8 * 1024 + 1), value: undefined },
  ])('is $name', async ({ text, value }) => {
    expect(await createSecrets({ 'prod/corp': { file: file('secret', text) } }, {})('prod', 'corp')).toBe(value);
    expect(await createSecrets({ 'prod/corp': { env: 'SECRET' } }, { SECRET: text })('prod', 'corp')).toBe(value);
  });

  test('is read anew, so that it can be replaced while the server runs', async () => {
    const secretOf = createSecrets({ 'prod/corp': { file: file('turning', 'old') } }, {});
    expect(await secretOf('prod', 'corp')).toBe('Bearer old');
    file('turning', 'new');
    expect(await secretOf('prod', 'corp')).toBe('Bearer new');
  });

  test('is of one issuer of one domain, and of no other', async () => {
    const secretOf = createSecrets({ 'prod/corp': { env: 'SECRET' } }, { SECRET: 'abc' });
    expect(await secretOf('prod', 'corp')).toBe('Bearer abc');
    for (const [domain, issuer] of [['dev', 'corp'], ['prod', 'other'], ['', 'prod/corp'], ['__proto__', 'x']] as const) expect(await secretOf(domain, issuer)).toBeUndefined();
    expect(await createSecrets({}, {})('constructor', '')).toBeUndefined();
  });

  test('is none where its file or variable is missing', async () => {
    const secretOf = createSecrets({ 'prod/corp': { file: join(folder, 'nowhere') }, 'prod/dir': { file: folder }, 'prod/env': { env: 'NOWHERE' } }, {});
    for (const issuer of ['corp', 'dir', 'env']) expect(await secretOf('prod', issuer)).toBeUndefined();
  });
});
