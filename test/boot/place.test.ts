import { describe, expect, test } from '@jest/globals';
import { adminUrlOf } from '../../src/boot/place.ts';
import { parseServerConfig } from '../../src/config/server-config.ts';

const urlFor = (raw: object): string | undefined => {
  const config = parseServerConfig(raw);
  if (!config.ok) throw new Error(JSON.stringify(config.error));
  return adminUrlOf(config.value);
};

describe('the URL of the admin listener', () => {
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
