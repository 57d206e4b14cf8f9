import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { StartRefused } from '../../src/boot/refused.ts';
import { loadWebhooks } from '../../src/boot/webhooks.ts';
import { parseServerConfig } from '../../src/config/server-config.ts';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mayfly-webhooks-'));
  writeFileSync(join(folder, 'secret'), `${SECRET}\n`);
  writeFileSync(join(folder, 'password'), 'hunter2\n');
});
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

const load = (webhook: object) => {
  const parsed = parseServerConfig({ approvals: { webhooks: { prod: webhook } } });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  return loadWebhooks(parsed.value);
};
const refusedBy = (webhook: object): string => {
  try {
    load(webhook);
    return 'taken';
  } catch (cause) {
    if (!(cause instanceof StartRefused)) throw cause;
    return JSON.stringify(cause.problems);
  }
};
const URL_ = 'https://hooks.acme.example/mayfly';

describe('a webhook of the configuration', () => {
  test('is loaded with its secret, which nothing shows', () => {
    const webhooks = load({ url: URL_, secret_file: join(folder, 'secret'), allow_addresses: ['10.20.0.0/24'] });
    expect(webhooks.get('prod')).toMatchObject({ url: URL_, allowAddresses: ['10.20.0.0/24'] });
    expect(webhooks.get('prod')?.key.export().toString('base64')).toBe(SECRET.slice('whsec_'.length));
    expect(JSON.stringify([...webhooks])).not.toContain(SECRET.slice(10));
    expect(loadWebhooks({ approvals: { webhooks: {} } }).size).toBe(0);
  });

  test.each([
    { name: 'plain http to elsewhere', webhook: () => ({ url: 'http://hooks.acme.example/', secret_file: join(folder, 'secret') }), told: 'https' },
    { name: 'a password in the URL', webhook: () => ({ url: 'https://a:b@hooks.acme.example/', secret_file: join(folder, 'secret') }), told: 'https' },
    { name: 'no secret', webhook: () => ({ url: URL_ }), told: 'secret_env' },
    { name: 'two secrets', webhook: () => ({ url: URL_, secret_file: join(folder, 'secret'), secret_env: 'X' }), told: 'one of them' },
    { name: 'a secret that is a password', webhook: () => ({ url: URL_, secret_file: join(folder, 'password') }), told: 'no webhook secret' },
    { name: 'a file that is not there', webhook: () => ({ url: URL_, secret_file: join(folder, 'nothing') }), told: 'cannot be read' },
    { name: 'a variable that is not set', webhook: () => ({ url: URL_, secret_env: 'MAYFLY_TEST_NO_SUCH_VARIABLE' }), told: 'cannot be read' },
    { name: 'a range that opens nothing', webhook: () => ({ url: URL_, secret_file: join(folder, 'secret'), allow_addresses: ['169.254.0.0/16'] }), told: 'metadata' },
  ])('is refused with $name', ({ webhook, told }) => {
    const said = refusedBy(webhook());
    expect(said).toContain(told);
    expect(said).not.toContain('hunter2');
  });

  test('in clear is no setting', () => {
    expect(parseServerConfig({ approvals: { webhooks: { prod: { url: URL_, secret: SECRET } } } }).ok).toBe(false);
  });
});
