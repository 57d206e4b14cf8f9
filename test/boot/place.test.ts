import { join, resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { adminSocketOf, adminUrlOf, databaseUrlOf, externalUrlOf } from '../../src/boot/place.ts';
import { StartRefused } from '../../src/boot/refused.ts';
import { parseServerConfig } from '../../src/config/server-config.ts';
import type { ServerConfig } from '../../src/config/server-config.ts';

const config = (raw: object = {}): ServerConfig => {
  const parsed = parseServerConfig(raw);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.error));
  return parsed.value;
};
const TLS = { cert_file: 'c', key_file: 'k' };

describe('the URL under which callers know the server', () => {
  test.each([
    { name: 'what was set', raw: { external_url: 'https://sts.acme.example/', listen: '0.0.0.0:8443' }, url: 'https://sts.acme.example' },
    { name: 'what it listens on', raw: { listen: '127.0.0.1:9000' }, url: 'http://127.0.0.1:9000' },
    { name: 'what it listens on, with TLS', raw: { listen: 'sts.local:9000', tls: TLS }, url: 'https://sts.local:9000' },
    { name: 'an IPv6 address in brackets', raw: { listen: '[::1]:9000' }, url: 'http://[::1]:9000' },
    { name: 'what was set, though it listens on a socket', raw: { listen: 'unix:/run/mayfly.sock', external_url: 'https://sts.acme.example' }, url: 'https://sts.acme.example' },
  ])('is $name', ({ raw, url }) => { expect(externalUrlOf(config(raw))).toBe(url); });

  test.each([
    { name: 'a socket', raw: { listen: 'unix:/run/mayfly.sock' } },
    { name: 'a port that is not known yet', raw: { listen: '127.0.0.1:0' } },
    { name: 'every IPv4 address', raw: { listen: '0.0.0.0:8420' } },
    { name: 'every address', raw: { listen: '[::]:8420' } },
  ])('is not guessed from $name: the server does not start', ({ raw }) => {
    expect(() => externalUrlOf(config(raw))).toThrow(StartRefused);
    expect(externalUrlOf(config({ ...raw, external_url: 'https://sts.acme.example' }))).toBe('https://sts.acme.example');
  });
});

test('the database is PostgreSQL where one is configured, else a file in the data folder, by its whole path', () => {
  expect(databaseUrlOf(config({ database_url: 'postgresql://db/mayfly', data_dir: './d' }))).toBe('postgresql://db/mayfly');
  expect(databaseUrlOf(config({ data_dir: './d' }))).toBe(`file:${resolve('d', 'mayfly.db')}`);
});

test('the admin socket is in a folder of its own, which can be closed to others', () => {
  expect(adminSocketOf(config({ data_dir: './d' }))).toBe(resolve('d', 'admin', 'mayfly.sock'));
  expect(adminSocketOf(config({ data_dir: './d', admin: { socket: '/run/m.sock' } }))).toBe('/run/m.sock');
  expect(adminSocketOf(config({ admin: { socket: 'm.sock' } }))).toBe(join(process.cwd(), 'm.sock'));
});

describe('the URL of the admin listener', () => {
  const urlFor = (raw: object): string | undefined => adminUrlOf(config(raw));
  const tls = { cert_file: 'cert.pem', key_file: 'key.pem' };
  test.each([
    { name: 'its address', raw: { admin: { listen: '127.0.0.1:8421' } }, url: 'http://127.0.0.1:8421' },
    { name: 'its address, over TLS', raw: { admin: { listen: '10.20.0.10:8421' }, tls }, url: 'https://10.20.0.10:8421' },
    { name: 'its IPv6 address', raw: { admin: { listen: '[::1]:8421' } }, url: 'http://[::1]:8421' },
    { name: 'what is configured', raw: { admin: { listen: '127.0.0.1:8421', external_url: 'https://admin.acme.example/ops/' } }, url: 'https://admin.acme.example/ops' },
    { name: 'what is configured, where the address says nothing', raw: { admin: { listen: 'unix:/run/admin.sock', external_url: 'https://admin.acme.example' } }, url: 'https://admin.acme.example' },
  ])('is $name', ({ raw, url }) => {
    expect(urlFor(raw)).toBe(url);
  });

  test.each([
    { name: 'there is none', raw: {} },
    { name: 'it listens everywhere', raw: { admin: { listen: '0.0.0.0:8421' }, external_url: 'https://sts.acme.example' } },
    { name: 'it listens everywhere, over IPv6', raw: { admin: { listen: '[::]:8421' } } },
    { name: 'the port is left open', raw: { admin: { listen: '127.0.0.1:0' } } },
    { name: 'it is a socket', raw: { admin: { listen: 'unix:/run/admin.sock' } } },
  ])('is not guessed where $name', ({ raw }) => {
    expect(urlFor(raw)).toBeUndefined();
  });
});
